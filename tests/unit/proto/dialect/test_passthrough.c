#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/exchange.h"

#include <stdio.h>
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

static void open_as(enum dialect_id d, const char *body, const char *model)
{
    struct str why = STR_NULL;
    assert_int_equal(call_read(d, str_of(body), &arena, &call, &why), WEIR_OK);
    assert_int_equal(exchange_request(&x, d, d, &call, str_of(body), str_of(model), &arena, &out, &why), WEIR_OK);
}

static void request_is(const char *expected)
{
    if (!str_is(buf_view(&out), expected)) fail_msg("sent %.*s", STR_FMT(buf_view(&out)));
    buf_clear(&out);
}

static void same_model_same_bytes(void **state)
{
    (void)state;
    const char *body = "{ \"zz\" : 12345678901234567890, \"model\":\"m\", \"messages\" : [ ]  , \"top_p\":0.70 }";
    open_as(DIALECT_OPENAI_CHAT, body, "m");
    request_is(body);
}

static void model_is_patched(void **state)
{
    (void)state;
    open_as(DIALECT_ANTHROPIC, "{\"model\":\"m\",\"stream\":true,\"max_tokens\":1,\"messages\":[]}", "claude-\"x");
    request_is("{\"model\":\"claude-\\\"x\",\"stream\":true,\"max_tokens\":1,\"messages\":[]}");
}

/* An alias or a fallback led to a reasoning model of OpenAI's: what it refuses is renamed or left out, and named. The client's own
 * choice of a model, and other models, get what the client sent. */
static void another_model_takes_the_body(void **state)
{
    (void)state;
    const char *body = "{\"model\":\"chat\",\"max_tokens\":9,\"temperature\":0.2,\"top_p\":1,\"presence_penalty\":0,"
                       "\"frequency_penalty\":0.5,\"messages\":[]}";
    open_as(DIALECT_OPENAI_CHAT, body, "gpt-5.6-sol");
    request_is(
        "{\"model\":\"gpt-5.6-sol\",\"top_p\":1,\"presence_penalty\":0,\"messages\":[],\"max_completion_tokens\":9}");
    assert_true(str_is(x.loss, "temperature,frequency_penalty"));
    open_as(DIALECT_OPENAI_CHAT, "{\"model\":\"m\",\"max_tokens\":9,\"max_completion_tokens\":8,\"messages\":[]}",
            "o3");
    request_is("{\"model\":\"o3\",\"max_completion_tokens\":8,\"messages\":[]}");
    open_as(DIALECT_OPENAI_CHAT, "{\"model\":\"m\",\"temperature\":0.2,\"messages\":[]}", "gpt-5.2");
    request_is("{\"model\":\"gpt-5.2\",\"temperature\":0.2,\"messages\":[]}");
    open_as(DIALECT_OPENAI_CHAT, "{\"model\":\"m\",\"temperature\":0.2,\"reasoning_effort\":\"low\",\"messages\":[]}",
            "gpt-5.2");
    request_is("{\"model\":\"gpt-5.2\",\"reasoning_effort\":\"low\",\"messages\":[]}");
    open_as(DIALECT_RESPONSES, "{\"model\":\"m\",\"temperature\":0,\"input\":\"x\"}", "gpt-6-sol");
    request_is("{\"model\":\"gpt-6-sol\",\"input\":\"x\"}");
    open_as(DIALECT_OPENAI_CHAT, "{\"model\":\"o3\",\"max_tokens\":9,\"temperature\":0.2,\"messages\":[]}", "o3");
    request_is("{\"model\":\"o3\",\"max_tokens\":9,\"temperature\":0.2,\"messages\":[]}");
    open_as(DIALECT_OPENAI_CHAT, "{\"model\":\"m\",\"max_tokens\":9,\"temperature\":0.2,\"messages\":[]}", "llama-3.3");
    request_is("{\"model\":\"llama-3.3\",\"max_tokens\":9,\"temperature\":0.2,\"messages\":[]}");
}

static void usage_is_asked_for(void **state)
{
    (void)state;
    open_as(DIALECT_OPENAI_CHAT, "{\"model\":\"m\",\"messages\":[],\"stream\":true}", "m");
    request_is("{\"model\":\"m\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    open_as(DIALECT_OPENAI_CHAT,
            "{\"model\":\"m\",\"messages\":[],\"stream_options\":{\"include_usage\":false,\"x\":1},\"stream\":true}",
            "m");
    request_is("{\"model\":\"m\",\"messages\":[],\"stream_options\":{\"include_usage\":true,\"x\":1},\"stream\":true}");
    open_as(DIALECT_OPENAI_CHAT, "{\"model\":\"m\",\"messages\":[],\"stream_options\":null,\"stream\":true}", "m");
    request_is("{\"model\":\"m\",\"messages\":[],\"stream_options\":{\"include_usage\":true},\"stream\":true}");
    open_as(DIALECT_OPENAI_CHAT, "{\"model\":\"m\",\"messages\":[]}", "m");
    request_is("{\"model\":\"m\",\"messages\":[]}");
}

#define CHUNK(rest) "data: {\"id\":\"c1\",\"model\":\"m-1\"," rest "}\n\n"
#define ROLE \
    CHUNK("\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]")
#define TEXT     CHUNK("\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi \xc3\xa9\"}}]")
#define NO_USAGE CHUNK("\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi \xc3\xa9\"}}],\"usage\":null")
#define FINISH   CHUNK("\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]")
#define USAGE                                                                                          \
    CHUNK("\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13," \
          "\"prompt_tokens_details\":{\"cached_tokens\":3}}")
#define DONE "data: [DONE]\n\n"

static void feed_in_pieces(const char *stream, size_t piece)
{
    struct str s = str_of(stream);
    for (size_t at = 0; at < s.n; at += piece) exchange_feed(&x, str_slice(s, at, at + piece), &out);
    exchange_finish(&x, &out);
}

static void stream_is(const char *expected)
{
    if (!str_is(buf_view(&out), expected)) fail_msg("relayed %.*s", STR_FMT(buf_view(&out)));
}

static const char STREAM_BODY[] = "{\"model\":\"m\",\"messages\":[],\"stream\":true}";

static void withholds_the_usage_chunk_at_any_split(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 400; piece += piece < 40 ? 1 : 57) {
        open_as(DIALECT_OPENAI_CHAT, STREAM_BODY, "m");
        buf_clear(&out);
        feed_in_pieces(": hello\n\n" ROLE TEXT FINISH USAGE DONE "data: late\n\n", piece);
        stream_is(": hello\n\n" ROLE TEXT FINISH DONE);
        assert_int_equal(x.facts, EXCHANGE_CONTENT | EXCHANGE_FINISHED | EXCHANGE_END | EXCHANGE_USAGE);
        assert_int_equal(x.usage.in_uncached, 6);
        assert_int_equal(x.usage.cache_read, 3);
        assert_int_equal(x.usage.out_total, 4);
        assert_true(str_is(x.finish, "stop"));
        assert_true(str_is(x.answer_model, "m-1"));
        assert_int_equal(x.content_bytes, 5);
        exchange_fini(&x);
    }
    open_as(DIALECT_OPENAI_CHAT, STREAM_BODY, "m");
}

static void gives_the_usage_chunk_to_who_asked(void **state)
{
    (void)state;
    open_as(DIALECT_OPENAI_CHAT,
            "{\"model\":\"m\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true}}", "m");
    buf_clear(&out);
    feed_in_pieces(ROLE TEXT FINISH USAGE DONE, 11);
    stream_is(ROLE TEXT FINISH USAGE DONE);
}

static void end_at_is_where_the_end_begins(void **state)
{
    (void)state;
    open_as(DIALECT_OPENAI_CHAT, STREAM_BODY, "m");
    buf_clear(&out);
    exchange_feed(&x, STR(ROLE TEXT), &out);
    buf_clear(&out);
    exchange_feed(&x, STR(FINISH DONE), &out);
    assert_true((x.facts & EXCHANGE_END) != 0);
    assert_int_equal(x.end_at, sizeof FINISH - 1);
}

static void without_done_a_finish_is_an_end(void **state)
{
    (void)state;
    open_as(DIALECT_OPENAI_CHAT, STREAM_BODY, "m");
    buf_clear(&out);
    feed_in_pieces(TEXT FINISH, 7);
    stream_is(TEXT FINISH DONE);
    assert_true((x.facts & EXCHANGE_END) != 0);
}

static void without_finish_it_is_truncated(void **state)
{
    (void)state;
    open_as(DIALECT_OPENAI_CHAT, STREAM_BODY, "m");
    buf_clear(&out);
    feed_in_pieces(ROLE TEXT, 7);
    stream_is(ROLE TEXT);
    assert_int_equal(x.facts, EXCHANGE_CONTENT);
}

static void a_usage_of_nothing_is_for_who_asked(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 40; piece++) {
        open_as(DIALECT_OPENAI_CHAT, STREAM_BODY, "m");
        buf_clear(&out);
        feed_in_pieces(NO_USAGE FINISH DONE, piece);
        stream_is(TEXT FINISH DONE);
        exchange_fini(&x);
    }
    open_as(DIALECT_OPENAI_CHAT,
            "{\"model\":\"m\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true}}", "m");
    buf_clear(&out);
    feed_in_pieces(NO_USAGE FINISH USAGE DONE, 7);
    stream_is(NO_USAGE FINISH USAGE DONE);
}

static void no_blank_line_at_the_end(void **state)
{
    (void)state;
    open_as(DIALECT_OPENAI_CHAT, STREAM_BODY, "m");
    buf_clear(&out);
    feed_in_pieces(TEXT FINISH "data: [DONE]", 7);
    assert_true((x.facts & EXCHANGE_END) != 0);
    assert_true(str_starts(buf_view(&out), STR(TEXT FINISH "data: [DONE]")));
    assert_true(str_ends(buf_view(&out), STR("\n\n")));
}

static void errors_inside_a_200(void **state)
{
    (void)state;
    static const struct {
        const char *event;
        enum weir_err err;
    } rows[] = {
        {"data: {\"error\":{\"message\":\"x\",\"code\":502},\"choices\":[]}\n\n", WEIR_UP_SERVER},
        {"data: {\"error\":{\"message\":\"x\",\"code\":429}}\n\n", WEIR_UP_RATE_LIMIT},
        {"event: error\ndata: "
         "{\"error\":{\"message\":\"x\",\"type\":\"invalid_request_error\",\"code\":\"tool_use_failed\"}}\n\n",
         WEIR_UP_BAD_REQUEST},
        {"data: {\"choices\":[{\"error\":{\"message\":\"x\",\"code\":\"rate_limit_exceeded\"}}]}\n\n",
         WEIR_UP_RATE_LIMIT},
        {"data: {\"error\":{\"message\":\"boom\"}}\n\n", WEIR_UP_STREAM_ERROR},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_as(DIALECT_OPENAI_CHAT, STREAM_BODY, "m");
        buf_clear(&out);
        exchange_feed(&x, STR(TEXT), &out);
        exchange_feed(&x, str_of(rows[i].event), &out);
        stream_is(TEXT);
        assert_int_equal(x.facts, EXCHANGE_CONTENT | EXCHANGE_ERROR);
        if (x.error.err != rows[i].err) fail_msg("row %zu: %s", i, err_word(x.error.err));
        buf_clear(&out);
        exchange_write_error(&x, x.error.err, x.error.message, &out);
        stream_is(rows[i].event); /* as the provider said it */
        exchange_fini(&x);
    }
    open_as(DIALECT_OPENAI_CHAT, STREAM_BODY, "m");
}

static void garbage_is_broken(void **state)
{
    (void)state;
    open_as(DIALECT_OPENAI_CHAT, STREAM_BODY, "m");
    buf_clear(&out);
    exchange_feed(&x, STR("data: {\"id\":\n\n"), &out);
    assert_int_equal(x.facts, EXCHANGE_BROKEN);
    assert_int_equal(buf_len(&out), 0);
}

#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
static const char ANTHROPIC_STREAM[] =
    EVENT("message_start", ",\"message\":{\"id\":\"msg_1\",\"model\":\"claude\",\"usage\":{\"input_tokens\":7,"
                           "\"cache_creation_input_tokens\":30,\"cache_creation\":{\"ephemeral_5m_input_tokens\":10,"
                           "\"ephemeral_1h_input_tokens\":20},\"cache_read_input_tokens\":100,\"output_tokens\":1}}")
        EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
            EVENT("ping", "")
                EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}")
                    EVENT("content_block_stop", ",\"index\":0")
                        EVENT("message_delta",
                              ",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":12,"
                              "\"cache_creation_input_tokens\":30,\"input_tokens\":null}") EVENT("message_stop", "");

static void anthropic_stream_at_any_split(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 200; piece += piece < 20 ? 1 : 31) {
        open_as(DIALECT_ANTHROPIC, "{\"model\":\"m\",\"messages\":[],\"max_tokens\":1,\"stream\":true}", "m");
        buf_clear(&out);
        feed_in_pieces(ANTHROPIC_STREAM, piece);
        stream_is(ANTHROPIC_STREAM);
        assert_int_equal(x.facts, EXCHANGE_CONTENT | EXCHANGE_FINISHED | EXCHANGE_END | EXCHANGE_USAGE);
        assert_int_equal(x.usage.in_uncached, 7);
        assert_int_equal(x.usage.cache_read, 100);
        assert_int_equal(x.usage.cache_write_5m, 10);
        assert_int_equal(x.usage.cache_write_1h, 20);
        assert_int_equal(x.usage.out_total, 12);
        exchange_fini(&x);
    }
    open_as(DIALECT_ANTHROPIC, "{\"model\":\"m\",\"messages\":[],\"max_tokens\":1,\"stream\":true}", "m");
}

static void anthropic_without_stop_is_truncated(void **state)
{
    (void)state;
    open_as(DIALECT_ANTHROPIC, "{\"model\":\"m\",\"messages\":[],\"max_tokens\":1,\"stream\":true}", "m");
    buf_clear(&out);
    feed_in_pieces(EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":12}"),
                   9);
    assert_true((x.facts & EXCHANGE_END) == 0);
}

static void unary_answer_is_identical(void **state)
{
    (void)state;
    const char *body = "{ \"id\":\"c\", \"model\":\"m-2\",\"choices\":[{\"message\":{\"content\":\"Hi\"},"
                       "\"finish_reason\":\"length\"}],\n \"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}";
    open_as(DIALECT_OPENAI_CHAT, "{\"model\":\"m\",\"messages\":[]}", "m");
    buf_clear(&out);
    assert_int_equal(exchange_answer(&x, str_of(body), &out), WEIR_OK);
    stream_is(body);
    assert_int_equal(x.facts, EXCHANGE_CONTENT | EXCHANGE_FINISHED | EXCHANGE_END | EXCHANGE_USAGE);
    assert_true(str_is(x.finish, "length"));
    assert_int_equal(x.usage.in_uncached, 5);
    assert_int_equal(x.usage.out_total, 6);
}

static void unary_error_inside_a_200(void **state)
{
    (void)state;
    open_as(DIALECT_OPENAI_CHAT, "{\"model\":\"m\",\"messages\":[]}", "m");
    buf_clear(&out);
    assert_int_equal(exchange_answer(&x, STR("{\"error\":{\"message\":\"no\",\"code\":503}}"), &out),
                     WEIR_UP_OVERLOADED);
    assert_int_equal(x.facts, EXCHANGE_ERROR);
    assert_int_equal(exchange_answer(&x, STR("<html>"), &out), WEIR_UP_PROTOCOL);
    assert_int_equal(buf_len(&out), 0);
}

static void target_paths(void **state)
{
    (void)state;
    static const struct {
        enum dialect_id d;
        const char *base, *path;
    } rows[] = {
        {DIALECT_OPENAI_CHAT, "/v1", "/v1/chat/completions"},
        {DIALECT_OPENAI_CHAT, "", "/v1/chat/completions"},
        {DIALECT_OPENAI_CHAT, "/v1beta/openai", "/v1beta/openai/chat/completions"},
        {DIALECT_ANTHROPIC, "", "/v1/messages"},
        {DIALECT_ANTHROPIC, "/v1", "/v1/messages"},
        {DIALECT_ANTHROPIC, "/anthropic", "/anthropic/v1/messages"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        x = (struct exchange){.target = dialect_of(rows[i].d), .call = &call};
        assert_true(str_is(exchange_target_path(&x, str_of(rows[i].base), &arena), rows[i].path));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(same_model_same_bytes, teardown),
        cmocka_unit_test_teardown(model_is_patched, teardown),
        cmocka_unit_test_teardown(another_model_takes_the_body, teardown),
        cmocka_unit_test_teardown(usage_is_asked_for, teardown),
        cmocka_unit_test_teardown(withholds_the_usage_chunk_at_any_split, teardown),
        cmocka_unit_test_teardown(gives_the_usage_chunk_to_who_asked, teardown),
        cmocka_unit_test_teardown(end_at_is_where_the_end_begins, teardown),
        cmocka_unit_test_teardown(without_done_a_finish_is_an_end, teardown),
        cmocka_unit_test_teardown(without_finish_it_is_truncated, teardown),
        cmocka_unit_test_teardown(a_usage_of_nothing_is_for_who_asked, teardown),
        cmocka_unit_test_teardown(no_blank_line_at_the_end, teardown),
        cmocka_unit_test_teardown(errors_inside_a_200, teardown),
        cmocka_unit_test_teardown(garbage_is_broken, teardown),
        cmocka_unit_test_teardown(anthropic_stream_at_any_split, teardown),
        cmocka_unit_test_teardown(anthropic_without_stop_is_truncated, teardown),
        cmocka_unit_test_teardown(unary_answer_is_identical, teardown),
        cmocka_unit_test_teardown(unary_error_inside_a_200, teardown),
        cmocka_unit_test_teardown(target_paths, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
