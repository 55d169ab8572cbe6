#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/exchange.h"
#include "proto/dialect/provider_type.h"
#include "proto/wire/url.h"

#include <string.h>

static void rows_are_whole(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1024);
    for (unsigned i = 0; i < PROVIDER_TYPES; i++) {
        const struct provider_type *t = provider_type_of(i);
        struct url url;
        const char *why = "";
        struct str base = provider_base_url(i, STR("eu-west-1"), STR("europe-west4"), &a);
        if (base.n > 0 && !url_parse(base, &url, &why)) fail_msg("%s: base_url: %s", t->name, why);
        assert_true(t->signer < SIGNER_COUNT);
        assert_non_null(dialect_of(t->dialect));
        assert_int_equal(provider_type_dialects(i) >> DIALECT_COUNT, 0);
        if (t->client_variable != NULL) assert_non_null(t->client_base);
        for (unsigned j = 0; j < i; j++) {
            const struct provider_type *other = provider_type_of(j);
            assert_string_not_equal(t->name, other->name);
            if (t->variable[0] != '\0') assert_string_not_equal(t->variable, other->variable);
        }
    }
    assert_ptr_equal(provider_type_of(PROVIDER_TYPES), provider_type_of(0));
    arena_fini(&a);
}

static void words_stand_in_the_order_of_rows(void **state)
{
    (void)state;
    struct str rest = str_of(provider_type_words);
    for (unsigned i = 0; i < PROVIDER_TYPES; i++) assert_true(str_is(str_split(&rest, ' '), provider_type_of(i)->name));
    assert_true(str_is(str_split(&rest, ' '), "|"));
}

static void the_clients_own_dialect_goes_first(void **state)
{
    (void)state;
    uint32_t both = PROVIDER_SPEAKS(OPENAI_CHAT) | PROVIDER_SPEAKS(RESPONSES);
    struct str m = STR("gpt-x"), claude = STR("claude-opus-4-6@20260101");
    assert_int_equal(provider_dialect(PROVIDER_OPENAI, both, DIALECT_RESPONSES, m), DIALECT_RESPONSES);
    assert_int_equal(provider_dialect(PROVIDER_OPENAI, both, DIALECT_OPENAI_CHAT, m), DIALECT_OPENAI_CHAT);
    assert_int_equal(provider_dialect(PROVIDER_OPENAI, both, DIALECT_GEMINI, m), DIALECT_OPENAI_CHAT);
    assert_int_equal(provider_dialect(PROVIDER_OPENAI, both, DIALECT_GEMINI, claude), DIALECT_OPENAI_CHAT);
    assert_int_equal(provider_dialect(PROVIDER_ANTHROPIC, 0, DIALECT_GEMINI, m), DIALECT_ANTHROPIC);
    uint32_t vertex = provider_type_dialects(PROVIDER_VERTEX);
    assert_int_equal(provider_dialect(PROVIDER_VERTEX, vertex, DIALECT_GEMINI, claude), DIALECT_ANTHROPIC);
    assert_int_equal(provider_dialect(PROVIDER_VERTEX, vertex, DIALECT_ANTHROPIC, STR("gemini-x")), DIALECT_GEMINI);
}

static void tools_beside_reasoning_go_through_responses(void **state)
{
    (void)state;
    const uint32_t chat = PROVIDER_SPEAKS(OPENAI_CHAT), both = chat | PROVIDER_SPEAKS(RESPONSES);
    static const struct {
        const char *model;
        uint32_t dialects;
        bool tools;
        enum call_reasoning reasoning;
        enum dialect_id asked;
    } rows[] = {
        {"gpt-6-sol", both, true, CALL_REASONING_UNSAID, DIALECT_RESPONSES},
        {"gpt-6-sol", both, true, CALL_REASONING_OFF, DIALECT_OPENAI_CHAT},
        {"gpt-6-sol", both, false, CALL_REASONING_ON, DIALECT_OPENAI_CHAT},
        {"gpt-6-sol", chat, true, CALL_REASONING_ON, DIALECT_OPENAI_CHAT},
        {"gpt-6-astra", both, true, CALL_REASONING_OFF, DIALECT_RESPONSES},
        {"gpt-5.4", both, true, CALL_REASONING_UNSAID, DIALECT_OPENAI_CHAT},
        {"gpt-5.4", both, true, CALL_REASONING_ON, DIALECT_RESPONSES},
        {"gpt-5.2", both, true, CALL_REASONING_ON, DIALECT_OPENAI_CHAT},
        {"llama-3.3", both, true, CALL_REASONING_ON, DIALECT_OPENAI_CHAT},
        {"gpt-5.1-codex-max", both, false, CALL_REASONING_UNSAID, DIALECT_RESPONSES},
        {"codex-mini-latest", both, false, CALL_REASONING_UNSAID, DIALECT_RESPONSES},
        {"openai/gpt-5-pro", both, false, CALL_REASONING_OFF, DIALECT_RESPONSES},
        {"o3-deep-research", both, false, CALL_REASONING_UNSAID, DIALECT_RESPONSES},
        {"gpt-5-codex", chat, true, CALL_REASONING_UNSAID, DIALECT_OPENAI_CHAT},
        {"gemini-2.5-pro", both, true, CALL_REASONING_UNSAID, DIALECT_OPENAI_CHAT},
        {"ft:gpt-4.1-mini:acme-pro::x", both, true, CALL_REASONING_UNSAID, DIALECT_OPENAI_CHAT},
    };
    static const enum dialect_id clients[] = {DIALECT_OPENAI_CHAT, DIALECT_ANTHROPIC, DIALECT_GEMINI};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct call call = {.needs_tools = rows[i].tools, .reasoning = rows[i].reasoning};
        for (size_t k = 0; k < sizeof clients / sizeof *clients; k++)
            if (provider_dialect_of_call(PROVIDER_OPENAI, rows[i].dialects, clients[k], str_of(rows[i].model), &call) !=
                rows[i].asked)
                fail_msg("row %zu (%s), client %d", i, rows[i].model, (int)clients[k]);
    }
}

/* Hosts by name: chat completions behind a base path that is whole, shown the key as a bearer, and nothing of OpenAI's own. */
static void look_alikes_differ_by_address_alone(void **state)
{
    (void)state;
    static const unsigned ids[] = {PROVIDER_MISTRAL,  PROVIDER_GROQ,      PROVIDER_DEEPSEEK,   PROVIDER_XAI,
                                   PROVIDER_TOGETHER, PROVIDER_FIREWORKS, PROVIDER_MOONSHOT,   PROVIDER_ZAI,
                                   PROVIDER_CEREBRAS, PROVIDER_NVIDIA,    PROVIDER_OPENROUTER, PROVIDER_HUGGINGFACE};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const struct provider_type *t = provider_type_of(ids[i]);
        uint32_t responses = ids[i] == PROVIDER_XAI ? PROVIDER_SPEAKS(RESPONSES) : 0;
        assert_int_equal(provider_type_dialects(ids[i]), PROVIDER_SPEAKS(OPENAI_CHAT) | responses);
        assert_int_equal(t->signer, SIGNER_BEARER);
        assert_string_equal(t->models_path, "/models");
        assert_true(str_starts(str_of(t->base_url), STR("https://")));
        assert_int_equal(t->variable[0] == '\0', ids[i] == PROVIDER_HUGGINGFACE);
    }
    for (unsigned id = PROVIDER_VLLM; id <= PROVIDER_LLAMACPP; id++)
        assert_true(str_starts(str_of(provider_type_of(id)->base_url), STR("http://127.0.0.1:")));
    assert_int_equal(provider_type_dialects(PROVIDER_OLLAMA), PROVIDER_SPEAKS(OPENAI_CHAT) | PROVIDER_SPEAKS(OLLAMA));
}

static void an_address_tells_whose_rules_hold(void **state)
{
    (void)state;
    assert_int_equal(provider_type_at(PROVIDER_OPENAI, STR("api.mistral.ai")), PROVIDER_MISTRAL);
    assert_int_equal(provider_type_at(PROVIDER_OPENAI, STR("API.groq.com")), PROVIDER_GROQ);
    assert_int_equal(provider_type_at(PROVIDER_OPENAI, STR("api.openai.com")), PROVIDER_OPENAI);
    assert_int_equal(provider_type_at(PROVIDER_OPENAI, STR("127.0.0.1")), PROVIDER_OPENAI);
    assert_int_equal(provider_type_at(PROVIDER_OPENAI, STR("")), PROVIDER_OPENAI);
    assert_int_equal(provider_type_at(PROVIDER_XAI, STR("api.mistral.ai")), PROVIDER_XAI);
}

/* Perplexity's base has no version, and none is put behind it. */
static void a_bare_base_stays_bare(void **state)
{
    (void)state;
    const struct call call = {.model = STR("m")};
    const struct exchange x = {
        .call = &call, .client = dialect_of(DIALECT_OPENAI_CHAT), .target = dialect_of(DIALECT_OPENAI_CHAT)};
    struct arena a;
    arena_init(&a, 1024);
    const struct provider_place bare = {.x = &x}, behind = {.x = &x, .base_path = STR("/gate/pplx")};
    assert_true(str_is(provider_path(PROVIDER_PERPLEXITY, &bare, &a), "/chat/completions"));
    assert_true(str_is(provider_path(PROVIDER_PERPLEXITY, &behind, &a), "/gate/pplx/chat/completions"));
    assert_true(str_is(provider_path(PROVIDER_DEEPSEEK, &bare, &a), "/v1/chat/completions"));
    arena_fini(&a);
}

static void names_of_bedrock_are_taken_apart(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"eu.anthropic.claude-x-20260101-v1:0", "eu", "claude-x-20260101"},
        {"amazon.nova-pro-v1", "", "nova-pro"},
        {"global.claude-x", "global", "claude-x"},
        {"gpt-5.6-sol", "", "gpt-5.6-sol"},
        {"meta.", "", "meta."},
        {"us.", "", "us."},
        {"-v1:0", "", "-v1:0"},
        {"", "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct provider_model m = provider_model(PROVIDER_BEDROCK, str_of(rows[i][0]));
        if (!str_is(m.geography, rows[i][1]) || !str_is(m.name, rows[i][2]))
            fail_msg("%s: \"%.*s\" \"%.*s\"", rows[i][0], STR_FMT(m.geography), STR_FMT(m.name));
    }
    assert_true(str_is(provider_model(PROVIDER_OPENAI, STR("us.x")).name, "us.x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_whole),
        cmocka_unit_test(words_stand_in_the_order_of_rows),
        cmocka_unit_test(the_clients_own_dialect_goes_first),
        cmocka_unit_test(tools_beside_reasoning_go_through_responses),
        cmocka_unit_test(look_alikes_differ_by_address_alone),
        cmocka_unit_test(an_address_tells_whose_rules_hold),
        cmocka_unit_test(a_bare_base_stays_bare),
        cmocka_unit_test(names_of_bedrock_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
