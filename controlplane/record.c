#include "controlplane/record.h"

#include "shm/segment.h"

#include <string.h>

/* | crc 4 | format 2 | numbers 2 | seq 8 | numbers … | length 1, text … | x TEXTS_N |, crc over what is behind it */
enum { FORMAT = 1, HEAD_BYTES = 16, NUMBERS_BYTES = offsetof(struct usage_record, route), NUMBERS_MAX = 800 };

struct text_field {
    uint16_t at, size;
};
#define F(name)                                                                       \
    {                                                                                 \
        offsetof(struct usage_record, name), sizeof(((struct usage_record *)0)->name) \
    }
static const struct text_field TEXTS[] = {F(route),   F(provider), F(model),  F(asked_model), F(key),  F(key_hint),
                                          F(session), F(client),   F(finish), F(loss),        F(path), F(detail)};
#undef F
enum { TEXTS_N = sizeof TEXTS / sizeof *TEXTS };

/* A text that is added to the record must be added to the table. */
enum { TEXT_BYTES = NAME_ROUTE + NAME_PROVIDER + 2 * NAME_MODEL + NAME_KEY + 8 + 48 + 32 + 24 + 48 + 32 + 64 };
static_assert((NUMBERS_BYTES + TEXT_BYTES + 7) / 8 * 8 == sizeof(struct usage_record),
              "a field of usage_record is not stored");
static_assert(HEAD_BYTES + sizeof(struct usage_record) + TEXTS_N <= RECORD_STORED_MAX,
              "RECORD_STORED_MAX is too small");
static_assert((int)NUMBERS_BYTES <= (int)NUMBERS_MAX, "NUMBERS_MAX is too small");

struct str record_text(const char *p, size_t size)
{
    return (struct str){p, strnlen(p, size - 1)};
}

size_t record_encode(const struct usage_record *r, uint64_t seq, uint8_t out[RECORD_STORED_MAX])
{
    const uint16_t format = FORMAT, numbers = NUMBERS_BYTES;
    memcpy(out + 4, &format, 2);
    memcpy(out + 6, &numbers, 2);
    memcpy(out + 8, &seq, 8);
    memcpy(out + HEAD_BYTES, r, NUMBERS_BYTES);
    size_t n = HEAD_BYTES + NUMBERS_BYTES;
    for (unsigned i = 0; i < TEXTS_N; i++) {
        struct str s = record_text((const char *)r + TEXTS[i].at, TEXTS[i].size);
        out[n++] = (uint8_t)s.n;
        memcpy(out + n, s.p, s.n);
        n += s.n;
    }
    uint32_t crc = crc32c(0, out + 4, n - 4);
    memcpy(out, &crc, 4);
    return n;
}

bool record_decode(const void *p, size_t n, struct usage_record *ret_record, uint64_t *ret_seq)
{
    const uint8_t *b = p;
    uint32_t crc;
    uint16_t format, numbers;
    uint64_t seq;
    if (n < HEAD_BYTES || n > RECORD_STORED_MAX) return false;
    memcpy(&crc, b, 4);
    memcpy(&format, b + 4, 2);
    memcpy(&numbers, b + 6, 2);
    memcpy(&seq, b + 8, 8);
    if (crc != crc32c(0, b + 4, n - 4) || format != FORMAT || numbers > NUMBERS_MAX || HEAD_BYTES + (size_t)numbers > n)
        return false;
    struct usage_record r = {0};
    memcpy(&r, b + HEAD_BYTES, numbers < NUMBERS_BYTES ? numbers : NUMBERS_BYTES);
    size_t at = HEAD_BYTES + (size_t)numbers;
    for (unsigned i = 0; i < TEXTS_N && at < n; i++) {
        size_t length = b[at++];
        if (length > n - at || length >= TEXTS[i].size) return false;
        memcpy((char *)&r + TEXTS[i].at, b + at, length);
        at += length;
    }
    if (at != n) return false;
    r.request_id[sizeof r.request_id - 1] = '\0';
    *ret_record = r;
    *ret_seq = seq;
    return true;
}

/* ---- sums ---- */

static void plus(int64_t *to, int64_t v)
{
    if (__builtin_add_overflow(*to, v, to)) *to = INT64_MAX;
}

static int64_t count_of(int64_t v)
{
    return v < 0 ? 0 : v;
}

static void add_usage(struct sums *s, const struct usage *u)
{
    plus(&s->in_uncached, count_of(u->in_uncached));
    plus(&s->cache_read, count_of(u->cache_read));
    plus(&s->cache_write_5m, count_of(u->cache_write_5m));
    plus(&s->cache_write_1h, count_of(u->cache_write_1h));
    plus(&s->out_total, count_of(u->out_total));
    plus(&s->out_reasoning, count_of(u->out_reasoning));
    plus(&s->web_searches, count_of(u->web_searches));
    plus(&s->units, count_of(u->units));
    plus(&s->milliseconds, count_of(u->milliseconds));
}

void sums_add_record(struct sums *s, const struct usage_record *r)
{
    bool settled = r->kind == RECORD_SETTLED; /* money alone: its call and its attempt have records of their own */
    bool final = (r->flags & RECORD_FINAL) != 0 && !settled;
    s->calls += final;
    if (r->kind == RECORD_REFUSED) {
        s->refused++;
        return;
    }
    s->attempts += !settled;
    s->ok += !settled && r->outcome == OUTCOME_OK;
    s->cancelled += !settled && r->outcome == OUTCOME_CANCELLED;
    s->failed += !settled && r->outcome != OUTCOME_OK && r->outcome != OUTCOME_CANCELLED;
    s->rescued += final && (r->flags & RECORD_RESCUED) != 0;
    add_usage(s, &r->usage);
    if (r->cost_nanousd < 0)
        s->unknown++;
    else
        plus(&s->cost_nanousd, r->cost_nanousd);
    if (r->flags & RECORD_ESTIMATED) {
        s->estimated++;
        plus(&s->estimated_nanousd, count_of(r->cost_nanousd));
    }
    if (settled) return;
    if (r->duration_us < (uint64_t)INT64_MAX) plus(&s->duration_us, (int64_t)r->duration_us);
    if (r->ttft_us > 0 && r->ttft_us < (uint64_t)INT64_MAX) {
        plus(&s->ttft_us, (int64_t)r->ttft_us);
        s->ttft_n++;
    }
}

void sums_add(struct sums *s, const struct sums *other)
{
    int64_t *to = (int64_t *)s;
    const int64_t *from = (const int64_t *)other;
    for (unsigned i = 0; i < sizeof *s / sizeof(int64_t); i++) plus(&to[i], from[i]);
}

int64_t sums_input(const struct sums *s)
{
    int64_t n = s->in_uncached;
    plus(&n, s->cache_read);
    plus(&n, s->cache_write_5m);
    plus(&n, s->cache_write_1h);
    return n;
}

void sums_encode(const struct sums *s, uint8_t out[SUMS_STORED])
{
    const uint32_t format = FORMAT;
    memcpy(out + 4, &format, 4);
    memcpy(out + 8, s, sizeof *s);
    uint32_t crc = crc32c(0, out + 4, SUMS_STORED - 4);
    memcpy(out, &crc, 4);
}

bool sums_decode(const void *p, size_t n, struct sums *ret_sums)
{
    const uint8_t *b = p;
    uint32_t crc, format;
    /* an older build's sums are shorter: what they lack is zero */
    if (n < 8 || n > SUMS_STORED || n % 8 != 0) return false;
    memcpy(&crc, b, 4);
    memcpy(&format, b + 4, 4);
    if (format != FORMAT || crc != crc32c(0, b + 4, n - 4)) return false;
    struct sums s = {0};
    memcpy(&s, b + 8, n - 8);
    *ret_sums = s;
    return true;
}
