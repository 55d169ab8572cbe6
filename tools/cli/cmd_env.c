/* weir env: exports that point SDKs and agents at the endpoint that is running here. */
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
    printf("export OPENAI_BASE_URL=%s/v1\n", base);
    printf("export ANTHROPIC_BASE_URL=%s\n", base);
    printf("export GOOGLE_GEMINI_BASE_URL=%s\n", base);
    export_key("OPENAI_API_KEY");
    export_key("ANTHROPIC_API_KEY");
    export_key("GEMINI_API_KEY");
    return 0;
}
