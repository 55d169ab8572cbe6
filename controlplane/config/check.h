/* check.h — what the values of a configuration mean together
 * Owns:     nothing; fills the "found by check.c" fields of struct config.
 * Process:  control plane; reads the files that *_file keys name.
 * Memory:   the configuration's arena.
 * Fails:    by adding to `problems`.
 * Not here: single values (keys.c), whether a provider answers (controlplane/prober.c). */
#pragma once

#include "controlplane/config/config.h"

void check_config(struct config *c, struct problems *problems);

/* A regular file of at most `most` bytes, whole. false: *why is a sentence's end ("cannot be read: No such file or directory"). */
bool check_read_file(const char *path, size_t most, struct buf *out, struct buf *why);

/* "openai/gpt-x" taken apart at the first slash; false without one. */
bool check_split_model(struct str text, struct str *ret_provider, struct str *ret_model);
