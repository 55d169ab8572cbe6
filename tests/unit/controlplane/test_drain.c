#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/controlplane/plane.h"

#include <sys/wait.h>

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
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    shell("rm -rf '%s'", top);
    return failed;
}
