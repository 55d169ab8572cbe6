/* schema.c — the key table told to others: as JSON Schema (draft-07, what editors' YAML servers read), as a list for people */
#include <inttypes.h>

#include "controlplane/config/show.h"

static void add_section(struct buf *out, enum key_section s);

/* A value may be a ${VAR} as a whole; then it is text whatever the key wants. */
static void add_or_variable(struct buf *out, const char *schema)
{
    buf_addf(out, "{\"anyOf\":[%s,{\"type\":\"string\",\"pattern\":\"\\\\$\\\\{\"}]}", schema);
}

static void add_enum(struct buf *out, const struct key_row *row)
{
    struct str word;
    bool later;

    buf_addz(out, "\"enum\":[");
    for (unsigned i = 0; (word = key_choice(row->choices, i, &later)).n > 0 && !later; i++) {
        buf_addz(out, i > 0 ? "," : "");
        buf_add_json_str(out, word);
    }
    buf_addc(out, ']');
}

static void add_int(struct buf *out, const struct key_row *row)
{
    struct buf schema = {0};

    buf_addf(&schema, "{\"type\":\"integer\",\"minimum\":%" PRId64 ",\"maximum\":%" PRId64 "}", row->lo, row->hi);
    if (row->kind == KIND_AUTO) buf_addz(&schema, ",{\"const\":\"auto\"}");
    buf_addc(&schema, '\0');
    add_or_variable(out, schema.p);
    buf_fini(&schema);
}

static void add_type(struct buf *out, const struct key_row *row)
{
    switch (row->kind) {
    case KIND_BOOL: add_or_variable(out, "{\"type\":\"boolean\"}"); break;
    case KIND_INT:
    case KIND_AUTO: add_int(out, row); break;
    case KIND_DURATION: buf_addz(out, "{\"type\":\"string\",\"pattern\":\"^\\\\d+(ms|s|m|h|d)$|\\\\$\\\\{\"}"); break;
    case KIND_SIZE: buf_addz(out, "{\"type\":\"string\",\"pattern\":\"^\\\\d+(KiB|MiB|GiB)$|\\\\$\\\\{\"}"); break;
    case KIND_RATE: add_or_variable(out, "{\"type\":\"number\",\"minimum\":0,\"maximum\":1000000}"); break;
    case KIND_PERCENT: buf_addz(out, "{\"type\":\"string\",\"pattern\":\"^\\\\d+(\\\\.\\\\d+)?%$|\\\\$\\\\{\"}"); break;
    case KIND_HASH: buf_addz(out, "{\"type\":\"string\",\"pattern\":\"^sha256:[0-9a-f]{64}$|\\\\$\\\\{\"}"); break;
    case KIND_ENUM:
        buf_addc(out, '{');
        add_enum(out, row);
        buf_addc(out, '}');
        break;
    case KIND_TEXTS:
        buf_addf(out,
                 "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"},"
                 "\"minItems\":%" PRId64 ",\"maxItems\":%" PRId64 "}]}",
                 row->lo, row->hi);
        break;
    case KIND_STATUSES:
        buf_addf(out,
                 "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":%" PRId64 ",\"maximum\":%" PRId64
                 "}}",
                 row->lo, row->hi);
        break;
    case KIND_TAGS:
        buf_addf(out,
                 "{\"type\":[\"object\",\"null\"],\"maxProperties\":%" PRId64
                 ",\"additionalProperties\":{\"type\":[\"string\",\"number\",\"boolean\"]}}",
                 row->hi);
        break;
    case KIND_SECTION: add_section(out, row->sub); break;
    case KIND_PRICE:
        buf_addz(out, "{\"anyOf\":[{\"const\":\"free\"},");
        add_section(out, row->sub);
        buf_addz(out, "]}");
        break;
    case KIND_MAP:
        buf_addf(out,
                 "{\"type\":[\"object\",\"null\"],\"maxProperties\":%" PRId64 ",\"additionalProperties\":", row->hi);
        add_section(out, row->sub);
        buf_addc(out, '}');
        break;
    case KIND_LIST:
        buf_addf(out, "{\"type\":\"array\",\"maxItems\":%" PRId64 ",\"items\":", row->hi);
        add_section(out, row->sub);
        buf_addc(out, '}');
        break;
    default: buf_addz(out, "{\"type\":\"string\"}"); break;
    }
}

static void add_property(struct buf *out, const struct key_row *row)
{
    bool has_default = row->fallback[0] != '\0' && !key_is_required(row);

    buf_add_json_str(out, str_of(row->name));
    buf_addc(out, ':');
    add_type(out, row);
    /* help goes inside the object just written */
    buf_truncate(out, buf_len(out) - 1);
    buf_addz(out, ",\"description\":");
    struct buf help = {0};
    buf_addz(&help, row->help);
    if (has_default) buf_addf(&help, "; default %s", row->fallback);
    if (row->reload == RELOAD_RESTART) buf_addz(&help, "; takes effect at a new start");
    buf_add_json_str(out, buf_view(&help));
    buf_fini(&help);
    buf_addc(out, '}');
}

static void add_section(struct buf *out, enum key_section s)
{
    bool is_first = true;

    buf_addz(out, "{\"type\":[\"object\",\"null\"],\"additionalProperties\":false,\"required\":[");
    for (size_t i = 0; i < key_rows_n; i++) {
        if (key_rows[i].section != s || !key_is_required(&key_rows[i])) continue;
        buf_addz(out, is_first ? "" : ",");
        buf_add_json_str(out, str_of(key_rows[i].name));
        is_first = false;
    }
    buf_addz(out, "],\"properties\":{");
    is_first = true;
    for (size_t i = 0; i < key_rows_n; i++) {
        if (key_rows[i].section != s || key_rows[i].kind == KIND_LATER) continue;
        buf_addz(out, is_first ? "" : ",");
        add_property(out, &key_rows[i]);
        is_first = false;
    }
    buf_addz(out, "}}");
}

void config_schema(struct buf *out)
{
    struct buf root = {0};

    add_section(&root, SECTION_root);
    buf_addz(out, "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"title\":\"weir.yaml\",");
    buf_add(out, str_slice(buf_view(&root), 1, buf_len(&root)));
    buf_addc(out, '\n');
    buf_fini(&root);
}

/* ---- for people ---- */

static void add_wants(const struct key_row *row, struct buf *out)
{
    static const char *const words[] = {
        [KIND_TEXT] = "text",  [KIND_SECRET] = "secret",   [KIND_FILE] = "path",         [KIND_BOOL] = "true, false",
        [KIND_INT] = "number", [KIND_AUTO] = "number",     [KIND_DURATION] = "duration", [KIND_SIZE] = "size",
        [KIND_RATE] = "USD/M", [KIND_PERCENT] = "percent", [KIND_WHEN] = "time",         [KIND_HASH] = "sha256:…",
        [KIND_TEXTS] = "list", [KIND_STATUSES] = "list",   [KIND_TAGS] = "map",          [KIND_PRICE] = "free or map",
    };
    struct str word;
    bool later;

    if (row->kind != KIND_ENUM) {
        buf_addz(out, words[row->kind]);
        return;
    }
    for (unsigned i = 0; (word = key_choice(row->choices, i, &later)).n > 0 && !later; i++)
        buf_addf(out, "%s%.*s", i > 0 ? ", " : "", STR_FMT(word));
}

static void add_key_line(const struct key_row *row, struct str path, struct buf *out)
{
    bool has_default = row->fallback[0] != '\0' && !key_is_required(row);
    struct buf wants = {0};

    add_wants(row, &wants);
    buf_addf(out, "%-34.*s %-18.*s %s%s%s%s%s\n", STR_FMT(path), STR_FMT(buf_view(&wants)), row->help,
             has_default ? " [" : "", has_default ? row->fallback : "", has_default ? "]" : "",
             row->reload == RELOAD_RESTART ? " (restart)" : "");
    buf_fini(&wants);
}

static bool is_under(struct str path, struct str prefix)
{
    return str_starts(path, prefix) && (prefix.n == 0 || path.n == prefix.n || path.p[prefix.n] == '.');
}

static void add_keys(enum key_section s, struct str path, struct str prefix, struct buf *out)
{
    for (size_t i = 0; i < key_rows_n; i++) {
        const struct key_row *row = &key_rows[i];
        bool has_inside = row->kind == KIND_SECTION || row->kind == KIND_MAP || row->kind == KIND_LIST;
        struct buf inner = {0};

        if (row->section != s || row->kind == KIND_LATER) continue;
        buf_addf(&inner, "%.*s%s%s%s", STR_FMT(path), path.n > 0 ? "." : "", row->name,
                 row->kind == KIND_MAP    ? ".NAME"
                 : row->kind == KIND_LIST ? "[]"
                                          : "");
        if (has_inside)
            add_keys(row->sub, buf_view(&inner), prefix, out);
        else if (is_under(buf_view(&inner), prefix))
            add_key_line(row, buf_view(&inner), out);
        buf_fini(&inner);
    }
}

bool config_keys(struct str prefix, struct buf *out)
{
    size_t before = buf_len(out);

    add_keys(SECTION_root, STR_NULL, prefix, out);
    return buf_len(out) > before;
}
