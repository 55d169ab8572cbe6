/* plan.h — a configuration with its references resolved: rows with stable ids, prices and indexes, ready to be published
 * Owns:     struct plan: its rows and their texts; it refers to the configuration, which must outlive it.
 * Process:  control plane; pure.
 * Memory:   one arena.
 * Fails:    plan_new() gives NULL with a reason when there are more names than stable ids; the id map is then to be thrown away.
 * Not here: the segment's bytes (controlplane/publish.c), run-time weights (overrides.c). */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/idmap.h"
#include "controlplane/prices.h"

struct plan_target {  /* one provider/model, whichever routes use it */
    struct str name;  /* "openai/gpt-x"; with a star for the model where the client names it */
    struct str model; /* empty: the name that the client sent */
    uint16_t id;
    uint16_t provider; /* index into config->providers: the same in the snapshot */
    bool has_price;
    struct price_row price;
    uint32_t context_window, max_output; /* 0: unknown */
};

struct plan_leg {
    uint16_t id;
    uint16_t target; /* index into targets */
    uint16_t route;  /* index into config->routes */
    bool is_fallback;
    uint32_t weight; /* as configured */
};

struct plan_route {
    uint16_t id;
    uint32_t first_leg, legs_n; /* in legs; its fallbacks follow them */
    uint32_t fallbacks_n;
};

struct plan_price {  /* of what a pass-through may be asked for, by name */
    struct str name; /* "openai/gpt-x" */
    struct price_row row;
};

struct plan {
    const struct config *config;
    const struct prices *list;
    struct plan_target *targets;
    struct plan_leg *legs;
    struct plan_route *routes;      /* as many as config->routes */
    struct plan_price *prices;      /* sorted by name */
    uint16_t *provider_id, *key_id; /* as many as config->providers, config->keys */
    uint32_t targets_n, legs_n, prices_n;
    struct arena arena;
};

struct plan *plan_new(const struct config *c, const struct prices *list, struct idmap *ids, uint64_t now_wall_ms,
                      struct buf *why);
void plan_free(struct plan **p);

/* The price of provider/model by configuration and list. false: unknown. */
bool plan_price_of(const struct config *c, const struct prices *list, const struct config_provider *provider,
                   struct str model, struct price_row *ret_row);
const struct plan_target *plan_target(const struct plan *p, struct str name); /* NULL: none */
