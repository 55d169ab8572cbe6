/* loading.h — configurations and plans from text, for tests
 * Owns:     struct loaded; loaded_free() gives all of it back.
 * Process:  tests.
 * Memory:   the heap.
 * Fails:    the test, with what the reader said.
 * Not here: verdicts. */
#pragma once

#include "controlplane/config/plan.h"

#include <string.h>

struct loaded {
    struct config *config;
    struct plan *plan;
};

static inline const char *loading_env(const char *name)
{
    return strcmp(name, "KEY") == 0 ? "sk-canary-0123456789" : NULL;
}

static inline struct config *load_config(const char *text)
{
    struct problems problems;
    struct buf said = {0};

    problems_init(&problems, STR("weir.yaml"));
    struct config *c = config_load_text(str_of(text), STR("weir.yaml"), loading_env, &problems);
    problems_write_text(&problems, &said);
    if (c == NULL) fail_msg("%.*s", STR_FMT(buf_view(&said)));
    buf_fini(&said);
    problems_fini(&problems);
    return c;
}

static inline struct loaded load(const char *text, const struct prices *list, struct idmap *ids, uint64_t now_wall_ms)
{
    struct loaded l = {load_config(text), NULL};
    struct buf why = {0};

    l.plan = plan_new(l.config, list, ids, now_wall_ms, &why);
    if (l.plan == NULL) fail_msg("%.*s", STR_FMT(buf_view(&why)));
    buf_fini(&why);
    return l;
}

static inline void loaded_free(struct loaded *l)
{
    plan_free(&l->plan);
    config_free(&l->config);
}
