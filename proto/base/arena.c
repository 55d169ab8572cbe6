#include "proto/base/arena.h"

#include "proto/base/mem.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t cap;
    alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *a, size_t block_bytes)
{
    *a = (struct arena){.block_bytes = block_bytes};
}

static void free_from(struct arena_block *b)
{
    while (b != NULL) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
}

void arena_reset(struct arena *a)
{
    a->used = 0;
    if (a->first == NULL) return;
#ifdef WEIR_ARENA_MALLOC
    arena_fini(a);
#else
    free_from(a->first->next);
    a->first->next = NULL;
    a->first->used = 0;
    a->last = a->first;
#endif
}

void arena_fini(struct arena *a)
{
    free_from(a->first);
    arena_init(a, a->block_bytes);
}

static struct arena_block *add_block(struct arena *a, size_t cap)
{
    struct arena_block *b = xmalloc(sizeof *b + cap);
    b->next = NULL;
    b->used = 0;
    b->cap = cap;
    if (a->last == NULL)
        a->first = b;
    else
        a->last->next = b;
    a->last = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    a->used += n;
#ifdef WEIR_ARENA_MALLOC
    return add_block(a, n)->bytes; /* exactly n, so that byte n + 1 is poisoned */
#else
    const size_t align = alignof(max_align_t);
    size_t room = (n + align - 1) & ~(align - 1);
    struct arena_block *b = a->last;
    if (b == NULL || b->cap - b->used < room) b = add_block(a, room > a->block_bytes ? room : a->block_bytes);
    void *p = b->bytes + b->used;
    b->used += room;
    return p;
#endif
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

struct str arena_copy(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n > 0) memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return (struct str){p, s.n};
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < (int)sizeof small) return arena_copy(a, (struct str){small, (size_t)(n < 0 ? 0 : n)});
    char *p = arena_alloc(a, (size_t)n + 1);
    va_start(args, format);
    vsnprintf(p, (size_t)n + 1, format, args);
    va_end(args);
    return (struct str){p, (size_t)n};
}

void arena_text_add(struct arena_text *g, struct arena *a, struct str piece)
{
    if (piece.n == 0) return;
    if (g->cap - g->n < piece.n) {
        size_t cap = (g->n + piece.n) * 2;
        char *to = arena_alloc(a, cap);
        if (g->n > 0) memcpy(to, g->p, g->n);
        g->p = to;
        g->cap = cap;
    }
    memcpy(g->p + g->n, piece.p, piece.n);
    g->n += piece.n;
}

struct str arena_text_view(const struct arena_text *g)
{
    return (struct str){g->p, g->n};
}
