#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/record.h"
#include "tests/unit/controlplane/records.h"

#include <stdlib.h>

static void comes_back_as_it_was(void **state)
{
    (void)state;
    uint8_t stored[RECORD_STORED_MAX];
    for (uint64_t i = 0; i < 1000; i++) {
        struct usage_record r = made_record(i), back;
        uint64_t seq = 0;
        size_t n = record_encode(&r, i * 3, stored);
        assert_in_range(n, 1, 512); /* texts are stored by their length */
        assert_true(record_decode(stored, n, &back, &seq));
        assert_memory_equal(&r, &back, sizeof r);
        assert_int_equal(seq, i * 3);
    }
}

static void longest_and_unterminated_texts(void **state)
{
    (void)state;
    uint8_t stored[RECORD_STORED_MAX];
    struct usage_record r = made_record(1), back;
    uint64_t seq;
    memset((char *)&r + offsetof(struct usage_record, route), 'x', sizeof r - offsetof(struct usage_record, route));
    memset(r.request_id, 'y', sizeof r.request_id);
    size_t n = record_encode(&r, 1, stored);
    assert_true(n <= RECORD_STORED_MAX);
    assert_true(record_decode(stored, n, &back, &seq));
    assert_int_equal(strlen(back.route), NAME_ROUTE - 1);
    assert_int_equal(strlen(back.detail), sizeof back.detail - 1);
    assert_int_equal(strlen(back.request_id), sizeof back.request_id - 1);
}

static void every_flipped_bit_is_seen(void **state)
{
    (void)state;
    uint8_t stored[RECORD_STORED_MAX];
    struct usage_record r = made_record(2), back;
    uint64_t seq;
    size_t n = record_encode(&r, 7, stored);
    for (size_t bit = 0; bit < n * 8; bit++) {
        stored[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(record_decode(stored, n, &back, &seq));
        stored[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *copy = malloc(cut > 0 ? cut : 1); /* exact, so that ASan sees a read behind it */
        memcpy(copy, stored, cut);
        assert_false(record_decode(copy, cut, &back, &seq));
        free(copy);
    }
    assert_true(record_decode(stored, n, &back, &seq));
}

static void sums_count_each_thing_once(void **state)
{
    (void)state;
    struct sums s = {0};
    struct usage_record r = made_record(3);
    r.kind = RECORD_ATTEMPT;
    r.usage =
        (struct usage){.in_uncached = 10, .cache_read = 20, .cache_write_5m = 3, .cache_write_1h = 4, .out_total = 7};
    r.cost_nanousd = 5;
    r.outcome = OUTCOME_FAILED;
    r.flags = 0; /* moved on */
    sums_add_record(&s, &r);
    assert_int_equal(s.calls, 0);
    assert_int_equal(s.attempts, 1);
    assert_int_equal(s.failed, 1);
    r.outcome = OUTCOME_OK;
    r.flags = RECORD_FINAL | RECORD_RESCUED;
    r.cost_nanousd = -1;
    sums_add_record(&s, &r);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.ok, 1);
    assert_int_equal(s.rescued, 1);
    assert_int_equal(s.unknown, 1);
    assert_int_equal(s.cost_nanousd, 5);
    assert_int_equal(sums_input(&s), 74);
    r.kind = RECORD_REFUSED;
    sums_add_record(&s, &r);
    assert_int_equal(s.calls, 2);
    assert_int_equal(s.refused, 1);
    assert_int_equal(s.attempts, 2);
    assert_int_equal(s.unknown, 1);
    r.kind = RECORD_ATTEMPT;
    r.cost_nanousd = INT64_MAX;
    sums_add_record(&s, &r);
    assert_true(s.cost_nanousd == INT64_MAX); /* saturates, never negative */
    r.usage.in_uncached = INT64_MIN;
    r.duration_us = UINT64_MAX;
    sums_add_record(&s, &r);
    assert_int_equal(s.in_uncached, 30);
}

static void sums_come_back(void **state)
{
    (void)state;
    struct sums s = {0}, back;
    uint8_t row[SUMS_STORED];
    for (uint64_t i = 0; i < 50; i++) {
        struct usage_record r = made_record(i);
        sums_add_record(&s, &r);
    }
    sums_encode(&s, row);
    assert_true(sums_decode(row, sizeof row, &back));
    assert_memory_equal(&s, &back, sizeof s);
    row[30] ^= 1;
    assert_false(sums_decode(row, sizeof row, &back));
    assert_false(sums_decode(row, 7, &back));
    assert_false(sums_decode(row, sizeof row - 1, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(longest_and_unterminated_texts),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(sums_count_each_thing_once),
        cmocka_unit_test(sums_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
