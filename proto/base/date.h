/* date.h — seconds since 1970 and dates as people and protocols write them
 * Owns:     nothing.
 * Process:  any; pure: the time is passed in.
 * Memory:   none.
 * Fails:    readers return false and leave their output untouched.
 * Not here: reading a clock (clock.h). */
#pragma once

#include "proto/base/str.h"

struct date { /* UTC, Gregorian */
    int year;
    unsigned month, day;           /* from 1 */
    unsigned hour, minute, second; /* 0 to 23, 59, 59 */
};

/* unix_s: up to the year 9999; later ones read as its last second. */
struct date date_of(uint64_t unix_s);

/* "2026-06-03T13:05:42Z", a fraction of a second (dropped), an offset such as "+02:00" (RFC 3339). Not before 1970. */
bool date_read_rfc3339(struct str text, uint64_t *ret_unix_s);
/* "Wed, 03 Jun 2026 13:05:42 GMT" (RFC 9110 §5.6.7, IMF-fixdate; its two obsolete forms are not read). Not before 1970. */
bool date_read_http(struct str text, uint64_t *ret_unix_s);
