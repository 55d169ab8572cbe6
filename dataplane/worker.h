/* worker.h — one worker process: its loop, from inherited descriptors to exit
 * Owns:     everything a worker has; worker_main() returns only when all of it is closed.
 * Process:  a worker, exec'd by the supervisor (dataplane/main.c) with descriptors at the numbers in the options.
 * Memory:   whole process.
 * Fails:    returns the exit code: 0 after a drain or stop, 1 when it cannot start (one line on standard error says why).
 * Not here: parsing the arguments, restarting workers (main.c). */
#pragma once

#include <stdint.h>

enum { WORKER_LISTENS = 8 };

struct worker_options {
    unsigned number;                /* 0 .. SHM_WORKERS - 1: names the journal and the row in live */
    int listen_fds[WORKER_LISTENS]; /* bound and listening, of this worker alone */
    uint8_t listen_is_unix[WORKER_LISTENS];
    unsigned listen_n;
    int live_fd, journal_fd, snapshot_fd, secrets_fd, tick_fd;
    int channel_fd; /* SOCK_SEQPACKET to the supervisor; its end means stop; -1: none (tests) */
};

int worker_main(const struct worker_options *o);
