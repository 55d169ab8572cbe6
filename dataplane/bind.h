/* bind.h — the sockets that clients connect to, opened once by the supervisor and kept while workers come and go
 * Owns:     the descriptors in struct binds, and the files of Unix sockets it made.
 * Process:  supervisor.
 * Memory:   fixed.
 * Fails:    with a text that names the address, and the holder of a taken port where /proc tells it.
 * Not here: accepting (dataplane/listener.c). */
#pragma once

#include "shm/layout.h"

#include <stdbool.h>

enum { BINDS = 8 };

struct bind {
    char text[128]; /* as configured */
    bool is_unix;
    int fd[SHM_WORKERS]; /* TCP: one per worker, SO_REUSEPORT; Unix: the same for all */
    uint64_t inode;      /* of the Unix socket's file */
};

struct binds {
    struct bind bind[BINDS];
    unsigned n, workers;
};

/* "127.0.0.1:8490", "[::1]:8490", "localhost:8490", "unix:/path". */
bool binds_add(struct binds *b, const char *address, unsigned workers, const char **ret_why);
void binds_close(struct binds *b); /* removes our Unix socket files */
