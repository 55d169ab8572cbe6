/* Anything as a provider's stream, cut anywhere: the bytes that come out must not depend on the cuts, an end is written once
 * at most, and never beside an error. The variant chooses the length of the pieces and whether a client asks for an array. */
#include "tests/fuzz/hub.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t feed(const struct fuzz_input *in, size_t piece, struct buf *out)
{
    struct arena a;
    struct call call;
    struct exchange x = {0};
    struct buf sent = {0};
    struct str why = STR_NULL, body;
    arena_init(&a, 4096);
    hub_small_call(in->client, (in->variant & 16) != 0, &a, &body, &call);
    if (exchange_request(&x, in->client->id, in->target->id, &call, body, STR("m"), &a, &sent, &why) == WEIR_OK) {
        for (size_t at = 0; at < in->text.n; at += piece) exchange_feed(&x, str_slice(in->text, at, at + piece), out);
        exchange_finish(&x, out);
        if ((x.facts & EXCHANGE_END) != 0 && (x.facts & (EXCHANGE_ERROR | EXCHANGE_BROKEN)) != 0) abort();
        if ((x.facts & EXCHANGE_END) != 0 && x.end_at > buf_len(out)) abort();
        if ((x.facts & (EXCHANGE_ERROR | EXCHANGE_BROKEN)) != 0 && x.error.err == WEIR_OK) abort();
    }
    uint8_t facts = x.facts;
    exchange_fini(&x);
    buf_fini(&sent);
    arena_fini(&a);
    return facts;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in;
    struct buf whole = {0}, pieces = {0};
    if (!fuzz_split(data, size, &in)) return 0;
    uint8_t one = feed(&in, in.text.n + 1, &whole);
    uint8_t many = feed(&in, in.variant % 16 + 1, &pieces);
    if (one != many || !str_eq(buf_view(&whole), buf_view(&pieces))) abort();
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
