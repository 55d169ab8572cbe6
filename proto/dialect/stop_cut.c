#include "proto/dialect/stop_cut.h"

#include <string.h>

enum { SEQUENCES_MOST = 64, SEQUENCE_MOST_BYTES = 256 };

bool stop_cut_ask(struct chat *chat)
{
    if (chat->stop.n > SEQUENCES_MOST) return false;
    for (const struct name *s = chat->stop.first; s != NULL; s = s->next)
        if (s->text.n > SEQUENCE_MOST_BYTES) return false;
    chat->cut_stops = true;
    return true;
}

/* Where the first sequence begins; -1: there is none. Of two at one place the longer. */
static ptrdiff_t find(const struct chat *chat, struct str text, struct str *ret_matched)
{
    ptrdiff_t first = -1;
    for (const struct name *s = chat->stop.first; s != NULL; s = s->next) {
        ptrdiff_t at = s->text.n == 0 ? -1 : str_find(text, s->text);
        if (at < 0 || (first >= 0 && (at > first || (at == first && s->text.n < ret_matched->n)))) continue;
        first = at;
        *ret_matched = s->text;
    }
    return first;
}

/* How much of the end may be the beginning of a sequence. */
static size_t open_end(const struct chat *chat, struct str text)
{
    size_t most = 0;
    for (const struct name *s = chat->stop.first; s != NULL; s = s->next) {
        size_t n = s->text.n > 0 ? s->text.n - 1 : 0;
        if (n > text.n) n = text.n;
        while (n > most && memcmp(text.p + text.n - n, s->text.p, n) != 0) n--;
        if (n > most) most = n;
    }
    return most;
}

void stop_cut_answer(const struct chat *chat, struct answer *answer)
{
    if (chat == NULL || !chat->cut_stops) return;
    unsigned n = 0;
    for (struct part *p = answer->parts.first; p != NULL; p = p->next) {
        struct str matched = STR_NULL;
        ptrdiff_t at = p->kind == PART_TEXT ? find(chat, p->text, &matched) : -1;
        n++;
        if (at < 0) continue;
        p->text.n = (size_t)at;
        p->logprobs = STR_NULL; /* of tokens that nobody sees */
        p->next = NULL;
        answer->parts.last = p;
        answer->parts.n = n;
        answer->finish = FINISH_STOP_SEQUENCE;
        answer->stop_sequence = matched;
        return;
    }
}

static struct str join(struct str a, struct str b, struct arena *arena)
{
    if (a.n == 0) return b;
    char *text = arena_alloc(arena, a.n + b.n + 1);
    memcpy(text, a.p, a.n);
    if (b.n > 0) memcpy(text + a.n, b.p, b.n);
    return (struct str){text, a.n + b.n};
}

static bool take_text(struct stop_cut *s, const struct chat *chat, const struct delta *d, struct arena *a,
                      struct delta *ret_first)
{
    struct str text = join(s->part == d->index ? s->held : STR_NULL, d->text, a);
    ptrdiff_t at = find(chat, text, &s->matched);
    s->is_cut = at >= 0;
    size_t out = s->is_cut ? (size_t)at : text.n - open_end(chat, text);
    s->held = s->is_cut ? STR_NULL : arena_copy(a, str_slice(text, out, text.n));
    s->part = d->index;
    if (out == 0) return true;
    *ret_first = *d;
    ret_first->text = str_slice(text, 0, out);
    ret_first->logprobs = STR_NULL; /* they are of tokens that may be cut */
    return true;
}

/* Behind the cut only the ends of what was begun before it go on, and what is to be paid. */
static bool take_behind(struct stop_cut *s, const struct delta *d, struct delta *ret_first)
{
    switch (d->kind) {
    case DELTA_CLOSE: return d->index >= s->seen;
    case DELTA_FINISH:
        *ret_first = *d;
        ret_first->finish = FINISH_STOP_SEQUENCE;
        ret_first->stop_sequence = s->matched;
        ret_first->text = STR_NULL;
        return true;
    case DELTA_OPEN:
    case DELTA_TEXT:
    case DELTA_ARGUMENTS:
    case DELTA_SIGNATURE: return true;
    default: return false;
    }
}

bool stop_cut_take(struct stop_cut *s, const struct chat *chat, const struct delta *d, struct arena *a,
                   struct delta *ret_first, struct delta *ret_second)
{
    static const struct delta nothing = {.kind = DELTA_ERROR};
    *ret_first = *ret_second = nothing;
    if (chat == NULL || !chat->cut_stops) return false;
    if (s->is_cut) return take_behind(s, d, ret_first);
    if (d->kind == DELTA_OPEN) s->seen = d->index + 1;
    if (d->kind == DELTA_TEXT && d->part == PART_TEXT) return take_text(s, chat, d, a, ret_first);
    if (d->kind != DELTA_CLOSE || d->index != s->part || s->held.n == 0) return false;
    *ret_first = (struct delta){.kind = DELTA_TEXT, .part = PART_TEXT, .index = d->index, .text = s->held};
    *ret_second = *d;
    s->held = STR_NULL;
    return true;
}
