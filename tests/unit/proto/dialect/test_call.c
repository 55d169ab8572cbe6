#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static enum weir_err read_body(enum dialect_id d, const char *body, struct call *c, struct str *why)
{
    *why = STR_NULL;
    memset(c, 0, sizeof *c);
    return call_read(d, str_of(body), &arena, c, why);
}

static void plain(void **state)
{
    (void)state;
    struct call c;
    struct str why;
    assert_int_equal(read_body(DIALECT_OPENAI_CHAT,
                               "{\"\\u006dodel\":\"a\\u00e9\",\"messages\":[],\"stream\":true,\"n\":2,"
                               "\"stream_options\":{\"include_usage\":true},\"max_tokens\":5,"
                               "\"max_completion_tokens\":7,\"user\":\"u\",\"tools\":[{}],"
                               "\"response_format\":{\"type\":\"json_schema\"}}",
                               &c, &why),
                     WEIR_OK);
    assert_true(str_is(c.model, "a\xc3\xa9"));
    assert_true(c.stream && c.include_usage && c.needs_tools && c.needs_json_schema && !c.needs_images);
    assert_int_equal(c.choices, 2);
    assert_int_equal(c.max_output, 7);
    assert_true(str_is(c.session, "u"));
}

static void defaults(void **state)
{
    (void)state;
    struct call c;
    struct str why;
    assert_int_equal(
        read_body(DIALECT_OPENAI_CHAT, " {\"model\":\"m\",\"messages\":[],\"stream\":null,\"n\":null}", &c, &why),
        WEIR_OK);
    assert_false(c.stream || c.include_usage || c.needs_tools);
    assert_int_equal(c.choices, 1);
    assert_int_equal(c.max_output, -1);
    assert_int_equal(c.session.n, 0);
}

static void anthropic_fields(void **state)
{
    (void)state;
    struct call c;
    struct str why;
    assert_int_equal(read_body(DIALECT_ANTHROPIC,
                               "{\"model\":\"c\",\"max_tokens\":10,\"messages\":[],\"metadata\":{\"user_id\":\"s1\"},"
                               "\"output_config\":{\"format\":{\"type\":\"json_schema\"}}}",
                               &c, &why),
                     WEIR_OK);
    assert_int_equal(c.max_output, 10);
    assert_true(str_is(c.session, "s1"));
    assert_true(c.needs_json_schema);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum weir_err err;
        const char *text;
    } rows[] = {
        {"{\"model\":\"m\",\"messages\":[],\"mod\\u0065l\":\"other\"}", WEIR_BAD_REQUEST, "\"model\" twice"},
        {"{\"model\":\"m\",\"messages\":[],\"stream\":true,\"stream\":false}", WEIR_BAD_REQUEST, "\"stream\" twice"},
        {"{\"model\":\"m\",\"messages\":[],\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}",
         WEIR_BAD_REQUEST, "include_usage"},
        {"{\"messages\":[]}", WEIR_BAD_REQUEST, "model"},
        {"{\"model\":1,\"messages\":[]}", WEIR_BAD_REQUEST, "model"},
        {"{\"model\":\"\",\"messages\":[]}", WEIR_BAD_REQUEST, "model"},
        {"{\"model\":\"m\"}", WEIR_BAD_REQUEST, "messages"},
        {"{\"model\":\"m\",\"messages\":{}}", WEIR_BAD_REQUEST, "messages"},
        {"{\"model\":\"m\",\"messages\":[],\"stream\":1}", WEIR_BAD_REQUEST, "stream"},
        {"{\"model\":\"m\",\"messages\":[],\"n\":0}", WEIR_BAD_REQUEST, "n must"},
        {"{\"model\":\"m\",\"messages\":[],\"max_tokens\":\"9\"}", WEIR_BAD_REQUEST, "max_tokens"},
        {"{\"model\":\"m\",\"messages\":[],\"max_tokens\":99999999999999999999}", WEIR_BAD_REQUEST, "max_tokens"},
        {"[]", WEIR_BAD_REQUEST, "object"},
        {"\"model\"", WEIR_BAD_REQUEST, "object"},
        {"", WEIR_BAD_JSON, "byte 0"},
        {"{\"model\":\"m\",}", WEIR_BAD_JSON, "at byte 13"},
        {"{\"model\":\"m\"} x", WEIR_BAD_JSON, "at byte 14"},
    };
    struct call c;
    struct str why;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum weir_err e = read_body(DIALECT_OPENAI_CHAT, rows[i].body, &c, &why);
        if (e != rows[i].err || !str_contains(why, str_of(rows[i].text)))
            fail_msg("%s: %s, \"%.*s\"", rows[i].body, err_word(e), STR_FMT(why));
    }
}

/* A picture's bytes are no tokens, but a text that looks like a picture is text. */
static void media_bound(void **state)
{
    (void)state;
    enum { BYTES = 100000 };
    char *body = malloc(BYTES + 1000), *filler = malloc(BYTES + 1);
    struct call c;
    struct str why;
    memset(filler, 'A', BYTES);
    filler[BYTES] = '\0';
    snprintf(body, BYTES + 1000,
             "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
             "{\"url\":\"data:image/png;base64,%s\"}}]}]}",
             filler);
    assert_int_equal(read_body(DIALECT_OPENAI_CHAT, body, &c, &why), WEIR_OK);
    assert_true(c.needs_images);
    assert_true(c.input_bound > 1000 && c.input_bound < 20000);

    snprintf(body, BYTES + 1000,
             "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
             "\"data:image/png;base64,%s \\\"image_url\\\"\"}]}]}",
             filler);
    assert_int_equal(read_body(DIALECT_OPENAI_CHAT, body, &c, &why), WEIR_OK);
    assert_false(c.needs_images);
    assert_true(c.input_bound > BYTES);

    snprintf(
        body, BYTES + 1000,
        "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
        "\"tool_use_id\":\"t\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
        "\"image/png\",\"data\":\"%s\"}}]}]}]}",
        filler);
    assert_int_equal(read_body(DIALECT_ANTHROPIC, body, &c, &why), WEIR_OK);
    assert_true(c.needs_images);
    assert_true(c.input_bound < 20000);
    free(body);
    free(filler);
}

static void url_images_cost(void **state)
{
    (void)state;
    struct call c;
    struct str why;
    const char *body =
        "{\"model\":\"gpt-4o-mini\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\\u005furl\","
        "\"image_url\":{\"url\":\"https://x/y.png\"}}]}]}";
    assert_int_equal(read_body(DIALECT_OPENAI_CHAT, body, &c, &why), WEIR_OK);
    assert_true(c.needs_images);
    assert_true(c.input_bound > 40000);
}

/* In whichever words a client asks for reasoning, or asks for none: it decides how some models are asked. */
static void reasoning_in_every_dialect(void **state)
{
    (void)state;
#define CHAT   "\"model\":\"m\",\"messages\":[]"
#define CONFIG "{\"contents\":[],\"generationConfig\":{\"thinkingConfig\":{"
#define MORE   "{\"messages\":[],\"additionalModelRequestFields\":{"
    static const struct {
        enum dialect_id client;
        const char *body;
        enum call_reasoning said;
    } rows[] = {
        {DIALECT_OPENAI_CHAT, "{" CHAT "}", CALL_REASONING_UNSAID},
        {DIALECT_OPENAI_CHAT, "{" CHAT ",\"reasoning_effort\":null}", CALL_REASONING_UNSAID},
        {DIALECT_OPENAI_CHAT, "{" CHAT ",\"reasoning_effort\":\"low\"}", CALL_REASONING_ON},
        {DIALECT_OPENAI_CHAT, "{" CHAT ",\"reasoning_effort\":\"none\"}", CALL_REASONING_OFF},
        {DIALECT_OPENAI_CHAT, "{" CHAT ",\"reasoning\":{\"enabled\":false}}", CALL_REASONING_OFF},
        {DIALECT_OPENAI_CHAT, "{" CHAT ",\"reasoning\":{\"max_tokens\":2000}}", CALL_REASONING_ON},
        {DIALECT_ANTHROPIC, "{" CHAT ",\"thinking\":{\"type\":\"adaptive\"}}", CALL_REASONING_ON},
        {DIALECT_ANTHROPIC, "{" CHAT ",\"thinking\":{\"type\":\"disabled\"},\"output_config\":{\"effort\":\"high\"}}",
         CALL_REASONING_OFF},
        {DIALECT_ANTHROPIC, "{" CHAT ",\"output_config\":{\"effort\":\"high\"}}", CALL_REASONING_ON},
        {DIALECT_ANTHROPIC, "{" CHAT ",\"output_config\":{\"format\":{}}}", CALL_REASONING_UNSAID},
        {DIALECT_COHERE, "{" CHAT ",\"thinking\":{\"type\":\"disabled\"}}", CALL_REASONING_OFF},
        {DIALECT_OLLAMA, "{" CHAT ",\"think\":false}", CALL_REASONING_OFF},
        {DIALECT_OLLAMA, "{" CHAT ",\"think\":\"high\"}", CALL_REASONING_ON},
        {DIALECT_RESPONSES, "{\"model\":\"m\",\"input\":\"x\",\"reasoning\":{\"summary\":\"auto\"}}",
         CALL_REASONING_UNSAID},
        {DIALECT_RESPONSES, "{\"model\":\"m\",\"input\":\"x\",\"reasoning\":{\"effort\":\"none\"}}",
         CALL_REASONING_OFF},
        {DIALECT_GEMINI, CONFIG "\"thinkingBudget\":0}}}", CALL_REASONING_OFF},
        {DIALECT_GEMINI, CONFIG "\"thinking_budget\":-1}}}", CALL_REASONING_ON},
        {DIALECT_GEMINI, CONFIG "\"thinkingLevel\":\"LOW\"}}}", CALL_REASONING_ON},
        {DIALECT_GEMINI, CONFIG "\"includeThoughts\":true}}}", CALL_REASONING_UNSAID},
        {DIALECT_CONVERSE, MORE "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}}}", CALL_REASONING_ON},
        {DIALECT_CONVERSE, MORE "\"reasoning_effort\":\"none\"}}", CALL_REASONING_OFF},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct endpoint_place place = {.model = STR("m")};
        struct call c = {0};
        struct str why = STR_NULL;
        if (call_read_at(rows[i].client, &place, str_of(rows[i].body), &arena, &c, &why) != WEIR_OK ||
            c.reasoning != rows[i].said)
            fail_msg("row %zu: %d: %.*s", i, (int)c.reasoning, STR_FMT(why));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(plain, teardown),
        cmocka_unit_test_teardown(defaults, teardown),
        cmocka_unit_test_teardown(anthropic_fields, teardown),
        cmocka_unit_test_teardown(refusals, teardown),
        cmocka_unit_test_teardown(media_bound, teardown),
        cmocka_unit_test_teardown(url_images_cost, teardown),
        cmocka_unit_test_teardown(reasoning_in_every_dialect, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
