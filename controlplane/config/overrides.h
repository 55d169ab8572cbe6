/* overrides.h — what people changed at run time: weights of a route's targets, drained targets
 * Owns:     struct overrides; its saved form is a blob in the store. It refers to the plan last given to overrides_prune().
 * Process:  control plane; pure.
 * Memory:   the heap; at most OVERRIDES_MAX entries.
 * Fails:    setters give false when the name is not in the plan or the table is full. A broken blob gives an empty table.
 * Not here: health (the tick multiplies it in), storing the blob (controlplane/store). */
#pragma once

#include "controlplane/config/plan.h"

enum { OVERRIDES_MAX = 4096 };

struct overrides;

struct overrides *overrides_new(void);
struct overrides *overrides_load(struct str blob); /* of an empty or broken blob: an empty table */
void overrides_save(const struct overrides *o, struct buf *out);
void overrides_free(struct overrides **o);

/* The plan in force from now on; call it with each accepted one before the old one is freed. An override whose route or target is gone,
 * or whose weight the file has changed since it was set, is dropped: the file wins. One line each in `lines` (may be NULL); returns
 * how many. */
unsigned overrides_prune(struct overrides *o, const struct plan *p, struct buf *lines);

/* false: nothing is set, *ret_weight stays. */
bool overrides_weight(const struct overrides *o, struct str route, struct str target, uint32_t *ret_weight);
/* The file's own weight takes the override away. */
bool overrides_set_weight(struct overrides *o, struct str route, struct str target, uint32_t weight);

bool overrides_is_drained(const struct overrides *o, struct str target);
/* A target ("openai/gpt-x") or a provider ("openai": all its targets). */
bool overrides_drain(struct overrides *o, struct str name, bool on);

unsigned overrides_count(const struct overrides *o);

/* What is in force: weight[leg's id] for the legs of the plan, drained[target's id] 1 or 0. Other numbers are left alone. */
void overrides_apply(const struct overrides *o, uint32_t weight[SHM_LEGS], uint8_t drained[SHM_TARGETS]);
