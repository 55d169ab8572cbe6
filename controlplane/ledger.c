#include "controlplane/ledger.h"

#include "controlplane/ledger_env.h"
#include "proto/base/mem.h"
#include "shm/segment.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Never MDB_WRITEMAP: with it a full disk is a SIGBUS, and a stray write of ours would be in the file. NORDAHEAD: reads are scattered,
 * and pages that nobody asked for would count as ours. NOTLS: readers are ours to close, whatever thread they began on. */
enum { ENV_FLAGS = MDB_NORDAHEAD | MDB_NOTLS };

enum {
    FIRST_MAP =
        16 << 20, /* doubled as needed, up to max_bytes and a quarter: copy-on-write needs room beside the live pages */
    DEFAULT_BYTES = 256 << 20,
    TRIM_STEPS = 8,    /* of retention before one commit: more than a batch adds */
    ROLLUP_SLOTS = 64, /* rollup rows summed in memory before they are written, per batch */
};

/* ---- open ---- */

static bool is_full(int rc)
{
    return rc == ENOSPC || rc == EDQUOT || rc == EFBIG || rc == MDB_MAP_FULL;
}

enum ledger_result ledger_verdict(int rc, const char *doing, char *ret_why, unsigned why_bytes)
{
    if (rc == 0) return LEDGER_OK;
    snprintf(ret_why, why_bytes, "%s: %s", doing, mdb_strerror(rc));
    return is_full(rc) ? LEDGER_FULL : LEDGER_BROKEN;
}

void ledger_count_stat(struct ledger *l, MDB_txn *txn)
{
    struct ledger_stat s = {.records = l->counters.stored - l->counters.deleted,
                            .deleted = l->counters.deleted,
                            .incarnation = l->counters.incarnation};
    for (unsigned i = 0; i < TABLES; i++) {
        MDB_stat m;
        if (mdb_stat(txn, l->dbi[i], &m) == 0)
            s.used_bytes += (m.ms_branch_pages + m.ms_leaf_pages + m.ms_overflow_pages) * m.ms_psize;
    }
    MDB_envinfo info;
    MDB_stat env;
    if (mdb_env_info(l->env, &info) == 0 && mdb_env_stat(l->env, &env) == 0)
        s.file_bytes = (info.me_last_pgno + 1) * env.ms_psize;
    pthread_mutex_lock(&l->stat_lock);
    l->stat = s;
    pthread_mutex_unlock(&l->stat_lock);
}

void ledger_stat(struct ledger *l, struct ledger_stat *ret_stat)
{
    pthread_mutex_lock(&l->stat_lock);
    *ret_stat = l->stat;
    pthread_mutex_unlock(&l->stat_lock);
}

static int read_counters(struct ledger *l, MDB_txn *txn)
{
    MDB_val key = ledger_val(LEDGER_COUNTERS_KEY, strlen(LEDGER_COUNTERS_KEY)), value;
    int rc = mdb_get(txn, l->dbi[T_META], &key, &value);
    if (rc == 0 && !counters_decode(value.mv_data, value.mv_size, &l->counters)) rc = MDB_CORRUPTED;
    return rc;
}

int ledger_write_counters(struct ledger *l, MDB_txn *txn, struct ledger_counters *c)
{
    counters_encode(c);
    MDB_val key = ledger_val(LEDGER_COUNTERS_KEY, strlen(LEDGER_COUNTERS_KEY)), value = ledger_val(c, sizeof *c);
    return mdb_put(txn, l->dbi[T_META], &key, &value, 0);
}

/* Tables and counters; `create` makes them. The incarnation goes out with the first commit: a start waits for no disk. */
static int open_tables(struct ledger *l, bool create)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(l->env, NULL, create ? 0 : MDB_RDONLY, &txn);
    if (rc != 0) return rc;
    for (unsigned i = 0; rc == 0 && i < TABLES; i++)
        rc = mdb_dbi_open(txn, ledger_table_names[i], create ? MDB_CREATE : 0, &l->dbi[i]);
    if (rc == 0) rc = create ? ledger_write_counters(l, txn, &l->counters) : read_counters(l, txn);
    if (rc == 0) {
        l->counters.incarnation += !create;
        ledger_count_stat(l, txn);
        return mdb_txn_commit(txn);
    }
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
}

static int open_env(struct ledger *l, const char *dir, bool create)
{
    struct stat st;
    char path[600];
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    if (stat(path, &st) != 0) st.st_size = 0;
    if (!create && st.st_size == 0) return MDB_INVALID; /* LMDB would begin a new one in silence */
    l->map_limit = l->conf.max_bytes + l->conf.max_bytes / 4 + (4u << 20);
    l->map_bytes = FIRST_MAP;
    while (l->map_bytes < (uint64_t)st.st_size) l->map_bytes *= 2;
    if (l->map_bytes > l->map_limit && l->map_limit > (uint64_t)st.st_size) l->map_bytes = l->map_limit;
    int rc = mdb_env_create(&l->env);
    if (rc == 0) rc = mdb_env_set_maxdbs(l->env, TABLES);
    if (rc == 0) rc = mdb_env_set_mapsize(l->env, l->map_bytes);
    /* There is nothing to lose in a ledger that is being made, and its first commit under its own name is synchronous. */
    if (rc == 0) rc = mdb_env_open(l->env, dir, create ? ENV_FLAGS | MDB_NOSYNC : ENV_FLAGS, 0600);
    if (rc == 0) ledger_reader_check(l);
    return rc == 0 ? open_tables(l, create) : rc;
}

static void close_env(struct ledger *l)
{
    if (l->env != NULL) mdb_env_close(l->env);
    l->env = NULL;
}

static void remove_dir(const char *dir)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "sound"};
    char path[600];
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

/* One level: store.path may name a directory that is not there yet. */
static void make_parent(const char *dir)
{
    char parent[512];
    struct str s = str_of(dir);
    ptrdiff_t slash = str_rchr(s, '/');
    if (slash <= 0 || (size_t)slash >= sizeof parent) return;
    memcpy(parent, dir, (size_t)slash);
    parent[slash] = '\0';
    mkdir(parent, 0700);
}

static int create(struct ledger *l)
{
    char fresh[520];
    snprintf(fresh, sizeof fresh, "%s.new", l->conf.dir);
    remove_dir(fresh);
    make_parent(l->conf.dir);
    if (mkdir(fresh, 0700) != 0) return errno;
    int rc = open_env(l, fresh, true);
    close_env(l);
    if (rc == 0 && rename(fresh, l->conf.dir) != 0) rc = errno;
    if (rc != 0) remove_dir(fresh);
    l->counters = (struct ledger_counters){0};
    return rc;
}

enum ledger_result ledger_open(const struct ledger_conf *conf, struct ledger **ret_ledger, char *ret_why,
                               unsigned why_bytes)
{
    struct ledger *l = xcalloc(1, sizeof *l);
    struct stat st;
    int rc = 0;
    l->conf = *conf;
    if (l->conf.max_bytes == 0) l->conf.max_bytes = DEFAULT_BYTES;
    if (l->conf.max_bytes < 1u << 20) l->conf.max_bytes = 1u << 20;
    pthread_rwlock_init(&l->map_lock, NULL);
    pthread_mutex_init(&l->stat_lock, NULL);
    l->slots = xcalloc(ROLLUP_SLOTS, sizeof *l->slots);
    if (lstat(conf->dir, &st) != 0)
        rc = errno == ENOENT ? create(l) : errno;
    else if (!S_ISDIR(st.st_mode))
        rc = ENOTDIR; /* a link is not followed */
    if (rc == 0) rc = open_env(l, conf->dir, false);
    if (rc != 0) {
        ledger_close(&l);
        return ledger_verdict(rc, conf->dir, ret_why, why_bytes);
    }
    *ret_ledger = l;
    return LEDGER_OK;
}

void ledger_close(struct ledger **lp)
{
    struct ledger *l = *lp;
    if (l == NULL) return;
    *lp = NULL;
    close_env(l);
    pthread_rwlock_destroy(&l->map_lock);
    pthread_mutex_destroy(&l->stat_lock);
    free(l->slots);
    free(l);
}

void ledger_reader_check(struct ledger *l)
{
    int dead = 0;
    mdb_reader_check(l->env, &dead);
}

/* ---- write ---- */

static int write_rollups(struct ledger *l, MDB_txn *txn)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < l->slots_n; i++) {
        struct ledger_rollup_slot *slot = &l->slots[i];
        MDB_val key = ledger_val(slot->key, slot->key_bytes), value;
        struct sums sums = {0};
        rc = mdb_get(txn, l->dbi[T_ROLLUPS], &key, &value);
        if (rc == 0 && !sums_decode(value.mv_data, value.mv_size, &sums)) rc = MDB_CORRUPTED;
        if (rc != 0 && rc != MDB_NOTFOUND) break;
        sums_add(&sums, &slot->sums);
        uint8_t row[SUMS_STORED];
        sums_encode(&sums, row);
        value = ledger_val(row, sizeof row);
        rc = mdb_put(txn, l->dbi[T_ROLLUPS], &key, &value, 0);
    }
    l->slots_n = 0;
    return rc;
}

static int roll_up(struct ledger *l, MDB_txn *txn, const struct usage_record *r)
{
    uint8_t key[LEDGER_ROLLUP_KEY_MAX];
    struct ledger_rollup_key k = {.hour = (uint32_t)(ledger_key_wall_ns(r->attempt_id) / LEDGER_HOUR_NS),
                                  .provider = RECORD_TEXT(r->provider),
                                  .model = RECORD_TEXT(r->model),
                                  .route = RECORD_TEXT(r->route),
                                  .key = RECORD_TEXT(r->key)};
    size_t n = ledger_rollup_key_write(&k, key);
    for (unsigned i = 0; i < l->slots_n; i++) {
        if (l->slots[i].key_bytes == n && memcmp(l->slots[i].key, key, n) == 0) {
            sums_add_record(&l->slots[i].sums, r);
            return 0;
        }
    }
    if (l->slots_n == ROLLUP_SLOTS) {
        int rc = write_rollups(l, txn);
        if (rc != 0) return rc;
    }
    struct ledger_rollup_slot *slot = &l->slots[l->slots_n++];
    *slot = (struct ledger_rollup_slot){.key_bytes = n};
    memcpy(slot->key, key, n);
    sums_add_record(&slot->sums, r);
    return 0;
}

static int64_t cost_of_stored(const MDB_val *v)
{
    struct usage_record r;
    uint64_t seq;
    return record_decode(v->mv_data, v->mv_size, &r, &seq) ? r.cost_nanousd : -1;
}

static int write_record(struct ledger *l, MDB_txn *txn, struct ledger_counters *c, struct ledger_batch *b, unsigned i)
{
    const struct usage_record *r = &b->records[i];
    uint8_t stored[RECORD_STORED_MAX], index[LEDGER_REQUEST_KEY];
    MDB_val key = ledger_val(r->attempt_id, 16), value = ledger_val(stored, record_encode(r, c->next_seq, stored));
    int rc = mdb_put(txn, l->dbi[T_RECORDS], &key, &value, MDB_NOOVERWRITE);
    b->inserted[i] = rc == 0;
    if (rc == MDB_KEYEXIST) {
        if (b->existing_cost != NULL) b->existing_cost[i] = cost_of_stored(&value);
        return 0;
    }
    if (rc != 0) return rc;
    ledger_request_key(r, index);
    key = ledger_val(index, sizeof index);
    value = ledger_val("", 0);
    rc = mdb_put(txn, l->dbi[T_REQUESTS], &key, &value, 0);
    c->seq_xor ^= c->next_seq++;
    c->stored++;
    return rc == 0 ? roll_up(l, txn, r) : rc;
}

static int write_small(struct ledger *l, MDB_txn *txn, const struct ledger_batch *b)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < b->positions_n; i++) {
        char name[48];
        MDB_val key =
            ledger_val(name, ledger_position_key(b->positions[i].created_wall_ns, b->positions[i].worker, name));
        MDB_val value = ledger_val(&b->positions[i].tail, 8);
        rc = mdb_put(txn, l->dbi[T_META], &key, &value, 0);
    }
    for (unsigned i = 0; rc == 0 && i < b->blobs_n; i++) {
        const struct ledger_blob *blob = &b->blobs[i];
        MDB_val key = ledger_val(blob->key, strlen(blob->key));
        if (blob->value.p == NULL) {
            rc = mdb_del(txn, l->dbi[T_BLOBS], &key, NULL);
            rc = rc == MDB_NOTFOUND ? 0 : rc;
            continue;
        }
        /* | crc 4 | spare 4 | bytes |: a blob has a check of its own, as a record has */
        uint32_t head[2] = {crc32c(0, blob->value.p, blob->value.n), 0};
        MDB_val value = {.mv_size = sizeof head + blob->value.n};
        rc = mdb_put(txn, l->dbi[T_BLOBS], &key, &value, MDB_RESERVE);
        if (rc == 0) {
            memcpy(value.mv_data, head, sizeof head);
            memcpy((char *)value.mv_data + sizeof head, blob->value.p, blob->value.n);
        }
    }
    return rc;
}

static int by_attempt_id(const void *a, const void *b, void *records)
{
    const struct usage_record *r = records;
    return memcmp(r[*(const uint16_t *)a].attempt_id, r[*(const uint16_t *)b].attempt_id, 16);
}

/* In the order of their keys whatever ring they come from: pages are filled one after the other and written once. */
static int write_records(struct ledger *l, MDB_txn *txn, struct ledger_counters *c, struct ledger_batch *b)
{
    uint16_t order[LEDGER_BATCH];
    for (unsigned i = 0; i < b->records_n; i++) order[i] = (uint16_t)i;
    qsort_r(order, b->records_n, sizeof *order, by_attempt_id, (void *)(uintptr_t)b->records);
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < b->records_n; i++) rc = write_record(l, txn, c, b, order[i]);
    return rc;
}

static int write_batch(struct ledger *l, struct ledger_batch *b)
{
    MDB_txn *txn;
    struct ledger_counters c = l->counters;
    assert(b->records_n <= LEDGER_BATCH);
    int rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (rc != 0) return rc;
    l->slots_n = 0;
    rc = write_records(l, txn, &c, b);
    if (rc == 0) rc = write_rollups(l, txn);
    if (rc == 0) rc = write_small(l, txn, b);
    if (rc == 0) rc = ledger_write_counters(l, txn, &c);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    struct ledger_counters before = l->counters;
    l->counters = c;
    ledger_count_stat(l, txn);
    rc = mdb_txn_commit(txn);
    if (rc != 0) l->counters = before;
    return rc;
}

static bool grow(struct ledger *l)
{
    if (l->map_bytes >= l->map_limit) return false;
    uint64_t wanted = l->map_bytes * 2 > l->map_limit ? l->map_limit : l->map_bytes * 2;
    pthread_rwlock_wrlock(&l->map_lock);
    int rc = mdb_env_set_mapsize(l->env, wanted);
    pthread_rwlock_unlock(&l->map_lock);
    if (rc == 0) l->map_bytes = wanted;
    return rc == 0;
}

/* Runs a transaction, growing the map as often as it is full. */
static int with_room(struct ledger *l, int (*work)(struct ledger *, struct ledger_batch *), struct ledger_batch *b)
{
    for (;;) {
        pthread_rwlock_rdlock(&l->map_lock);
        int rc = work(l, b);
        pthread_rwlock_unlock(&l->map_lock);
        if (rc == MDB_TXN_FULL)
            rc = MDB_MAP_FULL; /* too many dirty pages: the same remedy does no harm, and a batch is small */
        if (rc != MDB_MAP_FULL || !grow(l)) return rc;
    }
}

enum ledger_result ledger_commit(struct ledger *l, struct ledger_batch *b, char *ret_why, unsigned why_bytes)
{
    bool more = l->stat.used_bytes > l->conf.max_bytes / 10 * 9;
    for (unsigned step = 0; more && step < TRIM_STEPS; step++) /* before it is too full even to delete */
        if (ledger_trim(l, 0, &more, ret_why, why_bytes) != LEDGER_OK) break;
    return ledger_verdict(with_room(l, write_batch, b), "commit", ret_why, why_bytes);
}
