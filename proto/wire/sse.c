#include "proto/wire/sse.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The special difficulty: a line ends with CR, LF or CRLF, and the CR of a CRLF may be the last byte of a piece. A blank line's CR
 * is waited on for its LF only in streams that use CRLF; where the line before ended with a lone CR, the blank line's CR ends the
 * event at once. So events come neither late nor differently cut, however the bytes arrived. */

enum { BOM_BYTES = 3 };
static const char bom[BOM_BYTES] = "\xEF\xBB\xBF";

void sse_init(struct sse *s, size_t limit_bytes)
{
    *s = (struct sse){.limit_bytes = limit_bytes, .at_line_start = true};
}

void sse_reset(struct sse *s)
{
    struct buf in = s->in, data = s->data;
    sse_init(s, s->limit_bytes);
    s->in = in;
    s->data = data;
    buf_clear(&s->in);
    buf_clear(&s->data);
}

void sse_fini(struct sse *s)
{
    buf_fini(&s->in);
    buf_fini(&s->data);
}

void sse_feed(struct sse *s, struct str bytes)
{
    buf_add(&s->in, bytes);
}

/* ---- Finding the end of an event ---- */

/* Passes over the BOM's bytes at the very start: they are not content of the first line. */
static void skip_bom(struct sse *s, struct str v)
{
    while (!s->started && s->scanned < v.n) {
        if (v.p[s->scanned] != bom[s->scanned]) {
            s->at_line_start = s->scanned == 0;
            s->started = true;
        } else if (++s->scanned == BOM_BYTES) {
            s->started = s->has_bom = true;
        }
    }
}

/* The first CR or LF. In one pass: two calls of memchr would scan a stream of CRs once for each line. */
static const char *line_break(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');
    for (; end - p >= 16; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        int mask = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(x, lf), _mm_cmpeq_epi8(x, cr)));
        if (mask != 0) return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && *p != '\n' && *p != '\r') p++;
    return p < end ? p : NULL;
}

/* Scans on from s->scanned. True: an event ends at s->scanned. */
static bool find_end(struct sse *s)
{
    struct str v = buf_view(&s->in);
    skip_bom(s, v);
    while (s->scanned < v.n) {
        char c = v.p[s->scanned];
        if (s->after_cr) { /* the byte behind a CR: an LF belongs to it */
            s->after_cr = false;
            s->lone_cr = c != '\n';
            if (c == '\n') s->scanned++;
            if (s->blank) return true;
            continue;
        }
        if (c != '\n' && c != '\r') {
            s->at_line_start = false;
            const char *at = line_break(v.p + s->scanned, v.p + v.n);
            s->scanned = at == NULL ? v.n : (size_t)(at - v.p);
            continue;
        }
        s->scanned++;
        s->blank = s->at_line_start;
        s->at_line_start = true;
        if (c == '\n') {
            s->lone_cr = false;
            if (s->blank) return true;
        } else {
            if (s->blank && s->lone_cr) return true;
            s->after_cr = true;
        }
    }
    return false;
}

/* ---- Reading an event ---- */

static void read_field(struct sse *s, struct str line, struct sse_event *ev)
{
    ptrdiff_t colon = str_chr(line, ':');
    struct str name = colon < 0 ? line : str_slice(line, 0, (size_t)colon);
    struct str value = colon < 0 ? STR_NULL : str_slice(line, (size_t)colon + 1, line.n);
    if (value.n > 0 && value.p[0] == ' ') value = str_slice(value, 1, value.n);
    if (colon == 0) return; /* a comment */
    ev->comment_only = false;
    if (str_is(name, "data")) {
        ev->has_data = true;
        if (++ev->data_lines == 1) {
            ev->data = value; /* one line, as nearly always: no copy */
            return;
        }
        if (ev->data_lines == 2) buf_add(&s->data, ev->data);
        buf_addc(&s->data, '\n');
        buf_add(&s->data, value);
    } else if (str_is(name, "event")) {
        ev->name = value;
    }
}

static void read_event(struct sse *s, struct str raw, struct sse_event *ev)
{
    *ev = (struct sse_event){.raw = raw, .comment_only = true};
    buf_clear(&s->data);
    if (s->has_bom) raw = str_slice(raw, BOM_BYTES, raw.n);
    s->has_bom = false;
    while (raw.n > 0) {
        const char *at = line_break(raw.p, raw.p + raw.n);
        struct str line = at == NULL ? raw : str_slice(raw, 0, (size_t)(at - raw.p));
        if (line.n > 0) read_field(s, line, ev);
        size_t skip = line.n;
        if (at != NULL) skip += *at == '\r' && line.n + 1 < raw.n && at[1] == '\n' ? 2 : 1;
        raw = str_slice(raw, skip, raw.n);
    }
    if (ev->data_lines > 1) ev->data = buf_view(&s->data);
}

/* What was given out with the last event is let go by the next call. */
static void drop_given(struct sse *s)
{
    buf_consume(&s->in, s->given);
    s->scanned -= s->given;
    s->given = 0;
}

static void give_piece(struct sse *s, struct sse_event *ev, size_t n, bool ends)
{
    struct str v = buf_view(&s->in);
    *ev = (struct sse_event){.raw = str_slice(v, 0, n), .oversized = true};
    if (!s->passing) s->oversized++;
    s->passing = !ends;
    s->given = n;
    s->has_bom = false;
}

bool sse_next(struct sse *s, struct sse_event *ret_event)
{
    drop_given(s);
    bool ends = find_end(s);
    if (ends && s->passing &&
        s->scanned == 0) { /* its last CR was given out before the byte behind it told that it was the end */
        s->blank = s->passing = false;
        ends = find_end(s);
    }
    if (ends) s->blank = false;
    if (s->passing || s->scanned > s->limit_bytes) {
        if (s->scanned == 0) return false;
        give_piece(s, ret_event, s->scanned, ends);
        return true;
    }
    if (!ends) return false;
    read_event(s, str_slice(buf_view(&s->in), 0, s->scanned), ret_event);
    s->given = s->scanned;
    return true;
}

bool sse_finish(struct sse *s, struct sse_event *ret_event)
{
    if (sse_next(s, ret_event)) return true;
    struct str rest = buf_view(&s->in);
    if (rest.n == 0) return false;
    if (s->passing)
        give_piece(s, ret_event, rest.n, true);
    else
        read_event(s, rest, ret_event);
    s->given = s->scanned = rest.n;
    return true;
}

void sse_write(struct buf *out, struct str name, struct str data)
{
    if (name.n > 0) {
        buf_add(out, STR("event: "));
        buf_add(out, name);
        buf_addc(out, '\n');
    }
    buf_add(out, STR("data: "));
    buf_add(out, data);
    buf_add(out, STR("\n\n"));
}
