/* statedir.h — the one directory of state, and the lock that admits one weir to it
 * Owns:     the lock: held as long as this process lives.
 * Process:  supervisor.
 * Memory:   the path.
 * Fails:    with a line that names the path and what to do; the caller exits with EXIT_STATE or EXIT_HELD.
 * Not here: what lies in the directory (shm/journal, controlplane/store). */
#pragma once

#include <limits.h>

enum { EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_HELD = 5, EXIT_STATE = 78 };

/* option, else $WEIR_STATE, else the XDG state home. 0 or EXIT_STATE with a text. The path is absolute, without a slash at its end. */
int statedir_resolve(const char *option, char ret_path[PATH_MAX], const char **ret_why);

/* Makes it (0700, with the directories above it) if it is not there; refuses a link, a foreign owner, or any access for others. Then
 * takes the lock and writes our pid into it. 0, EXIT_STATE, or EXIT_HELD with the holder in the text. The lock's descriptor stays open. */
int statedir_open(const char *path, int *ret_lock_fd, const char **ret_why);
