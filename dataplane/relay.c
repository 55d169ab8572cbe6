#include "dataplane/relay.h"

#include "dataplane/breaker.h"
#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/headers.h"
#include "dataplane/meter.h"
#include "dataplane/reply.h"
#include "dataplane/request.h"
#include "dataplane/secret.h"
#include "dataplane/video.h"
#include "proto/base/clock.h"
#include "proto/wire/json.h"

#include <string.h>

enum {
    FLUSH_BYTES = 32 * 1024, /* client bytes gathered from one read before they are written */
    HEAD_NO_LENGTH = -2,
    SHORTEST_KEY = 8, /* shorter ones are placeholders such as "none", and would blot ordinary text */
};

/* ---- writing ---- */

static struct str chunk_head(struct request *r, size_t n, char room[24])
{
    static const char hex[] = "0123456789abcdef";
    char *at = room + 24;
    if (!r->chunked) return STR_NULL;
    *--at = '\n';
    *--at = '\r';
    do {
        *--at = hex[n & 15];
        n >>= 4;
    } while (n > 0);
    return (struct str){at, (size_t)(room + 24 - at)};
}

/* One system call for a head that waits, a piece of body in its chunk and the end of the body. */
static void write_body(struct request *r, struct str body, bool last)
{
    char room[24];
    struct str piece[5];
    unsigned n = 0;
    bool framed = r->chunked && body.n > 0;
    piece[n++] = buf_view(&r->keep.head);
    piece[n++] = framed ? chunk_head(r, body.n, room) : STR_NULL;
    piece[n++] = body;
    piece[n++] = framed ? HTTP1_CHUNK_END : STR_NULL;
    piece[n++] = last && r->chunked ? HTTP1_LAST_CHUNK : STR_NULL;
    client_write(r->c, piece, n);
    buf_clear(&r->keep.head);
}

/* The answer's head, made but not yet written. length -1: not known. */
static void make_head(struct request *r, int64_t length, bool attempt)
{
    struct buf *head = &r->keep.head;
    buf_clear(head);
    r->client_status = r->call.stream || r->up == NULL ? 200 : r->status;
    bool passed = request_is_passed(r);
    struct str type = r->call.stream ? str_of(framing_content_type(r->x.framing)) : STR("application/json");
    if (passed && r->x.same) type = STR_NULL; /* the provider's own, or none */
    if (r->call.video != NULL && !r->x.same)  /* whatever a 204 was, the answer has a body */
        r->client_status = r->call.video->location.n > 0 ? 302 : 200;
    if (r->client_status == 204) length = HEAD_NO_LENGTH;
    const struct http1_head *answer = attempt ? http1_head(&r->up->in) : NULL;
    bool same = answer != NULL && r->x.same;
    bool reframed = r->call.stream && r->x.framing != r->x.frames.framing;
    if (same && !reframed && http1_get(answer, "content-type").n > 0) type = http1_get(answer, "content-type");
    reply_begin_head(r, r->client_status, type, length, head);
    if (r->call.stream) buf_add(head, STR("cache-control: no-cache\r\n"));
    if (r->opaque) http1_write_header(head, STR("content-encoding"), http1_get(answer, "content-encoding"));
    if (answer != NULL) headers_write_forwarded(answer, same, passed, head);
    if (r->client_status == 302) http1_write_header(head, STR("location"), r->call.video->location);
    headers_write_ours(r, attempt, !r->call.stream && length >= 0, head);
    http1_write_end(head);
}

static void first_content(struct request *r)
{
    if (r->ttft_ns == 0) r->ttft_ns = clock_mono_ns() - r->started_ns;
}

/* From here on this attempt is the answer. */
static void commit_point(struct request *r)
{
    if (r->stage >= ANSWER_COMMITTED) return;
    first_content(r);
    if (r->stage == ANSWER_NONE) make_head(r, -1, true);
    r->stage = ANSWER_COMMITTED;
}

static void give(struct request *r, struct buf *bytes)
{
    struct str v = buf_view(bytes);
    if (v.n == 0) return;
    r->bytes_out += v.n;
    write_body(r, v, false);
    buf_clear(bytes);
    r->quiet_at_ms = uv_now(&r->w->loop) + r->w->patience.ping_every_ms;
}

/* The record is in the journal before the answer's last bytes are the kernel's. */
static const struct step *finish(struct request *r, struct buf *last)
{
    struct str v = buf_view(last);
    first_content(r);
    r->bytes_out += v.n;
    attempt_over(r, OUTCOME_OK, WEIR_OK, STR_NULL);
    if (r->stage == ANSWER_NONE) /* held whole: its length and cost are known now */
        make_head(r, (int64_t)v.n, true);
    meter_commit(r, true);
    write_body(r, v, true);
    r->stage = ANSWER_ENDED;
    upstream_release(&r->up);
    return STEP_SETTLE;
}

/* ---- head ---- */

/* A provider that repeats the key it was sent does not make it known. text: bytes of our own. */
static bool hide_key(const struct request *r, struct str text)
{
    struct str key = r->shown;
    bool hidden = false;
    if (key.n < SHORTEST_KEY) return false;
    for (ptrdiff_t at; (at = str_find(text, key)) >= 0; text = str_slice(text, (size_t)at + key.n, text.n))
        memset((char *)(uintptr_t)text.p + at, '*', key.n), hidden = true;
    return hidden;
}

static void take_error(struct request *r)
{
    r->said = r->x.error;
    hide_key(r, r->said.message);
    if (hide_key(r, r->x.error_event) && r->x.framing == FRAMING_EVENTSTREAM)
        r->x.error_event = STR_NULL; /* its checksum is not right any more: the words are ours then */
}

/* One whole JSON text, not lines or events of it. */
static bool is_json(struct str content_type)
{
    struct str type = str_slice(content_type, 0, 64);
    return str_icontains(type, STR("json")) && !str_icontains(type, STR("event-stream")) &&
           !str_icontains(type, STR("ndjson"));
}

const struct step *relay_head(struct request *r)
{
    const struct http1_head *h = http1_head(&r->up->in);
    struct str coding = http1_get(h, "content-encoding");
    uint64_t now = uv_now(&r->w->loop);
    hide_key(r, http1_text(&r->up->in)); /* all of the head at once: one search instead of one a header */
    r->status = h->status;
    buf_clear(&r->keep.held);
    buf_clear(&r->keep.out);
    if (h->status / 100 == 3) return attempt_fail(r, WEIR_UP_REDIRECT, STR("a redirect, which is not followed"));
    bool unframed = r->x.frames.framing != FRAMING_JSON_ARRAY && is_json(http1_get(h, "content-type"));
    r->collecting = h->status / 100 != 2 || (r->call.stream && unframed);
    r->events = request_is_passed(r) && !r->collecting &&
                str_icontains(str_slice(http1_get(h, "content-type"), 0, 64), STR("event-stream"));
    if (!r->collecting && !request_is_passed(r) &&
        str_icontains(str_slice(http1_get(h, "content-type"), 0, 64), STR("text/html")))
        return attempt_fail(r, WEIR_UP_PROTOCOL, STR("a web page instead of an answer"));
    if (!r->collecting && coding.n > 0 && !str_iis(coding, "identity")) {
        if (!r->x.same || r->stage != ANSWER_NONE) /* a head that went out with the first ping named no coding */
            return attempt_fail(r, WEIR_UP_PROTOCOL, STR("a compressed answer, though none was asked for"));
        r->opaque = true;
    }
    if (r->collecting || !r->call.stream || r->opaque) { /* a stream's deadline stays that of its first content */
        r->phase_at_ms = now + r->route->idle_ms;
        r->phase_err = WEIR_UP_TIMEOUT_IDLE;
    }
    return STEP_STREAM;
}

/* ---- errors ---- */

static void keep_for_relaying(struct request *r, const struct http1_head *h, struct str body)
{
    enum weir_err e = r->said.err;
    bool ours =
        e == WEIR_UP_AUTH || e == WEIR_UP_PERMISSION || e == WEIR_UP_QUOTA || h->status == 401 || h->status == 403;
    struct json_error bad;
    unsigned depth;
    /* Some hosts name no JSON type for their errors, or a wrong one: the body itself tells. */
    if (!r->x.same || ours || h->status < 400 || !json_check(body, &depth, &bad)) return;
    buf_clear(&r->keep.head);
    headers_write_forwarded(h, true, request_is_passed(r), &r->keep.head);
    r->relayed.status = h->status;
    r->relayed.body = arena_copy(&r->keep.arena, body);
    r->relayed.headers = arena_copy(&r->keep.arena, buf_view(&r->keep.head));
    buf_clear(&r->keep.head);
}

static const struct step *error_is_whole(struct request *r)
{
    const struct http1_head *h = http1_head(&r->up->in);
    struct str body = buf_view(&r->keep.held), coding = http1_get(h, "content-encoding");
    if (coding.n > 0 && !str_iis(coding, "identity")) body = STR_NULL;
    hide_key(r, body);
    bool anthropic = r->x.target->id == DIALECT_ANTHROPIC;
    struct answer_headers a = {
        .content_type = http1_get(h, "content-type"),
        .retry_after = http1_get(h, "retry-after"),
        .retry_after_ms = http1_get(h, "retry-after-ms"),
        .should_retry = http1_get(h, "x-should-retry"),
        .limit_requests_left =
            http1_get(h, anthropic ? "anthropic-ratelimit-requests-remaining" : "x-ratelimit-remaining-requests"),
        .limit_tokens_left =
            http1_get(h, anthropic ? "anthropic-ratelimit-tokens-remaining" : "x-ratelimit-remaining-tokens"),
        .limit_requests_reset =
            http1_get(h, anthropic ? "anthropic-ratelimit-requests-reset" : "x-ratelimit-reset-requests"),
        .limit_tokens_reset = http1_get(h, anthropic ? "anthropic-ratelimit-tokens-reset" : "x-ratelimit-reset-tokens"),
        .error_type = http1_get(h, "x-amzn-errortype"),
        .date = http1_get(h, "date"),
    };
    r->x.target->read_error(h->status, &a, body, &r->keep.arena, &r->said);
    if (r->said.err == WEIR_UP_AUTH) secret_note_clock(r, a.date);
    if (r->said.err == WEIR_OK) { /* JSON where a stream was asked for, and no error in it */
        r->said.err = WEIR_UP_PROTOCOL;
        r->said.message = STR("the answer is not a stream");
    }
    keep_for_relaying(r, h, body);
    return attempt_fail(r, r->said.err, r->said.message);
}

static const struct step *collect_error(struct request *r, enum upstream_event e, struct str bytes)
{
    struct buf *held = &r->keep.held;
    if (e == UPSTREAM_BODY) buf_add(held, str_slice(bytes, 0, RELAY_ERROR_BYTES - buf_len(held)));
    if (e == UPSTREAM_END || buf_len(held) >= RELAY_ERROR_BYTES) return error_is_whole(r);
    return NULL;
}

/* ---- unary ---- */

/* held: the copy that the usage is read from; out: the newest piece, kept back until it is known whether it is the last. */
static const struct step *unary_body(struct request *r, struct str bytes)
{
    struct buf *held = &r->keep.held, *out = &r->keep.out;
    r->unary_seen += bytes.n;
    r->phase_at_ms = uv_now(&r->w->loop) + r->route->idle_ms;
    bool over = r->unary_seen > RELAY_HOLD_BYTES || r->opaque ||
                (request_is_passed(r) && !is_json(http1_get(http1_head(&r->up->in), "content-type")));
    if (r->unary_seen > RELAY_MOST_BYTES && !r->x.same)
        return attempt_fail(r, WEIR_UP_PROTOCOL, STR("the answer is too long to be translated"));
    if (!r->opaque && r->collected_all) {
        r->collected_all = r->unary_seen <= RELAY_MOST_BYTES && request_charge(r, bytes.n);
        if (r->collected_all)
            buf_add(held, bytes);
        else if (r->stage == ANSWER_NONE && !over)
            return attempt_fail(r, WEIR_BUFFERS_FULL, STR_NULL);
        else if (!r->x.same)
            return attempt_fail(r, WEIR_BUFFERS_FULL, STR_NULL);
    }
    if (!over || !r->x.same) return NULL;
    if (r->stage == ANSWER_NONE) { /* all that was held so far goes out now, but for its tail */
        commit_point(r);
        if (!r->opaque) {
            buf_clear(out);
            buf_add(out, str_slice(buf_view(held), 0, buf_len(held) - (r->collected_all ? bytes.n : 0)));
        }
    }
    give(r, out);
    buf_add(out, bytes);
    return NULL;
}

static const struct step *unary_end(struct request *r)
{
    struct buf *held = &r->keep.held, *out = &r->keep.out;
    if (r->stage == ANSWER_COMMITTED) {
        struct buf unused = {0};
        if (!r->opaque && r->collected_all)
            (void)exchange_answer(&r->x, buf_view(held), &unused); /* for the usage; the bytes are out already */
        buf_fini(&unused);
        return finish(r, out);
    }
    if (r->opaque) { /* an empty answer */
        commit_point(r);
        return finish(r, out);
    }
    buf_clear(out);
    enum weir_err e = exchange_answer(&r->x, buf_view(held), out);
    if (r->x.facts & (EXCHANGE_ERROR | EXCHANGE_BROKEN)) {
        take_error(r);
        return attempt_fail(r, r->said.err != WEIR_OK ? r->said.err : WEIR_UP_PROTOCOL, r->said.message);
    }
    if (e != WEIR_OK) return attempt_fail(r, e, r->x.error.message);
    return finish(r, out);
}

/* ---- streams ---- */

static const struct step *stream_bytes(struct request *r, struct str bytes)
{
    struct buf *out = r->stage == ANSWER_COMMITTED ? &r->keep.out : &r->keep.held;
    exchange_feed(&r->x, bytes, out);
    if (r->x.facts & (EXCHANGE_ERROR | EXCHANGE_BROKEN)) {
        take_error(r);
        return attempt_fail(r, r->said.err != WEIR_OK ? r->said.err : WEIR_UP_STREAM_ERROR, r->said.message);
    }
    if (r->x.facts & EXCHANGE_END) {
        commit_point(r);
        return finish(r, out);
    }
    if (r->x.facts & EXCHANGE_CONTENT && r->stage < ANSWER_COMMITTED) {
        commit_point(r);
        give(r, &r->keep.held);
    } else if (r->stage < ANSWER_COMMITTED && buf_len(out) > RELAY_HOLD_BYTES) {
        return attempt_fail(r, WEIR_UP_PROTOCOL, STR("a stream without content"));
    }
    if (r->stage == ANSWER_COMMITTED && buf_len(&r->keep.out) >= FLUSH_BYTES) give(r, &r->keep.out);
    return NULL;
}

static const struct step *stream_end(struct request *r)
{
    struct buf *out = r->stage == ANSWER_COMMITTED ? &r->keep.out : &r->keep.held;
    exchange_finish(&r->x, out);
    if (r->x.facts & (EXCHANGE_ERROR | EXCHANGE_BROKEN)) {
        take_error(r);
        return attempt_fail(r, r->said.err != WEIR_OK ? r->said.err : WEIR_UP_STREAM_ERROR, r->said.message);
    }
    if (!(r->x.facts & EXCHANGE_END))
        return attempt_fail(r, WEIR_UP_TRUNCATED, STR("the stream ended without its terminal event"));
    commit_point(r);
    return finish(r, out);
}

/* ---- the pump ---- */

static const struct step *take_event(struct request *r, enum upstream_event e, struct str bytes)
{
    if (r->collecting) return collect_error(r, e, bytes);
    if ((!r->call.stream && !r->events) || r->opaque) return e == UPSTREAM_BODY ? unary_body(r, bytes) : unary_end(r);
    return e == UPSTREAM_BODY ? stream_bytes(r, bytes) : stream_end(r);
}

const struct step *relay_body(struct request *r)
{
    bool any = false;
    for (;;) {
        if (r->stage == ANSWER_COMMITTED && client_pending(r->c) > CLIENT_HIGH_BYTES) {
            upstream_pause(r->up);
            r->phase_at_ms = r->quiet_at_ms = 0; /* it is the client that is slow: its own timer watches */
            return request_wait(r);
        }
        struct str bytes = STR_NULL;
        enum upstream_event e = upstream_next(r->up, &bytes);
        if (e == UPSTREAM_MORE) break;
        if (e == UPSTREAM_FAILED) return attempt_fail(r, r->up->err, str_of(r->up->detail));
        any = true;
        const struct step *next = take_event(r, e, bytes);
        if (next != NULL) return next;
    }
    if (r->stage == ANSWER_COMMITTED && (r->call.stream || r->events) && !r->opaque) give(r, &r->keep.out);
    bool resumed = r->up->paused; /* no deadline ran: the next one begins, also when nothing is here to read */
    if (resumed) upstream_resume(r->up);
    if ((any || resumed) &&
        (r->stage == ANSWER_COMMITTED || r->phase_err == WEIR_UP_TIMEOUT_IDLE || r->phase_at_ms == 0)) {
        r->phase_at_ms = uv_now(&r->w->loop) + r->route->idle_ms;
        r->phase_err = WEIR_UP_TIMEOUT_IDLE;
    }
    return request_wait(r);
}

/* ---- waiting and breaking off ---- */

void relay_ping(struct request *r)
{
    struct buf ping = {0};
    r->quiet_at_ms = uv_now(&r->w->loop) + r->w->patience.ping_every_ms;
    if (r->opaque || !r->has_exchange) return;
    if (r->stage == ANSWER_NONE) {
        make_head(r, -1, false);
        r->stage = ANSWER_OPENED;
    }
    exchange_write_ping(&r->x, &ping);
    r->bytes_out += buf_len(&ping);
    write_body(r, buf_view(&ping), false);
    buf_fini(&ping);
}

void relay_break_off(struct request *r)
{
    struct buf *out = &r->keep.out;
    struct str tail = STR_NULL;
    /* A passed endpoint's events can tell it, too; under /p/ nobody knows what they are. */
    bool passed = r->events && r->endpoint->kind == ENDPOINT_PASSED && r->x.client->write_stream_error != NULL;
    if ((r->call.stream || passed) && !r->opaque) {
        if (r->stage == ANSWER_OPENED) buf_clear(out);
        if (r->has_exchange) exchange_write_error(&r->x, r->err, reply_error_message(r), out);
        tail = buf_view(out); /* events that came whole before the break, then the error */
        r->bytes_out += tail.n;
    }
    meter_commit(r, true);
    write_body(r, tail, false);
    r->stage = ANSWER_ENDED;
    r->broken_off = true;
}
