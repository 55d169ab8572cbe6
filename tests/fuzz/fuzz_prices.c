/* prices_parse() and prices_find(): any text is a list or a reason, and any name is found or not. */
#include "controlplane/prices.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct prices p;
    char why[64];
    if (!prices_parse(text, &p, why, sizeof why)) {
        if (memchr(why, '\0', sizeof why) == NULL) abort();
        prices_builtin(&p);
    }
    struct str model = str_slice(text, 0, 80), provider = str_split(&model, '\n');
    prices_find(&p, provider, model);
    prices_find(&p, STR_NULL, model);
    for (unsigned i = 0; i < p.n; i++)
        if (prices_find(&p, STR_NULL, str_of(p.rows[i].name)) != &p.rows[i]) abort();
    prices_fini(&p);
    return 0;
}
