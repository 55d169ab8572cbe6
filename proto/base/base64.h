/* base64.h — bytes as text, in both alphabets
 * Owns:     nothing; appends to the caller's buf.
 * Process:  any; pure.
 * Memory:   the buf's.
 * Fails:    base64_decode() with false; what it appended is taken back.
 * Not here: PEM (mbedTLS).
 * Source: RFC 4648 §4, §5. */
#pragma once

#include "proto/base/buf.h"

void base64_encode(struct str bytes, struct buf *out);     /* padded */
void base64_encode_url(struct str bytes, struct buf *out); /* '-' and '_', not padded: what JWT wants (RFC 7515 §2) */
/* Either alphabet, padded or not; no white space, no bits left over that are not 0. */
bool base64_decode(struct str text, struct buf *out);
