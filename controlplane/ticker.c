#include "controlplane/ticker.h"

#include "controlplane/core.h"
#include "proto/base/clock.h"
#include "shm/tick.h"

#include <unistd.h>

static const struct snap_provider *provider_of(const struct snap *sn, const struct snap_leg *leg)
{
    return &sn->providers[sn->targets[leg->target].provider];
}

static bool is_down(const struct core *c, const struct snap_provider *p)
{
    return prober_verdict(c->prober, p->id)->health == TICK_DOWN;
}

/* What people set, by stable id; too large for the stack of a callback. */
static uint32_t set_weight[SHM_LEGS];
static uint8_t set_drained[SHM_TARGETS];

static void fill_targets(const struct core *c, struct tick_side *side)
{
    const struct snap *sn = c->snap;
    for (uint32_t i = 0; i < sn->s->targets.n; i++) {
        const struct snap_target *t = &sn->targets[i];
        const struct probe_verdict *v = prober_verdict(c->prober, sn->providers[t->provider].id);
        side->target[t->id] =
            (struct tick_target){.drained = set_drained[t->id], .health = v->health, .reason = (uint16_t)v->err};
    }
}

/* Configured or set by people, times health. If that leaves nobody, health is not believed: a wrong verdict must not stop a route. */
static void fill_route(const struct core *c, struct tick_side *side, const struct snap_route *route)
{
    const struct snap *sn = c->snap;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < route->legs.n + route->fallbacks.n; i++) {
        bool fallback = i >= route->legs.n;
        const struct snap_leg *leg =
            &sn->legs[fallback ? route->fallbacks.first + i - route->legs.n : route->legs.first + i];
        struct tick_leg *row = &side->leg[leg->id];
        row->configured = set_weight[leg->id];
        row->weight = is_down(c, provider_of(sn, leg)) ? 0 : row->configured;
        if (!fallback) sum += row->weight;
    }
    for (uint32_t i = 0; sum == 0 && i < route->legs.n; i++) {
        struct tick_leg *row = &side->leg[sn->legs[route->legs.first + i].id];
        row->weight = row->configured;
    }
}

static void fill_providers(const struct core *c, struct tick_side *side)
{
    for (uint32_t i = 0; i < c->snap->s->providers.n; i++) {
        uint16_t id = c->snap->providers[i].id;
        resolver_row(c->resolver, id, &side->provider[id]);
    }
}

void ticker_publish(struct core *c)
{
    struct tick *t = c->tick_seg.base;
    struct tick_side *side = tick_begin(t);
    side->serial = c->serial;
    side->written_mono_ms = clock_mono_ms();
    overrides_apply(c->overrides, set_weight, set_drained);
    fill_targets(c, side);
    for (uint32_t i = 0; i < c->snap->s->routes.n; i++) fill_route(c, side, &c->snap->routes[i]);
    fill_providers(c, side);
    tick_publish(t);
}

bool ticker_start(struct core *c, uint64_t incarnation, const char **ret_why)
{
    c->tick_fd = tick_create(incarnation, &c->tick_seg, ret_why);
    return c->tick_fd >= 0;
}

void ticker_stop(struct core *c)
{
    if (c->tick_seg.base != NULL) segment_unmap(&c->tick_seg);
    if (c->tick_fd >= 0) close(c->tick_fd);
    c->tick_fd = -1;
}
