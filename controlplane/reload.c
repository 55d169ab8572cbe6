#include "controlplane/reload.h"

#include "controlplane/config/diff.h"
#include "controlplane/config/env.h"
#include "controlplane/config/kept.h"
#include "controlplane/core.h"
#include "controlplane/publish.h"
#include "controlplane/store.h"
#include "controlplane/ticker.h"
#include "proto/base/clock.h"

#include <string.h>
#include <unistd.h>

static const char text_blob[] = "config.text", ids_blob[] = "config.ids", serial_blob[] = "config.serial",
                  overrides_blob[] = "config.overrides";

/* Everything that a new configuration brings, before it is taken. */
struct candidate {
    struct config *config;
    struct plan *plan;
    struct snap *snap;
    int snapshot_fd, secrets_fd;
    uint64_t serial;
};

static void candidate_free(struct candidate *n)
{
    if (n->snap != NULL) snap_unref(&n->snap);
    if (n->snapshot_fd >= 0) close(n->snapshot_fd);
    if (n->secrets_fd >= 0) close(n->secrets_fd);
    plan_free(&n->plan);
    config_free(&n->config);
}

/* ---- making a candidate ---- */

static bool build(struct core *c, struct candidate *n, struct buf *why)
{
    struct buf ids = {0};
    const char *reason = "";
    uint64_t now_ns = clock_wall_ns();
    idmap_save(c->ids, &ids); /* planning changes the map; a failure puts it back */
    n->serial = c->serial + 1;
    n->plan = plan_new(n->config, &c->prices, c->ids, now_ns / 1000000u, why);
    bool ok = n->plan != NULL;
    if (ok && !publish_snapshot(n->plan, n->serial, now_ns, &n->snapshot_fd, &n->secrets_fd, &reason)) ok = false;
    if (ok) n->snap = snap_open(n->snapshot_fd, n->secrets_fd, &reason);
    if (ok && n->snap == NULL) ok = false;
    if (!ok) {
        bool broken;
        if (reason[0] != '\0') buf_addf(why, "weir: the configuration cannot be published: %s\n", reason);
        idmap_free(&c->ids);
        c->ids = idmap_load(buf_view(&ids), &broken);
    }
    buf_fini(&ids);
    return ok;
}

static struct config *load(struct core *c, struct problems *problems)
{
    if (c->config_path[0] != '\0') return config_load_file(c->config_path, env_get, problems);
    return config_load_environment(env_get, problems);
}

static struct config *load_kept(struct core *c, struct problems *problems)
{
    struct str blob;
    struct buf text = {0}, source = {0};
    struct config *kept = NULL;
    if (store_get(c->store, text_blob, &blob) && kept_read(blob, c->live->boot_secret, &text, &source))
        kept = config_load_text(buf_view(&text), buf_view(&source), env_get, problems);
    if (text.p != NULL) explicit_bzero(text.p, text.cap);
    buf_fini(&text);
    buf_fini(&source);
    return kept;
}

/* ---- taking it ---- */

static void keep(struct core *c)
{
    struct buf blob = {0};
    kept_write(c->config, c->live->boot_secret, &blob);
    store_put(c->store, text_blob, buf_view(&blob));
    buf_clear(&blob);
    idmap_save(c->ids, &blob);
    store_put(c->store, ids_blob, buf_view(&blob));
    buf_clear(&blob);
    buf_add_u64(&blob, c->serial);
    store_put(c->store, serial_blob, buf_view(&blob));
    buf_clear(&blob);
    overrides_save(c->overrides, &blob);
    store_put(c->store, overrides_blob, buf_view(&blob));
    buf_fini(&blob);
}

static void take(struct core *c, struct candidate *n)
{
    struct candidate old = {c->config, c->plan, c->snap, c->snapshot_fd, c->secrets_fd, c->serial};
    c->config = n->config;
    c->plan = n->plan;
    c->snap = n->snap;
    c->snapshot_fd = n->snapshot_fd;
    c->secrets_fd = n->secrets_fd;
    c->serial = n->serial;
    c->accepted_wall_ms = clock_wall_ns() / 1000000u;
    resolver_configure(c->resolver, c->snap);
    prober_configure(c->prober, c->snap);
    credential_keep_configure(c);
    keep(c);
    candidate_free(&old);
}

static void restore_from_store(struct core *c)
{
    struct str ids = STR_NULL, serial = STR_NULL, overrides = STR_NULL;
    bool broken = false;
    (void)store_get(c->store, ids_blob, &ids);
    c->ids = idmap_load(ids, &broken);
    if (store_get(c->store, serial_blob, &serial)) (void)str_u64(serial, &c->serial);
    (void)store_get(c->store, overrides_blob, &overrides);
    c->overrides = overrides_load(overrides);
}

void reload_read(struct core *c, struct buf *refusal)
{
    struct problems problems;
    problems_init(&problems, str_of(c->config_path[0] != '\0' ? c->config_path : "weir"));
    c->origin = c->config_path[0] != '\0' ? ORIGIN_FILE : ORIGIN_ENVIRONMENT;
    c->read_config = load(c, &problems);
    if (problems.n > 0) problems_write_text(&problems, refusal);
    if (c->read_config == NULL) problems_write_first(&problems, &c->refusal);
    problems_fini(&problems);
}

bool reload_first(struct core *c, struct buf *refusal)
{
    struct candidate n = {.config = c->read_config, .snapshot_fd = -1, .secrets_fd = -1};
    bool workers_run = atomic_load(&c->live->phase) != LIVE_STARTING;
    c->read_config = NULL;
    restore_from_store(c);
    if (n.config == NULL && workers_run) {
        struct problems problems;
        problems_init(&problems, STR("the last accepted configuration"));
        n.config = load_kept(c, &problems);
        if (n.config != NULL) c->origin = ORIGIN_KEPT;
        problems_fini(&problems);
    }
    bool ok = n.config != NULL && build(c, &n, refusal);
    if (ok) {
        (void)overrides_prune(c->overrides, n.plan, refusal);
        take(c, &n);
    } else {
        candidate_free(&n);
    }
    return ok;
}

static void refuse(struct core *c, struct buf *why, struct buf *lines)
{
    buf_clear(&c->refusal);
    buf_add(&c->refusal, str_trim(buf_view(why)));
    c->reloads_failed++;
    buf_add(lines, buf_view(why));
}

static void add_line(void *context, struct str text, bool needs_restart)
{
    struct buf *lines = context;
    buf_add(lines, text);
    buf_addz(lines, needs_restart ? " (needs a restart)\n" : "\n");
}

bool reload_again(struct core *c, struct buf *lines)
{
    struct problems problems;
    struct buf why = {0};
    struct candidate n = {.snapshot_fd = -1, .secrets_fd = -1};
    problems_init(&problems, str_of(c->config_path[0] != '\0' ? c->config_path : "weir"));
    n.config = load(c, &problems);
    if (n.config == NULL) problems_write_text(&problems, &why);
    bool ok = n.config != NULL && build(c, &n, &why);
    if (ok) {
        config_diff(c->plan, n.plan, add_line, lines);
        (void)overrides_prune(c->overrides, n.plan, lines);
        c->origin = c->config_path[0] != '\0' ? ORIGIN_FILE : ORIGIN_ENVIRONMENT;
        buf_clear(&c->refusal);
        c->reloads_ok++;
        take(c, &n);
        ticker_publish(c); /* before the snapshot: its new ids must mean something when workers see them */
        c->publish_owed = true;
        reload_flush(c);
        config_watch_set(c->watch, c->config);
        if (problems.warnings > 0) problems_write_text(&problems, lines);
    } else {
        refuse(c, &why, lines);
        config_watch_problems(c->watch, &problems);
        candidate_free(&n);
    }
    problems_fini(&problems);
    buf_fini(&why);
    return ok;
}

void reload_flush(struct core *c)
{
    if (!c->publish_owed) return;
    struct channel_msg m = {.type = CHAN_PUBLISH, .serial = c->serial};
    const int fds[2] = {c->snapshot_fd, c->secrets_fd};
    c->publish_owed = !channel_send(c->channel_fd, &m, fds, 2);
}

void reload_free(struct core *c)
{
    struct candidate now = {c->config, c->plan, c->snap, c->snapshot_fd, c->secrets_fd, c->serial};
    candidate_free(&now);
    idmap_free(&c->ids);
    overrides_free(&c->overrides);
    buf_fini(&c->refusal);
}
