#include "controlplane/drain.h"

#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "shm/journal.h"
#include "shm/live.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 100,       /* one commit costs about a millisecond of CPU, most of it in the kernel */
    LOOK_MS = 1000,      /* for slots of the dead, where nobody said that someone died */
    SCAN_MS = 5000,      /* a journal that could not be opened is tried again */
    JOURNALS = 64,       /* files of a state directory: SHM_WORKERS and those of older, wider configurations */
    RECOVER_SLOTS = 256, /* of one journal in one batch */
};

struct tap { /* one journal */
    struct journal_map map;
    unsigned number;
    bool open;
    bool insane;      /* said once */
    uint64_t taken;   /* everything before this is in the ledger */
    uint64_t next;    /* everything before this is in the ledger or in the batch */
    uint64_t look_ms; /* next look for dead slots */
    bool recovering;  /* dead slots were seen; they are due when `taken` has passed recover_at */
    uint64_t recover_at;
};

struct batch {
    struct store_batch store;
    struct drain *d;
    struct usage_record *records;
    bool *inserted;
    int64_t *existing;
    struct ledger_position positions[JOURNALS];
    struct tap *recovers; /* NULL: from rings; else the slots of this journal */
    uint16_t *slots;
};

struct drain {
    struct drain_conf conf;
    char dir[512];
    uv_loop_t *loop;
    uv_timer_t timer;
    struct tap taps[JOURNALS];
    unsigned taps_n, turn;
    struct batch *flight; /* at the store; one at a time, so that order is kept */
    uint64_t scan_at_ms;
    struct drain_counters count;

    bool stopping;
    uint64_t stop_at_ms;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

/* ---- journals ---- */

static bool journal_number(const char *name, unsigned *ret_number)
{
    uint64_t n;
    struct str s = str_of(name), prefix = STR("journal.");
    if (!str_starts(s, prefix) || !str_u64(str_slice(s, prefix.n, s.n), &n) || n > 9999) return false;
    *ret_number = (unsigned)n;
    return true;
}

/* Where to go on: the ledger knows what it has. The ring's own tail is never ahead of it, unless the ledger lost its last commits;
 * then what the ring still holds is read again, and what it has twice is recognised by its attempt id. */
static void find_position(struct drain *d, struct tap *t)
{
    const struct journal *j = t->map.j;
    uint64_t head = journal_head(j), tail = atomic_load_explicit(&j->ring_tail, memory_order_acquire), known;
    t->taken = tail <= head ? tail : head;
    if (store_position(d->conf.store, j->created_wall_ns, j->worker, &known) && known <= head) t->taken = known;
    if (head - t->taken > JOURNAL_RING_RECORDS) {
        d->count.unreadable += head - t->taken - JOURNAL_RING_RECORDS;
        t->taken = head - JOURNAL_RING_RECORDS;
    }
    t->next = t->taken;
}

static void open_tap(struct drain *d, unsigned number)
{
    const char *why = NULL;
    for (unsigned i = 0; i < d->taps_n; i++)
        if (d->taps[i].number == number) return;
    if (d->taps_n == JOURNALS) return;
    struct tap *t = &d->taps[d->taps_n];
    *t = (struct tap){.number = number};
    if (!journal_open_existing(d->dir, number, &t->map, &why))
        return; /* the supervisor renames what is broken; a file that it is just making comes with the next scan */
    t->open = true;
    d->taps_n++;
    find_position(d, t);
}

static bool scan(struct drain *d)
{
    DIR *dir = opendir(d->dir);
    const struct dirent *entry;
    unsigned number;
    if (dir == NULL) return false;
    while ((entry = readdir(dir)) != NULL)
        if (journal_number(entry->d_name, &number)) open_tap(d, number);
    closedir(dir);
    d->scan_at_ms = clock_mono_ms() + SCAN_MS;
    return true;
}

/* ---- batches ---- */

static void on_done(struct store_batch *sb);

static struct batch *new_batch(struct drain *d, size_t records)
{
    struct batch *b = xcalloc(1, sizeof *b);
    b->d = d;
    b->records = xmalloc(records * sizeof *b->records);
    b->inserted = xcalloc(records, sizeof *b->inserted);
    return b;
}

static void free_batch(struct batch *b)
{
    free(b->records);
    free(b->inserted);
    free(b->existing);
    free(b->slots);
    free(b);
}

static void submit(struct drain *d, struct batch *b)
{
    b->store.done = on_done;
    b->store.user = b;
    b->store.work.records = b->records;
    b->store.work.inserted = b->inserted;
    b->store.work.existing_cost = b->existing;
    b->store.work.positions = b->positions;
    d->flight = b;
    if (d->conf.on_taken != NULL) d->conf.on_taken(d->conf.ctx, b->records, b->store.work.records_n);
    store_submit(d->conf.store, &b->store);
}

static uint64_t waiting_in(struct drain *d, struct tap *t)
{
    if (!journal_is_sane(t->map.j)) {
        d->count.insane += !t->insane;
        t->insane = true;
        return 0;
    }
    t->insane = false;
    uint64_t head = journal_head(t->map.j);
    return head > t->next ? head - t->next : 0;
}

static void read_ring(struct drain *d, struct tap *t, struct batch *b, uint64_t n)
{
    for (; n > 0; n--, t->next++) {
        if (journal_read(t->map.j, t->next, &b->records[b->store.work.records_n]))
            b->store.work.records_n++;
        else
            d->count.unreadable++;
    }
    b->positions[b->store.work.positions_n++] = (struct ledger_position){
        .created_wall_ns = t->map.j->created_wall_ns, .worker = t->map.j->worker, .tail = t->next};
}

/* One batch from all rings, each in its turn first, so that a busy one does not starve the others. */
static bool submit_rings(struct drain *d)
{
    uint64_t waiting[JOURNALS], total = 0;
    for (unsigned i = 0; i < d->taps_n; i++) total += waiting[i] = waiting_in(d, &d->taps[i]);
    if (total == 0) return false;
    uint64_t room = total < DRAIN_BATCH ? total : DRAIN_BATCH;
    struct batch *b = new_batch(d, room);
    unsigned first = d->turn++;
    for (unsigned i = 0; i < d->taps_n && room > 0; i++) {
        unsigned at = (first + i) % d->taps_n;
        uint64_t n = waiting[at] < room ? waiting[at] : room;
        if (n > 0) read_ring(d, &d->taps[at], b, n);
        room -= n;
    }
    submit(d, b);
    return true;
}

/* The record that a dead worker's open attempt becomes. */
static void make_estimate(struct usage_record *r)
{
    r->outcome = OUTCOME_WORKER_DIED;
    r->flags |= RECORD_ESTIMATED | RECORD_FINAL;
    r->basis = PRICE_BASIS_ESTIMATED;
    r->cost_nanousd = r->bound_nanousd;
    if (r->bound_nanousd < 0) r->basis = PRICE_BASIS_NONE;
    r->kind = RECORD_ATTEMPT;
}

static bool submit_recovery(struct drain *d, struct tap *t)
{
    struct batch *b = new_batch(d, RECOVER_SLOTS);
    struct slot_hold holds[SHM_BUDGETS_PER_CALL];
    unsigned n = 0, holds_n;
    b->slots = xmalloc(RECOVER_SLOTS * sizeof *b->slots);
    b->existing = xcalloc(RECOVER_SLOTS, sizeof *b->existing);
    for (unsigned i = 0; i < JOURNAL_SLOTS && n < RECOVER_SLOTS; i++) {
        enum slot_state state = journal_slot_dead(t->map.j, i);
        if (state == SLOT_FREE) continue;
        if (state == SLOT_BOOKED || !journal_slot_draft(t->map.j, i, &b->records[n], holds, &holds_n)) {
            d->count.unreadable += state != SLOT_BOOKED;
            journal_slot_free(&t->map, i);
            continue;
        }
        make_estimate(&b->records[n]);
        b->slots[n++] = (uint16_t)i;
    }
    if (n == 0) {
        free_batch(b);
        t->recovering = false;
        return false;
    }
    b->store.work.records_n = n;
    b->recovers = t;
    submit(d, b);
    return true;
}

static void settle_holds(struct drain *d, struct tap *t, unsigned slot, int64_t cost_nanousd)
{
    struct slot_hold holds[SHM_BUDGETS_PER_CALL];
    struct usage_record draft;
    unsigned n = 0;
    if (d->conf.live == NULL || t->number >= SHM_WORKERS || !journal_slot_holds_live(t->map.j, slot) ||
        !journal_slot_draft(t->map.j, slot, &draft, holds, &n))
        return;
    for (unsigned i = 0; i < n; i++) {
        bool in_range = holds[i].cell < (holds[i].is_session ? (uint32_t)SHM_SESSIONS : (uint32_t)SHM_BUDGETS);
        if (!in_range) continue;
        struct live_budget *cell =
            holds[i].is_session ? &d->conf.live->session[holds[i].cell] : &d->conf.live->budget[holds[i].cell];
        live_budget_settle(cell, t->number, holds[i].nanousd, cost_nanousd < 0 ? holds[i].nanousd : cost_nanousd);
    }
}

static void finish_recovery(struct drain *d, struct batch *b)
{
    struct tap *t = b->recovers;
    unsigned estimates = 0;
    for (unsigned i = 0; i < b->store.work.records_n; i++) {
        estimates += b->inserted[i];
        journal_slot_booked(&t->map, b->slots[i]);
        settle_holds(d, t, b->slots[i], b->inserted[i] ? b->records[i].cost_nanousd : b->existing[i]);
        journal_slot_free(&t->map, b->slots[i]);
    }
    d->count.estimates += estimates;
    if (journal_dead_slots(t->map.j) == 0) t->recovering = false;
    if (!t->recovering && d->conf.on_recovered != NULL) d->conf.on_recovered(d->conf.ctx, t->number, estimates);
}

static void finish_rings(struct drain *d, const struct batch *b)
{
    for (unsigned i = 0; i < d->taps_n; i++) {
        struct tap *t = &d->taps[i];
        if (t->taken == t->next) continue;
        t->taken = t->next;
        journal_consumed(&t->map, t->taken);
    }
    for (unsigned i = 0; i < b->store.work.records_n; i++) d->count.duplicates += !b->inserted[i];
}

/* ---- the tick ---- */

static void look_for_dead(struct tap *t, uint64_t now_ms)
{
    if (t->recovering || now_ms < t->look_ms) return;
    t->look_ms = now_ms + LOOK_MS;
    if (journal_dead_slots(t->map.j) == 0) return;
    t->recovering = true;
    t->recover_at = journal_head(t->map.j); /* what the dead wrote is before this */
}

static bool submit_next(struct drain *d)
{
    uint64_t now = clock_mono_ms();
    if (d->flight != NULL) return true;
    for (unsigned i = 0; i < d->taps_n; i++) {
        struct tap *t = &d->taps[i];
        look_for_dead(t, now);
        if (t->recovering && t->taken >= t->recover_at && submit_recovery(d, t)) return true;
    }
    return submit_rings(d);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct drain *d = handle->data;
    void (*stopped)(void *ctx) = d->stopped;
    void *ctx = d->stopped_ctx;
    for (unsigned i = 0; i < d->taps_n; i++) journal_close(&d->taps[i].map);
    /* A batch that is still at the store (full disk at the end) belongs to it until the store is closed; it is in the rings, too. */
    if (d->flight != NULL) d->flight->d = NULL;
    free(d);
    if (stopped != NULL) stopped(ctx);
}

static void stop_if_done(struct drain *d)
{
    bool idle = d->flight == NULL && !submit_next(d);
    if (idle || clock_mono_ms() >= d->stop_at_ms) {
        uv_timer_stop(&d->timer);
        if (!uv_is_closing((uv_handle_t *)&d->timer)) uv_close((uv_handle_t *)&d->timer, on_timer_closed);
    }
}

static void on_done(struct store_batch *sb)
{
    struct batch *b = sb->user;
    struct drain *d = b->d;
    if (d != NULL) d->flight = NULL;
    if (d == NULL || sb->lost) { /* it stays in the rings */
        free_batch(b);
        return;
    }
    if (b->recovers != NULL)
        finish_recovery(d, b);
    else
        finish_rings(d, b);
    for (unsigned i = 0; i < sb->work.records_n; i++) {
        if (!b->inserted[i]) continue;
        d->count.drained++;
        if (d->conf.on_record != NULL) d->conf.on_record(d->conf.ctx, &b->records[i]);
    }
    bool was_full = sb->work.records_n == DRAIN_BATCH || b->recovers != NULL;
    free_batch(b);
    if (d->stopping)
        stop_if_done(d);
    else if (was_full)
        submit_next(d);
}

/* At the very first start the supervisor makes the journals only after this process has said how many workers there are. */
static bool lacks_journals(const struct drain *d)
{
    return d->conf.live != NULL && d->taps_n < atomic_load_explicit(&d->conf.live->workers, memory_order_acquire);
}

static void on_tick(uv_timer_t *timer)
{
    struct drain *d = timer->data;
    uint64_t now = clock_mono_ms();
    if (d->stopping) {
        stop_if_done(d);
        return;
    }
    if (now >= d->scan_at_ms || lacks_journals(d)) scan(d);
    submit_next(d);
    uv_timer_start(timer, on_tick, d->conf.tick_ms > 0 ? d->conf.tick_ms : TICK_MS, 0);
}

struct drain *drain_start(uv_loop_t *loop, const struct drain_conf *conf, const char **ret_why)
{
    struct drain *d = xcalloc(1, sizeof *d);
    d->conf = *conf;
    d->loop = loop;
    size_t n = strnlen(conf->state_dir, sizeof d->dir);
    if (n < sizeof d->dir) memcpy(d->dir, conf->state_dir, n);
    if (n == sizeof d->dir || !scan(d)) {
        *ret_why = "the state directory cannot be read";
        free(d);
        return NULL;
    }
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    uv_timer_start(&d->timer, on_tick, 0, 0);
    return d;
}

void drain_worker_died(struct drain *d, unsigned worker)
{
    for (unsigned i = 0; i < d->taps_n; i++)
        if (d->taps[i].number == worker) d->taps[i].look_ms = 0;
    if (!d->stopping) uv_timer_start(&d->timer, on_tick, 0, 0);
}

void drain_stop(struct drain **dp, unsigned ms, void (*done)(void *ctx), void *ctx)
{
    struct drain *d = *dp;
    *dp = NULL;
    if (d == NULL) {
        if (done != NULL) done(ctx);
        return;
    }
    d->stopping = true;
    d->stop_at_ms = clock_mono_ms() + ms;
    d->stopped = done;
    d->stopped_ctx = ctx;
    uv_timer_start(&d->timer, on_tick, 0, 20);
}

void drain_count(struct drain *d, struct drain_counters *ret_counters)
{
    struct drain_counters c = d->count;
    c.journals = d->taps_n;
    for (unsigned i = 0; i < d->taps_n; i++) {
        uint64_t head = journal_head(d->taps[i].map.j);
        c.waiting += head > d->taps[i].taken ? head - d->taps[i].taken : 0;
        c.dropped += atomic_load_explicit(&d->taps[i].map.j->count.dropped, memory_order_relaxed);
    }
    *ret_counters = c;
}
