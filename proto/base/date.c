#include "proto/base/date.h"

/* Days are counted in years that begin on March 1st, so that the leap day is the last of its year; an era is 400 of them. */

enum { DAYS_OF_ERA = 146097, DAYS_TO_1970 = 719468, DAY_S = 86400 };

struct date date_of(uint64_t unix_s)
{
    const uint64_t last = 253402300799u; /* 9999-12-31T23:59:59Z */
    if (unix_s > last) unix_s = last;
    uint64_t days = unix_s / DAY_S + DAYS_TO_1970;
    unsigned second = (unsigned)(unix_s % DAY_S), of_era = (unsigned)(days % DAYS_OF_ERA);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100), shifted = (5 * of_year + 2) / 153;
    struct date d = {
        .month = shifted < 10 ? shifted + 3 : shifted - 9,
        .day = of_year - (153 * shifted + 2) / 5 + 1,
        .hour = second / 3600,
        .minute = second / 60 % 60,
        .second = second % 60,
    };
    d.year = (int)(days / DAYS_OF_ERA * 400 + year + (d.month <= 2));
    return d;
}

static int64_t days_since_1970(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year % 400;
    int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * DAYS_OF_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_1970;
}

static unsigned days_of_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Exactly n digits, and then `end` unless that is 0. */
static bool take_number(struct str *s, size_t n, char end, unsigned *ret_value)
{
    uint64_t v;
    size_t all = n + (end != '\0');
    if (s->n < all || (end != '\0' && s->p[n] != end) || !str_u64(str_slice(*s, 0, n), &v)) return false;
    *s = str_slice(*s, all, s->n);
    *ret_value = (unsigned)v;
    return true;
}

static bool is_date(unsigned year, unsigned month, unsigned day)
{
    return year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= days_of_month(year, month);
}

static bool is_clock(unsigned hour, unsigned minute, unsigned second)
{
    return hour <= 23 && minute <= 59 && second <= 60; /* 60: a leap second */
}

/* "Z", "+02:00" */
static bool read_offset(struct str s, int64_t *ret_s)
{
    unsigned hour, minute;
    if (str_iis(s, "z")) {
        *ret_s = 0;
        return true;
    }
    if (s.n == 0 || (s.p[0] != '+' && s.p[0] != '-')) return false;
    int64_t sign = s.p[0] == '-' ? -1 : 1;
    s = str_slice(s, 1, s.n);
    if (!take_number(&s, 2, ':', &hour) || !take_number(&s, 2, '\0', &minute) || s.n > 0) return false;
    if (hour > 23 || minute > 59) return false;
    *ret_s = sign * (int64_t)(hour * 3600 + minute * 60);
    return true;
}

bool date_read_rfc3339(struct str s, uint64_t *ret_unix_s)
{
    unsigned year, month, day, hour, minute, second;
    int64_t offset;
    if (!take_number(&s, 4, '-', &year) || !take_number(&s, 2, '-', &month) || !take_number(&s, 2, '\0', &day))
        return false;
    if (s.n == 0 || (s.p[0] != 'T' && s.p[0] != 't' && s.p[0] != ' ')) return false;
    s = str_slice(s, 1, s.n);
    if (!take_number(&s, 2, ':', &hour) || !take_number(&s, 2, ':', &minute) || !take_number(&s, 2, '\0', &second))
        return false;
    if (s.n > 1 && s.p[0] == '.') {
        size_t end = 1;
        while (end < s.n && s.p[end] >= '0' && s.p[end] <= '9') end++;
        if (end == 1) return false;
        s = str_slice(s, end, s.n);
    }
    if (!is_date(year, month, day) || !is_clock(hour, minute, second) || !read_offset(s, &offset)) return false;
    int64_t at = days_since_1970(year, month, day) * DAY_S + (int64_t)(hour * 3600 + minute * 60 + second) - offset;
    if (at < 0) return false;
    *ret_unix_s = (uint64_t)at;
    return true;
}

bool date_read_http(struct str s, uint64_t *ret_unix_s)
{
    const struct str months = STR("JanFebMarAprMayJunJulAugSepOctNovDec");
    unsigned day, year, hour, minute, second;
    if (s.n != 29 || s.p[3] != ',' || s.p[4] != ' ' || !str_ends(s, STR(" GMT"))) return false;
    struct str rest = str_slice(s, 5, 25);
    if (!take_number(&rest, 2, ' ', &day)) return false;
    ptrdiff_t at = str_find(months, str_slice(rest, 0, 3));
    rest = str_slice(rest, 3, rest.n);
    if (at < 0 || at % 3 != 0 || rest.p[0] != ' ') return false;
    rest = str_slice(rest, 1, rest.n);
    if (!take_number(&rest, 4, ' ', &year) || !take_number(&rest, 2, ':', &hour) ||
        !take_number(&rest, 2, ':', &minute) || !take_number(&rest, 2, '\0', &second))
        return false;
    unsigned month = (unsigned)at / 3 + 1;
    if (!is_date(year, month, day) || !is_clock(hour, minute, second)) return false;
    *ret_unix_s = (uint64_t)(days_since_1970(year, month, day) * DAY_S + (int64_t)(hour * 3600 + minute * 60 + second));
    return true;
}
