/* anthropic_blocks.h — between the two files that read a Messages request
 * Owns:     nothing.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    WEIR_BAD_REQUEST with a text that names the place.
 * Not here: everything else. */
#pragma once

#include "proto/dialect/chat.h"

#include <yyjson.h>

struct anthropic_reading {
    struct arena *arena;
    struct chat *chat;
    struct str *ret_why;
    struct str member; /* the top level's, under way */
    struct message **messages_end;
    bool assistant; /* whose message is under way */
};

enum weir_err anthropic_reading_system(struct anthropic_reading *r, yyjson_val *v);
enum weir_err anthropic_reading_messages(struct anthropic_reading *r, yyjson_val *v);
void anthropic_reading_demand(struct anthropic_reading *r, struct str what);
enum cache_mark anthropic_reading_cache(yyjson_val *holder);
