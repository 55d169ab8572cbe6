/* segment.h — create, seal, map and verify a shared segment
 * Owns:     the mapping; segment_unmap() gives it back. Descriptors stay the caller's.
 * Process:  any.
 * Memory:   memfd or file; all mappings MAP_SHARED.
 * Fails:    returns false and leaves a text in *ret_why (static or in the given buffer); never a half-made mapping.
 * Not here: what is in a segment. */
#pragma once

#include "shm/layout.h"

#include <stdbool.h>

struct segment {
    void *base;
    size_t bytes;
};

/* A new memfd (CLOEXEC), sized and zero, with its head filled in; SHRINK and GROW are sealed at once. -1 on failure. */
int segment_create(const char *name, enum shm_kind kind, size_t bytes, struct segment *ret_seg, const char **ret_why);

/* Seals writing too (existing mapping must be gone): for snapshot and secrets. */
bool segment_seal(int fd, const char **ret_why);

/* Maps an inherited or received descriptor; checks size, magic, version, kind and fingerprint before anything else is believed. */
bool segment_map(int fd, enum shm_kind kind, bool writable, struct segment *ret_seg, const char **ret_why);
void segment_unmap(struct segment *seg);

/* What a head must say for this kind and size, and how one differs from that: NULL, or a text with both values. */
struct shm_head segment_head(enum shm_kind kind, size_t bytes);
const char *segment_check(const struct shm_head *h, enum shm_kind kind, uint64_t bytes);

/* Castagnoli (RFC 3720, appendix B.4); seed 0 to begin, or what the bytes before gave. */
uint32_t crc32c(uint32_t seed, const void *p, size_t n);
uint32_t crc32c_table(uint32_t seed, const void *p, size_t n); /* the way without SSE4.2; same result */
