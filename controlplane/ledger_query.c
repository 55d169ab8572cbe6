#include "controlplane/ledger_query.h"

#include "controlplane/ledger_env.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_REQUESTS = 1000, MOST_ATTEMPTS = 16 /* of one request; the hard cap is 4 */, SHORTEST_ID = 4 };

static const struct {
    const char *word;
    unsigned by;
} BY_WORDS[] = {{"provider", BY_PROVIDER}, {"model", BY_MODEL}, {"route", BY_ROUTE},
                {"key", BY_KEY},           {"hour", BY_HOUR},   {"day", BY_DAY}};

unsigned usage_by_word(struct str word)
{
    for (unsigned i = 0; i < sizeof BY_WORDS / sizeof *BY_WORDS; i++)
        if (str_is(word, BY_WORDS[i].word)) return BY_WORDS[i].by;
    return 0;
}

static bool is_name(const char *wanted, struct str name)
{
    return wanted[0] == '\0' || str_is(name, wanted);
}

static bool in_time(const struct record_filter *f, uint64_t wall_ns)
{
    return wall_ns >= f->since_wall_ns && (f->until_wall_ns == 0 || wall_ns < f->until_wall_ns);
}

bool record_matches(const struct record_filter *f, const struct usage_record *r)
{
    uint16_t status = r->client_status;
    return is_name(f->provider, RECORD_TEXT(r->provider)) && is_name(f->model, RECORD_TEXT(r->model)) &&
           is_name(f->route, RECORD_TEXT(r->route)) && is_name(f->key, RECORD_TEXT(r->key)) &&
           in_time(f, ledger_key_wall_ns(r->attempt_id)) &&
           (f->status == 0 || (f->status < 10 ? status / 100 : status) == f->status) &&
           (f->outcome == 0 || r->outcome == f->outcome) &&
           (f->min_cost_nanousd == 0 || r->cost_nanousd >= f->min_cost_nanousd) && r->request_us >= f->slower_us;
}

/* ---- usage ---- */

static void copy_name(char *to, size_t size, struct str name, bool wanted)
{
    size_t n = !wanted ? 0 : name.n < size ? name.n : size - 1;
    if (n > 0) memcpy(to, name.p, n);
    to[n] = '\0';
}

static uint64_t time_of(unsigned by, uint32_t hour)
{
    if (by & BY_HOUR) return hour * LEDGER_HOUR_NS;
    return by & BY_DAY ? hour / 24 * 24 * LEDGER_HOUR_NS : 0;
}

static bool is_row(const struct usage_row *a, const struct usage_row *b)
{
    return a->from_wall_ns == b->from_wall_ns && strcmp(a->provider, b->provider) == 0 &&
           strcmp(a->model, b->model) == 0 && strcmp(a->route, b->route) == 0 && strcmp(a->key, b->key) == 0;
}

/* Hourly rows of one combination come one after the other only by chance: look from the newest row backwards. */
static void add_to_row(struct usage_query *q, const struct ledger_rollup_key *k, const struct sums *sums)
{
    struct usage_row row = {.from_wall_ns = time_of(q->by, k->hour)};
    copy_name(row.provider, sizeof row.provider, k->provider, q->by & BY_PROVIDER);
    copy_name(row.model, sizeof row.model, k->model, q->by & BY_MODEL);
    copy_name(row.route, sizeof row.route, k->route, q->by & BY_ROUTE);
    copy_name(row.key, sizeof row.key, k->key, q->by & BY_KEY);
    sums_add(&q->total, sums);
    for (unsigned i = q->n; q->by != 0 && i > 0; i--) {
        if (is_row(&q->rows[i - 1], &row)) {
            sums_add(&q->rows[i - 1].sums, sums);
            return;
        }
    }
    if (q->by == 0) return;
    if (q->n == QUERY_ROWS) {
        q->cut = true; /* the total still counts it */
        return;
    }
    if (q->n == q->cap) {
        q->cap = q->cap == 0 ? 16 : q->cap * 2;
        q->rows = xrealloc(q->rows, q->cap * sizeof *q->rows);
    }
    row.sums = *sums;
    q->rows[q->n++] = row;
}

static bool matches_key(const struct record_filter *f, const struct ledger_rollup_key *k)
{
    return is_name(f->provider, k->provider) && is_name(f->model, k->model) && is_name(f->route, k->route) &&
           is_name(f->key, k->key);
}

static void add_hours(struct usage_query *q, const struct ledger_read *r, uint64_t from_hour, uint64_t to_hour)
{
    MDB_cursor *cursor;
    uint32_t be = __builtin_bswap32((uint32_t)from_hour);
    MDB_val key = ledger_val(&be, 4), value;
    if (from_hour >= to_hour || mdb_cursor_open(r->txn, r->rollups, &cursor) != 0) return;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct ledger_rollup_key k;
        struct sums sums;
        if (!ledger_rollup_key_read(key.mv_data, key.mv_size, &k) || !sums_decode(value.mv_data, value.mv_size, &sums))
            continue;
        if (k.hour >= to_hour) break;
        if (matches_key(&q->filter, &k)) add_to_row(q, &k, &sums);
    }
    mdb_cursor_close(cursor);
}

/* The records of [from, to), one by one, into a query of their own. false: too many, or the oldest of them are gone. */
static bool add_records(struct usage_query *q, const struct ledger_read *r, uint64_t from_ns, uint64_t to_ns)
{
    MDB_cursor *cursor;
    uint8_t id[16] = {0};
    MDB_val key = ledger_val(id, sizeof id), value;
    unsigned seen = 0;
    uint64_t be = __builtin_bswap64(from_ns);
    if (mdb_cursor_open(r->txn, r->records, &cursor) != 0) return false;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    bool ok = rc == 0 && ledger_key_wall_ns(key.mv_data) <= from_ns;
    memcpy(id, &be, 8);
    key = ledger_val(id, sizeof id);
    rc = ok ? mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE) : MDB_NOTFOUND;
    for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct usage_record rec;
        uint64_t seq;
        if (ledger_key_wall_ns(key.mv_data) >= to_ns) break;
        if (++seen > QUERY_SCAN) {
            ok = false;
            break;
        }
        if (!record_decode(value.mv_data, value.mv_size, &rec, &seq)) continue;
        struct ledger_rollup_key k = {.hour = (uint32_t)(ledger_key_wall_ns(key.mv_data) / LEDGER_HOUR_NS),
                                      .provider = RECORD_TEXT(rec.provider),
                                      .model = RECORD_TEXT(rec.model),
                                      .route = RECORD_TEXT(rec.route),
                                      .key = RECORD_TEXT(rec.key)};
        struct sums sums = {0};
        sums_add_record(&sums, &rec);
        if (matches_key(&q->filter, &k)) add_to_row(q, &k, &sums);
    }
    mdb_cursor_close(cursor);
    return ok;
}

/* An hour that is only partly asked for is counted record by record; where that cannot be, the whole hour counts. */
static void add_part(struct usage_query *q, const struct ledger_read *r, uint64_t from_ns, uint64_t to_ns)
{
    struct usage_query part = {.by = q->by, .filter = q->filter};
    uint64_t hour = from_ns / LEDGER_HOUR_NS;
    if (from_ns >= to_ns) return;
    bool whole = !add_records(&part, r, from_ns, to_ns);
    if (whole) {
        usage_query_fini(&part);
        part = (struct usage_query){.by = q->by, .filter = q->filter};
        add_hours(&part, r, hour, hour + 1);
        if (part.total.calls + part.total.attempts > 0 && hour * LEDGER_HOUR_NS < q->since_wall_ns)
            q->since_wall_ns = hour * LEDGER_HOUR_NS;
    }
    struct sums total = q->total;
    sums_add(&total, &part.total);
    for (unsigned i = 0; i < part.n; i++) {
        const struct usage_row *row = &part.rows[i];
        struct ledger_rollup_key k = {.hour = (uint32_t)hour,
                                      .provider = str_of(row->provider),
                                      .model = str_of(row->model),
                                      .route = str_of(row->route),
                                      .key = str_of(row->key)};
        add_to_row(q, &k, &row->sums);
    }
    q->total = total; /* also of rows that were cut */
    q->cut |= part.cut;
    usage_query_fini(&part);
}

static int by_time_then_cost(const void *a, const void *b)
{
    const struct usage_row *x = a, *y = b;
    if (x->from_wall_ns != y->from_wall_ns) return x->from_wall_ns < y->from_wall_ns ? -1 : 1;
    if (x->sums.cost_nanousd != y->sums.cost_nanousd) return x->sums.cost_nanousd > y->sums.cost_nanousd ? -1 : 1;
    if (x->sums.calls != y->sums.calls) return x->sums.calls > y->sums.calls ? -1 : 1;
    int order = strcmp(x->provider, y->provider);
    order = order != 0 ? order : strcmp(x->model, y->model);
    order = order != 0 ? order : strcmp(x->route, y->route);
    return order != 0 ? order : strcmp(x->key, y->key);
}

void usage_query_run(struct usage_query *q, struct ledger *l)
{
    struct ledger_read r;
    q->available = l != NULL && ledger_read_begin(l, &r);
    if (!q->available) return;
    uint64_t since = q->filter.since_wall_ns, until = q->filter.until_wall_ns;
    if (until == 0) until = (uint64_t)UINT32_MAX * LEDGER_HOUR_NS;
    uint64_t first_whole = (since + LEDGER_HOUR_NS - 1) / LEDGER_HOUR_NS, last_whole = until / LEDGER_HOUR_NS;
    q->since_wall_ns = since;
    if (first_whole * LEDGER_HOUR_NS > until) { /* all within one hour */
        add_part(q, &r, since, until);
    } else {
        add_part(q, &r, since, first_whole * LEDGER_HOUR_NS);
        add_hours(q, &r, first_whole, last_whole);
        add_part(q, &r, last_whole * LEDGER_HOUR_NS, until);
    }
    ledger_read_end(&r);
    if (q->n > 0) qsort(q->rows, q->n, sizeof *q->rows, by_time_then_cost);
}

static void run_usage(struct store_job *j, struct ledger *l)
{
    usage_query_run(j->user, l);
}

static void usage_done(struct store_job *j)
{
    struct usage_query *q = j->user;
    q->done(q);
}

void usage_query_start(struct store *s, struct usage_query *q)
{
    q->job = (struct store_job){.run = run_usage, .done = usage_done, .user = q};
    store_query(s, &q->job);
}

void usage_query_fini(struct usage_query *q)
{
    free(q->rows);
    q->rows = NULL;
    q->n = q->cap = 0;
}

/* ---- records ---- */

static bool read_record(const struct ledger_read *r, const uint8_t id[16], struct usage_record *ret_record)
{
    MDB_val key = ledger_val(id, 16), value;
    uint64_t seq;
    return mdb_get(r->txn, r->records, &key, &value) == 0 &&
           record_decode(value.mv_data, value.mv_size, ret_record, &seq);
}

/* All attempts of the request whose index row the cursor stands on, by time. Leaves the cursor on the next request. */
static unsigned read_request(const struct ledger_read *r, MDB_cursor *cursor, MDB_val *key,
                             struct usage_record out[MOST_ATTEMPTS])
{
    uint8_t id[32];
    MDB_val value;
    unsigned n = 0;
    int rc = 0;
    memcpy(id, key->mv_data, sizeof id);
    while (rc == 0 && key->mv_size == LEDGER_REQUEST_KEY && memcmp(key->mv_data, id, sizeof id) == 0) {
        if (n < MOST_ATTEMPTS && read_record(r, (const uint8_t *)key->mv_data + 32, &out[n])) n++;
        rc = mdb_cursor_get(cursor, key, &value, MDB_NEXT);
    }
    if (rc != 0) key->mv_size = 0;
    return n;
}

static bool push(struct record_query *q, const struct usage_record *records, unsigned n)
{
    if (q->n + n > QUERY_RECORDS) {
        q->cut = true;
        return false;
    }
    q->records = xrealloc(q->records, (q->n + n) * sizeof *q->records);
    memcpy(q->records + q->n, records, n * sizeof *records);
    q->n += n;
    q->requests++;
    return true;
}

static void find_request(struct record_query *q, const struct ledger_read *r)
{
    struct usage_record found[MOST_ATTEMPTS];
    struct str wanted = str_of(q->request_id);
    MDB_cursor *cursor;
    MDB_val key = ledger_val(wanted.p, wanted.n), value;
    if (wanted.n < SHORTEST_ID || wanted.n > 32 || mdb_cursor_open(r->txn, r->requests, &cursor) != 0) return;
    if (mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE) == 0 && key.mv_size == LEDGER_REQUEST_KEY &&
        memcmp(key.mv_data, wanted.p, wanted.n) == 0) {
        bool exact = wanted.n == 32 || ((const char *)key.mv_data)[wanted.n] == '\0';
        unsigned n = read_request(r, cursor, &key, found);
        q->ambiguous = !exact && key.mv_size == LEDGER_REQUEST_KEY && memcmp(key.mv_data, wanted.p, wanted.n) == 0;
        if (!q->ambiguous && n > 0) push(q, found, n);
    }
    mdb_cursor_close(cursor);
}

static bool add_request_of(struct record_query *q, const struct ledger_read *r, const struct usage_record *last)
{
    struct usage_record found[MOST_ATTEMPTS];
    uint8_t index[LEDGER_REQUEST_KEY];
    MDB_cursor *cursor;
    MDB_val key, value;
    bool go = true;
    if (mdb_cursor_open(r->txn, r->requests, &cursor) != 0) return false;
    ledger_request_key(last, index);
    key = ledger_val(index, 32);
    if (mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE) == 0 && key.mv_size == LEDGER_REQUEST_KEY &&
        memcmp(key.mv_data, index, 32) == 0) {
        unsigned n = read_request(r, cursor, &key, found);
        go = n == 0 || push(q, found, n);
    }
    mdb_cursor_close(cursor);
    return go;
}

/* The newest request was found first: turn the groups round. */
static void reverse_groups(struct record_query *q)
{
    struct usage_record *out = xmalloc(q->n * sizeof *out);
    unsigned to = q->n;
    for (unsigned from = 0; from < q->n;) {
        unsigned end = from + 1;
        while (end < q->n && memcmp(q->records[end].request_id, q->records[from].request_id, 32) == 0) end++;
        to -= end - from;
        memcpy(out + to, q->records + from, (end - from) * sizeof *out);
        from = end;
    }
    free(q->records);
    q->records = out;
}

static void find_last(struct record_query *q, const struct ledger_read *r)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    unsigned limit = q->limit < MOST_REQUESTS ? q->limit : MOST_REQUESTS, seen = 0;
    if (mdb_cursor_open(r->txn, r->records, &cursor) != 0) return;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    for (; rc == 0 && q->requests < limit; rc = mdb_cursor_get(cursor, &key, &value, MDB_PREV)) {
        struct usage_record rec;
        uint64_t seq;
        if (++seen > QUERY_SCAN) {
            q->cut = true;
            break;
        }
        if (key.mv_size != 16 || ledger_key_wall_ns(key.mv_data) < q->filter.since_wall_ns) break;
        if (!record_decode(value.mv_data, value.mv_size, &rec, &seq) || !(rec.flags & RECORD_FINAL) ||
            rec.kind == RECORD_SETTLED || /* told with its request */
            !record_matches(&q->filter, &rec))
            continue;
        if (!add_request_of(q, r, &rec)) break;
    }
    mdb_cursor_close(cursor);
    if (q->requests > 1) reverse_groups(q);
}

void record_query_run(struct record_query *q, struct ledger *l)
{
    struct ledger_read r;
    q->available = l != NULL && ledger_read_begin(l, &r);
    if (!q->available) return;
    if (strcmp(q->request_id, "last") == 0) {
        q->limit = 1;
        find_last(q, &r);
    } else if (q->request_id[0] != '\0') {
        find_request(q, &r);
    } else {
        find_last(q, &r);
    }
    ledger_read_end(&r);
}

static void run_records(struct store_job *j, struct ledger *l)
{
    record_query_run(j->user, l);
}

static void records_done(struct store_job *j)
{
    struct record_query *q = j->user;
    q->done(q);
}

void record_query_start(struct store *s, struct record_query *q)
{
    q->job = (struct store_job){.run = run_records, .done = records_done, .user = q};
    store_query(s, &q->job);
}

void record_query_fini(struct record_query *q)
{
    free(q->records);
    q->records = NULL;
    q->n = 0;
}
