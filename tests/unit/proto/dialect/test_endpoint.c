#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/endpoint.h"

#include <string.h>

static const char *name_of(const char *method, const char *path)
{
    bool known;
    const struct endpoint *e = endpoint_find(str_of(method), str_of(path), &known);
    return e == NULL ? known ? "405" : "404" : e->name;
}

static void spellings(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"POST", "/v1/chat/completions", "chat.completions"},
        {"POST", "/chat/completions", "chat.completions"},
        {"POST", "/openai/v1/chat/completions", "chat.completions"},
        {"POST", "/v1/v1/chat/completions", "chat.completions"},
        {"POST", "/v1/chat/completions/", "chat.completions"},
        {"POST", "/v1/chat/completions?api-version=1", "chat.completions"},
        {"POST", "/v1/messages?beta=true", "messages"},
        {"POST", "/messages", "messages"},
        {"POST", "/anthropic/v1/messages", "messages"},
        {"POST", "/v1/v1/messages", "messages"},
        {"GET", "/v1/models", "models"},
        {"GET", "/v1/models?limit=1000", "models"},
        {"GET", "/v1beta/models", "models"},
        {"GET", "/api/v1/models/", "models"},
        {"GET", "/v1/models/claude-x", "models"},
        {"GET", "/", "hello"},
        {"HEAD", "/", "hello"},
        {"HEAD", "/api/hello", "hello"},
        {"GET", "/v1/chat/completions", "405"},
        {"POST", "/v1/models", "405"},
        {"POST", "/v1/completion", "404"},
        {"POST", "", "404"},
        {"POST", "/v1/messages/x", "404"},
        {"GET", "/v1/modelsx", "404"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(name_of(rows[i][0], rows[i][1]), rows[i][2]) != 0)
            fail_msg("%s %s: %s, not %s", rows[i][0], rows[i][1], name_of(rows[i][0], rows[i][1]), rows[i][2]);
}

static void model_ids(void **state)
{
    (void)state;
    assert_true(str_is(endpoint_model_id(str_of("/v1/models/a/b?x=1")), "a/b"));
    assert_true(str_is(endpoint_model_id(str_of("/models/gpt")), "gpt"));
    assert_int_equal(endpoint_model_id(str_of("/v1/models")).n, 0);
    assert_int_equal(endpoint_model_id(str_of("/v1/models/")).n, 0);
    assert_int_equal(endpoint_model_id(str_of("/nothing/x")).n, 0);
}

static void suggestions(void **state)
{
    (void)state;
    assert_string_equal(endpoint_suggest(str_of("/v1/chat/completion")), "/v1/chat/completions");
    assert_string_equal(endpoint_suggest(str_of("/v1/message")), "/v1/messages");
    assert_null(endpoint_suggest(str_of("/something/else/altogether")));
    assert_string_equal(endpoint_suggest(str_of("/v1/response")), "/v1/responses");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings),
        cmocka_unit_test(model_ids),
        cmocka_unit_test(suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
