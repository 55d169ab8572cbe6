/* The pure rules of the journey: order of targets, what follows a failure, headers, hosts, times, slabs. */
#include "dataplane/admit.h"
#include "dataplane/headers.h"
#include "dataplane/retry.h"
#include "dataplane/route.h"
#include "dataplane/slab.h"
#include "shm/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint64_t counting(void *source)
{
    return (*(uint64_t *)source)++;
}

static void order(struct candidate *c, size_t n, bool weighted, uint64_t seed, char *ret_legs)
{
    route_order(c, n, weighted, counting, &seed);
    for (size_t i = 0; i < n; i++) ret_legs[i] = (char)('a' + c[i].leg);
    ret_legs[n] = '\0';
}

static void targets_come_before_fallbacks_and_the_weightless_last(void **state)
{
    (void)state;
    char legs[8];
    struct candidate c[] = {{.leg = 0, .weight = 0},
                            {.leg = 1, .weight = 5},
                            {.leg = 2, .weight = 5, .down = true},
                            {.leg = 3, .weight = 7},
                            {.leg = 4, .fallback = true, .down = true},
                            {.leg = 5, .fallback = true}};
    order(c, 6, false, 0, legs);
    assert_string_equal(legs, "bdface");
}

static void weights_decide_how_often_a_target_is_first(void **state)
{
    (void)state;
    unsigned first[3] = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        struct candidate c[] = {{.leg = 0, .weight = 1}, {.leg = 1, .weight = 3}, {.leg = 2, .weight = 6}};
        char legs[4];
        order(c, 3, true, i, legs);
        first[legs[0] - 'a']++;
        assert_int_equal(legs[0] + legs[1] + legs[2], 'a' + 'b' + 'c');
    }
    assert_int_equal(first[0], 100);
    assert_int_equal(first[1], 300);
    assert_int_equal(first[2], 600);
}

static void an_empty_plan_is_an_empty_plan(void **state)
{
    (void)state;
    uint64_t seed = 0;
    route_order(NULL, 0, true, counting, &seed);
}

static struct retry_question asked(enum weir_err err, uint16_t status)
{
    return (struct retry_question){.err = err, .status = status, .tries = 1, .same_tries = 1, .attempts = 1, .most = 4};
}

static void what_follows_a_failure(void **state)
{
    (void)state;
    struct retry_question q = asked(WEIR_UP_SERVER, 500);
    assert_int_equal(retry_judge(&q), RETRY_NEXT);
    q.attempts = 2;
    assert_int_equal(retry_judge(&q), RETRY_SAME);
    q.should_not_retry = true;
    assert_int_equal(retry_judge(&q), RETRY_NEXT);
    q.tries = 4;
    assert_int_equal(retry_judge(&q), RETRY_STOP);
    q.tries = 1;
    q.committed = true;
    assert_int_equal(retry_judge(&q), RETRY_STOP);

    q = asked(WEIR_UP_BAD_REQUEST, 400);
    assert_int_equal(retry_judge(&q), RETRY_STOP);
    q.on_status = true; /* the configuration cannot make a bad request worth repeating */
    assert_int_equal(retry_judge(&q), RETRY_STOP);
    q = asked(WEIR_UP_CONFLICT, 409); /* a lock: whoever is next may not have it */
    assert_int_equal(retry_judge(&q), RETRY_NEXT);
    q = asked(WEIR_UP_CAPABILITY, 418);
    assert_int_equal(retry_judge(&q), RETRY_STOP);
    q.on_status = true;
    assert_int_equal(retry_judge(&q), RETRY_NEXT);
    q = asked(WEIR_UP_TIMEOUT_TOTAL, 0);
    assert_int_equal(retry_judge(&q), RETRY_STOP);

    q = asked(WEIR_UP_RESET, 0);
    q.redial = true;
    assert_int_equal(retry_judge(&q), RETRY_REDIAL);
    q.committed = true;
    assert_int_equal(retry_judge(&q), RETRY_STOP);
}

static void pauses_double_and_end(void **state)
{
    (void)state;
    for (uint64_t random = 0; random < 300; random++) {
        uint64_t first = retry_pause_ms(1, 100, 1000, random), third = retry_pause_ms(3, 100, 1000, random);
        assert_in_range(first, 50, 100);
        assert_in_range(third, 200, 400);
        assert_in_range(retry_pause_ms(60, 100, 1000, random), 500, 1000);
        assert_in_range(retry_pause_ms(2, 0, 0, random), 0, 0);
    }
}

static void headers_that_go_on(void **state)
{
    (void)state;
    static const char *const up[] = {"anthropic-beta", "Anthropic-New", "X-Stainless-Lang", "OpenAI-Beta",
                                     "idempotency-key"};
    static const char *const stay[] = {"authorization",     "x-api-key",  "cookie",      "x_api_key",
                                       "anthropic-version", "anthropic-", "x-weir-tags", "openai-organization",
                                       "x-forwarded-for",   "host",       "te",          "accept-encoding"};
    for (size_t i = 0; i < sizeof up / sizeof up[0]; i++) assert_true(headers_go_up(str_of(up[i])));
    for (size_t i = 0; i < sizeof stay / sizeof stay[0]; i++) assert_false(headers_go_up(str_of(stay[i])));
    assert_true(headers_go_down(STR("x-ratelimit-remaining-tokens")));
    assert_true(headers_go_down(STR("OpenAI-Processing-Ms")));
    assert_false(headers_go_down(STR("set-cookie")));
    assert_false(headers_go_down(STR("content-length")));
    assert_false(headers_go_down(STR("transfer-encoding")));
}

static void hosts_that_are_ours(void **state)
{
    (void)state;
    struct snap_builder *b = snap_builder_new();
    int fds[2];
    const char *why = "";
    uint32_t at = snap_add_string(b, STR("weir.internal"));
    snap_builder_head(b)->server.hosts = (struct snap_list){at, 1};
    snap_builder_head(b)->serial = 1;
    if (!snap_builder_finish(b, &fds[0], &fds[1], &why)) fail_msg("%s", why);
    struct snap *sn = snap_open(fds[0], fds[1], &why);
    assert_non_null(sn);
    static const char *const ours[] = {"localhost", "LOCALHOST:8490", "127.0.0.1:1",     "[::1]:8490",
                                       "10.0.0.7",  "a.localhost",    "weir.internal:80"};
    static const char *const others[] = {"evil.example", "localhost.evil.example:8490", "weir.internal.evil",
                                         "127.0.0.1.evil.example"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) assert_true(admit_is_host_ours(sn, str_of(ours[i])));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(admit_is_host_ours(sn, str_of(others[i])));
    snap_unref(&sn);
    snap_builder_free(&b);
}

static void times_of_a_header(void **state)
{
    (void)state;
    uint64_t ms = 7;
    assert_true(admit_parse_timeout(STR("1500ms"), &ms) && ms == 1500);
    assert_true(admit_parse_timeout(STR("30s"), &ms) && ms == 30000);
    assert_true(admit_parse_timeout(STR("30"), &ms) && ms == 30000);
    assert_true(admit_parse_timeout(STR("2m"), &ms) && ms == 120000);
    static const char *const bad[] = {"", "0", "s", "-1s", "1h", "1.5s", " 1s", "99999999999999999999s", "100000s"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(admit_parse_timeout(str_of(bad[i]), &ms));
}

static void slabs_give_objects_back_with_what_they_hold(void **state)
{
    (void)state;
    struct object {
        void *link;
        int value;
    };
    struct slab s;
    bool fresh;
    slab_init(&s, sizeof(struct object), 1, NULL);
    struct object *a = slab_take(&s, &fresh);
    assert_true(fresh);
    assert_int_equal(a->value, 0);
    a->value = 5;
    struct object *b = slab_take(&s, &fresh);
    slab_give(&s, a);
    slab_give(&s, b); /* more than are kept: freed */
    a = slab_take(&s, &fresh);
    assert_int_equal(s.out, 1);
    assert_true(fresh || a->value == 5); /* the sanitizer build keeps none */
    slab_give(&s, a);
    slab_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_come_before_fallbacks_and_the_weightless_last),
        cmocka_unit_test(weights_decide_how_often_a_target_is_first),
        cmocka_unit_test(an_empty_plan_is_an_empty_plan),
        cmocka_unit_test(what_follows_a_failure),
        cmocka_unit_test(pauses_double_and_end),
        cmocka_unit_test(headers_that_go_on),
        cmocka_unit_test(hosts_that_are_ours),
        cmocka_unit_test(times_of_a_header),
        cmocka_unit_test(slabs_give_objects_back_with_what_they_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
