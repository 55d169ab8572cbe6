#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/config/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scene {
    uv_loop_t loop;
    uv_timer_t stop;
    struct config_watch *watch;
    struct config config; /* only what the watch reads of it */
    struct str files[2];
    char folder[64];
    unsigned changes;
};

static void on_changed(void *to)
{
    struct scene *s = to;

    s->changes++;
    config_watch_set(s->watch, &s->config);
}

static void on_stop(uv_timer_t *t)
{
    uv_stop(t->loop);
}

static void run_for(struct scene *s, unsigned ms)
{
    uv_update_time(&s->loop);
    uv_timer_start(&s->stop, on_stop, ms, 0);
    uv_run(&s->loop, UV_RUN_DEFAULT);
}

static void path_in(const struct scene *s, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", s->folder, name);
}

static void put(const struct scene *s, const char *name, const char *text)
{
    char path[128];
    FILE *f;

    path_in(s, name, path);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void open_scene(struct scene *s)
{
    memset(s, 0, sizeof *s);
    snprintf(s->folder, sizeof s->folder, "/tmp/weir-watch-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    uv_loop_init(&s->loop);
    uv_timer_init(&s->loop, &s->stop);
    s->watch = config_watch_start(&s->loop, on_changed, s);
    s->config.files.at = s->files;
}

static void close_scene(struct scene *s)
{
    char command[128];

    config_watch_stop(&s->watch);
    assert_null(s->watch);
    uv_close((uv_handle_t *)&s->stop, NULL);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&s->loop), 0); /* every handle is closed */
    snprintf(command, sizeof command, "rm -rf %s", s->folder);
    assert_int_equal(system(command), 0);
}

static void test_write_and_replace(void **state)
{
    struct scene s;
    char path[128], other[128], key[128];

    (void)state;
    open_scene(&s);
    put(&s, "weir.yaml", "a");
    put(&s, "key", "k");
    path_in(&s, "weir.yaml", path);
    path_in(&s, "new", other);
    path_in(&s, "key", key);
    s.config.source = str_of(path);
    s.files[0] = str_of(key);
    s.config.files.n = 1;
    config_watch_set(s.watch, &s.config);
    run_for(&s, 500);
    assert_int_equal(s.changes, 0);
    put(&s, "weir.yaml", "bb"); /* written in place */
    run_for(&s, 1000);
    assert_int_equal(s.changes, 1);
    put(&s, "new", "a");
    assert_int_equal(rename(other, path), 0); /* replaced, as editors do */
    run_for(&s, 1000);
    assert_int_equal(s.changes, 2);
    put(&s, "key", "kk"); /* a file named in it */
    run_for(&s, 1000);
    assert_int_equal(s.changes, 3);
    put(&s, "unrelated", "x");
    run_for(&s, 1000);
    assert_int_equal(s.changes, 3);
    unlink(path);
    run_for(&s, 1000);
    assert_int_equal(s.changes, 4);
    put(&s, "weir.yaml", "back");
    run_for(&s, 1000);
    assert_int_equal(s.changes, 5);
    close_scene(&s);
}

/* Kubernetes: weir.yaml -> ..data/weir.yaml, ..data -> ..2026_1; an update makes ..2026_2 and swaps ..data. */
static void test_data_swap(void **state)
{
    struct scene s;
    char path[128], from[128], to[128];

    (void)state;
    open_scene(&s);
    path_in(&s, "..2026_1", path);
    assert_int_equal(mkdir(path, 0700), 0);
    put(&s, "..2026_1/weir.yaml", "a");
    path_in(&s, "..data", path);
    assert_int_equal(symlink("..2026_1", path), 0);
    path_in(&s, "weir.yaml", path);
    assert_int_equal(symlink("..data/weir.yaml", path), 0);
    s.config.source = str_of(path);
    config_watch_set(s.watch, &s.config);
    for (unsigned round = 2; round < 5; round++) {
        char folder[32], file[64];

        snprintf(folder, sizeof folder, "..2026_%u", round);
        snprintf(file, sizeof file, "..2026_%u/weir.yaml", round);
        path_in(&s, folder, from);
        assert_int_equal(mkdir(from, 0700), 0);
        put(&s, file, "b");
        path_in(&s, "..data_tmp", from);
        path_in(&s, "..data", to);
        assert_int_equal(symlink(folder, from), 0);
        assert_int_equal(rename(from, to), 0);
        run_for(&s, 1000);
        assert_int_equal(s.changes, round - 1);
    }
    close_scene(&s);
}

/* A change between reading the file and watching it anew is not lost; a burst of writes is told once, at the latest after 2 s. */
static void test_no_change_is_lost(void **state)
{
    struct scene s;
    char path[128];

    (void)state;
    open_scene(&s);
    put(&s, "weir.yaml", "a");
    path_in(&s, "weir.yaml", path);
    s.config.source = str_of(path);
    config_watch_set(s.watch, &s.config);
    put(&s, "weir.yaml", "bb");
    config_watch_set(s.watch, &s.config); /* as a reload does that read "a" */
    put(&s, "touch", "x");                /* any notice of the folder */
    run_for(&s, 1000);
    assert_int_equal(s.changes, 1);
    for (int i = 0; i < 28; i++) {
        put(&s, "weir.yaml", i % 2 == 0 ? "ccc" : "dddd");
        run_for(&s, 100);
    }
    assert_in_range(s.changes, 2, 3);
    close_scene(&s);
}

static void test_folder_that_is_not_there(void **state)
{
    struct scene s;

    (void)state;
    open_scene(&s);
    s.config.source = STR("/nonexistent/folder/weir.yaml");
    config_watch_set(s.watch, &s.config);
    s.config.source = STR("(environment)");
    config_watch_set(s.watch, &s.config);
    run_for(&s, 50);
    assert_int_equal(s.changes, 0);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_replace),
        cmocka_unit_test(test_data_swap),
        cmocka_unit_test(test_no_change_is_lost),
        cmocka_unit_test(test_folder_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
