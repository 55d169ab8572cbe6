/* What the OpenAI Chat endpoint accepts. Source: OpenAI API reference, create chat completion; refusals as its servers word them. */
#include "tools/fake/openai.h"
#include "tools/fake/openai_rules.h"

#include <string.h>

struct reader {
    struct ask *ask;
    struct refusal *refusal;
    struct arena *a;
    bool strict;
    /* ids of the last assistant turn that still need their tool message */
    struct str open[32];
    unsigned opens;
};

static void bad(struct reader *r, const char *code, struct str param, struct str message)
{
    refuse(r->refusal, 400, "invalid_request_error", code, param, message);
}

static void check_fields(struct reader *r, yyjson_val *body)
{
    static const char *const known[] = {"model",
                                        "messages",
                                        "max_completion_tokens",
                                        "max_tokens",
                                        "temperature",
                                        "top_p",
                                        "frequency_penalty",
                                        "presence_penalty",
                                        "logit_bias",
                                        "logprobs",
                                        "top_logprobs",
                                        "n",
                                        "stop",
                                        "seed",
                                        "reasoning_effort",
                                        "verbosity",
                                        "tools",
                                        "tool_choice",
                                        "parallel_tool_calls",
                                        "functions",
                                        "function_call",
                                        "response_format",
                                        "modalities",
                                        "audio",
                                        "prediction",
                                        "stream",
                                        "stream_options",
                                        "service_tier",
                                        "store",
                                        "metadata",
                                        "prompt_cache_key",
                                        "prompt_cache_options",
                                        "prompt_cache_retention",
                                        "safety_identifier",
                                        "user",
                                        "moderation",
                                        "web_search_options",
                                        NULL};
    const char *unknown = first_unknown(body, known);
    if (unknown != NULL)
        bad(r, "unknown_parameter", str_of(unknown), arena_printf(r->a, "Unknown parameter: '%s'.", unknown));
    if (yyjson_obj_get(body, "tools") == NULL) {
        static const char *const needs_tools[] = {"tool_choice", "parallel_tool_calls"};
        for (size_t i = 0; i < 2; i++)
            if (yyjson_obj_get(body, needs_tools[i]) != NULL)
                bad(r, NULL, str_of(needs_tools[i]),
                    arena_printf(r->a, "Invalid value for '%s': '%s' is only allowed when 'tools' are specified.",
                                 needs_tools[i], needs_tools[i]));
    }
    if (yyjson_obj_get(body, "top_logprobs") != NULL && !yyjson_is_true(yyjson_obj_get(body, "logprobs")))
        bad(r, NULL, STR("top_logprobs"),
            STR("The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."));
    if (yyjson_arr_size(yyjson_obj_get(body, "stop")) > 4)
        bad(r, "array_above_max_length", STR("stop"), STR("Invalid 'stop': array too long. Expected at most 4."));
    if (r->strict) openai_check_lengths(body, r->refusal, r->a);
    if (yyjson_obj_get(body, "stream_options") != NULL && !yyjson_is_true(yyjson_obj_get(body, "stream")))
        bad(r, NULL, STR("stream_options"),
            STR("The 'stream_options' parameter is only allowed when 'stream' is enabled."));
}

/* ---- messages ---- */

static void read_image(struct reader *r, yyjson_val *part, struct str where)
{
    struct str url = val_str(yyjson_obj_get(yyjson_obj_get(part, "image_url"), "url"));
    r->ask->images++;
    bool data = str_starts(url, STR("data:image/")) && str_contains(url, STR(";base64,"));
    if (!data && !str_starts(url, STR("https://")) && !str_starts(url, STR("http://")))
        bad(r, "invalid_image_url", where,
            STR("Invalid image URL: expected a base64-encoded data URL or an http(s) URL."));
}

static void read_part(struct reader *r, yyjson_val *part, struct str role, struct str where, struct str *ret_text)
{
    struct str type = val_str(yyjson_obj_get(part, "type"));
    bool user = str_is(role, "user");
    if (str_is(type, "text")) {
        *ret_text = val_str(yyjson_obj_get(part, "text"));
        ask_count_text(r->ask, *ret_text);
    } else if (str_is(type, "image_url") && user) {
        read_image(r, part, where);
    } else if ((str_is(type, "input_audio") || str_is(type, "file")) && user) {
        r->ask->files++;
    } else if (!(str_is(type, "refusal") && str_is(role, "assistant"))) {
        bad(r, "invalid_value", where,
            arena_printf(r->a, "Invalid value: '%.*s' is not supported in a message of role '%.*s'.", STR_FMT(type),
                         STR_FMT(role)));
    }
}

/* Counts the content and returns its last text. */
static struct str read_content(struct reader *r, yyjson_val *content, struct str role, struct str where)
{
    struct str text = STR_NULL;
    if (yyjson_is_str(content)) {
        text = val_str(content);
        ask_count_text(r->ask, text);
        return text;
    }
    if (!yyjson_is_arr(content)) {
        bad(r, "invalid_type", where, STR("Invalid type for 'content': expected a string or an array of parts."));
        return text;
    }
    yyjson_val *part;
    size_t i, n;
    yyjson_arr_foreach(content, i, n, part) read_part(r, part, role, where, &text);
    return text;
}

static void read_calls(struct reader *r, yyjson_val *calls, struct str where)
{
    yyjson_val *call;
    size_t i, n;
    yyjson_arr_foreach(calls, i, n, call)
    {
        struct str id = val_str(yyjson_obj_get(call, "id"));
        bool custom = val_is(yyjson_obj_get(call, "type"), "custom");
        yyjson_val *function = yyjson_obj_get(call, custom ? "custom" : "function");
        yyjson_val *given = yyjson_obj_get(function, custom ? "input" : "arguments");
        struct str arguments = val_str(given);
        if (r->strict && !custom && !val_is(yyjson_obj_get(call, "type"), "function"))
            bad(r, "missing_required_parameter", where,
                arena_printf(r->a, "Missing required parameter: '%.*s.tool_calls[%zu].type'.", STR_FMT(where), i));
        if (id.n == 0 || val_str(yyjson_obj_get(function, "name")).n == 0 || !yyjson_is_str(given))
            bad(r, "invalid_value", where,
                STR("A tool call needs 'id', 'type', 'function.name' and 'function.arguments'."));
        ask_count_text(r->ask, arguments);
        if (r->opens < sizeof r->open / sizeof *r->open) r->open[r->opens++] = id;
    }
}

static void read_tool_message(struct reader *r, yyjson_val *message, struct str where)
{
    struct str id = val_str(yyjson_obj_get(message, "tool_call_id"));
    unsigned i = 0;
    while (i < r->opens && !str_eq(r->open[i], id)) i++;
    if (i == r->opens && r->strict)
        bad(r, NULL, where,
            STR("Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                "'tool_calls'."));
    if (i < r->opens) r->open[i] = r->open[--r->opens];
    r->ask->results++;
    r->ask->last_result = read_content(r, yyjson_obj_get(message, "content"), STR("tool"), where);
}

static void check_answered(struct reader *r, struct str where)
{
    if (r->opens > 0 && r->strict)
        bad(r, NULL, where,
            arena_printf(r->a,
                         "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                         "'tool_call_id'. The following tool_call_ids did not have response messages: %.*s",
                         STR_FMT(r->open[0])));
    r->opens = 0;
}

static void read_message(struct reader *r, yyjson_val *message, size_t index)
{
    struct str role = val_str(yyjson_obj_get(message, "role")), where = arena_printf(r->a, "messages[%zu]", index);
    yyjson_val *content = yyjson_obj_get(message, "content"), *calls = yyjson_obj_get(message, "tool_calls");
    r->ask->ends_with_result = str_is(role, "tool");
    if (str_is(role, "tool")) {
        read_tool_message(r, message, where);
        return;
    }
    check_answered(r, where);
    if (str_is(role, "assistant")) {
        r->ask->assistants++;
        bool may_be_null = calls != NULL || yyjson_obj_get(message, "function_call") != NULL ||
                           yyjson_obj_get(message, "refusal") != NULL || yyjson_obj_get(message, "audio") != NULL;
        if (!(may_be_null && (content == NULL || yyjson_is_null(content)))) read_content(r, content, role, where);
        read_calls(r, calls, where);
    } else if (str_is(role, "user")) {
        r->ask->users++;
        r->ask->last_text = read_content(r, content, role, where);
    } else if (str_is(role, "system") || str_is(role, "developer")) {
        r->ask->systems++;
        read_content(r, content, role, where);
    } else if (!str_is(role, "function")) {
        bad(r, "invalid_value", where,
            arena_printf(r->a,
                         "Invalid value: '%.*s'. Supported values are: 'system', 'assistant', 'user', 'function', "
                         "'tool', and 'developer'.",
                         STR_FMT(role)));
    }
}

/* ---- the rest ---- */

static struct str tool_name(yyjson_val *tool)
{
    struct str name = val_str(yyjson_obj_get(yyjson_obj_get(tool, "function"), "name"));
    return name.n > 0 ? name : val_str(yyjson_obj_get(yyjson_obj_get(tool, "custom"), "name"));
}

static bool offers(const struct ask *ask, struct str name)
{
    yyjson_val *tool;
    size_t i, n;
    yyjson_arr_foreach(ask->tools, i, n, tool)
    {
        if (str_eq(tool_name(tool), name)) return true;
    }
    return false;
}

bool openai_is_custom(const struct ask *ask, struct str name)
{
    yyjson_val *tool;
    size_t i, n;
    yyjson_arr_foreach(ask->tools, i, n, tool)
    {
        if (str_eq(tool_name(tool), name)) return val_is(yyjson_obj_get(tool, "type"), "custom");
    }
    return false;
}

/* A subset: the first of it is called. */
static void read_allowed(struct reader *r, yyjson_val *allowed)
{
    yyjson_val *tools = yyjson_obj_get(allowed, "tools"), *tool;
    size_t i, n;
    yyjson_arr_foreach(tools, i, n, tool)
    {
        if (r->strict && !offers(r->ask, tool_name(tool)))
            bad(r, NULL, STR("tool_choice"),
                arena_printf(r->a, "Tool choice '%.*s' not found in 'tools' parameter.", STR_FMT(tool_name(tool))));
    }
    if (yyjson_arr_size(tools) > 0) r->ask->only_tool = tool_name(yyjson_arr_get_first(tools));
}

static void read_tools(struct reader *r, yyjson_val *body)
{
    struct ask *ask = r->ask;
    yyjson_val *choice = yyjson_obj_get(body, "tool_choice"), *tool;
    size_t i, n;
    ask->tools = yyjson_obj_get(body, "tools");
    yyjson_arr_foreach(ask->tools, i, n, tool)
    {
        bool custom = val_is(yyjson_obj_get(tool, "type"), "custom");
        yyjson_val *inner = yyjson_obj_get(tool, custom ? "custom" : "function");
        struct str name = val_str(yyjson_obj_get(inner, "name"));
        if (r->strict && !custom && yyjson_is_true(yyjson_obj_get(inner, "strict")))
            openai_check_strict(yyjson_obj_get(inner, "parameters"),
                                arena_printf(r->a, "function '%.*s'", STR_FMT(name)), "tools", r->refusal, r->a);
        if (r->strict && custom && yyjson_obj_get(yyjson_obj_get(inner, "format"), "syntax") != NULL)
            bad(r, "unknown_parameter", arena_printf(r->a, "tools[%zu].custom.format.syntax", i),
                STR("Unknown parameter: 'tools[].custom.format.syntax'."));
        if (!is_tool_id(name) || name.n > 64)
            bad(r, "invalid_value", arena_printf(r->a, "tools[%zu].function.name", i),
                STR("Invalid 'tools[].function.name': expected 1 to 64 of a-z, A-Z, 0-9, '_', '-'."));
    }
    ask->may_call = yyjson_arr_size(ask->tools) > 0 && !val_is(choice, "none");
    ask->must_call = ask->may_call && val_is(choice, "required");
    ask->may_call_parallel = !yyjson_is_false(yyjson_obj_get(body, "parallel_tool_calls"));
    ask->only_tool = val_str(yyjson_obj_get(yyjson_obj_get(choice, "function"), "name"));
    if (ask->only_tool.n == 0) ask->only_tool = val_str(yyjson_obj_get(yyjson_obj_get(choice, "custom"), "name"));
    read_allowed(r, yyjson_obj_get(choice, "allowed_tools"));
    if (r->strict && ask->only_tool.n > 0 && !offers(ask, ask->only_tool))
        bad(r, NULL, STR("tool_choice"),
            arena_printf(r->a, "Tool choice '%.*s' not found in 'tools' parameter.", STR_FMT(ask->only_tool)));
    if (ask->only_tool.n > 0) ask->must_call = ask->may_call;
    if (yyjson_is_str(choice) && !val_is(choice, "none") && !val_is(choice, "auto") && !val_is(choice, "required"))
        bad(r, "invalid_value", STR("tool_choice"), STR("Invalid value for 'tool_choice'."));
}

static void read_format(struct reader *r, yyjson_val *body)
{
    yyjson_val *format = yyjson_obj_get(body, "response_format");
    struct str type = val_str(yyjson_obj_get(format, "type"));
    yyjson_val *schema = yyjson_obj_get(format, "json_schema");
    if (format == NULL || str_is(type, "text")) return;
    if (r->strict && str_is(type, "json_object") && !openai_has_json(yyjson_obj_get(body, "messages")))
        bad(r, NULL, STR("messages"),
            STR("'messages' must contain the word 'json' in some form, to use 'response_format' of type "
                "'json_object'."));
    if (r->strict && yyjson_is_true(yyjson_obj_get(schema, "strict")))
        openai_check_strict(
            yyjson_obj_get(schema, "schema"),
            arena_printf(r->a, "response_format '%.*s'", STR_FMT(val_str(yyjson_obj_get(schema, "name")))),
            "response_format", r->refusal, r->a);
    if (str_is(type, "json_object"))
        r->ask->json_object = true;
    else if (!str_is(type, "json_schema"))
        bad(r, "invalid_value", STR("response_format.type"), STR("Invalid value for 'response_format.type'."));
    else if (!is_tool_id(val_str(yyjson_obj_get(schema, "name"))))
        bad(r, "missing_required_parameter", STR("response_format.json_schema.name"),
            STR("Missing required parameter: 'response_format.json_schema.name'."));
    else
        r->ask->schema = yyjson_obj_get(schema, "schema");
}

static void read_stops(struct ask *ask, yyjson_val *stop)
{
    yyjson_val *one;
    size_t i, n;
    if (yyjson_is_str(stop)) ask->stop[ask->stops++] = val_str(stop);
    yyjson_arr_foreach(stop, i, n, one) if (ask->stops < ASK_MAX_STOPS) ask->stop[ask->stops++] = val_str(one);
}

static void read_numbers(struct reader *r, yyjson_val *body)
{
    struct ask *ask = r->ask;
    yyjson_val *limit = yyjson_obj_get(body, "max_completion_tokens");
    if (limit == NULL) limit = yyjson_obj_get(body, "max_tokens");
    ask->max_tokens = yyjson_get_uint(limit);
    if (limit != NULL && !yyjson_is_null(limit) && ask->max_tokens == 0)
        bad(r, "integer_below_min_value", STR("max_tokens"), STR("Invalid 'max_tokens': expected a value >= 1."));
    uint64_t choices = yyjson_get_uint(yyjson_obj_get(body, "n"));
    ask->choices = choices > 0 && choices <= 8 ? (unsigned)choices : 1;
    double temperature = yyjson_get_num(yyjson_obj_get(body, "temperature"));
    if (temperature < 0 || temperature > 2)
        bad(r, "decimal_above_max_value", STR("temperature"), STR("Invalid 'temperature': expected a value in 0..2."));
}

/* The newest models. */
static void check_effort(struct reader *r, yyjson_val *effort)
{
    struct str model = r->ask->model;
    bool newest = str_starts(model, STR("gpt-5.6")) || str_starts(model, STR("gpt-6"));
    if (!newest || !r->strict || yyjson_arr_size(r->ask->tools) == 0 || val_is(effort, "none")) return;
    bad(r, NULL, STR("reasoning_effort"),
        arena_printf(r->a,
                     "Function tools with reasoning_effort are not supported for %.*s in /v1/chat/completions. To use "
                     "function tools, use /v1/responses or set reasoning_effort to 'none'.",
                     STR_FMT(model)));
}

static void openai_read(yyjson_val *body, const struct http1_head *head, bool strict, struct ask *ask,
                        struct refusal *refusal, struct arena *a)
{
    struct reader r = {.ask = ask, .refusal = refusal, .a = a, .strict = strict};
    *ask = (struct ask){.choices = 1};
    if (!str_starts(http1_get(head, "authorization"), STR("Bearer ")) && http1_get(head, "api-key").n == 0)
        refuse(refusal, 401, "invalid_request_error", NULL, STR_NULL, STR("You didn't provide an API key."));
    ask->model = val_str(yyjson_obj_get(body, "model"));
    if (ask->model.n == 0) bad(&r, NULL, STR_NULL, STR("you must provide a model parameter"));
    if (strict) check_fields(&r, body);
    yyjson_val *messages = yyjson_obj_get(body, "messages"), *message;
    if (yyjson_arr_size(messages) == 0)
        bad(&r, "missing_required_parameter", STR("messages"), STR("Missing required parameter: 'messages'."));
    size_t i, n;
    yyjson_arr_foreach(messages, i, n, message) read_message(&r, message, i);
    check_answered(&r, STR("messages"));
    ask->stream = yyjson_is_true(yyjson_obj_get(body, "stream"));
    ask->include_usage = yyjson_is_true(yyjson_obj_get(yyjson_obj_get(body, "stream_options"), "include_usage"));
    read_tools(&r, body);
    read_format(&r, body);
    read_stops(ask, yyjson_obj_get(body, "stop"));
    read_numbers(&r, body);
    ask_count_tools(ask);
    ask_read_wishes(ask);
    yyjson_val *effort = yyjson_obj_get(body, "reasoning_effort");
    check_effort(&r, effort);
    struct openai_model model = openai_model_of(ask->model);
    if (strict) {
        openai_check_sampling(&model, body, effort, refusal, a);
        openai_check_effort(&model, effort, "reasoning_effort", refusal, a);
    }
    ask->thinks = yyjson_is_str(effort) && !val_is(effort, "none");
    ask->shows_thinking = ask->wishes.reasoning; /* OpenAI shows none; look-alikes do */
}

const struct fake_dialect fake_openai = {
    .name = "openai",
    .read = openai_read,
    .write_unary = openai_write_unary,
    .write_stream = openai_write_stream,
    .write_error = openai_write_error,
    .write_error_event = openai_write_error_event,
    .terminal = "[DONE]",
};
