#include "proto/dialect/schema.h"

#include "proto/dialect/tree.h"

struct writing {
    struct buf *out;
    struct loss *loss;
    struct arena *arena;
};

static const char *const DROPPED[] = {
    "minimum",   "maximum",  "exclusiveMinimum", "exclusiveMaximum", "multipleOf",    "minLength",
    "maxLength", "maxItems", "uniqueItems",      "minProperties",    "maxProperties", "$schema",
};

static bool is_dropped(struct str key, yyjson_val *value)
{
    int64_t n;
    for (size_t i = 0; i < sizeof DROPPED / sizeof *DROPPED; i++)
        if (str_is(key, DROPPED[i])) return true;
    return str_is(key, "minItems") && (!tree_i64(value, &n) || n > 1); /* 0 and 1 are taken */
}

/* Members whose value maps names to schemas: the names are the user's, whatever they are. */
static bool is_map(struct str key)
{
    return str_is(key, "properties") || str_is(key, "$defs") || str_is(key, "definitions") ||
           str_is(key, "patternProperties");
}

static bool holds_schemas(struct str key)
{
    return str_is(key, "items") || str_is(key, "anyOf") || str_is(key, "allOf") || str_is(key, "oneOf") ||
           str_is(key, "not") || str_is(key, "prefixItems") || str_is(key, "if") || str_is(key, "then") ||
           str_is(key, "else") || str_is(key, "contains");
}

static bool is_object_type(yyjson_val *schema)
{
    yyjson_val *type = tree_get(schema, "type"), *one;
    size_t i, n;
    if (str_is(tree_str(type), "object")) return true;
    yyjson_arr_foreach(type, i, n, one)
    {
        if (str_is(tree_str(one), "object")) return true;
    }
    return type == NULL && tree_get(schema, "properties") != NULL;
}

static void write_schema(struct writing *w, yyjson_val *v);

static void write_map(struct writing *w, yyjson_val *map)
{
    size_t i, n;
    yyjson_val *key, *value;
    buf_addc(w->out, '{');
    yyjson_obj_foreach(map, i, n, key, value)
    {
        if (i > 0) buf_addc(w->out, ',');
        buf_add_json_str(w->out, tree_str(key));
        buf_addc(w->out, ':');
        write_schema(w, value);
    }
    buf_addc(w->out, '}');
}

static void write_list(struct writing *w, yyjson_val *list)
{
    size_t i, n;
    yyjson_val *value;
    buf_addc(w->out, '[');
    yyjson_arr_foreach(list, i, n, value)
    {
        if (i > 0) buf_addc(w->out, ',');
        write_schema(w, value);
    }
    buf_addc(w->out, ']');
}

static void write_member(struct writing *w, struct str key, yyjson_val *value)
{
    buf_add_json_str(w->out, str_is(key, "oneOf") ? STR("anyOf") : key);
    buf_addc(w->out, ':');
    if (is_map(key) && yyjson_is_obj(value))
        write_map(w, value);
    else if (holds_schemas(key) && yyjson_is_arr(value))
        write_list(w, value);
    else if (holds_schemas(key))
        write_schema(w, value);
    else
        tree_emit(w->out, value);
}

/* Recursion is bounded by the depth that the body was checked for. */
static void write_schema(struct writing *w, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *key, *value;
    bool first = true, close = is_object_type(v);
    if (!yyjson_is_obj(v)) { /* true and false are schemas */
        tree_emit(w->out, v);
        return;
    }
    buf_addc(w->out, '{');
    yyjson_obj_foreach(v, i, n, key, value)
    {
        struct str k = tree_str(key);
        if (is_dropped(k, value)) {
            if (!str_is(k, "$schema")) loss_add(w->loss, arena_printf(w->arena, "schema.%.*s", STR_FMT(k)));
            continue;
        }
        if (close && str_is(k, "additionalProperties")) {
            if (!yyjson_is_false(value)) loss_addz(w->loss, "schema.additionalProperties");
            continue;
        }
        if (!first) buf_addc(w->out, ',');
        first = false;
        write_member(w, k, value);
    }
    if (close) buf_addz(w->out, first ? "\"additionalProperties\":false" : ",\"additionalProperties\":false");
    buf_addc(w->out, '}');
}

void schema_write_strict(struct str schema, struct arena *a, struct buf *out, struct loss *loss)
{
    struct writing w = {out, loss, a};
    struct str why;
    yyjson_val *root;
    if (tree_read(schema, a, &root, &why) == WEIR_OK)
        write_schema(&w, root);
    else
        buf_add(out, schema);
}
