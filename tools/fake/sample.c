#include "tools/fake/sample.h"

#include <string.h>
#include <strings.h>

enum { MAX_DEPTH = 12 };

struct sampler {
    yyjson_val *root; /* where "#/$defs/…" leads */
    const char *word;
    struct buf *out;
};

static void add_value(struct sampler *s, yyjson_val *schema, unsigned depth);

static void add_copy(struct sampler *s, yyjson_val *value)
{
    size_t n = 0;
    char *text = yyjson_val_write(value, 0, &n);
    if (text == NULL) {
        buf_add(s->out, STR("null"));
        return;
    }
    buf_add(s->out, (struct str){text, n});
    free(text);
}

static void add_object(struct sampler *s, yyjson_val *schema, unsigned depth)
{
    yyjson_val *properties = yyjson_obj_get(schema, "properties"), *key, *value;
    size_t i, n;
    if (!yyjson_is_obj(properties)) {
        buf_addz(s->out, "{}");
        return;
    }
    buf_addc(s->out, '{');
    yyjson_obj_foreach(properties, i, n, key, value)
    {
        if (i > 0) buf_addc(s->out, ',');
        buf_add_json_str(s->out, (struct str){yyjson_get_str(key), yyjson_get_len(key)});
        buf_addc(s->out, ':');
        add_value(s, value, depth + 1);
    }
    buf_addc(s->out, '}');
}

static void add_array(struct sampler *s, yyjson_val *schema, unsigned depth)
{
    uint64_t least = yyjson_get_uint(yyjson_obj_get(schema, "minItems"));
    buf_addc(s->out, '[');
    for (uint64_t i = 0; i < (least > 0 && least < 16 ? least : 1); i++) {
        if (i > 0) buf_addc(s->out, ',');
        add_value(s, yyjson_obj_get(schema, "items"), depth + 1);
    }
    buf_addc(s->out, ']');
}

static const char *type_of(yyjson_val *schema)
{
    yyjson_val *type = yyjson_obj_get(schema, "type");
    if (yyjson_is_arr(type)) type = yyjson_arr_get_first(type);
    if (yyjson_is_str(type)) return yyjson_get_str(type);
    return yyjson_obj_get(schema, "properties") != NULL ? "object" : "string";
}

static void add_value(struct sampler *s, yyjson_val *schema, unsigned depth)
{
    if (depth > MAX_DEPTH) {
        buf_add(s->out, STR("null"));
        return;
    }
    const char *ref = yyjson_get_str(yyjson_obj_get(schema, "$ref"));
    if (ref != NULL && ref[0] == '#') {
        add_value(s, yyjson_ptr_get(s->root, ref + 1), depth + 1);
        return;
    }
    static const char *const alternatives[] = {"anyOf", "oneOf", "allOf"};
    for (size_t i = 0; i < 3; i++) {
        yyjson_val *list = yyjson_obj_get(schema, alternatives[i]);
        if (yyjson_arr_size(list) > 0) {
            add_value(s, yyjson_arr_get_first(list), depth + 1);
            return;
        }
    }
    yyjson_val *fixed = yyjson_obj_get(schema, "const");
    if (fixed == NULL) fixed = yyjson_arr_get_first(yyjson_obj_get(schema, "enum"));
    const char *type = type_of(schema);
    if (fixed != NULL)
        add_copy(s, fixed);
    else if (strcasecmp(type, "object") == 0)
        add_object(s, schema, depth);
    else if (strcasecmp(type, "array") == 0)
        add_array(s, schema, depth);
    else if (strcasecmp(type, "integer") == 0)
        buf_add(s->out, STR("7"));
    else if (strcasecmp(type, "number") == 0)
        buf_add(s->out, STR("7.5"));
    else if (strcasecmp(type, "boolean") == 0)
        buf_add(s->out, STR("true"));
    else if (strcasecmp(type, "null") == 0)
        buf_add(s->out, STR("null"));
    else
        buf_add_json_str(s->out, str_of(s->word));
}

void sample_json(yyjson_val *schema, const char *word, struct buf *out)
{
    struct sampler s = {schema, word, out};
    if (yyjson_is_obj(schema))
        add_value(&s, schema, 0);
    else
        buf_add(out, STR("{}"));
}
