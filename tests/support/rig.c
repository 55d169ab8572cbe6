/* rig.c — one worker alone, without supervisor or control plane: for stories about the journey at its edges
 * Owns:     segments built by the shm interfaces, a listening socket, a child that runs worker_main().
 * Process:  a program of the tests: rig DIR, configuration on standard input up to a line "go", then commands, a line each:
 *             drain | stop | kill | records | records-wait N | weight LEG N | drained TARGET 0|1 | circuit TARGET | gauges | quit
 * Memory:   whole process.
 * Fails:    a text on standard error and exit 2.
 * Not here: the real start (dataplane/supervisor.c), YAML (controlplane/config). */
#include "dataplane/worker.h"
#include "proto/auth/signer.h"
#include "proto/base/buf.h"
#include "proto/base/clock.h"
#include "proto/base/err.h"
#include "proto/base/mem.h"
#include "proto/base/str.h"
#include "proto/dialect/provider_type.h"
#include "shm/channel.h"
#include "shm/journal.h"
#include "shm/live.h"
#include "shm/snapshot.h"
#include "shm/tick.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/sha256.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 16, TARGETS = 32 };

static struct {
    struct snap_builder *b;
    uint16_t providers, targets, routes, keys;
    uint32_t legs;
    char provider_name[SHM_PROVIDERS][NAME_PROVIDER];
    char target_name[TARGETS][128];
    uint32_t leg_weight[SHM_LEGS];
    struct snap_route defaults;
    int listen_fd, unix_fd, channel;
    struct segment live, tick;
    struct journal_map journal;
    uint64_t seen;
    pid_t child;
    bool consume; /* records go nowhere: for measurements */
} rig;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "rig: %s: %s\n", what, why);
    exit(2);
}

static struct snap_str text(const char *s)
{
    return snap_add_text(rig.b, str_of(s));
}

/* ---- configuration: one line each ---- */

/* listen PORT */
static void do_listen(char **w)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(w[1]))};
    int on = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    rig.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(rig.listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(rig.listen_fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(rig.listen_fd, 512) != 0)
        die("listen", strerror(errno));
}

static void do_unix(char **w)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", w[1]);
    unlink(a.sun_path);
    rig.unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(rig.unix_fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(rig.unix_fd, 512) != 0)
        die("unix", strerror(errno));
}

static char *file_text(const char *path)
{
    FILE *f = fopen(path, "r");
    char *p = xcalloc(1, 1 << 20);
    if (f == NULL || fread(p, 1, (1 << 20) - 1, f) == 0) die(path, "cannot be read");
    fclose(f);
    return p;
}

/* provider NAME openai|responses|anthropic|gemini HOST PORT plain|tls BASE_PATH SECRET [CA_FILE] */
static void do_provider(char **w)
{
    bool anthropic = strcmp(w[2], "anthropic") == 0, gemini = strcmp(w[2], "gemini") == 0;
    char authority[300];
    struct secret_row s = {.origin_port = (uint16_t)atoi(w[4]), .origin_tls = strcmp(w[5], "tls") == 0};
    snprintf(s.origin_host, sizeof s.origin_host, "%s", w[3]);
    snprintf(authority, sizeof authority, "%s:%s", w[3], w[4]);
    struct snap_provider p = {
        .name = text(w[1]),
        .host = text(w[3]),
        .base_path = text(strcmp(w[6], "/") == 0 ? "" : w[6]),
        .host_header = text(authority),
        .id = rig.providers,
        .port = s.origin_port,
        .tls = s.origin_tls,
        .type = anthropic ? PROVIDER_ANTHROPIC
                : gemini  ? PROVIDER_GEMINI
                          : PROVIDER_OPENAI,
        .dialect = anthropic ? SNAP_ANTHROPIC
                   : gemini  ? SNAP_GEMINI
                             : SNAP_OPENAI_CHAT,
        .dialects = strcmp(w[2], "responses") == 0 ? PROVIDER_SPEAKS(RESPONSES) : 0, /* type openai, both of its APIs */
        .allow_private = 1,
        .auth = anthropic ? SIGNER_X_API_KEY
                : gemini  ? SIGNER_X_GOOG_API_KEY
                          : SIGNER_BEARER,
        .secrets = 1,
        .secret = snap_add_secret(rig.b, &s, str_of(w[7])),
    };
    if (w[8] != NULL) {
        char *pem = file_text(w[8]);
        p.ca_pem = text(pem);
        free(pem);
    }
    snprintf(rig.provider_name[rig.providers], NAME_PROVIDER, "%s", w[1]);
    rig.providers++;
    snap_add_provider(rig.b, &p);
}

/* target PROVIDER/MODEL [INPUT OUTPUT]: prices in USD per million */
static void do_target(char **w)
{
    struct snap_target t = {.name = text(w[1]), .id = rig.targets, .price = ID_NONE, .max_output = 4096};
    char *model = strchr(w[1], '/');
    if (model == NULL || rig.targets == TARGETS) die("target", w[1]);
    snprintf(rig.target_name[rig.targets], sizeof rig.target_name[0], "%s", w[1]);
    if (w[2] != NULL) {
        struct snap_price row = {.name = t.name};
        price_row_init(&row.row);
        row.row.known = 1;
        row.row.date = 20260101;
        if (!price_parse_per_million(w[2], &row.row.base.input) || !price_parse_per_million(w[3], &row.row.base.output))
            die("price", w[1]);
        t.price = snap_add_price(rig.b, &row);
    }
    *model++ = '\0';
    t.model = text(strcmp(model, "*") == 0 ? "" : model);
    for (t.provider = 0; t.provider < rig.providers; t.provider++)
        if (strcmp(rig.provider_name[t.provider], w[1]) == 0) break;
    if (t.provider == rig.providers) die("target of an unknown provider", w[1]);
    snap_add_target(rig.b, &t);
    rig.targets++;
}

static uint32_t leg(char *word)
{
    char *weight = strchr(word, ':');
    struct snap_leg l = {.id = (uint16_t)rig.legs, .weight = 1};
    if (weight != NULL) {
        *weight++ = '\0';
        l.weight = (uint32_t)atoi(weight);
    }
    for (l.target = 0; l.target < rig.targets; l.target++)
        if (strcmp(rig.target_name[l.target], word) == 0) break;
    if (l.target == rig.targets) die("route to an unknown target", word);
    rig.leg_weight[rig.legs++] = l.weight;
    return snap_add_leg(rig.b, &l);
}

/* set FIELD VALUE: of the routes that follow */
static void do_set(char **w)
{
    struct snap_route *d = &rig.defaults;
    const struct {
        const char *name;
        uint32_t *field;
    } fields[] = {
        {"connect_ms", &d->connect_ms},
        {"first_token_ms", &d->first_token_ms},
        {"idle_ms", &d->idle_ms},
        {"total_ms", &d->total_ms},
        {"failures", &d->breaker_failures},
        {"window_ms", &d->breaker_window_ms},
        {"open_ms", &d->breaker_open_ms},
        {"backoff_ms", &d->backoff_ms},
        {"max_backoff_ms", &d->max_backoff_ms},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (strcmp(fields[i].name, w[1]) == 0) {
            *fields[i].field = (uint32_t)atoi(w[2]);
            return;
        }
    struct snap_server *s = &snap_builder_head(rig.b)->server;
    const struct {
        const char *name;
        uint32_t *field;
    } server[] = {
        {"header_ms", &s->header_timeout_ms}, {"body_idle_ms", &s->body_idle_ms}, {"keepalive_ms", &s->keepalive_ms},
        {"stall_ms", &s->write_stall_ms},     {"drain_ms", &s->drain_ms},         {"connections", &s->max_connections},
    };
    for (size_t i = 0; i < sizeof server / sizeof server[0]; i++)
        if (strcmp(server[i].name, w[1]) == 0) {
            *server[i].field = (uint32_t)atoi(w[2]);
            return;
        }
    if (strcmp(w[1], "attempts") == 0)
        d->attempts = (uint8_t)atoi(w[2]);
    else if (strcmp(w[1], "max_body") == 0)
        s->max_body_bytes = strtoull(w[2], NULL, 10);
    else if (strcmp(w[1], "buffers") == 0)
        s->buffers_bytes = strtoull(w[2], NULL, 10);
    else if (strcmp(w[1], "auth") == 0)
        s->auth_keys = 1;
    else if (strcmp(w[1], "consume") == 0)
        rig.consume = true;
    else
        die("set", w[1]);
}

/* route NAME weighted|ordered TARGET[:WEIGHT]… [| FALLBACK…] */
static void do_route(char **w)
{
    struct snap_route r = rig.defaults;
    r.name = text(w[1]);
    r.id = rig.routes++;
    r.strategy = strcmp(w[2], "ordered") == 0 ? SNAP_ORDERED : SNAP_WEIGHTED;
    struct snap_list *list = &r.legs;
    for (unsigned i = 3; w[i] != NULL; i++) {
        if (strcmp(w[i], "|") == 0) {
            list = &r.fallbacks;
            continue;
        }
        uint32_t at = leg(w[i]);
        if (list->n++ == 0) list->first = at;
    }
    snap_add_route(rig.b, &r);
}

/* key NAME TEXT */
static void do_key(char **w)
{
    struct snap_key k = {.name = text(w[1]), .id = rig.keys++};
    mbedtls_sha256((const unsigned char *)w[2], strlen(w[2]), k.sha256, 0);
    snap_add_key(rig.b, &k);
}

static void configure(void)
{
    static const struct {
        const char *word;
        void (*run)(char **w);
    } verbs[] = {{"listen", do_listen}, {"unix", do_unix}, {"provider", do_provider},
                 {"target", do_target}, {"set", do_set},   {"route", do_route},
                 {"key", do_key}};
    char line[512];
    rig.b = snap_builder_new();
    rig.listen_fd = rig.unix_fd = -1;
    rig.defaults = (struct snap_route){.attempts = 1,
                                       .connect_ms = 2000,
                                       .first_token_ms = 5000,
                                       .idle_ms = 5000,
                                       .total_ms = 60000,
                                       .breaker_failures = 0,
                                       .breaker_window_ms = 30000,
                                       .breaker_open_ms = 1000,
                                       .backoff_ms = 20,
                                       .max_backoff_ms = 100};
    static const uint16_t statuses[] = {408, 429, 500, 502, 503, 504, 529};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        rig.defaults.on_status[(statuses[i] - 100) / 64] |= 1ull << ((statuses[i] - 100) % 64);
    struct snapshot *s = snap_builder_head(rig.b);
    s->serial = 1;
    s->price_list_date = 20260101;
    s->server = (struct snap_server){.max_body_bytes = 32 << 20,
                                     .buffers_bytes = 32 << 20,
                                     .header_timeout_ms = 10000,
                                     .body_idle_ms = 30000,
                                     .keepalive_ms = 75000,
                                     .write_stall_ms = 60000,
                                     .drain_ms = 5000,
                                     .max_connections = 4096};
    while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "go\n") != 0) {
        char *w[WORDS] = {0}, *save = NULL;
        unsigned n = 0;
        for (char *p = strtok_r(line, " \n", &save); p != NULL && n + 1 < WORDS; p = strtok_r(NULL, " \n", &save))
            w[n++] = p;
        for (size_t i = 0; n > 0 && i < sizeof verbs / sizeof verbs[0]; i++)
            if (strcmp(verbs[i].word, w[0]) == 0) verbs[i].run(w);
    }
}

/* ---- the worker ---- */

static void publish_tick(void)
{
    struct tick_side *side = tick_begin(rig.tick.base);
    side->serial = 1;
    for (uint32_t i = 0; i < rig.legs; i++) {
        side->leg[i].weight = rig.leg_weight[i];
        if (side->leg[i].configured == 0) side->leg[i].configured = rig.leg_weight[i];
    }
    for (uint16_t i = 0; i < rig.providers; i++) { /* every name of a test is this machine */
        side->provider[i].n = 1;
        side->provider[i].dns = TICK_DNS_OK;
        side->provider[i].address[0] = (struct tick_address){.ip = {127, 0, 0, 1}, .family = 4};
    }
    tick_publish(rig.tick.base);
}

static void start(const char *dir)
{
    const char *why = "";
    int snapshot_fd, secrets_fd, pair[2];
    unsigned bad = 0;
    if (!snap_builder_finish(rig.b, &snapshot_fd, &secrets_fd, &why)) die("snapshot", why);
    snap_builder_free(&rig.b);
    int live_fd = live_create(&rig.live, &why), tick_fd = tick_create(1, &rig.tick, &why);
    if (live_fd < 0 || tick_fd < 0) die("segments", why);
    struct live *live = rig.live.base;
    live->boot_id = clock_wall_ns();
    atomic_store(&live->workers, 1);
    publish_tick();
    if (!journal_open(dir, 0, &rig.journal, &bad, &why)) die("journal", why);
    if (!channel_pair(pair)) die("channel", strerror(errno));
    struct worker_options o = {.live_fd = live_fd,
                               .journal_fd = rig.journal.fd,
                               .snapshot_fd = snapshot_fd,
                               .secrets_fd = secrets_fd,
                               .tick_fd = tick_fd,
                               .channel_fd = pair[1]};
    if (rig.listen_fd >= 0) o.listen_fds[o.listen_n++] = rig.listen_fd;
    if (rig.unix_fd >= 0) {
        o.listen_is_unix[o.listen_n] = 1;
        o.listen_fds[o.listen_n++] = rig.unix_fd;
    }
    fflush(NULL);
    rig.child = fork();
    if (rig.child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pair[0]);
        exit(worker_main(&o));
    }
    close(pair[1]);
    rig.channel = pair[0];
    struct pollfd p = {.fd = rig.channel, .events = POLLIN};
    struct channel_msg m;
    int fds[CHANNEL_FDS];
    unsigned n;
    if (poll(&p, 1, 5000) != 1 || channel_recv(rig.channel, &m, fds, &n) != 1 || m.type != CHAN_READY)
        die("worker", "did not become ready");
    printf("ready %d\n", (int)rig.child);
    fflush(stdout);
}

/* ---- commands ---- */

static void add_text(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, ",\"%s\":", name);
    buf_add_json_str(out, str_of(value));
}

static void print_record(const struct usage_record *u)
{
    struct buf out = {0};
    buf_addf(&out,
             "{\"kind\":%u,\"outcome\":%u,\"attempt\":%u,\"status\":%u,\"client_status\":%u,\"flags\":%u,\"basis\":%u",
             u->kind, u->outcome, u->attempt, u->status, u->client_status, u->flags, u->basis);
    buf_addf(&out, ",\"in\":%lld,\"out\":%lld,\"cost\":%lld,\"bytes_out\":%llu", (long long)usage_in_total(&u->usage),
             (long long)u->usage.out_total, (long long)u->cost_nanousd, (unsigned long long)u->bytes_out);
    buf_addf(&out, ",\"ttft_us\":%llu,\"overhead_us\":%llu,\"request_us\":%llu", (unsigned long long)u->ttft_us,
             (unsigned long long)u->overhead_us, (unsigned long long)u->request_us);
    add_text(&out, "err", err_word((enum weir_err)u->err));
    add_text(&out, "route", u->route);
    add_text(&out, "provider", u->provider);
    add_text(&out, "model", u->model);
    add_text(&out, "id", u->request_id);
    add_text(&out, "finish", u->finish);
    add_text(&out, "session", u->session);
    add_text(&out, "client", u->client);
    add_text(&out, "key", u->key);
    add_text(&out, "loss", u->loss);
    add_text(&out, "detail", u->detail);
    printf("%.*s}\n", STR_FMT(buf_view(&out)));
    buf_fini(&out);
}

static void print_records(void)
{
    struct usage_record u;
    uint64_t head = journal_head(rig.journal.j);
    for (; rig.seen < head; rig.seen++)
        if (journal_read(rig.journal.j, rig.seen, &u))
            print_record(&u);
        else
            printf("{\"torn\":%llu}\n", (unsigned long long)rig.seen);
}

static void print_gauges(void)
{
    struct live *l = rig.live.base;
    struct live_process *p = &l->worker[0];
    printf("{\"in_flight\":%u,\"connections\":%u,\"upstreams\":%u,\"buffer_bytes\":%llu,\"open_slots\":%u,\"phase\":%u",
           p->in_flight, p->connections, p->upstreams, (unsigned long long)p->buffer_bytes,
           journal_open_slots(rig.journal.j), p->phase);
    for (uint16_t i = 0; i < rig.targets; i++)
        printf(",\"target%u\":{\"in_flight\":%u,\"circuit\":%u,\"served\":%llu,\"failed\":%llu}", i, l->in_flight[0][i],
               l->target[i].circuit, (unsigned long long)l->target[i].served, (unsigned long long)l->target[i].failed);
    printf("}\n");
}

static void tell(enum channel_type type)
{
    struct channel_msg m = {.type = type};
    channel_send(rig.channel, &m, NULL, 0);
}

static void wait_child(void)
{
    int status = 0;
    waitpid(rig.child, &status, 0);
    printf("exit %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void run_command(char **w)
{
    if (strcmp(w[0], "drain") == 0) {
        tell(CHAN_DRAIN);
        printf("ok\n");
    } else if (strcmp(w[0], "stop") == 0) {
        tell(CHAN_STOP);
        printf("ok\n");
    } else if (strcmp(w[0], "wait") == 0) {
        wait_child();
    } else if (strcmp(w[0], "records") == 0) {
        print_records();
        printf("end\n");
    } else if (strcmp(w[0], "gauges") == 0) {
        print_gauges();
    } else if (strcmp(w[0], "weight") == 0) {
        rig.leg_weight[atoi(w[1])] = (uint32_t)atoi(w[2]);
        publish_tick();
        printf("ok\n");
    } else if (strcmp(w[0], "drained") == 0) {
        tick_begin(rig.tick.base)->target[atoi(w[1])].drained = (uint8_t)atoi(w[2]);
        tick_publish(rig.tick.base);
        printf("ok\n");
    } else {
        printf("unknown\n");
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[256];
    if (argc != 2) die("usage", "rig DIR < configuration and commands");
    configure();
    start(argv[1]);
    while (rig.consume) {
        struct pollfd p = {.fd = 0, .events = POLLIN};
        if (poll(&p, 1, 20) != 0) break;
        journal_consumed(&rig.journal, journal_head(rig.journal.j));
    }
    while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "quit\n") != 0) {
        char *w[4] = {0}, *save = NULL;
        unsigned n = 0;
        for (char *p = strtok_r(line, " \n", &save); p != NULL && n < 3; p = strtok_r(NULL, " \n", &save)) w[n++] = p;
        if (n > 0) run_command(w);
    }
    tell(CHAN_STOP);
    wait_child();
    return 0;
}
