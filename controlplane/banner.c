#include "controlplane/banner.h"

#include "controlplane/config/env.h"
#include "controlplane/core.h"
#include "proto/base/version.h"

#include <unistd.h>

enum { HINTED_KEY_BYTES = 12 }; /* four of fewer would be too large a part */

void banner_key_hint(struct str key, struct buf *out)
{
    if (key.n < HINTED_KEY_BYTES) return;
    buf_addz(out, "…");
    buf_add(out, str_slice(key, key.n - 4, key.n));
}

void banner_endpoint(const struct core *c, struct buf *out)
{
    const struct texts *listen = &c->config->server.listen;
    for (size_t i = 0; i < listen->n; i++) {
        if (str_starts(listen->at[i], STR("unix:"))) continue;
        buf_addz(out, "http://");
        buf_add(out, listen->at[i]);
        return;
    }
    if (listen->n > 0) buf_add(out, listen->at[0]);
}

static void add_head(const struct core *c, struct buf *out)
{
    buf_addf(out, "weir %s · pid %d · ", weir_version(), (int)getppid());
    if (c->origin == ORIGIN_ENVIRONMENT)
        buf_addz(out, "no weir.yaml found: built one from the environment (keep it: weir config init > weir.yaml)\n");
    else if (c->origin == ORIGIN_FILE)
        buf_addf(out, "%s\n", c->config_path);
    else
        buf_addf(out, "the last accepted configuration, for %s is broken now\n", c->config_path);
}

static void add_provider(const struct config_provider *p, struct buf *out)
{
    struct buf key = {0};
    banner_key_hint(p->api_key, &key);
    buf_addf(out, "  ├ %-11.*s %s", STR_FMT(p->at.name), provider_type_of((unsigned)p->type)->name);
    if (p->fetches_token)
        buf_addz(out, ", key fetched");
    else if (p->api_keys.n > 0)
        buf_addf(out, ", %zu keys", p->api_keys.n);
    else if (p->api_key.n == 0)
        buf_addz(out, ", no key");
    else
        buf_addf(out, ", key %.*s", STR_FMT(buf_view(&key)));
    buf_addf(out, "   %.*s\n", STR_FMT(p->base_url));
    buf_fini(&key);
}

void banner_write(const struct core *c, uint64_t ready_ms, struct buf *out)
{
    const struct config *f = c->config;
    struct buf endpoint = {0};
    banner_endpoint(c, &endpoint);
    add_head(c, out);
    for (size_t i = 0; i < f->providers.n; i++) add_provider(&f->providers.at[i], out);
    buf_addf(out, "  ├ endpoint    %.*s", STR_FMT(buf_view(&endpoint)));
    buf_addz(out, f->auth.mode == AUTH_NONE ? "   no client key is asked for\n" : "   a client key is asked for\n");
    if (f->server.admin.http.n > 0)
        buf_addf(out, "  ├ admin       http://%.*s   /readyz /metrics\n", STR_FMT(f->server.admin.http));
    buf_addf(out, "  ├ prices      built in, %04u-%02u-%02u, %u models\n", c->prices.date / 10000,
             c->prices.date / 100 % 100, c->prices.date % 100, c->prices.n);
    buf_addf(out, "  ├ store       %s   prompts and answers are not kept\n", c->state_dir);
    buf_addf(out, "  └ ready in %llu ms   → eval \"$(weir env)\"   ·   weir status   ·   weir tail -f\n",
             (unsigned long long)ready_ms);
    buf_fini(&endpoint);
}
