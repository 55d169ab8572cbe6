/* ollama.h — what ollama_read.c and ollama_write.c share
 * Owns:     nothing.
 * Process:  weir-fake; pure.
 * Memory:   as dialect.h.
 * Fails:    as dialect.h.
 * Not here: the table that others use (dialect.h, fake_ollama). */
#pragma once

#include "tools/fake/dialect.h"

void ollama_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
void ollama_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
void ollama_write_error(const struct refusal *refusal, struct answer *out);
void ollama_write_error_event(struct str error, struct buf *out);
