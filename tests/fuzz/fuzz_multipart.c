/* A multipart body: the field that is found lies inside the body, cutting the body anywhere never finds another value, and a preamble
 * before it changes nothing. */
#include "proto/wire/multipart.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, type = str_split(&rest, '\n'), boundary, value = STR_NULL,
               part = STR_NULL;
    if (!multipart_boundary(type, &boundary)) boundary = STR("B");
    if (boundary.n == 0 || boundary.n > MULTIPART_BOUNDARY_BYTES) abort();
    enum multipart_find whole = multipart_find(rest, boundary, "model", &value);
    const struct str preamble = STR("one line\r\n");
    char *longer = malloc(preamble.n + rest.n);
    if (longer == NULL) return 0;
    memcpy(longer, preamble.p, preamble.n);
    if (rest.n > 0) memcpy(longer + preamble.n, rest.p, rest.n);
    enum multipart_find behind = multipart_find((struct str){longer, preamble.n + rest.n}, boundary, "model", &part);
    if (behind != whole || (whole == MULTIPART_FOUND && !str_eq(part, value))) abort();
    free(longer);
    if (whole != MULTIPART_FOUND) return 0;
    if (value.p < rest.p || value.p + value.n > rest.p + rest.n) abort();
    enum multipart_find cut = multipart_find(str_slice(rest, 0, rest.n / 2), boundary, "model", &part);
    if (cut == MULTIPART_FOUND && !str_eq(part, value)) abort();
    return 0;
}
