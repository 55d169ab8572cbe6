/* The verbs that start other programs: run becomes weir-dataplane, config and doctor ask weir-controlplane. */
#include "proto/base/mem.h"
#include "tools/cli/link.h"
#include "tools/cli/options.h"
#include "tools/cli/print.h"
#include "tools/cli/verbs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int become(const char *program, const char *first, int argc, char **argv)
{
    char path[PATH_MAX];
    char **args = xcalloc((size_t)argc + 3, sizeof *args);
    int n = 0;
    if (program_path(program, path, sizeof path) != 0) {
        fprintf(stderr, "weir: cannot tell where this program stands\n");
        return 1;
    }
    args[n++] = path;
    if (first != NULL) args[n++] = xstrdup(first);
    for (int i = 0; i < argc; i++) args[n++] = argv[i];
    execv(path, args);
    fprintf(stderr, "weir: cannot start %s: %s\n", path, strerror(errno));
    return 1;
}

int cmd_run(int argc, char **argv)
{
    return become("weir-dataplane", NULL, argc, argv);
}

static int show_running(struct link *l)
{
    bool ok = link_ask(l, "config", NULL, NULL);
    struct str text = ok ? admin_get_str(l->data, "text") : STR_NULL;
    if (ok) fwrite(text.p, 1, text.n, stdout);
    int code = l->exit_code;
    link_close(l);
    return code;
}

int cmd_config(int argc, char **argv)
{
    static const struct {
        const char *word, *option;
    } tools[] = {{"check", "--check-config"},
                 {"show", "--show-config"},
                 {"keys", "--config-keys"},
                 {"schema", "--config-schema"},
                 {"init", "--init-config"}};
    struct link l;
    if (argc == 1 && strcmp(argv[0], "show") == 0 && link_open(&l, NULL, true)) return show_running(&l);
    for (size_t i = 0; argc > 0 && i < sizeof tools / sizeof *tools; i++)
        if (strcmp(argv[0], tools[i].word) == 0)
            return become("weir-controlplane", tools[i].option, argc - 1, argv + 1);
    fprintf(stderr, "weir config: say check, show, keys, schema or init\n  weir help config\n");
    return 2;
}

int cmd_doctor(int argc, char **argv)
{
    char home[PATH_MAX];
    const char *state = NULL, *config = NULL, *format = "table";
    enum output output;
    const struct option own[] = {
        {"--state", NULL, &state, NULL}, {"--config", NULL, &config, NULL}, {"--output", "-o", &format, NULL}};
    if (!options_parse("doctor", &argc, argv, own, 3) || !output_parse(format, &output)) return 2;
    if (argc > 0 || output == OUTPUT_CSV) {
        fprintf(stderr, "weir doctor: say [--config FILE] [--state DIR] [-o table|json]\n");
        return 2;
    }
    if (state == NULL) {
        default_state_dir(home, sizeof home);
        state = home;
    }
    char *words[] = {"--state", (char *)state, "--output", (char *)format, "--config", (char *)config};
    return become("weir-controlplane", "--doctor", config != NULL ? 6 : 4, words);
}
