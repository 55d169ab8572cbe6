/* slab.h — objects of one type that come and go with connections and requests
 * Owns:     the objects that nobody has; a taken one belongs to its taker until slab_give().
 * Process:  worker only; no locks.
 * Memory:   the heap, once per object; a given one is kept with the buffers inside it, so that the next taker allocates nothing.
 *           Built with WEIR_ARENA_MALLOC every object is freed at once, so that ASan sees a use after slab_give().
 * Fails:    never; limits on connections come first.
 * Not here: memory of varying size (proto/base/arena.h, buf.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct slab_link;

struct slab {
    size_t bytes;           /* of one object */
    unsigned keep;          /* most that lie here unused */
    void (*fini)(void *o);  /* frees what an object holds itself; NULL: nothing */
    struct slab_link *free; /* unused ones */
    unsigned idle, out;     /* lying here; taken */
};

void slab_init(struct slab *s, size_t bytes, unsigned keep, void (*fini)(void *o));
/* A new object is all zero (*ret_fresh true); a used one is as it was given back, but for its first pointer. */
void *slab_take(struct slab *s, bool *ret_fresh) __attribute__((returns_nonnull));
void slab_give(struct slab *s, void *o);
void slab_fini(struct slab *s); /* all must have been given back */
