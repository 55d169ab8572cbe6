/* child.h — a process that the supervisor keeps alive: start it, watch its heartbeat, start it again when it dies
 * Owns:     the pid until it is reaped, its pidfd, and our end of its channel.
 * Process:  supervisor; one thread, which never waits here.
 * Memory:   caller's.
 * Fails:    child_start() returns false when the kernel has no process for us; it is tried again like a death, running ones go on.
 * Not here: what is said to it (supervisor.c), what it does. */
#pragma once

#include "shm/layout.h"

#include <stdbool.h>
#include <sys/types.h>

struct child {
    const char *what; /* "worker", "control plane" */
    unsigned number;
    struct live_process *row;
    uint32_t heartbeat_ms; /* older than this: replaced */

    pid_t pid; /* 0: not running */
    int pidfd, channel;
    uint64_t started_ms;
    uint64_t kill_at_ms; /* not gone by then: SIGKILL; 0: no such plan */
    bool ready;

    bool wanted;           /* to be started (again) */
    uint64_t start_at_ms;  /* not before */
    unsigned early_deaths; /* in a row, within a second of start */
    unsigned pending;      /* messages it is owed, bits of the supervisor's */
};

enum {
    CHILD_EARLY_MS =
        900, /* "within 1 s of start"; below 1,000, or a test that kills every second counts by its jitter */
    CHILD_BACKOFF_MS = 100,
    CHILD_BACKOFF_MOST_MS = 5000,
    CHILD_START_MS = 10000, /* from exec to the first heartbeat, on a machine under load with sanitizers */
    CHILD_ABORT_MS = 1000,  /* from SIGABRT to SIGKILL */
};

/* What a new process is given: program, arguments, environment, and the only descriptors that survive exec. */
struct child_exec {
    const char *program;
    char *const *arguments;
    char *const *environment;
    const int *fds;
    unsigned fds_n;
    bool quiet; /* standard output is /dev/null: only the control plane writes there */
};

/* The channel's other end is among fds already; it is closed here in the parent. */
bool child_start(struct child *c, const struct child_exec *x, int channel, int channel_theirs, uint64_t now_ms);

/* It was reaped: closes what belonged to it, and says when to start it again (0 ms for the first death). */
void child_died(struct child *c, uint64_t now_ms);

/* Heartbeat and start in time? Otherwise SIGABRT, a second later SIGKILL. true: it acted, *ret_why says on what. */
bool child_watch(struct child *c, uint64_t now_ms, const char **ret_why);

/* It said it ends: SIGKILL if it has not by then. */
void child_end_within(struct child *c, uint64_t now_ms, uint64_t ms);

void child_signal(const struct child *c, int sig); /* by pidfd: never another process that has the number now */

/* "worker 1", "control plane" */
const char *child_name(const struct child *c);
