#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/video.h"

#include <stdlib.h>
#include <string.h>

static const struct str KEY = {"sk-provider", 11}, CALLER = {"0123456789abcdef0123456789abcdef", 32};

static void id_text(struct arena *a, struct str *ret_text)
{
    struct video_id id = {
        .provider = STR("ark"), .model = STR("video"), .task = STR("cgt-2026-ab_c.1"), .print = video_print(KEY)};
    struct buf text = {0};
    video_id_sign(&id, KEY, CALLER);
    video_id_write(&id, &text);
    *ret_text = arena_copy(a, buf_view(&text));
    buf_fini(&text);
}

static void ids_come_back_and_are_bound(void **state)
{
    (void)state;
    struct arena a;
    struct video_id id;
    struct str text;
    arena_init(&a, 4096);
    id_text(&a, &text);
    assert_true(video_id_read(text, &a, &id));
    assert_true(str_is(id.provider, "ark") && str_is(id.model, "video") && str_is(id.task, "cgt-2026-ab_c.1"));
    assert_int_equal(id.print, video_print(KEY));
    assert_true(video_id_is_good(&id, KEY, CALLER));
    assert_false(video_id_is_good(&id, STR("sk-other"), CALLER));
    assert_false(video_id_is_good(&id, KEY, STR("another caller")));
    assert_false(video_id_is_good(&id, KEY, STR_NULL));
    assert_int_equal(video_print(STR_NULL), 0);
    arena_fini(&a);
}

static void no_changed_id_is_good(void **state)
{
    (void)state;
    struct arena a;
    struct str text;
    arena_init(&a, 4096);
    id_text(&a, &text);
    for (size_t i = 0; i < text.n; i++) {
        struct video_id id;
        struct str copy = arena_copy(&a, text);
        ((char *)(uintptr_t)copy.p)[i] = copy.p[i] == 'A' ? 'B' : 'A';
        if (video_id_read(copy, &a, &id))
            assert_false(video_id_is_good(&id, KEY, CALLER) && id.print == video_print(KEY));
        if (video_id_read(str_slice(text, 0, i), &a, &id)) assert_false(video_id_is_good(&id, KEY, CALLER));
    }
    const char *const bad[] = {"", "video_", "video_1", "video_AAAA", "cgt-1", "video_!!", "video_AQ=="};
    struct video_id id;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(video_id_read(str_of(bad[i]), &a, &id));
    arena_fini(&a);
}

static void a_task_that_is_no_plain_name_has_no_id(void **state)
{
    (void)state;
    const char *const bad[] = {"", "../x", "a/b", "a?b", "a b", ".a", "a%2f"};
    struct arena a;
    arena_init(&a, 4096);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct video_id id = {.provider = STR("ark"), .task = str_of(bad[i])};
        struct buf text = {0};
        video_id_sign(&id, KEY, CALLER);
        video_id_write(&id, &text);
        assert_false(video_id_read(buf_view(&text), &a, &id));
        buf_fini(&text);
    }
    arena_fini(&a);
}

static void tasks_are_read(void **state)
{
    (void)state;
    static const struct {
        enum video_form form;
        const char *body;
        enum video_state state;
        int64_t tokens, milliseconds;
        const char *error;
    } rows[] = {
        {VIDEO_ARK, "{\"status\":\"queued\"}", VIDEO_OPEN, -1, 0, ""},
        {VIDEO_ARK, "{\"status\":\"running\",\"usage\":null}", VIDEO_OPEN, -1, 0, ""},
        {VIDEO_ARK, "{\"status\":\"succeeded\",\"usage\":{\"completion_tokens\":108000},\"duration\":5}", VIDEO_DONE,
         108000, 5000, ""},
        {VIDEO_ARK, "{\"status\":\"succeeded\",\"usage\":{\"total_tokens\":9},\"frames\":57,\"framespersecond\":24}",
         VIDEO_DONE, 9, 3000, ""},
        {VIDEO_ARK, "{\"status\":\"failed\",\"error\":{\"code\":\"X\",\"message\":\"m\"}}", VIDEO_FAILED, -1, 0, "X"},
        {VIDEO_ARK, "{\"status\":\"cancelled\"}", VIDEO_CANCELLED, -1, 0, ""},
        {VIDEO_ARK, "{\"status\":\"expired\"}", VIDEO_EXPIRED, -1, 0, ""},
        {VIDEO_OPENAI, "{\"status\":\"completed\",\"seconds\":\"8\"}", VIDEO_DONE, -1, 8000, ""},
        {VIDEO_OPENAI, "{\"status\":\"in_progress\",\"seconds\":8}", VIDEO_OPEN, -1, 8000, ""},
        {VIDEO_OPENAI, "{\"status\":\"failed\",\"error\":{\"code\":\"moderation_blocked\"}}", VIDEO_FAILED, -1, 0,
         "moderation_blocked"},
    };
    struct arena a;
    struct video_task t;
    arena_init(&a, 4096);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(video_task_read(rows[i].form, str_of(rows[i].body), &a, &t));
        assert_int_equal(t.state, rows[i].state);
        assert_int_equal(t.tokens, rows[i].tokens);
        assert_int_equal(t.milliseconds, rows[i].milliseconds);
        assert_true(str_is(t.error, rows[i].error));
    }
    const char *const bad[] = {"", "[]", "{}", "{\"status\":\"done\"}", "{\"status\":3}", "{\"status\":\"queued\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(video_task_read(VIDEO_ARK, str_of(bad[i]), &a, &t));
    assert_false(video_task_read(VIDEO_OPENAI, STR("{\"status\":\"succeeded\"}"), &a, &t));
    arena_fini(&a);
}

static void sizes_become_resolution_and_ratio(void **state)
{
    (void)state;
    static const struct {
        const char *size, *want;
    } rows[] = {
        {"1280x720", "\"resolution\":\"720p\",\"ratio\":\"16:9\""},
        {"720x1280", "\"resolution\":\"720p\",\"ratio\":\"9:16\""},
        {"", "\"resolution\":\"720p\",\"ratio\":\"9:16\""},
        {"1024x1792", "\"resolution\":\"1080p\",\"ratio\":\"9:16\""},
        {"1920x1080", "\"resolution\":\"1080p\",\"ratio\":\"16:9\""},
        {"640x640", "\"resolution\":\"720p\",\"ratio\":\"1:1\""},
        {"864x480", "\"resolution\":\"480p\",\"ratio\":\"16:9\""},
        {"3840x2160", "\"resolution\":\"4k\",\"ratio\":\"16:9\""},
        {"2206x946", "\"resolution\":\"1080p\",\"ratio\":\"21:9\""},
        {"16x16384", "\"resolution\":\"480p\",\"ratio\":\"9:16\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = {0};
        struct video_call v = {.op = VIDEO_CREATE, .form = VIDEO_ARK, .size = str_of(rows[i].size), .seconds = 4};
        v.prompt = STR("say \"hi\"\n");
        video_write_request(&v, STR("m"), &out);
        assert_true(str_contains(buf_view(&out), str_of(rows[i].want)));
        assert_true(str_contains(buf_view(&out), STR("\"text\":\"say \\\"hi\\\"\\n\"")));
        buf_fini(&out);
    }
}

static void the_bound_is_never_below_the_bill(void **state)
{
    (void)state;
    static const struct {
        const char *size;
        int64_t width, height;
    } rows[] = {{"864x496", 864, 496},   {"1280x720", 1280, 720},   {"1112x834", 1112, 834},
                {"1470x630", 1470, 630}, {"1920x1080", 1920, 1080}, {"2206x946", 2206, 946}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int64_t s = 1; s <= 30; s++) {
            struct video_call v = {.op = VIDEO_CREATE, .form = VIDEO_ARK, .size = str_of(rows[i].size), .seconds = s};
            int64_t bill = (s * 24 + 1) * rows[i].width * rows[i].height / 1024;
            assert_true(video_token_bound(&v) >= bill && video_token_bound(&v) < 4 * bill);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_come_back_and_are_bound),
        cmocka_unit_test(no_changed_id_is_good),
        cmocka_unit_test(a_task_that_is_no_plain_name_has_no_id),
        cmocka_unit_test(tasks_are_read),
        cmocka_unit_test(sizes_become_resolution_and_ratio),
        cmocka_unit_test(the_bound_is_never_below_the_bill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
