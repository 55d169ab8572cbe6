#include "proto/wire/framing.h"

#include <assert.h>
#include <string.h>

static const char *const CONTENT_TYPES[] = {
    [FRAMING_SSE] = "text/event-stream",
    [FRAMING_JSON_ARRAY] = "application/json",
    [FRAMING_EVENTSTREAM] = "application/vnd.amazon.eventstream",
    [FRAMING_NDJSON] = "application/x-ndjson",
};

_Static_assert(sizeof CONTENT_TYPES / sizeof *CONTENT_TYPES == FRAMING_COUNT, "a content type per framing");

const char *framing_content_type(enum framing f)
{
    return CONTENT_TYPES[f];
}

void frames_init(struct frames *f, enum framing framing, size_t limit_bytes)
{
    assert(framing != FRAMING_JSON_ARRAY);
    memset(f, 0, sizeof *f);
    f->framing = framing;
    switch (framing) {
    case FRAMING_EVENTSTREAM: eventstream_init(&f->u.es, limit_bytes); break;
    case FRAMING_NDJSON: f->u.lines.limit_bytes = limit_bytes; break;
    default: sse_init(&f->u.sse, limit_bytes); break;
    }
}

void frames_fini(struct frames *f)
{
    switch (f->framing) {
    case FRAMING_EVENTSTREAM: eventstream_fini(&f->u.es); break;
    case FRAMING_NDJSON: buf_fini(&f->u.lines.in); break;
    default: sse_fini(&f->u.sse); break;
    }
}

/* ---- SSE ---- */

static bool ends_with_blank_line(struct str raw)
{
    return str_ends(raw, STR("\n\n")) || str_ends(raw, STR("\r\r")) || str_ends(raw, STR("\r\n\r\n")) ||
           str_ends(raw, STR("\n\r\n"));
}

static void from_event(const struct sse_event *ev, struct frame *ret_frame)
{
    *ret_frame = (struct frame){.name = ev->name,
                                .data = ev->data,
                                .raw = ev->raw,
                                .is_complete = ends_with_blank_line(ev->raw),
                                .oversized = ev->oversized};
}

/* ---- Event-stream ---- */

static void from_message(const struct eventstream_message *m, struct frame *ret_frame)
{
    *ret_frame = (struct frame){.name = m->name,
                                .data = m->payload,
                                .raw = m->raw,
                                .is_failure = str_is(m->kind, "exception") || str_is(m->kind, "error"),
                                .is_complete = true,
                                .oversized = m->oversized};
    /* An "error" has no payload: its text stands in a header. */
    if (ret_frame->data.n == 0 && ret_frame->is_failure) ret_frame->data = m->detail;
}

static enum frame_result next_message(struct frames *f, struct frame *ret_frame)
{
    struct eventstream_message m;
    enum eventstream_result result = eventstream_next(&f->u.es, &m);
    if (result == EVENTSTREAM_MESSAGE) from_message(&m, ret_frame);
    return result == EVENTSTREAM_MESSAGE ? FRAME_MESSAGE : result == EVENTSTREAM_BAD ? FRAME_BAD : FRAME_MORE;
}

/* ---- Lines ---- */

static void drop_given(struct frames *f)
{
    buf_consume(&f->u.lines.in, f->u.lines.given);
    f->u.lines.given = 0;
}

static void give_line(struct frames *f, size_t n, bool oversized, struct frame *ret_frame)
{
    struct str raw = str_slice(buf_view(&f->u.lines.in), 0, n);
    *ret_frame = (struct frame){.raw = raw, .is_complete = str_ends(raw, STR("\n")), .oversized = oversized};
    while (raw.n > 0 && (raw.p[raw.n - 1] == '\n' || raw.p[raw.n - 1] == '\r')) raw.n--;
    if (!oversized) ret_frame->data = str_trim(raw);
    f->u.lines.given = n;
    f->u.lines.scanned = 0;
}

static enum frame_result next_line(struct frames *f, struct frame *ret_frame)
{
    drop_given(f);
    struct str v = buf_view(&f->u.lines.in);
    size_t scanned = f->u.lines.scanned;
    ptrdiff_t end = str_chr(str_slice(v, scanned, v.n), '\n');
    bool oversized = f->u.lines.passing;
    if (end < 0) {
        f->u.lines.scanned = v.n;
        f->u.lines.passing = oversized || v.n > f->u.lines.limit_bytes;
        if (!f->u.lines.passing || v.n == 0) return FRAME_MORE;
        give_line(f, v.n, true, ret_frame);
        return FRAME_MESSAGE;
    }
    size_t n = scanned + (size_t)end + 1;
    f->u.lines.passing = false;
    give_line(f, n, oversized || n > f->u.lines.limit_bytes, ret_frame);
    return FRAME_MESSAGE;
}

/* ---- All ---- */

void frames_feed(struct frames *f, struct str bytes)
{
    switch (f->framing) {
    case FRAMING_EVENTSTREAM: eventstream_feed(&f->u.es, bytes); break;
    case FRAMING_NDJSON:
        drop_given(f);
        buf_add(&f->u.lines.in, bytes);
        break;
    default: sse_feed(&f->u.sse, bytes); break;
    }
}

enum frame_result frames_next(struct frames *f, struct frame *ret_frame)
{
    struct sse_event ev;
    if (f->framing == FRAMING_EVENTSTREAM) return next_message(f, ret_frame);
    if (f->framing == FRAMING_NDJSON) return next_line(f, ret_frame);
    if (!sse_next(&f->u.sse, &ev)) return FRAME_MORE;
    from_event(&ev, ret_frame);
    return FRAME_MESSAGE;
}

enum frame_result frames_finish(struct frames *f, struct frame *ret_frame)
{
    struct sse_event ev;
    if (f->framing == FRAMING_EVENTSTREAM) return eventstream_is_between(&f->u.es) ? FRAME_MORE : FRAME_BAD;
    if (f->framing == FRAMING_NDJSON) {
        drop_given(f);
        size_t n = buf_len(&f->u.lines.in);
        if (n == 0) return FRAME_MORE;
        give_line(f, n, f->u.lines.passing, ret_frame);
        return FRAME_MESSAGE;
    }
    if (!sse_finish(&f->u.sse, &ev)) return FRAME_MORE;
    from_event(&ev, ret_frame);
    return FRAME_MESSAGE;
}

const char *frames_error(const struct frames *f)
{
    const char *why = f->framing == FRAMING_EVENTSTREAM ? eventstream_error(&f->u.es) : "";
    return *why != '\0' ? why : "a message of the stream is cut off";
}

void framing_write_mark(enum framing f, struct buf *out)
{
    if (f == FRAMING_SSE) buf_add(out, STR("\n\n"));
    if (f == FRAMING_NDJSON) buf_addc(out, '\n');
}

void framing_write(enum framing f, struct str name, struct str data, struct buf *out)
{
    switch (f) {
    case FRAMING_SSE: sse_write(out, name, data); break;
    case FRAMING_EVENTSTREAM: (void)eventstream_write_json(out, STR("event"), name, data); break;
    case FRAMING_NDJSON:
    default:
        buf_add(out, data);
        framing_write_mark(f, out);
        break;
    }
}
