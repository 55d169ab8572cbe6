/* launch.h — the command lines of the control plane and of the workers, and which descriptors each of them inherits
 * Owns:     the directory of our programs, found once; descriptors stay the supervisor's.
 * Process:  supervisor.
 * Memory:   caller's.
 * Fails:    false with errno when the kernel has no socket pair or process for us.
 * Not here: when to start what (supervisor.c), fork and exec (child.c). */
#pragma once

#include "dataplane/bind.h"
#include "dataplane/child.h"

#include <limits.h>

struct launch {
    char state[PATH_MAX];
    char program_dir[PATH_MAX];
    const char *config, *workers; /* handed to the control plane; NULL: not given */
    char *const *environment;     /* whole: for the control plane */
    char *const *worker_environment;
    int live_fd;
    int snapshot_fd, secrets_fd, tick_fd; /* -1 until the control plane has answered */
};

bool launch_find(struct launch *l); /* program_dir: where this program lies */
bool launch_control(const struct launch *l, struct child *c, uint64_t now_ms);
bool launch_worker(const struct launch *l, struct child *c, const struct binds *b, int journal_fd, uint64_t now_ms);
