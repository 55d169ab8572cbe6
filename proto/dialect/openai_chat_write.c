/* The hub out as a chat completions request. Fields that only some hosts know are sent to those whose model names say so
 * (model_traits.h): a look-alike that meets an unknown field may refuse the call. */
#include "proto/dialect/openai_chat.h"

#include "proto/dialect/custom_tool.h"
#include "proto/dialect/model_traits.h"
#include "proto/dialect/openai_chat_turns.h"
#include "proto/dialect/openai_rules.h"
#include "proto/dialect/stop_cut.h"
#include "proto/dialect/tree.h"
#include "proto/dialect/turns.h"

enum { STOPS_MOST = 4 };

/* ---- Members ---- */

static void key(struct openai_writing *w, const char *name)
{
    buf_addf(w->out, ",\"%s\":", name);
}

static void number(struct openai_writing *w, const char *name, struct str text)
{
    key(w, name);
    buf_add(w->out, text);
}

static void write_limits(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    if (c->max_output >= 0) {
        key(w, w->traits.completion_tokens || w->hints->max_completion_tokens ? "max_completion_tokens" : "max_tokens");
        buf_add_i64(w->out, c->max_output > 0 ? c->max_output : 1); /* 0 is Anthropic's "only warm the cache" */
    }
    if (c->max_output == 0) loss_addz(w->loss, "max_tokens");
}

static void write_shared(struct openai_writing *w, const char *name, bool takes)
{
    if (!takes) return;
    struct str json = chat_take_shared(w->chat, name);
    if (json.n > 0) number(w, name, json);
}

static void write_sampling(struct openai_writing *w, bool reasons)
{
    const struct chat *c = w->chat;
    bool takes = w->traits.sampling && !(reasons && w->traits.sampling_unless_reasoning);
    if (c->temperature.n > 0 && takes) number(w, "temperature", c->temperature);
    if (c->top_p.n > 0 && takes) number(w, "top_p", c->top_p);
    if (c->temperature.n > 0 && !takes) loss_addz(w->loss, "temperature");
    if (c->top_p.n > 0 && !takes) loss_addz(w->loss, "top_p");
    if (c->top_k.n > 0) loss_addz(w->loss, "top_k");
    write_shared(w, "frequency_penalty", takes);
    write_shared(w, "presence_penalty", takes);
    write_shared(w, "seed", takes);
}

static enum weir_err write_stop(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    if (c->stop.n == 0) return WEIR_OK;
    if (!w->traits.stop || c->stop.n > STOPS_MOST) {
        if (stop_cut_ask(w->chat)) return WEIR_OK;
        *w->ret_why = STR("so many or so long stop sequences cannot be carried to a provider that speaks openai");
        return WEIR_UNSUPPORTED;
    }
    key(w, "stop");
    buf_addc(w->out, '[');
    for (const struct name *s = c->stop.first; s != NULL; s = s->next) {
        if (s != c->stop.first) buf_addc(w->out, ',');
        buf_add_json_str(w->out, s->text);
    }
    buf_addc(w->out, ']');
    return WEIR_OK;
}

/* The grammar of a custom tool stands one level deeper here than in the hub. */
static void write_grammar(struct openai_writing *w, struct str format)
{
    yyjson_val *root;
    struct str why;
    if (format.n == 0 || tree_read(format, w->arena, &root, &why) != WEIR_OK) return;
    key(w, "format");
    buf_add(w->out, STR("{\"type\":\"grammar\",\"grammar\":{\"syntax\":"));
    buf_add_json_str(w->out, tree_get_str(root, "syntax"));
    key(w, "definition");
    buf_add_json_str(w->out, tree_get_str(root, "definition"));
    buf_add(w->out, STR("}}"));
}

static void write_tool(struct openai_writing *w, const struct tool *t)
{
    struct str sent = chat_fit_tool_name(t->name, w->arena);
    bool custom = t->custom && w->chat->custom_as_such;
    if (!str_eq(sent, t->name)) name_add(&w->chat->renamed, w->arena, sent)->value = t->name;
    if (t->cache != CACHE_NONE) loss_addz(w->loss, "cache_control");
    buf_add(w->out, custom ? STR("{\"type\":\"custom\",\"custom\":{\"name\":")
                           : STR("{\"type\":\"function\",\"function\":{\"name\":"));
    buf_add_json_str(w->out, sent);
    if (t->description.n > 0) {
        key(w, "description");
        buf_add_json_str(w->out, t->description);
    }
    if (custom) {
        write_grammar(w, t->format);
        buf_add(w->out, STR("}}"));
        return;
    }
    number(w, "parameters", t->schema.n > 0 ? t->schema : STR("{\"type\":\"object\",\"properties\":{}}"));
    int8_t strict = openai_strictness(w->chat, &w->traits, t->strict, t->schema, w->arena, w->loss);
    if (strict >= 0) number(w, "strict", strict == 1 ? STR("true") : STR("false"));
    buf_add(w->out, STR("}}"));
}

/* {"type":"function","function":{"name":…}}, as tool_choice and the list of what it allows have it */
static void write_named(struct openai_writing *w, struct str name)
{
    const char *type = w->chat->custom_as_such && custom_tool_is(w->chat, name) ? "custom" : "function";
    buf_addf(w->out, "{\"type\":\"%s\",\"%s\":{\"name\":", type, type);
    buf_add_json_str(w->out, chat_fit_tool_name(name, w->arena));
    buf_add(w->out, STR("}}"));
}

static bool allows_by_choice(const struct openai_writing *w)
{
    const struct chat *c = w->chat;
    return w->traits.user && c->allowed_tools.n > 0 &&
           (c->tool_choice == TOOLS_AUTO || c->tool_choice == TOOLS_REQUIRED);
}

/* The tools stay as they are and with them what is cached of the prompt. */
static void write_allowed(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    number(w, "tool_choice", STR("{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":"));
    buf_add(w->out, c->tool_choice == TOOLS_REQUIRED ? STR("\"required\"") : STR("\"auto\""));
    key(w, "tools");
    for (const struct name *n = c->allowed_tools.first; n != NULL; n = n->next) {
        buf_addc(w->out, n == c->allowed_tools.first ? '[' : ',');
        write_named(w, n->text);
    }
    buf_add(w->out, STR("]}}"));
}

static void write_choice(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    if (allows_by_choice(w)) {
        write_allowed(w);
        return;
    }
    switch (c->tool_choice) {
    case TOOLS_UNSET: return;
    case TOOLS_AUTO: number(w, "tool_choice", STR("\"auto\"")); return;
    case TOOLS_NONE: number(w, "tool_choice", STR("\"none\"")); return;
    case TOOLS_REQUIRED: number(w, "tool_choice", STR("\"required\"")); return;
    case TOOLS_ONE: key(w, "tool_choice"); write_named(w, c->tool_choice_name);
    }
}

static void write_tools(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    bool first = true, all = c->allowed_tools.n == 0 || allows_by_choice(w);
    for (const struct tool *t = c->tools; t != NULL; t = t->next) {
        if (!all && !name_in(&c->allowed_tools, t->name)) continue;
        buf_add(w->out, first ? STR(",\"tools\":[") : STR(","));
        write_tool(w, t);
        first = false;
    }
    if (first) return;
    buf_addc(w->out, ']');
    write_choice(w);
    if (c->parallel_tools == 0) number(w, "parallel_tool_calls", STR("false"));
}

static void write_format(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    if (c->format == FORMAT_TEXT) return;
    if (c->format == FORMAT_JSON_OBJECT) {
        number(w, "response_format", STR("{\"type\":\"json_object\"}"));
        return;
    }
    number(w, "response_format", STR("{\"type\":\"json_schema\",\"json_schema\":{\"name\":"));
    buf_add_json_str(w->out, c->schema_name.n > 0 ? c->schema_name : STR("answer"));
    if (c->schema_description.n > 0) {
        key(w, "description");
        buf_add_json_str(w->out, c->schema_description);
    }
    int8_t strict = openai_strictness(c, &w->traits, c->schema_strict, c->schema, w->arena, w->loss);
    if (strict >= 0) number(w, "strict", strict == 1 ? STR("true") : STR("false"));
    number(w, "schema", c->schema);
    buf_add(w->out, STR("}}"));
}

/* true: the model will reason. */
static bool write_effort(struct openai_writing *w)
{
    enum effort e = openai_fit_effort(w->chat, &w->traits, openai_wanted_effort(w->chat));
    if (w->chat->tools != NULL && w->traits.tools_without_reasoning) {
        if (e != EFFORT_UNSET && e != EFFORT_NONE) loss_addz(w->loss, "thinking");
        e = EFFORT_NONE; /* the only way these models take tools here */
    } else if (e == EFFORT_UNSET || (e == EFFORT_NONE && !w->traits.effort_none)) {
        return false; /* "none" is not known everywhere; unsaid is the host's default */
    } else if (!w->traits.effort) {
        loss_addz(w->loss, "thinking");
        return false;
    }
    key(w, "reasoning_effort");
    buf_addf(w->out, "\"%s\"", effort_word(e));
    return e != EFFORT_NONE;
}

static void write_user(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    if (c->user.n == 0) return;
    if (!w->traits.user || c->user.n > 512) {
        loss_addz(w->loss, "metadata.user_id");
        return;
    }
    key(w, "user");
    buf_add_json_str(w->out, c->user);
}

static enum weir_err write_members(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    write_limits(w);
    enum weir_err e = write_stop(w);
    if (e != WEIR_OK) return e;
    write_tools(w);
    write_format(w);
    write_sampling(w, write_effort(w));
    write_user(w);
    if (c->logprobs_said.n > 0) {
        number(w, "logprobs", STR("true"));
        if (c->top_logprobs > 0) key(w, "top_logprobs"), buf_add_i64(w->out, c->top_logprobs);
    }
    write_shared(w, "verbosity", w->traits.verbosity);
    write_shared(w, "prompt_cache_key", w->traits.user);
    write_shared(w, "prompt_cache_options", w->traits.breakpoints);
    write_shared(w, "prompt_cache_retention", w->traits.user);
    write_shared(w, "moderation", w->traits.user);
    if (c->service_tier.n > 0 && w->traits.user) {
        key(w, "service_tier");
        buf_add_json_str(w->out, c->service_tier);
    }
    if (c->cache_all != CACHE_NONE) loss_addz(w->loss, "cache_control");
    if (c->stream) buf_add(w->out, STR(",\"stream\":true,\"stream_options\":{\"include_usage\":true}"));
    return WEIR_OK;
}

enum weir_err openai_chat_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                        struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why)
{
    struct openai_writing w = {.chat = chat,
                               .hints = hints,
                               .out = out,
                               .loss = loss,
                               .arena = a,
                               .ret_why = ret_why,
                               .traits = openai_traits_of(model)};
    struct turns turns;
    chat_meet_demand(chat, chat->logprobs_said);
    enum weir_err e = chat_refuse_demands(chat, "openai", a, ret_why);
    if (e == WEIR_OK) e = turns_build(chat, true, a, &turns, ret_why);
    if (e != WEIR_OK) return e;
    chat_lose_hints(chat, loss);
    chat->custom_as_such = w.traits.custom_tools;
    if (chat->format == FORMAT_JSON_OBJECT && !openai_speaks_of_json(&turns))
        part_add(&turns.system, a, PART_TEXT)->text = STR(OPENAI_JSON_WISH);
    buf_add(out, STR("{\"model\":"));
    buf_add_json_str(out, model);
    buf_add(out, STR(",\"messages\":"));
    e = openai_write_turns(&w, &turns);
    if (e == WEIR_OK) e = write_members(&w);
    buf_addc(out, '}');
    return e;
}
