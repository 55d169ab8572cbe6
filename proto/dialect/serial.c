#include "proto/dialect/serial.h"

#include "proto/dialect/mark.h"

struct serial_piece {
    struct serial_piece *next;
    enum delta_kind kind;
    struct str text;
};

/* One call's view of its arguments, which all pass on. */
struct telling {
    struct serial *s;
    const struct serial_ops *ops;
    void *w;
    struct buf *out;
};

static void tell_delta(struct telling *t, struct serial_part *p, enum delta_kind kind, struct str text)
{
    p->is_signed |= kind == DELTA_SIGNATURE;
    t->ops->delta(t->w, p, kind, text, t->out);
}

static void close_live(struct telling *t, struct serial_part *p)
{
    if (p->kind == PART_REASONING && !p->is_signed) tell_delta(t, p, DELTA_SIGNATURE, STR(MARK_OPENAI));
    t->ops->close(t->w, p, t->out);
    t->s->done++;
    t->s->first = p->next;
}

/* The first part of the list is live: catches up with what waited, and as long as it is closed already, the next follows. */
static void advance(struct telling *t)
{
    struct serial_part *p;
    while ((p = t->s->first) != NULL) {
        t->ops->open(t->w, p, t->out);
        for (; p->waiting != NULL; p->waiting = p->waiting->next) tell_delta(t, p, p->waiting->kind, p->waiting->text);
        if (!p->closed) return;
        close_live(t, p);
    }
}

static struct serial_part **find(struct serial *s, unsigned index)
{
    struct serial_part **at = &s->first;
    while (*at != NULL && (*at)->index != index) at = &(*at)->next;
    return at;
}

static void open_part(struct telling *t, const struct delta *d)
{
    struct serial_part **end = &t->s->first;
    struct arena *a = t->s->arena;
    if (d->part != PART_TEXT && d->part != PART_REFUSAL && d->part != PART_REASONING && d->part != PART_TOOL_CALL &&
        !(d->part == PART_REDACTED && t->ops->redacted))
        return;
    while (*end != NULL) end = &(*end)->next;
    struct serial_part *p = *end = arena_zalloc(a, sizeof *p);
    p->kind = d->part;
    p->index = d->index;
    p->id = arena_copy(a, d->id);
    p->name = arena_copy(a, d->name);
    p->waiting_end = &p->waiting;
    if (t->s->first == p) t->ops->open(t->w, p, t->out);
}

static void part_delta(struct telling *t, const struct delta *d)
{
    struct serial_part *p = *find(t->s, d->index);
    if (p == NULL || p->closed || d->text.n == 0) return;
    if (p == t->s->first) {
        tell_delta(t, p, d->kind, d->text);
        return;
    }
    struct serial_piece *piece = *p->waiting_end = arena_zalloc(t->s->arena, sizeof *piece);
    piece->kind = d->kind;
    piece->text = arena_copy(t->s->arena, d->text);
    p->waiting_end = &piece->next;
}

static void close_part(struct telling *t, const struct delta *d)
{
    struct serial_part *p = *find(t->s, d->index);
    if (p == NULL) return;
    p->closed = true;
    if (p != t->s->first) return;
    close_live(t, p);
    advance(t);
}

void serial_take(struct serial *s, const struct delta *d, const struct serial_ops *ops, void *w, struct buf *out)
{
    struct telling t = {s, ops, w, out};
    switch (d->kind) {
    case DELTA_OPEN: open_part(&t, d); break;
    case DELTA_TEXT:
    case DELTA_ARGUMENTS:
    case DELTA_CITATION:
    case DELTA_SIGNATURE: part_delta(&t, d); break;
    case DELTA_CLOSE: close_part(&t, d); break;
    default: break;
    }
}

void serial_cite(struct serial *s, const struct delta *d, void (*write)(const struct citation *c, struct buf *out),
                 const struct serial_ops *ops, void *w, struct buf *out)
{
    struct buf json = {0};
    write(d->citation, &json);
    struct delta told = *d;
    told.text = buf_view(&json);
    serial_take(s, &told, ops, w, out);
    buf_fini(&json);
}

void serial_end(struct serial *s, const struct serial_ops *ops, void *w, struct buf *out)
{
    struct telling t = {s, ops, w, out};
    for (struct serial_part *p = s->first; p != NULL; p = p->next) p->closed = true;
    if (s->first == NULL) return;
    close_live(&t, s->first);
    advance(&t);
}
