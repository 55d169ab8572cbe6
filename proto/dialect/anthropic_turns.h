/* anthropic_turns.h — between the two files that write a Messages request
 * Owns:     nothing.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    WEIR_UNSUPPORTED with a text that names the place.
 * Not here: everything else. */
#pragma once

#include "proto/dialect/chat.h"
#include "proto/dialect/model_traits.h"

struct turns;

struct anthropic_writing {
    struct chat *chat;
    const struct target_hints *hints;
    struct buf *out;
    struct loss *loss;
    struct arena *arena;
    struct str *ret_why;
    struct claude_traits traits;
};

void anthropic_write_system(struct anthropic_writing *w,
                            const struct turns *turns); /* with its key; nothing if empty */
enum weir_err anthropic_write_turns(struct anthropic_writing *w, const struct turns *turns);
void anthropic_write_cache(struct anthropic_writing *w, enum cache_mark mark); /* ,"cache_control":{…} */
