#include "proto/wire/eventstream.h"

#include "proto/base/crc32.h"

/* The special difficulty: every length comes from the wire. The prelude is believed only when its checksum is right, and the
 * headers are walked once before a message is given out, so that who reads it later cannot run out of them. */

enum { PRELUDE_BYTES = 12, CRC_BYTES = 4, MAX_VALUE_BYTES = 65535, MAX_NAME_BYTES = 255 };

void eventstream_init(struct eventstream *s, size_t limit_bytes)
{
    *s = (struct eventstream){.limit_bytes = limit_bytes};
}

void eventstream_reset(struct eventstream *s)
{
    struct buf in = s->in;
    eventstream_init(s, s->limit_bytes);
    s->in = in;
    buf_clear(&s->in);
}

void eventstream_fini(struct eventstream *s)
{
    buf_fini(&s->in);
}

/* What was given out with the last message is let go by the next call. */
static void drop_given(struct eventstream *s)
{
    buf_consume(&s->in, s->given);
    s->given = 0;
}

void eventstream_feed(struct eventstream *s, struct str bytes)
{
    drop_given(s);
    if (s->bad == NULL) buf_add(&s->in, bytes);
}

/* ---- Numbers ---- */

static uint64_t read_be(const char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) v = v << 8 | (uint8_t)p[i];
    return v;
}

static void write_be(struct buf *out, uint64_t v, size_t n)
{
    while (n-- > 0) buf_addc(out, (char)(v >> 8 * n & 0xff));
}

static uint32_t read_u32(struct str v, size_t at)
{
    return (uint32_t)read_be(v.p + at, 4);
}

/* ---- Headers ---- */

/* Bytes of a type's number; 0: it has none. */
static size_t number_bytes(unsigned type)
{
    switch (type) {
    case EVENTSTREAM_I8: return 1;
    case EVENTSTREAM_I16: return 2;
    case EVENTSTREAM_I32: return 4;
    case EVENTSTREAM_I64:
    case EVENTSTREAM_TIMESTAMP: return 8;
    default: return 0;
    }
}

static int64_t read_signed(const char *p, size_t n)
{
    unsigned shift = (unsigned)(64 - 8 * n); /* the sign is the top bit of n bytes */
    return (int64_t)(read_be(p, n) << shift) >> shift;
}

/* The value behind name and type; false: it does not fit into what is left. */
static bool read_value(struct str rest, struct eventstream_header *h, size_t *ret_bytes)
{
    size_t digits = number_bytes(h->type), n = digits, skip = 0;
    switch (h->type) {
    case EVENTSTREAM_TRUE:
    case EVENTSTREAM_FALSE: h->number = h->type == EVENTSTREAM_TRUE; break;
    case EVENTSTREAM_UUID: n = 16; break;
    case EVENTSTREAM_BYTES:
    case EVENTSTREAM_STRING:
        if (rest.n < 2) return false;
        skip = 2;
        n = (size_t)read_be(rest.p, 2);
        break;
    default: break;
    }
    if (rest.n - skip < n) return false;
    if (digits > 0)
        h->number = read_signed(rest.p, digits);
    else
        h->bytes = str_slice(rest, skip, skip + n);
    *ret_bytes = skip + n;
    return true;
}

bool eventstream_next_header(struct str headers, size_t *at, struct eventstream_header *ret_header)
{
    struct str rest = str_slice(headers, *at, headers.n);
    if (rest.n == 0) return false;
    size_t name_n = (uint8_t)rest.p[0], value_n;
    if (name_n == 0 || rest.n < 1 + name_n + 1) return false;
    unsigned type = (uint8_t)rest.p[1 + name_n];
    if (type > EVENTSTREAM_UUID) return false;
    struct eventstream_header h = {.name = str_slice(rest, 1, 1 + name_n), .type = (enum eventstream_type)type};
    if (!read_value(str_slice(rest, name_n + 2, rest.n), &h, &value_n)) return false;
    *at += name_n + 2 + value_n;
    *ret_header = h;
    return true;
}

bool eventstream_find_header(struct str headers, const char *name, struct eventstream_header *ret_header)
{
    struct eventstream_header h;
    for (size_t at = 0; eventstream_next_header(headers, &at, &h);) {
        if (!str_is(h.name, name)) continue;
        *ret_header = h;
        return true;
    }
    return false;
}

/* One walk over all headers: notes those that everybody asks for. False: they are broken. */
static bool read_headers(struct eventstream_message *m)
{
    struct eventstream_header h;
    size_t at = 0;
    while (eventstream_next_header(m->headers, &at, &h)) {
        if (h.type != EVENTSTREAM_STRING || h.name.p[0] != ':') continue;
        if (str_is(h.name, ":message-type"))
            m->kind = h.bytes;
        else if (str_is(h.name, ":event-type") || str_is(h.name, ":exception-type") || str_is(h.name, ":error-code"))
            m->name = h.bytes;
        else if (str_is(h.name, ":error-message"))
            m->detail = h.bytes;
    }
    return at == m->headers.n;
}

/* ---- Frames ---- */

static enum eventstream_result fail(struct eventstream *s, const char *why)
{
    s->bad = why;
    buf_clear(&s->in);
    return EVENTSTREAM_BAD;
}

static enum eventstream_result give(struct eventstream *s, size_t n)
{
    s->given = n;
    return EVENTSTREAM_MESSAGE;
}

/* What has come of an oversized frame. Its last four bytes are given out only together, when they can be judged. */
static enum eventstream_result give_piece(struct eventstream *s, struct eventstream_message *ret_message)
{
    struct str v = buf_view(&s->in);
    size_t n = v.n < s->passing ? v.n : s->passing, checked = s->passing - CRC_BYTES;
    if (n < s->passing && n > checked) n = checked;
    if (n == 0) return EVENTSTREAM_MORE;
    s->crc = crc32_add(s->crc, str_slice(v, 0, n < checked ? n : checked));
    if (n == s->passing && read_u32(v, checked) != s->crc) return fail(s, "checksum of a message is wrong");
    s->passing -= n;
    *ret_message = (struct eventstream_message){.raw = str_slice(v, 0, n), .oversized = true};
    return give(s, n);
}

static enum eventstream_result read_frame(struct eventstream *s, struct str frame, size_t headers_n,
                                          struct eventstream_message *ret_message)
{
    size_t end = frame.n - CRC_BYTES;
    if (crc32_add(0, str_slice(frame, 0, end)) != read_u32(frame, end))
        return fail(s, "checksum of a message is wrong");
    struct eventstream_message m = {
        .headers = str_slice(frame, PRELUDE_BYTES, PRELUDE_BYTES + headers_n),
        .payload = str_slice(frame, PRELUDE_BYTES + headers_n, end),
        .raw = frame,
    };
    if (!read_headers(&m)) return fail(s, "a message header is broken");
    *ret_message = m;
    return give(s, frame.n);
}

enum eventstream_result eventstream_next(struct eventstream *s, struct eventstream_message *ret_message)
{
    drop_given(s);
    if (s->bad != NULL) return EVENTSTREAM_BAD;
    if (s->passing > 0) return give_piece(s, ret_message);
    struct str v = buf_view(&s->in);
    if (v.n < PRELUDE_BYTES) return EVENTSTREAM_MORE;
    if (crc32_add(0, str_slice(v, 0, 8)) != read_u32(v, 8)) return fail(s, "checksum of a message's prelude is wrong");
    size_t total = read_u32(v, 0), headers_n = read_u32(v, 4);
    if (total < EVENTSTREAM_OVERHEAD || total > EVENTSTREAM_MAX_BYTES)
        return fail(s, "length of a message is not allowed");
    if (headers_n > total - EVENTSTREAM_OVERHEAD || headers_n > EVENTSTREAM_MAX_HEADER_BYTES)
        return fail(s, "length of a message's headers is not allowed");
    if (total > s->limit_bytes) {
        s->oversized++;
        s->passing = total;
        s->crc = 0;
        return give_piece(s, ret_message);
    }
    if (v.n < total) return EVENTSTREAM_MORE;
    return read_frame(s, str_slice(v, 0, total), headers_n, ret_message);
}

bool eventstream_is_between(const struct eventstream *s)
{
    return s->bad == NULL && s->passing == 0 && buf_len(&s->in) == s->given;
}

const char *eventstream_error(const struct eventstream *s)
{
    return s->bad != NULL ? s->bad : "";
}

/* ---- Writing ---- */

static bool is_header_sound(const struct eventstream_header *h)
{
    size_t digits = number_bytes(h->type);
    if (h->name.n == 0 || h->name.n > MAX_NAME_BYTES || h->type > EVENTSTREAM_UUID) return false;
    if (h->type == EVENTSTREAM_UUID) return h->bytes.n == 16;
    if (h->type == EVENTSTREAM_BYTES || h->type == EVENTSTREAM_STRING) return h->bytes.n <= MAX_VALUE_BYTES;
    if (digits == 0 || digits == 8) return true;
    int64_t above = (int64_t)1 << (8 * digits - 1);
    return h->number >= -above && h->number < above;
}

static size_t header_bytes(const struct eventstream_header *h)
{
    bool has_length = h->type == EVENTSTREAM_BYTES || h->type == EVENTSTREAM_STRING;
    bool has_bytes = has_length || h->type == EVENTSTREAM_UUID;
    return 2 + h->name.n + number_bytes(h->type) + (has_length ? 2 : 0) + (has_bytes ? h->bytes.n : 0);
}

static void write_header(struct buf *out, const struct eventstream_header *h)
{
    buf_addc(out, (char)h->name.n);
    buf_add(out, h->name);
    buf_addc(out, (char)h->type);
    if (h->type == EVENTSTREAM_BYTES || h->type == EVENTSTREAM_STRING) write_be(out, h->bytes.n, 2);
    if (h->type == EVENTSTREAM_BYTES || h->type == EVENTSTREAM_STRING || h->type == EVENTSTREAM_UUID)
        buf_add(out, h->bytes);
    else
        write_be(out, (uint64_t)h->number, number_bytes(h->type));
}

static void put_u32(struct buf *out, size_t at, size_t v)
{
    char *p = out->p + out->head + at;
    for (unsigned i = 0; i < 4; i++) p[i] = (char)(v >> 8 * (3 - i) & 0xff);
}

/* Room for the prelude, then the headers. Their length is there already, all else comes with the end. */
static size_t begin(struct buf *out, const struct eventstream_header *header, unsigned n)
{
    size_t start = buf_len(out);
    write_be(out, 0, 8);
    write_be(out, 0, 4);
    for (unsigned i = 0; i < n; i++) write_header(out, &header[i]);
    put_u32(out, start + 4, buf_len(out) - start - PRELUDE_BYTES);
    return start;
}

bool eventstream_end(struct buf *out, size_t start)
{
    size_t n = buf_len(out) - start + CRC_BYTES;
    if (n > EVENTSTREAM_MAX_BYTES) {
        buf_truncate(out, start);
        return false;
    }
    put_u32(out, start, n);
    put_u32(out, start + 8, crc32_add(0, str_slice(buf_view(out), start, start + 8)));
    struct str all = buf_view(out);
    write_be(out, crc32_add(0, str_slice(all, start, all.n)), CRC_BYTES);
    return true;
}

bool eventstream_write(struct buf *out, const struct eventstream_header *header, unsigned n, struct str payload)
{
    size_t headers_n = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!is_header_sound(&header[i])) return false;
        headers_n += header_bytes(&header[i]);
    }
    if (headers_n > EVENTSTREAM_MAX_HEADER_BYTES) return false;
    if (payload.n > EVENTSTREAM_MAX_BYTES - EVENTSTREAM_OVERHEAD - headers_n) return false;
    size_t start = begin(out, header, n);
    buf_add(out, payload);
    return eventstream_end(out, start);
}

/* The order of Bedrock's own. name and kind: at most 64 KiB. */
static void json_headers(struct str kind, struct str name, struct eventstream_header ret_headers[3])
{
    struct str what = str_is(kind, "event") ? STR(":event-type") : STR(":exception-type");
    ret_headers[0] = (struct eventstream_header){.name = what, .type = EVENTSTREAM_STRING, .bytes = name};
    ret_headers[1] = (struct eventstream_header){
        .name = STR(":content-type"), .type = EVENTSTREAM_STRING, .bytes = STR("application/json")};
    ret_headers[2] =
        (struct eventstream_header){.name = STR(":message-type"), .type = EVENTSTREAM_STRING, .bytes = kind};
}

bool eventstream_write_json(struct buf *out, struct str kind, struct str name, struct str json)
{
    struct eventstream_header headers[3];
    json_headers(kind, name, headers);
    return eventstream_write(out, headers, 3, json);
}

size_t eventstream_begin_json(struct buf *out, struct str kind, struct str name)
{
    struct eventstream_header headers[3];
    json_headers(kind, name, headers);
    return begin(out, headers, 3);
}
