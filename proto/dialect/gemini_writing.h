/* gemini_writing.h — between the two files that write a generateContent request
 * Owns:     nothing.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    WEIR_UNSUPPORTED with a text that names the place.
 * Not here: everything else. */
#pragma once

#include "proto/dialect/gemini.h"
#include "proto/dialect/model_traits.h"

struct turns;

struct gemini_writing {
    struct chat *chat;
    const struct target_hints *hints;
    struct buf *out;
    struct loss *loss;
    struct arena *arena;
    struct str *ret_why;
    struct gemini_traits traits;
};

void gemini_write_system(struct gemini_writing *w, const struct turns *turns); /* with its key; nothing if empty */
enum weir_err gemini_write_turns(struct gemini_writing *w, const struct turns *turns);
/* What Gemini is told instead of a tool's name that it would not take. */
struct str gemini_tool_name(struct gemini_writing *w, struct str name);
