/* responses.h — what responses_read.c and responses_write.c share
 * Owns:     nothing.
 * Process:  weir-fake; pure.
 * Memory:   as dialect.h.
 * Fails:    as dialect.h.
 * Not here: the table that others use (dialect.h, fake_responses); stored responses: nothing is kept, so ids of earlier ones are unknown. */
#pragma once

#include "tools/fake/dialect.h"

/* How everything begins that this provider encrypted; it takes nothing else back. */
#define RESPONSES_SECRET "gAAAAABFake"

bool responses_is_custom(const struct ask *ask, struct str tool);
void responses_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
void responses_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
void responses_write_error_event(struct str error, struct buf *out);
