#include "controlplane/config/diff.h"

#include "controlplane/config/show.h"

struct differ {
    void (*line)(void *context, struct str text, bool needs_restart);
    void *context;
    struct buf text; /* the line being written */
    unsigned n;
};

static void diff_section(struct differ *d, enum key_section s, const void *was, const void *now, struct str path);

static void diff_line(struct differ *d, const struct key_row *row)
{
    d->n++;
    d->line(d->context, buf_view(&d->text), row->reload == RELOAD_RESTART);
    buf_clear(&d->text);
}

static const void *entry_find(struct section_list list, const struct key_row *row, struct str name)
{
    size_t bytes = section_bytes(row->sub);

    for (size_t i = 0; i < list.n; i++) {
        const void *entry = list.at + i * bytes;
        struct str found =
            row->kind == KIND_LIST ? ((const struct config_target *)entry)->model : section_at(entry).name;

        if (str_eq(found, name)) return entry;
    }
    return NULL;
}

/* Targets, the one list of sections, are told apart by their model. */
static void diff_list(struct differ *d, const struct key_row *row, struct section_list was, struct section_list now,
                      struct str path)
{
    size_t bytes = section_bytes(row->sub);
    bool is_list = row->kind == KIND_LIST;

    for (size_t i = 0; i < was.n + now.n; i++) {
        bool is_old = i < was.n;
        const void *entry = is_old ? was.at + i * bytes : now.at + (i - was.n) * bytes;
        struct str name = is_list ? ((const struct config_target *)entry)->model : section_at(entry).name;
        const void *other = entry_find(is_old ? now : was, row, name);
        struct buf inner = {0};

        if (other == NULL) {
            if (is_list)
                buf_addf(&d->text, "%.*s: target %.*s %s", STR_FMT(path), STR_FMT(name), is_old ? "removed" : "added");
            else
                buf_addf(&d->text, "%s.%.*s: %s", row->name, STR_FMT(name), is_old ? "removed" : "added");
            diff_line(d, row);
        } else if (is_old && is_list) {
            int64_t before = ((const struct config_target *)entry)->weight;
            int64_t after = ((const struct config_target *)other)->weight;

            if (before == after) continue;
            buf_addf(&d->text, "%.*s: weight of %.*s %lld → %lld", STR_FMT(path), STR_FMT(name), (long long)before,
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
            buf_addf(&d->text, "%.*s: the order of its targets", STR_FMT(path));
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
            buf_addf(&d->text, "%.*s: changed", STR_FMT(path));
            diff_line(d, row);
        }
        return;
    }
    if (show_is_empty(row, was))
        buf_addz(&before, "none");
    else
        show_value(row, was, NULL, &before);
    if (show_is_empty(row, now))
        buf_addz(&after, "none");
    else
        show_value(row, now, NULL, &after);
    if (!str_eq(buf_view(&before), buf_view(&after))) {
        buf_addf(&d->text, "%.*s: %.*s → %.*s", STR_FMT(path), STR_FMT(buf_view(&before)), STR_FMT(buf_view(&after)));
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
    case KIND_MAP: diff_list(d, row, section_list(was), section_list(now), STR_NULL); break;
    case KIND_LIST: diff_list(d, row, section_list(was), section_list(now), path); break;
    case KIND_PRICE:
        if (old_price->free != new_price->free) {
            buf_addf(&d->text, "%.*s: %s", STR_FMT(buf_view(&inner)), new_price->free ? "now free" : "no longer free");
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
            buf_addf(&d->text, "%.*s.ca_file: its content changed", STR_FMT(path));
            diff_line(d, key_find(s, STR("ca_file")));
        }
    }
}

unsigned config_diff(const struct plan *was, const struct plan *now,
                     void (*line)(void *context, struct str text, bool needs_restart), void *context)
{
    struct differ d = {.line = line, .context = context};

    diff_section(&d, SECTION_root, was->config, now->config, STR_NULL);
    buf_fini(&d.text);
    return d.n;
}
