/* What the OpenAI Responses endpoint accepts. Source: OpenAI API reference, create a model response; refusals as its servers word them. */
#include "tools/fake/openai.h"
#include "tools/fake/openai_rules.h"
#include "tools/fake/responses.h"

enum { CALLS_MOST = 32, OUTPUT_TOKENS_FEWEST = 16 };

struct reader {
    struct ask *ask;
    struct refusal *refusal;
    struct arena *a;
    bool strict, stores;
    struct str open[CALLS_MOST]; /* call_ids without their output so far */
    unsigned opens;
    bool in_turn;          /* the item before was the assistant's */
    struct str unfollowed; /* a reasoning item that nothing has followed yet */
};

static void bad(struct reader *r, const char *code, struct str param, struct str message)
{
    refuse(r->refusal, 400, "invalid_request_error", code, param, message);
}

static void bad_strictly(struct reader *r, const char *code, struct str param, struct str message)
{
    if (r->strict) bad(r, code, param, message);
}

static void missing(struct reader *r, struct str param)
{
    bad(r, "missing_required_parameter", param,
        arena_printf(r->a, "Missing required parameter: '%.*s'.", STR_FMT(param)));
}

static void check_fields(struct reader *r, yyjson_val *body)
{
    static const char *const known[] = {"access_programs",
                                        "background",
                                        "context_management",
                                        "conversation",
                                        "image",
                                        "include",
                                        "input",
                                        "instructions",
                                        "max_output_tokens",
                                        "max_tool_calls",
                                        "metadata",
                                        "model",
                                        "moderation",
                                        "parallel_tool_calls",
                                        "previous_response_id",
                                        "prompt",
                                        "prompt_cache_key",
                                        "prompt_cache_options",
                                        "prompt_cache_retention",
                                        "reasoning",
                                        "safety_identifier",
                                        "service_tier",
                                        "store",
                                        "stream",
                                        "stream_options",
                                        "temperature",
                                        "text",
                                        "tool_choice",
                                        "tools",
                                        "top_logprobs",
                                        "top_p",
                                        "truncation",
                                        "user",
                                        NULL};
    const char *unknown = first_unknown(body, known);
    if (unknown != NULL)
        bad(r, "unknown_parameter", str_of(unknown), arena_printf(r->a, "Unknown parameter: '%s'.", unknown));
    if (yyjson_obj_get(body, "stream_options") != NULL && !yyjson_is_true(yyjson_obj_get(body, "stream")))
        bad(r, NULL, STR("stream_options"),
            STR("The 'stream_options' parameter is only allowed when 'stream' is enabled."));
}

/* ---- input ---- */

static void check_id(struct reader *r, yyjson_val *item, const char *prefix, struct str where)
{
    struct str id = val_str(yyjson_obj_get(item, "id"));
    if (id.n > 0 && !str_starts(id, str_of(prefix)))
        bad_strictly(r, "invalid_value", arena_printf(r->a, "%.*s.id", STR_FMT(where)),
                     arena_printf(r->a, "Invalid '%.*s.id': '%.*s'. Expected an ID that begins with '%s'.",
                                  STR_FMT(where), STR_FMT(id), prefix));
}

static void read_part(struct reader *r, yyjson_val *part, bool assistant, struct str where, struct str *ret_text)
{
    struct str type = val_str(yyjson_obj_get(part, "type")), url = val_str(yyjson_obj_get(part, "image_url"));
    if (str_is(type, assistant ? "output_text" : "input_text")) {
        if (!yyjson_is_str(yyjson_obj_get(part, "text"))) missing(r, arena_printf(r->a, "%.*s.text", STR_FMT(where)));
        *ret_text = val_str(yyjson_obj_get(part, "text"));
        ask_count_text(r->ask, *ret_text);
    } else if (str_is(type, "refusal") && assistant) {
        *ret_text = val_str(yyjson_obj_get(part, "refusal"));
        ask_count_text(r->ask, *ret_text);
    } else if (str_is(type, "input_image") && !assistant) {
        r->ask->images++;
        bool data = str_starts(url, STR("data:image/")) && str_contains(url, STR(";base64,"));
        if (!data && !str_starts(url, STR("https://")) && !str_starts(url, STR("http://")) &&
            val_str(yyjson_obj_get(part, "file_id")).n == 0)
            bad(r, "invalid_image_url", where,
                STR("Invalid image URL: expected a base64-encoded data URL or an http(s) URL."));
    } else if ((str_is(type, "input_file") || str_is(type, "input_audio")) && !assistant) {
        r->ask->files++;
    } else {
        bad(r, "invalid_value", where,
            arena_printf(r->a, "Invalid value: '%.*s'. Supported values are: %s.", STR_FMT(type),
                         assistant ? "'output_text' and 'refusal'"
                                   : "'input_text', 'input_image', 'input_file' and 'input_audio'"));
    }
}

/* Counts the content and returns its last text. */
static struct str read_content(struct reader *r, yyjson_val *content, bool assistant, struct str where)
{
    struct str text = STR_NULL;
    yyjson_val *part;
    size_t i, n;
    if (yyjson_is_str(content)) {
        text = val_str(content);
        ask_count_text(r->ask, text);
    } else if (!yyjson_is_arr(content)) {
        missing(r, where);
    }
    yyjson_arr_foreach(content, i, n, part) read_part(r, part, assistant, where, &text);
    return text;
}

static void end_turn(struct reader *r)
{
    if (r->unfollowed.n > 0)
        bad_strictly(r, NULL, STR("input"),
                     arena_printf(r->a,
                                  "Item '%.*s' of type 'reasoning' was provided without its required following item.",
                                  STR_FMT(r->unfollowed)));
    r->unfollowed = STR_NULL;
    r->in_turn = false;
}

static void check_answered(struct reader *r)
{
    if (r->opens > 0)
        bad_strictly(r, NULL, STR("input"),
                     arena_printf(r->a, "No tool output found for function call %.*s.", STR_FMT(r->open[0])));
    r->opens = 0;
}

static void begin_assistant(struct reader *r)
{
    if (!r->in_turn) r->ask->assistants++;
    r->in_turn = true;
}

static void read_message(struct reader *r, yyjson_val *item, struct str where)
{
    struct str role = val_str(yyjson_obj_get(item, "role")),
               content = arena_printf(r->a, "%.*s.content", STR_FMT(where));
    bool assistant = str_is(role, "assistant");
    if (assistant) {
        begin_assistant(r);
        r->unfollowed = STR_NULL;
    } else {
        end_turn(r);
    }
    struct str text = read_content(r, yyjson_obj_get(item, "content"), assistant, content);
    if (str_is(role, "user")) {
        r->ask->users++;
        r->ask->last_text = text;
    } else if (str_is(role, "system") || str_is(role, "developer")) {
        r->ask->systems++;
    } else if (!assistant) {
        bad(r, "invalid_value", where,
            arena_printf(r->a,
                         "Invalid value: '%.*s'. Supported values are: 'assistant', 'system', 'developer', and "
                         "'user'.",
                         STR_FMT(role)));
    } else if (yyjson_obj_get(item, "id") != NULL) {
        check_id(r, item, "msg", where);
    }
}

static void read_call(struct reader *r, yyjson_val *item, const char *input, const char *prefix, struct str where)
{
    struct str id = val_str(yyjson_obj_get(item, "call_id"));
    if (id.n == 0) missing(r, arena_printf(r->a, "%.*s.call_id", STR_FMT(where)));
    if (val_str(yyjson_obj_get(item, "name")).n == 0) missing(r, arena_printf(r->a, "%.*s.name", STR_FMT(where)));
    if (!yyjson_is_str(yyjson_obj_get(item, input))) missing(r, arena_printf(r->a, "%.*s.%s", STR_FMT(where), input));
    check_id(r, item, prefix, where);
    begin_assistant(r);
    r->unfollowed = STR_NULL;
    ask_count_text(r->ask, val_str(yyjson_obj_get(item, input)));
    if (r->opens < CALLS_MOST) r->open[r->opens++] = id;
}

static void read_output(struct reader *r, yyjson_val *item, struct str where)
{
    struct str id = val_str(yyjson_obj_get(item, "call_id"));
    unsigned i = 0;
    end_turn(r);
    while (i < r->opens && !str_eq(r->open[i], id)) i++;
    if (i == r->opens)
        bad_strictly(r, NULL, STR("input"),
                     arena_printf(r->a, "No tool call found for function call output with call_id %.*s.", STR_FMT(id)));
    if (i < r->opens) r->open[i] = r->open[--r->opens];
    r->ask->results++;
    r->ask->last_result =
        read_content(r, yyjson_obj_get(item, "output"), false, arena_printf(r->a, "%.*s.output", STR_FMT(where)));
}

static void read_reasoning(struct reader *r, yyjson_val *item, struct str where)
{
    struct str id = val_str(yyjson_obj_get(item, "id")), secret = val_str(yyjson_obj_get(item, "encrypted_content"));
    check_id(r, item, "rs", where);
    if (!yyjson_is_arr(yyjson_obj_get(item, "summary"))) missing(r, arena_printf(r->a, "%.*s.summary", STR_FMT(where)));
    if (id.n > 0 && secret.n == 0 && !r->stores)
        refuse(r->refusal, 404, "invalid_request_error", NULL, STR("input"),
               arena_printf(r->a,
                            "Item with id '%.*s' not found. Items are not persisted when `store` is set to false. Try "
                            "again with `store` set to true, or remove this item from your input.",
                            STR_FMT(id)));
    if (secret.n > 0 && !str_starts(secret, STR(RESPONSES_SECRET)))
        bad(r, "invalid_encrypted_content", STR_NULL,
            STR("The encrypted content could not be verified. Reason: Encrypted content could not be decrypted or "
                "parsed."));
    begin_assistant(r);
    r->unfollowed = id.n > 0 ? id : STR("rs_unnamed");
}

static void read_item(struct reader *r, yyjson_val *item, size_t index)
{
    struct str type = val_str(yyjson_obj_get(item, "type")), where = arena_printf(r->a, "input[%zu]", index);
    bool output = str_is(type, "function_call_output") || str_is(type, "custom_tool_call_output");
    r->ask->ends_with_result = output;
    if (output)
        read_output(r, item, where);
    else if (str_is(type, "function_call"))
        read_call(r, item, "arguments", "fc", where);
    else if (str_is(type, "custom_tool_call"))
        read_call(r, item, "input", "ctc", where);
    else if (str_is(type, "reasoning"))
        read_reasoning(r, item, where);
    else if (type.n == 0 || str_is(type, "message"))
        read_message(r, item, where);
    else if (str_is(type, "item_reference"))
        refuse(r->refusal, 404, "invalid_request_error", NULL, STR("input"),
               arena_printf(r->a, "Item with id '%.*s' not found.", STR_FMT(val_str(yyjson_obj_get(item, "id")))));
    else
        bad(r, "invalid_value", where, arena_printf(r->a, "Invalid value: '%.*s'.", STR_FMT(type)));
}

static void read_input(struct reader *r, yyjson_val *body)
{
    yyjson_val *input = yyjson_obj_get(body, "input"), *item;
    struct str instructions = val_str(yyjson_obj_get(body, "instructions"));
    size_t i, n;
    if (instructions.n > 0) {
        r->ask->systems++;
        ask_count_text(r->ask, instructions);
    }
    if (yyjson_is_str(input)) {
        r->ask->users++;
        r->ask->last_text = val_str(input);
        ask_count_text(r->ask, r->ask->last_text);
    } else if (yyjson_arr_size(input) == 0) {
        missing(r, STR("input"));
    }
    yyjson_arr_foreach(input, i, n, item) read_item(r, item, i);
    check_answered(r);
    end_turn(r);
}

/* ---- the rest ---- */

bool responses_is_custom(const struct ask *ask, struct str tool)
{
    yyjson_val *v;
    size_t i, n;
    yyjson_arr_foreach(ask->tools, i, n, v)
    {
        if (str_eq(val_str(yyjson_obj_get(v, "name")), tool)) return val_is(yyjson_obj_get(v, "type"), "custom");
    }
    return false;
}

static void read_tools(struct reader *r, yyjson_val *body)
{
    struct ask *ask = r->ask;
    yyjson_val *choice = yyjson_obj_get(body, "tool_choice"), *tool;
    size_t i, n;
    ask->tools = yyjson_obj_get(body, "tools");
    yyjson_arr_foreach(ask->tools, i, n, tool)
    {
        struct str name = val_str(yyjson_obj_get(tool, "name")), param = arena_printf(r->a, "tools[%zu].name", i);
        bool function = val_is(yyjson_obj_get(tool, "type"), "function");
        if (!function && !val_is(yyjson_obj_get(tool, "type"), "custom")) continue; /* a hosted tool: never called */
        if (r->strict && function && yyjson_is_true(yyjson_obj_get(tool, "strict")))
            openai_check_strict(yyjson_obj_get(tool, "parameters"),
                                arena_printf(r->a, "function '%.*s'", STR_FMT(name)), "tools", r->refusal, r->a);
        if (name.n == 0)
            missing(r, param);
        else if (!is_tool_id(name) || name.n > 64)
            bad(r, "invalid_value", param, STR("Invalid 'tools[].name': expected 1 to 64 of a-z, A-Z, 0-9, '_', '-'."));
        if (function && yyjson_obj_get(tool, "parameters") == NULL)
            bad_strictly(r, "missing_required_parameter", arena_printf(r->a, "tools[%zu].parameters", i),
                         arena_printf(r->a, "Missing required parameter: 'tools[%zu].parameters'.", i));
    }
    ask->may_call = yyjson_arr_size(ask->tools) > 0 && !val_is(choice, "none");
    ask->must_call = ask->may_call && val_is(choice, "required");
    ask->may_call_parallel = !yyjson_is_false(yyjson_obj_get(body, "parallel_tool_calls"));
    ask->only_tool = val_str(yyjson_obj_get(choice, "name"));
    if (yyjson_arr_size(yyjson_obj_get(choice, "tools")) > 0) /* allowed_tools: the first of them is called */
        ask->only_tool = val_str(yyjson_obj_get(yyjson_arr_get_first(yyjson_obj_get(choice, "tools")), "name"));
    if (yyjson_is_obj(choice) && yyjson_obj_get(choice, "function") != NULL)
        bad(r, "unknown_parameter", STR("tool_choice.function"), STR("Unknown parameter: 'tool_choice.function'."));
    if (ask->only_tool.n > 0) ask->must_call = ask->may_call;
    if (yyjson_is_str(choice) && !val_is(choice, "none") && !val_is(choice, "auto") && !val_is(choice, "required"))
        bad(r, "invalid_value", STR("tool_choice"), STR("Invalid value for 'tool_choice'."));
}

static void check_format(struct reader *r, yyjson_val *body, yyjson_val *format)
{
    struct str name = val_str(yyjson_obj_get(format, "name"));
    bool has_word =
        openai_has_json(yyjson_obj_get(body, "input")) || openai_has_json(yyjson_obj_get(body, "instructions"));
    if (val_is(yyjson_obj_get(format, "type"), "json_object") && !has_word)
        bad(r, NULL, STR("input"),
            STR("Response input messages must contain the word 'json' in some form to use 'text.format' of type "
                "'json_object'."));
    if (yyjson_is_true(yyjson_obj_get(format, "strict")))
        openai_check_strict(yyjson_obj_get(format, "schema"),
                            arena_printf(r->a, "response_format '%.*s'", STR_FMT(name)), "text.format.schema",
                            r->refusal, r->a);
}

/* Rules that depend on the model, and lengths. */
static void check_rules(struct reader *r, yyjson_val *body)
{
    struct openai_model m = openai_model_of(r->ask->model);
    yyjson_val *effort = yyjson_obj_get(yyjson_obj_get(body, "reasoning"), "effort");
    check_format(r, body, yyjson_obj_get(yyjson_obj_get(body, "text"), "format"));
    openai_check_sampling(&m, body, effort, r->refusal, r->a);
    openai_check_effort(&m, effort, "reasoning.effort", r->refusal, r->a);
    openai_check_lengths(body, r->refusal, r->a);
    if (r->ask->include_secret && m.known && !m.reasons)
        bad(r, NULL, STR("include"), STR("Encrypted content is not supported with this model."));
}

static void read_format(struct reader *r, yyjson_val *format)
{
    struct str type = val_str(yyjson_obj_get(format, "type"));
    if (format == NULL || str_is(type, "text")) return;
    if (str_is(type, "json_object"))
        r->ask->json_object = true;
    else if (!str_is(type, "json_schema"))
        bad(r, "invalid_value", STR("text.format.type"), STR("Invalid value for 'text.format.type'."));
    else if (!is_tool_id(val_str(yyjson_obj_get(format, "name"))))
        missing(r, STR("text.format.name"));
    else if (!yyjson_is_obj(yyjson_obj_get(format, "schema")))
        missing(r, STR("text.format.schema"));
    else
        r->ask->schema = yyjson_obj_get(format, "schema");
}

static void read_numbers(struct reader *r, yyjson_val *body)
{
    yyjson_val *limit = yyjson_obj_get(body, "max_output_tokens");
    double temperature = yyjson_get_num(yyjson_obj_get(body, "temperature"));
    r->ask->max_tokens = yyjson_get_uint(limit);
    if (limit != NULL && !yyjson_is_null(limit) && r->ask->max_tokens < OUTPUT_TOKENS_FEWEST)
        bad(r, "integer_below_min_value", STR("max_output_tokens"),
            STR("Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16."));
    if (temperature < 0 || temperature > 2)
        bad(r, "decimal_above_max_value", STR("temperature"), STR("Invalid 'temperature': expected a value in 0..2."));
}

static void read_include(struct reader *r, yyjson_val *include)
{
    static const char *const known[] = {"reasoning.encrypted_content",   "message.output_text.logprobs",
                                        "message.input_image.image_url", "file_search_call.results",
                                        "web_search_call.results",       "web_search_call.action.sources",
                                        "code_interpreter_call.outputs", "computer_call_output.output.image_url"};
    yyjson_val *word;
    size_t i, n;
    yyjson_arr_foreach(include, i, n, word)
    {
        size_t k = 0;
        while (k < sizeof known / sizeof *known && !val_is(word, known[k])) k++;
        if (k == sizeof known / sizeof *known)
            bad(r, "invalid_value", arena_printf(r->a, "include[%zu]", i), STR("Invalid value in 'include'."));
        if (k == 0) r->ask->include_secret = true;
    }
}

static void responses_read(yyjson_val *body, const struct http1_head *head, bool strict, struct ask *ask,
                           struct refusal *refusal, struct arena *a)
{
    struct reader r = {.ask = ask, .refusal = refusal, .a = a, .strict = strict};
    *ask = (struct ask){.choices = 1, .include_usage = true};
    r.stores = !yyjson_is_false(yyjson_obj_get(body, "store"));
    if (!str_starts(http1_get(head, "authorization"), STR("Bearer ")) && http1_get(head, "api-key").n == 0)
        refuse(refusal, 401, "invalid_request_error", NULL, STR_NULL, STR("You didn't provide an API key."));
    ask->model = val_str(yyjson_obj_get(body, "model"));
    if (ask->model.n == 0) missing(&r, STR("model"));
    if (strict) check_fields(&r, body);
    struct str before = val_str(yyjson_obj_get(body, "previous_response_id"));
    if (before.n > 0)
        bad(&r, "previous_response_not_found", STR("previous_response_id"),
            arena_printf(a, "Previous response with id '%.*s' not found.", STR_FMT(before)));
    read_input(&r, body);
    ask->stream = yyjson_is_true(yyjson_obj_get(body, "stream"));
    read_tools(&r, body);
    read_format(&r, yyjson_obj_get(yyjson_obj_get(body, "text"), "format"));
    read_numbers(&r, body);
    read_include(&r, yyjson_obj_get(body, "include"));
    if (strict) check_rules(&r, body);
    ask_count_tools(ask);
    ask_read_wishes(ask);
    yyjson_val *reasoning = yyjson_obj_get(body, "reasoning"), *effort = yyjson_obj_get(reasoning, "effort");
    ask->thinks = yyjson_is_str(effort) && !val_is(effort, "none");
    ask->shows_thinking = ask->wishes.reasoning || yyjson_is_str(yyjson_obj_get(reasoning, "summary"));
}

const struct fake_dialect fake_responses = {
    .name = "responses",
    .read = responses_read,
    .write_unary = responses_write_unary,
    .write_stream = responses_write_stream,
    .write_error = openai_write_error,
    .write_error_event = responses_write_error_event,
    .terminal = "{\"type\":\"response.completed\"",
};
