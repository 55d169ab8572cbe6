/* str.h — views of text, and the comparisons everything else is made of
 * Owns:     nothing; a struct str is a view into somebody else's bytes, valid as long as those are.
 * Process:  any; pure.
 * Memory:   none is allocated.
 * Fails:    parsers return false and leave their output untouched.
 * Not here: bytes that grow (buf.h), memory (arena.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p; /* not NUL-terminated; may be NULL when n is 0 */
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NULL     ((struct str){NULL, 0})
/* for printf("%.*s", STR_FMT(s)) */
#define STR_FMT(s)   (int)(s).n, (s).p

struct str str_of(const char *cstr);                        /* NULL gives the empty view */
struct str str_slice(struct str s, size_t from, size_t to); /* clamped to s */
struct str str_trim(struct str s);                          /* blanks and tabs at both ends: HTTP's OWS */
bool str_is_blank(struct str s);                            /* nothing but JSON's white space; also empty */

bool str_ieq_bytes(const char *a, const char *b, size_t n);
static inline bool str_ieq(struct str a,
                           struct str b) /* ASCII letters only; most differ in length or in the first one */
{
    return a.n == b.n && (a.n == 0 || (((a.p[0] ^ b.p[0]) & ~0x20) == 0 && str_ieq_bytes(a.p, b.p, a.n)));
}
/* Inline: nearly all comparisons are with a literal, whose length the compiler knows, and most are decided by it. */
static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool str_is(struct str a, const char *cstr)
{
    return str_eq(a, (struct str){cstr, strlen(cstr)});
}
static inline bool str_iis(struct str a, const char *cstr)
{
    size_t n = strlen(cstr);
    return a.n == n && str_ieq(a, (struct str){cstr, n});
}
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_contains(struct str s, struct str needle);
bool str_icontains(struct str s, struct str needle);
ptrdiff_t str_find(struct str s, struct str needle); /* -1: not there */
ptrdiff_t str_chr(struct str s, char c);             /* -1: not there */
ptrdiff_t str_rchr(struct str s, char c);

/* Splits at the first `sep`: returns what stands before it and moves *s behind it; without a `sep` returns all and empties *s. */
struct str str_split(struct str *s, char sep);

/* Digits only, no sign, no blanks, no overflow. */
bool str_u64(struct str s, uint64_t *ret_value);
bool str_i64(struct str s, int64_t *ret_value); /* one leading '-' allowed */

/* '*' matches any run of characters, everything else itself; linear in |pattern| x |s|, no recursion. */
bool str_glob(struct str pattern, struct str s);

/* Same time whatever the content: for secrets and their hashes. Different lengths differ at once. */
bool str_ct_eq(struct str a, struct str b);

/* Edit distance for "did you mean", counted up to `max` (then max + 1). Both at most 64 bytes, longer ones are max + 1 apart. */
unsigned str_distance(struct str a, struct str b, unsigned max);

/* FNV-1a, for telling texts apart where nobody attacks; begin with STR_HASH, go on with what the text before gave. */
#define STR_HASH UINT64_C(0xCBF29CE484222325)
uint64_t str_hash(uint64_t h, struct str s);
