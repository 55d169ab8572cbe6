#include "controlplane/ledger.h"

#include "controlplane/ledger_env.h"

enum { TRIM_RECORDS = 1000 }; /* in one transaction: a step of a few milliseconds */

struct trim_plan {
    uint64_t records_before_ns, rollups_before_ns; /* 0: none by age */
    bool by_size;
    unsigned deleted;
};

static int trim_records(struct ledger *l, MDB_txn *txn, struct ledger_counters *c, struct trim_plan *plan)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, l->dbi[T_RECORDS], &cursor);
    if (rc != 0) return rc;
    while (plan->deleted < TRIM_RECORDS && (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)) == 0) {
        struct usage_record r;
        uint64_t seq;
        uint8_t index[LEDGER_REQUEST_KEY];
        if (key.mv_size != 16 || !record_decode(value.mv_data, value.mv_size, &r, &seq)) {
            rc = MDB_CORRUPTED;
            break;
        }
        if (!plan->by_size && ledger_key_wall_ns(key.mv_data) >= plan->records_before_ns) break;
        ledger_request_key(&r, index);
        if ((rc = mdb_cursor_del(cursor, 0)) != 0) break;
        MDB_val index_key = ledger_val(index, sizeof index);
        rc = mdb_del(txn, l->dbi[T_REQUESTS], &index_key, NULL);
        if (rc != 0 && rc != MDB_NOTFOUND) break;
        c->seq_xor ^= seq;
        c->deleted++;
        plan->deleted++;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int trim_rollups(struct ledger *l, MDB_txn *txn, struct trim_plan *plan)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, l->dbi[T_ROLLUPS], &cursor);
    if (rc != 0) return rc;
    while (plan->deleted < TRIM_RECORDS && (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)) == 0) {
        struct ledger_rollup_key k;
        if (!ledger_rollup_key_read(key.mv_data, key.mv_size, &k)) {
            rc = MDB_CORRUPTED;
            break;
        }
        if (!plan->by_size && ((uint64_t)k.hour + 1) * LEDGER_HOUR_NS > plan->rollups_before_ns) break;
        if ((rc = mdb_cursor_del(cursor, 0)) != 0) break;
        plan->deleted++;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int trim(struct ledger *l, struct trim_plan *plan)
{
    MDB_txn *txn;
    struct ledger_counters c = l->counters;
    int rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (rc != 0) return rc;
    if (plan->by_size || plan->records_before_ns > 0) rc = trim_records(l, txn, &c, plan);
    plan->by_size = plan->by_size && plan->deleted == 0; /* no record left: then the oldest sums */
    if (rc == 0 && (plan->by_size || plan->rollups_before_ns > 0)) rc = trim_rollups(l, txn, plan);
    if (rc == 0) rc = ledger_write_counters(l, txn, &c);
    if (rc != 0 || plan->deleted == 0) {
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

static uint64_t before(uint64_t now_wall_ns, uint64_t keep_ms)
{
    return keep_ms == 0 || keep_ms > now_wall_ns / 1000000 ? 0 : now_wall_ns - keep_ms * 1000000;
}

enum ledger_result ledger_trim(struct ledger *l, uint64_t now_wall_ns, bool *ret_more, char *ret_why,
                               unsigned why_bytes)
{
    struct trim_plan plan = {.records_before_ns = before(now_wall_ns, l->conf.keep_records_ms),
                             .rollups_before_ns = before(now_wall_ns, l->conf.keep_rollups_ms),
                             .by_size = l->stat.used_bytes > l->conf.max_bytes / 10 * 9};
    *ret_more = false;
    if (!plan.by_size && plan.records_before_ns == 0 && plan.rollups_before_ns == 0) return LEDGER_OK;
    pthread_rwlock_rdlock(&l->map_lock);
    int rc = trim(l, &plan);
    pthread_rwlock_unlock(&l->map_lock);
    *ret_more = rc == 0 && plan.deleted == TRIM_RECORDS;
    return ledger_verdict(rc, "retention", ret_why, why_bytes);
}
