#include "controlplane/prober.h"

#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "proto/wire/tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct subject {
    bool used, probing;
    bool tls;
    uint16_t port;
    char host[256];
    uint32_t ca_hash; /* of the PEM text: a changed bundle is another subject */
    uint64_t next_ms;
    unsigned failures; /* in a row */
    struct probe_verdict verdict;
};

struct probe {
    struct prober *prober; /* NULL: nobody waits for the verdict */
    uint16_t id;
    uv_tcp_t tcp;
    uv_timer_t deadline;
    uv_connect_t connect;
    uv_write_t write;
    struct tls *tls;
    struct buf plain, sending;
    unsigned open_handles;
    bool closing;
    uint64_t started_ms;
    char read_buffer[16384];
};

/* A parsed bundle takes 4 ms and 0.4 MB: made at the first TLS probe that needs it, shared by all that have the same text. */
struct bundle {
    uint32_t ca_hash;
    struct tls_trust *trust;
};

struct prober {
    uv_loop_t *loop;
    struct snap *sn;
    struct bundle bundles[SHM_PROVIDERS];
    unsigned bundles_n;
    const struct resolver *resolver;
    void (*on_verdict)(void *context, uint16_t provider_id, const struct probe_verdict *v);
    void *context;
    struct probe *under_way[SHM_PROVIDERS];
    struct subject subjects[SHM_PROVIDERS];
};

/* ---- verdicts ---- */

static void judge(struct prober *pr, uint16_t id, enum weir_err err, const char *why, uint32_t took_ms)
{
    struct subject *s = &pr->subjects[id];
    if (!s->used) return;
    s->verdict.err = err;
    s->verdict.checked_wall_ms = clock_wall_ns() / 1000000u;
    snprintf(s->verdict.why, sizeof s->verdict.why, "%s", why);
    if (err == WEIR_OK) {
        s->failures = 0;
        s->verdict.health = TICK_UP;
        s->verdict.connect_ms = took_ms;
    } else if (++s->failures >= PROBER_DOWN_AFTER) {
        s->verdict.health = TICK_DOWN;
    } else {
        s->next_ms = clock_mono_ms() + 1000; /* look again soon: a suspicion should not last a period */
    }
    pr->on_verdict(pr->context, id, &s->verdict);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct probe *p = handle->data;
    if (--p->open_handles > 0) return;
    tls_free(&p->tls);
    buf_fini(&p->plain);
    buf_fini(&p->sending);
    free(p);
}

static void probe_end(struct probe *p, enum weir_err err, const char *why)
{
    if (p->closing) return;
    p->closing = true;
    struct prober *pr = p->prober;
    p->prober = NULL;
    uv_close((uv_handle_t *)&p->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&p->deadline, on_handle_closed);
    if (pr == NULL) return;
    pr->under_way[p->id] = NULL;
    pr->subjects[p->id].probing = false;
    judge(pr, p->id, err, why, (uint32_t)(clock_mono_ms() - p->started_ms));
}

/* ---- one probe: connect, handshake, leave ---- */

static void on_deadline(uv_timer_t *timer)
{
    probe_end(timer->data, WEIR_UP_TIMEOUT_CONNECT, "no connection within 5 s");
}

static void on_written(uv_write_t *req, int status)
{
    if (status < 0 && status != UV_ECANCELED) probe_end(req->data, WEIR_UP_CONNECT, uv_strerror(status));
}

/* The handshake is a strict exchange of flights: a new flight is written only after the peer answered the last one. */
static void flush_tls(struct probe *p)
{
    struct buf *out = tls_out(p->tls);
    if (buf_len(out) == 0 || p->closing) return;
    buf_clear(&p->sending);
    buf_add(&p->sending, buf_view(out));
    buf_consume(out, buf_len(out));
    uv_buf_t bytes = uv_buf_init(p->sending.p, (unsigned)buf_len(&p->sending));
    p->write.data = p;
    if (uv_write(&p->write, (uv_stream_t *)&p->tcp, &bytes, 1, on_written) != 0)
        probe_end(p, WEIR_UP_CONNECT, "write failed");
}

static void after_tls(struct probe *p, enum tls_state state)
{
    flush_tls(p);
    if (p->closing) return;
    if (state == TLS_READY) probe_end(p, WEIR_OK, "");
    if (state == TLS_BAD) probe_end(p, WEIR_UP_TLS, tls_reason(p->tls));
    if (state == TLS_CLOSED) probe_end(p, WEIR_UP_TLS, "closed during the handshake");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct probe *p = handle->data;
    *buf = uv_buf_init(p->read_buffer, sizeof p->read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct probe *p = stream->data;
    if (n < 0)
        probe_end(p, WEIR_UP_TLS, "closed during the handshake");
    else
        after_tls(p, tls_feed(p->tls, (struct str){buf->base, (size_t)n}, &p->plain));
}

static struct tls_trust *trust_of(struct prober *pr, uint16_t id, const char **ret_why)
{
    uint32_t hash = pr->subjects[id].ca_hash;
    for (unsigned i = 0; i < pr->bundles_n; i++)
        if (pr->bundles[i].ca_hash == hash) return pr->bundles[i].trust;
    for (uint32_t i = 0; i < pr->sn->s->providers.n; i++) {
        const struct snap_provider *p = &pr->sn->providers[i];
        if (p->id != id || pr->bundles_n == SHM_PROVIDERS) continue;
        struct tls_trust *trust = tls_trust_new(snap_text(pr->sn, p->ca_pem), ret_why);
        if (trust != NULL) pr->bundles[pr->bundles_n++] = (struct bundle){hash, trust};
        return trust;
    }
    *ret_why = "no CA bundle";
    return NULL;
}

static void on_connected(uv_connect_t *req, int status)
{
    struct probe *p = req->data;
    if (p->closing) return;
    if (status < 0) {
        probe_end(p, WEIR_UP_CONNECT, uv_strerror(status));
        return;
    }
    struct subject *s = &p->prober->subjects[p->id];
    if (!s->tls) {
        probe_end(p, WEIR_OK, "");
        return;
    }
    const char *why = "";
    struct tls_trust *trust = trust_of(p->prober, p->id, &why);
    if (trust == NULL) {
        probe_end(p, WEIR_UP_TLS, why);
        return;
    }
    p->tls = tls_new(trust, str_of(s->host), STR_NULL);
    uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read);
    after_tls(p, tls_start(p->tls));
}

static socklen_t socket_address(const struct tick_address *a, uint16_t port, struct sockaddr_storage *ret_at)
{
    memset(ret_at, 0, sizeof *ret_at);
    if (a->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret_at;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, a->ip, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_at;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    memcpy(&in6->sin6_addr, a->ip, 16);
    return sizeof *in6;
}

static void start_probe(struct prober *pr, uint16_t id)
{
    struct subject *s = &pr->subjects[id];
    struct tick_provider row;
    struct sockaddr_storage at;
    resolver_row(pr->resolver, id, &row);
    if (row.n == 0) {
        if (row.dns == TICK_DNS_NONE) return; /* the first look-up is still under way */
        judge(pr, id, row.dns == TICK_DNS_BLOCKED ? WEIR_UP_BLOCKED : WEIR_UP_DNS, resolver_error(pr->resolver, id), 0);
        return;
    }
    struct probe *p = xcalloc(1, sizeof *p);
    p->prober = pr;
    p->id = id;
    p->started_ms = clock_mono_ms();
    p->tcp.data = p->deadline.data = p->connect.data = p;
    uv_tcp_init(pr->loop, &p->tcp);
    uv_timer_init(pr->loop, &p->deadline);
    p->open_handles = 2;
    s->probing = true;
    pr->under_way[id] = p;
    uv_timer_start(&p->deadline, on_deadline, PROBER_DEADLINE_MS, 0);
    (void)socket_address(&row.address[s->failures % row.n], s->port, &at); /* another address after each failure */
    int rc = uv_tcp_connect(&p->connect, &p->tcp, (const struct sockaddr *)&at, on_connected);
    if (rc != 0) probe_end(p, WEIR_UP_CONNECT, uv_strerror(rc));
}

/* ---- subjects ---- */

static void forget_probe(struct prober *pr, uint16_t id)
{
    struct probe *p = pr->under_way[id];
    if (p == NULL) return;
    pr->under_way[id] = NULL;
    p->prober = NULL;
    probe_end(p, WEIR_OK, "");
}

static void forget_bundles(struct prober *pr)
{
    for (unsigned i = 0; i < pr->bundles_n; i++) tls_trust_free(&pr->bundles[i].trust);
    pr->bundles_n = 0;
}

static void configure_subject(struct prober *pr, const struct snap *sn, const struct snap_provider *p, uint64_t now_ms)
{
    struct subject *s = &pr->subjects[p->id];
    struct str host = snap_text(sn, p->host), pem = snap_text(sn, p->ca_pem);
    uint32_t hash = crc32c(0, pem.p, pem.n);
    bool same = s->used && str_is(host, s->host) && s->port == p->port && s->tls == (p->tls != 0) && s->ca_hash == hash;
    if (same || host.n >= sizeof s->host) return;
    forget_probe(pr, p->id); /* of what this provider was before */
    /* the first probe comes soon after the start, but not within it */
    *s = (struct subject){.used = true, .tls = p->tls != 0, .port = p->port, .ca_hash = hash, .next_ms = now_ms + 200};
    memcpy(s->host, host.p, host.n);
}

void prober_configure(struct prober *pr, struct snap *sn)
{
    bool named[SHM_PROVIDERS] = {false};
    uint64_t now_ms = clock_mono_ms();
    for (unsigned id = 0; id < SHM_PROVIDERS; id++) {
        if (pr->under_way[id] != NULL) pr->subjects[id].next_ms = now_ms; /* starts over: its bundle goes now */
        pr->subjects[id].probing = false;
        forget_probe(pr, (uint16_t)id);
    }
    forget_bundles(pr);
    snap_unref(&pr->sn);
    pr->sn = snap_ref(sn);
    for (uint32_t i = 0; i < sn->s->providers.n; i++) {
        named[sn->providers[i].id] = true;
        configure_subject(pr, sn, &sn->providers[i], now_ms);
    }
    for (unsigned id = 0; id < SHM_PROVIDERS; id++)
        if (!named[id]) pr->subjects[id] = (struct subject){0};
}

void prober_tick(struct prober *pr, uint64_t now_ms)
{
    for (unsigned id = 0; id < SHM_PROVIDERS; id++) {
        struct subject *s = &pr->subjects[id];
        if (!s->used || s->probing || now_ms < s->next_ms) continue;
        s->next_ms = now_ms + PROBER_PERIOD_MS + id * 37u % 1000u; /* spread, so that not all are probed at once */
        start_probe(pr, (uint16_t)id);
    }
}

void prober_now(struct prober *pr, uint16_t provider_id)
{
    struct subject *s = &pr->subjects[provider_id];
    if (s->used && !s->probing) start_probe(pr, provider_id);
}

const struct probe_verdict *prober_verdict(const struct prober *pr, uint16_t provider_id)
{
    return &pr->subjects[provider_id].verdict;
}

struct prober *prober_new(uv_loop_t *loop, const struct resolver *resolver,
                          void (*on_verdict)(void *context, uint16_t provider_id, const struct probe_verdict *v),
                          void *context)
{
    struct prober *pr = xcalloc(1, sizeof *pr);
    pr->loop = loop;
    pr->resolver = resolver;
    pr->on_verdict = on_verdict;
    pr->context = context;
    return pr;
}

void prober_free(struct prober **pp)
{
    struct prober *pr = *pp;
    if (pr == NULL) return;
    *pp = NULL;
    for (unsigned id = 0; id < SHM_PROVIDERS; id++) forget_probe(pr, (uint16_t)id);
    forget_bundles(pr);
    snap_unref(&pr->sn);
    free(pr);
}
