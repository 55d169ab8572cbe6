#include "proto/dialect/turns.h"

struct building {
    struct arena *arena;
    struct turns *turns;
    bool mid_system;
};

static struct message *add_turn(struct building *b, enum role role, unsigned index)
{
    struct message *m = arena_zalloc(b->arena, sizeof *m);
    m->role = role;
    m->index = index;
    *(b->turns->last == NULL ? &b->turns->first : &b->turns->last->next) = m;
    b->turns->last = m;
    return m;
}

static void copy_part(struct building *b, struct parts *to, const struct part *p)
{
    struct part *copy = part_add(to, b->arena, p->kind);
    *copy = *p;
    copy->next = NULL;
}

static bool is_empty(const struct part *p)
{
    return (p->kind == PART_TEXT || p->kind == PART_REFUSAL) && p->text.n == 0;
}

static void copy_parts(struct building *b, struct parts *to, const struct parts *from)
{
    for (const struct part *p = from->first; p != NULL; p = p->next)
        if (!is_empty(p)) copy_part(b, to, p);
}

static void add_marked_text(struct building *b, struct parts *to, const struct message *m)
{
    struct str text = parts_join_text(&m->parts, b->arena);
    if (text.n > 0)
        part_add(to, b->arena, PART_TEXT)->text = arena_printf(b->arena, "<system>\n%.*s\n</system>", STR_FMT(text));
}

/* ---- Merging ---- */

static void take_message(struct building *b, const struct message *m)
{
    struct message *last = b->turns->last;
    if (m->role == ROLE_SYSTEM && last == NULL) {
        copy_parts(b, &b->turns->system, &m->parts);
        return;
    }
    enum role role = m->role == ROLE_SYSTEM && !b->mid_system ? ROLE_USER : m->role;
    if (last == NULL || last->role != role) last = add_turn(b, role, m->index);
    if (m->role == ROLE_SYSTEM && !b->mid_system)
        add_marked_text(b, &last->parts, m);
    else
        copy_parts(b, &last->parts, &m->parts);
}

/* A system turn between calls and their results would tear them apart: it goes behind the results. */
static void swap_torn(struct turns *t)
{
    for (struct message **at = &t->first; *at != NULL; at = &(*at)->next) {
        struct message *calls = *at, *system = calls->next, *results = system == NULL ? NULL : system->next;
        bool torn = results != NULL && calls->role == ROLE_ASSISTANT && system->role == ROLE_SYSTEM &&
                    results->role == ROLE_USER && results->parts.n > 0 &&
                    results->parts.first->kind == PART_TOOL_RESULT;
        if (!torn) continue;
        calls->next = results;
        system->next = results->next;
        results->next = system;
        if (t->last == results) t->last = system;
    }
}

/* ---- Pairing calls and results ---- */

static unsigned count(const struct parts *parts, enum part_kind kind)
{
    unsigned n = 0;
    for (const struct part *p = parts->first; p != NULL; p = p->next) n += p->kind == kind;
    return n;
}

static struct part *find(const struct parts *parts, enum part_kind kind, struct str id)
{
    for (struct part *p = parts->first; p != NULL; p = p->next)
        if (p->kind == kind && str_eq(p->id, id)) return p;
    return NULL;
}

static void orphan_to_text(struct building *b, struct parts *to, const struct part *result)
{
    struct str text = parts_join_text(&result->content, b->arena);
    part_add(to, b->arena, PART_TEXT)->text =
        arena_printf(b->arena, "Result of the earlier tool call %.*s:\n%.*s", STR_FMT(result->id), STR_FMT(text));
}

/* Results first, each for a call of the turn before; the rest behind them in its order. */
static void order_user_turn(struct building *b, struct message *user, const struct parts *calls)
{
    struct parts results = {0}, rest = {0};
    for (const struct part *p = user->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_TOOL_RESULT)
            copy_part(b, &rest, p);
        else if (calls == NULL || find(calls, PART_TOOL_CALL, p->id) == NULL ||
                 find(&results, PART_TOOL_RESULT, p->id) != NULL)
            orphan_to_text(b, &rest, p);
        else
            copy_part(b, &results, p);
    }
    for (const struct part *c = calls == NULL ? NULL : calls->first; c != NULL; c = c->next) {
        if (c->kind != PART_TOOL_CALL || find(&results, PART_TOOL_RESULT, c->id) != NULL) continue;
        struct part *p = part_add(&results, b->arena, PART_TOOL_RESULT);
        p->id = c->id;
        p->is_error = true;
        part_add(&p->content, b->arena, PART_TEXT)->text = STR("The tool call has no result.");
    }
    if (rest.first != NULL) {
        *(results.last == NULL ? &results.first : &results.last->next) = rest.first;
        results.last = rest.last;
        results.n += rest.n;
    }
    user->parts = results;
}

static void name_calls(struct building *b, struct message *m)
{
    unsigned n = 0;
    for (struct part *p = m->parts.first; p != NULL; p = p->next)
        if (p->kind == PART_TOOL_CALL && ++n && p->id.n == 0) p->id = arena_printf(b->arena, "call_%u_%u", m->index, n);
}

static enum weir_err pair(struct building *b, struct str *ret_why)
{
    for (struct message *m = b->turns->first; m != NULL; m = m->next) {
        unsigned calls = m->role == ROLE_ASSISTANT ? count(&m->parts, PART_TOOL_CALL) : 0;
        if (calls > TURN_CALLS_MOST || count(&m->parts, PART_TOOL_RESULT) > TURN_CALLS_MOST) {
            *ret_why =
                arena_printf(b->arena, "messages[%u]: more than %d tool calls in one turn", m->index, TURN_CALLS_MOST);
            return WEIR_BAD_REQUEST;
        }
        name_calls(b, m);
        if (calls > 0 && (m->next == NULL || m->next->role != ROLE_USER)) { /* nothing answers them */
            struct message *user = arena_zalloc(b->arena, sizeof *user);
            *user = (struct message){.next = m->next, .role = ROLE_USER, .index = m->index};
            m->next = user;
            if (b->turns->last == m) b->turns->last = user;
        }
    }
    const struct message *before = NULL;
    for (struct message *m = b->turns->first; m != NULL; before = m, m = m->next)
        if (m->role == ROLE_USER)
            order_user_turn(b, m, before != NULL && before->role == ROLE_ASSISTANT ? &before->parts : NULL);
    return WEIR_OK;
}

enum weir_err turns_build(const struct chat *chat, bool mid_system, struct arena *a, struct turns *ret_turns,
                          struct str *ret_why)
{
    *ret_turns = (struct turns){0};
    struct building b = {a, ret_turns, mid_system};
    for (const struct message *m = chat->messages; m != NULL; m = m->next) take_message(&b, m);
    swap_torn(ret_turns);
    enum weir_err e = pair(&b, ret_why);
    for (struct message *m = ret_turns->first; m != NULL && e == WEIR_OK; m = m->next)
        if (m->parts.n == 0) part_add(&m->parts, a, PART_TEXT)->text = STR(".");
    return e;
}

void turns_trim_end(const struct turns *turns)
{
    struct part *p = turns->last->parts.last;
    if (p == NULL || p->kind != PART_TEXT) return;
    while (p->text.n > 0 && str_is_blank(str_slice(p->text, p->text.n - 1, p->text.n))) p->text.n--;
}
