/* How long a provider asks to be left alone, in all the spellings that were seen. */
#include "proto/dialect/upstream_error.h"

#include "proto/base/date.h"

#include <string.h>

enum { HINT_MOST_MS = 3600 * 1000 };

static int64_t clamp(double ms)
{
    return ms < 0 ? 0 : ms > (double)HINT_MOST_MS ? HINT_MOST_MS : (int64_t)ms;
}

/* "12", "1.5": digits with at most one point; nothing of the locale. Moves *s behind it. */
static bool take_decimal(struct str *s, double *ret_value)
{
    double v = 0, scale = 1;
    size_t i = 0, digits = 0;
    bool point = false;
    for (; i < s->n; i++) {
        char c = s->p[i];
        if (c == '.' && !point && i + 1 < s->n && s->p[i + 1] >= '0' && s->p[i + 1] <= '9') {
            point = true;
        } else if (c >= '0' && c <= '9') {
            digits++;
            v = v * 10 + (c - '0');
            scale = point ? scale * 10 : scale;
        } else {
            break;
        }
    }
    if (digits == 0 || digits > 15) return false;
    *s = str_slice(*s, i, s->n);
    *ret_value = v / scale;
    return true;
}

/* "6m0s", "1h2m3.5s", "12ms", "1s": Go's durations. A bare number is seconds. */
static bool read_duration(struct str s, double *ret_ms)
{
    double total = 0, v;
    if (s.n == 0) return false;
    while (s.n > 0) {
        if (!take_decimal(&s, &v)) return false;
        if (str_starts(s, STR("ms"))) {
            total += v;
            s = str_slice(s, 2, s.n);
            continue;
        }
        double unit = s.n == 0 || s.p[0] == 's' ? 1e3
                      : s.p[0] == 'm'           ? 6e4
                      : s.p[0] == 'h'           ? 3.6e6
                      : s.p[0] == 'd'           ? 8.64e7
                                                : 0;
        if (unit <= 0) return false;
        total += v * unit;
        s = str_slice(s, 1, s.n);
    }
    *ret_ms = total;
    return true;
}

static bool until_date(struct str text, struct str now_text, double *ret_ms)
{
    uint64_t then, now;
    if (!date_read_http(text, &then) && !date_read_rfc3339(text, &then)) return false;
    if (!date_read_http(now_text, &now)) return false;
    *ret_ms = ((double)then - (double)now) * 1000;
    return true;
}

/* A limit of which nothing is left says when it is filled again. */
static bool read_reset(struct str left, struct str reset, struct str date, double *ret_ms)
{
    double v;
    struct str rest = left;
    if (!take_decimal(&rest, &v) || rest.n > 0 || v > 0) return false;
    return read_duration(reset, ret_ms) || until_date(reset, date, ret_ms);
}

/* "Please try again in 1.2s", "retry in 20ms", "try again in 6m0s". */
static bool read_text(struct str text, double *ret_ms)
{
    static const char *const PHRASES[] = {"try again in ", "retry in ", "retry after "};
    for (size_t i = 0; i < sizeof PHRASES / sizeof *PHRASES; i++) {
        struct str phrase = str_of(PHRASES[i]);
        for (size_t at = 0; at + phrase.n < text.n; at++) {
            if (!str_ieq(str_slice(text, at, at + phrase.n), phrase)) continue;
            struct str rest = str_slice(text, at + phrase.n, text.n);
            size_t n = 0;
            while (n < rest.n &&
                   ((rest.p[n] >= '0' && rest.p[n] <= '9') || rest.p[n] == '.' || strchr("smhd", rest.p[n]) != NULL))
                n++;
            while (n > 0 && rest.p[n - 1] == '.') n--;
            struct str span = str_slice(rest, 0, n);
            struct str unit = str_slice(rest, n, rest.n);
            double v;
            if (str_starts(unit, STR(" second")) || str_starts(unit, STR(" sec")) ||
                (n > 0 && strchr("smhd", span.p[n - 1])))
                if (read_duration(span, &v)) {
                    *ret_ms = v;
                    return true;
                }
        }
    }
    return false;
}

int64_t retry_hint_ms(const struct answer_headers *h, struct str text)
{
    double ms, other;
    struct str rest = h->retry_after_ms;
    if (take_decimal(&rest, &ms) && rest.n == 0) return clamp(ms);
    rest = h->retry_after;
    if (take_decimal(&rest, &ms) && rest.n == 0) return clamp(ms * 1000);
    if (until_date(h->retry_after, h->date, &ms)) return clamp(ms);
    bool requests = read_reset(h->limit_requests_left, h->limit_requests_reset, h->date, &ms);
    bool tokens = read_reset(h->limit_tokens_left, h->limit_tokens_reset, h->date, &other);
    if (requests || tokens) return clamp(requests && (!tokens || ms > other) ? ms : other);
    return read_text(text, &ms) ? clamp(ms) : -1;
}

int64_t retry_duration_ms(struct str duration)
{
    double ms;
    return read_duration(duration, &ms) ? clamp(ms) : -1;
}
