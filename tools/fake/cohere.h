/* cohere.h — what cohere_read.c and cohere_write.c share, and the endpoints of Cohere's that are no chat
 * Owns:     nothing.
 * Process:  weir-fake; pure.
 * Memory:   as dialect.h.
 * Fails:    as dialect.h.
 * Not here: the table that others use (dialect.h, fake_cohere). */
#pragma once

#include "tools/fake/dialect.h"

void cohere_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
void cohere_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
void cohere_write_error(const struct refusal *refusal, struct answer *out);
void cohere_write_error_event(struct str error, struct buf *out);
