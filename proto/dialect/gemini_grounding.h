/* gemini_grounding.h — grounding metadata of a Gemini candidate, both ways
 * Owns:     nothing; what is gathered lies in the arena.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in; at most CITATIONS_MOST supports.
 * Fails:    never; an offset outside of the text makes a citation one of the whole text.
 * Not here: the hub's form (citation.h), the rest of a candidate (gemini_answer.c). */
#pragma once

#include "proto/dialect/citation.h"

#include <yyjson.h>

/* text: all of the answer's so far, thoughts aside. parts: of the candidate, where it is whole, else NULL. Spans are of that text. */
void gemini_read_grounding(yyjson_val *candidate, const struct text_map *text, yyjson_val *parts,
                           void (*found)(void *to, const struct citation *c), void *to);

struct gemini_grounding {
    struct grounding_chunk *chunks;
    struct grounding_support *supports, **supports_end;
    unsigned chunks_n, n;
};
/* from, to: bytes, of that part of the candidate; 0 also where a stream's text is counted through. */
void gemini_grounding_add(struct gemini_grounding *g, struct arena *a, const struct citation *c, int64_t from,
                          int64_t to, int part);
/* As a member with a comma before it; nothing where nothing was added. */
void gemini_grounding_write(const struct gemini_grounding *g, struct buf *out);
