#include "proto/base/str.h"
#include "proto/base/version.h"
#include "tools/cli/verbs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *group; /* heads a block of `weir help` where it changes */
    const char *args;
    const char *what;
    const char *more; /* `weir help VERB`: flags and examples */
};

#define STATE_FLAG \
    "  --state DIR      where the running weir keeps its state (else $WEIR_STATE, else the XDG state home)\n"
#define OUTPUT_FLAG "  -o FORMAT        table (default), json, csv\n"

static const struct verb verbs[] = {
    {"demo", cmd_demo, "Start", "[--fast] [--keep]", "a tour with two fake providers: no key, no network, no money",
     "  --fast           without the waits that let a person read along (for CI)\n"
     "  --keep           go on after the tour, until Ctrl-C\n"},
    {"run", cmd_run, "Start", "[--config weir.yaml] [--state DIR] [--workers N]", "start weir here",
     "  --config FILE    without it: ./weir.yaml, else built from the keys in the environment (OPENAI_API_KEY …)\n"
     "  --state DIR      ledger, journals, admin socket\n"
     "  --workers N      processes that carry traffic\n"},
    {"stop", cmd_stop, "Start", "", "finish what is open, then end", STATE_FLAG},
    {"env", cmd_env, "Start", "", "exports that point SDKs here: eval \"$(weir env)\"", STATE_FLAG},
    {"call", cmd_call, "Start", "MODEL \"text\"", "one call, with what it cost",
     STATE_FLAG
     "  --system TEXT    the system prompt\n  --key-file FILE  the client key, where one is asked for; - reads it from "
     "standard input\n  -o FORMAT        table (default: the text), json (the whole answer)\n"},
    {"status", cmd_status, "See", "", "one screen: health, calls, money, circuits, configuration",
     STATE_FLAG "  -o FORMAT        table (default), json\n"},
    {"usage", cmd_usage, "See", "[--by model,provider,key,route,day] [--since 7d]", "tokens and dollars",
     STATE_FLAG OUTPUT_FLAG
     "  --by LIST        what to group by: model, provider, route, key, day, hour (default model)\n"
     "  --since TIME     30m, 24h, 7d, today, month, 2026-11-01 (default: all that is kept)\n"
     "  --until TIME\n"},
    {"tail", cmd_tail, "See", "[-f] [-n 20]", "the last calls, or each as it ends",
     STATE_FLAG "  -f, --follow     go on with each call as it ends\n  -n, --lines N    how many (20)\n  -o FORMAT     "
                "   table (default), json: one line a call\n"},
    {"explain", cmd_explain, "See", "ID|last", "why a call went where it went, and what it cost",
     STATE_FLAG "  -o FORMAT        table (default), json\n"},
    {"providers", cmd_providers, "See", "[list|probe NAME]", "where calls can go: address, health, key",
     STATE_FLAG OUTPUT_FLAG},
    {"routes", cmd_routes, "See", "", "what model names lead to, with weights and circuits", STATE_FLAG OUTPUT_FLAG},
    {"weight", cmd_weight, "Change", "ROUTE TARGET=N",
     "shift traffic now; kept over restarts until the file changes it", STATE_FLAG},
    {"drain", cmd_drain, "Change", "TARGET", "no new calls there", STATE_FLAG},
    {"undrain", cmd_undrain, "Change", "TARGET", "calls again", STATE_FLAG},
    {"reload", cmd_reload, "Change", "", "read the configuration again, all or nothing", STATE_FLAG},
    {"config", cmd_config, "Configure", "check|show|keys|schema|init [FILE]",
     "is it right; what is in force; JSON Schema; a first file",
     "  weir config check weir.yaml [--format text|json|github]\n  weir config show [weir.yaml]\n  weir config keys "
     "[routes]\n  weir config schema "
     "> weir.schema.json\n  weir config init > weir.yaml\n"},
    {"doctor", cmd_doctor, "Configure", "[--config weir.yaml]",
     "would calls work from here: keys, names, certificates, clock, disk, ports",
     "  --config FILE    without it: ./weir.yaml, else built from the keys in the environment\n"
     "  --state DIR      as for run\n  -o FORMAT        table (default), json\n"
     "Each provider is asked for its list of models, which costs nothing. Exit code 1: something has to be mended.\n"},
    {"version", cmd_version, "Tools", "", "", ""},
    {"help", cmd_help, "Tools", "[VERB]", "", ""},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0) return &verbs[i];
    return NULL;
}

static int unknown_verb(const char *name)
{
    const char *nearest = NULL;
    unsigned best = 3;
    for (size_t i = 0; i < VERBS; i++) {
        unsigned d = str_distance(str_of(name), str_of(verbs[i].name), 3);
        if (d < best) {
            best = d;
            nearest = verbs[i].name;
        }
    }
    fprintf(stderr, "weir: no verb \"%s\"%s%s%s\n  weir help\n", name, nearest != NULL ? " (did you mean " : "",
            nearest != NULL ? nearest : "", nearest != NULL ? "?)" : "");
    return 2;
}

static void print_all(void)
{
    const char *group = "";
    printf("weir %s: one local endpoint in front of every LLM provider\n", weir_version());
    for (size_t i = 0; i < VERBS; i++) {
        const struct verb *v = &verbs[i];
        char head[96];
        if (v->what[0] == '\0') continue;
        if (strcmp(group, v->group) != 0) printf("\n%s\n", v->group);
        group = v->group;
        snprintf(head, sizeof head, "%s %s", v->name, v->args);
        if (strlen(head) > 34)
            printf("  %s\n  %-34s  %s\n", head, "", v->what);
        else
            printf("  %-34s  %s\n", head, v->what);
    }
    printf("\nweir help VERB tells more. First steps: weir demo\n");
}

int cmd_help(int argc, char **argv)
{
    if (argc == 0) {
        print_all();
        return 0;
    }
    const struct verb *v = find_verb(argv[0]);
    if (v == NULL) return unknown_verb(argv[0]);
    printf("weir %s %s\n  %s\n\n%s", v->name, v->args, v->what, v->more);
    return 0;
}

int cmd_version(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("weir %s\n", weir_version());
    return 0;
}

int program_path(const char *sibling, char *out, size_t out_bytes)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return -1;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL) return -1;
    int written = snprintf(out, out_bytes, "%.*s/%s", (int)(slash - self), self, sibling);
    return written > 0 && (size_t)written < out_bytes ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_all();
        return 2;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0) name = "version";
    const struct verb *v = find_verb(name);
    if (v == NULL) return unknown_verb(name);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) break;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return cmd_help(1, argv + 1);
    }
    return v->run(argc - 2, argv + 2);
}
