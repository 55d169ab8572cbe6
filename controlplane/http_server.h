/* http_server.h — the admin HTTP port: GET and HEAD only, for probes and Prometheus
 * Owns:     the listening sockets and at most HTTP_CONNECTIONS connections.
 * Process:  control plane, loop thread.
 * Memory:   one heap block per connection, freed in the last close callback.
 * Fails:    bad HTTP gets 400 and a closed connection; a slow peer is closed at its deadline.
 * Not here: what the pages say (health.c, metrics), any verb that changes something (admin_server.h). */
#pragma once

#include "proto/base/buf.h"

#include <uv.h>

enum { HTTP_CONNECTIONS = 64, HTTP_DEADLINE_MS = 10000 };

struct http_answer {
    uint16_t status;
    const char *content_type; /* static text */
    struct buf body;
};

/* Fills the answer for the path (without query); 404 by leaving status 0. */
typedef void (*http_handler)(void *context, struct str path, struct http_answer *answer);

struct http_server;
/* address: "127.0.0.1:8491" or "[::1]:8491". NULL with a text; UV_EADDRINUSE is told by *ret_in_use. */
struct http_server *http_server_start(uv_loop_t *loop, const char *address, http_handler on_get, void *context,
                                      bool *ret_in_use, const char **ret_why);
/* The port really bound (for ":0"). */
uint16_t http_server_port(const struct http_server *s);
void http_server_stop(struct http_server **s);
