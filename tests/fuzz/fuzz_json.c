/* Any bytes as JSON: json_check() and yyjson agree about them (but for depth, which is ours); of an object every member is seen as
 * yyjson sees it; a splice leaves JSON with the wanted members, and none of what was not patched is changed. */
#include "proto/wire/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

static struct str key_of(yyjson_val *key)
{
    return (struct str){yyjson_get_str(key), yyjson_get_len(key)};
}

static void check_members(struct str text, yyjson_val *root)
{
    struct buf scratch = {0};
    struct json_member m;
    size_t at = 0, i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(root, i, n, key, value)
    {
        assert(json_next_member(text, &at, &m, &scratch));
        assert(str_eq(m.key, key_of(key)));
        yyjson_doc *one = yyjson_read(m.value.p, m.value.n, YYJSON_READ_NUMBER_AS_RAW);
        assert(one != NULL && yyjson_equals(yyjson_doc_get_root(one), value));
        yyjson_doc_free(one);
        if (yyjson_is_str(value)) {
            struct buf s = {0};
            assert(json_unquote(m.value, &s) && str_eq(buf_view(&s), key_of(value)));
            buf_fini(&s);
        }
    }
    assert(!json_next_member(text, &at, &m, &scratch));
    buf_fini(&scratch);
}

static void check_splice(struct str text, yyjson_val *root)
{
    static const struct json_patch patch[] = {{"a", STR_NULL}, {"model", {"[1]", 3}}, {"new", {"{}", 2}}};
    struct buf out = {0};
    struct json_error e;
    unsigned depth;
    assert(json_splice(text, patch, 3, &out));
    assert(json_check(buf_view(&out), &depth, &e));
    yyjson_doc *doc = yyjson_read(buf_view(&out).p, buf_len(&out), YYJSON_READ_NUMBER_AS_RAW);
    assert(doc != NULL);
    yyjson_val *got = yyjson_doc_get_root(doc);
    assert(yyjson_obj_get(got, "a") == NULL);
    assert(yyjson_arr_size(yyjson_obj_get(got, "model")) == 1 && yyjson_is_obj(yyjson_obj_get(got, "new")));
    yyjson_obj_iter it = yyjson_obj_iter_with(got);
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(root, i, n, key, value)
    {
        if (str_is(key_of(key), "a")) continue;
        yyjson_val *k = yyjson_obj_iter_next(&it);
        assert(k != NULL && str_eq(key_of(k), key_of(key)));
        if (!str_is(key_of(key), "model") && !str_is(key_of(key), "new"))
            assert(yyjson_equals(yyjson_obj_iter_get_val(k), value));
    }
    yyjson_doc_free(doc);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    if (size > 0) memcpy(copy, data, size);
    struct str text = {copy, size};
    struct json_error e = {0};
    unsigned depth = 0;
    bool ok = json_check(text, &depth, &e);
    yyjson_doc *doc = yyjson_read(text.p, text.n, YYJSON_READ_NUMBER_AS_RAW);
    if (!ok) assert(e.what != NULL && e.at <= size);
    if (ok || strcmp(e.what, "nested too deeply") != 0) assert(ok == (doc != NULL));
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (ok && yyjson_is_obj(root)) {
        check_members(text, root);
        check_splice(text, root);
    }
    if (!ok) { /* what has not been checked may be looked at as well: nothing beyond the text is read */
        struct json_member m;
        struct buf scratch = {0};
        size_t at = 0, last = 0;
        while (json_next_member(text, &at, &m, &scratch)) {
            assert(at > last && at <= size);
            last = at;
        }
        buf_fini(&scratch);
    }
    yyjson_doc_free(doc);
    free(copy);
    return 0;
}
