/* admin_commands.h — what each command of the admin socket does: one function a command, one table
 * Owns:     the state of commands that answer later (usage, tail, explain).
 * Process:  control plane, loop thread; ledger reads run on the store's query thread.
 * Memory:   heap, per command under way.
 * Fails:    a refusal with what, why and what to do, and the CLI's exit code.
 * Not here: frames (admin_server.h), tables and colours (tools/cli). */
#pragma once

#include "controlplane/admin_server.h"

void admin_commands_call(void *core, struct admin_call *call);
