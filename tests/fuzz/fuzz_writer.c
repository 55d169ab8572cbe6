/* Any conversation and any answer that the hub can hold, written in each dialect: JSON, in that dialect's shape (its own reader takes it
 * again), with every call's name and arguments still there. */
#include "tests/fuzz/hub.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of all texts only the letters: writers join texts and drop empty ones, but none may lose what somebody said. */
struct content {
    uint64_t text;
    unsigned calls, citations;
};

static void count(const struct parts *parts, struct content *c)
{
    for (const struct part *p = parts->first; p != NULL; p = p->next) {
        if (p->kind == PART_TEXT || p->kind == PART_REFUSAL)
            for (size_t i = 0; i < p->text.n; i++)
                c->text += p->text.p[i] > ' ' && p->text.p[i] < 127 ? (uint64_t)p->text.p[i] : 0;
        c->calls += p->kind == PART_TOOL_CALL;
        c->citations += p->citations.n;
    }
}

static void requests(struct fuzz_input *in, struct arena *a)
{
    static const char *const MODELS[] = {
        "claude-sonnet-4-5", "claude-opus-5-5", "gpt-6-sol", "gemini-3-pro-preview", "qwen", "gpt-4o"};
    static const struct target_hints nothing;
    struct choices c = {(const uint8_t *)in->text.p, in->text.n};
    struct chat *chat = hub_chat(&c, a), *again = NULL;
    struct content before = {0}, after = {0};
    struct loss loss = {.n = 0};
    struct buf out = {0};
    struct str why = STR_NULL;
    for (const struct message *m = chat->messages; m != NULL; m = m->next) count(&m->parts, &before);
    enum weir_err e =
        in->target->write_request(chat, str_of(MODELS[in->variant / 2 % 6]), &nothing, &out, &loss, a, &why);
    if (e != WEIR_OK && why.n == 0) abort();
    if (e == WEIR_OK) {
        fuzz_show("request", buf_view(&out));
        fuzz_show("loss", loss_view(&loss));
        must_be_json(buf_view(&out));
        struct str body = arena_copy(a, buf_view(&out));
        if (in->target->read_request(body, a, &again, &why) != WEIR_OK) abort();
        for (const struct message *m = again->messages; m != NULL; m = m->next) count(&m->parts, &after);
        if (loss.n == 0 && after.calls < before.calls) abort();
        if (loss.n == 0 && after.text < before.text) abort();
    }
    buf_fini(&out);
}

static bool is_call(const struct part *p)
{
    return p->kind == PART_TOOL_CALL;
}

static const struct part *next_call(const struct part *p)
{
    while (p != NULL && !is_call(p)) p = p->next;
    return p;
}

static void answers(struct fuzz_input *in, struct arena *a)
{
    struct choices c = {(const uint8_t *)in->text.p, in->text.n};
    struct answer *answer = hub_answer(&c, a), *again = NULL;
    struct buf out = {0};
    struct str why = STR_NULL;
    citations_settle(&answer->parts, in->client->cites);
    in->client->write_answer(answer, &out);
    fuzz_show("answer", buf_view(&out));
    must_be_json(buf_view(&out));
    struct str body = arena_copy(a, buf_view(&out));
    buf_fini(&out);
    if (in->client->read_answer(body, a, &again, &why) != WEIR_OK || again->has_error) abort();
    const struct part *p = next_call(answer->parts.first), *q = next_call(again->parts.first);
    for (; p != NULL && q != NULL; p = next_call(p->next), q = next_call(q->next))
        if (!str_eq(p->name, q->name)) abort();
    if (p != NULL || q != NULL) abort();
    struct content before = {0}, after = {0};
    count(&answer->parts, &before);
    count(&again->parts, &after);
    if (after.text < before.text || after.citations < before.citations) abort();
    if (again->finish == FINISH_NONE) abort();
    if (usage_in_total(&again->usage) != usage_in_total(&answer->usage) ||
        again->usage.out_total != answer->usage.out_total)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in;
    struct arena a;
    if (!fuzz_split(data, size, &in)) return 0;
    arena_init(&a, 4096);
    if (in.variant % 2 == 0)
        requests(&in, &a);
    else
        answers(&in, &a);
    arena_fini(&a);
    return 0;
}
