/* ticker.h — publishes what changes many times a minute: weights, drains, health, addresses
 * Owns:     the tick segment of this incarnation; the only caller of tick_publish().
 * Process:  control plane, loop thread.
 * Memory:   the segment.
 * Fails:    never: it publishes what is known.
 * Not here: probing, resolving, what people set (overrides). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct core;

bool ticker_start(struct core *c, uint64_t incarnation, const char **ret_why);
void ticker_publish(struct core *c);
void ticker_stop(struct core *c);
