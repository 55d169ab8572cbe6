/* reload.h — from a text to what is in force: load, plan, publish, swap; all or nothing
 * Owns:     core's configuration part: config, plan, snap and their descriptors.
 * Process:  control plane, loop thread. Reads files: a few milliseconds, at start and at reloads only.
 * Memory:   the old configuration is freed here; workers keep their snapshots as long as they need.
 * Fails:    reload_first() with a text for the supervisor to print; reload_again() leaves everything as it was and keeps the text in core.refusal.
 * Not here: what a configuration says (config/), when a reload happens (main.c, admin_commands.c). */
#pragma once

#include "proto/base/buf.h"

struct core;

/* At start, before the store is open (its place is in the configuration): reads and checks. core.read_config stays NULL on failure. */
void reload_read(struct core *c, struct buf *refusal);
/* At start, with the store open. A control plane that was restarted under running workers takes the last accepted text when the file is broken now. */
bool reload_first(struct core *c, struct buf *refusal);
/* lines: what changed, one a line, and what needs a restart. */
bool reload_again(struct core *c, struct buf *lines);
/* Sends the newest snapshot to the supervisor if that is still owed. */
void reload_flush(struct core *c);
void reload_free(struct core *c);
