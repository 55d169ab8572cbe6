#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/prices.h"
#include "proto/dialect/chat.h"
#include "proto/dialect/dialect.h"

#include <stdio.h>
#include <string.h>

static void builtin_is_valid_and_complete(void **state)
{
    (void)state;
    struct prices p;
    prices_builtin(&p);
    assert_true(p.n >= 70);
    assert_int_equal(p.date, 20261110);
    for (unsigned i = 0; i < p.n; i++) {
        const struct price_entry *e = &p.rows[i];
        struct usage u = {.in_uncached = 1000, .out_total = 1000, .milliseconds = 1000, .requests = 1};
        int64_t cost = -1;
        assert_true(price_cost(&e->row, &u, &cost)); /* every row can price a plain call */
        assert_true(cost > 0);
        assert_ptr_equal(prices_find(&p, STR_NULL, str_of(e->name)), e);
    }
    prices_fini(&p);
}

static const struct price_entry *find(const struct prices *p, const char *provider, const char *model)
{
    return prices_find(p, str_of(provider), str_of(model));
}

static void names(void **state)
{
    (void)state;
    struct prices p;
    prices_builtin(&p);
    static const struct {
        const char *provider, *model, *found;
    } cases[] = {
        {"", "gpt-5.5", "gpt-5.5"},
        {"openai", "gpt-5.5", "gpt-5.5"},
        {"openai", "gpt-5-mini-2026-08-07", "gpt-5-mini"},
        {"anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"},
        {"vertex", "claude-haiku-4-5@20251001", "claude-haiku-4-5"},
        {"", "claude-haiku-4-5@default", "claude-haiku-4-5"},
        {"", "claude-sonnet-5-latest", "claude-sonnet-5"},
        {"router", "anthropic/claude-opus-5-5", "claude-opus-5-5"},
        {"", "models/gemini-2.5-pro", "gemini-2.5-pro"},
        {"", "a/b/gpt-4.1-2025-04-14", "gpt-4.1"},
        {"groq", "gpt-oss-120b", "groq/gpt-oss-120b"},
        {"", "cerebras/gpt-oss-120b", "cerebras/gpt-oss-120b"},
        {"x", "groq/gpt-oss-120b", "groq/gpt-oss-120b"},
        {"own", "gpt-oss-120b", NULL}, /* the host decides */
        {"", "gpt-5.5-turbo", NULL},
        {"", "gpt-5.5-20269999x", NULL},
        {"", "gpt-5-99999999", NULL},
        {"", "gpt", NULL},
        {"", "", NULL},
        {"openai", "", NULL},
        {"", "/", NULL},
        {"", "-20260501", NULL},
        {"", "@20260501", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct price_entry *e = find(&p, cases[i].provider, cases[i].model);
        if (cases[i].found == NULL) {
            assert_null(e);
            continue;
        }
        assert_non_null(e);
        assert_string_equal(e->name, cases[i].found);
    }
    char many[300];
    memset(many, 'x', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    assert_null(find(&p, many, many));
    prices_fini(&p);
}

static void words_reach_their_fields(void **state)
{
    (void)state;
    struct prices p;
    char why[200] = "";
    assert_true(prices_parse(
        STR("# c\n\n m date=2026-01-02 source=s in=1 cached=0.5 write=2 write_1h=3 out=4 in_audio=5 in_image=6 "
            "out_audio=7 out_image=8 above=9 above.in=10 above.cached=11 above.write=12 "
            "above.write_1h=13 above.out=14 request=0.5 search=0.01 second=0.0001 unit=2 batch=0.5 "
            "flex=0.25 priority=2 context=1000 max_out=100\r\nz free date=2026-01-01 source=s"),
        &p, why, sizeof why));
    assert_int_equal(p.n, 2);
    assert_int_equal(p.date, 20260102);
    const struct price_entry *e = &p.rows[0];
    const struct price_row *r = &e->row;
    assert_string_equal(e->name, "m");
    assert_string_equal(e->source, "s");
    assert_int_equal(r->base.input, 1000000);
    assert_int_equal(r->base.cache_read, 500000);
    assert_int_equal(r->base.cache_write_5m, 2000000);
    assert_int_equal(r->base.cache_write_1h, 3000000);
    assert_int_equal(r->base.output, 4000000);
    assert_int_equal(r->base.in_audio, 5000000);
    assert_int_equal(r->base.in_image, 6000000);
    assert_int_equal(r->base.out_audio, 7000000);
    assert_int_equal(r->base.out_image, 8000000);
    assert_int_equal(r->tier_above_tokens, 9);
    assert_int_equal(r->tier.input, 10000000);
    assert_int_equal(r->tier.cache_read, 11000000);
    assert_int_equal(r->tier.cache_write_5m, 12000000);
    assert_int_equal(r->tier.cache_write_1h, 13000000);
    assert_int_equal(r->tier.output, 14000000);
    assert_int_equal(r->tier.in_audio, PRICE_UNKNOWN);
    assert_true(r->per_request_picousd == 500000000000);
    assert_true(r->per_web_search_picousd == 10000000000);
    assert_true(r->per_second_picousd == 100000000);
    assert_true(r->per_unit_picousd == 2000000000000);
    assert_int_equal(r->batch_ppm, 500000);
    assert_int_equal(r->flex_ppm, 250000);
    assert_int_equal(r->priority_ppm, 2000000);
    assert_int_equal(e->context_window, 1000);
    assert_int_equal(e->max_output, 100);
    assert_int_equal(p.rows[1].row.free, 1);
    prices_fini(&p);
}

static void bad_lists_are_refused_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"m in=1 out=2 source=s\n", "line 1: m: date= is missing"},
        {"m in=1 out=2 date=2026-01-01\n", "line 1: m: source= is missing"},
        {"\n#\nm date=2026-01-01 source=s\n", "line 3: m: there is no price in it"},
        {"m in=1 in=2 date=2026-01-01 source=s", "line 1: 'in=2' stands twice"},
        {"m in=-1 date=2026-01-01 source=s", "line 1: 'in=-1' has no valid value"},
        {"m in= date=2026-01-01 source=s", "line 1: 'in=' has no valid value"},
        {"m free=1 date=2026-01-01 source=s", "line 1: 'free=1' has no valid value"},
        {"m in=1 date=2026-13-01 source=s", "line 1: 'date=2026-13-01' has no valid value"},
        {"m in=1 color=red", "line 1: 'color=red' is not a word of this list"},
        {"m in=1 batch=0 date=2026-01-01 source=s", "line 1: 'batch=0' has no valid value"},
        {"m in=1 above=5 date=2026-01-01 source=s", "line 1: m: above= and above.in= or above.out= belong together"},
        {"m in=1 cached=2 date=2026-01-01 source=s", "line 1: m: cached costs more than in"},
        {"m free in=1 date=2026-01-01 source=s", "line 1: m: free, and yet a price"},
        {"in=1 out=2", "line 1: 'in=1' is no model name"},
        {"m in=1 date=2026-01-01 source=s\nm in=2 date=2026-01-01 source=s", "m stands twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct prices p = {.n = 77};
        char why[200] = "";
        assert_false(prices_parse(str_of(cases[i].text), &p, why, sizeof why));
        assert_string_equal(why, cases[i].why);
        assert_int_equal(p.n, 77); /* untouched */
    }
    struct prices p;
    char why[200];
    assert_false(prices_parse(STR("m\0x in=1 date=2026-01-01 source=s"), &p, why, sizeof why));
    assert_true(prices_parse(STR(""), &p, why, sizeof why));
    assert_null(find(&p, "a", "b"));
    prices_fini(&p);
}

/* Every dimension of a price, from a provider's own words to the nano-dollar by the built-in list. */
static void answers_cost_what_the_list_says(void **state)
{
    (void)state;
    static const struct {
        enum dialect_id dialect;
        const char *provider, *model, *answer;
        int64_t nanousd; /* -1: unknown */
    } rows[] = {
#define CHAT(more) "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]," more "}"
#define SOL                                                                                                        \
    "\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":50,\"total_tokens\":1050,\"prompt_tokens_details\":{" \
    "\"cached_tokens\":400,\"cache_write_tokens\":100},\"completion_tokens_details\":{\"reasoning_tokens\":30}}"
        /* cached, written, reasoning inside output */
        {DIALECT_OPENAI_CHAT, "openai", "gpt-6-sol", CHAT(SOL), 500 * 2000 + 400 * 200 + 100 * 2500 + 50 * 10000},
        /* tiers as the answer reports them */
        {DIALECT_OPENAI_CHAT, "openai", "gpt-6-sol", CHAT(SOL ",\"service_tier\":\"flex\""), 915000},
        {DIALECT_OPENAI_CHAT, "openai", "gpt-6-sol", CHAT(SOL ",\"service_tier\":\"fast\""), 3660000},
        {DIALECT_OPENAI_CHAT, "openai", "gpt-6-sol", CHAT(SOL ",\"service_tier\":\"default\""), 1830000},
        /* a long context prices the whole call; at the border it is not long yet, but at xAI */
        {DIALECT_OPENAI_CHAT, "openai", "gpt-6-sol",
         CHAT("\"usage\":{\"prompt_tokens\":272000,\"completion_tokens\":10}"), 272000 * 2000LL + 10 * 10000},
        {DIALECT_OPENAI_CHAT, "openai", "gpt-6-sol",
         CHAT("\"usage\":{\"prompt_tokens\":272001,\"completion_tokens\":10}"), 272001 * 4000LL + 10 * 15000},
        {DIALECT_OPENAI_CHAT, "xai", "grok-4.7",
         CHAT("\"usage\":{\"prompt_tokens\":200000,\"completion_tokens\":5,\"total_tokens\":200015,"
              "\"completion_tokens_details\":{\"reasoning_tokens\":10}}"),
         200000 * 4000LL + 15 * 12000},
        {DIALECT_OPENAI_CHAT, "deepseek", "deepseek-v4-pro",
         CHAT("\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":9,\"prompt_cache_hit_tokens\":64,"
              "\"prompt_cache_miss_tokens\":36}"),
         36 * 1320 + 64 * 44 + 9 * 3960},
        {DIALECT_OPENAI_CHAT, "moonshot", "kimi-k2.6",
         CHAT("\"usage\":{\"prompt_tokens\":90,\"completion_tokens\":20,\"cached_tokens\":80}"),
         10 * 950 + 80 * 160 + 20 * 4000},
        /* where the host decides */
        {DIALECT_OPENAI_CHAT, "groq", "gpt-oss-120b",
         CHAT("\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":10}"), 100 * 150 + 10 * 600},
        {DIALECT_OPENAI_CHAT, "cerebras", "gpt-oss-120b",
         CHAT("\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":10}"), 100 * 350 + 10 * 750},
        {DIALECT_RESPONSES, "openai", "gpt-6-sol",
         "{\"status\":\"completed\",\"output\":[{\"type\":\"web_search_call\",\"action\":{\"type\":\"search\"}},{"
         "\"type\":"
         "\"web_search_call\",\"action\":{\"type\":\"open_page\"}},{\"type\":\"web_search_call\"},{\"type\":"
         "\"message\","
         "\"content\":[]}],\"usage\":{\"input_tokens\":100,\"output_tokens\":10}}",
         100 * 2000 + 10 * 10000 + 2 * 10000000},
#define CLAUDE(more)                                                                                     \
    "{\"type\":\"message\",\"content\":[],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":100," \
    "\"cache_read_input_tokens\":1000,\"cache_creation_input_tokens\":500,\"cache_creation\":{"          \
    "\"ephemeral_5m_input_tokens\":200,\"ephemeral_1h_input_tokens\":300},\"output_tokens\":10" more "}}"
        /* two kinds of writes, searches, batches, one region */
        {DIALECT_ANTHROPIC, "anthropic", "claude-opus-5-5", CLAUDE(""),
         100 * 4000 + 1000 * 200 + 200 * 5000 + 300 * 8000 + 10 * 20000},
        {DIALECT_ANTHROPIC, "anthropic", "claude-opus-5-5", CLAUDE(",\"server_tool_use\":{\"web_search_requests\":2}"),
         4200000 + 2 * 10000000},
        {DIALECT_ANTHROPIC, "anthropic", "claude-opus-5-5", CLAUDE(",\"service_tier\":\"batch\""), 2100000},
        {DIALECT_ANTHROPIC, "anthropic", "claude-opus-5-5", CLAUDE(",\"inference_geo\":\"us\""), 4620000},
        {DIALECT_ANTHROPIC, "anthropic", "claude-opus-5-5", CLAUDE(",\"inference_geo\":\"global\""), 4200000},
        {DIALECT_ANTHROPIC, "anthropic", "claude-haiku-5-5",
         "{\"type\":\"message\",\"content\":[],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,"
         "\"cache_read_input_tokens\":100000,\"output_tokens\":10}}",
         1 * 500 + 100000 * 50 + 10 * 2500},
#define GEMINI(model, usage, grounding)                                                                \
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]},\"finishReason\":\"STOP\"" grounding \
    "}],\"modelVersion\":\"" model "\",\"usageMetadata\":{" usage "}}"
#define QUERIES ",\"groundingMetadata\":{\"webSearchQueries\":[\"a\",\"b\",\"c\"]}"
        /* thoughts are output; sounds and pictures have prices of their own; what a tool brought in is input */
        {DIALECT_GEMINI, "gemini", "gemini-3.1-pro-preview",
         GEMINI("m",
                "\"promptTokenCount\":200001,\"cachedContentTokenCount\":1,\"candidatesTokenCount\":5,"
                "\"thoughtsTokenCount\":5",
                ""),
         200000 * 4000LL + 400 + 10 * 18000},
        {DIALECT_GEMINI, "gemini", "gemini-2.5-flash",
         GEMINI("m",
                "\"promptTokenCount\":90,\"toolUsePromptTokenCount\":10,\"candidatesTokenCount\":10,"
                "\"promptTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":40}]",
                ""),
         60 * 300 + 40 * 1000 + 10 * 2500},
        {DIALECT_GEMINI, "gemini", "gemini-2.5-flash-image",
         GEMINI("m",
                "\"promptTokenCount\":10,\"candidatesTokenCount\":1300,\"candidatesTokensDetails\":[{\"modality\":"
                "\"IMAGE\",\"tokenCount\":1290}]",
                ""),
         10 * 300 + 10 * 2500 + 1290 * 30000},
        {DIALECT_GEMINI, "gemini", "gemini-3.5-flash",
         GEMINI("gemini-3.5-flash", "\"promptTokenCount\":10,\"candidatesTokenCount\":1", QUERIES),
         10 * 1500 + 9000 + 3 * 14000000},
        {DIALECT_GEMINI, "gemini", "gemini-2.5-flash",
         GEMINI("gemini-2.5-flash", "\"promptTokenCount\":10,\"candidatesTokenCount\":1", QUERIES),
         10 * 300 + 2500 + 35000000},
        {DIALECT_GEMINI, "gemini", "gemini-3.5-flash",
         GEMINI("m", "\"promptTokenCount\":10,\"candidatesTokenCount\":1,\"serviceTier\":\"flex\"", ""), 12000},
        {DIALECT_CONVERSE, "bedrock", "nova-pro",
         "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[]}},\"stopReason\":\"end_turn\",\"usage\":{"
         "\"inputTokens\":100,\"cacheReadInputTokens\":50,\"cacheWriteInputTokens\":20,\"outputTokens\":10}}",
         100 * 800 + 50 * 200 + 20 * 800 + 10 * 3200},
        /* a search that no price is known for */
        {DIALECT_OPENAI_CHAT, "mistral", "codestral",
         CHAT(
             "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"server_tool_use\":{\"web_search_requests\":1}}"),
         -1},
    };
    struct prices p;
    struct arena a;
    arena_init(&a, 4096);
    prices_builtin(&p);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer *answer;
        struct str why = STR_NULL;
        int64_t cost = -1;
        const struct price_entry *e = find(&p, rows[i].provider, rows[i].model);
        assert_non_null(e);
        if (dialect_of(rows[i].dialect)->read_answer(str_of(rows[i].answer), &a, &answer, &why) != WEIR_OK)
            fail_msg("%s: %.*s", rows[i].answer, STR_FMT(why));
        if (price_cost(&e->row, &answer->usage, &cost) != (rows[i].nanousd >= 0) || cost != rows[i].nanousd)
            fail_msg("%s %s: %lld, not %lld", rows[i].model, rows[i].answer, (long long)cost,
                     (long long)rows[i].nanousd);
    }
    const struct usage minute = {.milliseconds = 60000};
    int64_t cost;
    assert_true(price_cost(&find(&p, "openai", "whisper-1")->row, &minute, &cost));
    assert_int_equal(cost, 6000000);
    arena_fini(&a);
    prices_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtin_is_valid_and_complete),   cmocka_unit_test(names),
        cmocka_unit_test(words_reach_their_fields),        cmocka_unit_test(bad_lists_are_refused_whole),
        cmocka_unit_test(answers_cost_what_the_list_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
