#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/client_error.h"
#include "proto/dialect/upstream_error.h"

#include <string.h>

static struct arena arena;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct upstream_error read_error(uint16_t status, const char *body)
{
    struct upstream_error e;
    const struct answer_headers none = {0};
    upstream_error_read(status, &none, str_of(body), &arena, &e);
    return e;
}

static void classes(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        const char *body;
        enum weir_err err;
    } rows[] = {
        /* OpenAI and Azure */
        {429, "{\"error\":{\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\",\"message\":\"x\"}}",
         WEIR_UP_RATE_LIMIT},
        {429, "{\"error\":{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\",\"message\":\"x\"}}",
         WEIR_UP_QUOTA},
        {429, "{\"error\":{\"code\":\"organization_spend_limit_exceeded\"}}", WEIR_UP_QUOTA},
        {429, "{\"error\":{\"code\":\"429\",\"message\":\"x\"}}", WEIR_UP_RATE_LIMIT},
        {429, "{\"error\":{\"code\":\"429\",\"message\":\"The system is experiencing high demand\"}}",
         WEIR_UP_OVERLOADED},
        {503, "{\"error\":{\"type\":\"service_unavailable_error\",\"code\":\"server_is_overloaded\"}}",
         WEIR_UP_OVERLOADED},
        {400, "{\"error\":{\"code\":\"context_length_exceeded\",\"type\":\"invalid_request_error\"}}",
         WEIR_UP_CONTEXT_LENGTH},
        {400, "{\"error\":{\"code\":\"content_filter\",\"innererror\":{\"code\":\"ResponsibleAIPolicyViolation\"}}}",
         WEIR_UP_CONTENT_POLICY},
        {401, "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"invalid_api_key\",\"message\":\"sk-..\"}}",
         WEIR_UP_AUTH},
        {401, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"x\"}}", WEIR_UP_AUTH},
        {404, "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"model_not_found\"}}", WEIR_UP_NOT_FOUND},
        {404, "{\"error\":{\"code\":\"DeploymentNotFound\"}}", WEIR_UP_NOT_FOUND},
        {400, "{\"error\":{\"code\":\"unsupported_parameter\",\"type\":\"invalid_request_error\"}}",
         WEIR_UP_CAPABILITY},
        {400, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"bad\"}}", WEIR_UP_BAD_REQUEST},
        {400, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"429 rate limit is my favourite text\"}}",
         WEIR_UP_BAD_REQUEST},
        {500, "{\"error\":{\"code\":429,\"message\":\"hidden\"}}", WEIR_UP_RATE_LIMIT},
        {402, "{\"error\":{\"message\":\"Insufficient Balance\"}}", WEIR_UP_QUOTA},
        /* Anthropic */
        {529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
         WEIR_UP_OVERLOADED},
        {429, "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"x\"}}", WEIR_UP_RATE_LIMIT},
        {429,
         "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"x\",\"details\":{\"error_code\":"
         "\"enforced_spend_limit_reached\"}}}",
         WEIR_UP_QUOTA},
        {400,
         "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Your credit balance is too "
         "low to access the API\"}}",
         WEIR_UP_QUOTA},
        {400,
         "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 2 tokens "
         "> 1 maximum\"}}",
         WEIR_UP_CONTEXT_LENGTH},
        {400,
         "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"temperature: Extra inputs "
         "are not permitted\"}}",
         WEIR_UP_CAPABILITY},
        {403, "{\"type\":\"error\",\"error\":{\"type\":\"permission_error\",\"message\":\"x\"}}", WEIR_UP_PERMISSION},
        {413, "{\"type\":\"error\",\"error\":{\"type\":\"request_too_large\",\"message\":\"x\"}}", WEIR_UP_TOO_LARGE},
        {500, "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"x\"}}", WEIR_UP_SERVER},
        {504, "{\"type\":\"error\",\"error\":{\"type\":\"timeout_error\",\"message\":\"x\"}}", WEIR_UP_TIMEOUT},
        /* others */
        {422, "{\"detail\":[{\"msg\":\"Field required\"}]}", WEIR_UP_BAD_REQUEST},
        {401, "{\"detail\":\"Unauthorized\"}", WEIR_UP_AUTH},
        {400,
         "{\"object\":\"error\",\"message\":\"maximum context length is 5\",\"type\":\"BadRequestError\",\"code\":400}",
         WEIR_UP_CONTEXT_LENGTH},
        {404, "{\"code\":\"not-found\",\"error\":\"The model does not exist\"}", WEIR_UP_NOT_FOUND},
        {400, "[{\"error\":{\"code\":400,\"message\":\"x\",\"status\":\"INVALID_ARGUMENT\"}}]", WEIR_UP_BAD_REQUEST},
        {502, "<html><head><title>502 Bad Gateway</title>", WEIR_UP_SERVER},
        {524, "", WEIR_UP_TIMEOUT},
        {409, "{}", WEIR_UP_CONFLICT},
        {301, "", WEIR_UP_REDIRECT},
        {418, "short and stout", WEIR_UP_BAD_REQUEST},
        /* inside a 200 */
        {200, "{\"error\":{\"message\":\"x\",\"code\":503}}", WEIR_UP_OVERLOADED},
        {200, "{\"error\":{\"message\":\"x\"}}", WEIR_UP_SERVER},
        {200, "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"}}", WEIR_UP_RATE_LIMIT},
        {200, "{\"choices\":[]}", WEIR_OK},
        {200, "{\"type\":\"message\",\"content\":[]}", WEIR_OK},
        {200, "", WEIR_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct upstream_error e = read_error(rows[i].status, rows[i].body);
        if (e.err != rows[i].err) fail_msg("%d %s: %s", rows[i].status, rows[i].body, err_word(e.err));
    }
}

static void messages_are_safe(void **state)
{
    (void)state;
    static const char head[] = "{\"error\":{\"message\":\"";
    assert_true(str_is(read_error(400, "{\"error\":{\"message\":\"said\"}}").message, "said"));
    assert_true(str_is(read_error(400, "{\"detail\":[{\"msg\":\"Field required\"}]}").message, "Field required"));
    assert_true(str_is(read_error(400, "{\"code\":\"x\",\"error\":\"flat\"}").message, "flat"));
    assert_true(str_is(read_error(500, "upstream connect error").message, "upstream connect error"));
    assert_int_equal(read_error(502, "<!DOCTYPE html><html>").message.n, 0);
    assert_int_equal(read_error(502, "{\"error\":{\"message\":\"<html>x\"}}").message.n, 0);
    assert_int_equal(read_error(502, "{broken").message.n, 0);
    assert_int_equal(read_error(401, "{\"error\":{\"message\":\"Incorrect key sk-abc***xyz\"}}").message.n, 0);
    char body[2000];
    memcpy(body, head, sizeof head - 1);
    for (size_t i = 0; i < 1000; i += 2) memcpy(body + sizeof head - 1 + i, "\xc3\xa9", 2);
    memcpy(body + sizeof head - 1 + 1000, "\"}}", 4);
    struct upstream_error e = read_error(400, body);
    assert_int_equal(e.message.n, 500);
    body[sizeof head - 1] = 'x'; /* now every border is inside a character */
    body[sizeof head] = 'x';
    memmove(body + sizeof head, body + sizeof head + 1, strlen(body + sizeof head));
    e = read_error(400, body);
    assert_int_equal(e.message.n, 499);
}

static void retry_hints(void **state)
{
    (void)state;
    static const struct {
        struct answer_headers h;
        const char *text;
        int64_t ms;
    } rows[] = {
        {{.retry_after_ms = {"1500.5", 6}}, "", 1500},
        {{.retry_after_ms = {"20", 2}, .retry_after = {"9", 1}}, "", 20},
        {{.retry_after = {"7", 1}}, "", 7000},
        {{.retry_after = {"86400", 5}}, "", 3600000},
        {{.retry_after = {"-5", 2}}, "", -1},
        {{.retry_after = {"Wed, 03 Jun 2026 13:05:52 GMT", 29}, .date = {"Wed, 03 Jun 2026 13:05:42 GMT", 29}},
         "",
         10000},
        {{.retry_after = {"Wed, 03 Jun 2026 13:05:12 GMT", 29}, .date = {"Wed, 03 Jun 2026 13:05:42 GMT", 29}}, "", 0},
        {{.retry_after = {"Wed, 03 Jun 2026 13:05:52 GMT", 29}}, "", -1},
        {{.limit_requests_left = {"0", 1}, .limit_requests_reset = {"6m0s", 4}}, "", 360000},
        {{.limit_tokens_left = {"0", 1}, .limit_tokens_reset = {"12ms", 4}}, "", 12},
        {{.limit_tokens_left = {"0", 1},
          .limit_tokens_reset = {"1.5s", 4},
          .limit_requests_left = {"0", 1},
          .limit_requests_reset = {"900ms", 5}},
         "",
         1500},
        {{.limit_tokens_left = {"100", 3}, .limit_tokens_reset = {"6m0s", 4}}, "", -1},
        {{.limit_tokens_left = {"0", 1},
          .limit_tokens_reset = {"2026-06-03T13:05:45Z", 20},
          .date = {"Wed, 03 Jun 2026 13:05:42 GMT", 29}},
         "",
         3000},
        {{.retry_after = {NULL, 0}}, "Rate limit reached. Please try again in 1.2s. Visit x", 1200},
        {{.retry_after = {NULL, 0}}, "Please retry in 37.5s.", 37500},
        {{.retry_after = {NULL, 0}}, "Please try again in 20ms", 20},
        {{.retry_after = {NULL, 0}}, "try again in 6m0s", 360000},
        {{.retry_after = {NULL, 0}}, "Please retry after 6 seconds.", 6000},
        {{.retry_after = {NULL, 0}}, "try again in a while", -1},
        {{.retry_after = {NULL, 0}}, "", -1},
        {{.retry_after = {"99999999999999999999999", 23}}, "", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ms = retry_hint_ms(&rows[i].h, str_of(rows[i].text));
        if (ms != rows[i].ms) fail_msg("row %zu: %lld, not %lld", i, (long long)ms, (long long)rows[i].ms);
    }
    const struct answer_headers no_retry = {.should_retry = {"false", 5}};
    struct upstream_error e;
    upstream_error_read(429, &no_retry, STR_NULL, &arena, &e);
    assert_true(e.should_not_retry);
    assert_int_equal(e.retry_after_ms, -1);
}

static void client_shapes(void **state)
{
    (void)state;
    struct buf out = {0};
    openai_error_write(WEIR_MODEL_NOT_FOUND, STR("no \"x\""), &out);
    assert_true(
        str_is(buf_view(&out),
               "{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":\"invalid_request_error\",\"param\":\"model\","
               "\"code\":\"model_not_found\"}}"));
    buf_clear(&out);
    anthropic_error_write(WEIR_BUDGET_SPENT, STR_NULL, STR("req_1"), &out);
    assert_true(str_is(buf_view(&out),
                       "{\"type\":\"error\",\"error\":{\"type\":\"billing_error\",\"message\":\"the budget is spent\"},"
                       "\"request_id\":\"req_1\"}"));
    buf_fini(&out);
    assert_int_equal(anthropic_error_status(WEIR_UP_OVERLOADED), 529);
    assert_int_equal(anthropic_error_status(WEIR_UP_QUOTA), 402);
    assert_int_equal(anthropic_error_status(WEIR_RATE), 429);
    assert_int_equal(openai_error_status(WEIR_UP_OVERLOADED), 503);
    assert_int_equal(openai_error_status(WEIR_UP_QUOTA), 429);
    assert_int_equal(openai_error_status(WEIR_UP_AUTH), 502);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(classes, teardown),
        cmocka_unit_test_teardown(messages_are_safe, teardown),
        cmocka_unit_test_teardown(retry_hints, teardown),
        cmocka_unit_test_teardown(client_shapes, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
