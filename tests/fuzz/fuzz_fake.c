/* weir-fake's readers: any body is refused or answered, whole and streamed, and any fault is refused or changes the answer.
 * The first byte chooses: dialect, strictness, or a fault; what follows is the JSON. */
#include "tools/fake/dialect.h"
#include "tools/fake/fault.h"
#include "tools/fake/program.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(const struct fake_dialect *d, struct str json, bool strict)
{
    static const char head[] =
        "POST /v1/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nanthropic-version: 2026-10-21\r\n\r\n";
    struct str in = {head, sizeof head - 1}, rest;
    struct http1 http;
    struct arena arena;
    struct ask ask;
    struct refusal refusal = {0};
    struct answer out = {0};
    struct program program = {0};
    yyjson_doc *doc = yyjson_read(json.p, json.n, 0);
    http1_init(&http, HTTP1_REQUEST, &http1_request_limits);
    arena_init(&arena, 4096);
    answer_reset(&out);
    if (http1_feed(&http, &in, &rest) == HTTP1_HEAD && yyjson_is_obj(yyjson_doc_get_root(doc))) {
        d->read(yyjson_doc_get_root(doc), http1_head(&http), strict, &ask, &refusal, &arena);
        if (refusal.status != 0) {
            d->write_error(&refusal, &out);
        } else {
            struct plan plan;
            if (ask.wishes.words > 1000) ask.wishes.words = 1000;
            if (ask.wishes.pings > 100) ask.wishes.pings = 100;
            plan_make(&plan, &ask, "fake", d->name, 1, &arena);
            (ask.stream ? d->write_stream : d->write_unary)(&plan, &ask, 1, &out);
        }
        program_build(&program, &out, NULL, d, (struct program_pace){0}, true);
    }
    program_fini(&program);
    answer_fini(&out);
    arena_fini(&arena);
    http1_fini(&http);
    yyjson_doc_free(doc);
}

static void fault(struct str json)
{
    struct faults list = {0};
    struct answer out = {0};
    struct program program = {0};
    const char *why = NULL;
    answer_reset(&out);
    out.is_stream = true;
    for (int i = 0; i < 4; i++) {
        buf_addf(&out.body, "data: %d\n\n", i);
        answer_end_event(&out);
    }
    if (faults_add(&list, json, &why) > 0) {
        struct buf text = {0};
        program_build(&program, &out, list.first, &fake_anthropic, (struct program_pace){0}, true);
        if (program.steps > 0 && program.step[program.steps - 1].end != buf_len(&program.bytes)) abort();
        faults_list(&list, &text);
        buf_fini(&text);
    } else if (why == NULL) {
        abort(); /* a refusal without a reason */
    }
    faults_clear(&list, 0);
    program_fini(&program);
    answer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fake_dialect *const dialects[] = {&fake_openai, &fake_anthropic, &fake_responses,
                                                          &fake_converse, &fake_gemini};
    if (size == 0) return 0;
    struct str json = {(const char *)data + 1, size - 1};
    if (data[0] % 4 == 3)
        fault(json);
    else
        answer(dialects[data[0] / 4 % 5], json, data[0] % 4 < 2);
    return 0;
}
