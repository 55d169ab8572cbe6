/* What Bedrock's Converse and ConverseStream accept. Source: Amazon Bedrock API reference, Converse and its data types. */
#include "proto/wire/url.h"
#include "tools/fake/converse.h"

#include <stdlib.h>

enum { MAX_IDS = 32, MAX_DOCUMENTS = 5, MAX_IMAGES = 20 };

#define STREAMED STR("/converse-stream")
#define WHOLE    STR("/converse")

struct reader {
    struct ask *ask;
    struct refusal *refusal;
    struct arena *a;
    bool strict;
    struct str open[MAX_IDS]; /* toolUseIds of the last assistant message that still need a result */
    unsigned opens;
    struct str document[MAX_DOCUMENTS]; /* their names */
    unsigned documents;
    bool has_tool_blocks;
};

bool converse_is_path(struct str path)
{
    return str_starts(path, STR("/model/")) && (str_ends(path, STREAMED) || str_ends(path, WHOLE));
}

static void bad(struct reader *r, struct str message)
{
    refuse(r->refusal, 400, NULL, "ValidationException", STR_NULL, message);
}

static void check_known(struct reader *r, yyjson_val *object, const char *where, const char *const *known)
{
    const char *unknown = r->strict ? first_unknown(object, known) : NULL;
    if (unknown != NULL)
        bad(r, arena_printf(r->a, "The model returned the following errors: %s: extraneous key [%s] is not permitted",
                            where, unknown));
}

/* ---- content blocks ---- */

static struct str read_text(struct reader *r, yyjson_val *v, const char *where)
{
    struct str text = val_str(v);
    if (r->strict && str_is_blank(text))
        bad(r, arena_printf(r->a,
                            "The text field in the ContentBlock object at %s is blank. Add text to the text field, and "
                            "try again.",
                            where));
    ask_count_text(r->ask, text);
    return text;
}

static bool is_one_of(struct str word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (str_is(word, *words)) return true;
    return false;
}

static void check_source(struct reader *r, yyjson_val *media, const char *where)
{
    yyjson_val *source = yyjson_obj_get(media, "source");
    bool good = val_str(yyjson_obj_get(source, "bytes")).n > 0 ||
                val_str(yyjson_obj_get(yyjson_obj_get(source, "s3Location"), "uri")).n > 0 ||
                yyjson_obj_get(source, "text") != NULL || yyjson_obj_get(source, "content") != NULL;
    if (!good || yyjson_obj_size(source) != 1)
        bad(r, arena_printf(r->a, "%s.source: exactly one of bytes, text, content and s3Location is required", where));
}

static void read_image(struct reader *r, yyjson_val *v, const char *where)
{
    static const char *const formats[] = {"png", "jpeg", "gif", "webp", NULL};
    if (!is_one_of(val_str(yyjson_obj_get(v, "format")), formats))
        bad(r,
            arena_printf(r->a, "%s.image.format: Member must satisfy enum value set: [gif, jpeg, png, webp]", where));
    check_source(r, v, where);
    if (++r->ask->images > MAX_IMAGES && r->strict) bad(r, STR("more than 20 images"));
}

static bool is_document_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                      c == '(' || c == ')' || c == '[' || c == ']';
        if (!letter && (c != ' ' || (i > 0 && name.p[i - 1] == ' '))) return false;
    }
    return name.n > 0 && name.n <= 200;
}

static void read_document(struct reader *r, yyjson_val *v, const char *where)
{
    static const char *const formats[] = {"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md", NULL};
    struct str name = val_str(yyjson_obj_get(v, "name"));
    if (!is_one_of(val_str(yyjson_obj_get(v, "format")), formats))
        bad(r, arena_printf(r->a, "%s.document.format: Member must satisfy enum value set", where));
    if (r->strict && !is_document_name(name))
        bad(r, STR("The document file name can only contain alphanumeric characters, whitespace characters, hyphens, "
                   "parentheses, and square brackets. The name can't contain more than one consecutive whitespace "
                   "character."));
    for (unsigned i = 0; i < r->documents && r->strict; i++)
        if (str_eq(r->document[i], name)) bad(r, STR("Document names must be unique within a request"));
    if (r->documents < MAX_DOCUMENTS)
        r->document[r->documents++] = name;
    else if (r->strict)
        bad(r, STR("more than 5 documents"));
    check_source(r, v, where);
    r->ask->files++;
}

static void read_call(struct reader *r, yyjson_val *v, const char *where)
{
    struct str id = val_str(yyjson_obj_get(v, "toolUseId")), name = val_str(yyjson_obj_get(v, "name"));
    if (!is_tool_id(id) || id.n > 64)
        bad(r, arena_printf(r->a,
                            "%s.toolUse.toolUseId: Member must satisfy regular expression pattern: "
                            "[a-zA-Z0-9_-]+, and be at most 64 long",
                            where));
    if (!is_tool_id(name) || name.n > 64) bad(r, arena_printf(r->a, "%s.toolUse.name: not a name of a tool", where));
    if (!yyjson_is_obj(yyjson_obj_get(v, "input")))
        bad(r, STR("The format of the value at toolUse.input is invalid. Provide a json object for the field and try "
                   "again."));
    if (r->opens < MAX_IDS) r->open[r->opens++] = id;
    r->has_tool_blocks = true;
    size_t bytes = 0;
    char *text = yyjson_val_write(yyjson_obj_get(v, "input"), 0, &bytes);
    ask_count_text(r->ask, (struct str){text, text != NULL ? bytes : 0});
    free(text);
}

static void read_result_content(struct reader *r, yyjson_val *content, const char *where)
{
    yyjson_val *block;
    size_t i, n;
    if (!yyjson_is_arr(content)) bad(r, arena_printf(r->a, "%s.toolResult.content: Field required", where));
    yyjson_arr_foreach(content, i, n, block)
    {
        if (yyjson_obj_get(block, "text") != NULL)
            r->ask->last_result = read_text(r, yyjson_obj_get(block, "text"), where);
        else if (yyjson_obj_get(block, "image") != NULL)
            read_image(r, yyjson_obj_get(block, "image"), where);
        else if (yyjson_obj_get(block, "document") != NULL)
            read_document(r, yyjson_obj_get(block, "document"), where);
        else if (!yyjson_is_obj(yyjson_obj_get(block, "json")))
            bad(r, arena_printf(r->a, "%s.toolResult.content: no such block", where));
    }
}

static void read_result(struct reader *r, yyjson_val *v, const char *where)
{
    struct str id = val_str(yyjson_obj_get(v, "toolUseId"));
    unsigned i = 0;
    while (i < r->opens && !str_eq(r->open[i], id)) i++;
    if (i == r->opens && r->strict)
        bad(r,
            STR("The number of toolResult blocks at messages exceeds the number of toolUse blocks of previous turn."));
    if (i < r->opens) r->open[i] = r->open[--r->opens];
    r->ask->results++;
    r->ask->ends_with_result = true;
    r->has_tool_blocks = true;
    read_result_content(r, yyjson_obj_get(v, "content"), where);
}

static void read_reasoning(struct reader *r, yyjson_val *v, const char *where)
{
    struct str signature = val_str(yyjson_obj_get(yyjson_obj_get(v, "reasoningText"), "signature"));
    bool hidden = yyjson_obj_get(v, "redactedContent") != NULL;
    if (r->strict && !hidden && !str_starts(signature, STR("EvABFake")))
        bad(r,
            arena_printf(r->a, "The model returned the following errors: %s: Invalid `signature` in `thinking` block",
                         where));
}

struct seen {
    bool text, document, any;
};

static void read_block(struct reader *r, yyjson_val *block, bool user, const char *where, struct seen *seen)
{
    yyjson_val *v;
    if (yyjson_obj_size(block) != 1) bad(r, arena_printf(r->a, "%s: exactly one member must be set", where));
    seen->any = true;
    if ((v = yyjson_obj_get(block, "text")) != NULL) {
        struct str text = read_text(r, v, where);
        if (user) r->ask->last_text = text;
        seen->text = true;
    } else if ((v = yyjson_obj_get(block, "image")) != NULL && user) {
        read_image(r, v, where);
    } else if ((v = yyjson_obj_get(block, "document")) != NULL && user) {
        read_document(r, v, where);
        seen->document = true;
    } else if ((v = yyjson_obj_get(block, "toolResult")) != NULL && user) {
        read_result(r, v, where);
    } else if ((v = yyjson_obj_get(block, "toolUse")) != NULL && !user) {
        read_call(r, v, where);
    } else if ((v = yyjson_obj_get(block, "reasoningContent")) != NULL && !user) {
        read_reasoning(r, v, where);
    } else if (yyjson_obj_get(block, "cachePoint") == NULL && yyjson_obj_get(block, "guardContent") == NULL &&
               yyjson_obj_get(block, "audio") == NULL && yyjson_obj_get(block, "video") == NULL) {
        bad(r, arena_printf(r->a, "%s: no such content block for this role", where));
    }
}

/* ---- messages ---- */

static void check_answered(struct reader *r)
{
    if (r->opens > 0 && r->strict)
        bad(r, arena_printf(r->a, "Expected toolResult blocks at messages for the following Ids: %.*s, but found none",
                            STR_FMT(r->open[0])));
    r->opens = 0;
}

static void read_message(struct reader *r, yyjson_val *message, size_t index, bool *was_user)
{
    yyjson_val *role = yyjson_obj_get(message, "role"), *content = yyjson_obj_get(message, "content"), *block;
    bool user = val_is(role, "user");
    struct seen seen = {0};
    size_t i, n;
    if (!user && !val_is(role, "assistant")) {
        bad(r, arena_printf(r->a, "messages.%zu.role: Member must satisfy enum value set: [user, assistant]", index));
        return;
    }
    if (index == 0 && !user && r->strict)
        bad(r, STR("A conversation must start with a user message. Try again with a conversation that starts with a "
                   "user message."));
    if (index > 0 && user == *was_user && r->strict)
        bad(r, STR("A conversation must alternate between user and assistant roles. Make sure the conversation "
                   "alternates between user and assistant roles and try again."));
    *was_user = user;
    user ? r->ask->users++ : r->ask->assistants++;
    r->ask->ends_with_result = false;
    yyjson_arr_foreach(content, i, n, block)
        read_block(r, block, user, arena_printf(r->a, "messages.%zu.content.%zu", index, i).p, &seen);
    if (!seen.any)
        bad(r, arena_printf(r->a,
                            "The content field in the Message object at messages.%zu is empty. Add a ContentBlock "
                            "object to the content field and try again.",
                            index));
    if (seen.document && !seen.text && r->strict) bad(r, STR("A text block must be beside a document"));
    if (user) check_answered(r);
}

static void read_messages(struct reader *r, yyjson_val *messages)
{
    yyjson_val *message;
    size_t i, n;
    bool user = false;
    if (yyjson_arr_size(messages) == 0) bad(r, STR("messages: Member must not be empty"));
    yyjson_arr_foreach(messages, i, n, message) read_message(r, message, i, &user);
    if (!user && r->strict)
        bad(r, STR("This model does not support assistant message prefill. The conversation must end with a user "
                   "message."));
}

static void read_system(struct reader *r, yyjson_val *system)
{
    yyjson_val *block;
    size_t i, n;
    if (system != NULL && !yyjson_is_arr(system)) bad(r, STR("system: must be a list of blocks"));
    yyjson_arr_foreach(system, i, n, block)
    {
        r->ask->systems = 1;
        if (yyjson_obj_get(block, "cachePoint") == NULL && yyjson_obj_get(block, "guardContent") == NULL)
            read_text(r, yyjson_obj_get(block, "text"), arena_printf(r->a, "system.%zu", i).p);
    }
}

/* ---- the rest ---- */

static void check_spec(struct reader *r, yyjson_val *spec, size_t i)
{
    static const char *const known[] = {"name", "description", "inputSchema", "strict", NULL};
    struct str name = val_str(yyjson_obj_get(spec, "name"));
    yyjson_val *description = yyjson_obj_get(spec, "description");
    yyjson_val *schema = yyjson_obj_get(yyjson_obj_get(spec, "inputSchema"), "json");
    check_known(r, spec, "toolSpec", known);
    if (!is_tool_id(name) || name.n > 64)
        bad(r, arena_printf(r->a,
                            "toolConfig.tools.%zu.toolSpec.name: Member must satisfy regular expression pattern: "
                            "[a-zA-Z0-9_-]{1,64}",
                            i));
    if (description != NULL && val_str(description).n == 0)
        bad(r, arena_printf(r->a,
                            "toolConfig.tools.%zu.toolSpec.description: Member must have length greater than or "
                            "equal to 1",
                            i));
    if (!val_is(yyjson_obj_get(schema, "type"), "object"))
        bad(r, arena_printf(r->a,
                            "The value at toolConfig.tools.%zu.toolSpec.inputSchema.json.type must be one of the "
                            "following: object.",
                            i));
}

static void read_tools(struct reader *r, yyjson_val *config)
{
    struct ask *ask = r->ask;
    yyjson_val *choice = yyjson_obj_get(config, "toolChoice"), *one = yyjson_obj_get(choice, "tool"), *tool;
    static const char *const choices[] = {"auto", "any", "tool", NULL};
    size_t i, n, specs = 0;
    ask->tools = yyjson_obj_get(config, "tools");
    yyjson_arr_foreach(ask->tools, i, n, tool)
    {
        yyjson_val *spec = yyjson_obj_get(tool, "toolSpec");
        if (spec == NULL) continue; /* cachePoint, systemTool */
        specs++;
        check_spec(r, spec, i);
    }
    if (config != NULL && specs == 0) bad(r, STR("toolConfig.tools: Member must not be empty"));
    if (r->has_tool_blocks && config == NULL && r->strict)
        bad(r, STR("The toolConfig field must be defined when using toolUse and toolResult content blocks."));
    if (choice != NULL && (yyjson_obj_size(choice) != 1 || first_unknown(choice, choices) != NULL))
        bad(r, STR("toolConfig.toolChoice: exactly one of auto, any and tool must be set"));
    ask->may_call = specs > 0;
    ask->must_call = ask->may_call && (yyjson_obj_get(choice, "any") != NULL || one != NULL);
    ask->only_tool = val_str(yyjson_obj_get(one, "name"));
    ask->may_call_parallel = true;
}

static void read_inference(struct reader *r, yyjson_val *config)
{
    static const char *const known[] = {"maxTokens", "temperature", "topP", "stopSequences", NULL};
    yyjson_val *limit = yyjson_obj_get(config, "maxTokens"), *stops = yyjson_obj_get(config, "stopSequences"), *stop;
    yyjson_val *temperature = yyjson_obj_get(config, "temperature");
    size_t i, n;
    check_known(r, config, "inferenceConfig", known);
    if (limit != NULL && (!yyjson_is_uint(limit) || yyjson_get_uint(limit) == 0))
        bad(r, STR("inferenceConfig.maxTokens: Member must have value greater than or equal to 1"));
    r->ask->max_tokens = yyjson_get_uint(limit);
    if (yyjson_get_num(temperature) < 0 || yyjson_get_num(temperature) > 1)
        bad(r, STR("inferenceConfig.temperature: Member must have value less than or equal to 1"));
    yyjson_arr_foreach(stops, i, n, stop)
    {
        if (r->strict && str_is_blank(val_str(stop))) bad(r, STR("inferenceConfig.stopSequences: blank"));
        if (r->ask->stops < ASK_MAX_STOPS) r->ask->stop[r->ask->stops++] = val_str(stop);
    }
}

static void read_additional(struct reader *r, yyjson_val *fields)
{
    yyjson_val *thinking = yyjson_obj_get(fields, "thinking"), *nova = yyjson_obj_get(fields, "reasoningConfig");
    yyjson_val *choice = yyjson_obj_get(fields, "tool_choice");
    uint64_t budget = yyjson_get_uint(yyjson_obj_get(thinking, "budget_tokens"));
    bool enabled = val_is(yyjson_obj_get(thinking, "type"), "enabled");
    if (enabled && (budget < 1024 || (r->ask->max_tokens > 0 && budget >= r->ask->max_tokens)))
        bad(r, STR("thinking.budget_tokens: must be at least 1024 and below max_tokens"));
    r->ask->thinks = enabled || val_is(yyjson_obj_get(thinking, "type"), "adaptive") ||
                     val_is(yyjson_obj_get(nova, "type"), "enabled") ||
                     yyjson_obj_get(fields, "reasoning_effort") != NULL;
    r->ask->shows_thinking = r->ask->thinks || r->ask->wishes.reasoning;
    if (yyjson_is_true(yyjson_obj_get(choice, "disable_parallel_tool_use"))) r->ask->may_call_parallel = false;
    if (val_is(yyjson_obj_get(choice, "type"), "any") || val_is(yyjson_obj_get(choice, "type"), "tool"))
        r->ask->must_call = r->ask->may_call;
    if (val_is(yyjson_obj_get(choice, "type"), "tool")) r->ask->only_tool = val_str(yyjson_obj_get(choice, "name"));
}

/* The schema is a text that holds JSON. */
static void read_output(struct reader *r, yyjson_val *config)
{
    yyjson_val *format = yyjson_obj_get(config, "textFormat");
    yyjson_val *schema = yyjson_obj_get(yyjson_obj_get(yyjson_obj_get(format, "structure"), "jsonSchema"), "schema");
    struct str text = val_str(schema);
    yyjson_alc alc;
    if (format == NULL) return;
    size_t room = yyjson_read_max_memory_usage(text.n, 0);
    yyjson_doc *doc = NULL;
    if (text.n > 0 && yyjson_alc_pool_init(&alc, arena_alloc(r->a, room), room))
        doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, 0, &alc, NULL);
    r->ask->schema = yyjson_doc_get_root(doc); /* in the arena: freed with the call */
    if (!val_is(yyjson_obj_get(format, "type"), "json_schema") || !yyjson_is_obj(r->ask->schema))
        bad(r, STR("outputConfig.textFormat: the schema must be the text of a JSON object"));
}

static void converse_read(yyjson_val *body, const struct http1_head *head, bool strict, struct ask *ask,
                          struct refusal *refusal, struct arena *a)
{
    static const char *const known[] = {"modelId",
                                        "messages",
                                        "system",
                                        "inferenceConfig",
                                        "toolConfig",
                                        "guardrailConfig",
                                        "additionalModelRequestFields",
                                        "promptVariables",
                                        "additionalModelResponseFieldPaths",
                                        "requestMetadata",
                                        "performanceConfig",
                                        "serviceTier",
                                        "outputConfig",
                                        NULL};
    struct reader *r = arena_zalloc(a, sizeof *r);
    struct buf model = {0};
    *r = (struct reader){.ask = ask, .refusal = refusal, .a = a, .strict = strict};
    *ask = (struct ask){.choices = 1, .stream = str_ends(head->path, STREAMED)};
    size_t end = head->path.n - (ask->stream ? STREAMED.n : WHOLE.n);
    (void)url_percent_decode(str_slice(head->path, 7, end), &model);
    ask->model = arena_copy(a, buf_view(&model));
    buf_fini(&model);
    struct str key = http1_get(head, "authorization");
    if (!str_starts(key, STR("Bearer ")) && !str_starts(key, STR("AWS4-HMAC-SHA256 ")))
        refuse(refusal, 403, NULL, "MissingAuthenticationTokenException", STR_NULL,
               STR("Missing Authentication Token"));
    check_known(r, body, "#", known);
    read_inference(r, yyjson_obj_get(body, "inferenceConfig"));
    read_system(r, yyjson_obj_get(body, "system"));
    read_messages(r, yyjson_obj_get(body, "messages"));
    read_tools(r, yyjson_obj_get(body, "toolConfig"));
    read_output(r, yyjson_obj_get(body, "outputConfig"));
    ask_count_tools(ask);
    ask_read_wishes(ask);
    read_additional(r, yyjson_obj_get(body, "additionalModelRequestFields"));
}

const struct fake_dialect fake_converse = {
    .name = "converse",
    .read = converse_read,
    .write_unary = converse_write_unary,
    .write_stream = converse_write_stream,
    .write_error = converse_write_error,
    .write_error_event = converse_write_error_event,
    .terminal = "{\"usage\"",
};
