#include "controlplane/config/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/check.h"
#include "proto/base/mem.h"

/* ---- prices ---- */

static void price_from_config(const struct config_price *p, struct price_row *row)
{
    price_row_init(row);
    row->known = 1;
    row->free = p->free;
    row->base.input = p->input;
    row->base.cache_read = p->cached_input;
    row->base.cache_write_5m = p->cache_write;
    row->base.cache_write_1h = p->cache_write_1h;
    row->base.output = p->output;
    /* told by the thousand, as vendors do; the rate was read as one by the million */
    row->per_web_search_picousd = p->web_search < 0 ? PRICE_UNKNOWN : p->web_search * 1000;
}
static_assert((int64_t)RATE_NONE == PRICE_UNKNOWN, "a rate that is not given is a rate that is unknown");

static const struct config_model *model_of(const struct config *c, struct str provider, struct str model)
{
    for (size_t i = 0; i < c->models.n; i++) {
        struct str p, m;

        if (check_split_model(c->models.at[i].at.name, &p, &m) && str_eq(p, provider) && str_eq(m, model))
            return &c->models.at[i];
    }
    return NULL;
}

/* One hop of same_as: *provider and *model become the other's. */
static bool follow_same_as(const struct config *c, const struct config_model *m,
                           const struct config_provider **provider, struct str *model)
{
    struct str name;

    if (m == NULL || m->same_as.n == 0 || !check_split_model(m->same_as, &name, model)) return false;
    *provider = config_provider(c, name);
    return *provider != NULL;
}

enum {
    REGIONAL_PPM = 1100000
}; /* Claude in one geography costs a tenth more than "global". Source: AWS and Google price pages */

static const struct price_entry *find_entry(const struct prices *list, const struct config_provider *provider,
                                            struct str model, int64_t *factor_ppm)
{
    const struct price_entry *entry = prices_find(list, provider->at.name, model);
    struct provider_model h = provider_model((unsigned)provider->type, model);
    char name[NAME_MODEL + 16];

    if (provider->type == PROVIDER_VERTEX) h.geography = provider->location;
    if (entry == NULL && h.geography.n > 0 && h.geography.n + h.name.n + 2 < sizeof name) {
        snprintf(name, sizeof name, "%.*s.%.*s", STR_FMT(h.geography), STR_FMT(h.name));
        entry = prices_find(list, provider->at.name, str_of(name));
    }
    if (entry == NULL) entry = prices_find(list, provider->at.name, h.name);
    if ((provider->type == PROVIDER_BEDROCK || provider->type == PROVIDER_VERTEX) && !str_is(h.geography, "global") &&
        str_contains(h.name, STR("claude")))
        *factor_ppm = *factor_ppm * REGIONAL_PPM / 1000000;
    return entry;
}

bool plan_price_of(const struct config *c, const struct prices *list, const struct config_provider *provider,
                   struct str model, struct price_row *ret_row)
{
    int64_t factor_ppm = 1000000;
    const struct price_entry *entry;
    const struct config_model *m;

    do {
        m = model_of(c, provider->at.name, model);
        if (m != NULL) factor_ppm = factor_ppm * (1000000 - m->discount_ppm) / 1000000;
        if (m != NULL && m->price.at.node != NULL) {
            price_from_config(&m->price, ret_row);
            ret_row->factor_ppm = (int32_t)factor_ppm;
            return true;
        }
    } while (follow_same_as(c, m, &provider, &model)); /* ends: check.c refuses rings */
    if (provider->price.free) {
        price_row_init(ret_row);
        ret_row->known = ret_row->free = 1;
        return true;
    }
    if (model.n == 0) return false;
    entry = find_entry(list, provider, model, &factor_ppm);
    if (entry == NULL || !entry->row.known) return false;
    *ret_row = entry->row;
    ret_row->factor_ppm = (int32_t)((int64_t)ret_row->factor_ppm * factor_ppm / 1000000);
    return true;
}

static void facts_of(const struct config *c, const struct prices *list, const struct config_provider *provider,
                     struct str model, struct plan_target *t)
{
    const struct price_entry *entry;
    const struct config_model *m;
    int64_t factor_ppm = 1000000;

    do {
        m = model_of(c, provider->at.name, model);
        if (m != NULL && t->context_window == 0) t->context_window = (uint32_t)m->context_window;
        if (m != NULL && t->max_output == 0) t->max_output = (uint32_t)m->max_output;
    } while (follow_same_as(c, m, &provider, &model));
    entry = model.n > 0 ? find_entry(list, provider, model, &factor_ppm) : NULL;
    if (entry != NULL && t->context_window == 0) t->context_window = entry->context_window;
    if (entry != NULL && t->max_output == 0) t->max_output = entry->max_output;
}

/* ---- rows ---- */

struct planner {
    struct plan *p;
    struct idmap *ids;
    uint64_t now_wall_ms;
    struct buf *why;
};

static uint16_t id_of(struct planner *w, enum id_kind kind, struct str name)
{
    static const char *const what[] = {"providers", "targets", "targets of routes", "routes", "keys"};
    uint16_t id = idmap_id(w->ids, kind, name, w->now_wall_ms);

    if (id == ID_NONE && buf_len(w->why) == 0)
        buf_addf(w->why,
                 "no number is free for \"%.*s\": the table of %s is full of names in use or removed within the hour",
                 STR_FMT(name), what[kind]);
    return id;
}

static uint16_t add_target(struct planner *w, uint32_t provider, struct str model)
{
    struct plan *p = w->p;
    const struct config_provider *owner = &p->config->providers.at[provider];
    struct plan_target *t;

    for (uint32_t i = 0; i < p->targets_n; i++)
        if (p->targets[i].provider == provider && str_eq(p->targets[i].model, model)) return (uint16_t)i;
    if (p->targets_n == SHM_TARGETS) {
        if (buf_len(w->why) == 0) buf_addf(w->why, "more than %d different targets", SHM_TARGETS);
        return 0;
    }
    t = &p->targets[p->targets_n];
    *t = (struct plan_target){.model = model, .provider = (uint16_t)provider};
    t->name = arena_printf(&p->arena, "%.*s/%.*s", STR_FMT(owner->at.name), STR_FMT(model.n > 0 ? model : STR("*")));
    t->id = id_of(w, ID_TARGET, t->name);
    t->has_price = plan_price_of(p->config, p->list, owner, model, &t->price);
    facts_of(p->config, p->list, owner, model, t);
    return (uint16_t)p->targets_n++;
}

static void add_leg(struct planner *w, uint16_t route, uint16_t target, uint32_t weight, bool is_fallback)
{
    struct plan *p = w->p;
    struct str route_name = p->config->routes.at[route].at.name;
    struct str name = arena_printf(&p->arena, "%.*s%s%.*s", STR_FMT(route_name), is_fallback ? " | " : " ",
                                   STR_FMT(p->targets[target].name));

    p->legs[p->legs_n++] = (struct plan_leg){
        .id = id_of(w, ID_LEG, name),
        .target = target,
        .route = route,
        .is_fallback = is_fallback,
        .weight = weight,
    };
}

/* A pass-through has a leg for each provider that one of its patterns may name. */
static bool is_allowed(const struct config_route *r, struct str provider)
{
    struct str rest = r->match;

    if (!str_glob(str_split(&rest, '/'), provider)) return false;
    for (size_t i = 0; i < r->allow.n; i++) {
        rest = r->allow.at[i];
        if (str_glob(str_split(&rest, '/'), provider)) return true;
    }
    return r->allow.n == 0;
}

static void add_route(struct planner *w, uint16_t index)
{
    struct plan *p = w->p;
    const struct config_route *r = &p->config->routes.at[index];
    struct plan_route *row = &p->routes[index];

    row->id = id_of(w, ID_ROUTE, r->at.name);
    row->first_leg = p->legs_n;
    for (size_t i = 0; i < r->targets.n; i++)
        add_leg(w, index, add_target(w, r->targets.at[i].provider, r->targets.at[i].model_name),
                (uint32_t)r->targets.at[i].weight, false);
    for (uint32_t i = 0; r->match.n > 0 && i < p->config->providers.n; i++)
        if (is_allowed(r, p->config->providers.at[i].at.name)) add_leg(w, index, add_target(w, i, STR_NULL), 1, false);
    row->legs_n = p->legs_n - row->first_leg;
    for (size_t i = 0; i < r->fallback.n; i++)
        add_leg(w, index, add_target(w, r->fallback.at[i].provider, r->fallback.at[i].model_name), 0, true);
    row->fallbacks_n = p->legs_n - row->first_leg - row->legs_n;
}

/* ---- prices of models that only the client's request names ---- */

static int by_name(const void *a, const void *b)
{
    struct str x = ((const struct plan_price *)a)->name;
    struct str y = ((const struct plan_price *)b)->name;
    int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);

    return order != 0 ? order : x.n < y.n ? -1 : x.n > y.n;
}

static void add_price(struct plan *p, const struct config_provider *provider, struct str model)
{
    struct plan_price *row = &p->prices[p->prices_n];

    if (!plan_price_of(p->config, p->list, provider, model, &row->row)) return;
    row->name = arena_printf(&p->arena, "%.*s/%.*s", STR_FMT(provider->at.name), STR_FMT(model));
    p->prices_n++;
}

static void add_prices(struct plan *p)
{
    uint32_t open_n = 0;
    size_t kept = 0;

    for (uint32_t i = 0; i < p->targets_n; i++) open_n += p->targets[i].model.n == 0;
    p->prices = arena_alloc(&p->arena, (open_n * (2 * p->list->n + p->config->models.n) + 1) * sizeof *p->prices);
    for (uint32_t i = 0; i < p->targets_n; i++) {
        const struct config_provider *provider = &p->config->providers.at[p->targets[i].provider];

        if (p->targets[i].model.n > 0 || provider->price.free) continue;
        for (size_t j = 0; j < p->config->models.n; j++) {
            struct str name, model;

            if (check_split_model(p->config->models.at[j].at.name, &name, &model) && str_eq(name, provider->at.name))
                add_price(p, provider, model);
        }
        for (unsigned j = 0; j < p->list->n; j++) {
            struct str model = str_of(p->list->rows[j].name);
            struct str rest = model;
            struct str host = str_split(&rest, '/');

            if (rest.n > 0 && str_eq(host, provider->at.name)) /* "groq/llama-x" of providers.groq */
                model = rest;
            else if (rest.n > 0)
                continue;
            add_price(p, provider, model);
            if (provider->type == PROVIDER_BEDROCK &&
                str_contains(model, STR("claude"))) /* without the tenth for a geography */
                add_price(p, provider, arena_printf(&p->arena, "global.%.*s", STR_FMT(model)));
        }
    }
    qsort(p->prices, p->prices_n, sizeof *p->prices, by_name);
    for (size_t i = 0; i < p->prices_n; i++)
        if (i == 0 || !str_eq(p->prices[i].name, p->prices[kept - 1].name)) p->prices[kept++] = p->prices[i];
    p->prices_n = (uint32_t)kept;
}

struct plan *plan_new(const struct config *c, const struct prices *list, struct idmap *ids, uint64_t now_wall_ms,
                      struct buf *why)
{
    struct plan *p = xcalloc(1, sizeof *p);
    struct planner w = {p, ids, now_wall_ms, why};
    size_t legs = 0;

    arena_init(&p->arena, 16 << 10);
    p->config = c;
    p->list = list;
    for (size_t i = 0; i < c->routes.n; i++)
        legs +=
            c->routes.at[i].targets.n + c->routes.at[i].fallback.n + (c->routes.at[i].match.n > 0 ? c->providers.n : 0);
    p->targets = arena_alloc(&p->arena, SHM_TARGETS * sizeof *p->targets);
    p->legs = arena_alloc(&p->arena, (legs + 1) * sizeof *p->legs);
    p->routes = arena_zalloc(&p->arena, (c->routes.n + 1) * sizeof *p->routes);
    p->provider_id = arena_zalloc(&p->arena, (c->providers.n + 1) * sizeof *p->provider_id);
    p->key_id = arena_zalloc(&p->arena, (c->keys.n + 1) * sizeof *p->key_id);
    idmap_begin(ids);
    for (size_t i = 0; i < c->providers.n; i++) p->provider_id[i] = id_of(&w, ID_PROVIDER, c->providers.at[i].at.name);
    for (size_t i = 0; i < c->keys.n; i++) p->key_id[i] = id_of(&w, ID_KEY, c->keys.at[i].at.name);
    for (size_t i = 0; i < c->routes.n; i++) add_route(&w, (uint16_t)i);
    idmap_end(ids, now_wall_ms);
    add_prices(p);
    if (buf_len(why) > 0) plan_free(&p);
    return p;
}

void plan_free(struct plan **p)
{
    if (*p == NULL) return;
    arena_fini(&(*p)->arena);
    free(*p);
    *p = NULL;
}

const struct plan_target *plan_target(const struct plan *p, struct str name)
{
    for (uint32_t i = 0; i < p->targets_n; i++)
        if (str_eq(p->targets[i].name, name)) return &p->targets[i];
    return NULL;
}
