#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/str.h"

#include <limits.h>
#include <string.h>

static void views_are_cut_and_compared(void **state)
{
    (void)state;
    struct str s = STR("hello");
    assert_true(str_is(str_slice(s, 1, 3), "el"));
    assert_true(str_is(str_slice(s, 3, 99), "lo"));
    assert_true(str_is(str_slice(s, 9, 99), ""));
    assert_true(str_is(str_slice(s, 4, 2), ""));
    assert_null(str_slice(STR_NULL, 0, 5).p);
    assert_null(str_of(NULL).p);
    assert_true(str_eq(STR_NULL, STR("")));
    assert_false(str_eq(STR("a"), STR("b")));
    assert_false(str_eq(STR("a"), STR("ab")));
    assert_true(str_ieq(STR("Content-LENGTH"), STR("content-length")));
    assert_false(str_ieq(STR("\xC3\x89"), STR("\xC3\xA9"))); /* ASCII letters only */
    assert_false(str_ieq(STR("["), STR("{")));
    assert_true(str_iis(STR("HoSt"), "host"));
    assert_true(str_is(str_trim(STR(" \t a b\t ")), "a b"));
    assert_true(str_is(str_trim(STR(" \t ")), ""));
    assert_true(str_is(str_trim(STR("\na")), "\na"));
}

static void parts_are_found(void **state)
{
    (void)state;
    assert_true(str_starts(STR("abc"), STR("ab")) && str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")) && str_ends(STR_NULL, STR("")));
    assert_false(str_ends(STR("c"), STR("bc")));
    assert_int_equal(str_find(STR("abcabc"), STR("ca")), 2);
    assert_int_equal(str_find(STR("abc"), STR("abcd")), -1);
    assert_int_equal(str_find(STR_NULL, STR("")), 0);
    assert_int_equal(str_find(STR_NULL, STR("a")), -1);
    assert_true(str_contains(STR("abc"), STR("b")));
    assert_true(str_icontains(STR("xx Please Slow Down"), STR("slow down")));
    assert_false(str_icontains(STR("slo"), STR("slow")));
    assert_true(str_icontains(STR_NULL, STR("")));
    assert_int_equal(str_chr(STR("a.b.c"), '.'), 1);
    assert_int_equal(str_rchr(STR("a.b.c"), '.'), 3);
    assert_int_equal(str_chr(STR_NULL, 'a'), -1);
    assert_int_equal(str_rchr(STR("abc"), 'x'), -1);
}

static void a_list_is_split(void **state)
{
    (void)state;
    struct str s = STR("a,,b");
    assert_true(str_is(str_split(&s, ','), "a"));
    assert_true(str_is(str_split(&s, ','), ""));
    assert_true(str_is(str_split(&s, ','), "b"));
    assert_true(s.p == NULL && s.n == 0);
    s = STR("a,");
    assert_true(str_is(str_split(&s, ','), "a"));
    assert_true(s.p != NULL && s.n == 0); /* an empty last part is still to come */
    assert_true(str_is(str_split(&s, ','), ""));
    assert_null(s.p);
}

static void numbers_are_read_strictly(void **state)
{
    (void)state;
    uint64_t u = 7;
    int64_t i = 7;
    assert_true(str_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_true(str_u64(STR("007"), &u) && u == 7);
    static const char *const bad[] = {
        "", "+1", "-1", " 1", "1 ", "1.0", "0x1", "18446744073709551616", "99999999999999999999"};
    u = 42;
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) assert_false(str_u64(str_of(bad[k]), &u));
    assert_int_equal(u, 42); /* untouched */
    assert_true(str_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(str_i64(STR("9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(str_i64(STR("-0"), &i) && i == 0);
    i = 42;
    assert_false(str_i64(STR("9223372036854775808"), &i));
    assert_false(str_i64(STR("-9223372036854775809"), &i));
    assert_false(str_i64(STR("--1"), &i));
    assert_false(str_i64(STR("-"), &i));
    assert_int_equal(i, 42);
}

static void globs_match(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool want;
    } cases[] = {
        {"*", "", true},
        {"", "", true},
        {"", "a", false},
        {"gpt-*", "gpt-5", true},
        {"gpt-*", "gpt-", true},
        {"gpt-*", "gpt", false},
        {"*-mini", "o4-mini", true},
        {"*-mini", "o4-mini-x", false},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbY", false},
        {"**", "x", true},
        {"a?c", "abc", false},
        {"*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(str_glob(str_of(cases[i].pattern), str_of(cases[i].text)), cases[i].want);
}

static void secrets_are_compared(void **state)
{
    (void)state;
    assert_true(str_ct_eq(STR("abc"), STR("abc")));
    assert_false(str_ct_eq(STR("abc"), STR("abd")));
    assert_false(str_ct_eq(STR("abc"), STR("ab")));
    assert_true(str_ct_eq(STR_NULL, STR("")));
}

static void distances_are_counted(void **state)
{
    (void)state;
    assert_int_equal(str_distance(STR("weight"), STR("weight"), 3), 0);
    assert_int_equal(str_distance(STR("wieght"), STR("weight"), 3), 2);
    assert_int_equal(str_distance(STR("Weight"), STR("weight"), 3), 0);
    assert_int_equal(str_distance(STR(""), STR("abc"), 3), 3);
    assert_int_equal(str_distance(STR("abc"), STR("xyz"), 2), 3);
    char longer[65];
    memset(longer, 'a', sizeof longer);
    assert_int_equal(str_distance((struct str){longer, 65}, STR("a"), 2), 3);
    assert_int_equal(str_distance((struct str){longer, 64}, (struct str){longer, 63}, 2), 1);
}

static bool reference_ieq(unsigned char a, unsigned char b)
{
    return a == b || ((a ^ b) == 0x20 && ((a >= 'A' && a <= 'Z') || (b >= 'A' && b <= 'Z')));
}

/* Short, one word and overlapping words: in each, every pair of bytes at the first, a middle and the last place. */
static void equal_but_for_case_means_letters_only(void **state)
{
    static const size_t lengths[] = {1, 7, 8, 11, 17};
    (void)state;
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
        for (unsigned a = 0; a < 256; a++)
            for (unsigned b = 0; b < 256; b++)
                for (unsigned place = 0; place < 3; place++) {
                    char x[17], y[17];
                    size_t n = lengths[k], at = place == 0 ? 0 : place == 1 ? n / 2 : n - 1;
                    memset(x, 'q', n);
                    memset(y, 'Q', n);
                    x[at] = (char)a;
                    y[at] = (char)b;
                    assert_int_equal(str_ieq((struct str){x, n}, (struct str){y, n}),
                                     reference_ieq((unsigned char)a, (unsigned char)b));
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_but_for_case_means_letters_only),
        cmocka_unit_test(views_are_cut_and_compared),
        cmocka_unit_test(parts_are_found),
        cmocka_unit_test(a_list_is_split),
        cmocka_unit_test(numbers_are_read_strictly),
        cmocka_unit_test(globs_match),
        cmocka_unit_test(secrets_are_compared),
        cmocka_unit_test(distances_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
