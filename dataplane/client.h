/* client.h — one connection of an app: its socket, its requests one after the other, its answers
 * Owns:     the socket, its timers, bytes that came too early and bytes that wait to be written. The request under way is
 *           reached through `r`; it never outlives the client.
 * Process:  worker only.
 * Memory:   slab; freed when the last handle is closed.
 * Fails:    client_close() is the only way out, at any moment; the request hears of it as FACT_GONE first.
 * Not here: parsing (proto/wire/http1), policy (request.c), the text of answers (reply.c). */
#pragma once

#include "dataplane/deadline.h"
#include "dataplane/outbox.h"
#include "proto/base/buf.h"
#include "proto/base/list.h"
#include "proto/base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct listener;
struct request;
struct worker;

enum client_state {
    CLIENT_IDLE,   /* between requests */
    CLIENT_READ,   /* a request is arriving */
    CLIENT_CALL,   /* it is whole; an answer is due */
    CLIENT_LINGER, /* answered, will be closed; what still arrives is thrown away */
    CLIENT_CLOSED,
};

/* Above HIGH the provider is not read any more, under LOW it is again. */
enum { CLIENT_HIGH_BYTES = 64 * 1024, CLIENT_LOW_BYTES = 16 * 1024 };

struct client {
    void *slab_link;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } s;
    struct worker *w;
    struct request *r;
    struct list link; /* worker.clients */
    enum client_state state;
    uint8_t handles; /* open ones */
    bool is_unix;
    bool reading;     /* the socket is being read */
    bool pumping;     /* inside client_pump() */
    bool close_after; /* close when the outbox is empty */
    bool half_closed; /* we have ended our direction */
    struct buf stash; /* came while a request was under way */
    struct outbox out;
    uv_shutdown_t end;
    struct deadline timer;      /* of the state; CLIENT_CALL and CLIENT_LINGER: the app does not read what is written */
    struct deadline call_timer; /* of the request: request.c */
    int64_t stall_progress;     /* the outbox's when the timer was set for a stall */
    size_t lingered_bytes;
};

void client_open(struct worker *w, struct listener *l);
void client_close(struct client *c);

/* Answer bytes. false: the socket is dead; the request will be told (or is being told). */
bool client_write(struct client *c, const struct str *piece, unsigned n);
size_t client_pending(const struct client *c);

/* The request is over and freed. keep: another may follow; else the connection ends once all is written, and after a request that did
 * not arrive whole what is still coming is taken for a while, for a close with unread bytes would destroy the answer on its way. */
void client_done(struct client *c, bool keep, bool whole);

void client_free_bufs(void *c);
