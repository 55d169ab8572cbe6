/* The hub out as a Messages request. Much depends on the model's generation (model_traits.h): how thinking is asked for,
 * whether sampling and forced tools are taken at all. */
#include "proto/dialect/anthropic.h"

#include "proto/dialect/anthropic_turns.h"
#include "proto/dialect/schema.h"
#include "proto/dialect/turns.h"

#include <stdlib.h>
#include <string.h>

/* max_tokens is required. What was not said is the model's own limit where it is known, else what every model takes. */
enum { MAX_TOKENS_DEFAULT = 4096, BUDGET_LEAST = 1024 };

static void key(struct anthropic_writing *w, const char *name)
{
    buf_addf(w->out, ",\"%s\":", name);
}

/* ---- Thinking ---- */

struct plan {
    int64_t max_tokens;
    int64_t budget;       /* above 0: thinking enabled with it */
    enum effort effort;   /* output_config.effort; EFFORT_UNSET: not sent */
    const char *thinking; /* type of `thinking` without a budget; NULL: not sent */
    bool on;              /* thinking is asked for here */
};

static int64_t percent_of(enum effort e)
{
    switch (e) {
    case EFFORT_MINIMAL: return 10;
    case EFFORT_LOW: return 20;
    case EFFORT_MEDIUM: return 50;
    case EFFORT_HIGH: return 80;
    default: return 95;
    }
}

static enum effort effort_of_budget(int64_t budget)
{
    return budget <= 2048 ? EFFORT_LOW : budget <= 12288 ? EFFORT_MEDIUM : EFFORT_HIGH;
}

static void plan_off(const struct anthropic_writing *w, struct plan *p)
{
    switch (w->traits.off) {
    case CLAUDE_OFF_BY_DEFAULT: break;
    case CLAUDE_OFF_DISABLED: p->thinking = "disabled"; break;
    case CLAUDE_OFF_BETWEEN_TOOLS: p->thinking = "between_tools"; break;
    case CLAUDE_OFF_NEVER: p->effort = EFFORT_LOW; break;
    }
}

static void plan_adaptive(const struct anthropic_writing *w, enum effort e, struct plan *p)
{
    p->thinking = "adaptive";
    p->on = true;
    p->effort = e == EFFORT_MINIMAL ? EFFORT_LOW : e == EFFORT_XHIGH && !w->traits.xhigh ? EFFORT_HIGH : e;
}

/* The budget is part of max_tokens and must leave room for an answer. max_tokens is not raised for it: that limit is the client's,
 * and money was reserved by it. Where it is too small for any thinking, there is none. */
static void plan_budget(struct anthropic_writing *w, int64_t budget, struct plan *p)
{
    int64_t most = p->max_tokens * 95 / 100;
    if (budget > most) budget = most;
    if (budget < BUDGET_LEAST && most > BUDGET_LEAST) budget = BUDGET_LEAST;
    if (budget < BUDGET_LEAST) {
        loss_addz(w->loss, "reasoning_effort");
        return;
    }
    p->on = true;
    p->budget = budget;
}

/* With a budget, a turn of tool calls must begin with the thinking that led to them. Where the client could not bring it back,
 * the rest of the turn goes on without thinking. */
static bool lacks_thinking(const struct turns *turns)
{
    const struct message *calls = NULL;
    for (const struct message *m = turns->first; m != NULL && m != turns->last; m = m->next) calls = m;
    if (calls == NULL || calls->role != ROLE_ASSISTANT || turns->last->parts.first->kind != PART_TOOL_RESULT)
        return false;
    for (const struct part *p = calls->parts.first; p != NULL; p = p->next)
        if ((p->kind == PART_REASONING || p->kind == PART_REDACTED) && !p->foreign && p->signature.n > 0) return false;
    return true;
}

static struct plan make_plan(struct anthropic_writing *w, const struct turns *turns)
{
    const struct chat *c = w->chat;
    int64_t known = w->hints->max_output > 0 ? w->hints->max_output : MAX_TOKENS_DEFAULT;
    struct plan p = {.max_tokens = c->max_output > 0 ? c->max_output : known};
    enum effort e = c->thinking == THINKING_OFF ? EFFORT_NONE : c->effort;
    if (w->hints->max_output > 0 && p.max_tokens > w->hints->max_output) p.max_tokens = w->hints->max_output;
    bool forced = c->tools != NULL && (c->tool_choice == TOOLS_REQUIRED || c->tool_choice == TOOLS_ONE);
    bool unfit = (forced && !w->traits.forced_tools_thinking) || (!w->traits.adaptive && lacks_thinking(turns));
    if (unfit && e != EFFORT_NONE && (e != EFFORT_UNSET || c->thinking != THINKING_UNSET)) {
        loss_addz(w->loss, "reasoning_effort"); /* the model would refuse the call otherwise */
        e = EFFORT_NONE;
    }
    if (e == EFFORT_NONE)
        plan_off(w, &p);
    else if (w->traits.adaptive && c->thinking == THINKING_BUDGET && e == EFFORT_UNSET)
        plan_adaptive(w, effort_of_budget(c->thinking_budget), &p);
    else if (w->traits.adaptive && (e != EFFORT_UNSET || c->thinking == THINKING_ADAPTIVE))
        plan_adaptive(w, e, &p);
    else if (c->thinking == THINKING_BUDGET)
        plan_budget(w, c->thinking_budget, &p);
    else if (e != EFFORT_UNSET)
        plan_budget(w, p.max_tokens * percent_of(e) / 100, &p);
    return p;
}

static void write_thinking(struct anthropic_writing *w, const struct plan *p)
{
    if (p->budget > 0) {
        key(w, "thinking");
        buf_add(w->out, STR("{\"type\":\"enabled\",\"budget_tokens\":"));
        buf_add_i64(w->out, p->budget);
        buf_addc(w->out, '}');
    } else if (p->thinking != NULL) {
        key(w, "thinking");
        buf_addf(w->out, "{\"type\":\"%s\"%s}", p->thinking,
                 p->on && w->traits.omits_thinking ? ",\"display\":\"summarized\"" : "");
    }
}

/* ---- Format ---- */

static enum weir_err write_output_config(struct anthropic_writing *w, const struct plan *p)
{
    const struct chat *c = w->chat;
    bool schema = c->format == FORMAT_JSON_SCHEMA;
    if (c->format == FORMAT_JSON_OBJECT) loss_addz(w->loss, "response_format"); /* asked for in words instead */
    if (schema && !w->traits.json_schema) {
        *w->ret_why = STR("response_format json_schema cannot be carried to this model");
        return WEIR_UNSUPPORTED;
    }
    if (!schema && p->effort == EFFORT_UNSET) return WEIR_OK;
    key(w, "output_config");
    buf_addc(w->out, '{');
    if (p->effort != EFFORT_UNSET) buf_addf(w->out, "\"effort\":\"%s\"", effort_word(p->effort));
    if (schema) {
        buf_addf(w->out, "%s\"format\":{\"type\":\"json_schema\",\"schema\":", p->effort != EFFORT_UNSET ? "," : "");
        schema_write_strict(c->schema, w->arena, w->out, w->loss);
        buf_addc(w->out, '}');
    }
    buf_addc(w->out, '}');
    return WEIR_OK;
}

/* ---- Tools ---- */

static bool is_object_schema(struct str schema)
{
    return schema.n > 2; /* an empty object is no schema for Anthropic: its type must be there */
}

static void write_tool(struct anthropic_writing *w, const struct tool *t)
{
    buf_add(w->out, STR("{\"name\":"));
    buf_add_json_str(w->out, t->name);
    if (t->description.n > 0) {
        key(w, "description");
        buf_add_json_str(w->out, t->description);
    }
    key(w, "input_schema");
    if (!is_object_schema(t->schema))
        buf_add(w->out, STR("{\"type\":\"object\",\"properties\":{}}"));
    else if (t->strict == 1 && w->traits.json_schema)
        schema_write_strict(t->schema, w->arena, w->out, w->loss);
    else
        buf_add(w->out, t->schema);
    if (t->strict == 1 && w->traits.json_schema) buf_add(w->out, STR(",\"strict\":true"));
    if (t->strict == 1 && !w->traits.json_schema) loss_addz(w->loss, "tools.strict");
    anthropic_write_cache(w, t->cache);
    buf_addc(w->out, '}');
}

static enum weir_err write_choice(struct anthropic_writing *w)
{
    const struct chat *c = w->chat;
    bool forced = c->tool_choice == TOOLS_REQUIRED || c->tool_choice == TOOLS_ONE;
    if (forced && !w->traits.forced_tools) {
        *w->ret_why = STR("tool_choice that forces a tool is not taken by this model; send auto");
        return WEIR_UNSUPPORTED;
    }
    if (c->tool_choice == TOOLS_UNSET && c->parallel_tools != 0) return WEIR_OK;
    key(w, "tool_choice");
    switch (c->tool_choice) {
    case TOOLS_UNSET:
    case TOOLS_AUTO: buf_add(w->out, STR("{\"type\":\"auto\"")); break;
    case TOOLS_NONE: buf_add(w->out, STR("{\"type\":\"none\"")); break;
    case TOOLS_REQUIRED: buf_add(w->out, STR("{\"type\":\"any\"")); break;
    case TOOLS_ONE:
        buf_add(w->out, STR("{\"type\":\"tool\",\"name\":"));
        buf_add_json_str(w->out, c->tool_choice_name);
        break;
    }
    if (c->parallel_tools == 0 && c->tool_choice != TOOLS_NONE)
        buf_add(w->out, STR(",\"disable_parallel_tool_use\":true"));
    buf_addc(w->out, '}');
    return WEIR_OK;
}

static enum weir_err write_tools(struct anthropic_writing *w)
{
    const struct chat *c = w->chat;
    bool first = true;
    for (const struct tool *t = c->tools; t != NULL; t = t->next) {
        if (c->allowed_tools.n > 0 && !name_in(&c->allowed_tools, t->name)) continue;
        buf_add(w->out, first ? STR(",\"tools\":[") : STR(","));
        write_tool(w, t);
        first = false;
    }
    if (first) return WEIR_OK;
    buf_addc(w->out, ']');
    return write_choice(w);
}

/* ---- The rest ---- */

static void write_temperature(struct anthropic_writing *w)
{
    char text[32];
    struct str t = w->chat->temperature;
    memcpy(text, t.p, t.n < sizeof text ? t.n : 0);
    text[t.n < sizeof text ? t.n : 0] = '\0';
    key(w, "temperature");
    if (t.n >= sizeof text || strtod(text, NULL) > 1.0)
        buf_addc(w->out, '1'); /* its scale ends at 1; halving would change what 1 means */
    else
        buf_add(w->out, t);
}

static void write_sampling(struct anthropic_writing *w, const struct plan *p)
{
    const struct chat *c = w->chat;
    bool takes = w->traits.sampling && !p->on;
    bool top_p = takes && c->top_p.n > 0 && (w->traits.both_samplings || c->temperature.n == 0);
    if (takes && c->temperature.n > 0) write_temperature(w);
    if (top_p) {
        key(w, "top_p");
        buf_add(w->out, c->top_p);
    }
    if (takes && c->top_k.n > 0) {
        key(w, "top_k");
        buf_add(w->out, c->top_k);
    }
    if (!takes && c->temperature.n > 0) loss_addz(w->loss, "temperature");
    if (!top_p && c->top_p.n > 0) loss_addz(w->loss, "top_p");
    if (!takes && c->top_k.n > 0) loss_addz(w->loss, "top_k");
}

static bool is_blank(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\n' && s.p[i] != '\t' && s.p[i] != '\r') return false;
    return true;
}

static void write_stop(struct anthropic_writing *w)
{
    bool first = true;
    for (const struct name *s = w->chat->stop.first; s != NULL; s = s->next) {
        if (is_blank(s->text)) { /* refused there */
            loss_addz(w->loss, "stop");
            continue;
        }
        buf_add(w->out, first ? STR(",\"stop_sequences\":[") : STR(","));
        buf_add_json_str(w->out, s->text);
        first = false;
    }
    if (!first) buf_addc(w->out, ']');
}

static void write_user_and_tier(struct anthropic_writing *w)
{
    const struct chat *c = w->chat;
    if (c->user.n > 0 && c->user.n <= 256) {
        key(w, "metadata");
        buf_add(w->out, STR("{\"user_id\":"));
        buf_add_json_str(w->out, c->user);
        buf_addc(w->out, '}');
    } else if (c->user.n > 0) {
        loss_addz(w->loss, "user");
    }
    if (str_is(c->service_tier, "auto"))
        buf_add(w->out, STR(",\"service_tier\":\"auto\""));
    else if (str_is(c->service_tier, "default"))
        buf_add(w->out, STR(",\"service_tier\":\"standard_only\""));
    else if (c->service_tier.n > 0)
        loss_addz(w->loss, "service_tier");
}

enum weir_err anthropic_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                      struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why)
{
    struct anthropic_writing w = {.chat = chat,
                                  .hints = hints,
                                  .out = out,
                                  .loss = loss,
                                  .arena = a,
                                  .ret_why = ret_why,
                                  .traits = claude_traits_of(model)};
    struct turns turns;
    enum weir_err e = chat_refuse_demands(chat, "anthropic", a, ret_why);
    if (e == WEIR_OK) e = turns_build(chat, w.traits.mid_system, a, &turns, ret_why);
    if (e != WEIR_OK) return e;
    chat_lose_hints(chat, loss);
    struct plan plan = make_plan(&w, &turns);
    chat->max_output = plan.max_tokens;
    buf_add(out, STR("{\"model\":"));
    buf_add_json_str(out, model);
    key(&w, "max_tokens");
    buf_add_i64(out, plan.max_tokens);
    anthropic_write_system(&w, &turns);
    key(&w, "messages");
    e = anthropic_write_turns(&w, &turns);
    if (e == WEIR_OK) e = write_tools(&w);
    if (e == WEIR_OK) e = write_output_config(&w, &plan);
    write_thinking(&w, &plan);
    write_sampling(&w, &plan);
    write_stop(&w);
    write_user_and_tier(&w);
    if (chat->stream) buf_add(out, STR(",\"stream\":true"));
    buf_addc(out, '}');
    return e;
}
