/* claude_plan.h — how a Claude model is asked to think, whichever API carries the request
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   none.
 * Fails:    never: where a model would refuse, thinking is left out and named as lost.
 * Not here: where the members stand in a body (anthropic_write.c, converse_write.c). */
#pragma once

#include "proto/dialect/chat.h"
#include "proto/dialect/model_traits.h"

struct turns;

struct claude_plan {
    int64_t max_tokens;
    int64_t budget;       /* above 0: thinking enabled with it */
    enum effort effort;   /* output_config.effort; EFFORT_UNSET: not sent */
    const char *thinking; /* type of `thinking` without a budget; NULL: not sent */
    bool on;              /* thinking is asked for here */
};

/* most: tokens the model can give; 0 unknown. Reasoning in turns that is not foreign must be the provider's own. */
struct claude_plan claude_plan_make(const struct chat *c, const struct claude_traits *traits, int64_t most,
                                    const struct turns *turns, struct loss *loss);
bool claude_plan_has_thinking(const struct claude_plan *p);
void claude_plan_write_thinking(const struct claude_plan *p, const struct claude_traits *traits, struct buf *out);
