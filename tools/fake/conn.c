#include "tools/fake/conn.h"

#include "proto/base/mem.h"
#include "tools/fake/tls_server.h"

#include <stdlib.h>

enum { READ_BYTES = 64 << 10, ARENA_BYTES = 16 << 10, LINGER_MS = 2000 };

static const struct http1_limits limits = {
    .line_bytes = 64 << 10, .head_bytes = 256 << 10, .headers = 120, .body_bytes = 256 << 20, .interim = 0};

static void play(struct conn *c);
static void parse(struct conn *c);

/* ---- the end ---- */

static void finish_call(struct conn *c, bool done)
{
    if (c->call == NULL) return;
    c->call->bytes = c->sent;
    c->call->events = c->program.events;
    c->call->whole = !c->playing && c->program.is_whole;
    c->call->client_gone = !done;
    provider_note(c->provider, &c->call);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    if (--c->handles > 0) return;
    http1_fini(&c->parser);
    buf_fini(&c->in);
    buf_fini(&c->body);
    buf_fini(&c->out);
    arena_fini(&c->arena);
    answer_fini(&c->answer);
    program_fini(&c->program);
    tls_peer_free(&c->tls);
    c->provider->counts.open--;
    free(c);
}

static void conn_close(struct conn *c, bool reset)
{
    if (c->closing) return;
    c->closing = true;
    finish_call(c, false);
    uv_close((uv_handle_t *)&c->timer, on_closed);
    if (!reset || uv_tcp_close_reset(&c->tcp, on_closed) != 0) uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* ---- writing ---- */

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = write->data;
    c->writing = false;
    if (c->closing) return;
    if (status < 0) {
        conn_close(c, false);
        return;
    }
    buf_clear(&c->out);
    if (c->playing) play(c);
}

/* What the kernel does not take at once is written from c->out. */
static bool send_plain(struct conn *c, struct str bytes)
{
    uv_buf_t part = uv_buf_init((char *)(uintptr_t)bytes.p, (unsigned)bytes.n);
    int n = c->writing ? UV_EAGAIN : uv_try_write((uv_stream_t *)&c->tcp, &part, 1);
    if (n == (int)bytes.n) return true;
    if (n < 0 && n != UV_EAGAIN) return false;
    buf_add(&c->out, str_slice(bytes, n > 0 ? (size_t)n : 0, bytes.n));
    if (c->writing) return true; /* only a TLS record of the handshake meets this */
    struct str rest = buf_view(&c->out);
    part = uv_buf_init((char *)(uintptr_t)rest.p, (unsigned)rest.n);
    c->write.data = c;
    c->writing = uv_write(&c->write, (uv_stream_t *)&c->tcp, &part, 1, on_written) == 0;
    return c->writing;
}

static bool send_bytes(struct conn *c, struct str bytes)
{
    if (c->tls == NULL) return send_plain(c, bytes);
    if (bytes.n > 0) tls_peer_write(c->tls, bytes);
    struct buf *out = tls_peer_out(c->tls);
    if (c->writing || buf_len(out) == 0) return true;
    bool good = send_plain(c, buf_view(out));
    buf_clear(out);
    return good;
}

static void on_lingered(uv_timer_t *timer)
{
    conn_close(timer->data, false);
}

static void on_shut_down(uv_shutdown_t *request, int status)
{
    (void)status;
    free(request);
}

/* FIN now; closed when the other side has closed, too, or after a while. */
static void leave(struct conn *c)
{
    if (c->tls != NULL) {
        tls_peer_close(c->tls);
        send_bytes(c, STR_NULL);
    }
    c->leaving = true;
    uv_shutdown_t *request = xcalloc(1, sizeof *request);
    if (uv_shutdown(request, (uv_stream_t *)&c->tcp, on_shut_down) != 0) {
        free(request);
        conn_close(c, false);
        return;
    }
    uv_timer_start(&c->timer, on_lingered, LINGER_MS, 0);
}

/* ---- the program ---- */

static void end_program(struct conn *c)
{
    c->playing = false;
    enum fault_end end = c->program.end;
    if (end != FAULT_STALL) /* a stalled call is over when the other side has had enough */
        finish_call(c, true);
    if (end == FAULT_RST)
        conn_close(c, true);
    else if (end == FAULT_FIN)
        leave(c);
    else if (end == FAULT_KEEP) {
        http1_reset(&c->parser);
        buf_clear(&c->body);
        buf_shrink(&c->body, 1 << 20);
        arena_reset(&c->arena);
        parse(c);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    c->waited = true;
    play(c);
}

static void play(struct conn *c)
{
    struct program *p = &c->program;
    while (!c->closing && c->playing) {
        if (c->writing) return;
        if (c->step == p->steps) {
            end_program(c);
            return;
        }
        const struct program_step *step = &p->step[c->step];
        if (!c->waited && (step->delay_ms > 0 || step->alone)) {
            uv_timer_start(&c->timer, on_timer, step->delay_ms, 0);
            return;
        }
        c->waited = false;
        size_t end = step->end;
        c->step++;
        if (!step->alone)
            while (c->step < p->steps && p->step[c->step].delay_ms == 0) end = p->step[c->step++].end;
        struct str bytes = str_slice(buf_view(&p->bytes), c->sent, end);
        c->sent = end;
        if (!send_bytes(c, bytes)) conn_close(c, false);
    }
}

static void start_program(struct conn *c)
{
    c->playing = true;
    c->step = c->sent = 0;
    c->waited = false;
    play(c);
}

/* ---- reading ---- */

static void on_request_head(struct conn *c)
{
    const struct http1_head *head = http1_head(&c->parser);
    buf_clear(&c->body);
    if (serve_early(c, head)) {
        start_program(c);
        return;
    }
    if (head->expect_continue && !send_bytes(c, STR("HTTP/1.1 100 Continue\r\n\r\n"))) conn_close(c, false);
}

static void refuse_request(struct conn *c)
{
    const char *text = "bad";
    http1_error(&c->parser, &text);
    answer_reset(&c->answer);
    c->answer.status = 400;
    c->answer.content_type = "text/plain";
    buf_addf(&c->answer.body, "weir-fake: %s\n", text);
    program_build(&c->program, &c->answer, NULL, NULL, (struct program_pace){0}, false);
    start_program(c);
}

/* Takes requests out of c->in, one at a time: the next one waits until this one is answered. */
static void parse(struct conn *c)
{
    struct str in = buf_view(&c->in), body;
    size_t before = in.n;
    while (!c->closing && !c->playing && !c->leaving) { /* END may be told only after the last byte is taken */
        enum http1_event event = http1_feed(&c->parser, &in, &body);
        if (event == HTTP1_HEAD)
            on_request_head(c);
        else if (event == HTTP1_BODY)
            buf_add(&c->body, body);
        if (event == HTTP1_END) {
            /* The rest must be out of the way before the answer starts, which may parse on. */
            buf_consume(&c->in, before - in.n);
            serve(c, http1_head(&c->parser), buf_view(&c->body));
            start_program(c);
            return;
        }
        if (event == HTTP1_BAD) {
            buf_clear(&c->in);
            refuse_request(c);
            return;
        }
        if (event == HTTP1_MORE) break;
    }
    if (!c->closing) buf_consume(&c->in, before - in.n);
}

static void on_eof(struct conn *c)
{
    /* A provider that stalls does not look at who leaves, but the call is over, and we say so. */
    conn_close(c, false);
}

static void on_plain(struct conn *c)
{
    if (c->playing || c->leaving || c->program.end == FAULT_STALL) {
        if (c->leaving || c->program.end == FAULT_STALL) buf_clear(&c->in);
        return;
    }
    parse(c);
}

static void on_cipher(struct conn *c, struct str bytes)
{
    bool was_ready = tls_peer_is_ready(c->tls), closed = false;
    size_t before = buf_len(&c->in);
    bool good = tls_peer_feed(c->tls, bytes, &c->in, &closed);
    c->provider->counts.plain_bytes_in += buf_len(&c->in) - before;
    c->provider->counts.tls_ready += !was_ready && tls_peer_is_ready(c->tls);
    c->provider->counts.tls_failed += !good && !was_ready && !tls_peer_is_ready(c->tls);
    if (!send_bytes(c, STR_NULL) || !good || closed) {
        conn_close(c, false);
        return;
    }
    on_plain(c);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    static char bytes[READ_BYTES]; /* one loop: taken over before the next read */
    *buf = uv_buf_init(bytes, sizeof bytes);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    if (c->closing || n == 0) return;
    if (n < 0) {
        c->provider->counts.tls_failed += c->tls != NULL && !tls_peer_is_ready(c->tls);
        on_eof(c);
        return;
    }
    struct str bytes = {buf->base, (size_t)n};
    if (c->tls != NULL) {
        on_cipher(c, bytes);
        return;
    }
    c->provider->counts.plain_bytes_in += bytes.n;
    buf_add(&c->in, bytes);
    on_plain(c);
}

/* ---- accepting ---- */

static bool meets_accept_fault(struct conn *c)
{
    struct fault *f = faults_take_accept(&c->provider->faults);
    if (f == NULL) return false;
    if (f->end == FAULT_STALL) return true; /* open, but never read */
    conn_close(c, f->end == FAULT_RST);
    return true;
}

void conn_on_connection(uv_stream_t *server, int status)
{
    struct provider *p = server->data;
    if (status < 0) return;
    struct conn *c = xcalloc(1, sizeof *c);
    c->provider = p;
    c->handles = 2;
    uv_tcp_init(p->loop, &c->tcp);
    uv_timer_init(p->loop, &c->timer);
    c->tcp.data = c->timer.data = c;
    http1_init(&c->parser, HTTP1_REQUEST, &limits);
    arena_init(&c->arena, ARENA_BYTES);
    p->counts.open++;
    if (uv_accept(server, (uv_stream_t *)&c->tcp) != 0) {
        conn_close(c, false);
        return;
    }
    p->counts.connections++;
    uv_tcp_nodelay(&c->tcp, 1);
    if (meets_accept_fault(c)) return;
    if (p->tls != NULL) c->tls = tls_peer_new(p->tls);
    uv_read_start((uv_stream_t *)&c->tcp, on_allocate, on_read);
}
