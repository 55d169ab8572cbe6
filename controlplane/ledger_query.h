/* ledger_query.h — questions to the ledger: what was used, the last requests, one request
 * Owns:     the rows of an answer until its *_fini().
 * Process:  asked on the loop thread, run on the store's query thread, answered on the loop thread. The *_run() functions are what
 *           runs there, and may be called anywhere with a ledger.
 * Memory:   heap, bounded: QUERY_ROWS rows or QUERY_RECORDS records; an answer that was cut says so.
 * Fails:    `available` false: the ledger is not open now.
 * Not here: printing (reqlog.h for records, the CLI for tables). */
#pragma once

#include "controlplane/store.h"

enum { QUERY_ROWS = 5000, QUERY_RECORDS = 4000, QUERY_SCAN = 200000 };

/* Empty text, zero: anything. */
struct record_filter {
    char provider[NAME_PROVIDER], model[NAME_MODEL], route[NAME_ROUTE], key[NAME_KEY];
    uint64_t since_wall_ns, until_wall_ns; /* of the start; until itself is outside */
    uint16_t status;                       /* what the client was told: 429, or 4 for all of 4xx */
    uint8_t outcome;                       /* enum record_outcome */
    int64_t min_cost_nanousd;
    uint64_t slower_us; /* request took at least this */
};
bool record_matches(const struct record_filter *f, const struct usage_record *r);

/* ---- usage ---- */

enum usage_by { BY_PROVIDER = 1, BY_MODEL = 2, BY_ROUTE = 4, BY_KEY = 8, BY_HOUR = 16, BY_DAY = 32 };
unsigned usage_by_word(struct str word); /* "provider", "model", "route", "key", "hour", "day"; 0: none of them */

struct usage_row {
    uint64_t from_wall_ns; /* BY_HOUR, BY_DAY: start of it (UTC); else 0 */
    char provider[NAME_PROVIDER], model[NAME_MODEL], route[NAME_ROUTE], key[NAME_KEY]; /* those asked by; else empty */
    struct sums sums;
};

struct usage_query {
    struct store_job job;        /* set by usage_query_start() */
    unsigned by;                 /* enum usage_by, or'ed; 0: only the total */
    struct record_filter filter; /* names and times; the rest is not looked at */
    void (*done)(struct usage_query *q);
    void *user;

    /* the answer */
    bool available, cut;
    uint64_t since_wall_ns; /* what is really covered: earlier than asked when single records of that hour are gone */
    struct usage_row *rows; /* by time, then the dearest first */
    unsigned n, cap;
    struct sums total;
};
void usage_query_start(struct store *s, struct usage_query *q);
void usage_query_run(struct usage_query *q, struct ledger *l);
void usage_query_fini(struct usage_query *q);

/* ---- records ---- */

struct record_query {
    struct store_job job; /* set by record_query_start() */
    char request_id
        [33];       /* whole, or a beginning of at least four characters; "last"; empty: the last `limit` by filter */
    unsigned limit; /* requests; at most 1,000 */
    struct record_filter filter; /* over the last record of a request */
    void (*done)(struct record_query *q);
    void *user;

    /* the answer: records of one request stand together, first attempt first; oldest request first */
    bool available, cut, ambiguous;
    struct usage_record *records;
    unsigned n, requests;
};
void record_query_start(struct store *s, struct record_query *q);
void record_query_run(struct record_query *q, struct ledger *l);
void record_query_fini(struct record_query *q);
