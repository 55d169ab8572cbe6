#include "dataplane/generation.h"

#include "dataplane/core.h"
#include "proto/base/mem.h"
#include "proto/wire/url.h"

#include <stdlib.h>
#include <string.h>

static struct trust *trust_find(struct worker *w, struct str pem)
{
    LIST_EACH(&w->trusts, it, after)
    {
        struct trust *t = LIST_ENTRY(it, struct trust, link);
        if (t->tls != NULL && str_eq((struct str){t->pem, t->pem_n}, pem)) return trust_ref(t);
    }
    struct trust *t = xcalloc(1, sizeof *t);
    t->pem = xmalloc(pem.n + 1);
    if (pem.n > 0) memcpy(t->pem, pem.p, pem.n);
    t->pem[pem.n] = '\0';
    t->pem_n = pem.n;
    t->tls = tls_trust_new((struct str){t->pem, t->pem_n}, &t->why);
    t->refs = 1;
    list_push_back(&w->trusts, &t->link);
    return t;
}

struct trust *trust_ref(struct trust *t)
{
    t->refs++;
    return t;
}

void trust_unref(struct trust **tp)
{
    struct trust *t = *tp;
    *tp = NULL;
    if (t == NULL || --t->refs > 0) return;
    list_remove(&t->link);
    tls_trust_free(&t->tls);
    free(t->pem);
    free(t);
}

/* The separator keeps ("ab", "c") and ("a", "bc") apart. */
static uint64_t print_add(uint64_t h, struct str s)
{
    return str_hash(str_hash(h, s), STR("\xFF"));
}

static void origin_read(struct worker *w, const struct snap *sn, const struct snap_provider *p, struct origin *o)
{
    char rest[4] = {(char)(p->port >> 8), (char)(p->port & 0xFF), (char)p->tls, (char)p->allow_private};
    struct str host = snap_text(sn, p->host), ca = snap_text(sn, p->ca_pem);
    o->print = print_add(STR_HASH, host);
    o->print = print_add(o->print, (struct str){rest, sizeof rest});
    o->print = print_add(o->print, ca);
    if (!url_parse_ip(host, &o->family, o->ip)) o->family = 0;
    if (p->tls) o->trust = trust_find(w, ca);
    if (p->fetch_media) o->media = trust_find(w, STR_NULL);
}

struct generation *generation_open(struct worker *w, int snapshot_fd, int secrets_fd, const char **ret_why)
{
    struct snap *sn = snap_open(snapshot_fd, secrets_fd, ret_why);
    if (sn == NULL) return NULL;
    struct generation *g = xcalloc(1, sizeof *g);
    g->sn = sn;
    g->refs = 1;
    g->origins = xcalloc(sn->s->providers.n + 1, sizeof *g->origins);
    for (uint32_t i = 0; i < sn->s->providers.n; i++) origin_read(w, sn, &sn->providers[i], &g->origins[i]);
    return g;
}

struct generation *generation_ref(struct generation *g)
{
    g->refs++;
    return g;
}

void generation_unref(struct generation **gp)
{
    struct generation *g = *gp;
    *gp = NULL;
    if (g == NULL || --g->refs > 0) return;
    for (uint32_t i = 0; i < g->sn->s->providers.n; i++) {
        trust_unref(&g->origins[i].trust);
        trust_unref(&g->origins[i].media);
    }
    explicit_bzero(g->origins, g->sn->s->providers.n * sizeof *g->origins);
    snap_unref(&g->sn);
    free(g->origins);
    free(g);
}
