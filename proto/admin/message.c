#include "proto/admin/message.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { LENGTH_BYTES = 4 };

static uint64_t big_endian(const unsigned char *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++) v = v << 8 | p[i];
    return v;
}

enum admin_frame admin_next(const struct buf *in, struct str *ret_payload)
{
    struct str all = buf_view(in);
    if (all.n < LENGTH_BYTES) return ADMIN_MORE;
    uint64_t n = big_endian((const unsigned char *)all.p, LENGTH_BYTES);
    if (n == 0 || n > ADMIN_MAX_FRAME) return ADMIN_BAD;
    if (all.n < LENGTH_BYTES + n) return ADMIN_MORE;
    *ret_payload = str_slice(all, LENGTH_BYTES, LENGTH_BYTES + n);
    return ADMIN_WHOLE;
}

/* ---- Check before unpacking ----
 *
 * A header of five bytes can claim 2^32 elements; msgpack-c would reserve room for them. So this walks the bytes first, with a
 * stack of its own: every claimed element needs at least one byte, and a count above the bytes that remain is a lie. */

struct token {
    size_t skip;       /* bytes of the token itself, payload of strings included */
    uint64_t children; /* values that follow and belong to it */
    bool known;
};

static struct token sized(struct str s, unsigned length_bytes, uint64_t per_child, bool is_container)
{
    if (s.n < 1 + (size_t)length_bytes) return (struct token){0};
    uint64_t n = big_endian((const unsigned char *)s.p + 1, length_bytes);
    if (n > s.n) return (struct token){0};
    return (struct token){.skip = 1 + length_bytes + (is_container ? 0 : (size_t)n),
                          .children = is_container ? n * per_child : 0,
                          .known = true};
}

static struct token token_at(struct str s)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c <= 0x7f || c >= 0xe0) return (struct token){1, 0, true};   /* fixint */
    if (c <= 0x8f) return (struct token){1, 2u * (c & 0x0fu), true}; /* fixmap */
    if (c <= 0x9f) return (struct token){1, c & 0x0fu, true};        /* fixarray */
    if (c <= 0xbf) return (struct token){1u + (c & 0x1fu), 0, true}; /* fixstr */
    switch (c) {
    case 0xc0:
    case 0xc2:
    case 0xc3: return (struct token){1, 0, true}; /* nil, false, true */
    case 0xc4:
    case 0xd9: return sized(s, 1, 0, false); /* bin 8, str 8 */
    case 0xc5:
    case 0xda: return sized(s, 2, 0, false);
    case 0xc6:
    case 0xdb: return sized(s, 4, 0, false);
    case 0xcc:
    case 0xd0: return (struct token){2, 0, true}; /* 8-bit integers */
    case 0xcd:
    case 0xd1: return (struct token){3, 0, true};
    case 0xca:
    case 0xce:
    case 0xd2: return (struct token){5, 0, true}; /* float 32, 32-bit integers */
    case 0xcb:
    case 0xcf:
    case 0xd3: return (struct token){9, 0, true};
    case 0xdc: return sized(s, 2, 1, true); /* array 16, 32 */
    case 0xdd: return sized(s, 4, 1, true);
    case 0xde: return sized(s, 2, 2, true); /* map 16, 32 */
    case 0xdf: return sized(s, 4, 2, true);
    default: return (struct token){0}; /* ext types, 0xc1 */
    }
}

bool admin_check(struct str payload)
{
    uint64_t open[ADMIN_MAX_DEPTH] = {1};
    unsigned depth = 0;
    struct str rest = payload;
    while (true) {
        while (open[depth] == 0) {
            if (depth == 0) return rest.n == 0; /* exactly one value */
            depth--;
        }
        if (rest.n == 0) return false;
        struct token t = token_at(rest);
        if (!t.known || t.skip > rest.n || t.children > rest.n - t.skip) return false;
        rest = str_slice(rest, t.skip, rest.n);
        open[depth]--;
        if (t.children == 0) continue;
        if (++depth == ADMIN_MAX_DEPTH) return false;
        open[depth] = t.children;
    }
}

/* ---- Packing ---- */

static int write_to_buf(void *out, const char *p, size_t n)
{
    buf_add(out, (struct str){p, n});
    return 0;
}

void admin_begin(struct admin_out *o, struct buf *out)
{
    o->out = out;
    o->mark = buf_len(out);
    buf_add(out, (struct str){"\0\0\0\0", LENGTH_BYTES});
    msgpack_packer_init(&o->packer, out, write_to_buf);
}

bool admin_end(struct admin_out *o)
{
    size_t n = buf_len(o->out) - o->mark - LENGTH_BYTES;
    if (n > ADMIN_MAX_FRAME) {
        buf_truncate(o->out, o->mark);
        return false;
    }
    char *length = o->out->p + o->out->head + o->mark;
    for (unsigned i = 0; i < LENGTH_BYTES; i++) length[i] = (char)(n >> (8 * (LENGTH_BYTES - 1 - i)) & 0xff);
    return true;
}

void admin_pack_str(msgpack_packer *p, struct str s)
{
    msgpack_pack_str(p, s.n);
    if (s.n > 0) msgpack_pack_str_body(p, s.p, s.n);
}

void admin_pack_kv_str(msgpack_packer *p, const char *key, struct str value)
{
    admin_pack_str(p, str_of(key));
    admin_pack_str(p, value);
}

void admin_pack_kv_i64(msgpack_packer *p, const char *key, int64_t value)
{
    admin_pack_str(p, str_of(key));
    msgpack_pack_int64(p, value);
}

void admin_pack_kv_bool(msgpack_packer *p, const char *key, bool value)
{
    admin_pack_str(p, str_of(key));
    if (value)
        msgpack_pack_true(p);
    else
        msgpack_pack_false(p);
}

void admin_pack_kv_f64(msgpack_packer *p, const char *key, double value)
{
    admin_pack_str(p, str_of(key));
    msgpack_pack_double(p, value);
}

void admin_pack_kv_nil(msgpack_packer *p, const char *key)
{
    admin_pack_str(p, str_of(key));
    msgpack_pack_nil(p);
}

/* ---- Reading ---- */

static struct str text_of(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_STR ? (struct str){o->via.str.ptr, o->via.str.size} : STR_NULL;
}

const msgpack_object *admin_get(const msgpack_object *map, const char *key)
{
    if (map == NULL || map->type != MSGPACK_OBJECT_MAP) return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];
        if (kv->key.type == MSGPACK_OBJECT_STR && str_is(text_of(&kv->key), key)) return &kv->val;
    }
    return NULL;
}

struct str admin_get_str(const msgpack_object *map, const char *key)
{
    const msgpack_object *o = admin_get(map, key);
    return o == NULL ? STR_NULL : text_of(o);
}

int64_t admin_get_i64(const msgpack_object *map, const char *key, int64_t absent)
{
    const msgpack_object *o = admin_get(map, key);
    if (o != NULL && o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= (uint64_t)INT64_MAX)
        return (int64_t)o->via.u64;
    return o != NULL && o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ? o->via.i64 : absent;
}

bool admin_get_bool(const msgpack_object *map, const char *key, bool absent)
{
    const msgpack_object *o = admin_get(map, key);
    return o != NULL && o->type == MSGPACK_OBJECT_BOOLEAN ? o->via.boolean : absent;
}

static void add_number(struct buf *out, double v)
{
    if (!isfinite(v)) {
        buf_add(out, STR("null")); /* JSON has no word for it */
        return;
    }
    buf_addf(out, "%.9g", v);
}

/* Recursion is bounded by ADMIN_MAX_DEPTH: whatever is printed has passed admin_check() or was packed by us. */
void admin_to_json(const msgpack_object *o, struct buf *out)
{
    switch (o->type) {
    case MSGPACK_OBJECT_BOOLEAN: buf_addz(out, o->via.boolean ? "true" : "false"); break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER: buf_add_u64(out, o->via.u64); break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: buf_add_i64(out, o->via.i64); break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64: add_number(out, o->via.f64); break;
    case MSGPACK_OBJECT_STR: buf_add_json_str(out, text_of(o)); break;
    case MSGPACK_OBJECT_BIN: buf_add_json_str(out, (struct str){o->via.bin.ptr, o->via.bin.size}); break;
    case MSGPACK_OBJECT_ARRAY:
        buf_addc(out, '[');
        for (uint32_t i = 0; i < o->via.array.size; i++) {
            if (i > 0) buf_addc(out, ',');
            admin_to_json(&o->via.array.ptr[i], out);
        }
        buf_addc(out, ']');
        break;
    case MSGPACK_OBJECT_MAP:
        buf_addc(out, '{');
        for (uint32_t i = 0; i < o->via.map.size; i++) {
            if (i > 0) buf_addc(out, ',');
            buf_add_json_str(out, text_of(&o->via.map.ptr[i].key));
            buf_addc(out, ':');
            admin_to_json(&o->via.map.ptr[i].val, out);
        }
        buf_addc(out, '}');
        break;
    default: buf_add(out, STR("null"));
    }
}
