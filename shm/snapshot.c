/* snapshot.c — a configuration inside its segment. The difficulty: readers follow offsets and indexes in a request's steps without looking
 * twice, so snap_open() has looked at every one of them before anybody else does. */
#include "shm/snapshot.h"

#include "proto/base/mem.h"
#include "proto/dialect/provider_type.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- verifying ---- */

struct check {
    const char *base;
    uint64_t bytes;
    size_t floor; /* nothing but the head lies below */
};

static bool text_ok(const struct check *c, struct snap_str s)
{
    if (s.n == 0) return true;
    return s.off >= c->floor && (uint64_t)s.off + s.n < c->bytes && c->base[s.off + s.n] == '\0';
}

/* A table: its rows lie whole inside the segment, aligned. */
static bool table_ok(const struct check *c, struct snap_list t, size_t row_bytes, size_t align, uint32_t most)
{
    if (t.n == 0) return true;
    return t.n <= most && t.first >= c->floor && t.first % align == 0 &&
           t.first + (uint64_t)t.n * row_bytes <= c->bytes;
}

static bool part_ok(struct snap_list part, uint32_t rows)
{
    return (uint64_t)part.first + part.n <= rows || part.n == 0;
}

static const struct snap_str *strings_of(const struct snapshot *s)
{
    return (const struct snap_str *)(const void *)((const char *)s + s->strings.first);
}

static const uint16_t *key_routes_of(const struct snapshot *s)
{
    return (const uint16_t *)(const void *)((const char *)s + s->key_routes.first);
}

#define TABLE(c, list, type, most) table_ok((c), (list), sizeof(type), _Alignof(type), (most))

static const char *tables_check(const struct check *c, const struct snapshot *s)
{
    enum { MANY = 1 << 20 };

    if (!TABLE(c, s->providers, struct snap_provider, SHM_PROVIDERS)) return "snapshot: table of providers";
    if (!TABLE(c, s->targets, struct snap_target, SHM_TARGETS)) return "snapshot: table of targets";
    if (!TABLE(c, s->legs, struct snap_leg, MANY)) return "snapshot: table of legs";
    if (!TABLE(c, s->routes, struct snap_route, ID_NONE)) return "snapshot: table of routes";
    if (!TABLE(c, s->aliases, struct snap_alias, MANY)) return "snapshot: table of aliases";
    if (!TABLE(c, s->keys, struct snap_key, SHM_KEYS)) return "snapshot: table of keys";
    if (!TABLE(c, s->prices, struct snap_price, ID_NONE)) return "snapshot: table of prices";
    if (!TABLE(c, s->key_routes, uint16_t, MANY) || !TABLE(c, s->strings, struct snap_str, MANY))
        return "snapshot: lists";
    return NULL;
}

static const char *providers_check(const struct check *c, const struct snap *sn, uint32_t secrets_n)
{
    for (uint32_t i = 0; i < sn->s->providers.n; i++) {
        const struct snap_provider *p = &sn->providers[i];
        if (!text_ok(c, p->name) || !text_ok(c, p->host) || !text_ok(c, p->base_path) || !text_ok(c, p->host_header) ||
            !text_ok(c, p->ca_pem) || p->name.n >= NAME_PROVIDER)
            return "snapshot: text of a provider";
        if (p->id >= SHM_PROVIDERS || p->dialect >= SNAP_DIALECTS || p->auth >= SIGNER_COUNT ||
            p->type >= PROVIDER_TYPES || p->dialects >> SNAP_DIALECTS != 0 || p->secrets > SHM_PROVIDER_KEYS ||
            !text_ok(c, p->region) || !text_ok(c, p->api_version) ||
            (p->secret != ID_NONE && (p->secrets == 0 || (uint32_t)p->secret + p->secrets > secrets_n)))
            return "snapshot: number of a provider";
    }
    return NULL;
}

static const char *targets_check(const struct check *c, const struct snap *sn)
{
    const struct snapshot *s = sn->s;

    for (uint32_t i = 0; i < s->targets.n; i++) {
        const struct snap_target *t = &sn->targets[i];
        if (!text_ok(c, t->name) || !text_ok(c, t->model)) return "snapshot: text of a target";
        if (t->id >= SHM_TARGETS || t->provider >= s->providers.n || (t->price != ID_NONE && t->price >= s->prices.n))
            return "snapshot: number of a target";
    }
    for (uint32_t i = 0; i < s->legs.n; i++)
        if (sn->legs[i].id >= SHM_LEGS || sn->legs[i].target >= s->targets.n) return "snapshot: number of a leg";
    for (uint32_t i = 0; i < s->prices.n; i++)
        if (!text_ok(c, sn->prices[i].name)) return "snapshot: text of a price";
    return NULL;
}

static const char *routes_check(const struct check *c, const struct snap *sn)
{
    const struct snapshot *s = sn->s;

    for (uint32_t i = 0; i < s->routes.n; i++) {
        const struct snap_route *r = &sn->routes[i];
        if (!text_ok(c, r->name) || !text_ok(c, r->match) || r->name.n >= NAME_ROUTE)
            return "snapshot: text of a route";
        if (!part_ok(r->allow, s->strings.n) || !part_ok(r->legs, s->legs.n) || !part_ok(r->fallbacks, s->legs.n))
            return "snapshot: list of a route";
        if (r->connect_ms == 0 || r->first_token_ms == 0 || r->idle_ms == 0 || r->total_ms == 0 ||
            r->strategy > SNAP_ORDERED)
            return "snapshot: number of a route";
    }
    for (uint32_t i = 0; i < s->aliases.n; i++)
        if (!text_ok(c, sn->aliases[i].glob) || sn->aliases[i].route >= s->routes.n) return "snapshot: alias";
    return NULL;
}

static const char *keys_check(const struct check *c, const struct snap *sn)
{
    const struct snapshot *s = sn->s;

    for (uint32_t i = 0; i < s->key_routes.n; i++)
        if (key_routes_of(s)[i] >= s->routes.n) return "snapshot: route of a key";
    for (uint32_t i = 0; i < s->keys.n; i++) {
        const struct snap_key *k = &sn->keys[i];
        if (!text_ok(c, k->name) || !text_ok(c, k->hint) || k->name.n >= NAME_KEY ||
            !part_ok(k->routes, s->key_routes.n) || k->id >= SHM_KEYS)
            return "snapshot: key";
        if (i > 0 && memcmp(k[-1].sha256, k->sha256, sizeof k->sha256) >= 0) return "snapshot: keys are not sorted";
    }
    return NULL;
}

static const char *snapshot_check(const struct check *c, struct snap *sn, uint32_t secrets_n)
{
    const struct snapshot *s = sn->s;
    const char *why;

    if (s->crc != crc32c(0, c->base + sizeof *s, c->bytes - sizeof *s)) return "snapshot: checksum";
    if ((why = tables_check(c, s)) != NULL) return why;
    for (uint32_t i = 0; i < s->strings.n; i++)
        if (!text_ok(c, strings_of(s)[i])) return "snapshot: text of a list";
    if (!part_ok(s->server.hosts, s->strings.n) || !part_ok(s->server.origins, s->strings.n))
        return "snapshot: list of the server";
    if ((why = providers_check(c, sn, secrets_n)) != NULL || (why = targets_check(c, sn)) != NULL ||
        (why = routes_check(c, sn)) != NULL || (why = keys_check(c, sn)) != NULL)
        return why;
    return NULL;
}

static const char *secrets_check(const struct segment *seg)
{
    const struct secrets *s = seg->base;
    struct check c = {seg->base, seg->bytes, sizeof *s};

    if (!TABLE(&c, s->rows, struct secret_row, ID_NONE)) return "secrets: table";
    const struct secret_row *rows = (const struct secret_row *)(const void *)(c.base + s->rows.first);
    for (uint32_t i = 0; i < s->rows.n; i++)
        if (!text_ok(&c, rows[i].value) || memchr(rows[i].origin_host, '\0', sizeof rows[i].origin_host) == NULL)
            return "secrets: row";
    return NULL;
}

/* ---- opening ---- */

static const void *table(const struct snap *sn, struct snap_list t)
{
    return (const char *)sn->s + t.first;
}

static const char *segments_check(struct snap *sn)
{
    if (sn->seg.bytes < sizeof(struct snapshot) || sn->secret_seg.bytes < sizeof(struct secrets))
        return "snapshot: shorter than its head";
    sn->s = sn->seg.base;
    sn->secrets = sn->secret_seg.base;
    sn->providers = table(sn, sn->s->providers);
    sn->targets = table(sn, sn->s->targets);
    sn->legs = table(sn, sn->s->legs);
    sn->routes = table(sn, sn->s->routes);
    sn->aliases = table(sn, sn->s->aliases);
    sn->keys = table(sn, sn->s->keys);
    sn->prices = table(sn, sn->s->prices);
    if (sn->secrets->serial != sn->s->serial) return "snapshot: its secrets belong to another one";
    const char *why = secrets_check(&sn->secret_seg);
    struct check c = {sn->seg.base, sn->seg.bytes, sizeof(struct snapshot)};
    return why != NULL ? why : snapshot_check(&c, sn, sn->secrets->rows.n);
}

static void snap_close(struct snap *sn)
{
    segment_unmap(&sn->seg);
    segment_unmap(&sn->secret_seg);
    free(sn);
}

struct snap *snap_open(int snapshot_fd, int secrets_fd, const char **ret_why)
{
    struct snap *sn = xcalloc(1, sizeof *sn);

    sn->refs = 1;
    if (segment_map(snapshot_fd, SHM_SNAPSHOT, false, &sn->seg, ret_why) &&
        segment_map(secrets_fd, SHM_SECRETS, false, &sn->secret_seg, ret_why)) {
        madvise(sn->secret_seg.base, sn->secret_seg.bytes, MADV_DONTDUMP);
        if ((*ret_why = segments_check(sn)) == NULL) return sn;
    }
    snap_close(sn);
    return NULL;
}

struct snap *snap_ref(struct snap *sn)
{
    sn->refs++;
    return sn;
}

void snap_unref(struct snap **sn)
{
    struct snap *s = *sn;

    *sn = NULL;
    if (s != NULL && --s->refs == 0) snap_close(s);
}

/* ---- reading ---- */

struct str snap_text(const struct snap *sn, struct snap_str s)
{
    return s.n == 0 ? STR("") : (struct str){(const char *)sn->s + s.off, s.n};
}

uint16_t snap_key_route(const struct snap *sn, const struct snap_key *key, uint32_t i)
{
    return key_routes_of(sn->s)[key->routes.first + i];
}

struct str snap_string(const struct snap *sn, struct snap_list list, uint32_t i)
{
    return snap_text(sn, strings_of(sn->s)[list.first + i]);
}

const struct snap_key *snap_find_key(const struct snap *sn, const uint8_t sha256[32])
{
    uint32_t low = 0, high = sn->s->keys.n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(sn->keys[middle].sha256, sha256, 32) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == sn->s->keys.n) return NULL;
    const struct snap_key *k = &sn->keys[low];
    return str_ct_eq((struct str){(const char *)k->sha256, 32}, (struct str){(const char *)sha256, 32}) ? k : NULL;
}

static const struct snap_route *route_named(const struct snap *sn, struct str model)
{
    for (uint32_t i = 0; i < sn->s->routes.n; i++)
        if (str_eq(snap_text(sn, sn->routes[i].name), model)) return &sn->routes[i];
    for (unsigned globs = 0; globs < 2; globs++)
        for (uint32_t i = 0; i < sn->s->aliases.n; i++) {
            const struct snap_alias *a = &sn->aliases[i];
            struct str glob = snap_text(sn, a->glob);
            if ((a->is_glob != 0) == (globs != 0) && (globs ? str_glob(glob, model) : str_eq(glob, model)))
                return &sn->routes[a->route];
        }
    return NULL;
}

static bool passes(const struct snap *sn, const struct snap_route *r, struct str name)
{
    if (r->match.n == 0 || !str_glob(snap_text(sn, r->match), name)) return false;
    for (uint32_t i = 0; i < r->allow.n; i++)
        if (str_glob(snap_string(sn, r->allow, i), name)) return true;
    return r->allow.n == 0;
}

/* "gpt-x" of "azure/gpt-x": what people call it, where a provider knows it by another name. */
static bool is_called(const struct snap *sn, const struct snap_target *t, struct str model)
{
    struct str name = snap_text(sn, t->name);

    (void)str_split(&name, '/');
    return t->model.n > 0 && str_eq(name, model);
}

/* The target of exactly this (provider, model), else the provider's one that passes any name through. */
static uint16_t target_of(const struct snap *sn, struct str provider, struct str model)
{
    uint16_t any = ID_NONE;

    for (uint32_t i = 0; i < sn->s->targets.n; i++) {
        const struct snap_target *t = &sn->targets[i];
        if (!str_eq(snap_text(sn, sn->providers[t->provider].name), provider)) continue;
        if (is_called(sn, t, model)) return (uint16_t)i;
        if (t->model.n == 0) any = (uint16_t)i;
    }
    return any;
}

static const struct snap_route *route_passing(const struct snap *sn, struct str name, uint16_t *ret_target)
{
    struct str model = name;
    struct str provider = str_split(&model, '/');
    uint16_t target = target_of(sn, provider, model);

    if (model.n == 0 || target == ID_NONE) return NULL;
    for (uint32_t i = 0; i < sn->s->routes.n; i++)
        if (passes(sn, &sn->routes[i], name)) {
            *ret_target = target;
            return &sn->routes[i];
        }
    return NULL;
}

static bool has_leg(const struct snap *sn, const struct snap_route *r, uint16_t target)
{
    for (uint32_t i = 0; i < r->legs.n; i++)
        if (sn->legs[r->legs.first + i].target == target) return true;
    for (uint32_t i = 0; i < r->fallbacks.n; i++)
        if (sn->legs[r->fallbacks.first + i].target == target) return true;
    return false;
}

/* "gpt-x" alone: whose it is must be beyond doubt, and some route must lead there (a pass-through one, else the first with that leg). */
static const struct snap_route *route_of_bare(const struct snap *sn, struct str model, uint16_t *ret_target)
{
    uint16_t only = ID_NONE;

    for (uint32_t i = 0; i < sn->s->targets.n; i++) {
        const struct snap_target *t = &sn->targets[i];
        if (!is_called(sn, t, model)) continue;
        if (only != ID_NONE && sn->targets[only].provider != t->provider) return NULL;
        only = (uint16_t)i;
    }
    if (only == ID_NONE) return NULL;
    for (unsigned legs = 0; legs < 2; legs++)
        for (uint32_t i = 0; i < sn->s->routes.n; i++) {
            const struct snap_route *r = &sn->routes[i];
            if (legs ? has_leg(sn, r, only) : passes(sn, r, snap_text(sn, sn->targets[only].name))) {
                *ret_target = only;
                return r;
            }
        }
    return NULL;
}

const struct snap_route *snap_find_route(const struct snap *sn, struct str model, uint16_t *ret_target)
{
    *ret_target = ID_NONE;
    if (model.n == 0) return NULL;
    const struct snap_route *r = route_named(sn, model);
    if (r == NULL) r = route_passing(sn, model, ret_target);
    return r != NULL ? r : route_of_bare(sn, model, ret_target);
}

static const struct secret_row *secret_at(const struct snap *sn, const struct snap_provider *p, unsigned i)
{
    const struct secret_row *rows =
        (const struct secret_row *)(const void *)((const char *)sn->secrets + sn->secrets->rows.first);

    return p->secret == ID_NONE || i >= p->secrets ? NULL : &rows[p->secret + i];
}

struct str snap_secret_at(const struct snap *sn, const struct snap_provider *p, unsigned i)
{
    const struct secret_row *row = secret_at(sn, p, i);

    if (row == NULL || row->origin_port != p->port || row->origin_tls != p->tls ||
        !str_ieq(str_of(row->origin_host), snap_text(sn, p->host)) || row->value.n == 0)
        return STR("");
    return (struct str){(const char *)sn->secrets + row->value.off, row->value.n};
}

struct str snap_secret(const struct snap *sn, const struct snap_provider *p)
{
    return snap_secret_at(sn, p, 0);
}

uint32_t snap_secret_weight(const struct snap *sn, const struct snap_provider *p, unsigned i)
{
    const struct secret_row *row = secret_at(sn, p, i);

    return row == NULL ? 0 : row->weight;
}

uint64_t snap_origin(const struct snap *sn, const struct snap_provider *p)
{
    const char rest[] = {(char)(p->port >> 8), (char)(p->port & 0xFF), (char)p->tls};

    return str_hash(str_hash(STR_HASH, snap_text(sn, p->host)),
                    (struct str){rest, sizeof rest}); /* hosts are in lower case */
}
