#include "controlplane/publish.h"

#include <stdio.h>
#include <string.h>

#include "shm/snapshot.h"

static uint32_t number32(int64_t value)
{
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static struct snap_list add_strings(struct snap_builder *b, const struct texts *texts)
{
    struct snap_list list = {0, (uint32_t)texts->n};

    for (size_t i = 0; i < texts->n; i++) {
        uint32_t at = snap_add_string(b, texts->at[i]);

        if (i == 0) list.first = at;
    }
    return list;
}

static void write_server(struct snap_builder *b, const struct config *c)
{
    struct snapshot *head = snap_builder_head(b);
    const struct config_server *s = &c->server;

    head->server = (struct snap_server){
        .max_body_bytes = (uint64_t)s->max_body_bytes,
        .buffers_bytes = (uint64_t)s->buffers_bytes,
        .header_timeout_ms = number32(s->header_timeout_ms),
        .body_idle_ms = number32(s->body_idle_ms),
        .keepalive_ms = number32(s->keepalive_ms),
        .write_stall_ms = number32(s->write_stall_ms),
        .drain_ms = number32(s->drain_timeout_ms),
        .max_connections = number32(s->max_connections),
        .auth_keys = c->auth.mode == AUTH_KEYS,
        .accounting_best_effort = c->accounting == ACCOUNTING_BEST_EFFORT,
        .refuse_unknown_price = c->prices.when_unknown == WHEN_UNKNOWN_REFUSE,
        .hosts = add_strings(b, &s->hosts),
        .origins = add_strings(b, &s->origins),
    };
}

/* ---- providers ---- */

static bool is_default_port(const struct url *u)
{
    return u->port == (u->tls ? 443 : 80);
}

static void lower_host(struct str host, char *out, size_t room)
{
    size_t n = host.n < room ? host.n : room - 1;

    for (size_t i = 0; i < n; i++) out[i] = (char)(host.p[i] >= 'A' && host.p[i] <= 'Z' ? host.p[i] + 32 : host.p[i]);
    out[n] = '\0';
}

static void write_keys(struct snap_builder *b, const struct config_provider *p, struct secret_row *secret,
                       struct snap_provider *row)
{
    const struct config_secret only = {.key = p->api_key, .weight = 1};
    const struct config_secret *keys = p->api_keys.n > 0 ? p->api_keys.at : &only;

    row->secrets = (uint8_t)(p->api_keys.n > 0 ? p->api_keys.n : 1);
    for (uint8_t i = 0; i < row->secrets; i++) {
        secret->weight = (uint32_t)keys[i].weight;
        uint16_t at = snap_add_secret(b, secret, keys[i].key);
        if (i == 0) row->secret = at;
    }
}

/* Vertex: "/v1" PROJECT LOCATION "/publishers", where the file does not have a path of that form itself. */
static struct snap_str base_path(struct snap_builder *b, const struct config_provider *p)
{
    struct buf path = {0};

    if (p->type != PROVIDER_VERTEX || str_contains(p->url.path, STR("/projects/")))
        return snap_add_text(b, p->url.path);
    buf_add(&path, p->url.path.n > 0 ? p->url.path : STR("/v1"));
    buf_addf(&path, "/projects/%.*s/locations/%.*s/publishers", STR_FMT(p->project), STR_FMT(p->location));
    struct snap_str text = snap_add_text(b, buf_view(&path));
    buf_fini(&path);
    return text;
}

/* Most hosts with OpenAI's API have its chat completions alone. */
static bool answers_responses(const struct config_provider *p)
{
    if (p->responses != RESPONSES_AUTO) return p->responses == RESPONSES_NATIVE;
    return p->type != PROVIDER_OPENAI || str_ieq(p->url.host, STR("api.openai.com"));
}

static void write_provider(struct snap_builder *b, const struct config_provider *p, uint16_t id)
{
    struct secret_row secret = {.origin_port = p->url.port, .origin_tls = p->url.tls};
    struct snap_provider row = {.id = id, .port = p->url.port, .tls = p->url.tls, .secret = ID_NONE};
    const struct provider_type *type = provider_type_of((unsigned)p->type);
    char header[sizeof secret.origin_host + 16];
    bool is_v6 = str_chr(p->url.host, ':') >= 0;

    lower_host(p->url.host, secret.origin_host, sizeof secret.origin_host);
    snprintf(header, sizeof header, is_v6 ? "[%s]" : "%s", secret.origin_host);
    if (!is_default_port(&p->url))
        snprintf(header + strlen(header), sizeof header - strlen(header), ":%u", p->url.port);
    row.name = snap_add_text(b, p->at.name);
    row.host = snap_add_text(b, str_of(secret.origin_host));
    row.base_path = base_path(b, p);
    row.host_header = snap_add_text(b, str_of(header));
    row.ca_pem = snap_add_text(b, p->ca_pem);
    row.type = (uint8_t)p->type;
    row.dialect = (uint8_t)type->dialect;
    row.dialects = provider_type_dialects(row.type);
    if (!answers_responses(p))
        row.dialects &= ~PROVIDER_SPEAKS(RESPONSES);
    else if (p->responses == RESPONSES_NATIVE && type->dialect == DIALECT_OPENAI_CHAT)
        row.dialects |= PROVIDER_SPEAKS(RESPONSES); /* of a host whose type does not know that it does */
    row.allow_private = p->may_dial_private;
    row.rules = (uint8_t)provider_type_at((unsigned)p->type, p->url.host);
    row.fetch_media = p->fetch_media;
    row.fetch_media_private = p->fetch_media_private;
    row.auth = SIGNER_NONE;
    row.region = snap_add_text(b, p->region);
    row.api_version = snap_add_text(b, p->api_version);
    if (p->fetches_token) {
        row.auth = (uint8_t)type->token_signer;
        row.token = 1;
    } else if (p->api_key.n > 0 || p->api_keys.n > 0) {
        row.auth = (uint8_t)type->signer;
        write_keys(b, p, &secret, &row);
    }
    (void)snap_add_provider(b, &row);
}

/* ---- targets and prices ---- */

/* The name that the provider knows it by. */
static struct str deployment_of(const struct config_provider *p, struct str model)
{
    for (size_t i = 0; i < p->deployments.n; i++)
        if (str_eq(p->deployments.at[i].name, model)) return p->deployments.at[i].text;
    return model;
}

static void write_targets(struct snap_builder *b, const struct plan *p)
{
    for (uint32_t i = 0; i < p->targets_n; i++) {
        const struct plan_target *t = &p->targets[i];
        struct snap_target row = {.id = t->id, .provider = t->provider, .price = ID_NONE};

        row.name = snap_add_text(b, t->name);
        row.model = snap_add_text(b, deployment_of(&p->config->providers.at[t->provider], t->model));
        row.context_window = t->context_window;
        row.max_output = t->max_output;
        if (t->has_price) row.price = snap_add_price(b, &(struct snap_price){.name = row.name, .row = t->price});
        (void)snap_add_target(b, &row);
    }
    for (uint32_t i = 0; i < p->prices_n; i++)
        (void)snap_add_price(b, &(struct snap_price){snap_add_text(b, p->prices[i].name), p->prices[i].row});
}

/* ---- routes ---- */

static struct snap_list write_legs(struct snap_builder *b, const struct plan_leg *legs, uint32_t n)
{
    struct snap_list list = {0, n};

    for (uint32_t i = 0; i < n; i++) {
        uint32_t at =
            snap_add_leg(b, &(struct snap_leg){.id = legs[i].id, .target = legs[i].target, .weight = legs[i].weight});

        if (i == 0) list.first = at;
    }
    return list;
}

static void write_route(struct snap_builder *b, const struct plan *p, size_t index)
{
    const struct config_route *r = &p->config->routes.at[index];
    const struct plan_route *plan = &p->routes[index];
    const struct plan_leg *legs = p->legs + plan->first_leg;
    struct snap_route row = {
        .name = snap_add_text(b, r->at.name),
        .match = snap_add_text(b, r->match),
        .allow = add_strings(b, &r->allow),
        .legs = write_legs(b, legs, plan->legs_n),
        .fallbacks = write_legs(b, legs + plan->legs_n, plan->fallbacks_n),
        .id = plan->id,
        .strategy = r->strategy == STRATEGY_ORDERED ? SNAP_ORDERED : SNAP_WEIGHTED,
        .attempts = (uint8_t)r->retry.attempts,
        .connect_ms = number32(r->timeout.connect_ms),
        .first_token_ms = number32(r->timeout.first_token_ms),
        .idle_ms = number32(r->timeout.idle_ms),
        .total_ms = number32(r->timeout.total_ms),
        .breaker_failures = number32(r->circuit_breaker.failures),
        .breaker_window_ms = number32(r->circuit_breaker.window_ms),
        .breaker_open_ms = number32(r->circuit_breaker.open_ms),
        .backoff_ms = number32(r->retry.backoff_ms),
        .max_backoff_ms = number32(r->retry.max_backoff_ms),
    };

    memcpy(row.on_status, r->retry.on_status, sizeof row.on_status);
    (void)snap_add_route(b, &row);
}

/* Exact names before globs, globs in the file's order. */
static void write_aliases(struct snap_builder *b, const struct config *c)
{
    for (uint16_t is_glob = 0; is_glob <= 1; is_glob++)
        for (size_t i = 0; i < c->routes.n; i++)
            for (size_t j = 0; j < c->routes.at[i].aliases.n; j++) {
                struct str alias = c->routes.at[i].aliases.at[j];

                if ((str_chr(alias, '*') >= 0) != is_glob) continue;
                snap_add_alias(b, &(struct snap_alias){snap_add_text(b, alias), (uint16_t)i, is_glob, 0});
            }
}

/* ---- keys ---- */

static void write_key(struct snap_builder *b, const struct config *c, const struct config_key *key, uint16_t id)
{
    struct snap_key row = {.name = snap_add_text(b, key->at.name), .id = id};

    memcpy(row.sha256, key->sha256, sizeof row.sha256);
    row.expires_wall_ms = (uint64_t)key->expires_wall_ms;
    row.routes.n = (uint32_t)key->routes.n;
    for (size_t i = 0; i < key->routes.n; i++) {
        uint32_t at = snap_add_key_route(b, (uint16_t)(config_route(c, key->routes.at[i]) - c->routes.at));

        if (i == 0) row.routes.first = at;
    }
    snap_add_key(b, &row);
}

bool publish_snapshot(const struct plan *p, uint64_t serial, uint64_t accepted_wall_ns, int *ret_snapshot_fd,
                      int *ret_secrets_fd, const char **ret_why)
{
    struct snap_builder *b = snap_builder_new();
    const struct config *c = p->config;
    bool is_done;

    snap_builder_head(b)->serial = serial;
    snap_builder_head(b)->accepted_wall_ns = accepted_wall_ns;
    snap_builder_head(b)->price_list_date = p->list->date;
    write_server(b, c);
    for (size_t i = 0; i < c->providers.n; i++) write_provider(b, &c->providers.at[i], p->provider_id[i]);
    write_targets(b, p);
    for (size_t i = 0; i < c->routes.n; i++) write_route(b, p, i);
    write_aliases(b, c);
    for (size_t i = 0; i < c->keys.n; i++) write_key(b, c, &c->keys.at[i], p->key_id[i]);
    is_done = snap_builder_finish(b, ret_snapshot_fd, ret_secrets_fd, ret_why);
    snap_builder_free(&b);
    return is_done;
}

static void copy_text(struct str s, char *out, size_t room)
{
    size_t n = s.n < room ? s.n : room - 1; /* check.c refuses longer ones */

    if (n > 0) memcpy(out, s.p, n);
    out[n] = '\0';
}

void publish_boot(const struct config *c, struct boot *ret_boot)
{
    memset(ret_boot, 0, sizeof *ret_boot);
    ret_boot->workers = config_workers(c);
    ret_boot->drain_ms = number32(c->server.drain_timeout_ms);
    for (size_t i = 0; i < c->server.listen.n && i < sizeof ret_boot->listen / sizeof *ret_boot->listen; i++)
        copy_text(c->server.listen.at[i], ret_boot->listen[ret_boot->listen_n++], sizeof *ret_boot->listen);
    copy_text(c->server.admin.http, ret_boot->admin_http, sizeof ret_boot->admin_http);
}
