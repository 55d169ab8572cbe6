/* conn.h — one connection to a fake provider: reads calls, has them answered, tells the answer at its pace
 * Owns:     struct conn from accept to the last close callback.
 * Process:  weir-fake; one loop.
 * Memory:   heap; bufs and the program are reused by the calls of the connection.
 * Fails:    a broken request is answered 400 and the connection closed.
 * Not here: what is answered (answer_call in serve.c), how (program.c). */
#pragma once

#include "proto/wire/http1.h"
#include "tools/fake/provider.h"

struct tls_peer;

struct conn {
    struct provider *provider;
    uv_tcp_t tcp;
    uv_timer_t timer;
    unsigned handles; /* not closed yet */
    struct tls_peer *tls;

    /* in */
    struct http1 parser;
    struct buf in;   /* plain bytes not parsed yet */
    struct buf body; /* of the request under way */
    bool reading_body;

    /* the call under way */
    struct arena arena;
    struct answer answer;
    struct program program;
    struct call *call; /* NULL between calls and for control requests */
    bool playing;
    size_t step, sent;
    bool waited; /* the delay of `step` is over */

    /* out */
    uv_write_t write;
    bool writing;
    struct buf out; /* what write points into, when it is not the program */

    bool closing, leaving; /* leaving: our FIN is out, the other side's is awaited */
};

void conn_on_connection(uv_stream_t *server, int status);

/* serve.c: fills c->answer and c->program for the request that is complete (or, early, whose head is). */
void serve(struct conn *c, const struct http1_head *head, struct str body);
bool serve_early(struct conn *c, const struct http1_head *head); /* true: there is an answer already */
/* control.c: true when the path was one of ours and c->answer is filled. */
bool control(struct provider *of, const struct http1_head *head, struct str body, struct answer *out);
struct provider *provider_named(struct str name); /* main.c; NULL: none */
