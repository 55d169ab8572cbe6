/* main.c — one program, two roles: the supervisor, and with --worker, exec'd by it, a worker. Only arguments are read here. */
#include "dataplane/supervisor.h"
#include "dataplane/worker.h"
#include "proto/base/str.h"
#include "proto/base/version.h"
#include "shm/process.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_BAD_USAGE = 2, MOST_FD = 1 << 20 };

static const char help[] =
    "usage: weir-dataplane [--state DIR] [--config FILE] [--workers N]\n"
    "  --state DIR     directory of state, 0700 (default: $WEIR_STATE, then the XDG state home: ~/.local/state/weir)\n"
    "  --config FILE   weir.yaml; without it the configuration is built from the keys found in the environment\n"
    "  --workers N     worker processes (default: server.workers, then the number of cores)\n"
    "SIGTERM drains, a second one stops; SIGHUP reloads the configuration. `weir run` starts this program.\n";

static int usage(const char *what, const char *argument)
{
    fprintf(stderr, "weir-dataplane: %s%s\nTry weir-dataplane --help.\n", what, argument);
    return EXIT_BAD_USAGE;
}

/* ---- a worker: every option is a number ---- */

static bool number_take(const char *text, uint64_t most, int *ret_value)
{
    uint64_t v;

    if (!str_u64(str_of(text), &v) || v > most) return false;
    *ret_value = (int)v;
    return true;
}

static bool listen_take(struct worker_options *o, const char *text, bool is_unix)
{
    if (o->listen_n == WORKER_LISTENS || !number_take(text, MOST_FD, &o->listen_fds[o->listen_n])) return false;
    o->listen_is_unix[o->listen_n++] = is_unix;
    return true;
}

static bool worker_option(struct worker_options *o, const char *name, const char *value)
{
    int number;
    const struct {
        const char *name;
        int *fd;
    } fds[] = {
        {"--live", &o->live_fd},       {"--journal", &o->journal_fd}, {"--snapshot", &o->snapshot_fd},
        {"--secrets", &o->secrets_fd}, {"--tick", &o->tick_fd},       {"--channel", &o->channel_fd},
    };

    if (strcmp(name, "--listen") == 0 || strcmp(name, "--listen-unix") == 0)
        return listen_take(o, value, strcmp(name, "--listen-unix") == 0);
    if (strcmp(name, "--worker") == 0 && number_take(value, SHM_WORKERS - 1, &number)) {
        o->number = (unsigned)number;
        return true;
    }
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (strcmp(name, fds[i].name) == 0) return number_take(value, MOST_FD, fds[i].fd);
    return false;
}

static int worker_role(int argc, char **argv)
{
    struct worker_options o = {
        .live_fd = -1, .journal_fd = -1, .snapshot_fd = -1, .secrets_fd = -1, .tick_fd = -1, .channel_fd = -1};
    int keep[WORKER_LISTENS + 6];
    unsigned n = 0;
    char name[16];

    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !worker_option(&o, argv[i], argv[i + 1]))
            return usage("a worker is started by the supervisor; bad option ", argv[i]);
    const int fds[] = {o.live_fd, o.journal_fd, o.snapshot_fd, o.secrets_fd, o.tick_fd, o.channel_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] <= 2) return usage("a worker is started by the supervisor", "");
        keep[n++] = fds[i];
    }
    for (unsigned i = 0; i < o.listen_n; i++) keep[n++] = o.listen_fds[i];
    snprintf(name, sizeof name, "weir-worker-%u", o.number);
    process_harden(name);
    unsigned leaked = process_close_others(keep, n);
    if (leaked > 0) fprintf(stderr, "weir: worker %u: closed %u descriptors that it was not given\n", o.number, leaked);
    return worker_main(&o);
}

/* ---- the supervisor ---- */

static int supervisor_role(int argc, char **argv)
{
    struct supervisor_options o = {0};

    for (int i = 1; i < argc; i++) {
        const char **value = strcmp(argv[i], "--state") == 0     ? &o.state
                             : strcmp(argv[i], "--config") == 0  ? &o.config
                             : strcmp(argv[i], "--workers") == 0 ? &o.workers
                                                                 : NULL;
        if (value == NULL) return usage("unknown option ", argv[i]);
        if (i + 1 == argc || argv[i + 1][0] == '\0') return usage("a value is missing behind ", argv[i]);
        *value = argv[++i];
    }
    uint64_t workers = 1;
    if (o.workers != NULL && (!str_u64(str_of(o.workers), &workers) || workers < 1 || workers > SHM_WORKERS))
        return usage("--workers takes 1 to 32, not ", o.workers);
    return supervisor_main(&o);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("weir-dataplane %s\n", weir_version());
        return 0;
    }
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help, stdout);
        return 0;
    }
    return argc >= 2 && strcmp(argv[1], "--worker") == 0 ? worker_role(argc, argv) : supervisor_role(argc, argv);
}
