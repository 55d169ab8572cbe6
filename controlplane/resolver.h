/* resolver.h — provider names to addresses, ahead of need: a request never waits for DNS
 * Owns:     the addresses of each provider by stable id, and the look-ups under way (libuv's thread pool).
 * Process:  control plane, loop thread.
 * Memory:   fixed tables; one heap block per look-up.
 * Fails:    a look-up that fails keeps the old addresses for RESOLVER_STALE_MS and marks them stale; a name that leads only to addresses
 *           that are not allowed is `blocked`: no byte, and no key, goes there.
 * Not here: dialling (dataplane/upstream.c), publishing (ticker.c). */
#pragma once

#include "shm/snapshot.h"

#include <uv.h>

enum {
    RESOLVER_REFRESH_MS = 30000, /* also after a connect failure, at most once a second */
    RESOLVER_RETRY_MS = 2000,    /* after a failed look-up */
    RESOLVER_STALE_MS = 3600 * 1000,
};

struct resolver;

struct resolver *resolver_new(uv_loop_t *loop, void (*on_change)(void *context), void *context);
/* Forgets providers that are gone, keeps what is known of the others, looks up the new ones at once. IP literals need no look-up. */
void resolver_configure(struct resolver *r, const struct snap *sn);
/* Refreshes what is due. `live` tells whose connects fail. Call once a second. */
void resolver_tick(struct resolver *r, const struct live *live, const struct snap *sn, uint64_t now_ms,
                   uint64_t now_wall_ms);
void resolver_row(const struct resolver *r, uint16_t provider_id, struct tick_provider *ret_row);
const char *resolver_error(const struct resolver *r, uint16_t provider_id); /* of the last look-up; "" when it worked */
bool resolver_is_settled(const struct resolver *r);                         /* no first look-up under way */
void resolver_free(struct resolver **r);                                    /* look-ups under way end by themselves */
