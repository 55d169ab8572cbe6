#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire/json.h"
#include "tests/unit/proto/wire/corpora.h"

#include <dirent.h>
#include <string.h>

/* A copy of exactly its size, so that ASan sees a read behind it. */
static bool is_valid(struct str text)
{
    char *copy = malloc(text.n > 0 ? text.n : 1);
    if (text.n > 0) memcpy(copy, text.p, text.n);
    unsigned depth;
    struct json_error e;
    bool ok = json_check((struct str){copy, text.n}, &depth, &e);
    if (!ok) assert_true(e.what != NULL && e.at <= text.n);
    free(copy);
    return ok;
}

static void check(const char *text, bool want)
{
    if (is_valid(str_of(text)) != want) print_message("# %s\n", text);
    assert_int_equal(is_valid(str_of(text)), want);
}

static void the_grammar_is_kept(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        " [ ] ",
        "0",
        "-0",
        "1.5e-10",
        "1E+2",
        "\"\"",
        "null",
        "true",
        "false",
        "[1,2]",
        "{\"a\":{}}",
        "{\"a\":1,\"a\":2}",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"",
        "[[],{},[{}]]",
        "\"\x7F\"",
        "\t\r\n1\n",
    };
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[",
        "]",
        "{]",
        "[}",
        "{,}",
        "[,]",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{\"a\" 1}",
        "{a:1}",
        "{1:1}",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "--1",
        "0x1",
        "NaN",
        "nul",
        "nulll",
        "tru",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\n\"",
        "\"\t\"",
        "1 2",
        "{}{}",
        "[1 2]",
        "[1:2]",
        "'a'",
        "\"\x80\"",
        "\"\xC0\x80\"",
        "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"",
        "\"\xE2\x82\"",
        "\xEF\xBB\xBF{}",
        "/**/1",
        "\"\xF0\x80\x80\x80\"",
        "\"\xE0\x80\x80\"",
        "\"\\",
        "\"\\u",
        "\"\xC3",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) check(good[i], true);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) check(bad[i], false);
    assert_false(is_valid((struct str){"[1\0]", 4}));
    assert_false(is_valid((struct str){"\"\\\0\"", 4}));
    assert_false(is_valid(STR_NULL));
}

static void every_place_in_a_long_string_counts(void **state)
{
    (void)state;
    static const struct {
        const char *piece;
        bool want;
    } cases[] = {{"\x01", false}, {"\xC3\xA9", true}, {"\x80", false},
                 {"\\n", true},   {"\\q", false},     {"\xE2\x82", false}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
        for (int at = 0; at < 50; at++) {
            struct buf b = {0};
            buf_addf(&b, "\"%.*s%s%.*s\"", at, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", cases[k].piece,
                     50 - at, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
            assert_int_equal(is_valid(buf_view(&b)), cases[k].want);
            buf_fini(&b);
        }
}

static void depth_is_told_and_limited(void **state)
{
    (void)state;
    struct buf b = {0};
    unsigned depth;
    struct json_error e;
    for (int d = 127; d <= 129; d++) {
        buf_clear(&b);
        for (int i = 0; i < d; i++) buf_addz(&b, i % 2 == 0 ? "[" : "{\"a\":");
        buf_addz(&b, "1");
        for (int i = d - 1; i >= 0; i--) buf_addz(&b, i % 2 == 0 ? "]" : "}");
        assert_int_equal(json_check(buf_view(&b), &depth, &e), d <= JSON_MAX_DEPTH);
        if (d <= JSON_MAX_DEPTH)
            assert_int_equal(depth, d);
        else
            assert_string_equal(e.what, "nested too deeply");
    }
    assert_true(json_check(STR("[1,[2],3]"), &depth, &e));
    assert_int_equal(depth, 2);
    assert_true(json_check(STR("1"), &depth, &e));
    assert_int_equal(depth, 0);
    buf_fini(&b);
}

static void members_are_found(void **state)
{
    (void)state;
    struct buf scratch = {0};
    struct str v;
    struct str text = STR(" { \"model\" : \"gpt\\u002d4\", \"a\":{\"model\":1,\"x\":[\"}\",{}]} "
                          ",\"\\u0073tream\":true, \"n\": -1.5e3 } ");
    assert_int_equal(json_find(text, "model", &v, &scratch), JSON_FOUND);
    assert_true(str_is(v, "\"gpt\\u002d4\""));
    assert_int_equal(json_find(text, "stream", &v, &scratch), JSON_FOUND);
    assert_true(json_is_true(v));
    assert_int_equal(json_find(text, "a", &v, &scratch), JSON_FOUND);
    assert_true(str_is(v, "{\"model\":1,\"x\":[\"}\",{}]}"));
    assert_int_equal(json_find(text, "n", &v, &scratch), JSON_FOUND);
    assert_true(str_is(v, "-1.5e3"));
    assert_int_equal(json_find(text, "x", &v, &scratch), JSON_ABSENT);
    assert_int_equal(json_find(STR("{\"model\":1,\"\\u006dodel\":2}"), "model", &v, &scratch), JSON_TWICE);
    assert_int_equal(json_find(STR("{}"), "model", &v, &scratch), JSON_ABSENT);
    assert_int_equal(json_find(STR("[1]"), "model", &v, &scratch), JSON_ABSENT);
    assert_int_equal(json_find(STR_NULL, "model", &v, &scratch), JSON_ABSENT);

    struct json_member m;
    size_t at = 0;
    struct str two = STR("{\"a\":1,\"b\" : [2]}");
    assert_true(json_next_member(two, &at, &m, &scratch));
    assert_int_equal(m.at, 1);
    assert_true(json_next_member(two, &at, &m, &scratch));
    assert_int_equal(m.at, 7);
    assert_true(str_is(m.value, "[2]"));
    assert_false(json_next_member(two, &at, &m, &scratch));
    buf_fini(&scratch);
}

static void strings_are_unquoted(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_true(json_unquote(STR("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00z\""), &b));
    assert_true(str_is(buf_view(&b), "a\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z"));
    assert_false(json_unquote(STR("1"), &b));
    assert_false(json_unquote(STR("\""), &b));
    assert_false(json_unquote(STR("\"a\\\""), &b));
    assert_false(json_unquote(STR("\"\\ud800\""), &b));
    assert_true(str_starts(buf_view(&b), STR("a\"")));
    assert_true(str_ends(buf_view(&b), STR("z"))); /* nothing is left of the failed ones */
    buf_fini(&b);
}

static void splice(const char *text, struct json_patch a, struct json_patch b, const char *want)
{
    struct buf out = {0};
    struct json_patch patches[] = {a, b};
    assert_true(json_splice(str_of(text), patches, b.key != NULL ? 2 : 1, &out));
    if (!str_is(buf_view(&out), want)) print_message("# %.*s\n", STR_FMT(buf_view(&out)));
    assert_true(str_is(buf_view(&out), want));
    assert_true(is_valid(buf_view(&out)));
    buf_fini(&out);
}

static void bytes_are_spliced(void **state)
{
    (void)state;
    const struct json_patch none = {0}, model = {"model", STR("\"m\"")}, no_user = {"user", STR_NULL},
                            opt = {"stream_options", STR("{\"include_usage\":true}")};
    splice("{\"model\":\"x\",\"n\":1}", model, none, "{\"model\":\"m\",\"n\":1}");
    splice(" {\n  \"n\" : 1.50 ,\n  \"\\u006dodel\" : \"x\"\n}\n", model, none,
           " {\n  \"n\" : 1.50 ,\n  \"\\u006dodel\" : \"m\"\n}\n");
    splice("{}", model, none, "{\"model\":\"m\"}");
    splice("{ }", model, opt, "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true} }");
    splice("{\"a\":1 }", model, none, "{\"a\":1,\"model\":\"m\" }");
    splice("{\"user\":\"u\",\"a\":1}", no_user, none, "{\"a\":1}");
    splice("{\"a\":1,\"user\":\"u\"}", no_user, none, "{\"a\":1}");
    splice("{\"a\":1, \"user\":\"u\", \"b\":2}", no_user, none, "{\"a\":1, \"b\":2}");
    splice("{\"user\":\"u\"}", no_user, none, "{}");
    splice("{\"user\":\"u\"}", no_user, model, "{\"model\":\"m\"}");
    splice("{\"user\":1,\"user\":2, \"a\":3,\"user\":4}", no_user, none, "{\"a\":3}");
    splice("{\"x\":\"\xC3\xA9\",\"big\":123456789012345678901234567890,\"f\":1E400}", model, none,
           "{\"x\":\"\xC3\xA9\",\"big\":123456789012345678901234567890,\"f\":1E400,\"model\":\"m\"}");
    struct buf out = {0};
    assert_false(json_splice(STR("[1]"), &model, 1, &out));
    assert_false(json_splice(STR(""), &model, 1, &out));
    buf_fini(&out);
}

static const char *shared_dir(char *path, size_t n, const char *name)
{
    const char *shared = getenv("WEIR_SHARED"), *root = getenv("WEIR_SOURCE_ROOT");
    snprintf(path, n, "%s%s/corpora/%s",
             shared != NULL ? shared
             : root != NULL ? root
                            : ".",
             shared != NULL ? "" : "/../shared", name);
    return path;
}

static void the_parsing_suite_agrees(void **state)
{
    (void)state;
    char path[512], name[400];
    DIR *d = opendir(shared_dir(path, sizeof path, "json/test_parsing"));
    if (d == NULL) {
        corpora_absent("json");
        skip();
    }
    unsigned yes = 0, no = 0;
    struct buf file = {0};
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        buf_clear(&file);
        snprintf(name, sizeof name, "json/test_parsing/%s", e->d_name);
        assert_true(corpora_read(name, &file));
        bool ok = is_valid(buf_view(&file));
        if ((e->d_name[0] == 'y' && !ok) || (e->d_name[0] == 'n' && ok)) fail_msg("%s: %d", e->d_name, ok);
        yes += e->d_name[0] == 'y';
        no += e->d_name[0] == 'n';
    }
    closedir(d);
    buf_fini(&file);
    assert_int_equal(yes, 95);
    assert_int_equal(no, 188);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_grammar_is_kept),       cmocka_unit_test(every_place_in_a_long_string_counts),
        cmocka_unit_test(depth_is_told_and_limited), cmocka_unit_test(members_are_found),
        cmocka_unit_test(strings_are_unquoted),      cmocka_unit_test(bytes_are_spliced),
        cmocka_unit_test(the_parsing_suite_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
