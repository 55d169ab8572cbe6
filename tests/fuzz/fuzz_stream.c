/* Anything as a provider's stream, cut anywhere: the bytes that come out must not depend on the cuts, an end is written once
 * at most, and never beside an error. Byte 0: directions; byte 1: length of the pieces. */
#include "proto/dialect/exchange.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char BODY[] =
    "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true}";

static const char *body_of(enum dialect_id client)
{
    if (client == DIALECT_GEMINI) return "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}";
    return client == DIALECT_RESPONSES ? "{\"model\":\"m\",\"input\":\"x\",\"stream\":true}" : BODY;
}

/* Two of the low bits choose between the first two dialects, as all seeds expect; the bits above them the later ones. */
static enum dialect_id pick(unsigned low, unsigned high)
{
    return (enum dialect_id)(high == 0 ? low : (1 + high) % DIALECT_COUNT);
}

static uint8_t feed(uint8_t directions, struct str stream, size_t piece, struct buf *out)
{
    enum dialect_id client = pick(directions & 1, directions >> 4 & 3),
                    target = pick(directions >> 1 & 1, directions >> 6 & 3);
    if (target == DIALECT_RESPONSES) target = DIALECT_OPENAI_CHAT; /* spoken by clients only */
    const bool google = client == DIALECT_GEMINI;
    const struct endpoint_place place = {
        .model = google ? STR("m") : STR_NULL, .stream = google, .json_array = google && (directions & 8) != 0};
    struct arena a;
    struct call call = {0};
    struct exchange x = {0};
    struct buf sent = {0};
    struct str why = STR_NULL;
    arena_init(&a, 4096);
    if (call_read_at(client, &place, str_of(body_of(client)), &a, &call, &why) != WEIR_OK) abort();
    if (exchange_request(&x, client, target, &call, str_of(body_of(client)), STR("m"), &a, &sent, &why) != WEIR_OK)
        abort();
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
