/* A chat completions request into the hub. Every member of the top level is one row of a table; what has no row is unknown,
 * and its name is kept so that the loss can be told. */
#include "proto/dialect/openai_chat.h"

#include "proto/dialect/custom_tool.h"
#include "proto/dialect/openai_chat_messages.h"
#include "proto/dialect/tree.h"

static enum weir_err bad(struct openai_reading *r, const char *text)
{
    *r->ret_why = str_of(text);
    return WEIR_BAD_REQUEST;
}

void openai_reading_demand(struct openai_reading *r, struct str what)
{
    if (r->chat->demands.n < HINTS_MOST) name_add(&r->chat->demands, r->arena, what);
}

enum cache_mark openai_reading_cache(yyjson_val *holder)
{
    yyjson_val *mark = tree_get(holder, "cache_control");
    struct str ttl;
    if (!yyjson_is_obj(mark)) mark = tree_get(holder, "prompt_cache_breakpoint");
    if (!yyjson_is_obj(mark)) return CACHE_NONE;
    ttl = tree_get_str(mark, "ttl");
    return str_is(ttl, "1h") || str_is(ttl, "12h") ? CACHE_LONG : CACHE_SHORT;
}

/* ---- One function per member that means something to the hub ---- */

static enum weir_err on_max_tokens(struct openai_reading *r, yyjson_val *v)
{
    if (r->chat->max_output < 0 && !tree_i64(v, &r->chat->max_output))
        return bad(r, "max_tokens must be a whole number");
    return WEIR_OK;
}

static enum weir_err on_max_completion_tokens(struct openai_reading *r, yyjson_val *v)
{
    if (!tree_i64(v, &r->chat->max_output)) return bad(r, "max_completion_tokens must be a whole number");
    return WEIR_OK;
}

static enum weir_err on_temperature(struct openai_reading *r, yyjson_val *v)
{
    r->chat->temperature = tree_num(v);
    return r->chat->temperature.n > 0 ? WEIR_OK : bad(r, "temperature must be a number");
}

static enum weir_err on_top_p(struct openai_reading *r, yyjson_val *v)
{
    r->chat->top_p = tree_num(v);
    return r->chat->top_p.n > 0 ? WEIR_OK : bad(r, "top_p must be a number");
}

static enum weir_err on_top_k(struct openai_reading *r, yyjson_val *v)
{
    r->chat->top_k = tree_num(v);
    return WEIR_OK;
}

static enum weir_err on_stop(struct openai_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *word;
    if (yyjson_arr_size(v) > TOOLS_MOST) return bad(r, "stop has too many entries");
    if (yyjson_is_str(v)) name_add(&r->chat->stop, r->arena, tree_str(v));
    yyjson_arr_foreach(v, i, n, word) name_add(&r->chat->stop, r->arena, tree_str(word));
    return WEIR_OK;
}

static enum weir_err on_effort(struct openai_reading *r, yyjson_val *v)
{
    r->chat->effort = effort_of_word(tree_str(v));
    if (r->chat->effort == EFFORT_UNSET) chat_hint(r->chat, r->arena, STR("reasoning_effort"));
    return WEIR_OK;
}

/* OpenRouter: {"effort": …} or {"max_tokens": …} or {"enabled": …} */
static enum weir_err on_reasoning(struct openai_reading *r, yyjson_val *v)
{
    int64_t budget = tree_get_i64(v, "max_tokens");
    enum effort e = effort_of_word(tree_get_str(v, "effort"));
    if (e != EFFORT_UNSET) r->chat->effort = e;
    if (budget > 0) {
        r->chat->thinking = THINKING_BUDGET;
        r->chat->thinking_budget = budget;
    }
    if (tree_get_bool(v, "enabled") == 0)
        r->chat->effort = EFFORT_NONE;
    else if (tree_get_bool(v, "enabled") == 1 && e == EFFORT_UNSET && budget <= 0)
        r->chat->effort = EFFORT_MEDIUM;
    return WEIR_OK;
}

/* Anthropic's own member, as other gateways take it from OpenAI clients */
static enum weir_err on_thinking(struct openai_reading *r, yyjson_val *v)
{
    struct str type = tree_get_str(v, "type");
    int64_t budget = tree_get_i64(v, "budget_tokens");
    if (str_is(type, "disabled"))
        r->chat->thinking = THINKING_OFF;
    else if (str_is(type, "adaptive"))
        r->chat->thinking = THINKING_ADAPTIVE;
    else if (str_is(type, "enabled") && budget > 0) {
        r->chat->thinking = THINKING_BUDGET;
        r->chat->thinking_budget = budget;
    }
    return WEIR_OK;
}

static enum weir_err on_n(struct openai_reading *r, yyjson_val *v)
{
    if (!tree_i64(v, &r->chat->choices) || r->chat->choices < 1) return bad(r, "n must be a whole number above 0");
    if (r->chat->choices > 1) openai_reading_demand(r, STR("n above 1"));
    return WEIR_OK;
}

static enum weir_err on_user(struct openai_reading *r, yyjson_val *v)
{
    if (r->chat->user.n == 0) r->chat->user = tree_str(v);
    return WEIR_OK;
}

static enum weir_err on_service_tier(struct openai_reading *r, yyjson_val *v)
{
    r->chat->service_tier = tree_str(v);
    return WEIR_OK;
}

static enum weir_err on_stream(struct openai_reading *r, yyjson_val *v)
{
    r->chat->stream = yyjson_is_true(v);
    return WEIR_OK;
}

static enum weir_err on_parallel(struct openai_reading *r, yyjson_val *v)
{
    r->chat->parallel_tools = yyjson_is_true(v) ? 1 : yyjson_is_false(v) ? 0 : -1;
    return WEIR_OK;
}

static enum weir_err on_response_format(struct openai_reading *r, yyjson_val *v)
{
    struct str type = tree_get_str(v, "type");
    yyjson_val *schema = tree_get(v, "json_schema");
    struct chat *c = r->chat;
    if (str_is(type, "json_object")) {
        c->format = FORMAT_JSON_OBJECT;
    } else if (str_is(type, "json_schema")) {
        c->format = FORMAT_JSON_SCHEMA;
        c->schema_name = tree_get_str(schema, "name");
        c->schema_description = tree_get_str(schema, "description");
        c->schema_strict = tree_get_bool(schema, "strict");
        c->schema = tree_get(schema, "schema") == NULL ? STR("{\"type\":\"object\"}")
                                                       : tree_text(tree_get(schema, "schema"), r->arena);
    } else if (!str_is(type, "text")) {
        return bad(r, "response_format.type must be text, json_object or json_schema");
    }
    return WEIR_OK;
}

static struct tool *add_tool(struct openai_reading *r, yyjson_val *function)
{
    struct tool *t = arena_zalloc(r->arena, sizeof *t);
    *r->tools_end = t;
    r->tools_end = &t->next;
    t->name = tree_get_str(function, "name");
    t->description = tree_get_str(function, "description");
    t->strict = tree_get_bool(function, "strict");
    if (tree_get(function, "parameters") != NULL) t->schema = tree_text(tree_get(function, "parameters"), r->arena);
    return t;
}

/* Chat wraps what Responses has flat. */
static yyjson_val *flat_format(yyjson_val *format)
{
    yyjson_val *grammar = tree_get(format, "grammar");
    return yyjson_is_obj(grammar) ? grammar : format;
}

static enum weir_err on_tool(struct openai_reading *r, yyjson_val *v, size_t i)
{
    yyjson_val *f = tree_get(v, "function");
    struct str type = tree_get_str(v, "type");
    bool custom = str_is(type, "custom");
    if (custom) f = tree_get(v, "custom");
    if (!custom && !str_is(type, "function")) {
        openai_reading_demand(r, arena_printf(r->arena, "tools[%zu] of type %.*s", i, STR_FMT(type)));
        return WEIR_OK;
    }
    struct tool *t = add_tool(r, f);
    t->cache = openai_reading_cache(v) != CACHE_NONE ? openai_reading_cache(v) : openai_reading_cache(f);
    if (custom) custom_tool_read(r->chat, t, flat_format(tree_get(f, "format")), r->arena);
    return t->name.n > 0 ? WEIR_OK : bad(r, "a tool has no function.name");
}

static enum weir_err on_tools(struct openai_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *tool;
    if (yyjson_arr_size(v) > TOOLS_MOST) return bad(r, "tools has more than 2048 entries");
    yyjson_arr_foreach(v, i, n, tool)
    {
        enum weir_err e = on_tool(r, tool, i);
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}

/* The first form of tools: one call at a time, and told back in `function_call`. */
static enum weir_err on_functions(struct openai_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *function;
    if (yyjson_arr_size(v) > TOOLS_MOST) return bad(r, "functions has more than 2048 entries");
    if (yyjson_arr_size(v) > 0) r->chat->old_functions = true;
    if (yyjson_arr_size(v) > 0 && r->chat->parallel_tools < 0) r->chat->parallel_tools = 0;
    yyjson_arr_foreach(v, i, n, function)
    {
        if (add_tool(r, function)->name.n == 0) return bad(r, "a function has no name");
    }
    return WEIR_OK;
}

static enum weir_err on_function_call(struct openai_reading *r, yyjson_val *v)
{
    struct chat *c = r->chat;
    c->tool_choice_name = tree_get_str(v, "name");
    if (c->tool_choice_name.n > 0)
        c->tool_choice = TOOLS_ONE;
    else if (str_is(tree_str(v), "none"))
        c->tool_choice = TOOLS_NONE;
    else if (str_is(tree_str(v), "auto"))
        c->tool_choice = TOOLS_AUTO;
    else
        return bad(r, "function_call must be auto, none or an object that names a function");
    return WEIR_OK;
}

static enum weir_err choose_allowed(struct openai_reading *r, yyjson_val *allowed)
{
    size_t i, n;
    yyjson_val *tool;
    if (yyjson_arr_size(tree_get(allowed, "tools")) > TOOLS_MOST)
        return bad(r, "tool_choice allows more than 2048 tools");
    r->chat->tool_choice = str_is(tree_get_str(allowed, "mode"), "required") ? TOOLS_REQUIRED : TOOLS_AUTO;
    yyjson_arr_foreach(tree_get(allowed, "tools"), i, n, tool)
    {
        struct str name = tree_get_str(tree_get(tool, "function"), "name");
        if (name.n == 0) name = tree_get_str(tree_get(tool, "custom"), "name");
        name_add(&r->chat->allowed_tools, r->arena, name.n > 0 ? name : tree_get_str(tool, "name"));
    }
    return WEIR_OK;
}

static enum weir_err on_tool_choice(struct openai_reading *r, yyjson_val *v)
{
    struct str word = tree_str(v), type = tree_get_str(v, "type");
    struct chat *c = r->chat;
    if (str_is(word, "auto"))
        c->tool_choice = TOOLS_AUTO;
    else if (str_is(word, "none"))
        c->tool_choice = TOOLS_NONE;
    else if (str_is(word, "required") || str_is(word, "any")) /* "any": Mistral */
        c->tool_choice = TOOLS_REQUIRED;
    else if (str_is(type, "function")) {
        c->tool_choice = TOOLS_ONE;
        c->tool_choice_name = tree_get_str(tree_get(v, "function"), "name");
    } else if (str_is(type, "custom")) {
        c->tool_choice = TOOLS_ONE;
        c->tool_choice_name = tree_get_str(tree_get(v, "custom"), "name");
    } else if (str_is(type, "allowed_tools"))
        return choose_allowed(r, tree_get(v, "allowed_tools"));
    else
        return bad(r, "tool_choice must be auto, none, required or an object that names a function");
    return WEIR_OK;
}

/* ---- Members that only need a name ---- */

static enum weir_err on_ignored(struct openai_reading *r, yyjson_val *v)
{
    (void)r;
    (void)v;
    return WEIR_OK;
}

/* Without effect: leaving it out loses nothing. */
static bool is_neutral(yyjson_val *v)
{
    struct str n = tree_num(v);
    return yyjson_is_null(v) || yyjson_is_false(v) || str_is(n, "0") || str_is(n, "0.0") ||
           (yyjson_is_ctn(v) && unsafe_yyjson_get_len(v) == 0);
}

/* Other dialects have it, too. */
static enum weir_err on_shared(struct openai_reading *r, yyjson_val *v)
{
    static const char *const names[] = {"seed",
                                        "frequency_penalty",
                                        "presence_penalty",
                                        "verbosity",
                                        "prompt_cache_key",
                                        "prompt_cache_options",
                                        "prompt_cache_retention",
                                        "metadata",
                                        "moderation"};
    if (is_neutral(v) && !str_is(r->member, "seed")) return WEIR_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_is(r->member, names[i])) chat_share(r->chat, r->arena, names[i], r->member, tree_text(v, r->arena));
    return WEIR_OK;
}

static enum weir_err on_logprobs(struct openai_reading *r, yyjson_val *v)
{
    if (!yyjson_is_true(v)) return WEIR_OK;
    r->chat->logprobs_said = r->member;
    openai_reading_demand(r, r->member);
    return WEIR_OK;
}

static enum weir_err on_top_logprobs(struct openai_reading *r, yyjson_val *v)
{
    if (!tree_i64(v, &r->chat->top_logprobs) || r->chat->top_logprobs < 0 || r->chat->top_logprobs > 20)
        return bad(r, "top_logprobs must be a whole number from 0 to 20");
    return WEIR_OK;
}

static enum weir_err on_demand(struct openai_reading *r, yyjson_val *v)
{
    if (!is_neutral(v)) openai_reading_demand(r, r->member);
    return WEIR_OK;
}

static enum weir_err on_web_search(struct openai_reading *r, yyjson_val *v)
{
    (void)v; /* an empty object turns it on */
    openai_reading_demand(r, r->member);
    return WEIR_OK;
}

static enum weir_err on_modalities(struct openai_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *word;
    yyjson_arr_foreach(v, i, n, word)
    {
        if (!str_is(tree_str(word), "text"))
            openai_reading_demand(r, arena_printf(r->arena, "modalities with %.*s", STR_FMT(tree_str(word))));
    }
    return WEIR_OK;
}

static const struct row {
    const char *name;
    enum weir_err (*read)(struct openai_reading *r, yyjson_val *v);
} ROWS[] = {
    {"model", on_ignored},
    {"messages", openai_reading_messages},
    {"max_completion_tokens", on_max_completion_tokens},
    {"max_tokens", on_max_tokens},
    {"temperature", on_temperature},
    {"top_p", on_top_p},
    {"top_k", on_top_k},
    {"stop", on_stop},
    {"reasoning_effort", on_effort},
    {"reasoning", on_reasoning},
    {"thinking", on_thinking},
    {"n", on_n},
    {"user", on_user},
    {"safety_identifier", on_user},
    {"service_tier", on_service_tier},
    {"stream", on_stream},
    {"stream_options", on_ignored},
    {"parallel_tool_calls", on_parallel},
    {"response_format", on_response_format},
    {"tools", on_tools},
    {"tool_choice", on_tool_choice},
    {"logprobs", on_logprobs},
    {"top_logprobs", on_top_logprobs},
    {"modalities", on_modalities},
    {"audio", on_demand},
    {"web_search_options", on_web_search},
    {"functions", on_functions},
    {"function_call", on_function_call},
    {"seed", on_shared},
    {"frequency_penalty", on_shared},
    {"presence_penalty", on_shared},
    {"verbosity", on_shared},
    {"prompt_cache_key", on_shared},
    {"prompt_cache_options", on_shared},
    {"prompt_cache_retention", on_shared},
    {"metadata", on_shared},
    {"moderation", on_shared},
};

static enum weir_err read_member(struct openai_reading *r, yyjson_val *v)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (str_is(r->member, ROWS[i].name)) return yyjson_is_null(v) ? WEIR_OK : ROWS[i].read(r, v);
    if (!is_neutral(v)) chat_hint(r->chat, r->arena, r->member);
    return WEIR_OK;
}

enum weir_err openai_chat_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why)
{
    yyjson_val *root, *key, *value;
    size_t i, n;
    enum weir_err e = tree_read(json, a, &root, ret_why);
    if (e != WEIR_OK) return e;
    struct chat *chat = chat_new(a);
    struct openai_reading r = {.arena = a, .chat = chat, .ret_why = ret_why, .tools_end = &chat->tools};
    if (!yyjson_is_obj(root)) return bad(&r, "the body must be a JSON object");
    chat->of_openai = true;
    yyjson_obj_foreach(root, i, n, key, value)
    {
        r.member = tree_str(key);
        e = read_member(&r, value);
        if (e == WEIR_OK) e = chat_check_size(chat, a, ret_why);
        if (e != WEIR_OK) return e;
    }
    *ret_chat = chat;
    return WEIR_OK;
}
