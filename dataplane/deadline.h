/* deadline.h — a point in time that is moved often and reached seldom
 * Owns:     one uv_timer_t. Moving the point later costs one store: the timer goes off at the old point and is set anew.
 * Process:  worker only.
 * Memory:   embedded; closed with the handles of who embeds it.
 * Fails:    never.
 * Not here: what follows when it is reached: the callback records a fact. */
#pragma once

#include <stdint.h>
#include <uv.h>

struct deadline {
    uv_timer_t timer;
    uint64_t at_ms;    /* by uv_now(); 0: none */
    uint64_t armed_ms; /* when the timer goes off; 0: not running */
    void (*reached)(struct deadline *d);
    void *owner;
};

void deadline_init(struct deadline *d, uv_loop_t *loop, void (*reached)(struct deadline *d), void *owner);
void deadline_set(struct deadline *d, uint64_t at_ms);
void deadline_in(struct deadline *d, uint64_t ms);
void deadline_clear(struct deadline *d);
