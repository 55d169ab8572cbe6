/* store.h — the ledger behind threads: the loop hands over work and is called back, and never waits for the disk
 * Owns:     the ledger, a writer thread (commits, growth, retention, retries), a query thread (short read transactions), a copy in memory
 *           of the small blobs.
 * Process:  control plane. Every function here is for the loop thread; callbacks come on the loop thread; only job->run runs elsewhere.
 * Memory:   a batch belongs to the store from store_submit() until its `done`; blobs are copied.
 * Fails:    a full disk keeps the batch and tries again each second (store_state.full); a broken ledger is verified, set aside as
 *           "ledger.corrupt-<time>" when it is not sound, and begun anew (store_state.corrupt). Nothing is dropped.
 * Not here: what the records mean (drain.h), queries (ledger_query.h). */
#pragma once

#include "controlplane/ledger.h"

#include <uv.h>

struct store_conf {
    struct ledger_conf ledger;
    const char *verify_exe; /* NULL: this program */
    uint64_t boot_id;       /* of the machine; 0: unknown */
};

struct store;

struct store_batch {
    struct ledger_batch work; /* records, inserted, positions: filled by who submits */
    void (*done)(struct store_batch *b);
    void *user;
    bool lost;                /* the store was closed before the batch could be written */
    struct store_batch *next; /* of the store */
};

struct store_job {                                      /* a read on the query thread */
    void (*run)(struct store_job *j, struct ledger *l); /* l NULL: the ledger is not open now */
    void (*done)(struct store_job *j);
    void *user;
    struct store_job *next; /* of the store */
};

struct store_state {
    bool open;         /* the ledger can be written and read */
    bool full;         /* the last try found no room on the disk */
    bool corrupt;      /* a ledger was set aside by this process */
    uint64_t failures; /* commits that did not succeed at once */
    uint64_t commits, records;
    char corrupt_name[560];
    char error[200]; /* the last one; empty when all is well */
    struct ledger_stat ledger;
};

/* Verifies, opens and counts the incarnation, blocking (milliseconds; a large ledger some hundred); then starts the writer thread.
 * Not verified again is a ledger that was closed in order and not changed since, nor one that a control plane had used for a while when
 * it was killed, as long as the machine has not started anew: that harms no file.
 * Never fails for what is wrong with the disk or the file: the state says so and the writer keeps trying. NULL: no thread. */
struct store *store_open(uv_loop_t *loop, const struct store_conf *conf, const char **ret_why);
/* One last commit of what waits, then the threads end; the memory dies a loop turn later. */
void store_close(struct store **s);

void store_submit(struct store *s, struct store_batch *b);
void store_query(struct store *s, struct store_job *j);
void store_state(struct store *s, struct store_state *ret_state);

/* ---- blobs: last accepted configuration, run-time weights, drains, stable ids. Keys below 64 bytes. From memory, at once ---- */
bool store_get(struct store *s, const char *key, struct str *ret_value); /* view until the next put of that key */
void store_put(struct store *s, const char *key, struct str value);      /* on disk within about 50 ms */
void store_forget(struct store *s, const char *key);
/* `each` must not call back into the store. */
void store_each(struct store *s, const char *prefix, void (*each)(void *ctx, const char *key, struct str value),
                void *ctx);
uint64_t store_incarnation(struct store *s); /* counts the control planes of this ledger, from 1; 0: it is not open */

/* For the start of drain.h, before the loop runs. */
bool store_position(struct store *s, uint64_t created_wall_ns, uint32_t worker, uint64_t *ret_tail);
