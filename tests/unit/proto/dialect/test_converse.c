#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/client_error.h"
#include "proto/dialect/exchange.h"
#include "proto/dialect/upstream_error.h"
#include "proto/wire/eventstream.h"

#include <string.h>

#define CLAUDE "us.anthropic.claude-haiku-4-5-20251001-v1:0"
#define HI     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]}]}"

static struct arena arena;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

/* ---- paths ---- */

static void paths_name_the_model(void **state)
{
    (void)state;
    static const struct {
        const char *path, *model; /* NULL: no such endpoint */
        bool stream;
    } rows[] = {
        {"/model/amazon.nova-lite-v1:0/converse", "amazon.nova-lite-v1:0", false},
        {"/model/amazon.nova-lite-v1%3A0/converse-stream", "amazon.nova-lite-v1:0", true},
        {"/bedrock/model/m/converse/", "m", false},
        {"/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.x-v1%3A0/converse",
         "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.x-v1:0", false},
        {"/model/arn:aws:bedrock:eu-west-1:1:inference-profile/eu.x-v1:0/converse-stream",
         "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.x-v1:0", true},
        {"/model/a%2Fb%2520c/converse", "a/b%20c", false},
        {"/model//converse", NULL, false},
        {"/model/converse", NULL, false},
        {"/model/m/converse/x", NULL, false},
        {"/model/m/Converse", NULL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool known;
        struct endpoint_place place;
        const struct endpoint *e = endpoint_find(STR("POST"), str_of(rows[i].path), &known);
        if (rows[i].model == NULL) {
            assert_null(e);
            continue;
        }
        assert_non_null(e);
        assert_int_equal(e->dialect, DIALECT_CONVERSE);
        assert_true(endpoint_read_place(e, str_of(rows[i].path), STR_NULL, &arena, &place));
        assert_true(str_is(place.model, rows[i].model));
        assert_int_equal(place.stream, rows[i].stream);
        assert_false(place.json_array);
    }
    bool known;
    assert_null(endpoint_find(STR("GET"), STR("/model/m/converse"), &known));
    assert_true(known);
}

static enum weir_err read_call(const char *body, struct call *ret_call)
{
    static const struct endpoint_place place = {.model = {"m", 1}, .stream = true};
    struct str why = STR_NULL;
    *ret_call = (struct call){0};
    return call_read_at(DIALECT_CONVERSE, &place, str_of(body), &arena, ret_call, &why);
}

static void a_body_is_bounded(void **state)
{
    (void)state;
    struct call c, picture;
    static char bytes[40000], body[41000];
    memset(bytes, 'A', sizeof bytes - 1);
    assert_int_equal(read_call("{\"messages\":[],\"inferenceConfig\":{\"maxTokens\":7},\"toolConfig\":{\"tools\":[{}]},"
                               "\"outputConfig\":{\"textFormat\":{}}}",
                               &c),
                     WEIR_OK);
    assert_true(c.stream && c.needs_tools && c.needs_json_schema && str_is(c.model, "m"));
    assert_int_equal(c.max_output, 7);
    assert_int_equal(read_call(HI, &c), WEIR_OK);
    (void)snprintf(
        body, sizeof body,
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"toolResult\":{\"content\":[{\"image\":{\"format\":"
        "\"png\",\"source\":{\"bytes\":\"%s\"}}}]}}]}]}",
        bytes);
    assert_int_equal(read_call(body, &picture), WEIR_OK);
    assert_true(picture.needs_images && picture.input_bound < c.input_bound + 10000); /* not by its bytes */
    assert_int_equal(read_call("{\"messages\":{}}", &c), WEIR_BAD_REQUEST);
    assert_int_equal(read_call("{\"messages\":[],\"messages\":[]}", &c), WEIR_BAD_REQUEST);
    assert_int_equal(read_call("{\"messages\":[],\"inferenceConfig\":{\"maxTokens\":1.5}}", &c), WEIR_BAD_REQUEST);
}

static struct exchange ask(enum dialect_id client, enum dialect_id target, const char *model, const char *body)
{
    static struct call call;
    struct exchange x;
    struct buf sent = {0};
    struct str why = STR_NULL;
    bool in_path = client == DIALECT_CONVERSE;
    const struct endpoint_place place = {.model = in_path ? STR("m") : STR_NULL, .stream = in_path};
    assert_int_equal(call_read_at(client, &place, str_of(body), &arena, &call, &why), WEIR_OK);
    assert_int_equal(exchange_request(&x, client, target, &call, str_of(body), str_of(model), &arena, &sent, &why),
                     WEIR_OK);
    buf_fini(&sent);
    return x;
}

static void an_arn_is_one_segment_of_the_path(void **state)
{
    (void)state;
    struct exchange x = ask(DIALECT_CONVERSE, DIALECT_CONVERSE, "arn:aws:bedrock:x:1:inference-profile/a.b-v1:0", HI);
    assert_true(str_is(exchange_target_path(&x, STR("/base"), &arena),
                       "/base/model/arn%3Aaws%3Abedrock%3Ax%3A1%3Ainference-profile%2Fa.b-v1%3A0/converse-stream"));
    exchange_fini(&x);
}

/* ---- errors ---- */

static enum weir_err class_of(uint16_t status, const char *type, const char *message)
{
    struct upstream_error e;
    const struct answer_headers h = {.error_type = str_of(type)};
    struct str body = arena_printf(&arena, "{\"message\":\"%s\"}", message);
    upstream_error_read(status, &h, body, &arena, &e);
    return e.err;
}

static void exceptions_have_classes(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        const char *type, *message;
        enum weir_err err;
    } rows[] = {
        {400, "ValidationException:http://internal.amazon.com/coral/x/", "Malformed input", WEIR_UP_BAD_REQUEST},
        {400, "ValidationException", "Input is too long for requested model.", WEIR_UP_CONTEXT_LENGTH},
        {400, "ValidationException", "The provided model identifier is invalid.", WEIR_UP_NOT_FOUND},
        {400, "ValidationException", "Invocation with on-demand throughput isn\xe2\x80\x99t supported.",
         WEIR_UP_NOT_FOUND},
        {400, "ValidationException", "#: extraneous key [cachePoint] is not permitted", WEIR_UP_CAPABILITY},
        {400, "ServiceQuotaExceededException", "x", WEIR_UP_QUOTA},
        {403, "UnrecognizedClientException", "The security token is invalid", WEIR_UP_AUTH},
        {403, "ExpiredTokenException", "x", WEIR_UP_AUTH},
        {400, "IncompleteSignature", "x", WEIR_UP_AUTH},
        {403, "AccessDeniedException", "x", WEIR_UP_PERMISSION},
        {404, "ResourceNotFoundException", "end of its life", WEIR_UP_NOT_FOUND},
        {408, "ModelTimeoutException", "x", WEIR_UP_TIMEOUT},
        {424, "ModelErrorException", "x", WEIR_UP_SERVER},
        {429, "com.amazon.coral#ThrottlingException", "Too many requests", WEIR_UP_RATE_LIMIT},
        {429, "ThrottlingException", "Too many tokens per day, please wait", WEIR_UP_QUOTA},
        {429, "ModelNotReadyException", "x", WEIR_UP_OVERLOADED},
        {500, "InternalServerException", "x", WEIR_UP_SERVER},
        {503, "ServiceUnavailableException", "x", WEIR_UP_OVERLOADED},
        {529, "", "Overloaded", WEIR_UP_OVERLOADED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (class_of(rows[i].status, rows[i].type, rows[i].message) != rows[i].err)
            fail_msg("%u %s %s: %s", rows[i].status, rows[i].type, rows[i].message,
                     err_word(class_of(rows[i].status, rows[i].type, rows[i].message)));
}

static enum weir_err in_stream(const char *name, const char *json)
{
    struct upstream_error e;
    upstream_error_of_exception(str_of(name), str_of(json), &arena, &e);
    return e.err;
}

static void exceptions_in_streams_have_classes(void **state)
{
    (void)state;
    assert_int_equal(in_stream("throttlingException", "{\"message\":\"x\"}"), WEIR_UP_RATE_LIMIT);
    assert_int_equal(in_stream("serviceUnavailableException", "{}"), WEIR_UP_OVERLOADED);
    assert_int_equal(in_stream("internalServerException", "{\"message\":\"x\"}"), WEIR_UP_STREAM_ERROR);
    assert_int_equal(in_stream("modelTimeoutException", "{}"), WEIR_UP_TIMEOUT);
    assert_int_equal(in_stream("validationException", "{\"message\":\"Input is too long for requested model.\"}"),
                     WEIR_UP_CONTEXT_LENGTH);
    assert_int_equal(in_stream("validationException", "{\"message\":\"x\"}"), WEIR_UP_BAD_REQUEST);
    assert_int_equal(
        in_stream("modelStreamErrorException", "{\"originalStatusCode\":429,\"originalMessage\":\"busy\"}"),
        WEIR_UP_SERVER);
    assert_int_equal(in_stream("503", "come again"), WEIR_UP_STREAM_ERROR); /* an error frame: code and text */
    assert_int_equal(in_stream("", "\xff{"), WEIR_UP_STREAM_ERROR);
}

static void refusals_have_words(void **state)
{
    (void)state;
    assert_string_equal(converse_exception(WEIR_RATE), "ThrottlingException");
    assert_string_equal(converse_exception(WEIR_KEY_INVALID), "UnrecognizedClientException");
    assert_int_equal(converse_error_status(WEIR_KEY_INVALID), 403);
    assert_string_equal(converse_exception(WEIR_UP_QUOTA), "ServiceQuotaExceededException");
    assert_int_equal(converse_error_status(WEIR_UP_QUOTA), 400);
    assert_string_equal(converse_exception(WEIR_BUDGET_SPENT), "ServiceQuotaExceededException");
    assert_int_equal(converse_error_status(WEIR_BUDGET_SPENT), 402);
    assert_string_equal(converse_exception(WEIR_MODEL_NOT_FOUND), "ResourceNotFoundException");
    assert_string_equal(converse_exception(WEIR_UP_TIMEOUT_IDLE), "ModelTimeoutException");
    assert_string_equal(converse_exception(WEIR_UP_CONNECT), "InternalServerException");
    assert_string_equal(converse_exception(WEIR_TOO_LARGE), "ValidationException");
    assert_string_equal(converse_exception_in_stream(WEIR_UP_TRUNCATED), "modelStreamErrorException");
}

/* ---- streams ---- */

static void event(struct buf *b, const char *name, const char *json)
{
    assert_true(eventstream_write_json(b, STR("event"), str_of(name), str_of(json)));
}

static struct buf sample(void)
{
    struct buf b = {0};
    event(&b, "messageStart", "{\"role\":\"assistant\",\"p\":\"abc\"}");
    event(&b, "contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"text\":\"Hm\"}}}");
    event(&b, "contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"signature\":\"S\"}}}");
    event(&b, "contentBlockStop", "{\"contentBlockIndex\":0}");
    event(&b, "contentBlockDelta", "{\"contentBlockIndex\":1,\"delta\":{\"text\":\"Hi \xc3\xa9\"}}");
    event(&b, "contentBlockStop", "{\"contentBlockIndex\":1}");
    event(&b, "contentBlockStart",
          "{\"contentBlockIndex\":2,\"start\":{\"toolUse\":{\"toolUseId\":\"t\",\"name\":\"f\"}}}");
    event(&b, "contentBlockDelta", "{\"contentBlockIndex\":2,\"delta\":{\"toolUse\":{\"input\":\"{\\\"a\\\":1}\"}}}");
    event(&b, "contentBlockStop", "{\"contentBlockIndex\":2}");
    event(&b, "messageStop", "{\"stopReason\":\"tool_use\"}");
    event(&b, "metadata", "{\"usage\":{\"inputTokens\":3,\"outputTokens\":4,\"totalTokens\":7}}");
    return b;
}

static const char *const BODIES[] = {
    [DIALECT_OPENAI_CHAT] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true}",
    [DIALECT_ANTHROPIC] =
        "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true}",
    [DIALECT_RESPONSES] = "{\"model\":\"m\",\"input\":\"x\",\"stream\":true}",
    [DIALECT_CONVERSE] = HI,
};

/* What a client gets when the stream comes in two pieces; facts too. */
static void feed(enum dialect_id client, struct str bytes, size_t cut, struct buf *out, uint8_t *ret_facts)
{
    struct exchange x = ask(client, DIALECT_CONVERSE, CLAUDE, BODIES[client]);
    exchange_feed(&x, str_slice(bytes, 0, cut), out);
    exchange_feed(&x, str_slice(bytes, cut, bytes.n), out);
    exchange_finish(&x, out);
    *ret_facts = x.facts;
    exchange_fini(&x);
}

static void every_split_gives_the_same(void **state)
{
    (void)state;
    const uint8_t good = EXCHANGE_CONTENT | EXCHANGE_FINISHED | EXCHANGE_END | EXCHANGE_USAGE;
    struct buf stream = sample();
    for (enum dialect_id client = 0; client < sizeof BODIES / sizeof *BODIES; client++) {
        struct buf whole = {0}, split = {0};
        uint8_t facts;
        if (BODIES[client] == NULL) continue;
        feed(client, buf_view(&stream), 0, &whole, &facts);
        assert_int_equal(facts, good);
        if (client == DIALECT_CONVERSE) assert_true(str_eq(buf_view(&whole), buf_view(&stream)));
        for (size_t cut = 1; cut < buf_len(&stream); cut++) {
            buf_clear(&split);
            feed(client, buf_view(&stream), cut, &split, &facts);
            assert_int_equal(facts, good);
            assert_true(str_eq(buf_view(&whole), buf_view(&split)));
        }
        buf_fini(&whole);
        buf_fini(&split);
        arena_reset(&arena);
    }
    buf_fini(&stream);
}

/* Wherever it is cut before messageStop, and inside any frame, there is no end. */
static void a_cut_is_no_end(void **state)
{
    (void)state;
    struct buf stream = sample(), out = {0};
    struct str all = buf_view(&stream);
    ptrdiff_t stop = str_find(all, STR("{\"stopReason\""));
    for (size_t n = 0; n < all.n; n++) {
        for (enum dialect_id client = 0; client < sizeof BODIES / sizeof *BODIES; client++) {
            uint8_t facts;
            if (BODIES[client] == NULL) continue;
            buf_clear(&out);
            feed(client, str_slice(all, 0, n), n / 2, &out, &facts);
            bool may_end = n > (size_t)stop; /* only right behind messageStop, where a host leaves out its figures */
            if (!may_end) assert_false(facts & EXCHANGE_END);
            if (may_end && (facts & EXCHANGE_END) != 0) assert_int_equal(all.p[n + 3], (char)(all.n - n));
        }
        arena_reset(&arena);
    }
    buf_fini(&stream);
    buf_fini(&out);
}

static void a_flipped_bit_breaks_the_stream(void **state)
{
    (void)state;
    struct buf stream = sample(), out = {0};
    for (size_t i = 0; i < buf_len(&stream); i++) {
        uint8_t facts;
        stream.p[stream.head + i] ^= 4;
        buf_clear(&out);
        feed(DIALECT_ANTHROPIC, buf_view(&stream), i, &out, &facts);
        assert_false(facts & EXCHANGE_END);
        stream.p[stream.head + i] ^= 4;
        arena_reset(&arena);
    }
    buf_fini(&stream);
    buf_fini(&out);
}

static void an_exception_reaches_a_client_of_its_own_dialect_as_it_came(void **state)
{
    (void)state;
    struct buf stream = {0}, out = {0}, exception = {0};
    event(&stream, "messageStart", "{\"role\":\"assistant\"}");
    event(&stream, "contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"Hi\"}}");
    size_t before = buf_len(&stream);
    assert_true(
        eventstream_write_json(&exception, STR("exception"), STR("throttlingException"), STR("{\"message\":\"m\"}")));
    buf_add(&stream, buf_view(&exception));
    struct exchange x = ask(DIALECT_CONVERSE, DIALECT_CONVERSE, "m", HI);
    exchange_feed(&x, buf_view(&stream), &out);
    assert_true(x.facts & EXCHANGE_ERROR);
    assert_int_equal(x.error.err, WEIR_UP_RATE_LIMIT);
    assert_int_equal(buf_len(&out), before);
    exchange_write_error(&x, WEIR_UP_RATE_LIMIT, STR("ours"), &out);
    assert_true(str_eq(buf_view(&out), buf_view(&stream)));
    exchange_fini(&x);
    buf_fini(&stream);
    buf_fini(&out);
    buf_fini(&exception);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_name_the_model),
        cmocka_unit_test(a_body_is_bounded),
        cmocka_unit_test(an_arn_is_one_segment_of_the_path),
        cmocka_unit_test(exceptions_have_classes),
        cmocka_unit_test(exceptions_in_streams_have_classes),
        cmocka_unit_test(refusals_have_words),
        cmocka_unit_test(every_split_gives_the_same),
        cmocka_unit_test(a_cut_is_no_end),
        cmocka_unit_test(a_flipped_bit_breaks_the_stream),
        cmocka_unit_test(an_exception_reaches_a_client_of_its_own_dialect_as_it_came),
    };
    arena_init(&arena, 65536);
    return cmocka_run_group_tests(tests, NULL, teardown);
}
