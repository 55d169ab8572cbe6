#include "tools/cli/options.h"

#include "proto/base/str.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct option *find(struct str name, const struct option *options, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(name, options[i].name) || (options[i].letter != NULL && str_is(name, options[i].letter)))
            return &options[i];
    return NULL;
}

static void complain(const char *verb, struct str name, const struct option *options, size_t n)
{
    fprintf(stderr, "weir %s: unknown option \"%.*s\"", verb, STR_FMT(name));
    for (size_t i = 0; i < n; i++) {
        if (str_distance(name, str_of(options[i].name), 2) > 2) continue;
        fprintf(stderr, " (did you mean %s?)", options[i].name);
        break;
    }
    fprintf(stderr, "\n  weir help %s\n", verb);
}

bool options_parse(const char *verb, int *argc, char **argv, const struct option *options, size_t n)
{
    int words = 0;
    bool ended = false;
    for (int i = 0; i < *argc; i++) {
        struct str arg = str_of(argv[i]);
        if (ended || arg.n < 2 || arg.p[0] != '-') {
            argv[words++] = argv[i];
            continue;
        }
        if (str_is(arg, "--")) {
            ended = true;
            continue;
        }
        struct str rest = arg, name = str_split(&rest, '=');
        const struct option *o = find(name, options, n);
        if (o == NULL) {
            complain(verb, name, options, n);
            return false;
        }
        if (o->flag != NULL) {
            *o->flag = true;
        } else if (name.n < arg.n) {
            *o->value = argv[i] + name.n + 1;
        } else if (i + 1 < *argc) {
            *o->value = argv[++i];
        } else {
            fprintf(stderr, "weir %s: %s needs a value\n", verb, o->name);
            return false;
        }
    }
    argv[words] = NULL;
    *argc = words;
    return true;
}

static bool parse_span(struct str text, long long *ret_ms)
{
    uint64_t number;
    long long unit = 0;
    if (text.n < 2 || !str_u64(str_slice(text, 0, text.n - 1), &number) || number > 100000) return false;
    switch (text.p[text.n - 1]) {
    case 's': unit = 1000; break;
    case 'm': unit = 60 * 1000; break;
    case 'h': unit = 3600 * 1000; break;
    case 'd': unit = 86400LL * 1000; break;
    case 'w': unit = 7 * 86400LL * 1000; break;
    default: return false;
    }
    *ret_ms = (long long)number * unit;
    return true;
}

bool parse_since(const char *text, long long now_ms, long long *ret_ms)
{
    long long span;
    struct tm tm;
    time_t now_s = (time_t)(now_ms / 1000);
    gmtime_r(&now_s, &tm);
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    if (parse_span(str_of(text), &span)) {
        *ret_ms = now_ms - span;
        return true;
    }
    if (strcmp(text, "month") == 0) tm.tm_mday = 1;
    if (strcmp(text, "today") == 0 || strcmp(text, "month") == 0) {
        *ret_ms = (long long)timegm(&tm) * 1000;
        return true;
    }
    memset(&tm, 0, sizeof tm);
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (end != NULL && *end == 'T') end = strptime(end, "T%H:%M:%S", &tm);
    if (end != NULL && (*end == '\0' || strcmp(end, "Z") == 0)) {
        *ret_ms = (long long)timegm(&tm) * 1000;
        return true;
    }
    fprintf(stderr, "weir: \"%s\" is no time: 30m, 24h, 7d, today, month, or a date such as 2026-11-22 (UTC)\n", text);
    return false;
}
