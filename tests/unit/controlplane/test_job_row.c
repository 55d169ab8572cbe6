#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/job_row.h"
#include "tests/unit/controlplane/records.h"

#include <stdlib.h>

static struct job_row made_row(void)
{
    struct job_row row = {.created = made_record(1), .print = 77, .form = VIDEO_ARK, .has_price = true};
    row.created.kind = RECORD_ATTEMPT;
    row.created.flags = RECORD_FINAL | RECORD_TASK;
    row.created.attempt_id[8] = 3;
    row.created.bound_nanousd = 5000000000;
    row.created.cost_nanousd = 0;
    snprintf(row.created.detail, sizeof row.created.detail, "cgt-1");
    price_row_init(&row.price);
    row.price.known = 1;
    row.price.base.output = 7000000; /* 7 USD per million */
    return row;
}

static void comes_back_as_it_was_and_no_changed_byte_passes(void **state)
{
    (void)state;
    uint8_t bytes[JOB_ROW_MAX];
    struct job_row row = made_row(), back;
    size_t n = job_row_write(&row, bytes);
    assert_true(n <= JOB_ROW_MAX && job_row_read((struct str){(char *)bytes, n}, &back));
    assert_memory_equal(&row.created, &back.created, sizeof row.created);
    assert_memory_equal(&row.price, &back.price, sizeof row.price);
    assert_true(back.print == 77 && back.form == VIDEO_ARK && back.has_price);
    for (size_t cut = 0; cut < n; cut++) {
        char *copy = malloc(cut > 0 ? cut : 1); /* exact, so that ASan sees a read behind it */
        memcpy(copy, bytes, cut);
        assert_false(job_row_read((struct str){copy, cut}, &back));
        free(copy);
    }
    row.created.flags = RECORD_FINAL; /* no task */
    n = job_row_write(&row, bytes);
    assert_false(job_row_read((struct str){(char *)bytes, n}, &back));
}

static void one_bill_whenever_it_is_made(void **state)
{
    (void)state;
    struct job_row row = made_row();
    struct video_task done = {.state = VIDEO_DONE, .tokens = 108000, .milliseconds = 5000};
    struct usage_record a, b;
    job_settle(&row, &done, WEIR_OK, T0 + 5000000000u, &a);
    job_settle(&row, NULL, WEIR_UP_NOT_FOUND, T0 + 9000000000u, &b);
    assert_memory_equal(a.attempt_id, b.attempt_id, sizeof a.attempt_id);
    assert_memory_not_equal(a.attempt_id, row.created.attempt_id, sizeof a.attempt_id);
    assert_string_equal(a.request_id, row.created.request_id);
    assert_true(a.kind == RECORD_SETTLED && (a.flags & RECORD_TASK) == 0 && a.outcome == OUTCOME_OK);
    assert_int_equal(a.cost_nanousd, 756000000); /* 108,000 x 7 / 10^6 USD */
    assert_int_equal(a.basis, PRICE_BASIS_COMPUTED);
    assert_int_equal(b.cost_nanousd, 5000000000);
    assert_true(b.basis == PRICE_BASIS_ESTIMATED && (b.flags & RECORD_ESTIMATED) != 0);
}

static void what_is_not_said_or_absurd_is_booked_at_its_bound(void **state)
{
    (void)state;
    struct job_row row = made_row();
    const int64_t tokens[] = {-1, 0, USAGE_BELIEVED + 1, INT64_MAX};
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        struct video_task done = {.state = VIDEO_DONE, .tokens = tokens[i], .milliseconds = 5000};
        struct usage_record r;
        job_settle(&row, &done, WEIR_OK, T0, &r);
        assert_int_equal(r.cost_nanousd, row.created.bound_nanousd);
        assert_true(r.flags & RECORD_ESTIMATED);
    }
    struct video_task done = {.state = VIDEO_DONE, .tokens = 100};
    struct usage_record r;
    row.has_price = false;
    job_settle(&row, &done, WEIR_OK, T0, &r);
    assert_int_equal(r.cost_nanousd, -1); /* unknown, never zero */
}

static void what_did_not_come_costs_nothing(void **state)
{
    (void)state;
    struct job_row row = made_row();
    const enum video_state states[] = {VIDEO_FAILED, VIDEO_CANCELLED, VIDEO_EXPIRED};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct video_task task = {.state = states[i], .tokens = 999};
        struct usage_record r;
        job_settle(&row, &task, WEIR_OK, T0, &r);
        assert_true(r.cost_nanousd == 0 && r.usage.out_total == 0);
        assert_int_equal(r.outcome, states[i] == VIDEO_CANCELLED ? OUTCOME_CANCELLED : OUTCOME_FAILED);
    }
}

static void seconds_are_billed_where_the_price_is_by_seconds(void **state)
{
    (void)state;
    struct job_row row = made_row();
    struct video_task done = {.state = VIDEO_DONE, .tokens = -1, .milliseconds = 8000};
    struct usage_record r;
    row.form = VIDEO_OPENAI;
    price_row_init(&row.price);
    row.price.known = 1;
    row.price.per_second_picousd = 100000000000; /* 0.10 USD */
    job_settle(&row, &done, WEIR_OK, T0, &r);
    assert_int_equal(r.cost_nanousd, 800000000);
    assert_int_equal(r.basis, PRICE_BASIS_COMPUTED);
}

static void a_bill_is_no_call(void **state)
{
    (void)state;
    struct job_row row = made_row();
    struct video_task done = {.state = VIDEO_DONE, .tokens = 1000, .milliseconds = 5000};
    struct usage_record r;
    struct sums sums = {0};
    job_settle(&row, &done, WEIR_OK, T0, &r);
    sums_add_record(&sums, &r);
    assert_true(sums.calls == 0 && sums.attempts == 0 && sums.ok == 0 && sums.duration_us == 0);
    assert_true(sums.cost_nanousd == 7000000 && sums.out_total == 1000 && sums.milliseconds == 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was_and_no_changed_byte_passes),
        cmocka_unit_test(one_bill_whenever_it_is_made),
        cmocka_unit_test(what_is_not_said_or_absurd_is_booked_at_its_bound),
        cmocka_unit_test(what_did_not_come_costs_nothing),
        cmocka_unit_test(seconds_are_billed_where_the_price_is_by_seconds),
        cmocka_unit_test(a_bill_is_no_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
