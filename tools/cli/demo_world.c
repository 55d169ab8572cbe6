#include "tools/cli/demo_world.h"

#include "proto/base/clock.h"
#include "tools/cli/http.h"
#include "tools/cli/link.h"
#include "tools/cli/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yyjson.h>

enum { DEFAULT_PORT = 8490, PORTS_TRIED = 200, START_MS = 20000, STOP_MS = 8000 };

static bool fail(const char *what, const char *why)
{
    fprintf(stderr, "weir demo: %s: %s\n", what, why);
    return false;
}

/* ---- ports ---- */

static bool is_free(unsigned port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool ok = fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) == 0;
    if (fd >= 0) close(fd);
    return ok;
}

static unsigned next_free(unsigned from, unsigned other_than)
{
    for (unsigned port = from; port < from + PORTS_TRIED && port < 65536; port++)
        if (port != other_than && is_free(port)) return port;
    return 0;
}

static bool take_ports(struct demo_world *w)
{
    const char *wanted = getenv("WEIR_DEMO_PORT"); /* tests run several demos side by side */
    uint64_t port = DEFAULT_PORT;
    if (wanted != NULL && (!str_u64(str_of(wanted), &port) || port == 0 || port > 65000))
        return fail("WEIR_DEMO_PORT", "not a port");
    w->wanted_port = (unsigned)port;
    w->port = next_free(w->wanted_port, w->wanted_port + 1); /* the port above it is the admin's */
    w->admin_port = next_free(w->wanted_port + 1, w->port);
    if (w->port == 0 || w->admin_port == 0) return fail("no free port", "tried 200 of them");
    snprintf(w->endpoint, sizeof w->endpoint, "http://127.0.0.1:%u", w->port);
    snprintf(w->admin, sizeof w->admin, "http://127.0.0.1:%u", w->admin_port);
    return true;
}

/* ---- the directory ---- */

static bool make_dir(struct demo_world *w)
{
    const char *tmp = getenv("TMPDIR");
    /* The admin socket's path has to fit into 108 bytes. */
    if (tmp == NULL || tmp[0] != '/' || strlen(tmp) > 60) tmp = "/tmp";
    snprintf(w->dir, sizeof w->dir, "%s/weir-demo-XXXXXX", tmp);
    if (mkdtemp(w->dir) == NULL) {
        fail(w->dir, strerror(errno));
        w->dir[0] = '\0';
        return false;
    }
    snprintf(w->state, sizeof w->state, "%s/state", w->dir);
    snprintf(w->config, sizeof w->config, "%s/weir.yaml", w->dir);
    snprintf(w->log, sizeof w->log, "%s/weir.log", w->dir);
    snprintf(w->fakes_log, sizeof w->fakes_log, "%s/fakes.jsonl", w->dir);
    return mkdir(w->state, 0700) == 0 || fail(w->state, strerror(errno));
}

static bool write_config(struct demo_world *w, const struct demo_pace *pace, const unsigned fake_port[2])
{
    char text[2048];
    int n = snprintf(text, sizeof text,
                     "# What `weir demo` runs on: an ordinary configuration over two scripted providers.\n"
                     "version: 1\n"
                     "server:\n"
                     "  listen: [\"127.0.0.1:%u\"]\n"
                     "  admin: {http: \"127.0.0.1:%u\"}\n"
                     "providers:\n"
                     "  fake-a: {type: anthropic, base_url: \"http://127.0.0.1:%u\", api_key: \"${DEMO_KEY_A}\"}\n"
                     "  fake-b: {type: openai, base_url: \"http://127.0.0.1:%u/v1\", api_key: \"${DEMO_KEY_B}\"}\n"
                     "models:\n"
                     "  fake-a/large: {price: {input: 2.50, output: 10.00}}   # USD per million tokens\n"
                     "  fake-b/large: {price: {input: 3.00, output: 15.00}}\n"
                     "routes:\n"
                     "  chat:\n"
                     "    targets: [{model: fake-a/large}]\n"
                     "    fallbacks: [fake-b/large]\n"
                     "    circuit_breaker: {failures: 2, open_for: %ums}\n",
                     w->port, w->admin_port, fake_port[0], fake_port[1], pace->open_ms);
    int fd = open(w->config, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, text, (size_t)n) == n;
    if (fd >= 0) close(fd);
    for (int i = 0; i < n; i++) w->config_lines += text[i] == '\n';
    return ok || fail(w->config, strerror(errno));
}

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

/* ---- processes ---- */

/* Starts a program that stands beside this one. It ends with the demo, and gets no Ctrl-C of its own: the demo ends it in order. */
static pid_t start(const char *name, char *const argv[], int out_fd, bool with_stderr)
{
    char path[PATH_MAX];
    if (program_path(name, path, sizeof path) != 0) {
        fail(name, "cannot tell where this program stands");
        return -1;
    }
    pid_t parent = getpid(), pid = fork();
    if (pid != 0) {
        if (pid < 0) fail(name, strerror(errno));
        return pid;
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    setpgid(0, 0);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(nothing, 0);
    dup2(out_fd, 1);
    if (with_stderr) dup2(out_fd, 2);
    execv(path, argv);
    fprintf(stderr, "weir demo: cannot start %s: %s\n", path, strerror(errno));
    _exit(127);
}

static void stop(pid_t *pid)
{
    int status;
    if (*pid <= 0) return;
    kill(*pid, SIGTERM);
    uint64_t until_ms = clock_mono_ms() + STOP_MS;
    while (waitpid(*pid, &status, WNOHANG) == 0) {
        if (clock_mono_ms() > until_ms) {
            kill(*pid, SIGKILL);
            waitpid(*pid, &status, 0);
            break;
        }
        poll(NULL, 0, 10);
    }
    *pid = 0;
}

/* The fakes say their ports, a JSON line each. */
static bool read_ports(int fd, struct buf *said, unsigned n, unsigned *ret_ports)
{
    uint64_t until_ms = clock_mono_ms() + START_MS;
    for (unsigned have = 0; have < n;) {
        struct str text = buf_view(said);
        ptrdiff_t end = str_chr(text, '\n');
        if (end >= 0) {
            yyjson_doc *doc = yyjson_read(text.p, (size_t)end, 0);
            ret_ports[have++] = (unsigned)yyjson_get_uint(yyjson_obj_get(yyjson_doc_get_root(doc), "port"));
            yyjson_doc_free(doc);
            buf_consume(said, (size_t)end + 1);
            continue;
        }
        struct pollfd p = {.fd = fd, .events = POLLIN};
        uint64_t now_ms = clock_mono_ms();
        ssize_t got = now_ms < until_ms && poll(&p, 1, (int)(until_ms - now_ms)) > 0
                          ? read(fd, buf_reserve(said, 4096), 4096)
                          : 0;
        if (got <= 0) return false;
        buf_commit(said, (size_t)got);
    }
    return true;
}

static bool start_fakes(struct demo_world *w, const struct demo_pace *pace, unsigned ret_ports[2])
{
    char head_ms[16];
    int ends[2];
    struct buf said = {0};
    snprintf(head_ms, sizeof head_ms, "%u", pace->head_ms);
    char *argv[] = {"weir-fake",
                    "--log",
                    w->fakes_log,
                    "--exit-with-parent",
                    "--listen",
                    "127.0.0.1:0",
                    "--name",
                    "fake-a",
                    "--head-delay-ms",
                    head_ms,
                    "--listen",
                    "127.0.0.1:0",
                    "--name",
                    "fake-b",
                    "--head-delay-ms",
                    head_ms,
                    NULL};
    if (pipe2(ends, O_CLOEXEC) != 0) return fail("pipe", strerror(errno));
    w->fake = start("weir-fake", argv, ends[1], false);
    close(ends[1]);
    bool ok = w->fake > 0 && read_ports(ends[0], &said, 2, ret_ports);
    close(ends[0]);
    buf_fini(&said);
    snprintf(w->fakes, sizeof w->fakes, "http://127.0.0.1:%u", ret_ports[0]);
    return ok || fail("weir-fake", "did not say where it listens");
}

static void show_log(const struct demo_world *w)
{
    char line[512];
    FILE *f = fopen(w->log, "re");
    for (int i = 0; f != NULL && i < 30 && fgets(line, sizeof line, f) != NULL; i++) fprintf(stderr, "  | %s", line);
    if (f != NULL) fclose(f);
}

static bool start_weir(struct demo_world *w)
{
    char *argv[] = {"weir-dataplane", "--state", w->state, "--config", w->config, NULL};
    int log = open(w->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) return fail(w->log, strerror(errno));
    setenv("DEMO_KEY_A", "demo-key-of-fake-a", 1);
    setenv("DEMO_KEY_B", "demo-key-of-fake-b", 1);
    w->weir = start("weir-dataplane", argv, log, true);
    close(log);
    uint64_t until_ms = clock_mono_ms() + START_MS;
    while (w->weir > 0 && clock_mono_ms() < until_ms && world_is_alive(w)) {
        struct http_question q = {.endpoint = w->admin, .method = "GET", .path = "/readyz", .timeout_ms = 1000};
        struct http_reply r;
        bool ready = http_ask(&q, &r) && r.status == 200;
        http_reply_fini(&r);
        if (ready) return true;
        if (poll(NULL, 0, 10) < 0) return false; /* Ctrl-C */
    }
    show_log(w);
    return fail("weir", "is not ready");
}

static void leave_note(const struct demo_world *w)
{
    char path[512];
    demo_note_path(path, sizeof path);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return; /* then only --state finds this demo */
    if (write(fd, w->state, strlen(w->state)) < 0) unlink(path);
    close(fd);
}

static void take_note_away(const struct demo_world *w)
{
    char path[512], text[256];
    demo_note_path(path, sizeof path);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    if (strcmp(text, w->state) == 0) unlink(path); /* not the one of a later demo */
}

/* ---- all of it ---- */

bool world_open(struct demo_world *w, const struct demo_pace *pace)
{
    unsigned fake_port[2] = {0, 0};
    *w = (struct demo_world){0};
    if (!take_ports(w) || !make_dir(w) || !start_fakes(w, pace, fake_port)) return false;
    if (!write_config(w, pace, fake_port) || !start_weir(w)) return false;
    leave_note(w);
    return true;
}

static bool is_running(pid_t *pid, const char *name)
{
    int status;
    if (waitpid(*pid, &status, WNOHANG) == 0) return true;
    *pid = 0;
    return fail(name, "has ended");
}

bool world_is_alive(struct demo_world *w)
{
    return is_running(&w->fake, "weir-fake") && is_running(&w->weir, "weir");
}

void world_close(struct demo_world *w)
{
    stop(&w->weir);
    stop(&w->fake);
    if (w->dir[0] == '\0') return;
    take_note_away(w);
    nftw(w->dir, on_entry, 16, FTW_DEPTH | FTW_PHYS);
    w->dir[0] = '\0';
}
