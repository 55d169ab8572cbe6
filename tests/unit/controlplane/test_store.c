#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/controlplane/plane.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

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

static void write_mark(const char *mark, const char *text)
{
    FILE *f = fopen(mark, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Whether a store that opens the ledger asks first: echo never says that it is sound, so it is then set aside. */
static bool is_asked(uint64_t boot_id, const char *mark)
{
    struct store_conf conf = {.verify_exe = "/bin/echo", .boot_id = boot_id};
    struct store_state st;
    const char *why = "";
    uv_loop_t loop;
    snprintf(conf.ledger.dir, sizeof conf.ledger.dir, "%s/ledger", dir);
    uv_loop_init(&loop);
    struct store *s = store_open(&loop, &conf, &why);
    store_state(s, &st);
    assert_int_not_equal(access(mark, F_OK), 0); /* taken away, so that a ledger that kills is asked the next time */
    store_close(&s);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return st.corrupt;
}

static void a_ledger_that_was_left_sound_is_not_asked_again(void **state)
{
    (void)state;
    struct plane p;
    char mark[300], data[300];
    plane_start(&p);
    plane_stop(&p);
    snprintf(mark, sizeof mark, "%s/ledger/sound", dir);
    snprintf(data, sizeof data, "%s/ledger/data.mdb", dir);
    assert_false(is_asked(0xABC, mark)); /* closed in order */
    write_mark(mark, "boot 0000000000000abc");
    assert_false(is_asked(0xABC, mark)); /* killed, in this boot */
    write_mark(mark, "boot 0000000000000abc");
    assert_true(is_asked(0xDEF, mark)); /* in another one */
    assert_int_equal(utimensat(AT_FDCWD, data, NULL, 0), 0);
    assert_true(is_asked(0xABC, mark)); /* closed in order, and then changed */
    assert_int_equal(unlink(mark), 0);
    assert_true(is_asked(0xABC, mark));
    write_mark(mark, "boot 0000000000000000");
    assert_true(is_asked(0, mark)); /* no boot is known */
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
        cmocka_unit_test_setup_teardown(full_disk_keeps_the_records_in_the_ring, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(failing_writes_open_the_ledger_anew, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_ledger_that_was_left_sound_is_not_asked_again, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(broken_ledger_is_set_aside, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(blobs_are_kept, fresh_dir, remove_dir),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    shell("rm -rf '%s'", top);
    return failed;
}
