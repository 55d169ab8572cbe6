#include "controlplane/ledger.h"

#include "controlplane/ledger_env.h"
#include "shm/segment.h"

#include <stdio.h>
#include <string.h>

const char *const ledger_table_names[TABLES] = {"meta", "records", "requests", "rollups", "blobs"};

/* ---- keys and rows ---- */

void counters_encode(struct ledger_counters *c)
{
    c->format = LEDGER_FORMAT;
    c->crc = crc32c(0, &c->format, sizeof *c - sizeof c->crc);
}

bool counters_decode(const void *p, size_t n, struct ledger_counters *ret_counters)
{
    struct ledger_counters c;
    if (n != sizeof c) return false;
    memcpy(&c, p, sizeof c);
    if (c.format != LEDGER_FORMAT || c.crc != crc32c(0, &c.format, sizeof c - sizeof c.crc)) return false;
    *ret_counters = c;
    return true;
}

uint64_t ledger_key_wall_ns(const void *attempt_id)
{
    uint64_t be;
    memcpy(&be, attempt_id, 8);
    return __builtin_bswap64(be);
}

size_t ledger_rollup_key_write(const struct ledger_rollup_key *k, uint8_t out[LEDGER_ROLLUP_KEY_MAX])
{
    const struct str parts[] = {k->provider, k->model, k->route, k->key};
    const size_t sizes[] = {NAME_PROVIDER, NAME_MODEL, NAME_ROUTE, NAME_KEY};
    uint32_t be = __builtin_bswap32(k->hour);
    memcpy(out, &be, 4);
    size_t n = 4;
    for (unsigned i = 0; i < 4; i++) {
        size_t length = parts[i].n < sizes[i] ? parts[i].n : sizes[i] - 1;
        if (length > 0) memcpy(out + n, parts[i].p, length);
        n += length;
        out[n++] = '\0';
    }
    return n;
}

bool ledger_rollup_key_read(const void *p, size_t n, struct ledger_rollup_key *ret_key)
{
    struct ledger_rollup_key k = {0};
    struct str *const parts[] = {&k.provider, &k.model, &k.route, &k.key};
    const char *at = (const char *)p + 4, *end = (const char *)p + n;
    if (n < 8 || n > LEDGER_ROLLUP_KEY_MAX) return false;
    uint32_t be;
    memcpy(&be, p, 4);
    k.hour = __builtin_bswap32(be);
    for (unsigned i = 0; i < 4; i++) {
        const char *stop = memchr(at, '\0', (size_t)(end - at));
        if (stop == NULL) return false;
        *parts[i] = (struct str){at, (size_t)(stop - at)};
        at = stop + 1;
    }
    if (at != end) return false;
    *ret_key = k;
    return true;
}

void ledger_request_key(const struct usage_record *r, uint8_t out[LEDGER_REQUEST_KEY])
{
    struct str id = RECORD_TEXT(r->request_id);
    memset(out, 0, 32);
    memcpy(out, id.p, id.n);
    memcpy(out + 32, r->attempt_id, 16);
}

unsigned ledger_position_key(uint64_t created_wall_ns, uint32_t worker, char out[48])
{
    return (unsigned)snprintf(out, 48, LEDGER_POSITION_PREFIX "%016llx:%u", (unsigned long long)created_wall_ns,
                              worker);
}

/* ---- read ---- */

bool ledger_read_begin(struct ledger *l, struct ledger_read *ret_read)
{
    MDB_txn *txn;
    pthread_rwlock_rdlock(&l->map_lock);
    if (mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn) != 0) {
        pthread_rwlock_unlock(&l->map_lock);
        return false;
    }
    *ret_read = (struct ledger_read){
        .l = l, .txn = txn, .records = l->dbi[T_RECORDS], .requests = l->dbi[T_REQUESTS], .rollups = l->dbi[T_ROLLUPS]};
    return true;
}

void ledger_read_end(struct ledger_read *r)
{
    mdb_txn_abort(r->txn);
    pthread_rwlock_unlock(&r->l->map_lock);
    *r = (struct ledger_read){0};
}

bool ledger_blob_value(const MDB_val *v, struct str *ret_value)
{
    uint32_t crc;
    if (v->mv_size < 8) return false;
    memcpy(&crc, v->mv_data, 4);
    struct str s = {(const char *)v->mv_data + 8, v->mv_size - 8};
    if (crc32c(0, s.p, s.n) != crc) return false;
    *ret_value = s;
    return true;
}

bool ledger_get_blob(struct ledger *l, const char *name, struct buf *ret_value)
{
    struct ledger_read r;
    struct str s;
    MDB_val key = ledger_val(name, strlen(name)), value;
    if (!ledger_read_begin(l, &r)) return false;
    bool found = mdb_get(r.txn, l->dbi[T_BLOBS], &key, &value) == 0 && ledger_blob_value(&value, &s);
    if (found) buf_add(ret_value, s);
    ledger_read_end(&r);
    return found;
}

void ledger_each_blob(struct ledger *l, const char *prefix, void (*each)(void *ctx, const char *key, struct str value),
                      void *ctx)
{
    struct ledger_read r;
    MDB_cursor *cursor;
    size_t prefix_n = strlen(prefix);
    MDB_val key = ledger_val(prefix, prefix_n), value;
    if (!ledger_read_begin(l, &r)) return;
    if (mdb_cursor_open(r.txn, l->dbi[T_BLOBS], &cursor) == 0) {
        int rc = mdb_cursor_get(cursor, &key, &value, prefix_n > 0 ? MDB_SET_RANGE : MDB_FIRST);
        for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
            char name[sizeof((struct ledger_blob *)0)->key];
            struct str s;
            if (key.mv_size < prefix_n || memcmp(key.mv_data, prefix, prefix_n) != 0) break;
            if (key.mv_size >= sizeof name || !ledger_blob_value(&value, &s)) continue;
            memcpy(name, key.mv_data, key.mv_size);
            name[key.mv_size] = '\0';
            each(ctx, name, s);
        }
        mdb_cursor_close(cursor);
    }
    ledger_read_end(&r);
}

bool ledger_get_position(struct ledger *l, uint64_t created_wall_ns, uint32_t worker, uint64_t *ret_tail)
{
    struct ledger_read r;
    char name[48];
    MDB_val key = ledger_val(name, ledger_position_key(created_wall_ns, worker, name)), value;
    if (!ledger_read_begin(l, &r)) return false;
    bool found = mdb_get(r.txn, l->dbi[T_META], &key, &value) == 0 && value.mv_size == 8;
    if (found) memcpy(ret_tail, value.mv_data, 8);
    ledger_read_end(&r);
    return found;
}

bool ledger_has(struct ledger *l, const uint8_t attempt_id[16])
{
    struct ledger_read r;
    MDB_val key = ledger_val(attempt_id, 16), value;
    if (!ledger_read_begin(l, &r)) return false;
    bool found = mdb_get(r.txn, r.records, &key, &value) == 0;
    ledger_read_end(&r);
    return found;
}
