/* schema.h — JSON Schema cut down to what a provider's compiler of schemas takes
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   the arena given in.
 * Fails:    never: a schema that cannot be read goes out as it is.
 * Not here: deciding whether a schema is sent at all.
 * Source: Anthropic API reference, structured outputs, JSON Schema limitations. */
#pragma once

#include "proto/dialect/chat.h"

/* Every object closed (additionalProperties false), oneOf as anyOf, bounds of numbers and lengths left out; each kind of
 * what was left out is named as lost ("schema.minimum"). */
void schema_write_strict(struct str schema, struct arena *a, struct buf *out, struct loss *loss);
