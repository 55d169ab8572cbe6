#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/exchange.h"

static struct arena arena;
static struct exchange x;
static struct call call;
static struct buf out;

static int teardown(void **state)
{
    (void)state;
    buf_fini(&out);
    arena_fini(&arena);
    return 0;
}

static void open_exchange(enum dialect_id client, enum dialect_id target, const char *body)
{
    struct str why = STR_NULL;
    assert_int_equal(call_read(client, str_of(body), &arena, &call, &why), WEIR_OK);
    assert_int_equal(exchange_request(&x, client, target, &call, str_of(body), STR("gpt-5"), &arena, &out, &why),
                     WEIR_OK);
    buf_clear(&out);
}

/* What the client gets of a stream: the same wherever it is cut in two. Facts of the exchange in x. */
static struct str told(enum dialect_id client, enum dialect_id target, const char *body, const char *stream)
{
    struct str in = str_of(stream), whole = STR_NULL;
    for (size_t cut = 0; cut <= in.n; cut++) {
        open_exchange(client, target, body);
        exchange_feed(&x, str_slice(in, 0, cut), &out);
        exchange_feed(&x, str_slice(in, cut, in.n), &out);
        exchange_finish(&x, &out);
        if (cut == 0)
            whole = arena_copy(&arena, buf_view(&out));
        else if (!str_eq(buf_view(&out), whole))
            fail_msg("cut at %zu", cut);
        exchange_fini(&x);
    }
    return whole;
}

static void assert_tells(struct str text, const char *piece)
{
    if (!str_contains(text, str_of(piece))) fail_msg("no %s in %.*s", piece, STR_FMT(text));
}

/* In this order, whatever lies between. */
static void assert_in_order(struct str text, const char *const *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ptrdiff_t at = str_find(text, str_of(pieces[i]));
        if (at < 0) fail_msg("no %s (%zu) in %.*s", pieces[i], i, STR_FMT(text));
        text = str_slice(text, (size_t)at + str_of(pieces[i]).n, text.n);
    }
}
#define ASSERT_IN_ORDER(text, ...)                                       \
    do {                                                                 \
        static const char *const pieces[] = {__VA_ARGS__};               \
        assert_in_order((text), pieces, sizeof pieces / sizeof *pieces); \
    } while (0)

#define ASKED_IN_CHAT     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true}"
#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"," rest "}\n\n"
#define CREATED           EVENT("response.created", "\"response\":{\"id\":\"resp_1\",\"model\":\"m\",\"output\":[]}")
#define COMPLETED(output)                                                                                      \
    EVENT("response.completed", "\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[" output \
                                "],\"usage\":{\"input_tokens\":9,\"output_tokens\":4}}")
#define CALL(id, name, arguments) \
    "{\"type\":\"function_call\",\"call_id\":\"" id "\",\"name\":\"" name "\",\"arguments\":\"" arguments "\"}"
#define TEXT_ITEM(text) "{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"" text "\"}]}"

/* Some backends send deltas and nothing in the last event, some the last event alone, some no deltas of calls. */
static void what_came_once_is_told_once(void **state)
{
    (void)state;
    static const char *const streams[] = {
        CREATED EVENT("response.output_text.delta", "\"output_index\":0,\"content_index\":0,\"delta\":\"hello\"")
            EVENT("response.output_item.added", "\"output_index\":1,\"item\":" CALL("c", "f", ""))
                EVENT("response.function_call_arguments.delta", "\"output_index\":1,\"delta\":\"{}\"") COMPLETED(""),
        CREATED COMPLETED(TEXT_ITEM("hello") "," CALL("c", "f", "{}")),
        CREATED EVENT("response.output_item.done", "\"output_index\":0,\"item\":" TEXT_ITEM("hello"))
            EVENT("response.output_item.done", "\"output_index\":1,\"item\":" CALL("c", "f", "{}"))
                COMPLETED(TEXT_ITEM("hello") "," CALL("c", "f", "{}")),
    };
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        struct str got = told(DIALECT_OPENAI_CHAT, DIALECT_RESPONSES, ASKED_IN_CHAT, streams[i]);
        ASSERT_IN_ORDER(got, "\"content\":\"hello\"", "\"id\":\"c\"", "\"arguments\":\"{}\"",
                        "\"finish_reason\":\"tool_calls\"", "[DONE]");
        ptrdiff_t at = str_find(got, STR("hello"));
        assert_false(str_contains(str_slice(got, (size_t)at + 5, got.n), STR("hello")));
        assert_int_equal(x.usage.out_total, 4);
    }
}

static void interleaved_items_keep_apart(void **state)
{
    (void)state;
    struct str got =
        told(DIALECT_OPENAI_CHAT, DIALECT_RESPONSES, ASKED_IN_CHAT,
             CREATED EVENT("response.output_item.added", "\"output_index\":0,\"item\":" CALL("a", "f", ""))
                 EVENT("response.output_item.added", "\"output_index\":1,\"item\":" CALL("b", "g", ""))
                     EVENT("response.function_call_arguments.delta", "\"output_index\":1,\"delta\":\"[1\"")
                         EVENT("response.function_call_arguments.delta", "\"output_index\":0,\"delta\":\"[0]\"")
                             EVENT("response.function_call_arguments.delta", "\"output_index\":1,\"delta\":\"]\"")
                                 COMPLETED(""));
    ASSERT_IN_ORDER(got, "\"index\":1,\"function\":{\"arguments\":\"[1\"",
                    "\"index\":0,\"function\":{\"arguments\":\"[0]\"", "\"index\":1,\"function\":{\"arguments\":\"]\"",
                    "[DONE]");
}

static void no_failure_becomes_an_end(void **state)
{
    (void)state;
    static const char *const streams[] = {
        CREATED EVENT("response.output_text.delta", "\"output_index\":0,\"content_index\":0,\"delta\":\"hel\""),
        CREATED EVENT("response.failed",
                      "\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_is_overloaded\","
                      "\"message\":\"busy\"}}"),
        CREATED EVENT("error", "\"code\":\"rate_limit_exceeded\",\"message\":\"slow\",\"param\":null"),
        CREATED EVENT("response.cancelled", "\"response\":{\"status\":\"cancelled\"}"),
        CREATED "data: {\"type\":\n\n",
        CREATED "data: []\n\n",
    };
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        struct str got = told(DIALECT_OPENAI_CHAT, DIALECT_RESPONSES, ASKED_IN_CHAT, streams[i]);
        if (str_contains(got, STR("[DONE]")) || str_contains(got, STR("\"finish_reason\":\"")) ||
            (x.facts & EXCHANGE_END) != 0)
            fail_msg("stream %zu: %.*s", i, STR_FMT(got));
        if (i > 0) assert_true((x.facts & (EXCHANGE_ERROR | EXCHANGE_BROKEN)) != 0);
    }
}

/* ---- tools of free text, at a provider that knows functions alone ---- */

#define ASKED_WITH_CUSTOM                                                                                   \
    "{\"model\":\"m\",\"input\":\"x\",\"stream\":true,\"tools\":[{\"type\":\"custom\",\"name\":\"patch\"}," \
    "{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}]}"
#define CHUNK(rest) "data: {\"id\":\"c1\",\"model\":\"m-1\",\"choices\":[{\"index\":0," rest "}]}\n\n"
#define OPEN(i, id, name)                                                                                \
    CHUNK("\"delta\":{\"tool_calls\":[{\"index\":" i ",\"id\":\"" id "\",\"function\":{\"name\":\"" name \
          "\",\"arguments\":\"\"}}]}")
#define MORE(i, text) CHUNK("\"delta\":{\"tool_calls\":[{\"index\":" i ",\"function\":{\"arguments\":\"" text "\"}}]}")
#define CALLED        CHUNK("\"delta\":{},\"finish_reason\":\"tool_calls\"") "data: [DONE]\n\n"

static void free_text_comes_whole_beside_other_calls(void **state)
{
    (void)state;
    struct str got = told(DIALECT_RESPONSES, DIALECT_OPENAI_CHAT, ASKED_WITH_CUSTOM,
                          OPEN("0", "a", "patch") MORE("0", "{\\\"inp") OPEN("1", "b", "f") MORE("1", "{\\\"q\\\":1}")
                              MORE("0", "ut\\\":\\\"one\\\\ntwo \\\\u00") MORE("0", "e9\\\"}") CALLED);
    ASSERT_IN_ORDER(got, "\"type\":\"custom_tool_call\",\"id\":\"ctc_c1_0\"",
                    "\"type\":\"function_call\",\"id\":\"fc_c1_1\"");
    assert_tells(got, "\"response.custom_tool_call_input.delta\"");
    assert_tells(got, "\"delta\":\"one\\ntwo \xc3\xa9\"");
    assert_tells(got, "\"input\":\"one\\ntwo \xc3\xa9\"");
    assert_tells(got, "\"delta\":\"{\\\"q\\\":1}\"");
    ASSERT_IN_ORDER(got, "response.completed", "\"type\":\"custom_tool_call\"", "\"type\":\"function_call\"");
    assert_false(str_contains(got, STR("\\\"input\\\"")));
}

/* A model that does not do as it was asked: nothing of what it wrote is lost. */
static void arguments_of_another_form_are_the_input(void **state)
{
    (void)state;
    static const struct {
        const char *stream, *input;
    } rows[] = {
        {OPEN("0", "a", "patch") MORE("0", "*** begin") CALLED, "\"input\":\"*** begin\""},
        {OPEN("0", "a", "patch") MORE("0", "{\\\"input\\\":") CALLED, "\"input\":\"{\\\"input\\\":\""},
        {OPEN("0", "a", "patch") MORE("0", "{\\\"input\\\":7}") CALLED, "\"input\":\"{\\\"input\\\":7}\""},
        {OPEN("0", "a", "patch") CALLED, "\"input\":\"\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str got = told(DIALECT_RESPONSES, DIALECT_OPENAI_CHAT, ASKED_WITH_CUSTOM, rows[i].stream);
        ASSERT_IN_ORDER(got, "response.output_item.done", "custom_tool_call");
        struct str end = str_slice(got, (size_t)str_find(got, STR("response.completed")), got.n);
        assert_tells(end, rows[i].input);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_once_is_told_once),
        cmocka_unit_test(interleaved_items_keep_apart),
        cmocka_unit_test(no_failure_becomes_an_end),
        cmocka_unit_test(free_text_comes_whole_beside_other_calls),
        cmocka_unit_test(arguments_of_another_form_are_the_input),
    };
    return cmocka_run_group_tests_name("proto/dialect/responses", tests, NULL, teardown);
}
