/* What the Anthropic Messages endpoint accepts. Source: Anthropic API reference, messages, tool use, versions. */
#include "proto/wire/url.h"
#include "tools/fake/anthropic.h"
#include "tools/fake/invoke.h"

#include <string.h>

enum { MAX_IDS = 32 };

struct reader {
    struct ask *ask;
    struct refusal *refusal;
    struct arena *a;
    bool strict;
    bool counts;              /* count_tokens: nothing is generated, so nothing has to be limited */
    bool is_new_version;      /* 2026-10-21 and later */
    struct str open[MAX_IDS]; /* tool_use ids of the last assistant message that still need a result */
    unsigned opens;
    struct str seen[4 * MAX_IDS]; /* every tool_use id so far */
    unsigned seens;
};

static void bad(struct reader *r, struct str message)
{
    refuse(r->refusal, 400, "invalid_request_error", NULL, STR_NULL, message);
}

static void extra_input(struct reader *r, const char *name)
{
    bad(r, arena_printf(r->a, "%s: Extra inputs are not permitted", name));
}

static void check_fields(struct reader *r, yyjson_val *body)
{
    static const char *const known[] = {"model",          "anthropic_version",
                                        "anthropic_beta", "max_tokens",
                                        "messages",       "system",
                                        "tools",          "tool_choice",
                                        "thinking",       "output_config",
                                        "stop_sequences", "stream",
                                        "temperature",    "top_p",
                                        "top_k",          "metadata",
                                        "service_tier",   "speed",
                                        "inference_geo",  "cache_control",
                                        "container",      "diagnostics",
                                        "mcp_servers",    "context_management",
                                        "compaction",     "fallbacks",
                                        "output_format",  NULL};
    const char *unknown = first_unknown(body, known);
    if (unknown != NULL) extra_input(r, unknown);
    static const char *const sampling[] = {"temperature", "top_p", "top_k"};
    for (size_t i = 0; i < 3 && r->is_new_version; i++)
        if (yyjson_obj_get(body, sampling[i]) != NULL) extra_input(r, sampling[i]);
}

/* ---- content blocks ---- */

static struct str read_text(struct reader *r, yyjson_val *block, struct str where)
{
    struct str text = val_str(yyjson_obj_get(block, "text"));
    if (text.n == 0 && r->strict)
        bad(r, arena_printf(r->a, "%.*s: text content blocks must be non-empty", STR_FMT(where)));
    ask_count_text(r->ask, text);
    return text;
}

static void read_image(struct reader *r, yyjson_val *block, struct str where)
{
    yyjson_val *source = yyjson_obj_get(block, "source");
    struct str type = val_str(yyjson_obj_get(source, "type")), media = val_str(yyjson_obj_get(source, "media_type"));
    r->ask->images++;
    bool good = false;
    if (str_is(type, "base64"))
        good = val_str(yyjson_obj_get(source, "data")).n > 0 &&
               (str_is(media, "image/jpeg") || str_is(media, "image/png") || str_is(media, "image/gif") ||
                str_is(media, "image/webp"));
    else if (str_is(type, "url"))
        good = str_starts(val_str(yyjson_obj_get(source, "url")), STR("http"));
    else if (str_is(type, "file"))
        good = val_str(yyjson_obj_get(source, "file_id")).n > 0;
    if (!good) bad(r, arena_printf(r->a, "%.*s.source: Input should be a valid image source", STR_FMT(where)));
}

static void read_result_content(struct reader *r, yyjson_val *content, struct str where)
{
    yyjson_val *block;
    size_t i, n;
    r->ask->last_result = val_str(content);
    if (yyjson_is_str(content)) ask_count_text(r->ask, r->ask->last_result);
    yyjson_arr_foreach(content, i, n, block)
    {
        if (val_is(yyjson_obj_get(block, "type"), "text"))
            r->ask->last_result = read_text(r, block, where);
        else if (val_is(yyjson_obj_get(block, "type"), "image"))
            read_image(r, block, where);
    }
}

static void read_tool_result(struct reader *r, yyjson_val *block, struct str where)
{
    struct str id = val_str(yyjson_obj_get(block, "tool_use_id"));
    unsigned i = 0;
    while (i < r->opens && !str_eq(r->open[i], id)) i++;
    if (i == r->opens && r->strict)
        bad(r,
            arena_printf(r->a,
                         "%.*s: unexpected `tool_use_id` found in `tool_result` blocks: %.*s. Each `tool_result` block "
                         "must have a corresponding `tool_use` block in the previous message.",
                         STR_FMT(where), STR_FMT(id)));
    if (i < r->opens) r->open[i] = r->open[--r->opens];
    r->ask->results++;
    read_result_content(r, yyjson_obj_get(block, "content"), where);
}

static void read_tool_use(struct reader *r, yyjson_val *block, struct str where)
{
    struct str id = val_str(yyjson_obj_get(block, "id"));
    if (!is_tool_id(id))
        bad(r, arena_printf(r->a, "%.*s.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'", STR_FMT(where)));
    if (!yyjson_is_obj(yyjson_obj_get(block, "input")))
        bad(r, arena_printf(r->a, "%.*s.tool_use.input: Input should be a valid dictionary", STR_FMT(where)));
    for (unsigned i = 0; i < r->seens && r->strict; i++)
        if (str_eq(r->seen[i], id)) bad(r, arena_printf(r->a, "%.*s: `tool_use` ids must be unique", STR_FMT(where)));
    if (r->seens < 4 * MAX_IDS) r->seen[r->seens++] = id;
    if (r->opens < MAX_IDS) r->open[r->opens++] = id;
    size_t bytes = 0;
    char *text = yyjson_val_write(yyjson_obj_get(block, "input"), 0, &bytes);
    ask_count_text(r->ask, (struct str){text, text != NULL ? bytes : 0});
    free(text);
}

static void read_thinking(struct reader *r, yyjson_val *block, struct str where)
{
    struct str signature = val_str(yyjson_obj_get(block, "signature"));
    if (r->strict && !str_starts(signature, STR("EqQBFake")))
        bad(r, arena_printf(r->a, "%.*s: Invalid `signature` in `thinking` block", STR_FMT(where)));
}

static void read_user_block(struct reader *r, yyjson_val *block, struct str type, struct str where, bool *late)
{
    if (str_is(type, "tool_result")) {
        if (*late && r->strict)
            bad(r, arena_printf(r->a, "%.*s: `tool_result` blocks must come before other content", STR_FMT(where)));
        read_tool_result(r, block, where);
        r->ask->ends_with_result = true;
        return;
    }
    *late = true;
    if (str_is(type, "text"))
        r->ask->last_text = read_text(r, block, where);
    else if (str_is(type, "image"))
        read_image(r, block, where);
    else if (str_is(type, "document") || str_is(type, "search_result"))
        r->ask->files++;
    else
        bad(r, arena_printf(r->a, "%.*s: Input tag '%.*s' found using 'type' does not match any of the expected tags",
                            STR_FMT(where), STR_FMT(type)));
}

static void read_assistant_block(struct reader *r, yyjson_val *block, struct str type, struct str where)
{
    if (str_is(type, "text"))
        read_text(r, block, where);
    else if (str_is(type, "tool_use"))
        read_tool_use(r, block, where);
    else if (str_is(type, "thinking"))
        read_thinking(r, block, where);
    else if (!str_is(type, "redacted_thinking") && !str_contains(type, STR("_tool_")))
        bad(r, arena_printf(r->a, "%.*s: Input tag '%.*s' found using 'type' does not match any of the expected tags",
                            STR_FMT(where), STR_FMT(type)));
}

/* ---- messages ---- */

static void check_answered(struct reader *r, size_t index)
{
    if (r->opens > 0 && r->strict)
        bad(r, arena_printf(
                   r->a,
                   "messages.%zu: `tool_use` ids were found without `tool_result` blocks immediately after: %.*s. "
                   "Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
                   index, STR_FMT(r->open[0])));
    r->opens = 0;
}

static void read_blocks(struct reader *r, yyjson_val *content, bool user, size_t index)
{
    yyjson_val *block;
    size_t i, n;
    bool late = false;
    yyjson_arr_foreach(content, i, n, block)
    {
        struct str where = arena_printf(r->a, "messages.%zu.content.%zu", index, i);
        struct str type = val_str(yyjson_obj_get(block, "type"));
        if (user)
            read_user_block(r, block, type, where, &late);
        else
            read_assistant_block(r, block, type, where);
    }
}

/* Instructions inside the conversation came with the models after 5.5; a name without a version is a new one. */
static bool takes_system(struct str model)
{
    ptrdiff_t at = str_find(model, STR("claude-"));
    if (at < 0) return true;
    for (size_t i = (size_t)at; i + 2 < model.n; i++)
        if (model.p[i] == '-' && model.p[i + 1] >= '1' && model.p[i + 1] <= '9' &&
            (model.p[i + 2] == '-' || model.p[i + 2] == '.'))
            return model.p[i + 1] > '5' || (model.p[i + 1] == '5' && i + 3 < model.n && model.p[i + 3] >= '5');
    return false;
}

static void read_late_system(struct reader *r, yyjson_val *content, size_t index)
{
    yyjson_val *block;
    size_t i, n;
    r->ask->systems++;
    ask_count_text(r->ask, val_str(content));
    if (!yyjson_is_str(content) && yyjson_arr_size(content) == 0)
        bad(r, arena_printf(r->a, "messages.%zu.content: Input should be a valid list", index));
    yyjson_arr_foreach(content, i, n, block)
    {
        if (!val_is(yyjson_obj_get(block, "type"), "text"))
            bad(r, arena_printf(r->a, "messages.%zu.content.%zu: only text blocks are allowed in a system message",
                                index, i));
        ask_count_text(r->ask, val_str(yyjson_obj_get(block, "text")));
    }
}

static void read_message(struct reader *r, yyjson_val *message, size_t index)
{
    yyjson_val *role = yyjson_obj_get(message, "role"), *content = yyjson_obj_get(message, "content");
    bool user = val_is(role, "user");
    if (val_is(role, "system") && index > 0 && takes_system(r->ask->model)) {
        read_late_system(r, content, index);
        return;
    }
    if (!user && !val_is(role, "assistant")) {
        bad(r, arena_printf(r->a, "messages.%zu.role: Input should be 'user' or 'assistant'", index));
        return;
    }
    if (index == 0 && !user && r->strict) bad(r, STR("messages: first message must use the \"user\" role"));
    if (!yyjson_is_str(content) && !yyjson_is_arr(content))
        bad(r, arena_printf(r->a, "messages.%zu.content: Input should be a valid list", index));
    user ? r->ask->users++ : r->ask->assistants++;
    r->ask->ends_with_result = false;
    if (!user) check_answered(r, index - 1);
    if (yyjson_is_str(content)) {
        struct str text = val_str(content);
        if (text.n == 0 && r->strict)
            bad(r, arena_printf(r->a, "messages.%zu: text content blocks must be non-empty", index));
        ask_count_text(r->ask, text);
        if (user) r->ask->last_text = text;
    }
    read_blocks(r, content, user, index);
    if (user) check_answered(r, index > 0 ? index - 1 : 0);
}

static void read_messages(struct reader *r, yyjson_val *messages)
{
    yyjson_val *message, *last = yyjson_arr_get_last(messages);
    size_t i, n;
    if (yyjson_arr_size(messages) == 0) bad(r, STR("messages: Field required"));
    yyjson_arr_foreach(messages, i, n, message) read_message(r, message, i);
    if (r->strict && val_is(yyjson_obj_get(last, "role"), "assistant"))
        bad(r, STR("This model does not support assistant message prefill. The conversation must end with a user "
                   "message."));
}

static void read_system(struct reader *r, yyjson_val *system)
{
    yyjson_val *block;
    size_t i, n;
    if (system == NULL) return;
    r->ask->systems = 1;
    if (yyjson_is_str(system))
        ask_count_text(r->ask, val_str(system));
    else if (!yyjson_is_arr(system))
        bad(r, STR("system: Input should be a valid list"));
    yyjson_arr_foreach(system, i, n, block) read_text(r, block, arena_printf(r->a, "system.%zu", i));
}

/* ---- the rest ---- */

static void read_tools(struct reader *r, yyjson_val *body)
{
    struct ask *ask = r->ask;
    yyjson_val *choice = yyjson_obj_get(body, "tool_choice"), *type = yyjson_obj_get(choice, "type"), *tool;
    size_t i, n;
    ask->tools = yyjson_obj_get(body, "tools");
    yyjson_arr_foreach(ask->tools, i, n, tool)
    {
        struct str name = val_str(yyjson_obj_get(tool, "name"));
        yyjson_val *tool_type = yyjson_obj_get(tool, "type"), *schema = yyjson_obj_get(tool, "input_schema");
        if (tool_type != NULL && !val_is(tool_type, "custom")) continue; /* a server tool */
        if (!is_tool_id(name) || name.n > 128)
            bad(r,
                arena_printf(r->a, "tools.%zu.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", i));
        if (!val_is(yyjson_obj_get(schema, "type"), "object"))
            bad(r, arena_printf(r->a, "tools.%zu.custom.input_schema.type: Field required", i));
        static const char *const known[] = {"name",
                                            "description",
                                            "input_schema",
                                            "type",
                                            "strict",
                                            "cache_control",
                                            "eager_input_streaming",
                                            "defer_loading",
                                            "input_examples",
                                            "allowed_callers",
                                            NULL};
        const char *unknown = first_unknown(tool, known);
        if (unknown != NULL && r->strict)
            bad(r, arena_printf(r->a, "tools.%zu.custom.%s: Extra inputs are not permitted", i, unknown));
    }
    ask->may_call = yyjson_arr_size(ask->tools) > 0 && !val_is(type, "none");
    ask->must_call = ask->may_call && (val_is(type, "any") || val_is(type, "tool"));
    ask->may_call_parallel = !yyjson_is_true(yyjson_obj_get(choice, "disable_parallel_tool_use"));
    ask->only_tool = val_is(type, "tool") ? val_str(yyjson_obj_get(choice, "name")) : STR_NULL;
    if (choice != NULL && yyjson_arr_size(ask->tools) == 0 && r->strict)
        bad(r, STR("tool_choice: may only be specified while providing `tools`"));
    if (choice != NULL && !val_is(type, "auto") && !val_is(type, "any") && !val_is(type, "tool") &&
        !val_is(type, "none"))
        bad(r, STR("tool_choice: Input tag found using 'type' does not match any of the expected tags"));
}

static void read_thinking_option(struct reader *r, yyjson_val *thinking)
{
    yyjson_val *type = yyjson_obj_get(thinking, "type");
    uint64_t budget = yyjson_get_uint(yyjson_obj_get(thinking, "budget_tokens"));
    bool enabled = val_is(type, "enabled");
    if (enabled && budget < 1024)
        bad(r, STR("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"));
    if (enabled && !r->counts && budget >= r->ask->max_tokens)
        bad(r, STR("`max_tokens` must be greater than `thinking.budget_tokens`."));
    r->ask->thinks = enabled || val_is(type, "adaptive");
    r->ask->shows_thinking =
        enabled || val_is(yyjson_obj_get(thinking, "display"), "summarized") || r->ask->wishes.reasoning;
}

static void read_limits(struct reader *r, yyjson_val *body)
{
    yyjson_val *limit = yyjson_obj_get(body, "max_tokens"), *stops = yyjson_obj_get(body, "stop_sequences"), *stop;
    size_t i, n;
    if (limit == NULL && !r->counts)
        bad(r, STR("max_tokens: Field required"));
    else if (limit != NULL && (!yyjson_is_uint(limit) || yyjson_get_uint(limit) == 0))
        bad(r, STR("max_tokens: Input should be greater than or equal to 1"));
    r->ask->max_tokens = yyjson_get_uint(limit);
    yyjson_arr_foreach(stops, i, n, stop)
    {
        struct str text = val_str(stop);
        if (r->strict && str_trim(text).n == 0)
            bad(r, STR("stop_sequences: each stop sequence must contain non-whitespace"));
        if (r->ask->stops < ASK_MAX_STOPS) r->ask->stop[r->ask->stops++] = text;
    }
}

static void check_head(struct reader *r, const struct http1_head *head)
{
    bool has_key = http1_get(head, "x-api-key").n > 0 || str_starts(http1_get(head, "authorization"), STR("Bearer "));
    if (!has_key) refuse(r->refusal, 401, "authentication_error", NULL, STR_NULL, STR("x-api-key header is required"));
    struct str version = http1_get(head, "anthropic-version");
    if (version.n == 0) bad(r, STR("anthropic-version: header is required"));
    r->is_new_version = str_is(version, "2026-10-21");
    if (r->strict && version.n > 0 && !r->is_new_version && !str_is(version, "2023-06-01"))
        bad(r, STR("anthropic-version: is not a valid version"));
}

/* Where another vendor hosts it the model stands in the path ("…/anthropic/models/MODEL:rawPredict", "/model/MODEL/invoke") and the
 * version in the body. */
static bool read_hosted(struct reader *r, yyjson_val *body, struct str path)
{
    ptrdiff_t at = str_find(path, STR("/anthropic/models/"));
    bool invoked = invoke_is_path(path), streams = yyjson_is_true(yyjson_obj_get(body, "stream"));
    if (at < 0 && !invoked) return false;
    struct str verb = invoked ? STR_NULL : str_slice(path, (size_t)at + 18, path.n);
    struct buf model = {0};
    (void)url_percent_decode(invoked ? invoke_model(path) : str_split(&verb, ':'), &model);
    r->ask->model = arena_copy(r->a, buf_view(&model));
    buf_fini(&model);
    r->ask->stream = invoked ? invoke_is_streamed(path) : streams;
    if (yyjson_obj_get(body, "model") != NULL) extra_input(r, "model");
    if (invoked && yyjson_obj_get(body, "stream") != NULL) extra_input(r, "stream");
    if (!val_is(yyjson_obj_get(body, "anthropic_version"), invoked ? "bedrock-2023-05-31" : "vertex-2023-10-16"))
        bad(r, STR("anthropic_version: Input should be that of this platform"));
    if (!invoked && str_is(verb, "streamRawPredict") != streams)
        bad(r, STR("stream: does not agree with the method that was called"));
    return true;
}

static void anthropic_read(yyjson_val *body, const struct http1_head *head, bool strict, struct ask *ask,
                           struct refusal *refusal, struct arena *a)
{
    struct reader *r = arena_zalloc(a, sizeof *r);
    *r = (struct reader){.ask = ask, .refusal = refusal, .a = a, .strict = strict};
    *ask = (struct ask){.choices = 1};
    bool hosted = read_hosted(r, body, head->path);
    r->counts = str_ends(head->path, STR("/count_tokens"));
    if (!hosted) {
        check_head(r, head);
        ask->model = val_str(yyjson_obj_get(body, "model"));
        if (yyjson_obj_get(body, "anthropic_version") != NULL) extra_input(r, "anthropic_version");
        if (yyjson_obj_get(body, "anthropic_beta") != NULL) extra_input(r, "anthropic_beta");
    }
    if (ask->model.n == 0) bad(r, STR("model: Field required"));
    if (strict) check_fields(r, body);
    read_limits(r, body);
    read_system(r, yyjson_obj_get(body, "system"));
    read_messages(r, yyjson_obj_get(body, "messages"));
    if (!hosted) ask->stream = yyjson_is_true(yyjson_obj_get(body, "stream"));
    read_tools(r, body);
    ask_count_tools(ask);
    ask_read_wishes(ask);
    read_thinking_option(r, yyjson_obj_get(body, "thinking"));
    yyjson_val *format = yyjson_obj_get(yyjson_obj_get(body, "output_config"), "format");
    if (val_is(yyjson_obj_get(format, "type"), "json_schema"))
        ask->schema = yyjson_obj_get(format, "schema");
    else if (format != NULL)
        bad(r, STR("output_config.format: Input tag does not match 'json_schema'"));
}

const struct fake_dialect fake_anthropic = {
    .name = "anthropic",
    .read = anthropic_read,
    .write_unary = anthropic_write_unary,
    .write_stream = anthropic_write_stream,
    .write_error = anthropic_write_error,
    .write_error_event = anthropic_write_error_event,
    .terminal = "{\"type\":\"message_stop\"",
};
