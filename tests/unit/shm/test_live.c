#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shm/live.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct live_breaker breaker = {.failures = 3, .window_ms = 1000, .open_ms = 500};

static void fail_at(struct live_target *t, uint64_t now_ms)
{
    live_target_failed(t, &breaker, 7, now_ms, now_ms);
}

/* ---- circuit ---- */

static void failures_in_a_row_open_it_and_one_probe_closes_it(void **state)
{
    (void)state;
    struct live_target t = {0};

    fail_at(&t, 1000);
    fail_at(&t, 1100);
    assert_int_equal(live_target_gate(&t, 1150, 100), GATE_PASS);
    fail_at(&t, 1200);
    assert_int_equal(t.circuit, CIRCUIT_OPEN);
    assert_int_equal(live_target_gate(&t, 1699, 100), GATE_SHUT);
    assert_true(live_target_is_shut(&t, 1699));
    assert_false(live_target_is_shut(&t, 1700));
    assert_int_equal(live_target_gate(&t, 1700, 100), GATE_PROBE);
    assert_int_equal(t.circuit, CIRCUIT_HALF_OPEN);
    assert_int_equal(live_target_gate(&t, 1701, 100), GATE_SHUT); /* one probe at a time */
    assert_true(live_target_is_shut(&t, 1701));
    live_target_ok(&t, 2000);
    assert_int_equal(t.circuit, CIRCUIT_CLOSED);
    assert_int_equal(live_target_gate(&t, 1702, 100), GATE_PASS);
    assert_int_equal(t.transitions, 3);
    assert_int_equal(t.ttft_us_ewma, 2000);
    assert_int_equal(t.last_error, 7);
}

static void a_success_or_the_window_forgets_failures(void **state)
{
    (void)state;
    struct live_target t = {0};

    fail_at(&t, 1000);
    fail_at(&t, 1001);
    live_target_ok(&t, 0);
    fail_at(&t, 1002);
    fail_at(&t, 1003);
    assert_int_equal(t.circuit, CIRCUIT_CLOSED);
    fail_at(&t, 2500); /* the first of these is out of the window */
    fail_at(&t, 2600);
    assert_int_equal(t.circuit, CIRCUIT_CLOSED);
    fail_at(&t, 2700);
    assert_int_equal(t.circuit, CIRCUIT_OPEN);
}

static void a_failed_probe_opens_it_again(void **state)
{
    (void)state;
    struct live_target t = {0};

    for (uint64_t at = 1; at <= 3; at++) fail_at(&t, at);
    assert_int_equal(live_target_gate(&t, 600, 100), GATE_PROBE);
    fail_at(&t, 650);
    assert_int_equal(live_target_gate(&t, 1149, 100), GATE_SHUT);
    assert_int_equal(live_target_gate(&t, 1150, 100), GATE_PROBE);
    live_target_probe_left(&t); /* its client went away: the next call probes */
    assert_int_equal(live_target_gate(&t, 1151, 100), GATE_PROBE);
    assert_int_equal(live_target_gate(&t, 1200, 100), GATE_SHUT);
    assert_int_equal(live_target_gate(&t, 1251, 100), GATE_PROBE); /* the prober was killed: its time is over */
}

static void a_benched_target_comes_back_by_itself(void **state)
{
    (void)state;
    struct live_target t = {0};

    live_target_bench(&t, 5000, 9, 1);
    live_target_bench(&t, 4000, 9, 1); /* never shortened */
    assert_int_equal(live_target_gate(&t, 4999, 100), GATE_SHUT);
    live_target_ok(&t, 0); /* of a call from before */
    assert_int_equal(live_target_gate(&t, 4999, 100), GATE_SHUT);
    assert_int_equal(live_target_gate(&t, 5000, 100), GATE_PASS);
    for (uint64_t at = 1; at <= 3; at++) fail_at(&t, 6000);
    assert_int_equal(live_target_gate(&t, 6500, 100), GATE_PROBE);
    live_target_bench(&t, 9000, 9, 1); /* the probe was answered with retry-after */
    assert_int_equal(live_target_gate(&t, 8999, 100), GATE_SHUT);
    assert_int_equal(live_target_gate(&t, 9000, 100), GATE_PROBE);
}

static void no_breaker_never_opens(void **state)
{
    (void)state;
    struct live_target t = {0};
    struct live_breaker none = {0};

    for (uint64_t at = 0; at < 100; at++) live_target_failed(&t, &none, 1, at, at);
    assert_int_equal(live_target_gate(&t, 100, 100), GATE_PASS);
    assert_int_equal(t.failed, 100);
}

static void retries_are_a_fifth_of_calls_and_ten_a_second(void **state)
{
    (void)state;
    struct live_target t = {0};
    unsigned taken = 0;

    while (live_retry_take(&t, 1000)) taken++;
    assert_int_equal(taken, 100);
    for (unsigned i = 0; i < 50; i++) live_retry_deposit(&t, 1000);
    for (taken = 0; live_retry_take(&t, 1000);) taken++;
    assert_int_equal(taken, 10);
    for (taken = 0; live_retry_take(&t, 2000);) taken++;
    assert_int_equal(taken, 10);
    for (taken = 0; live_retry_take(&t, 1000000);) taken++;
    assert_int_equal(taken, 100); /* ten seconds' worth at most */
}

/* ---- budgets ---- */

static int64_t truth(struct live_budget *c)
{
    int64_t sum = c->base_nanousd;

    for (unsigned w = 0; w < SHM_WORKERS; w++) sum += c->share[w].held_nanousd + c->share[w].settled_nanousd;
    return sum;
}

static void a_budget_is_held_and_settled_to_the_last_unit(void **state)
{
    (void)state;
    struct live_budget c = {.limit_nanousd = 100};

    assert_false(live_budget_hold(&c, 0, 101));
    assert_false(live_budget_hold(&c, 0, -1));
    assert_false(live_budget_hold(&c, SHM_WORKERS, 1));
    assert_true(live_budget_hold(&c, 0, 60));
    assert_false(live_budget_hold(&c, 1, 41));
    assert_true(live_budget_hold(&c, 1, 40));
    assert_false(live_budget_hold(&c, 1, 1));
    live_budget_settle(&c, 0, 60, 10);
    assert_int_equal(c.committed_nanousd, 50);
    assert_true(live_budget_hold(&c, 0, 50));
    live_budget_settle(&c, 1, 40, 45); /* dearer than its bound: booked all the same */
    assert_int_equal(c.committed_nanousd, 105);
    assert_int_equal(truth(&c), 105);
    assert_false(live_budget_hold(&c, 0, 0)); /* beyond the limit: not even nothing */
    c.limit_nanousd = INT64_MAX;
    c.committed_nanousd = INT64_MIN; /* a hostile word: no room, no overflow */
    assert_false(live_budget_hold(&c, 0, 1));
}

static void only_drift_that_stays_is_repaired(void **state)
{
    (void)state;
    struct live_budget c = {.limit_nanousd = 1000};

    live_budget_hold(&c, 0, 10);
    assert_int_equal(live_budget_repair(&c, 2), 0);
    assert_int_equal(live_budget_repair(&c, 2), 0);
    c.committed_nanousd = 500;
    assert_int_equal(live_budget_repair(&c, 2), 0); /* may be a call between its two stores */
    c.committed_nanousd = 501;
    assert_int_equal(live_budget_repair(&c, 2), 0); /* and so it was */
    assert_int_equal(live_budget_repair(&c, 2), 491);
    assert_int_equal(c.committed_nanousd, 10);
    assert_int_equal(live_budget_repair(&c, 2), 0);
}

static void the_share_of_a_dead_worker_is_folded_once(void **state)
{
    (void)state;
    struct live_budget c = {.limit_nanousd = 1000};

    live_budget_hold(&c, 3, 10);
    live_budget_hold(&c, 3, 20);
    live_budget_settle(&c, 3, 10, 7);
    live_budget_fold(&c, 3);
    live_budget_fold(&c, 3);
    assert_int_equal(c.base_nanousd, 27);
    assert_int_equal(c.share[3].held_nanousd, 0);
    assert_int_equal(truth(&c), c.committed_nanousd);
}

/* Workers with random calls. What they were really charged is told in `spent` behind each settled call. */
struct shared {
    struct live_budget c;
    _Atomic int64_t spent;
    _Atomic uint64_t holds[2];
    _Atomic int stop;
};

static void budget_worker(struct shared *s, unsigned w, unsigned seed, bool corrects)
{
    unsigned x = seed;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (!atomic_load(&s->stop)) {
        x = x * 1103515245u + 12345u;
        int64_t hold = 1 + (int64_t)((x >> 8) % 100), actual = hold - (int64_t)((x >> 20) % (unsigned)hold);
        if (live_budget_hold(&s->c, w, hold)) {
            atomic_fetch_add(&s->holds[w], 1);
            live_budget_settle(&s->c, w, hold, actual);
        } else if (corrects) { /* a credit makes room again */
            actual = -(int64_t)((x >> 4) % 50);
            live_budget_settle(&s->c, w, 0, actual);
        } else {
            _exit(3);
        }
        atomic_fetch_add(&s->spent, actual);
    }
    _exit(0);
}

static struct shared *shared_make(int64_t limit)
{
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    s->c.limit_nanousd = limit;
    return s;
}

static void two_processes_never_pass_the_limit_and_lose_nothing(void **state)
{
    (void)state;
    struct shared *s = shared_make(1000);
    pid_t pid[2];
    int status;

    for (unsigned w = 0; w < 2; w++)
        if ((pid[w] = fork()) == 0) budget_worker(s, w, 77 + w, true);
    for (unsigned i = 0; i < 100000 || (i < 100000000 && (s->holds[0] < 2000 || s->holds[1] < 2000)); i++)
        if (atomic_load(&s->c.committed_nanousd) > 1000) fail_msg("over the limit");
    atomic_store(&s->stop, 1);
    for (unsigned w = 0; w < 2; w++) {
        assert_int_equal(waitpid(pid[w], &status, 0), pid[w]);
        assert_int_equal(status, 0);
    }
    assert_true(s->holds[0] >= 2000 && s->holds[1] >= 2000);
    assert_int_equal(s->spent, s->c.committed_nanousd);
    assert_int_equal(truth(&s->c), s->c.committed_nanousd);
    assert_int_equal(s->c.share[0].held_nanousd, 0);
    assert_int_equal(s->c.share[1].held_nanousd, 0);
    munmap(s, sizeof *s);
}

/* A worker put to sleep between its stores can look like drift twice. Then committed is raised, never lowered, and what was raised too
 * much is taken back by a later repair. */
static void repair_never_makes_room_that_is_not_there(void **state)
{
    (void)state;
    struct shared *s = shared_make(1000000000);
    pid_t pid[2];

    for (unsigned w = 0; w < 2; w++)
        if ((pid[w] = fork()) == 0) budget_worker(s, w, 5 + w, true);
    int64_t lowered = 0;
    for (unsigned i = 0; i < 300; i++) {
        lowered += live_budget_repair(&s->c, 2);
        assert_true(lowered <= 0);
        if (i % 8 == 0) usleep(1000);
    }
    atomic_store(&s->stop, 1);
    for (unsigned w = 0; w < 2; w++) waitpid(pid[w], NULL, 0);
    live_budget_repair(&s->c, 2);
    live_budget_repair(&s->c, 2);
    assert_int_equal(s->spent, s->c.committed_nanousd);
    munmap(s, sizeof *s);
}

static void a_killed_call_counts_as_spent(void **state)
{
    (void)state;
    struct shared *s = shared_make(INT64_MAX / 2);

    for (unsigned kills = 0; kills < 200; kills++) {
        pid_t pid = fork();
        if (pid == 0) budget_worker(s, 0, kills, false);
        usleep(500 + kills * 37 % 700);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        live_budget_repair(&s->c, 1);
        live_budget_repair(&s->c, 1);
        assert_int_equal(truth(&s->c), s->c.committed_nanousd);
        assert_true(s->c.committed_nanousd >= s->spent);
        assert_true(s->c.committed_nanousd <=
                    s->spent + (int64_t)(kills + 1) * 200); /* a hold and a charge per kill at most */
        live_budget_fold(&s->c, 0);
        assert_int_equal(truth(&s->c), s->c.committed_nanousd);
        assert_int_equal(s->c.share[0].held_nanousd, 0);
    }
    assert_true(s->holds[0] > 2000);
    munmap(s, sizeof *s);
}

static void unknown_headroom_is_not_zero_headroom(void **state)
{
    (void)state;
    struct segment seg, again;
    const char *why = NULL;
    int fd = live_create(&seg, &why);
    struct live *l = seg.base;

    assert_true(fd >= 0);
    assert_true(l->target[SHM_TARGETS - 1].requests_left == UINT64_MAX);
    assert_true(live_map(fd, &again, &why));
    ((struct live *)again.base)->boot_id = 5;
    assert_int_equal(l->boot_id, 5);
    segment_unmap(&seg);
    segment_unmap(&again);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_in_a_row_open_it_and_one_probe_closes_it),
        cmocka_unit_test(a_success_or_the_window_forgets_failures),
        cmocka_unit_test(a_failed_probe_opens_it_again),
        cmocka_unit_test(a_benched_target_comes_back_by_itself),
        cmocka_unit_test(no_breaker_never_opens),
        cmocka_unit_test(retries_are_a_fifth_of_calls_and_ten_a_second),
        cmocka_unit_test(a_budget_is_held_and_settled_to_the_last_unit),
        cmocka_unit_test(only_drift_that_stays_is_repaired),
        cmocka_unit_test(the_share_of_a_dead_worker_is_folded_once),
        cmocka_unit_test(two_processes_never_pass_the_limit_and_lose_nothing),
        cmocka_unit_test(repair_never_makes_room_that_is_not_there),
        cmocka_unit_test(a_killed_call_counts_as_spent),
        cmocka_unit_test(unknown_headroom_is_not_zero_headroom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
