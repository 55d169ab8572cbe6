#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/clock.h"
#include "shm/channel.h"
#include "shm/snapshot.h"
#include "shm/tick.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_row_is_seen_when_it_is_published_and_not_before(void **state)
{
    (void)state;
    struct segment made, seen;
    const char *why = NULL;
    int fd = tick_create(4, &made, &why);
    struct tick *t = made.base;

    assert_true(tick_map(fd, &seen, &why));
    const struct tick *r = seen.base;
    struct tick_side *side = tick_begin(t);
    side->serial = 9;
    side->leg[SHM_LEGS - 1] = (struct tick_leg){.weight = 30, .configured = 60};
    side->target[5].drained = 1;
    side->provider[2].n = 3;
    assert_int_equal(tick_serial(r), 0);
    assert_int_equal(tick_read_leg(r, SHM_LEGS - 1).weight, 0);
    tick_publish(t);
    assert_int_equal(r->incarnation, 4);
    assert_int_equal(tick_serial(r), 9);
    assert_int_equal(tick_read_leg(r, SHM_LEGS - 1).weight, 30);
    assert_int_equal(tick_read_target(r, 5).drained, 1);
    struct tick_provider p;
    tick_read_provider(r, 2, &p);
    assert_int_equal(p.n, 3);

    side = tick_begin(t); /* begins as a copy of what is current */
    assert_int_equal(side->leg[SHM_LEGS - 1].configured, 60);
    side->provider[2].n = 99;
    tick_publish(t);
    tick_read_provider(r, 2, &p);
    assert_int_equal(p.n, SHM_ADDRESSES); /* never an index beyond */
    assert_int_equal(tick_read_leg(r, SHM_LEGS).weight, 0);
    assert_int_equal(tick_read_target(r, ID_NONE).health, TICK_UNKNOWN);
    tick_read_provider(r, ID_NONE, &p);
    assert_int_equal(p.n, 0);
    segment_unmap(&made);
    segment_unmap(&seen);
    close(fd);
}

static void a_token_goes_to_its_origin_until_it_ends(void **state)
{
    (void)state;
    struct segment made, seen;
    const char *why = NULL;
    int fd = tick_create(1, &made, &why);
    struct tick *t = made.base;
    char got[SHM_TOKEN_BYTES], *long_one = malloc(SHM_TOKEN_BYTES + 1);
    uint64_t gen = 77;

    assert_true(tick_map(fd, &seen, &why));
    const struct tick *r = seen.base;
    assert_int_equal(tick_read_token(r, 3, 9, 100, got, &gen), 0);
    assert_int_equal(gen, 77);
    assert_true(tick_put_token(t, 3, STR_NULL, 9, 0)); /* nothing to take away */
    assert_int_equal(tick_token_gen(r, 3), 0);
    assert_true(tick_put_token(t, 3, STR("first"), 9, 1000));
    assert_int_equal(tick_read_token(r, 3, 9, 999, got, &gen), 5);
    assert_memory_equal(got, "first", 5);
    assert_int_equal(gen, 1);
    assert_int_equal(tick_read_token(r, 3, 9, 1000, got, &gen), 0); /* ended */
    assert_int_equal(tick_read_token(r, 3, 8, 999, got, &gen), 0);  /* another host */
    assert_int_equal(tick_read_token(r, 4, 9, 999, got, &gen), 0);  /* another provider */
    assert_int_equal(tick_read_token(r, ID_NONE, 9, 999, got, &gen), 0);
    assert_true(tick_put_token(t, 3, STR("second one"), 9, UINT64_MAX));
    assert_int_equal(tick_read_token(r, 3, 9, 5000, got, &gen), 10);
    assert_memory_equal(got, "second one", 10);
    memset(long_one, 'x', SHM_TOKEN_BYTES + 1);
    assert_true(tick_put_token(t, 3, (struct str){long_one, SHM_TOKEN_BYTES}, 9, UINT64_MAX));
    assert_int_equal(tick_read_token(r, 3, 9, 5000, got, &gen), SHM_TOKEN_BYTES);
    assert_false(tick_put_token(t, 3, (struct str){long_one, SHM_TOKEN_BYTES + 1}, 9, UINT64_MAX));
    assert_int_equal(tick_read_token(r, 3, 9, 5000, got, &gen), 0);
    assert_true(tick_put_token(t, 3, STR_NULL, 0, 0));
    assert_int_equal(tick_token_gen(r, 3), 5);
    free(long_one);
    segment_unmap(&made);
    segment_unmap(&seen);
    close(fd);
}

/* ---- a writer killed inside a publish ---- */

/* Every byte of a provider's row is made of one number, so that half a row shows. */
static void writer_main(struct tick *t)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t v = 1;; v++) {
        struct tick_side *side = tick_begin(t);
        for (unsigned i = 0; i < 4; i++) {
            uint64_t *words = (uint64_t *)(void *)&side->provider[i];
            for (size_t k = 0; k < sizeof side->provider[0] / 8; k++) words[k] = v * 0x0101010101010101ull;
            side->leg[i] = (struct tick_leg){(uint32_t)v, (uint32_t)v};
        }
        tick_publish(t);
    }
}

static unsigned torn(const struct tick *t, unsigned i)
{
    uint64_t words[sizeof(struct tick_provider) / 8];
    struct tick_provider row;
    struct tick_leg leg = tick_read_leg(t, (uint16_t)i);

    tick_read_provider(t, (uint16_t)i, &row);
    memcpy(words, &row, sizeof row);
    for (size_t k = 1; k < sizeof words / 8 - 1; k++) /* the last word holds n, which is cut to the capacity */
        if (words[k] != words[0]) return 1;
    return leg.weight != leg.configured;
}

static void a_writer_killed_inside_a_publish_tears_and_blocks_nothing(void **state)
{
    (void)state;
    struct segment made, seen;
    const char *why = NULL;
    int fd = tick_create(1, &made, &why);
    uint64_t reads = 0, slowest_ns = 0, generations = 0;
    unsigned bad = 0;

    assert_true(tick_map(fd, &seen, &why));
    const struct tick *t = seen.base;
    for (unsigned kills = 0; kills < 200; kills++) {
        uint64_t before = ((struct tick *)made.base)->gen;
        pid_t pid = fork();
        if (pid == 0) writer_main(made.base);
        uint64_t until = clock_mono_ns() + 1000000 + kills * 7919 % 1000000; /* 1-2 ms: anywhere in some publish */
        bool alive = true;
        for (unsigned after = 0; after < 200; after += !alive) {
            if (alive && clock_mono_ns() >= until) {
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                alive = false;
            }
            uint64_t began = clock_mono_ns();
            bad += torn(t, (unsigned)reads & 3);
            uint64_t took = clock_mono_ns() - began;
            if (!alive && took > slowest_ns) slowest_ns = took;
            reads++;
        }
        generations += ((struct tick *)made.base)->gen - before;
    }
    print_message("%lu reads, %lu publishes, slowest read after a kill %lu us\n", (unsigned long)reads,
                  (unsigned long)generations, (unsigned long)slowest_ns / 1000);
    assert_int_equal(bad, 0);
    assert_true(generations > 200);
    assert_true(slowest_ns < 100 * 1000000ull); /* a scheduler's pause at most; a spinning reader would never be done */
    segment_unmap(&made);
    segment_unmap(&seen);
    close(fd);
}

/* A publisher of snapshots: provider i of serial s is named "p<s>"; killed anywhere between building and sending. */
static void publisher_main(int channel)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t serial = 1;; serial++) {
        struct snap_builder *b = snap_builder_new();
        char name[32];
        int fds[2];
        const char *why;

        snprintf(name, sizeof name, "p%lu", (unsigned long)serial);
        for (unsigned i = 0; i < 8; i++) {
            struct snap_provider p = {.name = snap_add_text(b, str_of(name)), .id = (uint16_t)i, .secret = ID_NONE};
            snap_add_provider(b, &p);
        }
        snap_builder_head(b)->serial = serial;
        if (!snap_builder_finish(b, &fds[0], &fds[1], &why)) _exit(2);
        snap_builder_free(&b);
        struct channel_msg m = {.type = CHAN_PUBLISH, .serial = serial};
        struct pollfd p = {.fd = channel, .events = POLLOUT};
        while (!channel_send(channel, &m, fds, 2))
            if (poll(&p, 1, 1000) < 0) _exit(2);
        close(fds[0]);
        close(fds[1]);
    }
}

/* Reads all that is there; returns how many snapshots, every one whole. */
static unsigned snapshots_take(int channel, bool *ret_gone)
{
    struct channel_msg m;
    int fds[CHANNEL_FDS], got;
    unsigned n, taken = 0;
    const char *why = NULL;
    char name[32];

    while ((got = channel_recv(channel, &m, fds, &n)) == 1) {
        assert_int_equal(n, 2);
        struct snap *sn = snap_open(fds[0], fds[1], &why);
        if (sn == NULL) fail_msg("serial %lu: %s", (unsigned long)m.serial, why);
        snprintf(name, sizeof name, "p%lu", (unsigned long)m.serial);
        for (unsigned i = 0; i < 8; i++) assert_true(str_is(snap_text(sn, sn->providers[i].name), name));
        snap_unref(&sn);
        close(fds[0]);
        close(fds[1]);
        taken++;
    }
    *ret_gone = got < 0;
    return taken;
}

static void a_publisher_killed_inside_a_publish_leaves_only_whole_snapshots(void **state)
{
    (void)state;
    unsigned taken = 0;

    for (unsigned kills = 0; kills < 200; kills++) {
        int pair[2];
        bool gone = false;
        assert_true(channel_pair(pair));
        pid_t pid = fork();
        if (pid == 0) {
            close(pair[0]);
            publisher_main(pair[1]);
        }
        close(pair[1]);
        uint64_t until = clock_mono_ns() + 1500000 + kills * 6007 % 1500000;
        while (clock_mono_ns() < until) taken += snapshots_take(pair[0], &gone);
        assert_false(gone);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        taken += snapshots_take(pair[0], &gone);
        assert_true(gone); /* and its end is seen at once: nobody waits for the rest */
        close(pair[0]);
    }
    print_message("%u snapshots taken over 200 kills\n", taken);
    assert_true(taken > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_seen_when_it_is_published_and_not_before),
        cmocka_unit_test(a_token_goes_to_its_origin_until_it_ends),
        cmocka_unit_test(a_writer_killed_inside_a_publish_tears_and_blocks_nothing),
        cmocka_unit_test(a_publisher_killed_inside_a_publish_leaves_only_whole_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
