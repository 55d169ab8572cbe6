/* openai.h — what openai_read.c and openai_write.c share
 * Owns:     nothing.
 * Process:  weir-fake; pure.
 * Memory:   as dialect.h.
 * Fails:    as dialect.h.
 * Not here: the table that others use (dialect.h, fake_openai). */
#pragma once

#include "tools/fake/dialect.h"

bool openai_is_custom(const struct ask *ask, struct str tool);
void openai_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
void openai_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
void openai_write_error(const struct refusal *refusal, struct answer *out);
void openai_write_error_event(struct str error, struct buf *out);
