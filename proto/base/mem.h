/* mem.h — heap memory for set-up and for buffers that are reused
 * Owns:     nothing. What these return is freed with free().
 * Process:  any.
 * Memory:   the heap. Running out is treated as a bug of ours (limits come first) and ends the process with a message.
 * Fails:    never returns NULL.
 * Not here: memory in a request's steps (arena.h). */
#pragma once

#include <stddef.h>

void *xmalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t n) __attribute__((malloc, returns_nonnull)); /* zeroed */
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
