/* supervisor.h — the parent of all: makes what must outlive any one process, starts the others, and starts again what dies
 * Owns:     state directory lock, live segment, journals, listening sockets, newest snapshot, secrets and tick; every child.
 * Process:  weir-dataplane without a role; one thread, poll and signalfd. It reads nothing from the network.
 * Memory:   whole process.
 * Fails:    the exit code of design: 0 drained or stopped, 1 refused (text printed), 5 state directory in use, 78 not usable.
 * Not here: parsing configuration (control plane), serving (worker.c), arguments (main.c). */
#pragma once

#include "shm/layout.h"

struct supervisor_options {
    const char *state;   /* --state; NULL: environment, then XDG */
    const char *config;  /* --config, handed to the control plane; NULL: none */
    const char *workers; /* --workers, handed to the control plane; NULL: none */
};

int supervisor_main(const struct supervisor_options *o);
