/* record.h — how a usage record lies in the ledger, and what is summed from it
 * Owns:     the stored form: CRC, format, ledger sequence, the numbers as in shm/layout.h, then each text with its length.
 * Process:  any thread; pure.
 * Memory:   none; the caller's buffers.
 * Fails:    decoding distrusts every byte: false, output untouched. A record of another build's size reads with zeros for what it lacks.
 * Not here: LMDB (ledger.h), queries (ledger_query.h). */
#pragma once

#include "proto/base/str.h"
#include "shm/layout.h"

enum { RECORD_STORED_MAX = 1024 }; /* bytes, of any record */

size_t record_encode(const struct usage_record *r, uint64_t seq, uint8_t out[RECORD_STORED_MAX]);
bool record_decode(const void *p, size_t n, struct usage_record *ret_record, uint64_t *ret_seq);

/* A text field of a record, cut at its end whatever the memory holds. */
#define RECORD_TEXT(field) record_text(field, sizeof(field))
struct str record_text(const char *p, size_t size);

/* Sums over records; what a rollup row and each line of `weir usage` hold. */
struct sums {
    int64_t calls;                 /* requests: records that are the last of theirs */
    int64_t attempts;              /* tries of a provider */
    int64_t ok, failed, cancelled; /* of the attempts */
    int64_t refused;               /* calls that reached no provider */
    int64_t rescued;               /* calls answered by another target than the first */
    int64_t in_uncached, cache_read, cache_write_5m, cache_write_1h;
    int64_t out_total, out_reasoning;
    int64_t web_searches, units, milliseconds;
    int64_t cost_nanousd; /* of the attempts whose cost is known */
    int64_t estimated_nanousd;
    int64_t unknown;   /* attempts without a known cost */
    int64_t estimated; /* attempts whose usage is a bound or a guess */
    int64_t duration_us, ttft_us, ttft_n;
};

void sums_add_record(struct sums *s, const struct usage_record *r);
void sums_add(struct sums *s, const struct sums *other); /* saturates */
int64_t sums_input(const struct sums *s);                /* all input tokens */

enum { SUMS_STORED = 8 + sizeof(struct sums) };
void sums_encode(const struct sums *s, uint8_t out[SUMS_STORED]);
bool sums_decode(const void *p, size_t n, struct sums *ret_sums);
