/* http.h — one HTTP/1.1 request and its answer, for verbs that call what runs on this machine
 * Owns:     struct http_reply: the parser with the head, the body, the connection while it asks.
 * Process:  weir (CLI); blocking, with a deadline over all of it. A signal ends the wait.
 * Memory:   heap, freed by http_reply_fini(); http_reply_header() points into the reply.
 * Fails:    http_ask() false with a text in reply->why; a 4xx or 5xx is an answer, not a failure.
 * Not here: TLS, redirects, names other than IP literals: nothing of that is on loopback. */
#pragma once

#include "proto/wire/http1.h"

struct http_question {
    const char *endpoint; /* "http://127.0.0.1:8490", "http://[::1]:8490" or "unix:/path" */
    const char *method, *path;
    const char *headers; /* further header lines, each with CRLF; NULL: none */
    struct str body;
    unsigned timeout_ms;
};

struct http_reply {
    struct http1 http;
    struct buf body;
    unsigned status;
    uint64_t us; /* from the connect to the last byte */
    char why[160];
};

bool http_ask(const struct http_question *q,
              struct http_reply *ret_reply); /* fills it; call http_reply_fini() in any case */
struct str http_reply_header(const struct http_reply *r, const char *name); /* empty: absent */
void http_reply_fini(struct http_reply *r);
