#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/crc32.h"

static uint32_t by_definition(struct str s)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < s.n; i++) {
        crc ^= (uint8_t)s.p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
    }
    return ~crc;
}

static void check_values_agree(void **state)
{
    (void)state;
    assert_int_equal(crc32_add(0, STR("123456789")), 0xCBF43926u); /* the check value of every catalogue */
    assert_int_equal(crc32_add(0, STR_NULL), 0);
}

static void every_byte_agrees_with_the_definition(void **state)
{
    (void)state;
    char all[512];
    for (int i = 0; i < 512; i++) all[i] = (char)(i * 7 + i / 256);
    for (size_t n = 0; n <= sizeof all; n++) {
        struct str s = {all, n};
        uint32_t want = by_definition(s), halves = crc32_add(0, str_slice(s, 0, n / 3));
        assert_int_equal(crc32_add(0, s), want);
        assert_int_equal(crc32_add(halves, str_slice(s, n / 3, n)), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_values_agree),
        cmocka_unit_test(every_byte_agrees_with_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
