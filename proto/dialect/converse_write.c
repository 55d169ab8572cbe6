/* The hub out as a Converse request. What Converse has no member for goes to the model itself, in additionalModelRequestFields: how
 * depends on whose model it is (model_traits.h). */
#include "proto/dialect/converse_writing.h"

#include "proto/dialect/claude_plan.h"
#include "proto/dialect/schema.h"
#include "proto/dialect/stop_cut.h"
#include "proto/dialect/turns.h"

#include <limits.h>

enum { LOST_TOOLS_MOST = 16, STOPS_MOST = 4 };

static void key(struct converse_writing *w, const char *name)
{
    char before = buf_view(w->out).p[buf_len(w->out) - 1];
    buf_addf(w->out, "%s\"%s\":", before == '{' || before == '[' ? "" : ",", name);
}

/* Opens an object member; close_object() takes it back if nothing came in. */
static size_t open_object(struct converse_writing *w, const char *name)
{
    size_t before = buf_len(w->out);
    key(w, name);
    buf_addc(w->out, '{');
    return before;
}

static void close_object(struct converse_writing *w, size_t before)
{
    if (buf_view(w->out).p[buf_len(w->out) - 1] == '{')
        buf_truncate(w->out, before);
    else
        buf_addc(w->out, '}');
}

/* ---- inferenceConfig ---- */

/* Blank ones are refused there, and all but Claude take few: what cannot be sent is looked for here, in the answer. */
static void write_stop(struct converse_writing *w)
{
    bool claude = w->traits.family == CONVERSE_CLAUDE, has_blank = false;
    unsigned sent = 0, most = claude ? UINT_MAX : STOPS_MOST;
    for (const struct name *s = w->chat->stop.first; s != NULL; s = s->next) has_blank |= str_is_blank(s->text);
    bool cut = (has_blank || w->chat->stop.n > most) && stop_cut_ask(w->chat);
    for (const struct name *s = w->chat->stop.first; s != NULL; s = s->next) {
        if (str_is_blank(s->text)) {
            if (!cut) loss_addz(w->loss, "stop");
            continue;
        }
        if (cut && sent == most) break;
        if (sent == 0) {
            key(w, "stopSequences");
            buf_addc(w->out, '[');
        } else {
            buf_addc(w->out, ',');
        }
        buf_add_json_str(w->out, s->text);
        sent++;
    }
    if (sent > 0) buf_addc(w->out, ']');
}

static bool takes_sampling(const struct converse_writing *w, const struct claude_plan *p)
{
    return w->traits.family != CONVERSE_CLAUDE || (w->claude.sampling && !p->on);
}

static void write_sampling(struct converse_writing *w, const struct claude_plan *p)
{
    const struct chat *c = w->chat;
    bool takes = takes_sampling(w, p), claude = w->traits.family == CONVERSE_CLAUDE;
    bool top_p = takes && c->top_p.n > 0 && (!claude || w->claude.both_samplings || c->temperature.n == 0);
    if (takes && c->temperature.n > 0) {
        key(w, "temperature");
        chat_write_temperature(c, w->out);
    }
    if (top_p) {
        key(w, "topP");
        buf_add(w->out, c->top_p);
    }
    if (!takes && c->temperature.n > 0) loss_addz(w->loss, "temperature");
    if (!top_p && c->top_p.n > 0) loss_addz(w->loss, "top_p");
}

static void write_inference_config(struct converse_writing *w, const struct claude_plan *p)
{
    struct chat *c = w->chat;
    size_t before = open_object(w, "inferenceConfig");
    int64_t most = c->max_output > 0 || p->budget > 0 ? p->max_tokens : w->hints->max_output;
    if (c->max_output == 0) most = 1; /* Anthropic's "only warm the cache" */
    if (most > 0) {
        key(w, "maxTokens");
        buf_add_i64(w->out, most);
        c->max_output = most;
    }
    write_sampling(w, p);
    write_stop(w);
    close_object(w, before);
}

/* ---- toolConfig ---- */

static void write_tool_spec(struct converse_writing *w, const struct tool *t)
{
    bool strict = t->strict == 1 && w->traits.family == CONVERSE_CLAUDE && w->claude.json_schema;
    struct str sent = chat_fit_tool_name(t->name, w->arena);
    if (!str_eq(sent, t->name)) name_add(&w->chat->renamed, w->arena, sent)->value = t->name;
    buf_add(w->out, STR("{\"toolSpec\":{\"name\":"));
    buf_add_json_str(w->out, sent);
    if (!str_is_blank(t->description)) {
        key(w, "description");
        buf_add_json_str(w->out, t->description);
    }
    buf_add(w->out, STR(",\"inputSchema\":{\"json\":"));
    if (t->schema.n <= 2) /* an empty object is no schema there: its type must be there */
        buf_add(w->out, STR("{\"type\":\"object\",\"properties\":{}}"));
    else if (strict)
        schema_write_strict(t->schema, w->arena, w->out, w->loss);
    else
        buf_add(w->out, t->schema);
    buf_addc(w->out, '}');
    if (strict) buf_add(w->out, STR(",\"strict\":true"));
    if (t->strict == 1 && !strict) loss_addz(w->loss, "tools.strict");
    buf_add(w->out, STR("}}"));
    converse_write_cache(w, t->cache);
}

static bool has_tool_blocks(const struct turns *turns)
{
    for (const struct message *m = turns->first; m != NULL; m = m->next)
        for (const struct part *p = m->parts.first; p != NULL; p = p->next)
            if (p->kind == PART_TOOL_CALL) return true;
    return false;
}

/* Calls in the history ask for a toolConfig, though the client offers no tool any more: the called ones by name. */
static void write_lost_tools(struct converse_writing *w, const struct turns *turns)
{
    struct names seen = {0};
    for (const struct message *m = turns->first; m != NULL; m = m->next)
        for (const struct part *p = m->parts.first; p != NULL; p = p->next) {
            if (p->kind != PART_TOOL_CALL || seen.n >= LOST_TOOLS_MOST || name_in(&seen, p->name)) continue;
            name_add(&seen, w->arena, p->name);
            if (seen.n > 1) buf_addc(w->out, ',');
            write_tool_spec(w,
                            &(struct tool){.name = p->name, .description = STR("Not offered any more."), .strict = -1});
        }
}

static bool says_no_parallel(const struct converse_writing *w)
{
    return w->chat->parallel_tools == 0 && w->traits.family == CONVERSE_CLAUDE && w->chat->tool_choice != TOOLS_NONE;
}

static void write_choice(struct converse_writing *w)
{
    const struct chat *c = w->chat;
    if (says_no_parallel(w)) return; /* stands in Claude's own words then */
    switch (c->tool_choice) {
    case TOOLS_UNSET: break;
    case TOOLS_NONE: loss_addz(w->loss, "tool_choice"); break; /* the API has no word for it */
    case TOOLS_AUTO: buf_add(w->out, STR(",\"toolChoice\":{\"auto\":{}}")); break;
    case TOOLS_REQUIRED: buf_add(w->out, STR(",\"toolChoice\":{\"any\":{}}")); break;
    case TOOLS_ONE:
        buf_add(w->out, STR(",\"toolChoice\":{\"tool\":{\"name\":"));
        buf_add_json_str(w->out, chat_fit_tool_name(c->tool_choice_name, w->arena));
        buf_add(w->out, STR("}}"));
        break;
    }
}

static enum weir_err write_tools(struct converse_writing *w, const struct turns *turns)
{
    const struct chat *c = w->chat;
    bool first = true, history = has_tool_blocks(turns);
    bool forced = c->tool_choice == TOOLS_REQUIRED || c->tool_choice == TOOLS_ONE;
    if (c->tools == NULL && !history) return WEIR_OK;
    if (c->tool_choice == TOOLS_NONE && !history) return WEIR_OK; /* without tools none can be called */
    if (forced && w->traits.family == CONVERSE_CLAUDE && !w->claude.forced_tools) {
        *w->ret_why = STR("tool_choice that forces a tool is not taken by this model; send auto");
        return WEIR_UNSUPPORTED;
    }
    if (c->parallel_tools == 0 && !says_no_parallel(w)) loss_addz(w->loss, "parallel_tool_calls");
    key(w, "toolConfig");
    buf_add(w->out, STR("{\"tools\":["));
    for (const struct tool *t = c->tools; t != NULL; t = t->next) {
        if (c->allowed_tools.n > 0 && !name_in(&c->allowed_tools, t->name)) continue;
        if (!first) buf_addc(w->out, ',');
        first = false;
        write_tool_spec(w, t);
    }
    if (first) write_lost_tools(w, turns);
    buf_addc(w->out, ']');
    if (!first) write_choice(w);
    buf_addc(w->out, '}');
    return WEIR_OK;
}

/* ---- outputConfig ---- */

static enum weir_err write_output_config(struct converse_writing *w)
{
    const struct chat *c = w->chat;
    bool claude = w->traits.family == CONVERSE_CLAUDE;
    if (c->format == FORMAT_JSON_OBJECT) loss_addz(w->loss, "response_format"); /* asked for in words instead */
    if (c->format != FORMAT_JSON_SCHEMA) return WEIR_OK;
    if (claude && !w->claude.json_schema) {
        *w->ret_why = STR("response_format json_schema cannot be carried to this model");
        return WEIR_UNSUPPORTED;
    }
    struct buf schema = {0};
    if (claude)
        schema_write_strict(c->schema, w->arena, &schema, w->loss);
    else
        buf_add(&schema, c->schema.n > 0 ? c->schema : STR("{}"));
    key(w, "outputConfig");
    buf_add(w->out, STR("{\"textFormat\":{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":{\"schema\":"));
    buf_add_json_str(w->out, buf_view(&schema)); /* a text that holds JSON */
    buf_fini(&schema);
    if (c->schema_name.n > 0) {
        key(w, "name");
        buf_add_json_str(w->out, c->schema_name);
    }
    if (c->schema_description.n > 0) {
        key(w, "description");
        buf_add_json_str(w->out, c->schema_description);
    }
    buf_add(w->out, STR("}}}}"));
    return WEIR_OK;
}

/* ---- additionalModelRequestFields ---- */

static const char *three_step_effort(const struct converse_writing *w, enum effort e)
{
    if (e <= EFFORT_LOW) return "low";
    /* Nova takes high only where nothing bounds its output. */
    bool bounded = w->traits.family == CONVERSE_NOVA_2 && w->chat->max_output > 0;
    return e == EFFORT_MEDIUM || bounded ? "medium" : "high";
}

static void write_effort(struct converse_writing *w)
{
    const struct chat *c = w->chat;
    enum effort e = c->thinking == THINKING_OFF ? EFFORT_NONE : c->effort;
    if (e == EFFORT_UNSET && (c->thinking == THINKING_BUDGET || c->thinking == THINKING_ADAPTIVE)) e = EFFORT_MEDIUM;
    if (e == EFFORT_UNSET) return;
    if (w->traits.family == CONVERSE_NOVA_2) {
        key(w, "reasoningConfig");
        if (e == EFFORT_NONE)
            buf_add(w->out, STR("{\"type\":\"disabled\"}"));
        else
            buf_addf(w->out, "{\"type\":\"enabled\",\"maxReasoningEffort\":\"%s\"}", three_step_effort(w, e));
    } else if (w->traits.family == CONVERSE_GPT_OSS) {
        key(w, "reasoning_effort");
        buf_addf(w->out, "\"%s\"", three_step_effort(w, e));
    } else if (e != EFFORT_NONE) {
        loss_addz(w->loss, "reasoning_effort");
    }
}

static void write_claude_choice(struct converse_writing *w)
{
    const struct chat *c = w->chat;
    if (c->tools == NULL || !says_no_parallel(w)) return;
    key(w, "tool_choice");
    buf_addf(w->out, "{\"type\":\"%s\"",
             c->tool_choice == TOOLS_REQUIRED ? "any"
             : c->tool_choice == TOOLS_ONE    ? "tool"
                                              : "auto");
    if (c->tool_choice == TOOLS_ONE) {
        key(w, "name");
        buf_add_json_str(w->out, chat_fit_tool_name(c->tool_choice_name, w->arena));
    }
    buf_add(w->out, STR(",\"disable_parallel_tool_use\":true}"));
}

static void write_claude_fields(struct converse_writing *w, const struct claude_plan *p)
{
    if (claude_plan_has_thinking(p)) {
        key(w, "thinking");
        claude_plan_write_thinking(p, &w->claude, w->out);
    }
    if (p->effort != EFFORT_UNSET) {
        key(w, "output_config");
        buf_addf(w->out, "{\"effort\":\"%s\"}", effort_word(p->effort));
    }
    write_claude_choice(w);
}

static void write_top_k(struct converse_writing *w, const struct claude_plan *p)
{
    const struct chat *c = w->chat;
    if (c->top_k.n == 0) return;
    if (w->traits.family == CONVERSE_CLAUDE && takes_sampling(w, p)) {
        key(w, "top_k");
        buf_add(w->out, c->top_k);
    } else if (w->traits.family == CONVERSE_NOVA || w->traits.family == CONVERSE_NOVA_2) {
        key(w, "inferenceConfig");
        buf_add(w->out, STR("{\"topK\":"));
        buf_add(w->out, c->top_k);
        buf_addc(w->out, '}');
    } else {
        loss_addz(w->loss, "top_k");
    }
}

static void write_additional(struct converse_writing *w, const struct claude_plan *p)
{
    size_t before = open_object(w, "additionalModelRequestFields");
    bool claude = w->traits.family == CONVERSE_CLAUDE;
    if (claude)
        write_claude_fields(w, p);
    else
        write_effort(w);
    write_top_k(w, p);
    close_object(w, before);
    /* Which sequence it was that stopped the answer is not among Converse's own members. */
    if (claude && w->chat->stop.n > 0) {
        key(w, "additionalModelResponseFieldPaths");
        buf_add(w->out, STR("[\"/stop_sequence\"]"));
    }
}

static void write_rest(struct converse_writing *w)
{
    const struct chat *c = w->chat;
    struct str tier = c->service_tier;
    if (c->user.n > 0) loss_addz(w->loss, "user");
    if (str_is(tier, "flex") || str_is(tier, "priority") || str_is(tier, "reserved") || str_is(tier, "default")) {
        key(w, "serviceTier");
        buf_addf(w->out, "{\"type\":\"%.*s\"}", STR_FMT(tier));
    } else if (tier.n > 0 && !str_is(tier, "auto")) {
        loss_addz(w->loss, "service_tier");
    }
}

enum weir_err converse_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                     struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why)
{
    struct converse_writing w = {.chat = chat,
                                 .hints = hints,
                                 .out = out,
                                 .loss = loss,
                                 .arena = a,
                                 .ret_why = ret_why,
                                 .traits = converse_traits_of(model)};
    struct turns turns;
    struct claude_plan plan = {.max_tokens = chat->max_output};
    bool claude = w.traits.family == CONVERSE_CLAUDE;
    if (claude) w.claude = claude_traits_of(model);
    enum weir_err e = chat_refuse_demands(chat, "converse", a, ret_why);
    if (e == WEIR_OK) e = turns_build(chat, claude && w.claude.mid_system, a, &turns, ret_why);
    if (e != WEIR_OK) return e;
    chat_lose_hints(chat, loss);
    converse_adopt_reasoning(&turns);
    if (claude) plan = claude_plan_make(chat, &w.claude, hints->max_output, &turns, loss);
    if (!claude && hints->max_output > 0 && plan.max_tokens > hints->max_output) plan.max_tokens = hints->max_output;
    buf_addc(out, '{');
    converse_write_system(&w, &turns);
    buf_add(out, STR("\"messages\":"));
    e = converse_write_turns(&w, &turns);
    if (e != WEIR_OK) return e;
    write_inference_config(&w, &plan);
    e = write_tools(&w, &turns);
    if (e == WEIR_OK) e = write_output_config(&w);
    write_additional(&w, &plan);
    write_rest(&w);
    buf_addc(out, '}');
    return e;
}
