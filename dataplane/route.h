/* route.h — where may this call go, and in which order
 * Owns:     struct plan: the candidates of one request, made once, walked by the attempts.
 * Process:  worker. route_order() is pure; route_plan() reads weights, health and drains from the tick, circuits from live.
 * Memory:   embedded in the request.
 * Fails:    an empty plan: no target can take the call.
 * Not here: what follows after a failure (retry.c), whether the call may be made at all (admit.c). */
#pragma once

#include "proto/base/str.h"

#include "proto/dialect/dialect.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;
struct snap_provider;
struct snap_target;

enum { PLAN_MOST = 32 };

struct candidate {
    uint32_t leg;    /* index into the snapshot's legs */
    uint16_t target; /* index: the leg's, or the one that the model's name names */
    uint32_t weight; /* in force; 0: only when nothing else is left */
    bool fallback;
    bool down; /* the prober says so */
};

struct plan {
    struct candidate c[PLAN_MOST];
    uint8_t n, next;
};

/* Puts candidates (targets first, then fallbacks, each in the file's order) into the order of trying:
 *   1. targets with weight, not down: by their order, or drawn by weight one after the other
 *   2. fallbacks that are not down, in order
 *   3. what is left: weight 0 or down, targets before fallbacks
 * random: the state of a splitmix64-like source, drawn from by next(). */
void route_order(struct candidate *c, size_t n, bool weighted, uint64_t (*next)(void *source), void *source);

/* What the target's provider is asked for: the target's model, or, where it takes any, the name the client sent without the provider. */
/* The plan is this leg alone. */
void route_pin(struct request *r, uint32_t leg);
/* Does the provider speak that dialect in the place where endpoints that are no chat are looked for? */
bool route_has_endpoint(const struct snap_provider *p, enum dialect_id dialect);
struct str route_model(const struct request *r, const struct snap_target *t);

/* Fills r->plan from r->route. */
void route_plan(struct request *r);

/* Takes the next candidate that is not shut and sets target, provider, leg and model of r. false: none is left. */
bool route_next(struct request *r);
/* Nothing was asked, for all targets are shut: the first one that only a rate limit has benched. A pause spares a target while another can
 * answer; where none can, the provider itself says whether the limit holds for this call too. false: there is no such target. */
bool route_last_resort(struct request *r);
