#include "dataplane/deadline.h"

static void on_timer(uv_timer_t *t)
{
    struct deadline *d = t->data;
    uint64_t now = uv_now(t->loop);
    d->armed_ms = 0;
    if (d->at_ms == 0) return;
    if (now < d->at_ms) { /* it was moved while the timer ran */
        deadline_set(d, d->at_ms);
        return;
    }
    d->at_ms = 0;
    d->reached(d);
}

void deadline_init(struct deadline *d, uv_loop_t *loop, void (*reached)(struct deadline *d), void *owner)
{
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    d->at_ms = d->armed_ms = 0;
    d->reached = reached;
    d->owner = owner;
}

void deadline_set(struct deadline *d, uint64_t at_ms)
{
    d->at_ms = at_ms;
    if (at_ms == 0 || (d->armed_ms != 0 && d->armed_ms <= at_ms)) return;
    uint64_t now = uv_now(d->timer.loop);
    d->armed_ms = at_ms > now ? at_ms : now + 1;
    uv_timer_start(&d->timer, on_timer, d->armed_ms - now, 0);
}

void deadline_in(struct deadline *d, uint64_t ms)
{
    deadline_set(d, uv_now(d->timer.loop) + ms);
}

void deadline_clear(struct deadline *d)
{
    d->at_ms = 0;
}
