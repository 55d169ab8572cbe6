/* load.c — the ways a configuration comes to be: a file, a text kept in the store, the environment */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/config/bind.h"
#include "controlplane/config/check.h"
#include "controlplane/config/config.h"
#include "controlplane/config/env.h"
#include "proto/base/mem.h"

enum { WORKERS_AUTO = 4 };

struct config *config_load_text(struct str text, struct str source, config_env_fn *env, struct problems *problems)
{
    struct config *c = xcalloc(1, sizeof *c);
    struct tree_node *root;

    arena_init(&c->arena, 16 << 10);
    c->source = arena_copy(&c->arena, source);
    problems_source(problems, text);
    root = tree_parse(&c->arena, text, problems);
    if (root != NULL) {
        bind_config(c, root, env, problems);
        /* What is wrong by itself would only be told twice by what follows from it. */
        if (problems->errors == 0) check_config(c, problems);
    }
    if (problems->errors > 0) {
        config_free(&c);
        return NULL;
    }
    c->text = arena_copy(&c->arena, text);
    return c;
}

struct config *config_load_file(const char *path, config_env_fn *env, struct problems *problems)
{
    struct buf text = {0}, why = {0};
    struct config *c = NULL;

    if (check_read_file(path, TREE_BYTES, &text, &why))
        c = config_load_text(buf_view(&text), str_of(path), env, problems);
    else
        problem_error(problems, (struct place){0}, STR_NULL, "the file %.*s", STR_FMT(buf_view(&why)));
    if (text.p != NULL) explicit_bzero(text.p, text.cap);
    buf_fini(&text);
    buf_fini(&why);
    return c;
}

static void wipe_text(struct str s)
{
    if (s.n > 0) explicit_bzero((char *)(uintptr_t)s.p, s.n);
}

void config_free(struct config **c)
{
    if (*c == NULL) return;
    if ((*c)->providers.at != NULL)
        for (size_t i = 0; i < (*c)->providers.n; i++) {
            struct config_provider *p = &(*c)->providers.at[i];

            wipe_text(p->api_key);
            wipe_text(p->credential.secret_access_key);
            wipe_text(p->credential.session_token);
            wipe_text(p->credential.client_secret);
            for (size_t j = 0; j < p->api_keys.n; j++) wipe_text(p->api_keys.at[j].key);
        }
    if ((*c)->text.n > 0) explicit_bzero((char *)(*c)->text.p, (*c)->text.n);
    arena_fini(&(*c)->arena);
    free(*c);
    *c = NULL;
}

/* ---- without a file ---- */

/* The vendors whose own names for models are known; the hosts of others' models are too many for one line. */
void config_environment_variables(struct buf *out)
{
    for (unsigned i = 0; i < PROVIDER_TYPES; i++)
        if (provider_type_of(i)->aliases != NULL && provider_type_of(i)->variable[0] != '\0')
            buf_addf(out, "%s, ", provider_type_of(i)->variable);
    buf_addz(out, "or the key of another provider");
}

static void add_route(const struct provider_type *t, struct buf *out)
{
    struct str globs = str_of(t->aliases);

    if (globs.n == 0) return;
    buf_addf(out, "  %s: {aliases: [", t->name);
    while (globs.n > 0) {
        struct str glob = str_split(&globs, ' ');

        buf_addf(out, "\"%.*s\"%s", STR_FMT(glob), globs.n > 0 ? ", " : "");
    }
    buf_addf(out, "], targets: [{model: \"%s/*\"}]}\n", t->name);
}

bool config_environment_yaml(config_env_fn *env, struct buf *out)
{
    bool is_set[PROVIDER_TYPES];
    bool is_any = false;

    for (unsigned i = 0; i < PROVIDER_TYPES; i++) {
        const char *variable = provider_type_of(i)->variable;
        const char *value = variable[0] != '\0' ? env(variable) : NULL;

        is_set[i] = value != NULL && *value != '\0';
        is_any = is_any || is_set[i];
    }
    if (!is_any) return false;
    buf_addz(out, "version: 1\n\nproviders:\n");
    for (unsigned i = 0; i < PROVIDER_TYPES; i++) {
        const struct provider_type *t = provider_type_of(i);

        if (is_set[i]) buf_addf(out, "  %s: {type: %s, api_key: \"${%s}\"}\n", t->name, t->name, t->variable);
    }
    buf_addz(out, "\nroutes:\n  # \"provider/model\" as the client sends it\n  passthrough: {match: \"*/*\"}\n"
                  "  # the vendors' own names for their models\n");
    for (unsigned i = 0; i < PROVIDER_TYPES; i++)
        if (is_set[i]) add_route(provider_type_of(i), out);
    return true;
}

struct config *config_load_environment(config_env_fn *env, struct problems *problems)
{
    struct buf yaml = {0}, variables = {0};
    struct config *c = NULL;

    config_environment_variables(&variables);
    if (config_environment_yaml(env, &yaml))
        c = config_load_text(buf_view(&yaml), STR("(environment)"), env, problems);
    else
        problem_error(problems, (struct place){0}, STR("to look around without a key: weir demo"),
                      "no configuration: give --config FILE, or set %.*s", STR_FMT(buf_view(&variables)));
    buf_fini(&yaml);
    buf_fini(&variables);
    return c;
}

/* ---- look-ups ---- */

unsigned config_workers(const struct config *c)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    if (c->server.workers > 0) return (unsigned)c->server.workers;
    return cpus < 1 ? 1 : cpus > WORKERS_AUTO ? WORKERS_AUTO : (unsigned)cpus;
}

#define LOOK_UP(what, field)                                                           \
    const struct config_##what *config_##what(const struct config *c, struct str name) \
    {                                                                                  \
        for (size_t i = 0; i < c->field.n; i++)                                        \
            if (str_eq(c->field.at[i].at.name, name)) return &c->field.at[i];          \
        return NULL;                                                                   \
    }
LOOK_UP(provider, providers)
LOOK_UP(route, routes)
LOOK_UP(model, models)
LOOK_UP(key, keys)
