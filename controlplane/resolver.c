#include "controlplane/resolver.h"

#include "proto/base/clock.h"
#include "proto/base/err.h"
#include "proto/base/mem.h"
#include "proto/wire/url.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct name {
    bool used, looking, again; /* again: configured anew while a look-up was under way */
    bool allow_private, literal, tried;
    char host[256];
    struct tick_provider row;
    uint64_t next_ms, looked_ms;
    char error[96];
};

struct resolver {
    uv_loop_t *loop;
    void (*on_change)(void *context);
    void *context;
    unsigned lookups;
    bool gone; /* freed by its owner; dies with the last look-up */
    struct name names[SHM_PROVIDERS];
};

struct lookup {
    uv_getaddrinfo_t req;
    struct resolver *resolver;
    uint16_t id;
    char host[256];
};

static void look_up(struct resolver *r, uint16_t id);

static bool address_of(const struct sockaddr *sa, struct tick_address *ret_a)
{
    *ret_a = (struct tick_address){0};
    if (sa->sa_family == AF_INET) {
        ret_a->family = 4;
        memcpy(ret_a->ip, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
        return true;
    }
    if (sa->sa_family != AF_INET6) return false;
    ret_a->family = 6;
    memcpy(ret_a->ip, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    return true;
}

/* Alternates the families, so that the second try of a dialler is of the other one. */
static void take_addresses(struct name *n, const struct addrinfo *list, bool *ret_blocked)
{
    struct tick_address found[2][SHM_ADDRESSES];
    unsigned count[2] = {0, 0};
    *ret_blocked = false;
    for (const struct addrinfo *i = list; i != NULL; i = i->ai_next) {
        struct tick_address a;
        if (!address_of(i->ai_addr, &a)) continue;
        if (!n->allow_private && url_address_is_private(a.family, a.ip)) {
            *ret_blocked = true;
            continue;
        }
        unsigned f = a.family == 6;
        if (count[f] < SHM_ADDRESSES) found[f][count[f]++] = a;
    }
    n->row.n = 0;
    for (unsigned i = 0; i < SHM_ADDRESSES && n->row.n < SHM_ADDRESSES; i++)
        for (unsigned f = 0; f < 2 && n->row.n < SHM_ADDRESSES; f++)
            if (i < count[f]) n->row.address[n->row.n++] = found[f][i];
}

static void look_up_failed(struct name *n, const char *why, uint64_t now_ms)
{
    snprintf(n->error, sizeof n->error, "%s", why);
    n->next_ms = now_ms + RESOLVER_RETRY_MS;
    bool keep = n->row.n > 0 && now_ms - n->row.resolved_mono_ms < RESOLVER_STALE_MS;
    if (!keep) n->row.n = 0;
    n->row.dns = keep ? TICK_DNS_STALE : TICK_DNS_FAILED;
}

static void look_up_worked(struct name *n, const struct addrinfo *list, uint64_t now_ms)
{
    bool blocked;
    take_addresses(n, list, &blocked);
    n->row.resolved_mono_ms = now_ms;
    n->next_ms = now_ms + RESOLVER_REFRESH_MS;
    n->error[0] = '\0';
    n->row.dns = TICK_DNS_OK;
    if (n->row.n > 0) return;
    n->row.dns = blocked ? TICK_DNS_BLOCKED : TICK_DNS_FAILED;
    snprintf(n->error, sizeof n->error, "%s",
             blocked ? "the name leads to a private address; set allow_private: true if that is meant" : "no address");
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct lookup *l = req->data;
    struct resolver *r = l->resolver;
    struct name *n = &r->names[l->id];
    uint16_t id = l->id;
    r->lookups--;
    bool current = !r->gone && n->used && strcmp(n->host, l->host) == 0;
    n->looking = false;
    if (current) {
        struct tick_provider before = n->row;
        n->tried = true;
        n->looked_ms = clock_mono_ms();
        if (status == 0)
            look_up_worked(n, list, n->looked_ms);
        else
            look_up_failed(n, uv_strerror(status), n->looked_ms);
        before.resolved_mono_ms = n->row.resolved_mono_ms;
        if (memcmp(&before, &n->row, sizeof before) != 0) r->on_change(r->context);
    } else if (!r->gone && n->used) {
        look_up(r, id);
    }
    uv_freeaddrinfo(list);
    free(l);
    if (r->gone && r->lookups == 0) free(r);
}

static void look_up(struct resolver *r, uint16_t id)
{
    static const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct name *n = &r->names[id];
    if (n->looking || n->literal) return;
    struct lookup *l = xcalloc(1, sizeof *l);
    l->resolver = r;
    l->id = id;
    memcpy(l->host, n->host, sizeof l->host);
    l->req.data = l;
    int rc = uv_getaddrinfo(r->loop, &l->req, on_resolved, l->host, NULL, &hints);
    if (rc != 0) {
        look_up_failed(n, uv_strerror(rc), clock_mono_ms());
        free(l);
        return;
    }
    n->looking = true;
    r->lookups++;
}

struct resolver *resolver_new(uv_loop_t *loop, void (*on_change)(void *context), void *context)
{
    struct resolver *r = xcalloc(1, sizeof *r);
    r->loop = loop;
    r->on_change = on_change;
    r->context = context;
    return r;
}

static void take_literal(struct name *n, int family, const uint8_t ip[16])
{
    n->literal = n->tried = true;
    n->row = (struct tick_provider){.n = 1, .dns = TICK_DNS_OK, .resolved_mono_ms = clock_mono_ms()};
    n->row.address[0].family = (uint8_t)family;
    memcpy(n->row.address[0].ip, ip, 16);
    if (n->allow_private || !url_address_is_private(family, ip)) return;
    n->row.n = 0;
    n->row.dns = TICK_DNS_BLOCKED;
    snprintf(n->error, sizeof n->error, "a private address; set allow_private: true if that is meant");
}

static void configure_name(struct resolver *r, const struct snap *sn, const struct snap_provider *p)
{
    struct name *n = &r->names[p->id];
    struct str host = snap_text(sn, p->host);
    bool same = n->used && str_is(host, n->host) && n->allow_private == (p->allow_private != 0);
    n->used = true;
    if (same || host.n >= sizeof n->host) return;
    bool looking = n->looking;
    *n = (struct name){.used = true, .looking = looking, .allow_private = p->allow_private != 0};
    memcpy(n->host, host.p, host.n);
    int family;
    uint8_t ip[16] = {0};
    if (url_parse_ip(host, &family, ip))
        take_literal(n, family, ip);
    else
        look_up(r, p->id);
}

void resolver_configure(struct resolver *r, const struct snap *sn)
{
    bool named[SHM_PROVIDERS] = {false};
    for (uint32_t i = 0; i < sn->s->providers.n; i++) {
        named[sn->providers[i].id] = true;
        configure_name(r, sn, &sn->providers[i]);
    }
    for (unsigned id = 0; id < SHM_PROVIDERS; id++)
        if (!named[id]) r->names[id].used = false;
}

/* The newest connect failure of any target of this provider, in wall milliseconds. */
static uint64_t last_connect_failure(const struct live *live, const struct snap *sn, uint16_t provider_id)
{
    uint64_t newest = 0;
    for (uint32_t i = 0; i < sn->s->targets.n; i++) {
        const struct snap_target *t = &sn->targets[i];
        if (sn->providers[t->provider].id != provider_id) continue;
        const struct live_target *lt = &live->target[t->id];
        uint32_t e = atomic_load_explicit(&lt->last_error, memory_order_relaxed);
        uint64_t at = atomic_load_explicit(&lt->last_error_wall_ms, memory_order_relaxed);
        bool about_address = e == WEIR_UP_CONNECT || e == WEIR_UP_TIMEOUT_CONNECT || e == WEIR_UP_DNS;
        if (about_address && at > newest) newest = at;
    }
    return newest;
}

void resolver_tick(struct resolver *r, const struct live *live, const struct snap *sn, uint64_t now_ms,
                   uint64_t now_wall_ms)
{
    for (unsigned id = 0; id < SHM_PROVIDERS; id++) {
        struct name *n = &r->names[id];
        if (!n->used || n->looking || n->literal) continue;
        uint64_t failed = last_connect_failure(live, sn, (uint16_t)id);
        uint64_t since_ms = now_ms - n->looked_ms;
        bool failed_since = failed > 0 && now_wall_ms >= failed && now_wall_ms - failed < since_ms && since_ms >= 1000;
        if (now_ms >= n->next_ms || failed_since) look_up(r, (uint16_t)id);
    }
}

void resolver_row(const struct resolver *r, uint16_t provider_id, struct tick_provider *ret_row)
{
    *ret_row = r->names[provider_id].row;
}

const char *resolver_error(const struct resolver *r, uint16_t provider_id)
{
    return r->names[provider_id].error;
}

bool resolver_is_settled(const struct resolver *r)
{
    for (unsigned id = 0; id < SHM_PROVIDERS; id++)
        if (r->names[id].used && !r->names[id].tried) return false;
    return true;
}

void resolver_free(struct resolver **rp)
{
    struct resolver *r = *rp;
    if (r == NULL) return;
    *rp = NULL;
    r->gone = true;
    if (r->lookups == 0) free(r);
}
