#include "controlplane/credential_keep.h"

#include "controlplane/config/env.h"
#include "controlplane/core.h"
#include "proto/base/clock.h"
#include "shm/notice.h"
#include "shm/tick.h"

#include <string.h>

static const struct snap_provider *row_of(const struct core *c, uint16_t id)
{
    for (uint32_t i = 0; c->snap != NULL && i < c->snap->s->providers.n; i++)
        if (c->snap->providers[i].id == id) return &c->snap->providers[i];
    return NULL;
}

/* ---- what came ---- */

static void tell(const struct core *c, const struct credential_event *e)
{
    struct str name = core_provider_name(c, e->provider_id);
    switch (e->state) {
    case CREDENTIAL_NONE: notice("provider %.*s has no credential: %s", STR_FMT(name), e->why); break;
    case CREDENTIAL_FAILING:
        notice("provider %.*s: its credential could not be renewed, the present one still holds: %s", STR_FMT(name),
               e->why);
        break;
    default: notice("provider %.*s has a credential again (%s)", STR_FMT(name), e->via); break;
    }
}

static void on_event(void *core, const struct credential_event *e)
{
    struct core *c = core;
    const struct snap_provider *p = row_of(c, e->provider_id);
    uint8_t *seen = &c->credential_seen[e->provider_id];
    if (p == NULL || c->tick_seg.base == NULL) return;
    if (!tick_put_token(c->tick_seg.base, p->id, e->packed, snap_origin(c->snap, p), e->expires_mono_ms))
        notice("provider %.*s: its credential is longer than %d bytes and cannot be used",
               STR_FMT(core_provider_name(c, p->id)), SHM_TOKEN_BYTES);
    if (*seen != e->state && (e->state != CREDENTIAL_FRESH || *seen == CREDENTIAL_NONE)) tell(c, e);
    *seen = (uint8_t)e->state;
}

/* ---- what is wanted ---- */

/* "azure-managed" of the configuration, else what the type names. */
static enum credential_source source_of(const struct config_provider *p)
{
    enum credential_source source = SOURCE_KEY;
    if (p->credential.source > 0) return (enum credential_source)(p->credential.source - 1);
    (void)credential_source_find(str_of(provider_type_of((unsigned)p->type)->credentials), &source);
    return source;
}

/* The v1 form of Azure's API wants a token for another audience than the dated one. */
static struct str scope_of(const struct config_provider *p)
{
    if (p->credential.scope.n > 0 || p->type != PROVIDER_AZURE || p->api_version.n > 0) return p->credential.scope;
    return STR("https://ai.azure.com/.default");
}

struct credential_conf credential_keep_conf(const struct config_provider *p, uint16_t id)
{
    const struct config_credential *k = &p->credential;
    return (struct credential_conf){
        .provider_id = id,
        .source = source_of(p),
        .access_key_id = k->access_key_id,
        .secret_access_key = k->secret_access_key,
        .session_token = k->session_token,
        .region = p->region,
        .role_arn = k->role_arn,
        .session_name = k->session_name,
        .token_file = k->token_file,
        .file = k->file,
        .account = k->account,
        .scope = scope_of(p),
        .tenant = k->tenant,
        .client_id = k->client_id,
        .client_secret = k->client_secret,
        .token_url = k->token_url,
        .metadata_url = k->metadata_url,
        .container_url = k->container_url,
        .origin = p->base_url,
    };
}

void credential_keep_configure(struct core *c)
{
    static struct credential_conf conf[SHM_PROVIDERS];
    bool wanted[SHM_PROVIDERS] = {false};
    unsigned n = 0;
    for (size_t i = 0; i < c->config->providers.n; i++) {
        const struct config_provider *p = &c->config->providers.at[i];
        if (!p->fetches_token) continue;
        conf[n++] = credential_keep_conf(p, c->plan->provider_id[i]);
        wanted[c->plan->provider_id[i]] = true;
    }
    credentials_configure(c->credentials, conf, n);
    explicit_bzero(conf, n * sizeof *conf);
    for (uint16_t id = 0; id < SHM_PROVIDERS; id++) {
        if (wanted[id]) continue;
        c->credential_seen[id] = CREDENTIAL_WAITING;
        if (c->tick_seg.base != NULL) (void)tick_put_token(c->tick_seg.base, id, STR_NULL, 0, 0);
    }
}

void credential_keep_tick(struct core *c)
{
    for (uint32_t i = 0; i < c->snap->s->providers.n; i++) {
        const struct snap_provider *p = &c->snap->providers[i];
        if (!p->token) continue;
        uint64_t refused = atomic_load_explicit(&c->live->secret[p->id][0].refused_gen, memory_order_relaxed);
        if (refused != 0 && refused == tick_token_gen(c->tick_seg.base, p->id))
            credentials_refresh(c->credentials, p->id);
    }
}

bool credential_keep_is_settled(const struct core *c)
{
    struct credential_status s;
    for (uint32_t i = 0; c->snap != NULL && i < c->snap->s->providers.n; i++)
        if (credentials_status(c->credentials, c->snap->providers[i].id, &s) && s.state == CREDENTIAL_WAITING)
            return false;
    return true;
}

bool credential_keep_status(const struct core *c, uint16_t provider_id, struct credential_status *ret_status)
{
    return credentials_status(c->credentials, provider_id, ret_status);
}

static bool rests_refused(const _Atomic uint64_t *until_mono_ms, const _Atomic uint32_t *last_error)
{
    return atomic_load_explicit(until_mono_ms, memory_order_relaxed) > clock_mono_ms() &&
           atomic_load_explicit(last_error, memory_order_relaxed) == WEIR_UP_AUTH;
}

/* One key is its targets' affair; of several each has a cell. */
static bool are_keys_refused(const struct core *c, const struct snap_provider *p)
{
    unsigned refused = 0;
    for (unsigned i = 0; i < p->secrets && p->secrets > 1; i++) {
        struct live_secret *cell = &c->live->secret[p->id][i];
        refused += rests_refused(&cell->bench_until_mono_ms, &cell->last_error);
    }
    if (p->secrets > 1) return refused == p->secrets;
    for (uint32_t i = 0; i < c->snap->s->targets.n; i++) {
        const struct snap_target *t = &c->snap->targets[i];
        struct live_target *live = &c->live->target[t->id];
        if (&c->snap->providers[t->provider] == p && rests_refused(&live->open_until_mono_ms, &live->last_error))
            return true;
    }
    return false;
}

bool credential_keep_is_refused(const struct core *c, const struct snap_provider *p)
{
    struct credential_status s;
    if (credential_keep_status(c, p->id, &s)) return s.state == CREDENTIAL_NONE;
    return are_keys_refused(c, p);
}

void credential_keep_start(struct core *c)
{
    const struct credentials_settings settings = {.loop = c->loop, .env = env_get, .on_event = on_event, .context = c};
    c->credentials = credentials_new(&settings);
}

void credential_keep_stop(struct core *c)
{
    credentials_free(&c->credentials);
}
