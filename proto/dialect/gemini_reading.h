/* gemini_reading.h — between the two files that read a generateContent request
 * Owns:     nothing.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    WEIR_BAD_REQUEST with a text that names the place.
 * Not here: everything else. */
#pragma once

#include "proto/dialect/gemini.h"

struct gemini_reading {
    struct arena *arena;
    struct chat *chat;
    struct str *ret_why;
    struct message **messages_end, *last;
    struct tool **tools_end;
    unsigned calls;      /* named so far */
    struct parts calls_; /* of the last model turn: what results without an id are matched with */
    size_t room;         /* behind the text of the last part of a model turn */
};

void gemini_reading_demand(struct gemini_reading *r, struct str what);
enum weir_err gemini_reading_system(struct gemini_reading *r, yyjson_val *v);
enum weir_err gemini_reading_contents(struct gemini_reading *r, yyjson_val *v);
