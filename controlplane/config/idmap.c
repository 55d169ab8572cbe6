#include "controlplane/config/idmap.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "shm/segment.h"

enum { BUCKETS = 1024, ROUTES = 1024, NAME_MAX_BYTES = 512 };

/* The blob: "WIDS", version, then per entry kind, id, name's length, time of rest, name; at the end a CRC-32C of all before it.
 * Integers are little-endian, as they lie in memory on every machine weir is built for. */
static const char blob_magic[4] = {'W', 'I', 'D', 'S'};
enum { BLOB_VERSION = 1, ENTRY_BYTES = 14 };

struct entry {
    char *name;     /* NULL: the number was never given */
    uint64_t rests; /* wall ms since when the name is gone; 0: in use */
    uint16_t n;
    uint16_t next; /* in the bucket; ID_NONE ends it */
    bool asked;    /* since idmap_begin() */
};

struct table {
    struct entry *entry;
    uint16_t used; /* numbers below have or had a name */
    uint16_t bucket[BUCKETS];
};

struct idmap {
    struct table table[ID_KINDS];
};

static const uint16_t capacity[ID_KINDS] = {
    [ID_PROVIDER] = SHM_PROVIDERS, [ID_TARGET] = SHM_TARGETS, [ID_LEG] = SHM_LEGS,
    [ID_ROUTE] = ROUTES,           [ID_KEY] = SHM_KEYS,
};

struct idmap *idmap_new(void)
{
    struct idmap *m = xcalloc(1, sizeof *m);

    for (int kind = 0; kind < ID_KINDS; kind++) {
        m->table[kind].entry = xcalloc(capacity[kind], sizeof(struct entry));
        memset(m->table[kind].bucket, 0xFF, sizeof m->table[kind].bucket);
    }
    return m;
}

void idmap_free(struct idmap **m)
{
    if (*m == NULL) return;
    for (int kind = 0; kind < ID_KINDS; kind++) {
        for (uint16_t id = 0; id < (*m)->table[kind].used; id++) free((*m)->table[kind].entry[id].name);
        free((*m)->table[kind].entry);
    }
    free(*m);
    *m = NULL;
}

static uint16_t *bucket_of(struct table *t, struct str name)
{
    return &t->bucket[crc32c(0, name.p, name.n) % BUCKETS];
}

static void entry_link(struct table *t, uint16_t id, struct str name)
{
    struct entry *e = &t->entry[id];
    uint16_t *bucket = bucket_of(t, name);

    e->name = xmalloc(name.n + 1);
    memcpy(e->name, name.p, name.n);
    e->name[name.n] = '\0';
    e->n = (uint16_t)name.n;
    e->next = *bucket;
    *bucket = id;
}

static void entry_unlink(struct table *t, uint16_t id)
{
    struct entry *e = &t->entry[id];
    uint16_t *link = bucket_of(t, (struct str){e->name, e->n});

    while (*link != id) link = &t->entry[*link].next;
    *link = e->next;
    free(e->name);
    *e = (struct entry){0};
}

static uint16_t entry_find(struct table *t, struct str name)
{
    uint16_t id = *bucket_of(t, name);

    while (id != ID_NONE && !str_eq((struct str){t->entry[id].name, t->entry[id].n}, name)) id = t->entry[id].next;
    return id;
}

/* The number at rest for the longest, if that is long enough. */
static uint16_t entry_recycle(struct table *t, uint64_t now_wall_ms)
{
    uint16_t oldest = ID_NONE;

    for (uint16_t id = 0; id < t->used; id++) {
        const struct entry *e = &t->entry[id];

        if (!e->asked && e->rests != 0 && e->rests + ID_REST_MS <= now_wall_ms &&
            (oldest == ID_NONE || e->rests < t->entry[oldest].rests))
            oldest = id;
    }
    if (oldest != ID_NONE) entry_unlink(t, oldest);
    return oldest;
}

void idmap_begin(struct idmap *m)
{
    for (int kind = 0; kind < ID_KINDS; kind++)
        for (uint16_t id = 0; id < m->table[kind].used; id++) m->table[kind].entry[id].asked = false;
}

uint16_t idmap_id(struct idmap *m, enum id_kind kind, struct str name, uint64_t now_wall_ms)
{
    struct table *t = &m->table[kind];
    uint16_t id;

    if (name.n == 0 || name.n > NAME_MAX_BYTES) return ID_NONE;
    id = entry_find(t, name);
    if (id == ID_NONE) {
        id = t->used < capacity[kind] ? t->used++ : entry_recycle(t, now_wall_ms);
        if (id == ID_NONE) return ID_NONE;
        entry_link(t, id, name);
    }
    t->entry[id].asked = true;
    t->entry[id].rests = 0;
    return id;
}

void idmap_end(struct idmap *m, uint64_t now_wall_ms)
{
    for (int kind = 0; kind < ID_KINDS; kind++)
        for (uint16_t id = 0; id < m->table[kind].used; id++) {
            struct entry *e = &m->table[kind].entry[id];

            if (!e->asked && e->rests == 0) e->rests = now_wall_ms > 0 ? now_wall_ms : 1;
        }
}

struct str idmap_name(const struct idmap *m, enum id_kind kind, uint16_t id)
{
    const struct table *t = &m->table[kind];

    return id < t->used ? (struct str){t->entry[id].name, t->entry[id].n} : STR_NULL;
}

/* ---- the blob ---- */

static void add_number(struct buf *out, uint64_t value, size_t bytes)
{
    buf_add(out, (struct str){(const char *)&value, bytes});
}

static uint64_t read_number(struct str *s, size_t bytes)
{
    uint64_t value = 0;

    memcpy(&value, s->p, bytes);
    *s = str_slice(*s, bytes, s->n);
    return value;
}

void idmap_save(const struct idmap *m, struct buf *out)
{
    size_t start = buf_len(out);
    struct str body;

    buf_add(out, (struct str){blob_magic, sizeof blob_magic});
    add_number(out, BLOB_VERSION, 2);
    for (unsigned kind = 0; kind < ID_KINDS; kind++)
        for (uint16_t id = 0; id < m->table[kind].used; id++) {
            const struct entry *e = &m->table[kind].entry[id];

            add_number(out, kind, 2);
            add_number(out, id, 2);
            add_number(out, e->n, 2);
            add_number(out, e->rests, 8);
            buf_add(out, (struct str){e->name, e->n});
        }
    body = str_slice(buf_view(out), start, buf_len(out));
    add_number(out, crc32c(0, body.p, body.n), 4);
}

/* Numbers of a kind are saved from 0 without a gap, so each must be the next. */
static bool load_entry(struct idmap *m, struct str *rest)
{
    uint64_t kind, id, n, rests;
    struct str name;

    if (rest->n < ENTRY_BYTES) return false;
    kind = read_number(rest, 2);
    id = read_number(rest, 2);
    n = read_number(rest, 2);
    rests = read_number(rest, 8);
    if (kind >= ID_KINDS || id >= capacity[kind] || n == 0 || n > NAME_MAX_BYTES || n > rest->n ||
        id != m->table[kind].used)
        return false;
    name = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n, rest->n);
    if (entry_find(&m->table[kind], name) != ID_NONE) return false;
    m->table[kind].used++;
    entry_link(&m->table[kind], (uint16_t)id, name);
    m->table[kind].entry[id].rests = rests;
    return true;
}

struct idmap *idmap_load(struct str blob, bool *ret_broken)
{
    struct idmap *m = idmap_new();
    struct str rest = str_slice(blob, 0, blob.n >= 4 ? blob.n - 4 : 0);
    uint32_t crc = 0;
    bool is_whole = blob.n >= 10 && memcmp(blob.p, blob_magic, 4) == 0;

    *ret_broken = false;
    if (blob.n == 0) return m;
    if (is_whole) {
        memcpy(&crc, blob.p + rest.n, 4);
        is_whole = crc == crc32c(0, rest.p, rest.n);
        rest = str_slice(rest, 4, rest.n);
        is_whole = is_whole && read_number(&rest, 2) == BLOB_VERSION;
    }
    while (is_whole && rest.n > 0) is_whole = load_entry(m, &rest);
    if (is_whole) return m;
    *ret_broken = true;
    idmap_free(&m);
    return idmap_new();
}
