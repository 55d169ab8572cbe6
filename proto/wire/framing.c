#include "proto/wire/framing.h"

#include "proto/base/base64.h"
#include "proto/wire/json.h"

#include <string.h>

static const char *const CONTENT_TYPES[] = {
    [FRAMING_SSE] = "text/event-stream",
    [FRAMING_JSON_ARRAY] = "application/json",
    [FRAMING_EVENTSTREAM] = "application/vnd.amazon.eventstream",
    [FRAMING_NDJSON] = "application/x-ndjson",
    [FRAMING_CHUNKS] = "application/vnd.amazon.eventstream",
};

_Static_assert(sizeof CONTENT_TYPES / sizeof *CONTENT_TYPES == FRAMING_COUNT, "a content type per framing");

const char *framing_content_type(enum framing f)
{
    return CONTENT_TYPES[f];
}

void frames_init(struct frames *f, enum framing framing, size_t limit_bytes)
{
    memset(f, 0, sizeof *f);
    f->framing = framing;
    switch (framing) {
    case FRAMING_EVENTSTREAM:
    case FRAMING_CHUNKS: eventstream_init(&f->u.frames.es, limit_bytes); break;
    case FRAMING_NDJSON: f->u.lines.limit_bytes = limit_bytes; break;
    case FRAMING_JSON_ARRAY: f->u.array.limit_bytes = limit_bytes; break;
    default: sse_init(&f->u.sse, limit_bytes); break;
    }
}

static bool is_frames(const struct frames *f)
{
    return f->framing == FRAMING_EVENTSTREAM || f->framing == FRAMING_CHUNKS;
}

void frames_fini(struct frames *f)
{
    switch (f->framing) {
    case FRAMING_EVENTSTREAM:
    case FRAMING_CHUNKS:
        eventstream_fini(&f->u.frames.es);
        buf_fini(&f->u.frames.inner);
        buf_fini(&f->u.frames.text);
        break;
    case FRAMING_NDJSON: buf_fini(&f->u.lines.in); break;
    case FRAMING_JSON_ARRAY: buf_fini(&f->u.array.in); break;
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

/* {"bytes":"eyJ0eXBlIjoi…"}: the event inside, on one line, and its type as its name. A frame without is a keep-alive. */
static bool unwrap(struct buf *inner, struct buf *text, struct frame *frame)
{
    struct str json = frame->data, value, type;
    struct json_error error;
    unsigned depth;
    buf_clear(inner);
    buf_clear(text);
    frame->data = frame->name = STR_NULL;
    bool good = json_check(json, &depth, &error);
    if (good && json_find(json, "bytes", &value, text) == JSON_FOUND) {
        buf_clear(text);
        good = json_unquote(value, text) && base64_decode(buf_view(text), inner);
        for (size_t i = inner->head; i < inner->len; i++) /* JSON has line ends only between its values */
            if (inner->p[i] == '\n' || inner->p[i] == '\r') inner->p[i] = ' ';
        frame->data = buf_view(inner);
        good = good && json_check(frame->data, &depth, &error);
        if (good && json_find(frame->data, "type", &type, text) == JSON_FOUND && type.n > 2)
            frame->name = str_slice(type, 1, type.n - 1); /* a word: nothing in it is escaped */
    }
    return good;
}

static enum frame_result next_message(struct frames *f, struct frame *ret_frame)
{
    struct eventstream_message m;
    if (f->u.frames.bad) return FRAME_BAD;
    enum eventstream_result result = eventstream_next(&f->u.frames.es, &m);
    if (result == EVENTSTREAM_MESSAGE) from_message(&m, ret_frame);
    bool wrapped = f->framing == FRAMING_CHUNKS && result == EVENTSTREAM_MESSAGE && !ret_frame->is_failure;
    if (wrapped && !ret_frame->oversized) f->u.frames.bad = !unwrap(&f->u.frames.inner, &f->u.frames.text, ret_frame);
    if (f->u.frames.bad) return FRAME_BAD;
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

/* ---- Elements of an array ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void drop_element(struct frames *f)
{
    size_t n = f->u.array.given;
    buf_consume(&f->u.array.in, n);
    f->u.array.scanned -= n;
    f->u.array.begin -= f->u.array.begin < n ? f->u.array.begin : n;
    f->u.array.given = 0;
}

static enum frame_result give_element(struct frames *f, size_t n, bool oversized, struct frame *ret_frame)
{
    struct str raw = str_slice(buf_view(&f->u.array.in), 0, n);
    *ret_frame = (struct frame){.raw = raw, .is_complete = true, .oversized = oversized};
    if (!oversized && !f->u.array.closed) ret_frame->data = str_slice(raw, f->u.array.begin, n);
    f->u.array.given = f->u.array.scanned = n;
    return FRAME_MESSAGE;
}

/* Between two elements: false where no array goes on like this. */
static bool step_between(struct frames *f, char c, size_t at)
{
    bool good = !f->u.array.closed;
    if (!f->u.array.opened) {
        f->u.array.opened = c == '[';
        return f->u.array.opened;
    }
    switch (c) {
    case ',':
        good = good && f->u.array.filled && !f->u.array.comma;
        f->u.array.comma = true;
        break;
    case ']':
        good = good && !f->u.array.comma;
        f->u.array.closed = true;
        break;
    case '{':
    case '[':
        good = good && f->u.array.comma == f->u.array.filled;
        f->u.array.filled = true;
        f->u.array.comma = false;
        f->u.array.begin = at;
        f->u.array.depth = 1;
        break;
    default: good = false; break;
    }
    return good;
}

/* Inside one; true: it has ended. */
static bool step_inside(struct frames *f, char c)
{
    if (f->u.array.quoted) {
        f->u.array.quoted = f->u.array.escaped || c != '"';
        f->u.array.escaped = !f->u.array.escaped && c == '\\';
        return false;
    }
    f->u.array.quoted = c == '"';
    if (c == '{' || c == '[') f->u.array.depth++;
    if (c == '}' || c == ']') f->u.array.depth--;
    return f->u.array.depth == 0;
}

static enum frame_result next_element(struct frames *f, struct frame *ret_frame)
{
    drop_element(f);
    struct str v = buf_view(&f->u.array.in);
    for (size_t i = f->u.array.scanned; i < v.n && !f->u.array.bad; i++) {
        if (f->u.array.depth > 0) {
            if (!step_inside(f, v.p[i])) continue;
            bool oversized = f->u.array.passing || i + 1 - f->u.array.begin > f->u.array.limit_bytes;
            f->u.array.passing = false;
            return give_element(f, i + 1, oversized, ret_frame);
        }
        if (is_blank(v.p[i])) continue;
        f->u.array.bad = !step_between(f, v.p[i], i);
        if (f->u.array.closed && !f->u.array.bad) return give_element(f, i + 1, false, ret_frame);
    }
    if (f->u.array.bad) return FRAME_BAD;
    f->u.array.scanned = v.n;
    f->u.array.passing =
        f->u.array.depth > 0 && (f->u.array.passing || v.n - f->u.array.begin > f->u.array.limit_bytes);
    return f->u.array.passing && v.n > 0 ? give_element(f, v.n, true, ret_frame) : FRAME_MORE;
}

static enum frame_result finish_array(struct frames *f, struct frame *ret_frame)
{
    drop_element(f);
    size_t n = buf_len(&f->u.array.in);
    if (f->u.array.bad || !f->u.array.closed) return FRAME_BAD;
    return n > 0 ? give_element(f, n, false, ret_frame) : FRAME_MORE; /* blanks */
}

/* ---- All ---- */

void frames_feed(struct frames *f, struct str bytes)
{
    switch (f->framing) {
    case FRAMING_EVENTSTREAM:
    case FRAMING_CHUNKS: eventstream_feed(&f->u.frames.es, bytes); break;
    case FRAMING_NDJSON:
        drop_given(f);
        buf_add(&f->u.lines.in, bytes);
        break;
    case FRAMING_JSON_ARRAY:
        drop_element(f);
        buf_add(&f->u.array.in, bytes);
        break;
    default: sse_feed(&f->u.sse, bytes); break;
    }
}

enum frame_result frames_next(struct frames *f, struct frame *ret_frame)
{
    struct sse_event ev;
    if (is_frames(f)) return next_message(f, ret_frame);
    if (f->framing == FRAMING_NDJSON) return next_line(f, ret_frame);
    if (f->framing == FRAMING_JSON_ARRAY) return next_element(f, ret_frame);
    if (!sse_next(&f->u.sse, &ev)) return FRAME_MORE;
    from_event(&ev, ret_frame);
    return FRAME_MESSAGE;
}

enum frame_result frames_finish(struct frames *f, struct frame *ret_frame)
{
    struct sse_event ev;
    if (is_frames(f)) return eventstream_is_between(&f->u.frames.es) ? FRAME_MORE : FRAME_BAD;
    if (f->framing == FRAMING_JSON_ARRAY) return finish_array(f, ret_frame);
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
    const char *why = is_frames(f) ? eventstream_error(&f->u.frames.es) : "";
    return *why != '\0' ? why : "a message of the stream is cut off or cannot be read";
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
