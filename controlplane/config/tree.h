/* tree.h — YAML text as a tree whose every node knows its line and column
 * Owns:     nothing of its own; nodes and their text live in the arena given in.
 * Process:  control plane; pure.
 * Memory:   bounded by TREE_*; an alias is a second reference to the same node, so nothing is ever expanded.
 * Fails:    NULL, with the reason and place in `problems`: syntax, invalid UTF-8, tags, duplicates, a second document, too deep, too large.
 * Not here: what the keys mean (bind.c), ${VAR} (env.c). */
#pragma once

#include "controlplane/config/problem.h"

enum { TREE_BYTES = 10 << 20, TREE_DEPTH = 32, TREE_NODES = 200000, TREE_MERGE_WORK = 20000000 };

enum tree_kind { TREE_SCALAR, TREE_LIST, TREE_MAP };

struct tree_node {
    enum tree_kind kind;
    bool quoted; /* a scalar in quotes or a block: never null, true or a number by itself */
    bool open;   /* while it is read: an alias to it would be a cycle */
    struct place at;
    struct str text; /* of a scalar, NUL-terminated */
    uint32_t n;
    struct tree_node **items;
    struct tree_pair *pairs; /* own keys in the file's order, then those merged by "<<" */
};

struct tree_pair {
    const struct tree_node *key; /* a scalar */
    struct tree_node *value;
};

/* An empty document is an empty map. */
struct tree_node *tree_parse(struct arena *a, struct str text, struct problems *problems);

const struct tree_node *tree_find(const struct tree_node *map, const char *key); /* NULL: not there, or not a map */
/* A scalar without quotes that YAML 1.2's core schema reads as null. */
bool tree_is_null(const struct tree_node *node);
