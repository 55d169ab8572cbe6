#include "controlplane/reqlog.h"

#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- grouping ---- */

enum {
    BUCKETS = 256,
    GATHER_MS = 10,          /* how long a line waits for others */
    GATHER_BYTES = 64 << 10, /* enough for one write */
};

struct group {
    struct group *next;  /* of the bucket */
    struct group *newer; /* by age: the oldest gives way when there are too many */
    struct group *older;
    unsigned n;
    struct usage_record records[]; /* REQLOG_ATTEMPTS */
};

struct reqlog_groups {
    void (*emit)(void *ctx, const struct usage_record *records, unsigned n);
    void *ctx;
    struct group *bucket[BUCKETS];
    struct group *oldest, *newest;
    unsigned n;
};

static unsigned bucket_of(const char id[32])
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (unsigned i = 0; i < 32 && id[i] != '\0'; i++) h = (h ^ (unsigned char)id[i]) * 16777619u;
    return h % BUCKETS;
}

struct reqlog_groups *reqlog_groups_new(void (*emit)(void *ctx, const struct usage_record *records, unsigned n),
                                        void *ctx)
{
    struct reqlog_groups *g = xcalloc(1, sizeof *g);
    g->emit = emit;
    g->ctx = ctx;
    return g;
}

static void drop_group(struct reqlog_groups *g, struct group **at)
{
    struct group *old = *at;
    *at = old->next;
    *(old->older != NULL ? &old->older->newer : &g->oldest) = old->newer;
    *(old->newer != NULL ? &old->newer->older : &g->newest) = old->older;
    g->n--;
    free(old);
}

static struct group **find_group(struct reqlog_groups *g, const char id[32])
{
    struct group **at = &g->bucket[bucket_of(id)];
    while (*at != NULL && strncmp((*at)->records[0].request_id, id, 32) != 0) at = &(*at)->next;
    return at;
}

void reqlog_groups_free(struct reqlog_groups **gp)
{
    struct reqlog_groups *g = *gp;
    *gp = NULL;
    if (g == NULL) return;
    while (g->oldest != NULL) drop_group(g, find_group(g, g->oldest->records[0].request_id));
    free(g);
}

static void add_to_group(struct reqlog_groups *g, struct group **at, const struct usage_record *r)
{
    struct group *group = *at;
    if (group == NULL) {
        group = xmalloc(sizeof *group + REQLOG_ATTEMPTS * sizeof *group->records);
        *group = (struct group){.older = g->newest};
        *(g->newest != NULL ? &g->newest->newer : &g->oldest) = group;
        g->newest = group;
        *at = group;
        g->n++;
    }
    if (group->n == REQLOG_ATTEMPTS) { /* more tries than a call may have: the first ones make room */
        memmove(group->records, group->records + 1, (REQLOG_ATTEMPTS - 1) * sizeof *group->records);
        group->n--;
    }
    group->records[group->n++] = *r;
}

void reqlog_groups_add(struct reqlog_groups *g, const struct usage_record *r)
{
    struct group **at = find_group(g, r->request_id);
    if (*at == NULL && (r->flags & RECORD_FINAL)) { /* the ordinary call: one attempt */
        g->emit(g->ctx, r, 1);
        return;
    }
    add_to_group(g, at, r);
    if (r->flags & RECORD_FINAL) {
        g->emit(g->ctx, (*at)->records, (*at)->n);
        drop_group(g, at);
    } else if (g->n > REQLOG_OPEN) { /* its end never came: say what is known */
        struct group **oldest = find_group(g, g->oldest->records[0].request_id);
        g->emit(g->ctx, (*oldest)->records, (*oldest)->n);
        drop_group(g, oldest);
    }
}

/* ---- the sink ---- */

struct reqlog_sink {
    int fd;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    struct buf queue;   /* with the lock */
    struct buf writing; /* of the thread */
    bool busy, stop;
    uint64_t dropped;
};

static uint64_t count_lines(struct str s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += s.p[i] == '\n';
    return n;
}

/* Bytes not written. A line that was cut in the middle counts as lost. */
static struct str write_all(int fd, struct str s)
{
    while (s.n > 0) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) { /* somebody made the terminal non-blocking */
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, 1000);
            continue;
        }
        if (n <= 0) break;
        s = str_slice(s, (size_t)n, s.n);
    }
    return s;
}

static struct timespec in_ms(unsigned ms)
{
    uint64_t at = clock_mono_ns() + (uint64_t)ms * 1000000u;
    return (struct timespec){.tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u)};
}

/* Lines come in batches: one wake-up and one write for all of them. */
static void wait_ms(struct reqlog_sink *s, unsigned ms)
{
    struct timespec until = in_ms(ms);
    while (!s->stop && buf_len(&s->queue) < GATHER_BYTES)
        if (pthread_cond_timedwait(&s->work, &s->lock, &until) != 0) break;
}

static void *run_sink(void *arg)
{
    struct reqlog_sink *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (buf_len(&s->queue) == 0 && !s->stop) pthread_cond_wait(&s->work, &s->lock);
        if (buf_len(&s->queue) == 0) break;
        if (!s->stop && buf_len(&s->queue) < GATHER_BYTES) wait_ms(s, GATHER_MS);
        struct buf taken = s->queue;
        s->queue = s->writing;
        s->writing = taken;
        s->busy = true;
        pthread_mutex_unlock(&s->lock);
        struct str left = write_all(s->fd, buf_view(&s->writing));
        pthread_mutex_lock(&s->lock);
        s->dropped += count_lines(left);
        buf_clear(&s->writing);
        buf_shrink(&s->writing, 64 << 10);
        s->busy = false;
        pthread_cond_broadcast(&s->idle);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

struct reqlog_sink *reqlog_sink_new(int fd)
{
    struct reqlog_sink *s = xcalloc(1, sizeof *s);
    pthread_condattr_t monotonic;
    pthread_attr_t attr;
    sigset_t all, old;
    s->fd = fd;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->work, &monotonic);
    pthread_cond_init(&s->idle, &monotonic);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 << 10);
    sigfillset(&all); /* also SIGPIPE: a reader that left is an error of write(), not the end of the process */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&s->thread, &attr, run_sink, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (rc == 0) return s;
    free(s);
    return NULL;
}

void reqlog_sink_line(struct reqlog_sink *s, struct str line)
{
    pthread_mutex_lock(&s->lock);
    bool was_empty = buf_len(&s->queue) == 0;
    if (buf_len(&s->queue) + line.n + 1 > REQLOG_QUEUE_BYTES) {
        s->dropped++;
    } else {
        buf_add(&s->queue, line);
        buf_addc(&s->queue, '\n');
        bool was_enough = buf_len(&s->queue) - line.n - 1 >= GATHER_BYTES;
        if (was_empty || (!was_enough && buf_len(&s->queue) >= GATHER_BYTES)) pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
}

uint64_t reqlog_sink_dropped(struct reqlog_sink *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t n = s->dropped;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void reqlog_sink_free(struct reqlog_sink **sp, unsigned ms)
{
    struct reqlog_sink *s = *sp;
    struct timespec until = in_ms(ms);
    *sp = NULL;
    if (s == NULL) return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->work);
    int rc = 0;
    while ((s->busy || buf_len(&s->queue) > 0) && rc == 0) rc = pthread_cond_timedwait(&s->idle, &s->lock, &until);
    bool done = !s->busy && buf_len(&s->queue) == 0;
    pthread_mutex_unlock(&s->lock);
    if (!done) { /* it hangs in a write: the process ends without it */
        pthread_detach(s->thread);
        return;
    }
    pthread_join(s->thread, NULL);
    buf_fini(&s->queue);
    buf_fini(&s->writing);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->work);
    pthread_cond_destroy(&s->idle);
    free(s);
}
