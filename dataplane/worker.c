#include "dataplane/worker.h"

#include "dataplane/client.h"
#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/request.h"
#include "dataplane/upstream.h"
#include "proto/base/clock.h"
#include "shm/channel.h"
#include "shm/live.h"
#include "shm/notice.h"
#include "shm/snapshot.h"
#include "shm/tick.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    BEAT_MS = 250,
    SWEEP_BEATS = 4,        /* idle connections are looked over once a second */
    FLUSH_ON_STOP_MS = 500, /* for last bytes that the kernel had no room for */
    SLAB_KEEP = 256,
};

const struct patience patience_default = {.open_after_ms = 10000, .ping_every_ms = 15000};

static struct worker worker; /* one per process */

/* ---- the end ---- */

static void on_closed(uv_handle_t *h)
{
    (void)h;
}

static void stop_requests(struct worker *w)
{
    LIST_EACH(&w->clients, it, after)
    {
        struct client *c = LIST_ENTRY(it, struct client, link);
        if (c->r != NULL) {
            c->r->facts |= FACT_STOP;
            request_wake(c->r); /* an in-stream error or a 503; its event is committed */
        }
    }
}

static void close_clients(struct worker *w)
{
    while (!list_is_empty(&w->clients)) client_close(LIST_ENTRY(w->clients.next, struct client, link));
}

static bool has_unwritten(const struct worker *w)
{
    for (const struct list *it = w->clients.next; it != &w->clients; it = it->next)
        if (client_pending(LIST_ENTRY(it, struct client, link)) > 0) return true;
    return false;
}

static bool is_readable(const uv_handle_t *h)
{
    struct pollfd p = {.events = POLLIN};
    return uv_fileno(h, &p.fd) == 0 && poll(&p, 1, 0) == 1;
}

/* Calls that lie in the kernel while no other is under way: a connection closed over them would be reset. */
static bool has_unread(const struct worker *w)
{
    for (unsigned i = 0; i < w->o->listen_n; i++)
        if (w->listeners[i].open && is_readable(&w->listeners[i].s.handle)) return true;
    for (const struct list *it = w->clients.next; it != &w->clients; it = it->next) {
        const struct client *c = LIST_ENTRY(it, struct client, link);
        if (c->reading && is_readable(&c->s.handle)) return true;
    }
    return false;
}

static void close_all(struct worker *w)
{
    close_clients(w);
    while (!list_is_empty(&w->upstreams)) {
        struct upstream *u = LIST_ENTRY(w->upstreams.next, struct upstream, all);
        upstream_close(&u);
    }
    if (w->o->channel_fd >= 0) uv_close((uv_handle_t *)&w->channel, on_closed);
    uv_close((uv_handle_t *)&w->beat, on_closed);
}

static void stop(struct worker *w)
{
    if (w->mode == WORKER_STOPPING) return;
    w->mode = WORKER_STOPPING;
    atomic_store_explicit(&w->me->phase, LIVE_STOPPED, memory_order_relaxed);
    for (unsigned i = 0; i < w->o->listen_n; i++) listener_close(&w->listeners[i]);
    stop_requests(w);
    w->drain_at_ms = uv_now(&w->loop) + FLUSH_ON_STOP_MS;
    if (!has_unwritten(w)) {
        close_all(w);
        return;
    }
    uv_timer_set_repeat(&w->beat, 10); /* the beat closes all when it is written, or late */
    uv_timer_again(&w->beat);
}

static void drain(struct worker *w)
{
    if (w->mode != WORKER_RUNNING) return;
    w->mode = WORKER_DRAINING;
    w->drain_at_ms = uv_now(&w->loop) + w->gen->sn->s->server.drain_ms;
    atomic_store_explicit(&w->me->phase, LIVE_DRAINING, memory_order_relaxed);
    uv_timer_set_repeat(&w->beat, 20); /* how soon idleness is noticed */
    uv_timer_again(&w->beat);
}

/* ---- the beat ---- */

static void on_beat(uv_timer_t *t)
{
    struct worker *w = t->data;
    uint64_t now = uv_now(&w->loop);
    static unsigned beats;
    atomic_store_explicit(&w->me->heartbeat_mono_ms, clock_mono_ms(), memory_order_relaxed);
    atomic_store_explicit(&w->me->connections, w->connections, memory_order_relaxed);
    if (w->mode == WORKER_STOPPING) {
        if (now >= w->drain_at_ms || !has_unwritten(w)) close_all(w);
        return;
    }
    if (w->mode == WORKER_DRAINING) {
        if (w->in_flight == 0 && !has_unwritten(w) && !has_unread(w))
            stop(w); /* idle: connections without a request are closed with it */
        else if (now >= w->drain_at_ms)
            stop(w);
        return;
    }
    if (++beats % SWEEP_BEATS != 0) return;
    journal_trim(&w->journal);
    for (unsigned i = 0; i < SHM_PROVIDERS; i++) pool_sweep(&w->pools[i], now);
}

/* ---- the channel ---- */

static void adopt_generation(struct worker *w, const int fds[2])
{
    const char *why = NULL;
    struct generation *g = generation_open(w, fds[0], fds[1], &why);
    if (g == NULL) {
        notice("worker %u keeps its configuration: %s", w->number, why);
        return;
    }
    generation_unref(&w->gen);
    w->gen = g;
    atomic_store_explicit(&w->me->snapshot_serial, g->sn->s->serial, memory_order_relaxed);
}

static void adopt_tick(struct worker *w, int fd)
{
    const char *why = NULL;
    struct segment seg;
    if (!tick_map(fd, &seg, &why)) {
        notice("worker %u keeps its tick: %s", w->number, why);
        return;
    }
    segment_unmap(&w->before_seg);
    w->before_seg = w->tick_seg;
    w->tick_seg = seg;
    w->tick = seg.base;
}

static void adopt_ticket(struct worker *w, const struct channel_msg *m)
{
    uint64_t print;
    if (m->number >= SHM_PROVIDERS || m->text_n <= sizeof print || m->text_n > sizeof m->u.text) return;
    memcpy(&print, m->u.text, sizeof print);
    pool_ticket_put(&w->pools[m->number], print, (struct str){m->u.text + sizeof print, m->text_n - sizeof print});
}

static void on_message(struct worker *w, const struct channel_msg *m, const int *fds, unsigned n)
{
    if (m->type == CHAN_PUBLISH && n == 2)
        adopt_generation(w, fds);
    else if (m->type == CHAN_TICK && n == 1)
        adopt_tick(w, fds[0]);
    else if (m->type == CHAN_TICKETS)
        adopt_ticket(w, m);
    else if (m->type == CHAN_DRAIN)
        drain(w);
    else if (m->type == CHAN_STOP)
        stop(w);
    else
        notice("worker %u goes on without message %u: no room for its descriptors", w->number, (unsigned)m->type);
}

static void on_channel(uv_poll_t *p, int status, int events)
{
    struct worker *w = p->data;
    struct channel_msg m;
    int fds[CHANNEL_FDS];
    unsigned n = 0;
    int got = -1;
    (void)events;
    while (status == 0 && w->mode != WORKER_STOPPING && (got = channel_recv(w->o->channel_fd, &m, fds, &n)) == 1) {
        on_message(w, &m, fds, n);
        for (unsigned i = 0; i < n; i++) close(fds[i]);
    }
    if (got < 0) stop(w); /* the supervisor is gone */
}

static void say_ready(struct worker *w)
{
    struct channel_msg m = {.type = CHAN_READY, .number = w->number};
    if (w->o->channel_fd >= 0) channel_send(w->o->channel_fd, &m, NULL, 0);
}

/* ---- the beginning ---- */

static bool map_shared(struct worker *w, const char **ret_why)
{
    const struct worker_options *o = w->o;
    if (!live_map(o->live_fd, &w->live_seg, ret_why) || !journal_map_fd(o->journal_fd, &w->journal, ret_why))
        return false;
    w->live = w->live_seg.base;
    w->me = &w->live->worker[w->number];
    atomic_store_explicit(&w->me->buffer_bytes, 0, memory_order_relaxed); /* of a predecessor that was killed */
    atomic_store_explicit(&w->me->in_flight, 0, memory_order_relaxed);
    atomic_store_explicit(&w->me->upstreams, 0, memory_order_relaxed);
    if (!tick_map(o->tick_fd, &w->tick_seg, ret_why)) return false;
    w->tick = w->tick_seg.base;
    w->gen = generation_open(w, o->snapshot_fd, o->secrets_fd, ret_why);
    return w->gen != NULL;
}

static void init(struct worker *w, const struct worker_options *o)
{
    w->o = o;
    w->number = o->number;
    w->patience = patience_default;
    uv_loop_init(&w->loop);
    list_init(&w->trusts);
    list_init(&w->clients);
    list_init(&w->upstreams);
    for (unsigned i = 0; i < SHM_PROVIDERS; i++) pool_init(&w->pools[i]);
    slab_init(&w->client_slab, sizeof(struct client), SLAB_KEEP, client_free_bufs);
    slab_init(&w->request_slab, sizeof(struct request), SLAB_KEEP, request_free_bufs);
    slab_init(&w->upstream_slab, sizeof(struct upstream), SLAB_KEEP, upstream_free_bufs);
    slab_init(&w->wire_slab, sizeof(struct wire), SLAB_KEEP, wire_free_bufs);
    if (getrandom(&w->random, sizeof w->random, GRND_NONBLOCK) != sizeof w->random)
        w->random = clock_wall_ns() ^ (uint64_t)getpid() << 32;
    w->ids = w->random >> 40;
}

/* The supervisor decides when a worker ends: a signal to the whole process group (Ctrl-C, a service manager) is not for it. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) signal(ignored[i], SIG_IGN);
}

static void raise_descriptor_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

static bool start(struct worker *w, const char **ret_why)
{
    if (!map_shared(w, ret_why)) return false;
    uv_timer_init(&w->loop, &w->beat);
    w->beat.data = w;
    uv_timer_start(&w->beat, on_beat, 0, BEAT_MS);
    if (w->o->channel_fd >= 0) {
        uv_poll_init(&w->loop, &w->channel, w->o->channel_fd);
        w->channel.data = w;
        uv_poll_start(&w->channel, UV_READABLE, on_channel);
    }
    for (unsigned i = 0; i < w->o->listen_n; i++)
        if (!listener_open(&w->listeners[i], w, w->o->listen_fds[i], w->o->listen_is_unix[i], ret_why)) return false;
    atomic_store_explicit(&w->me->snapshot_serial, w->gen->sn->s->serial, memory_order_relaxed);
    atomic_store_explicit(&w->me->heartbeat_mono_ms, clock_mono_ms(), memory_order_relaxed);
    atomic_store_explicit(&w->me->phase, LIVE_READY, memory_order_release);
    say_ready(w);
    return true;
}

static void fini(struct worker *w)
{
    for (unsigned i = 0; i < SHM_PROVIDERS; i++) pool_fini(&w->pools[i]);
    uv_loop_close(&w->loop);
    generation_unref(&w->gen);
    slab_fini(&w->client_slab);
    slab_fini(&w->request_slab);
    slab_fini(&w->upstream_slab);
    slab_fini(&w->wire_slab);
    segment_unmap(&w->tick_seg);
    segment_unmap(&w->before_seg);
    journal_close(&w->journal);
    segment_unmap(&w->live_seg);
}

int worker_main(const struct worker_options *o)
{
    struct worker *w = &worker;
    const char *why = "";
    ignore_signals();
    raise_descriptor_limit();
    init(w, o);
    if (!start(w, &why)) {
        fprintf(stderr, "weir-dataplane: worker %u cannot start: %s\n", o->number, why);
        return 1;
    }
    uv_run(&w->loop, UV_RUN_DEFAULT);
    fini(w);
    return 0;
}
