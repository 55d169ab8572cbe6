/* weir-controlplane — everything that may be slow: configuration, DNS, probes, weights, the ledger, the admin socket.
 * Special difficulty: it may be killed and started again at any moment under running workers. So it makes everything anew from the
 * store and from shared memory, tells the supervisor the same way at every start, and nothing that carries traffic waits for it. */
#include "controlplane/admin_commands.h"
#include "controlplane/admin_history.h"
#include "controlplane/banner.h"
#include "controlplane/config/env.h"
#include "controlplane/config/tool.h"
#include "controlplane/core.h"
#include "controlplane/doctor.h"
#include "controlplane/ledger_verify.h"
#include "controlplane/metrics.h"
#include "controlplane/pages.h"
#include "controlplane/publish.h"
#include "controlplane/reload.h"
#include "controlplane/reqlog.h"
#include "controlplane/ticker.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "proto/base/version.h"
#include "shm/channel.h"
#include "shm/live.h"
#include "shm/notice.h"
#include "shm/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LAST_DRAIN_MS = 3000,
    STARTING_MS = 5,    /* between two looks until the start-up print is out */
    HEARTBEAT_MS = 250, /* the supervisor's limit is 5 s */
    PREDECESSOR_MS =
        600, /* a control plane whose supervisor was just killed goes with it, but not within the same instant */
    FIRST_LOOKUPS_MS = 800,
    FIRST_AGAIN_MS = 3000, /* how long a start waits for DNS before it goes on without */
};

struct options {
    const char *state_dir, *config, *workers;
    int channel_fd, live_fd;
};

/* ---- options ---- */

static bool parse_fd(const char *text, int *ret_fd)
{
    uint64_t v;
    if (!str_u64(str_of(text), &v) || v > 1 << 20) return false;
    *ret_fd = (int)v;
    return true;
}

static bool parse_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){.channel_fd = -1, .live_fd = -1};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--state") == 0)
            o->state_dir = value;
        else if (strcmp(name, "--config") == 0)
            o->config = value;
        else if (strcmp(name, "--workers") == 0)
            o->workers = value;
        else if (strcmp(name, "--channel") == 0 && parse_fd(value, &o->channel_fd))
            continue;
        else if (strcmp(name, "--live") == 0 && parse_fd(value, &o->live_fd))
            continue;
        else
            return false;
    }
    return argc % 2 == 1 && o->state_dir != NULL && o->channel_fd >= 0 && o->live_fd >= 0;
}

static int usage_error(void)
{
    fprintf(stderr, "weir-controlplane is started by weir run. By itself it knows:\n"
                    "  --doctor, --check-config FILE, --show-config [FILE], --config-schema, --init-config, "
                    "--verify-store DIR, --version\n");
    return 2;
}

/* ---- talking to the supervisor ---- */

static void refuse_start(struct core *c, struct str text)
{
    struct channel_msg m = {.type = CHAN_REFUSED};
    m.text_n = (uint32_t)(text.n < sizeof m.u.text ? text.n : sizeof m.u.text);
    memcpy(m.u.text, text.p, m.text_n);
    if (!channel_send(c->channel_fd, &m, NULL, 0)) fprintf(stderr, "%.*s", STR_FMT(text));
}

static bool send_boot(struct core *c)
{
    struct channel_msg m = {.type = CHAN_BOOT, .serial = c->serial};
    const int fds[3] = {c->snapshot_fd, c->secrets_fd, c->tick_fd};
    publish_boot(c->config, &m.u.boot);
    uint64_t workers;
    if (c->workers_option != NULL && str_u64(str_of(c->workers_option), &workers) && workers > 0 &&
        workers <= SHM_WORKERS)
        m.u.boot.workers = (uint32_t)workers;
    return channel_send(c->channel_fd, &m, fds, 3);
}

static void reload_and_tell(struct core *c)
{
    struct buf lines = {0};
    bool ok = reload_again(c, &lines);
    notice("%s", ok ? "configuration read again" : "configuration refused, the old one stays in force");
    notice_text(buf_view(&lines));
    buf_fini(&lines);
}

static void on_stopped(void *core)
{
    struct core *c = core;
    uv_stop(c->loop);
}

static void stop(struct core *c)
{
    if (c->stopping || c->drain == NULL) return;
    c->stopping = true;
    admin_server_stop(&c->admin);
    http_server_stop(&c->http);
    drain_stop(&c->drain, LAST_DRAIN_MS, on_stopped, c); /* the rings' last records reach the ledger first */
}

static void on_message(struct core *c, const struct channel_msg *m)
{
    switch (m->type) {
    case CHAN_STOP: stop(c); break;
    case CHAN_RELOAD: reload_and_tell(c); break;
    case CHAN_WORKER_DIED:
        if (c->drain != NULL) drain_worker_died(c->drain, m->number); /* NULL: it is drained for the last time */
        break;
    default: break; /* CHAN_DRAIN: live.phase says it; others are not for this process */
    }
}

static void on_channel(uv_poll_t *poll, int status, int events)
{
    struct core *c = poll->data;
    struct channel_msg m;
    int fds[CHANNEL_FDS];
    unsigned n = 0;
    (void)events;
    while (status == 0) {
        int got = channel_recv(c->channel_fd, &m, fds, &n);
        if (got == 0) return;
        if (got < 0) break;
        for (unsigned i = 0; i < n; i++) close(fds[i]);
        on_message(c, &m);
    }
    uv_poll_stop(poll); /* the supervisor is gone: so are we, by its death signal; this is for the moment between */
    stop(c);
}

/* ---- the heartbeat that calls the rest ---- */

static void announce(struct core *c)
{
    if (c->announced || atomic_load(&c->live->phase) != LIVE_READY) return;
    c->announced = true;
    uv_timer_set_repeat(&c->second, HEARTBEAT_MS);
    if (c->quiet_start) return;
    struct buf text = {0};
    banner_write(c, clock_wall_ns() / 1000000u - atomic_load(&c->live->started_wall_ms), &text);
    notice_text(buf_view(&text));
    buf_fini(&text);
}

static void on_heartbeat(uv_timer_t *timer)
{
    struct core *c = timer->data;
    uint64_t now_ms = clock_mono_ms();
    atomic_store_explicit(&c->live->controlplane.heartbeat_mono_ms, now_ms, memory_order_relaxed);
    resolver_tick(c->resolver, c->live, c->snap, now_ms, clock_wall_ns() / 1000000u);
    prober_tick(c->prober, now_ms);
    credential_keep_tick(c);
    reload_flush(c);
    announce(c);
}

static void on_addresses(void *core)
{
    struct core *c = core;
    if (c->snap != NULL && c->tick_seg.base != NULL) ticker_publish(c);
}

static void on_verdict(void *core, uint16_t provider_id, const struct probe_verdict *v)
{
    struct core *c = core;
    if (c->health_seen[provider_id] == v->health) return;
    if (v->health == TICK_DOWN || c->health_seen[provider_id] == TICK_DOWN)
        notice("provider %.*s is %s%s", STR_FMT(core_provider_name(c, provider_id)),
               v->health == TICK_DOWN ? "not reachable: " : "reachable again", v->health == TICK_DOWN ? v->why : "");
    c->health_seen[provider_id] = v->health;
    ticker_publish(c);
}

static void on_files_changed(void *core)
{
    reload_and_tell(core);
}

struct str core_provider_name(const struct core *c, uint16_t provider_id)
{
    for (uint32_t i = 0; i < c->snap->s->providers.n; i++)
        if (c->snap->providers[i].id == provider_id) return snap_text(c->snap, c->snap->providers[i].name);
    return STR("?");
}

/* ---- what drained records are told to ---- */

static unsigned colour_flags(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    bool off = (no != NULL && no[0] != '\0') || (term != NULL && strcmp(term, "dumb") == 0);
    return off ? 0 : REQLOG_COLOUR;
}

static void on_taken(void *core, const struct usage_record *records, unsigned n)
{
    struct core *c = core;
    jobs_take(c->jobs, records, n);
}

static void on_record(void *core, const struct usage_record *r)
{
    struct core *c = core;
    metrics_record(c->metrics, r);
    reqlog_groups_add(c->groups, r);
}

/* A request is over: its line, and the lines of those who follow. */
static void on_request(void *core, const struct usage_record *records, unsigned n)
{
    struct core *c = core;
    history_request(records, n);
    if (c->sink == NULL) return;
    buf_clear(&c->line);
    if (c->stdout_is_tty)
        reqlog_text(records, n, colour_flags() | REQLOG_TIME, &c->line);
    else
        reqlog_json(records, n, &c->line);
    reqlog_sink_line(c->sink, buf_view(&c->line));
}

static void on_recovered(void *core, unsigned worker, unsigned estimates)
{
    (void)core;
    if (estimates > 0)
        notice("worker %u died in %u calls: booked as estimates, at most what they can have cost", worker, estimates);
}

/* ---- init, in order ---- */

/* Absolute, but its links stay: a mounted ConfigMap changes by the swap of a link on the way to the file. */
static bool find_config(struct core *c, const char *given, struct buf *refusal)
{
    const char *path = given != NULL ? given : access("weir.yaml", F_OK) == 0 ? "weir.yaml" : NULL;
    char here[sizeof c->config_path] = "";
    if (path == NULL) return true;
    if (path[0] != '/' && getcwd(here, sizeof here) == NULL) {
        buf_addf(refusal, "weir: cannot read %s: %s\n", path, strerror(errno));
        return false;
    }
    int n = snprintf(c->config_path, sizeof c->config_path, "%s%s%s", here, path[0] != '/' ? "/" : "", path);
    if (n < (int)sizeof c->config_path) return true;
    buf_addf(refusal, "weir: the path %s is too long\n", path);
    return false;
}

/* Where the ledger is. A control plane that comes back over a broken file finds a moved ledger by the note that it left. */
static void ledger_place(struct core *c, struct ledger_conf *ret_conf)
{
    char note[600];
    snprintf(note, sizeof note, "%s/ledger.at", c->state_dir);
    snprintf(ret_conf->dir, sizeof ret_conf->dir, "%.500s/ledger", c->state_dir);
    if (c->read_config != NULL) {
        const struct config_store *store = &c->read_config->store;
        ret_conf->max_bytes = (uint64_t)store->max_size_bytes;
        ret_conf->keep_records_ms = (uint64_t)store->keep.requests_ms;
        ret_conf->keep_rollups_ms = (uint64_t)store->keep.rollups_ms;
        if (store->path.n == 0) {
            unlink(note);
            return;
        }
        snprintf(ret_conf->dir, sizeof ret_conf->dir, "%.*s/ledger", STR_FMT(store->path));
        FILE *f = fopen(note, "we");
        if (f == NULL) return;
        fprintf(f, "%s", ret_conf->dir);
        fclose(f);
        return;
    }
    FILE *f = fopen(note, "re");
    if (f == NULL) return;
    if (fgets(ret_conf->dir, sizeof ret_conf->dir, f) == NULL)
        snprintf(ret_conf->dir, sizeof ret_conf->dir, "%.500s/ledger", c->state_dir);
    fclose(f);
}

/* The same as long as the machine has not started anew. 0: not known here. */
static uint64_t machine_boot_id(void)
{
    unsigned long long id = 0;
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (f == NULL) return 0;
    if (fscanf(f, "%8llx", &id) != 1) id = 0;
    fclose(f);
    return id;
}

static bool open_store(struct core *c, struct buf *refusal)
{
    const char *why = "";
    struct store_conf conf = {.boot_id = machine_boot_id()};
    ledger_place(c, &conf.ledger);
    c->store = store_open(c->loop, &conf, &why);
    if (c->store == NULL) {
        buf_addf(refusal, "weir: cannot open the ledger in %s: %s\n", conf.ledger.dir, why);
        return false;
    }
    struct store_state state;
    store_state(c->store, &state);
    if (state.corrupt)
        notice("the ledger is damaged (%s); it is kept as %s, and a new one begins", state.error, state.corrupt_name);
    else if (!state.open)
        notice("the ledger cannot be written now (%s); calls wait in the journals", state.error);
    return true;
}

/* Names are looked up and credentials fetched before the first call can come; a slow resolver delays the start by less than a second.
 * Where workers run already they have what the last control plane gave them: then there is time. */
static void wait_for_lookups(struct core *c)
{
    uint64_t until = clock_mono_ms() + (c->quiet_start ? FIRST_AGAIN_MS : FIRST_LOOKUPS_MS);
    while ((!resolver_is_settled(c->resolver) || !credential_keep_is_settled(c)) && clock_mono_ms() < until) {
        uv_run(c->loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

static bool start_admin(struct core *c, struct buf *refusal)
{
    char path[600];
    const char *why = "";
    bool in_use;
    struct str own = c->config->server.admin.socket, http = c->config->server.admin.http;
    if (own.n > 0)
        snprintf(path, sizeof path, "%.*s", STR_FMT(own));
    else
        snprintf(path, sizeof path, "%s/admin.sock", c->state_dir);
    uint64_t until = clock_mono_ms() + PREDECESSOR_MS;
    while ((c->admin = admin_server_start(c->loop, path, admin_commands_call, c, &why)) == NULL &&
           clock_mono_ms() < until)
        usleep(20 * 1000);
    if (c->admin == NULL) {
        buf_addf(refusal, "weir: cannot open the admin socket %s: %s\n", path, why);
        return false;
    }
    if (http.n == 0) return true;
    snprintf(path, sizeof path, "%.*s", STR_FMT(http));
    while ((c->http = http_server_start(c->loop, path, pages_get, c, &in_use, &why)) == NULL && in_use &&
           clock_mono_ms() < until) {
        uv_run(c->loop, UV_RUN_NOWAIT); /* closes the failed one */
        usleep(20 * 1000);
    }
    if (c->http != NULL) return true;
    buf_addf(refusal, "weir: cannot listen on %s (server.admin.http): %s\n", path, why);
    if (in_use) buf_addf(refusal, "  another process has this port: choose another one, or find it with: ss -ltnp\n");
    return false;
}

/* Models that may be a label: of the configured targets, and those with a price where the client names the model. */
static bool is_known_model(void *core, struct str provider, struct str model)
{
    const struct snap *sn = ((struct core *)core)->snap;
    for (uint32_t i = 0; i < sn->s->targets.n; i++) {
        const struct snap_target *t = &sn->targets[i];
        if (str_eq(snap_text(sn, t->model), model) && str_eq(snap_text(sn, sn->providers[t->provider].name), provider))
            return true;
    }
    for (uint32_t i = 0; i < sn->s->prices.n; i++) {
        struct str name = snap_text(sn, sn->prices[i].name), of = str_split(&name, '/');
        if (str_eq(of, provider) && str_eq(name, model)) return true;
    }
    return false;
}

static void start_log(struct core *c)
{
    c->metrics = metrics_new();
    metrics_set_known(c->metrics, is_known_model, c);
    c->groups = reqlog_groups_new(on_request, c);
    c->stdout_is_tty = isatty(STDOUT_FILENO) == 1;
    if (c->config->telemetry.log.output == LOG_STDOUT) c->sink = reqlog_sink_new(STDOUT_FILENO);
}

static bool init(struct core *c, const struct options *o, struct buf *refusal)
{
    const char *why = "";
    c->resolver = resolver_new(c->loop, on_addresses, c);
    c->prober = prober_new(c->loop, c->resolver, on_verdict, c);
    credential_keep_start(c);
    prices_builtin(&c->prices);
    if (!find_config(c, o->config, refusal)) return false;
    reload_read(c, refusal);
    if (c->read_config == NULL && !c->quiet_start) return false;
    notice_text(buf_view(refusal)); /* warnings, or why the last accepted text is taken */
    buf_clear(refusal);
    if (!open_store(c, refusal) || !reload_first(c, refusal)) return false;
    notice_text(buf_view(refusal));
    buf_clear(refusal);
    if (!ticker_start(c, store_incarnation(c->store), &why)) {
        buf_addf(refusal, "weir: no shared memory: %s\n", why);
        return false;
    }
    wait_for_lookups(c);
    ticker_publish(c);
    start_log(c);
    if (!start_admin(c, refusal)) return false;
    const struct drain_conf drain = {.state_dir = c->state_dir,
                                     .live = c->live,
                                     .store = c->store,
                                     .on_taken = on_taken,
                                     .on_record = on_record,
                                     .on_recovered = on_recovered,
                                     .ctx = c};
    c->jobs = jobs_start(c, on_record);
    c->drain = drain_start(c->loop, &drain, &why);
    if (c->drain == NULL) {
        buf_addf(refusal, "weir: cannot read the journals in %s: %s\n", c->state_dir, why);
        return false;
    }
    c->watch = config_watch_start(c->loop, on_files_changed, c);
    config_watch_set(c->watch, c->config);
    if (send_boot(c)) return true;
    buf_addz(refusal, "weir: the supervisor does not listen\n");
    return false;
}

static void run(struct core *c)
{
    uv_timer_init(c->loop, &c->second);
    c->second.data = c;
    uv_timer_start(&c->second, on_heartbeat, 0, c->quiet_start ? HEARTBEAT_MS : STARTING_MS);
    uv_poll_init(c->loop, &c->channel, c->channel_fd);
    c->channel.data = c;
    uv_poll_start(&c->channel, UV_READABLE, on_channel);
    atomic_store(&c->live->controlplane.phase, LIVE_READY);
    uv_run(c->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&c->second, NULL);
    uv_close((uv_handle_t *)&c->channel, NULL);
}

/* The reverse of init(); also after an init() that stopped half-way. */
static void fini(struct core *c)
{
    if (c->watch != NULL) config_watch_stop(&c->watch);
    admin_server_stop(&c->admin);
    http_server_stop(&c->http);
    jobs_stop(&c->jobs);
    if (c->store != NULL) store_close(&c->store);
    reqlog_groups_free(&c->groups);
    buf_fini(&c->line);
    reqlog_sink_free(&c->sink, 500);
    metrics_free(&c->metrics);
    credential_keep_stop(c);
    prober_free(&c->prober);
    resolver_free(&c->resolver);
    ticker_stop(c);
    reload_free(c);
    prices_fini(&c->prices);
    uint64_t until = clock_mono_ms() + 1000; /* close callbacks */
    while (uv_run(c->loop, UV_RUN_NOWAIT) != 0 && clock_mono_ms() < until) usleep(1000);
}

static int serve(const struct options *o)
{
    static struct core core;
    struct core *c = &core;
    struct buf refusal = {0};
    const char *why = "";
    c->snapshot_fd = c->secrets_fd = c->tick_fd = -1;
    c->channel_fd = o->channel_fd;
    c->workers_option = o->workers;
    c->started_mono_ms = clock_mono_ms();
    snprintf(c->state_dir, sizeof c->state_dir, "%s", o->state_dir);
    if (!live_map(o->live_fd, &c->live_seg, &why)) {
        fprintf(stderr, "weir-controlplane: %s\n", why);
        return 1;
    }
    c->live = c->live_seg.base;
    c->quiet_start =
        atomic_load(&c->live->phase) != LIVE_STARTING; /* a restart under running workers says one line only */
    c->loop = uv_default_loop();
    bool ok = init(c, o, &refusal);
    if (ok) {
        if (c->quiet_start)
            notice("control plane is back%s", c->origin == ORIGIN_KEPT ? ", on the last accepted configuration" : "");
        run(c);
    } else {
        refuse_start(c, buf_view(&refusal));
    }
    fini(c);
    buf_fini(&refusal);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options o;
    env_take(); /* before anything can read /proc/PID/environ */
    process_harden("weir-controlplane");
    if (config_tool_wants(argc, argv)) return config_tool_main(argc, argv);
    if (argc == 3 && strcmp(argv[1], "--verify-store") == 0) return ledger_verify_main(argv[2]);
    if (argc > 1 && strcmp(argv[1], "--doctor") == 0) return doctor_main(argc, argv);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("weir-controlplane %s\n", weir_version());
        return 0;
    }
    if (!parse_options(argc, argv, &o)) return usage_error();
    setenv("UV_THREADPOOL_SIZE", "16", 1); /* getaddrinfo gets half of it: a dead resolver must not stop the others */
    return serve(&o);
}
