/* A multipart body: the field that is found lies inside the body, and cutting the body anywhere never finds another value. */
#include "proto/wire/multipart.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, type = str_split(&rest, '\n'), boundary, value = STR_NULL,
               part = STR_NULL;
    if (!multipart_boundary(type, &boundary)) boundary = STR("B");
    if (boundary.n == 0 || boundary.n > MULTIPART_BOUNDARY_BYTES) abort();
    enum multipart_find whole = multipart_find(rest, boundary, "model", &value);
    if (whole != MULTIPART_FOUND) return 0;
    if (value.p < rest.p || value.p + value.n > rest.p + rest.n) abort();
    enum multipart_find cut = multipart_find(str_slice(rest, 0, rest.n / 2), boundary, "model", &part);
    if (cut == MULTIPART_FOUND && !str_eq(part, value)) abort();
    return 0;
}
