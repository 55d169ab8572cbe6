#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/money/price.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct price_row row_of(const char *in, const char *cached, const char *out)
{
    struct price_row row;
    price_row_init(&row);
    assert_true(price_parse_per_million(in, &row.base.input));
    if (cached != NULL) assert_true(price_parse_per_million(cached, &row.base.cache_read));
    assert_true(price_parse_per_million(out, &row.base.output));
    row.known = 1;
    return row;
}

static void known_sums(void **state)
{
    (void)state;
    struct price_row row = row_of("2.50", "0.25", "10.00");
    int64_t cost = -7;
    assert_true(price_cost(&row, &(struct usage){.in_uncached = 412, .out_total = 96}, &cost));
    assert_int_equal(cost, 1990000); /* $0.00199 */
    row = row_of("3", "0.30", "15");
    assert_true(price_cost(&row, &(struct usage){.in_uncached = 204, .cache_read = 1900, .out_total = 611}, &cost));
    assert_int_equal(cost, 10347000);
}

static void reasoning_is_inside_output(void **state)
{
    (void)state;
    struct price_row row = row_of("1", NULL, "2");
    int64_t a, b;
    assert_true(price_cost(&row, &(struct usage){.out_total = 100}, &a));
    assert_true(price_cost(&row, &(struct usage){.out_total = 100, .out_reasoning = 90}, &b));
    assert_int_equal(a, b);
}

static void unknown_is_never_zero(void **state)
{
    (void)state;
    int64_t cost = -7;
    struct usage u = {.in_uncached = 1, .out_total = 1};
    assert_false(price_cost(NULL, &u, &cost));
    struct price_row row;
    price_row_init(&row);
    assert_false(price_cost(&row, &u, &cost));
    assert_false(price_upper_bound(&row, 1, 1, &cost));
    row.known = 1;
    row.base.input = 5;
    assert_false(price_cost(&row, &u, &cost)); /* output is needed and unknown */
    assert_false(price_upper_bound(&row, 1, 1, &cost));
    assert_true(price_cost(&row, &(struct usage){.in_uncached = 1000}, &cost));
    assert_int_equal(cost, 5);
    row.base.output = 5;
    u.web_searches = 1;
    assert_false(price_cost(&row, &u, &cost));
    struct price_row blank = {0};
    assert_false(price_cost(&blank, &u, &cost));
}

static void free_is_zero_and_known(void **state)
{
    (void)state;
    struct price_row row;
    price_row_init(&row);
    row.free = 1;
    int64_t cost = -7;
    assert_true(price_cost(&row, &(struct usage){.in_uncached = 9, .web_searches = 3}, &cost));
    assert_int_equal(cost, 0);
    assert_true(price_upper_bound(&row, 1 << 20, 1 << 20, &cost));
    assert_int_equal(cost, 0);
}

static void tier_prices_the_whole_call(void **state)
{
    (void)state;
    struct price_row row = row_of("2", "0.2", "10");
    row.tier_above_tokens = 272000;
    assert_true(price_parse_per_million("4", &row.tier.input));
    assert_true(price_parse_per_million("15", &row.tier.output));
    int64_t cost;
    assert_true(price_cost(&row, &(struct usage){.in_uncached = 272000, .out_total = 1000}, &cost));
    assert_int_equal(cost, 272000 * 2000LL + 1000 * 10000LL);
    assert_true(price_cost(&row, &(struct usage){.in_uncached = 272001, .out_total = 1000}, &cost));
    assert_int_equal(cost, 272001 * 4000LL + 1000 * 15000LL);
    /* the threshold counts cached tokens; an unknown cache rate of the tier is the tier's input rate */
    assert_true(price_cost(&row, &(struct usage){.in_uncached = 1, .cache_read = 272000}, &cost));
    assert_int_equal(cost, 272001 * 4000LL);
}

static void long_cache_write_is_8_fifths(void **state)
{
    (void)state;
    struct price_row row = row_of("4", "0.2", "20");
    assert_true(price_parse_per_million("5", &row.base.cache_write_5m));
    int64_t cost;
    assert_true(price_cost(&row, &(struct usage){.cache_write_1h = 1000}, &cost));
    assert_int_equal(cost, 8000000); /* the listed $8 */
    row.base.cache_write_5m = 1;     /* 3 x 1.6 pico-dollars are exact before the one rounding */
    assert_true(price_cost(&row, &(struct usage){.cache_write_1h = 312}, &cost));
    assert_int_equal(cost, 0); /* 499.2 */
    assert_true(price_cost(&row, &(struct usage){.cache_write_1h = 313}, &cost));
    assert_int_equal(cost, 1); /* 500.8 */
}

static void service_tier_and_factor(void **state)
{
    (void)state;
    struct price_row row = row_of("1", NULL, "1");
    row.batch_ppm = 500000;
    row.priority_ppm = 2000000;
    row.factor_ppm = 1100000;
    struct usage u = {.in_uncached = 1000000, .tier = USAGE_BATCH};
    int64_t cost;
    assert_true(price_cost(&row, &u, &cost));
    assert_int_equal(cost, 550000000);
    u.tier = USAGE_PRIORITY;
    assert_true(price_cost(&row, &u, &cost));
    assert_int_equal(cost, 2200000000);
    u.tier = USAGE_FLEX; /* no figure: as standard */
    assert_true(price_cost(&row, &u, &cost));
    assert_int_equal(cost, 1100000000);
    u.tier = 99;
    assert_true(price_cost(&row, &u, &cost));
    assert_int_equal(cost, 1100000000);
    row.factor_ppm = 0;
    assert_true(price_cost(&row, &u, &cost));
    assert_int_equal(cost, 1000000000);
}

static void by_second_and_unit(void **state)
{
    (void)state;
    struct price_row row;
    price_row_init(&row);
    row.known = 1;
    row.per_second_picousd = 100000000; /* $0.36 an hour */
    int64_t cost;
    assert_true(price_cost(&row, &(struct usage){.milliseconds = 3600000, .in_uncached = 5}, &cost));
    assert_int_equal(cost, 360000000);
    assert_true(price_cost(&row, &(struct usage){.milliseconds = 1}, &cost));
    assert_int_equal(cost, 100);
    assert_false(price_upper_bound(&row, 1, 1, &cost));
}

static void saturates_and_distrusts(void **state)
{
    (void)state;
    struct price_row row = row_of("1", NULL, "1");
    row.base.input = row.base.output = INT64_MAX;
    row.factor_ppm = row.priority_ppm = INT32_MAX;
    int64_t cost;
    struct usage u = {.in_uncached = INT64_MAX, .out_total = INT64_MAX, .tier = USAGE_PRIORITY};
    assert_true(price_cost(&row, &u, &cost));
    assert_true(cost == INT64_MAX);
    assert_true(price_upper_bound(&row, INT64_MAX, INT64_MAX, &cost));
    assert_true(cost == INT64_MAX);
    u = (struct usage){.in_uncached = -5, .cache_read = INT64_MIN, .out_total = -1, .in_audio = 7};
    assert_true(price_cost(&row, &u, &cost));
    assert_int_equal(cost, 0); /* never a negative charge */
    /* parts that are larger than their whole count once */
    row = row_of("1", NULL, "1");
    row.base.in_audio = 2000000;
    assert_true(price_cost(&row, &(struct usage){.in_uncached = 10, .in_audio = 99, .in_image = 99}, &cost));
    assert_int_equal(cost, 20000);
}

static void usage_is_clamped(void **state)
{
    (void)state;
    struct usage u = {0};
    usage_set(&u, &u.in_uncached, 7);
    assert_int_equal(u.clamped, 0);
    usage_set(&u, &u.out_total, -1);
    assert_int_equal(u.out_total, 0);
    assert_int_equal(u.clamped, 1);
    u.clamped = 0;
    usage_set(&u, &u.cache_read, INT64_MAX);
    assert_true(u.cache_read == USAGE_MAX);
    assert_int_equal(u.clamped, 1);
    assert_true(usage_in_total(&u) == USAGE_MAX + 7);
}

static void texts(void **state)
{
    (void)state;
    int64_t v = -7;
    static const struct {
        const char *text;
        int64_t pico;
    } good[] = {{"2.50", 2500000},  {"0", 0},
                {"10", 10000000},   {"0.000001", 1},
                {"0.02", 20000},    {"1000000", 1000000000000},
                {"0010", 10000000}, {"1000000.000000", 1000000000000}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(price_parse_per_million(good[i].text, &v));
        assert_true(v == good[i].pico);
    }
    static const char *const bad[] = {"",
                                      "-1",
                                      ".5",
                                      "1.",
                                      "1e3",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "1.0000001",
                                      "nan",
                                      "0x1",
                                      "1,5",
                                      "1..2",
                                      "$1",
                                      "1000000.000001",
                                      "1000001",
                                      "99999999999999999999",
                                      "1.2.3",
                                      "0.0000000"};
    v = -7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(price_parse_per_million(bad[i], &v));
    assert_false(price_parse_per_million(NULL, &v));
    assert_int_equal(v, -7);
    assert_true(price_parse_usd("0.00199", &v));
    assert_int_equal(v, 1990000);
    assert_false(price_parse_usd("0.0000000001", &v));

    static const struct {
        int64_t nano;
        const char *people, *exact;
    } out[] = {{1990000, "$0.00199", "0.00199"},
               {10350000, "$0.01035", "0.01035"},
               {14000000, "$0.0140", "0.014"},
               {0, "$0.0000", "0"},
               {1, "$0.000000001", "0.000000001"},
               {18420000000, "$18.4200", "18.42"},
               {123456, "$0.0001235", "0.000123456"},
               {999999, "$0.0010", "0.000999999"},
               {1234567890, "$1.2346", "1.23456789"},
               {99999, "$0.0001", "0.000099999"},
               {-1000000, "-$0.0010", "-0.001"},
               {99999950000, "$100.0000", "99.99995"},
               {INT64_MAX, "$9223372036.8548", "9223372036.854775807"},
               {INT64_MIN, "-$9223372036.8548", "-9223372036.854775808"}};
    for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
        char text[24];
        price_format_usd(out[i].nano, text, sizeof text);
        assert_string_equal(text, out[i].people);
        price_format_number(out[i].nano, text, sizeof text);
        assert_string_equal(text, out[i].exact);
    }
    assert_string_equal(price_basis_word(PRICE_BASIS_ESTIMATED), "estimated");
    assert_null(price_basis_word(PRICE_BASIS_NONE));
}

/* ---- against exact fractions ---- */

static uint64_t seed = 0x9E3779B97F4A7C15u;

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int64_t draw_rate(void)
{
    switch (draw() % 6) {
    case 0: return PRICE_UNKNOWN;
    case 1: return (int64_t)(draw() % 10);
    case 2: return (int64_t)(draw() % ((uint64_t)INT64_MAX));
    default: return (int64_t)(draw() % 60000000);
    }
}

static int64_t draw_count(void)
{
    switch (draw() % 5) {
    case 0: return 0;
    case 1: return (int64_t)(draw() % 4);
    case 2: return (int64_t)(draw() % ((uint64_t)USAGE_MAX + 1));
    default: return (int64_t)(draw() % 300000);
    }
}

static void draw_case(struct price_row *row, struct usage *u)
{
    price_row_init(row);
    row->known = 1;
    int64_t *rates[] = {(int64_t *)&row->base, (int64_t *)&row->tier};
    bool no_rates = draw() % 8 == 0, no_tier = draw() % 2 == 0;
    for (unsigned i = 0; i < sizeof row->base / sizeof(int64_t); i++) {
        rates[0][i] = no_rates ? PRICE_UNKNOWN : draw_rate();
        rates[1][i] = no_tier ? PRICE_UNKNOWN : draw_rate();
    }
    row->tier_above_tokens = draw() % 3 == 0 ? 0 : (int64_t)(draw() % 400000);
    int64_t *per[] = {&row->per_request_picousd, &row->per_web_search_picousd, &row->per_second_picousd,
                      &row->per_unit_picousd};
    for (unsigned i = 0; i < 4; i++) *per[i] = draw() % 2 == 0 ? PRICE_UNKNOWN : draw_rate();
    int32_t *ppm[] = {&row->factor_ppm, &row->batch_ppm, &row->flex_ppm, &row->priority_ppm};
    for (unsigned i = 0; i < 4; i++)
        *ppm[i] = draw() % 3 == 0 ? 1000000 : (int32_t)(draw() % (draw() % 4 == 0 ? (uint64_t)INT32_MAX : 3000000));
    *u = (struct usage){0};
    int64_t *figures = (int64_t *)u;
    for (unsigned i = 0; i < 14; i++) figures[i] = draw_count();
    if (draw() % 2 == 0) u->web_searches = 0;
    u->requests = (int64_t)(draw() % 2);
    u->tier = (uint8_t)(draw() % 4);
}

static void agrees_with_exact_fractions(void **state)
{
    (void)state;
    char command[600];
    const char *root = getenv("WEIR_SOURCE_ROOT");
    snprintf(command, sizeof command, "/usr/bin/python3 '%s/tests/unit/proto/money/check_price.py'",
             root == NULL ? "." : root);
    FILE *python = popen(command, "w");
    assert_non_null(python);
    unsigned known = 0;
    for (unsigned n = 0; n < 20000; n++) {
        struct price_row row;
        struct usage u;
        draw_case(&row, &u);
        const int64_t *base = (const int64_t *)&row.base, *tier = (const int64_t *)&row.tier,
                      *figures = (const int64_t *)&u;
        for (unsigned i = 0; i < 9; i++) fprintf(python, "%" PRId64 " ", base[i]);
        for (unsigned i = 0; i < 9; i++) fprintf(python, "%" PRId64 " ", tier[i]);
        fprintf(python, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %d %d %d %d ",
                row.tier_above_tokens, row.per_request_picousd, row.per_web_search_picousd, row.per_second_picousd,
                row.per_unit_picousd, row.factor_ppm, row.batch_ppm, row.flex_ppm, row.priority_ppm);
        for (unsigned i = 0; i < 14; i++) fprintf(python, "%" PRId64 " ", figures[i]);
        int64_t cost = -1, bound = -1;
        bool has_cost = price_cost(&row, &u, &cost);
        bool has_bound = price_upper_bound(&row, usage_in_total(&u), u.out_total, &bound);
        known += has_cost;
        fprintf(python, "%d %d %" PRId64 " %d %" PRId64 "\n", u.tier, has_cost, cost, has_bound, bound);
    }
    assert_int_equal(pclose(python), 0);
    assert_in_range(known, 4000, 19999); /* both kinds were really tried */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_sums),
        cmocka_unit_test(reasoning_is_inside_output),
        cmocka_unit_test(unknown_is_never_zero),
        cmocka_unit_test(free_is_zero_and_known),
        cmocka_unit_test(tier_prices_the_whole_call),
        cmocka_unit_test(long_cache_write_is_8_fifths),
        cmocka_unit_test(service_tier_and_factor),
        cmocka_unit_test(by_second_and_unit),
        cmocka_unit_test(saturates_and_distrusts),
        cmocka_unit_test(usage_is_clamped),
        cmocka_unit_test(texts),
        cmocka_unit_test(agrees_with_exact_fractions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
