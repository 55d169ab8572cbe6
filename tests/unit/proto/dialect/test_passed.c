#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/embed.h"
#include "proto/dialect/passed.h"

#include <string.h>

static const struct endpoint *endpoint(const char *method, const char *path)
{
    bool known;
    const struct endpoint *e = endpoint_find(str_of(method), str_of(path), &known);
    if (e == NULL) fail_msg("%s", path);
    return e;
}

/* in, cached, out, units, ms; -1 in `in`: nothing is said */
static void usages(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int64_t in, cached, out, units, ms;
    } rows[] = {
        {"{\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}", 8, 0, 0, 0, 0},
        {"{\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":3}}}", 5,
         3, 2, 0, 0},
        {"{\"usage\":{\"total_tokens\":7}}", 7, 0, 0, 0, 0},
        {"{\"usage\":{\"input_tokens\":9,\"output_tokens\":4,\"input_tokens_details\":{\"cached_tokens\":2}}}", 7, 2, 4,
         0, 0},
        {"{\"type\":\"message\",\"usage\":{\"input_tokens\":9,\"output_tokens\":4,\"cache_read_input_tokens\":2}}", 9,
         2, 4, 0, 0},
        {"{\"type\":\"message_start\",\"message\":{\"type\":\"message\",\"usage\":{\"input_tokens\":9,\"output_"
         "tokens\":1}}}",
         9, 0, 1, 0, 0},
        {"{\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":6,\"output_tokens\":5}}}", 6, 0, 5,
         0, 0},
        {"{\"usageMetadata\":{\"promptTokenCount\":5,\"candidatesTokenCount\":6,\"totalTokenCount\":11}}", 5, 0, 6, 0,
         0},
        {"{\"usage\":{\"inputTokens\":5,\"outputTokens\":2,\"totalTokens\":7}}", 5, 0, 2, 0, 0},
        {"{\"meta\":{\"billed_units\":{\"input_tokens\":7}}}", 7, 0, 0, 0, 0},
        {"{\"meta\":{\"billed_units\":{\"search_units\":2}}}", 0, 0, 0, 2, 0},
        {"{\"text\":\"x\",\"usage\":{\"type\":\"duration\",\"seconds\":3.25}}", 0, 0, 0, 0, 3250},
        {"{\"usage\":{\"prompt_tokens\":\"8\"}}", -1, 0, 0, 0, 0},
        {"{\"usage\":null,\"choices\":[]}", -1, 0, 0, 0, 0},
        {"[1]", -1, 0, 0, 0, 0},
        {"{\"usage\":", -1, 0, 0, 0, 0},
        {"", -1, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a;
        struct usage u = {0};
        arena_init(&a, 4096);
        bool said = passed_read_usage(str_of(rows[i].json), &a, &u);
        bool right =
            said == (rows[i].in >= 0) &&
            (!said || (u.in_uncached == rows[i].in && u.cache_read == rows[i].cached && u.out_total == rows[i].out &&
                       u.units == rows[i].units && u.milliseconds == rows[i].ms));
        if (!right) fail_msg("row %zu: %d in %lld out %lld", i, said, (long long)u.in_uncached, (long long)u.out_total);
        arena_fini(&a);
    }
}

static void what_endpoints_count(void **state)
{
    (void)state;
    static const struct {
        const char *path, *answer;
        int64_t units, ms;
        bool said;
    } rows[] = {
        {"/v1/images/generations", "{\"data\":[{\"b64_json\":\"a,]}b\"},{\"url\":\"\\\"[\"}]}", 2, 0, true},
        {"/v1/images/generations", " {\"data\":[ ]}", 0, 0, false},
        {"/v1/audio/speech", "\xFF\xFBsound", 5, 0, true},
        {"/v1/audio/transcriptions", "{\"text\":\"x\",\"duration\":1.5}", 0, 1500, true},
        {"/v1/audio/transcriptions", "plain text", 0, 0, false},
        {"/v1/rerank", "{\"results\":[]}", 1, 0, true},
        {"/v1/moderations", "{}", 0, 0, true},
        {"/v1/embeddings", "{\"data\":[]}", 0, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a;
        struct usage u = {0};
        const struct call call = {.units = strstr(rows[i].path, "speech") != NULL ? 5 : 0};
        arena_init(&a, 4096);
        bool said = passed_settle(endpoint("POST", rows[i].path), &call, str_of(rows[i].answer), &a, &u);
        if (said != rows[i].said || u.units != rows[i].units || u.milliseconds != rows[i].ms)
            fail_msg("row %zu: %d, %lld units, %lld ms", i, said, (long long)u.units, (long long)u.milliseconds);
        arena_fini(&a);
    }
}

static void calls(void **state)
{
    (void)state;
    struct arena a;
    struct call call;
    struct str why;
    const struct endpoint_place place = {.tail = STR("/x")};
    arena_init(&a, 4096);
    const struct endpoint *speech = endpoint("POST", "/v1/audio/speech"), *text = endpoint("POST", "/v1/completions");
    struct str body = STR("{\"input\":\"z\\u00fcr\xC3\xBC\",\"model\":\"m\"}");
    assert_int_equal(passed_read_call(speech, &place, STR_NULL, body, &a, &call, &why), WEIR_OK);
    assert_int_equal(call.units, 4);
    body = STR("{\"model\":\"m\",\"prompt\":\"x\",\"stream\":true,\"n\":2,\"best_of\":3}");
    assert_int_equal(passed_read_call(text, &place, STR_NULL, body, &a, &call, &why), WEIR_OK);
    assert_true(call.passed_stream && !call.stream && !call.include_usage);
    assert_int_equal(call.choices, 3);
    assert_int_equal(call.max_output, 16);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usages),
        cmocka_unit_test(what_endpoints_count),
        cmocka_unit_test(calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
