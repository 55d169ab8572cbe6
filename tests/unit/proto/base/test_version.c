#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/version.h"

static void version_is_three_numbers(void **state)
{
    (void)state;
    const char *v = weir_version();
    int dots = 0;
    for (; *v != '\0'; v++) {
        if (*v == '.') {
            dots++;
        } else {
            assert_in_range(*v, '0', '9');
        }
    }
    assert_int_equal(dots, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_is_three_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
