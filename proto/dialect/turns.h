/* turns.h — a conversation brought into the order that strict providers demand
 * Owns:     nothing; parts are copied, their texts are the hub's.
 * Process:  any; pure.
 * Memory:   the arena given in.
 * Fails:    WEIR_BAD_REQUEST with a text, when one turn has too many calls.
 * Not here: what a dialect makes of it (…_write.c). */
#pragma once

#include "proto/dialect/chat.h"

enum { TURN_CALLS_MOST = 512 }; /* pairing is quadratic */

/* What holds afterwards: leading system parts stand apart; user and assistant turns alternate (merged where they did not);
 * a user turn begins with the results of the calls of the turn before it, one for each call and none for others: a call
 * without a result gets one that says so, a result without a call became text; no turn is empty.
 * mid_system: system messages inside the conversation stay turns of their own; else they become marked user text. */
struct turns {
    struct parts system;
    struct message *first, *last;
};

enum weir_err turns_build(const struct chat *chat, bool mid_system, struct arena *a, struct turns *ret_turns,
                          struct str *ret_why);

/* A trailing assistant message is continued by some models, which mind blanks at its end. */
void turns_trim_end(const struct turns *turns);
