/* stop_cut.h — stop sequences towards models that take none: the text is cut here
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   the arena given in.
 * Fails:    stop_cut_ask() says no where there are too many or too long ones to look for in every piece of text.
 * Not here: which model takes how many (the writers know).
 *
 * The provider writes on to its own end and is paid for that; what it says behind the sequence reaches nobody, and the answer ends
 * as if the provider had stopped there. The end of a text that may yet become a sequence waits for the next piece. */
#pragma once

#include "proto/dialect/chat.h"

/* For a writer that cannot send chat->stop: true, and the answer will be cut; false: they must be refused. */
bool stop_cut_ask(struct chat *chat);

/* A whole answer. */
void stop_cut_answer(const struct chat *chat, struct answer *answer);

/* A stream; all zero at first. */
struct stop_cut {
    struct str held;     /* of the text part `part`: may be the beginning of a sequence */
    unsigned part, seen; /* seen: parts opened so far */
    bool is_cut;
    struct str matched;
};
/* true: *d must not go out; *ret_first and *ret_second go out instead; kind DELTA_ERROR: nothing. */
bool stop_cut_take(struct stop_cut *s, const struct chat *chat, const struct delta *d, struct arena *a,
                   struct delta *ret_first, struct delta *ret_second);
