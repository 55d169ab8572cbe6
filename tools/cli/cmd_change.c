/* The verbs that change something: weight, drain, undrain, reload, stop. */
#include "tools/cli/link.h"
#include "tools/cli/options.h"
#include "tools/cli/print.h"
#include "tools/cli/verbs.h"

#include <stdio.h>
#include <string.h>

struct change {
    const char *state;
    struct str route, target;
    int64_t weight;
};

static void pack_change(msgpack_packer *p, const void *context)
{
    const struct change *c = context;
    msgpack_pack_map(p, 3);
    admin_pack_kv_str(p, "route", c->route);
    admin_pack_kv_str(p, "target", c->target);
    admin_pack_kv_i64(p, "weight", c->weight);
}

/* Prints the lines of the answer, then what to look at next. */
static int make_change(const char *cmd, const struct change *c)
{
    struct link l;
    bool ok = link_open(&l, c->state, false) && link_ask(&l, cmd, pack_change, c);
    const msgpack_object *lines = ok ? admin_get(l.data, "lines") : NULL;
    for (uint32_t i = 0; lines != NULL && lines->type == MSGPACK_OBJECT_ARRAY && i < lines->via.array.size; i++) {
        const msgpack_object *o = &lines->via.array.ptr[i];
        if (o->type == MSGPACK_OBJECT_STR) printf("%.*s\n", (int)o->via.str.size, o->via.str.ptr);
    }
    int code = l.exit_code;
    link_close(&l);
    return code;
}

static bool change_flags(struct change *c, const char *verb, int *argc, char **argv)
{
    const struct option own[] = {{"--state", NULL, &c->state, NULL}};
    *c = (struct change){0};
    return options_parse(verb, argc, argv, own, 1);
}

int cmd_weight(int argc, char **argv)
{
    struct change c;
    uint64_t weight;
    if (!change_flags(&c, "weight", &argc, argv)) return 2;
    ptrdiff_t eq = argc == 2 ? str_rchr(str_of(argv[1]), '=') : -1;
    if (eq <= 0 || !str_u64(str_of(argv[1] + eq + 1), &weight) || weight > 1000000) {
        fprintf(stderr,
                "weir weight: say ROUTE TARGET=N, N from 0 to 1000000, such as: weir weight chat openai/gpt-x=20\n");
        return 2;
    }
    c.route = str_of(argv[0]);
    c.target = str_slice(str_of(argv[1]), 0, (size_t)eq);
    c.weight = (int64_t)weight;
    return make_change("weight", &c);
}

static int change_target(const char *verb, int argc, char **argv)
{
    struct change c;
    if (!change_flags(&c, verb, &argc, argv)) return 2;
    if (argc != 1) {
        fprintf(stderr, "weir %s: name one target, such as: weir %s openai/gpt-x   (weir routes lists them)\n", verb,
                verb);
        return 2;
    }
    c.target = str_of(argv[0]);
    return make_change(verb, &c);
}

int cmd_drain(int argc, char **argv)
{
    return change_target("drain", argc, argv);
}

int cmd_undrain(int argc, char **argv)
{
    return change_target("undrain", argc, argv);
}

static int plain(const char *verb, int argc, char **argv)
{
    struct change c;
    if (!change_flags(&c, verb, &argc, argv)) return 2;
    return make_change(verb, &c);
}

int cmd_reload(int argc, char **argv)
{
    return plain("reload", argc, argv);
}

int cmd_stop(int argc, char **argv)
{
    return plain("stop", argc, argv);
}
