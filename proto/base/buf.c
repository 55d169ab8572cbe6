#include "proto/base/buf.h"

#include "proto/base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 256 };

void buf_init(struct buf *b)
{
    *b = (struct buf){0};
}

void buf_fini(struct buf *b)
{
    free(b->p);
    buf_init(b);
}

void buf_clear(struct buf *b)
{
    b->head = b->len = 0;
}

void buf_shrink(struct buf *b, size_t keep_bytes)
{
    if (buf_len(b) == 0 && b->cap > keep_bytes) buf_fini(b);
}

struct str buf_view(const struct buf *b)
{
    return b->p == NULL ? STR_NULL : (struct str){b->p + b->head, b->len - b->head};
}

size_t buf_len(const struct buf *b)
{
    return b->len - b->head;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->cap - b->len >= n && b->p != NULL) return b->p + b->len;
    size_t used = b->len - b->head;
    if (b->head > 0) { /* moving the content to the front may be enough, and costs less than growing */
        memmove(b->p, b->p + b->head, used);
        b->head = 0;
        b->len = used;
        if (b->cap - used >= n) return b->p + used;
    }
    size_t cap = b->cap < FIRST_BYTES ? FIRST_BYTES : b->cap;
    while (cap - used < n) {
        assert(cap <= SIZE_MAX / 2);
        cap *= 2;
    }
    b->p = xrealloc(b->p, cap);
    b->cap = cap;
    return b->p + used;
}

void buf_commit(struct buf *b, size_t n)
{
    assert(n <= b->cap - b->len);
    b->len += n;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= buf_len(b));
    b->head += n;
    if (b->head == b->len) buf_clear(b);
}

void buf_truncate(struct buf *b, size_t n)
{
    assert(n <= buf_len(b));
    b->len = b->head + n;
}

void buf_addz(struct buf *b, const char *cstr)
{
    buf_add(b, str_of(cstr));
}

void buf_addc(struct buf *b, char c)
{
    *buf_reserve(b, 1) = c;
    b->len++;
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_addv(b, format, args);
    va_end(args);
}

void buf_addv(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(buf_reserve(b, 128), 128, format, args);
    assert(n >= 0); /* only a broken format string gets here */
    if (n >= 128) vsnprintf(buf_reserve(b, (size_t)n + 1), (size_t)n + 1, format, again);
    va_end(again);
    b->len += (size_t)n;
}

void buf_add_u64(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    buf_add(b, (struct str){digits + at, sizeof digits - at});
}

void buf_add_i64(struct buf *b, int64_t v)
{
    if (v < 0) buf_addc(b, '-');
    buf_add_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* Length of the valid UTF-8 sequence at the start of s (Unicode 15, table 3-7), 0 when there is none. */
static size_t utf8_length(struct str s)
{
    const unsigned char *u = (const unsigned char *)s.p;
    size_t need = u[0] < 0x80                    ? 1
                  : u[0] >= 0xC2 && u[0] <= 0xDF ? 2
                  : (u[0] & 0xF0) == 0xE0        ? 3
                  : u[0] >= 0xF0 && u[0] <= 0xF4 ? 4
                                                 : 0;
    if (need == 0 || need > s.n) return 0;
    for (size_t i = 1; i < need; i++)
        if ((u[i] & 0xC0) != 0x80) return 0;
    if ((u[0] == 0xE0 && u[1] < 0xA0) || (u[0] == 0xED && u[1] > 0x9F)) return 0; /* overlong; surrogate */
    if ((u[0] == 0xF0 && u[1] < 0x90) || (u[0] == 0xF4 && u[1] > 0x8F)) return 0; /* overlong; beyond U+10FFFF */
    return need;
}

static void add_escaped(struct buf *b, unsigned char c)
{
    switch (c) {
    case '"': buf_add(b, STR("\\\"")); break;
    case '\\': buf_add(b, STR("\\\\")); break;
    case '\n': buf_add(b, STR("\\n")); break;
    case '\r': buf_add(b, STR("\\r")); break;
    case '\t': buf_add(b, STR("\\t")); break;
    default: buf_addf(b, "\\u%04x", c);
    }
}

void buf_add_json(struct buf *b, struct str s)
{
    size_t plain = 0; /* start of the run that can be copied as it is */
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') { /* nearly all text is this */
            i++;
            continue;
        }
        bool escape = c < 0x20 || c == '"' || c == '\\' || c == 0x7F;
        size_t n = escape ? 1 : utf8_length(str_slice(s, i, s.n));
        if (!escape && n > 0) {
            i += n;
            continue;
        }
        buf_add(b, str_slice(s, plain, i));
        if (escape)
            add_escaped(b, c);
        else
            buf_add(b, STR("\xEF\xBF\xBD"));
        plain = ++i;
    }
    buf_add(b, str_slice(s, plain, s.n));
}

void buf_add_json_str(struct buf *b, struct str s)
{
    buf_addc(b, '"');
    buf_add_json(b, s);
    buf_addc(b, '"');
}
