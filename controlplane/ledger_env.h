/* ledger_env.h — what the files ledger*.c know together
 * Owns:     the environment's inside: handles, lock, the counters row.
 * Process:  control plane, and the process that verifies.
 * Memory:   none.
 * Fails:    counters_decode() is false for anything that we did not write.
 * Not here: anything for other modules. */
#pragma once

#include "controlplane/ledger.h"

#include <pthread.h>

enum ledger_table { T_META, T_RECORDS, T_REQUESTS, T_ROLLUPS, T_BLOBS, TABLES };
extern const char *const ledger_table_names[TABLES];

/* Kept with every commit: what is gone or doubled does not add up with it. */
struct ledger_counters {
    uint32_t crc, format;
    uint64_t next_seq;
    uint64_t stored, deleted; /* records, ever */
    uint64_t seq_xor;         /* of the sequences of the records that are there */
    uint64_t incarnation;
};
enum { LEDGER_FORMAT = 1 };
#define LEDGER_COUNTERS_KEY    "counters"
#define LEDGER_POSITION_PREFIX "ring:"

struct ledger_rollup_slot {
    size_t key_bytes;
    uint8_t key[LEDGER_ROLLUP_KEY_MAX];
    struct sums sums;
};

struct ledger {
    struct ledger_conf conf;
    MDB_env *env;
    MDB_dbi dbi[TABLES];
    uint64_t map_bytes, map_limit;
    pthread_rwlock_t map_lock; /* read: a transaction is open. write: the map is being replaced */

    /* writer thread only */
    struct ledger_counters counters; /* of the last commit */
    struct ledger_rollup_slot *slots;
    unsigned slots_n;

    pthread_mutex_t stat_lock;
    struct ledger_stat stat;
};

void counters_encode(struct ledger_counters *c); /* sets crc and format */
bool counters_decode(const void *p, size_t n, struct ledger_counters *ret_counters);

static inline MDB_val ledger_val(const void *p, size_t n)
{
    return (MDB_val){.mv_size = n, .mv_data = (void *)(uintptr_t)p};
}

enum ledger_result ledger_verdict(int rc, const char *doing, char *ret_why, unsigned why_bytes);
int ledger_write_counters(struct ledger *l, MDB_txn *txn, struct ledger_counters *c);
void ledger_count_stat(struct ledger *l, MDB_txn *txn);
void ledger_request_key(const struct usage_record *r, uint8_t out[LEDGER_REQUEST_KEY]);
unsigned ledger_position_key(uint64_t created_wall_ns, uint32_t worker, char out[48]);
bool ledger_blob_value(const MDB_val *v, struct str *ret_value);
