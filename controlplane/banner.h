/* banner.h — the start-up print: what is running, where, with which keys
 * Owns:     nothing.
 * Process:  control plane; to standard error, once, when the first workers listen.
 * Memory:   the caller's buf.
 * Fails:    never.
 * Not here: problems of a configuration (config/problem.h). */
#pragma once

#include "proto/base/buf.h"

struct core;

void banner_write(const struct core *c, uint64_t ready_ms, struct buf *out);
/* "…x9f2": the last four characters of a key that is long enough to give them away; "" otherwise. */
void banner_key_hint(struct str key, struct buf *out);
/* "http://127.0.0.1:8490": the first listener that is TCP, else "unix:/path". */
void banner_endpoint(const struct core *c, struct buf *out);
