/* config_load_text(): any text is a configuration or a list of problems, and what is accepted can be shown, read back and published.
 * A value that came from the environment is never in what is said. */
#include "controlplane/config/plan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char canary[] = "sk-canary-0123456789";

static const char *fuzz_env(const char *name)
{
    return strcmp(name, "K") == 0 ? canary : NULL;
}

static struct config *load(struct str text, struct buf *said)
{
    struct problems problems;

    problems_init(&problems, STR("weir.yaml"));
    struct config *c = config_load_text(text, STR("weir.yaml"), fuzz_env, &problems);
    if ((c == NULL) != (problems.errors > 0)) abort();
    problems_write_text(&problems, said);
    problems_write_json(&problems, said);
    problems_write_github(&problems, said);
    problems_write_first(&problems, said);
    problems_fini(&problems);
    return c;
}

static void plan(const struct config *c)
{
    struct idmap *ids = idmap_new();
    struct prices list;
    struct buf why = {0};

    prices_builtin(&list);
    struct plan *p = plan_new(c, &list, ids, 1000, &why);
    if ((p == NULL) != (buf_len(&why) > 0)) abort();
    plan_free(&p);
    buf_fini(&why);
    prices_fini(&list);
    idmap_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct buf said = {0}, shown = {0};
    bool has_files =
        str_contains(text, STR("_file")); /* a read of any path on this machine is not what is looked for */

    if (size > 20000 || has_files || str_contains(text, STR("canary")))
        return 0; /* the fuzzer finds the word by itself */
    struct config *c = load(text, &said);
    if (c != NULL) {
        config_show(c, true, &shown);
        plan(c);
    }
    config_free(&c);
    if (str_contains(buf_view(&said), str_of(canary))) abort();
    buf_fini(&said);
    buf_fini(&shown);
    return 0;
}
