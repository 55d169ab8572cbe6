/* fields.h — members of the small JSON objects that credentials come in, and bodies of forms
 * Owns:     nothing; texts are copied into the arena where they had escapes.
 * Process:  any; pure.
 * Memory:   the arena.
 * Fails:    false for what is absent, of another type, or there twice; fields_open() with what is wrong with the whole text.
 * Not here: large texts (wire/json.h), trees (dialect/). */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"

enum { FIELDS_MAX_BYTES = 256 * 1024 }; /* of a credential file or a token answer: a few KiB in practice */

/* The text is one JSON object: only then the others may be called. A BOM and white space around it are let go. */
bool fields_open(struct str text, struct str *ret_object, const char **ret_why);

bool fields_str(struct str object, const char *key, struct arena *a, struct str *ret_value);
bool fields_object(struct str object, const char *key, struct str *ret_object);
/* A whole number, or a string that holds one: providers send both. */
bool fields_u64(struct str object, const char *key, uint64_t *ret_value);
/* As fields_str(), empty when there is none. */
struct str fields_text(struct str object, const char *key, struct arena *a);

/* "&name=value" (without the '&' in front of the first), value escaped. Source: WHATWG URL, application/x-www-form-urlencoded; a
 * blank is sent as %20, which every server reads. An empty value is left out. */
void form_add(struct buf *out, const char *name, struct str value);

/* A provider's words about a failure, for people: printable ASCII only, at most `max` bytes. */
struct str plain_words(struct str text, size_t max, struct arena *a);
