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
        {"POST", "/v1/messages/count_tokens", "messages.count_tokens"},
        {"POST", "/anthropic/v1/messages/count_tokens?beta=true", "messages.count_tokens"},
        {"POST", "/v1/embeddings", "embeddings"},
        {"POST", "/embeddings/", "embeddings"},
        {"POST", "/openai/v1/images/edits", "images.edits"},
        {"POST", "/v2/rerank", "rerank"},
        {"POST", "/v2/embed", "cohere.embed"},
        {"POST", "/api/embed", "ollama.embed"},
        {"GET", "/api/tags", "ollama.tags"},
        {"POST", "/api/tags", "405"},
        {"POST", "/api/show", "ollama.show"},
        {"GET", "/api/version", "ollama.version"},
        {"GET", "/v1/files", "files.list"},
        {"POST", "/v1/files", "files.create"},
        {"DELETE", "/v1/files/file-1", "files.delete"},
        {"GET", "/files/file-1/content?x=1", "files.content"},
        {"PUT", "/v1/files", "405"},
        {"GET", "/v1/files/a/b", "404"},
        {"GET", "/v1/files/../batches", "404"},
        {"GET", "/v1/files//content", "404"},
        {"POST", "/v1/messages/batches", "messages.batches.create"},
        {"GET", "/v1/messages/batches/b1/results", "messages.batches.results"},
        {"POST", "/v1beta/models/gemini-embedding-001:embedContent", "gemini.embed"},
        {"POST", "/v1beta/models/gemini-embedding-001:batchEmbedContents", "gemini.batch_embed"},
        {"PATCH", "/p/openai/v1/anything?x", "raw"},
        {"HEAD", "/p/openai/v1/anything", "405"},
        {"GET", "/p/openai", "404"},
        {"GET", "/p//x", "404"},
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

static void places(void **state)
{
    (void)state;
    struct arena a;
    bool known;
    struct endpoint_place place;
    arena_init(&a, 4096);
    struct str path = str_of("/p/groq/openai/v1/x//y?z=1");
    assert_true(endpoint_read_place(endpoint_find(STR("GET"), path, &known), path, STR_NULL, &a, &place));
    assert_true(str_is(place.provider, "groq") && str_is(place.tail, "/openai/v1/x//y"));
    path = str_of("/v1/v1/files/f-1/content/?x");
    assert_true(endpoint_read_place(endpoint_find(STR("GET"), path, &known), path, STR_NULL, &a, &place));
    assert_true(str_is(place.tail, "/files/f-1/content"));
    path = str_of("/models/a%2Fb:embedContent");
    assert_true(endpoint_read_place(endpoint_find(STR("POST"), path, &known), path, STR_NULL, &a, &place));
    assert_true(str_is(place.tail, ":embedContent") && str_is(place.model, "a/b") && !place.counts);
    path = str_of("/v1/messages/count_tokens");
    assert_true(endpoint_read_place(endpoint_find(STR("POST"), path, &known), path, STR_NULL, &a, &place));
    assert_true(place.counts);
    arena_fini(&a);
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
        cmocka_unit_test(places),
        cmocka_unit_test(suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
