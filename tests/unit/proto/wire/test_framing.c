#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire/framing.h"

#include <string.h>

/* Everything that came out, as text: "name|data;", "!name|data;" for a failure, "#;" for what is too long, "~" behind a message without its
 * end mark, and a last word on how the bytes ended. */
struct outcome {
    struct buf text, raw;
};

static void note(struct outcome *o, const struct frame *m)
{
    buf_add(&o->raw, m->raw);
    if (m->oversized) { /* how many pieces is not what is compared */
        if (!str_ends(buf_view(&o->text), STR("#;"))) buf_addz(&o->text, "#;");
        return;
    }
    if (m->is_failure) buf_addc(&o->text, '!');
    buf_add(&o->text, m->name);
    buf_addc(&o->text, '|');
    buf_add(&o->text, m->data);
    buf_addz(&o->text, m->is_complete ? ";" : "~;");
}

static struct buf read_all(enum framing framing, struct str bytes, size_t cut, size_t limit)
{
    struct outcome o = {0};
    struct frames f;
    struct frame m;
    enum frame_result result = FRAME_MORE;
    const size_t cuts[] = {0, cut, bytes.n};
    frames_init(&f, framing, limit);
    for (size_t i = 0; i < 2; i++) {
        frames_feed(&f, str_slice(bytes, cuts[i], cuts[i + 1]));
        while ((result = frames_next(&f, &m)) == FRAME_MESSAGE) note(&o, &m);
    }
    while (result != FRAME_BAD && (result = frames_finish(&f, &m)) == FRAME_MESSAGE) note(&o, &m);
    if (result == FRAME_BAD)
        buf_addf(&o.text, "BAD: %s", frames_error(&f));
    else
        assert_true(str_eq(buf_view(&o.raw), bytes)); /* no byte is lost or moved */
    buf_fini(&o.raw);
    frames_fini(&f);
    return o.text;
}

static void check(enum framing framing, struct str bytes, size_t limit, const char *want)
{
    for (size_t cut = 0; cut <= bytes.n; cut++) {
        struct buf text = read_all(framing, bytes, cut, limit);
        if (!str_is(buf_view(&text), want)) print_message("# cut %zu: %.*s\n", cut, STR_FMT(buf_view(&text)));
        assert_true(str_is(buf_view(&text), want));
        buf_fini(&text);
    }
}

static void sse_is_read(void **state)
{
    (void)state;
    check(FRAMING_SSE, STR("event: a\ndata: {}\n\n: hello\n\ndata: 2\n\n"), 1000, "a|{};|;|2;");
    check(FRAMING_SSE, STR("data: 1\n\ndata: 2"), 1000, "|1;|2~;");
}

static void lines_are_read(void **state)
{
    (void)state;
    check(FRAMING_NDJSON, STR("{\"a\":1}\n\r\n {\"b\":2} \r\n"), 1000, "|{\"a\":1};|;|{\"b\":2};");
    check(FRAMING_NDJSON, STR("{\"a\":1}\n{\"b\""), 1000, "|{\"a\":1};|{\"b\"~;");
    check(FRAMING_NDJSON, STR("1\n123456789\n2\n"), 5, "|1;#;|2;");
    check(FRAMING_NDJSON, STR("1\n1234\n12345\n123456789"), 5, "|1;|1234;#;");
    check(FRAMING_NDJSON, STR(""), 5, "");
}

static void frames_are_read(void **state)
{
    struct buf b = {0};
    const struct eventstream_header error[] = {
        {.name = STR(":message-type"), .type = EVENTSTREAM_STRING, .bytes = STR("error")},
        {.name = STR(":error-code"), .type = EVENTSTREAM_STRING, .bytes = STR("503")},
        {.name = STR(":error-message"), .type = EVENTSTREAM_STRING, .bytes = STR("come again")},
    };
    (void)state;
    assert_true(eventstream_write_json(&b, STR("event"), STR("messageStop"), STR("{\"a\":1}")));
    assert_true(eventstream_write_json(&b, STR("exception"), STR("throttlingException"), STR("{}")));
    assert_true(eventstream_write(&b, error, 3, STR_NULL));
    check(FRAMING_EVENTSTREAM, buf_view(&b), 1000, "messageStop|{\"a\":1};!throttlingException|{};!503|come again;");

    struct buf cut = {0};
    buf_add(&cut, str_slice(buf_view(&b), 0, buf_len(&b) - 1));
    check(FRAMING_EVENTSTREAM, buf_view(&cut), 1000,
          "messageStop|{\"a\":1};!throttlingException|{};BAD: a message of the stream is cut off or cannot be read");

    buf_clear(&cut);
    buf_add(&cut, buf_view(&b));
    cut.p[(unsigned char)b.p[3] - 1] ^= 1; /* the last byte of the first frame's checksum */
    check(FRAMING_EVENTSTREAM, buf_view(&cut), 1000, "BAD: checksum of a message is wrong");
    buf_fini(&cut);
    buf_fini(&b);
}

static void wrapped_events_are_read(void **state)
{
    struct buf b = {0};
    (void)state;
    /* {"type":"ping"}, then one with line ends between its values */
    eventstream_write_json(&b, STR("event"), STR("chunk"), STR("{\"bytes\":\"eyJ0eXBlIjoicGluZyJ9\",\"p\":\"ab\"}"));
    eventstream_write_json(&b, STR("event"), STR("chunk"), STR("{\"bytes\":\"ewoidHlwZSI6DSJ4In0=\"}"));
    eventstream_write_json(&b, STR("event"), STR("other"), STR("{}"));
    eventstream_write_json(&b, STR("exception"), STR("throttlingException"), STR("{\"message\":\"slow\"}"));
    check(FRAMING_CHUNKS, buf_view(&b), 1000,
          "ping|{\"type\":\"ping\"};x|{ \"type\": \"x\"};|;!throttlingException|{\"message\":\"slow\"};");
    static const char *const BROKEN[] = {"{\"bytes\":\"e?==\"}", "{\"bytes\":1}", "{\"bytes\":\"eyJ0\"}",
                                         "{\"bytes\":"};
    for (size_t i = 0; i < sizeof BROKEN / sizeof *BROKEN; i++) {
        buf_clear(&b);
        eventstream_write_json(&b, STR("event"), STR("chunk"), str_of(BROKEN[i]));
        check(FRAMING_CHUNKS, buf_view(&b), 1000, "BAD: a message of the stream is cut off or cannot be read");
    }
    buf_fini(&b);
}

static void elements_are_read(void **state)
{
    (void)state;
    check(FRAMING_JSON_ARRAY, STR("[{\"a\":[1,\"]}\"]}\n,\r\n{\"b\":\"\\\"}\\\\\"}\n]\n"), 1000,
          "|{\"a\":[1,\"]}\"]};|{\"b\":\"\\\"}\\\\\"};|;|;");
    check(FRAMING_JSON_ARRAY, STR(" [ ]"), 1000, "|;");
    check(FRAMING_JSON_ARRAY, STR("[[1],{}]"), 1000, "|[1];|{};|;");
    check(FRAMING_JSON_ARRAY, STR("[{\"long\":\"0123456789\"},{}]"), 10, "#;|{};|;");
    static const char *const BROKEN[] = {"",         "{}",  "[",       "[{}",   "[{}{}]", "[{},]",       "[,{}]",
                                         "[{},,{}]", "[1]", "[\"a\"]", "[{}]]", "[{}] x", "[{\"a\":\"]}"};
    for (size_t i = 0; i < sizeof BROKEN / sizeof *BROKEN; i++) {
        struct frames f;
        struct frame frame;
        enum frame_result r;
        frames_init(&f, FRAMING_JSON_ARRAY, 1000);
        frames_feed(&f, str_of(BROKEN[i]));
        while ((r = frames_next(&f, &frame)) == FRAME_MESSAGE) {
        }
        if (r == FRAME_MORE) r = frames_finish(&f, &frame);
        assert_int_equal(r, FRAME_BAD);
        frames_fini(&f);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (enum framing f = 0; f < FRAMING_COUNT; f++) {
        if (f == FRAMING_JSON_ARRAY || f == FRAMING_CHUNKS) continue; /* brackets are their writer's; only read */
        struct buf b = {0};
        framing_write(f, STR("a"), STR("{\"x\":1}"), &b);
        framing_write(f, STR("b"), STR("[2]"), &b);
        check(f, buf_view(&b), 1000, f == FRAMING_NDJSON ? "|{\"x\":1};|[2];" : "a|{\"x\":1};b|[2];");
        buf_fini(&b);
    }
    assert_string_equal(framing_content_type(FRAMING_SSE), "text/event-stream");
    assert_string_equal(framing_content_type(FRAMING_EVENTSTREAM), "application/vnd.amazon.eventstream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sse_is_read),       cmocka_unit_test(lines_are_read),
        cmocka_unit_test(frames_are_read),   cmocka_unit_test(wrapped_events_are_read),
        cmocka_unit_test(elements_are_read), cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
