/* bind.h — from tree to fields, by the key table
 * Owns:     nothing.
 * Process:  control plane; pure but for reading environment variables through the function given in.
 * Memory:   the configuration's arena.
 * Fails:    by adding to `problems`; it goes on to the end, so that all problems are told at once.
 * Not here: what several values mean together (check.c). */
#pragma once

#include "controlplane/config/keys.h"

void bind_config(struct config *c, const struct tree_node *root, config_env_fn *env, struct problems *problems);

/* Where the value of a key, or item i of its list, stands; the section's own place where the key is not written. */
struct place bind_place(const struct section_at *at, const char *key);
struct place bind_item_place(const struct section_at *at, const char *key, size_t i);
