#include "controlplane/pages.h"

#include "controlplane/core.h"
#include "controlplane/metrics.h"
#include "controlplane/reqlog.h"
#include "proto/base/clock.h"
#include "proto/base/version.h"
#include "shm/tick.h"

#include <stdio.h>

enum { WORKER_STUCK_MS = 5000 };

static void say(struct http_answer *a, bool good, const char *text)
{
    a->status = good ? 200 : 503;
    buf_addf(&a->body, "%s\n", text);
}

static uint32_t phase_of(const struct core *c)
{
    return atomic_load_explicit(&c->live->phase, memory_order_acquire);
}

static void startupz(struct core *c, struct http_answer *a)
{
    bool started = phase_of(c) != LIVE_STARTING;
    say(a, started, started ? "started" : "starting");
}

/* Alive: some worker's loop turned lately. A worker that hangs is replaced by the supervisor, so this fails only when that fails. */
static void livez(struct core *c, struct http_answer *a)
{
    uint64_t now_ms = clock_mono_ms();
    uint32_t n = atomic_load_explicit(&c->live->workers, memory_order_relaxed);
    bool alive = false;
    for (uint32_t w = 0; w < n && w < SHM_WORKERS; w++) {
        uint64_t beat = atomic_load_explicit(&c->live->worker[w].heartbeat_mono_ms, memory_order_relaxed);
        alive = alive || (beat > 0 && (now_ms < beat || now_ms - beat < WORKER_STUCK_MS));
    }
    say(a, alive, alive ? "alive" : "no worker has turned its loop for 5 s");
}

static void readyz(struct core *c, struct http_answer *a)
{
    switch (phase_of(c)) {
    case LIVE_READY: say(a, true, "ready"); break;
    case LIVE_STARTING: say(a, false, "starting"); break;
    default: say(a, false, "draining"); break;
    }
}

/* ---- /metrics: the ledger's counters, then what only this process or shared memory knows ---- */

static void series_u64(struct buf *out, const char *family, const char *labels, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    metrics_series(out, family, labels, text);
}

static void single(struct buf *out, const char *family, const char *type, const char *help, uint64_t value)
{
    metrics_head(out, family, type, help);
    series_u64(out, family, "", value);
}

/* NUL-terminated, for metrics_series(); valid until the next call with the same buf. */
static const char *labels_of(struct buf *labels, const char *first, struct str a, const char *second, struct str b)
{
    buf_clear(labels);
    metrics_label(labels, first, a);
    if (second != NULL) metrics_label(labels, second, b);
    buf_addc(labels, '\0');
    return labels->p + labels->head;
}

static void add_circuits(struct core *c, struct buf *out)
{
    const struct snap *sn = c->snap;
    struct buf labels = {0};
    uint64_t transitions = 0;
    metrics_head(out, "weir_circuit_state", "gauge", "0 closed, 1 half-open, 2 open, 3 drained");
    for (uint32_t i = 0; i < sn->s->targets.n; i++) {
        const struct snap_target *t = &sn->targets[i];
        const struct live_target *l = &c->live->target[t->id];
        uint32_t circuit = atomic_load_explicit(&l->circuit, memory_order_relaxed);
        uint64_t value = circuit == CIRCUIT_OPEN ? 2 : circuit == CIRCUIT_HALF_OPEN ? 1 : 0;
        if (tick_read_target(c->tick_seg.base, t->id).drained) value = 3;
        struct str model = t->model.n > 0 ? snap_text(sn, t->model) : STR("*");
        series_u64(out, "weir_circuit_state",
                   labels_of(&labels, "provider", snap_text(sn, sn->providers[t->provider].name), "model", model),
                   value);
        transitions += atomic_load_explicit(&l->transitions, memory_order_relaxed);
    }
    single(out, "weir_circuit_transitions_total", "counter", "times a circuit opened, half-opened or closed",
           transitions);
    buf_fini(&labels);
}

static void add_processes(struct core *c, struct buf *out)
{
    uint32_t n = atomic_load_explicit(&c->live->workers, memory_order_relaxed);
    uint64_t in_flight = 0, connections = 0, upstreams = 0, restarts = 0, buffer_bytes = 0;
    for (uint32_t w = 0; w < n && w < SHM_WORKERS; w++) {
        const struct live_process *p = &c->live->worker[w];
        in_flight += atomic_load_explicit(&p->in_flight, memory_order_relaxed);
        connections += atomic_load_explicit(&p->connections, memory_order_relaxed);
        upstreams += atomic_load_explicit(&p->upstreams, memory_order_relaxed);
        restarts += atomic_load_explicit(&p->restarts, memory_order_relaxed);
        buffer_bytes += atomic_load_explicit(&p->buffer_bytes, memory_order_relaxed);
    }
    single(out, "weir_in_flight_requests", "gauge", "calls being carried now", in_flight);
    single(out, "weir_client_connections", "gauge", "open connections of clients", connections);
    single(out, "weir_upstream_connections", "gauge", "open connections to providers, busy or idle", upstreams);
    single(out, "weir_worker_restarts_total", "counter", "workers that had to be replaced", restarts);
    single(out, "weir_buffer_bytes", "gauge", "bytes held against server.buffers", buffer_bytes);
}

static void add_ledger(struct core *c, struct buf *out)
{
    struct drain_counters u;
    struct store_state st;
    store_state(c->store, &st);
    single(out, "weir_store_used_bytes", "gauge", "bytes of the ledger in use", st.ledger.used_bytes);
    single(out, "weir_store_full", "gauge", "1: no room on the disk, calls wait in the journals", st.full);
    single(out, "weir_store_corrupt", "gauge", "1: a damaged ledger was set aside", st.corrupt);
    if (c->sink != NULL)
        single(out, "weir_log_records_dropped_total", "counter", "request lines that the sink did not take",
               reqlog_sink_dropped(c->sink));
    if (c->drain == NULL) return;
    drain_count(c->drain, &u);
    single(out, "weir_journal_waiting_records", "gauge", "calls in the journals, not yet in the ledger", u.waiting);
    single(out, "weir_journal_dropped_total", "counter", "calls that no journal had room for", u.dropped);
}

static void add_configuration(struct core *c, struct buf *out)
{
    struct buf labels = {0};
    metrics_head(out, "weir_build_info", "gauge", "version of this build");
    series_u64(out, "weir_build_info", labels_of(&labels, "version", str_of(weir_version()), NULL, STR_NULL), 1);
    metrics_head(out, "weir_config_reloads_total", "counter", "configurations read again, by result");
    series_u64(out, "weir_config_reloads_total", "result=\"ok\"", c->reloads_ok);
    series_u64(out, "weir_config_reloads_total", "result=\"rejected\"", c->reloads_failed);
    single(out, "weir_config_last_reload_successful", "gauge", "1: the newest text is in force",
           buf_len(&c->refusal) == 0);
    single(out, "weir_config_last_reload_success_timestamp_seconds", "gauge", "when the text in force was accepted",
           c->accepted_wall_ms / 1000);
    metrics_head(out, "weir_provider_up", "gauge", "the last probe's verdict: TCP and TLS");
    for (uint32_t i = 0; i < c->snap->s->providers.n; i++) {
        const struct snap_provider *p = &c->snap->providers[i];
        series_u64(out, "weir_provider_up", labels_of(&labels, "provider", snap_text(c->snap, p->name), NULL, STR_NULL),
                   prober_verdict(c->prober, p->id)->health != TICK_DOWN);
    }
    metrics_head(out, "weir_provider_credential_valid", "gauge",
                 "1: it has a key or token that holds and was not refused just now");
    for (uint32_t i = 0; i < c->snap->s->providers.n; i++) {
        const struct snap_provider *p = &c->snap->providers[i];
        struct credential_status s;
        bool waits = credential_keep_status(c, p->id, &s) && s.state == CREDENTIAL_WAITING;
        series_u64(out, "weir_provider_credential_valid",
                   labels_of(&labels, "provider", snap_text(c->snap, p->name), NULL, STR_NULL),
                   !waits && !credential_keep_is_refused(c, p));
    }
    metrics_head(out, "weir_provider_credential_refreshes_total", "counter", "credentials fetched, by result");
    for (uint32_t i = 0; i < c->snap->s->providers.n; i++) {
        const struct snap_provider *p = &c->snap->providers[i];
        struct credential_status s;
        if (!credential_keep_status(c, p->id, &s)) continue;
        struct str name = snap_text(c->snap, p->name);
        series_u64(out, "weir_provider_credential_refreshes_total",
                   labels_of(&labels, "provider", name, "result", STR("ok")), s.refreshes);
        series_u64(out, "weir_provider_credential_refreshes_total",
                   labels_of(&labels, "provider", name, "result", STR("failed")), s.failures);
    }
    buf_fini(&labels);
}

static void metrics(struct core *c, struct http_answer *a)
{
    a->status = 200;
    a->content_type = "text/plain; version=0.0.4; charset=utf-8";
    add_configuration(c, &a->body);
    add_processes(c, &a->body);
    add_circuits(c, &a->body);
    add_ledger(c, &a->body);
    metrics_write(c->metrics, &a->body);
}

void pages_get(void *context, struct str path, struct http_answer *a)
{
    static const struct {
        const char *path;
        void (*get)(struct core *c, struct http_answer *a);
    } pages[] = {{"/startupz", startupz}, {"/livez", livez}, {"/readyz", readyz}, {"/metrics", metrics}};
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (str_is(path, pages[i].path)) pages[i].get(context, a);
}
