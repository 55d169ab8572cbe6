#include "controlplane/metrics.h"

#include "controlplane/record.h"
#include "proto/base/err.h"
#include "proto/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum unit { COUNT, NANOUSD, MICROSECONDS };

enum family_id { REQUESTS, ATTEMPTS, REFUSED, TOKENS, COST, PRICE_MISSING, ABORTED, OVERHEAD, FAMILIES_N };

/* Names of design: base units, _total on counters, a closed list of labels. */
static const struct family {
    const char *name;
    enum unit unit;
    bool is_histogram;
    const char *help;
} FAMILIES[FAMILIES_N] = {
    [REQUESTS] = {"weir_requests_total", COUNT, false, "Requests of clients, by how they ended."},
    [ATTEMPTS] = {"weir_attempts_total", COUNT, false, "Tries of a provider, by how they ended."},
    [REFUSED] = {"weir_refused_total", COUNT, false, "Requests refused here, by reason."},
    [TOKENS] = {"weir_tokens_total", COUNT, false, "Tokens, by kind; reasoning is part of output."},
    [COST] = {"weir_cost_usd_total", NANOUSD, false, "Dollars, by what the figure rests on."},
    [PRICE_MISSING] = {"weir_price_missing_total", COUNT, false,
                       "Attempts whose cost is not known for want of a price."},
    [ABORTED] = {"weir_stream_aborted_total", COUNT, false, "Streams that ended early, by the side that ended them."},
    [OVERHEAD] = {"weir_overhead_seconds", MICROSECONDS, true, "Time of a request that weir itself took."},
};
enum { BUCKETS = 1024 };

static const struct {
    uint64_t us;
    const char *le;
} OVERHEAD_LE[] = {{50, "5e-05"},   {100, "0.0001"}, {200, "0.0002"}, {500, "0.0005"}, {1000, "0.001"},
                   {2000, "0.002"}, {5000, "0.005"}, {10000, "0.01"}, {20000, "0.02"}, {50000, "0.05"}};
enum { LE_N = sizeof OVERHEAD_LE / sizeof *OVERHEAD_LE };

struct series {
    struct series *next;
    unsigned family;
    int64_t value;
    char labels[];
};

struct metrics {
    struct series *bucket[BUCKETS];
    struct series *last[FAMILIES_N]; /* counted last: one call is mostly like the one before */
    unsigned n;
    struct buf labels;     /* of the series being counted; reused */
    uint64_t le[LE_N + 1]; /* not cumulative; the last is +Inf */
    uint64_t overhead_us, overhead_n;
    bool (*is_known)(void *ctx, struct str provider, struct str model);
    void *ctx;
};

struct metrics *metrics_new(void)
{
    return xcalloc(1, sizeof(struct metrics));
}

void metrics_free(struct metrics **mp)
{
    struct metrics *m = *mp;
    *mp = NULL;
    for (unsigned i = 0; m != NULL && i < BUCKETS; i++) {
        while (m->bucket[i] != NULL) {
            struct series *s = m->bucket[i];
            m->bucket[i] = s->next;
            free(s);
        }
    }
    if (m != NULL) buf_fini(&m->labels);
    free(m);
}

void metrics_set_known(struct metrics *m, bool (*is_known)(void *ctx, struct str provider, struct str model), void *ctx)
{
    m->is_known = is_known;
    m->ctx = ctx;
}

void metrics_label(struct buf *labels, const char *name, struct str value)
{
    size_t plain = 0;
    if (buf_len(labels) > 0) buf_addc(labels, ',');
    buf_addz(labels, name);
    buf_add(labels, STR("=\""));
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c != '\\' && c != '"' && c >= 0x20 && c != 0x7F) continue;
        buf_add(labels, str_slice(value, plain, i));
        plain = i + 1;
        if (c == '\\' || c == '"') buf_addc(labels, '\\');
        if (c == '\n')
            buf_add(labels, STR("\\n"));
        else
            buf_addc(labels, c == '\\' || c == '"' ? (char)c : '?');
    }
    buf_add(labels, str_slice(value, plain, value.n));
    buf_addc(labels, '"');
}

/* ---- counting ---- */

static struct series *find(struct metrics *m, unsigned family, struct str labels)
{
    uint32_t h = 2166136261u ^ family; /* FNV-1a */
    for (size_t i = 0; i < labels.n; i++) h = (h ^ (unsigned char)labels.p[i]) * 16777619u;
    struct series **at = &m->bucket[h % BUCKETS];
    while (*at != NULL && ((*at)->family != family || !str_is(labels, (*at)->labels))) at = &(*at)->next;
    if (*at == NULL) {
        struct series *s = xcalloc(1, sizeof *s + labels.n + 1);
        s->family = family;
        memcpy(s->labels, labels.p, labels.n);
        *at = s;
        m->n++;
    }
    return *at;
}

static void add(struct metrics *m, unsigned family, struct str labels, int64_t n)
{
    struct series *s = m->last[family];
    if (s == NULL || !str_is(labels, s->labels)) s = m->last[family] = find(m, family, labels);
    if (__builtin_add_overflow(s->value, n, &s->value)) s->value = INT64_MAX;
}

static unsigned family_of(const char *name)
{
    for (unsigned i = 0; i < FAMILIES_N; i++)
        if (strcmp(FAMILIES[i].name, name) == 0) return i;
    return FAMILIES_N;
}

void metrics_count(struct metrics *m, const char *family, const char *labels, int64_t n)
{
    unsigned f = family_of(family);
    if (f < FAMILIES_N && f != OVERHEAD) add(m, f, labels[0] == '\0' ? STR("") : str_of(labels), n);
}

/* Labels of one series, at most four; NULL ends the list. */
struct label {
    const char *name;
    struct str value;
};

static void count(struct metrics *m, enum family_id family, const struct label *labels, int64_t n)
{
    struct buf *text = &m->labels;
    bool is_too_many = m->n >= METRICS_SERIES;
    buf_clear(text);
    for (; labels->name != NULL; labels++)
        metrics_label(text, labels->name, is_too_many ? STR("other") : labels->value);
    add(m, family, buf_view(text), n);
}
#define LABELS(...)        \
    (const struct label[]) \
    {                      \
        __VA_ARGS__,       \
        {                  \
            NULL, STR_NULL \
        }                  \
    }

static const char *refusal_reason(uint16_t err)
{
    switch (err) {
    case WEIR_BUDGET_SPENT:
    case WEIR_BUDGET_HELD:
    case WEIR_PRICE_UNKNOWN: return "budget";
    case WEIR_RATE:
    case WEIR_CONCURRENCY: return "rate";
    case WEIR_KEY_INVALID:
    case WEIR_KEY_FORBIDDEN:
    case WEIR_ORIGIN_FORBIDDEN: return "auth";
    case WEIR_MODEL_NOT_FOUND:
    case WEIR_NO_ENDPOINT:
    case WEIR_METHOD: return "route";
    case WEIR_TOO_LARGE:
    case WEIR_HEAD_TOO_LARGE:
    case WEIR_URI_TOO_LONG: return "size";
    case WEIR_BUFFERS_FULL:
    case WEIR_ACCOUNTING_FULL:
    case WEIR_LOCAL_RESOURCE: return "overload";
    case WEIR_DRAINING: return "draining";
    case WEIR_NO_TARGET: return "no_target";
    default: return "request";
    }
}

static const char *request_outcome(const struct usage_record *r)
{
    if (r->kind == RECORD_REFUSED || r->outcome == OUTCOME_REFUSED) return "refused";
    if (r->outcome == OUTCOME_CANCELLED) return "cancelled";
    if (r->outcome != OUTCOME_OK) return "failed";
    return r->flags & RECORD_RESCUED ? "rescued" : "ok";
}

static const char *attempt_outcome(const struct usage_record *r)
{
    static const char *const words[] = {"?", "ok", "failed", "cancelled", "refused", "worker_died"};
    return words[r->outcome <= OUTCOME_WORKER_DIED ? r->outcome : 0];
}

static void count_request(struct metrics *m, const struct usage_record *r)
{
    static const char *const dialects[] = {
        [SNAP_OPENAI_CHAT] = "openai",  [SNAP_ANTHROPIC] = "anthropic", [SNAP_GEMINI] = "gemini",
        [SNAP_RESPONSES] = "responses", [SNAP_CONVERSE] = "converse",   [SNAP_OLLAMA] = "ollama",
        [SNAP_COHERE] = "cohere"};
    const char *dialect = r->client_dialect < sizeof dialects / sizeof *dialects ? dialects[r->client_dialect] : "?";
    count(
        m, REQUESTS,
        LABELS({"route", RECORD_TEXT(r->route)}, {"dialect", str_of(dialect)}, {"outcome", str_of(request_outcome(r))}),
        1);
    if (r->kind == RECORD_REFUSED) count(m, REFUSED, LABELS({"reason", str_of(refusal_reason(r->err))}), 1);
    unsigned i = 0;
    while (i < LE_N && r->overhead_us > OVERHEAD_LE[i].us) i++;
    m->le[i]++;
    m->overhead_us += r->overhead_us;
    m->overhead_n++;
}

static void count_tokens(struct metrics *m, const char *type, int64_t n)
{
    if (n > 0) count(m, TOKENS, LABELS({"type", str_of(type)}), n);
}

static void count_attempt(struct metrics *m, const struct usage_record *r)
{
    struct str provider = RECORD_TEXT(r->provider), model = RECORD_TEXT(r->model);
    if (m->is_known != NULL && !m->is_known(m->ctx, provider, model)) model = STR("other");
    if (r->kind == RECORD_ATTEMPT)
        count(m, ATTEMPTS,
              LABELS({"provider", provider}, {"model", model}, {"outcome", str_of(attempt_outcome(r))},
                     {"error_type", str_of(r->err == WEIR_OK ? "" : err_word((enum weir_err)r->err))}),
              1);
    count_tokens(m, "input", usage_in_total(&r->usage));
    count_tokens(m, "cache_read", r->usage.cache_read);
    count_tokens(m, "cache_write", usage_cache_write(&r->usage));
    count_tokens(m, "output", r->usage.out_total);
    count_tokens(m, "reasoning", r->usage.out_reasoning);
    const char *basis = price_basis_word((enum price_basis)r->basis);
    if (r->cost_nanousd < 0)
        count(m, PRICE_MISSING, LABELS({"model", model}), 1);
    else if (r->cost_nanousd > 0)
        count(m, COST,
              LABELS({"provider", provider}, {"model", model}, {"key", RECORD_TEXT(r->key)},
                     {"basis", str_of(basis == NULL ? "computed" : basis)}),
              r->cost_nanousd);
    if ((r->flags & RECORD_STREAM) && r->ttft_us > 0 && r->outcome != OUTCOME_OK)
        count(m, ABORTED, LABELS({"side", str_of(r->outcome == OUTCOME_CANCELLED ? "client" : "provider")}), 1);
}

void metrics_record(struct metrics *m, const struct usage_record *r)
{
    if (r->kind != RECORD_REFUSED) count_attempt(m, r);
    if ((r->flags & RECORD_FINAL) && r->kind != RECORD_SETTLED) count_request(m, r);
}

/* ---- text (Prometheus exposition format 0.0.4) ---- */

void metrics_head(struct buf *out, const char *family, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", family, help, family, type);
}

void metrics_series(struct buf *out, const char *family, const char *labels, const char *value)
{
    bool has = labels[0] != '\0';
    buf_addz(out, family);
    buf_addz(out, has ? "{" : "");
    buf_addz(out, labels);
    buf_addz(out, has ? "} " : " ");
    buf_addz(out, value);
    buf_addc(out, '\n');
}

static int by_labels(const void *a, const void *b)
{
    const struct series *const *x = a, *const *y = b;
    return strcmp((*x)->labels, (*y)->labels);
}

static void write_family(const struct metrics *m, unsigned family, const struct series **list, struct buf *out)
{
    unsigned n = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        for (const struct series *s = m->bucket[i]; s != NULL; s = s->next)
            if (s->family == family) list[n++] = s;
    if (n > 0) qsort(list, n, sizeof *list, by_labels);
    metrics_head(out, FAMILIES[family].name, "counter", FAMILIES[family].help);
    for (unsigned i = 0; i < n; i++) {
        char value[32];
        if (FAMILIES[family].unit == NANOUSD)
            price_format_number(list[i]->value, value, sizeof value);
        else
            snprintf(value, sizeof value, "%" PRId64, list[i]->value);
        metrics_series(out, FAMILIES[family].name, list[i]->labels, value);
    }
}

static void write_overhead(const struct metrics *m, struct buf *out)
{
    const char *name = FAMILIES[OVERHEAD].name;
    uint64_t sum = 0;
    metrics_head(out, name, "histogram", FAMILIES[OVERHEAD].help);
    for (unsigned i = 0; i <= LE_N; i++) {
        sum += m->le[i];
        buf_addf(out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, i < LE_N ? OVERHEAD_LE[i].le : "+Inf", sum);
    }
    buf_addf(out, "%s_sum %" PRIu64 ".%06" PRIu64 "\n", name, m->overhead_us / 1000000, m->overhead_us % 1000000);
    buf_addf(out, "%s_count %" PRIu64 "\n", name, m->overhead_n);
}

void metrics_write(const struct metrics *m, struct buf *out)
{
    const struct series **list = xmalloc((m->n + 1) * sizeof *list);
    for (unsigned i = 0; i < FAMILIES_N; i++) {
        if (FAMILIES[i].is_histogram)
            write_overhead(m, out);
        else
            write_family(m, i, list, out);
    }
    free(list);
}
