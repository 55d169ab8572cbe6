/* converse.h — what converse_read.c and converse_write.c share
 * Owns:     nothing.
 * Process:  weir-fake; pure.
 * Memory:   as dialect.h.
 * Fails:    as dialect.h.
 * Not here: the table that others use (dialect.h, fake_converse). */
#pragma once

#include "tools/fake/dialect.h"

bool converse_is_path(struct str path); /* /model/ID/converse, /model/ID/converse-stream */

void converse_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
void converse_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
void converse_write_error(const struct refusal *refusal, struct answer *out);
void converse_write_error_event(struct str error, struct buf *out);
