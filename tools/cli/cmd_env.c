/* weir env: exports that point SDKs and agents at the endpoint that is running here. */
#include "proto/dialect/provider_type.h"
#include "tools/cli/link.h"
#include "tools/cli/options.h"
#include "tools/cli/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SDKs refuse to start without a key; with auth.mode none weir takes any and sends none of it upstream. */
static void export_key(const char *name)
{
    const char *set = getenv(name);
    if (set == NULL || set[0] == '\0') printf("export %s=local\n", name);
}

int cmd_env(int argc, char **argv)
{
    const char *state = NULL;
    char base[160] = "http://127.0.0.1:8490";
    struct link l;
    const struct option own[] = {{"--state", NULL, &state, NULL}};
    if (!options_parse("env", &argc, argv, own, 1)) return 2;
    if (link_open(&l, state, true) && link_ask(&l, "status", NULL, NULL)) {
        struct str endpoint = admin_get_str(l.data, "endpoint");
        if (str_starts(endpoint, STR("http://"))) snprintf(base, sizeof base, "%.*s", STR_FMT(endpoint));
    } else {
        fprintf(stderr, "weir: not running here; these are the defaults\n");
    }
    link_close(&l);
    for (unsigned i = 0; i < PROVIDER_TYPES; i++) {
        const struct provider_type *t = provider_type_of(i);
        if (t->client_variable != NULL) printf("export %s=%s%s\n", t->client_variable, base, t->client_base);
    }
    for (unsigned i = 0; i < PROVIDER_TYPES; i++)
        if (provider_type_of(i)->client_variable != NULL) export_key(provider_type_of(i)->variable);
    return 0;
}
