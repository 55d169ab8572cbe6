#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/prices.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtin_is_valid_and_complete),
        cmocka_unit_test(names),
        cmocka_unit_test(words_reach_their_fields),
        cmocka_unit_test(bad_lists_are_refused_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
