#include "controlplane/config/overrides.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "shm/segment.h"

/* The blob: "WOVR", the version, the entries as they lie in memory (no pointers, no padding), a CRC-32C of all before it. */
static const char blob_magic[4] = {'W', 'O', 'V', 'R'};
enum { BLOB_VERSION = 1, TARGET_BYTES = NAME_PROVIDER + NAME_MODEL };

struct entry {
    char route[NAME_ROUTE]; /* empty: a drain */
    char target[TARGET_BYTES];
    uint32_t weight;
    uint32_t configured; /* the file's weight when it was set */
};
static_assert(sizeof(struct entry) == NAME_ROUTE + TARGET_BYTES + 8, "entries are saved as they are: no padding");

struct overrides {
    const struct plan *plan; /* NULL until the first overrides_prune() */
    struct entry *at;
    uint32_t n, cap;
};

struct overrides *overrides_new(void)
{
    return xcalloc(1, sizeof(struct overrides));
}

void overrides_free(struct overrides **o)
{
    if (*o == NULL) return;
    free((*o)->at);
    free(*o);
    *o = NULL;
}

void overrides_save(const struct overrides *o, struct buf *out)
{
    size_t start = buf_len(out);
    uint32_t version = BLOB_VERSION;
    uint32_t crc;

    buf_add(out, (struct str){blob_magic, sizeof blob_magic});
    buf_add(out, (struct str){(const char *)&version, sizeof version});
    if (o->n > 0) buf_add(out, (struct str){(const char *)o->at, o->n * sizeof *o->at});
    crc = crc32c(0, buf_view(out).p + start, buf_len(out) - start);
    buf_add(out, (struct str){(const char *)&crc, sizeof crc});
}

struct overrides *overrides_load(struct str blob)
{
    struct overrides *o = overrides_new();
    size_t head = sizeof blob_magic + sizeof(uint32_t);
    uint32_t version, crc;
    size_t bytes;

    if (blob.n < head + sizeof crc || memcmp(blob.p, blob_magic, sizeof blob_magic) != 0) return o;
    memcpy(&version, blob.p + sizeof blob_magic, sizeof version);
    memcpy(&crc, blob.p + blob.n - sizeof crc, sizeof crc);
    bytes = blob.n - head - sizeof crc;
    if (version != BLOB_VERSION || bytes == 0 || bytes % sizeof *o->at != 0 || bytes / sizeof *o->at > OVERRIDES_MAX ||
        crc != crc32c(0, blob.p, blob.n - sizeof crc))
        return o;
    o->n = o->cap = (uint32_t)(bytes / sizeof *o->at);
    o->at = xmalloc(bytes);
    memcpy(o->at, blob.p + head, bytes);
    for (uint32_t i = 0; i < o->n; i++) {
        o->at[i].route[sizeof o->at[i].route - 1] = '\0';
        o->at[i].target[sizeof o->at[i].target - 1] = '\0';
    }
    return o;
}

unsigned overrides_count(const struct overrides *o)
{
    return o->n;
}

/* ---- entries ---- */

static struct entry *find(const struct overrides *o, struct str route, struct str target)
{
    for (uint32_t i = 0; i < o->n; i++)
        if (str_is(route, o->at[i].route) && str_is(target, o->at[i].target)) return &o->at[i];
    return NULL;
}

static void copy_name(struct str s, char *out, size_t room)
{
    size_t n = s.n < room ? s.n : room - 1;

    if (n > 0) memcpy(out, s.p, n);
}

static struct entry *find_or_add(struct overrides *o, struct str route, struct str target)
{
    struct entry *e = find(o, route, target);

    if (e != NULL) return e;
    if (o->n == OVERRIDES_MAX) return NULL;
    if (o->n == o->cap) {
        o->cap = o->cap == 0 ? 16 : 2 * o->cap;
        o->at = xrealloc(o->at, o->cap * sizeof *o->at);
    }
    e = &o->at[o->n++];
    memset(e, 0, sizeof *e);
    copy_name(route, e->route, sizeof e->route);
    copy_name(target, e->target, sizeof e->target);
    return e;
}

static void drop(struct overrides *o, const struct entry *e)
{
    uint32_t i = (uint32_t)(e - o->at);

    memmove(o->at + i, o->at + i + 1, (o->n - i - 1) * sizeof *o->at);
    o->n--;
}

static const struct plan_leg *leg_of(const struct plan *p, struct str route, struct str target)
{
    for (uint32_t i = 0; p != NULL && i < p->legs_n; i++) {
        const struct plan_leg *leg = &p->legs[i];

        if (!leg->is_fallback && str_eq(p->config->routes.at[leg->route].at.name, route) &&
            str_eq(p->targets[leg->target].name, target))
            return leg;
    }
    return NULL;
}

/* ---- weights ---- */

bool overrides_weight(const struct overrides *o, struct str route, struct str target, uint32_t *ret_weight)
{
    const struct entry *e = find(o, route, target);

    if (e != NULL) *ret_weight = e->weight;
    return e != NULL;
}

bool overrides_set_weight(struct overrides *o, struct str route, struct str target, uint32_t weight)
{
    const struct plan_leg *leg = leg_of(o->plan, route, target);
    struct entry *e;

    if (leg == NULL || route.n == 0) return false;
    e = find_or_add(o, route, target);
    if (e == NULL) return false;
    e->weight = weight;
    e->configured = leg->weight;
    if (weight == leg->weight) drop(o, e);
    return true;
}

/* ---- drains ---- */

bool overrides_is_drained(const struct overrides *o, struct str target)
{
    return find(o, STR_NULL, target) != NULL;
}

bool overrides_drain(struct overrides *o, struct str name, bool on)
{
    bool is_known = false;

    for (uint32_t i = 0; o->plan != NULL && i < o->plan->targets_n; i++) {
        const struct plan_target *t = &o->plan->targets[i];
        const struct entry *e = find(o, STR_NULL, t->name);

        if (!str_eq(t->name, name) && !str_eq(o->plan->config->providers.at[t->provider].at.name, name)) continue;
        if (on && e == NULL && find_or_add(o, STR_NULL, t->name) == NULL) return false;
        if (!on && e != NULL) drop(o, e);
        is_known = true;
    }
    return is_known;
}

/* ---- together with the configuration ---- */

/* Why the entry has no place in the plan; NULL: it has. */
static const char *reason_to_drop(const struct entry *e, const struct plan *p)
{
    const struct plan_leg *leg;

    if (e->route[0] == '\0') return plan_target(p, str_of(e->target)) == NULL ? "the target is gone" : NULL;
    leg = leg_of(p, str_of(e->route), str_of(e->target));
    if (leg == NULL) return "the target is gone";
    return leg->weight != e->configured ? "the file has a new one" : NULL;
}

unsigned overrides_prune(struct overrides *o, const struct plan *p, struct buf *lines)
{
    unsigned dropped = 0;

    o->plan = p;
    for (uint32_t i = 0; i < o->n;) {
        const struct entry *e = &o->at[i];
        const char *why = reason_to_drop(e, p);

        if (why == NULL) {
            i++;
            continue;
        }
        if (lines != NULL && e->route[0] == '\0')
            buf_addf(lines, "%s: its drain is dropped, %s\n", e->target, why);
        else if (lines != NULL)
            buf_addf(lines, "routes.%s: weight %u of %s, set at run time, is dropped: %s\n", e->route, e->weight,
                     e->target, why);
        drop(o, e);
        dropped++;
    }
    return dropped;
}

void overrides_apply(const struct overrides *o, uint32_t weight[SHM_LEGS], uint8_t drained[SHM_TARGETS])
{
    const struct plan *p = o->plan;

    for (uint32_t i = 0; p != NULL && i < p->legs_n; i++) {
        const struct plan_leg *leg = &p->legs[i];

        weight[leg->id] = leg->weight;
        if (!leg->is_fallback)
            (void)overrides_weight(o, p->config->routes.at[leg->route].at.name, p->targets[leg->target].name,
                                   &weight[leg->id]);
    }
    for (uint32_t i = 0; p != NULL && i < p->targets_n; i++)
        drained[p->targets[i].id] = overrides_is_drained(o, p->targets[i].name);
}
