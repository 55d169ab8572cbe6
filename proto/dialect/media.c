#include "proto/dialect/media.h"

#include "proto/base/base64.h"
#include "proto/dialect/dialect.h"

#include <string.h>

enum { NAME_MOST = 120, SIGNATURE_DIGITS = 16, TYPE_MOST = 128 };

const char *media_word(enum part_kind kind)
{
    return kind == PART_IMAGE ? "image" : kind == PART_AUDIO ? "audio" : "document";
}

struct str media_name(struct str url)
{
    size_t n = 0;
    while (n < url.n && n < NAME_MOST && url.p[n] != '?' && url.p[n] != '#') n++;
    return str_slice(url, 0, n);
}

bool media_split_url(struct str url, struct str *ret_origin, struct str *ret_target)
{
    ptrdiff_t fragment = str_chr(url, '#'), scheme = str_find(url, STR("://"));
    if (fragment >= 0) url.n = (size_t)fragment;
    size_t at = scheme < 0 ? url.n : (size_t)scheme + 3;
    while (at < url.n && url.p[at] != '/' && url.p[at] != '?') at++;
    *ret_origin = str_slice(url, 0, at);
    *ret_target = str_slice(url, at, url.n);
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] > '~' || url.p[i] == '\\') return false;
    return true;
}

/* ---- What bytes are ---- */

static bool begins(struct str bytes, size_t at, struct str with)
{
    return str_eq(str_slice(bytes, at, at + with.n), with);
}

static struct str picture(struct str b)
{
    if (begins(b, 0, STR("\x89PNG\r\n\x1a\n"))) return STR("image/png");
    if (begins(b, 0, STR("\xff\xd8\xff"))) return STR("image/jpeg");
    if (begins(b, 0, STR("GIF87a")) || begins(b, 0, STR("GIF89a"))) return STR("image/gif");
    if (begins(b, 0, STR("RIFF")) && begins(b, 8, STR("WEBP"))) return STR("image/webp");
    return STR_NULL;
}

/* As the hub names sound: by OpenAI's word for its format. */
static struct str sound(struct str b)
{
    bool frame = b.n > 1 && (unsigned char)b.p[0] == 0xFF && ((unsigned char)b.p[1] & 0xE6) == 0xE2;
    if (begins(b, 0, STR("RIFF")) && begins(b, 8, STR("WAVE"))) return STR("wav");
    if (begins(b, 0, STR("ID3")) || frame) return STR("mp3");
    return STR_NULL;
}

struct str media_type_of(enum part_kind kind, struct str first_bytes)
{
    if (kind == PART_IMAGE) return picture(first_bytes);
    if (kind == PART_AUDIO) return sound(first_bytes);
    return begins(first_bytes, 0, STR("%PDF-")) ? STR("application/pdf") : STR_NULL;
}

const char *media_types(enum part_kind kind)
{
    return kind == PART_IMAGE   ? "it is no PNG, JPEG, GIF or WebP"
           : kind == PART_AUDIO ? "it is no WAV or MP3"
                                : "it is no PDF";
}

/* ---- What the client sent in base64 ---- */

static bool is_white(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_digit(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

static bool is_standard(struct str text)
{
    size_t n = text.n;
    while (n > 0 && text.n - n < 2 && text.p[n - 1] == '=') n--;
    bool sound = text.n % 4 == 0;
    for (size_t i = 0; i < n; i++) sound &= is_digit(text.p[i]);
    return sound;
}

static struct str standard_base64(struct str text, struct arena *a)
{
    if (is_standard(text)) return text;
    char *to = arena_alloc(a, text.n + 3);
    size_t n = 0, end = text.n;
    while (end > 0 && (text.p[end - 1] == '=' || is_white(text.p[end - 1]))) end--;
    for (size_t i = 0; i < end; i++) {
        char c = text.p[i] == '-' ? '+' : text.p[i] == '_' ? '/' : text.p[i];
        if (is_white(c)) continue;
        if (!is_digit(c)) return text;
        to[n++] = c;
    }
    if (n % 4 == 1) return text;
    while (n % 4 != 0) to[n++] = '=';
    return (struct str){to, n};
}

static struct str plain_type(struct str type, struct arena *a)
{
    struct str word = str_trim(str_split(&type, ';'));
    char *to = arena_alloc(a, TYPE_MOST);
    if (word.n > TYPE_MOST) return word;
    for (size_t i = 0; i < word.n; i++)
        to[i] = word.p[i] >= 'A' && word.p[i] <= 'Z' ? (char)(word.p[i] | 0x20) : word.p[i];
    word.p = to;
    return str_is(word, "image/jpg") ? STR("image/jpeg") : word;
}

static bool is_text(struct str type)
{
    return str_starts(type, STR("text/")) || str_is(type, "application/json");
}

static void as_text(struct part *p, struct arena *a)
{
    struct buf bytes = {0};
    if (base64_decode(p->data, &bytes)) {
        p->source = SOURCE_TEXT;
        p->media_type = STR("text/plain");
        p->data = arena_copy(a, buf_view(&bytes));
    }
    buf_fini(&bytes);
}

static void settle(struct part *p, const struct dialect *target, struct arena *a)
{
    struct buf first = {0};
    p->media_type = plain_type(p->media_type, a);
    p->data = standard_base64(p->data, a);
    if (p->kind != PART_AUDIO && base64_decode(str_slice(p->data, 0, SIGNATURE_DIGITS), &first)) {
        struct str type = media_type_of(p->kind, buf_view(&first));
        if (type.n > 0) p->media_type = type;
    }
    buf_fini(&first);
    if (p->kind == PART_DOCUMENT && target->no_text_files && is_text(p->media_type)) as_text(p, a);
}

static void settle_parts(struct parts *parts, const struct dialect *target, struct arena *a)
{
    for (struct part *p = parts->first; p != NULL; p = p->next)
        if (p->kind == PART_TOOL_RESULT)
            settle_parts(&p->content, target, a);
        else if (p->source == SOURCE_BASE64 &&
                 (p->kind == PART_IMAGE || p->kind == PART_DOCUMENT || p->kind == PART_AUDIO))
            settle(p, target, a);
}

void media_settle(struct chat *chat, const struct dialect *target, struct arena *a)
{
    for (struct message *m = chat->messages; m != NULL; m = m->next) settle_parts(&m->parts, target, a);
}

/* ---- Into the parts ---- */

struct inlining {
    const struct dialect *target;
    bool bytes_only;
    struct media_list *list;
    struct arena *arena;
    unsigned wanted;
    struct str *ret_why;
};

static bool is_wanted(const struct inlining *w, const struct part *p)
{
    if (p->source != SOURCE_URL || (p->kind != PART_IMAGE && p->kind != PART_DOCUMENT && p->kind != PART_AUDIO))
        return false;
    if (!str_icontains(str_slice(p->data, 0, 7), STR("http://")) &&
        !str_icontains(str_slice(p->data, 0, 8), STR("https://")))
        return false;
    return w->bytes_only || w->target->takes_url == NULL || !w->target->takes_url(p);
}

static struct media *find(struct inlining *w, const struct part *p)
{
    struct media_list *l = w->list;
    for (struct media *m = l->first; m != NULL; m = m->next)
        if (m->kind == p->kind && str_eq(m->url, p->data)) return m;
    if (l->n == MEDIA_MOST) return NULL;
    struct media *m = arena_zalloc(w->arena, sizeof *m);
    m->url = arena_copy(w->arena, p->data);
    m->kind = p->kind;
    *(l->last == NULL ? &l->first : &l->last->next) = m;
    l->last = m;
    l->n++;
    return m;
}

static enum weir_err inline_part(struct inlining *w, struct part *p)
{
    struct media *m = find(w, p);
    if (m == NULL) {
        *w->ret_why = arena_printf(w->arena, "more than %d images and files by URL", MEDIA_MOST);
        return WEIR_BAD_REQUEST;
    }
    if (m->failed != NULL) {
        *w->ret_why = arena_printf(w->arena, "the %s at %.*s cannot be fetched: %s", media_word(p->kind),
                                   STR_FMT(media_name(p->data)), m->failed);
        return WEIR_BAD_REQUEST;
    }
    if (!m->is_here) {
        w->wanted++;
        return WEIR_OK;
    }
    p->source = SOURCE_BASE64;
    p->media_type = m->type;
    p->data = m->base64;
    return WEIR_OK;
}

static enum weir_err inline_parts(struct inlining *w, struct parts *parts)
{
    enum weir_err e = WEIR_OK;
    for (struct part *p = parts->first; p != NULL && e == WEIR_OK; p = p->next)
        if (p->kind == PART_TOOL_RESULT)
            e = inline_parts(w, &p->content);
        else if (is_wanted(w, p))
            e = inline_part(w, p);
    return e;
}

enum weir_err media_inline(struct chat *chat, const struct dialect *target, bool bytes_only, struct media_list *list,
                           struct arena *a, unsigned *ret_wanted, struct str *ret_why)
{
    struct inlining w = {target, bytes_only, list, a, 0, ret_why};
    enum weir_err e = WEIR_OK;
    for (struct message *m = chat->messages; m != NULL && e == WEIR_OK; m = m->next) e = inline_parts(&w, &m->parts);
    *ret_wanted = w.wanted;
    return e;
}
