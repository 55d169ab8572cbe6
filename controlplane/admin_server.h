/* admin_server.h — the Unix socket that the CLI asks: connections, frames, deadlines; commands live elsewhere
 * Owns:     the socket file, at most ADMIN_CONNECTIONS connections, and each call until it is answered.
 * Process:  control plane, loop thread.
 * Memory:   one heap block per connection, freed in the last close callback.
 * Fails:    a peer of another user is closed before a byte of it is read; a slow, lying or silent peer is closed at its deadline.
 * Not here: what a command does (admin_commands.c), the frame's format (proto/admin/message.h). */
#pragma once

#include "proto/admin/message.h"

#include <uv.h>

enum { ADMIN_CONNECTIONS = 16, ADMIN_DEADLINE_MS = 5000 };

struct admin_server;

/* One request of a client; lives until it has been answered (admin_call_end without `more`, or admin_call_fail). */
struct admin_call {
    struct str cmd;
    const msgpack_object *args; /* NULL: none */
    void *user;                 /* the command's own state for answers that come later */
    void (*on_gone)(
        struct admin_call *c); /* the peer left before the last answer: drop `user`, do not answer any more */
    /* private */
    struct admin_connection *connection;
    struct admin_out out;
    bool more;
};

typedef void (*admin_handler)(void *context, struct admin_call *call);

/* Listens at path (0600 from its first moment; a stale socket of ours is replaced, anything else is left alone and refused).
 * NULL with a text in *ret_why. */
struct admin_server *admin_server_start(uv_loop_t *loop, const char *path, admin_handler on_call, void *context,
                                        const char **ret_why);
/* Closes all; *s is NULL at once, memory dies in the close callbacks. */
void admin_server_stop(struct admin_server **s);

/* Opens an answer and returns the packer: pack exactly one value, the reply's `data`, then admin_call_end(). */
msgpack_packer *admin_call_begin(struct admin_call *c, bool more);
void admin_call_end(struct admin_call *c);
/* exit_code: what the CLI ends with (ux: 1 failed, 2 usage, 3 not allowed, 4 not found, 5 conflict). hint may be NULL. */
void admin_call_fail(struct admin_call *c, int exit_code, struct str error, const char *hint);
/* A streaming call must hold back while the peer is not reading. */
bool admin_call_is_clogged(const struct admin_call *c);
