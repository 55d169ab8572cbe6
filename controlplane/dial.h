/* dial.h — one connection out of the control plane: TCP, and TLS where it is asked for
 * Owns:     its socket and handles; the owner's pointer is dead after on_end() or dial_close(), the memory a loop later.
 * Process:  control plane, loop thread; its own sockets, apart from the workers' pools.
 * Memory:   one heap block, and mbedTLS's for a TLS connection; what is written waits in one buf.
 * Fails:    on_end() with an error and a text, once; never after dial_close().
 * Not here: names (resolver.h, fetch.c), HTTP (fetch.h), deadlines behind the opening (the owner's). */
#pragma once

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/tls.h"

#include <uv.h>

struct dial_to {
    int family;     /* 4 or 6 */
    uint8_t ip[16]; /* network order; IPv4 in the first four */
    uint16_t port;
    struct str host;         /* with trust: the name the certificate must be for */
    struct tls_trust *trust; /* NULL: plain; kept by the connection */
    uint32_t open_ms;        /* to connect and shake hands */
};

struct dial_events {
    void (*on_open)(void *context);                    /* dial_write() may be called from here on */
    void (*on_bytes)(void *context, struct str bytes); /* NULL: nothing is read */
    /* It is over: WEIR_OK where the peer closed properly, else what went wrong. */
    void (*on_end)(void *context, enum weir_err err, const char *why);
};

struct dial;

/* Any event comes later, from the loop. */
struct dial *dial_open(uv_loop_t *loop, const struct dial_to *to, const struct dial_events *events, void *context);
void dial_write(struct dial *d, struct str bytes); /* copied */
void dial_close(struct dial **d);                  /* no event comes any more; NULL is fine */
