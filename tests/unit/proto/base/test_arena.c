#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/arena.h"

#include <stdalign.h>
#include <string.h>

static void pieces_do_not_overlap(void **state)
{
    (void)state;
    struct arena a;
    char *piece[200];
    arena_init(&a, 1000);
    for (int round = 0; round < 3; round++) {
        size_t sum = 0;
        for (int i = 0; i < 200; i++) {
            size_t n = (size_t)i * 7 % 300;
            piece[i] = arena_alloc(&a, n);
            assert_int_equal((uintptr_t)piece[i] % alignof(max_align_t), 0);
            memset(piece[i], i, n);
            sum += n;
        }
        for (int i = 0; i < 200; i++)
            for (size_t k = 0; k < (size_t)i * 7 % 300; k++) assert_int_equal((unsigned char)piece[i][k], i);
        assert_int_equal(a.used, sum);
        arena_reset(&a);
        assert_int_equal(a.used, 0);
    }
    arena_fini(&a);
    arena_fini(&a);
}

static void larger_than_a_block_is_given(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64);
    char *p = arena_zalloc(&a, 10000);
    for (int i = 0; i < 10000; i++) assert_int_equal(p[i], 0);
    memset(p, 1, 10000);
    assert_non_null(arena_alloc(&a, 0));
    arena_reset(&a);
    p = arena_zalloc(&a, 40); /* zeroed again after a reset */
    for (int i = 0; i < 40; i++) assert_int_equal(p[i], 0);
    arena_fini(&a);
}

static void texts_are_copied(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64);
    struct str c = arena_copy(&a, STR("abc"));
    assert_string_equal(c.p, "abc");
    c = arena_copy(&a, STR_NULL);
    assert_string_equal(c.p, "");
    c = arena_printf(&a, "%s-%d", "x", 5);
    assert_string_equal(c.p, "x-5");
    assert_int_equal(c.n, 3);
    for (int n = 254; n <= 258; n++) { /* around the size of the first try */
        c = arena_printf(&a, "%*d", n, 1);
        assert_int_equal(c.n, n);
        assert_int_equal(strlen(c.p), n);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(larger_than_a_block_is_given),
        cmocka_unit_test(texts_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
