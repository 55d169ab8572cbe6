#include "controlplane/prober.h"

#include "controlplane/dial.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

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
    struct prober *prober;
    uint16_t id;
    struct dial *dial;
    uint64_t started_ms;
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

static void forget_probe(struct prober *pr, uint16_t id)
{
    struct probe *p = pr->under_way[id];
    if (p == NULL) return;
    pr->under_way[id] = NULL;
    dial_close(&p->dial);
    free(p);
}

/* ---- one probe: connect, handshake, leave ---- */

static void on_end(void *context, enum weir_err err, const char *why)
{
    struct probe *p = context;
    struct prober *pr = p->prober;
    uint16_t id = p->id;
    uint32_t took_ms = (uint32_t)(clock_mono_ms() - p->started_ms);
    if (err != WEIR_OK) p->dial = NULL; /* it ended by itself */
    forget_probe(pr, id);
    pr->subjects[id].probing = false;
    judge(pr, id, err, why, took_ms);
}

static void on_open(void *context)
{
    on_end(context, WEIR_OK, "");
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

static void start_probe(struct prober *pr, uint16_t id)
{
    struct subject *s = &pr->subjects[id];
    struct tick_provider row;
    resolver_row(pr->resolver, id, &row);
    if (row.n == 0) {
        if (row.dns == TICK_DNS_NONE) return; /* the first look-up is still under way */
        judge(pr, id, row.dns == TICK_DNS_BLOCKED ? WEIR_UP_BLOCKED : WEIR_UP_DNS, resolver_error(pr->resolver, id), 0);
        return;
    }
    static const struct dial_events events = {.on_open = on_open, .on_end = on_end};
    const struct tick_address *a = &row.address[s->failures % row.n]; /* another address after each failure */
    struct dial_to to = {.family = a->family, .port = s->port, .host = str_of(s->host), .open_ms = PROBER_DEADLINE_MS};
    const char *why = "";
    memcpy(to.ip, a->ip, sizeof to.ip);
    if (s->tls && (to.trust = trust_of(pr, id, &why)) == NULL) {
        judge(pr, id, WEIR_UP_TLS, why, 0);
        return;
    }
    struct probe *p = xcalloc(1, sizeof *p);
    *p = (struct probe){.prober = pr, .id = id, .started_ms = clock_mono_ms()};
    s->probing = true;
    pr->under_way[id] = p;
    p->dial = dial_open(pr->loop, &to, &events, p);
}

/* ---- subjects ---- */

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
