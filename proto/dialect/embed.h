/* embed.h — embeddings asked for in OpenAI's form and made by Gemini, and the other way round
 * Owns:     nothing.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in; one tree of the answer.
 * Fails:    an error code and a text; input that the other side cannot take (token numbers, pictures) is refused.
 * Not here: calls that stay in their form (passed.h).
 *
 * Vectors are texts on their way: a number is written with the digits it came with, but for base64, which holds 32-bit floats. */
#pragma once

#include "proto/dialect/exchange.h"

/* The dialect in which another provider can serve this endpoint; false: there is none. */
bool embed_other_dialect(const struct endpoint *e, enum dialect_id *ret_target);

/* exchange.c: x->passed is the client's endpoint, x->target the other dialect. Sets x->tail, the path at the provider. */
enum weir_err embed_request(struct exchange *x, struct str body, struct buf *out, struct str *ret_why);
enum weir_err embed_answer(struct exchange *x, struct str body, struct buf *out);
