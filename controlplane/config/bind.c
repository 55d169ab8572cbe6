#include "controlplane/config/bind.h"

#include <string.h>

#include "controlplane/config/env.h"

/* A walk of the tree with the key table in hand. Sections nest four deep at most and every list and map has a limit, so a file whose
 * aliases fan out ends in "at most N entries" and not in memory. */

struct binder {
    struct arena *arena;
    config_env_fn *env;
    struct problems *problems;
    size_t values; /* bound so far: aliases can reach the same node many times */
};

enum { VALUES_MAX = 300000 };

static void bind_section(struct binder *b, enum key_section s, const struct section_at *at, struct str path, void *out);

#define refuse(b, at, ...) problem_error((b)->problems, at, STR_NULL, __VA_ARGS__)

static struct str path_join(struct binder *b, struct str path, struct str name)
{
    if (path.n == 0) return name;
    return arena_printf(b->arena, "%.*s.%.*s", STR_FMT(path), STR_FMT(name));
}

/* ---- scalars ---- */

/* The text of a scalar after ${VAR}. false: it is none, or has a problem, which is told. */
static bool read_text(struct binder *b, const struct key_row *row, const struct tree_node *node, struct str path,
                      struct str *ret_text)
{
    struct buf why = {0};
    bool is_fine = false;

    if (++b->values > VALUES_MAX) {
        if (b->values == VALUES_MAX + 1)
            refuse(b, node->at, "more than %d values, counting those that aliases repeat", VALUES_MAX);
    } else if (node->kind != TREE_SCALAR) {
        refuse(b, node->at, "%.*s wants one value, not a %s", STR_FMT(path), node->kind == TREE_MAP ? "map" : "list");
    } else if (tree_is_null(node)) {
        refuse(b, node->at, "%.*s has no value", STR_FMT(path));
    } else if (!env_substitute(node->text, b->env, b->arena, ret_text, &why)) {
        refuse(b, node->at, "%.*s: %.*s", STR_FMT(path), STR_FMT(buf_view(&why)));
    } else {
        is_fine = true;
    }
    if (!is_fine && row->kind == KIND_SECRET && str_chr(node->text, '$') < 0) problem_hide_line(b->problems);
    buf_fini(&why);
    return is_fine;
}

static void refuse_value(struct binder *b, const struct key_row *row, const struct tree_node *node, struct str path,
                         struct str why)
{
    struct str nearest = key_nearest_choice(row, node->text);
    struct str hint = STR_NULL;

    if (nearest.n > 0) hint = arena_printf(b->arena, "did you mean \"%.*s\"?", STR_FMT(nearest));
    if (row->kind == KIND_HASH || !str_starts(why, STR("wants"))) {
        problem_error(b->problems, node->at, hint, "%.*s %.*s", STR_FMT(path), STR_FMT(why));
        if (row->kind == KIND_HASH) problem_hide_line(b->problems);
        return;
    }
    /* The text as typed, not what a ${VAR} in it stands for. */
    problem_error(b->problems, node->at, hint, "%.*s %.*s, not \"%.*s%s\"", STR_FMT(path), STR_FMT(why),
                  STR_FMT(str_slice(node->text, 0, 80)), node->text.n > 80 ? "…" : "");
}

static void warn_typed_in(struct binder *b, const struct tree_node *node, struct str path)
{
    if (node->text.n == 0 || !env_is_typed_in(node->text)) return;
    problem_warning(b->problems, node->at, STR("write ${VAR}, or name a file with the key's _file sibling"),
                    "%.*s is typed in plainly", STR_FMT(path));
    problem_hide_line(b->problems);
}

static void bind_scalar(struct binder *b, const struct key_row *row, const struct tree_node *node, struct str path,
                        void *field)
{
    struct buf why = {0};
    struct str text;

    if (!read_text(b, row, node, path, &text)) return;
    if (row->kind == KIND_SECRET) warn_typed_in(b, node, path);
    if (!key_parse(row, text, field, &why)) refuse_value(b, row, node, path, buf_view(&why));
    buf_fini(&why);
}

/* ---- lists of scalars ---- */

static void bind_texts(struct binder *b, const struct key_row *row, const struct tree_node *node, struct str path,
                       struct texts *field)
{
    struct tree_node *self[1] = {(struct tree_node *)node};
    struct tree_node **items = node->kind == TREE_LIST ? node->items : self;
    size_t n = node->kind == TREE_LIST ? node->n : 1;

    if (n > (size_t)row->hi || n < (size_t)row->lo) {
        refuse(b, node->at, "%.*s wants %d to %d entries, not %zu", STR_FMT(path), (int)row->lo, (int)row->hi, n);
        return;
    }
    field->n = 0;
    field->at = arena_zalloc(b->arena, (n + 1) * sizeof *field->at);
    for (size_t i = 0; i < n; i++) {
        struct str text;

        if (!read_text(b, row, items[i], path, &text)) continue;
        if (text.n == 0) refuse(b, items[i]->at, "%.*s has an empty entry", STR_FMT(path));
        field->at[field->n++] = text;
    }
}

static void bind_statuses(struct binder *b, const struct key_row *row, const struct tree_node *node, struct str path,
                          uint64_t field[8])
{
    if (node->kind != TREE_LIST) {
        refuse(b, node->at, "%.*s wants a list such as [429, 503]", STR_FMT(path));
        return;
    }
    memset(field, 0, 8 * sizeof *field);
    for (uint32_t i = 0; i < node->n; i++) bind_scalar(b, row, node->items[i], path, field);
}

static void bind_tags(struct binder *b, const struct key_row *row, const struct tree_node *node, struct str path,
                      struct named_texts *field)
{
    if (node->kind != TREE_MAP || node->n > (size_t)row->hi) {
        refuse(b, node->at, "%.*s wants a map of at most %d names and values", STR_FMT(path), (int)row->hi);
        return;
    }
    field->at = arena_zalloc(b->arena, (node->n + 1) * sizeof *field->at);
    for (uint32_t i = 0; i < node->n; i++) {
        struct named_text *tag = &field->at[field->n];

        tag->name = node->pairs[i].key->text;
        if (read_text(b, row, node->pairs[i].value, path_join(b, path, tag->name), &tag->text)) field->n++;
    }
}

/* ---- sections ---- */

static void bind_list(struct binder *b, const struct key_row *row, const struct tree_node *node, struct str path,
                      void *field)
{
    size_t bytes = section_bytes(row->sub);
    struct section_list list = {NULL, 0};

    if (node->kind != TREE_LIST) {
        refuse(b, node->at, "%.*s wants a list", STR_FMT(path));
        return;
    }
    if (node->n > (size_t)row->hi) {
        refuse(b, node->at, "%.*s has %u entries; at most %d", STR_FMT(path), node->n, (int)row->hi);
        return;
    }
    list.at = arena_zalloc(b->arena, (node->n + 1) * bytes);
    for (uint32_t i = 0; i < node->n; i++) {
        const struct section_at at = {node->items[i], node->items[i]->at, STR_NULL};

        bind_section(b, row->sub, &at, arena_printf(b->arena, "%.*s[%u]", STR_FMT(path), i),
                     list.at + list.n++ * bytes);
    }
    memcpy(field, &list, sizeof list);
}

static void bind_map(struct binder *b, const struct key_row *row, const struct tree_node *node, struct str path,
                     void *field)
{
    size_t bytes = section_bytes(row->sub);
    struct section_list list = {NULL, 0};

    if (node->kind != TREE_MAP) {
        refuse(b, node->at, "%.*s wants a map of names", STR_FMT(path));
        return;
    }
    if (node->n > (size_t)row->hi) {
        refuse(b, node->at, "%.*s has %u entries; at most %d", STR_FMT(path), node->n, (int)row->hi);
        return;
    }
    list.at = arena_zalloc(b->arena, (node->n + 1) * bytes);
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tree_pair *pair = &node->pairs[i];
        const struct section_at at = {pair->value, pair->key->at, pair->key->text};

        bind_section(b, row->sub, &at, path_join(b, path, at.name), list.at + list.n++ * bytes);
    }
    memcpy(field, &list, sizeof list);
}

static void bind_price(struct binder *b, const struct key_row *row, const struct section_at *at, struct str path,
                       struct config_price *field)
{
    const struct tree_node *node = at->node;
    struct section_at none = *at;

    if (node->kind == TREE_MAP) {
        bind_section(b, row->sub, at, path, field);
        return;
    }
    none.node = NULL;
    bind_section(b, row->sub, &none, path, field);
    field->at = *at;
    if (node->kind == TREE_SCALAR && str_is(node->text, "free"))
        field->free = true;
    else
        refuse(b, node->at, "%.*s wants the word free, or a map such as {input: 2.50, output: 10}", STR_FMT(path));
}

static void bind_value(struct binder *b, const struct key_row *row, const struct tree_pair *pair, struct str path,
                       void *field)
{
    const struct tree_node *node = pair->value;
    const struct section_at at = {node, pair->key->at, STR_NULL};
    bool is_section = row->kind == KIND_SECTION || row->kind == KIND_PRICE || row->kind == KIND_MAP ||
                      row->kind == KIND_LIST || row->kind == KIND_TAGS;

    if (is_section && tree_is_null(node)) /* "keys:" with all its entries commented out */
        return;
    switch (row->kind) {
    case KIND_SECTION: bind_section(b, row->sub, &at, path, field); break;
    case KIND_PRICE: bind_price(b, row, &at, path, field); break;
    case KIND_MAP: bind_map(b, row, node, path, field); break;
    case KIND_LIST: bind_list(b, row, node, path, field); break;
    case KIND_TEXTS: bind_texts(b, row, node, path, field); break;
    case KIND_TAGS: bind_tags(b, row, node, path, field); break;
    case KIND_STATUSES: bind_statuses(b, row, node, path, field); break;
    default: bind_scalar(b, row, node, path, field); break;
    }
}

static void set_default(struct binder *b, const struct key_row *row, struct str path, void *field)
{
    struct buf why = {0};
    struct section_at none = {0};
    struct str rest = str_of(row->fallback);

    switch (row->kind) {
    case KIND_SECTION:
    case KIND_PRICE: bind_section(b, row->sub, &none, path, field); break;
    case KIND_RATE: *(int64_t *)field = RATE_NONE; break;
    case KIND_TEXTS:
        if (rest.n > 0) {
            struct texts *texts = field;
            texts->at = arena_zalloc(b->arena, sizeof *texts->at);
            texts->at[0] = rest;
            texts->n = 1;
        }
        break;
    case KIND_MAP:
    case KIND_LIST:
    case KIND_TAGS:
    case KIND_HASH:
    case KIND_LATER: break;
    default:
        if (str_starts(rest, STR("${")) && !env_substitute(rest, b->env, b->arena, &rest, &why)) break;
        if (rest.n > 0 && !key_is_required(row))
            (void)key_parse(row, rest, field, &why); /* a unit test parses every default */
        break;
    }
    buf_fini(&why);
}

static void refuse_key(struct binder *b, enum key_section s, const struct tree_node *key, struct str path)
{
    const char *nearest = key_nearest(s, key->text);
    struct str hint = STR_NULL;
    struct buf known = {0};

    if (nearest != NULL) {
        hint = arena_printf(b->arena, "did you mean \"%s\"?", nearest);
    } else {
        for (size_t i = 0; i < key_rows_n; i++)
            if (key_rows[i].section == s && key_rows[i].kind != KIND_LATER)
                buf_addf(&known, "%s%s", buf_len(&known) == 0 ? "known here: " : ", ", key_rows[i].name);
        hint = arena_copy(b->arena, buf_view(&known));
        buf_fini(&known);
    }
    problem_error(b->problems, key->at, hint, "unknown key \"%.*s\"%s%.*s", STR_FMT(str_slice(key->text, 0, 80)),
                  path.n > 0 ? " in " : "", STR_FMT(path));
}

static void bind_section(struct binder *b, enum key_section s, const struct section_at *at, struct str path, void *out)
{
    const struct tree_node *node = at->node;

    memcpy(out, at, sizeof *at);
    for (size_t i = 0; i < key_rows_n; i++)
        if (key_rows[i].section == s) set_default(b, &key_rows[i], path, (char *)out + key_rows[i].offset);
    if (node == NULL) return;
    if (node->kind != TREE_MAP && !tree_is_null(node)) {
        refuse(b, node->at, "%.*s wants a map of keys and values", STR_FMT(path.n > 0 ? path : STR("the file")));
        return;
    }
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tree_pair *pair = &node->pairs[i];
        const struct key_row *row = key_find(s, pair->key->text);

        if (row == NULL)
            refuse_key(b, s, pair->key, path);
        else if (row->kind == KIND_LATER)
            refuse(b, pair->key->at, "%.*s is not in this version", STR_FMT(path_join(b, path, str_of(row->name))));
        else
            bind_value(b, row, pair, path_join(b, path, str_of(row->name)), (char *)out + row->offset);
    }
    for (size_t i = 0; i < key_rows_n; i++) {
        const struct key_row *row = &key_rows[i];

        if (row->section == s && key_is_required(row) && tree_find(node, row->name) == NULL)
            refuse(b, at->place, "%.*s%s\"%s\" is missing: %s", STR_FMT(path), path.n > 0 ? ": " : "", row->name,
                   row->help);
    }
}

void bind_config(struct config *c, const struct tree_node *root, config_env_fn *env, struct problems *problems)
{
    struct binder b = {.arena = &c->arena, .env = env, .problems = problems};
    const struct section_at at = {root, {1, 1, 1}, STR_NULL};

    bind_section(&b, SECTION_root, &at, STR_NULL, c);
}

struct place bind_place(const struct section_at *at, const char *key)
{
    const struct tree_node *value = tree_find(at->node, key);

    return value != NULL ? value->at : at->place;
}

struct place bind_item_place(const struct section_at *at, const char *key, size_t i)
{
    const struct tree_node *value = tree_find(at->node, key);

    if (value != NULL && value->kind == TREE_LIST && i < value->n) return value->items[i]->at;
    return bind_place(at, key);
}
