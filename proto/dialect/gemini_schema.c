/* JSON Schema for Gemini, and Gemini's OpenAPI subset as JSON Schema. */
#include "proto/dialect/gemini.h"

#include "proto/dialect/tree.h"

struct cleaning {
    struct buf *out;
    struct loss *loss; /* NULL: the other way */
};

static void clean(struct cleaning *c, yyjson_val *v, bool is_schema);

/* Keywords that its schema compiler refuses or does not know; $ref and $defs it does. */
static bool is_left_out(struct str key)
{
    static const char *const OUT[] = {"$schema",
                                      "$id",
                                      "$comment",
                                      "patternProperties",
                                      "propertyNames",
                                      "unevaluatedProperties",
                                      "dependentRequired",
                                      "dependentSchemas",
                                      "not",
                                      "if",
                                      "then",
                                      "else",
                                      "contains",
                                      "uniqueItems",
                                      "contentEncoding",
                                      "contentMediaType",
                                      "examples",
                                      "deprecated",
                                      "readOnly",
                                      "writeOnly"};
    for (size_t i = 0; i < sizeof OUT / sizeof *OUT; i++)
        if (str_is(key, OUT[i])) return true;
    return false;
}

/* Annotations may go without a word: they constrain nothing. */
static bool is_annotation(struct str key)
{
    static const char *const WORDS[] = {"$schema",    "$id",      "$comment", "examples",
                                        "deprecated", "readOnly", "writeOnly"};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (str_is(key, WORDS[i])) return true;
    return false;
}

static void lose(struct cleaning *c, struct str key)
{
    char name[48] = "schema.";
    size_t n = sizeof "schema." - 1;
    if (c->loss == NULL || is_annotation(key)) return;
    for (size_t i = 0; i < key.n && n < sizeof name; i++) name[n++] = key.p[i];
    loss_add(c->loss, (struct str){name, n});
}

static bool holds_schemas(struct str key)
{
    return str_is(key, "properties") || str_is(key, "$defs") || str_is(key, "definitions");
}

static bool holds_data(struct str key)
{
    return str_is(key, "enum") || str_is(key, "default") || str_is(key, "const") || str_is(key, "required") ||
           str_is(key, "type");
}

static void clean_object(struct cleaning *c, yyjson_val *o, bool is_schema)
{
    size_t i, n;
    yyjson_val *key, *value;
    bool first = true;
    buf_addc(c->out, '{');
    yyjson_obj_foreach(o, i, n, key, value)
    {
        struct str k = tree_str(key);
        if (is_schema && is_left_out(k)) {
            lose(c, k);
            continue;
        }
        if (!first) buf_addc(c->out, ',');
        first = false;
        if (is_schema && str_is(k, "const")) {
            buf_add(c->out, STR("\"enum\":["));
            tree_emit(c->out, value);
            buf_addc(c->out, ']');
            continue;
        }
        buf_add_json_str(c->out, is_schema && str_is(k, "oneOf") ? STR("anyOf") : k);
        buf_addc(c->out, ':');
        if (is_schema && holds_data(k))
            tree_emit(c->out, value);
        else
            clean(c, value, !(is_schema && holds_schemas(k)));
    }
    buf_addc(c->out, '}');
}

/* The depth is bounded by the reader's own limit. */
static void clean(struct cleaning *c, yyjson_val *v, bool is_schema)
{
    size_t i, n;
    yyjson_val *item;
    if (yyjson_is_obj(v)) {
        clean_object(c, v, is_schema);
    } else if (yyjson_is_arr(v)) {
        buf_addc(c->out, '[');
        yyjson_arr_foreach(v, i, n, item)
        {
            if (i > 0) buf_addc(c->out, ',');
            clean(c, item, is_schema);
        }
        buf_addc(c->out, ']');
    } else {
        tree_emit(c->out, v);
    }
}

void gemini_write_schema(struct str schema, struct arena *a, struct buf *out, struct loss *loss)
{
    yyjson_val *root;
    struct str why;
    struct cleaning c = {out, loss};
    if (tree_read(schema, a, &root, &why) != WEIR_OK)
        buf_add(out, schema);
    else
        clean(&c, root, true);
}

/* ---- The OpenAPI subset ---- */

static void widen(struct buf *out, yyjson_val *v, bool is_schema);

static void add_lower(struct buf *out, struct str word)
{
    buf_addc(out, '"');
    for (size_t i = 0; i < word.n; i++) {
        char c = word.p[i];
        c = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        buf_add_json(out, (struct str){&c, 1});
    }
    buf_addc(out, '"');
}

static void widen_type(struct buf *out, yyjson_val *schema, yyjson_val *type)
{
    bool nullable = yyjson_is_true(tree_get(schema, "nullable"));
    if (!yyjson_is_str(type)) {
        tree_emit(out, type);
        return;
    }
    if (nullable) buf_addc(out, '[');
    add_lower(out, tree_str(type));
    if (nullable) buf_add(out, STR(",\"null\"]"));
}

/* protobuf writes an int64 as a string. Its JSON Schema name, or empty. */
static struct str limit_name(struct str key)
{
    static const char *const rows[][2] = {{"minItems", "min_items"},           {"maxItems", "max_items"},
                                          {"minLength", "min_length"},         {"maxLength", "max_length"},
                                          {"minProperties", "min_properties"}, {"maxProperties", "max_properties"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (str_is(key, rows[i][0]) || str_is(key, rows[i][1])) return str_of(rows[i][0]);
    return STR_NULL;
}

static void widen_limit(struct buf *out, yyjson_val *value)
{
    uint64_t n;
    if (yyjson_is_str(value) && str_u64(tree_str(value), &n))
        buf_addf(out, "%llu", (unsigned long long)n);
    else
        tree_emit(out, value);
}

static void widen_enum(struct buf *out, yyjson_val *schema, yyjson_val *value)
{
    tree_emit(out, value);
    if (!yyjson_is_arr(value) || !yyjson_is_true(tree_get(schema, "nullable"))) return;
    buf_truncate(out, buf_len(out) - 1);
    buf_addz(out, yyjson_arr_size(value) > 0 ? ",null]" : "null]");
}

static void widen_object(struct buf *out, yyjson_val *o, bool is_schema)
{
    size_t i, n;
    yyjson_val *key, *value;
    bool first = true;
    buf_addc(out, '{');
    yyjson_obj_foreach(o, i, n, key, value)
    {
        struct str k = tree_str(key);
        if (is_schema && (str_is(k, "nullable") || str_is(k, "propertyOrdering") || str_is(k, "property_ordering")))
            continue;
        if (is_schema && str_is(k, "format") && str_is(tree_str(value), "enum")) continue;
        if (!first) buf_addc(out, ',');
        first = false;
        struct str limit = is_schema ? limit_name(k) : STR_NULL;
        if (is_schema && str_is(k, "any_of")) k = STR("anyOf");
        buf_add_json_str(out, limit.n > 0 ? limit : k);
        buf_addc(out, ':');
        if (is_schema && str_is(k, "type"))
            widen_type(out, o, value);
        else if (limit.n > 0)
            widen_limit(out, value);
        else if (is_schema && str_is(k, "enum"))
            widen_enum(out, o, value);
        else if (is_schema && holds_data(k))
            tree_emit(out, value);
        else
            widen(out, value, !(is_schema && holds_schemas(k)));
    }
    buf_addc(out, '}');
}

static void widen(struct buf *out, yyjson_val *v, bool is_schema)
{
    size_t i, n;
    yyjson_val *item;
    if (yyjson_is_obj(v)) {
        widen_object(out, v, is_schema);
    } else if (yyjson_is_arr(v)) {
        buf_addc(out, '[');
        yyjson_arr_foreach(v, i, n, item)
        {
            if (i > 0) buf_addc(out, ',');
            widen(out, item, is_schema);
        }
        buf_addc(out, ']');
    } else {
        tree_emit(out, v);
    }
}

struct str gemini_schema_text(yyjson_val *schema, struct arena *a)
{
    struct buf b = {0};
    widen(&b, schema, true);
    struct str text = arena_copy(a, buf_view(&b));
    buf_fini(&b);
    return text;
}
