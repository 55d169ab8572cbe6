#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/chat.h"
#include "proto/dialect/exchange.h"
#include "proto/dialect/model_traits.h"
#include "proto/dialect/tree.h"
#include "proto/dialect/turns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void loss_is_short_and_clean(void **state)
{
    (void)state;
    struct loss l = {.n = 0};
    loss_addz(&l, "seed");
    loss_addz(&l, "seed");
    loss_addz(&l, "a,b\r\nc");
    loss_addz(&l, "");
    assert_true(str_is(loss_view(&l), "seed,a_b__c"));
    for (unsigned i = 0; i < 100; i++) loss_add(&l, arena_printf(&arena, "field_%u", i));
    assert_true(l.n <= LOSS_MAX_BYTES);
    assert_true(str_ends(loss_view(&l), STR(",...")));
}

static void data_urls(void **state)
{
    (void)state;
    struct str type, data;
    assert_true(data_url_split(STR("data:image/png;base64,AAAA"), &type, &data));
    assert_true(str_is(type, "image/png") && str_is(data, "AAAA"));
    assert_true(data_url_split(STR("data:text/plain;charset=utf-8;base64,QQ=="), &type, &data));
    assert_true(str_is(type, "text/plain") && str_is(data, "QQ=="));
    assert_false(data_url_split(STR("https://e.org/data:;base64,"), &type, &data));
    assert_false(data_url_split(STR("data:text/plain,hello"), &type, &data));
    assert_false(data_url_split(STR_NULL, &type, &data));
}

static void trees_keep_numbers_and_order(void **state)
{
    (void)state;
    static const char text[] = "{ \"z\" : 12345678901234567890123, \"a\":[1E-07, -0, "
                               "0.70,1e400],\"s\":\"\\u00e9\\ud83d\\ude00\\n\", \"n\":null,\"t\":true}";
    yyjson_val *root;
    struct str why;
    assert_int_equal(tree_read(str_of(text), &arena, &root, &why), WEIR_OK);
    assert_true(str_is(tree_text(root, &arena), "{\"z\":12345678901234567890123,\"a\":[1E-07,-0,0.70,1e400],"
                                                "\"s\":\"\xc3\xa9\xf0\x9f\x98\x80\\n\",\"n\":null,\"t\":true}"));
    assert_null(tree_get(root, "n"));
    assert_int_equal(tree_get_bool(root, "t"), 1);
    assert_int_equal(tree_get_bool(root, "z"), -1);
}

static void integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is;
        int64_t value;
    } rows[] = {
        {"5", true, 5},
        {"-5", true, -5},
        {"5.0", true, 5},
        {"5e2", true, 500},
        {"5.5", false, 0},
        {"1e400", false, 0},
        {"\"5\"", false, 0},
        {"null", false, 0},
        {"true", false, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"1e30", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        yyjson_val *root;
        struct str why;
        int64_t v = 0;
        assert_int_equal(tree_read(str_of(rows[i].text), &arena, &root, &why), WEIR_OK);
        if (tree_i64(root, &v) != rows[i].is || v != rows[i].value) fail_msg("%s: %lld", rows[i].text, (long long)v);
    }
}

/* A body may be all brackets or all commas: memory stays within the cap, and depth is refused before any tree. */
static void trees_are_bounded(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    char *text = malloc(N + 1);
    yyjson_val *root;
    struct str why;
    text[0] = '[';
    for (size_t i = 1; i < N - 2; i += 2) memcpy(text + i, "0,", 2);
    memcpy(text + N - 2, " ]", 2);
    enum weir_err e = tree_read((struct str){text, N}, &arena, &root, &why);
    assert_true(e == WEIR_OK || e == WEIR_TOO_LARGE);
    assert_true(arena.used <= (size_t)N * TREE_BYTES_PER_BYTE + TREE_SLACK_BYTES + 4096);
    memset(text, '[', N);
    assert_int_equal(tree_read((struct str){text, N}, &arena, &root, &why), WEIR_BAD_JSON);
    free(text);
}

/* Half a million messages of one letter are refused before they fill the memory. */
static void conversations_are_bounded(void **state)
{
    (void)state;
    enum { MESSAGES = 500000 };
    struct buf body = {0};
    struct chat *chat;
    struct str why = STR_NULL;
    for (enum dialect_id d = 0; d < DIALECT_COUNT; d++) {
        bool google = d == DIALECT_GEMINI;
        const char *message = google                  ? "{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]}"
                              : d == DIALECT_CONVERSE ? "{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}"
                                                      : "{\"role\":\"user\",\"content\":\"x\"}";
        buf_clear(&body);
        buf_addf(&body, "{\"%s\":[%s", d == DIALECT_RESPONSES ? "input" : google ? "contents" : "messages", message);
        for (unsigned i = 0; i < MESSAGES; i++) {
            buf_addc(&body, ',');
            buf_addz(&body, message);
        }
        buf_addz(&body, "]}");
        assert_int_equal(dialect_of(d)->read_request(buf_view(&body), &arena, &chat, &why), WEIR_TOO_LARGE);
        assert_true(str_contains(why, STR("too many")));
        assert_true(arena.used < CHAT_MAX_BYTES + TREE_MAX_BYTES);
        arena_reset(&arena);
    }
    buf_fini(&body);
}

static void claude_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool adaptive, forced, sampling, prefill;
        enum claude_off off;
    } rows[] = {
        {"claude-3-5-sonnet-20241022", false, true, true, true, CLAUDE_OFF_BY_DEFAULT},
        {"claude-3-haiku-20240307", false, true, true, true, CLAUDE_OFF_BY_DEFAULT},
        {"claude-sonnet-4-20250514", false, true, true, true, CLAUDE_OFF_BY_DEFAULT},
        {"claude-opus-4-5-20251101", false, true, true, true, CLAUDE_OFF_BY_DEFAULT},
        {"claude-opus-4-5@20251101", false, true, true, true, CLAUDE_OFF_BY_DEFAULT},
        {"anthropic.claude-sonnet-4-5-20250929-v1:0", false, true, true, true, CLAUDE_OFF_BY_DEFAULT},
        {"anthropic/claude-opus-4.6", true, true, true, false, CLAUDE_OFF_BY_DEFAULT},
        {"claude-opus-4-7", true, true, false, false, CLAUDE_OFF_BY_DEFAULT},
        {"claude-opus-5", true, true, false, false, CLAUDE_OFF_DISABLED},
        {"claude-sonnet-5-5", true, false, false, false, CLAUDE_OFF_BETWEEN_TOOLS},
        {"claude-opus-5-5", true, false, false, false, CLAUDE_OFF_NEVER},
        {"claude-haiku-5-5", true, true, false, false, CLAUDE_OFF_DISABLED},
        {"claude-fable-5", true, true, false, false, CLAUDE_OFF_NEVER},
        {"claude-fable-5-1", true, false, false, false, CLAUDE_OFF_NEVER},
        {"claude-next", true, false, false, false, CLAUDE_OFF_NEVER},
        {"kimi-k2", false, true, true, true, CLAUDE_OFF_BY_DEFAULT},
        {"", false, true, true, true, CLAUDE_OFF_BY_DEFAULT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct claude_traits t = claude_traits_of(str_of(rows[i].name));
        if (t.adaptive != rows[i].adaptive || t.forced_tools != rows[i].forced || t.sampling != rows[i].sampling ||
            t.prefill != rows[i].prefill || t.off != rows[i].off)
            fail_msg("%s: %d %d %d %d %d", rows[i].name, t.adaptive, t.forced_tools, t.sampling, t.prefill, t.off);
    }
}

static void gpt_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool completion_tokens, effort, without, sampling, stop;
    } rows[] = {
        {"gpt-4o", true, false, false, true, true},        {"gpt-4.1-mini", true, false, false, true, true},
        {"gpt-5", true, true, false, false, false},        {"gpt-5.2", true, true, false, true, false},
        {"gpt-5.4", true, true, true, true, false},        {"gpt-5.6-luna", true, true, true, false, false},
        {"gpt-6-astra", true, true, false, false, false},  {"gpt-6-sol", true, true, true, false, false},
        {"openai/gpt-5", true, true, false, false, false}, {"o4-mini", true, true, false, false, false},
        {"gpt-oss-120b", false, true, false, true, true},  {"llama-3.3", false, false, false, true, true},
        {"olmo-7b", false, false, false, true, true},      {"chatgpt-4o-latest", true, false, false, true, true},
        {"x/", false, false, false, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct openai_traits t = openai_traits_of(str_of(rows[i].name));
        if (t.completion_tokens != rows[i].completion_tokens || t.effort != rows[i].effort ||
            t.tools_without_reasoning != rows[i].without || t.sampling != rows[i].sampling || t.stop != rows[i].stop)
            fail_msg("%s: %d %d %d %d %d", rows[i].name, t.completion_tokens, t.effort, t.tools_without_reasoning,
                     t.sampling, t.stop);
    }
}

static struct message *say(struct chat *c, enum role role)
{
    struct message *m = arena_zalloc(&arena, sizeof *m), **at = &c->messages;
    m->role = role;
    while (*at != NULL) at = &(*at)->next;
    *at = m;
    return m;
}

static void too_many_calls_are_refused(void **state)
{
    (void)state;
    struct chat c = {0};
    struct turns t;
    struct str why;
    say(&c, ROLE_USER);
    struct message *m = say(&c, ROLE_ASSISTANT);
    for (unsigned i = 0; i < TURN_CALLS_MOST; i++)
        part_add(&m->parts, &arena, PART_TOOL_CALL)->id = arena_printf(&arena, "c%u", i);
    assert_int_equal(turns_build(&c, false, &arena, &t, &why), WEIR_OK);
    assert_int_equal(t.last->parts.n, TURN_CALLS_MOST); /* every call got its result */
    part_add(&m->parts, &arena, PART_TOOL_CALL)->id = STR("one more");
    assert_int_equal(turns_build(&c, false, &arena, &t, &why), WEIR_BAD_REQUEST);
}

static void results_stay_first(void **state)
{
    (void)state;
    struct chat c = {0};
    struct turns t;
    struct str why;
    part_add(&say(&c, ROLE_USER)->parts, &arena, PART_TEXT)->text = STR("a");
    part_add(&say(&c, ROLE_ASSISTANT)->parts, &arena, PART_TOOL_CALL)->id = STR("1");
    part_add(&say(&c, ROLE_SYSTEM)->parts, &arena, PART_TEXT)->text = STR("s");
    part_add(&say(&c, ROLE_USER)->parts, &arena, PART_TOOL_RESULT)->id = STR("1");
    assert_int_equal(turns_build(&c, false, &arena, &t, &why), WEIR_OK);
    assert_int_equal(t.last->parts.n, 2);
    assert_int_equal(t.last->parts.first->kind, PART_TOOL_RESULT);
    assert_true(str_is(t.last->parts.last->text, "<system>\ns\n</system>"));
    assert_int_equal(turns_build(&c, true, &arena, &t, &why), WEIR_OK);
    assert_int_equal(t.last->role, ROLE_SYSTEM);
    assert_int_equal(t.first->next->next->role, ROLE_USER);
}

static void models_bodies(void **state)
{
    (void)state;
    struct buf out = {0};
    const struct model_entry m[] = {{STR("chat"), STR("chat \xe2\x86\x92 openai/x"), STR("two")},
                                    {STR("b\"c"), STR_NULL, STR_NULL}};
    models_write_list(m, 2, 1795305600, &out);
    yyjson_val *root;
    struct str why;
    assert_int_equal(tree_read(buf_view(&out), &arena, &root, &why), WEIR_OK);
    assert_int_equal(yyjson_arr_size(tree_get(root, "data")), 2);
    assert_true(
        str_is(tree_get_str(yyjson_arr_get_first(tree_get(root, "data")), "created_at"), "2026-11-22T00:00:00Z"));
    assert_true(str_is(tree_get_str(root, "last_id"), "b\"c"));
    assert_true(str_is(tree_get_str(yyjson_arr_get_first(tree_get(root, "models")), "name"), "models/chat"));
    buf_clear(&out);
    models_write_list(m, 0, 951782400, &out);
    assert_int_equal(tree_read(buf_view(&out), &arena, &root, &why), WEIR_OK);
    assert_null(tree_get(root, "first_id"));
    buf_clear(&out);
    models_write_one(&m[0], 951782400, &out); /* a leap day */
    assert_true(str_contains(buf_view(&out), STR("\"created_at\":\"2000-02-29T00:00:00Z\"")));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(loss_is_short_and_clean, teardown),
        cmocka_unit_test_teardown(data_urls, teardown),
        cmocka_unit_test_teardown(trees_keep_numbers_and_order, teardown),
        cmocka_unit_test_teardown(integers, teardown),
        cmocka_unit_test_teardown(trees_are_bounded, teardown),
        cmocka_unit_test_teardown(conversations_are_bounded, teardown),
        cmocka_unit_test_teardown(claude_names, teardown),
        cmocka_unit_test_teardown(gpt_names, teardown),
        cmocka_unit_test_teardown(too_many_calls_are_refused, teardown),
        cmocka_unit_test_teardown(results_stay_first, teardown),
        cmocka_unit_test_teardown(models_bodies, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
