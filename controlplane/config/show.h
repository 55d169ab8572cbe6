/* show.h — values and whole configurations as text: `config show`, `config schema`, and what a reload changed
 * Owns:     nothing.
 * Process:  control plane; pure.
 * Memory:   appends to the buf given in.
 * Fails:    never.
 * Not here: reading (bind.c); every loop here is over the same key table. */
#pragma once

#include "controlplane/config/keys.h"

/* A value as one line of YAML; a secret is covered. `written` is its node, or NULL. */
void show_value(const struct key_row *row, const void *field, const struct tree_node *written, struct buf *out);

/* The JSON Schema (draft-07) of weir.yaml, for editors. */
void config_schema(struct buf *out);

/* One line per difference, for people: "routes.chat: weight of openai/gpt-x 90 → 50", "providers.local: removed". Lines whose key
 * takes effect only at a new start end with " (needs a restart)". */
void config_diff(const struct config *was, const struct config *now, struct buf *out, unsigned *ret_changes,
                 unsigned *ret_restarts);
