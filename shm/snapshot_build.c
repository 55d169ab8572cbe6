/* snapshot_build.c — an accepted configuration becomes two sealed segments. Texts come first in each, so that their offsets are known
 * while rows are still being added; the tables follow. What was built is opened as a worker would before anybody is told of it. */
#include "shm/snapshot.h"

#include "proto/base/buf.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROW_ALIGN = 8, SECRETS_AT_ONCE = 64 * 1024 };

struct rows {
    struct buf bytes;
    uint32_t n;
};

/* Texts by content: open addressing, offsets into `texts`. */
struct text_index {
    struct snap_str *slot;
    size_t cap, used;
};

struct snap_builder {
    struct snapshot head;
    struct buf texts, secret_texts;
    struct text_index index;
    struct rows providers, targets, legs, routes, aliases, keys, prices, key_routes, strings, secrets;
};

struct snap_builder *snap_builder_new(void)
{
    struct snap_builder *b = xcalloc(1, sizeof *b);

    buf_reserve(&b->secret_texts, SECRETS_AT_ONCE); /* growing would leave copies behind in the heap */
    return b;
}

static void wipe(struct buf *b)
{
    if (b->p != NULL) explicit_bzero(b->p, b->cap);
    buf_fini(b);
}

void snap_builder_free(struct snap_builder **b)
{
    struct snap_builder *x = *b;

    *b = NULL;
    if (x == NULL) return;
    struct rows *all[] = {&x->providers, &x->targets, &x->legs,       &x->routes, &x->aliases,
                          &x->keys,      &x->prices,  &x->key_routes, &x->strings};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) buf_fini(&all[i]->bytes);
    wipe(&x->secret_texts);
    wipe(&x->secrets.bytes);
    buf_fini(&x->texts);
    free(x->index.slot);
    free(x);
}

struct snapshot *snap_builder_head(struct snap_builder *b)
{
    return &b->head;
}

/* ---- texts ---- */

static uint32_t text_put(struct buf *pool, size_t head_bytes, struct str s)
{
    uint32_t off = (uint32_t)(head_bytes + buf_len(pool));

    buf_add(pool, s);
    buf_addc(pool, '\0');
    return off;
}

static struct str text_of(const struct snap_builder *b, struct snap_str s)
{
    return (struct str){buf_view(&b->texts).p + (s.off - sizeof(struct snapshot)), s.n};
}

/* Where s is, or where it belongs. */
static size_t index_find(const struct snap_builder *b, struct str s)
{
    size_t i = crc32c(0, s.p, s.n) & (b->index.cap - 1);

    while (b->index.slot[i].n != 0 && !str_eq(text_of(b, b->index.slot[i]), s)) i = (i + 1) & (b->index.cap - 1);
    return i;
}

static void index_grow(struct snap_builder *b)
{
    struct text_index old = b->index;

    b->index.cap = old.cap == 0 ? 256 : old.cap * 2;
    b->index.slot = xcalloc(b->index.cap, sizeof b->index.slot[0]);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slot[i].n != 0) b->index.slot[index_find(b, text_of(b, old.slot[i]))] = old.slot[i];
    free(old.slot);
}

struct snap_str snap_add_text(struct snap_builder *b, struct str s)
{
    if (s.n == 0) return (struct snap_str){0, 0};
    if (b->index.used * 2 >= b->index.cap) index_grow(b);
    size_t i = index_find(b, s);
    if (b->index.slot[i].n == 0) {
        b->index.slot[i] = (struct snap_str){text_put(&b->texts, sizeof b->head, s), (uint32_t)s.n};
        b->index.used++;
    }
    return b->index.slot[i];
}

/* ---- rows ---- */

static uint32_t row_add(struct rows *r, const void *row, size_t n)
{
    buf_add(&r->bytes, (struct str){row, n});
    return r->n++;
}

uint16_t snap_add_provider(struct snap_builder *b, const struct snap_provider *row)
{
    return (uint16_t)row_add(&b->providers, row, sizeof *row);
}

uint16_t snap_add_target(struct snap_builder *b, const struct snap_target *row)
{
    return (uint16_t)row_add(&b->targets, row, sizeof *row);
}

uint32_t snap_add_leg(struct snap_builder *b, const struct snap_leg *row)
{
    return row_add(&b->legs, row, sizeof *row);
}

uint16_t snap_add_route(struct snap_builder *b, const struct snap_route *row)
{
    return (uint16_t)row_add(&b->routes, row, sizeof *row);
}

void snap_add_alias(struct snap_builder *b, const struct snap_alias *row)
{
    row_add(&b->aliases, row, sizeof *row);
}

void snap_add_key(struct snap_builder *b, const struct snap_key *row)
{
    row_add(&b->keys, row, sizeof *row);
}

uint16_t snap_add_price(struct snap_builder *b, const struct snap_price *row)
{
    return (uint16_t)row_add(&b->prices, row, sizeof *row);
}

uint32_t snap_add_key_route(struct snap_builder *b, uint16_t route)
{
    return row_add(&b->key_routes, &route, sizeof route);
}

uint32_t snap_add_string(struct snap_builder *b, struct str s)
{
    struct snap_str text = snap_add_text(b, s);

    return row_add(&b->strings, &text, sizeof text);
}

uint16_t snap_add_secret(struct snap_builder *b, const struct secret_row *row, struct str value)
{
    struct secret_row own = *row;

    own.value = (struct snap_str){0, 0};
    if (value.n > 0)
        own.value = (struct snap_str){text_put(&b->secret_texts, sizeof(struct secrets), value), (uint32_t)value.n};
    return (uint16_t)row_add(&b->secrets, &own, sizeof own);
}

/* ---- finishing ---- */

static int by_hash(const void *a, const void *b)
{
    const struct snap_key *x = a, *y = b;

    return memcmp(x->sha256, y->sha256, sizeof x->sha256);
}

static size_t aligned(size_t n)
{
    return (n + ROW_ALIGN - 1) & ~(size_t)(ROW_ALIGN - 1);
}

/* Lays a table behind what is there; the second pass, with a base, writes it. */
static size_t table_put(char *base, size_t at, struct rows *r, struct snap_list *ret_list)
{
    struct str rows = buf_view(&r->bytes);

    if (base != NULL && rows.n > 0) memcpy(base + at, rows.p, rows.n);
    *ret_list = (struct snap_list){r->n == 0 ? 0 : (uint32_t)at, r->n};
    return aligned(at + rows.n);
}

static size_t snapshot_put(struct snap_builder *b, char *base)
{
    struct str texts = buf_view(&b->texts);
    struct snapshot *h = &b->head;

    if (base != NULL && texts.n > 0) memcpy(base + sizeof *h, texts.p, texts.n);
    size_t at = aligned(sizeof *h + texts.n);
    at = table_put(base, at, &b->providers, &h->providers);
    at = table_put(base, at, &b->targets, &h->targets);
    at = table_put(base, at, &b->legs, &h->legs);
    at = table_put(base, at, &b->routes, &h->routes);
    at = table_put(base, at, &b->aliases, &h->aliases);
    at = table_put(base, at, &b->keys, &h->keys);
    at = table_put(base, at, &b->prices, &h->prices);
    at = table_put(base, at, &b->key_routes, &h->key_routes);
    return table_put(base, at, &b->strings, &h->strings);
}

static int snapshot_make(struct snap_builder *b, const char **ret_why)
{
    struct segment seg;
    size_t bytes = snapshot_put(b, NULL);
    int fd = segment_create("weir-snapshot", SHM_SNAPSHOT, bytes, &seg, ret_why);

    if (fd < 0) return -1;
    b->head.head = *(struct shm_head *)seg.base;
    snapshot_put(b, seg.base);
    b->head.crc = crc32c(0, (char *)seg.base + sizeof b->head, bytes - sizeof b->head);
    memcpy(seg.base, &b->head, sizeof b->head);
    segment_unmap(&seg);
    return fd;
}

static int secrets_make(struct snap_builder *b, const char **ret_why)
{
    struct segment seg;
    struct str texts = buf_view(&b->secret_texts);
    size_t at = aligned(sizeof(struct secrets) + texts.n);
    int fd = segment_create("weir-secrets", SHM_SECRETS, at + buf_len(&b->secrets.bytes), &seg, ret_why);

    if (fd < 0) return -1;
    struct secrets *s = seg.base;
    s->serial = b->head.serial;
    if (texts.n > 0) memcpy((char *)seg.base + sizeof *s, texts.p, texts.n);
    table_put(seg.base, at, &b->secrets, &s->rows);
    segment_unmap(&seg);
    return fd;
}

static bool is_whole(int snapshot_fd, int secrets_fd, const char **ret_why)
{
    if (!segment_seal(snapshot_fd, ret_why) || !segment_seal(secrets_fd, ret_why)) return false;
    struct snap *sn = snap_open(snapshot_fd, secrets_fd, ret_why);
    if (sn == NULL) return false;
    snap_unref(&sn);
    return true;
}

bool snap_builder_finish(struct snap_builder *b, int *ret_snapshot_fd, int *ret_secrets_fd, const char **ret_why)
{
    if (b->keys.n > 1) qsort(b->keys.bytes.p + b->keys.bytes.head, b->keys.n, sizeof(struct snap_key), by_hash);
    int snapshot_fd = snapshot_make(b, ret_why);
    int secrets_fd = snapshot_fd < 0 ? -1 : secrets_make(b, ret_why);
    bool ok = secrets_fd >= 0 && is_whole(snapshot_fd, secrets_fd, ret_why);

    wipe(&b->secret_texts);
    if (ok) {
        *ret_snapshot_fd = snapshot_fd;
        *ret_secrets_fd = secrets_fd;
        return true;
    }
    if (snapshot_fd >= 0) close(snapshot_fd);
    if (secrets_fd >= 0) close(secrets_fd);
    return false;
}
