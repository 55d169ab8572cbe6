/* The verbs that read: status, providers, routes, usage. Each asks one command and prints its rows. */
#include "proto/base/clock.h"
#include "tools/cli/link.h"
#include "tools/cli/options.h"
#include "tools/cli/print.h"
#include "tools/cli/verbs.h"

#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct reading {
    const char *state, *format;
    enum output output;
    struct link link;
};

/* The flags that all reading verbs have, then the question. On false the exit code is in *ret_code. */
static bool read_flags(struct reading *r, const char *verb, int *argc, char **argv, const struct option *own,
                       size_t own_n, int *ret_code)
{
    struct option all[12] = {{"--state", NULL, &r->state, NULL}, {"--output", "-o", &r->format, NULL}};
    if (own_n > 0) memcpy(all + 2, own, own_n * sizeof *own);
    *ret_code = 2;
    r->state = NULL;
    r->format = "table";
    return options_parse(verb, argc, argv, all, own_n + 2) && output_parse(r->format, &r->output);
}

static bool ask(struct reading *r, const char *cmd, void (*pack)(msgpack_packer *p, const void *context),
                const void *context, int *ret_code)
{
    bool ok = link_open(&r->link, r->state, false) && link_ask(&r->link, cmd, pack, context);
    *ret_code = r->link.exit_code;
    if (!ok) link_close(&r->link);
    return ok;
}

/* ---- providers, routes ---- */

static const struct column provider_columns[] = {
    {"provider", "PROVIDER", COLUMN_TEXT}, {"type", "TYPE", COLUMN_TEXT},    {"endpoint", "ENDPOINT", COLUMN_TEXT},
    {"key", "KEY", COLUMN_TEXT},           {"state", "STATE", COLUMN_TEXT},  {"connect_ms", "CONNECT", COLUMN_MS},
    {"served", "SERVED", COLUMN_INT},      {"failed", "FAILED", COLUMN_INT}, {"why", "WHY", COLUMN_TEXT},
};

struct named {
    const char *name;
};

static void pack_name(msgpack_packer *p, const void *context)
{
    const struct named *n = context;
    msgpack_pack_map(p, 1);
    admin_pack_kv_str(p, "name", str_of(n->name));
}

static void print_probe(const char *name, struct str state, struct str why, const msgpack_object *data)
{
    struct str key = admin_get_str(data, "key_check"), hint = admin_get_str(data, "key_check_hint");
    printf("%s: %.*s%s%.*s%s%.*s\n", name, STR_FMT(state), why.n > 0 ? ": " : "", STR_FMT(why),
           key.n > 0 ? "; key " : "", STR_FMT(key));
    if (hint.n > 0) printf("  %.*s\n", STR_FMT(hint));
}

static int probe(struct reading *r, const char *name)
{
    int code;
    struct named n = {name};
    if (!ask(r, "probe", pack_name, &n, &code)) return code;
    struct str state = admin_get_str(r->link.data, "state"), why = admin_get_str(r->link.data, "why");
    if (r->output == OUTPUT_JSON)
        print_json(r->link.data);
    else
        print_probe(name, state, why, r->link.data);
    code = str_is(state, "up") && !str_is(admin_get_str(r->link.data, "key_check_state"), "bad") ? 0 : 1;
    link_close(&r->link);
    return code;
}

static int print_plain_rows(struct reading *r, const char *cmd, const struct column *columns, size_t n)
{
    int code;
    if (!ask(r, cmd, NULL, NULL, &code)) return code;
    print_rows(r->output, r->link.data, admin_get(r->link.data, "rows"), NULL, columns, n);
    link_close(&r->link);
    return 0;
}

int cmd_providers(int argc, char **argv)
{
    struct reading r;
    int code;
    if (!read_flags(&r, "providers", &argc, argv, NULL, 0, &code)) return code;
    if (argc == 2 && strcmp(argv[0], "probe") == 0) return probe(&r, argv[1]);
    if (argc > 1 || (argc == 1 && strcmp(argv[0], "list") != 0)) {
        fprintf(stderr, "weir providers: say list, or probe NAME\n");
        return 2;
    }
    return print_plain_rows(&r, "providers", provider_columns, COUNT(provider_columns));
}

static const struct column route_columns[] = {
    {"route", "ROUTE", COLUMN_TEXT},       {"target", "TARGET", COLUMN_TEXT},     {"role", "ROLE", COLUMN_TEXT},
    {"weight", "WEIGHT", COLUMN_INT},      {"configured", "IN FILE", COLUMN_INT}, {"circuit", "CIRCUIT", COLUMN_TEXT},
    {"in_flight", "OPEN", COLUMN_INT},     {"served", "SERVED", COLUMN_INT},      {"failed", "FAILED", COLUMN_INT},
    {"ttft_us", "FIRST TOKEN", COLUMN_US}, {"note", "NOTE", COLUMN_TEXT},
};

int cmd_routes(int argc, char **argv)
{
    struct reading r;
    int code;
    if (!read_flags(&r, "routes", &argc, argv, NULL, 0, &code)) return code;
    return print_plain_rows(&r, "routes", route_columns, COUNT(route_columns));
}

/* ---- usage ---- */

struct usage_question {
    const char *by;
    long long since_ms, until_ms; /* 0: open */
};

static void pack_usage(msgpack_packer *p, const void *context)
{
    const struct usage_question *q = context;
    struct str rest = str_of(q->by);
    size_t n = 1;
    for (size_t i = 0; i < rest.n; i++) n += rest.p[i] == ',';
    msgpack_pack_map(p, 3);
    admin_pack_str(p, STR("by"));
    msgpack_pack_array(p, n);
    for (size_t i = 0; i < n; i++) admin_pack_str(p, str_trim(str_split(&rest, ',')));
    admin_pack_kv_i64(p, "since_ms", q->since_ms);
    admin_pack_kv_i64(p, "until_ms", q->until_ms);
}

static size_t usage_columns(const char *by, struct column *columns)
{
    static const struct column group[] = {
        {"hour", "HOUR", COLUMN_TEXT}, {"day", "DAY", COLUMN_TEXT},           {"route", "ROUTE", COLUMN_TEXT},
        {"key", "KEY", COLUMN_TEXT},   {"provider", "PROVIDER", COLUMN_TEXT}, {"model", "MODEL", COLUMN_TEXT},
    };
    static const struct column figures[] = {
        {"calls", "CALLS", COLUMN_INT},         {"failed", "FAILED", COLUMN_INT},
        {"input", "INPUT", COLUMN_INT},         {"cached", "CACHED", COLUMN_INT},
        {"output", "OUTPUT", COLUMN_INT},       {"reasoning", "REASONING", COLUMN_INT},
        {"cost_nanousd", "COST", COLUMN_USD},   {"unknown", "UNPRICED", COLUMN_INT},
        {"estimated", "ESTIMATED", COLUMN_INT},
    };
    size_t n = 0;
    struct str rest = str_of(by);
    while (rest.n > 0) {
        struct str word = str_trim(str_split(&rest, ','));
        for (size_t i = 0; i < COUNT(group); i++)
            if (str_is(word, group[i].key) && n < COUNT(group)) columns[n++] = group[i];
    }
    memcpy(columns + n, figures, sizeof figures);
    return n + COUNT(figures);
}

int cmd_usage(int argc, char **argv)
{
    const char *since = NULL, *until = NULL;
    struct usage_question q = {.by = "model"};
    struct reading r;
    struct column columns[16];
    int code;
    const struct option own[] = {
        {"--by", NULL, &q.by, NULL}, {"--since", NULL, &since, NULL}, {"--until", NULL, &until, NULL}};
    if (!read_flags(&r, "usage", &argc, argv, own, COUNT(own), &code)) return code;
    long long now_ms = (long long)(clock_wall_ns() / 1000000u);
    if (since != NULL && !parse_since(since, now_ms, &q.since_ms)) return 2;
    if (until != NULL && !parse_since(until, now_ms, &q.until_ms)) return 2;
    if (!ask(&r, "usage", pack_usage, &q, &code)) return code;
    const msgpack_object *rows = admin_get(r.link.data, "rows");
    print_rows(r.output, r.link.data, rows, admin_get(r.link.data, "total"), columns, usage_columns(q.by, columns));
    if (r.output == OUTPUT_TABLE && rows != NULL && rows->via.array.size == 0)
        fprintf(stderr, "no calls yet: weir call MODEL \"hello\"\n");
    link_close(&r.link);
    return 0;
}

/* ---- status ---- */

static void line(const char *title, const msgpack_object *data, const char *key, enum column_kind kind)
{
    struct buf text = {0};
    format_cell(admin_get(data, key), kind, &text);
    printf("  %-11s %.*s\n", title, STR_FMT(buf_view(&text)));
    buf_fini(&text);
}

static const struct column target_columns[] = {
    {"target", "TARGET", COLUMN_TEXT}, {"circuit", "CIRCUIT", COLUMN_TEXT}, {"in_flight", "OPEN", COLUMN_INT},
    {"served", "SERVED", COLUMN_INT},  {"failed", "FAILED", COLUMN_INT},    {"ttft_us", "FIRST TOKEN", COLUMN_US},
    {"note", "NOTE", COLUMN_TEXT},
};

int cmd_status(int argc, char **argv)
{
    struct reading r;
    int code;
    if (!read_flags(&r, "status", &argc, argv, NULL, 0, &code)) return code;
    if (!ask(&r, "status", NULL, NULL, &code)) return code;
    const msgpack_object *d = r.link.data;
    if (r.output == OUTPUT_JSON) {
        print_json(d);
    } else {
        struct str version = admin_get_str(d, "version"), phase = admin_get_str(d, "phase");
        printf("weir %.*s  pid %lld  %.*s\n", STR_FMT(version), (long long)admin_get_i64(d, "pid", 0), STR_FMT(phase));
        line("up", d, "uptime_ms", COLUMN_MS);
        line("endpoint", d, "endpoint", COLUMN_TEXT);
        line("config", d, "config", COLUMN_TEXT);
        line("calls", d, "calls_text", COLUMN_TEXT);
        line("open now", d, "in_flight", COLUMN_INT);
        line("spent today", d, "today_nanousd", COLUMN_USD);
        line("ledger", d, "ledger_text", COLUMN_TEXT);
        line("workers", d, "workers_text", COLUMN_TEXT);
        const msgpack_object *warnings = admin_get(d, "warnings");
        for (uint32_t i = 0; warnings != NULL && warnings->type == MSGPACK_OBJECT_ARRAY && i < warnings->via.array.size;
             i++)
            if (warnings->via.array.ptr[i].type == MSGPACK_OBJECT_STR)
                printf("  ! %.*s\n", (int)warnings->via.array.ptr[i].via.str.size,
                       warnings->via.array.ptr[i].via.str.ptr);
        printf("\n");
        print_rows(OUTPUT_TABLE, d, admin_get(d, "targets"), NULL, target_columns, COUNT(target_columns));
    }
    link_close(&r.link);
    return 0;
}
