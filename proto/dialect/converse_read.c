/* A Converse request into the hub: the top level, a row per member. Blocks are read in converse_blocks.c. */
#include "proto/dialect/converse_reading.h"

#include "proto/dialect/tree.h"

static enum weir_err bad(struct converse_reading *r, const char *text)
{
    *r->ret_why = str_of(text);
    return WEIR_BAD_REQUEST;
}

void converse_reading_demand(struct converse_reading *r, struct str what)
{
    if (r->chat->demands.n < HINTS_MOST) name_add(&r->chat->demands, r->arena, what);
}

enum cache_mark converse_reading_cache(yyjson_val *point)
{
    return str_is(tree_get_str(point, "ttl"), "1h") ? CACHE_LONG : CACHE_SHORT;
}

/* ---- inferenceConfig ---- */

static enum weir_err on_inference_config(struct converse_reading *r, yyjson_val *v)
{
    struct chat *c = r->chat;
    size_t i, n;
    yyjson_val *most = tree_get(v, "maxTokens"), *stops = tree_get(v, "stopSequences"), *word;
    if (!yyjson_is_obj(v)) return bad(r, "inferenceConfig must be an object");
    if (most != NULL && !tree_i64(most, &c->max_output))
        return bad(r, "inferenceConfig.maxTokens must be a whole number");
    c->temperature = tree_num(tree_get(v, "temperature"));
    c->top_p = tree_num(tree_get(v, "topP"));
    if (yyjson_arr_size(stops) > TOOLS_MOST) return bad(r, "inferenceConfig.stopSequences has too many entries");
    yyjson_arr_foreach(stops, i, n, word) name_add(&c->stop, r->arena, tree_str(word));
    return WEIR_OK;
}

/* ---- toolConfig ---- */

static enum weir_err read_tool(struct converse_reading *r, yyjson_val *entry, struct tool ***end, struct tool **last)
{
    yyjson_val *spec = tree_get(entry, "toolSpec"), *point = tree_get(entry, "cachePoint");
    yyjson_val *schema = tree_get(tree_get(spec, "inputSchema"), "json");
    if (point != NULL) {
        if (*last != NULL) (*last)->cache = converse_reading_cache(point);
        return WEIR_OK;
    }
    if (spec == NULL) { /* runs at Bedrock */
        struct str name = tree_get_str(tree_get(entry, "systemTool"), "name");
        converse_reading_demand(r, arena_printf(r->arena, "toolConfig.tools systemTool %.*s", STR_FMT(name)));
        return WEIR_OK;
    }
    struct tool *t = **end = arena_zalloc(r->arena, sizeof *t);
    *end = &t->next;
    *last = t;
    t->name = tree_get_str(spec, "name");
    t->description = tree_get_str(spec, "description");
    t->strict = tree_get_bool(spec, "strict");
    if (schema != NULL) t->schema = tree_text(schema, r->arena);
    return t->name.n > 0 ? WEIR_OK : bad(r, "a tool of toolConfig has no name");
}

static enum weir_err read_choice(struct converse_reading *r, yyjson_val *v)
{
    struct chat *c = r->chat;
    yyjson_val *one = tree_get(v, "tool");
    if (v == NULL) return WEIR_OK;
    if (tree_get(v, "auto") != NULL) {
        c->tool_choice = TOOLS_AUTO;
    } else if (tree_get(v, "any") != NULL) {
        c->tool_choice = TOOLS_REQUIRED;
    } else if (one != NULL) {
        c->tool_choice = TOOLS_ONE;
        c->tool_choice_name = tree_get_str(one, "name");
    } else {
        return bad(r, "toolConfig.toolChoice must have one of auto, any and tool");
    }
    return WEIR_OK;
}

static enum weir_err on_tool_config(struct converse_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *entry, *tools = tree_get(v, "tools");
    struct tool **end = &r->chat->tools, *last = NULL;
    if (yyjson_arr_size(tools) > TOOLS_MOST) return bad(r, "toolConfig.tools has more than 2048 entries");
    yyjson_arr_foreach(tools, i, n, entry)
    {
        enum weir_err e = read_tool(r, entry, &end, &last);
        if (e != WEIR_OK) return e;
    }
    return read_choice(r, tree_get(v, "toolChoice"));
}

/* ---- outputConfig ---- */

static enum weir_err on_output_config(struct converse_reading *r, yyjson_val *v)
{
    struct chat *c = r->chat;
    yyjson_val *format = tree_get(v, "textFormat");
    yyjson_val *schema = tree_get(tree_get(format, "structure"), "jsonSchema");
    struct str word = tree_get_str(v, "effort");
    if (word.n > 0) c->effort = effort_of_word(word);
    if (!str_is(tree_get_str(format, "type"), "json_schema")) return WEIR_OK;
    c->format = FORMAT_JSON_SCHEMA;
    c->schema = tree_get_str(schema, "schema"); /* as a text that holds JSON */
    c->schema_name = tree_get_str(schema, "name");
    c->schema_description = tree_get_str(schema, "description");
    c->schema_strict = 1;
    yyjson_val *root;
    struct str why;
    if (tree_read(c->schema, r->arena, &root, &why) != WEIR_OK || !yyjson_is_obj(root))
        return bad(r, "outputConfig.textFormat: the schema must be the text of a JSON object");
    return WEIR_OK;
}

/* ---- additionalModelRequestFields: each model family's own ---- */

static enum weir_err read_thinking(struct converse_reading *r, yyjson_val *v)
{
    struct str type = tree_get_str(v, "type"), effort = tree_get_str(v, "maxReasoningEffort");
    struct chat *c = r->chat;
    int64_t budget = tree_get_i64(v, "budget_tokens");
    if (str_is(type, "disabled") || str_is(type, "between_tools")) {
        c->thinking = THINKING_OFF;
    } else if (str_is(type, "adaptive")) {
        c->thinking = THINKING_ADAPTIVE;
    } else if (str_is(type, "enabled") && effort.n > 0) { /* Nova */
        c->effort = effort_of_word(effort);
    } else if (str_is(type, "enabled")) {
        c->thinking = THINKING_BUDGET;
        c->budget_is_part = true;
        c->thinking_budget = budget > 0 ? budget : 1024;
    } else {
        return bad(r, "additionalModelRequestFields: thinking.type must be adaptive, enabled or disabled");
    }
    if (tree_get_str(v, "display").n > 0) c->thinking_shown = str_is(tree_get_str(v, "display"), "omitted") ? 0 : 1;
    return WEIR_OK;
}

static void read_inner_choice(struct converse_reading *r, yyjson_val *v)
{
    int8_t off = tree_get_bool(v, "disable_parallel_tool_use");
    if (off >= 0) r->chat->parallel_tools = off == 1 ? 0 : 1;
    if (str_is(tree_get_str(v, "type"), "none")) r->chat->tool_choice = TOOLS_NONE;
}

static enum weir_err on_additional(struct converse_reading *r, yyjson_val *v)
{
    struct chat *c = r->chat;
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(v, i, n, key, value)
    {
        struct str name = tree_str(key);
        enum weir_err e = WEIR_OK;
        if (str_is(name, "thinking") || str_is(name, "reasoning_config") || str_is(name, "reasoningConfig"))
            e = read_thinking(r, value);
        else if (str_is(name, "top_k"))
            c->top_k = tree_num(value);
        else if (str_is(name, "reasoning_effort"))
            c->effort = effort_of_word(tree_str(value));
        else if (str_is(name, "output_config") && tree_get_str(value, "effort").n > 0)
            c->effort = effort_of_word(tree_get_str(value, "effort"));
        else if (str_is(name, "tool_choice"))
            read_inner_choice(r, value);
        else if (str_is(name, "inferenceConfig") && tree_num(tree_get(value, "topK")).n > 0) /* Nova */
            c->top_k = tree_num(tree_get(value, "topK"));
        else
            chat_hint(c, r->arena, arena_printf(r->arena, "additionalModelRequestFields.%.*s", STR_FMT(name)));
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}

/* ---- The rest ---- */

static enum weir_err on_service_tier(struct converse_reading *r, yyjson_val *v)
{
    r->chat->service_tier = tree_get_str(v, "type");
    return WEIR_OK;
}

static enum weir_err on_ignored(struct converse_reading *r, yyjson_val *v)
{
    (void)r;
    (void)v;
    return WEIR_OK;
}

static enum weir_err on_demand(struct converse_reading *r, yyjson_val *v)
{
    if (!yyjson_is_ctn(v) || unsafe_yyjson_get_len(v) > 0) converse_reading_demand(r, r->member);
    return WEIR_OK;
}

static const struct row {
    const char *name;
    enum weir_err (*read)(struct converse_reading *r, yyjson_val *v);
} ROWS[] = {
    {"modelId", on_ignored}, /* the path has it; some clients repeat it */
    {"system", on_ignored},  /* read before the messages, wherever it stands */
    {"messages", on_ignored},
    {"inferenceConfig", on_inference_config},
    {"toolConfig", on_tool_config},
    {"outputConfig", on_output_config},
    {"additionalModelRequestFields", on_additional},
    {"additionalModelResponseFieldPaths", on_ignored}, /* what they ask for is the provider's own */
    {"serviceTier", on_service_tier},
    {"guardrailConfig", on_demand}, /* another provider would answer unguarded */
    {"promptVariables", on_demand},
};

static enum weir_err read_member(struct converse_reading *r, yyjson_val *v)
{
    if (yyjson_is_null(v)) return WEIR_OK;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (str_is(r->member, ROWS[i].name)) return ROWS[i].read(r, v);
    chat_hint(r->chat, r->arena, r->member);
    return WEIR_OK;
}

enum weir_err converse_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why)
{
    yyjson_val *root, *key, *value;
    size_t i, n;
    enum weir_err e = tree_read(json, a, &root, ret_why);
    if (e != WEIR_OK) return e;
    struct chat *chat = chat_new(a);
    struct converse_reading r = {.arena = a, .chat = chat, .ret_why = ret_why, .messages_end = &chat->messages};
    if (!yyjson_is_obj(root)) return bad(&r, "the body must be a JSON object");
    yyjson_obj_foreach(root, i, n, key, value)
    {
        r.member = tree_str(key);
        e = read_member(&r, value);
        if (e == WEIR_OK) e = chat_check_size(chat, a, ret_why);
        if (e != WEIR_OK) return e;
    }
    e = converse_reading_system(&r, tree_get(root, "system"));
    if (e == WEIR_OK) e = converse_reading_messages(&r, tree_get(root, "messages"));
    if (e == WEIR_OK) *ret_chat = chat;
    return e;
}
