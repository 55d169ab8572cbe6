/* pool.h — idle connections to one provider, and the TLS session that makes the next one cheap
 * Owns:     struct upstream while idle; a taken one belongs to the request. The newest session ticket of the provider.
 * Process:  worker only, one pool per provider; no locks. Time is passed in.
 * Memory:   links inside the upstreams; the ticket's buf.
 * Fails:    pool_take() returns NULL when a new connection must be dialled; it never waits.
 * Not here: dialling and closing (upstream.c), which provider (route.c). */
#pragma once

#include "proto/base/buf.h"
#include "proto/base/list.h"

#include <stdint.h>

struct upstream;
struct worker;

enum {
    POOL_IDLE_MS = 45 * 1000,     /* providers close idle connections after a minute or more: be earlier than they */
    POOL_AGE_MS = 15 * 60 * 1000, /* so that a provider's change of address is followed */
    POOL_IDLE_MOST = 512,         /* per provider */
    POOL_TICKET_EVERY_MS = 10000, /* shared with the other workers at most this often */
};

struct pool {
    struct list idle; /* newest first: the oldest ones may then grow old and go */
    unsigned n;
    struct buf ticket;
    uint64_t ticket_print;
    uint64_t ticket_shared_ms;
};

void pool_init(struct pool *p);
void pool_fini(struct pool *p); /* closes what is idle */

struct upstream *pool_take(struct pool *p, uint64_t print, uint64_t now_ms);
void pool_put(struct pool *p, struct upstream *u, uint64_t now_ms);
void pool_remove(struct pool *p, struct upstream *u); /* an idle one is about to close */
void pool_sweep(struct pool *p, uint64_t now_ms);

/* A session for the print, or empty. */
struct str pool_ticket(const struct pool *p, uint64_t print);
void pool_ticket_put(struct pool *p, uint64_t print, struct str ticket);
