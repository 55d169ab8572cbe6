#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/chat.h"
#include "proto/dialect/exchange.h"
#include "proto/dialect/host_quirks.h"
#include "proto/dialect/provider_type.h"

static struct arena arena;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

/* What a host is sent of a body, and what it costs; NULL: the body as it is. */
struct row {
    unsigned host;
    const char *model, *body, *sent, *loss;
};

static void check(const struct row *r)
{
    struct buf out = {0};
    struct loss loss = {.n = 0};
    const struct host_quirks *q = host_quirks_of(r->host);
    assert_non_null(q);
    buf_addz(&out, "before");
    bool fitted = host_fit(q, str_of(r->model), str_of(r->body), &arena, &out, &loss);
    struct str sent = str_slice(buf_view(&out), 6, buf_len(&out));
    if (fitted != (r->sent != NULL) || !str_is(sent, r->sent == NULL ? "" : r->sent) ||
        !str_is(loss_view(&loss), r->loss))
        fail_msg("%s %s: \"%.*s\", lost \"%.*s\"", provider_type_of(r->host)->name, r->body, STR_FMT(sent),
                 STR_FMT(loss_view(&loss)));
    buf_fini(&out);
}

#define M "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void each_host_gets_what_it_takes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {PROVIDER_MISTRAL, "m", "{" M ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
         "{" M ",\"stream\":true}", ""},
        {PROVIDER_MISTRAL, "m", "{" M ",\"max_completion_tokens\":9,\"seed\":9007199254740993}",
         "{" M ",\"max_tokens\":9,\"random_seed\":9007199254740993}", ""},
        {PROVIDER_MISTRAL, "m", "{\"max_tokens\":1," M ",\"max_completion_tokens\":9}", "{" M ",\"max_tokens\":9}", ""},
        {PROVIDER_MISTRAL, "m", "{\"max_tokens\":1," M ",\"max_completion_tokens\":null}", "{\"max_tokens\":1," M "}",
         ""},
        {PROVIDER_MISTRAL, "m", "{" M ",\"store\":false,\"user\":\"u\",\"logit_bias\":null,\"top_p\":0.10}",
         "{" M ",\"top_p\":0.10}", "store,user"},
        {PROVIDER_MISTRAL, "m", "{" M ",\"reasoning_effort\":\"low\"}", "{" M ",\"reasoning_effort\":\"high\"}", ""},
        {PROVIDER_MISTRAL, "m", "{" M ",\"reasoning_effort\":\"none\"}", NULL, ""},
        {PROVIDER_MISTRAL, "m",
         "{\"messages\":[{\"role\":\"developer\",\"content\":\"s\",\"name\":\"n\"},{\"role\":\"assistant\",\"content\":"
         "null,\"refusal\":null,\"annotations\":[],\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"call_1\","
         "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"id\":\"abcDEF123\"}]},{\"role\":"
         "\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"x\"},{\"role\":\"tool\",\"tool_call_id\":\"abcDEF123\","
         "\"content\":1.50}]}",
         "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"assistant\",\"content\":null,\"tool_"
         "calls\":"
         "[{\"id\":\"9Gd2dIMCT\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"id\":"
         "\"abcDEF123\"}]},{\"role\":\"tool\",\"tool_call_id\":\"9Gd2dIMCT\",\"content\":\"x\"},{\"role\":\"tool\","
         "\"tool_call_id\":\"abcDEF123\",\"content\":1.50}]}",
         "messages.name,messages.reasoning_content"},
        {PROVIDER_MISTRAL, "m", "{" M ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false,\"n\":2}", NULL, ""},
        {PROVIDER_GROQ, "m", "{" M ",\"logit_bias\":{\"1\":2},\"stream_options\":{},\"max_completion_tokens\":1}",
         "{" M ",\"stream_options\":{},\"max_completion_tokens\":1}", "logit_bias"},
        {PROVIDER_GROQ, "m",
         "{\"messages\":[{\"role\":\"user\",\"name\":\"bo\",\"content\":\"\"},{\"role\":\"assistant\",\"reasoning\":"
         "\"a\","
         "\"reasoning_content\":\"a\"}]}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"\"},{\"role\":\"assistant\",\"reasoning\":\"a\"}]}",
         "messages.name,messages.reasoning_content"},
        {PROVIDER_DEEPSEEK, "m",
         "{\"messages\":[{\"role\":\"developer\",\"content\":\"s\"}],\"max_completion_tokens\":3}",
         "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"}],\"max_tokens\":3}", ""},
        {PROVIDER_DEEPSEEK, "m", "{\"messages\":[{\"role\":\"user\",\"content\":\"a developer\"}],\"store\":true}",
         NULL, ""},
        {PROVIDER_XAI, "grok-4.6",
         "{" M ",\"presence_penalty\":0,\"frequency_penalty\":0.5,\"reasoning_effort\":\"low\"}",
         "{" M ",\"reasoning_effort\":\"low\"}", "presence_penalty,frequency_penalty"},
        {PROVIDER_XAI, "grok-code-fast-1", "{" M ",\"reasoning_effort\":\"low\"}", "{" M "}", "reasoning_effort"},
        {PROVIDER_XAI, "grok-4.20-reasoning", "{" M ",\"reasoning_effort\":\"low\"}", "{" M "}", "reasoning_effort"},
        {PROVIDER_CEREBRAS, "m", "{" M ",\"store\":false,\"parallel_tool_calls\":false,\"service_tier\":\"auto\"}",
         "{" M "}", "store,parallel_tool_calls,service_tier"},
        {PROVIDER_CEREBRAS, "m", "{\"messages\":[{\"role\":\"developer\",\"content\":\"s\",\"name\":\"n\"}]}",
         "{\"messages\":[{\"role\":\"system\",\"content\":\"s\",\"name\":\"n\"}]}", ""},
        {PROVIDER_TOGETHER, "m",
         "{" M ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"strict\",\"strict\":true,\"parameters\":{"
         "\"strict\":1.0}}}],\"max_completion_tokens\":7}",
         "{" M
         ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"strict\",\"parameters\":{\"strict\":1.0}}}],"
         "\"max_tokens\":7}",
         "tools.strict"},
        {PROVIDER_NVIDIA, "m", "{" M ",\"max_completion_tokens\":7,\"store\":null}", "{" M ",\"max_tokens\":7}", ""},
        {PROVIDER_MOONSHOT, "kimi-k3",
         "{" M ",\"temperature\":0.2,\"reasoning_effort\":\"medium\",\"tool_choice\":{\"type\":"
         "\"function\",\"function\":{\"name\":\"f\"}}}",
         "{" M ",\"reasoning_effort\":\"high\",\"tool_choice\":\"auto\"}", "temperature,tool_choice"},
        {PROVIDER_MOONSHOT, "moonshot-v1-8k", "{" M ",\"temperature\":0.2,\"tool_choice\":\"none\"}", NULL, ""},
        {PROVIDER_MOONSHOT, "kimi-k3", "{" M ",\"reasoning_effort\":\"max\"}", NULL, ""},
        {PROVIDER_MOONSHOT, "kimi-k3", "{" M ",\"reasoning_effort\":\"xhigh\"}", "{" M ",\"reasoning_effort\":\"max\"}",
         ""},
        {PROVIDER_ZAI, "glm-5.3", "{" M ",\"temperature\":1.5,\"tool_choice\":\"required\",\"tools\":[]}",
         "{" M ",\"temperature\":1,\"tool_choice\":\"auto\",\"tools\":[]}", "temperature,tool_choice"},
        {PROVIDER_ZAI, "glm-5.3", "{\"tools\":[{}]," M ",\"tool_choice\":\"none\"}", "{" M "}", ""},
        {PROVIDER_ZAI, "glm-5.3",
         "{\"messages\":[{\"role\":\"user\",\"name\":\"n\",\"content\":\"x\"}],\"temperature\":0.95}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"temperature\":0.95}", "messages.name"},
        {PROVIDER_HUGGINGFACE, "m", "{" M ",\"store\":true}", "{" M "}", "store"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check(&rows[i]);
}

/* A plain call goes to every host byte for byte, blanks and all. */
static void a_plain_body_is_not_touched(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PROVIDER_TYPES; i++) {
        if (host_quirks_of(i) == NULL) continue;
        check(&(struct row){i, "m",
                            "{ \"model\" : \"m\", \"messages\" : [ {\"role\":\"system\",\"content\":\"s\"}, {\"role\": "
                            "\"user\", \"content\": [ ] } ], \"stop\": [\"a\"], \"max_tokens\": 5 , \"x\": 1.10 }",
                            NULL, ""});
    }
    assert_null(host_quirks_of(PROVIDER_OPENAI));
    assert_null(host_quirks_of(PROVIDER_AZURE));
    assert_null(host_quirks_of(PROVIDER_OPENROUTER));
    assert_null(host_quirks_of(PROVIDER_TYPES));
}

/* Whatever the client speaks: what weir itself writes is cut to the host as well. */
static void translated_bodies_fit_too(void **state)
{
    (void)state;
    static const char body[] =
        "{\"model\":\"m\",\"max_tokens\":5,\"stream\":true,\"temperature\":0.5,\"messages\":[{\"role\":"
        "\"user\",\"content\":\"hi\"}]}";
    struct target_hints hints = {.quirks = host_quirks_of(PROVIDER_MISTRAL)};
    struct call call;
    struct exchange x;
    struct buf out = {0};
    struct str why = STR_NULL;
    assert_int_equal(call_read(DIALECT_ANTHROPIC, str_of(body), &arena, &call, &why), WEIR_OK);
    assert_int_equal(exchange_request_to(&x, DIALECT_ANTHROPIC, DIALECT_OPENAI_CHAT, &hints, &call, str_of(body),
                                         STR("mistral-small"), &arena, &out, &why),
                     WEIR_OK);
    assert_true(str_is(buf_view(&out),
                       "{\"model\":\"mistral-small\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"
                       "\"max_tokens\":5,\"temperature\":0.5,\"stream\":true}"));
    exchange_fini(&x);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_host_gets_what_it_takes, teardown),
        cmocka_unit_test_teardown(a_plain_body_is_not_touched, teardown),
        cmocka_unit_test_teardown(translated_bodies_fit_too, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
