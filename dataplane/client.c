#include "dataplane/client.h"

#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/request.h"

enum {
    STASH_BYTES =
        16 * 1024, /* pipelined bytes taken before reading stops; read on, for an end of the connection is news */
    LINGER_BYTES = 64 * 1024,
    LINGER_MS = 2000,
    CLIENT_HANDLES = 3,
};

static void on_bytes(struct client *c, struct str in);

static const struct snap_server *server_of(const struct client *c)
{
    return &c->w->gen->sn->s->server;
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
    struct client *c = h->data;
    (void)suggested;
    *b = uv_buf_init(c->w->read_buf, sizeof c->w->read_buf);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct client *c = s->data;
    if (n < 0)
        client_close(c);
    else if (n > 0)
        on_bytes(c, (struct str){b->base, (size_t)n});
}

static void read_on(struct client *c)
{
    if (!c->reading && c->state != CLIENT_CLOSED && uv_read_start(&c->s.stream, on_alloc, on_read) == 0)
        c->reading = true;
}

static void read_off(struct client *c)
{
    uv_read_stop(&c->s.stream);
    c->reading = false;
}

static void begin_request(struct client *c)
{
    c->r = request_open(c);
    c->state = CLIENT_READ;
    deadline_in(&c->timer, server_of(c)->header_timeout_ms);
}

/* Takes what belongs to one request, at most to its end, and tells the request when there is news for it. */
static void take_input(struct client *c, struct str *in)
{
    if (c->r == NULL) begin_request(c);
    struct request *r = c->r;
    unsigned before = r->facts;
    while (c->state == CLIENT_READ && !(r->facts & FACT_BAD)) {
        struct str body;
        enum http1_event e = http1_feed(&r->keep.in, in, &body);
        if (e == HTTP1_MORE) break;
        if (e == HTTP1_HEAD)
            r->facts |= FACT_HEAD;
        else if (e == HTTP1_BODY)
            request_body(r, body);
        else if (e == HTTP1_BAD)
            r->facts |= FACT_BAD;
        else {
            r->facts |= FACT_WHOLE;
            c->state = CLIENT_CALL;
            deadline_clear(&c->timer);
        }
    }
    if (c->state == CLIENT_READ && r->facts & FACT_HEAD) deadline_in(&c->timer, server_of(c)->body_idle_ms);
    if (r->facts & FACT_BAD) *in = STR_NULL; /* where the next request would begin cannot be known */
    if (r->facts != before) request_wake(r);
}

static void on_bytes(struct client *c, struct str in)
{
    if (c->state == CLIENT_LINGER) {
        c->lingered_bytes += in.n;
        if (c->lingered_bytes > LINGER_BYTES) client_close(c);
        return;
    }
    c->pumping = true;
    while (in.n > 0 && c->state < CLIENT_CALL) take_input(c, &in);
    c->pumping = false;
    if (in.n > 0 && c->state == CLIENT_CALL) {
        buf_add(&c->stash, in);
        if (buf_len(&c->stash) > STASH_BYTES) read_off(c);
    }
}

/* The bytes that came while the last request was under way. */
static void pump_stash(struct client *c)
{
    if (c->pumping) return; /* the loop further up goes on with them */
    c->pumping = true;
    while (c->state < CLIENT_CALL && buf_len(&c->stash) > 0) {
        struct str in = buf_view(&c->stash);
        size_t all = in.n;
        take_input(c, &in);
        buf_consume(&c->stash, all - in.n);
    }
    c->pumping = false;
    if (buf_len(&c->stash) <= STASH_BYTES) read_on(c);
}

/* ---- writing ---- */

static void watch_stall(struct client *c)
{
    if (outbox_pending(&c->out) > 0) {
        c->stall_progress = outbox_progress(&c->out);
        deadline_in(&c->timer, server_of(c)->write_stall_ms);
    } else if (c->state == CLIENT_CALL)
        deadline_clear(&c->timer);
    else if (c->state == CLIENT_IDLE)
        deadline_in(&c->timer, server_of(c)->keepalive_ms);
}

static void on_ended(uv_shutdown_t *req, int status)
{
    (void)req;
    (void)status;
}

static void end_when_written(struct client *c)
{
    if (outbox_pending(&c->out) > 0) return;
    if (c->close_after) {
        client_close(c);
    } else if (c->state == CLIENT_LINGER && !c->half_closed) {
        c->half_closed = true;
        uv_shutdown(&c->end, &c->s.stream, on_ended);
        deadline_in(&c->timer, LINGER_MS);
    }
}

static void on_progress(struct outbox *o, int status)
{
    struct client *c = o->owner;
    if (c->state == CLIENT_CLOSED) return;
    if (status < 0) {
        client_close(c);
        return;
    }
    if (c->state != CLIENT_READ) watch_stall(c);
    if (c->r != NULL && outbox_pending(o) < CLIENT_LOW_BYTES) {
        c->r->facts |= FACT_CLIENT_ROOM;
        request_wake(c->r);
    }
    if (c->state != CLIENT_CLOSED) end_when_written(c);
}

bool client_write(struct client *c, const struct str *piece, unsigned n)
{
    if (c->state == CLIENT_CLOSED) return false;
    bool idle = !c->out.writing;
    if (!outbox_write(&c->out, piece, n)) {
        client_close(c);
        return false;
    }
    if (idle && c->out.writing) watch_stall(c);
    return true;
}

size_t client_pending(const struct client *c)
{
    return outbox_pending(&c->out);
}

/* ---- from accept to close ---- */

static void on_timer(struct deadline *d)
{
    struct client *c = d->owner;
    if (c->state == CLIENT_CLOSED) return;
    if (c->state != CLIENT_READ && outbox_pending(&c->out) > 0) {
        if (outbox_progress(&c->out) > c->stall_progress)
            watch_stall(c); /* slow, but it reads */
        else
            client_close(c);
    } else if (c->state == CLIENT_READ) {
        c->r->facts |= FACT_SLOW;
        request_wake(c->r);
    } else if (c->state != CLIENT_CALL) {
        client_close(c);
    }
}

static void on_call_timer(struct deadline *d)
{
    struct client *c = d->owner;
    if (c->r == NULL) return;
    c->r->facts |= FACT_TIMER;
    request_wake(c->r);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct deadline *d = h->data;
    struct client *c = h->type == UV_TIMER ? d->owner : h->data;
    if (--c->handles > 0) return;
    buf_clear(&c->stash);
    buf_shrink(&c->stash, STASH_BYTES);
    slab_give(&c->w->client_slab, c);
}

void client_free_bufs(void *o)
{
    struct client *c = o;
    buf_fini(&c->stash);
    outbox_fini(&c->out);
}

static void refuse_connection(struct client *c)
{
    static const char text[] =
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
        "connection: close\r\ncontent-length: 93\r\n\r\n"
        "{\"error\":{\"message\":\"weir: too many connections\",\"type\":\"server_error\",\"code\":"
        "\"overloaded\"}}\n";
    c->state = CLIENT_LINGER;
    deadline_in(&c->timer, LINGER_MS);
    struct str s = {text, sizeof text - 1};
    if (client_write(c, &s, 1)) {
        end_when_written(c);
        read_on(c);
    }
}

void client_open(struct worker *w, struct listener *l)
{
    bool fresh;
    struct client *c = slab_take(&w->client_slab, &fresh);
    struct buf stash = c->stash;
    struct outbox out = c->out;
    *c = (struct client){.w = w, .stash = stash, .out = out, .is_unix = l->is_unix, .handles = CLIENT_HANDLES};
    if (l->is_unix)
        uv_pipe_init(&w->loop, &c->s.pipe, 0);
    else
        uv_tcp_init(&w->loop, &c->s.tcp);
    c->s.handle.data = c;
    outbox_init(&c->out, &c->s.stream, on_progress, c);
    deadline_init(&c->timer, &w->loop, on_timer, c);
    deadline_init(&c->call_timer, &w->loop, on_call_timer, c);
    list_push_back(&w->clients, &c->link);
    w->connections++;
    if (uv_accept(&l->s.stream, &c->s.stream) != 0) {
        client_close(c);
        return;
    }
    if (w->connections > server_of(c)->max_connections) {
        refuse_connection(c);
        return;
    }
    deadline_in(&c->timer, server_of(c)->header_timeout_ms);
    read_on(c);
}

void client_close(struct client *c)
{
    if (c->state == CLIENT_CLOSED) return;
    c->state = CLIENT_CLOSED;
    c->w->connections--;
    list_remove(&c->link);
    if (c->r != NULL) {
        c->r->facts |= FACT_GONE;
        request_wake(c->r); /* ends the request now, or in the step that brought us here */
    }
    uv_close(&c->s.handle, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer.timer, on_handle_closed);
    uv_close((uv_handle_t *)&c->call_timer.timer, on_handle_closed);
}

void client_done(struct client *c, bool keep, bool whole)
{
    c->r = NULL;
    deadline_clear(&c->call_timer);
    if (c->state == CLIENT_CLOSED) return;
    if (keep && whole && c->w->mode == WORKER_RUNNING) {
        c->state = CLIENT_IDLE;
        watch_stall(c); /* idle from when the answer has been read: a long one may still be on its way */
        if (buf_len(&c->stash) > 0 || !c->reading) pump_stash(c);
        return;
    }
    c->state = CLIENT_LINGER;
    c->close_after = whole;
    read_on(c);
    watch_stall(c);
    end_when_written(c);
}
