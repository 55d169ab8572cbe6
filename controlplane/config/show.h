/* show.h — values and whole configurations as text: `config show`, `config schema`
 * Owns:     nothing.
 * Process:  control plane; pure.
 * Memory:   appends to the buf given in.
 * Fails:    never.
 * Not here: reading (bind.c); every loop here is over the same key table. */
#pragma once

#include "controlplane/config/keys.h"

/* A value as one line of YAML; a secret is covered. `written` is its node, or NULL. */
void show_value(const struct key_row *row, const void *field, const struct tree_node *written, struct buf *out);

bool show_is_empty(const struct key_row *row, const void *field); /* as if the key were not written */

/* Every key under `prefix` ("", "routes", "server.admin") as a table for people: path, what it takes, default, help. false: no such. */
bool config_keys(struct str prefix, struct buf *out);

/* The JSON Schema (draft-07) of weir.yaml, for editors. */
void config_schema(struct buf *out);
