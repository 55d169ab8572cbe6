/* Requests and unary answers of both dialects, anything as a body: read, and what could be read written in the other dialect.
 * What a writer writes must be JSON again. The first byte chooses the direction and the kind. */
#include "proto/dialect/chat.h"
#include "proto/dialect/exchange.h"
#include "proto/wire/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_json(struct str text)
{
    unsigned depth;
    struct json_error error;
    if (!json_check(text, &depth, &error) && depth < JSON_MAX_DEPTH) abort();
}

static void request(const struct dialect *client, const struct dialect *target, struct str body, struct arena *a)
{
    static const char *const MODELS[] = {"claude-sonnet-4-5", "claude-opus-5-5", "gpt-6-sol", "qwen"};
    for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS; i++) {
        struct call call = {0};
        struct exchange x = {0};
        struct buf out = {0};
        struct str why = STR_NULL;
        if (call_read(client->id, body, a, &call, &why) != WEIR_OK) return;
        enum weir_err e = exchange_request(&x, client->id, target->id, &call, body, str_of(MODELS[i]), a, &out, &why);
        if (e == WEIR_OK) must_be_json(buf_view(&out));
        if (e != WEIR_OK && why.n == 0) abort();
        if (x.loss.n > LOSS_MAX_BYTES) abort();
        exchange_fini(&x);
        buf_fini(&out);
    }
}

static void answer(const struct dialect *client, const struct dialect *target, struct str body, struct arena *a)
{
    struct answer *answer = NULL;
    struct buf out = {0};
    struct str why = STR_NULL;
    if (target->read_answer(body, a, &answer, &why) == WEIR_OK && !answer->has_error) {
        client->write_answer(answer, &out);
        must_be_json(buf_view(&out));
    }
    buf_fini(&out);
}

static void error(const struct dialect *client, const struct dialect *target, struct str body, struct arena *a)
{
    const struct answer_headers h = {
        .retry_after = body, .date = body, .limit_tokens_left = STR("0"), .limit_tokens_reset = body};
    struct upstream_error e;
    struct buf out = {0};
    target->read_error(400, &h, body, a, &e);
    if (e.err == WEIR_OK || e.message.n > 500 || e.retry_after_ms < -1 || e.retry_after_ms > 3600000) abort();
    client->write_error(e.err, e.message, STR("r"), &out);
    must_be_json(buf_view(&out));
    buf_fini(&out);
}

/* Two of the low bits choose between the first two dialects, as all seeds expect; the bits above them the later ones. */
static enum dialect_id pick(unsigned low, unsigned high)
{
    return (enum dialect_id)(high == 0 ? low : (1 + high) % DIALECT_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    struct str body = {(const char *)data + 1, size - 1};
    const struct dialect *client = dialect_of(pick(data[0] & 1, data[0] >> 4 & 3)),
                         *target = dialect_of(pick(data[0] >> 1 & 1, data[0] >> 6 & 3));
    struct arena a;
    arena_init(&a, 4096);
    switch (data[0] >> 2 & 3) {
    case 0:
    case 1: request(client, target, body, &a); break;
    case 2: answer(client, target, body, &a); break;
    case 3: error(client, target, body, &a); break;
    }
    arena_fini(&a);
    return 0;
}
