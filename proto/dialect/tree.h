/* tree.h — JSON trees of bodies and events: yyjson with raw numbers, on an arena, within a cap
 * Owns:     nothing; the tree lives in the arena.
 * Process:  any; sans-I/O.
 * Memory:   the arena, at most TREE_BYTES_PER_BYTE times the text and never above TREE_MAX_BYTES.
 * Fails:    tree_read() says why and where; the accessors take NULL and wrong types and give nothing.
 * Not here: the check of grammar and depth (wire/json.h), which every text passes first. */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"

#include <yyjson.h>

/* yyjson takes 16 bytes a value; "[0,0,…]" has one value every two bytes, and growing by copy in an arena costs as much again.
 * For a body of 32 MiB it asks at once for 2.7 times that and a copy; what it does not use of it is never touched. */
enum { TREE_BYTES_PER_BYTE = 32, TREE_SLACK_BYTES = 64 * 1024, TREE_MAX_BYTES = 160 * 1024 * 1024 };

/* WEIR_BAD_JSON with a text that names the byte, or WEIR_TOO_LARGE. */
enum weir_err tree_read(struct str text, struct arena *a, yyjson_val **ret_root, struct str *ret_why);

struct str tree_str(yyjson_val *v);               /* a string's text; empty for anything else */
struct str tree_num(yyjson_val *v);               /* a number's text, as it stood; empty for anything else */
bool tree_i64(yyjson_val *v, int64_t *ret_value); /* integers only ("5", "5.0" and "5e0" are; "5.5" is not) */

yyjson_val *tree_member(yyjson_val *o, struct str k); /* NULL also for a member that is null */
int64_t tree_member_i64(yyjson_val *o, struct str k);
int8_t tree_member_bool(yyjson_val *o, struct str k);

/* The same by a literal, inline: the compiler knows its length, and looking for it at run time costs as much as the comparison. */
static inline yyjson_val *tree_get(yyjson_val *o, const char *k)
{
    return tree_member(o, (struct str){k, strlen(k)});
}
static inline struct str tree_get_str(yyjson_val *o, const char *k)
{
    return tree_str(tree_member(o, (struct str){k, strlen(k)}));
}
static inline int64_t tree_get_i64(yyjson_val *o, const char *k) /* -1: absent or no integer */
{
    return tree_member_i64(o, (struct str){k, strlen(k)});
}
static inline int8_t tree_get_bool(yyjson_val *o, const char *k) /* -1: absent or no boolean */
{
    return tree_member_bool(o, (struct str){k, strlen(k)});
}

/* A value as JSON text without blanks: numbers as they stood, keys in their order. */
void tree_emit(struct buf *out, yyjson_val *v);
struct str tree_text(yyjson_val *v, struct arena *a);
