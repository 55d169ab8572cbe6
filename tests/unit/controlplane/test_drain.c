#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/drain.h"
#include "controlplane/ledger_query.h"
#include "controlplane/ledger_verify.h"
#include "proto/base/clock.h"
#include "shm/journal.h"
#include "tests/unit/controlplane/records.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[] = "/tmp/weir-test-drain-XXXXXX";
static char dir[200];

static void shell(const char *format, const char *a)
{
    char command[600];
    snprintf(command, sizeof command, format, a);
    assert_int_equal(system(command), 0);
}

static int fresh_dir(void **state)
{
    static unsigned n;
    (void)state;
    snprintf(dir, sizeof dir, "%s/%u", top, n++);
    return mkdir(dir, 0700);
}

static int remove_dir(void **state)
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

static void on_record(void *ctx, const struct usage_record *r)
{
    struct plane *p = ctx;
    p->seen++;
    p->last = *r;
}

static void on_recovered(void *ctx, unsigned worker, unsigned estimates)
{
    struct plane *p = ctx;
    (void)worker;
    p->recovered += estimates;
}

static void plane_start(struct plane *p)
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

static void on_stopped(void *ctx)
{
    struct plane *p = ctx;
    store_close(&p->store);
    p->stopped = true;
}

static void plane_stop(struct plane *p)
{
    drain_stop(&p->drain, 5000, on_stopped, p);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    assert_true(p->stopped);
    assert_int_equal(uv_loop_close(&p->loop), 0);
}

static void turn(struct plane *p, unsigned ms)
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

static void on_usage(struct usage_query *q)
{
    *(bool *)q->user = true;
}

static struct sums total(struct plane *p)
{
    bool answered = false;
    struct usage_query q = {.done = on_usage, .user = &answered};
    usage_query_start(p->store, &q);
    UNTIL(p, answered);
    assert_true(q.available);
    usage_query_fini(&q);
    return q.total;
}

static struct drain_counters counters(struct plane *p)
{
    struct drain_counters c;
    drain_count(p->drain, &c);
    return c;
}

static struct journal_map journal(unsigned worker)
{
    struct journal_map m;
    unsigned bad = 0;
    const char *why = "";
    if (!journal_open(dir, worker, &m, &bad, &why)) fail_msg("%s", why);
    journal_begin(&m);
    return m;
}

static struct sums sums_of(uint64_t from, uint64_t to)
{
    struct sums s = {0};
    for (uint64_t i = from; i < to; i++) {
        struct usage_record r = made_record(i);
        sums_add_record(&s, &r);
    }
    return s;
}

/* ---- stories ---- */

static void every_record_once_from_every_journal(void **state)
{
    (void)state;
    enum { EACH = 9000 };
    struct journal_map m[3] = {journal(0), journal(1), journal(17)};
    struct plane p;
    plane_start(&p);
    for (unsigned i = 0; i < EACH; i++) {
        for (unsigned w = 0; w < 3; w++) {
            struct usage_record r = made_record((uint64_t)w * EACH + i);
            assert_true(journal_add(&m[w], &r));
        }
        if (i % 1000 == 0) turn(&p, 1);
    }
    UNTIL(&p, p.seen == 3 * EACH);
    struct sums expected = sums_of(0, 3 * EACH), got = total(&p);
    assert_memory_equal(&got, &expected, sizeof got);
    struct drain_counters c = counters(&p);
    assert_int_equal(c.drained, 3 * EACH);
    assert_int_equal(c.waiting, 0);
    assert_int_equal(c.duplicates + c.unreadable + c.estimates, 0);
    for (unsigned w = 0; w < 3; w++) assert_int_equal(atomic_load(&m[w].j->ring_tail), EACH);
    plane_stop(&p);
    for (unsigned w = 0; w < 3; w++) journal_close(&m[w]);
}

static void what_came_before_the_stop_is_in_the_ledger(void **state)
{
    (void)state;
    struct journal_map m = journal(0);
    struct plane p;
    plane_start(&p);
    turn(&p, 20);
    for (unsigned i = 0; i < 3000; i++) {
        struct usage_record r = made_record(i);
        assert_true(journal_add(&m, &r));
    }
    plane_stop(&p);
    assert_int_equal(p.seen, 3000);
    plane_start(&p);
    struct sums got = total(&p), expected = sums_of(0, 3000);
    assert_memory_equal(&got, &expected, sizeof got);
    assert_int_equal(counters(&p).duplicates, 0);
    plane_stop(&p);
    journal_close(&m);
}

static void ledger_is_ahead_of_the_tail(void **state)
{
    (void)state; /* killed between the commit and the tail: the position in the ledger counts */
    struct journal_map m = journal(0);
    struct plane p;
    plane_start(&p);
    for (unsigned i = 0; i < 100; i++) {
        struct usage_record r = made_record(i);
        journal_add(&m, &r);
    }
    UNTIL(&p, p.seen == 100);
    plane_stop(&p);
    atomic_store(&m.j->ring_tail, 40);
    plane_start(&p);
    struct usage_record r = made_record(100);
    journal_add(&m, &r);
    UNTIL(&p, p.seen == 1);
    assert_int_equal(total(&p).calls, 101);
    assert_int_equal(atomic_load(&m.j->ring_tail), 101);
    plane_stop(&p);

    /* and a ledger that is gone begins at the tail, recognising nothing twice */
    shell("rm -rf '%s/ledger'", dir);
    plane_start(&p);
    r = made_record(101);
    journal_add(&m, &r);
    UNTIL(&p, p.seen == 1);
    assert_int_equal(total(&p).calls, 1);
    plane_stop(&p);
    journal_close(&m);
}

static void control_plane_killed_at_random(void **state)
{
    (void)state;
    enum { KILLS = 40 };
    struct journal_map m[2] = {journal(0), journal(1)};
    uint64_t written = 0;
    for (unsigned round = 0; round < KILLS; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct plane p;
            plane_start(&p);
            for (;;) turn(&p, 1000);
        }
        unsigned n = (unsigned)(mix(round) % 400);
        for (unsigned i = 0; i < n; i++, written++) {
            struct usage_record r = made_record(written);
            if (!journal_add(&m[written % 2], &r)) fail_msg("ring full");
            if (i % 16 == 0) usleep((useconds_t)(mix(round + i) % 2500));
        }
        usleep((useconds_t)(mix(round) % 150000)); /* from before its start to after its commits */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    uint64_t taken = atomic_load(&m[0].j->ring_tail) + atomic_load(&m[1].j->ring_tail);
    assert_true(taken > written / 4); /* the killed ones did work */
    struct plane p;
    plane_start(&p);
    UNTIL(&p, counters(&p).waiting == 0);
    struct sums got = total(&p), expected = sums_of(0, written);
    assert_memory_equal(&got, &expected, sizeof got);
    print_message("# %d kills, %llu records, %llu were seen again\n", KILLS, (unsigned long long)written,
                  (unsigned long long)counters(&p).duplicates);
    plane_stop(&p);
    for (unsigned w = 0; w < 2; w++) journal_close(&m[w]);
}

static struct journal_slot *slot(struct journal_map *m, uint64_t i)
{
    struct usage_record r = made_record(i);
    r.kind = RECORD_ATTEMPT;
    r.outcome = 0;
    r.flags = 0;
    r.cost_nanousd = -1;
    struct journal_slot *s = journal_slot_open(m, &r, NULL, 0);
    assert_non_null(s);
    return s;
}

static void open_calls_of_a_dead_worker_become_estimates(void **state)
{
    (void)state;
    struct journal_map m = journal(0), next;
    struct plane p;
    struct usage_record r;
    plane_start(&p);
    for (uint64_t i = 0; i < 10; i++) slot(&m, i); /* under way when it dies */
    struct journal_slot *committed = slot(&m, 10), *appended = slot(&m, 11), *dropped = slot(&m, 12);
    r = made_record(10);
    journal_commit(&m, committed, &r);
    r = made_record(11);
    journal_append(&m, appended, &r); /* dies between the ring and the slot */
    journal_slot_drop(&m, dropped);
    turn(&p, 50);
    assert_int_equal(p.recovered, 0); /* a living worker's slots are left alone */
    assert_int_equal(p.seen, 2);

    journal_close(&m);
    next = journal(0);
    slot(&next, 20); /* the successor already works */
    journal_retire(&next, false);
    drain_worker_died(p.drain, 0);
    UNTIL(&p, p.recovered > 0);
    turn(&p, 30);
    assert_int_equal(p.recovered, 11); /* ten, and the successor's that was retired with them */
    assert_int_equal(journal_open_slots(next.j), 0);
    assert_int_equal(p.last.outcome, OUTCOME_WORKER_DIED);
    assert_true(p.last.flags & RECORD_ESTIMATED);
    assert_int_equal(p.last.cost_nanousd, 20000000);
    struct sums s = total(&p);
    assert_int_equal(s.attempts, 13);
    assert_int_equal(s.estimated, 11 + ((made_record(10).flags & RECORD_ESTIMATED) != 0) +
                                      ((made_record(11).flags & RECORD_ESTIMATED) != 0));
    assert_int_equal(counters(&p).estimates, 11);
    plane_stop(&p);
    plane_start(&p);
    turn(&p, 50);
    assert_int_equal(p.seen + p.recovered, 0);
    plane_stop(&p);
    journal_close(&next);
}

static void many_dead_slots_and_a_killed_recovery(void **state)
{
    (void)state;
    enum { SLOTS = 1000 };
    struct journal_map m = journal(4);
    for (uint64_t i = 0; i < SLOTS; i++) slot(&m, i);
    journal_retire(&m, false);
    for (unsigned round = 0; round < 10; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct plane p;
            plane_start(&p);
            for (;;) turn(&p, 1000);
        }
        usleep(2000 + (useconds_t)(mix(round) % 15000));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    struct plane p;
    plane_start(&p);
    UNTIL(&p, journal_open_slots(m.j) == 0);
    struct sums s = total(&p);
    assert_int_equal(s.attempts, SLOTS);
    assert_int_equal(s.estimated, SLOTS);
    assert_true(s.cost_nanousd == SLOTS * INT64_C(20000000));
    plane_stop(&p);
    journal_close(&m);
}

static void torn_records_are_passed_over(void **state)
{
    (void)state;
    struct journal_map m = journal(0);
    for (unsigned i = 0; i < 50; i++) {
        struct usage_record r = made_record(i);
        journal_add(&m, &r);
    }
    m.j->ring[7].cost_nanousd ^= 1;
    memset(&m.j->ring[20], 0xAA, sizeof m.j->ring[20]);
    struct plane p;
    plane_start(&p);
    UNTIL(&p, p.seen == 48);
    assert_int_equal(counters(&p).unreadable, 2);
    /* a head from nowhere: no crash, nothing is read, it is said once */
    uint64_t head = atomic_load(&m.j->ring_head);
    atomic_store(&m.j->ring_head, UINT64_C(0xFFFFFFFFFFFF));
    turn(&p, 60);
    assert_int_equal(counters(&p).insane, 1);
    assert_int_equal(p.seen, 48);
    atomic_store(&m.j->ring_head, head);
    struct usage_record r = made_record(50);
    journal_add(&m, &r);
    UNTIL(&p, p.seen == 49);
    plane_stop(&p);
    journal_close(&m);
}

static void full_disk_keeps_the_records_in_the_ring(void **state)
{
    (void)state;
    struct journal_map m = journal(0);
    struct plane p;
    struct store_state st;
    struct rlimit was, small;
    plane_start(&p);
    struct usage_record r = made_record(0);
    journal_add(&m, &r);
    UNTIL(&p, p.seen == 1);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    store_state(p.store, &st);
    small = (struct rlimit){st.ledger.file_bytes + 8192, was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (unsigned i = 1; i < 2000; i++) {
        r = made_record(i);
        journal_add(&m, &r);
    }
    store_put(p.store, "weights", STR("a=1"));
    UNTIL(&p, (store_state(p.store, &st), st.full));
    assert_true(counters(&p).waiting > 900);
    assert_true(st.failures > 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    UNTIL(&p, p.seen == 2000);
    store_state(p.store, &st);
    assert_false(st.full);
    struct sums got = total(&p), expected = sums_of(0, 2000);
    assert_memory_equal(&got, &expected, sizeof got);
    plane_stop(&p);
    plane_start(&p);
    struct str value;
    assert_true(store_get(p.store, "weights", &value));
    assert_true(str_is(value, "a=1"));
    plane_stop(&p);
    journal_close(&m);
}

static void broken_ledger_is_set_aside(void **state)
{
    (void)state;
    struct journal_map m = journal(0);
    struct plane p;
    struct store_state st;
    char data[300];
    plane_start(&p);
    for (unsigned i = 0; i < 200; i++) {
        struct usage_record r = made_record(i);
        journal_add(&m, &r);
    }
    UNTIL(&p, p.seen == 200);
    plane_stop(&p);
    snprintf(data, sizeof data, "%s/ledger/data.mdb", dir);
    assert_int_equal(truncate(data, 20000), 0);
    plane_start(&p);
    store_state(p.store, &st);
    assert_true(st.open);
    assert_true(st.corrupt);
    assert_int_equal(access(st.corrupt_name, F_OK), 0);
    struct usage_record r = made_record(200);
    journal_add(&m, &r);
    UNTIL(&p, p.seen == 1); /* what the tail says was taken over is not taken again */
    assert_int_equal(total(&p).calls, 1);
    plane_stop(&p);
    assert_int_equal(truncate(data, 0), 0);
    plane_start(&p);
    store_state(p.store, &st);
    assert_true(st.corrupt); /* an empty file is not silently a new ledger */
    plane_stop(&p);
    journal_close(&m);
}

/* Every descriptor of the ledger's data file stops taking writes: what a failing disk looks like. */
static unsigned break_descriptors(void)
{
    unsigned n = 0;
    int null = open("/dev/null", O_RDONLY);
    for (int fd = 3; fd < 256; fd++) {
        char path[64], target[300] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) <= 0 || strstr(target, "/data.mdb") == NULL) continue;
        assert_true(dup2(null, fd) >= 0);
        n++;
    }
    close(null);
    return n;
}

static void failing_writes_open_the_ledger_anew(void **state)
{
    (void)state;
    struct journal_map m = journal(0);
    struct plane p;
    struct store_state st;
    plane_start(&p);
    struct usage_record r = made_record(0);
    journal_add(&m, &r);
    UNTIL(&p, p.seen == 1);
    assert_true(break_descriptors() >= 1);
    for (unsigned i = 1; i < 300; i++) {
        r = made_record(i);
        journal_add(&m, &r);
    }
    UNTIL(&p, p.seen == 300);
    store_state(p.store, &st);
    assert_true(st.failures >= 1);
    assert_true(st.open && !st.corrupt && !st.full);
    struct sums got = total(&p), expected = sums_of(0, 300);
    assert_memory_equal(&got, &expected, sizeof got);
    plane_stop(&p);
    journal_close(&m);
}

/* A control plane of the same boot takes a ledger as it is, once, when the last one had used it for a while. */
static void a_ledger_sound_in_this_boot_is_not_asked_again(void **state)
{
    (void)state;
    struct plane p;
    char mark[300];
    const char *why = "";
    plane_start(&p);
    plane_stop(&p);
    snprintf(mark, sizeof mark, "%s/ledger/sound", dir);
    for (unsigned round = 0; round < 3; round++) {
        /* round 0: marked in this boot; 1: the mark is gone with that; 2: marked in another boot. echo never says that it is sound */
        struct store_conf conf = {.verify_exe = "/bin/echo", .boot_id = round < 2 ? 0xABC : 0xDEF};
        struct store_state st;
        uv_loop_t loop;
        snprintf(conf.ledger.dir, sizeof conf.ledger.dir, "%s/ledger", dir);
        if (round != 1) {
            FILE *f = fopen(mark, "w");
            fputs("0000000000000abc", f);
            fclose(f);
        }
        uv_loop_init(&loop);
        struct store *s = store_open(&loop, &conf, &why);
        store_state(s, &st);
        assert_int_equal(st.corrupt, round != 0);
        assert_int_not_equal(access(mark, F_OK), 0);
        store_close(&s);
        uv_run(&loop, UV_RUN_DEFAULT);
        uv_loop_close(&loop);
    }
}

static void count_blob(void *ctx, const char *key, struct str value)
{
    (void)key;
    *(size_t *)ctx += value.n;
}

static void blobs_are_kept(void **state)
{
    (void)state;
    struct plane p;
    struct str value;
    size_t bytes = 0;
    char key[32];
    static char large[100000];
    memset(large, 'x', sizeof large);
    plane_start(&p);
    assert_int_equal(store_incarnation(p.store), 1);
    assert_false(store_get(p.store, "config", &value));
    store_put(p.store, "config", (struct str){large, sizeof large});
    for (unsigned i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "id:%u", i);
        store_put(p.store, key, STR("12"));
    }
    assert_true(store_get(p.store, "config", &value)); /* at once */
    assert_int_equal(value.n, sizeof large);
    store_forget(p.store, "id:0");
    store_forget(p.store, "never there");
    assert_false(store_get(p.store, "id:0", &value));
    plane_stop(&p);
    plane_start(&p);
    assert_int_equal(store_incarnation(p.store), 2);
    assert_true(store_get(p.store, "config", &value));
    assert_int_equal(value.n, sizeof large);
    assert_memory_equal(value.p, large, sizeof large);
    store_each(p.store, "id:", count_blob, &bytes);
    assert_int_equal(bytes, 299 * 2);
    store_put(p.store, "config", STR(""));
    turn(&p, 150);
    plane_stop(&p);
    plane_start(&p);
    assert_true(store_get(p.store, "config", &value));
    assert_int_equal(value.n, 0);
    plane_stop(&p);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--verify-store") == 0) return ledger_verify_main(argv[2]);
    if (mkdtemp(top) == NULL) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_record_once_from_every_journal, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(what_came_before_the_stop_is_in_the_ledger, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(ledger_is_ahead_of_the_tail, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(control_plane_killed_at_random, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(open_calls_of_a_dead_worker_become_estimates, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(many_dead_slots_and_a_killed_recovery, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(torn_records_are_passed_over, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(full_disk_keeps_the_records_in_the_ring, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(failing_writes_open_the_ledger_anew, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_ledger_sound_in_this_boot_is_not_asked_again, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(broken_ledger_is_set_aside, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(blobs_are_kept, fresh_dir, remove_dir),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    shell("rm -rf '%s'", top);
    return failed;
}
