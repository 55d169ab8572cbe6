/* converse_writing.h — between the two files that write a Converse request
 * Owns:     nothing.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    with an error code and ret_why.
 * Not here: the top level's members (converse_write.c). */
#pragma once

#include "proto/dialect/converse.h"
#include "proto/dialect/model_traits.h"

struct turns;

struct document_name {
    struct document_name *next;
    struct str name;
};

struct converse_writing {
    struct chat *chat;
    const struct target_hints *hints;
    struct buf *out;
    struct loss *loss;
    struct arena *arena;
    struct str *ret_why;
    struct converse_traits traits;
    struct claude_traits claude;
    struct document_name *documents; /* written so far: their names must differ */
    unsigned document_count;
};

/* Reasoning that Bedrock made gets its signature back, all other becomes foreign. */
void converse_adopt_reasoning(struct turns *turns);
void converse_write_system(struct converse_writing *w, const struct turns *turns); /* with its key; nothing if empty */
enum weir_err converse_write_turns(struct converse_writing *w, const struct turns *turns);
void converse_write_cache(struct converse_writing *w, enum cache_mark mark); /* ,{"cachePoint":{…}} */
