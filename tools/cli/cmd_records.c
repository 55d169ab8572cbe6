/* The verbs about single calls: tail, explain. The control plane formats a call once, for its log and for these. */
#include "tools/cli/link.h"
#include "tools/cli/options.h"
#include "tools/cli/print.h"
#include "tools/cli/verbs.h"

#include <stdio.h>
#include <string.h>

struct tail_question {
    uint64_t lines;
    bool follow, colour;
};

static void pack_tail(msgpack_packer *p, const void *context)
{
    const struct tail_question *q = context;
    msgpack_pack_map(p, 3);
    admin_pack_kv_i64(p, "lines", (int64_t)q->lines);
    admin_pack_kv_bool(p, "follow", q->follow);
    admin_pack_kv_bool(p, "colour", q->colour);
}

static void print_lines(const msgpack_object *data, const char *form)
{
    const msgpack_object *rows = admin_get(data, "rows");
    for (uint32_t i = 0; rows != NULL && rows->type == MSGPACK_OBJECT_ARRAY && i < rows->via.array.size; i++) {
        struct str text = admin_get_str(&rows->via.array.ptr[i], form);
        printf("%.*s\n", STR_FMT(text));
    }
    fflush(stdout);
}

int cmd_tail(int argc, char **argv)
{
    const char *state = NULL, *format = "table", *lines = "20";
    struct tail_question q = {.colour = colour_is_on()};
    enum output output;
    struct link l;
    const struct option own[] = {{"--state", NULL, &state, NULL},
                                 {"--output", "-o", &format, NULL},
                                 {"--lines", "-n", &lines, NULL},
                                 {"--follow", "-f", NULL, &q.follow}};
    if (!options_parse("tail", &argc, argv, own, 4) || !output_parse(format, &output)) return 2;
    if (argc > 0 || !str_u64(str_of(lines), &q.lines) || q.lines > 1000 || output == OUTPUT_CSV) {
        fprintf(stderr, "weir tail: say [-f] [-n 0..1000] [-o table|json]\n");
        return 2;
    }
    const char *form = output == OUTPUT_JSON ? "json" : "text";
    bool ok = link_open(&l, state, false) && link_ask(&l, "tail", pack_tail, &q);
    if (ok) print_lines(l.data, form);
    while (ok && link_next(&l)) print_lines(l.data, form);
    int code = l.exit_code;
    link_close(&l);
    return code;
}

struct explain_question {
    const char *id;
    bool colour;
};

static void pack_explain(msgpack_packer *p, const void *context)
{
    const struct explain_question *q = context;
    msgpack_pack_map(p, 2);
    admin_pack_kv_str(p, "id", str_of(q->id));
    admin_pack_kv_bool(p, "colour", q->colour);
}

int cmd_explain(int argc, char **argv)
{
    const char *state = NULL, *format = "table";
    struct explain_question q = {.id = "last", .colour = colour_is_on()};
    enum output output;
    struct link l;
    const struct option own[] = {{"--state", NULL, &state, NULL}, {"--output", "-o", &format, NULL}};
    if (!options_parse("explain", &argc, argv, own, 2) || !output_parse(format, &output)) return 2;
    if (argc > 1 || output == OUTPUT_CSV) {
        fprintf(stderr, "weir explain: say a request id (x-request-id of the answer, or weir tail), or last\n");
        return 2;
    }
    if (argc == 1) q.id = argv[0];
    if (link_open(&l, state, false) && link_ask(&l, "explain", pack_explain, &q)) {
        struct str text = admin_get_str(l.data, output == OUTPUT_JSON ? "json" : "text");
        printf("%.*s\n", STR_FMT(text));
    }
    int code = l.exit_code;
    link_close(&l);
    return code;
}
