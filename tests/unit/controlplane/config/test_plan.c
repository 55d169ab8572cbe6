#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/config/diff.h"
#include "controlplane/config/kept.h"
#include "controlplane/config/overrides.h"
#include "controlplane/publish.h"
#include "proto/auth/signer.h"
#include "shm/snapshot.h"
#include "tests/unit/controlplane/config/loading.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char config_a[] =
    "version: 1\n"
    "providers:\n"
    "  openai: {type: openai, api_key: \"${KEY}\"}\n"
    "  anthropic: {type: anthropic, api_key: \"${KEY}\", base_url: \"https://Claude.Example:8443/base/\"}\n"
    "  local: {type: openai, base_url: \"http://[::1]:9100/v1\", price: free}\n"
    "models:\n"
    "  openai/gpt-x: {price: {input: 2.50, cached_input: 0.25, output: 10}, context_window: 400000, max_output: 5}\n"
    "  local/gpt-y: {same_as: openai/gpt-x, discount: 50%}\n"
    "  openai/half: {same_as: openai/gpt-4o, discount: 50%}\n"
    "routes:\n"
    "  chat:\n"
    "    aliases: [\"gpt-*\", exact, \"claude-*\"]\n"
    "    targets: [{model: openai/gpt-x, weight: 90}, {model: local/gpt-y, weight: 10}]\n"
    "    fallbacks: [anthropic/claude-x, openai/gpt-x]\n"
    "    retry: {attempts: 2, on_status: [429, 503]}\n"
    "    timeout: {connect: 2s, first_token: 20s, idle: 60s, total: 10m}\n"
    "  cheap: {strategy: ordered, targets: [{model: local/qwen}, {model: openai/gpt-4o}, {model: openai/half}]}\n"
    "  any: {targets: [{model: \"openai/*\"}]}\n"
    "  pass: {match: \"*/*\", allow: [openai/*, local/*]}\n"
    "auth: {mode: keys}\n"
    "keys:\n"
    "  b: {hash: \"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\", routes: [chat, pass]}\n"
    "  a: {hash: \"sha256:0f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\", expires: "
    "\"2027-06-30\"}\n";

static const char config_b[] =
    "version: 1\n"
    "server: {listen: \"127.0.0.1:8500\", max_body: 16MiB}\n"
    "providers:\n"
    "  groq: {type: openai, base_url: \"https://api.groq.com/openai/v1\", api_key: \"${KEY}\"}\n"
    "  openai: {type: openai, api_key: \"${KEY}x\"}\n"
    "routes:\n"
    "  chat: {targets: [{model: openai/gpt-x, weight: 50}, {model: groq/gpt-oss-120b}]}\n"
    "  new: {match: \"*/*\"}\n"
    "accounting: best_effort\n";

struct world {
    struct prices list;
};

static const char config_hosted[] =
    "version: 1\n"
    "providers:\n"
    "  aws: {type: bedrock, region: eu-west-1, api_key: \"${KEY}\"}\n"
    "  near: {type: vertex, project: p, location: europe-west4, api_key: \"${KEY}\"}\n"
    "  far: {type: vertex, project: p, api_key: \"${KEY}\"}\n"
    "  azure: {type: azure, base_url: \"https://x.openai.azure.com\", deployments: {gpt-4o: my-4o}, "
    "api_keys: [{key: \"${KEY}\", weight: 3}, {key: \"${KEY}b\"}]}\n"
    "routes:\n"
    "  all: {targets: [{model: \"aws/eu.anthropic.claude-opus-5-20260401-v1:0\"}, {model: "
    "\"aws/global.anthropic.claude-opus-5-v1:0\"},\n"
    "    {model: \"aws/us.amazon.nova-2-lite-v1:0\"}, {model: \"aws/amazon.nova-pro-v1:0\"}, {model: "
    "\"aws/cohere.x\"},\n"
    "    {model: near/claude-opus-5@20260401}, {model: far/claude-opus-5}, {model: near/gemini-2.5-pro}, {model: "
    "azure/gpt-4o}]}\n"
    "  any: {match: \"*/*\"}\n";

static int set_up(void **state)
{
    static struct world w;

    prices_builtin(&w.list);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    prices_fini(&((struct world *)*state)->list);
    return 0;
}

static struct snap *publish(const struct plan *p, uint64_t serial, uint64_t now_ns)
{
    const char *why = "";
    int snapshot_fd = -1, secrets_fd = -1;

    if (!publish_snapshot(p, serial, now_ns, &snapshot_fd, &secrets_fd, &why)) fail_msg("%s", why);
    struct snap *sn = snap_open(snapshot_fd, secrets_fd, &why);
    if (sn == NULL) fail_msg("%s", why);
    close(snapshot_fd);
    close(secrets_fd);
    return sn;
}

static const struct snap_provider *provider(const struct snap *sn, const char *name)
{
    for (uint32_t i = 0; i < sn->s->providers.n; i++)
        if (str_is(snap_text(sn, sn->providers[i].name), name)) return &sn->providers[i];
    fail_msg("no provider %s", name);
    return NULL;
}

static const struct snap_target *target(const struct snap *sn, const char *name)
{
    for (uint32_t i = 0; i < sn->s->targets.n; i++)
        if (str_is(snap_text(sn, sn->targets[i].name), name)) return &sn->targets[i];
    fail_msg("no target %s", name);
    return NULL;
}

#define assert_text(sn, s, wanted)                                                                                  \
    do {                                                                                                            \
        if (!str_is(snap_text(sn, s), wanted)) fail_msg("\"%.*s\", not \"%s\"", STR_FMT(snap_text(sn, s)), wanted); \
    } while (0)

/* Names as clouds have them lead to the makers' prices; Claude in one geography costs a tenth more. */
static void test_hosted(void **state)
{
    static const struct {
        const char *name;
        int64_t input, factor_ppm;
    } rows[] = {
        {"aws/eu.anthropic.claude-opus-5-20260401-v1:0", 5000000, 1100000},
        {"aws/global.anthropic.claude-opus-5-v1:0", 5000000, 1000000},
        {"aws/us.amazon.nova-2-lite-v1:0", 330000, 1000000},
        {"aws/amazon.nova-pro-v1:0", 800000, 1000000},
        {"near/claude-opus-5@20260401", 5000000, 1100000},
        {"far/claude-opus-5", 5000000, 1000000},
        {"near/gemini-2.5-pro", 1250000, 1000000},
        {"azure/gpt-4o", 2500000, 1000000},
    };
    struct world *w = *state;
    bool broken;
    struct idmap *ids = idmap_load(STR_NULL, &broken);
    struct loaded l = load(config_hosted, &w->list, ids, 1000);
    struct snap *sn = publish(l.plan, 1, 1);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct snap_target *t = target(sn, rows[i].name);
        if (t->price == ID_NONE) fail_msg("no price for %s", rows[i].name);
        assert_int_equal(sn->prices[t->price].row.base.input, rows[i].input);
        assert_int_equal(sn->prices[t->price].row.factor_ppm, rows[i].factor_ppm);
    }
    assert_int_equal(target(sn, "aws/cohere.x")->price, ID_NONE);
    unsigned found = 0;
    for (uint32_t i = 0; i < sn->s->prices.n; i++) { /* what a pass-through may be asked for */
        struct str name = snap_text(sn, sn->prices[i].name);
        int32_t factor_ppm = sn->prices[i].row.factor_ppm;

        found += (str_is(name, "aws/claude-opus-5") && factor_ppm == 1100000) ||
                 (str_is(name, "aws/global.claude-opus-5") && factor_ppm == 1000000);
    }
    assert_int_equal(found, 2);
    assert_text(sn, target(sn, "azure/gpt-4o")->model, "my-4o");
    assert_text(sn, provider(sn, "aws")->host, "bedrock-runtime.eu-west-1.amazonaws.com");
    assert_text(sn, provider(sn, "near")->host, "europe-west4-aiplatform.googleapis.com");
    assert_text(sn, provider(sn, "near")->base_path, "/v1/projects/p/locations/europe-west4/publishers");
    assert_text(sn, provider(sn, "far")->host, "aiplatform.googleapis.com");
    const struct snap_provider *azure = provider(sn, "azure");
    assert_int_equal(azure->secrets, 2);
    assert_int_equal(azure->auth, SIGNER_API_KEY);
    assert_int_equal(snap_secret_weight(sn, azure, 0), 3);
    assert_true(str_is(snap_secret_at(sn, azure, 1), "sk-canary-0123456789b"));
    assert_int_equal(snap_secret_at(sn, azure, 2).n, 0);
    snap_unref(&sn);
    loaded_free(&l);
    idmap_free(&ids);
}

static void check_providers(const struct snap *sn)
{
    const struct snap_provider *p = provider(sn, "anthropic");

    assert_text(sn, p->host, "claude.example");
    assert_text(sn, p->host_header, "claude.example:8443");
    assert_text(sn, p->base_path, "/base");
    assert_int_equal(p->port, 8443);
    assert_int_equal(p->dialect, SNAP_ANTHROPIC);
    assert_int_equal(p->auth, SIGNER_X_API_KEY);
    assert_true(p->tls && !p->allow_private);
    assert_true(str_is(snap_secret(sn, p), "sk-canary-0123456789"));
    p = provider(sn, "openai");
    assert_text(sn, p->host_header, "api.openai.com");
    assert_text(sn, p->base_path, "/v1");
    assert_int_equal(p->auth, SIGNER_BEARER);
    p = provider(sn, "local");
    assert_text(sn, p->host, "::1");
    assert_text(sn, p->host_header, "[::1]:9100");
    assert_true(!p->tls && p->allow_private); /* the file itself names a loopback address */
    assert_int_equal(p->auth, SIGNER_NONE);
    assert_int_equal(p->secret, ID_NONE);
}

static void check_prices(const struct snap *sn)
{
    const struct snap_target *t = target(sn, "openai/gpt-x");
    const struct price_row *row = &sn->prices[t->price].row;

    assert_int_equal(row->base.input, 2500000);
    assert_int_equal(row->base.cache_read, 250000);
    assert_int_equal(row->base.output, 10000000);
    assert_int_equal(row->base.cache_write_5m, PRICE_UNKNOWN);
    assert_int_equal(t->context_window, 400000);
    assert_int_equal(t->max_output, 5);
    t = target(sn, "local/gpt-y"); /* same_as comes before the provider's "free" */
    assert_int_equal(sn->prices[t->price].row.base.input, 2500000);
    assert_int_equal(sn->prices[t->price].row.factor_ppm, 500000);
    assert_int_equal(t->context_window, 400000);
    t = target(sn, "local/qwen");
    assert_true(sn->prices[t->price].row.free);
    t = target(sn, "openai/gpt-4o"); /* from the list */
    assert_int_equal(sn->prices[t->price].row.base.output, 10000000);
    assert_int_equal(t->context_window, 128000);
    t = target(sn, "openai/half");
    assert_int_equal(sn->prices[t->price].row.base.output, 10000000);
    assert_int_equal(sn->prices[t->price].row.factor_ppm, 500000);
    t = target(sn, "openai/*");
    assert_int_equal(t->price, ID_NONE);
    assert_int_equal(t->model.n, 0);
    t = target(sn, "anthropic/claude-x");
    assert_int_equal(t->price, ID_NONE); /* unknown is not zero */
    unsigned found = 0;
    for (uint32_t i = 0; i < sn->s->prices.n; i++) { /* what a pass-through may be asked for */
        struct str name = snap_text(sn, sn->prices[i].name);

        found += str_is(name, "openai/gpt-5") || str_is(name, "openai/gpt-4o-mini");
        assert_false(str_starts(name, STR("anthropic/"))); /* no open target there */
    }
    assert_int_equal(found, 2);
}

static void check_routes(const struct snap *sn)
{
    uint16_t named;
    const struct snap_route *r = snap_find_route(sn, STR("chat"), &named);

    assert_non_null(r);
    assert_int_equal(r->legs.n, 2);
    assert_int_equal(r->fallbacks.n, 2);
    assert_int_equal(sn->legs[r->legs.first].weight, 90);
    assert_text(sn, sn->targets[sn->legs[r->fallbacks.first].target].name, "anthropic/claude-x");
    assert_int_not_equal(sn->legs[r->legs.first].id,
                         sn->legs[r->fallbacks.first + 1].id); /* the same target, two legs */
    assert_int_equal(r->attempts, 2);
    assert_int_equal(r->connect_ms, 2000);
    assert_int_equal(r->total_ms, 600000);
    assert_int_equal(r->breaker_failures, 5);
    for (int status = 100; status < 600; status++)
        assert_int_equal(r->on_status[(status - 100) / 64] >> ((status - 100) % 64) & 1,
                         status == 429 || status == 503);
    assert_ptr_equal(snap_find_route(sn, STR("exact"), &named), r);
    assert_ptr_equal(snap_find_route(sn, STR("gpt-anything"), &named), r);
    assert_text(sn, snap_find_route(sn, STR("local/llama"), &named)->name, "pass");
    assert_text(sn, sn->targets[named].name, "local/*");
    assert_null(snap_find_route(sn, STR("anthropic/claude-9"), &named)); /* not allowed there */
    assert_int_equal(sn->aliases[0].is_glob, 0);
    assert_text(sn, sn->aliases[1].glob, "gpt-*");
    assert_text(sn, sn->aliases[2].glob, "claude-*");
}

static void check_keys(const struct snap *sn)
{
    uint8_t hash[32] = {0x9f, 0x86, 0xd0, 0x81, 0x88, 0x4c, 0x7d, 0x65, 0x9a, 0x2f, 0xea, 0xa0, 0xc5, 0x5a, 0xd0, 0x15,
                        0xa3, 0xbf, 0x4f, 0x1b, 0x2b, 0x0b, 0x82, 0x2c, 0xd1, 0x5d, 0x6c, 0x15, 0xb0, 0xf0, 0x0a, 0x08};
    const struct snap_key *key = snap_find_key(sn, hash);

    assert_text(sn, key->name, "b");
    assert_int_equal(key->routes.n, 2);
    assert_text(sn, sn->routes[snap_key_route(sn, key, 1)].name, "pass");
    assert_int_equal(key->expires_wall_ms, 0);
    hash[0] = 0x0f;
    key = snap_find_key(sn, hash);
    assert_text(sn, key->name, "a");
    assert_int_equal(key->routes.n, 0);
    assert_int_equal(key->expires_wall_ms, 1814400000000); /* 2027-07-01 */
}

static void test_snapshot(void **state)
{
    struct world *w = *state;
    struct idmap *ids = idmap_new();
    struct loaded l = load(config_a, &w->list, ids, 1000);
    struct snap *sn = publish(l.plan, 7, 123);

    assert_int_equal(sn->s->serial, 7);
    assert_int_equal(sn->s->accepted_wall_ns, 123);
    assert_int_equal(sn->s->price_list_date, w->list.date);
    assert_true(sn->s->server.auth_keys);
    assert_int_equal(sn->s->server.max_body_bytes, 32 << 20);
    assert_int_equal(sn->s->server.header_timeout_ms, 10000);
    check_providers(sn);
    check_prices(sn);
    check_routes(sn);
    check_keys(sn);
    snap_unref(&sn);
    loaded_free(&l);
    idmap_free(&ids);
}

/* state(A, then B) == state(B): nothing of the configuration before it is left in a snapshot but the numbers. */
static void test_reload_leaves_no_trace(void **state)
{
    struct world *w = *state;
    struct idmap *ids = idmap_new(), *fresh = idmap_new();
    struct loaded a = load(config_a, &w->list, ids, 1000);
    struct loaded b = load(config_b, &w->list, ids, 2000);
    struct loaded alone = load(config_b, &w->list, fresh, 2000);
    struct snap *x, *y;

    for (uint32_t i = 0; i < b.plan->legs_n; i++) b.plan->legs[i].id = alone.plan->legs[i].id;
    for (uint32_t i = 0; i < b.plan->targets_n; i++) b.plan->targets[i].id = alone.plan->targets[i].id;
    for (size_t i = 0; i < b.config->routes.n; i++) b.plan->routes[i].id = alone.plan->routes[i].id;
    for (size_t i = 0; i < b.config->providers.n; i++) b.plan->provider_id[i] = alone.plan->provider_id[i];
    x = publish(b.plan, 1, 5);
    y = publish(alone.plan, 1, 5);
    assert_int_equal(x->seg.bytes, y->seg.bytes);
    assert_memory_equal(x->seg.base, y->seg.base, x->seg.bytes);
    assert_int_equal(x->secret_seg.bytes, y->secret_seg.bytes);
    assert_memory_equal(x->secret_seg.base, y->secret_seg.base, x->secret_seg.bytes);
    snap_unref(&x);
    snap_unref(&y);
    loaded_free(&a);
    loaded_free(&b);
    loaded_free(&alone);
    idmap_free(&ids);
    idmap_free(&fresh);
}

/* ---- stable ids ---- */

static void test_ids_stay(void **state)
{
    struct world *w = *state;
    struct idmap *ids = idmap_new();
    struct loaded a = load(config_a, &w->list, ids, 1000);
    uint16_t openai = a.plan->provider_id[0], gpt_x = plan_target(a.plan, STR("openai/gpt-x"))->id;
    struct loaded b = load(config_b, &w->list, ids, 2000);
    struct buf blob = {0}, again = {0};
    bool broken;

    assert_int_equal(b.plan->provider_id[1], openai); /* another place in the file, the same number */
    assert_int_equal(plan_target(b.plan, STR("openai/gpt-x"))->id, gpt_x);
    for (size_t i = 0; i < a.config->providers.n; i++)
        assert_int_not_equal(b.plan->provider_id[0], a.plan->provider_id[i]);
    idmap_save(ids, &blob);
    struct idmap *loaded = idmap_load(buf_view(&blob), &broken);
    assert_false(broken);
    idmap_save(loaded, &again);
    assert_true(str_eq(buf_view(&blob), buf_view(&again)));
    assert_true(str_is(idmap_name(loaded, ID_TARGET, gpt_x), "openai/gpt-x"));
    struct loaded a2 =
        load(config_a, &w->list, loaded, 3000); /* after a restart: names that rested come back as they were */
    assert_int_equal(a2.plan->provider_id[2], a.plan->provider_id[2]);
    for (uint32_t i = 0; i < a.plan->legs_n; i++) assert_int_equal(a2.plan->legs[i].id, a.plan->legs[i].id);
    buf_fini(&blob);
    buf_fini(&again);
    idmap_free(&ids);
    idmap_free(&loaded);
    loaded_free(&a);
    loaded_free(&b);
    loaded_free(&a2);
}

static uint16_t ask(struct idmap *m, unsigned i, uint64_t now)
{
    char name[16];

    snprintf(name, sizeof name, "p%u", i);
    return idmap_id(m, ID_PROVIDER, str_of(name), now);
}

static void test_ids_are_recycled_late(void **state)
{
    struct idmap *m = idmap_new();
    uint64_t now = 1000000;
    uint16_t first;

    (void)state;
    idmap_begin(m);
    first = ask(m, 0, now);
    idmap_end(m, now);
    now += 1000;
    idmap_begin(m); /* p0 leaves, all other places are taken */
    for (unsigned i = 1; i < SHM_PROVIDERS; i++) assert_int_not_equal(ask(m, i, now), first);
    assert_int_equal(ask(m, 1000, now), ID_NONE); /* p0 has only just left */
    idmap_end(m, now);
    now += ID_REST_MS + 1000;
    idmap_begin(m);
    for (unsigned i = 1; i < SHM_PROVIDERS; i++) assert_int_not_equal(ask(m, i, now), ID_NONE);
    assert_int_equal(ask(m, 1000, now), first); /* now its number is free */
    assert_int_equal(ask(m, 1001, now), ID_NONE);
    idmap_end(m, now);
    assert_true(str_is(idmap_name(m, ID_PROVIDER, first), "p1000"));
    idmap_free(&m);
}

static void test_broken_blob(void **state)
{
    struct world *w = *state;
    struct idmap *ids = idmap_new(), *read;
    struct loaded l = load(config_a, &w->list, ids, 1000);
    struct buf blob = {0};
    bool broken;

    idmap_save(ids, &blob);
    for (size_t n = 0; n < buf_len(&blob); n++) { /* cut at every byte */
        read = idmap_load(str_slice(buf_view(&blob), 0, n), &broken);
        assert_int_equal(broken, n > 0);
        idmap_free(&read);
    }
    for (size_t i = 0; i < buf_len(&blob); i++) { /* every byte wrong */
        blob.p[blob.head + i] ^= 0x41;
        read = idmap_load(buf_view(&blob), &broken);
        assert_true(broken);
        idmap_free(&read);
        blob.p[blob.head + i] ^= 0x41;
    }
    buf_fini(&blob);
    loaded_free(&l);
    idmap_free(&ids);
}

static void test_too_many(void **state)
{
    struct world *w = *state;
    struct idmap *ids = idmap_new();
    struct buf text = {0}, why = {0};

    buf_addz(&text, "version: 1\nproviders: {a: {type: openai, base_url: \"https://x.example\"}}\nroutes:\n");
    for (int r = 0; r < 20; r++) {
        buf_addf(&text, "  r%d: {targets: [", r);
        for (int t = 0; t < 60; t++) buf_addf(&text, "{model: a/m%d}, ", r * 60 + t);
        buf_addz(&text, "]}\n");
    }
    buf_addc(&text, '\0');
    struct config *c = load_config(text.p);
    assert_null(plan_new(c, &w->list, ids, 1000, &why));
    assert_true(str_contains(buf_view(&why), STR("more than 1024 different targets")));
    config_free(&c);
    buf_fini(&text);
    buf_fini(&why);
    idmap_free(&ids);
}

/* ---- run-time changes ---- */

static uint32_t weight_of(const struct overrides *o, const struct plan *p, const char *route, const char *name)
{
    static uint32_t weight[SHM_LEGS];
    static uint8_t drained[SHM_TARGETS];

    overrides_apply(o, weight, drained);
    for (uint32_t i = 0; i < p->legs_n; i++)
        if (!p->legs[i].is_fallback && str_is(p->config->routes.at[p->legs[i].route].at.name, route) &&
            str_is(p->targets[p->legs[i].target].name, name))
            return drained[p->targets[p->legs[i].target].id] ? 0 : weight[p->legs[i].id];
    fail_msg("no leg %s %s", route, name);
    return 0;
}

static void test_overrides(void **state)
{
    struct world *w = *state;
    struct idmap *ids = idmap_new();
    struct loaded a = load(config_a, &w->list, ids, 1000), b;
    struct overrides *o = overrides_new();
    struct buf blob = {0}, lines = {0};
    uint32_t weight = 77;

    assert_false(overrides_set_weight(o, STR("chat"), STR("openai/gpt-x"), 1)); /* no plan yet */
    assert_int_equal(overrides_prune(o, a.plan, NULL), 0);
    assert_false(overrides_set_weight(o, STR("chat"), STR("openai/none"), 1));
    assert_false(overrides_set_weight(o, STR("chat"), STR("anthropic/claude-x"), 1)); /* a fallback has no weight */
    assert_false(overrides_weight(o, STR("chat"), STR("openai/gpt-x"), &weight));
    assert_int_equal(weight, 77);
    assert_true(overrides_set_weight(o, STR("chat"), STR("openai/gpt-x"), 5));
    assert_true(overrides_set_weight(o, STR("chat"), STR("local/gpt-y"), 6));
    assert_true(overrides_set_weight(o, STR("chat"), STR("local/gpt-y"), 10)); /* as the file has it: no override */
    assert_int_equal(overrides_count(o), 1);
    assert_true(overrides_weight(o, STR("chat"), STR("openai/gpt-x"), &weight));
    assert_int_equal(weight, 5);
    assert_int_equal(weight_of(o, a.plan, "chat", "openai/gpt-x"), 5);
    assert_int_equal(weight_of(o, a.plan, "chat", "local/gpt-y"), 10);
    assert_false(overrides_drain(o, STR("nobody"), true));
    assert_true(overrides_drain(o, STR("local"), true)); /* all of a provider */
    assert_true(overrides_is_drained(o, STR("local/gpt-y")) && overrides_is_drained(o, STR("local/qwen")));
    assert_true(overrides_drain(o, STR("local/qwen"), false));
    assert_false(overrides_is_drained(o, STR("local/qwen")));
    assert_int_equal(weight_of(o, a.plan, "chat", "local/gpt-y"), 0);

    overrides_save(o, &blob);
    overrides_free(&o);
    for (size_t n = 0; n < buf_len(&blob); n++) {
        o = overrides_load(str_slice(buf_view(&blob), 0, n));
        assert_int_equal(overrides_count(o), 0);
        overrides_free(&o);
    }
    o = overrides_load(buf_view(&blob));
    assert_int_equal(overrides_prune(o, a.plan, NULL), 0); /* a restart: everything still fits */
    assert_int_equal(overrides_count(o), 3);               /* the weight, local/gpt-y, and local's open target */
    assert_int_equal(weight_of(o, a.plan, "chat", "openai/gpt-x"), 5);

    b = load(config_b, &w->list, ids, 2000);
    assert_int_equal(overrides_prune(o, b.plan, &lines), 3);
    assert_true(str_contains(buf_view(&lines),
                             STR("weight 5 of openai/gpt-x, set at run time, is dropped: the file has a new one")));
    assert_true(str_contains(buf_view(&lines), STR("local/gpt-y: its drain is dropped, the target is gone")));
    assert_int_equal(weight_of(o, b.plan, "chat", "openai/gpt-x"), 50);
    overrides_free(&o);
    buf_fini(&blob);
    buf_fini(&lines);
    loaded_free(&a);
    loaded_free(&b);
    idmap_free(&ids);
}

/* ---- the last accepted text ---- */

static void test_kept(void **state)
{
    static const char plain[] =
        "version: 1\nproviders: {a: {type: openai, api_key: \"${KEY}\"}}\nroutes: {p: {match: \"*/*\"}}\n";
    static const char typed[] =
        "version: 1\nproviders: {a: {type: openai, api_key: sk-typed-in}}\nroutes: {p: {match: \"*/*\"}}\n";
    uint8_t secret[KEPT_SECRET_BYTES] = {1, 2, 3}, other[KEPT_SECRET_BYTES] = {1, 2, 4};

    (void)state;
    for (int is_typed = 0; is_typed < 2; is_typed++) {
        struct config *c = load_config(is_typed ? typed : plain);
        struct buf blob = {0}, text = {0}, source = {0};

        kept_write(c, secret, &blob);
        assert_false(str_contains(buf_view(&blob), STR("sk-")));
        assert_true(kept_read(buf_view(&blob), secret, &text, &source));
        assert_true(str_is(buf_view(&text), is_typed ? typed : plain));
        assert_true(str_is(buf_view(&source), "weir.yaml"));
        assert_int_equal(kept_read(buf_view(&blob), other, &text, &source), !is_typed);
        buf_clear(&text);
        for (size_t n = 0; is_typed && n < buf_len(&blob); n++)
            assert_false(kept_read(str_slice(buf_view(&blob), 0, n), secret, &text, &source));
        buf_fini(&blob);
        buf_fini(&text);
        buf_fini(&source);
        config_free(&c);
    }
}

/* ---- what a reload changed ---- */

static void add_line(void *context, struct str text, bool needs_restart)
{
    buf_addf(context, "%.*s%s\n", STR_FMT(text), needs_restart ? " !" : "");
}

static void test_diff(void **state)
{
    static const char wanted[] = "server.listen: [\"127.0.0.1:8490\"] → [\"127.0.0.1:8500\"] !\n"
                                 "server.max_body: 32MiB → 16MiB\n"
                                 "providers.openai.api_key: changed\n"
                                 "providers.anthropic: removed\n"
                                 "providers.local: removed\n"
                                 "providers.groq: added\n"
                                 "models.openai/gpt-x: removed\n"
                                 "models.local/gpt-y: removed\n"
                                 "models.openai/half: removed\n"
                                 "routes.chat.aliases: [\"gpt-*\", exact, \"claude-*\"] → none\n"
                                 "routes.chat: weight of openai/gpt-x 90 → 50\n"
                                 "routes.chat: target local/gpt-y removed\n"
                                 "routes.chat: target groq/gpt-oss-120b added\n"
                                 "routes.chat.fallbacks: [anthropic/claude-x, openai/gpt-x] → none\n"
                                 "routes.chat.retry.attempts: 2 → 1\n"
                                 "routes.chat.retry.on_status: [429, 503] → [408, 429, 500, 502, 503, 504, 529]\n"
                                 "routes.chat.timeout.connect: 2s → 3s\n"
                                 "routes.chat.timeout.first_token: 20s → 10m\n"
                                 "routes.chat.timeout.idle: 1m → 2m\n"
                                 "routes.chat.timeout.total: 10m → 1h\n"
                                 "routes.cheap: removed\n"
                                 "routes.any: removed\n"
                                 "routes.pass: removed\n"
                                 "routes.new: added\n"
                                 "auth.mode: keys → none\n"
                                 "keys.b: removed\n"
                                 "keys.a: removed\n"
                                 "accounting: strict → best_effort\n";
    struct world *w = *state;
    struct idmap *ids = idmap_new();
    struct loaded a = load(config_a, &w->list, ids, 1000), b = load(config_b, &w->list, ids, 1000);
    struct buf lines = {0};

    assert_int_equal(config_diff(a.plan, a.plan, add_line, &lines), 0);
    assert_int_equal(buf_len(&lines), 0);
    assert_int_equal(config_diff(a.plan, b.plan, add_line, &lines), 28);
    buf_addc(&lines, '\0');
    assert_string_equal(lines.p, wanted);
    assert_null(strstr(lines.p, "sk-canary"));
    buf_fini(&lines);
    loaded_free(&a);
    loaded_free(&b);
    idmap_free(&ids);
}

static void test_boot(void **state)
{
    struct config *c =
        load_config("version: 1\nserver: {workers: 3, drain_timeout: 5s, listen: [\"localhost:8491\", "
                    "\"unix:/run/w.sock\"], admin: {http: none}}\n"
                    "providers: {a: {type: openai, api_key: \"${KEY}\"}}\nroutes: {p: {match: \"*/*\"}}\n");
    struct boot boot;

    (void)state;
    publish_boot(c, &boot);
    assert_int_equal(boot.workers, 3);
    assert_int_equal(boot.drain_ms, 5000);
    assert_int_equal(boot.listen_n, 2);
    assert_string_equal(boot.listen[0], "127.0.0.1:8491");
    assert_string_equal(boot.listen[1], "unix:/run/w.sock");
    assert_string_equal(boot.admin_http, "");
    config_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosted),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_reload_leaves_no_trace),
        cmocka_unit_test(test_ids_stay),
        cmocka_unit_test(test_ids_are_recycled_late),
        cmocka_unit_test(test_broken_blob),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_boot),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
