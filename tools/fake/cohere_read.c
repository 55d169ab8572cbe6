/* What Cohere's /v2/chat accepts. Source: Cohere API reference, chat; its TypeScript client's types. */
#include "tools/fake/cohere.h"

enum { STOPS_MOST = 5 };

struct reader {
    struct ask *ask;
    struct refusal *refusal;
    struct arena *a;
    bool strict;
    struct str open[32]; /* calls of the last assistant turn that have no result yet */
    unsigned opens;
};

static void bad(struct reader *r, struct str message)
{
    refuse(r->refusal, 400, NULL, NULL, STR_NULL, message);
}

static void check_fields(struct reader *r, yyjson_val *o, const char *const *known)
{
    const char *unknown = first_unknown(o, known);
    if (unknown != NULL && r->strict)
        refuse(r->refusal, 422, NULL, NULL, STR_NULL,
               arena_printf(r->a, "unknown field: parameter '%s' is not a valid field", unknown));
}

static void check_range(struct reader *r, yyjson_val *body, const char *name, double least, double most)
{
    yyjson_val *v = yyjson_obj_get(body, name);
    if (v == NULL || yyjson_is_null(v)) return;
    if (!yyjson_is_num(v) || yyjson_get_num(v) < least || yyjson_get_num(v) > most)
        bad(r, arena_printf(r->a, "invalid request: %s must be between %g and %g inclusive.", name, least, most));
}

/* ---- Messages ---- */

static void read_image(struct reader *r, yyjson_val *block)
{
    struct str url = val_str(yyjson_obj_get(yyjson_obj_get(block, "image_url"), "url"));
    r->ask->images++;
    if (!str_starts(url, STR("data:image/")) && !str_starts(url, STR("https://")))
        bad(r, STR("invalid request: image_url.url must be an https address or a data URL of an image."));
}

static void read_block(struct reader *r, yyjson_val *block, struct str role, struct str *ret_text)
{
    struct str type = val_str(yyjson_obj_get(block, "type"));
    bool user = str_is(role, "user"), assistant = str_is(role, "assistant"), tool = str_is(role, "tool");
    if (str_is(type, "text")) {
        *ret_text = val_str(yyjson_obj_get(block, "text"));
        ask_count_text(r->ask, *ret_text);
        if (ret_text->n == 0) bad(r, STR("invalid request: text content cannot be empty."));
    } else if (str_is(type, "image_url") && user) {
        read_image(r, block);
    } else if (str_is(type, "document") && tool) {
        if (!yyjson_is_obj(yyjson_obj_get(yyjson_obj_get(block, "document"), "data")))
            bad(r, STR("invalid request: a document must have data."));
    } else if (!(str_is(type, "thinking") && assistant)) {
        bad(r, arena_printf(r->a, "invalid request: content of type '%.*s' is not valid in a message of role '%.*s'.",
                            STR_FMT(type), STR_FMT(role)));
    }
}

static struct str read_content(struct reader *r, yyjson_val *content, struct str role)
{
    struct str text = STR_NULL;
    yyjson_val *block;
    size_t i, n;
    if (yyjson_is_str(content)) {
        text = val_str(content);
        ask_count_text(r->ask, text);
        return text;
    }
    if (!yyjson_is_arr(content) || yyjson_arr_size(content) == 0)
        bad(r, STR("invalid request: message must have at least one of content and tool_calls."));
    yyjson_arr_foreach(content, i, n, block) read_block(r, block, role, &text);
    return text;
}

static void read_calls(struct reader *r, yyjson_val *calls)
{
    yyjson_val *call;
    size_t i, n;
    yyjson_arr_foreach(calls, i, n, call)
    {
        struct str id = val_str(yyjson_obj_get(call, "id"));
        yyjson_val *function = yyjson_obj_get(call, "function");
        struct str arguments = val_str(yyjson_obj_get(function, "arguments"));
        if (id.n == 0 || !val_is(yyjson_obj_get(call, "type"), "function") ||
            val_str(yyjson_obj_get(function, "name")).n == 0 || arguments.n == 0)
            bad(r, STR("invalid request: a tool call must have an id, type 'function', a name and arguments."));
        ask_count_text(r->ask, arguments);
        if (r->opens < sizeof r->open / sizeof *r->open) r->open[r->opens++] = id;
    }
}

static void read_result(struct reader *r, yyjson_val *message)
{
    struct str id = val_str(yyjson_obj_get(message, "tool_call_id"));
    unsigned i = 0;
    while (i < r->opens && !str_eq(r->open[i], id)) i++;
    if (i == r->opens && r->strict)
        bad(r, arena_printf(r->a, "invalid request: tool call id not found in previous tool calls: %.*s", STR_FMT(id)));
    if (i < r->opens) r->open[i] = r->open[--r->opens];
    r->ask->results++;
    r->ask->last_result = read_content(r, yyjson_obj_get(message, "content"), STR("tool"));
}

static void check_answered(struct reader *r)
{
    if (r->opens > 0 && r->strict)
        bad(r, STR("invalid request: all tool calls must be followed by tool messages with their results."));
    r->opens = 0;
}

static void read_message(struct reader *r, yyjson_val *message)
{
    static const char *const known[] = {"role",      "content",      "tool_calls", "tool_plan",
                                        "citations", "tool_call_id", NULL};
    struct str role = val_str(yyjson_obj_get(message, "role"));
    yyjson_val *content = yyjson_obj_get(message, "content"), *calls = yyjson_obj_get(message, "tool_calls");
    check_fields(r, message, known);
    r->ask->ends_with_result = str_is(role, "tool");
    if (str_is(role, "tool")) {
        read_result(r, message);
        return;
    }
    check_answered(r);
    if (str_is(role, "assistant")) {
        r->ask->assistants++;
        if (yyjson_arr_size(calls) == 0 || (content != NULL && !yyjson_is_null(content)))
            read_content(r, content, role);
        read_calls(r, calls);
    } else if (str_is(role, "user")) {
        r->ask->users++;
        r->ask->last_text = read_content(r, content, role);
    } else if (str_is(role, "system")) {
        r->ask->systems++;
        read_content(r, content, role);
    } else {
        bad(r, STR("invalid request: role must be one of 'user', 'assistant', 'system' or 'tool'."));
    }
}

/* ---- The rest ---- */

static void read_tools(struct reader *r, yyjson_val *body)
{
    yyjson_val *choice = yyjson_obj_get(body, "tool_choice"), *tool;
    struct ask *ask = r->ask;
    size_t i, n;
    ask->tools = yyjson_obj_get(body, "tools");
    yyjson_arr_foreach(ask->tools, i, n, tool)
    {
        yyjson_val *function = yyjson_obj_get(tool, "function");
        if (!val_is(yyjson_obj_get(tool, "type"), "function") || val_str(yyjson_obj_get(function, "name")).n == 0 ||
            !yyjson_is_obj(yyjson_obj_get(function, "parameters")))
            bad(r, STR("invalid request: a tool must have type 'function', a name and parameters."));
    }
    if (choice != NULL && !val_is(choice, "REQUIRED") && !val_is(choice, "NONE"))
        bad(r, STR("invalid request: tool_choice must be one of 'REQUIRED' or 'NONE'."));
    if (choice != NULL && yyjson_arr_size(ask->tools) == 0)
        bad(r, STR("invalid request: tool_choice can only be specified with tools."));
    ask->may_call = yyjson_arr_size(ask->tools) > 0 && !val_is(choice, "NONE");
    ask->must_call = ask->may_call && val_is(choice, "REQUIRED");
    ask->may_call_parallel = true;
}

static void read_format(struct reader *r, yyjson_val *body)
{
    yyjson_val *format = yyjson_obj_get(body, "response_format");
    if (format == NULL || val_is(yyjson_obj_get(format, "type"), "text")) return;
    if (!val_is(yyjson_obj_get(format, "type"), "json_object")) {
        bad(r, STR("invalid request: response_format.type must be one of 'text' or 'json_object'."));
        return;
    }
    r->ask->schema = yyjson_obj_get(format, "json_schema");
    r->ask->json_object = r->ask->schema == NULL;
    if (r->ask->schema != NULL && !val_is(yyjson_obj_get(r->ask->schema, "type"), "object"))
        bad(r, STR("invalid request: the top-level type of json_schema must be 'object'."));
    if (yyjson_arr_size(r->ask->tools) > 0 || yyjson_obj_get(body, "documents") != NULL)
        bad(r, STR("invalid request: response_format is not supported with tools or documents."));
}

static void read_numbers(struct reader *r, yyjson_val *body)
{
    yyjson_val *limit = yyjson_obj_get(body, "max_tokens"), *stops = yyjson_obj_get(body, "stop_sequences"), *stop;
    size_t i, n;
    if (limit != NULL && (!yyjson_is_uint(limit) || yyjson_get_uint(limit) == 0))
        bad(r, STR("invalid request: max_tokens must be a positive integer."));
    r->ask->max_tokens = yyjson_get_uint(limit);
    if (yyjson_arr_size(stops) > STOPS_MOST) bad(r, STR("invalid request: stop_sequences has more than 5 elements."));
    yyjson_arr_foreach(stops, i, n, stop)
    {
        if (r->ask->stops < ASK_MAX_STOPS) r->ask->stop[r->ask->stops++] = val_str(stop);
    }
    check_range(r, body, "temperature", 0, 1e9);
    check_range(r, body, "p", 0.01, 0.99);
    check_range(r, body, "k", 0, 500);
    check_range(r, body, "frequency_penalty", 0, 1);
    check_range(r, body, "presence_penalty", 0, 1);
}

static void read_thinking(struct reader *r, yyjson_val *thinking)
{
    bool enabled = val_is(yyjson_obj_get(thinking, "type"), "enabled");
    if (thinking == NULL) return;
    if (!enabled && !val_is(yyjson_obj_get(thinking, "type"), "disabled"))
        bad(r, STR("invalid request: thinking.type must be one of 'enabled' or 'disabled'."));
    r->ask->thinks = r->ask->shows_thinking = enabled;
}

static void cohere_read(yyjson_val *body, const struct http1_head *head, bool strict, struct ask *ask,
                        struct refusal *refusal, struct arena *a)
{
    static const char *const known[] = {"stream",
                                        "model",
                                        "messages",
                                        "tools",
                                        "strict_tools",
                                        "documents",
                                        "citation_options",
                                        "safety_mode",
                                        "response_format",
                                        "max_tokens",
                                        "stop_sequences",
                                        "temperature",
                                        "seed",
                                        "k",
                                        "presence_penalty",
                                        "p",
                                        "frequency_penalty",
                                        "logprobs",
                                        "tool_choice",
                                        "thinking",
                                        "priority",
                                        "raw_prompting",
                                        NULL};
    struct reader r = {.ask = ask, .refusal = refusal, .a = a, .strict = strict};
    yyjson_val *messages = yyjson_obj_get(body, "messages"), *message;
    size_t i, n;
    *ask = (struct ask){.choices = 1};
    if (!str_starts(http1_get(head, "authorization"), STR("Bearer ")))
        refuse(refusal, 401, NULL, NULL, STR_NULL, STR("no api key supplied"));
    ask->model = val_str(yyjson_obj_get(body, "model"));
    if (ask->model.n == 0) bad(&r, STR("invalid request: model is required."));
    check_fields(&r, body, known);
    ask->stream = yyjson_is_true(yyjson_obj_get(body, "stream"));
    if (yyjson_arr_size(messages) == 0) bad(&r, STR("invalid request: messages must not be empty."));
    yyjson_arr_foreach(messages, i, n, message) read_message(&r, message);
    check_answered(&r);
    ask->files += (unsigned)yyjson_arr_size(yyjson_obj_get(body, "documents"));
    read_tools(&r, body);
    read_format(&r, body);
    read_numbers(&r, body);
    ask_count_tools(ask);
    ask_read_wishes(ask);
    read_thinking(&r, yyjson_obj_get(body, "thinking"));
    ask->shows_thinking |= ask->wishes.reasoning;
}

const struct fake_dialect fake_cohere = {
    .name = "cohere",
    .read = cohere_read,
    .write_unary = cohere_write_unary,
    .write_stream = cohere_write_stream,
    .write_error = cohere_write_error,
    .write_error_event = cohere_write_error_event,
    .terminal = "[DONE]",
};
