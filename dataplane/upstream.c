#include "dataplane/upstream.h"

#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/request.h"
#include "proto/wire/tls.h"
#include "proto/wire/url.h"
#include "shm/channel.h"
#include "shm/tick.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum {
    NEXT_ADDRESS_MS = 250, /* RFC 8305 "Connection Attempt Delay" */
    RESOLVE_POLL_MS = 10,  /* the control plane has not resolved the name yet: only just after a start or reload */
    FINISH_MS = 1000,
    FINISH_BYTES = 16 * 1024, /* what may follow a stream's terminal event: comments, the last chunk, trailers */
    LEFT_KEEP_BYTES = 16 * 1024,
    TICKET_BYTES = 4000, /* with the print it fits a channel message */
};

static void dial_next(struct upstream *u);

/* ---- from the socket up ---- */

static void fail(struct upstream *u, enum weir_err err, const char *detail)
{
    if (u->err == WEIR_OK) {
        u->err = err;
        snprintf(u->detail, sizeof u->detail, "%s", detail);
    }
    if (u->r != NULL) {
        u->r->facts |= FACT_UP_FAILED;
        request_wake(u->r);
    }
}

static enum weir_err err_of_uv(int status)
{
    switch (status) {
    case UV_EMFILE:
    case UV_ENFILE:
    case UV_ENOBUFS:
    case UV_ENOMEM:
    case UV_EADDRNOTAVAIL: return WEIR_LOCAL_RESOURCE;
    case UV_ETIMEDOUT: return WEIR_UP_TIMEOUT_CONNECT;
    default: return WEIR_UP_CONNECT;
    }
}

static void on_wire_closed(uv_handle_t *h)
{
    struct wire *x = h->data;
    slab_give(&x->w->wire_slab, x);
}

static void wire_close(struct wire **xp)
{
    struct wire *x = *xp;
    *xp = NULL;
    if (x == NULL) return;
    x->u = NULL;
    uv_close((uv_handle_t *)&x->tcp, on_wire_closed);
}

void wire_free_bufs(void *o)
{
    struct wire *x = o;
    outbox_fini(&x->out);
}

static void on_sent(struct outbox *o, int status)
{
    (void)o;
    (void)status; /* a failed write shows on the reading side, perhaps behind an answer that came early */
}

static void flush_tls(struct upstream *u)
{
    struct buf *out = tls_out(u->tls);
    struct str v = buf_view(out);
    if (v.n > 0 && u->wire != NULL) {
        outbox_write(&u->wire->out, &v, 1);
        buf_consume(out, v.n);
    }
}

static void keep_ticket(struct upstream *u)
{
    if (u->provider_id == ID_NONE) return;
    struct pool *p = &u->w->pools[u->provider_id];
    struct buf ticket = {0};
    if (tls_ticket(u->tls, &ticket) && buf_len(&ticket) <= TICKET_BYTES) {
        pool_ticket_put(p, u->print, buf_view(&ticket));
        uint64_t now = uv_now(&u->w->loop);
        if (u->w->o->channel_fd >= 0 && now - p->ticket_shared_ms >= POOL_TICKET_EVERY_MS) {
            struct channel_msg m = {.type = CHAN_TICKETS, .number = u->provider_id};
            memcpy(m.u.text, &u->print, sizeof u->print);
            memcpy(m.u.text + sizeof u->print, buf_view(&ticket).p, buf_len(&ticket));
            m.text_n = (uint32_t)(sizeof u->print + buf_len(&ticket));
            channel_send(u->w->o->channel_fd, &m, NULL, 0); /* not sent: the others shake hands for themselves */
            p->ticket_shared_ms = now;
        }
    }
    buf_fini(&ticket);
}

static void connected(struct upstream *u)
{
    u->state = UPSTREAM_BUSY;
    u->host = STR_NULL;
    if (u->r != NULL) {
        u->r->facts |= FACT_UP_CONNECTED;
        request_wake(u->r);
    }
}

/* An idle or finishing connection has something to say. */
static void without_request(struct upstream *u)
{
    struct str body;
    enum upstream_event e = UPSTREAM_BODY;
    if (u->state == UPSTREAM_FINISH && !u->eof)
        while (e == UPSTREAM_BODY) {
            e = upstream_next(u, &body);
            u->finish_bytes += e == UPSTREAM_BODY ? body.n : 0;
        }
    if (e == UPSTREAM_MORE && u->finish_bytes <= FINISH_BYTES) return;
    if (u->state == UPSTREAM_IDLE && !u->eof && u->fresh.n == 0 && buf_len(&u->left) == 0)
        return; /* TLS had something to say to itself */
    if (e == UPSTREAM_END)
        upstream_release(&u);
    else
        upstream_close(&u); /* end of the connection, or bytes that nobody asked for: never parsed as the next answer */
}

static void tell(struct upstream *u)
{
    if (u->r != NULL) {
        u->r->facts |= FACT_UP_DATA;
        request_wake(u->r);
    } else if (u->state == UPSTREAM_IDLE || u->state == UPSTREAM_FINISH) {
        without_request(u);
    }
    if (u->fresh.n > 0) { /* not used up: held, or the request waits for the client */
        if (u->state != UPSTREAM_CLOSED) buf_add(&u->left, u->fresh);
        u->fresh = STR_NULL;
    }
}

static void tls_input(struct upstream *u, struct str cipher)
{
    enum tls_state s = tls_feed(u->tls, cipher, &u->left);
    flush_tls(u);
    if (s == TLS_BAD) {
        u->eof = true;
        u->redial = tls_should_redial(u->tls);
        if (u->state == UPSTREAM_TLS)
            fail(u, WEIR_UP_TLS, tls_reason(u->tls));
        else
            tell(u);
        return;
    }
    if (s == TLS_CLOSED) u->eof = u->closed_cleanly = true;
    if (u->state == UPSTREAM_TLS && tls_is_handshake_done(u->tls)) connected(u);
    if (u->state == UPSTREAM_CLOSED) return;
    keep_ticket(u);
    if (buf_len(&u->left) > 0 || u->eof) tell(u);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
    struct wire *x = h->data;
    (void)suggested;
    *b = uv_buf_init(x->w->read_buf, sizeof x->w->read_buf);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct wire *x = s->data;
    struct upstream *u = x->u;
    if (u == NULL || n == 0) return;
    if (n < 0) {
        u->eof = true;
        uv_read_stop(s);
        if (u->state == UPSTREAM_TLS)
            fail(u, WEIR_UP_TLS, "the provider closed the connection during the TLS handshake");
        else
            tell(u);
        return;
    }
    struct str in = {b->base, (size_t)n};
    if (u->tls != NULL) {
        tls_input(u, in);
        return;
    }
    if (buf_len(&u->left) > 0)
        buf_add(&u->left, in);
    else
        u->fresh = in;
    tell(u);
}

/* ---- dialling ---- */

static void won(struct upstream *u, struct wire *x)
{
    for (unsigned i = 0; i < UPSTREAM_WIRES; i++) {
        if (u->dialling[i] == x) u->dialling[i] = NULL;
        wire_close(&u->dialling[i]);
    }
    deadline_clear(&u->step);
    u->wire = x;
    u->opened_ms = uv_now(&u->w->loop);
    uv_tcp_nodelay(&x->tcp, 1);
    if (uv_read_start((uv_stream_t *)&x->tcp, on_alloc, on_read) != 0) {
        fail(u, WEIR_UP_RESET, "the connection died at once");
        return;
    }
    if (u->trust == NULL) {
        connected(u);
        return;
    }
    struct str ticket = u->provider_id == ID_NONE ? STR_NULL : pool_ticket(&u->w->pools[u->provider_id], u->print);
    u->tls = u->trust->tls == NULL ? NULL : tls_new(u->trust->tls, u->host, ticket);
    if (u->tls == NULL) {
        fail(u, WEIR_UP_TLS, u->trust->why != NULL ? u->trust->why : "no TLS session could be made");
        return;
    }
    u->state = UPSTREAM_TLS;
    if (u->r != NULL) u->r->facts |= FACT_UP_SHAKING;
    if (tls_start(u->tls) == TLS_BAD) {
        fail(u, WEIR_UP_TLS, tls_reason(u->tls));
        return;
    }
    flush_tls(u);
    if (u->r != NULL) request_wake(u->r); /* the handshake has a deadline of its own */
}

static void on_connect(uv_connect_t *c, int status)
{
    struct wire *x = c->data;
    struct upstream *u = x->u;
    if (u == NULL) return;
    if (status == 0) {
        won(u, x);
        return;
    }
    bool others = false;
    for (unsigned i = 0; i < UPSTREAM_WIRES; i++)
        if (u->dialling[i] == x)
            wire_close(&u->dialling[i]);
        else
            others = others || u->dialling[i] != NULL;
    if (u->address_next < u->address_n)
        dial_next(u);
    else if (!others)
        fail(u, err_of_uv(status), uv_strerror(status));
}

static bool may_dial(const struct upstream *u, const struct tick_address *a)
{
    bool loopback = a->family == 4 ? a->ip[0] == 127 : memcmp(a->ip, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) == 0;
    if (u->allow_private || !u->is_name) return true; /* an address in the configuration was written there on purpose */
    if (loopback && str_iis(u->host, "localhost")) return true;
    return !url_address_is_private(a->family, a->ip);
}

static int start_wire(struct upstream *u, struct wire **slot, const struct tick_address *a)
{
    bool fresh;
    struct wire *x = slab_take(&u->w->wire_slab, &fresh);
    x->u = u;
    x->w = u->w;
    uv_tcp_init(&u->w->loop, &x->tcp);
    x->tcp.data = x;
    x->connect.data = x;
    outbox_init(&x->out, (uv_stream_t *)&x->tcp, on_sent, x);
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to = {0};
    uint16_t port = htons(u->port);
    if (a->family == 4) {
        to.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
        memcpy(&to.v4.sin_addr, a->ip, 4);
    } else {
        to.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
        memcpy(&to.v6.sin6_addr, a->ip, 16);
    }
    *slot = x;
    int e = uv_tcp_connect(&x->connect, &x->tcp, &to.sa, on_connect);
    if (e != 0) wire_close(slot);
    return e;
}

static void dial_next(struct upstream *u)
{
    enum weir_err err = WEIR_UP_CONNECT;
    const char *detail = "no address could be dialled";
    bool any = false;
    struct wire **slot = NULL;
    for (unsigned i = 0; i < UPSTREAM_WIRES; i++) {
        any = any || u->dialling[i] != NULL;
        if (u->dialling[i] == NULL) slot = &u->dialling[i];
    }
    while (slot != NULL && u->address_next < u->address_n) {
        const struct tick_address *a = &u->address[u->address_next++];
        if (!may_dial(u, a)) {
            err = WEIR_UP_BLOCKED;
            detail = "the name leads to a private address; allow_private is off";
            continue;
        }
        int e = start_wire(u, slot, a);
        if (e == 0) {
            if (u->address_next < u->address_n) deadline_in(&u->step, NEXT_ADDRESS_MS);
            return;
        }
        err = err_of_uv(e);
        detail = uv_strerror(e);
    }
    if (!any && u->address_next == u->address_n) fail(u, err, detail);
}

static void resolve(struct upstream *u)
{
    struct tick_provider row;
    tick_read_provider(u->w->tick, u->provider_id, &row);
    if (row.n > 0) {
        u->address_n = row.n < SHM_ADDRESSES ? row.n : SHM_ADDRESSES;
        memcpy(u->address, row.address, u->address_n * sizeof u->address[0]);
        dial_next(u);
    } else if (row.dns == TICK_DNS_BLOCKED) {
        fail(u, WEIR_UP_BLOCKED, "the name leads to a private address; allow_private is off");
    } else if (row.dns == TICK_DNS_FAILED) {
        fail(u, WEIR_UP_DNS, "the name does not resolve");
    } else {
        deadline_in(&u->step, RESOLVE_POLL_MS); /* until the request's connect deadline */
    }
}

static void on_step(struct deadline *d)
{
    struct upstream *u = d->owner;
    if (u->state == UPSTREAM_DIAL && u->r != NULL) {
        if (u->address_n == 0)
            resolve(u);
        else
            dial_next(u);
    } else if (u->state == UPSTREAM_FINISH) {
        upstream_close(&u);
    }
}

static void count(struct worker *w, int by)
{
    atomic_fetch_add_explicit(&w->me->upstreams, (uint32_t)by, memory_order_relaxed);
}

static struct upstream *make(struct request *r)
{
    struct worker *w = r->w;
    bool new;
    struct upstream *u = slab_take(&w->upstream_slab, &new);
    struct buf left = u->left;
    if (new)
        http1_init(&u->in, HTTP1_RESPONSE, &http1_response_limits);
    else
        http1_reset(&u->in);
    u->w = w;
    u->r = r;
    u->address_n = u->address_next = 0;
    u->state = UPSTREAM_DIAL;
    u->left = left;
    u->reused = u->paused = u->eof = u->closed_cleanly = u->got_bytes = u->ended = u->redial = false;
    u->err = WEIR_OK;
    u->fresh = STR_NULL;
    deadline_init(&u->step, &w->loop, on_step, u);
    list_push_back(&w->upstreams, &u->all);
    count(w, 1);
    return u;
}

struct upstream *upstream_open(struct request *r, bool fresh)
{
    struct worker *w = r->w;
    const struct snap_provider *p = r->provider;
    const struct origin *o = &r->gen->origins[p - r->gen->sn->providers];
    struct pool *pool = &w->pools[p->id];
    struct upstream *u = fresh ? NULL : pool_take(pool, o->print, uv_now(&w->loop));
    if (u != NULL) {
        u->r = r;
        u->reused = true;
        u->state = UPSTREAM_BUSY;
        u->ended = u->got_bytes = false;
        http1_reset(&u->in);
        r->facts |= FACT_UP_CONNECTED;
        return u;
    }
    u = make(r);
    u->provider_id = p->id;
    u->port = p->port;
    u->print = o->print;
    u->trust = o->trust != NULL ? trust_ref(o->trust) : NULL;
    u->host = snap_text(r->gen->sn, p->host);
    u->allow_private = p->allow_private;
    u->is_name = o->family == 0;
    if (o->family != 0) {
        u->address[0].family = (uint8_t)o->family;
        memcpy(u->address[0].ip, o->ip, 16);
        u->address_n = 1;
    }
    return u;
}

struct upstream *upstream_open_to(struct request *r, const struct upstream_place *place)
{
    struct upstream *u = make(r);
    u->provider_id = ID_NONE;
    u->port = place->port;
    u->print = 0;
    u->trust = place->trust != NULL ? trust_ref(place->trust) : NULL;
    u->host = place->host;
    u->allow_private = true;
    u->is_name = false;
    u->address_n = place->address_n < SHM_ADDRESSES ? place->address_n : SHM_ADDRESSES;
    memcpy(u->address, place->address, u->address_n * sizeof u->address[0]);
    return u;
}

void upstream_dial(struct upstream *u)
{
    if (u->address_n > 0)
        dial_next(u);
    else
        resolve(u);
}

/* ---- a request on it ---- */

void upstream_send(struct upstream *u, const struct str *piece, unsigned n)
{
    if (u->tls == NULL) {
        outbox_write(&u->wire->out, piece, n);
        return;
    }
    for (unsigned i = 0; i < n; i++) tls_write(u->tls, piece[i]);
    flush_tls(u);
}

static enum upstream_event failed(struct upstream *u, enum weir_err err, const char *detail)
{
    if (u->err == WEIR_OK) {
        u->err = err;
        snprintf(u->detail, sizeof u->detail, "%s", detail != NULL ? detail : "");
    }
    return UPSTREAM_FAILED;
}

static enum upstream_event at_eof(struct upstream *u)
{
    const char *why = NULL;
    if (!u->got_bytes) return failed(u, WEIR_UP_RESET, "the connection closed before an answer");
    bool until_eof = http1_head(&u->in)->until_eof;
    switch (http1_eof(&u->in)) {
    case HTTP1_END:
        if (u->tls != NULL && !u->closed_cleanly && until_eof)
            return failed(u, WEIR_UP_TRUNCATED, "TLS ended without close_notify");
        u->ended = true;
        return UPSTREAM_END;
    case HTTP1_BAD: http1_error(&u->in, &why); return failed(u, WEIR_UP_TRUNCATED, why);
    default: return failed(u, WEIR_UP_TRUNCATED, "the connection closed in the middle of the answer");
    }
}

enum upstream_event upstream_next(struct upstream *u, struct str *ret_body)
{
    const char *why = NULL;
    if (u->err != WEIR_OK) return UPSTREAM_FAILED;
    if (u->ended) return UPSTREAM_END;
    bool from_fresh = u->fresh.n > 0;
    struct str in = from_fresh ? u->fresh : buf_view(&u->left);
    size_t all = in.n;
    u->got_bytes = u->got_bytes || all > 0;
    enum http1_event e = http1_feed(&u->in, &in, ret_body);
    if (from_fresh)
        u->fresh = in;
    else
        buf_consume(&u->left, all - in.n);
    switch (e) {
    case HTTP1_HEAD: return UPSTREAM_HEAD;
    case HTTP1_BODY: return UPSTREAM_BODY;
    case HTTP1_END: u->ended = true; return UPSTREAM_END;
    case HTTP1_MORE: return u->eof ? at_eof(u) : UPSTREAM_MORE;
    default: break;
    }
    http1_error(&u->in, &why);
    return failed(u, WEIR_UP_PROTOCOL, why);
}

void upstream_pause(struct upstream *u)
{
    if (!u->paused && u->wire != NULL) uv_read_stop((uv_stream_t *)&u->wire->tcp);
    u->paused = true;
}

void upstream_resume(struct upstream *u)
{
    if (u->paused && u->wire != NULL && !u->eof) uv_read_start((uv_stream_t *)&u->wire->tcp, on_alloc, on_read);
    u->paused = false;
}

/* ---- the end ---- */

static bool may_be_reused(const struct upstream *u)
{
    const struct http1_head *h = http1_head(&u->in);
    return u->err == WEIR_OK && !u->eof && h->keep_alive && !h->until_eof && outbox_pending(&u->wire->out) == 0 &&
           !u->wire->out.failed && u->w->mode == WORKER_RUNNING;
}

void upstream_release(struct upstream **up)
{
    struct upstream *u = *up;
    *up = NULL;
    if (u == NULL) return;
    u->r = NULL;
    if (u->wire == NULL || u->provider_id == ID_NONE || !may_be_reused(u)) {
        upstream_close(&u);
        return;
    }
    upstream_resume(u);
    if (!u->ended) {
        u->state = UPSTREAM_FINISH;
        u->finish_bytes = 0;
        deadline_in(&u->step, FINISH_MS);
        without_request(u); /* the rest may be here already */
        return;
    }
    if (u->fresh.n > 0 || buf_len(&u->left) > 0) {
        upstream_close(&u); /* bytes behind the answer */
        return;
    }
    deadline_clear(&u->step);
    u->state = UPSTREAM_IDLE;
    pool_put(&u->w->pools[u->provider_id], u, uv_now(&u->w->loop));
}

static void on_closed(uv_handle_t *h)
{
    struct deadline *d = h->data;
    struct upstream *u = d->owner;
    tls_free(&u->tls);
    trust_unref(&u->trust);
    buf_clear(&u->left);
    buf_shrink(&u->left, LEFT_KEEP_BYTES);
    slab_give(&u->w->upstream_slab, u);
}

void upstream_close(struct upstream **up)
{
    struct upstream *u = *up;
    *up = NULL;
    if (u == NULL || u->state == UPSTREAM_CLOSED) return;
    if (u->state == UPSTREAM_IDLE) pool_remove(&u->w->pools[u->provider_id], u);
    u->state = UPSTREAM_CLOSED;
    u->r = NULL;
    list_remove(&u->all);
    count(u->w, -1);
    for (unsigned i = 0; i < UPSTREAM_WIRES; i++) wire_close(&u->dialling[i]);
    if (u->tls != NULL && u->wire != NULL && !u->eof) {
        tls_close(u->tls);
        flush_tls(u);
    }
    wire_close(&u->wire);
    uv_close((uv_handle_t *)&u->step.timer, on_closed);
}

void upstream_free_bufs(void *o)
{
    struct upstream *u = o;
    http1_fini(&u->in);
    buf_fini(&u->left);
}
