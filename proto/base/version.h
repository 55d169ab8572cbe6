/* version.h — the version of this build
 * Owns:     one constant string, set by meson from its project version.
 * Process:  any.
 * Memory:   static.
 * Fails:    never.
 * Not here: versions of the shared layout (shm/layout.h) or the admin protocol (proto/admin).
 */
#pragma once

/* "0.1.0"; NUL-terminated, lives for ever. */
const char *weir_version(void);
