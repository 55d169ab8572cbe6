#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/reqlog.h"
#include "proto/base/clock.h"
#include "proto/base/err.h"
#include "tests/unit/controlplane/records.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <yyjson.h>

static struct usage_record answered(void)
{
    struct usage_record r;
    memset(&r, 0, sizeof r);
    set_id(&r, T0 + 51204000000u, 1); /* 10:00:51.204 */
    snprintf(r.request_id, sizeof r.request_id, "01JDA8K7");
    r.kind = RECORD_ATTEMPT;
    r.outcome = OUTCOME_OK;
    r.flags = RECORD_FINAL | RECORD_STREAM;
    r.status = r.client_status = 200;
    r.request_us = 612345;
    r.duration_us = 610000;
    r.ttft_us = 431000;
    r.overhead_us = 183;
    r.usage =
        (struct usage){.in_uncached = 204, .cache_read = 1900, .out_total = 611, .known = USAGE_INPUT | USAGE_OUTPUT};
    r.cost_nanousd = 10347000;
    r.basis = PRICE_BASIS_COMPUTED;
    r.price_date = 20261110;
    r.client_dialect = SNAP_ANTHROPIC;
    snprintf(r.route, sizeof r.route, "chat");
    snprintf(r.provider, sizeof r.provider, "fake-a");
    snprintf(r.model, sizeof r.model, "large");
    snprintf(r.asked_model, sizeof r.asked_model, "claude-sonnet-x");
    snprintf(r.path, sizeof r.path, "/v1/messages");
    snprintf(r.key, sizeof r.key, "search-api");
    snprintf(r.finish, sizeof r.finish, "end_turn");
    return r;
}

static struct usage_record failed(void)
{
    struct usage_record r = answered();
    r.outcome = OUTCOME_FAILED;
    r.flags = 0;
    r.status = 529;
    r.client_status = 0;
    r.err = WEIR_UP_OVERLOADED;
    r.usage = (struct usage){0};
    r.cost_nanousd = 0;
    r.basis = PRICE_BASIS_NONE;
    r.duration_us = 214000;
    return r;
}

static struct usage_record refused(void)
{
    struct usage_record r = answered();
    r.kind = RECORD_REFUSED;
    r.outcome = OUTCOME_REFUSED;
    r.err = WEIR_KEY_INVALID;
    r.status = 0;
    r.client_status = 401;
    r.request_us = 230;
    r.usage = (struct usage){0};
    r.cost_nanousd = 0;
    memset(r.provider, 0, sizeof r.provider);
    memset(r.model, 0, sizeof r.model);
    return r;
}

static yyjson_doc *json(const struct usage_record *records, unsigned n)
{
    struct buf out = {0};
    reqlog_json(records, n, &out);
    struct str s = buf_view(&out);
    assert_true(str_chr(s, '\n') < 0);
    yyjson_doc *doc = yyjson_read(s.p, s.n, 0);
    if (doc == NULL) fail_msg("not JSON: %.*s", STR_FMT(s));
    buf_fini(&out);
    return doc;
}

static yyjson_val *get(yyjson_doc *doc, const char *name)
{
    yyjson_val *v = yyjson_obj_get(yyjson_doc_get_root(doc), name);
    if (v == NULL) fail_msg("%s is missing", name);
    return v;
}

static void one_json_line(void **state)
{
    (void)state;
    struct usage_record r[2] = {failed(), answered()};
    snprintf(r[1].provider, sizeof r[1].provider, "fake-b");
    r[1].flags |= RECORD_RESCUED;
    yyjson_doc *d = json(r, 2);
    assert_string_equal(yyjson_get_str(get(d, "ts")), "2025-11-22T10:00:51.204Z");
    assert_string_equal(yyjson_get_str(get(d, "level")), "info");
    assert_string_equal(yyjson_get_str(get(d, "outcome")), "rescued");
    assert_string_equal(yyjson_get_str(get(d, "dialect")), "anthropic");
    assert_int_equal(yyjson_get_int(get(d, "status")), 200);
    assert_true(yyjson_get_bool(get(d, "stream")));
    assert_int_equal(yyjson_get_int(get(d, "gen_ai.usage.input_tokens")), 2104);
    assert_int_equal(yyjson_get_int(get(d, "gen_ai.usage.cache_read.input_tokens")), 1900);
    assert_int_equal(yyjson_get_int(get(d, "gen_ai.usage.output_tokens")), 611);
    assert_int_equal(yyjson_get_int(get(d, "duration_ms")), 612);
    assert_int_equal(yyjson_get_int(get(d, "ttft_ms")), 431);
    assert_true(yyjson_get_real(get(d, "cost_usd")) == 0.010347);
    assert_string_equal(yyjson_get_str(get(d, "cost_basis")), "computed");
    assert_string_equal(yyjson_get_str(get(d, "price_date")), "2026-11-10");
    assert_true(yyjson_is_null(get(d, "error")));
    assert_true(yyjson_is_null(get(d, "session")));
    yyjson_val *attempts = get(d, "attempts");
    assert_int_equal(yyjson_arr_size(attempts), 2);
    yyjson_val *first = yyjson_arr_get(attempts, 0);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(first, "target")), "fake-a/large");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(first, "why")), "up_overloaded");
    assert_int_equal(yyjson_get_int(yyjson_obj_get(first, "status")), 529);
    yyjson_doc_free(d);
}

static void unknown_is_null_not_zero(void **state)
{
    (void)state;
    struct usage_record r = answered();
    r.cost_nanousd = -1;
    r.usage = (struct usage){0};
    r.ttft_us = 0;
    yyjson_doc *d = json(&r, 1);
    assert_true(yyjson_is_null(get(d, "cost_usd")));
    assert_true(yyjson_is_null(get(d, "cost_basis")));
    assert_true(yyjson_is_null(get(d, "gen_ai.usage.input_tokens")));
    assert_true(yyjson_is_null(get(d, "gen_ai.usage.output_tokens")));
    assert_true(yyjson_is_null(get(d, "ttft_ms")));
    yyjson_doc_free(d);
    r = refused();
    d = json(&r, 1);
    assert_string_equal(yyjson_get_str(get(d, "level")), "warn");
    assert_string_equal(yyjson_get_str(get(d, "outcome")), "refused");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(get(d, "error"), "type")), "key_invalid");
    assert_int_equal(yyjson_arr_size(get(d, "attempts")), 0);
    yyjson_doc_free(d);
}

static void hostile_text_stays_json(void **state)
{
    (void)state;
    struct usage_record r = answered();
    memset(r.asked_model, '"', sizeof r.asked_model);
    memset(r.client, '\n', sizeof r.client);
    memset(r.detail, 0xFF, sizeof r.detail);
    memset(r.key, '\x1b', sizeof r.key);
    r.outcome = 250;
    r.err = 60000;
    r.basis = 99;
    r.client_dialect = 200;
    r.request_wall_ns = UINT64_MAX;
    r.request_us = r.bytes_in = r.overhead_us = UINT64_MAX;
    yyjson_doc_free(json(&r, 1));
    struct buf out = {0};
    reqlog_text(&r, 1, REQLOG_TIME, &out);
    assert_true(str_chr(buf_view(&out), '\x1b') < 0);
    assert_true(str_chr(buf_view(&out), '\n') < 0);
    buf_fini(&out);
}

static void says(const struct usage_record *records, unsigned n, unsigned flags, const char *line)
{
    struct buf out = {0};
    reqlog_text(records, n, flags, &out);
    buf_addc(&out, '\0');
    assert_string_equal(buf_view(&out).p, line);
    buf_fini(&out);
}

static void short_lines(void **state)
{
    (void)state;
    struct usage_record r[2] = {answered(), answered()};
    says(r, 1, 0, "anthropic  chat → fake-a/large                   200   0.61 s  2104+611 tok  $0.01035");
    r[0].client_dialect = SNAP_OPENAI_CHAT;
    r[0].cost_nanousd = -1;
    says(r, 1, REQLOG_TIME, "10:00:51 openai     chat → fake-a/large                   200   0.61 s  2104+611 tok  $?");
    r[0] = failed();
    snprintf(r[1].provider, sizeof r[1].provider, "fake-b");
    r[1].flags |= RECORD_RESCUED;
    says(r, 2, 0, "anthropic  chat → fake-a ✗ 529 → fake-b/large    200   0.61 s  2104+611 tok  $0.01035  rescued");
    r[1].usage.known = 0;
    r[1].flags &= (uint8_t)~RECORD_RESCUED;
    says(r + 1, 1, 0, "anthropic  chat → fake-b/large                   200   0.61 s               $0.01035");
    r[0] = refused();
    says(r, 1, 0,
         "anthropic  chat → refused                        401   0.2 ms               $0        refused key_invalid");
    r[0] = failed();
    r[0].flags = RECORD_FINAL;
    r[0].client_status = 503;
    says(r, 1, REQLOG_COLOUR,
         "anthropic  chat → fake-a\x1b[31m ✗ 529\x1b[0m                 \x1b[31m  503\x1b[0m   0.61 s               "
         "$0.0000   \x1b[31mfailed\x1b[0m up_overloaded");
}

/* ---- grouping ---- */

struct seen {
    unsigned emitted, last_n;
    char last_id[32];
    uint8_t first_attempt;
};

static void on_emit(void *ctx, const struct usage_record *records, unsigned n)
{
    struct seen *s = ctx;
    s->emitted++;
    s->last_n = n;
    s->first_attempt = records[0].attempt;
    memcpy(s->last_id, records[0].request_id, 32);
}

static void attempts_meet_their_request(void **state)
{
    (void)state;
    struct seen s = {0};
    struct reqlog_groups *g = reqlog_groups_new(on_emit, &s);
    struct usage_record r = answered();
    reqlog_groups_add(g, &r);
    assert_int_equal(s.emitted, 1);
    assert_int_equal(s.last_n, 1);
    /* 500 requests with three attempts each, interleaved */
    for (unsigned attempt = 1; attempt <= 3; attempt++) {
        for (unsigned i = 0; i < 500; i++) {
            r = attempt == 3 ? answered() : failed();
            r.attempt = (uint8_t)attempt;
            snprintf(r.request_id, sizeof r.request_id, "r%u", i);
            reqlog_groups_add(g, &r);
            assert_int_equal(s.emitted, attempt == 3 ? i + 2 : 1);
        }
    }
    assert_int_equal(s.last_n, 3);
    assert_int_equal(s.first_attempt, 1);
    /* requests that never end do not pile up */
    for (unsigned i = 0; i < REQLOG_OPEN * 3; i++) {
        r = failed();
        snprintf(r.request_id, sizeof r.request_id, "open%u", i);
        reqlog_groups_add(g, &r);
    }
    assert_int_equal(s.emitted, 501 + REQLOG_OPEN * 2);
    assert_string_equal(s.last_id, "open2047");
    r = failed();
    for (unsigned i = 0; i < 100; i++) { /* more tries than there can be */
        r.attempt = (uint8_t)i;
        reqlog_groups_add(g, &r);
    }
    r = answered();
    reqlog_groups_add(g, &r);
    assert_int_equal(s.last_n, REQLOG_ATTEMPTS);
    reqlog_groups_free(&g);
}

/* ---- the sink ---- */

static void lines_arrive_in_order(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-test-sink-XXXXXX", line[64];
    int fd = mkstemp(path);
    struct reqlog_sink *s = reqlog_sink_new(fd);
    assert_non_null(s);
    for (unsigned i = 0; i < 5000; i++) {
        int n = snprintf(line, sizeof line, "{\"n\":%u}", i);
        reqlog_sink_line(s, (struct str){line, (size_t)n});
    }
    assert_int_equal(reqlog_sink_dropped(s), 0);
    reqlog_sink_free(&s, 2000);
    assert_null(s);
    FILE *f = fopen(path, "r");
    for (unsigned i = 0; i < 5000; i++) {
        unsigned got = 0;
        assert_int_equal(fscanf(f, "{\"n\":%u}\n", &got), 1);
        assert_int_equal(got, i);
    }
    fclose(f);
    close(fd);
    unlink(path);
}

static void a_blocked_sink_drops_and_never_waits(void **state)
{
    (void)state;
    int fds[2];
    char line[1000];
    memset(line, 'x', sizeof line);
    assert_int_equal(pipe(fds), 0);
    struct reqlog_sink *s = reqlog_sink_new(fds[1]);
    uint64_t slowest = 0;
    for (unsigned i = 0; i < 4000; i++) {
        uint64_t before = clock_mono_ms();
        reqlog_sink_line(s, (struct str){line, sizeof line});
        uint64_t took = clock_mono_ms() - before;
        slowest = took > slowest ? took : slowest;
    }
    assert_true(slowest < 200);
    uint64_t dropped = reqlog_sink_dropped(s);
    assert_in_range(dropped, 1800, 3990);
    /* the reader comes back: what was queued arrives, whole lines only */
    size_t got = 0;
    char part[4096];
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    for (uint64_t until = clock_mono_ms() + 5000;
         got < (4000 - dropped) * (sizeof line + 1) && clock_mono_ms() < until;) {
        ssize_t n = read(fds[0], part, sizeof part);
        if (n > 0)
            got += (size_t)n;
        else
            usleep(1000);
    }
    assert_int_equal(got, (4000 - dropped) * (sizeof line + 1));
    /* the reader is gone for good: no signal, and the rest counts as dropped */
    close(fds[0]);
    reqlog_sink_line(s, (struct str){line, sizeof line});
    for (unsigned i = 0; i < 1000 && reqlog_sink_dropped(s) == dropped; i++) usleep(1000);
    assert_int_equal(reqlog_sink_dropped(s), dropped + 1);
    reqlog_sink_free(&s, 1000);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_json_line),
        cmocka_unit_test(unknown_is_null_not_zero),
        cmocka_unit_test(hostile_text_stays_json),
        cmocka_unit_test(short_lines),
        cmocka_unit_test(attempts_meet_their_request),
        cmocka_unit_test(lines_arrive_in_order),
        cmocka_unit_test(a_blocked_sink_drops_and_never_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
