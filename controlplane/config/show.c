#include "controlplane/config/show.h"

#include <string.h>

#include "controlplane/config/env.h"

/* ---- values ---- */

static bool is_plain(struct str s)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "none"};

    if (s.n == 0 || !((s.p[0] >= 'a' && s.p[0] <= 'z') || (s.p[0] >= 'A' && s.p[0] <= 'Z'))) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("_-./", c) != NULL))
            return false;
    }
    for (size_t i = 0; i + 1 < sizeof words / sizeof *words; i++)
        if (str_iis(s, words[i])) return false;
    return true;
}

/* As YAML that reads back as the same text: quoted where it might be anything else, a dollar doubled. */
static void add_text(struct buf *out, struct str s)
{
    struct buf doubled = {0};

    if (is_plain(s)) {
        buf_add(out, s);
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '$') buf_addc(&doubled, '$');
        buf_addc(&doubled, s.p[i]);
    }
    buf_add_json_str(out, buf_view(&doubled));
    buf_fini(&doubled);
}

static void add_secret(struct buf *out, const struct tree_node *written)
{
    struct str name = written != NULL ? env_reference(written->text) : STR_NULL;

    if (name.n > 0)
        buf_addf(out, "\"${%.*s}\"", STR_FMT(name));
    else
        buf_addz(out, "\"***\"");
}

void show_value(const struct key_row *row, const void *field, const struct tree_node *written, struct buf *out)
{
    const struct texts *texts = field;
    const struct named_texts *tags = field;

    switch (row->kind) {
    case KIND_TEXT:
    case KIND_FILE: add_text(out, *(const struct str *)field); break;
    case KIND_SECRET: add_secret(out, written); break;
    case KIND_TEXTS:
        buf_addc(out, '[');
        for (size_t i = 0; i < texts->n; i++) {
            buf_addz(out, i > 0 ? ", " : "");
            add_text(out, texts->at[i]);
        }
        buf_addc(out, ']');
        break;
    case KIND_TAGS:
        buf_addc(out, '{');
        for (size_t i = 0; i < tags->n; i++) {
            buf_addz(out, i > 0 ? ", " : "");
            add_text(out, tags->at[i].name);
            buf_addz(out, ": ");
            add_text(out, tags->at[i].text);
        }
        buf_addc(out, '}');
        break;
    case KIND_STATUSES:
        buf_addc(out, '[');
        key_format(row, field, out);
        buf_addc(out, ']');
        break;
    case KIND_WHEN:
        buf_addc(out, '"');
        key_format(row, field, out);
        buf_addc(out, '"');
        break;
    default: key_format(row, field, out); break;
    }
}

/* ---- the effective configuration ---- */

struct shower {
    struct buf *out;
    const struct config *c;
    bool with_origin;
};

static void show_section(struct shower *w, enum key_section s, const void *base, unsigned indent);

bool show_is_empty(const struct key_row *row, const void *field)
{
    switch (row->kind) {
    case KIND_TEXT:
    case KIND_FILE:
    case KIND_SECRET: return ((const struct str *)field)->n == 0;
    case KIND_TEXTS:
    case KIND_TAGS:
    case KIND_MAP:
    case KIND_LIST: return section_list(field).n == 0;
    case KIND_RATE: return *(const int64_t *)field == RATE_NONE;
    case KIND_WHEN: return *(const int64_t *)field == 0;
    case KIND_PRICE: return section_at(field).node == NULL;
    case KIND_LATER: return true;
    default: return false;
    }
}

/* What stands nowhere in a file that weir would read back. */
static bool is_hidden(const struct key_row *row, const void *base)
{
    const void *field = (const char *)base + row->offset;
    bool is_written = tree_find(section_at(base).node, row->name) != NULL;

    if (row->section == SECTION_admin && strcmp(row->name, "http") == 0) return false; /* empty is "none" */
    if (row->section == SECTION_route && row->kind == KIND_ENUM && ((const struct config_route *)base)->match.n > 0)
        return true;                                          /* a pass-through has no strategy */
    if (row->kind == KIND_SECRET && !is_written) return true; /* came from its file */
    if (row->section == SECTION_provider && !is_written &&
        (row->fallback[0] == '$' || strcmp(row->name, "credentials") == 0))
        return true;                                               /* of some types only, from the environment */
    if (row->section == SECTION_model && !is_written) return true; /* facts that the list knows better */
    return show_is_empty(row, field);
}

static void add_origin(struct shower *w, const struct key_row *row, const struct tree_node *node)
{
    if (!w->with_origin) return;
    if (node == NULL) {
        buf_addz(w->out, "  # default");
        return;
    }
    buf_addf(w->out, "  # %.*s:%u", STR_FMT(w->c->source), node->at.line);
    if (node->kind == TREE_SCALAR && row->kind != KIND_SECRET && str_contains(node->text, STR("${")))
        buf_addf(w->out, " %.*s", STR_FMT(node->text));
}

static void add_indent(struct buf *out, unsigned indent)
{
    while (indent-- > 0) buf_addz(out, "  ");
}

static void show_list(struct shower *w, const struct key_row *row, const void *field, unsigned indent)
{
    struct section_list list = section_list(field);
    size_t bytes = section_bytes(row->sub);

    for (size_t i = 0; i < list.n; i++) {
        const void *entry = list.at + i * bytes;

        add_indent(w->out, indent);
        if (row->kind == KIND_LIST) {
            size_t start = buf_len(w->out);

            show_section(w, row->sub, entry, indent + 1);
            /* the first key stands behind the dash, in the place of its indent */
            memcpy(w->out->p + w->out->head + start, "- ", 2);
            memmove(w->out->p + w->out->head + start + 2, w->out->p + w->out->head + start + 2 * (indent + 1),
                    buf_len(w->out) - start - 2 * (indent + 1));
            buf_truncate(w->out, buf_len(w->out) - 2 * indent);
        } else {
            add_text(w->out, section_at(entry).name);
            buf_addz(w->out, ":\n");
            show_section(w, row->sub, entry, indent + 1);
        }
    }
}

static void show_row(struct shower *w, const struct key_row *row, const void *base, unsigned indent)
{
    const void *field = (const char *)base + row->offset;
    const struct tree_node *node = tree_find(section_at(base).node, row->name);

    if (is_hidden(row, base)) return;
    add_indent(w->out, indent);
    buf_addf(w->out, "%s:", row->name);
    if (row->kind == KIND_MAP || row->kind == KIND_LIST) {
        buf_addc(w->out, '\n');
        show_list(w, row, field, indent + 1);
        return;
    }
    if (row->kind == KIND_SECTION || (row->kind == KIND_PRICE && !((const struct config_price *)field)->free)) {
        buf_addc(w->out, '\n');
        show_section(w, row->sub, field, indent + 1);
        return;
    }
    buf_addc(w->out, ' ');
    if (row->kind == KIND_PRICE)
        buf_addz(w->out, "free");
    else if (show_is_empty(row, field))
        buf_addz(w->out, "none");
    else
        show_value(row, field, node, w->out);
    add_origin(w, row, node);
    buf_addc(w->out, '\n');
}

static void show_section(struct shower *w, enum key_section s, const void *base, unsigned indent)
{
    size_t start = buf_len(w->out);

    for (size_t i = 0; i < key_rows_n; i++)
        if (key_rows[i].section == s) show_row(w, &key_rows[i], base, indent);
    if (buf_len(w->out) == start) { /* a section of which nothing is known */
        add_indent(w->out, indent);
        buf_addz(w->out, "{}\n");
    }
}

void config_show(const struct config *c, bool with_origin, struct buf *out)
{
    struct shower w = {out, c, with_origin};

    show_section(&w, SECTION_root, c, 0);
}
