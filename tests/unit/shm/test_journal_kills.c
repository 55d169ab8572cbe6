/* A worker is SIGKILLed 1,000 times at random while it writes, as fast as it can, into the same journal. In a shared page it tells which
 * commits have returned: each of those must be in the ring, whole and once; nothing torn may ever be seen; what was open is found in
 * the slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/clock.h"
#include "shm/journal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLS = 1000 };

struct told {                   /* by the writer of this life */
    _Atomic uint64_t committed; /* ids 1 .. committed of this life have been committed: the call returned */
    _Atomic uint64_t opened;
};

static struct usage_record record(uint64_t life, uint64_t id)
{
    struct usage_record r = {.kind = RECORD_ATTEMPT, .started_wall_ns = life, .bytes_in = id};

    memcpy(r.attempt_id, &life, 8);
    memcpy(r.attempt_id + 8, &id, 8);
    memset(r.detail, 'a' + (int)(id % 26), sizeof r.detail - 1);
    return r;
}

static void writer_main(int fd, uint64_t life, struct told *told)
{
    struct journal_map m;
    const char *why;
    struct journal_slot *slot[3];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!journal_map_fd(fd, &m, &why)) _exit(2);
    for (uint64_t id = 1;; id += 3) {
        for (unsigned k = 0; k < 3; k++) {
            struct usage_record draft = record(life, id + k);
            while ((slot[k] = journal_slot_open(&m, &draft, NULL, 0)) == NULL)
                usleep(50); /* full: the reader is behind */
            atomic_store(&told->opened, id + k);
        }
        for (unsigned k = 0; k < 3; k++) {
            struct usage_record done = record(life, id + k);
            done.status = 200;
            journal_commit(&m, slot[k], &done);
            atomic_store(&told->committed, id + k);
        }
    }
}

struct reader {
    struct journal_map m;
    uint64_t torn, records, recovered, booked;
    uint64_t last_of_life[2]; /* highest id read of this life and of the one before */
    uint64_t life;
};

/* In order within a life: each id follows the one before, or it was missed. */
static void drain(struct reader *r)
{
    uint64_t at = r->m.j->ring_tail, head = journal_head(r->m.j);
    struct usage_record got;

    for (; at < head; at++) {
        if (!journal_read(r->m.j, at, &got)) {
            r->torn++;
            continue;
        }
        uint64_t *last = &r->last_of_life[got.started_wall_ns & 1];
        struct usage_record want = record(got.started_wall_ns, got.bytes_in);
        if (got.started_wall_ns != r->life || got.bytes_in != *last + 1 || got.status != 200 ||
            memcmp(got.detail, want.detail, sizeof want.detail) != 0)
            fail_msg("life %lu: record %lu behind %lu", (unsigned long)got.started_wall_ns, (unsigned long)got.bytes_in,
                     (unsigned long)*last);
        *last = got.bytes_in;
        r->records++;
    }
    journal_consumed(&r->m, at);
}

/* After the kill, with the ring drained: slots whose record is there are only freed, the others are the estimates. */
static void recover(struct reader *r, uint64_t opened)
{
    struct usage_record draft;
    struct slot_hold holds[SHM_BUDGETS_PER_CALL];
    unsigned n;
    uint64_t last = r->last_of_life[r->life & 1];

    for (unsigned i = 0; i < JOURNAL_SLOTS; i++) {
        if (journal_slot_dead(r->m.j, i) == SLOT_FREE) continue;
        assert_true(journal_slot_draft(r->m.j, i, &draft, holds, &n));
        assert_int_equal(draft.started_wall_ns, r->life);
        assert_true(draft.bytes_in <= opened + 1); /* one may be open that was not told */
        if (draft.bytes_in > last) r->booked++;
        journal_slot_booked(&r->m, i);
        journal_slot_free(&r->m, i);
        r->recovered++;
    }
    assert_int_equal(journal_dead_slots(r->m.j), 0);
}

static void a_thousand_kills_tear_nothing_and_lose_nothing(void **state)
{
    (void)state;
    char dir[64] = "/tmp/weir-kills-XXXXXX", path[128];
    struct reader r = {0};
    unsigned bad = 0;
    const char *why = NULL;
    struct told *told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_non_null(mkdtemp(dir));
    if (!journal_open(dir, 0, &r.m, &bad, &why)) fail_msg("%s", why);
    journal_retire(&r.m, true);
    srand(20261127);
    for (r.life = 1; r.life <= KILLS; r.life++) {
        atomic_store(&told->committed, 0);
        atomic_store(&told->opened, 0);
        r.last_of_life[r.life & 1] = 0;
        pid_t pid = fork();
        if (pid == 0) writer_main(r.m.fd, r.life, told);
        uint64_t until = clock_mono_ns() + 200000 + (uint64_t)(rand() % 1500000);
        while (clock_mono_ns() < until) drain(&r);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        journal_retire(&r.m, false);
        drain(&r);
        if (r.last_of_life[r.life & 1] < atomic_load(&told->committed))
            fail_msg("life %lu: %lu was committed, %lu is there", (unsigned long)r.life,
                     (unsigned long)atomic_load(&told->committed), (unsigned long)r.last_of_life[r.life & 1]);
        recover(&r, atomic_load(&told->opened));
    }
    print_message("%d kills, %lu records, %lu torn, %lu slots recovered, %lu of them estimates\n", KILLS,
                  (unsigned long)r.records, (unsigned long)r.torn, (unsigned long)r.recovered, (unsigned long)r.booked);
    assert_int_equal(r.torn, 0);
    assert_true(r.records > 10 * KILLS);
    assert_true(r.recovered > KILLS / 10);
    journal_close(&r.m);
    snprintf(path, sizeof path, "%s/journal.0", dir);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_kills_tear_nothing_and_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
