/* outbox.h — bytes on their way into one socket: tried at once, queued when the kernel is full
 * Owns:     the bytes that the kernel has not taken. One uv_write at a time; what comes meanwhile waits in a second buf.
 * Process:  worker only.
 * Memory:   two bufs that are reused; they hold something only while the peer is slower than we are.
 * Fails:    a write error is told to `progress` as a libuv code (from the loop, never from inside outbox_write()).
 * Not here: closing the socket; deciding that a peer is too slow (client.c, relay.c). */
#pragma once

#include "proto/base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum { OUTBOX_PIECES = 8 };

struct outbox {
    uv_stream_t *stream;
    struct buf queue, busy; /* busy: under a uv_write */
    uv_write_t write;
    uint64_t given; /* bytes, since outbox_init() */
    bool writing;
    bool failed;                                    /* a write failed: nothing more is written */
    void (*progress)(struct outbox *o, int status); /* the busy bytes are written, or the write failed */
    void *owner;
};

/* Keeps the bufs of an earlier use. */
void outbox_init(struct outbox *o, uv_stream_t *stream, void (*progress)(struct outbox *o, int status), void *owner);
void outbox_fini(struct outbox *o); /* after the stream's close callback */

/* Takes all of the pieces (at most OUTBOX_PIECES). false: the socket is dead, nothing was taken. */
bool outbox_write(struct outbox *o, const struct str *piece, unsigned n);
size_t outbox_pending(const struct outbox *o); /* bytes that the kernel has not taken */

/* How far the peer has come, for comparing with a later look: bytes given that neither wait here nor lie in the kernel, less the
 * kernel's own overhead. Asks the kernel, which polls writable only when a good part of its buffer is free: a reader may be slow, and
 * yet nothing is taken for long. */
int64_t outbox_progress(const struct outbox *o);
