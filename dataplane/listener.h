/* listener.h — one listening socket of this worker
 * Owns:     the libuv handle around an inherited descriptor. The supervisor keeps the socket itself, so nothing is refused while a
 *           worker is replaced.
 * Process:  worker only.
 * Memory:   embedded in struct worker.
 * Fails:    listener_open() with a reason. When descriptors run out libuv gives up its spare one to accept and close what waits, so
 *           the loop does not spin; above server.max_connections a connection is told 503 and closed.
 * Not here: binding (dataplane/main.c), what clients say (client.c). */
#pragma once

#include <stdbool.h>
#include <uv.h>

struct worker;

struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } s;
    struct worker *w;
    bool is_unix;
    bool open;
};

bool listener_open(struct listener *l, struct worker *w, int fd, bool is_unix, const char **ret_why);
void listener_close(struct listener *l);
