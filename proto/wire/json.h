/* json.h — the top level of a JSON object without a tree: find members, splice bytes
 * Owns:     nothing; views into the text.
 * Process:  any; pure.
 * Memory:   none, whatever the size of the text.
 * Fails:    json_scan() says what and at which byte; depth above JSON_MAX_DEPTH is refused before any other parser sees the text.
 * Not here: trees (yyjson inside dialect/). */
#pragma once

#include "proto/base/buf.h"
#include "proto/base/str.h"

enum { JSON_MAX_DEPTH = 128, JSON_MAX_PATCHES = 16 };

struct json_member {
    struct str key;   /* unescaped; the view is into the text when it had no escapes, else into *scratch */
    struct str value; /* the value's bytes, as they stand */
    size_t at;        /* offset of the key's opening quote */
};

struct json_error {
    const char *what; /* static text */
    size_t at;        /* byte offset */
};

/* Strict RFC 8259 check of the whole text (grammar, UTF-8, depth, one value, no BOM) in one pass.
 * SIMD where it pays. true: valid; *ret_depth gets the deepest nesting. */
bool json_check(struct str text, unsigned *ret_depth, struct json_error *ret_error);

/* Members of the top-level object one by one. Start with *at = 0; false at the end (or not an object). The text must have passed json_check(). */
bool json_next_member(struct str text, size_t *at, struct json_member *ret_member, struct buf *scratch);

enum json_find { JSON_ABSENT, JSON_FOUND, JSON_TWICE };
/* By unescaped key. JSON_TWICE: refuse; two parsers would disagree about which one counts. */
enum json_find json_find(struct str object, const char *key, struct str *ret_value, struct buf *scratch);

/* A JSON string's content (value with its quotes) unescaped into out. false: not a string. */
bool json_unquote(struct str value, struct buf *out);
bool json_is_true(struct str value);

/* One change of the top level. key's value is replaced by `value` (raw JSON); absent: added at the end; value.p NULL: removed. */
struct json_patch {
    const char *key;
    struct str value;
};
/* Every byte that is not patched stays as it was. false: not an object. */
bool json_splice(struct str object, const struct json_patch *patch, unsigned n, struct buf *out);
