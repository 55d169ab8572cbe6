#include "controlplane/config/keys.h"

#include "proto/dialect/provider_type.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TYPO_DISTANCE = 3, STATUS_LO = 100, STATUS_HI = 100 + 8 * 64 };

/* The struct of each section, for offsetof. */
#define SECTION(id, type) typedef type section_##id##_t;
#include "controlplane/config/sections.tbl.h"
#undef SECTION

const struct key_row key_rows[] = {
#define KEY(s, n, k, f, l, h, d, r, t)       \
    {.section = SECTION_##s,                 \
     .kind = KIND_##k,                       \
     .name = #n,                             \
     .offset = offsetof(section_##s##_t, f), \
     .lo = l,                                \
     .hi = h,                                \
     .fallback = d,                          \
     .reload = RELOAD_##r,                   \
     .help = t},
#define ENUM(s, n, f, c, d, r, t)            \
    {.section = SECTION_##s,                 \
     .kind = KIND_ENUM,                      \
     .name = #n,                             \
     .offset = offsetof(section_##s##_t, f), \
     .choices = c,                           \
     .fallback = d,                          \
     .reload = RELOAD_##r,                   \
     .help = t},
#define SUB(s, n, k, f, i, h, r, t)          \
    {.section = SECTION_##s,                 \
     .kind = KIND_##k,                       \
     .name = #n,                             \
     .offset = offsetof(section_##s##_t, f), \
     .sub = SECTION_##i,                     \
     .hi = h,                                \
     .fallback = "",                         \
     .reload = RELOAD_##r,                   \
     .help = t},
#define LATER(s, n) {.section = SECTION_##s, .kind = KIND_LATER, .name = #n, .fallback = "", .help = ""},
#include "controlplane/config/keys.tbl.h"
#undef KEY
#undef ENUM
#undef SUB
#undef LATER
};
const size_t key_rows_n = sizeof key_rows / sizeof *key_rows;

size_t section_bytes(enum key_section s)
{
    static const size_t bytes[] = {
#define SECTION(id, type) sizeof(type),
#include "controlplane/config/sections.tbl.h"
#undef SECTION
    };
    return bytes[s];
}

static_assert(sizeof(struct section_list) == sizeof(struct texts) &&
                  sizeof(struct section_list) == sizeof(struct config_targets),
              "lists have one shape");

struct section_list section_list(const void *field)
{
    struct section_list list;

    memcpy(&list, field, sizeof list);
    return list;
}

struct section_at section_at(const void *section)
{
    struct section_at at;

    memcpy(&at, section, sizeof at);
    return at;
}

const struct key_row *key_find(enum key_section s, struct str name)
{
    for (size_t i = 0; i < key_rows_n; i++)
        if (key_rows[i].section == s && str_is(name, key_rows[i].name)) return &key_rows[i];
    return NULL;
}

struct str key_nearest_choice(const struct key_row *row, struct str word)
{
    unsigned best = TYPO_DISTANCE;
    struct str nearest = STR_NULL;
    struct str choice;
    bool later;

    if (row->kind != KIND_ENUM) return STR_NULL;
    for (unsigned i = 0; (choice = key_choice(row->choices, i, &later)).n > 0; i++) {
        unsigned distance = str_distance(choice, word, TYPO_DISTANCE);

        if (!later && distance < best) {
            best = distance;
            nearest = choice;
        }
    }
    return nearest;
}

const char *key_nearest(enum key_section s, struct str name)
{
    unsigned best = TYPO_DISTANCE + 1;
    const char *nearest = NULL;

    for (size_t i = 0; i < key_rows_n; i++) {
        unsigned distance;

        if (key_rows[i].section != s || key_rows[i].kind == KIND_LATER) continue;
        distance = str_distance(name, str_of(key_rows[i].name), TYPO_DISTANCE);
        if (distance < best && distance < name.n) {
            best = distance;
            nearest = key_rows[i].name;
        }
    }
    return nearest;
}

bool key_is_required(const struct key_row *row)
{
    return strcmp(row->fallback, KEY_REQUIRED) == 0;
}

struct str key_choice(const char *choices, unsigned i, bool *ret_later)
{
    struct str rest = str_of(choices);
    bool later = false;

    while (rest.n > 0) {
        struct str word = str_split(&rest, ' ');

        if (str_is(word, "|")) {
            later = true;
            continue;
        }
        if (i-- == 0) {
            *ret_later = later;
            return word;
        }
    }
    return STR_NULL;
}

/* ---- numbers with a unit ---- */

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};
static const struct unit sizes[] = {
    {"KiB", 1 << 10},
    {"MiB", 1 << 20},
    {"GiB", 1 << 30},
    {NULL, 0},
};

static bool parse_with_unit(struct str text, const struct unit *units, int64_t *ret_value)
{
    size_t digits = 0;
    int64_t number;

    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9') digits++;
    if (!str_i64(str_slice(text, 0, digits), &number)) return false;
    for (; units->name != NULL; units++)
        if (str_is(str_slice(text, digits, text.n), units->name))
            return !__builtin_mul_overflow(number, units->factor, ret_value);
    return false;
}

static void format_with_unit(int64_t value, const struct unit *units, struct buf *out)
{
    const struct unit *u = units;

    for (const struct unit *next = units; next->name != NULL; next++)
        if (value != 0 && value % next->factor == 0) u = next;
    buf_addf(out, "%" PRId64 "%s", value / u->factor, u->name);
}

/* YAML 1.2 core schema: decimal, 0o17, 0x1f. */
static bool parse_int(struct str text, int64_t *ret_value)
{
    int base = str_starts(text, STR("0x")) ? 16 : str_starts(text, STR("0o")) ? 8 : 10;
    int64_t value = 0;

    if (base == 10) {
        if (text.n > 0 && text.p[0] == '+') text = str_slice(text, 1, text.n);
        return str_i64(text, ret_value);
    }
    if (text.n == 2) return false;
    for (size_t i = 2; i < text.n; i++) {
        char c = text.p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : 99;

        if (digit >= base || value > INT64_MAX / 16 - 1) return false;
        value = value * base + digit;
    }
    *ret_value = value;
    return true;
}

/* Digits with at most `decimals` behind the point, times 10^decimals. */
static bool parse_decimal(struct str text, unsigned decimals, int64_t *ret_value)
{
    struct str whole = str_split(&text, '.');
    int64_t value, part = 0;
    uint64_t digits;

    if (!str_u64(whole, &digits) || digits > 1000000000 || text.n > decimals ||
        (text.n > 0 && !str_u64(text, (uint64_t *)&part)))
        return false;
    value = (int64_t)digits;
    for (unsigned i = 0; i < decimals; i++) {
        value *= 10;
        if (i >= text.n) part *= 10;
    }
    *ret_value = value + part;
    return true;
}

static void format_decimal(int64_t value, unsigned decimals, struct buf *out)
{
    int64_t scale = 1;
    char part[24];
    size_t n;

    for (unsigned i = 0; i < decimals; i++) scale *= 10;
    buf_addf(out, "%" PRId64, value / scale);
    if (value % scale == 0) return;
    n = (size_t)snprintf(part, sizeof part, "%0*" PRId64, (int)decimals, value % scale);
    while (n > 0 && part[n - 1] == '0') n--;
    buf_addf(out, ".%.*s", (int)n, part);
}

/* ---- moments ---- */

/* "2027-06-30": to the end of that day in UTC. "2027-06-30T12:00:00Z": that second. */
static bool parse_when(struct str text, int64_t *ret_wall_ms)
{
    struct tm tm = {0};
    char copy[24];
    const char *end;
    bool is_day = text.n == 10;

    if (!is_day && text.n != 20) return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    end = strptime(copy, is_day ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (end == NULL || *end != '\0' || tm.tm_year < 70) return false;
    int day = tm.tm_mday;
    time_t seconds = timegm(&tm);
    if (tm.tm_mday != day) /* 31 June */
        return false;
    *ret_wall_ms = ((int64_t)seconds + (is_day ? 86400 : 0)) * 1000;
    return true;
}

static void format_when(int64_t wall_ms, struct buf *out)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[32];

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    buf_addz(out, text);
}

static bool parse_hash(struct str text, uint8_t out[32])
{
    struct str hex = str_slice(text, 7, text.n);
    uint8_t bytes[32];

    if (!str_starts(text, STR("sha256:")) || hex.n != 64) return false;
    for (size_t i = 0; i < 64; i++) {
        char c = hex.p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

        if (digit < 0) return false;
        bytes[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : bytes[i / 2] | digit);
    }
    memcpy(out, bytes, sizeof bytes);
    return true;
}

/* ---- words ---- */

static bool parse_enum(const struct key_row *row, struct str text, int *ret_value, struct buf *why)
{
    const char *separator = "";
    struct str word;
    bool later;

    for (unsigned i = 0; (word = key_choice(row->choices, i, &later)).n > 0; i++) {
        if (str_eq(word, text)) {
            if (later) {
                buf_addf(why, "%.*s is not in this version", STR_FMT(text));
                return false;
            }
            *ret_value = (int)i;
            return true;
        }
    }
    buf_addz(why, "wants ");
    for (unsigned i = 0; (word = key_choice(row->choices, i, &later)).n > 0 && !later; i++) {
        buf_addf(why, "%s%.*s", separator, STR_FMT(word));
        separator = " or ";
    }
    return false;
}

static bool parse_status(const struct key_row *row, struct str text, uint64_t on_status[8], struct buf *why)
{
    struct str rest = text;

    while (rest.n > 0) {
        struct str word = str_split(&rest, ' ');
        int64_t status;

        if (!parse_int(word, &status) || status < row->lo || status > row->hi) {
            buf_addf(why, "wants HTTP statuses from %" PRId64 " to %" PRId64, row->lo, row->hi);
            return false;
        }
        on_status[(status - STATUS_LO) / 64] |= UINT64_C(1) << ((status - STATUS_LO) % 64);
    }
    return true;
}

/* ---- one value ---- */

static void say_limits(const struct key_row *row, struct buf *why)
{
    buf_addz(why, " from ");
    key_format(row, &row->lo, why);
    buf_addz(why, " to ");
    key_format(row, &row->hi, why);
}

static bool parse_number(const struct key_row *row, struct str text, int64_t *field, struct buf *why)
{
    int64_t value = 0;
    bool is_read = false;
    const char *wanted = "a whole number";

    switch (row->kind) {
    case KIND_DURATION:
        wanted = "a duration with its unit (ms, s, m, h, d)";
        is_read = parse_with_unit(text, durations, &value);
        break;
    case KIND_SIZE:
        wanted = "a size with its unit (KiB, MiB, GiB)";
        is_read = parse_with_unit(text, sizes, &value);
        break;
    case KIND_PERCENT:
        wanted = "a share such as 12%";
        is_read = str_ends(text, STR("%")) && parse_decimal(str_slice(text, 0, text.n - 1), 4, &value);
        break;
    case KIND_AUTO:
        wanted = "auto or a whole number";
        if (str_is(text, "auto")) {
            *field = 0;
            return true;
        }
        is_read = parse_int(text, &value);
        break;
    default: is_read = parse_int(text, &value); break;
    }
    if (is_read && value >= row->lo && value <= row->hi) {
        *field = value;
        return true;
    }
    buf_addf(why, "wants %s", wanted);
    say_limits(row, why);
    return false;
}

static bool parse_bool(struct str text, bool *ret_value, struct buf *why)
{
    bool is_true = str_is(text, "true") || str_is(text, "True") || str_is(text, "TRUE");

    if (is_true || str_is(text, "false") || str_is(text, "False") || str_is(text, "FALSE")) {
        *ret_value = is_true;
        return true;
    }
    buf_addz(why, "wants true or false");
    return false;
}

bool key_parse(const struct key_row *row, struct str text, void *field, struct buf *why)
{
    switch (row->kind) {
    case KIND_TEXT:
    case KIND_SECRET:
    case KIND_FILE: *(struct str *)field = text; return true;
    case KIND_BOOL: return parse_bool(text, field, why);
    case KIND_ENUM: return parse_enum(row, text, field, why);
    case KIND_STATUSES: return parse_status(row, text, field, why);
    case KIND_RATE:
        if (parse_decimal(text, 6, field) && *(int64_t *)field <= INT64_C(1000000) * 1000000) return true;
        buf_addz(why, "wants USD per million tokens, 0 to 1000000 with at most 6 decimals");
        *(int64_t *)field = RATE_NONE;
        return false;
    case KIND_WHEN:
        if (parse_when(text, field)) return true;
        buf_addz(why, "wants a day such as 2027-06-30 or a time such as 2027-06-30T12:00:00Z");
        return false;
    case KIND_HASH:
        if (parse_hash(text, field)) return true;
        buf_addz(why, "wants sha256: and 64 hex digits in lower case");
        return false;
    default: return parse_number(row, text, field, why);
    }
}

void key_format(const struct key_row *row, const void *field, struct buf *out)
{
    const int64_t *number = field;
    const struct str *text = field;
    const uint64_t *on_status = field;
    const uint8_t *hash = field;
    const char *separator = "";
    bool later;

    switch (row->kind) {
    case KIND_TEXT:
    case KIND_FILE: buf_add(out, *text); break;
    case KIND_BOOL: buf_addz(out, *(const bool *)field ? "true" : "false"); break;
    case KIND_ENUM: buf_add(out, key_choice(row->choices, (unsigned)*(const int *)field, &later)); break;
    case KIND_DURATION: format_with_unit(*number, durations, out); break;
    case KIND_SIZE: format_with_unit(*number, sizes, out); break;
    case KIND_RATE: format_decimal(*number, 6, out); break;
    case KIND_PERCENT:
        format_decimal(*number, 4, out);
        buf_addc(out, '%');
        break;
    case KIND_WHEN: format_when(*number, out); break;
    case KIND_AUTO:
        if (*number == 0)
            buf_addz(out, "auto");
        else
            buf_add_i64(out, *number);
        break;
    case KIND_HASH:
        buf_addz(out, "sha256:");
        for (int i = 0; i < 32; i++) buf_addf(out, "%02x", hash[i]);
        break;
    case KIND_STATUSES:
        for (int status = STATUS_LO; status < STATUS_HI; status++) {
            if ((on_status[(status - STATUS_LO) / 64] >> ((status - STATUS_LO) % 64) & 1) == 0) continue;
            buf_addf(out, "%s%d", separator, status);
            separator = ", ";
        }
        break;
    default: buf_add_i64(out, *number); break;
    }
}
