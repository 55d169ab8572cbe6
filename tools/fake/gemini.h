/* gemini.h — what gemini_read.c and gemini_write.c share
 * Owns:     nothing.
 * Process:  weir-fake; pure.
 * Memory:   as dialect.h.
 * Fails:    as dialect.h.
 * Not here: the table that others use (dialect.h, fake_gemini). */
#pragma once

#include "tools/fake/dialect.h"

/* How every signature of this provider begins; it takes no others back but the word that says "a call that I did not make". */
#define GEMINI_SIGNATURE "CiQBFake"
#define GEMINI_SKIP      "skip_thought_signature_validator"

void gemini_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
void gemini_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
void gemini_write_error(const struct refusal *refusal, struct answer *out);
void gemini_write_error_event(struct str error, struct buf *out);
