/* openai_chat_turns.h — between the two files that write a chat completions request
 * Owns:     nothing.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    WEIR_UNSUPPORTED with a text that names the place.
 * Not here: everything else. */
#pragma once

#include "proto/dialect/chat.h"
#include "proto/dialect/model_traits.h"

struct turns;

struct openai_writing {
    struct chat *chat;
    const struct target_hints *hints;
    struct buf *out;
    struct loss *loss;
    struct arena *arena;
    struct str *ret_why;
    struct openai_traits traits;
};

enum weir_err openai_write_turns(struct openai_writing *w, const struct turns *turns);
