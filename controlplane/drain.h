/* drain.h — from the workers' journals into the ledger: every record once, whoever was killed when
 * Owns:     the control plane's mapping of each journal, and how far its ring has been taken over.
 * Process:  control plane, loop thread.
 * Memory:   one batch of at most DRAIN_BATCH records while it is being committed.
 * Fails:    a ledger that cannot be written leaves the records in the rings; an unreadable record is counted and passed over.
 * Not here: the ledger (store.h), the request log (reqlog.h) and counters (metrics.h): they hang on on_record.
 *
 * Order, which recovery rests on: records and ring position in one transaction; then the ring's tail; then on_record. Slots of dead
 * writers come after the ring they wrote: a draft whose attempt id is in neither becomes an estimate at its bound. */
#pragma once

#include "controlplane/store.h"

enum { DRAIN_BATCH = LEDGER_BATCH };

struct drain_conf {
    const char *state_dir;
    struct live *live; /* for the holds of dead workers' calls; NULL: none are settled */
    struct store *store;
    unsigned tick_ms; /* 0: 100 */
    /* Records read from the rings, before they are committed: what is put into the store here is on disk with them. May be NULL. */
    void (*on_taken)(void *ctx, const struct usage_record *records, unsigned n);
    void (*on_record)(void *ctx, const struct usage_record *r);           /* each new record, after its commit */
    void (*on_recovered)(void *ctx, unsigned worker, unsigned estimates); /* may be NULL */
    void *ctx;
};

struct drain;

/* Opens the journals of the directory and begins. NULL: the directory cannot be read. */
struct drain *drain_start(uv_loop_t *loop, const struct drain_conf *conf, const char **ret_why);
/* Looks at once instead of at the next tick: the worker's slots have been retired by the supervisor. */
void drain_worker_died(struct drain *d, unsigned worker);
/* Takes what is in the rings, at most `ms`, then ends; done on the loop thread, after that store_close() may be called. */
void drain_stop(struct drain **d, unsigned ms, void (*done)(void *ctx), void *ctx);

struct drain_counters {
    uint64_t drained;    /* records new in the ledger */
    uint64_t duplicates; /* found there already: a control plane died between commit and tail */
    uint64_t unreadable; /* torn, foreign or overwritten; passed over */
    uint64_t estimates;  /* attempts of dead workers, booked at their bound */
    uint64_t waiting;    /* in the rings now, not in the ledger */
    uint64_t dropped;    /* by workers whose ring was full */
    unsigned journals, insane;
};
void drain_count(struct drain *d, struct drain_counters *ret_counters);
