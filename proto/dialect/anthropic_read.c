/* A Messages request into the hub: the top level, a row per member. Blocks are read in anthropic_blocks.c. */
#include "proto/dialect/anthropic.h"

#include "proto/dialect/anthropic_blocks.h"
#include "proto/dialect/tree.h"

static enum weir_err bad(struct anthropic_reading *r, const char *text)
{
    *r->ret_why = str_of(text);
    return WEIR_BAD_REQUEST;
}

void anthropic_reading_demand(struct anthropic_reading *r, struct str what)
{
    if (r->chat->demands.n < HINTS_MOST) name_add(&r->chat->demands, r->arena, what);
}

enum cache_mark anthropic_reading_cache(yyjson_val *holder)
{
    yyjson_val *mark = tree_get(holder, "cache_control");
    if (!yyjson_is_obj(mark)) return CACHE_NONE;
    return str_is(tree_get_str(mark, "ttl"), "1h") ? CACHE_LONG : CACHE_SHORT;
}

/* ---- Members ---- */

static enum weir_err on_max_tokens(struct anthropic_reading *r, yyjson_val *v)
{
    return tree_i64(v, &r->chat->max_output) ? WEIR_OK : bad(r, "max_tokens must be a whole number");
}

static enum weir_err on_temperature(struct anthropic_reading *r, yyjson_val *v)
{
    r->chat->temperature = tree_num(v);
    return r->chat->temperature.n > 0 ? WEIR_OK : bad(r, "temperature must be a number");
}

static enum weir_err on_top_p(struct anthropic_reading *r, yyjson_val *v)
{
    r->chat->top_p = tree_num(v);
    return r->chat->top_p.n > 0 ? WEIR_OK : bad(r, "top_p must be a number");
}

static enum weir_err on_top_k(struct anthropic_reading *r, yyjson_val *v)
{
    r->chat->top_k = tree_num(v);
    return WEIR_OK;
}

static enum weir_err on_stop(struct anthropic_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *word;
    if (yyjson_arr_size(v) > TOOLS_MOST) return bad(r, "stop_sequences has too many entries");
    yyjson_arr_foreach(v, i, n, word) name_add(&r->chat->stop, r->arena, tree_str(word));
    return WEIR_OK;
}

static enum weir_err on_stream(struct anthropic_reading *r, yyjson_val *v)
{
    r->chat->stream = yyjson_is_true(v);
    return WEIR_OK;
}

static enum weir_err on_metadata(struct anthropic_reading *r, yyjson_val *v)
{
    r->chat->user = tree_get_str(v, "user_id");
    return WEIR_OK;
}

static enum weir_err on_service_tier(struct anthropic_reading *r, yyjson_val *v)
{
    struct str word = tree_str(v);
    r->chat->service_tier = str_is(word, "standard_only") ? STR("default") : word;
    return WEIR_OK;
}

static enum weir_err on_cache_control(struct anthropic_reading *r, yyjson_val *v)
{
    r->chat->cache_all = str_is(tree_get_str(v, "ttl"), "1h") ? CACHE_LONG : CACHE_SHORT;
    return WEIR_OK;
}

static enum weir_err on_thinking(struct anthropic_reading *r, yyjson_val *v)
{
    struct str type = tree_get_str(v, "type"), display = tree_get_str(v, "display");
    struct chat *c = r->chat;
    int64_t budget = tree_get_i64(v, "budget_tokens");
    if (str_is(type, "disabled") || str_is(type, "between_tools")) {
        c->thinking = THINKING_OFF;
    } else if (str_is(type, "adaptive")) {
        c->thinking = THINKING_ADAPTIVE;
    } else if (str_is(type, "enabled")) {
        c->thinking = THINKING_BUDGET;
        c->budget_is_part = true;
        c->thinking_budget = budget > 0 ? budget : 1024;
    } else {
        return bad(r, "thinking.type must be adaptive, enabled, disabled or between_tools");
    }
    if (display.n > 0) c->thinking_shown = str_is(display, "omitted") ? 0 : 1;
    return WEIR_OK;
}

static void read_format(struct anthropic_reading *r, yyjson_val *format)
{
    if (!str_is(tree_get_str(format, "type"), "json_schema")) return;
    r->chat->format = FORMAT_JSON_SCHEMA;
    r->chat->schema = tree_text(tree_get(format, "schema"), r->arena);
    r->chat->schema_strict = 1; /* always compiled there */
}

static enum weir_err on_output_config(struct anthropic_reading *r, yyjson_val *v)
{
    struct str word = tree_get_str(v, "effort");
    if (word.n > 0) {
        r->chat->effort = effort_of_word(word);
        if (r->chat->effort == EFFORT_UNSET) chat_hint(r->chat, r->arena, STR("output_config.effort"));
    }
    if (tree_get(v, "task_budget") != NULL) chat_hint(r->chat, r->arena, STR("output_config.task_budget"));
    read_format(r, tree_get(v, "format"));
    return WEIR_OK;
}

static enum weir_err on_output_format(struct anthropic_reading *r, yyjson_val *v) /* its older, beta name */
{
    read_format(r, v);
    return WEIR_OK;
}

/* What only decorates a tool: another dialect has no place for it. */
static void lose_tool_extras(struct anthropic_reading *r, yyjson_val *tool)
{
    static const char *const EXTRAS[] = {"defer_loading", "input_examples", "allowed_callers"};
    for (size_t i = 0; i < sizeof EXTRAS / sizeof *EXTRAS; i++) {
        yyjson_val *v = tree_get(tool, EXTRAS[i]);
        if (v != NULL && !yyjson_is_false(v))
            chat_hint(r->chat, r->arena, arena_printf(r->arena, "tools.%s", EXTRAS[i]));
    }
}

static enum weir_err on_tools(struct anthropic_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *tool;
    struct tool **end = &r->chat->tools;
    if (yyjson_arr_size(v) > TOOLS_MOST) return bad(r, "tools has more than 2048 entries");
    yyjson_arr_foreach(v, i, n, tool)
    {
        struct str type = tree_get_str(tool, "type");
        if (type.n > 0 && !str_is(type, "custom")) { /* runs at Anthropic */
            anthropic_reading_demand(r, arena_printf(r->arena, "tools[%zu] of type %.*s", i, STR_FMT(type)));
            continue;
        }
        struct tool *t = *end = arena_zalloc(r->arena, sizeof *t);
        end = &t->next;
        t->name = tree_get_str(tool, "name");
        t->description = tree_get_str(tool, "description");
        t->strict = tree_get_bool(tool, "strict");
        t->cache = anthropic_reading_cache(tool);
        if (tree_get(tool, "input_schema") != NULL) t->schema = tree_text(tree_get(tool, "input_schema"), r->arena);
        lose_tool_extras(r, tool);
        if (t->name.n == 0) return bad(r, "a tool has no name");
    }
    return WEIR_OK;
}

static enum weir_err on_tool_choice(struct anthropic_reading *r, yyjson_val *v)
{
    struct str type = tree_get_str(v, "type");
    struct chat *c = r->chat;
    if (str_is(type, "auto"))
        c->tool_choice = TOOLS_AUTO;
    else if (str_is(type, "any"))
        c->tool_choice = TOOLS_REQUIRED;
    else if (str_is(type, "none"))
        c->tool_choice = TOOLS_NONE;
    else if (str_is(type, "tool"))
        c->tool_choice = TOOLS_ONE;
    else
        return bad(r, "tool_choice.type must be auto, any, tool or none");
    c->tool_choice_name = tree_get_str(v, "name");
    int8_t off = tree_get_bool(v, "disable_parallel_tool_use");
    if (off >= 0) c->parallel_tools = off == 1 ? 0 : 1;
    return WEIR_OK;
}

static enum weir_err on_ignored(struct anthropic_reading *r, yyjson_val *v)
{
    (void)r;
    (void)v;
    return WEIR_OK;
}

static enum weir_err on_demand(struct anthropic_reading *r, yyjson_val *v)
{
    if (!yyjson_is_ctn(v) || unsafe_yyjson_get_len(v) > 0) anthropic_reading_demand(r, r->member);
    return WEIR_OK;
}

static const struct row {
    const char *name;
    enum weir_err (*read)(struct anthropic_reading *r, yyjson_val *v);
} ROWS[] = {
    {"model", on_ignored},
    {"system", on_ignored}, /* read before the messages, wherever it stands */
    {"messages", on_ignored},
    {"max_tokens", on_max_tokens},
    {"temperature", on_temperature},
    {"top_p", on_top_p},
    {"top_k", on_top_k},
    {"stop_sequences", on_stop},
    {"stream", on_stream},
    {"metadata", on_metadata},
    {"service_tier", on_service_tier},
    {"cache_control", on_cache_control},
    {"thinking", on_thinking},
    {"output_config", on_output_config},
    {"output_format", on_output_format},
    {"tools", on_tools},
    {"tool_choice", on_tool_choice},
    {"container", on_demand},
    {"mcp_servers", on_demand},
    {"thread", on_demand},
};

static enum weir_err read_member(struct anthropic_reading *r, yyjson_val *v)
{
    if (yyjson_is_null(v)) return WEIR_OK;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (str_is(r->member, ROWS[i].name)) return ROWS[i].read(r, v);
    chat_hint(r->chat, r->arena, r->member);
    return WEIR_OK;
}

enum weir_err anthropic_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why)
{
    yyjson_val *root, *key, *value;
    size_t i, n;
    enum weir_err e = tree_read(json, a, &root, ret_why);
    if (e != WEIR_OK) return e;
    struct chat *chat = chat_new(a);
    struct anthropic_reading r = {.arena = a, .chat = chat, .ret_why = ret_why, .messages_end = &chat->messages};
    if (!yyjson_is_obj(root)) return bad(&r, "the body must be a JSON object");
    yyjson_obj_foreach(root, i, n, key, value)
    {
        r.member = tree_str(key);
        e = read_member(&r, value);
        if (e == WEIR_OK) e = chat_check_size(chat, a, ret_why);
        if (e != WEIR_OK) return e;
    }
    e = anthropic_reading_system(&r, tree_get(root, "system"));
    if (e == WEIR_OK) e = anthropic_reading_messages(&r, tree_get(root, "messages"));
    if (e == WEIR_OK) *ret_chat = chat;
    return e;
}
