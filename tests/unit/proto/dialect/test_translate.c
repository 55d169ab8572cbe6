#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/exchange.h"

#include <string.h>

static struct arena arena;
static struct exchange x;
static struct call call;
static struct buf out;

static int teardown(void **state)
{
    (void)state;
    exchange_fini(&x);
    buf_fini(&out);
    arena_fini(&arena);
    return 0;
}

static const char OPENAI_BODY[] =
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true,"
    "\"stream_options\":{\"include_usage\":true}}";
static const char ANTHROPIC_BODY[] =
    "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true}";

static void open_exchange(enum dialect_id client, enum dialect_id target)
{
    struct str why = STR_NULL, body = client == DIALECT_OPENAI_CHAT ? str_of(OPENAI_BODY) : str_of(ANTHROPIC_BODY);
    assert_int_equal(call_read(client, body, &arena, &call, &why), WEIR_OK);
    assert_int_equal(exchange_request(&x, client, target, &call, body, STR("m-up"), &arena, &out, &why), WEIR_OK);
    buf_clear(&out);
}

#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
static const char FROM_ANTHROPIC[] = EVENT(
    "message_start",
    ",\"message\":{\"id\":\"msg_1\",\"model\":\"claude\",\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}")
    EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\","
                                 "\"signature\":\"\"}")
        EVENT("content_block_delta",
              ",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm \xc3\xa9\"}")
            EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"Eq\"}")
                EVENT("content_block_stop", ",\"index\":0") EVENT("ping", "")
                    EVENT("content_block_start", ",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
                        EVENT("content_block_delta", ",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi "
                                                     "\xf0\x9f\x98\x80\"}") EVENT("content_block_stop", ",\"index\":1")
                            EVENT("content_block_start", ",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":"
                                                         "\"t\",\"name\":\"f\",\"input\":{}}")
                                EVENT("content_block_delta",
                                      ",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{"
                                      "\\\"a\\\":1}\"}") EVENT("content_block_stop", ",\"index\":2")
                                    EVENT("message_delta",
                                          ",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":12}")
                                        EVENT("message_stop", "");

#define CHUNK(rest) "data: {\"id\":\"c1\",\"model\":\"m-1\"," rest "}\n\n"
#define DELTA(rest) CHUNK("\"choices\":[{\"index\":0,\"delta\":{" rest "}}]")
static const char FROM_OPENAI[] = ": hello\r\n\r\n" DELTA("\"role\":\"assistant\",\"content\":\"\"")
    DELTA("\"reasoning\":\"hm \xc3\xa9\"") DELTA("\"content\":\"Hi \xf0\x9f\x98\x80\"")
        DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\"\"}}]")
            DELTA("\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]")
                DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]")
                    CHUNK("\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]")
                        CHUNK("\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":"
                              "13}") "data: [DONE]\n\n";

/* The same bytes out, however they came in: one piece, single bytes, and cut in two at every place. */
static void invariant(enum dialect_id client, enum dialect_id target, struct str stream)
{
    struct buf whole = {0};
    open_exchange(client, target);
    exchange_feed(&x, stream, &whole);
    exchange_finish(&x, &whole);
    assert_true((x.facts & EXCHANGE_END) != 0);
    uint8_t facts = x.facts;
    exchange_fini(&x);
    for (size_t cut = 0; cut <= stream.n; cut++) {
        open_exchange(client, target);
        exchange_feed(&x, str_slice(stream, 0, cut), &out);
        exchange_feed(&x, str_slice(stream, cut, stream.n), &out);
        exchange_finish(&x, &out);
        if (!str_eq(buf_view(&out), buf_view(&whole)) || x.facts != facts) fail_msg("cut at %zu", cut);
        exchange_fini(&x);
    }
    open_exchange(client, target);
    for (size_t i = 0; i < stream.n; i++) exchange_feed(&x, str_slice(stream, i, i + 1), &out);
    exchange_finish(&x, &out);
    assert_true(str_eq(buf_view(&out), buf_view(&whole)));
    buf_fini(&whole);
}

static void every_split_from_anthropic(void **state)
{
    (void)state;
    invariant(DIALECT_OPENAI_CHAT, DIALECT_ANTHROPIC, str_of(FROM_ANTHROPIC));
}

static void every_split_from_openai(void **state)
{
    (void)state;
    invariant(DIALECT_ANTHROPIC, DIALECT_OPENAI_CHAT, str_of(FROM_OPENAI));
}

static void end_at(void **state)
{
    (void)state;
    open_exchange(DIALECT_ANTHROPIC, DIALECT_OPENAI_CHAT);
    exchange_feed(&x, str_of(FROM_OPENAI), &out);
    assert_true(str_starts(str_slice(buf_view(&out), x.end_at, buf_len(&out)), STR("event: message_stop\n")));
    exchange_fini(&x);
    open_exchange(DIALECT_OPENAI_CHAT, DIALECT_ANTHROPIC);
    exchange_feed(&x, str_of(FROM_ANTHROPIC), &out);
    assert_true(str_is(str_slice(buf_view(&out), x.end_at, buf_len(&out)), "data: [DONE]\n\n"));
}

static unsigned count(struct str text, struct str what)
{
    unsigned n = 0;
    for (ptrdiff_t at; (at = str_find(text, what)) >= 0; n++) text = str_slice(text, (size_t)at + what.n, text.n);
    return n;
}

/* A client that has waited long gets its opening early, and only once, also when the call moves to another target. */
static void an_opening_is_written_once(void **state)
{
    (void)state;
    open_exchange(DIALECT_ANTHROPIC, DIALECT_OPENAI_CHAT);
    exchange_write_start(&x, &out);
    exchange_write_ping(&x, &out);
    exchange_write_start(&x, &out);
    assert_true(x.started);
    assert_int_equal(x.facts, 0);
    exchange_feed(&x, str_of(FROM_OPENAI), &out);
    assert_int_equal(count(buf_view(&out), STR("event: message_start")), 1);
    assert_true(str_contains(buf_view(&out), STR("\"model\":\"m-up\"")));
    exchange_fini(&x);

    open_exchange(DIALECT_ANTHROPIC, DIALECT_OPENAI_CHAT); /* the next target: the opening is out already */
    x.started = true;
    exchange_feed(&x, str_of(FROM_OPENAI), &out);
    assert_int_equal(count(buf_view(&out), STR("message_start")), 0);
    exchange_fini(&x);

    open_exchange(DIALECT_ANTHROPIC, DIALECT_ANTHROPIC); /* the same in a pass-through */
    x.started = true;
    exchange_feed(&x, str_of(FROM_ANTHROPIC), &out);
    assert_int_equal(count(buf_view(&out), STR("message_start")), 0);
    assert_int_equal(count(buf_view(&out), STR("message_stop")), 2);
    assert_int_equal(x.usage.in_uncached, 7);
}

static void errors_end_a_stream(void **state)
{
    (void)state;
    open_exchange(DIALECT_ANTHROPIC, DIALECT_OPENAI_CHAT);
    exchange_write_error(&x, WEIR_UP_TRUNCATED, STR_NULL, &out);
    assert_true(str_is(buf_view(&out),
                       "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"the "
                       "provider's answer ended too early\"}}\n\n"));
    exchange_fini(&x);
    open_exchange(DIALECT_OPENAI_CHAT, DIALECT_ANTHROPIC);
    exchange_write_error(&x, WEIR_UP_OVERLOADED, STR("Overloaded"), &out);
    assert_true(str_starts(buf_view(&out), STR("data: {\"error\":{\"message\":\"Overloaded\"")));
    buf_clear(&out);
    exchange_write_ping(&x, &out);
    assert_true(str_is(buf_view(&out), ": ping\n\n"));
}

static void a_broken_stream_never_ends_well(void **state)
{
    (void)state;
    struct str stream = str_of(FROM_OPENAI);
    ptrdiff_t finish = str_find(stream, STR("finish_reason"));
    for (size_t cut = 0; cut < (size_t)finish; cut += 7) {
        open_exchange(DIALECT_ANTHROPIC, DIALECT_OPENAI_CHAT);
        exchange_feed(&x, str_slice(stream, 0, cut), &out);
        exchange_finish(&x, &out);
        assert_int_equal(x.facts & EXCHANGE_END, 0);
        assert_false(str_contains(buf_view(&out), STR("message_delta")));
        exchange_fini(&x);
    }
    stream = str_of(FROM_ANTHROPIC);
    for (size_t cut = 0; cut + 60 < stream.n;
         cut += 7) { /* before message_stop there is no end, whatever else was there */
        open_exchange(DIALECT_OPENAI_CHAT, DIALECT_ANTHROPIC);
        exchange_feed(&x, str_slice(stream, 0, cut), &out);
        exchange_finish(&x, &out);
        assert_int_equal(x.facts & EXCHANGE_END, 0);
        assert_false(str_contains(buf_view(&out), STR("[DONE]")));
        exchange_fini(&x);
    }
    open_exchange(DIALECT_OPENAI_CHAT, DIALECT_ANTHROPIC);
}

static void too_many_calls_in_a_stream(void **state)
{
    (void)state;
    struct buf stream = {0};
    for (unsigned i = 0; i < 200; i++)
        buf_addf(&stream,
                 "data: "
                 "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":%u,\"id\":\"c%u\",\"function\":{"
                 "\"name\":\"f\"}}]}}]}\n\n",
                 i, i);
    open_exchange(DIALECT_ANTHROPIC, DIALECT_OPENAI_CHAT);
    exchange_feed(&x, buf_view(&stream), &out);
    assert_true((x.facts & EXCHANGE_BROKEN) != 0);
    assert_int_equal(x.error.err, WEIR_UP_PROTOCOL);
    buf_fini(&stream);
}

static void request_with(enum dialect_id client, const struct target_hints *hints, const char *body, const char *model)
{
    struct str why = STR_NULL;
    enum dialect_id target = client == DIALECT_OPENAI_CHAT ? DIALECT_ANTHROPIC : DIALECT_OPENAI_CHAT;
    exchange_fini(&x);
    buf_clear(&out);
    assert_int_equal(call_read(client, str_of(body), &arena, &call, &why), WEIR_OK);
    assert_int_equal(
        exchange_request_to(&x, client, target, hints, &call, str_of(body), str_of(model), &arena, &out, &why),
        WEIR_OK);
}

/* What is known of a target beside its name: its limit is the default and the most, and thinking stays within it. */
static void target_hints(void **state)
{
    (void)state;
    const struct target_hints small = {.max_output = 2000}, azure = {.max_completion_tokens = true};
#define ASK(rest) "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]" rest "}"
    request_with(DIALECT_OPENAI_CHAT, &small, ASK(""), "claude-sonnet-4-5");
    assert_true(str_contains(buf_view(&out), STR("\"max_tokens\":2000,")));
    assert_int_equal(x.max_output, 2000);
    request_with(DIALECT_OPENAI_CHAT, &small, ASK(",\"max_tokens\":9000"), "claude-sonnet-4-5");
    assert_true(str_contains(buf_view(&out), STR("\"max_tokens\":2000,")));
    request_with(DIALECT_OPENAI_CHAT, &small, ASK(",\"max_tokens\":500,\"reasoning_effort\":\"high\""),
                 "claude-sonnet-4-5");
    assert_true(str_contains(buf_view(&out), STR("\"max_tokens\":500,")));
    assert_false(str_contains(buf_view(&out), STR("thinking")));
    assert_true(str_is(x.loss, "reasoning_effort"));
    request_with(DIALECT_ANTHROPIC, &azure, ASK(",\"max_tokens\":5"), "my-deployment");
    assert_true(str_contains(buf_view(&out), STR("\"max_completion_tokens\":5")));
    request_with(DIALECT_ANTHROPIC, &small, ASK(",\"max_tokens\":5"), "my-deployment");
    assert_true(str_contains(buf_view(&out), STR("\"max_tokens\":5")));
#undef ASK
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_split_from_anthropic, teardown),
        cmocka_unit_test_teardown(every_split_from_openai, teardown),
        cmocka_unit_test_teardown(end_at, teardown),
        cmocka_unit_test_teardown(an_opening_is_written_once, teardown),
        cmocka_unit_test_teardown(errors_end_a_stream, teardown),
        cmocka_unit_test_teardown(a_broken_stream_never_ends_well, teardown),
        cmocka_unit_test_teardown(too_many_calls_in_a_stream, teardown),
        cmocka_unit_test_teardown(target_hints, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
