/* What Gemini's generateContent accepts. Source: Gemini API reference, generateContent, function calling, thought signatures; refusals
 * as its servers word them. */
#include "tools/fake/gemini.h"

#include "proto/wire/url.h"

enum { STOPS_MOST = 5, NAME_BYTES_MOST = 128 };

struct reader {
    struct ask *ask;
    struct refusal *refusal;
    struct arena *a;
    bool strict, signs; /* signs: the model wants its calls of the turn under way signed */
    unsigned calls;     /* of the model's turn just read */
};

static void bad(struct reader *r, struct str message)
{
    refuse(r->refusal, 400, "INVALID_ARGUMENT", NULL, STR_NULL, message);
}

static void bad_strictly(struct reader *r, struct str message)
{
    if (r->strict) bad(r, message);
}

/* Proto JSON: both spellings are members of one name. */
static yyjson_val *get(yyjson_val *o, const char *camel, const char *snake)
{
    yyjson_val *v = yyjson_obj_get(o, camel);
    return v != NULL ? v : yyjson_obj_get(o, snake);
}

static void check_members(struct reader *r, yyjson_val *o, const char *const *known, const char *where)
{
    const char *unknown = first_unknown(o, known);
    if (unknown != NULL)
        bad_strictly(r, arena_printf(r->a, "Invalid JSON payload received. Unknown name \"%s\"%s%s: Cannot find field.",
                                     unknown, where[0] != '\0' ? " at " : "", where));
}

/* ---- Parts ---- */

static bool is_signed_by_us(struct str signature)
{
    return str_starts(signature, STR(GEMINI_SIGNATURE)) || str_is(signature, GEMINI_SKIP);
}

static void read_media(struct reader *r, yyjson_val *data)
{
    struct str type = val_str(get(data, "mimeType", "mime_type"));
    if (str_starts(type, STR("image/")))
        r->ask->images++;
    else
        r->ask->files++;
    if (type.n == 0) bad(r, STR("Unable to determine the mime type of the data."));
}

static void read_result(struct reader *r, yyjson_val *result, size_t index)
{
    yyjson_val *response = yyjson_obj_get(result, "response");
    struct str output = val_str(yyjson_obj_get(response, "output"));
    if (output.n == 0) output = val_str(yyjson_obj_get(response, "error"));
    if (output.n == 0) output = val_str(yyjson_obj_get(response, "result"));
    if (val_str(yyjson_obj_get(result, "name")).n == 0)
        bad(r, arena_printf(r->a,
                            "GenerateContentRequest.contents[%zu].parts.function_response.name: Name cannot be empty.",
                            index));
    if (!yyjson_is_obj(response))
        bad(r, arena_printf(r->a, "Invalid value at 'contents[%zu].parts.function_response.response' (Struct)", index));
    r->ask->results++;
    r->ask->ends_with_result = true;
    r->ask->last_result = output;
    ask_count_text(r->ask, output);
}

static void read_call(struct reader *r, yyjson_val *call, size_t index)
{
    if (val_str(yyjson_obj_get(call, "name")).n == 0)
        bad(r,
            arena_printf(r->a, "GenerateContentRequest.contents[%zu].parts.function_call.name: Name cannot be empty.",
                         index));
    if (yyjson_obj_get(call, "args") != NULL && !yyjson_is_obj(yyjson_obj_get(call, "args")))
        bad(r, arena_printf(r->a, "Invalid value at 'contents[%zu].parts.function_call.args' (Struct)", index));
    r->calls++;
}

static void read_part(struct reader *r, yyjson_val *part, bool user, size_t index, struct str *ret_text)
{
    static const char *const known[] = {"text",
                                        "thought",
                                        "thoughtSignature",
                                        "thought_signature",
                                        "inlineData",
                                        "inline_data",
                                        "fileData",
                                        "file_data",
                                        "functionCall",
                                        "function_call",
                                        "functionResponse",
                                        "function_response",
                                        "executableCode",
                                        "codeExecutionResult",
                                        "videoMetadata",
                                        "mediaResolution",
                                        NULL};
    yyjson_val *call = get(part, "functionCall", "function_call"),
               *result = get(part, "functionResponse", "function_response");
    yyjson_val *data = get(part, "inlineData", "inline_data"), *file = get(part, "fileData", "file_data");
    struct str signature = val_str(get(part, "thoughtSignature", "thought_signature"));
    check_members(r, part, known, "'contents.parts'");
    if (signature.n > 0 && !is_signed_by_us(signature)) bad_strictly(r, STR("Corrupted thought signature."));
    if (yyjson_is_str(yyjson_obj_get(part, "text"))) {
        struct str text = val_str(yyjson_obj_get(part, "text"));
        ask_count_text(r->ask, text);
        if (text.n > 0 && !yyjson_is_true(yyjson_obj_get(part, "thought")))
            *ret_text = ret_text->n > 0 ? arena_printf(r->a, "%.*s\n%.*s", STR_FMT(*ret_text), STR_FMT(text)) : text;
    } else if (call != NULL) {
        if (user) bad_strictly(r, STR("Please use a valid role: user, model."));
        read_call(r, call, index);
    } else if (result != NULL) {
        read_result(r, result, index);
    } else if (data != NULL || file != NULL) {
        read_media(r, data != NULL ? data : file);
    } else if (signature.n == 0) {
        bad(r, arena_printf(r->a,
                            "GenerateContentRequest.contents[%zu].parts[0].data: required oneof field 'data' must have "
                            "one initialized field",
                            index));
    }
}

/* ---- Contents ---- */

/* A turn that the user began: what stands behind its last words of their own is under way. */
static bool has_own_content(yyjson_val *content)
{
    yyjson_val *part;
    size_t i, n;
    if (val_is(yyjson_obj_get(content, "role"), "model")) return false;
    yyjson_arr_foreach(yyjson_obj_get(content, "parts"), i, n, part)
    {
        if (get(part, "functionResponse", "function_response") == NULL) return true;
    }
    return false;
}

/* Of each step only the first call has to be signed. */
static void check_signed(struct reader *r, yyjson_val *content, size_t index)
{
    yyjson_val *part;
    size_t i, n;
    yyjson_arr_foreach(yyjson_obj_get(content, "parts"), i, n, part)
    {
        yyjson_val *call = get(part, "functionCall", "function_call");
        if (call == NULL) continue;
        if (val_str(get(part, "thoughtSignature", "thought_signature")).n == 0)
            bad_strictly(
                r, arena_printf(r->a,
                                "Function call is missing a thought_signature in functionCall parts. Function call "
                                "`default_api:%.*s` in the %zu. content block is missing a `thought_signature`.",
                                STR_FMT(val_str(yyjson_obj_get(call, "name"))), index + 1));
        return;
    }
}

static void check_answered(struct reader *r, unsigned results)
{
    if (r->calls != results)
        bad_strictly(
            r, STR("Please ensure that the number of function response parts is equal to the number of function call "
                   "parts of the function call turn."));
    r->calls = 0;
}

static void read_content(struct reader *r, yyjson_val *content, size_t index, bool under_way)
{
    yyjson_val *part, *parts = yyjson_obj_get(content, "parts"), *role = yyjson_obj_get(content, "role");
    struct str text = STR_NULL;
    unsigned before = r->ask->results;
    bool user = !val_is(role, "model");
    size_t i, n;
    if (role != NULL && user && !val_is(role, "user")) bad(r, STR("Please use a valid role: user, model."));
    if (yyjson_arr_size(parts) == 0)
        bad(r,
            arena_printf(r->a, "GenerateContentRequest.contents[%zu].parts: contents.parts must not be empty.", index));
    if (!user && index == 0) bad_strictly(r, STR("Please ensure that the first content is of the role 'user'."));
    if (!user && r->calls > 0) check_answered(r, 0);
    unsigned owed = r->calls;
    r->ask->ends_with_result = false;
    yyjson_arr_foreach(parts, i, n, part) read_part(r, part, user, index, &text);
    if (user) {
        r->calls = owed;
        check_answered(r, r->ask->results - before);
        r->ask->users++;
        if (text.n > 0) r->ask->last_text = text;
    } else {
        r->ask->assistants++;
        if (r->signs && under_way) check_signed(r, content, index);
    }
}

static void read_contents(struct reader *r, yyjson_val *contents)
{
    yyjson_val *content;
    size_t i, n, last = 0;
    if (yyjson_arr_size(contents) == 0) bad(r, STR("GenerateContentRequest.contents: contents is not specified"));
    yyjson_arr_foreach(contents, i, n, content)
    {
        if (has_own_content(content)) last = i;
    }
    yyjson_arr_foreach(contents, i, n, content) read_content(r, content, i, i > last);
    if (r->calls > 0 || (n > 0 && val_is(yyjson_obj_get(yyjson_arr_get_last(contents), "role"), "model")))
        bad_strictly(r, STR("Please ensure that function call turn comes immediately after a user turn or after a "
                            "function response turn."));
}

static void read_system(struct reader *r, yyjson_val *system)
{
    yyjson_val *part;
    size_t i, n;
    if (system == NULL) return;
    r->ask->systems++;
    yyjson_arr_foreach(yyjson_obj_get(system, "parts"), i, n, part)
        ask_count_text(r->ask, val_str(yyjson_obj_get(part, "text")));
}

/* ---- Tools ---- */

/* The OpenAPI subset: other words are unknown fields to it. */
static void check_schema(struct reader *r, yyjson_val *schema, unsigned depth)
{
    static const char *const unknown[] = {"$ref",  "$defs", "$schema",          "$id", "additionalProperties", "const",
                                          "oneOf", "allOf", "patternProperties"};
    yyjson_val *key, *value;
    size_t i, n;
    if (!yyjson_is_obj(schema) || depth > 16) return;
    for (size_t k = 0; k < sizeof unknown / sizeof *unknown; k++)
        if (yyjson_obj_get(schema, unknown[k]) != NULL)
            bad_strictly(r, arena_printf(r->a,
                                         "Invalid JSON payload received. Unknown name \"%s\" at "
                                         "'tools[0].function_declarations[0].parameters': Cannot find field.",
                                         unknown[k]));
    yyjson_obj_foreach(yyjson_obj_get(schema, "properties"), i, n, key, value) check_schema(r, value, depth + 1);
    check_schema(r, yyjson_obj_get(schema, "items"), depth + 1);
}

static bool is_name(struct str name)
{
    bool first = name.n > 0 &&
                 ((name.p[0] >= 'a' && name.p[0] <= 'z') || (name.p[0] >= 'A' && name.p[0] <= 'Z') || name.p[0] == '_');
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '_' && c != '.' && c != ':' && c != '-') return false;
    }
    return first && name.n <= NAME_BYTES_MOST;
}

static void read_tools(struct reader *r, yyjson_val *body)
{
    yyjson_val *config =
        get(get(body, "toolConfig", "tool_config"), "functionCallingConfig", "function_calling_config");
    yyjson_val *tool, *function, *names = get(config, "allowedFunctionNames", "allowed_function_names");
    struct ask *ask = r->ask;
    size_t i, n, j, m;
    yyjson_arr_foreach(yyjson_obj_get(body, "tools"), i, n, tool)
    {
        yyjson_val *functions = get(tool, "functionDeclarations", "function_declarations");
        if (functions != NULL) ask->tools = functions;
        yyjson_arr_foreach(functions, j, m, function)
        {
            if (!is_name(val_str(yyjson_obj_get(function, "name"))))
                bad(r, arena_printf(r->a,
                                    "GenerateContentRequest.tools[%zu].function_declarations[%zu].name: Invalid "
                                    "function name. Must start "
                                    "with a letter or an underscore.",
                                    i, j));
            check_schema(r, yyjson_obj_get(function, "parameters"), 0);
        }
    }
    struct str mode = val_str(yyjson_obj_get(config, "mode"));
    ask->may_call = yyjson_arr_size(ask->tools) > 0 && !str_ieq(mode, STR("NONE"));
    ask->must_call = ask->may_call && str_ieq(mode, STR("ANY"));
    ask->may_call_parallel = true; /* it cannot be switched off */
    if (ask->must_call && yyjson_arr_size(names) > 0) ask->only_tool = val_str(yyjson_arr_get_first(names));
}

/* ---- generationConfig ---- */

static void read_thinking(struct reader *r, yyjson_val *thinking)
{
    yyjson_val *budget = get(thinking, "thinkingBudget", "thinking_budget"),
               *level = get(thinking, "thinkingLevel", "thinking_level");
    if (budget != NULL && level != NULL)
        bad_strictly(r, STR("You can only set only one of thinking budget and thinking level."));
    r->ask->shows_thinking = yyjson_is_true(get(thinking, "includeThoughts", "include_thoughts"));
    r->ask->thinks = r->ask->shows_thinking || level != NULL || (budget != NULL && yyjson_get_sint(budget) != 0);
}

static void read_generation(struct reader *r, yyjson_val *g)
{
    static const char *const known[] = {"temperature",
                                        "topP",
                                        "topK",
                                        "candidateCount",
                                        "maxOutputTokens",
                                        "stopSequences",
                                        "presencePenalty",
                                        "frequencyPenalty",
                                        "seed",
                                        "responseLogprobs",
                                        "logprobs",
                                        "responseMimeType",
                                        "responseSchema",
                                        "responseJsonSchema",
                                        "responseFormat",
                                        "responseModalities",
                                        "thinkingConfig",
                                        "mediaResolution",
                                        "speechConfig",
                                        "imageConfig",
                                        "top_p",
                                        "top_k",
                                        "candidate_count",
                                        "max_output_tokens",
                                        "stop_sequences",
                                        "response_mime_type",
                                        "response_schema",
                                        "thinking_config",
                                        NULL};
    yyjson_val *stops = get(g, "stopSequences", "stop_sequences"), *stop,
               *schema = get(g, "responseSchema", "response_schema");
    size_t i, n;
    check_members(r, g, known, "'generation_config'");
    r->ask->max_tokens = yyjson_get_uint(get(g, "maxOutputTokens", "max_output_tokens"));
    if (yyjson_arr_size(stops) > STOPS_MOST)
        bad(r, STR("The number of stop sequences must be less than or equal to 5."));
    yyjson_arr_foreach(stops, i, n, stop)
    {
        if (r->ask->stops < ASK_MAX_STOPS) r->ask->stop[r->ask->stops++] = val_str(stop);
    }
    double temperature = yyjson_get_num(yyjson_obj_get(g, "temperature"));
    if (temperature < 0 || temperature > 2) bad(r, STR("The temperature parameter must be in the range [0.0, 2.0]."));
    r->ask->schema = yyjson_obj_get(g, "responseJsonSchema");
    if (r->ask->schema != NULL && schema != NULL)
        bad(r, STR("Only one of response_schema and response_json_schema can be set."));
    if (r->ask->schema == NULL) r->ask->schema = schema;
    check_schema(r, schema, 0);
    bool json = val_is(get(g, "responseMimeType", "response_mime_type"), "application/json");
    r->ask->json_object = json && r->ask->schema == NULL;
    if (r->ask->schema != NULL && !json)
        bad(r, STR("response_schema can only be used with response mime type application/json."));
    if (json && r->ask->may_call && str_contains(r->ask->model, STR("gemini-2")))
        bad_strictly(r, STR("Function calling with a response mime type: 'application/json' is unsupported"));
    read_thinking(r, get(g, "thinkingConfig", "thinking_config"));
}

/* ---- The whole ---- */

static void read_path(struct reader *r, const struct http1_head *head)
{
    struct buf name = {0};
    ptrdiff_t at = str_find(head->path, STR("/models/"));
    struct str rest = at < 0 ? head->path : str_slice(head->path, (size_t)at + 8, head->path.n);
    size_t colon = rest.n;
    while (colon > 0 && rest.p[colon - 1] != ':') colon--;
    if (url_percent_decode(str_slice(rest, 0, colon > 0 ? colon - 1 : rest.n), &name))
        r->ask->model = arena_copy(r->a, buf_view(&name));
    r->ask->stream = str_ends(rest, STR(":streamGenerateContent"));
    r->ask->as_array = r->ask->stream && !str_contains(head->query, STR("alt=sse"));
    buf_fini(&name);
}

static void gemini_read(yyjson_val *body, const struct http1_head *head, bool strict, struct ask *ask,
                        struct refusal *refusal, struct arena *a)
{
    static const char *const known[] = {"contents",
                                        "systemInstruction",
                                        "system_instruction",
                                        "tools",
                                        "toolConfig",
                                        "tool_config",
                                        "generationConfig",
                                        "generation_config",
                                        "safetySettings",
                                        "cachedContent",
                                        "labels",
                                        "serviceTier",
                                        "model",
                                        "generateContentRequest",
                                        NULL};
    struct reader r = {.ask = ask, .refusal = refusal, .a = a, .strict = strict};
    *ask = (struct ask){.choices = 1};
    read_path(&r, head);
    if (http1_get(head, "x-goog-api-key").n == 0 && http1_get(head, "authorization").n == 0 &&
        !str_contains(head->query, STR("key=")))
        refuse(refusal, 403, "PERMISSION_DENIED", NULL, STR_NULL,
               STR("Method doesn't allow unregistered callers (callers without established identity)."));
    yyjson_val *whole = yyjson_obj_get(body, "generateContentRequest"); /* countTokens may wrap one */
    if (yyjson_is_obj(whole)) body = whole;
    check_members(&r, body, known, "");
    r.signs = str_contains(ask->model, STR("gemini-3")) || str_contains(ask->model, STR("gemini-4"));
    read_system(&r, get(body, "systemInstruction", "system_instruction"));
    read_contents(&r, yyjson_obj_get(body, "contents"));
    read_tools(&r, body);
    read_generation(&r, get(body, "generationConfig", "generation_config"));
    ask_count_tools(ask);
    ask_read_wishes(ask);
    ask->shows_thinking |= ask->wishes.reasoning;
}

const struct fake_dialect fake_gemini = {
    .name = "gemini",
    .read = gemini_read,
    .write_unary = gemini_write_unary,
    .write_stream = gemini_write_stream,
    .write_error = gemini_write_error,
    .write_error_event = gemini_write_error_event,
    .terminal = "{\"candidates\":[{\"finishReason\"",
};
