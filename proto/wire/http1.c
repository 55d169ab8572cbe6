#include "proto/wire/http1.h"

#include "proto/wire/http1_rules.h"

#include <string.h>

/* Two judges read every message: llhttp byte by byte with no lenient flag, and http1_rules.c over the whole start line and
 * the whole head. Both must agree about the framing. The special difficulty is that the verdict must not depend on how the
 * bytes were cut: so the start line is collected before anybody judges it, limits count bytes of the wire and not calls,
 * and what llhttp reports in pieces is joined before it is looked at. */

/* Line and head: a model name, a long Gemini path and 20 SDK headers take 2 KiB; the peers allow 8 and 32 or more.
 * Responses of providers behind CDNs carry cookies and policies, up to 16 KiB were seen. */
const struct http1_limits http1_request_limits = {
    .line_bytes = 8 << 10, .head_bytes = 32 << 10, .headers = 100, .body_bytes = 32 << 20};
const struct http1_limits http1_response_limits = {
    .line_bytes = 8 << 10, .head_bytes = 64 << 10, .headers = HTTP1_MAX_HEADERS, .interim = 8};

enum {
    MAX_FRAMING_BYTES = 8 << 10, /* one chunk header with its extensions, or all trailers: nobody has a use for more */
    KEEP_BYTES = 16 << 10,       /* a head buffer larger than this is not kept by an idle connection */
};

enum phase { PHASE_LINE, PHASE_FIELDS, PHASE_BODY, PHASE_DONE, PHASE_BAD };
enum { PENDING_HEAD = 1, PENDING_BODY = 2, PENDING_END = 4, PENDING_INTERIM = 8 };

static enum weir_err read_line(struct http1 *h, const char **ret_text);

static enum http1_event fail(struct http1 *h, enum weir_err e, const char *text)
{
    if (h->phase == PHASE_BAD) return HTTP1_BAD;
    const char *unused;
    if (h->phase == PHASE_FIELDS) read_line(h, &unused); /* the bytes may have moved since the line was read */
    h->phase = PHASE_BAD;
    h->err = h->role == HTTP1_REQUEST ? e : WEIR_UP_PROTOCOL;
    h->err_text = text;
    return HTTP1_BAD;
}

/* ---- What llhttp calls ---- */

static int stop(struct http1 *h, enum weir_err e, const char *text)
{
    fail(h, e, text);
    return HPE_USER;
}

static struct http1_field *last_field(struct http1 *h)
{
    return &h->field[h->fields - 1];
}

/* A name may come in pieces; the first piece is the one after a value or a start line. */
static int on_header_field(llhttp_t *p, const char *at, size_t n)
{
    struct http1 *h = p->data;
    if (h->phase != PHASE_FIELDS) return 0; /* trailers are read and dropped */
    if (h->fields == 0 || last_field(h)->value_at > 0)
        h->field[h->fields++] = (struct http1_field){.name_at = (uint32_t)h->bytes.len};
    buf_add(&h->bytes, (struct str){at, n});
    last_field(h)->name_n += (uint32_t)n;
    return 0;
}

static int on_header_field_complete(llhttp_t *p)
{
    struct http1 *h = p->data;
    if (h->phase != PHASE_FIELDS) return 0;
    last_field(h)->value_at = (uint32_t)h->bytes.len; /* never 0: the start line stands before it */
    if (h->fields > h->limits.headers || h->fields > HTTP1_MAX_HEADERS)
        return stop(h, WEIR_HEAD_TOO_LARGE, "too many headers");
    return 0;
}

static int on_header_value(llhttp_t *p, const char *at, size_t n)
{
    struct http1 *h = p->data;
    if (h->phase != PHASE_FIELDS) return 0;
    buf_add(&h->bytes, (struct str){at, n});
    last_field(h)->value_n += (uint32_t)n;
    return 0;
}

static void fill_headers(struct http1 *h)
{
    const char *base = h->bytes.p;
    for (unsigned i = 0; i < h->fields; i++) {
        const struct http1_field *f = &h->field[i];
        h->head.header[i].name = (struct str){base + f->name_at, f->name_n};
        h->head.header[i].value = str_trim((struct str){base + f->value_at, f->value_n});
    }
    h->head.n = h->fields;
}

/* The start line is checked before the fields arrive, and bytes may have moved since. */
static enum weir_err read_line(struct http1 *h, const char **ret_text)
{
    struct str line = {h->bytes.p + h->line_at, 0};
    line.n = h->fields > 0 ? h->field[0].name_at - h->line_at : h->bytes.len - h->line_at;
    line.n -= 2; /* CR LF */
    return h->role == HTTP1_REQUEST ? http1_rules_request_line(line, &h->head, ret_text)
                                    : http1_rules_status_line(line, &h->head, ret_text);
}

static bool is_interim(const struct http1 *h)
{
    return h->role == HTTP1_RESPONSE && h->head.status / 100 == 1;
}

static bool agrees_about_framing(const llhttp_t *p, const struct http1_head *head)
{
    bool chunked = (p->flags & F_CHUNKED) != 0;
    bool length = (p->flags & F_CONTENT_LENGTH) != 0;
    return chunked == head->chunked && length == (head->content_length >= 0) &&
           (!length || p->content_length == (uint64_t)head->content_length);
}

static int on_headers_complete(llhttp_t *p)
{
    struct http1 *h = p->data;
    const char *text = NULL;
    enum weir_err e = read_line(h, &text);
    fill_headers(h);
    if (e == WEIR_OK)
        e = h->role == HTTP1_REQUEST ? http1_rules_request(&h->head, &text)
                                     : http1_rules_response(&h->head, h->head_request, &text);
    if (e != WEIR_OK) return stop(h, e, text);
    if (!agrees_about_framing(p, &h->head)) return stop(h, WEIR_BAD_HTTP, "the length of the body is not clear");
    if (h->limits.body_bytes > 0 && h->head.content_length > 0 &&
        (uint64_t)h->head.content_length > h->limits.body_bytes && !h->head_request)
        return stop(h, WEIR_TOO_LARGE, "Content-Length is above the limit");
    p->upgrade = 0; /* an Upgrade that is ignored leaves an ordinary message: RFC 9110 §7.8 */
    if (is_interim(h)) {
        /* RFC 9112 §6.1, §6.3: it has no body; llhttp would read one, and a cut would decide what follows the head */
        if (h->head.chunked || h->head.content_length > 0)
            return stop(h, WEIR_BAD_HTTP, "an interim response has no body");
        if (++h->interims > h->limits.interim) return stop(h, WEIR_BAD_HTTP, "too many interim responses");
        h->pending |= PENDING_INTERIM;
        return 0;
    }
    h->phase = PHASE_BODY;
    h->pending |= PENDING_HEAD;
    return h->head_request && h->role == HTTP1_RESPONSE ? 1 : HPE_PAUSED; /* 1: llhttp expects no body */
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
    struct http1 *h = p->data;
    if (n == 0) return 0;
    size_t before = (size_t)(at - h->span_from);
    if (before + h->framing > MAX_FRAMING_BYTES) return stop(h, WEIR_BAD_HTTP, "a chunk header is too long");
    h->framing = 0;
    h->body_seen += n;
    if (h->limits.body_bytes > 0 && h->body_seen > h->limits.body_bytes)
        return stop(h, WEIR_TOO_LARGE, "the body is above the limit");
    h->span = (struct str){at, n};
    h->pending |= PENDING_BODY;
    return HPE_PAUSED;
}

/* Told before its first byte comes: what was given out before does not depend on how the chunk was cut. */
static int on_chunk_header(llhttp_t *p)
{
    struct http1 *h = p->data;
    if (h->limits.body_bytes > 0 && p->content_length > h->limits.body_bytes - h->body_seen)
        return stop(h, WEIR_TOO_LARGE, "the body is above the limit");
    return 0;
}

static int on_message_complete(llhttp_t *p)
{
    struct http1 *h = p->data;
    if (!(h->pending & PENDING_INTERIM)) {
        h->phase = PHASE_DONE;
        h->pending |= PENDING_END;
    }
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- Life ---- */

static void start_message(struct http1 *h)
{
    llhttp_init(&h->parser, h->role == HTTP1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    h->parser.data = h;
    buf_clear(&h->bytes);
    h->phase = PHASE_LINE;
    h->pending = 0;
    h->line_at = h->head_raw = h->framing = 0;
    h->body_seen = 0;
    h->fields = 0;
    h->poke = false;
    h->span = STR_NULL;
    memset(&h->head, 0, offsetof(struct http1_head, header));
    h->head.content_length = -1;
}

void http1_init(struct http1 *h, enum http1_role role, const struct http1_limits *limits)
{
    h->role = role;
    h->limits = *limits;
    buf_init(&h->bytes);
    http1_reset(h);
}

void http1_reset(struct http1 *h)
{
    start_message(h);
    buf_shrink(&h->bytes, KEEP_BYTES);
    h->head_request = false;
    h->interims = 0;
    h->err = WEIR_OK;
    h->err_text = NULL;
}

void http1_fini(struct http1 *h)
{
    buf_fini(&h->bytes);
}

/* ---- The start line: collected whole ---- */

static const char *first_byte_is_wrong(const struct http1 *h, unsigned char c)
{
    if (h->role == HTTP1_RESPONSE) return c == 'H' ? NULL : "the answer is not HTTP";
    if (c == 0x16) return "TLS on a plain HTTP port";
    return c >= 'A' && c <= 'Z' ? NULL : "not an HTTP request";
}

/* What can be told from one byte is told at once: who sends garbage without a line end would otherwise be waited for.
 * Bytes above 0x7F and tabs stand in reason phrases only (RFC 9112 §4). */
static bool is_line_byte(enum http1_role role, unsigned char c)
{
    if (role == HTTP1_RESPONSE) return (c >= 0x20 && c != 0x7F) || c == '\t';
    return c >= 0x20 && c < 0x7F;
}

/* The ordinary case, at a fraction of the cost: the whole line, without fault, is in the input. */
static bool take_whole_line(struct http1 *h, struct str *in)
{
    ptrdiff_t end = h->head_raw > 0 ? -1 : str_chr(str_slice(*in, 0, h->limits.line_bytes), '\n');
    if (end < 2 || in->p[end - 1] != '\r' || first_byte_is_wrong(h, (unsigned char)in->p[0]) != NULL) return false;
    bool fine = true;
    for (ptrdiff_t i = 1; i < end - 1; i++) /* no early end: so the compiler takes many bytes at a time */
        fine &= is_line_byte(h->role, (unsigned char)in->p[i]);
    if (!fine) return false;
    buf_add(&h->bytes, str_slice(*in, 0, (size_t)end + 1));
    h->head_raw = (uint32_t)end + 1;
    *in = str_slice(*in, (size_t)end + 1, in->n);
    return true;
}

/* Takes bytes up to the line's end. False: the line is not whole yet, or the message is bad. */
static bool take_line(struct http1 *h, struct str *in)
{
    if (take_whole_line(h, in)) return true;
    size_t i = 0;
    bool whole = false;
    size_t have = h->bytes.len;
    bool after_cr = have > h->line_at && h->bytes.p[have - 1] == '\r';
    const char *why = NULL;
    for (; i < in->n && !whole && why == NULL; i++) {
        unsigned char c = (unsigned char)in->p[i];
        if (++h->head_raw > h->limits.line_bytes) {
            fail(h, WEIR_URI_TOO_LONG, "the start line is too long");
            return false;
        }
        if (after_cr && c != '\n')
            why = "a bare CR in the start line";
        else if (c == '\n' && !after_cr)
            why = "a bare LF ends the start line";
        else if (have + i == h->line_at && c != '\r')
            why = first_byte_is_wrong(h, c);
        else if (c != '\r' && c != '\n' && !is_line_byte(h->role, c))
            why = "a control or non-ASCII character in the start line";
        after_cr = c == '\r';
        whole = c == '\n';
    }
    if (why != NULL) {
        fail(h, WEIR_BAD_HTTP, why);
        return false;
    }
    buf_add(&h->bytes, (struct str){in->p, i});
    *in = str_slice(*in, i, in->n);
    return whole;
}

/* A line is whole: an empty one is passed over (RFC 9112 §2.2; some servers send one behind a 100), any other goes to both
 * judges. */
static bool start_line(struct http1 *h)
{
    struct str line = str_slice((struct str){h->bytes.p, h->bytes.len}, h->line_at, h->bytes.len);
    const char *text = NULL;
    if (line.n == 2) {
        h->line_at = (uint32_t)h->bytes.len;
        return false;
    }
    enum weir_err e = read_line(h, &text);
    if (e != WEIR_OK) return fail(h, e, text) != HTTP1_BAD;
    h->phase = PHASE_FIELDS;
    if (llhttp_execute(&h->parser, line.p, line.n) != HPE_OK)
        return fail(h, WEIR_BAD_HTTP, llhttp_get_error_reason(&h->parser)) != HTTP1_BAD;
    return true;
}

/* ---- Fields and body ---- */

static enum http1_event give(struct http1 *h, struct str *ret_body)
{
    if (h->pending & PENDING_HEAD) {
        h->pending &= (uint8_t)~PENDING_HEAD;
        return HTTP1_HEAD;
    }
    if (h->pending & PENDING_BODY) {
        h->pending &= (uint8_t)~PENDING_BODY;
        *ret_body = h->span;
        return HTTP1_BODY;
    }
    h->pending &= (uint8_t)~PENDING_END;
    return HTTP1_END;
}

/* One run of llhttp, until it has something to report or the input (or what the limit leaves of it) is used up. */
static void run(struct http1 *h, struct str *in)
{
    struct str part = *in;
    bool in_head = h->phase == PHASE_FIELDS;
    if (in_head) {
        if (h->head_raw >= h->limits.head_bytes) {
            fail(h, WEIR_HEAD_TOO_LARGE, "the headers are too large");
            return;
        }
        part = str_slice(part, 0, h->limits.head_bytes - h->head_raw);
    }
    h->poke = false;
    if (part.p == NULL) part = STR(""); /* llhttp marks an open span by its address: NULL would close it unreported */
    h->span_from = part.p;
    llhttp_errno_t e = llhttp_execute(&h->parser, part.p, part.n);
    size_t taken = part.n;
    if (e == HPE_PAUSED) {
        taken = (size_t)(llhttp_get_error_pos(&h->parser) - part.p);
        llhttp_resume(&h->parser);
        h->poke = true;
    } else if (e != HPE_OK) {
        fail(h, WEIR_BAD_HTTP, llhttp_get_error_reason(&h->parser));
        return;
    }
    *in = str_slice(*in, taken, in->n);
    if (in_head)
        h->head_raw += (uint32_t)taken;
    else if (!(h->pending & PENDING_BODY) &&
             (taken > MAX_FRAMING_BYTES || (h->framing += (uint32_t)taken) > MAX_FRAMING_BYTES))
        fail(h, WEIR_BAD_HTTP, "a chunk header or the trailers are too long");
}

enum http1_event http1_feed(struct http1 *h, struct str *in, struct str *ret_body)
{
    for (;;) {
        if (h->phase == PHASE_BAD) return HTTP1_BAD;
        if (h->pending & PENDING_INTERIM) {
            start_message(h);
            continue;
        }
        if (h->pending != 0) return give(h, ret_body);
        if (h->phase == PHASE_DONE) return HTTP1_END;
        if (in->n == 0 && !h->poke) return HTTP1_MORE;
        if (h->phase != PHASE_LINE)
            run(h, in);
        else if (take_line(h, in))
            start_line(h);
    }
}

enum http1_event http1_eof(struct http1 *h)
{
    switch ((enum phase)h->phase) {
    case PHASE_BAD: return HTTP1_BAD;
    case PHASE_DONE: return HTTP1_MORE;
    case PHASE_BODY:
        if (!h->head.until_eof) break;
        h->phase = PHASE_DONE;
        return HTTP1_END;
    case PHASE_LINE:
        if (h->bytes.len == h->line_at && h->interims == 0) return HTTP1_MORE;
        break;
    case PHASE_FIELDS: break;
    }
    h->phase = PHASE_BAD;
    h->err = h->role == HTTP1_REQUEST ? WEIR_BAD_HTTP : WEIR_UP_TRUNCATED;
    h->err_text = "the connection closed in the middle of a message";
    return HTTP1_BAD;
}

const struct http1_head *http1_head(const struct http1 *h)
{
    return &h->head;
}

struct str http1_text(const struct http1 *h)
{
    return buf_view(&h->bytes);
}

enum weir_err http1_error(const struct http1 *h, const char **ret_text)
{
    *ret_text = h->err_text != NULL ? h->err_text : "";
    return h->err;
}
