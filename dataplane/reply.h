/* reply.h — answers that weir makes itself: errors in the client's dialect, the list of models, hello
 * Owns:     nothing; bytes are made in the request's bufs and written to its client.
 * Process:  worker.
 * Memory:   the request's bufs.
 * Fails:    never; a client that is gone is told nothing.
 * Not here: answers of providers (relay.c), the words of a dialect (proto/dialect). */
#pragma once

#include "proto/base/buf.h"
#include "proto/base/str.h"

#include <stdint.h>

struct request;

/* The error of r->err as a whole answer, or as it came from the provider where that may pass. Commits the request's record first. */
void reply_error(struct request *r);
/* "weir: the text of the table: why" in the arena. */
struct str reply_error_message(struct request *r);

/* A count of tokens that no provider made, marked as an estimate. */
void reply_estimate(struct request *r);
/* GET /v1/models, hello, a browser's preflight. */
void reply_local(struct request *r);

/* Opens a head: status line, content-type, framing. length -1: chunked, or until the end of the connection for HTTP/1.0. The caller adds
 * lines and http1_write_end(). */
void reply_begin_head(struct request *r, uint16_t status, struct str content_type, int64_t length, struct buf *out);
