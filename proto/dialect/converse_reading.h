/* converse_reading.h — between the two files that read a Converse request
 * Owns:     nothing.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    with an error code and ret_why.
 * Not here: the top level's members (converse_read.c). */
#pragma once

#include "proto/dialect/converse.h"

struct converse_reading {
    struct arena *arena;
    struct chat *chat;
    struct str *ret_why;
    struct str member; /* the top level's, under way */
    struct message **messages_end;
    bool assistant; /* whose message is under way */
};

void converse_reading_demand(struct converse_reading *r, struct str what);
enum weir_err converse_reading_system(struct converse_reading *r, yyjson_val *v);
enum weir_err converse_reading_messages(struct converse_reading *r, yyjson_val *v);
enum cache_mark converse_reading_cache(yyjson_val *point); /* of a cachePoint's value */

/* Formats of media, both ways. NULL or empty: not known. */
const char *converse_media_type(struct str format);
const char *converse_format(struct str media_type);
