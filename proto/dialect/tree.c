#include "proto/dialect/tree.h"

#include "proto/wire/json.h"

#include <string.h>

struct capped {
    struct arena *arena;
    size_t left;
};

static void *capped_alloc(void *ctx, size_t n)
{
    struct capped *c = ctx;
    if (n > c->left) return NULL;
    c->left -= n;
    return arena_alloc(c->arena, n);
}

static void *capped_realloc(void *ctx, void *old, size_t old_n, size_t n)
{
    if (n <= old_n) return old;
    void *p = capped_alloc(ctx, n);
    if (p != NULL) memcpy(p, old, old_n);
    return p;
}

static void capped_free(void *ctx, void *p)
{
    (void)ctx;
    (void)p; /* the arena frees all at once */
}

/* Whether the text may nest deeper than JSON_MAX_DEPTH. Events and most bodies have fewer brackets than that in all, which is
 * seen at a fraction of the cost of reading them; yyjson then checks the grammar itself. */
static bool may_be_deep_text(struct str text)
{
    const uint64_t low = 0x7F7F7F7F7F7F7F7Full, blank = 0x2020202020202020ull, brace = 0x7B7B7B7B7B7B7B7Bull;
    size_t opened = 0, i = 0;
    for (; i + 8 <= text.n;
         i += 8) { /* eight bytes at a time: a byte of `other` has its top bit where it is no bracket */
        uint64_t eight;
        memcpy(&eight, text.p + i, 8);
        eight = (eight | blank) ^ brace;
        uint64_t other = ((eight & low) + low) | eight | low;
        opened += (size_t)(((~other >> 7) * 0x0101010101010101ull) >> 56);
    }
    for (; i < text.n; i++) opened += (text.p[i] | 0x20) == '{'; /* '[' is 0x5B, '{' 0x7B */
    return opened > JSON_MAX_DEPTH;
}

enum { READ_FIRST_BYTES = 16 * 1024 };

/* The same of a tree, for a text so small that it may be read first: its values are fewer than its bytes. yyjson does not recurse. */
static bool may_be_deep_tree(yyjson_doc *doc)
{
    const yyjson_val *v = yyjson_doc_get_root(doc);
    size_t n = yyjson_doc_get_val_count(doc), nests = 0;
    for (size_t i = 0; n > JSON_MAX_DEPTH && i < n; i++) nests += yyjson_is_ctn((yyjson_val *)(uintptr_t)&v[i]);
    return nests > JSON_MAX_DEPTH;
}

static bool is_too_deep(struct str text, struct arena *a, struct str *ret_why)
{
    unsigned depth;
    struct json_error bad;
    if (json_check(text, &depth, &bad)) return false;
    *ret_why = arena_printf(a, "%s at byte %zu", bad.what, bad.at);
    return true;
}

enum weir_err tree_read(struct str text, struct arena *a, yyjson_val **ret_root, struct str *ret_why)
{
    bool is_small = text.n <= READ_FIRST_BYTES;
    if (!is_small && may_be_deep_text(text) && is_too_deep(text, a, ret_why)) return WEIR_BAD_JSON;
    size_t cap = text.n * TREE_BYTES_PER_BYTE + TREE_SLACK_BYTES;
    struct capped capped = {a, cap < TREE_MAX_BYTES ? cap : TREE_MAX_BYTES};
    yyjson_alc alc = {capped_alloc, capped_realloc, capped_free, &capped};
    yyjson_read_err err;
    /* Without in-situ yyjson only reads the text; its parameter is not const for the in-situ case alone. */
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, YYJSON_READ_NUMBER_AS_RAW, &alc, &err);
    if (doc == NULL) {
        if (err.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
            *ret_why = STR("the JSON has too many values for its size");
            return WEIR_TOO_LARGE;
        }
        *ret_why = arena_printf(a, "%s at byte %zu", err.msg, err.pos);
        return WEIR_BAD_JSON;
    }
    if (is_small && may_be_deep_tree(doc) && is_too_deep(text, a, ret_why)) return WEIR_BAD_JSON;
    *ret_root = yyjson_doc_get_root(doc);
    return WEIR_OK;
}

struct str tree_str(yyjson_val *v)
{
    return yyjson_is_str(v) ? (struct str){yyjson_get_str(v), yyjson_get_len(v)} : STR_NULL;
}

struct str tree_num(yyjson_val *v)
{
    return yyjson_is_raw(v) ? (struct str){yyjson_get_raw(v), yyjson_get_len(v)} : STR_NULL;
}

/* "5.0", "5.00e1": integers in another spelling. Slow, seldom, and exact below 2^53. */
static bool integral_double(struct str s, int64_t *ret_value)
{
    char text[32];
    if (s.n == 0 || s.n >= sizeof text) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    yyjson_val v;
    if (yyjson_read_number(text, &v, YYJSON_READ_NOFLAG, NULL, NULL) == NULL) return false;
    double d = yyjson_get_num(&v);
    if (!(d >= -9007199254740992.0 && d <= 9007199254740992.0)) return false;
    int64_t i = (int64_t)d;
    if ((double)i < d || (double)i > d) return false;
    *ret_value = i;
    return true;
}

bool tree_i64(yyjson_val *v, int64_t *ret_value)
{
    struct str s = tree_num(v);
    return str_i64(s, ret_value) || integral_double(s, ret_value);
}

yyjson_val *tree_member(yyjson_val *o, struct str k)
{
    yyjson_val *v = yyjson_obj_getn(o, k.p, k.n);
    return yyjson_is_null(v) ? NULL : v;
}

int64_t tree_member_i64(yyjson_val *o, struct str k)
{
    int64_t v;
    return tree_i64(yyjson_obj_getn(o, k.p, k.n), &v) ? v : -1;
}

int8_t tree_member_bool(yyjson_val *o, struct str k)
{
    yyjson_val *v = yyjson_obj_getn(o, k.p, k.n);
    return yyjson_is_true(v) ? 1 : yyjson_is_false(v) ? 0 : -1;
}

static void emit_object(struct buf *out, yyjson_val *o)
{
    size_t i, n;
    yyjson_val *key, *value;
    buf_addc(out, '{');
    yyjson_obj_foreach(o, i, n, key, value)
    {
        if (i > 0) buf_addc(out, ',');
        buf_add_json_str(out, tree_str(key));
        buf_addc(out, ':');
        tree_emit(out, value);
    }
    buf_addc(out, '}');
}

static void emit_array(struct buf *out, yyjson_val *list)
{
    size_t i, n;
    yyjson_val *value;
    buf_addc(out, '[');
    yyjson_arr_foreach(list, i, n, value)
    {
        if (i > 0) buf_addc(out, ',');
        tree_emit(out, value);
    }
    buf_addc(out, ']');
}

/* Recursion is bounded by JSON_MAX_DEPTH, which the text passed before it became a tree. */
void tree_emit(struct buf *out, yyjson_val *v)
{
    if (yyjson_is_obj(v))
        emit_object(out, v);
    else if (yyjson_is_arr(v))
        emit_array(out, v);
    else if (yyjson_is_str(v))
        buf_add_json_str(out, tree_str(v));
    else if (yyjson_is_raw(v))
        buf_add(out, tree_num(v));
    else
        buf_addz(out, yyjson_is_true(v) ? "true" : yyjson_is_false(v) ? "false" : "null");
}

struct str tree_text(yyjson_val *v, struct arena *a)
{
    struct buf text = {0};
    tree_emit(&text, v);
    struct str copy = arena_copy(a, buf_view(&text));
    buf_fini(&text);
    return copy;
}
