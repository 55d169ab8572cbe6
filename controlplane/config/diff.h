/* diff.h — what a reload changed, in words
 * Owns:     nothing.
 * Process:  control plane; pure.
 * Memory:   one line at a time.
 * Fails:    never.
 * Not here: overrides that the new file ends (overrides_prune). */
#pragma once

#include "controlplane/config/plan.h"

/* Calls line() once per difference: "routes.chat: weight of openai/gpt-x 90 → 50", "providers.local: removed",
 * "server.listen: […] → […]" with needs_restart. Returns how many. */
unsigned config_diff(const struct plan *was, const struct plan *now,
                     void (*line)(void *context, struct str text, bool needs_restart), void *context);
