#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire/sse.h"
#include "tests/unit/proto/wire/corpora.h"

#include <string.h>
#include <yyjson.h>

/* Everything that came out, as text: "name|data;" for an event with data, "-;" for one without, "!;" for a piece of a large one. */
struct outcome {
    struct buf text, raw;
};

static void note(struct outcome *o, const struct sse_event *ev)
{
    buf_add(&o->raw, ev->raw);
    if (ev->oversized) {
        assert_true(ev->data.n == 0 && ev->name.n == 0);
        if (!str_ends(buf_view(&o->text), STR("!;"))) /* how many pieces is not what is compared */
            buf_addz(&o->text, "!;");
    } else if (ev->has_data) {
        buf_add(&o->text, ev->name);
        buf_addc(&o->text, '|');
        buf_add(&o->text, ev->data);
        buf_addc(&o->text, ';');
    } else {
        buf_addz(&o->text, ev->comment_only ? ":;" : "-;");
    }
}

static void run(struct str text, size_t a, size_t b, size_t limit, bool finish, struct outcome *o)
{
    struct sse s;
    struct sse_event ev;
    size_t cuts[] = {0, a, b, text.n};
    memset(o, 0, sizeof *o);
    sse_init(&s, limit);
    for (size_t i = 0; i < 3; i++) {
        sse_feed(&s, str_slice(text, cuts[i], cuts[i + 1]));
        while (sse_next(&s, &ev)) note(o, &ev);
    }
    if (finish)
        while (sse_finish(&s, &ev)) note(o, &ev);
    sse_fini(&s);
}

static void end(struct outcome *o)
{
    buf_fini(&o->text);
    buf_fini(&o->raw);
}

static void check_at(struct str text, size_t limit, const char *want)
{
    for (size_t a = 0; a <= text.n; a++)
        for (size_t b = a; b <= (text.n < 80 ? text.n : a); b++) {
            struct outcome o;
            run(text, a, b, limit, true, &o);
            if (!str_is(buf_view(&o.text), want))
                print_message("# cut %zu %zu: %.*s\n", a, b, STR_FMT(buf_view(&o.text)));
            assert_true(str_is(buf_view(&o.text), want));
            assert_true(str_eq(buf_view(&o.raw), text)); /* no byte is lost or moved */
            end(&o);
        }
}

static void check(const char *text, const char *want)
{
    check_at(str_of(text), 1 << 20, want);
}

static void events_are_read(void **state)
{
    (void)state;
    check("data: a\n\n", "|a;");
    check("event: message_start\ndata: {\"a\":1}\n\n", "message_start|{\"a\":1};");
    check("data:a\r\n\r\ndata:b\r\n\r\n", "|a;|b;");
    check("data:a\r\rdata:b\r\r", "|a;|b;");
    check("data:a\n\r\ndata:b\r\n\ndata:c\r\n\r", "|a;|b;|c;");
    check("data: a\ndata: b\ndata\n\n", "|a\nb\n;");
    check(": ping\n\n", ":;");
    check(": c\ndata: x\n\n", "|x;");
    check("event: ping\n\n", "-;");
    check("data: x\n\n\n\n", "|x;:;:;");
    check("\xEF\xBB\xBF"
          "data: x\n\n",
          "|x;");
    check("\xEF\xBB\xBF\ndata: x\n\n", ":;|x;"); /* a BOM alone is an empty line */
    check("\xEF\xBBx\n\n", "-;");
    check("id: 1\nretry: 5\ndata:  two\n\n", "| two;");
}

static void an_event_without_its_blank_line_is_given_out_at_the_end(void **state)
{
    (void)state;
    check("data: x", "|x;");
    check("data: x\n", "|x;");
    check("data: x\r", "|x;");
    check("data: x\n\ndata: [DONE]", "|x;|[DONE];");
    check("", "");
}

static void a_large_event_is_passed_over(void **state)
{
    (void)state;
    check_at(STR("data: a\n\ndata: 0123456789\n\ndata: b\n\n"), 10, "|a;!;|b;");
    check_at(STR("data: 0123456789\r\n\r\ndata: b\r\n\r\n"), 12, "!;|b;");
    check_at(STR("data: 0123456789"), 10, "!;");
    check_at(STR("data: 0123\n\rdata: b\n\n"), 11, "!;|b;"); /* ends with a CR that could have been half of a CRLF */
    struct sse s;
    struct sse_event ev;
    sse_init(&s, 4);
    sse_feed(&s, STR("data: 01234"));
    assert_true(sse_next(&s, &ev));
    sse_feed(&s, STR("5\n\ndata:1\n\n"));
    while (sse_next(&s, &ev)) continue;
    assert_int_equal(s.oversized, 2);
    sse_fini(&s);
}

static void nothing_waits_that_is_whole(void **state)
{
    (void)state;
    struct sse s;
    struct sse_event ev;
    sse_init(&s, 1000);
    sse_feed(&s, STR("data: a\n\n"));
    assert_true(sse_next(&s, &ev));
    assert_false(sse_next(&s, &ev));
    sse_feed(&s, STR("data: a\r\r"));
    assert_true(sse_next(&s, &ev));
    sse_reset(&s);
    sse_feed(&s, STR("data: b\r\n\r\n"));
    assert_true(sse_next(&s, &ev));
    assert_true(str_is(ev.data, "b"));
    sse_fini(&s);
}

/* The time for a stream of short lines grows with its length, not with its square: this would take minutes otherwise. */
static void many_short_lines_cost_little(void **state)
{
    (void)state;
    struct sse s;
    struct sse_event ev;
    struct buf b = {0};
    for (int i = 0; i < 1000000; i++) buf_add(&b, i % 2 == 0 ? STR("a\r") : STR("data\r"));
    buf_addc(&b, '\r');
    sse_init(&s, buf_len(&b));
    sse_feed(&s, buf_view(&b));
    assert_true(sse_next(&s, &ev));
    assert_int_equal(ev.data_lines, 500000);
    assert_int_equal(ev.raw.n, buf_len(&b));
    sse_fini(&s);
    buf_fini(&b);
}

static void events_are_written(void **state)
{
    (void)state;
    struct buf b = {0};
    sse_write(&b, STR("ping"), STR("{}"));
    sse_write(&b, STR_NULL, STR("[DONE]"));
    assert_true(str_is(buf_view(&b), "event: ping\ndata: {}\n\ndata: [DONE]\n\n"));
    buf_fini(&b);
}

static void latin1_bytes(const char *utf8, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)utf8[i];
        if (c >= 0xC2) c = (unsigned char)((c & 3) << 6 | (utf8[++i] & 0x3F));
        buf_addc(out, (char)c);
    }
}

static void check_vector(yyjson_val *v)
{
    struct buf raw = {0};
    yyjson_val *events = yyjson_obj_get(v, "events"), *event;
    yyjson_val *text = yyjson_obj_get(v, "raw_latin1");
    latin1_bytes(yyjson_get_str(text), yyjson_get_len(text), &raw);
    for (size_t cut = 0; cut <= buf_len(&raw); cut++) {
        struct sse s;
        struct sse_event ev;
        size_t n = 0;
        sse_init(&s, 1 << 20);
        for (int half = 0; half < 2; half++) {
            sse_feed(&s, half == 0 ? str_slice(buf_view(&raw), 0, cut) : str_slice(buf_view(&raw), cut, SIZE_MAX));
            while (sse_next(&s, &ev)) {
                if (!ev.has_data) continue;
                event = yyjson_arr_get(events, n++);
                assert_non_null(event);
                assert_true(str_eq(ev.data, (struct str){yyjson_get_str(event), yyjson_get_len(event)}));
            }
        }
        assert_int_equal(n, yyjson_arr_size(events));
        sse_fini(&s);
    }
    buf_fini(&raw);
}

static void web_platform_vectors_agree(void **state)
{
    (void)state;
    struct buf file = {0};
    if (!corpora_read("sse-wpt/vectors.json", &file)) {
        corpora_absent("sse-wpt");
        skip();
    }
    yyjson_doc *doc = yyjson_read(buf_view(&file).p, buf_len(&file), 0);
    assert_non_null(doc);
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, v) check_vector(v);
    assert_int_equal(n, 17);
    yyjson_doc_free(doc);
    buf_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_read),
        cmocka_unit_test(an_event_without_its_blank_line_is_given_out_at_the_end),
        cmocka_unit_test(a_large_event_is_passed_over),
        cmocka_unit_test(nothing_waits_that_is_whole),
        cmocka_unit_test(many_short_lines_cost_little),
        cmocka_unit_test(events_are_written),
        cmocka_unit_test(web_platform_vectors_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
