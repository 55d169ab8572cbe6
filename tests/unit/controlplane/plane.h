/* plane.h — a control plane in small, for the tests of drain and store: a loop, a store, a drain, and journals to write
 * Owns:     a directory under /tmp per test.
 * Process:  tests.
 * Memory:   the caller's struct plane.
 * Fails:    by cmocka's assertions.
 * Not here: records (records.h). */
#pragma once

#include "controlplane/drain.h"
#include "controlplane/ledger_query.h"
#include "controlplane/ledger_verify.h"
#include "proto/base/clock.h"
#include "shm/journal.h"
#include "tests/unit/controlplane/records.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[] = "/tmp/weir-test-plane-XXXXXX";
static char dir[200];

static inline void shell(const char *format, const char *a)
{
    char command[600];
    snprintf(command, sizeof command, format, a);
    assert_int_equal(system(command), 0);
}

static inline int fresh_dir(void **state)
{
    static unsigned n;
    (void)state;
    snprintf(dir, sizeof dir, "%s/%u", top, n++);
    return mkdir(dir, 0700);
}

static inline int remove_dir(void **state)
{
    (void)state;
    shell("rm -rf '%s'", dir);
    return 0;
}

/* ---- a control plane in small ---- */

struct plane {
    uv_loop_t loop;
    struct store *store;
    struct drain *drain;
    uint64_t seen, recovered;
    struct usage_record last;
    bool stopped;
};

static inline void on_record(void *ctx, const struct usage_record *r)
{
    struct plane *p = ctx;
    p->seen++;
    p->last = *r;
}

static inline void on_recovered(void *ctx, unsigned worker, unsigned estimates)
{
    struct plane *p = ctx;
    (void)worker;
    p->recovered += estimates;
}

static inline void plane_start(struct plane *p)
{
    const char *why = "";
    struct store_conf conf = {.ledger = {.max_bytes = 64 << 20}};
    *p = (struct plane){0};
    snprintf(conf.ledger.dir, sizeof conf.ledger.dir, "%s/ledger", dir);
    uv_loop_init(&p->loop);
    p->store = store_open(&p->loop, &conf, &why);
    assert_non_null(p->store);
    const struct drain_conf drain = {.state_dir = dir,
                                     .store = p->store,
                                     .tick_ms = 5,
                                     .on_record = on_record,
                                     .on_recovered = on_recovered,
                                     .ctx = p};
    p->drain = drain_start(&p->loop, &drain, &why);
    if (p->drain == NULL) fail_msg("%s", why);
}

static inline void on_stopped(void *ctx)
{
    struct plane *p = ctx;
    store_close(&p->store);
    p->stopped = true;
}

static inline void plane_stop(struct plane *p)
{
    drain_stop(&p->drain, 5000, on_stopped, p);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    assert_true(p->stopped);
    assert_int_equal(uv_loop_close(&p->loop), 0);
}

static inline void turn(struct plane *p, unsigned ms)
{
    for (uint64_t until = clock_mono_ms() + ms; clock_mono_ms() < until;) {
        uv_run(&p->loop, UV_RUN_NOWAIT);
        usleep(500);
    }
}

#define UNTIL(p, condition)                                                        \
    do {                                                                           \
        uint64_t until_ = clock_mono_ms() + 20000;                                 \
        while (!(condition)) {                                                     \
            if (clock_mono_ms() > until_) fail_msg("not in 20 s: %s", #condition); \
            turn(p, 2);                                                            \
        }                                                                          \
    } while (0)

static inline void on_usage(struct usage_query *q)
{
    *(bool *)q->user = true;
}

static inline struct sums total(struct plane *p)
{
    bool answered = false;
    struct usage_query q = {.done = on_usage, .user = &answered};
    usage_query_start(p->store, &q);
    UNTIL(p, answered);
    assert_true(q.available);
    usage_query_fini(&q);
    return q.total;
}

static inline struct drain_counters counters(struct plane *p)
{
    struct drain_counters c;
    drain_count(p->drain, &c);
    return c;
}

static inline struct journal_map journal(unsigned worker)
{
    struct journal_map m;
    unsigned bad = 0;
    const char *why = "";
    if (!journal_open(dir, worker, &m, &bad, &why)) fail_msg("%s", why);
    journal_begin(&m);
    return m;
}

static inline struct sums sums_of(uint64_t from, uint64_t to)
{
    struct sums s = {0};
    for (uint64_t i = from; i < to; i++) {
        struct usage_record r = made_record(i);
        sums_add_record(&s, &r);
    }
    return s;
}
