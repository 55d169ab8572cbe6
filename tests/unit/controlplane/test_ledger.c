#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/ledger_query.h"
#include "controlplane/ledger_verify.h"
#include "tests/unit/controlplane/records.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[] = "/tmp/weir-test-ledger-XXXXXX";
static struct ledger_conf conf = {.max_bytes = 64 << 20};
static char why[300];

static void clean(const char *dir)
{
    char command[700];
    snprintf(command, sizeof command, "rm -rf '%s' '%s'.new '%s'.corrupt-*", dir, dir, dir);
    assert_int_equal(system(command), 0);
}

static struct ledger *current; /* so that a test that fails half-way is tidied up behind */

static struct ledger *opened(void)
{
    if (ledger_open(&conf, &current, why, sizeof why) != LEDGER_OK) fail_msg("%s", why);
    return current;
}

static void shut(void)
{
    ledger_close(&current);
}

static int fresh(void **state)
{
    snprintf(conf.dir, sizeof conf.dir, "%s/ledger", top);
    conf.max_bytes = 64 << 20;
    conf.keep_records_ms = conf.keep_rollups_ms = 0;
    clean(conf.dir);
    *state = opened();
    return 0;
}

static int done(void **state)
{
    (void)state;
    shut();
    return 0;
}

/* Records [from, from + n) in one commit; returns how many were new. */
static unsigned commit(struct ledger *l, uint64_t from, unsigned n)
{
    struct usage_record *records = malloc(n * sizeof *records);
    bool *inserted = calloc(n, sizeof *inserted);
    for (unsigned i = 0; i < n; i++) records[i] = made_record(from + i);
    struct ledger_position at = {.created_wall_ns = 77, .worker = 3, .tail = from + n};
    struct ledger_batch b = {
        .records = records, .inserted = inserted, .records_n = n, .positions = &at, .positions_n = 1};
    if (ledger_commit(l, &b, why, sizeof why) != LEDGER_OK) fail_msg("%s", why);
    unsigned fresh_n = 0;
    for (unsigned i = 0; i < n; i++) fresh_n += inserted[i];
    free(records);
    free(inserted);
    return fresh_n;
}

static void same_id_twice_counts_once(void **state)
{
    struct ledger *l = *state;
    struct ledger_stat stat;
    uint64_t tail = 0;
    assert_false(ledger_get_position(l, 77, 3, &tail));
    assert_int_equal(commit(l, 0, 100), 100);
    assert_int_equal(commit(l, 50, 100), 50);
    ledger_stat(l, &stat);
    assert_int_equal(stat.records, 150);
    assert_true(ledger_get_position(l, 77, 3, &tail));
    assert_int_equal(tail, 150);
    struct usage_record r = made_record(149);
    assert_true(ledger_has(l, r.attempt_id));
    r = made_record(150);
    assert_false(ledger_has(l, r.attempt_id));
    struct usage_query q = {0};
    usage_query_run(&q, l);
    assert_int_equal(q.total.calls, 150);
}

static void duplicates_tell_what_was_booked(void **state)
{
    struct ledger *l = *state;
    commit(l, 0, 10);
    struct usage_record r[2] = {made_record(5), made_record(11)};
    bool inserted[2];
    int64_t existing[2] = {-9, -9};
    r[0].cost_nanousd = 424242; /* an estimate that comes too late */
    struct ledger_batch b = {.records = r, .inserted = inserted, .existing_cost = existing, .records_n = 2};
    assert_int_equal(ledger_commit(l, &b, why, sizeof why), LEDGER_OK);
    assert_false(inserted[0]);
    assert_true(inserted[1]);
    assert_int_equal(existing[0], made_record(5).cost_nanousd);
    assert_int_equal(existing[1], -9);
}

static void survives_closing(void **state)
{
    struct ledger *l = *state;
    struct ledger_stat stat;
    struct buf value = {0};
    struct ledger_blob blobs[2] = {{.key = "config", .value = STR("version: 1\n")}, {.key = "empty", .value = STR("")}};
    struct ledger_batch b = {.blobs = blobs, .blobs_n = 2};
    commit(l, 0, 10);
    assert_int_equal(ledger_commit(l, &b, why, sizeof why), LEDGER_OK);
    ledger_stat(l, &stat);
    assert_int_equal(stat.incarnation, 1);
    shut();
    l = opened();
    ledger_stat(l, &stat);
    assert_int_equal(stat.incarnation, 2);
    assert_int_equal(stat.records, 10);
    assert_true(ledger_get_blob(l, "config", &value));
    assert_true(str_is(buf_view(&value), "version: 1\n"));
    buf_clear(&value);
    assert_true(ledger_get_blob(l, "empty", &value));
    assert_int_equal(buf_len(&value), 0);
    assert_false(ledger_get_blob(l, "absent", &value));
    blobs[0].value = STR_NULL;
    b.blobs_n = 1;
    assert_int_equal(ledger_commit(l, &b, why, sizeof why), LEDGER_OK);
    assert_false(ledger_get_blob(l, "config", &value));
    buf_fini(&value);
    *state = l;
}

/* ---- sums ---- */

static void rollups_are_the_sum_of_records(void **state)
{
    struct ledger *l = *state;
    enum { N = 20000 }; /* 5.5 hours */
    struct sums all = {0}, by_openai = {0};
    for (uint64_t at = 0; at < N;) {
        unsigned n = (unsigned)(mix(at) % 700) + 1;
        if (at + n > N) n = (unsigned)(N - at);
        assert_int_equal(commit(l, at, n), n);
        at += n;
    }
    for (uint64_t i = 0; i < N; i++) {
        struct usage_record r = made_record(i);
        sums_add_record(&all, &r);
        if (strcmp(r.provider, "openai") == 0) sums_add_record(&by_openai, &r);
    }
    struct usage_query q = {.by = BY_PROVIDER | BY_MODEL | BY_ROUTE | BY_KEY | BY_HOUR};
    usage_query_run(&q, l);
    assert_true(q.available && !q.cut);
    assert_memory_equal(&q.total, &all, sizeof all);
    struct sums rows = {0};
    for (unsigned i = 0; i < q.n; i++) sums_add(&rows, &q.rows[i].sums);
    assert_memory_equal(&rows, &all, sizeof all);
    assert_true(q.n > 100);
    usage_query_fini(&q);

    q = (struct usage_query){.by = BY_PROVIDER};
    usage_query_run(&q, l);
    assert_int_equal(q.n, 4); /* three, and refused calls that reached none */
    for (unsigned i = 1; i < q.n; i++) assert_true(q.rows[i - 1].sums.cost_nanousd >= q.rows[i].sums.cost_nanousd);
    usage_query_fini(&q);

    q = (struct usage_query){.filter = {.provider = "openai"}};
    usage_query_run(&q, l);
    assert_int_equal(q.n, 0);
    assert_memory_equal(&q.total, &by_openai, sizeof by_openai);

    /* any stretch of time, hours cut in the middle too */
    for (unsigned round = 0; round < 40; round++) {
        uint64_t from = mix(round) % N, to = mix(round + 1000) % N;
        if (from > to) {
            uint64_t swap = from;
            from = to;
            to = swap;
        }
        struct sums part = {0};
        for (uint64_t i = from; i < to; i++) {
            struct usage_record r = made_record(i);
            sums_add_record(&part, &r);
        }
        q = (struct usage_query){.by = round % 2 ? BY_MODEL : 0};
        q.filter.since_wall_ns = T0 + from * 1000000000u;
        q.filter.until_wall_ns = T0 + to * 1000000000u;
        usage_query_run(&q, l);
        assert_memory_equal(&q.total, &part, sizeof part);
        assert_int_equal(q.since_wall_ns, q.filter.since_wall_ns);
        usage_query_fini(&q);
    }
}

/* ---- requests ---- */

static void add_one(struct ledger *l, const struct usage_record *r)
{
    bool inserted;
    struct ledger_batch b = {.records = r, .inserted = &inserted, .records_n = 1};
    assert_int_equal(ledger_commit(l, &b, why, sizeof why), LEDGER_OK);
}

static void requests_are_found(void **state)
{
    struct ledger *l = *state;
    commit(l, 0, 500);
    struct usage_record first = made_record(600), second = made_record(601);
    memcpy(second.request_id, first.request_id, sizeof second.request_id);
    first.flags = 0;
    first.outcome = OUTCOME_FAILED;
    second.flags = RECORD_FINAL | RECORD_RESCUED;
    second.kind = RECORD_ATTEMPT;
    second.outcome = OUTCOME_OK;
    snprintf(second.route, sizeof second.route, "rare");
    add_one(l, &first);
    add_one(l, &second);

    struct record_query q = {.request_id = "req-00000600"};
    record_query_run(&q, l);
    assert_int_equal(q.n, 2);
    assert_int_equal(q.requests, 1);
    assert_memory_equal(q.records[0].attempt_id, first.attempt_id, 16);
    assert_memory_equal(q.records[1].attempt_id, second.attempt_id, 16);
    record_query_fini(&q);

    q = (struct record_query){.request_id = "last"};
    record_query_run(&q, l);
    assert_int_equal(q.n, 2);
    record_query_fini(&q);

    q = (struct record_query){.request_id = "req-0000060"}; /* a beginning that is enough */
    record_query_run(&q, l);
    assert_int_equal(q.n, 2);
    assert_false(q.ambiguous);
    record_query_fini(&q);
    q = (struct record_query){.request_id = "req-0000"};
    record_query_run(&q, l);
    assert_true(q.ambiguous);
    assert_int_equal(q.n, 0);
    q = (struct record_query){.request_id = "req-00009999"};
    record_query_run(&q, l);
    assert_int_equal(q.n, 0);
    assert_false(q.ambiguous);

    q = (struct record_query){.limit = 3};
    record_query_run(&q, l);
    assert_int_equal(q.requests, 3);
    assert_int_equal(q.n, 4);
    assert_string_equal(q.records[0].request_id, "req-00000498"); /* oldest first */
    assert_string_equal(q.records[3].request_id, "req-00000600");
    record_query_fini(&q);
    q = (struct record_query){.limit = 10, .filter = {.route = "rare"}};
    record_query_run(&q, l);
    assert_int_equal(q.requests, 1);
    record_query_fini(&q);
    q = (struct record_query){.limit = 1000, .filter = {.status = 4}};
    record_query_run(&q, l);
    assert_true(q.requests > 5);
    for (unsigned i = 0; i < q.n; i++) assert_int_equal(q.records[i].client_status, 429);
    record_query_fini(&q);
    q = (struct record_query){.request_id = "last"};
    record_query_run(&q, NULL);
    assert_false(q.available);
}

/* ---- room ---- */

static void map_grows(void **state)
{
    struct ledger *l = *state;
    struct ledger_stat stat;
    for (uint64_t at = 0; at < 50000; at += 1000) commit(l, at, 1000); /* more than the first 16 MiB */
    ledger_stat(l, &stat);
    assert_int_equal(stat.records, 50000);
    assert_true(stat.file_bytes > 16 << 20);
    print_message("# %llu bytes a record\n", (unsigned long long)(stat.file_bytes / stat.records));
}

static void full_map_lets_the_oldest_go(void **state)
{
    struct ledger *l = *state;
    struct ledger_stat stat;
    shut();
    conf.max_bytes = 4 << 20;
    l = opened();
    for (uint64_t at = 0; at < 100000; at += 500) commit(l, at, 500);
    ledger_stat(l, &stat);
    assert_true(stat.deleted > 50000);
    assert_true(stat.file_bytes <= 16 << 20);
    struct usage_query q = {0};
    usage_query_run(&q, l);
    assert_int_equal(q.total.calls, 100000); /* the sums stay */
    shut();
    assert_int_equal(ledger_verify(NULL, conf.dir, why, sizeof why), LEDGER_SOUND);
    *state = opened();
}

static void age_and_size_retention(void **state)
{
    struct ledger *l = *state;
    struct ledger_stat stat;
    bool more = true;
    shut();
    conf.keep_records_ms = 3600 * 1000;
    conf.keep_rollups_ms = 2 * 3600 * 1000;
    l = opened();
    for (uint64_t at = 0; at < 10000; at += 1000) commit(l, at, 1000); /* 2 h 46 min */
    for (unsigned step = 0; more && step < 100; step++)
        assert_int_equal(ledger_trim(l, T0 + 10000 * 1000000000ull, &more, why, sizeof why), LEDGER_OK);
    ledger_stat(l, &stat);
    assert_int_equal(stat.records, 3600);
    struct usage_query q = {.by = BY_HOUR};
    usage_query_run(&q, l);
    assert_int_equal(q.n, 3); /* the first hour ended less than two hours before */
    usage_query_fini(&q);
    assert_int_equal(ledger_trim(l, T0 + 3 * LEDGER_HOUR_NS, &more, why, sizeof why), LEDGER_OK);
    usage_query_run(&q, l);
    assert_int_equal(q.n, 2);
    usage_query_fini(&q);
    struct record_query gone = {.request_id = "req-00000001"};
    record_query_run(&gone, l);
    assert_int_equal(gone.n, 0);
    shut();
    assert_int_equal(ledger_verify(NULL, conf.dir, why, sizeof why), LEDGER_SOUND);
    *state = opened();
}

/* ---- faults ---- */

/* A writer is killed at any moment, again and again: what it had said to be committed is there, nothing is there twice or torn. */
static void writer_killed_at_random(void **state)
{
    struct ledger *l = *state;
    _Atomic uint64_t *said = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    enum { KILLS = 60 };
    shut();
    conf.max_bytes = 1 << 30; /* a fast machine writes more than retention would keep of the usual size */
    for (unsigned round = 0; round < KILLS; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            l = opened();
            uint64_t at = 0;
            ledger_get_position(l, 77, 3, &at);
            for (;;) {
                unsigned n = (unsigned)(mix(at) % 40) + 1;
                commit(l, at, n);
                at += n;
                *said = at;
            }
        }
        usleep((useconds_t)(mix(round) % 60000));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        uint64_t committed = *said, tail = 0;
        struct ledger_stat stat;
        l = opened();
        ledger_get_position(l, 77, 3, &tail);
        ledger_stat(l, &stat);
        assert_true(tail >= committed);
        assert_int_equal(stat.records, tail);
        *said = tail;
        shut();
    }
    l = opened();
    uint64_t tail = 0;
    struct sums all = {0};
    assert_true(ledger_get_position(l, 77, 3, &tail));
    for (uint64_t i = 0; i < tail; i++) {
        struct usage_record r = made_record(i);
        sums_add_record(&all, &r);
    }
    struct usage_query q = {0};
    usage_query_run(&q, l);
    assert_memory_equal(&q.total, &all, sizeof all);
    print_message("# %d kills, %llu records\n", KILLS, (unsigned long long)tail);
    shut();
    assert_int_equal(ledger_verify(NULL, conf.dir, why, sizeof why), LEDGER_SOUND);
    munmap((void *)(uintptr_t)said, 4096);
    *state = opened();
}

static void copy_file(const char *from, const char *to)
{
    char command[1300];
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

static enum ledger_soundness verdict_after(const char *data, void (*harm)(const char *data, off_t size, uint64_t seed),
                                           uint64_t seed)
{
    char good[600];
    struct stat st;
    snprintf(good, sizeof good, "%s/good", top);
    copy_file(good, data);
    assert_int_equal(stat(data, &st), 0);
    harm(data, st.st_size, seed);
    return ledger_verify(NULL, conf.dir, why, sizeof why);
}

static void cut_at(const char *data, off_t size, uint64_t seed)
{
    (void)size;
    assert_int_equal(truncate(data, (off_t)seed), 0);
}

static void put_bytes(const char *data, off_t at, const void *p, size_t n)
{
    int fd = open(data, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, p, n, at), n);
    close(fd);
}

static void zero_page(const char *data, off_t size, uint64_t seed)
{
    char zero[4096] = {0};
    put_bytes(data, (off_t)(mix(seed) % (uint64_t)(size / 4096)) * 4096, zero, sizeof zero);
}

static void garbage_page(const char *data, off_t size, uint64_t seed)
{
    uint64_t garbage[512];
    for (unsigned i = 0; i < 512; i++) garbage[i] = mix(seed * 1000 + i);
    put_bytes(data, (off_t)(mix(seed) % (uint64_t)(size / 4096)) * 4096, garbage, sizeof garbage);
}

static void flip_bit(const char *data, off_t size, uint64_t seed)
{
    off_t at = (off_t)(mix(seed) % (uint64_t)size);
    uint8_t byte;
    int fd = open(data, O_RDONLY);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    close(fd);
    byte ^= (uint8_t)(1 << seed % 8);
    put_bytes(data, at, &byte, 1);
}

static void flip_header_bit(const char *data, off_t size, uint64_t seed)
{
    off_t page = (off_t)(mix(seed) % (uint64_t)(size / 4096));
    uint8_t byte;
    int fd = open(data, O_RDONLY);
    assert_int_equal(pread(fd, &byte, 1, page * 4096 + (off_t)(seed % 16)), 1);
    close(fd);
    byte ^= (uint8_t)(1 << mix(seed) % 8);
    put_bytes(data, page * 4096 + (off_t)(seed % 16), &byte, 1);
}

/* Whatever happens to the file, the verification answers, and what it calls sound holds every record when it is opened and read. */
static void broken_files_are_told(void **state)
{
    struct ledger *l = *state;
    char data[600], good[600];
    for (uint64_t at = 0; at < 5000; at += 500) commit(l, at, 500);
    shut();
    snprintf(data, sizeof data, "%s/data.mdb", conf.dir);
    snprintf(good, sizeof good, "%s/good", top);
    copy_file(data, good);
    struct stat st;
    assert_int_equal(stat(data, &st), 0);
    assert_int_equal(ledger_verify(NULL, conf.dir, why, sizeof why), LEDGER_SOUND);

    const off_t cuts[] = {0, 100, 4096, 8192, st.st_size / 100, st.st_size / 10, st.st_size / 2, st.st_size / 10 * 9};
    for (unsigned i = 0; i < sizeof cuts / sizeof *cuts; i++)
        assert_int_equal(verdict_after(data, cut_at, (uint64_t)cuts[i]), LEDGER_NOT_SOUND);

    unsigned told = 0, sound = 0;
    void (*const harms[])(const char *, off_t, uint64_t) = {zero_page, garbage_page, flip_bit, flip_header_bit};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        if (verdict_after(data, harms[seed % 4], seed) == LEDGER_NOT_SOUND) {
            told++;
            continue;
        }
        sound++; /* a free page, or the unused rest of one */
        l = opened();
        struct usage_query q = {0};
        struct ledger_stat stat;
        usage_query_run(&q, l);
        assert_int_equal(q.total.calls, 5000);
        ledger_stat(l, &stat);
        assert_int_equal(stat.records, 5000);
        for (uint64_t i = 0; i < 5000; i += 7) {
            struct usage_record r = made_record(i);
            assert_true(ledger_has(l, r.attempt_id));
        }
        shut();
    }
    print_message("# harmed %u times: %u told, %u harmless\n", told + sound, told, sound);
    assert_true(told > 20);
    snprintf(data, sizeof data, "%s", conf.dir);
    char name[600];
    assert_true(ledger_quarantine(conf.dir, name, sizeof name));
    assert_int_equal(access(name, F_OK), 0);
    assert_int_not_equal(access(conf.dir, F_OK), 0);
    *state = opened(); /* and a new one begins */
}

static void links_and_empty_files_are_refused(void **state)
{
    struct ledger *l = *state;
    char other[600], data[600];
    shut();
    snprintf(other, sizeof other, "%s/elsewhere", top);
    clean(other);
    assert_int_equal(rename(conf.dir, other), 0);
    assert_int_equal(symlink(other, conf.dir), 0);
    assert_int_equal(ledger_open(&conf, &l, why, sizeof why), LEDGER_BROKEN);
    unlink(conf.dir);
    assert_int_equal(mkdir(conf.dir, 0700), 0);
    snprintf(data, sizeof data, "%s/data.mdb", conf.dir);
    close(open(data, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(ledger_open(&conf, &l, why, sizeof why), LEDGER_BROKEN);
    assert_int_equal(ledger_verify(NULL, conf.dir, why, sizeof why), LEDGER_NOT_SOUND);
    assert_int_equal(ledger_verify("/nonexistent/weir", conf.dir, why, sizeof why), LEDGER_NOT_ASKED);
    clean(conf.dir);
    *state = opened();
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--verify-store") == 0) return ledger_verify_main(argv[2]);
    if (mkdtemp(top) == NULL) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(same_id_twice_counts_once, fresh, done),
        cmocka_unit_test_setup_teardown(duplicates_tell_what_was_booked, fresh, done),
        cmocka_unit_test_setup_teardown(survives_closing, fresh, done),
        cmocka_unit_test_setup_teardown(rollups_are_the_sum_of_records, fresh, done),
        cmocka_unit_test_setup_teardown(requests_are_found, fresh, done),
        cmocka_unit_test_setup_teardown(map_grows, fresh, done),
        cmocka_unit_test_setup_teardown(full_map_lets_the_oldest_go, fresh, done),
        cmocka_unit_test_setup_teardown(age_and_size_retention, fresh, done),
        cmocka_unit_test_setup_teardown(writer_killed_at_random, fresh, done),
        cmocka_unit_test_setup_teardown(broken_files_are_told, fresh, done),
        cmocka_unit_test_setup_teardown(links_and_empty_files_are_refused, fresh, done),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    clean(top);
    return failed;
}
