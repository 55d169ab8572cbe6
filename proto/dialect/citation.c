#include "proto/dialect/citation.h"

#include "proto/dialect/chat.h"

#include <string.h>

struct citation citation_of(enum citation_kind kind)
{
    return (struct citation){.kind = kind, .end = -1, .number = -1};
}

void citation_set_span(struct citation *c, int64_t start, int64_t end)
{
    bool known = end > 0 && start < end;
    c->start = known && start > 0 ? start : 0;
    c->end = known ? end : -1;
}

void citation_add(struct citations *list, struct arena *a, const struct citation *c)
{
    struct citation **at = &list->first;
    if (list->n == CITATIONS_MOST) return;
    struct citation *own = arena_alloc(a, sizeof *own);
    *own = *c;
    if (list->last != NULL && list->last->start <= c->start) at = &list->last->next; /* as they mostly come */
    while (*at != NULL && (*at)->start <= c->start) at = &(*at)->next;
    own->next = *at;
    *at = own;
    if (own->next == NULL) list->last = own;
    list->n++;
}

void citation_append(struct citations *list, struct citation *own)
{
    *(list->last == NULL ? &list->first : &list->last->next) = own;
    list->last = own;
    list->n++;
}

struct citation *citation_copy(struct arena *a, const struct citation *c)
{
    struct citation *own = arena_alloc(a, sizeof *own);
    *own = *c;
    own->next = NULL;
    own->cited = arena_copy(a, c->cited);
    own->url = arena_copy(a, c->url);
    own->title = arena_copy(a, c->title);
    own->id = arena_copy(a, c->id);
    own->proof = arena_copy(a, c->proof);
    return own;
}

bool citation_fits(const struct citation *c, unsigned kinds)
{
    return (kinds & CITES(c->kind)) != 0 || (c->url.n > 0 && (kinds & CITES(CITED_URL)) != 0);
}

static bool begins_character(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

int64_t citation_points(struct str text)
{
    int64_t n = 0;
    for (size_t i = 0; i < text.n; i++) n += begins_character(text.p[i]);
    return n;
}

static void bound(struct citation *c, int64_t points)
{
    if (c->end < 0 || c->end > points) c->end = points;
    if (c->start < c->end) return;
    c->start = 0; /* a span of another text: what it was for cannot be told any more exactly */
    c->end = points;
}

static bool settle(struct part *p, unsigned kinds)
{
    int64_t points = citation_points(p->text);
    struct citations kept = {0};
    struct citation *next;
    bool all = true;
    for (struct citation *c = p->citations.first; c != NULL; c = next) {
        next = c->next;
        if (points == 0 || !citation_fits(c, kinds)) {
            all = false;
            continue;
        }
        bound(c, points);
        c->next = NULL;
        citation_append(&kept, c);
    }
    p->citations = kept;
    return all;
}

bool citations_settle(struct parts *parts, unsigned kinds)
{
    bool all = true;
    for (struct part *p = parts->first; p != NULL; p = p->next)
        if (p->citations.n > 0) all &= settle(p, kinds);
    return all;
}

/* ---- Blocks of a text ---- */

void cited_walk_init(struct cited_walk *w, struct str text, const struct citations *list)
{
    *w = (struct cited_walk){.left = text, .next = list->first};
}

/* How many bytes lie before that character. */
static size_t bytes_to(const struct cited_walk *w, int64_t point)
{
    size_t i = 0;
    for (int64_t at = w->at; i < w->left.n; i++) {
        if (!begins_character(w->left.p[i])) continue;
        if (at == point) break;
        at++;
    }
    return i;
}

static struct str cut(struct cited_walk *w, size_t n)
{
    struct str text = str_slice(w->left, 0, n);
    w->at += citation_points(text);
    w->left = str_slice(w->left, n, w->left.n);
    return text;
}

static void take_cited(struct cited_walk *w, struct cited_block *b)
{
    int64_t end = -1;
    b->first = w->next;
    for (; w->next != NULL && (b->n == 0 || w->next->start < end); w->next = w->next->next) {
        if (w->next->end < 0)
            end = INT64_MAX;
        else if (w->next->end > end)
            end = w->next->end;
        b->n++;
    }
    size_t n = end <= w->at ? 0 : bytes_to(w, end);
    struct str gap = str_slice(w->left, n, w->left.n);
    if (w->next != NULL) gap = str_slice(gap, 0, bytes_to(w, w->next->start) - n);
    if (n == 0 || str_is_blank(gap)) n += gap.n;
    b->text = cut(w, n);
}

bool cited_walk_next(struct cited_walk *w, struct cited_block *ret_block)
{
    *ret_block = (struct cited_block){0};
    if (w->left.n == 0 && w->next == NULL) return false;
    if (w->next == NULL) {
        ret_block->text = cut(w, w->left.n);
        return true;
    }
    size_t n = w->next->start <= w->at ? 0 : bytes_to(w, w->next->start);
    if (n == 0 || str_is_blank(str_slice(w->left, 0, n)))
        take_cited(w, ret_block);
    else
        ret_block->text = cut(w, n);
    return true;
}

/* ---- Bytes and characters of a text that comes in pieces ---- */

struct text_run {
    int64_t byte, point;
    unsigned width;
};

/* A text whose characters change their width so often is told less exactly from there on. */
enum { RUNS_MOST = 1 << 16 };

static void add_run(struct text_map *m, struct arena *a, unsigned width)
{
    if (m->n == RUNS_MOST) return;
    if (m->n == m->cap) {
        unsigned cap = m->cap == 0 ? 16 : m->cap * 2;
        struct text_run *runs = arena_alloc(a, cap * sizeof *runs);
        if (m->n > 0) memcpy(runs, m->runs, m->n * sizeof *runs);
        m->runs = runs;
        m->cap = cap;
    }
    m->runs[m->n++] = (struct text_run){m->bytes, m->points, width};
}

void text_map_add(struct text_map *m, struct arena *a, struct str text)
{
    for (size_t i = 0, end; i < text.n; i = end) {
        for (end = i + 1; end < text.n && !begins_character(text.p[end]);) end++;
        unsigned width = (unsigned)(end - i);
        if (m->n == 0 || m->runs[m->n - 1].width != width) add_run(m, a, width);
        m->bytes += width;
        m->points++;
    }
}

int64_t text_map_point(const struct text_map *m, int64_t byte)
{
    unsigned low = 0, high = m->n;
    if (byte <= 0 || m->n == 0) return 0;
    if (byte >= m->bytes) return m->points;
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        *(m->runs[middle].byte <= byte ? &low : &high) = middle;
    }
    int64_t point = m->runs[low].point + (byte - m->runs[low].byte) / m->runs[low].width;
    return point < m->points ? point : m->points;
}

int64_t text_map_byte(const struct text_map *m, int64_t point)
{
    unsigned low = 0, high = m->n;
    if (point <= 0 || m->n == 0) return 0;
    if (point >= m->points) return m->bytes;
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        *(m->runs[middle].point <= point ? &low : &high) = middle;
    }
    int64_t byte = m->runs[low].byte + (point - m->runs[low].point) * m->runs[low].width;
    return byte < m->bytes ? byte : m->bytes;
}

/* ---- A stream ---- */

struct citing_part {
    struct citing_part *next;
    unsigned index;
    int64_t before, points;
    struct citations waiting;
};

static struct citing_part **find(struct citing *s, unsigned index)
{
    struct citing_part **at = &s->open;
    while (*at != NULL && (*at)->index != index) at = &(*at)->next;
    return at;
}

struct telling {
    void (*tell)(void *to, const struct delta *d);
    void *to;
};

static void tell_one(const struct telling *t, const struct citing_part *p, const struct citation *c)
{
    struct citation known = *c;
    known.next = NULL;
    bound(&known, p->points);
    t->tell(t->to,
            &(struct delta){
                .kind = DELTA_CITATION, .part = PART_TEXT, .index = p->index, .citation = &known, .before = p->before});
}

static void open_part(struct citing *s, unsigned index, struct arena *a)
{
    struct citing_part *p = arena_zalloc(a, sizeof *p);
    p->index = index;
    p->before = s->points;
    p->next = s->open;
    s->open = p;
}

bool citing_take(struct citing *s, const struct delta *d, struct arena *a,
                 void (*tell)(void *to, const struct delta *d), void *to)
{
    const struct telling t = {tell, to};
    if (d->part != PART_TEXT) return d->kind == DELTA_CITATION;
    if (d->kind == DELTA_OPEN) {
        open_part(s, d->index, a);
        return false;
    }
    struct citing_part **at = find(s, d->index), *p = *at;
    if (p == NULL) {
        if (d->kind == DELTA_CITATION) tell_one(&t, &(struct citing_part){.index = d->index}, d->citation);
        return d->kind == DELTA_CITATION;
    }
    switch (d->kind) {
    case DELTA_TEXT: {
        int64_t points = citation_points(d->text);
        p->points += points;
        s->points += points;
        return false;
    }
    case DELTA_CITATION:
        if (d->citation->end >= 0 && d->citation->end <= p->points)
            tell_one(&t, p, d->citation);
        else
            citation_add(&p->waiting, a, citation_copy(a, d->citation));
        return true;
    case DELTA_CLOSE:
        *at = p->next;
        for (const struct citation *c = p->waiting.first; c != NULL; c = c->next) tell_one(&t, p, c);
        return false;
    default: return false;
    }
}
