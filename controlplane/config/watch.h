/* watch.h — tells when the files a configuration was read from have changed
 * Owns:     its libuv handles; config_watch_stop() ends them, the memory dies with the last one.
 * Process:  control plane, on its loop. Looks at files with stat(), never reads them.
 * Memory:   the heap; a few hundred bytes a file.
 * Fails:    where the kernel's notices cannot be had (no folder yet, no inotify left) the poll each 30 s does alone.
 * Not here: reading the files again and what follows (the caller). */
#pragma once

#include <uv.h>

#include "controlplane/config/config.h"

struct config_watch;

/* changed(to) is called on the loop, when files have been still for 250 ms after a change (2 s at most after the first). */
struct config_watch *config_watch_start(uv_loop_t *loop, void (*changed)(void *to), void *to);
/* Watches the file this configuration came from and those named in it. A file that was watched before keeps its stamp: what changed
 * it while it was read is still to be told. */
void config_watch_set(struct config_watch *w, const struct config *c);
/* After a configuration that was refused: the files that were wrong in it are watched too, until the next config_watch_set(). */
void config_watch_problems(struct config_watch *w, const struct problems *p);
void config_watch_stop(struct config_watch **w); /* closes its handles; the memory dies in the last close callback */
