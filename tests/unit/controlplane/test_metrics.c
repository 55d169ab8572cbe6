#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/metrics.h"
#include "proto/base/err.h"
#include "tests/unit/controlplane/records.h"

#include <stdlib.h>

static char *text_of(const struct metrics *m)
{
    struct buf out = {0};
    metrics_write(m, &out);
    buf_addc(&out, '\0');
    return out.p;
}

static void has(const struct metrics *m, const char *line)
{
    char *text = text_of(m), with_ends[300];
    snprintf(with_ends, sizeof with_ends, "\n%s\n", line);
    if (strstr(text, with_ends) == NULL) fail_msg("%s is not in:\n%s", line, text);
    free(text);
}

static void counts_by_label(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct usage_record r = made_record(0);
    memset(&r.usage, 0, sizeof r.usage);
    r.kind = RECORD_ATTEMPT;
    r.outcome = OUTCOME_FAILED;
    r.err = WEIR_UP_OVERLOADED;
    r.flags = 0;
    r.cost_nanousd = 0;
    r.overhead_us = 183;
    snprintf(r.provider, sizeof r.provider, "fake-a");
    snprintf(r.model, sizeof r.model, "large");
    snprintf(r.route, sizeof r.route, "chat");
    snprintf(r.key, sizeof r.key, "search");
    metrics_record(m, &r);
    r.outcome = OUTCOME_OK;
    r.err = WEIR_OK;
    r.flags = RECORD_FINAL | RECORD_RESCUED;
    r.cost_nanousd = 1990000;
    r.basis = PRICE_BASIS_COMPUTED;
    r.usage = (struct usage){.in_uncached = 400, .cache_read = 12, .out_total = 96, .out_reasoning = 6};
    metrics_record(m, &r);
    metrics_record(m, &r);
    r.cost_nanousd = -1;
    metrics_record(m, &r);
    r.kind = RECORD_REFUSED;
    r.err = WEIR_RATE;
    metrics_record(m, &r);
    has(m, "weir_requests_total{route=\"chat\",dialect=\"openai\",outcome=\"rescued\"} 3");
    has(m, "weir_requests_total{route=\"chat\",dialect=\"openai\",outcome=\"refused\"} 1");
    has(m, "weir_attempts_total{provider=\"fake-a\",model=\"large\",outcome=\"ok\",error_type=\"\"} 3");
    has(m,
        "weir_attempts_total{provider=\"fake-a\",model=\"large\",outcome=\"failed\",error_type=\"up_overloaded\"} 1");
    has(m, "weir_refused_total{reason=\"rate\"} 1");
    has(m, "weir_cost_usd_total{provider=\"fake-a\",model=\"large\",key=\"search\",basis=\"computed\"} 0.00398");
    has(m, "weir_price_missing_total{model=\"large\"} 1");
    has(m, "weir_tokens_total{type=\"input\"} 1236");
    has(m, "weir_tokens_total{type=\"cache_read\"} 36");
    has(m, "weir_tokens_total{type=\"output\"} 288");
    has(m, "weir_tokens_total{type=\"reasoning\"} 18");
    has(m, "weir_overhead_seconds_bucket{le=\"0.0001\"} 0");
    has(m, "weir_overhead_seconds_bucket{le=\"0.0002\"} 4");
    has(m, "weir_overhead_seconds_bucket{le=\"+Inf\"} 4");
    has(m, "weir_overhead_seconds_sum 0.000732");
    has(m, "weir_overhead_seconds_count 4");
    has(m, "# TYPE weir_cost_usd_total counter");
    metrics_free(&m);
    assert_null(m);
}

static bool only_large(void *ctx, struct str provider, struct str model)
{
    (void)ctx;
    (void)provider;
    return str_is(model, "large");
}

static void clients_make_no_series(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct usage_record r = made_record(0);
    r.kind = RECORD_ATTEMPT;
    r.outcome = OUTCOME_OK;
    r.err = WEIR_OK;
    metrics_set_known(m, only_large, NULL);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(r.model, sizeof r.model, "made-up-%u", i);
        metrics_record(m, &r);
    }
    has(m, "weir_attempts_total{provider=\"local\",model=\"other\",outcome=\"ok\",error_type=\"\"} 1000");
    metrics_set_known(m, NULL, NULL);
    for (unsigned i = 0; i < METRICS_SERIES * 2; i++) {
        snprintf(r.model, sizeof r.model, "made-up-%u", i);
        metrics_record(m, &r);
    }
    char *text = text_of(m);
    unsigned lines = 0;
    for (const char *p = text; *p != '\0'; p++) lines += *p == '\n';
    assert_in_range(lines, 1000, METRICS_SERIES + 100);
    free(text);
    metrics_free(&m);
}

static void labels_are_escaped(void **state)
{
    (void)state;
    struct buf labels = {0};
    metrics_label(&labels, "a", STR("x\"\\\n\x01"));
    metrics_label(&labels, "b", STR(""));
    assert_true(str_is(buf_view(&labels), "a=\"x\\\"\\\\\\n?\",b=\"\""));
    buf_fini(&labels);
    struct metrics *m = metrics_new();
    metrics_count(m, "weir_refused_total", "reason=\"size\"", 4);
    metrics_count(m, "no_such_family", "", 4);
    has(m, "weir_refused_total{reason=\"size\"} 4");
    metrics_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_by_label),
        cmocka_unit_test(clients_make_no_series),
        cmocka_unit_test(labels_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
