#include "proto/dialect/claude_plan.h"

#include "proto/dialect/turns.h"

/* max_tokens is required. What was not said is the model's own limit where it is known, else what every model takes. */
enum { MAX_TOKENS_DEFAULT = 4096, BUDGET_LEAST = 1024 };

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

static void plan_off(const struct claude_traits *traits, struct claude_plan *p)
{
    switch (traits->off) {
    case CLAUDE_OFF_BY_DEFAULT: break;
    case CLAUDE_OFF_DISABLED: p->thinking = "disabled"; break;
    case CLAUDE_OFF_BETWEEN_TOOLS: p->thinking = "between_tools"; break;
    case CLAUDE_OFF_NEVER: p->effort = EFFORT_LOW; break;
    }
}

static void plan_adaptive(const struct claude_traits *traits, enum effort e, struct claude_plan *p)
{
    p->thinking = "adaptive";
    p->on = true;
    p->effort = e == EFFORT_MINIMAL ? EFFORT_LOW : e == EFFORT_XHIGH && !traits->xhigh ? EFFORT_HIGH : e;
}

/* The budget is part of max_tokens and must leave room for an answer. max_tokens is not raised for it: that limit is the client's,
 * and money was reserved by it. Where it is too small for any thinking, there is none. */
static void plan_budget(struct loss *loss, int64_t budget, struct claude_plan *p)
{
    int64_t most = p->max_tokens * 95 / 100;
    if (budget > most) budget = most;
    if (budget < BUDGET_LEAST && most > BUDGET_LEAST) budget = BUDGET_LEAST;
    if (budget < BUDGET_LEAST) {
        loss_addz(loss, "reasoning_effort");
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

struct claude_plan claude_plan_make(const struct chat *c, const struct claude_traits *traits, int64_t most,
                                    const struct turns *turns, struct loss *loss)
{
    int64_t known = most > 0 ? most : MAX_TOKENS_DEFAULT;
    struct claude_plan p = {.max_tokens = c->max_output > 0 ? c->max_output : known};
    enum effort e = c->thinking == THINKING_OFF ? EFFORT_NONE : c->effort;
    if (most > 0 && p.max_tokens > most) p.max_tokens = most;
    bool forced = c->tools != NULL && (c->tool_choice == TOOLS_REQUIRED || c->tool_choice == TOOLS_ONE);
    bool unfit = (forced && !traits->forced_tools_thinking) || (!traits->adaptive && lacks_thinking(turns));
    if (unfit && e != EFFORT_NONE && (e != EFFORT_UNSET || c->thinking != THINKING_UNSET)) {
        loss_addz(loss, "reasoning_effort"); /* the model would refuse the call otherwise */
        e = EFFORT_NONE;
    }
    if (e == EFFORT_NONE)
        plan_off(traits, &p);
    else if (traits->adaptive && c->thinking == THINKING_BUDGET && e == EFFORT_UNSET)
        plan_adaptive(traits, chat_effort_of_budget(c), &p);
    else if (traits->adaptive && (e != EFFORT_UNSET || c->thinking == THINKING_ADAPTIVE))
        plan_adaptive(traits, e, &p);
    else if (c->thinking == THINKING_BUDGET)
        plan_budget(loss, c->thinking_budget, &p);
    else if (e != EFFORT_UNSET)
        plan_budget(loss, p.max_tokens * percent_of(e) / 100, &p);
    return p;
}

bool claude_plan_has_thinking(const struct claude_plan *p)
{
    return p->budget > 0 || p->thinking != NULL;
}

void claude_plan_write_thinking(const struct claude_plan *p, const struct claude_traits *traits, struct buf *out)
{
    if (p->budget > 0)
        buf_addf(out, "{\"type\":\"enabled\",\"budget_tokens\":%lld}", (long long)p->budget);
    else
        buf_addf(out, "{\"type\":\"%s\"%s}", p->thinking,
                 p->on && traits->omits_thinking ? ",\"display\":\"summarized\"" : "");
}
