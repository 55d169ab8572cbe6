/* What Ollama's /api/chat accepts: members that it does not know are passed over, a value of another type is refused, as its server's
 * decoder does. Source: Ollama API reference, generate a chat message; api types of its server. */
#include "tools/fake/ollama.h"

#include "proto/base/base64.h"

#include <stdlib.h>

struct reader {
    struct ask *ask;
    struct refusal *refusal;
    struct arena *a;
    bool strict;
};

static void bad(struct reader *r, struct str message)
{
    refuse(r->refusal, 400, NULL, NULL, STR_NULL, message);
}

static void bad_type(struct reader *r, const char *field, const char *type)
{
    bad(r,
        arena_printf(r->a, "json: cannot unmarshal value into Go struct field ChatRequest.%s of type %s", field, type));
}

static bool is_absent(yyjson_val *v)
{
    return v == NULL || yyjson_is_null(v);
}

static void read_image(struct reader *r, yyjson_val *image)
{
    struct buf bytes = {0};
    r->ask->images++;
    if (!yyjson_is_str(image) || !base64_decode(val_str(image), &bytes) || buf_len(&bytes) == 0)
        bad(r, STR("illegal base64 data at input byte 4"));
    buf_fini(&bytes);
}

static void read_calls(struct reader *r, yyjson_val *calls)
{
    yyjson_val *call;
    size_t i, n;
    yyjson_arr_foreach(calls, i, n, call)
    {
        yyjson_val *function = yyjson_obj_get(call, "function"), *arguments = yyjson_obj_get(function, "arguments");
        if (!yyjson_is_obj(arguments))
            bad_type(r, "messages.tool_calls.function.arguments", "api.ToolCallFunctionArguments");
        if (r->strict && val_str(yyjson_obj_get(function, "name")).n == 0) bad(r, STR("a tool call has no name"));
        size_t bytes = 0;
        char *text = yyjson_val_write(arguments, 0, &bytes);
        ask_count_text(r->ask, (struct str){text, text != NULL ? bytes : 0});
        free(text);
    }
}

static void read_message(struct reader *r, yyjson_val *message)
{
    struct str role = val_str(yyjson_obj_get(message, "role")), text = STR_NULL;
    yyjson_val *content = yyjson_obj_get(message, "content"), *image, *calls = yyjson_obj_get(message, "tool_calls");
    size_t i, n;
    if (!is_absent(content) && !yyjson_is_str(content)) bad_type(r, "messages.content", "string");
    text = val_str(content);
    if (text.n > 0 || is_absent(calls)) ask_count_text(r->ask, text);
    yyjson_arr_foreach(yyjson_obj_get(message, "images"), i, n, image) read_image(r, image);
    read_calls(r, calls);
    r->ask->ends_with_result = str_is(role, "tool");
    if (str_is(role, "tool")) {
        r->ask->results++;
        r->ask->last_result = text;
        if (r->strict && val_str(yyjson_obj_get(message, "tool_name")).n == 0) bad(r, STR("a result names no tool"));
    } else if (str_is(role, "assistant")) {
        r->ask->assistants++;
    } else if (str_is(role, "user")) {
        r->ask->users++;
        r->ask->last_text = text;
    } else if (str_is(role, "system")) {
        r->ask->systems++;
    } else {
        bad(r, STR("invalid role: must be one of [\"user\", \"assistant\", \"system\", \"tool\"]"));
    }
}

static void read_options(struct reader *r, yyjson_val *options)
{
    static const char *const numbers[] = {"temperature", "top_p",          "top_k",  "min_p",
                                          "seed",        "repeat_penalty", "num_ctx"};
    yyjson_val *limit = yyjson_obj_get(options, "num_predict"), *stops = yyjson_obj_get(options, "stop"), *stop;
    size_t i, n;
    if (!is_absent(options) && !yyjson_is_obj(options)) bad_type(r, "options", "map[string]interface {}");
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
        yyjson_val *v = yyjson_obj_get(options, numbers[k]);
        if (!is_absent(v) && !yyjson_is_num(v))
            bad(r, arena_printf(r->a, "option \"%s\" must be of type float32", numbers[k]));
    }
    if (!is_absent(limit) && !yyjson_is_int(limit)) bad(r, STR("option \"num_predict\" must be of type integer"));
    if (yyjson_is_uint(limit)) r->ask->max_tokens = yyjson_get_uint(limit);
    if (!is_absent(stops) && !yyjson_is_arr(stops)) bad(r, STR("option \"stop\" must be of type array"));
    yyjson_arr_foreach(stops, i, n, stop)
    {
        if (r->ask->stops < ASK_MAX_STOPS) r->ask->stop[r->ask->stops++] = val_str(stop);
    }
}

static void read_tools(struct reader *r, yyjson_val *tools)
{
    yyjson_val *tool;
    size_t i, n;
    if (!is_absent(tools) && !yyjson_is_arr(tools)) bad_type(r, "tools", "api.Tools");
    yyjson_arr_foreach(tools, i, n, tool)
    {
        yyjson_val *function = yyjson_obj_get(tool, "function");
        if (!yyjson_is_obj(function) || !yyjson_is_obj(yyjson_obj_get(function, "parameters")))
            bad_type(r, "tools.function.parameters", "api.ToolFunctionParameters");
    }
    r->ask->tools = tools;
    r->ask->may_call = yyjson_arr_size(tools) > 0;
    r->ask->may_call_parallel = true;
}

static void read_format(struct reader *r, yyjson_val *format)
{
    if (is_absent(format) || (yyjson_is_str(format) && yyjson_get_len(format) == 0)) return;
    if (yyjson_is_obj(format))
        r->ask->schema = format;
    else if (val_is(format, "json"))
        r->ask->json_object = true;
    else
        bad(r, STR("invalid format: expected \"json\" or a JSON Schema object"));
}

static void ollama_read(yyjson_val *body, const struct http1_head *head, bool strict, struct ask *ask,
                        struct refusal *refusal, struct arena *a)
{
    struct reader r = {.ask = ask, .refusal = refusal, .a = a, .strict = strict};
    yyjson_val *messages = yyjson_obj_get(body, "messages"), *message, *think = yyjson_obj_get(body, "think");
    size_t i, n;
    (void)head; /* it asks for no key */
    *ask = (struct ask){.choices = 1};
    ask->model = val_str(yyjson_obj_get(body, "model"));
    if (ask->model.n == 0) bad(&r, STR("model is required"));
    ask->stream = !yyjson_is_false(yyjson_obj_get(body, "stream")); /* unless it is told not to */
    if (!is_absent(messages) && !yyjson_is_arr(messages)) bad_type(&r, "messages", "[]api.Message");
    yyjson_arr_foreach(messages, i, n, message) read_message(&r, message);
    read_tools(&r, yyjson_obj_get(body, "tools"));
    read_format(&r, yyjson_obj_get(body, "format"));
    read_options(&r, yyjson_obj_get(body, "options"));
    ask_count_tools(ask);
    ask_read_wishes(ask);
    if (!is_absent(think) && !yyjson_is_bool(think) && !yyjson_is_str(think))
        bad(&r, STR("think must be a boolean or string"));
    ask->thinks = ask->shows_thinking = yyjson_is_true(think) || yyjson_is_str(think);
    ask->shows_thinking |= ask->wishes.reasoning;
}

const struct fake_dialect fake_ollama = {
    .name = "ollama",
    .read = ollama_read,
    .write_unary = ollama_write_unary,
    .write_stream = ollama_write_stream,
    .write_error = ollama_write_error,
    .write_error_event = ollama_write_error_event,
    .terminal = "{\"done\":true",
};
