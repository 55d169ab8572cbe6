#include "controlplane/admin_see.h"

#include "controlplane/banner.h"
#include "controlplane/core.h"
#include "controlplane/key_check.h"
#include "controlplane/ledger_query.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "proto/base/version.h"
#include "proto/dialect/provider_type.h"
#include "shm/live.h"
#include "shm/tick.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t load32(const _Atomic uint32_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

static uint64_t load64(const _Atomic uint64_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

static void pack_buf(msgpack_packer *p, const char *key, struct buf *text)
{
    admin_pack_kv_str(p, key, buf_view(text));
    buf_fini(text);
}

/* ---- targets, as status and routes show them ---- */

static const char *circuit_word(const struct core *c, const struct snap_target *t)
{
    const struct live_target *l = &c->live->target[t->id];
    bool benched = load64(&l->open_until_mono_ms) > clock_mono_ms();
    switch (load32(&l->circuit)) {
    case CIRCUIT_OPEN: return benched ? "open" : "half-open";
    case CIRCUIT_HALF_OPEN: return "half-open";
    default: return benched ? "benched" : "closed";
    }
}

static void add_seconds_ago(struct buf *out, uint64_t wall_ms)
{
    uint64_t now_ms = clock_wall_ns() / 1000000u;
    buf_addf(out, " %llu s ago", (unsigned long long)(now_ms > wall_ms ? (now_ms - wall_ms) / 1000 : 0));
}

static void pack_target_state(const struct core *c, msgpack_packer *p, const struct snap_target *t)
{
    const struct live_target *l = &c->live->target[t->id];
    const struct probe_verdict *v = prober_verdict(c->prober, c->snap->providers[t->provider].id);
    struct buf note = {0};
    uint64_t ttft = load64(&l->ttft_us_ewma), failed_ms = load64(&l->last_error_wall_ms);
    if (tick_read_target(c->tick_seg.base, t->id).drained) buf_addz(&note, "drained");
    if (v->health == TICK_DOWN) buf_addf(&note, "%snot reachable: %s", buf_len(&note) > 0 ? ", " : "", v->why);
    if (failed_ms > 0 && load32(&l->circuit) != CIRCUIT_CLOSED) {
        buf_addf(&note, "%slast error %s", buf_len(&note) > 0 ? ", " : "",
                 err_word((enum weir_err)load32(&l->last_error)));
        add_seconds_ago(&note, failed_ms);
    }
    admin_pack_kv_str(p, "circuit", str_of(circuit_word(c, t)));
    admin_pack_kv_i64(p, "in_flight", (int64_t)live_target_in_flight(c->live, t->id));
    admin_pack_kv_i64(p, "served", (int64_t)load64(&l->served));
    admin_pack_kv_i64(p, "failed", (int64_t)load64(&l->failed));
    if (ttft > 0)
        admin_pack_kv_i64(p, "ttft_us", (int64_t)ttft);
    else
        admin_pack_kv_nil(p, "ttft_us");
    pack_buf(p, "note", &note);
}
enum { TARGET_STATE_FIELDS = 6 };

/* ---- status ---- */

struct status {
    struct usage_query query;
    struct core *core;
    struct admin_call *call; /* NULL: the peer has gone */
};

static void pack_processes(const struct core *c, msgpack_packer *p)
{
    struct buf text = {0};
    uint64_t in_flight = 0, restarts = 0;
    uint32_t n = load32(&c->live->workers), ready = 0;
    for (uint32_t w = 0; w < n && w < SHM_WORKERS; w++) {
        in_flight += load32(&c->live->worker[w].in_flight);
        restarts += load32(&c->live->worker[w].restarts);
        ready += load32(&c->live->worker[w].phase) == LIVE_READY;
    }
    buf_addf(&text, "%u of %u ready", ready, n);
    if (restarts > 0) buf_addf(&text, ", replaced %llu times", (unsigned long long)restarts);
    admin_pack_kv_i64(p, "in_flight", (int64_t)in_flight);
    pack_buf(p, "workers_text", &text);
}

static void pack_config_line(const struct core *c, msgpack_packer *p)
{
    struct buf text = {0};
    buf_add(&text, c->config->source);
    buf_addf(&text, ", number %llu, in force since", (unsigned long long)c->serial);
    add_seconds_ago(&text, c->accepted_wall_ms);
    pack_buf(p, "config", &text);
}

static void pack_warnings(const struct core *c, msgpack_packer *p, const struct store_state *st)
{
    struct buf kept = {0}, text = {0};
    admin_pack_str(p, STR("warnings"));
    bool refused = buf_len(&c->refusal) > 0, full = st->full, corrupt = st->corrupt;
    msgpack_pack_array(p, (size_t)refused + full + corrupt);
    if (refused) {
        buf_addz(&text, "the newest configuration is not in force: ");
        buf_add(&text, buf_view(&c->refusal));
        admin_pack_str(p, buf_view(&text));
    }
    if (full) admin_pack_str(p, STR("no room on the disk: calls wait in the journals until there is"));
    if (corrupt) {
        buf_addf(&kept, "a damaged ledger was set aside: %s", st->corrupt_name);
        admin_pack_str(p, buf_view(&kept));
    }
    buf_fini(&kept);
    buf_fini(&text);
}

static void pack_all_targets(const struct core *c, msgpack_packer *p)
{
    admin_pack_str(p, STR("targets"));
    msgpack_pack_array(p, c->snap->s->targets.n);
    for (uint32_t i = 0; i < c->snap->s->targets.n; i++) {
        const struct snap_target *t = &c->snap->targets[i];
        msgpack_pack_map(p, 1 + TARGET_STATE_FIELDS);
        admin_pack_kv_str(p, "target", snap_text(c->snap, t->name));
        pack_target_state(c, p, t);
    }
}

static void pack_calls(msgpack_packer *p, const struct sums *s)
{
    struct buf text = {0};
    buf_addf(&text, "%lld today", (long long)s->calls);
    if (s->rescued > 0) buf_addf(&text, ", %lld rescued", (long long)s->rescued);
    if (s->failed > 0) buf_addf(&text, ", %lld attempts failed", (long long)s->failed);
    if (s->refused > 0) buf_addf(&text, ", %lld refused", (long long)s->refused);
    if (s->unknown > 0) buf_addf(&text, ", %lld without a known price", (long long)s->unknown);
    pack_buf(p, "calls_text", &text);
    admin_pack_kv_i64(p, "calls_today", s->calls);
    admin_pack_kv_i64(p, "rescued_today", s->rescued);
    admin_pack_kv_i64(p, "failed_attempts_today", s->failed);
    admin_pack_kv_i64(p, "refused_today", s->refused);
    admin_pack_kv_i64(p, "today_nanousd", s->cost_nanousd);
}

static void answer_status(struct status *q)
{
    static const char *const phases[] = {"starting", "ready", "draining", "stopped"};
    struct core *c = q->core;
    struct store_state st;
    struct buf endpoint = {0}, ledger = {0};
    store_state(c->store, &st);
    banner_endpoint(c, &endpoint);
    buf_addf(&ledger, "%llu records, %.1f MiB%s", (unsigned long long)st.ledger.records,
             (double)st.ledger.used_bytes / 1048576.0, st.open ? "" : ", not open now");
    uint32_t phase = load32(&c->live->phase);
    msgpack_packer *p = admin_call_begin(q->call, false);
    msgpack_pack_map(p, 20);
    admin_pack_kv_str(p, "version", str_of(weir_version()));
    admin_pack_kv_i64(p, "pid", getppid());
    admin_pack_kv_str(p, "phase", str_of(phases[phase <= LIVE_STOPPED ? phase : LIVE_STOPPED]));
    admin_pack_kv_i64(p, "uptime_ms", (int64_t)(clock_wall_ns() / 1000000u - load64(&c->live->started_wall_ms)));
    pack_buf(p, "endpoint", &endpoint);
    admin_pack_kv_str(p, "admin_http", c->config->server.admin.http);
    admin_pack_kv_str(p, "state_dir", str_of(c->state_dir));
    pack_config_line(c, p);
    admin_pack_kv_i64(p, "config_serial", (int64_t)c->serial);
    pack_processes(c, p);           /* 2 */
    pack_calls(p, &q->query.total); /* 6 */
    pack_buf(p, "ledger_text", &ledger);
    pack_warnings(c, p, &st);
    pack_all_targets(c, p);
    admin_call_end(q->call);
}

static void on_status(struct usage_query *uq)
{
    struct status *q = uq->user;
    if (q->call != NULL) answer_status(q);
    usage_query_fini(uq);
    free(q);
}

static void status_gone(struct admin_call *call)
{
    ((struct status *)call->user)->call = NULL;
}

static uint64_t midnight_ns(void)
{
    const uint64_t day_ns = 86400ull * 1000000000ull;
    return clock_wall_ns() / day_ns * day_ns;
}

void see_status(struct core *c, struct admin_call *call)
{
    struct status *q = xcalloc(1, sizeof *q);
    q->core = c;
    q->call = call;
    q->query.user = q;
    q->query.done = on_status;
    q->query.filter.since_wall_ns = midnight_ns();
    call->user = q;
    call->on_gone = status_gone;
    usage_query_start(c->store, &q->query);
}

/* ---- providers ---- */

static const struct config_provider *config_of(const struct core *c, const struct snap_provider *p)
{
    return config_provider(c->config, snap_text(c->snap, p->name));
}

static const char *provider_state(const struct core *c, const struct snap_provider *p)
{
    const struct probe_verdict *v = prober_verdict(c->prober, p->id);
    if (credential_keep_is_refused(c, p)) return "auth_error";
    switch (v->health) {
    case TICK_UP: return "up";
    case TICK_DOWN: return "down";
    default: return v->checked_wall_ms == 0 ? "not checked yet" : "suspect";
    }
}

static void pack_provider_counts(const struct core *c, msgpack_packer *p, const struct snap_provider *provider)
{
    uint64_t served = 0, failed = 0;
    for (uint32_t i = 0; i < c->snap->s->targets.n; i++) {
        const struct snap_target *t = &c->snap->targets[i];
        if (&c->snap->providers[t->provider] != provider) continue;
        served += load64(&c->live->target[t->id].served);
        failed += load64(&c->live->target[t->id].failed);
    }
    admin_pack_kv_i64(p, "served", (int64_t)served);
    admin_pack_kv_i64(p, "failed", (int64_t)failed);
}

static uint64_t rest_ms(const struct core *c, const struct snap_provider *p, unsigned i)
{
    uint64_t until = load64(&c->live->secret[p->id][i].bench_until_mono_ms), now = clock_mono_ms();
    return until > now ? until - now : 0;
}

/* One word for people: "…c3d4", "3 keys, 1 rests", "via web identity, 52 min". */
static void add_key(const struct core *c, const struct snap_provider *p, const struct config_provider *f,
                    struct buf *out)
{
    struct credential_status s;
    unsigned resting = 0;
    for (unsigned i = 0; i < p->secrets; i++) resting += rest_ms(c, p, i) > 0;
    if (p->token && credential_keep_status(c, p->id, &s)) {
        buf_addz(out, s.via[0] != '\0' ? s.via : credential_state_word(s.state));
        uint64_t now = clock_mono_ms();
        if (s.expires_mono_ms != UINT64_MAX && s.expires_mono_ms > now)
            buf_addf(out, ", %llu min", (unsigned long long)((s.expires_mono_ms - now) / 60000));
    } else if (p->secrets > 1) {
        buf_addf(out, "%u keys", p->secrets);
        if (resting > 0) buf_addf(out, ", %u rest%s", resting, resting == 1 ? "s" : "");
    } else if (f != NULL) {
        banner_key_hint(f->api_keys.n > 0 ? f->api_keys.at[0].key : f->api_key, out);
    }
}

static struct str why_of(const struct core *c, const struct snap_provider *p, const struct probe_verdict *v)
{
    struct credential_status s;
    if (credential_keep_status(c, p->id, &s) && (s.state == CREDENTIAL_NONE || s.state == CREDENTIAL_FAILING))
        return str_of(s.why);
    if (credential_keep_is_refused(c, p))
        return p->secrets > 1 ? STR("it refuses each of the keys") : STR("it refuses the key");
    return v->err == WEIR_OK ? STR_NULL : str_of(v->why);
}

/* Each of several keys. */
static void pack_keys(const struct core *c, msgpack_packer *p, const struct snap_provider *provider,
                      const struct config_provider *f)
{
    bool several = f != NULL && provider->secrets > 1 && f->api_keys.n == provider->secrets;
    admin_pack_str(p, STR("keys"));
    msgpack_pack_array(p, several ? provider->secrets : 0);
    for (unsigned i = 0; several && i < provider->secrets; i++) {
        struct live_secret *cell = &c->live->secret[provider->id][i];
        enum weir_err last = (enum weir_err)atomic_load_explicit(&cell->last_error, memory_order_relaxed);
        struct buf hint = {0};
        banner_key_hint(f->api_keys.at[i].key, &hint);
        msgpack_pack_map(p, 5);
        pack_buf(p, "key", &hint);
        admin_pack_kv_i64(p, "rests_ms", (int64_t)rest_ms(c, provider, i));
        admin_pack_kv_i64(p, "served", (int64_t)load64(&cell->served));
        admin_pack_kv_i64(p, "failed", (int64_t)load64(&cell->failed));
        admin_pack_kv_str(p, "last_error", last == WEIR_OK ? STR_NULL : str_of(err_word(last)));
    }
}

/* What a free call with its keys said; only a probe asks. */
struct key_said {
    enum finding_state state;
    struct str text, hint;
};

static void pack_provider(const struct core *c, msgpack_packer *p, const struct snap_provider *provider,
                          const struct key_said *said)
{
    static const char *const states[] = {"ok", "look", "bad"};
    const struct probe_verdict *v = prober_verdict(c->prober, provider->id);
    const struct config_provider *f = config_of(c, provider);
    struct buf key = {0};
    add_key(c, provider, f, &key);
    msgpack_pack_map(p, said == NULL ? 10 : 13);
    admin_pack_kv_str(p, "provider", snap_text(c->snap, provider->name));
    admin_pack_kv_str(p, "type", f == NULL ? STR_NULL : str_of(provider_type_of(provider->type)->name));
    admin_pack_kv_str(p, "endpoint", f == NULL ? STR_NULL : f->base_url);
    pack_buf(p, "key", &key);
    admin_pack_kv_str(p, "state", str_of(provider_state(c, provider)));
    if (v->health == TICK_UP)
        admin_pack_kv_i64(p, "connect_ms", v->connect_ms);
    else
        admin_pack_kv_nil(p, "connect_ms");
    admin_pack_kv_str(p, "why", why_of(c, provider, v));
    pack_keys(c, p, provider, f);
    pack_provider_counts(c, p, provider);
    if (said == NULL) return;
    admin_pack_kv_str(p, "key_check", said->text);
    admin_pack_kv_str(p, "key_check_state", said->text.n > 0 ? str_of(states[said->state]) : STR_NULL);
    admin_pack_kv_str(p, "key_check_hint", said->hint);
}

void see_providers(struct core *c, struct admin_call *call)
{
    msgpack_packer *p = admin_call_begin(call, false);
    msgpack_pack_map(p, 1);
    admin_pack_str(p, STR("rows"));
    msgpack_pack_array(p, c->snap->s->providers.n);
    for (uint32_t i = 0; i < c->snap->s->providers.n; i++) pack_provider(c, p, &c->snap->providers[i], NULL);
    admin_call_end(call);
}

/* A probe takes up to 5 s: its verdict is looked for every 50 ms. Then each key is shown to what costs nothing, one after the other. */
struct probing {
    uv_timer_t timer;
    struct core *core;
    struct admin_call *call;
    uint16_t provider_id;
    uint64_t checked_before;
    unsigned looks;

    struct arena arena;
    struct key_asked asked;
    unsigned keys; /* shown so far */
    struct fetch *fetch;
    struct tls_trust *trust;
    struct buf text;
    struct key_said said;
};

static void on_probing_closed(uv_handle_t *handle)
{
    struct probing *q = handle->data;
    tls_trust_free(&q->trust);
    buf_fini(&q->text);
    arena_fini(&q->arena);
    free(q);
}

static const struct snap_provider *probed(const struct probing *q)
{
    for (uint32_t i = 0; i < q->core->snap->s->providers.n; i++)
        if (q->core->snap->providers[i].id == q->provider_id) return &q->core->snap->providers[i];
    return NULL;
}

static void probing_end(struct probing *q)
{
    const struct snap_provider *provider = probed(q);
    if (q->call != NULL && provider != NULL) {
        q->said.text = buf_view(&q->text);
        pack_provider(q->core, admin_call_begin(q->call, false), provider, &q->said);
        admin_call_end(q->call);
    } else if (q->call != NULL) {
        admin_call_fail(q->call, 4, STR("the provider has left the configuration"), NULL);
    }
    q->call = NULL;
    uv_close((uv_handle_t *)&q->timer, on_probing_closed);
}

static void probing_gone(struct admin_call *call)
{
    struct probing *q = call->user;
    q->call = NULL;
    if (q->fetch == NULL) return; /* the timer sees it */
    fetch_cancel(&q->fetch);
    uv_close((uv_handle_t *)&q->timer, on_probing_closed);
}

static void show_next_key(struct probing *q);

static void on_key_answer(void *context, const struct fetch_answer *a)
{
    struct probing *q = context;
    struct key_verdict v = {FINDING_BAD, STR_NULL, NULL};
    q->fetch = NULL;
    if (a->err == WEIR_OK)
        v = key_check_judge(&q->asked, a, &q->arena);
    else
        v.text = arena_copy(&q->arena, str_of(a->why));
    buf_addf(&q->text, "%s%.*s", buf_len(&q->text) > 0 ? "; " : "", STR_FMT(v.text));
    if (v.state >= q->said.state && v.hint != NULL) q->said.hint = str_of(v.hint);
    if (v.state > q->said.state) q->said.state = v.state;
    tls_trust_free(&q->trust);
    q->keys++;
    show_next_key(q);
}

/* A provider that fetches its credential shows that one's state instead. */
static void show_next_key(struct probing *q)
{
    const struct snap_provider *provider = probed(q);
    const struct config_provider *f = provider == NULL ? NULL : config_of(q->core, provider);
    const char *why = NULL;
    size_t n = f == NULL || f->fetches_token ? 0 : f->api_keys.n > 0 ? f->api_keys.n : 1;
    if (q->keys < n && q->call != NULL) {
        struct str key = f->api_keys.n > 0 ? f->api_keys.at[q->keys].key : f->api_key;
        const struct credential c = {.secret = key};
        q->asked = (struct key_asked){(unsigned)f->type, arena_copy(&q->arena, f->base_url), key.n > 0, false};
        q->fetch = key_check_start(q->core->loop, f, provider_type_of((unsigned)f->type)->signer, &c, &q->arena,
                                   &q->trust, on_key_answer, q, &why);
        if (q->fetch != NULL) return;
        buf_addf(&q->text, "not tried: %s", why);
        q->said.state = FINDING_LOOK;
    }
    probing_end(q);
}

static void on_probing(uv_timer_t *timer)
{
    struct probing *q = timer->data;
    const struct probe_verdict *v = prober_verdict(q->core->prober, q->provider_id);
    bool over = v->checked_wall_ms != q->checked_before || ++q->looks > 120;
    if (!over && q->call != NULL) return;
    uv_timer_stop(timer);
    if (q->call != NULL && v->health == TICK_UP)
        show_next_key(q);
    else
        probing_end(q);
}

void see_probe(struct core *c, struct admin_call *call)
{
    struct str name = admin_get_str(call->args, "name");
    for (uint32_t i = 0; i < c->snap->s->providers.n; i++) {
        const struct snap_provider *p = &c->snap->providers[i];
        if (!str_eq(snap_text(c->snap, p->name), name)) continue;
        struct probing *q = xcalloc(1, sizeof *q);
        *q = (struct probing){.core = c, .call = call, .provider_id = p->id};
        arena_init(&q->arena, 1024);
        q->checked_before = prober_verdict(c->prober, p->id)->checked_wall_ms;
        call->user = q;
        call->on_gone = probing_gone;
        q->timer.data = q;
        uv_timer_init(c->loop, &q->timer);
        uv_timer_start(&q->timer, on_probing, 50, 50);
        prober_now(c->prober, p->id);
        return;
    }
    admin_call_fail(call, 4, STR("no provider of that name"), "weir providers lists them");
}

/* ---- routes ---- */

static void pack_leg(const struct core *c, msgpack_packer *p, const struct snap_route *r, const struct snap_leg *leg,
                     bool fallback)
{
    const struct snap_target *t = &c->snap->targets[leg->target];
    struct tick_leg row = tick_read_leg(c->tick_seg.base, leg->id);
    msgpack_pack_map(p, 5 + TARGET_STATE_FIELDS);
    admin_pack_kv_str(p, "route", snap_text(c->snap, r->name));
    admin_pack_kv_str(p, "target", snap_text(c->snap, t->name));
    admin_pack_kv_str(p, "role",
                      fallback                      ? STR("fallback")
                      : r->strategy == SNAP_ORDERED ? STR("ordered")
                                                    : STR("weighted"));
    if (fallback || r->strategy == SNAP_ORDERED) {
        admin_pack_kv_nil(p, "weight");
        admin_pack_kv_nil(p, "configured");
    } else {
        admin_pack_kv_i64(p, "weight", row.weight);
        admin_pack_kv_i64(p, "configured", leg->weight);
    }
    pack_target_state(c, p, t);
}

void see_routes(struct core *c, struct admin_call *call)
{
    const struct snap *sn = c->snap;
    uint64_t rows = 0;
    for (uint32_t i = 0; i < sn->s->routes.n; i++) rows += sn->routes[i].legs.n + sn->routes[i].fallbacks.n;
    msgpack_packer *p = admin_call_begin(call, false);
    msgpack_pack_map(p, 1);
    admin_pack_str(p, STR("rows"));
    msgpack_pack_array(p, rows);
    for (uint32_t i = 0; i < sn->s->routes.n; i++) {
        const struct snap_route *r = &sn->routes[i];
        for (uint32_t l = 0; l < r->legs.n; l++) pack_leg(c, p, r, &sn->legs[r->legs.first + l], false);
        for (uint32_t l = 0; l < r->fallbacks.n; l++) pack_leg(c, p, r, &sn->legs[r->fallbacks.first + l], true);
    }
    admin_call_end(call);
}

void see_config(struct core *c, struct admin_call *call)
{
    struct buf text = {0};
    config_show(c->config, false, &text);
    msgpack_packer *p = admin_call_begin(call, false);
    msgpack_pack_map(p, 2);
    admin_pack_kv_str(p, "source", c->config->source);
    pack_buf(p, "text", &text);
    admin_call_end(call);
}
