#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/buf.h"

#include <string.h>

static void bytes_are_added_and_consumed(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    assert_int_equal(buf_len(&b), 0);
    assert_null(buf_view(&b).p);
    buf_add(&b, STR_NULL);
    buf_addz(&b, "hello");
    buf_addc(&b, ' ');
    buf_add(&b, STR("world"));
    buf_consume(&b, 6);
    assert_true(str_is(buf_view(&b), "world"));
    buf_truncate(&b, 3);
    assert_true(str_is(buf_view(&b), "wor"));
    buf_consume(&b, 3);
    assert_int_equal(b.head, 0); /* an empty buf starts at the front again */
    buf_fini(&b);
    assert_null(b.p);
    buf_addz(&b, "usable");
    buf_fini(&b);
}

/* A queue that is filled and drained for ever keeps its size. */
static void a_queue_does_not_grow(void **state)
{
    (void)state;
    struct buf b = {0};
    unsigned char next = 0, want = 0;
    for (int i = 0; i < 100000; i++) {
        for (int k = 0; k < 7; k++) buf_addc(&b, (char)next++);
        for (int k = 0; k < 7 && buf_len(&b) > 40; k++) {
            assert_int_equal((unsigned char)buf_view(&b).p[0], want++);
            buf_consume(&b, 1);
        }
    }
    assert_true(b.cap <= 512);
    buf_fini(&b);
}

static void room_is_reserved(void **state)
{
    (void)state;
    struct buf b = {0};
    for (size_t n = 0; n < 5000; n += 37) {
        memset(buf_reserve(&b, n), 'x', n);
        buf_commit(&b, n);
        buf_consume(&b, n / 2);
    }
    struct str v = buf_view(&b);
    for (size_t i = 0; i < v.n; i++) assert_int_equal(v.p[i], 'x');
    assert_non_null(buf_reserve(&b, 0));
    buf_clear(&b);
    size_t cap = b.cap;
    buf_shrink(&b, cap);
    assert_non_null(b.p);
    buf_addc(&b, 'x');
    buf_shrink(&b, 1); /* not empty: stays */
    assert_non_null(b.p);
    buf_clear(&b);
    buf_shrink(&b, 1);
    assert_null(b.p);
}

static void texts_are_formatted(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_addf(&b, "%d-%s;", 5, "x");
    buf_add_u64(&b, UINT64_MAX);
    buf_addc(&b, ';');
    buf_add_i64(&b, INT64_MIN);
    buf_addc(&b, ';');
    buf_add_i64(&b, 0);
    assert_true(str_is(buf_view(&b), "5-x;18446744073709551615;-9223372036854775808;0"));
    for (int n = 126; n <= 130; n++) { /* around the size of the first try */
        buf_clear(&b);
        buf_addf(&b, "%*s|", n, "y");
        assert_int_equal(buf_len(&b), n + 1);
        assert_true(str_ends(buf_view(&b), STR("y|")));
    }
    buf_fini(&b);
}

static void json(const char *in, size_t n, const char *want)
{
    struct buf b = {0};
    buf_add_json_str(&b, (struct str){in, n});
    if (!str_is(buf_view(&b), want)) print_message("# %.*s\n", STR_FMT(buf_view(&b)));
    assert_true(str_is(buf_view(&b), want));
    buf_fini(&b);
}

static void json_is_escaped(void **state)
{
    (void)state;
    json("", 0, "\"\"");
    json("a\"b\\c/\n\r\t\b\x01\x7F", 12, "\"a\\\"b\\\\c/\\n\\r\\t\\u0008\\u0001\\u007f\"");
    json("\0", 1, "\"\\u0000\"");
    json("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
    json("a\x80z", 3, "\"a\xEF\xBF\xBDz\"");
    json("\xC3", 1, "\"\xEF\xBF\xBD\"");
    json("\xC0\x80", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
    json("\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    json("\xF4\x90\x80\x80", 4, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    json("\xE2\x82", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_added_and_consumed),
        cmocka_unit_test(a_queue_does_not_grow),
        cmocka_unit_test(room_is_reserved),
        cmocka_unit_test(texts_are_formatted),
        cmocka_unit_test(json_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
