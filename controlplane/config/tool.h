/* tool.h — the parts of `weir config` that need no running weir: check, show, schema, init
 * Owns:     nothing.
 * Process:  a weir-controlplane of its own, started by the command; ends with an exit code.
 * Memory:   the configuration it looks at.
 * Fails:    exit code 1: the configuration has errors; 2: usage.
 * Not here: asking a running control plane for the configuration in force (controlplane/admin_*). */
#pragma once

#include <stdbool.h>

bool config_tool_wants(int argc, char **argv); /* argv[1] is one of its options */
int config_tool_main(int argc, char **argv);
