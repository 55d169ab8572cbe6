/* live.c — the cells that every process changes. The difficulty: any of them may be killed between two instructions, so each change is
 * ordered such that the state in between errs towards refusing: money too high, a circuit still open, a probe that runs out. */
#include "shm/live.h"

#include <string.h>

int live_create(struct segment *ret_seg, const char **ret_why)
{
    int fd = segment_create("weir-live", SHM_LIVE, sizeof(struct live), ret_seg, ret_why);

    if (fd < 0) return -1;
    struct live *l = ret_seg->base;
    for (unsigned i = 0; i < SHM_TARGETS; i++) {
        atomic_store_explicit(&l->target[i].requests_left, UINT64_MAX, memory_order_relaxed);
        atomic_store_explicit(&l->target[i].tokens_left, UINT64_MAX, memory_order_relaxed);
    }
    return fd;
}

bool live_map(int fd, struct segment *ret_seg, const char **ret_why)
{
    struct segment seg;

    if (!segment_map(fd, SHM_LIVE, true, &seg, ret_why)) return false;
    if (seg.bytes != sizeof(struct live)) {
        segment_unmap(&seg);
        *ret_why = "live segment has another size";
        return false;
    }
    *ret_seg = seg;
    return true;
}

/* ---- circuit ---- */

static uint64_t get64(_Atomic uint64_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

static uint32_t circuit_of(struct live_target *t)
{
    return atomic_load_explicit(&t->circuit, memory_order_acquire);
}

/* false: somebody else moved it first. */
static bool circuit_move(struct live_target *t, uint32_t from, uint32_t to)
{
    if (!atomic_compare_exchange_strong(&t->circuit, &from, to)) return false;
    atomic_fetch_add_explicit(&t->transitions, 1, memory_order_relaxed);
    return true;
}

static void raise64(_Atomic uint64_t *p, uint64_t to)
{
    uint64_t seen = get64(p);

    while (seen < to && !atomic_compare_exchange_weak(p, &seen, to)) {
    }
}

bool live_target_is_shut(struct live_target *t, uint64_t now_ms)
{
    if (circuit_of(t) == CIRCUIT_HALF_OPEN) return now_ms < get64(&t->probe_until_mono_ms);
    return now_ms < get64(&t->open_until_mono_ms);
}

enum live_gate live_target_gate(struct live_target *t, uint64_t now_ms, uint32_t probe_ms)
{
    uint32_t circuit = circuit_of(t);

    if (circuit == CIRCUIT_CLOSED) return now_ms < get64(&t->open_until_mono_ms) ? GATE_SHUT : GATE_PASS;
    if (circuit == CIRCUIT_OPEN && now_ms < get64(&t->open_until_mono_ms)) return GATE_SHUT;

    /* One caller wins the probe; one that is never heard of again loses it by time. */
    uint64_t until = get64(&t->probe_until_mono_ms);
    if (now_ms < until || !atomic_compare_exchange_strong(&t->probe_until_mono_ms, &until, now_ms + probe_ms))
        return GATE_SHUT;
    if (circuit == CIRCUIT_OPEN) circuit_move(t, CIRCUIT_OPEN, CIRCUIT_HALF_OPEN);
    return GATE_PROBE;
}

bool live_target_is_benched(struct live_target *t, uint64_t now_ms)
{
    return circuit_of(t) == CIRCUIT_CLOSED && now_ms < get64(&t->open_until_mono_ms);
}

void live_target_ok(struct live_target *t, uint64_t ttft_us)
{
    atomic_fetch_add_explicit(&t->served, 1, memory_order_relaxed);
    if (ttft_us > 0) {
        uint64_t old = get64(&t->ttft_us_ewma); /* a lost update of a mean does no harm */
        atomic_store_explicit(&t->ttft_us_ewma, old == 0 ? ttft_us : old - old / 8 + ttft_us / 8, memory_order_relaxed);
    }
    if (atomic_load_explicit(&t->failures, memory_order_relaxed) != 0)
        atomic_store_explicit(&t->failures, 0, memory_order_relaxed);
    if (circuit_of(t) == CIRCUIT_HALF_OPEN) {
        atomic_store_explicit(&t->open_until_mono_ms, 0, memory_order_relaxed);
        circuit_move(t, CIRCUIT_HALF_OPEN, CIRCUIT_CLOSED);
        atomic_store_explicit(&t->probe_until_mono_ms, 0, memory_order_relaxed);
    }
}

/* open_until first: nobody may see an open circuit with an old time, which would read as "probe it". */
static void circuit_open(struct live_target *t, uint32_t from, uint64_t until_ms)
{
    raise64(&t->open_until_mono_ms, until_ms);
    atomic_store_explicit(&t->probe_until_mono_ms, 0, memory_order_relaxed);
    if (circuit_move(t, from, CIRCUIT_OPEN)) atomic_store_explicit(&t->failures, 0, memory_order_relaxed);
}

static void error_note(struct live_target *t, uint32_t err, uint64_t now_wall_ms)
{
    atomic_store_explicit(&t->last_error, err, memory_order_relaxed);
    atomic_store_explicit(&t->last_error_wall_ms, now_wall_ms, memory_order_relaxed);
}

void live_target_failed(struct live_target *t, const struct live_breaker *b, uint32_t err, uint64_t now_ms,
                        uint64_t now_wall_ms)
{
    atomic_fetch_add_explicit(&t->failed, 1, memory_order_relaxed);
    error_note(t, err, now_wall_ms);
    if (b->failures == 0) return;
    if (circuit_of(t) == CIRCUIT_HALF_OPEN) {
        circuit_open(t, CIRCUIT_HALF_OPEN, now_ms + b->open_ms);
        return;
    }
    uint64_t first = get64(&t->first_failure_mono_ms);
    uint32_t failures = atomic_fetch_add_explicit(&t->failures, 1, memory_order_relaxed) + 1;
    if (failures == 1 || now_ms - first > b->window_ms) {
        atomic_store_explicit(&t->first_failure_mono_ms, now_ms, memory_order_relaxed);
        atomic_store_explicit(&t->failures, 1, memory_order_relaxed);
        failures = 1;
    }
    if (failures >= b->failures && circuit_of(t) == CIRCUIT_CLOSED)
        circuit_open(t, CIRCUIT_CLOSED, now_ms + b->open_ms);
}

void live_target_bench(struct live_target *t, uint64_t until_ms, uint32_t err, uint64_t now_wall_ms)
{
    error_note(t, err, now_wall_ms);
    if (circuit_of(t) == CIRCUIT_HALF_OPEN)
        circuit_open(t, CIRCUIT_HALF_OPEN, until_ms);
    else
        raise64(&t->open_until_mono_ms, until_ms);
}

void live_target_probe_left(struct live_target *t)
{
    if (circuit_of(t) == CIRCUIT_HALF_OPEN) atomic_store_explicit(&t->probe_until_mono_ms, 0, memory_order_relaxed);
}

/* ---- retry budget: thousandths of a retry in the low 40 bits, the milliseconds of the last refill (modulo 2^24: 4.6 h) above ---- */

enum {
    RETRY_ONE = 1000,
    RETRY_DEPOSIT = 200,    /* 20 % of calls */
    RETRY_PER_MS = 10,      /* 10 retries a second */
    RETRY_MOST = 100 * 1000 /* what 10 s give for free */
};
#define RETRY_TOKENS_BITS 40
#define RETRY_CLOCK_MASK  0xFFFFFFu

static bool retry_change(struct live_target *t, uint64_t now_ms, int64_t change)
{
    uint64_t seen = get64(&t->retry_tokens), next;

    do {
        uint64_t since = (now_ms - (seen >> RETRY_TOKENS_BITS)) & RETRY_CLOCK_MASK;
        int64_t tokens = (int64_t)(seen & ((1ull << RETRY_TOKENS_BITS) - 1)) + (int64_t)since * RETRY_PER_MS;
        if (seen == 0 || tokens > RETRY_MOST) tokens = RETRY_MOST; /* never used: begins full */
        tokens += change;
        if (tokens < 0) return false;
        if (tokens > RETRY_MOST) tokens = RETRY_MOST;
        next = (now_ms & RETRY_CLOCK_MASK) << RETRY_TOKENS_BITS | (uint64_t)tokens;
    } while (!atomic_compare_exchange_weak(&t->retry_tokens, &seen, next));
    return true;
}

void live_in_flight_add(struct live *l, unsigned worker, uint16_t target, int by)
{
    _Atomic uint32_t *n = &l->in_flight[worker][target];
    /* One writer: no locked instruction. */
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + (uint32_t)by, memory_order_relaxed);
}

void live_in_flight_forget(struct live *l, unsigned worker)
{
    for (unsigned t = 0; t < SHM_TARGETS; t++)
        if (atomic_load_explicit(&l->in_flight[worker][t], memory_order_relaxed) != 0)
            atomic_store_explicit(&l->in_flight[worker][t], 0, memory_order_relaxed);
}

uint64_t live_target_in_flight(const struct live *l, uint16_t target)
{
    unsigned workers = atomic_load_explicit(&l->workers, memory_order_relaxed);
    uint64_t n = 0;
    for (unsigned w = 0; w < workers && w < SHM_WORKERS; w++)
        n += atomic_load_explicit(&l->in_flight[w][target], memory_order_relaxed);
    return n;
}

void live_retry_deposit(struct live_target *t, uint64_t now_ms)
{
    retry_change(t, now_ms, RETRY_DEPOSIT);
}

bool live_retry_take(struct live_target *t, uint64_t now_ms)
{
    return retry_change(t, now_ms, -RETRY_ONE);
}

/* ---- budgets ----
 *
 * committed is what calls are admitted against; base + shares is the truth that it is repaired from. Between two stores the truth is
 * never below what is really held or spent: shares are raised before committed changes and lowered after it. */

/* What may still be committed; a cell whose numbers make no sense has no room. */
static int64_t room(int64_t limit, int64_t committed)
{
    int64_t left;

    return committed < 0 || __builtin_sub_overflow(limit, committed, &left) ? -1 : left;
}

static int64_t money(_Atomic int64_t *p)
{
    return atomic_load(p);
}

bool live_budget_hold(struct live_budget *c, unsigned w, int64_t nanousd)
{
    int64_t limit = money(&c->limit_nanousd);
    int64_t seen = money(&c->committed_nanousd);

    if (w >= SHM_WORKERS || nanousd < 0 || nanousd > room(limit, seen)) return false;
    atomic_fetch_add(&c->share[w].held_nanousd, nanousd);
    while (nanousd <= room(limit, seen))
        if (atomic_compare_exchange_weak(&c->committed_nanousd, &seen, seen + nanousd)) return true;
    atomic_fetch_sub(&c->share[w].held_nanousd, nanousd);
    return false;
}

void live_budget_settle(struct live_budget *c, unsigned w, int64_t held_nanousd, int64_t actual_nanousd)
{
    if (w >= SHM_WORKERS) return;
    if (actual_nanousd >= 0) atomic_fetch_add(&c->share[w].settled_nanousd, actual_nanousd);
    atomic_fetch_add(&c->committed_nanousd, actual_nanousd - held_nanousd);
    if (actual_nanousd < 0)
        atomic_fetch_add(&c->share[w].settled_nanousd, actual_nanousd); /* a credit lowers the share */
    atomic_fetch_sub(&c->share[w].held_nanousd, held_nanousd);
}

struct shares { /* one look at all rows; held before settled, which a call passes in the other order */
    int64_t held[SHM_WORKERS], settled[SHM_WORKERS];
};

static void shares_read(struct live_budget *c, unsigned workers, struct shares *ret_s)
{
    for (unsigned w = 0; w < workers; w++) {
        ret_s->held[w] = money(&c->share[w].held_nanousd);
        ret_s->settled[w] = money(&c->share[w].settled_nanousd);
    }
}

int64_t live_budget_repair(struct live_budget *c, unsigned workers)
{
    struct shares first = {0}, second = {0};
    int64_t seen = money(&c->committed_nanousd), truth = money(&c->base_nanousd);

    if (workers > SHM_WORKERS) workers = SHM_WORKERS;
    shares_read(c, workers, &first);
    shares_read(c, workers, &second);
    if (memcmp(&first, &second, sizeof first) != 0) return 0; /* calls moved while we looked: next time */
    for (unsigned w = 0; w < workers; w++) truth += first.held[w] + first.settled[w];

    /* A call under way between its two stores looks like drift for nanoseconds: only what two repairs found alike is drift. */
    int64_t drift = seen - truth;
    bool again = money(&c->drift_seen_nanousd) == drift && money(&c->committed_seen_nanousd) == seen;
    atomic_store(&c->drift_seen_nanousd, drift);
    atomic_store(&c->committed_seen_nanousd, seen);
    if (drift == 0 || !again || !atomic_compare_exchange_strong(&c->committed_nanousd, &seen, truth)) return 0;
    atomic_store(&c->drift_seen_nanousd, 0);
    return drift;
}

void live_budget_fold(struct live_budget *c, unsigned w)
{
    if (w >= SHM_WORKERS) return;
    /* base first: killed in between, the cell counts this row twice until its window ends, and never too little. */
    int64_t held = money(&c->share[w].held_nanousd), settled = money(&c->share[w].settled_nanousd);
    atomic_fetch_add(&c->base_nanousd, held + settled);
    atomic_fetch_sub(&c->share[w].held_nanousd, held);
    atomic_fetch_sub(&c->share[w].settled_nanousd, settled);
}
