#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/date.h"

#include <stdio.h>
#include <time.h>

static void dates_agree_with_libc(void **state)
{
    (void)state;
    for (uint64_t s = 0; s < 253402300799u; s += 86400u * 13 + 4567) {
        time_t t = (time_t)s;
        struct tm tm;
        gmtime_r(&t, &tm);
        struct date d = date_of(s);
        assert_int_equal(d.year, tm.tm_year + 1900);
        assert_int_equal(d.month, tm.tm_mon + 1);
        assert_int_equal(d.day, tm.tm_mday);
        assert_int_equal(d.hour * 3600 + d.minute * 60 + d.second, tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec);
        char text[40];
        uint64_t back;
        snprintf(text, sizeof text, "%04d-%02u-%02uT%02u:%02u:%02uZ", d.year, d.month, d.day, d.hour, d.minute,
                 d.second);
        assert_true(date_read_rfc3339(str_of(text), &back));
        assert_int_equal(back, s);
    }
    assert_int_equal(date_of(UINT64_MAX).year, 9999);
}

static void spellings_of_a_date_are_read(void **state)
{
    (void)state;
    static const char *const same[] = {"2026-06-03T13:05:42Z",        "2026-06-03t13:05:42z",
                                       "2026-06-03T13:05:42.123456Z", "2026-06-03T15:05:42+02:00",
                                       "2026-06-03T07:35:42-05:30",   "2026-06-03 13:05:42Z"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        uint64_t s = 0;
        assert_true(date_read_rfc3339(str_of(same[i]), &s));
        assert_int_equal(s, 1780491942);
    }
}

static void what_is_no_date_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "2026-06-03",
                                        "2026-06-03T13:05:42",
                                        "2026-13-03T13:05:42Z",
                                        "2026-02-29T13:05:42Z",
                                        "2026-00-01T00:00:00Z",
                                        "2026-06-00T13:05:42Z",
                                        "2026-06-03T24:05:42Z",
                                        "2026-06-03T13:60:42Z",
                                        "2026-06-03T13:05:61Z",
                                        "1969-12-31T23:59:59Z",
                                        "1970-01-01T00:00:00+01:00",
                                        "2026-06-03T13:05:42.Z",
                                        "2026-06-03T13:05:42+2:00",
                                        "2026-06-03T13:05:42Zx",
                                        "2026-6-03T13:05:42Z",
                                        "+026-06-03T13:05:42Z"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint64_t s = 7;
        assert_false(date_read_rfc3339(str_of(wrong[i]), &s));
        assert_int_equal(s, 7);
    }
}

static void http_dates(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "Wed, 03 Jun 2026 13:05:42",
        "Wed, 03 Jum 2026 13:05:42 GMT",
        "Wed, 03 unJ 2026 13:05:42 GMT",
        "Wed, 31 Jun 2026 13:05:42 GMT",
        "Wed, 03 Jun 2026 24:05:42 GMT",
        "Wednesday, 03-Jun-26 13:05:42 GMT",
        "Wed, 03 Jun 2026 13:05:42 CET",
        "Wed, 03 Jun 1969 13:05:42 GMT",
    };
    uint64_t s = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_false(date_read_http(str_of(wrong[i]), &s));
    assert_int_equal(s, 7);
    assert_true(date_read_http(STR("Wed, 03 Jun 2026 13:05:42 GMT"), &s));
    assert_int_equal(s, 1780491942);
    assert_true(date_read_http(STR("Thu, 01 Jan 1970 00:00:00 GMT"), &s));
    assert_int_equal(s, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_agree_with_libc),
        cmocka_unit_test(spellings_of_a_date_are_read),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(http_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
