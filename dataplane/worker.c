/* worker.c — only the life of a worker yet: it beats, and ends when it is told to or when its supervisor is gone */
#include "dataplane/worker.h"

#include "proto/base/clock.h"
#include "shm/channel.h"
#include "shm/journal.h"
#include "shm/live.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

int worker_main(const struct worker_options *o)
{
    struct channel_msg m = {.type = CHAN_READY, .number = o->number};
    struct segment live_seg;
    struct journal_map journal;
    const char *why = NULL;
    int fds[CHANNEL_FDS], got = 0;
    unsigned n;

    if (!live_map(o->live_fd, &live_seg, &why) || !journal_map_fd(o->journal_fd, &journal, &why)) {
        fprintf(stderr, "weir: worker %u: %s\n", o->number, why);
        return 1;
    }
    struct live *live = live_seg.base;
    channel_send(o->channel_fd, &m, NULL, 0);
    while (got >= 0 && !(got > 0 && (m.type == CHAN_DRAIN || m.type == CHAN_STOP))) {
        struct pollfd p = {.fd = o->channel_fd, .events = POLLIN};
        atomic_store(&live->worker[o->number].heartbeat_mono_ms, clock_mono_ms());
        if (poll(&p, 1, 200) > 0 && (got = channel_recv(o->channel_fd, &m, fds, &n)) > 0)
            for (unsigned i = 0; i < n; i++) close(fds[i]);
    }
    journal_close(&journal);
    segment_unmap(&live_seg);
    return 0;
}
