/* core.h — the control plane's parts and what they share
 * Owns:     struct core: one per process, made and taken down by main.c in mirrored order.
 * Process:  control plane, loop thread.
 * Memory:   heap, for the life of the process; configuration and plan are replaced whole by reload.c.
 * Fails:    -
 * Not here: what the parts do (their own files). */
#pragma once

#include "controlplane/admin_server.h"
#include "controlplane/config/overrides.h"
#include "controlplane/config/plan.h"
#include "controlplane/config/watch.h"
#include "controlplane/credential_keep.h"
#include "controlplane/drain.h"
#include "controlplane/http_server.h"
#include "controlplane/jobs.h"
#include "controlplane/prober.h"
#include "controlplane/resolver.h"
#include "shm/snapshot.h"

#include <uv.h>

enum config_origin {
    ORIGIN_FILE,        /* --config, or ./weir.yaml */
    ORIGIN_ENVIRONMENT, /* built from the keys found there */
    ORIGIN_KEPT,        /* the last accepted text: the file is broken now */
};

struct core {
    /* as started */
    char state_dir[512];
    char config_path[512];      /* absolute; empty: from the environment */
    const char *workers_option; /* NULL: not given */
    uint64_t started_mono_ms, started_wall_ms;
    uv_loop_t *loop;

    /* supervisor */
    int channel_fd;
    uv_poll_t channel;
    uv_timer_t second; /* the heartbeat that calls the rest */
    struct segment live_seg;
    struct live *live;
    bool stopping;
    bool announced;   /* the start-up print is out */
    bool quiet_start; /* started under running workers */

    /* configuration in force */
    struct prices prices; /* the list built in */
    struct idmap *ids;
    struct config *read_config; /* at start only: read, not yet in force */
    struct config *config;
    struct plan *plan;
    struct snap *snap;
    int snapshot_fd, secrets_fd;
    uint64_t serial;
    enum config_origin origin;
    uint64_t accepted_wall_ms;
    bool publish_owed;  /* the channel was full: the newest snapshot has still to be sent */
    struct buf refusal; /* why the newest text is not in force; empty: it is */
    uint64_t reloads_ok, reloads_failed;
    struct config_watch *watch;

    /* run-time state */
    struct overrides *overrides;
    struct segment tick_seg;
    int tick_fd;
    struct resolver *resolver;
    struct prober *prober;
    uint8_t health_seen[SHM_PROVIDERS]; /* enum tick_health, as last logged */
    struct credentials *credentials;
    uint8_t credential_seen[SHM_PROVIDERS]; /* enum credential_state, as last heard */

    /* ledger */
    struct store *store;
    struct drain *drain;
    struct jobs *jobs;

    /* for people */
    struct admin_server *admin;
    struct http_server *http;
    struct reqlog_groups *groups;
    struct reqlog_sink *sink; /* NULL: no request log is wanted */
    struct buf line;          /* the one being written; reused */
    bool stdout_is_tty;
    struct metrics *metrics;
};

struct str core_provider_name(const struct core *c, uint16_t provider_id);
