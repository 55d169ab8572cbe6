/* client_error.h — our own refusals in each dialect's shape
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   the buf given in.
 * Fails:    never.
 * Not here: which error it is (base/errors.tbl.h), the headers beside it (dataplane/reply.c).
 * Sources: OpenAI error reference; Anthropic API reference, errors; Gemini API, troubleshooting. */
#pragma once

#include "proto/base/buf.h"
#include "proto/base/err.h"

/* {"error":{"message","type","param","code"}} without line end */
void openai_error_write(enum weir_err e, struct str message, struct buf *out);
uint16_t openai_error_status(enum weir_err e);

/* {"type":"error","error":{"type","message"},"request_id"}; no request_id: left out */
void anthropic_error_write(enum weir_err e, struct str message, struct str request_id, struct buf *out);
uint16_t anthropic_error_status(enum weir_err e);

/* {"message"}; which exception it is stands in a header, or in a frame's */
void converse_error_write(enum weir_err e, struct str message, struct buf *out);
uint16_t converse_error_status(enum weir_err e);
const char *converse_exception(enum weir_err e);
const char *converse_exception_in_stream(enum weir_err e); /* the five that a stream may end with */

/* {"error":{"code","message","status","details"}} */
void gemini_error_write(enum weir_err e, struct str message, struct buf *out);
/* Puts when to come back into a body that was just written. */
void gemini_error_write_retry(uint64_t seconds, struct buf *out);
uint16_t gemini_error_status(enum weir_err e);
