#include "proto/wire/json.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Most bytes of a request are inside strings (prompts, base64 images), so strings are what is made fast: sixteen bytes at a time,
 * stopping at a quote, a backslash, a control character or the first byte of a longer UTF-8 sequence. */

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && is_blank(*p)) p++;
    return p;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* -1 for what is no hexadecimal digit */
static int hex_value(char c)
{
    if (is_digit(c)) return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int hex4(const char *p, const char *end)
{
    int v = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_value(p[i]);
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

/* ---- Strings ---- */

/* To the first byte that is not plain ASCII text inside a string, or end. */
static const char *skip_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), blank = _mm_set1_epi8(0x20);
    for (; end - p >= 16; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, backslash));
        hit = _mm_or_si128(hit, _mm_cmplt_epi8(x, blank)); /* signed: control characters and everything above 0x7F */
        int mask = _mm_movemask_epi8(hit);
        if (mask != 0) return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\') p++;
    return p;
}

/* Behind a run of well-formed UTF-8 sequences of two bytes and more (Unicode 15, table 3-7); NULL where one is broken. */
static const char *skip_utf8(const char *p, const char *end)
{
    const unsigned char *u = (const unsigned char *)p, *e = (const unsigned char *)end;
    while (u < e && *u >= 0x80) {
        unsigned char c = *u;
        unsigned char low = 0x80, high = 0xBF;
        ptrdiff_t need;
        if (c >= 0xE0 && c <= 0xEF) {
            need = 3;
            if (c == 0xE0)
                low = 0xA0; /* overlong below */
            else if (c == 0xED)
                high = 0x9F; /* surrogates above */
        } else if (c >= 0xC2 && c <= 0xDF) {
            need = 2;
        } else if (c >= 0xF0 && c <= 0xF4) {
            need = 4;
            if (c == 0xF0)
                low = 0x90;
            else if (c == 0xF4)
                high = 0x8F; /* beyond U+10FFFF above */
        } else {
            return NULL;
        }
        if (e - u < need || u[1] < low || u[1] > high) return NULL;
        if (need > 2 && (u[2] & 0xC0) != 0x80) return NULL;
        if (need > 3 && (u[3] & 0xC0) != 0x80) return NULL;
        u += need;
    }
    return (const char *)u;
}

/* Behind an escape; NULL where it is none. A surrogate must be one half of a pair. */
static const char *skip_escape(const char *p, const char *end)
{
    if (end - p < 2) return NULL;
    if (p[1] != 'u') return strchr("\"\\/bfnrt", p[1]) != NULL && p[1] != '\0' ? p + 2 : NULL;
    int first = hex4(p + 2, end);
    if (first < 0 || (first >= 0xDC00 && first <= 0xDFFF)) return NULL;
    if (first < 0xD800 || first > 0xDBFF) return p + 6;
    if (end - p < 12 || p[6] != '\\' || p[7] != 'u') return NULL;
    int second = hex4(p + 8, end);
    return second >= 0xDC00 && second <= 0xDFFF ? p + 12 : NULL;
}

struct check {
    const char *end;
    const char *bad_at; /* with what: set when a skip returns NULL */
    const char *what;
};

static const char *refuse(struct check *c, const char *at, const char *what)
{
    c->bad_at = at;
    c->what = what;
    return NULL;
}

/* p stands behind the opening quote; the result behind the closing one. */
static const char *check_string(struct check *c, const char *p)
{
    for (;;) {
        p = skip_plain(p, c->end);
        if (p == c->end) return refuse(c, p, "a string without an end");
        const char *next;
        if (*p == '"') return p + 1;
        if (*p == '\\') {
            next = skip_escape(p, c->end);
            if (next == NULL) return refuse(c, p, "a wrong escape in a string");
        } else if ((unsigned char)*p < 0x20) {
            return refuse(c, p, "a control character in a string");
        } else {
            next = skip_utf8(p, c->end);
            if (next == NULL) return refuse(c, p, "a string that is not UTF-8");
        }
        p = next;
    }
}

/* ---- Numbers and words ---- */

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && is_digit(*p)) p++;
    return p;
}

static const char *check_number(struct check *c, const char *p)
{
    const char *from = p, *end = c->end;
    if (*p == '-') p++;
    if (p == end || !is_digit(*p)) return refuse(c, from, "a wrong number");
    p = *p == '0' ? p + 1 : skip_digits(p, end);
    if (p < end && *p == '.') {
        const char *digits = p + 1;
        p = skip_digits(digits, end);
        if (p == digits) return refuse(c, from, "a wrong number");
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        const char *digits = p;
        p = skip_digits(digits, end);
        if (p == digits) return refuse(c, from, "a wrong number");
    }
    return p;
}

static const char *check_word(struct check *c, const char *p, struct str word)
{
    if ((size_t)(c->end - p) < word.n || memcmp(p, word.p, word.n) != 0)
        return refuse(c, p, "a value that JSON does not know");
    return p + word.n;
}

static const char *check_scalar(struct check *c, const char *p)
{
    switch (*p) {
    case '"': return check_string(c, p + 1);
    case 't': return check_word(c, p, STR("true"));
    case 'f': return check_word(c, p, STR("false"));
    case 'n': return check_word(c, p, STR("null"));
    default:
        if (*p == '-' || is_digit(*p)) return check_number(c, p);
        return refuse(c, p, "a value is missing");
    }
}

/* ---- The whole text ---- */

/* A member's key and its colon; the result stands where the value begins. */
static const char *check_key(struct check *c, const char *p)
{
    p = skip_blanks(p, c->end);
    if (p == c->end || *p != '"') return refuse(c, p, "a member without a name");
    p = check_string(c, p + 1);
    if (p == NULL) return NULL;
    p = skip_blanks(p, c->end);
    if (p == c->end || *p != ':') return refuse(c, p, "no colon after a member's name");
    return p + 1;
}

/* Iterative: a stack of bits tells objects from arrays, so that depth costs no C stack. */
static const char *check_value(struct check *c, const char *p, unsigned *ret_depth)
{
    bool in_object[JSON_MAX_DEPTH];
    unsigned depth = 0, deepest = 0;
    for (;;) {
        p = skip_blanks(p, c->end); /* a value begins here */
        if (p == c->end) return refuse(c, p, "the text ends too early");
        if (*p == '{' || *p == '[') {
            bool object = *p == '{';
            if (depth == JSON_MAX_DEPTH) return refuse(c, p, "nested too deeply");
            in_object[depth++] = object;
            if (depth > deepest) deepest = depth;
            p = skip_blanks(p + 1, c->end);
            bool empty = p < c->end && *p == (object ? '}' : ']');
            if (!empty) {
                if (object && (p = check_key(c, p)) == NULL) return NULL;
                continue;
            }
        } else {
            p = check_scalar(c, p);
            if (p == NULL) return NULL;
        }
        for (;;) { /* a value ended (or an empty container is closed by what follows) */
            if (depth == 0) {
                *ret_depth = deepest;
                return p;
            }
            p = skip_blanks(p, c->end);
            bool object = in_object[depth - 1];
            if (p == c->end) return refuse(c, p, "the text ends too early");
            if (*p == (object ? '}' : ']')) {
                p++;
                depth--;
                continue;
            }
            if (*p != ',') return refuse(c, p, "neither a comma nor an end after a value");
            p++;
            if (object && (p = check_key(c, p)) == NULL) return NULL;
            break;
        }
    }
}

bool json_check(struct str text, unsigned *ret_depth, struct json_error *ret_error)
{
    if (text.p == NULL) text = STR(""); /* no arithmetic on NULL, not even by 0 */
    struct check c = {.end = text.p + text.n};
    unsigned depth = 0;
    const char *p = text.n == 0 ? refuse(&c, text.p, "no text") : check_value(&c, text.p, &depth);
    if (p != NULL) {
        p = skip_blanks(p, c.end);
        if (p != c.end) p = refuse(&c, p, "something follows the value");
    }
    if (p == NULL) {
        *ret_error = (struct json_error){c.what, (size_t)(c.bad_at - text.p)};
        return false;
    }
    *ret_depth = depth;
    return true;
}

/* ---- The top level of text that has passed json_check() ----
 * These trust the grammar, yet never leave the text whatever it is. */

static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        p = skip_plain(p, end);
        if (p == end) return end;
        if (*p == '"') return p + 1;
        if (*p == '\\') p++;
    }
    return end;
}

static const char *skip_value(const char *p, const char *end)
{
    unsigned depth = 0;
    while (p < end) {
        switch (*p) {
        case '"':
            p = skip_string(p, end);
            if (depth == 0) return p;
            break;
        case '{':
        case '[':
            depth++;
            p++;
            break;
        case '}':
        case ']':
            if (depth == 0) return p;
            p++;
            if (--depth == 0) return p;
            break;
        default:
            if (depth == 0 && (*p == ',' || is_blank(*p))) return p;
            p++;
        }
    }
    return end;
}

bool json_next_member(struct str text, size_t *at, struct json_member *ret_member, struct buf *scratch)
{
    if (text.n == 0) return false;
    const char *end = text.p + text.n, *p = text.p + *at;
    p = skip_blanks(p, end);
    if (*at == 0) {
        if (p == end || *p != '{') return false;
        p++;
    } else if (p < end && *p == ',') {
        p++;
    }
    p = skip_blanks(p, end);
    if (p == end || *p != '"') return false;
    const char *key = p;
    p = skip_string(p, end);
    struct str quoted = {key, (size_t)(p - key)};
    p = skip_blanks(p, end);
    if (p == end || *p != ':' || quoted.n < 2) return false;
    p = skip_blanks(p + 1, end);
    const char *value = p;
    p = skip_value(p, end);
    ret_member->key = str_slice(quoted, 1, quoted.n - 1);
    ret_member->value = (struct str){value, (size_t)(p - value)};
    ret_member->at = (size_t)(key - text.p);
    *at = (size_t)(p - text.p);
    if (str_chr(ret_member->key, '\\') >= 0) {
        buf_clear(scratch);
        if (!json_unquote(quoted, scratch)) return false;
        ret_member->key = buf_view(scratch);
    }
    return true;
}

enum json_find json_find(struct str object, const char *key, struct str *ret_value, struct buf *scratch)
{
    struct json_member m;
    size_t at = 0;
    enum json_find found = JSON_ABSENT;
    while (json_next_member(object, &at, &m, scratch)) {
        if (!str_is(m.key, key)) continue;
        if (found != JSON_ABSENT) return JSON_TWICE;
        found = JSON_FOUND;
        *ret_value = m.value;
    }
    return found;
}

static void add_utf8(struct buf *out, unsigned c)
{
    char b[4];
    size_t n;
    if (c < 0x80) {
        b[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        b[0] = (char)(0xC0 | c >> 6);
        b[1] = (char)(0x80 | (c & 0x3F));
        n = 2;
    } else if (c < 0x10000) {
        b[0] = (char)(0xE0 | c >> 12);
        b[1] = (char)(0x80 | (c >> 6 & 0x3F));
        b[2] = (char)(0x80 | (c & 0x3F));
        n = 3;
    } else {
        b[0] = (char)(0xF0 | c >> 18);
        b[1] = (char)(0x80 | (c >> 12 & 0x3F));
        b[2] = (char)(0x80 | (c >> 6 & 0x3F));
        b[3] = (char)(0x80 | (c & 0x3F));
        n = 4;
    }
    buf_add(out, (struct str){b, n});
}

static void add_escape(struct buf *out, const char *p, const char *end)
{
    switch (p[1]) {
    case 'b': buf_addc(out, '\b'); return;
    case 'f': buf_addc(out, '\f'); return;
    case 'n': buf_addc(out, '\n'); return;
    case 'r': buf_addc(out, '\r'); return;
    case 't': buf_addc(out, '\t'); return;
    case 'u': break;
    default: buf_addc(out, p[1]); return;
    }
    unsigned c = (unsigned)hex4(p + 2, end);
    if (c >= 0xD800 && c <= 0xDBFF) c = 0x10000 + ((c - 0xD800) << 10) + ((unsigned)hex4(p + 8, end) - 0xDC00);
    add_utf8(out, c);
}

bool json_unquote(struct str value, struct buf *out)
{
    if (value.n < 2 || value.p[0] != '"' || value.p[value.n - 1] != '"') return false;
    const char *p = value.p + 1, *end = value.p + value.n - 1;
    size_t before = buf_len(out);
    while (p < end) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        const char *to = escape != NULL ? escape : end;
        buf_add(out, (struct str){p, (size_t)(to - p)});
        if (escape == NULL) break;
        p = skip_escape(escape, end);
        if (p == NULL) {
            buf_truncate(out, before);
            return false;
        }
        add_escape(out, escape, end);
    }
    return true;
}

bool json_is_true(struct str value)
{
    return str_is(value, "true");
}

/* ---- Splicing ---- */

static const struct json_patch *patch_of(const struct json_patch *patch, unsigned n, struct str key, uint32_t *done)
{
    for (unsigned i = 0; i < n; i++)
        if (str_is(key, patch[i].key)) {
            *done |= 1u << i;
            return &patch[i];
        }
    return NULL;
}

static void add_members(const struct json_patch *patch, unsigned n, uint32_t done, bool any, struct buf *out)
{
    for (unsigned i = 0; i < n; i++) {
        if ((done & 1u << i) != 0 || patch[i].value.p == NULL) continue;
        if (any) buf_addc(out, ',');
        any = true;
        buf_add_json_str(out, str_of(patch[i].key));
        buf_addc(out, ':');
        buf_add(out, patch[i].value);
    }
}

/* A member owns the bytes from the end of the one before it: blanks, its comma, its name. A removed one goes with all of them;
 * the first that stays behind removed ones leaves its comma away. */
bool json_splice(struct str object, const struct json_patch *patch, unsigned n, struct buf *out)
{
    struct buf scratch = {0};
    struct json_member m;
    size_t at = 0, end = 0; /* end: of the member before */
    uint32_t done = 0;
    bool any = false, removed = false;
    const char *open = object.n == 0 ? NULL : skip_blanks(object.p, object.p + object.n);
    if (open == NULL || open == object.p + object.n || *open != '{' || n > JSON_MAX_PATCHES) return false;
    end = (size_t)(open - object.p) + 1;
    buf_add(out, str_slice(object, 0, end));
    while (json_next_member(object, &at, &m, &scratch)) {
        const struct json_patch *p = patch_of(patch, n, m.key, &done);
        if (p == NULL || p->value.p != NULL) {
            size_t from = removed && !any ? m.at : end;
            size_t value_at = (size_t)(m.value.p - object.p);
            buf_add(out, str_slice(object, from, value_at));
            buf_add(out, p == NULL ? m.value : p->value);
            any = true;
        } else {
            removed = true;
        }
        end = at;
    }
    add_members(patch, n, done, any, out);
    buf_add(out, str_slice(object, end, object.n));
    buf_fini(&scratch);
    return true;
}
