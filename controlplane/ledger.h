/* ledger.h — the LMDB environment: usage records, what is summed of them, and small things that must survive a restart
 * Owns:     <state>/ledger/: data.mdb and lock.mdb. Tables: records (attempt id -> record), requests (request id + attempt id),
 *           rollups (hour, provider, model, route, key -> sums), meta (counters, ring positions), blobs.
 * Process:  control plane. One thread writes, any thread reads (ledger_read_begin); inside, a lock keeps readers off while the map grows.
 *           Blocks on the disk: never called on the loop thread but at start.
 * Memory:   the map, address space only; dirty pages during a commit.
 * Fails:    LEDGER_FULL leaves all as it was and may be tried again; LEDGER_BROKEN wants ledger_close() and a verification.
 * Not here: threads and retries (store.h), the walk over everything (ledger_verify.h), queries (ledger_query.h). */
#pragma once

#include "controlplane/record.h"
#include "proto/base/buf.h"

#include <lmdb.h>

struct ledger_conf {
    char dir[512];
    uint64_t
        max_bytes; /* of live pages; the oldest records go when they pass nine tenths of it. 0: 256 MiB; at least 1 MiB */
    uint64_t keep_records_ms; /* 0: as long as there is room */
    uint64_t keep_rollups_ms; /* 0: for ever */
};

enum ledger_result { LEDGER_OK, LEDGER_FULL, LEDGER_BROKEN };

struct ledger;

/* Opens the ledger, or makes it when `dir` does not exist (in dir.new, renamed when it is whole: a size of 0 never is our doing).
 * The incarnation is one more, on disk with the first commit. On failure *ret_why is filled. */
enum ledger_result ledger_open(const struct ledger_conf *conf, struct ledger **ret_ledger, char *ret_why,
                               unsigned why_bytes);
void ledger_close(struct ledger **l);

struct ledger_position { /* how far the ring of one journal file is in the ledger */
    uint64_t created_wall_ns;
    uint32_t worker;
    uint64_t tail;
};
struct ledger_blob {
    char key[64];
    struct str value; /* .p NULL: forget the key */
};
enum { LEDGER_BATCH = 1024 }; /* most records of one transaction */
struct ledger_batch {         /* one transaction */
    const struct usage_record *records;
    bool *inserted;         /* out: false for an attempt id that was there already */
    int64_t *existing_cost; /* out, for those: what was booked then. NULL: not asked */
    unsigned records_n;
    const struct ledger_position *positions;
    unsigned positions_n;
    const struct ledger_blob *blobs;
    unsigned blobs_n;
};
enum ledger_result ledger_commit(struct ledger *l, struct ledger_batch *batch, char *ret_why, unsigned why_bytes);

/* Retention, a bounded step (at most 1,000 records); now 0: only by size. *ret_more: call again. */
enum ledger_result ledger_trim(struct ledger *l, uint64_t now_wall_ns, bool *ret_more, char *ret_why,
                               unsigned why_bytes);
void ledger_reader_check(struct ledger *l); /* frees slots of readers that died */

struct ledger_stat {
    uint64_t used_bytes, file_bytes;
    uint64_t records, deleted;
    uint64_t incarnation;
};
void ledger_stat(struct ledger *l, struct ledger_stat *ret_stat); /* as of the last commit; any thread */

/* Reading, from any thread. */
bool ledger_get_blob(struct ledger *l, const char *key, struct buf *ret_value);
void ledger_each_blob(struct ledger *l, const char *prefix, void (*each)(void *ctx, const char *key, struct str value),
                      void *ctx);
bool ledger_get_position(struct ledger *l, uint64_t created_wall_ns, uint32_t worker, uint64_t *ret_tail);
bool ledger_has(struct ledger *l, const uint8_t attempt_id[16]);

/* A read transaction on the tables; short, or it pins old pages. NULL: not now. */
struct ledger_read {
    struct ledger *l;
    MDB_txn *txn;
    MDB_dbi records, requests, rollups;
};
bool ledger_read_begin(struct ledger *l, struct ledger_read *ret_read);
void ledger_read_end(struct ledger_read *r);

/* Keys, for queries and the verification. */
enum { LEDGER_REQUEST_KEY = 32 + 16, LEDGER_ROLLUP_KEY_MAX = 4 + NAME_PROVIDER + NAME_MODEL + NAME_ROUTE + NAME_KEY };
struct ledger_rollup_key {
    uint32_t hour; /* since 1970 */
    struct str provider, model, route, key;
};
size_t ledger_rollup_key_write(const struct ledger_rollup_key *k, uint8_t out[LEDGER_ROLLUP_KEY_MAX]);
bool ledger_rollup_key_read(const void *p, size_t n, struct ledger_rollup_key *ret_key);
uint64_t ledger_key_wall_ns(const void *attempt_id); /* its first eight bytes, big-endian */

#define LEDGER_HOUR_NS ((uint64_t)3600 * 1000000000u)
