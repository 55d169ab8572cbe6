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

struct list { /* the shape of every struct that is a pointer and a length */
    char *at;
    size_t n;
};

static struct list list_of(const void *field)
{
    struct list list;

    memcpy(&list, field, sizeof list);
    return list;
}

static struct section_at at_of(const void *section)
{
    struct section_at at;

    memcpy(&at, section, sizeof at);
    return at;
}

struct shower {
    struct buf *out;
    const struct config *c;
    bool with_origin;
};

static void show_section(struct shower *w, enum key_section s, const void *base, unsigned indent);

static bool is_empty(const struct key_row *row, const void *field)
{
    switch (row->kind) {
    case KIND_TEXT:
    case KIND_FILE:
    case KIND_SECRET: return ((const struct str *)field)->n == 0;
    case KIND_TEXTS:
    case KIND_TAGS:
    case KIND_MAP:
    case KIND_LIST: return list_of(field).n == 0;
    case KIND_RATE: return *(const int64_t *)field == RATE_NONE;
    case KIND_WHEN: return *(const int64_t *)field == 0;
    case KIND_PRICE: return at_of(field).node == NULL;
    case KIND_LATER: return true;
    default: return false;
    }
}

/* What stands nowhere in a file that weir would read back. */
static bool is_hidden(const struct key_row *row, const void *base)
{
    const void *field = (const char *)base + row->offset;
    bool is_written = tree_find(at_of(base).node, row->name) != NULL;

    if (row->section == SECTION_admin && strcmp(row->name, "http") == 0) return false; /* empty is "none" */
    if (row->section == SECTION_route && row->kind == KIND_ENUM && ((const struct config_route *)base)->match.n > 0)
        return true;                                               /* a pass-through has no strategy */
    if (row->kind == KIND_SECRET && !is_written) return true;      /* came from its file */
    if (row->section == SECTION_model && !is_written) return true; /* facts that the list knows better */
    return is_empty(row, field);
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
    struct list list = list_of(field);
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
            add_text(w->out, at_of(entry).name);
            buf_addz(w->out, ":\n");
            show_section(w, row->sub, entry, indent + 1);
        }
    }
}

static void show_row(struct shower *w, const struct key_row *row, const void *base, unsigned indent)
{
    const void *field = (const char *)base + row->offset;
    const struct tree_node *node = tree_find(at_of(base).node, row->name);

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
    else if (is_empty(row, field))
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

/* ---- what a reload changed ---- */

struct differ {
    struct buf *out;
    unsigned changes, restarts;
};

static void diff_section(struct differ *d, enum key_section s, const void *was, const void *now, struct str path);

static void diff_line(struct differ *d, const struct key_row *row)
{
    d->changes++;
    if (row->reload == RELOAD_RESTART) {
        d->restarts++;
        buf_addz(d->out, " (needs a restart)");
    }
    buf_addc(d->out, '\n');
}

static const void *entry_find(struct list list, const struct key_row *row, struct str name)
{
    size_t bytes = section_bytes(row->sub);

    for (size_t i = 0; i < list.n; i++) {
        const void *entry = list.at + i * bytes;
        struct str found = row->kind == KIND_LIST ? ((const struct config_target *)entry)->model : at_of(entry).name;

        if (str_eq(found, name)) return entry;
    }
    return NULL;
}

/* Targets, the one list of sections, are told apart by their model. */
static void diff_list(struct differ *d, const struct key_row *row, struct list was, struct list now, struct str path)
{
    size_t bytes = section_bytes(row->sub);
    bool is_list = row->kind == KIND_LIST;

    for (size_t i = 0; i < was.n + now.n; i++) {
        bool is_old = i < was.n;
        const void *entry = is_old ? was.at + i * bytes : now.at + (i - was.n) * bytes;
        struct str name = is_list ? ((const struct config_target *)entry)->model : at_of(entry).name;
        const void *other = entry_find(is_old ? now : was, row, name);
        struct buf inner = {0};

        if (other == NULL) {
            if (is_list)
                buf_addf(d->out, "%.*s: target %.*s %s", STR_FMT(path), STR_FMT(name), is_old ? "removed" : "added");
            else
                buf_addf(d->out, "%s.%.*s: %s", row->name, STR_FMT(name), is_old ? "removed" : "added");
            diff_line(d, row);
        } else if (is_old && is_list) {
            int64_t before = ((const struct config_target *)entry)->weight;
            int64_t after = ((const struct config_target *)other)->weight;

            if (before == after) continue;
            buf_addf(d->out, "%.*s: weight of %.*s %lld → %lld", STR_FMT(path), STR_FMT(name), (long long)before,
                     (long long)after);
            diff_line(d, row);
        } else if (is_old) {
            buf_addf(&inner, "%s.%.*s", row->name, STR_FMT(name));
            diff_section(d, row->sub, entry, other, buf_view(&inner));
            buf_fini(&inner);
        }
    }
    for (size_t i = 0; is_list && was.n == now.n && i < was.n; i++) {
        struct str before = ((const struct config_target *)(was.at + i * bytes))->model;

        if (!str_eq(before, ((const struct config_target *)(now.at + i * bytes))->model) &&
            entry_find(now, row, before) != NULL) {
            buf_addf(d->out, "%.*s: the order of its targets", STR_FMT(path));
            diff_line(d, row);
            return;
        }
    }
}

static void diff_value(struct differ *d, const struct key_row *row, const void *was, const void *now, struct str path)
{
    struct buf before = {0}, after = {0};

    if (row->kind == KIND_SECRET) {
        if (!str_eq(*(const struct str *)was, *(const struct str *)now)) {
            buf_addf(d->out, "%.*s: changed", STR_FMT(path));
            diff_line(d, row);
        }
        return;
    }
    if (is_empty(row, was))
        buf_addz(&before, "none");
    else
        show_value(row, was, NULL, &before);
    if (is_empty(row, now))
        buf_addz(&after, "none");
    else
        show_value(row, now, NULL, &after);
    if (!str_eq(buf_view(&before), buf_view(&after))) {
        buf_addf(d->out, "%.*s: %.*s → %.*s", STR_FMT(path), STR_FMT(buf_view(&before)), STR_FMT(buf_view(&after)));
        diff_line(d, row);
    }
    buf_fini(&before);
    buf_fini(&after);
}

static void diff_row(struct differ *d, const struct key_row *row, const void *was, const void *now, struct str path)
{
    struct buf inner = {0};
    const struct config_price *old_price = was, *new_price = now;

    buf_addf(&inner, "%.*s%s%s", STR_FMT(path), path.n > 0 ? "." : "", row->name);
    switch (row->kind) {
    case KIND_LATER: break;
    case KIND_SECTION: diff_section(d, row->sub, was, now, buf_view(&inner)); break;
    case KIND_MAP: diff_list(d, row, list_of(was), list_of(now), STR_NULL); break;
    case KIND_LIST: diff_list(d, row, list_of(was), list_of(now), path); break;
    case KIND_PRICE:
        if (old_price->free != new_price->free) {
            buf_addf(d->out, "%.*s: %s", STR_FMT(buf_view(&inner)), new_price->free ? "now free" : "no longer free");
            diff_line(d, row);
        } else {
            diff_section(d, row->sub, was, now, buf_view(&inner));
        }
        break;
    default: diff_value(d, row, was, now, buf_view(&inner)); break;
    }
    buf_fini(&inner);
}

static void diff_section(struct differ *d, enum key_section s, const void *was, const void *now, struct str path)
{
    for (size_t i = 0; i < key_rows_n; i++)
        if (key_rows[i].section == s)
            diff_row(d, &key_rows[i], (const char *)was + key_rows[i].offset, (const char *)now + key_rows[i].offset,
                     path);
    if (s == SECTION_provider) {
        const struct config_provider *before = was, *after = now;

        if (str_eq(before->ca_file, after->ca_file) && !str_eq(before->ca_pem, after->ca_pem)) {
            buf_addf(d->out, "%.*s.ca_file: its content changed", STR_FMT(path));
            diff_line(d, key_find(s, STR("ca_file")));
        }
    }
}

void config_diff(const struct config *was, const struct config *now, struct buf *out, unsigned *ret_changes,
                 unsigned *ret_restarts)
{
    struct differ d = {out, 0, 0};

    diff_section(&d, SECTION_root, was, now, STR_NULL);
    *ret_changes = d.changes;
    *ret_restarts = d.restarts;
}
