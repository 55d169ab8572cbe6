#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/config/env.h"
#include "controlplane/config/show.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Golden cases: tests/golden/config/NAME.yaml and NAME.expected, which is what a person is told and, for a file that is accepted, the
 * effective configuration. WEIR_GOLDEN_UPDATE=1 writes them anew, to be read before they are committed. */

static const char *const canaries[] = {"sk-canary-0123456789", "sk-ant-canary-0123456789"};

static const char *test_env(const char *name)
{
    static const char *const values[][2] = {
        {"OPENAI_API_KEY", "sk-canary-0123456789"},
        {"ANTHROPIC_API_KEY", "sk-ant-canary-0123456789"},
        {"EMPTY", ""},
        {"PORT", "8495"},
        {"WORKERS", "3"},
    };

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strcmp(name, values[i][0]) == 0) return values[i][1];
    return NULL;
}

static bool read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    if (f == NULL) return false;
    while ((n = fread(buf_reserve(out, 65536), 1, 65536, f)) > 0) buf_commit(out, n);
    fclose(f);
    return true;
}

static void write_file(const char *path, struct str text)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
    fclose(f);
}

static void assert_no_canary(const struct buf *text)
{
    static const char *const typed[] = {"sk-typed-in-plainly",
                                        "sk-default-typed-in",
                                        "sk-on-a-line-of-its-own",
                                        "sk-both",
                                        "sk-with",
                                        "sk-a-key-where",
                                        "sk-hidden"};

    for (size_t i = 0; i < sizeof canaries / sizeof *canaries; i++)
        assert_false(str_contains(buf_view(text), str_of(canaries[i])));
    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++)
        if (str_contains(buf_view(text), str_of(typed[i]))) fail_msg("%s is shown: %s", typed[i], buf_view(text).p);
}

/* What `config check` and `config show` say of a text. */
static void describe(struct str text, struct buf *out)
{
    struct problems problems;
    struct config *c;
    struct buf other = {0};

    problems_init(&problems, STR("weir.yaml"));
    c = config_load_text(text, STR("weir.yaml"), test_env, &problems);
    assert_true((c == NULL) == (problems.errors > 0));
    problems_write_text(&problems, out);
    problems_write_json(&problems, &other);
    problems_write_github(&problems, &other);
    problems_write_first(&problems, &other);
    assert_no_canary(&other);
    buf_fini(&other);
    if (c != NULL) {
        buf_addz(out, "---\n");
        config_show(c, false, out);
    }
    config_free(&c);
    problems_fini(&problems);
}

static void test_golden(void **state)
{
    char folder[512], path[1024];
    bool update = getenv("WEIR_GOLDEN_UPDATE") != NULL;
    unsigned cases = 0, wrong = 0;
    struct dirent *e;
    DIR *dir;

    (void)state;
    snprintf(folder, sizeof folder, "%s/tests/golden/config", getenv("WEIR_SOURCE_ROOT"));
    dir = opendir(folder);
    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        struct str name = str_of(e->d_name);
        struct buf text = {0}, expected = {0}, said = {0};

        if (!str_ends(name, STR(".yaml"))) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        assert_true(read_file(path, &text));
        describe(buf_view(&text), &said);
        assert_no_canary(&said);
        snprintf(path, sizeof path, "%s/%.*s.expected", folder, (int)name.n - 5, name.p);
        if (update) write_file(path, buf_view(&said));
        if (!read_file(path, &expected) || !str_eq(buf_view(&said), buf_view(&expected))) {
            fprintf(stderr, "# %s says:\n%.*s", e->d_name, STR_FMT(buf_view(&said)));
            wrong++;
        }
        cases++;
        buf_fini(&text);
        buf_fini(&expected);
        buf_fini(&said);
    }
    closedir(dir);
    assert_int_equal(wrong, 0);
    assert_true(cases >= 30);
}

/* What `config show` prints is a configuration itself, and the same one. */
static void test_show_reads_back(void **state)
{
    static const char *const names[] = {"full", "smallest", "remote-allowed", "local-providers", "variables-used"};
    char path[1024];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct buf text = {0}, once = {0}, twice = {0};

        snprintf(path, sizeof path, "%s/tests/golden/config/%s.yaml", getenv("WEIR_SOURCE_ROOT"), names[i]);
        assert_true(read_file(path, &text));
        describe(buf_view(&text), &once);
        assert_true(str_starts(buf_view(&once), STR("---\n")));
        describe(buf_view(&once), &twice);
        if (!str_eq(buf_view(&once), buf_view(&twice)))
            fail_msg("%s:\n%.*s\nis not\n%.*s", names[i], STR_FMT(buf_view(&twice)), STR_FMT(buf_view(&once)));
        buf_fini(&text);
        buf_fini(&once);
        buf_fini(&twice);
    }
}

/* ---- the table ---- */

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < key_rows_n; i++) {
        const struct key_row *row = &key_rows[i];
        struct buf why = {0};
        char field[64] = {0};

        assert_ptr_equal(key_find(row->section, str_of(row->name)), row); /* no name twice */
        if (row->kind == KIND_LATER) continue;
        assert_true(strlen(row->help) > 3);
        assert_true(row->offset < section_bytes(row->section));
        if (row->kind == KIND_SECRET) {
            char sibling[64];

            snprintf(sibling, sizeof sibling, "%s_file", row->name);
            assert_non_null(key_find(row->section, str_of(sibling)));
        }
        if (row->fallback[0] == '\0' || key_is_required(row) || row->kind == KIND_TEXTS) continue;
        if (!key_parse(row, str_of(row->fallback), field, &why))
            fail_msg("default of %s: %.*s", row->name, STR_FMT(buf_view(&why)));
        buf_fini(&why);
    }
}

static void parse_as(const char *section_key, enum key_section s, const char *text, bool wanted, const char *formatted)
{
    const struct key_row *row = key_find(s, str_of(section_key));
    struct buf why = {0}, out = {0};
    uint64_t field[8] = {0};
    bool is_read = key_parse(row, str_of(text), field, &why);

    if (is_read != wanted) fail_msg("%s: \"%s\" %.*s", section_key, text, STR_FMT(buf_view(&why)));
    if (is_read) {
        key_format(row, field, &out);
        if (!str_is(buf_view(&out), formatted))
            fail_msg("%s: \"%s\" became \"%.*s\"", section_key, text, STR_FMT(buf_view(&out)));
    }
    buf_fini(&why);
    buf_fini(&out);
}

static void test_values(void **state)
{
    (void)state;
    parse_as("idle", SECTION_timeout, "90s", true, "90s");
    parse_as("idle", SECTION_timeout, "120s", true, "2m");
    parse_as("idle", SECTION_timeout, "1d", true, "1d");
    parse_as("idle", SECTION_timeout, "1500ms", true, "1500ms");
    static const char *const bad_durations[] = {
        "", "s", "5", "5 s", "-5s", "5S", "1.5s", "5ss", "99999999999999999999s", "9223372036854775807d", "2d"};
    for (size_t i = 0; i < sizeof bad_durations / sizeof *bad_durations; i++)
        parse_as("idle", SECTION_timeout, bad_durations[i], false, "");
    parse_as("max_body", SECTION_server, "1024KiB", true, "1MiB");
    parse_as("max_body", SECTION_server, "1MB", false, "");
    parse_as("max_body", SECTION_server, "2GiB", false, "");
    parse_as("workers", SECTION_server, "auto", true, "auto");
    parse_as("workers", SECTION_server, "0", false, "");
    parse_as("workers", SECTION_server, "0x10", true, "16");
    parse_as("workers", SECTION_server, "0o17", true, "15");
    parse_as("workers", SECTION_server, "+4", true, "4");
    parse_as("workers", SECTION_server, "010", true, "10"); /* YAML 1.2: not octal */
    parse_as("workers", SECTION_server, "0x", false, "");
    parse_as("workers", SECTION_server, "0o8", false, "");
    parse_as("max_connections", SECTION_server, "0xfffffffffffffffff", false, "");
    parse_as("input", SECTION_price, "2.50", true, "2.5");
    parse_as("input", SECTION_price, "0.000001", true, "0.000001");
    parse_as("input", SECTION_price, "1000000", true, "1000000");
    static const char *const bad_rates[] = {"",          "-1",  ".5",   "1.0000001", "1e3",
                                            "1000000.1", "nan", "1.-5", "1.2.3",     "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad_rates / sizeof *bad_rates; i++)
        parse_as("input", SECTION_price, bad_rates[i], false, "");
    parse_as("discount", SECTION_model, "12.5%", true, "12.5%");
    parse_as("discount", SECTION_model, "101%", false, "");
    parse_as("discount", SECTION_model, "12", false, "");
    parse_as("expires", SECTION_key, "2027-06-30", true, "2027-07-01T00:00:00Z");
    parse_as("expires", SECTION_key, "2028-02-29T23:59:59Z", true, "2028-02-29T23:59:59Z");
    static const char *const bad_moments[] = {"2027-02-29",       "2027-06-31", "1969-01-01", "2027-6-1",
                                              "2027-06-30T12:00", "2027-13-01", "tomorrow!!"};
    for (size_t i = 0; i < sizeof bad_moments / sizeof *bad_moments; i++)
        parse_as("expires", SECTION_key, bad_moments[i], false, "");
    parse_as("on_status", SECTION_retry, "529 429 429", true, "429, 529");
    parse_as("allow_remote", SECTION_server, "TRUE", true, "true");
    parse_as("allow_remote", SECTION_server, "on", false, "");
}

/* ---- the environment ---- */

static void test_environment(void **state)
{
    struct problems problems;
    struct buf yaml = {0};
    struct config *c;

    (void)state;
    problems_init(&problems, STR("weir"));
    c = config_load_environment(test_env, &problems);
    assert_non_null(c);
    assert_int_equal(problems.n, 0);
    assert_int_equal(c->providers.n, 2);
    assert_int_equal(c->routes.n, 3);
    assert_string_equal(c->providers.at[0].api_key.p, canaries[0]);
    assert_true(config_environment_yaml(test_env, &yaml));
    assert_no_canary(&yaml);
    assert_true(str_eq(buf_view(&yaml), c->text));
    config_free(&c);
    buf_fini(&yaml);
    problems_fini(&problems);
}

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static void test_no_environment(void **state)
{
    struct problems problems;
    struct buf said = {0};

    (void)state;
    problems_init(&problems, STR("weir"));
    assert_null(config_load_environment(no_env, &problems));
    problems_write_text(&problems, &said);
    assert_true(str_contains(buf_view(&said), STR("weir demo")));
    buf_fini(&said);
    problems_fini(&problems);
}

/* ---- mutations ---- */

static uint64_t rng = 88172645463325252u;

static size_t roll(size_t below)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (size_t)(rng % below);
}

static void mutate(struct buf *b)
{
    static const char *const pieces[] = {"{",   "}",   "[",      "]",  ": ",    "\n",  "- ",
                                         "&a ", "*a",  "<<: *a", "\"", "'",     "${",  "}",
                                         "~",   "|\n", "!!str ", "\t", "\xff",  "#",   "99999999999999999999",
                                         "-1",  "*/*", "? ",     "%",  "---\n", "null"};
    struct buf out = {0};
    struct str s = buf_view(b);
    size_t at = roll(s.n), to = at + roll(s.n - at < 40 ? s.n - at : 40);

    buf_add(&out, str_slice(s, 0, at));
    switch (roll(4)) {
    case 0: break; /* cut */
    case 1:
        buf_addz(&out, pieces[roll(sizeof pieces / sizeof *pieces)]);
        to = at;
        break; /* put in */
    case 2:
        buf_add(&out, str_slice(s, at, to));
        buf_add(&out, str_slice(s, at, to));
        break;                                                   /* twice */
    default: buf_add(&out, str_slice(s, roll(s.n), s.n)); break; /* another end */
    }
    buf_add(&out, str_slice(s, to, s.n));
    if (buf_len(&out) == 0 || buf_len(&out) > 100000) {
        buf_fini(&out);
        return;
    }
    buf_fini(b);
    *b = out;
}

static void test_mutations(void **state)
{
    struct buf original = {0};
    char path[1024];
    unsigned accepted = 0;

    (void)state;
    snprintf(path, sizeof path, "%s/tests/golden/config/full.yaml", getenv("WEIR_SOURCE_ROOT"));
    assert_true(read_file(path, &original));
    for (int i = 0; i < 1000; i++) {
        struct buf text = {0}, said = {0};

        buf_add(&text, buf_view(&original));
        for (size_t n = 1 + roll(4); n > 0; n--) mutate(&text);
        describe(buf_view(&text), &said);
        for (size_t k = 0; k < 2; k++) assert_false(str_contains(buf_view(&said), str_of(canaries[k])));
        accepted += str_contains(buf_view(&said), STR("---\nversion: 1\n"));
        buf_fini(&text);
        buf_fini(&said);
    }
    fprintf(stderr, "# mutations: %u of 1000 accepted\n", accepted);
    assert_true(accepted > 0 && accepted < 1000);
    buf_fini(&original);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),       cmocka_unit_test(test_values),
        cmocka_unit_test(test_golden),      cmocka_unit_test(test_show_reads_back),
        cmocka_unit_test(test_environment), cmocka_unit_test(test_no_environment),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
