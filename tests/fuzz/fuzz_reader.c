/* Requests, unary answers and errors, anything as a body: read, and what could be read written in every other dialect's form.
 * What a writer writes must be JSON again; what is refused is refused with a text. */
#include "tests/fuzz/hub.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request(const struct fuzz_input *in, struct arena *a)
{
    static const char *const MODELS[] = {"claude-sonnet-4-5", "claude-opus-5-5", "gpt-6-sol", "gemini-3-pro-preview",
                                         "qwen"};
    const struct endpoint_place place = {.model = in->client->model_in_path ? STR("m") : STR_NULL};
    for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS; i++) {
        struct call call = {0};
        struct exchange x = {0};
        struct buf out = {0};
        struct str why = STR_NULL;
        if (call_read_at(in->client->id, &place, in->text, a, &call, &why) != WEIR_OK) return;
        enum weir_err e =
            exchange_request(&x, in->client->id, in->target->id, &call, in->text, str_of(MODELS[i]), a, &out, &why);
        if (e == WEIR_OK) must_be_json(buf_view(&out));
        if (e != WEIR_OK && why.n == 0) abort();
        if (x.loss.n > LOSS_MAX_BYTES) abort();
        exchange_fini(&x);
        buf_fini(&out);
    }
}

static void answer(const struct fuzz_input *in, struct arena *a)
{
    struct answer *answer = NULL;
    struct buf out = {0};
    struct str why = STR_NULL;
    if (in->target->read_answer(in->text, a, &answer, &why) == WEIR_OK && !answer->has_error) {
        in->client->write_answer(answer, &out);
        must_be_json(buf_view(&out));
    }
    buf_fini(&out);
}

static void error(const struct fuzz_input *in, struct arena *a)
{
    const struct answer_headers h = {
        .retry_after = in->text, .date = in->text, .limit_tokens_left = STR("0"), .limit_tokens_reset = in->text};
    struct upstream_error e;
    struct buf out = {0};
    in->target->read_error(400, &h, in->text, a, &e);
    if (e.err == WEIR_OK || e.message.n > 500 || e.retry_after_ms < -1 || e.retry_after_ms > 3600000) abort();
    in->client->write_error(e.err, e.message, STR("r"), &out);
    must_be_json(buf_view(&out));
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in;
    struct arena a;
    if (!fuzz_split(data, size, &in)) return 0;
    arena_init(&a, 4096);
    switch (in.variant % 3) {
    case 0: request(&in, &a); break;
    case 1: answer(&in, &a); break;
    case 2: error(&in, &a); break;
    }
    arena_fini(&a);
    return 0;
}
