#include "proto/dialect/chat.h"

#include <stdlib.h>
#include <string.h>

const char *finish_word(enum finish f)
{
    switch (f) {
    case FINISH_NONE: return "";
    case FINISH_STOP: return "stop";
    case FINISH_STOP_SEQUENCE: return "stop_sequence";
    case FINISH_TOOL_CALLS: return "tool_calls";
    case FINISH_LENGTH: return "length";
    case FINISH_CONTEXT_FULL: return "context_full";
    case FINISH_CONTENT_FILTER: return "content_filter";
    case FINISH_REFUSAL: return "refusal";
    case FINISH_PAUSE: return "pause";
    case FINISH_ERROR: return "error";
    case FINISH_OTHER: return "other";
    }
    return "";
}

struct chat *chat_new(struct arena *a)
{
    struct chat *chat = arena_zalloc(a, sizeof *chat);
    chat->used_before = a->used;
    chat->max_output = chat->parallel_tools = chat->schema_strict = chat->thinking_shown = -1;
    chat->choices = 1;
    return chat;
}

/* ---- Loss ---- */

static bool loss_has(const struct loss *l, struct str name)
{
    struct str rest = loss_view(l);
    while (rest.n > 0)
        if (str_eq(str_split(&rest, ','), name)) return true;
    return false;
}

void loss_add(struct loss *l, struct str name)
{
    enum { MOST = 60, ELLIPSIS = 4 };
    char clean[MOST];
    size_t n = name.n < MOST ? name.n : MOST;
    for (size_t i = 0; i < n; i++) {
        char c = name.p[i];
        clean[i] = c > 0x20 && c < 0x7F && c != ',' ? c : '_';
    }
    struct str s = {clean, n};
    if (n == 0 || l->cut || loss_has(l, s)) return;
    if (l->n + 1 + n + ELLIPSIS > sizeof l->text) {
        memcpy(l->text + l->n, ",...", ELLIPSIS);
        l->n += ELLIPSIS;
        l->cut = true;
        return;
    }
    if (l->n > 0) l->text[l->n++] = ',';
    memcpy(l->text + l->n, clean, n);
    l->n += n;
}

void loss_addz(struct loss *l, const char *name)
{
    loss_add(l, str_of(name));
}

void loss_add_list(struct loss *l, struct str names)
{
    while (names.n > 0) loss_add(l, str_split(&names, ','));
}

struct str loss_view(const struct loss *l)
{
    return (struct str){l->text, l->n};
}

/* ---- Building ---- */

enum weir_err chat_check_size(const struct chat *chat, const struct arena *a, struct str *ret_why)
{
    if (a->used - chat->used_before <= CHAT_MAX_BYTES) return WEIR_OK;
    *ret_why = STR("the conversation has too many small pieces to be translated");
    return WEIR_TOO_LARGE;
}

struct part *part_add(struct parts *list, struct arena *a, enum part_kind kind)
{
    struct part *p = arena_zalloc(a, sizeof *p);
    p->kind = kind;
    *(list->last == NULL ? &list->first : &list->last->next) = p;
    list->last = p;
    list->n++;
    return p;
}

struct name *name_add(struct names *list, struct arena *a, struct str text)
{
    struct name *n = arena_zalloc(a, sizeof *n);
    n->text = text;
    *(list->last == NULL ? &list->first : &list->last->next) = n;
    list->last = n;
    list->n++;
    return n;
}

bool name_in(const struct names *list, struct str text)
{
    for (const struct name *n = list->first; n != NULL; n = n->next)
        if (str_eq(n->text, text)) return true;
    return false;
}

void chat_hint(struct chat *chat, struct arena *a, struct str name)
{
    if (chat->hints.n < HINTS_MOST && !name_in(&chat->hints, name)) name_add(&chat->hints, a, name);
}

struct str chat_tool_name(const struct chat *chat, struct str name, struct str *ret_space)
{
    for (const struct name *r = chat == NULL ? NULL : chat->renamed.first; r != NULL; r = r->next)
        if (str_eq(r->text, name)) {
            name = r->value;
            break;
        }
    for (const struct name *s = chat == NULL ? NULL : chat->spaces.first; s != NULL && ret_space != NULL; s = s->next)
        if (str_eq(s->text, name)) {
            *ret_space = s->value;
            return str_slice(name, s->value.n + 2, name.n);
        }
    return name;
}

/* FNV-1a: two long names that begin alike must not become one. */
static uint32_t hash(struct str s)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)s.p[i]) * 16777619u;
    return h;
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

struct str chat_fit_tool_name(struct str name, struct arena *a)
{
    enum { MOST = 64 };
    bool fits = name.n <= MOST && name.n > 0;
    for (size_t i = 0; i < name.n && fits; i++) fits = is_word_char(name.p[i]);
    if (fits) return name;
    char sent[MOST];
    size_t n = name.n < MOST - 9 ? name.n : MOST - 9; /* room for "_" and eight digits */
    for (size_t i = 0; i < n; i++) sent[i] = is_word_char(name.p[i]) ? name.p[i] : '_';
    return arena_printf(a, "%.*s_%08x", (int)n, sent, hash(name));
}

static bool is_nine(struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9')) return false;
    }
    return id.n == 9;
}

struct str chat_nine_id(struct str id, struct arena *a)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char nine[9];
    if (is_nine(id)) return id;
    uint64_t h = str_hash(STR_HASH, id);
    for (size_t i = 0; i < sizeof nine; i++, h /= sizeof letters - 1) nine[i] = letters[h % (sizeof letters - 1)];
    return arena_copy(a, (struct str){nine, sizeof nine});
}

void chat_write_temperature(const struct chat *chat, struct buf *out)
{
    char text[32];
    struct str t = chat->temperature;
    memcpy(text, t.p, t.n < sizeof text ? t.n : 0);
    text[t.n < sizeof text ? t.n : 0] = '\0';
    if (t.n >= sizeof text || strtod(text, NULL) > 1.0)
        buf_addc(out, '1');
    else
        buf_add(out, t);
}

enum weir_err chat_refuse_demands(const struct chat *chat, const char *target, struct arena *a, struct str *ret_why)
{
    if (chat->demands.first == NULL) return WEIR_OK;
    *ret_why = arena_printf(a, "%.*s cannot be carried to a provider that speaks %s",
                            STR_FMT(chat->demands.first->text), target);
    return WEIR_UNSUPPORTED;
}

void chat_lose_hints(const struct chat *chat, struct loss *loss)
{
    for (const struct name *h = chat->hints.first; h != NULL; h = h->next) loss_add(loss, h->text);
}

void chat_meet_demand(struct chat *chat, struct str name)
{
    struct name **at = &chat->demands.first, *before = NULL;
    while (*at != NULL && !str_eq((*at)->text, name)) {
        before = *at;
        at = &(*at)->next;
    }
    if (*at == NULL) return;
    if (*at == chat->demands.last) chat->demands.last = before;
    *at = (*at)->next;
    chat->demands.n--;
}

void chat_share(struct chat *chat, struct arena *a, const char *name, struct str said, struct str json)
{
    struct shared **end = &chat->shared, *s = arena_zalloc(a, sizeof *s); /* there are some fifteen names at most */
    while (*end != NULL) end = &(*end)->next;
    *s = (struct shared){.name = name, .said = said, .json = json};
    *end = s;
}

struct str chat_take_shared(struct chat *chat, const char *name)
{
    for (struct shared *s = chat->shared; s != NULL; s = s->next)
        if (str_is(str_of(name), s->name)) {
            s->taken = true;
            return s->json;
        }
    return STR_NULL;
}

void chat_lose_shared(const struct chat *chat, struct loss *loss)
{
    for (const struct shared *s = chat->shared; s != NULL; s = s->next)
        if (!s->taken) loss_add(loss, s->said);
}

struct str parts_join_text(const struct parts *parts, struct arena *a)
{
    size_t n = 0, count = 0;
    struct str only = STR_NULL;
    for (const struct part *p = parts->first; p != NULL; p = p->next)
        if (p->kind == PART_TEXT && p->text.n > 0) {
            only = p->text;
            n += p->text.n + 2;
            count++;
        }
    if (count < 2) return only;
    char *text = arena_alloc(a, n);
    size_t at = 0;
    for (const struct part *p = parts->first; p != NULL; p = p->next)
        if (p->kind == PART_TEXT && p->text.n > 0) {
            if (at > 0) {
                memcpy(text + at, "\n\n", 2);
                at += 2;
            }
            memcpy(text + at, p->text.p, p->text.n);
            at += p->text.n;
        }
    return (struct str){text, at};
}

/* ---- Words ---- */

static const char *const EFFORTS[] = {"", "none", "minimal", "low", "medium", "high", "xhigh", "max"};

enum effort effort_of_word(struct str word)
{
    for (unsigned i = 1; i < sizeof EFFORTS / sizeof *EFFORTS; i++)
        if (str_is(word, EFFORTS[i])) return (enum effort)i;
    return EFFORT_UNSET;
}

const char *effort_word(enum effort e)
{
    return EFFORTS[e];
}

enum effort chat_effort_of_budget(const struct chat *c)
{
    int64_t budget = c->thinking_budget,
            part = c->budget_is_part && c->max_output > 0 && budget > 0 ? budget / ((c->max_output + 99) / 100) : 0;
    if (budget > 12288 || part >= 65) return EFFORT_HIGH;
    return budget > 2048 || part >= 35 ? EFFORT_MEDIUM : EFFORT_LOW;
}

bool data_url_split(struct str url, struct str *ret_media_type, struct str *ret_data)
{
    const struct str scheme = STR("data:"), coding = STR(";base64,");
    if (!str_ieq(str_slice(url, 0, scheme.n), scheme)) return false;
    /* The head is short: a search of the whole of a large image that has no comma would be wasted. */
    struct str head = str_slice(url, scheme.n, scheme.n + 256);
    ptrdiff_t at = str_find(head, coding);
    if (at < 0) return false;
    struct str type = str_slice(head, 0, (size_t)at);
    *ret_media_type = str_split(&type, ';'); /* without parameters such as charset */
    *ret_data = str_slice(url, scheme.n + (size_t)at + coding.n, url.n);
    return true;
}
