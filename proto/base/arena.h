/* arena.h — memory that lives exactly as long as one request
 * Owns:     its blocks. Nothing in an arena is freed alone; arena_reset() takes it all back and keeps the first block.
 * Process:  any; one owner, no locks.
 * Memory:   blocks from the heap, the first one kept over resets, so an ordinary request allocates nothing.
 *           Built with WEIR_ARENA_MALLOC each piece is a malloc of its own, so that ASan sees an overrun of one piece.
 * Fails:    never returns NULL; `used` tells who sets limits how much was given.
 * Not here: bytes that grow (buf.h). */
#pragma once

#include "proto/base/str.h"

struct arena_block;

struct arena {
    struct arena_block *first; /* kept over resets */
    struct arena_block *last;
    size_t block_bytes;
    size_t used; /* bytes given since the last reset */
};

void arena_init(struct arena *a, size_t block_bytes); /* allocates nothing yet */
void arena_reset(struct arena *a);
void arena_fini(struct arena *a);

void *arena_alloc(struct arena *a, size_t n) __attribute__((returns_nonnull)); /* aligned for any type, not zeroed */
void *arena_zalloc(struct arena *a, size_t n) __attribute__((returns_nonnull));
struct str arena_copy(struct arena *a, struct str s); /* the copy is NUL-terminated behind its n bytes */
struct str arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A text that comes in pieces. Its room doubles in the arena: many small pieces cost no more than twice their length. */
struct arena_text {
    char *p;
    size_t n, cap;
};
void arena_text_add(struct arena_text *g, struct arena *a, struct str piece);
struct str arena_text_view(const struct arena_text *g); /* until the next piece */
