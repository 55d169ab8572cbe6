/* child.c — between fork and exec only what is safe there: no allocation, no locks. The parent has one thread, so nothing is held anyway. */
#include "dataplane/child.h"

#include "shm/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *child_name(const struct child *c)
{
    static char name[48];

    if (c->row == NULL || strcmp(c->what, "worker") != 0) return c->what;
    snprintf(name, sizeof name, "worker %u", c->number);
    return name;
}

static void descriptors_set(const struct child_exec *x)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        if (x->quiet) dup2(null, STDOUT_FILENO);
    }
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC); /* second lock: everything is made CLOEXEC anyway */
    for (unsigned i = 0; i < x->fds_n; i++) fcntl(x->fds[i], F_SETFD, 0);
}

/* A terminal's Ctrl-C and a service manager's SIGTERM to the whole group are the supervisor's to handle: it drains. */
static void signals_set(void)
{
    sigset_t none;

    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become(const struct child_exec *x, pid_t parent)
{
    if (!process_die_with(parent)) _exit(1);
    descriptors_set(x);
    signals_set();
    execve(x->program, x->arguments, x->environment);
    dprintf(STDERR_FILENO, "weir: cannot start %s: %s\n", x->program, strerror(errno));
    _exit(127);
}

bool child_start(struct child *c, const struct child_exec *x, int channel, int channel_theirs, uint64_t now_ms)
{
    pid_t parent = getpid();

    atomic_store(&c->row->heartbeat_mono_ms, 0);
    atomic_store(&c->row->phase, LIVE_STARTING);
    pid_t pid = fork();
    if (pid == 0) become(x, parent);
    close(channel_theirs);
    int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (pid < 0) {
        close(channel);
        return false;
    }
    c->pid = pid;
    c->pidfd = pidfd;
    c->channel = channel;
    c->started_ms = now_ms;
    c->kill_at_ms = 0;
    c->ready = false;
    c->pending = 0;
    atomic_store(&c->row->pid, (uint32_t)pid);
    return true;
}

void child_died(struct child *c, uint64_t now_ms)
{
    uint64_t wait_ms = 0;

    if (c->pidfd >= 0) close(c->pidfd);
    if (c->channel >= 0) close(c->channel);
    c->pid = 0;
    c->pidfd = c->channel = -1;
    c->kill_at_ms = 0;
    c->ready = false;
    c->pending = 0;
    c->early_deaths = now_ms - c->started_ms < CHILD_EARLY_MS ? c->early_deaths + 1 : 0;
    if (c->early_deaths > 1) {
        unsigned doublings = c->early_deaths - 2 > 8 ? 8 : c->early_deaths - 2;
        wait_ms = (uint64_t)CHILD_BACKOFF_MS << doublings;
        if (wait_ms > CHILD_BACKOFF_MOST_MS) wait_ms = CHILD_BACKOFF_MOST_MS;
    }
    c->start_at_ms = now_ms + wait_ms;
    atomic_store(&c->row->pid, 0);
    atomic_store(&c->row->phase, LIVE_STOPPED);
    atomic_store(&c->row->heartbeat_mono_ms, 0);
    atomic_fetch_add(&c->row->restarts, 1);
}

void child_end_within(struct child *c, uint64_t now_ms, uint64_t ms)
{
    if (c->kill_at_ms == 0) c->kill_at_ms = now_ms + ms;
}

bool child_watch(struct child *c, uint64_t now_ms, const char **ret_why)
{
    if (c->pid == 0) return false;
    if (c->kill_at_ms != 0) {
        if (now_ms < c->kill_at_ms) return false;
        child_signal(c, SIGKILL);
        c->kill_at_ms = now_ms + CHILD_ABORT_MS;
        *ret_why = "did not end; SIGKILL sent";
        return true;
    }
    uint64_t beat = atomic_load(&c->row->heartbeat_mono_ms);
    if (beat == 0 && now_ms - c->started_ms > CHILD_START_MS)
        *ret_why = "did not start in time; SIGABRT sent";
    else if (beat != 0 && now_ms > beat && now_ms - beat > c->heartbeat_ms)
        *ret_why = "has no heartbeat; SIGABRT sent";
    else
        return false;
    child_signal(c, SIGABRT);
    c->kill_at_ms = now_ms + CHILD_ABORT_MS;
    return true;
}

void child_signal(const struct child *c, int sig)
{
    if (c->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0);
    else if (c->pid > 0)
        kill(c->pid, sig); /* no pidfd: the number is still ours, because only we reap it */
}
