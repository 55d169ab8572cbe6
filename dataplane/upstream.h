/* upstream.h — one connection to a provider: dial, TLS, send, receive
 * Owns:     the connection: at first up to two sockets that race (struct wire), then the one that won; TLS and HTTP state.
 * Process:  worker only. `r` is the request that has it; NULL while idle, finishing or closing: late callbacks find no request.
 * Memory:   slab; freed a turn of the loop after upstream_close(), which sets the owner's pointer to NULL.
 * Fails:    facts and `err` for the request; a broken connection is never given back to the pool.
 * Not here: deadlines and what a failure means (request.c), idle ones (pool.c), TLS itself (proto/wire/tls). */
#pragma once

#include "dataplane/deadline.h"
#include "dataplane/outbox.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/list.h"
#include "proto/wire/http1.h"
#include "shm/layout.h"

#include <uv.h>

struct request;
struct tls;
struct trust;
struct worker;

enum upstream_state {
    UPSTREAM_DIAL,
    UPSTREAM_TLS,    /* handshake */
    UPSTREAM_BUSY,   /* of a request */
    UPSTREAM_FINISH, /* the answer has been given; the rest of its framing is awaited */
    UPSTREAM_IDLE,   /* in the pool */
    UPSTREAM_CLOSED,
};

enum { UPSTREAM_WIRES = 2 };

struct wire { /* one socket */
    void *slab_link;
    uv_tcp_t tcp;
    uv_connect_t connect;
    struct upstream *u; /* NULL: closing */
    struct worker *w;
    struct outbox out;
};

struct upstream {
    void *slab_link;
    struct worker *w;
    struct request *r;
    struct list all, idle; /* worker.upstreams; pool.idle */
    enum upstream_state state;

    /* where to */
    uint16_t provider_id; /* stable: the pool's; ID_NONE: no provider's, it is used once */
    uint16_t port;
    bool allow_private, is_name;
    uint64_t print;
    struct trust *trust;
    struct str host; /* of the snapshot of the request that dials; NULL afterwards */
    struct tick_address address[SHM_ADDRESSES];
    unsigned address_n, address_next;
    uint64_t resolve_until_ms;
    struct deadline step; /* next address; end of FINISH */

    /* the connection */
    struct wire *wire; /* the one in use */
    struct wire *dialling[UPSTREAM_WIRES];
    struct tls *tls;
    bool reused, paused, eof, closed_cleanly, got_bytes;
    bool redial; /* the handshake failed in a way that the next one will not */
    uint64_t opened_ms, idle_since_ms;

    /* the answer under way */
    struct http1 in;
    struct str fresh; /* view into the read buffer: only inside the read callback */
    struct buf left;  /* plain bytes not yet parsed */
    bool ended;       /* the message is complete */
    enum weir_err err;
    char detail[64];
    size_t finish_bytes;
};

/* From the pool or newly dialled. FACT_UP_CONNECTED follows, at once for a pooled one; or FACT_UP_FAILED with err and detail.
 * fresh: a pooled connection has just failed this request. */
struct upstream *upstream_open(struct request *r, bool fresh);

/* Somebody else's server, for one exchange. Whoever gives the addresses has looked at each: no other is dialled. */
struct upstream_place {
    struct str host; /* for TLS; lives until FACT_UP_CONNECTED */
    uint16_t port;
    struct trust *trust; /* NULL: without TLS */
    const struct tick_address *address;
    unsigned address_n; /* 1 to SHM_ADDRESSES */
};
struct upstream *upstream_open_to(struct request *r, const struct upstream_place *place);

/* After upstream_open() of one that is not pooled: begins. May end in FACT_UP_FAILED at once. */
void upstream_dial(struct upstream *u);

/* The whole request; views are used up when it returns. */
void upstream_send(struct upstream *u, const struct str *piece, unsigned n);

enum upstream_event { UPSTREAM_MORE, UPSTREAM_HEAD, UPSTREAM_BODY, UPSTREAM_END, UPSTREAM_FAILED };
/* Pulls the next event out of what has arrived. Body bytes are a view until the next call. */
enum upstream_event upstream_next(struct upstream *u, struct str *ret_body);

void upstream_pause(struct upstream *u);
void upstream_resume(struct upstream *u);

/* The request is through with it: to the pool where that is safe, else closed. */
void upstream_release(struct upstream **up);
void upstream_close(struct upstream **up);
void upstream_free_bufs(void *u);
void wire_free_bufs(void *x);
