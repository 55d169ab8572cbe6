#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shm/journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static int dir_make(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/weir-journal-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

/* Calls f(path) for every entry of the directory. */
static unsigned each_file(void (*f)(const char *path), const char *containing)
{
    char path[512];
    unsigned n = 0;
    DIR *d = opendir(dir);

    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.' && (e->d_name[1] == '\0' || e->d_name[1] == '.')) continue;
        if (strstr(e->d_name, containing) == NULL) continue;
        n++;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (f != NULL) f(path);
    }
    closedir(d);
    return n;
}

static void remove_it(const char *path)
{
    unlink(path);
}

static int dir_remove(void **state)
{
    (void)state;
    each_file(remove_it, "");
    return rmdir(dir);
}

static struct journal_map opened(unsigned worker, unsigned want_bad)
{
    struct journal_map m;
    unsigned bad = 0;
    const char *why = NULL;

    if (!journal_open(dir, worker, &m, &bad, &why)) fail_msg("%s", why);
    assert_int_equal(bad, want_bad);
    return m;
}

static struct usage_record record(unsigned id)
{
    struct usage_record r = {.kind = RECORD_ATTEMPT, .cost_nanousd = (int64_t)id * 1000};

    memcpy(r.attempt_id, &id, sizeof id);
    r.attempt_id[15] = 1;
    snprintf(r.model, sizeof r.model, "model-%u", id);
    return r;
}

static unsigned id_of(const struct usage_record *r)
{
    unsigned id;

    memcpy(&id, r->attempt_id, sizeof id);
    return id;
}

static void a_record_is_read_as_it_was_committed(void **state)
{
    (void)state;
    struct journal_map m = opened(0, 0);
    struct usage_record draft = record(1), final = record(1), got;
    struct slot_hold hold = {.cell = 4, .window = 9, .nanousd = 77};

    struct journal_slot *slot = journal_slot_open(&m, &draft, &hold, 1);
    assert_non_null(slot);
    assert_int_equal(journal_open_slots(m.j), 1);
    assert_int_equal(journal_head(m.j), 0);
    assert_false(journal_read(m.j, 0, &got));
    final.cost_nanousd = 5;
    journal_commit(&m, slot, &final);
    assert_int_equal(journal_head(m.j), 1);
    assert_int_equal(journal_open_slots(m.j), 0);
    assert_true(journal_read(m.j, 0, &got));
    assert_int_equal(got.cost_nanousd, 5);
    assert_int_equal(got.seq, 0);
    assert_string_equal(got.model, "model-1");
    assert_false(journal_read(m.j, JOURNAL_RING_RECORDS, &got)); /* same place, another sequence */
    m.j->ring[0].bytes_in ^= 1;
    assert_false(journal_read(m.j, 0, &got));
    journal_close(&m);
}

static void it_survives_being_closed(void **state)
{
    (void)state;
    struct journal_map m = opened(3, 0);
    struct usage_record r = record(8), got;

    assert_true(journal_add(&m, &r));
    journal_close(&m);
    struct stat st;
    char path[128];
    snprintf(path, sizeof path, "%s/journal.3", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(st.st_size, sizeof(struct journal));
    assert_true(st.st_blocks * 512 >=
                (long)sizeof(struct journal)); /* allocated whole: a full disk cannot kill a writer */
    m = opened(3, 0);
    assert_true(journal_read(m.j, 0, &got));
    assert_int_equal(id_of(&got), 8);
    journal_close(&m);
}

static void a_full_ring_refuses_but_open_slots_still_fit(void **state)
{
    (void)state;
    struct journal_map m = opened(0, 0);
    struct journal_slot *slots[10];
    struct usage_record r = record(1), got;

    for (unsigned i = 0; i < 10; i++) assert_non_null(slots[i] = journal_slot_open(&m, &r, NULL, 0));
    for (unsigned i = 10; i < JOURNAL_RING_RECORDS; i++) assert_true(journal_add(&m, &r));
    assert_int_equal(journal_fill_permille(&m), 1000);
    assert_false(journal_add(&m, &r));
    assert_null(journal_slot_open(&m, &r, NULL, 0));
    for (unsigned i = 0; i < 10; i++) journal_commit(&m, slots[i], &r);
    assert_int_equal(journal_head(m.j), JOURNAL_RING_RECORDS);
    assert_true(journal_read(m.j, 0, &got)); /* nothing was written over */
    journal_consumed(&m, 100);
    assert_true(journal_fill_permille(&m) < 1000);
    for (unsigned i = 0; i < 100; i++) assert_true(journal_add(&m, &r));
    assert_false(journal_add(&m, &r));
    journal_consumed(&m, 50); /* backwards: not believed */
    assert_int_equal(m.j->ring_tail, 100);
    journal_consumed(&m, JOURNAL_RING_RECORDS + 100);
    assert_int_equal(journal_fill_permille(&m), 0);
    journal_close(&m);
}

static void every_slot_can_be_used_and_comes_back(void **state)
{
    (void)state;
    struct journal_map m = opened(0, 0);
    static struct journal_slot *slots[JOURNAL_SLOTS];
    struct usage_record r = record(1);

    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < JOURNAL_SLOTS; i++) assert_non_null(slots[i] = journal_slot_open(&m, &r, NULL, 0));
        assert_int_equal(journal_open_slots(m.j), JOURNAL_SLOTS);
        assert_null(journal_slot_open(&m, &r, NULL, 0));
        for (unsigned i = 0; i < JOURNAL_SLOTS; i++) journal_slot_drop(&m, slots[i]);
        assert_int_equal(m.j->reserved, 0);
        journal_trim(&m);
    }
    assert_int_equal(journal_head(m.j), 0);
    journal_close(&m);
}

static void pages_of_consumed_records_are_given_back(void **state)
{
    (void)state;
    struct journal_map m = opened(0, 0);
    struct usage_record r = record(1), got;

    for (unsigned lap = 0; lap < 5; lap++) { /* over the ring's end, with any phase to the pages */
        uint64_t from = journal_head(m.j);
        for (unsigned i = 0; i < 5000; i++) assert_true(journal_add(&m, &r));
        for (uint64_t at = from; at < journal_head(m.j); at++) assert_true(journal_read(m.j, at, &got));
        journal_consumed(&m, from + 4000);
        journal_trim(&m);
        for (uint64_t at = from + 4000; at < journal_head(m.j); at++)
            assert_true(journal_read(m.j, at, &got)); /* what is not consumed is still there */
        journal_consumed(&m, journal_head(m.j));
    }
    journal_close(&m);
}

/* ---- a worker dies, the next one works on, recovery closes what was left ---- */

static void the_next_writer_leaves_dead_slots_to_recovery(void **state)
{
    (void)state;
    struct journal_map dead = opened(0, 0), next, control;
    struct usage_record draft = record(1), got;
    struct slot_hold hold = {.cell = 4, .window = 9, .nanousd = 77}, holds[SHM_BUDGETS_PER_CALL];
    unsigned n = 99;
    const char *why = NULL;

    journal_retire(&dead, true);
    journal_begin(&dead);
    for (unsigned i = 1; i <= 3; i++) {
        draft = record(i);
        struct journal_slot *slot = journal_slot_open(&dead, &draft, &hold, 1);
        if (i == 2) journal_append(&dead, slot, &draft); /* killed before its holds were settled */
    }
    int fd = dup(dead.fd);
    assert_true(journal_open_existing(dir, 0, &control, &why));
    assert_int_equal(journal_dead_slots(control.j), 0); /* not while it may live */
    journal_retire(&control, false);                    /* the supervisor has reaped it */
    assert_int_equal(journal_dead_slots(control.j), 3);

    assert_true(journal_map_fd(fd, &next, &why));
    assert_int_equal(next.j->reserved, 0);
    draft = record(50);
    struct journal_slot *mine = journal_slot_open(&next, &draft, NULL, 0);
    assert_int_equal(journal_open_slots(control.j), 4);
    assert_int_equal(journal_dead_slots(control.j), 3);

    unsigned seen = 0, closed = 0;
    for (unsigned i = 0; i < JOURNAL_SLOTS; i++) {
        enum slot_state s = journal_slot_dead(control.j, i);
        if (s == SLOT_FREE) continue;
        assert_true(journal_slot_draft(control.j, i, &got, holds, &n));
        assert_int_equal(n, 1);
        assert_int_equal(holds[0].nanousd, 77);
        assert_true(journal_slot_holds_live(control.j, i));
        seen |= 1u << id_of(&got);
        closed += s == SLOT_CLOSED && id_of(&got) == 2;
        journal_slot_booked(&control, i);
        assert_int_equal(journal_slot_dead(control.j, i), SLOT_BOOKED);
        journal_slot_free(&control, i);
    }
    assert_int_equal(seen, 1 << 1 | 1 << 2 | 1 << 3);
    assert_int_equal(closed, 1);
    assert_int_equal(journal_open_slots(control.j), 1);
    journal_commit(&next, mine, &draft);
    assert_true(journal_read(control.j, 1, &got));
    assert_int_equal(id_of(&got), 50);
    journal_close(&dead);
    journal_close(&next);
    journal_close(&control);
    close(fd);
}

static void slots_freed_by_recovery_are_used_again(void **state)
{
    (void)state;
    struct journal_map dead = opened(0, 0), next;
    struct usage_record r = record(1);
    const char *why = NULL;

    journal_begin(&dead);
    for (unsigned i = 0; i < JOURNAL_SLOTS - 1; i++) assert_non_null(journal_slot_open(&dead, &r, NULL, 0));
    journal_retire(&dead, false);
    assert_true(journal_map_fd(dead.fd, &next, &why));
    assert_non_null(journal_slot_open(&next, &r, NULL, 0));
    assert_null(journal_slot_open(&next, &r, NULL, 0)); /* the dead have the rest */
    for (unsigned i = 0; i < JOURNAL_SLOTS; i++)
        if (journal_slot_dead(dead.j, i) != SLOT_FREE) journal_slot_free(&dead, i);
    for (unsigned i = 0; i < JOURNAL_SLOTS - 1; i++) assert_non_null(journal_slot_open(&next, &r, NULL, 0));
    assert_null(journal_slot_open(&next, &r, NULL, 0));
    journal_close(&next);
    journal_close(&dead);
}

static void holds_of_an_earlier_boot_are_not_in_this_live(void **state)
{
    (void)state;
    struct journal_map m = opened(0, 0);
    struct usage_record r = record(1);

    m.j->incarnation = 0xFFFFFE; /* the counter wraps: still right */
    journal_begin(&m);
    ptrdiff_t old = journal_slot_open(&m, &r, NULL, 0) - m.j->slot;
    journal_close(&m);
    m = opened(0, 0);
    journal_retire(&m, true);
    assert_false(journal_slot_holds_live(m.j, (unsigned)old));
    ptrdiff_t first = journal_slot_open(&m, &r, NULL, 0) - m.j->slot;
    journal_retire(&m, false);
    assert_true(journal_slot_holds_live(m.j, (unsigned)first));
    assert_false(journal_slot_holds_live(m.j, (unsigned)old));
    journal_close(&m);
}

/* ---- files that are not ours ---- */

static void damage(const char *name, off_t at, const char *bytes, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, bytes, n, at), n);
    close(fd);
}

static void what_cannot_be_read_is_moved_aside_and_kept(void **state)
{
    (void)state;
    char path[128], other[128];
    static const struct {
        off_t at;
        const char *bytes;
        size_t n;
    } faults[] = {
        {0, "XXXXXXXX", 8},                                       /* magic */
        {8, "\x63", 1},                                           /* version */
        {16, "\1\2\3", 3},                                        /* fingerprint */
        {24, "\1", 1},                                            /* size in the head */
        {offsetof(struct journal, worker), "\7", 1},              /* of another worker */
        {offsetof(struct journal, ring_tail), "\xff\xff\xff", 3}, /* tail beyond head */
    };
    unsigned bad_files = 0;

    snprintf(path, sizeof path, "%s/journal.0", dir);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct journal_map m = opened(0, 0);
        struct usage_record r = record(5);
        journal_add(&m, &r);
        journal_close(&m);
        damage("journal.0", faults[i].at, faults[i].bytes, faults[i].n);
        m = opened(0, 1);
        assert_int_equal(journal_head(m.j), 0); /* a new one */
        journal_close(&m);
        assert_int_equal(each_file(NULL, ".bad-"), ++bad_files);
    }
    assert_int_equal(truncate(path, 4096), 0);
    struct journal_map m = opened(0, 1);
    journal_close(&m);
    chmod(path, 0640);
    m = opened(0, 1);
    journal_close(&m);
    snprintf(other, sizeof other, "%s/elsewhere", dir);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0); /* never followed */
    m = opened(0, 1);
    journal_close(&m);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* never waited for */
    m = opened(0, 1);
    journal_close(&m);
    assert_int_equal(each_file(NULL, ".bad-"), bad_files + 4);
    assert_int_equal(each_file(NULL, ".new"), 0);
}

static void existing_files_are_neither_made_nor_moved(void **state)
{
    (void)state;
    struct journal_map m;
    const char *why = NULL;

    assert_false(journal_open_existing(dir, 0, &m, &why));
    assert_non_null(strstr(why, "journal.0"));
    assert_int_equal(each_file(NULL, ""), 0);
    m = opened(0, 0);
    journal_close(&m);
    damage("journal.0", 0, "XXXX", 4);
    assert_false(journal_open_existing(dir, 0, &m, &why));
    assert_non_null(strstr(why, "magic"));
    assert_int_equal(each_file(NULL, ".bad-"), 0);
    assert_false(journal_open_existing(dir, SHM_WORKERS, &m, &why));
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct journal_map m;
    unsigned bad = 0;
    const char *why = NULL;

    assert_false(journal_open("/nonexistent/weir", 0, &m, &bad, &why));
    assert_non_null(strstr(why, "No such file"));
}

static void hostile_numbers_are_not_followed(void **state)
{
    (void)state;
    struct journal_map m = opened(0, 0);
    struct usage_record got;
    struct slot_hold holds[SHM_BUDGETS_PER_CALL];
    unsigned n;

    m.j->ring_head = 1ull << 60;
    assert_false(journal_is_sane(m.j));
    assert_int_equal(journal_head(m.j), 0);
    m.j->ring_head = UINT64_MAX;
    m.j->ring_tail = 5;
    assert_int_equal(journal_head(m.j), 5);
    assert_false(journal_read(m.j, UINT64_MAX, &got));
    m.j->slot_word[9] = 0xFFFFFFFF;
    m.j->slot[9].holds_n = 0xFFFF;
    memset(&m.j->slot[9].draft, 'A', sizeof m.j->slot[9].draft);
    journal_retire(&m, true);
    assert_int_equal(journal_slot_dead(m.j, 9), SLOT_OPEN);
    assert_false(journal_slot_draft(m.j, 9, &got, holds, &n));
    m.j->slot[9].holds_n = 0;
    assert_true(journal_slot_draft(m.j, 9, &got, holds, &n));
    assert_int_equal(strlen(got.detail), sizeof got.detail - 1); /* texts end */
    assert_int_equal(journal_slot_dead(m.j, JOURNAL_SLOTS), SLOT_FREE);
    assert_false(journal_slot_draft(m.j, JOURNAL_SLOTS, &got, holds, &n));
    journal_close(&m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, dir_make, dir_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_is_read_as_it_was_committed),         TEST(it_survives_being_closed),
        TEST(a_full_ring_refuses_but_open_slots_still_fit), TEST(every_slot_can_be_used_and_comes_back),
        TEST(pages_of_consumed_records_are_given_back),     TEST(the_next_writer_leaves_dead_slots_to_recovery),
        TEST(slots_freed_by_recovery_are_used_again),       TEST(holds_of_an_earlier_boot_are_not_in_this_live),
        TEST(what_cannot_be_read_is_moved_aside_and_kept),  TEST(existing_files_are_neither_made_nor_moved),
        TEST(a_directory_that_is_not_there_is_an_error),    TEST(hostile_numbers_are_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
