#include "controlplane/config/tool.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/config/check.h"
#include "controlplane/config/env.h"
#include "controlplane/config/show.h"

enum { EXIT_FINE = 0, EXIT_PROBLEMS = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "usage: weir-controlplane --check-config FILE [--format text|json|github]\n"
    "       weir-controlplane --show-config [FILE] [--origin]   without FILE: from the environment\n"
    "       weir-controlplane --config-schema\n"
    "       weir-controlplane --config-keys [PREFIX]            such as routes, or server.admin\n"
    "       weir-controlplane --init-config\n"
    "FILE may be -, standard input.\n";

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_GITHUB };

struct options {
    const char *verb, *file;
    enum format format;
    bool with_origin;
};

static const char *const verbs[] = {"--check-config", "--show-config", "--config-schema", "--config-keys",
                                    "--init-config"};

bool config_tool_wants(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(argv[1], verbs[i]) == 0) return true;
    return false;
}

static bool read_format(const char *word, enum format *ret_format)
{
    static const char *const words[] = {"text", "json", "github"};

    for (int i = 0; word != NULL && i < 3; i++)
        if (strcmp(word, words[i]) == 0) {
            *ret_format = (enum format)i;
            return true;
        }
    return false;
}

static bool read_options(int argc, char **argv, struct options *ret_options)
{
    struct options o = {0};

    if (!config_tool_wants(argc, argv)) return false;
    o.verb = argv[1];
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--format") == 0) {
            if (!read_format(argv[++i], &o.format)) return false;
        } else if (strncmp(argv[i], "--format=", 9) == 0) {
            if (!read_format(argv[i] + 9, &o.format)) return false;
        } else if (strcmp(argv[i], "--origin") == 0) {
            o.with_origin = true;
        } else if (o.file == NULL && (argv[i][0] != '-' || argv[i][1] == '\0')) {
            o.file = argv[i];
        } else {
            return false;
        }
    }
    *ret_options = o;
    return true;
}

static void print(FILE *to, const struct buf *text)
{
    struct str s = buf_view(text);

    if (s.n > 0) fwrite(s.p, 1, s.n, to);
}

static struct config *load_stdin(struct problems *problems)
{
    struct buf text = {0};
    struct config *c;
    ssize_t n;

    while (buf_len(&text) <= TREE_BYTES && (n = read(STDIN_FILENO, buf_reserve(&text, 1 << 16), 1 << 16)) > 0)
        buf_commit(&text, (size_t)n);
    c = config_load_text(buf_view(&text), STR("(stdin)"), env_get, problems);
    buf_fini(&text);
    return c;
}

static struct config *load(const struct options *o, struct problems *problems)
{
    bool is_stdin = o->file != NULL && strcmp(o->file, "-") == 0;

    problems_init(problems, is_stdin ? STR("(stdin)") : str_of(o->file != NULL ? o->file : "weir"));
    if (is_stdin) return load_stdin(problems);
    return o->file != NULL ? config_load_file(o->file, env_get, problems) : config_load_environment(env_get, problems);
}

static int check(const struct options *o)
{
    struct problems problems;
    struct config *c = load(o, &problems);
    struct buf out = {0};
    int code = problems.errors > 0 ? EXIT_PROBLEMS : EXIT_FINE;

    if (o->format == FORMAT_JSON) {
        problems_write_json(&problems, &out);
        print(stdout, &out);
    } else if (o->format == FORMAT_GITHUB) {
        problems_write_github(&problems, &out);
        print(stdout, &out);
    } else {
        problems_write_text(&problems, &out);
        print(stderr, &out);
        if (c != NULL)
            printf("%s: fine; providers: %zu, routes: %zu, keys: %zu\n", problems.name.p, c->providers.n, c->routes.n,
                   c->keys.n);
        else
            fprintf(stderr, "%u error%s\n", problems.errors, problems.errors == 1 ? "" : "s");
    }
    buf_fini(&out);
    config_free(&c);
    problems_fini(&problems);
    return code;
}

static int show(const struct options *o)
{
    struct problems problems;
    struct config *c = load(o, &problems);
    struct buf out = {0};
    int code = c != NULL ? EXIT_FINE : EXIT_PROBLEMS;

    problems_write_text(&problems, &out);
    print(stderr, &out);
    buf_clear(&out);
    if (c != NULL) config_show(c, o->with_origin, &out);
    print(stdout, &out);
    buf_fini(&out);
    config_free(&c);
    problems_fini(&problems);
    return code;
}

static int init(void)
{
    struct buf out = {0};
    int code = EXIT_FINE;

    if (config_environment_yaml(env_get, &out)) {
        print(stdout, &out);
    } else {
        config_environment_variables(&out);
        fprintf(stderr, "weir: set %.*s first; the file will name the variable, not hold the key\n",
                STR_FMT(buf_view(&out)));
        code = EXIT_PROBLEMS;
    }
    buf_fini(&out);
    return code;
}

static int keys(const struct options *o)
{
    struct buf out = {0};
    bool is_any = config_keys(str_of(o->file), &out);

    if (!is_any) fprintf(stderr, "weir: no key %s; without a word all are listed\n", o->file);
    print(stdout, &out);
    buf_fini(&out);
    return is_any ? EXIT_FINE : EXIT_PROBLEMS;
}

int config_tool_main(int argc, char **argv)
{
    struct options o;
    struct buf out = {0};

    if (!read_options(argc, argv, &o) || (strcmp(o.verb, "--check-config") == 0 && o.file == NULL)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (strcmp(o.verb, "--check-config") == 0) return check(&o);
    if (strcmp(o.verb, "--show-config") == 0) return show(&o);
    if (strcmp(o.verb, "--init-config") == 0) return init();
    if (strcmp(o.verb, "--config-keys") == 0) return keys(&o);
    config_schema(&out);
    print(stdout, &out);
    buf_fini(&out);
    return EXIT_FINE;
}
