/* sample.h — a JSON value that follows a schema
 * Owns:     nothing.
 * Process:  weir-fake; pure.
 * Memory:   appends to the caller's buf.
 * Fails:    never; what it does not know becomes the string "x". Depth is limited, so a recursive schema ends in null.
 * Not here: validating. */
#pragma once

#include "proto/base/buf.h"

#include <yyjson.h>

/* word: used for strings, so that two calls of one tool differ. Every property is given, not only the required ones. */
void sample_json(yyjson_val *schema, const char *word, struct buf *out);
