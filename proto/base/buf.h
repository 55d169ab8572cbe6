/* buf.h — bytes in transit: append at the end, consume at the front
 * Owns:     its heap block. buf_fini() gives it back; buf_clear() keeps the capacity for the next use.
 * Process:  any; one owner, no locks.
 * Memory:   grows by doubling; a buf that is reused stops allocating. Out of memory ends the process: limits on
 *           bodies, heads and queues are what bounds a buf, and they are checked by who fills it.
 * Fails:    never.
 * Not here: parsing; memory that dies with a request (arena.h). */
#pragma once

#include "proto/base/str.h"

#include <stdarg.h>
#include <string.h>

struct buf {
    char *p;     /* start of the block */
    size_t head; /* bytes consumed at the front */
    size_t len;  /* end of the content; content is [head, len) */
    size_t cap;
};

void buf_init(struct buf *b);                      /* same as an all-zero struct */
void buf_fini(struct buf *b);                      /* frees; b is empty and usable afterwards */
void buf_clear(struct buf *b);                     /* forgets the content, keeps the block */
void buf_shrink(struct buf *b, size_t keep_bytes); /* empty and larger than keep_bytes: gives the block back */

struct str buf_view(const struct buf *b); /* until the next call that changes b */
size_t buf_len(const struct buf *b);

/* Room for at least n bytes behind the content; write there, then buf_commit() what was written. */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);
void buf_consume(struct buf *b, size_t n);  /* n <= buf_len(b) */
void buf_truncate(struct buf *b, size_t n); /* keeps the first n bytes of the content */

/* Inline: most additions are small and find room. */
static inline void buf_add(struct buf *b, struct str s)
{
    if (s.n == 0) return;
    char *to = b->cap - b->len >= s.n ? b->p + b->len : buf_reserve(b, s.n);
    memcpy(to, s.p, s.n);
    b->len += s.n;
}
void buf_addz(struct buf *b, const char *cstr);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_addv(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void buf_add_i64(struct buf *b, int64_t v);
void buf_add_u64(struct buf *b, uint64_t v);

/* s as the inside of a JSON string: quotes, backslash and C0 escaped, invalid UTF-8 replaced by U+FFFD. No quotes around. */
void buf_add_json(struct buf *b, struct str s);
/* the same with quotes around */
void buf_add_json_str(struct buf *b, struct str s);
