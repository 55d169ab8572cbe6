/* core.h — what one worker process has: the struct that every file of the data plane is given
 * Owns:     nothing by itself; worker.c fills and empties it. Each field names the file that changes it.
 * Process:  worker; one instance.
 * Memory:   static, in worker.c.
 * Fails:    never.
 * Not here: functions. */
#pragma once

#include "dataplane/deadline.h"
#include "dataplane/listener.h"
#include "dataplane/pool.h"
#include "dataplane/slab.h"
#include "dataplane/worker.h"
#include "proto/base/list.h"
#include "shm/journal.h"
#include "shm/layout.h"
#include "shm/segment.h"

#include <uv.h>

enum {
    READ_BYTES = 64 * 1024, /* one read buffer for all sockets: what is not used at once is copied out of it */
    KIB = 1024,
};

/* How long a silent stream is left silent. Clients (Claude Code: 300 s, SDK defaults: 60 s and more, proxies in between: often 30 s)
 * give up on a stream that says nothing; a ping is an event that every SDK skips. */
struct patience {
    uint32_t open_after_ms; /* without content: the stream's head and a first ping go out */
    uint32_t ping_every_ms;
};
extern const struct patience patience_default;

enum worker_mode { WORKER_RUNNING, WORKER_DRAINING, WORKER_STOPPING };

struct worker {
    const struct worker_options *o;
    unsigned number;
    uv_loop_t loop;
    enum worker_mode mode;
    struct patience patience;

    /* what other processes say: generation.c, worker.c */
    struct generation *gen; /* newest configuration; requests keep the one they began with */
    struct segment tick_seg, live_seg;
    const struct tick *tick;
    struct segment
        before_seg; /* the tick of the control plane before: its credentials hold until the next one has its own */
    struct live *live;
    struct live_process *me;
    struct journal_map journal;
    struct list trusts; /* struct trust */

    /* sockets */
    struct listener listeners[WORKER_LISTENS];
    struct list clients;              /* struct client, all open ones: client.c */
    struct list upstreams;            /* struct upstream, all open ones: upstream.c */
    struct pool pools[SHM_PROVIDERS]; /* by stable id: pool.c */
    unsigned connections, in_flight;
    uint64_t buffer_bytes; /* held against server.buffers: request.c */

    struct slab client_slab, request_slab, upstream_slab, wire_slab;

    uv_poll_t channel;
    uv_timer_t beat;
    uint64_t drain_at_ms;
    uint64_t random; /* state of the generator: request.c, route.c */
    uint64_t ids;
    int64_t signing_skew_s; /* providers' clock less ours, where one has refused a signature for it: secret.c */

    char read_buf[READ_BYTES];
};

static inline struct live_target *core_target(const struct worker *w, uint16_t id)
{
    return &w->live->target[id];
}

/* splitmix64: fair choices and distinct ids, not secrets. */
static inline uint64_t core_random(struct worker *w)
{
    uint64_t z = w->random += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}
