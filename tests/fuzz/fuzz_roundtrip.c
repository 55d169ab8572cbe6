/* A request that one dialect took and wrote for another is read there and written back: it must be taken again, and from then on
 * nothing changes any more. */
#include "tests/fuzz/hub.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *model_of(const struct dialect *d)
{
    return d->id == DIALECT_OPENAI_CHAT || d->id == DIALECT_RESPONSES ? "gpt-4o"
           : d->id == DIALECT_GEMINI                                  ? "gemini-2.5-pro"
                                                                      : "claude-sonnet-4-5";
}

static bool cross(const struct dialect *from, const struct dialect *to, struct str body, struct arena *a,
                  struct str *ret_body)
{
    static const struct target_hints nothing;
    struct chat *chat = NULL;
    struct loss loss = {.n = 0};
    struct buf out = {0};
    struct str why = STR_NULL;
    bool taken = from->read_request(body, a, &chat, &why) == WEIR_OK &&
                 to->write_request(chat, str_of(model_of(to)), &nothing, &out, &loss, a, &why) == WEIR_OK;
    *ret_body = arena_copy(a, buf_view(&out));
    buf_fini(&out);
    fuzz_show(to->name, taken ? *ret_body : why);
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in;
    struct str there, back, again, settled;
    struct arena a;
    if (!fuzz_split(data, size, &in) || in.client == in.target) return 0;
    const struct dialect *first = in.client, *second = in.target;
    arena_init(&a, 4096);
    /* One round may still settle things (a name shortened, an order mended, a text moved); the second must not. */
    if (cross(first, second, in.text, &a, &there) && cross(second, first, there, &a, &back) &&
        cross(first, second, back, &a, &again) && cross(second, first, again, &a, &settled)) {
        struct str once_more, last;
        if (!cross(first, second, settled, &a, &once_more)) abort();
        if (!cross(second, first, once_more, &a, &last)) abort();
        if (!str_eq(settled, last)) abort();
    }
    arena_fini(&a);
    return 0;
}
