/* A request that one dialect took and wrote for the other is read there and written back: it must be taken again, and from then on
 * nothing changes any more. Byte 0: which dialect begins. */
#include "proto/dialect/chat.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool cross(enum dialect_id from, struct str body, struct arena *a, struct str *ret_body)
{
    static const struct target_hints nothing;
    const struct dialect *client = dialect_of(from), *target = dialect_of(!from);
    struct chat *chat = NULL;
    struct loss loss = {.n = 0};
    struct buf out = {0};
    struct str why = STR_NULL;
    bool taken = client->read_request(body, a, &chat, &why) == WEIR_OK &&
                 target->write_request(chat, from == DIALECT_OPENAI_CHAT ? STR("claude-sonnet-4-5") : STR("gpt-4o"),
                                       &nothing, &out, &loss, a, &why) == WEIR_OK;
    *ret_body = arena_copy(a, buf_view(&out));
    buf_fini(&out);
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    enum dialect_id first = data[0] & 1;
    struct str body = {(const char *)data + 1, size - 1}, there, back, again, settled;
    struct arena a;
    arena_init(&a, 4096);
    /* One round may still settle things (a name shortened, an order mended, a text moved); the second must not. */
    if (cross(first, body, &a, &there) && cross(!first, there, &a, &back) && cross(first, back, &a, &again) &&
        cross(!first, again, &a, &settled)) {
        struct str once_more, last;
        if (!cross(first, settled, &a, &once_more)) abort();
        if (!cross(!first, once_more, &a, &last)) abort();
        if (!str_eq(settled, last)) abort();
    }
    arena_fini(&a);
    return 0;
}
