/* The admin frame: whatever passes admin_check() unpacks whole, within a bound of memory, and prints as JSON. */
#include "proto/admin/message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf in = {0}, json = {0};
    struct str payload;
    buf_add(&in, (struct str){(const char *)data, n});
    if (admin_next(&in, &payload) == ADMIN_WHOLE && admin_check(payload)) {
        msgpack_unpacked u;
        msgpack_unpacked_init(&u);
        size_t at = 0;
        if (msgpack_unpack_next(&u, payload.p, payload.n, &at) != MSGPACK_UNPACK_SUCCESS || at != payload.n) abort();
        admin_to_json(&u.data, &json);
        msgpack_unpacked_destroy(&u);
    }
    buf_fini(&in);
    buf_fini(&json);
    return 0;
}
