#include "controlplane/reqlog.h"

#include "controlplane/record.h"
#include "proto/base/err.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct usage_record *last_of(const struct usage_record *records, unsigned n)
{
    return &records[n - 1];
}

static bool is_answered(const struct usage_record *r)
{
    return r->kind == RECORD_ATTEMPT && r->outcome == OUTCOME_OK;
}

const char *reqlog_outcome(const struct usage_record *records, unsigned n)
{
    const struct usage_record *r = last_of(records, n);
    if (r->kind == RECORD_REFUSED || r->outcome == OUTCOME_REFUSED) return "refused";
    if (r->outcome == OUTCOME_CANCELLED) return "cancelled";
    if (r->outcome != OUTCOME_OK) return "failed";
    return r->flags & RECORD_RESCUED ? "rescued" : "ok";
}

bool reqlog_cost(const struct usage_record *records, unsigned n, int64_t *ret_nanousd)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < n; i++) {
        if (records[i].kind == RECORD_REFUSED) continue;
        if (records[i].cost_nanousd < 0) return false;
        if (__builtin_add_overflow(sum, records[i].cost_nanousd, &sum)) sum = INT64_MAX;
    }
    *ret_nanousd = sum;
    return true;
}

/* ---- pieces ---- */

static struct tm utc(uint64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / 1000000000u);
    struct tm t;
    if (gmtime_r(&seconds, &t) == NULL) t = (struct tm){.tm_mday = 1, .tm_year = 70};
    return t;
}

/* value as `digits` decimal digits, leading zeros and all */
static void add_digits(struct buf *out, unsigned value, unsigned digits)
{
    char *p = buf_reserve(out, digits);
    for (unsigned i = digits; i > 0; i--, value /= 10) p[i - 1] = (char)('0' + value % 10);
    buf_commit(out, digits);
}

static void add_clock(struct buf *out, const struct tm *t)
{
    add_digits(out, (unsigned)t->tm_hour, 2);
    buf_addc(out, ':');
    add_digits(out, (unsigned)t->tm_min, 2);
    buf_addc(out, ':');
    add_digits(out, (unsigned)t->tm_sec, 2);
}

static void add_date(struct buf *out, unsigned year, unsigned month, unsigned day)
{
    add_digits(out, year, 4);
    buf_addc(out, '-');
    add_digits(out, month, 2);
    buf_addc(out, '-');
    add_digits(out, day, 2);
}

static void add_time(struct buf *out, uint64_t wall_ns)
{
    struct tm t = utc(wall_ns);
    add_date(out, (unsigned)t.tm_year + 1900, (unsigned)t.tm_mon + 1, (unsigned)t.tm_mday);
    buf_addc(out, 'T');
    add_clock(out, &t);
    buf_addc(out, '.');
    add_digits(out, (unsigned)(wall_ns / 1000000u % 1000u), 3);
    buf_addc(out, 'Z');
}

static const char *dialect_word(uint8_t dialect)
{
    switch (dialect) {
    case SNAP_OPENAI_CHAT: return "openai";
    case SNAP_ANTHROPIC: return "anthropic";
    case SNAP_GEMINI: return "gemini";
    case SNAP_RESPONSES: return "responses";
    case SNAP_CONVERSE: return "converse";
    case SNAP_OLLAMA: return "ollama";
    case SNAP_COHERE: return "cohere";
    default: return "?";
    }
}

/* Every field but the first begins with a comma. Plain copies: printf would be most of a line's cost. */
#define NAME(field) STR(",\"" field "\":")

static void text(struct buf *out, struct str name, struct str value)
{
    buf_add(out, name);
    if (value.n == 0)
        buf_add(out, STR("null"));
    else
        buf_add_json_str(out, value);
}

static void number(struct buf *out, struct str name, int64_t value)
{
    buf_add(out, name);
    buf_add_i64(out, value);
}

static void boolean(struct buf *out, struct str name, bool value)
{
    buf_add(out, name);
    buf_add(out, value ? STR("true") : STR("false"));
}

static void number_if(struct buf *out, struct str name, bool known, int64_t value)
{
    buf_add(out, name);
    if (known)
        buf_add_i64(out, value);
    else
        buf_add(out, STR("null"));
}

static int64_t signed_of(uint64_t v)
{
    return v > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)v;
}

static void add_target(struct buf *out, const struct usage_record *r)
{
    struct str provider = RECORD_TEXT(r->provider), model = RECORD_TEXT(r->model);
    buf_add_json(out, provider);
    if (model.n > 0) {
        buf_addc(out, '/');
        buf_add_json(out, model);
    }
}

/* ---- JSON ---- */

static void add_usage(struct buf *out, const struct usage_record *r)
{
    const struct usage *u = &r->usage;
    bool estimated = (r->flags & RECORD_ESTIMATED) != 0;
    bool input = (u->known & USAGE_INPUT) || estimated, output = (u->known & USAGE_OUTPUT) || estimated;
    number_if(out, NAME("gen_ai.usage.input_tokens"), input, usage_in_total(u));
    number_if(out, NAME("gen_ai.usage.cache_read.input_tokens"), input, u->cache_read);
    number_if(out, NAME("gen_ai.usage.cache_creation.input_tokens"), input, usage_cache_write(u));
    number_if(out, NAME("gen_ai.usage.output_tokens"), output, u->out_total);
    if (u->out_reasoning > 0) number(out, NAME("gen_ai.usage.reasoning.output_tokens"), u->out_reasoning);
    if (u->units > 0) number(out, NAME("usage.units"), u->units);
    if (u->milliseconds > 0) number(out, NAME("usage.media_ms"), u->milliseconds);
}

static void add_attempts(struct buf *out, const struct usage_record *records, unsigned n)
{
    bool first = true;
    buf_add(out, STR(",\"attempts\":["));
    for (unsigned i = 0; i < n; i++) {
        const struct usage_record *r = &records[i];
        if (r->kind == RECORD_REFUSED) continue;
        buf_addz(out, first ? "{\"target\":\"" : ",{\"target\":\"");
        first = false;
        add_target(out, r);
        buf_addc(out, '"');
        number_if(out, NAME("status"), r->status != 0, r->status);
        number(out, NAME("ms"), signed_of(r->duration_us / 1000));
        if (r->err != WEIR_OK)
            text(out, NAME("why"), str_of(err_word((enum weir_err)r->err)));
        else if (r->outcome == OUTCOME_CANCELLED)
            text(out, NAME("why"), STR("client_gone"));
        else if (r->outcome == OUTCOME_WORKER_DIED)
            text(out, NAME("why"), STR("worker_died"));
        if (RECORD_TEXT(r->detail).n > 0) text(out, NAME("detail"), RECORD_TEXT(r->detail));
        if (r->flags & RECORD_REUSED) boolean(out, NAME("reused"), true);
        buf_addc(out, '}');
    }
    buf_addc(out, ']');
}

static void add_cost(struct buf *out, const struct usage_record *records, unsigned n)
{
    int64_t cost = 0;
    char amount[32];
    bool known = reqlog_cost(records, n, &cost);
    uint8_t basis = PRICE_BASIS_NONE;
    uint32_t date = 0;
    for (unsigned i = 0; i < n; i++) { /* the weakest basis of those that cost something */
        if (records[i].cost_nanousd > 0 || is_answered(&records[i]))
            basis = records[i].basis > basis ? records[i].basis : basis;
        date = records[i].price_date > date ? records[i].price_date : date;
    }
    buf_add(out, NAME("cost_usd"));
    if (known && last_of(records, n)->kind != RECORD_REFUSED)
        price_format_number(cost, amount, sizeof amount);
    else
        snprintf(amount, sizeof amount, "%s", last_of(records, n)->kind == RECORD_REFUSED ? "0" : "null");
    buf_addz(out, amount);
    text(out, NAME("cost_basis"), known ? str_of(price_basis_word((enum price_basis)basis)) : STR_NULL);
    buf_add(out, NAME("price_date"));
    if (date == 0) {
        buf_add(out, STR("null"));
        return;
    }
    buf_addc(out, '"');
    add_date(out, date / 10000, date / 100 % 100, date % 100);
    buf_addc(out, '"');
}

static void add_error(struct buf *out, const struct usage_record *r)
{
    buf_add(out, NAME("error"));
    if (r->err == WEIR_OK && r->outcome != OUTCOME_WORKER_DIED) {
        buf_add(out, STR("null"));
        return;
    }
    struct str detail = RECORD_TEXT(r->detail);
    const char *word = r->outcome == OUTCOME_WORKER_DIED ? "worker_died" : err_word((enum weir_err)r->err);
    buf_add(out, STR("{\"type\":"));
    buf_add_json_str(out, str_of(word));
    text(out, NAME("message"), detail.n > 0 ? detail : str_of(err_row((enum weir_err)r->err)->text));
    buf_addc(out, '}');
}

void reqlog_json(const struct usage_record *records, unsigned n, struct buf *out)
{
    const struct usage_record *r = last_of(records, n);
    const char *outcome = reqlog_outcome(records, n);
    bool bad = strcmp(outcome, "failed") == 0 || strcmp(outcome, "refused") == 0;
    buf_add(out, STR("{\"ts\":\""));
    add_time(out, r->request_wall_ns);
    buf_add(out,
            bad ? STR("\",\"level\":\"warn\",\"msg\":\"request\"") : STR("\",\"level\":\"info\",\"msg\":\"request\""));
    text(out, NAME("request_id"), RECORD_TEXT(r->request_id));
    text(out, NAME("route"), RECORD_TEXT(r->route));
    text(out, NAME("dialect"), str_of(dialect_word(r->client_dialect)));
    text(out, NAME("path"), RECORD_TEXT(r->path));
    number_if(out, NAME("status"), r->client_status != 0, r->client_status);
    text(out, NAME("outcome"), str_of(outcome));
    boolean(out, NAME("stream"), (r->flags & RECORD_STREAM) != 0);
    text(out, NAME("gen_ai.operation.name"), STR("chat"));
    text(out, NAME("gen_ai.provider.name"), RECORD_TEXT(r->provider));
    text(out, NAME("gen_ai.request.model"), RECORD_TEXT(r->asked_model));
    text(out, NAME("gen_ai.response.model"), RECORD_TEXT(r->model));
    if (r->kind == RECORD_SETTLED ||
        (r->flags & RECORD_TASK)) /* its cost comes in a line of its own, of the same request */
        text(out, NAME("task"), str_of(r->kind == RECORD_SETTLED ? "settled" : "open"));
    add_usage(out, r);
    struct str finish = RECORD_TEXT(r->finish);
    buf_add(out, NAME("gen_ai.response.finish_reasons"));
    buf_addc(out, '[');
    if (finish.n > 0) buf_add_json_str(out, finish);
    buf_addc(out, ']');
    number(out, NAME("duration_ms"), signed_of(r->request_us / 1000));
    number_if(out, NAME("ttft_ms"), r->ttft_us > 0, signed_of(r->ttft_us / 1000));
    number(out, NAME("overhead_us"), signed_of(r->overhead_us));
    add_attempts(out, records, n);
    add_cost(out, records, n);
    text(out, NAME("key"), RECORD_TEXT(r->key));
    text(out, NAME("key_hint"), RECORD_TEXT(r->key_hint));
    text(out, NAME("session"), RECORD_TEXT(r->session));
    text(out, NAME("client"), RECORD_TEXT(r->client));
    text(out, NAME("loss"), RECORD_TEXT(r->loss));
    number(out, NAME("bytes_in"), signed_of(r->bytes_in));
    number(out, NAME("bytes_out"), signed_of(r->bytes_out));
    add_error(out, r);
    buf_addc(out, '}');
}

/* ---- text ---- */

static void paint(struct buf *out, unsigned flags, const char *colour)
{
    if (flags & REQLOG_COLOUR) buf_addf(out, "\x1b[%sm", colour);
}

/* Printable ASCII and UTF-8 as they are; a control byte would move the reader's cursor. */
static void add_plain(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) buf_addc(out, (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F ? '?' : s.p[i]);
}

static size_t add_status_of(struct buf *out, const struct usage_record *r)
{
    size_t before = buf_len(out);
    if (r->status != 0)
        buf_addf(out, "%u", r->status);
    else
        buf_addz(out, r->outcome == OUTCOME_WORKER_DIED ? "worker died" : err_word((enum weir_err)r->err));
    return buf_len(out) - before;
}

/* "chat → fake-a ✗ 529 → fake-b/large"; returns its width in columns. */
static size_t add_way(struct buf *out, const struct usage_record *records, unsigned n, unsigned flags)
{
    struct str route = RECORD_TEXT(records[n - 1].route), asked = RECORD_TEXT(records[n - 1].asked_model);
    struct str from = route.n > 0 ? route : asked.n > 0 ? asked : STR("-");
    size_t width = from.n;
    add_plain(out, from);
    for (unsigned i = 0; i < n; i++) {
        const struct usage_record *r = &records[i];
        struct str provider = RECORD_TEXT(r->provider), model = RECORD_TEXT(r->model);
        buf_add(out, STR(" → "));
        width += 3;
        if (r->kind == RECORD_REFUSED) {
            buf_add(out, STR("refused"));
            width += 7;
            continue;
        }
        add_plain(out, provider);
        width += provider.n;
        if (is_answered(r) && model.n > 0) {
            buf_addc(out, '/');
            add_plain(out, model);
            width += 1 + model.n;
        }
        if (!is_answered(r)) {
            paint(out, flags, "31");
            buf_add(out, STR(" ✗ "));
            width += 3 + add_status_of(out, r);
            paint(out, flags, "0");
        }
    }
    return width;
}

static void add_duration(struct buf *out, uint64_t us)
{
    if (us < 100000)
        buf_addf(out, "%4.1f ms", (double)us / 1000);
    else
        buf_addf(out, "%5.2f s", (double)us / 1000000);
}

static void add_money(struct buf *out, const struct usage_record *records, unsigned n)
{
    int64_t cost;
    char amount[32];
    if (last_of(records, n)->kind == RECORD_REFUSED && n == 1)
        snprintf(amount, sizeof amount, "$0");
    else if (reqlog_cost(records, n, &cost))
        price_format_usd(cost, amount, sizeof amount);
    else
        snprintf(amount, sizeof amount, "$?");
    buf_addf(out, "  %-8s", amount);
}

static void trim_blanks(struct buf *out)
{
    struct str s = buf_view(out);
    size_t n = s.n;
    while (n > 0 && s.p[n - 1] == ' ') n--;
    buf_truncate(out, n);
}

void reqlog_text(const struct usage_record *records, unsigned n, unsigned flags, struct buf *out)
{
    enum { WAY_COLUMNS = 36 };
    const struct usage_record *r = last_of(records, n);
    const char *outcome = reqlog_outcome(records, n);
    bool bad = strcmp(outcome, "failed") == 0 || strcmp(outcome, "refused") == 0;
    if (flags & REQLOG_TIME) {
        struct tm t = utc(r->request_wall_ns);
        add_clock(out, &t);
        buf_addc(out, ' ');
    }
    buf_addf(out, "%-9s  ", dialect_word(r->client_dialect));
    for (size_t width = add_way(out, records, n, flags); width < WAY_COLUMNS; width++) buf_addc(out, ' ');
    paint(out, flags, bad ? "31" : "32");
    if (r->client_status != 0)
        buf_addf(out, "  %3u", r->client_status);
    else
        buf_add(out, STR("    -"));
    paint(out, flags, "0");
    buf_add(out, STR("  "));
    add_duration(out, r->request_us);
    char tokens[48] = "";
    if (r->kind != RECORD_REFUSED && (r->usage.known & (USAGE_INPUT | USAGE_OUTPUT)))
        snprintf(tokens, sizeof tokens, "%lld+%lld tok", (long long)usage_in_total(&r->usage),
                 (long long)r->usage.out_total);
    buf_addf(out, "  %-11s", tokens);
    add_money(out, records, n);
    if (strcmp(outcome, "ok") != 0) {
        buf_add(out, STR("  "));
        paint(out, flags, bad ? "31" : "33");
        buf_addz(out, outcome);
        paint(out, flags, "0");
    }
    if (r->err != WEIR_OK && bad) buf_addf(out, " %s", err_word((enum weir_err)r->err));
    trim_blanks(out);
}
