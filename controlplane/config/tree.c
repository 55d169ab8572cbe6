#include "controlplane/config/tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "proto/base/mem.h"

/* libyaml gives events; a stack of open collections turns them into a tree without recursion. Aliases point at the node itself, so
 * the "billion laughs" cost nothing here; whoever walks the tree (bind.c) is bounded by the depth and lengths of the key table. */

struct frame {
    struct tree_node *node;
    struct tree_node *key; /* of a map: waits for its value */
    struct tree_node **child;
    size_t n, cap; /* a map's children are key, value, key, value … */
};

struct anchor {
    struct str name;
    struct tree_node *node;
};

struct reader {
    struct arena *arena;
    struct problems *problems;
    struct frame stack[TREE_DEPTH];
    unsigned depth;
    struct anchor *anchors;
    size_t anchors_n, anchors_cap;
    struct tree_node *root;
    size_t nodes;
    size_t merge_work;
    bool failed;
};

static struct place place_of(const yaml_mark_t *from, const yaml_mark_t *to)
{
    struct place at = {(uint32_t)from->line + 1, (uint32_t)from->column + 1, 1};

    if (to != NULL && to->line == from->line && to->column > from->column)
        at.width = (uint32_t)(to->column - from->column);
    return at;
}

#define refuse(r, at, ...) ((r)->failed = true, problem_error((r)->problems, at, STR_NULL, __VA_ARGS__))

static struct tree_node *node_new(struct reader *r, enum tree_kind kind, const yaml_event_t *e)
{
    struct tree_node *node = arena_zalloc(r->arena, sizeof *node);

    node->kind = kind;
    node->at = place_of(&e->start_mark, &e->end_mark);
    if (++r->nodes > TREE_NODES) refuse(r, node->at, "more than %d values", TREE_NODES);
    return node;
}

static void frame_add(struct reader *r, struct tree_node *node)
{
    struct frame *f;

    if (r->depth == 0) {
        r->root = node;
        return;
    }
    f = &r->stack[r->depth - 1];
    if (f->node->kind == TREE_MAP && f->n % 2 == 0 && node->kind != TREE_SCALAR)
        refuse(r, node->at, "a key must be plain text");
    if (f->n == f->cap) {
        f->cap = f->cap == 0 ? 8 : 2 * f->cap;
        f->child = xrealloc(f->child, f->cap * sizeof(struct tree_node *));
    }
    f->child[f->n++] = node;
}

static void anchor_add(struct reader *r, const yaml_char_t *name, struct tree_node *node)
{
    if (name == NULL) return;
    if (r->anchors_n == r->anchors_cap) {
        r->anchors_cap = r->anchors_cap == 0 ? 8 : 2 * r->anchors_cap;
        r->anchors = xrealloc(r->anchors, r->anchors_cap * sizeof *r->anchors);
    }
    r->anchors[r->anchors_n++] = (struct anchor){arena_copy(r->arena, str_of((const char *)name)), node};
}

static void read_alias(struct reader *r, const yaml_event_t *e)
{
    struct str name = str_of((const char *)e->data.alias.anchor);
    struct place at = place_of(&e->start_mark, &e->end_mark);

    if (++r->nodes > TREE_NODES) {
        refuse(r, at, "more than %d values", TREE_NODES);
        return;
    }
    for (size_t i = r->anchors_n; i-- > 0;) { /* the latest of a name counts */
        if (!str_eq(r->anchors[i].name, name)) continue;
        if (r->anchors[i].node->open)
            refuse(r, at, "*%.*s stands inside what it names", STR_FMT(name));
        else
            frame_add(r, r->anchors[i].node);
        return;
    }
    refuse(r, at, "no anchor &%.*s above this line", STR_FMT(name));
}

static void refuse_tag(struct reader *r, const yaml_event_t *e, const yaml_char_t *tag)
{
    if (tag != NULL) refuse(r, place_of(&e->start_mark, NULL), "tags are not read here: \"%s\"", (const char *)tag);
}

static void collection_open(struct reader *r, const yaml_event_t *e, enum tree_kind kind, const yaml_char_t *anchor,
                            const yaml_char_t *tag)
{
    struct tree_node *node = node_new(r, kind, e);

    refuse_tag(r, e, tag);
    if (r->depth == TREE_DEPTH) {
        refuse(r, node->at, "nested deeper than %d levels", TREE_DEPTH);
        return;
    }
    frame_add(r, node);
    anchor_add(r, anchor, node);
    node->open = true;
    r->stack[r->depth++] = (struct frame){.node = node};
}

/* ---- maps: duplicates and "<<" ---- */

static int by_key(const void *a, const void *b)
{
    const struct tree_pair *x = *(const struct tree_pair *const *)a;
    const struct tree_pair *y = *(const struct tree_pair *const *)b;
    size_t n = x->key->text.n < y->key->text.n ? x->key->text.n : y->key->text.n;
    int order = memcmp(x->key->text.p, y->key->text.p, n);

    if (order != 0) return order;
    if (x->key->text.n != y->key->text.n) return x->key->text.n < y->key->text.n ? -1 : 1;
    return x < y ? -1 : 1; /* the file's order */
}

static bool is_merge(const struct tree_node *key)
{
    return !key->quoted && str_is(key->text, "<<");
}

static void refuse_duplicates(struct reader *r, const struct tree_node *map)
{
    const struct tree_pair **sorted = xmalloc((map->n + 1) * sizeof(*sorted));

    for (uint32_t i = 0; i < map->n; i++) sorted[i] = &map->pairs[i];
    qsort(sorted, map->n, sizeof *sorted, by_key);
    for (uint32_t i = 1; i < map->n; i++) {
        const struct tree_node *key = sorted[i]->key;

        if (str_eq(sorted[i - 1]->key->text, key->text))
            refuse(r, key->at, "\"%.*s\" is already there, first at line %u", STR_FMT(key->text),
                   sorted[i - 1]->key->at.line);
    }
    free(sorted);
}

/* Appends the pairs of `from` that `map` does not have yet. */
static void merge_map(struct reader *r, struct tree_node *map, const struct tree_node *from, struct place at)
{
    struct tree_pair *pairs;

    if (from->kind != TREE_MAP) {
        refuse(r, at, "\"<<\" wants a map or a list of maps");
        return;
    }
    r->merge_work += ((size_t)map->n + from->n) * from->n; /* comparisons, at most */
    if (r->merge_work > TREE_MERGE_WORK) {
        if (!r->failed) refuse(r, at, "too much is merged by \"<<\"");
        return;
    }
    pairs = arena_alloc(r->arena, ((size_t)map->n + from->n + 1) * sizeof *pairs);
    if (map->n > 0) memcpy(pairs, map->pairs, map->n * sizeof *pairs);
    map->pairs = pairs;
    for (uint32_t i = 0; i < from->n; i++)
        if (tree_find(map, from->pairs[i].key->text.p) == NULL) map->pairs[map->n++] = from->pairs[i];
}

static void map_close(struct reader *r, struct frame *f)
{
    struct tree_node *map = f->node;
    uint32_t kept = 0;
    struct tree_pair merge = {NULL, NULL};

    map->n = (uint32_t)(f->n / 2);
    map->pairs = arena_alloc(r->arena, (map->n + 1) * sizeof *map->pairs);
    for (uint32_t i = 0; i < map->n; i++) map->pairs[i] = (struct tree_pair){f->child[2 * i], f->child[2 * i + 1]};
    if (r->failed) return; /* a key that is no text */
    refuse_duplicates(r, map);
    for (uint32_t i = 0; i < map->n; i++) {
        if (is_merge(map->pairs[i].key))
            merge = map->pairs[i];
        else
            map->pairs[kept++] = map->pairs[i];
    }
    map->n = kept;
    if (merge.key == NULL) return;
    if (merge.value->kind != TREE_LIST) {
        merge_map(r, map, merge.value, merge.key->at);
        return;
    }
    for (uint32_t i = 0; i < merge.value->n; i++) merge_map(r, map, merge.value->items[i], merge.key->at);
}

static void collection_close(struct reader *r)
{
    struct frame *f = &r->stack[--r->depth];

    f->node->open = false;
    if (f->node->kind == TREE_MAP) {
        map_close(r, f);
    } else {
        f->node->n = (uint32_t)f->n;
        f->node->items = arena_alloc(r->arena, (f->n + 1) * sizeof(struct tree_node *));
        if (f->n > 0) memcpy(f->node->items, f->child, f->n * sizeof(struct tree_node *));
    }
    free(f->child);
    f->child = NULL;
}

/* ---- events ---- */

static void read_scalar(struct reader *r, const yaml_event_t *e)
{
    struct tree_node *node = node_new(r, TREE_SCALAR, e);
    struct str text = {(const char *)e->data.scalar.value, e->data.scalar.length};

    refuse_tag(r, e, e->data.scalar.tag);
    if (memchr(text.p, 0, text.n) != NULL) refuse(r, node->at, "a NUL character in a value");
    node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_copy(r->arena, text);
    frame_add(r, node);
    anchor_add(r, e->data.scalar.anchor, node);
}

static void read_event(struct reader *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->root != NULL)
            refuse(r, place_of(&e->start_mark, NULL),
                   "a second document begins here; one file holds one configuration");
        break;
    case YAML_SCALAR_EVENT: read_scalar(r, e); break;
    case YAML_ALIAS_EVENT: read_alias(r, e); break;
    case YAML_SEQUENCE_START_EVENT:
        collection_open(r, e, TREE_LIST, e->data.sequence_start.anchor, e->data.sequence_start.tag);
        break;
    case YAML_MAPPING_START_EVENT:
        collection_open(r, e, TREE_MAP, e->data.mapping_start.anchor, e->data.mapping_start.tag);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: collection_close(r); break;
    default: break;
    }
}

static struct place place_of_offset(struct str text, size_t offset)
{
    struct place at = {1, 1, 1};

    for (size_t i = 0; i < offset && i < text.n; i++) {
        if (text.p[i] == '\n') {
            at.line++;
            at.column = 1;
        } else if (((unsigned char)text.p[i] & 0xC0) != 0x80) {
            at.column++;
        }
    }
    return at;
}

static void refuse_syntax(struct reader *r, const yaml_parser_t *parser, struct str text)
{
    struct str hint = STR_NULL;

    if (parser->error == YAML_READER_ERROR) {
        bool is_utf8 = strstr(parser->problem, "UTF-8") != NULL || strstr(parser->problem, "octet") != NULL ||
                       strstr(parser->problem, "Unicode") != NULL;
        r->failed = true;
        problem_error(r->problems, place_of_offset(text, parser->problem_offset), STR_NULL, "%s",
                      is_utf8 ? "not valid UTF-8" : "a control character that YAML does not allow");
        problem_hide_line(r->problems);
        return;
    }
    if (strstr(parser->problem, "cannot start any token") != NULL && parser->problem_mark.index < text.n &&
        text.p[parser->problem_mark.index] == '\t')
        hint = STR("indent with blanks, not with tabs");
    else if (parser->context != NULL && strstr(parser->context, "flow mapping") != NULL)
        hint = STR("inside { } put ${VAR} in quotes");
    r->failed = true;
    if (parser->context != NULL && parser->context_mark.line != parser->problem_mark.line)
        problem_error(r->problems, place_of(&parser->problem_mark, NULL), hint, "%s, %s that began at line %zu",
                      parser->problem, parser->context, parser->context_mark.line + 1);
    else
        problem_error(r->problems, place_of(&parser->problem_mark, NULL), hint, "%s%s%s", parser->problem,
                      parser->context != NULL ? ", " : "", parser->context != NULL ? parser->context : "");
}

struct tree_node *tree_parse(struct arena *a, struct str text, struct problems *problems)
{
    struct reader r = {.arena = a, .problems = problems};
    yaml_parser_t parser;
    bool is_end = false;

    if (text.n > TREE_BYTES) {
        problem_error(problems, (struct place){0}, STR_NULL, "%zu bytes; a configuration has at most %d", text.n,
                      TREE_BYTES);
        return NULL;
    }
    if (!yaml_parser_initialize(&parser)) {
        problem_error(problems, (struct place){0}, STR_NULL, "out of memory");
        return NULL;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p != NULL ? text.p : ""), text.n);
    while (!r.failed && !is_end) {
        yaml_event_t event;

        if (!yaml_parser_parse(&parser, &event)) {
            refuse_syntax(&r, &parser, text);
            break;
        }
        is_end = event.type == YAML_STREAM_END_EVENT;
        read_event(&r, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    for (unsigned i = 0; i < r.depth; i++) free(r.stack[i].child);
    free(r.anchors);
    if (r.failed) return NULL;
    if (r.root == NULL || tree_is_null(r.root)) {
        r.root = arena_zalloc(a, sizeof *r.root);
        r.root->kind = TREE_MAP;
    }
    return r.root;
}

const struct tree_node *tree_find(const struct tree_node *map, const char *key)
{
    if (map == NULL || map->kind != TREE_MAP) return NULL;
    for (uint32_t i = 0; i < map->n; i++)
        if (str_is(map->pairs[i].key->text, key)) return map->pairs[i].value;
    return NULL;
}

bool tree_is_null(const struct tree_node *node)
{
    return node->kind == TREE_SCALAR && !node->quoted &&
           (node->text.n == 0 || str_is(node->text, "~") || str_is(node->text, "null") || str_is(node->text, "Null") ||
            str_is(node->text, "NULL"));
}
