#include "dataplane/route.h"

#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/request.h"
#include "proto/dialect/provider_type.h"
#include "shm/live.h"
#include "shm/tick.h"

enum { PROBE_MS = 60 * 1000 }; /* a probing call that has not ended by then lets another one try */

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate t = *a;
    *a = *b;
    *b = t;
}

/* 0 is tried first. */
static int class_of(const struct candidate *c)
{
    if (c->down || (!c->fallback && c->weight == 0)) return c->fallback ? 3 : 2;
    return c->fallback ? 1 : 0;
}

/* Stable: within a class the file's order stays. */
static void sort_by_class(struct candidate *c, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && class_of(&c[k]) < class_of(&c[k - 1]); k--) swap(&c[k], &c[k - 1]);
}

/* One after the other, each with a chance of its weight among those not yet drawn. */
static void draw_by_weight(struct candidate *c, size_t n, uint64_t (*next)(void *source), void *source)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += c[i].weight;
    for (size_t i = 0; i + 1 < n && sum > 0; i++) {
        uint64_t at = next(source) % sum;
        size_t k = i;
        while (at >= c[k].weight) at -= c[k++].weight;
        struct candidate drawn = c[k];
        for (; k > i; k--) c[k] = c[k - 1];
        c[i] = drawn;
        sum -= drawn.weight;
    }
}

void route_order(struct candidate *c, size_t n, bool weighted, uint64_t (*next)(void *source), void *source)
{
    size_t first = 0;
    sort_by_class(c, n);
    while (first < n && class_of(&c[first]) == 0) first++;
    if (weighted) draw_by_weight(c, first, next, source);
}

/* ---- from shared memory ---- */

static uint64_t next_random(void *w)
{
    return core_random(w);
}

static void add(struct request *r, uint32_t leg_index, uint16_t target, bool fallback)
{
    const struct snap *sn = r->gen->sn;
    const struct snap_leg *leg = &sn->legs[leg_index];
    struct tick_target t = tick_read_target(r->w->tick, sn->targets[target].id);
    struct tick_leg l = tick_read_leg(r->w->tick, leg->id);
    if (t.drained || r->plan.n == PLAN_MOST) return;
    /* a leg that the tick does not know yet: the snapshot is newer */
    bool known = l.configured > 0 || l.weight > 0 || tick_serial(r->w->tick) >= sn->s->serial;
    r->plan.c[r->plan.n++] = (struct candidate){
        .leg = leg_index,
        .target = target,
        .weight = known ? l.weight : leg->weight,
        .fallback = fallback,
        .down = t.health == TICK_DOWN,
    };
}

/* The model's name named its target: that one alone, over its own leg or over the leg of its provider that takes any model. */
static void add_named(struct request *r)
{
    const struct snap *sn = r->gen->sn;
    const struct snap_target *named = &sn->targets[r->named_target];
    for (uint32_t i = 0; i < r->route->legs.n + r->route->fallbacks.n; i++) {
        bool fallback = i >= r->route->legs.n;
        uint32_t leg = fallback ? r->route->fallbacks.first + i - r->route->legs.n : r->route->legs.first + i;
        const struct snap_target *t = &sn->targets[sn->legs[leg].target];
        if (t == named || (t->model.n == 0 && t->provider == named->provider)) {
            add(r, leg, r->named_target, false);
            return;
        }
    }
}

void route_plan(struct request *r)
{
    const struct snap *sn = r->gen->sn;
    const struct snap_route *route = r->route;
    r->plan.n = r->plan.next = 0;
    if (r->named_target != ID_NONE) {
        add_named(r);
        return;
    }
    for (uint32_t i = 0; i < route->legs.n; i++)
        add(r, route->legs.first + i, sn->legs[route->legs.first + i].target, false);
    for (uint32_t i = 0; i < route->fallbacks.n; i++)
        add(r, route->fallbacks.first + i, sn->legs[route->fallbacks.first + i].target, true);
    route_order(r->plan.c, r->plan.n, route->strategy == SNAP_WEIGHTED, next_random, r->w);
}

void route_pin(struct request *r, uint32_t leg)
{
    r->plan.n = r->plan.next = 0;
    add(r, leg, r->gen->sn->legs[leg].target, false);
}

bool route_has_endpoint(const struct snap_provider *p, enum dialect_id dialect)
{
    bool own_paths = provider_type_of(p->type)->path != NULL; /* Vertex: its embeddings have a form of their own */
    uint32_t spoken = p->dialects | UINT32_C(1) << p->dialect;
    bool openai = dialect == DIALECT_OPENAI_CHAT || dialect == DIALECT_RESPONSES;
    return (spoken >> dialect & 1) != 0 && !(own_paths && !openai);
}

struct str route_model(const struct request *r, const struct snap_target *t)
{
    const struct snap *sn = r->gen->sn;
    if (request_is_passed(r) && (r->call.model.n == 0 || r->endpoint->kind == ENDPOINT_RAW)) return r->call.model;
    if (t->model.n > 0) return snap_text(sn, t->model);
    struct str rest = r->call.model, provider = str_split(&rest, '/');
    return rest.n > 0 && str_eq(provider, snap_text(sn, sn->providers[t->provider].name)) ? rest : r->call.model;
}

static bool was_tried(const struct request *r, uint16_t target)
{
    for (unsigned i = 0; i < r->plan.next; i++)
        if (r->plan.c[i].target == target) return true;
    return false;
}

static void aim(struct request *r, const struct candidate *c)
{
    const struct snap *sn = r->gen->sn;
    const struct snap_target *t = &sn->targets[c->target];
    r->target = t;
    r->provider = &sn->providers[t->provider];
    r->same_tries = 0;
    r->model = route_model(r, t);
}

static bool take(struct request *r, const struct candidate *c)
{
    struct live_target *t = core_target(r->w, r->gen->sn->targets[c->target].id);
    enum live_gate gate = live_target_gate(t, uv_now(&r->w->loop), PROBE_MS);
    if (gate == GATE_SHUT) return false;
    r->probing = gate == GATE_PROBE;
    aim(r, c);
    return true;
}

bool route_last_resort(struct request *r)
{
    for (unsigned i = 0; i < r->plan.n; i++) {
        struct live_target *t = core_target(r->w, r->gen->sn->targets[r->plan.c[i].target].id);
        uint32_t last = atomic_load_explicit(&t->last_error, memory_order_relaxed);
        if ((last != WEIR_UP_RATE_LIMIT && last != WEIR_UP_OVERLOADED) ||
            !live_target_is_benched(t, uv_now(&r->w->loop)))
            continue;
        r->probing = false;
        aim(r, &r->plan.c[i]);
        return true;
    }
    return false;
}

bool route_next(struct request *r)
{
    while (r->plan.next < r->plan.n) {
        const struct candidate *c = &r->plan.c[r->plan.next];
        bool again = was_tried(r, c->target);
        r->plan.next++;
        if (!again && take(r, c)) return true;
    }
    return false;
}
