#include "dataplane/admit.h"

#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/meter.h"
#include "dataplane/request.h"
#include "proto/base/clock.h"
#include "proto/dialect/provider_type.h"
#include "proto/dialect/video.h"
#include "proto/wire/url.h"

#include <mbedtls/sha256.h>
#include <string.h>

enum { JOURNAL_FULL_PERMILLE = 900, NEAR_DISTANCE = 4, NEAR_MODELS = 3 };

/* ---- Host and Origin ---- */

bool admit_is_host_ours(const struct snap *sn, struct str host)
{
    static const struct str usual[] = {{"127.0.0.1", 9}, {"localhost", 9}};
    struct str name;
    uint16_t port;
    int family;
    uint8_t ip[16];
    const char *why;
    for (size_t i = 0; i < 2; i++)
        if (str_starts(host, usual[i]) && (host.n == usual[i].n || host.p[usual[i].n] == ':')) return true;
    if (!url_parse_authority(host, &name, &port, &why)) return false;
    if (str_iis(name, "localhost") || str_ends(name, STR(".localhost")) || url_parse_ip(name, &family, ip)) return true;
    for (uint32_t i = 0; i < sn->s->server.hosts.n; i++)
        if (str_ieq(snap_string(sn, sn->s->server.hosts, i), name)) return true;
    return false;
}

static bool is_origin_allowed(const struct snap *sn, struct str origin)
{
    for (uint32_t i = 0; i < sn->s->server.origins.n; i++)
        if (str_glob(snap_string(sn, sn->s->server.origins, i), origin)) return true;
    return false;
}

static enum weir_err check_caller(struct request *r, const struct http1_head *h, struct str *ret_why)
{
    const struct snap *sn = r->gen->sn;
    struct str host = http1_get(h, "host"), origin = http1_get(h, "origin");
    if (!r->c->is_unix && host.n > 0 && !admit_is_host_ours(sn, host)) {
        *ret_why = STR("the Host header names another server (server.hosts adds names)");
        return WEIR_MISDIRECTED;
    }
    if (origin.p != NULL && !is_origin_allowed(sn, origin)) {
        *ret_why = STR("calls from web pages are not allowed here (server.origins adds pages)");
        return WEIR_ORIGIN_FORBIDDEN;
    }
    r->origin = origin;
    return WEIR_OK;
}

/* ---- the client's key ---- */

static struct str bearer(struct str authorization)
{
    if (authorization.n > 7 && str_iis(str_slice(authorization, 0, 7), "bearer "))
        return str_trim(str_slice(authorization, 7, authorization.n));
    return STR_NULL;
}

/* "AWS4-HMAC-SHA256 Credential=KEY/20261127/us-east-1/…": the signature is not ours to check, the access key's id is the key here. */
static struct str access_key(struct str authorization)
{
    const struct str scheme = STR("AWS4-HMAC-SHA256 "), member = STR("Credential=");
    if (!str_starts(authorization, scheme)) return STR_NULL;
    ptrdiff_t at = str_find(authorization, member);
    if (at < 0) return STR_NULL;
    struct str scope = str_slice(authorization, (size_t)at + member.n, authorization.n);
    return str_split(&scope, '/');
}

static struct str query_key(struct str query)
{
    while (query.n > 0) {
        struct str pair = str_split(&query, '&');
        if (str_starts(pair, STR("key="))) return str_slice(pair, 4, pair.n);
    }
    return STR_NULL;
}

static const struct snap_key *find_key(struct request *r, struct str text)
{
    uint8_t hash[32];
    if (text.n == 0 || mbedtls_sha256((const unsigned char *)text.p, text.n, hash, 0) != 0) return NULL;
    const struct snap_key *k = snap_find_key(r->gen->sn, hash);
    if (k != NULL && k->expires_wall_ms > 0 && k->expires_wall_ms <= r->started_wall_ns / 1000000) return NULL;
    return k;
}

/* Clients send their key in any of these places, some (Claude Code) in two at once: the first one that is known counts. */
static enum weir_err check_key(struct request *r, const struct http1_head *h, struct str *ret_why)
{
    const struct snap *sn = r->gen->sn;
    if (sn->s->keys.n == 0 && !sn->s->server.auth_keys) return WEIR_OK;
    struct str place[] = {bearer(http1_get(h, "authorization")),
                          access_key(http1_get(h, "authorization")),
                          http1_get(h, "x-api-key"),
                          http1_get(h, "x-goog-api-key"),
                          http1_get(h, "api-key"),
                          query_key(h->query)};
    bool any = false;
    for (size_t i = 0; i < sizeof place / sizeof place[0] && r->key == NULL; i++) {
        any = any || place[i].n > 0;
        r->key = find_key(r, place[i]);
    }
    if (r->key != NULL) atomic_fetch_add_explicit(&r->w->live->key[r->key->id].requests, 1, memory_order_relaxed);
    if (r->key != NULL || !sn->s->server.auth_keys) return WEIR_OK;
    *ret_why = any ? STR("the client key is not known here") : STR("no client key was sent");
    return WEIR_KEY_INVALID;
}

/* ---- what is asked for ---- */

/* For errors before the endpoint is known: Anthropic's clients always send a version. */
const struct dialect *admit_guess_dialect(const struct http1_head *h)
{
    bool anthropic = http1_get(h, "anthropic-version").p != NULL || str_contains(h->path, STR("messages"));
    bool google = http1_get(h, "x-goog-api-key").p != NULL || http1_get(h, "x-goog-api-client").p != NULL;
    bool amazon = http1_get(h, "x-amz-date").p != NULL || str_starts(h->path, STR("/model/"));
    bool ollama = str_starts(h->path, STR("/api/"));
    return dialect_of(anthropic ? DIALECT_ANTHROPIC
                      : google  ? DIALECT_GEMINI
                      : amazon  ? DIALECT_CONVERSE
                      : ollama  ? DIALECT_OLLAMA
                                : DIALECT_OPENAI_CHAT);
}

static enum weir_err find_endpoint(struct request *r, const struct http1_head *h, struct str *ret_why)
{
    bool known_path = false;
    r->endpoint = endpoint_find(h->method, h->path, &known_path);
    if (r->endpoint != NULL) {
        bool said = r->endpoint->kind == ENDPOINT_CHAT || r->endpoint->kind == ENDPOINT_PASSED;
        r->dialect = said ? dialect_of(r->endpoint->dialect) : admit_guess_dialect(h);
        return WEIR_OK;
    }
    struct str path = str_slice(h->path, 0, 100);
    if (known_path) {
        *ret_why = arena_printf(&r->keep.arena, "%.*s does not take %.*s", STR_FMT(path), STR_FMT(h->method));
        return WEIR_METHOD;
    }
    const char *near = endpoint_suggest(h->path);
    *ret_why = near != NULL
                   ? arena_printf(&r->keep.arena, "no such endpoint \"%.*s\". Did you mean %s?", STR_FMT(path), near)
                   : arena_printf(&r->keep.arena,
                                  "no such endpoint \"%.*s\". Spoken here: POST /v1/chat/completions, "
                                  "POST /v1/responses, POST /v1/messages, "
                                  "POST /v1beta/models/{model}:generateContent, POST /model/{model}/converse, "
                                  "GET /v1/models",
                                  STR_FMT(path));
    return WEIR_NO_ENDPOINT;
}

enum weir_err admit_head(struct request *r, struct str *ret_why)
{
    const struct http1_head *h = http1_head(&r->keep.in);
    struct str agent = http1_get(h, "user-agent");
    r->client_name = str_slice(str_split(&agent, ' '), 0, sizeof r->rec.client - 1);
    enum weir_err e = check_caller(r, h, ret_why);
    if (e != WEIR_OK) return e;
    if (h->upgrade && str_iis(http1_get(h, "upgrade"), "websocket")) return WEIR_UPGRADE;
    if (str_is(h->method, "OPTIONS") && r->origin.n > 0)
        return WEIR_OK; /* a browser asks before it calls: answered by reply.c */
    e = find_endpoint(r, h, ret_why);
    if (e != WEIR_OK || r->endpoint->kind == ENDPOINT_HELLO) return e;
    return check_key(r, h, ret_why);
}

/* ---- the call ---- */

static bool may_use(const struct snap *sn, const struct snap_key *key, const struct snap_route *route)
{
    if (key == NULL || key->routes.n == 0) return true;
    for (uint32_t i = 0; i < key->routes.n; i++)
        if (snap_key_route(sn, key, i) == (uint16_t)(route - sn->routes)) return true;
    return false;
}

/* "no such model "gpt-4p". Near: gpt-4o, …" */
static struct str unknown_model(struct request *r)
{
    const struct snap *sn = r->gen->sn;
    struct str near[NEAR_MODELS];
    unsigned n = 0, best = NEAR_DISTANCE;
    for (unsigned want = 1; want <= best && n < NEAR_MODELS; want++)
        for (uint32_t i = 0; i < sn->s->routes.n && n < NEAR_MODELS; i++) {
            const struct snap_route *route = &sn->routes[i];
            struct str name = snap_text(sn, route->name);
            if (route->match.n == 0 && may_use(sn, r->key, route) && str_distance(name, r->call.model, best) == want)
                near[n++] = name;
        }
    struct buf *text = &r->keep.out;
    buf_clear(text);
    buf_addz(text, "no such model \"");
    buf_add(text, str_slice(r->call.model, 0, 100));
    buf_addc(text, '"');
    for (unsigned i = 0; i < n; i++) {
        buf_addz(text, i == 0 ? ". Near: " : ", ");
        buf_add(text, near[i]);
    }
    return arena_copy(&r->keep.arena, buf_view(text));
}

bool admit_parse_timeout(struct str text, uint64_t *ret_ms)
{
    uint64_t v, unit = 1000;
    if (str_ends(text, STR("ms"))) {
        text.n -= 2;
        unit = 1;
    } else if (str_ends(text, STR("s"))) {
        text.n -= 1;
    } else if (str_ends(text, STR("m"))) {
        text.n -= 1;
        unit = 60000;
    }
    if (!str_u64(text, &v) || v == 0 || v > 86400000 / unit) return false;
    *ret_ms = v * unit;
    return true;
}

static enum weir_err set_total(struct request *r, struct str *ret_why)
{
    uint64_t total = r->route->total_ms, asked;
    struct str text = http1_get(http1_head(&r->keep.in), "x-weir-timeout");
    if (text.p != NULL) {
        if (!admit_parse_timeout(text, &asked)) {
            *ret_why = STR("x-weir-timeout is not a time such as 1500ms, 30s or 2m");
            return WEIR_BAD_REQUEST;
        }
        total = asked < total ? asked : total;
    }
    r->total_at_ms = r->started_ns / 1000000 + total;
    return WEIR_OK;
}

/* prices.when_unknown: refuse */
static void drop_unpriced(struct request *r)
{
    const struct snap *sn = r->gen->sn;
    unsigned kept = 0;
    for (unsigned i = 0; i < r->plan.n; i++) {
        const struct snap_target *t = &sn->targets[r->plan.c[i].target];
        if (meter_price(sn, t, route_model(r, t)) != NULL) r->plan.c[kept++] = r->plan.c[i];
    }
    r->plan.n = (uint8_t)kept;
}

/* ---- calls that name no model: files, batches, /p/ ---- */

static bool is_wanted(const struct request *r, const struct snap_provider *p)
{
    if (r->endpoint->kind == ENDPOINT_RAW || r->raw_provider.n > 0) /* the path says whose, or the id in it */
        return str_eq(snap_text(r->gen->sn, p->name), r->raw_provider);
    if (provider_type_of(p->type)->tasks && r->call.video == NULL) return false; /* chats and videos, nothing else */
    if (r->call.video != NULL && r->call.video->op == VIDEO_LIST && !provider_type_of(p->type)->tasks) return false;
    return route_has_endpoint(p, r->endpoint->dialect);
}

/* The leg over which the route reaches a provider that has what is wanted. One that takes any model first, for a key that is bound to
 * routes must not reach other models than theirs by a path that weir does not read. */
static bool find_leg(const struct request *r, const struct snap_route *route, uint32_t *ret_leg)
{
    const struct snap *sn = r->gen->sn;
    bool bound = r->endpoint->kind == ENDPOINT_RAW && r->key != NULL && r->key->routes.n > 0, found = false;
    for (uint32_t i = 0; i < route->legs.n + route->fallbacks.n; i++) {
        uint32_t leg = i < route->legs.n ? route->legs.first + i : route->fallbacks.first + i - route->legs.n;
        const struct snap_target *t = &sn->targets[sn->legs[leg].target];
        if (!is_wanted(r, &sn->providers[t->provider]) || (bound && t->model.n > 0)) continue;
        if (!found || t->model.n == 0) *ret_leg = leg;
        found = true;
        if (t->model.n == 0) return true;
    }
    return found;
}

/* "openai, groq" of those that the key may reach. */
static struct str provider_names(struct request *r, bool wanted)
{
    const struct snap *sn = r->gen->sn;
    struct buf *text = &r->keep.out;
    buf_clear(text);
    for (uint32_t i = 0; i < sn->s->providers.n; i++) {
        if (wanted && !is_wanted(r, &sn->providers[i])) continue;
        if (buf_len(text) > 0) buf_addz(text, ", ");
        buf_add(text, snap_text(sn, sn->providers[i].name));
    }
    if (buf_len(text) == 0) buf_addz(text, "none");
    return arena_copy(&r->keep.arena, buf_view(text));
}

static bool is_provider(const struct snap *sn, struct str name)
{
    for (uint32_t i = 0; i < sn->s->providers.n; i++)
        if (str_eq(snap_text(sn, sn->providers[i].name), name)) return true;
    return false;
}

/* All routes that the key may use lead to one provider that has the endpoint, or nobody can know which one is meant. */
static enum weir_err find_provider(struct request *r, struct str *ret_why)
{
    const struct snap *sn = r->gen->sn;
    uint16_t provider = ID_NONE;
    uint32_t best = 0;
    for (uint32_t i = 0; i < sn->s->routes.n; i++) {
        uint32_t leg;
        if (!may_use(sn, r->key, &sn->routes[i]) || !find_leg(r, &sn->routes[i], &leg)) continue;
        const struct snap_target *t = &sn->targets[sn->legs[leg].target];
        if (provider != ID_NONE && provider != t->provider) {
            *ret_why = arena_printf(&r->keep.arena,
                                    "several providers have %s: %.*s. Name a route of one of them in x-weir-route",
                                    r->endpoint->name, STR_FMT(provider_names(r, true)));
            return WEIR_BAD_REQUEST;
        }
        if (provider != ID_NONE && (t->model.n > 0 || sn->targets[sn->legs[best].target].model.n == 0)) continue;
        provider = t->provider;
        best = leg;
        r->route = &sn->routes[i];
    }
    if (provider != ID_NONE) {
        route_pin(r, best);
        return WEIR_OK;
    }
    if (r->endpoint->kind == ENDPOINT_RAW) {
        struct str name = str_slice(r->raw_provider, 0, 100);
        if (is_provider(sn, r->raw_provider))
            *ret_why = arena_printf(&r->keep.arena,
                                    "no route that this call may use leads to the provider \"%.*s\": a route with "
                                    "match: \"%.*s/*\" does",
                                    STR_FMT(name), STR_FMT(name));
        else
            *ret_why = arena_printf(&r->keep.arena, "no provider \"%.*s\". There are: %.*s", STR_FMT(name),
                                    STR_FMT(provider_names(r, false)));
        return r->key != NULL && r->key->routes.n > 0 ? WEIR_KEY_FORBIDDEN : WEIR_NO_ENDPOINT;
    }
    *ret_why = arena_printf(&r->keep.arena, "no provider of a route has %s", r->endpoint->name);
    if (r->raw_provider.n > 0) {
        *ret_why = STR("no video of this id: its provider is not within the reach of this call");
        return WEIR_UP_NOT_FOUND;
    }
    return WEIR_NOT_IMPLEMENTED;
}

static enum weir_err choose_provider(struct request *r, struct str asked, struct str *ret_why)
{
    const struct snap *sn = r->gen->sn;
    uint32_t leg;
    if (asked.n == 0 || r->endpoint->kind == ENDPOINT_RAW) return find_provider(r, ret_why);
    r->route = snap_find_route(sn, asked, &r->named_target);
    if (r->route == NULL || !may_use(sn, r->key, r->route)) return WEIR_OK; /* told as for any other call */
    if (!find_leg(r, r->route, &leg)) {
        *ret_why = arena_printf(&r->keep.arena, "no provider of the route \"%.*s\" has %s. These have it: %.*s",
                                STR_FMT(str_slice(asked, 0, 100)), r->endpoint->name, STR_FMT(provider_names(r, true)));
        return WEIR_BAD_REQUEST;
    }
    route_pin(r, leg);
    return WEIR_OK;
}

static bool needs_price(const struct request *r)
{
    if (!request_is_passed(r)) return true;
    return r->endpoint->meter != ENDPOINT_FREE && !(r->endpoint->kind == ENDPOINT_RAW && r->call.model.n == 0);
}

enum weir_err admit_call(struct request *r, struct str *ret_why)
{
    const struct snap *sn = r->gen->sn;
    struct str asked = http1_get(http1_head(&r->keep.in), "x-weir-route");
    bool by_provider = request_is_passed(r) && (r->call.model.n == 0 || r->endpoint->kind == ENDPOINT_RAW);
    struct str name = asked.n > 0 ? asked : r->call.model;
    if (by_provider) {
        enum weir_err e = choose_provider(r, asked, ret_why);
        if (e != WEIR_OK) return e;
    } else {
        r->route = snap_find_route(sn, name, &r->named_target);
    }
    if (r->route == NULL) {
        if (r->call.model.n == 0) {
            *ret_why = arena_printf(&r->keep.arena, "no such route \"%.*s\"", STR_FMT(str_slice(name, 0, 100)));
            return WEIR_MODEL_NOT_FOUND;
        }
        *ret_why = unknown_model(r);
        return WEIR_MODEL_NOT_FOUND;
    }
    if (!may_use(sn, r->key, r->route)) {
        *ret_why =
            arena_printf(&r->keep.arena, "the client key may not use \"%.*s\"", STR_FMT(str_slice(name, 0, 100)));
        return WEIR_KEY_FORBIDDEN;
    }
    if (!sn->s->server.accounting_best_effort && journal_fill_permille(&r->w->journal) >= JOURNAL_FULL_PERMILLE)
        return WEIR_ACCOUNTING_FULL;
    enum weir_err e = set_total(r, ret_why);
    if (e != WEIR_OK) return e;
    if (!by_provider) route_plan(r);
    if (!sn->s->server.refuse_unknown_price || r->plan.n == 0 || !needs_price(r)) return WEIR_OK;
    drop_unpriced(r);
    if (r->plan.n == 0) {
        *ret_why = arena_printf(&r->keep.arena, "no price is known for \"%.*s\" and prices.when_unknown is refuse",
                                STR_FMT(str_slice(r->call.model, 0, 100)));
        return WEIR_PRICE_UNKNOWN;
    }
    return WEIR_OK;
}
