#include "proto/auth/sigv4.h"

#include "proto/auth/digest.h"
#include "proto/auth/static_key.h"
#include "proto/base/date.h"
#include "proto/wire/url.h"

#include <stdlib.h>
#include <string.h>

#include <mbedtls/platform_util.h>

/* The special difficulty: both sides must make the same text out of the request. Whatever may differ in spelling (case, order,
 * blanks, escapes) is brought into one form, and nothing else is touched. */

enum { OWN_HEADERS = 3, OWN_PARAMS = 6 };

struct pair { /* a header or a parameter, in its canonical spelling */
    struct str name, value;
    unsigned order; /* where it stood: equal headers keep their order */
};

/* Text under way in a heap buf would be a malloc for each request; its size is known before, so it is a piece of the arena. */
struct text {
    char *p;
    size_t n, cap;
};

static struct text text_new(struct arena *a, size_t cap)
{
    return (struct text){.p = arena_alloc(a, cap + 1), .cap = cap};
}

static void text_add(struct text *t, struct str s)
{
    size_t room = t->cap - t->n, n = s.n < room ? s.n : room;
    if (n > 0) memcpy(t->p + t->n, s.p, n);
    t->n += n;
}

static void text_addc(struct text *t, char c)
{
    text_add(t, (struct str){&c, 1});
}

static struct str text_view(const struct text *t)
{
    return (struct str){t->p, t->n};
}

/* Not printf: a piece may hold any byte. */
static struct text joined(struct arena *a, const struct str *piece, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += piece[i].n;
    struct text t = text_new(a, bytes);
    for (size_t i = 0; i < n; i++) text_add(&t, piece[i]);
    return t;
}

static void add_encoded(struct text *t, struct str s, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (url_is_unreserved((char)c) || (keep_slash && c == '/')) {
            text_addc(t, (char)c);
        } else {
            text_addc(t, '%');
            text_addc(t, digits[c >> 4]);
            text_addc(t, digits[c & 15]);
        }
    }
}

static struct str encoded(struct arena *a, struct str s)
{
    struct text t = text_new(a, 3 * s.n);
    add_encoded(&t, s, false);
    return text_view(&t);
}

/* ---- Path ---- */

/* "/a//b/./../c/" becomes "/a/c/". */
static struct str normal_path(struct arena *a, struct str path)
{
    struct text t = text_new(a, path.n + 1);
    bool ends_with_slash = path.n > 0 && path.p[path.n - 1] == '/';
    while (path.n > 0) {
        struct str segment = str_split(&path, '/');
        if (segment.n == 0 || str_is(segment, ".")) continue;
        if (str_is(segment, "..")) {
            while (t.n > 0 && t.p[--t.n] != '/') continue;
            continue;
        }
        text_addc(&t, '/');
        text_add(&t, segment);
    }
    if (t.n == 0 || ends_with_slash) text_addc(&t, '/');
    return text_view(&t);
}

static struct str canonical_path(const struct sigv4_input *in, struct arena *a)
{
    struct str path = in->keep_path ? in->path : normal_path(a, in->path);
    struct text t = text_new(a, 3 * path.n + 1);
    add_encoded(&t, path, true);
    if (t.n == 0) text_addc(&t, '/');
    return text_view(&t);
}

/* ---- Query ---- */

static int compare_str(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n > 0 ? memcmp(a.p, b.p, n) : 0;
    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static int compare_params(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int c = compare_str(x->name, y->name);
    return c != 0 ? c : compare_str(x->value, y->value);
}

/* Escapes are undone and made again in the one spelling; a '%' that begins none stands for itself. */
static struct str canonical_piece(struct arena *a, struct str piece)
{
    struct text t = text_new(a, piece.n);
    for (size_t i = 0; i < piece.n; i++) {
        char c = piece.p[i];
        char hex[3] = {0};
        char *end = hex;
        if (c == '%' && piece.n - i > 2) {
            memcpy(hex, piece.p + i + 1, 2);
            long v = strtol(hex, &end, 16);
            if (end == hex + 2 && hex[0] != '+' && hex[0] != '-' && hex[0] != ' ') {
                c = (char)v;
                i += 2;
            }
        }
        text_addc(&t, c);
    }
    return encoded(a, text_view(&t));
}

static size_t count(struct str s, char c)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += s.p[i] == c;
    return n;
}

static unsigned read_query(struct str query, struct arena *a, struct pair *params)
{
    unsigned n = 0;
    while (query.n > 0) {
        struct str value = str_split(&query, '&');
        if (value.n == 0) continue;
        struct str name = str_split(&value, '=');
        params[n++] = (struct pair){.name = canonical_piece(a, name), .value = canonical_piece(a, value)};
    }
    return n;
}

static struct str join_query(struct arena *a, const struct pair *params, unsigned n)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < n; i++) bytes += params[i].name.n + params[i].value.n + 2;
    struct text t = text_new(a, bytes);
    for (unsigned i = 0; i < n; i++) {
        if (i > 0) text_addc(&t, '&');
        text_add(&t, params[i].name);
        text_addc(&t, '=');
        text_add(&t, params[i].value);
    }
    return text_view(&t);
}

/* ---- Headers ---- */

/* What proxies and connections add, change or take away: a signature over it would not survive the way. */
static bool may_change(struct str name)
{
    static const char *const names[] = {
        "authorization",     "cache-control", "connection",          "expect",         "from", "keep-alive",
        "max-forwards",      "pragma",        "proxy-authorization", "referer",        "te",   "trailer",
        "transfer-encoding", "upgrade",       "user-agent",          "x-amzn-trace-id"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_iis(name, names[i])) return true;
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct pair canonical_header(struct arena *a, struct str name, struct str value, unsigned order)
{
    struct text n = text_new(a, name.n), v = text_new(a, value.n);
    for (size_t i = 0; i < name.n; i++)
        text_addc(&n, name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] | 0x20) : name.p[i]);
    for (size_t i = 0; i < value.n; i++) {
        if (!is_blank(value.p[i]))
            text_addc(&v, value.p[i]);
        else if (v.n > 0 && v.p[v.n - 1] != ' ')
            text_addc(&v, ' ');
    }
    if (v.n > 0 && v.p[v.n - 1] == ' ') v.n--;
    return (struct pair){.name = text_view(&n), .value = text_view(&v), .order = order};
}

static int compare_headers(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int c = compare_str(x->name, y->name);
    return c != 0 ? c : (x->order > y->order) - (x->order < y->order);
}

struct header_text {
    struct str lines;        /* "host:example.com\n…" */
    struct str signed_names; /* "host;x-amz-date" */
};

static struct header_text join_headers(struct arena *a, struct pair *pairs, unsigned n)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < n; i++) bytes += pairs[i].name.n + pairs[i].value.n + 2;
    struct text lines = text_new(a, bytes), names = text_new(a, bytes);
    qsort(pairs, n, sizeof *pairs, compare_headers);
    for (unsigned i = 0; i < n; i++) {
        if (i > 0 && str_eq(pairs[i].name, pairs[i - 1].name)) {
            lines.p[lines.n - 1] = ','; /* instead of the line end: one line for all of a name */
        } else {
            text_add(&lines, pairs[i].name);
            text_addc(&lines, ':');
            if (i > 0) text_addc(&names, ';');
            text_add(&names, pairs[i].name);
        }
        text_add(&lines, pairs[i].value);
        text_addc(&lines, '\n');
    }
    return (struct header_text){.lines = text_view(&lines), .signed_names = text_view(&names)};
}

/* Into pairs, which has room for OWN_HEADERS more. */
static unsigned read_headers(const struct sigv4_input *in, struct arena *a, struct pair *pairs)
{
    unsigned n = 0;
    for (unsigned i = 0; i < in->n; i++) {
        if (may_change(in->header[i].name)) continue;
        pairs[n] = canonical_header(a, in->header[i].name, in->header[i].value, n);
        n++;
    }
    return n;
}

/* ---- Signature ---- */

static void derive_key(const struct sigv4_input *in, struct str first, struct str day, uint8_t *ret_key)
{
    const struct str steps[] = {day, in->region, in->service, STR("aws4_request")};
    struct str key = first;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        uint8_t next[DIGEST_BYTES];
        digest_hmac(key, steps[i], next);
        memcpy(ret_key, next, DIGEST_BYTES);
        key = (struct str){(const char *)ret_key, DIGEST_BYTES};
    }
}

/* The same for a day, a region, a service and a secret: all of them are compared. */
static void signing_key(const struct sigv4_input *in, struct arena *a, struct str date, uint8_t *ret_key)
{
    struct str day = str_slice(date, 0, 8);
    const struct str piece[] = {day, in->region, STR("/"), in->service, STR("/AWS4"), in->credential.secret};
    struct text of = joined(a, piece, sizeof piece / sizeof *piece);
    struct sign_cache *cache = of.n <= sizeof in->cache->of ? in->cache : NULL;
    if (cache != NULL && cache->n > 0 && str_ct_eq(text_view(&of), (struct str){cache->of, cache->n})) {
        memcpy(ret_key, cache->key, DIGEST_BYTES);
    } else {
        size_t secret_n = in->credential.secret.n + 4;
        derive_key(in, str_slice(text_view(&of), of.n - secret_n, of.n), day, ret_key);
        if (cache != NULL) {
            memcpy(cache->key, ret_key, DIGEST_BYTES);
            memcpy(cache->of, of.p, of.n);
            cache->n = (uint16_t)of.n;
        }
    }
    mbedtls_platform_zeroize(of.p, of.n);
}

static struct str scope_of(const struct sigv4_input *in, struct arena *a, struct str date)
{
    return arena_printf(a, "%.8s/%.*s/%.*s/aws4_request", date.p, STR_FMT(in->region), STR_FMT(in->service));
}

static struct str date_text(const struct sigv4_input *in, struct arena *a)
{
    struct date d = date_of(in->now_s);
    return arena_printf(a, "%04d%02u%02uT%02u%02u%02uZ", d.year, d.month, d.day, d.hour, d.minute, d.second);
}

/* Of ret: date and signed_headers are there; the rest is made. */
static void make_signature(const struct sigv4_input *in, struct arena *a, struct str query, struct str lines,
                           struct sigv4_result *ret)
{
    char hash[DIGEST_HEX_BYTES];
    uint8_t key[DIGEST_BYTES], mac[DIGEST_BYTES];
    char *signature = arena_alloc(a, DIGEST_HEX_BYTES);
    struct str scope = scope_of(in, a, ret->date);
    const struct str piece[] = {in->method, STR("\n"), canonical_path(in, a), STR("\n"), query,           STR("\n"),
                                lines,      STR("\n"), ret->signed_headers,   STR("\n"), in->payload_hash};
    struct text canonical = joined(a, piece, sizeof piece / sizeof *piece);
    ret->canonical = text_view(&canonical);
    digest_sha256_hex(ret->canonical, hash);
    ret->to_sign = arena_printf(a, "AWS4-HMAC-SHA256\n%.*s\n%.*s\n%.*s", STR_FMT(ret->date), STR_FMT(scope),
                                DIGEST_HEX_BYTES, hash);
    signing_key(in, a, ret->date, key);
    digest_hmac((struct str){(const char *)key, sizeof key}, ret->to_sign, mac);
    digest_hex(mac, signature);
    ret->signature = (struct str){signature, DIGEST_HEX_BYTES};
    mbedtls_platform_zeroize(key, sizeof key);
}

void sigv4_headers(const struct sigv4_input *in, struct arena *a, struct sigv4_result *ret)
{
    struct sigv4_result r = {.date = date_text(in, a)};
    struct pair *pairs = arena_alloc(a, (in->n + OWN_HEADERS) * sizeof *pairs);
    struct pair *params = arena_alloc(a, (count(in->query, '&') + 1) * sizeof *params);
    unsigned n = read_headers(in, a, pairs), params_n = read_query(in->query, a, params);
    struct str token = in->credential.session_token;
    pairs[n] = (struct pair){STR("x-amz-date"), r.date, n};
    n++;
    if (token.n > 0 && !in->token_unsigned) {
        pairs[n] = canonical_header(a, STR("x-amz-security-token"), token, n);
        n++;
    }
    if (in->show_payload_hash) {
        pairs[n] = (struct pair){STR("x-amz-content-sha256"), in->payload_hash, n};
        n++;
    }
    qsort(params, params_n, sizeof *params, compare_params);
    struct header_text h = join_headers(a, pairs, n);
    r.signed_headers = h.signed_names;
    make_signature(in, a, join_query(a, params, params_n), h.lines, &r);
    r.authorization = arena_printf(a, "AWS4-HMAC-SHA256 Credential=%.*s/%.*s, SignedHeaders=%.*s, Signature=%.*s",
                                   STR_FMT(in->credential.access_key_id), STR_FMT(scope_of(in, a, r.date)),
                                   STR_FMT(r.signed_headers), STR_FMT(r.signature));
    *ret = r;
}

static struct str number_text(struct arena *a, uint32_t v)
{
    return arena_printf(a, "%u", v);
}

void sigv4_query(const struct sigv4_input *in, struct arena *a, struct sigv4_result *ret)
{
    struct sigv4_result r = {.date = date_text(in, a)};
    struct pair *pairs = arena_alloc(a, (in->n + OWN_HEADERS) * sizeof *pairs);
    struct pair *params = arena_alloc(a, (count(in->query, '&') + 1 + OWN_PARAMS) * sizeof *params);
    struct header_text h = join_headers(a, pairs, read_headers(in, a, pairs));
    r.signed_headers = h.signed_names;
    struct str scope = scope_of(in, a, r.date), token = in->credential.session_token;
    struct str who = arena_printf(a, "%.*s/%.*s", STR_FMT(in->credential.access_key_id), STR_FMT(scope));
    const struct pair own[] = {
        {.name = STR("X-Amz-Algorithm"), .value = STR("AWS4-HMAC-SHA256")},
        {.name = STR("X-Amz-Credential"), .value = encoded(a, who)},
        {.name = STR("X-Amz-Date"), .value = r.date},
        {.name = STR("X-Amz-SignedHeaders"), .value = encoded(a, r.signed_headers)},
        {.name = STR("X-Amz-Expires"), .value = number_text(a, in->expires_s)},
        {.name = STR("X-Amz-Security-Token"), .value = encoded(a, token)},
    };
    unsigned own_n = token.n > 0 ? 6 : 5, signed_n = in->token_unsigned ? 5 : own_n;
    unsigned n = read_query(in->query, a, params);
    memcpy(params + n, own, signed_n * sizeof *own);
    n += signed_n;
    qsort(params, n, sizeof *params, compare_params);
    make_signature(in, a, join_query(a, params, n), h.lines, &r);
    const struct str piece[] = {in->query, in->query.n > 0 ? STR("&") : STR_NULL, join_query(a, own, own_n),
                                STR("&X-Amz-Signature="), r.signature};
    struct text whole = joined(a, piece, sizeof piece / sizeof *piece);
    r.query = text_view(&whole);
    *ret = r;
}

/* ---- The signer ---- */

static bool is_covered(struct str name)
{
    return str_iis(name, "content-type") || (name.n > 6 && str_iis(str_slice(name, 0, 6), "x-amz-"));
}

static struct str body_hash(const struct sign_request *r, struct arena *a)
{
    if (r->payload_hash.n > 0) return r->payload_hash;
    char *hex = arena_alloc(a, DIGEST_HEX_BYTES);
    digest_sha256_hex(r->body, hex);
    return (struct str){hex, DIGEST_HEX_BYTES};
}

enum weir_err sigv4_sign(const struct sign_request *r, const struct credential *c, struct arena *a, struct buf *head)
{
    if (c->access_key_id.n == 0) return static_key_bearer(r, c, a, head);
    if (r->region.n == 0) return WEIR_UP_AUTH;
    struct http1_header *covered = arena_alloc(a, (r->n + 1) * sizeof *covered);
    struct sigv4_result s;
    unsigned n = 0;
    covered[n++] = (struct http1_header){STR("host"), r->host};
    for (unsigned i = 0; i < r->n; i++)
        if (is_covered(r->header[i].name) && !signer_is_credential_header(r->header[i].name))
            covered[n++] = r->header[i];
    struct sigv4_input in = {
        .method = r->method,
        .path = r->path,
        .query = r->query,
        .header = covered,
        .n = n,
        .payload_hash = body_hash(r, a),
        .credential = *c,
        .region = r->region,
        .service = r->service.n > 0 ? r->service : STR("bedrock"),
        .now_s = r->now_s,
        .cache = r->cache,
        .show_payload_hash = true,
    };
    sigv4_headers(&in, a, &s);
    bool sound = http1_write_header(head, STR("x-amz-date"), s.date) &&
                 http1_write_header(head, STR("x-amz-content-sha256"), in.payload_hash) &&
                 (c->session_token.n == 0 || http1_write_header(head, STR("x-amz-security-token"), c->session_token)) &&
                 http1_write_header(head, STR("Authorization"), s.authorization);
    return sound ? WEIR_OK : WEIR_UP_AUTH;
}
