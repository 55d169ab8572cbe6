/* Anything as a provider's stream, cut anywhere: the bytes that come out must not depend on the cuts, an end is written once
 * at most, and never beside an error. Byte 0: directions; byte 1: length of the pieces. */
#include "proto/dialect/exchange.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char BODY[] =
    "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true}";

static uint8_t feed(uint8_t directions, struct str stream, size_t piece, struct buf *out)
{
    enum dialect_id client = directions & 1, target = directions >> 1 & 1;
    struct arena a;
    struct call call = {0};
    struct exchange x = {0};
    struct buf sent = {0};
    struct str why = STR_NULL;
    arena_init(&a, 4096);
    if (call_read(client, str_of(BODY), &a, &call, &why) != WEIR_OK) abort();
    if (exchange_request(&x, client, target, &call, str_of(BODY), STR("m"), &a, &sent, &why) != WEIR_OK) abort();
    for (size_t at = 0; at < stream.n; at += piece) exchange_feed(&x, str_slice(stream, at, at + piece), out);
    exchange_finish(&x, out);
    uint8_t facts = x.facts;
    if ((facts & EXCHANGE_END) != 0 && (facts & (EXCHANGE_ERROR | EXCHANGE_BROKEN)) != 0) abort();
    if ((facts & EXCHANGE_END) != 0 && x.end_at > buf_len(out)) abort();
    if ((facts & (EXCHANGE_ERROR | EXCHANGE_BROKEN)) != 0 && x.error.err == WEIR_OK) abort();
    exchange_fini(&x);
    buf_fini(&sent);
    arena_fini(&a);
    return facts;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    struct str stream = {(const char *)data + 2, size - 2};
    struct buf whole = {0}, pieces = {0};
    uint8_t one = feed(data[0], stream, stream.n + 1, &whole);
    uint8_t many = feed(data[0], stream, data[1] % 16 + 1, &pieces);
    if (one != many || !str_eq(buf_view(&whole), buf_view(&pieces))) abort();
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
