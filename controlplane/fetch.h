/* fetch.h — one HTTP request out of the control plane, one answer, one deadline
 * Owns:     the request's bytes and its connection, until the callback or fetch_cancel(). No connection is kept.
 * Process:  control plane, loop thread. Names are looked up in libuv's thread pool.
 * Memory:   one heap block and the answer's body up to body_limit.
 * Fails:    the callback is called once, with an error and a text, or with an answer of any status. Redirects are answers: nothing is
 *           followed. Plain http goes only to an address that the URL names, or to a name that leads to loopback or link-local
 *           addresses alone (metadata services). Proxies of the environment are not used: metadata must not go through them.
 * Not here: retries (the caller's), connections of workers. */
#pragma once

#include "proto/base/err.h"
#include "proto/wire/http1.h"
#include "proto/wire/tls.h"

#include <uv.h>

enum { FETCH_BODY_BYTES = 256 * 1024, FETCH_DEADLINE_MS = 10000, FETCH_ADDRESSES = 4 };

struct fetch_request { /* views; copied */
    struct str method; /* empty: GET */
    struct str url;    /* "https://host[:port]/path?query", sent as it stands */
    struct str
        headers; /* whole lines, as http1_write_header() writes them; Host, Connection and Content-Length are added */
    struct str body;         /* sent with its Content-Length unless the method is GET */
    uint32_t deadline_ms;    /* for everything; 0: FETCH_DEADLINE_MS */
    uint32_t body_limit;     /* of the answer, bytes; 0: FETCH_BODY_BYTES */
    struct tls_trust *trust; /* for https */
};

struct fetch_answer {              /* valid during the callback */
    enum weir_err err;             /* WEIR_OK: there is an answer, of whatever status */
    const char *why;               /* of err, for people */
    uint16_t status;               /* 0 with an error */
    const struct http1_head *head; /* NULL with an error */
    struct str body;
};

typedef void (*fetch_done)(void *context, const struct fetch_answer *answer);

struct fetch;

/* The callback comes later, from the loop, also for a URL that cannot be. */
struct fetch *fetch_start(uv_loop_t *loop, const struct fetch_request *request, fetch_done done, void *context);
void fetch_cancel(struct fetch **f); /* no callback any more; NULL is fine */
