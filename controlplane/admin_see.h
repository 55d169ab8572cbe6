/* admin_see.h — the reading commands of the admin socket: status, providers, probe, routes, config
 * Owns:     the state of a command that answers later.
 * Process:  control plane, loop thread.
 * Memory:   heap, per command under way; freed when it has answered or its peer has gone.
 * Fails:    as admin_commands.h.
 * Not here: the ledger's (admin_history.h), commands that change something (admin_commands.c). */
#pragma once

#include "controlplane/admin_server.h"

struct core;

void see_status(struct core *c, struct admin_call *call);
void see_providers(struct core *c, struct admin_call *call);
void see_probe(struct core *c, struct admin_call *call);
void see_routes(struct core *c, struct admin_call *call);
void see_config(struct core *c, struct admin_call *call);
