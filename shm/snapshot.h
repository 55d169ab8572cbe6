/* snapshot.h — read an accepted configuration inside its segment, and build one
 * Owns:     struct snap, a counted view: workers keep it for as long as a request uses it.
 * Process:  control plane builds (snap_builder), workers read.
 * Memory:   one sealed memfd for the snapshot, one for its secrets; both unmapped with the last reference.
 * Fails:    snap_open() checks every offset, count and index once, so that readers need not: wire-like distrust of the segment.
 * Not here: YAML (controlplane/config), choosing (dataplane/route.c). */
#pragma once

#include "proto/base/str.h"
#include "shm/segment.h"

struct snap {
    const struct snapshot *s;
    const struct secrets *secrets;
    /* tables, resolved once */
    const struct snap_provider *providers;
    const struct snap_target *targets;
    const struct snap_leg *legs;
    const struct snap_route *routes;
    const struct snap_alias *aliases;
    const struct snap_key *keys;
    const struct snap_price *prices;
    unsigned refs; /* this process only; not atomic */
    struct segment seg, secret_seg;
};

/* Maps both descriptors (the caller may close them after), verifies all of it; refs is 1. NULL with a reason on failure. */
struct snap *snap_open(int snapshot_fd, int secrets_fd, const char **ret_why);
struct snap *snap_ref(struct snap *sn);
void snap_unref(struct snap **sn); /* unmaps at 0; secrets are unmapped with it */

struct str snap_text(const struct snap *sn, struct snap_str s);
uint16_t snap_key_route(const struct snap *sn, const struct snap_key *key, uint32_t i); /* i < key->routes.n */
struct str snap_string(const struct snap *sn, struct snap_list list, uint32_t i);

/* By SHA-256 of the key the client sent; binary search over sorted hashes, then a constant-time compare. NULL: unknown. */
const struct snap_key *snap_find_key(const struct snap *sn, const uint8_t sha256[32]);

/* How a model name leads to a route: exact route, alias (exact, then globs in order), "provider/model" by a pass-through route, a bare
 * name that exactly one provider's target carries. NULL: none. *ret_target is set (else ID_NONE) where the name itself names the target. */
const struct snap_route *snap_find_route(const struct snap *sn, struct str model, uint16_t *ret_target);

/* The credential, only if the provider's origin is the one it is bound to; empty otherwise. */
struct str snap_secret(const struct snap *sn, const struct snap_provider *p);
/* The same for one of several: i < p->secrets. */
struct str snap_secret_at(const struct snap *sn, const struct snap_provider *p, unsigned i);
uint32_t snap_secret_weight(const struct snap *sn, const struct snap_provider *p, unsigned i);
/* Where a fetched credential of it may be sent: host, port and TLS in one number. */
uint64_t snap_origin(const struct snap *sn, const struct snap_provider *p);

/* ---- building: fill counts, add rows in any order, finish ---- */
struct snap_builder;
struct snap_builder *snap_builder_new(void);
void snap_builder_free(struct snap_builder **b);
struct snap_str snap_add_text(struct snap_builder *b, struct str s); /* deduplicated */
struct snapshot *snap_builder_head(
    struct snap_builder *b); /* serial, server, dates: fill in; lists are set by finish */
uint16_t snap_add_provider(struct snap_builder *b, const struct snap_provider *row); /* returns its index */
uint16_t snap_add_target(struct snap_builder *b, const struct snap_target *row);
uint32_t snap_add_leg(struct snap_builder *b, const struct snap_leg *row);
uint16_t snap_add_route(struct snap_builder *b, const struct snap_route *row);
void snap_add_alias(struct snap_builder *b, const struct snap_alias *row);
void snap_add_key(struct snap_builder *b, const struct snap_key *row); /* sorted by finish */
uint16_t snap_add_price(struct snap_builder *b, const struct snap_price *row);
uint32_t snap_add_key_route(struct snap_builder *b, uint16_t route);
uint32_t snap_add_string(struct snap_builder *b, struct str s); /* index for a snap_list of strings */
uint16_t snap_add_secret(struct snap_builder *b, const struct secret_row *row, struct str value);
/* Writes, checksums and seals both segments; wipes the builder's copy of the secrets. */
bool snap_builder_finish(struct snap_builder *b, int *ret_snapshot_fd, int *ret_secrets_fd, const char **ret_why);
