/* supervisor.c — from the state directory to exit, in the order things happen. The difficulty: everybody else may die at any moment, the
 * control plane included, and a new one must find what it needs here: descriptors, addresses, journals. So each message only changes what
 * the supervisor holds, and a child is owed bits (OWE_*) that are paid when its channel takes them. */
#include "dataplane/supervisor.h"

#include "dataplane/bind.h"
#include "dataplane/child.h"
#include "dataplane/environment.h"
#include "dataplane/launch.h"
#include "dataplane/notify.h"
#include "dataplane/statedir.h"
#include "proto/base/clock.h"
#include "proto/base/str.h"
#include "shm/channel.h"
#include "shm/journal.h"
#include "shm/live.h"
#include "shm/notice.h"
#include "shm/process.h"
#include "shm/tick.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WATCH_EVERY_MS = 250,
    WORKER_HEARTBEAT_MS = 2000,
    CONTROL_HEARTBEAT_MS = 5000,
    DRAIN_GRACE_MS = 3000,   /* workers end streams at drain_ms themselves; this is for one that does not */
    STOP_GRACE_MS = 3000,    /* from CHAN_STOP to SIGKILL */
    CONTROL_STOP_MS = 10000, /* its last commit may wait for a slow disk */
    BOOT_TRIES = 5,          /* control planes that die before they have answered once */
    FORK_RETRY_MS = 500,
    FORK_SAY_EVERY_MS = 10000,
};

enum owed {
    OWE_PUBLISH = 1,
    OWE_TICK = 2,
    OWE_DRAIN = 4,
    OWE_STOP = 8,
    OWE_RELOAD = 16,
};

enum phase { PHASE_BOOT, PHASE_SERVE, PHASE_DRAIN, PHASE_STOP_WORKERS, PHASE_STOP_CONTROL, PHASE_END };

struct supervisor {
    struct launch launch; /* what every child is started with; its snapshot, secrets and tick are the newest */
    const char *notify_path;

    struct segment live_seg;
    struct live *live;
    int signal_fd;
    struct journal_map journal[SHM_WORKERS];
    struct binds binds;
    struct boot boot;

    struct child control, worker[SHM_WORKERS];
    unsigned workers_n;
    uint32_t died_workers; /* bits: deaths that the control plane has not been told of */

    enum phase phase;
    int exit_code;
    uint64_t deadline_ms; /* of the phase; 0: none */
    unsigned boot_tries;
    uint64_t watched_ms, watch_again_ms, fork_said_ms;
};

/* ---- what outlives the others ---- */

static bool live_make(struct supervisor *s, const char **ret_why)
{
    if ((s->launch.live_fd = live_create(&s->live_seg, ret_why)) < 0) return false;
    s->live = s->live_seg.base;
    if (getrandom(&s->live->boot_id, sizeof s->live->boot_id, 0) != (ssize_t)sizeof s->live->boot_id)
        s->live->boot_id = clock_wall_ns() ^ (uint64_t)getpid() << 48;
    if (getrandom(s->live->boot_secret, sizeof s->live->boot_secret, 0) != (ssize_t)sizeof s->live->boot_secret) {
        *ret_why = "no random bytes";
        return false;
    }
    atomic_store(&s->live->started_wall_ms, clock_wall_ns() / 1000000);
    s->control = (struct child){.what = "control plane",
                                .row = &s->live->controlplane,
                                .heartbeat_ms = CONTROL_HEARTBEAT_MS,
                                .pidfd = -1,
                                .channel = -1,
                                .wanted = true};
    for (unsigned w = 0; w < SHM_WORKERS; w++)
        s->worker[w] = (struct child){.what = "worker",
                                      .number = w,
                                      .row = &s->live->worker[w],
                                      .heartbeat_ms = WORKER_HEARTBEAT_MS,
                                      .pidfd = -1,
                                      .channel = -1};
    return true;
}

/* Opened, or made; a bad one is moved aside, and its slots belong to the dead from here on. */
static bool journal_take(struct supervisor *s, unsigned w, const char **ret_why)
{
    unsigned bad = 0;

    if (s->journal[w].j != NULL) return true;
    if (!journal_open(s->launch.state, w, &s->journal[w], &bad, ret_why)) return false;
    if (bad > 0) notice("journal.%u could not be read; kept as journal.%u.bad-*, a new one is used", w, w);
    journal_retire(&s->journal[w], true);
    return true;
}

/* Before the control plane looks: all that a former run left, whatever number of workers it had. */
static bool journals_take(struct supervisor *s, const char **ret_why)
{
    for (unsigned w = 0; w < SHM_WORKERS; w++)
        if (journal_exists(s->launch.state, w) && !journal_take(s, w, ret_why)) return false;
    return true;
}

static bool signals_take(struct supervisor *s)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGCHLD, SIG_DFL); /* inherited as ignored, nobody could be reaped */
    return (s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) >= 0;
}

/* ---- starting children ---- */

static void start_failed(struct supervisor *s, struct child *c, uint64_t now_ms)
{
    c->start_at_ms = now_ms + FORK_RETRY_MS;
    if (now_ms - s->fork_said_ms < FORK_SAY_EVERY_MS && s->fork_said_ms != 0) return;
    s->fork_said_ms = now_ms;
    notice("cannot start %s: %s; trying again", child_name(c), strerror(errno));
}

static void control_start(struct supervisor *s, uint64_t now_ms)
{
    if (!launch_control(&s->launch, &s->control, now_ms)) start_failed(s, &s->control, now_ms);
}

static void worker_start(struct supervisor *s, unsigned w, uint64_t now_ms)
{
    if (!launch_worker(&s->launch, &s->worker[w], &s->binds, s->journal[w].fd, now_ms))
        start_failed(s, &s->worker[w], now_ms);
    else if (s->phase == PHASE_DRAIN)
        s->worker[w].pending |= OWE_DRAIN;
}

static void start_what_is_due(struct supervisor *s, uint64_t now_ms)
{
    if (s->control.wanted && s->control.pid == 0 && now_ms >= s->control.start_at_ms) control_start(s, now_ms);
    for (unsigned w = 0; w < s->workers_n; w++)
        if (s->worker[w].wanted && s->worker[w].pid == 0 && now_ms >= s->worker[w].start_at_ms)
            worker_start(s, w, now_ms);
}

/* ---- phases ---- */

static void owe_workers(struct supervisor *s, unsigned owed)
{
    for (unsigned w = 0; w < s->workers_n; w++)
        if (s->worker[w].pid != 0) s->worker[w].pending |= owed;
}

static unsigned workers_running(const struct supervisor *s)
{
    unsigned n = 0;

    for (unsigned w = 0; w < s->workers_n; w++) n += s->worker[w].pid != 0;
    return n;
}

static void workers_unwanted(struct supervisor *s)
{
    for (unsigned w = 0; w < s->workers_n; w++) s->worker[w].wanted = false;
}

static void stop_control(struct supervisor *s, uint64_t now_ms)
{
    s->phase = PHASE_STOP_CONTROL;
    s->control.wanted = false;
    s->control.pending |= OWE_STOP;
    s->deadline_ms = now_ms + CONTROL_STOP_MS;
}

static void stop_workers(struct supervisor *s, uint64_t now_ms)
{
    if (s->phase >= PHASE_STOP_WORKERS) return;
    notify_send(s->notify_path, "STOPPING=1");
    atomic_store(&s->live->phase, LIVE_DRAINING);
    workers_unwanted(s);
    owe_workers(s, OWE_STOP);
    s->phase = PHASE_STOP_WORKERS;
    s->deadline_ms = now_ms + STOP_GRACE_MS;
}

static void drain(struct supervisor *s, uint64_t now_ms)
{
    if (s->phase >= PHASE_DRAIN) return;
    if (s->phase == PHASE_BOOT) { /* nobody is served yet */
        stop_workers(s, now_ms);
        return;
    }
    notify_send(s->notify_path, "STOPPING=1");
    atomic_store(&s->live->phase, LIVE_DRAINING);
    owe_workers(s, OWE_DRAIN);
    s->control.pending |= OWE_DRAIN;
    s->phase = PHASE_DRAIN;
    s->deadline_ms = now_ms + s->boot.drain_ms + DRAIN_GRACE_MS;
}

static void fail(struct supervisor *s, uint64_t now_ms, int exit_code)
{
    s->exit_code = exit_code;
    stop_workers(s, now_ms);
}

/* Moves on when what the phase waits for has happened, or its time is over. */
static void phase_step(struct supervisor *s, uint64_t now_ms)
{
    bool late = s->deadline_ms != 0 && now_ms >= s->deadline_ms;

    if (s->phase == PHASE_DRAIN) {
        bool wanted = false;
        for (unsigned w = 0; w < s->workers_n; w++) wanted |= s->worker[w].wanted;
        if (late)
            stop_workers(s, now_ms);
        else if (!wanted && workers_running(s) == 0)
            stop_workers(s, now_ms);
    }
    if (s->phase == PHASE_STOP_WORKERS) {
        if (workers_running(s) == 0)
            stop_control(s, now_ms);
        else if (now_ms >= s->deadline_ms) {
            for (unsigned w = 0; w < s->workers_n; w++) child_signal(&s->worker[w], SIGKILL);
            s->deadline_ms = now_ms + STOP_GRACE_MS;
        }
    }
    if (s->phase == PHASE_STOP_CONTROL) {
        if (s->control.pid == 0)
            s->phase = PHASE_END;
        else if (now_ms >= s->deadline_ms) {
            child_signal(&s->control, SIGKILL);
            s->deadline_ms = now_ms + STOP_GRACE_MS;
        }
    }
}

/* ---- what the control plane says ---- */

static void descriptor_replace(int *ours, int theirs)
{
    if (*ours >= 0) close(*ours);
    *ours = theirs;
}

static void publish_take(struct supervisor *s, const int *fds)
{
    descriptor_replace(&s->launch.snapshot_fd, fds[0]);
    descriptor_replace(&s->launch.secrets_fd, fds[1]);
    owe_workers(s, OWE_PUBLISH);
}

static void tick_take(struct supervisor *s, int fd)
{
    descriptor_replace(&s->launch.tick_fd, fd);
    owe_workers(s, OWE_TICK);
}

/* The first answer: sockets, journals, workers. */
static void serve_begin(struct supervisor *s, const struct boot *b, uint64_t now_ms)
{
    const char *why = "";

    s->boot = *b;
    if (b->workers == 0 || b->workers > SHM_WORKERS || b->listen_n == 0 || b->listen_n > BINDS) {
        notice("the control plane wants %u workers on %u addresses: not possible", b->workers, b->listen_n);
        fail(s, now_ms, EXIT_REFUSED);
        return;
    }
    for (unsigned i = 0; i < b->listen_n; i++)
        if (!binds_add(&s->binds, b->listen[i], b->workers, &why)) {
            notice("%s", why);
            fail(s, now_ms, EXIT_REFUSED);
            return;
        }
    for (unsigned w = 0; w < b->workers; w++)
        if (!journal_take(s, w, &why)) {
            notice("%s", why);
            fail(s, now_ms, EXIT_REFUSED);
            return;
        }
    s->workers_n = b->workers;
    atomic_store(&s->live->workers, b->workers);
    for (unsigned w = 0; w < s->workers_n; w++) s->worker[w].wanted = true;
    s->phase = PHASE_SERVE;
}

static void boot_take(struct supervisor *s, const struct channel_msg *m, const int *fds, unsigned n, uint64_t now_ms)
{
    if (n != 3) {
        for (unsigned i = 0; i < n; i++) close(fds[i]);
        return;
    }
    publish_take(s, fds);
    tick_take(s, fds[2]);
    s->control.ready = true;
    if (s->phase == PHASE_BOOT) serve_begin(s, &m->u.boot, now_ms);
}

static void refused_take(struct supervisor *s, const struct channel_msg *m, uint64_t now_ms)
{
    struct str text = {m->u.text, m->text_n};

    notice_text(text);
    if (s->phase == PHASE_BOOT) fail(s, now_ms, EXIT_REFUSED); /* later, the last snapshot goes on serving */
}

static void control_message(struct supervisor *s, const struct channel_msg *m, const int *fds, unsigned n,
                            uint64_t now_ms)
{
    switch (m->type) {
    case CHAN_BOOT: boot_take(s, m, fds, n, now_ms); return;
    case CHAN_REFUSED: refused_take(s, m, now_ms); break;
    case CHAN_PUBLISH:
        if (n == 2) {
            publish_take(s, fds);
            return;
        }
        break;
    case CHAN_TICK:
        if (n == 1) {
            tick_take(s, fds[0]);
            return;
        }
        break;
    case CHAN_DRAIN: drain(s, now_ms); break;
    case CHAN_STOP: stop_workers(s, now_ms); break;
    default: break;
    }
    for (unsigned i = 0; i < n; i++) close(fds[i]);
}

/* ---- what a worker says ---- */

static void ready_take(struct supervisor *s, struct child *c)
{
    c->ready = true;
    for (unsigned w = 0; w < s->workers_n; w++)
        if (!s->worker[w].ready) return;
    if (s->phase != PHASE_SERVE || atomic_load(&s->live->phase) == LIVE_READY) return;
    atomic_store(&s->live->phase, LIVE_READY);
    notify_send(s->notify_path, "READY=1");
}

static void worker_message(struct supervisor *s, struct child *c, const struct channel_msg *m)
{
    if (m->type == CHAN_READY) ready_take(s, c);
    if (m->type == CHAN_TICKETS) /* a full channel loses a ticket: a handshake more */
        for (unsigned w = 0; w < s->workers_n; w++)
            if (&s->worker[w] != c && s->worker[w].pid != 0) channel_send(s->worker[w].channel, m, NULL, 0);
}

static void channel_read(struct supervisor *s, struct child *c, uint64_t now_ms)
{
    static struct channel_msg m;
    int fds[CHANNEL_FDS], got;
    unsigned n = 0;

    while (c->channel >= 0 && (got = channel_recv(c->channel, &m, fds, &n)) != 0) {
        if (got < 0) { /* it has closed its end: on its way out, or as good as dead */
            close(c->channel);
            c->channel = -1;
            child_end_within(c, now_ms, STOP_GRACE_MS);
        } else if (c == &s->control) {
            control_message(s, &m, fds, n, now_ms);
        } else {
            for (unsigned i = 0; i < n; i++) close(fds[i]);
            worker_message(s, c, &m);
        }
    }
}

/* ---- paying what is owed ---- */

static bool pay(struct child *c, unsigned owed, enum channel_type type, uint64_t serial, const int *fds, unsigned n)
{
    struct channel_msg m = {.type = type, .number = c->number, .serial = serial};

    if ((c->pending & owed) == 0) return true;
    if (c->channel < 0 || !channel_send(c->channel, &m, fds, n)) return false;
    c->pending &= ~owed;
    return true;
}

static void child_pay(struct supervisor *s, struct child *c)
{
    const int published[] = {s->launch.snapshot_fd, s->launch.secrets_fd};

    if (c->pending == 0 || c->pid == 0) return;
    (void)(pay(c, OWE_PUBLISH, CHAN_PUBLISH, 0, published, 2) &&
           pay(c, OWE_TICK, CHAN_TICK, 0, &s->launch.tick_fd, 1) && pay(c, OWE_RELOAD, CHAN_RELOAD, 0, NULL, 0) &&
           pay(c, OWE_DRAIN, CHAN_DRAIN, 0, NULL, 0) && pay(c, OWE_STOP, CHAN_STOP, 0, NULL, 0));
}

/* A control plane that is not there yet finds the dead's slots by itself when it opens the journals. */
static void deaths_tell(struct supervisor *s)
{
    if (s->control.pid == 0 || !s->control.ready) return;
    for (unsigned w = 0; w < SHM_WORKERS && s->died_workers != 0; w++) {
        struct channel_msg m = {.type = CHAN_WORKER_DIED, .number = w};
        if ((s->died_workers >> w & 1) != 0 && channel_send(s->control.channel, &m, NULL, 0))
            s->died_workers &= ~(1u << w);
    }
}

/* ---- deaths ---- */

static void worker_died(struct supervisor *s, struct child *c)
{
    struct live_process *row = c->row;

    journal_retire(&s->journal[c->number], false);
    s->died_workers |= 1u << c->number;
    /* What it held of the common buffers is free again, and nothing is under way at its hands. */
    atomic_store(&row->buffer_bytes, 0);
    live_in_flight_forget(s->live, c->number);
    atomic_store(&row->in_flight, 0);
    atomic_store(&row->connections, 0);
    atomic_store(&row->upstreams, 0);
}

static void died_say(const struct child *c, const siginfo_t *info, uint64_t now_ms)
{
    char again[64] = "";

    if (c->wanted && c->start_at_ms > now_ms)
        snprintf(again, sizeof again, "; starting again in %llu ms", (unsigned long long)(c->start_at_ms - now_ms));
    else if (c->wanted)
        snprintf(again, sizeof again, "; starting again");
    if (info->si_code == CLD_EXITED)
        notice("%s (pid %d) ended with exit code %d%s", child_name(c), (int)info->si_pid, info->si_status, again);
    else
        notice("%s (pid %d) was ended by SIG%s%s", child_name(c), (int)info->si_pid,
               sigabbrev_np(info->si_status) == NULL ? "?" : sigabbrev_np(info->si_status), again);
}

static void child_gone(struct supervisor *s, struct child *c, const siginfo_t *info, uint64_t now_ms)
{
    bool clean = info->si_code == CLD_EXITED && info->si_status == 0;

    channel_read(s, c, now_ms); /* its last words: a refusal is read before its exit is judged */
    child_died(c, now_ms);
    if (c != &s->control) worker_died(s, c);
    if (s->phase == PHASE_DRAIN && clean && c != &s->control) c->wanted = false; /* idle, as it was asked to be */
    if (c == &s->control && s->phase == PHASE_BOOT && (info->si_code == CLD_EXITED || ++s->boot_tries >= BOOT_TRIES)) {
        died_say(c, info, now_ms);
        fail(s, now_ms, EXIT_REFUSED);
        s->control.wanted = false;
    } else if (c->wanted || (!clean && s->phase < PHASE_STOP_WORKERS)) {
        died_say(c, info, now_ms);
    }
}

/* Also whatever the kernel has made ours as process 1. */
static void reap(struct supervisor *s, uint64_t now_ms)
{
    siginfo_t info = {0};

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
        if (info.si_pid == s->control.pid) child_gone(s, &s->control, &info, now_ms);
        for (unsigned w = 0; w < s->workers_n; w++)
            if (info.si_pid == s->worker[w].pid) child_gone(s, &s->worker[w], &info, now_ms);
        info.si_pid = 0;
    }
}

/* ---- the loop ---- */

static void signal_take(struct supervisor *s, uint64_t now_ms)
{
    struct signalfd_siginfo info;

    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            s->control.pending |= OWE_RELOAD;
        else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
            if (s->phase < PHASE_DRAIN)
                drain(s, now_ms);
            else
                stop_workers(s, now_ms);
        }
    }
}

static void watch_one(struct child *c, uint64_t now_ms)
{
    const char *why;

    if (child_watch(c, now_ms, &why)) notice("%s (pid %d) %s", child_name(c), (int)c->pid, why);
}

/* When this process itself was stopped (a frozen container), the others were, too: they get time to beat again. */
static void watch(struct supervisor *s, uint64_t now_ms)
{
    if (s->watched_ms != 0 && now_ms - s->watched_ms > 4 * WATCH_EVERY_MS)
        s->watch_again_ms = now_ms + WORKER_HEARTBEAT_MS;
    if (now_ms - s->watched_ms < WATCH_EVERY_MS) return;
    s->watched_ms = now_ms;
    if (now_ms < s->watch_again_ms) return;
    watch_one(&s->control, now_ms);
    for (unsigned w = 0; w < s->workers_n; w++) watch_one(&s->worker[w], now_ms);
}

static void wait_add(struct pollfd *p, nfds_t *n, const struct child *c)
{
    if (c->pid != 0 && c->channel >= 0)
        p[(*n)++] = (struct pollfd){.fd = c->channel, .events = (short)(c->pending != 0 ? POLLIN | POLLOUT : POLLIN)};
}

static int wait_ms(const struct supervisor *s, uint64_t now_ms)
{
    uint64_t until = now_ms + WATCH_EVERY_MS;

    for (unsigned i = 0; i <= s->workers_n; i++) {
        const struct child *c = i == s->workers_n ? &s->control : &s->worker[i];
        if (c->wanted && c->pid == 0 && c->start_at_ms < until) until = c->start_at_ms;
    }
    return until <= now_ms ? 0 : (int)(until - now_ms);
}

static void loop(struct supervisor *s)
{
    struct pollfd p[SHM_WORKERS + 2];

    while (s->phase != PHASE_END) {
        uint64_t now_ms = clock_mono_ms();
        nfds_t n = 0;

        start_what_is_due(s, now_ms);
        deaths_tell(s);
        child_pay(s, &s->control);
        for (unsigned w = 0; w < s->workers_n; w++) child_pay(s, &s->worker[w]);
        p[n++] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
        wait_add(p, &n, &s->control);
        for (unsigned w = 0; w < s->workers_n; w++) wait_add(p, &n, &s->worker[w]);
        poll(p, n, wait_ms(s, now_ms));

        now_ms = clock_mono_ms();
        signal_take(s, now_ms);
        reap(s, now_ms);
        channel_read(s, &s->control, now_ms);
        for (unsigned w = 0; w < s->workers_n; w++) channel_read(s, &s->worker[w], now_ms);
        watch(s, now_ms);
        phase_step(s, now_ms);
    }
}

/* ---- from start to exit ---- */

int supervisor_main(const struct supervisor_options *o)
{
    static struct supervisor s;
    const char *why = "";
    int lock_fd, code;

    s.launch.config = o->config;
    s.launch.workers = o->workers;
    s.launch.snapshot_fd = s.launch.secrets_fd = s.launch.tick_fd = -1;
    process_harden(NULL);
    process_close_others(NULL, 0);
    if ((code = statedir_resolve(o->state, s.launch.state, &why)) != 0 ||
        (code = statedir_open(s.launch.state, &lock_fd, &why)) != 0) {
        notice("%s", why);
        return code;
    }
    s.launch.environment = environment_take();
    s.launch.worker_environment = environment_for_worker(s.launch.environment);
    s.notify_path = environment_get(s.launch.environment, "NOTIFY_SOCKET");
    process_allow_descriptors();
    if (!launch_find(&s.launch) || !signals_take(&s) || !live_make(&s, &why) || !journals_take(&s, &why)) {
        notice("cannot start: %s", why[0] != '\0' ? why : strerror(errno));
        return EXIT_REFUSED;
    }
    loop(&s);
    atomic_store(&s.live->phase, LIVE_STOPPED);
    binds_close(&s.binds);
    for (unsigned w = 0; w < SHM_WORKERS; w++)
        if (s.journal[w].j != NULL) journal_close(&s.journal[w]);
    return s.exit_code;
}
