#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire/eventstream.h"
#include "tests/unit/proto/wire/corpora.h"

#include <string.h>
#include <yyjson.h>

#define LIMIT ((size_t)1 << 20)

static void unhex(const char *hex, struct buf *out)
{
    unsigned byte;
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ') continue;
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        buf_addc(out, (char)byte);
        hex++;
    }
}

/* ---- Everything that came out, as text ---- */

static void note_header(struct buf *out, const struct eventstream_header *h)
{
    buf_add(out, h->name);
    buf_addf(out, "=%d:%lld:", (int)h->type, (long long)h->number);
    for (size_t i = 0; i < h->bytes.n; i++) buf_addf(out, "%02x", (unsigned char)h->bytes.p[i]);
    buf_addc(out, ',');
}

static void note(struct buf *out, const struct eventstream_message *m)
{
    struct eventstream_header h;
    size_t at = 0;
    if (m->oversized) {
        if (!str_ends(buf_view(out), STR("!;"))) buf_addz(out, "!;"); /* how many pieces is not what is compared */
        return;
    }
    while (eventstream_next_header(m->headers, &at, &h)) note_header(out, &h);
    assert_int_equal(at, m->headers.n);
    buf_add(out, m->payload);
    buf_addc(out, ';');
}

/* Fed in three pieces; ends with "BAD", "CUT" or ".". */
static void run(struct str bytes, size_t a, size_t b, size_t limit, struct buf *out, struct buf *raw)
{
    struct eventstream s;
    struct eventstream_message m;
    size_t cuts[] = {0, a, b, bytes.n};
    enum eventstream_result r = EVENTSTREAM_MORE;
    eventstream_init(&s, limit);
    for (size_t i = 0; i < 3; i++) {
        eventstream_feed(&s, str_slice(bytes, cuts[i], cuts[i + 1]));
        while ((r = eventstream_next(&s, &m)) == EVENTSTREAM_MESSAGE) {
            note(out, &m);
            buf_add(raw, m.raw);
        }
    }
    buf_addz(out, r == EVENTSTREAM_BAD ? "BAD" : eventstream_is_between(&s) ? "." : "CUT");
    assert_true((r == EVENTSTREAM_BAD) == (eventstream_error(&s)[0] != '\0'));
    eventstream_fini(&s);
}

/* The same at every split, also in single bytes; without a fault no byte is lost or moved. */
static void check_splits(struct str bytes, size_t limit, const char *want)
{
    for (size_t a = 0; a <= bytes.n; a++) {
        size_t last = bytes.n < 100 ? bytes.n : a + 1 < bytes.n ? a + 1 : bytes.n;
        for (size_t b = a; b <= last; b++) {
            struct buf out = {0}, raw = {0};
            run(bytes, a, b, limit, &out, &raw);
            if (!str_is(buf_view(&out), want)) print_message("# cut %zu %zu: %.*s\n", a, b, STR_FMT(buf_view(&out)));
            assert_true(str_is(buf_view(&out), want));
            if (str_ends(buf_view(&out), STR("."))) assert_true(str_eq(buf_view(&raw), bytes));
            buf_fini(&out);
            buf_fini(&raw);
        }
    }
}

static void decode(struct str bytes, struct buf *out)
{
    struct buf raw = {0};
    run(bytes, bytes.n, bytes.n, LIMIT, out, &raw);
    buf_fini(&raw);
}

/* What is read and written again is the same bytes. */
static void check_round_trip(struct str frame)
{
    struct eventstream s;
    struct eventstream_message m;
    struct eventstream_header header[16];
    struct buf again = {0};
    unsigned n = 0;
    size_t at = 0;
    eventstream_init(&s, LIMIT);
    eventstream_feed(&s, frame);
    assert_int_equal(eventstream_next(&s, &m), EVENTSTREAM_MESSAGE);
    while (n < 16 && eventstream_next_header(m.headers, &at, &header[n])) n++;
    assert_true(eventstream_write(&again, header, n, m.payload));
    assert_true(str_eq(buf_view(&again), frame));
    eventstream_fini(&s);
    buf_fini(&again);
}

/* ---- Own goldens: computed by hand from the specification and checked with the vendor's code ---- */

static const char event_hex[] =
    "0000009e00000057fe1b824f"
    "0b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c7461"
    "0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e"
    "0d3a6d6573736167652d747970650700056576656e74"
    "7b22636f6e74656e74426c6f636b496e646578223a302c2264656c7461223a7b2274657874223a224869227d2c2270223a"
    "22616263227d9343f010";
static const char exception_hex[] = "0000008800000061de0175f4"
                                    "0f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f6e"
                                    "0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e"
                                    "0d3a6d6573736167652d74797065070009657863657074696f6e"
                                    "7b226d657373616765223a22736c6f7720646f776e227d832ee072";

static void events_are_read_and_written(void **state)
{
    (void)state;
    struct buf frames = {0}, wrote = {0};
    struct eventstream s;
    struct eventstream_message m;
    struct eventstream_header h;
    unhex(event_hex, &frames);
    unhex(exception_hex, &frames);
    eventstream_init(&s, LIMIT);
    eventstream_feed(&s, buf_view(&frames));
    assert_int_equal(eventstream_next(&s, &m), EVENTSTREAM_MESSAGE);
    assert_true(str_is(m.kind, "event") && str_is(m.name, "contentBlockDelta"));
    assert_true(str_is(m.payload, "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"Hi\"},\"p\":\"abc\"}"));
    assert_true(eventstream_find_header(m.headers, ":content-type", &h) && str_is(h.bytes, "application/json"));
    assert_false(eventstream_find_header(m.headers, ":exception-type", &h));
    assert_true(eventstream_write_json(&wrote, m.kind, m.name, m.payload));
    assert_int_equal(eventstream_next(&s, &m), EVENTSTREAM_MESSAGE);
    assert_true(str_is(m.kind, "exception") && str_is(m.name, "throttlingException"));
    assert_true(eventstream_write_json(&wrote, m.kind, m.name, m.payload));
    assert_int_equal(eventstream_next(&s, &m), EVENTSTREAM_MORE);
    assert_true(str_eq(buf_view(&frames), buf_view(&wrote)));
    eventstream_fini(&s);
    buf_fini(&frames);
    buf_fini(&wrote);
}

static void an_error_message_is_named(void **state)
{
    (void)state;
    struct buf out = {0};
    const struct eventstream_header headers[] = {
        {.name = STR(":error-code"), .type = EVENTSTREAM_STRING, .bytes = STR("InternalError")},
        {.name = STR(":error-message"), .type = EVENTSTREAM_STRING, .bytes = STR("it broke")},
        {.name = STR(":message-type"), .type = EVENTSTREAM_STRING, .bytes = STR("error")},
    };
    struct eventstream s;
    struct eventstream_message m;
    assert_true(eventstream_write(&out, headers, 3, STR_NULL));
    eventstream_init(&s, LIMIT);
    eventstream_feed(&s, buf_view(&out));
    assert_int_equal(eventstream_next(&s, &m), EVENTSTREAM_MESSAGE);
    assert_true(str_is(m.kind, "error") && str_is(m.name, "InternalError") && str_is(m.detail, "it broke"));
    eventstream_fini(&s);
    buf_fini(&out);
}

static void frames_are_found_at_every_split(void **state)
{
    (void)state;
    struct buf b = {0};
    unhex("00000010 00000000 05c248eb 7d98c8ff", &b);
    check_splits(buf_view(&b), LIMIT, ";.");
    unhex("00000010 00000000 05c248eb 7d98c8ff", &b);
    check_splits(buf_view(&b), LIMIT, ";;.");
    check_splits(str_slice(buf_view(&b), 0, 31), LIMIT, ";CUT");
    check_splits(str_slice(buf_view(&b), 0, 17), LIMIT, ";CUT");
    check_splits(STR_NULL, LIMIT, ".");
    buf_fini(&b);
}

/* A stream in which one bit is wrong never gives out the frame it is in. */
static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    struct buf b = {0};
    unhex(event_hex, &b);
    char *p = b.p + b.head;
    for (size_t bit = 0; bit < 8 * buf_len(&b); bit++) {
        struct buf out = {0};
        p[bit / 8] = (char)(p[bit / 8] ^ 1 << bit % 8);
        decode(buf_view(&b), &out);
        assert_true(str_is(buf_view(&out), "BAD"));
        p[bit / 8] = (char)(p[bit / 8] ^ 1 << bit % 8);
        buf_fini(&out);
    }
    buf_fini(&b);
}

static void large_frames_are_passed_over(void **state)
{
    (void)state;
    struct buf b = {0};
    size_t at;
    assert_true(eventstream_write(&b, NULL, 0, STR("small")));
    at = buf_len(&b);
    assert_true(eventstream_write(&b, NULL, 0, STR("much larger than the limit is")));
    assert_true(eventstream_write(&b, NULL, 0, STR("again")));
    check_splits(buf_view(&b), 24, "small;!;again;.");
    check_splits(str_slice(buf_view(&b), 0, at + 44), 24, "small;!;CUT");
    check_splits(buf_view(&b), 4, "!;.");
    b.p[b.head + at + 20] ^= 1; /* inside the large one */
    struct buf out = {0};
    struct buf raw = {0};
    run(buf_view(&b), at + 30, at + 31, 24, &out, &raw);
    assert_true(str_is(buf_view(&out), "small;!;BAD"));
    buf_fini(&out);
    buf_fini(&raw);
    buf_fini(&b);
}

static void impossible_lengths_are_refused(void **state)
{
    (void)state;
    /* prelude checksums are right: total 15; headers beyond total; 4 GiB; headers above 128 KiB */
    static const uint32_t length[][2] = {
        {15, 0}, {16, 1}, {0xffffffffu, 0}, {1 << 20, 131073}, {24 * 1024 * 1024 + 1, 0}};
    for (size_t i = 0; i < sizeof length / sizeof *length; i++) {
        struct buf b = {0}, out = {0};
        char prelude[64];
        snprintf(prelude, sizeof prelude, "%08x%08x", length[i][0], length[i][1]);
        unhex(prelude, &b);
        uint32_t crc = 0xffffffffu;
        for (size_t j = 0; j < 8; j++) {
            crc ^= (uint8_t)b.p[b.head + j];
            for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
        }
        snprintf(prelude, sizeof prelude, "%08x", ~crc);
        unhex(prelude, &b);
        decode(buf_view(&b), &out);
        assert_true(str_is(buf_view(&out), "BAD"));
        buf_fini(&b);
        buf_fini(&out);
    }
}

static void what_cannot_be_written_is_refused(void **state)
{
    (void)state;
    static char long_text[70000];
    memset(long_text, 'x', sizeof long_text);
    struct str x = {long_text, sizeof long_text};
    const struct eventstream_header wrong[] = {
        {.type = EVENTSTREAM_TRUE},
        {.name = str_slice(x, 0, 256), .type = EVENTSTREAM_TRUE},
        {.name = STR("a"), .type = EVENTSTREAM_STRING, .bytes = str_slice(x, 0, 65536)},
        {.name = STR("a"), .type = EVENTSTREAM_UUID, .bytes = STR("short")},
        {.name = STR("a"), .type = EVENTSTREAM_I8, .number = 128},
        {.name = STR("a"), .type = EVENTSTREAM_I16, .number = -32769},
        {.name = STR("a"), .type = EVENTSTREAM_I32, .number = (int64_t)1 << 31},
        {.name = STR("a"), .type = (enum eventstream_type)10},
    };
    struct buf out = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(eventstream_write(&out, &wrong[i], 1, STR_NULL));
    assert_false(eventstream_write(&out, NULL, 0, (struct str){long_text, EVENTSTREAM_MAX_BYTES}));
    const struct eventstream_header edge[] = {
        {.name = str_slice(x, 0, 255), .type = EVENTSTREAM_STRING, .bytes = str_slice(x, 0, 65535)},
        {.name = STR("a"), .type = EVENTSTREAM_I8, .number = -128},
        {.name = STR("b"), .type = EVENTSTREAM_I64, .number = INT64_MIN},
        {.name = STR("c"), .type = EVENTSTREAM_TIMESTAMP, .number = INT64_MAX},
    };
    assert_int_equal(buf_len(&out), 0);
    assert_true(eventstream_write(&out, edge, 4, STR("x")));
    check_round_trip(buf_view(&out));
    buf_fini(&out);
}

/* ---- The vendors' vectors ---- */

static unsigned checked;

static bool read_vector(const char *folder, const char *name, struct buf *out)
{
    char path[256];
    snprintf(path, sizeof path, "eventstream/%s/%s", folder, name);
    return corpora_read(path, out);
}

static void check_vector(const char *folder, const char *name, bool valid)
{
    struct buf frame = {0}, out = {0};
    assert_true(read_vector(folder, name, &frame));
    decode(buf_view(&frame), &out);
    buf_addc(&out, '\0');
    const char *verdict = buf_view(&out).p;
    if (!valid) {
        assert_true(strcmp(verdict, "BAD") == 0 || strcmp(verdict, "CUT") == 0);
    } else {
        assert_int_equal(verdict[strlen(verdict) - 1], '.');
        check_round_trip(buf_view(&frame));
    }
    check_splits(buf_view(&frame), LIMIT, verdict);
    checked++;
    buf_fini(&frame);
    buf_fini(&out);
}

static void base64(const char *text, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, have = 0;
    for (; *text != '\0' && *text != '='; text++) {
        bits = bits << 6 | (unsigned)(strchr(digits, *text) - digits);
        if ((have += 6) < 8) continue;
        buf_addc(out, (char)(bits >> (have -= 8) & 0xff));
    }
}

/* The description beside a frame, in the words of note(). */
static void describe(const char *name, struct buf *out)
{
    struct buf file = {0};
    size_t i, n;
    yyjson_val *h;
    assert_true(read_vector("smithy-ts/test_vectors/decoded/positive", name, &file));
    yyjson_doc *doc = yyjson_read(buf_view(&file).p, buf_len(&file), 0);
    assert_non_null(doc);
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_arr_foreach(yyjson_obj_get(root, "headers"), i, n, h)
    {
        struct buf bytes = {0};
        yyjson_val *value = yyjson_obj_get(h, "value");
        struct eventstream_header header = {
            .name = str_of(yyjson_get_str(yyjson_obj_get(h, "name"))),
            .type = (enum eventstream_type)yyjson_get_int(yyjson_obj_get(h, "type")),
            .number = yyjson_is_bool(value) ? yyjson_get_bool(value) : yyjson_get_sint(value),
        };
        if (yyjson_is_str(value)) base64(yyjson_get_str(value), &bytes);
        header.bytes = buf_view(&bytes);
        note_header(out, &header);
        buf_fini(&bytes);
    }
    base64(yyjson_get_str(yyjson_obj_get(root, "payload")), out);
    buf_addz(out, ";.");
    yyjson_doc_free(doc);
    buf_fini(&file);
}

static void check_described(const char *name)
{
    struct buf want = {0}, frame = {0}, got = {0};
    describe(name, &want);
    assert_true(read_vector("smithy-ts/test_vectors/encoded/positive", name, &frame));
    decode(buf_view(&frame), &got);
    assert_true(str_eq(buf_view(&got), buf_view(&want)));
    buf_fini(&want);
    buf_fini(&frame);
    buf_fini(&got);
    check_vector("smithy-ts/test_vectors/encoded/positive", name, true);
}

static void vendor_vectors_agree(void **state)
{
    (void)state;
    static const char *const invalid[] = {"invalid_header_name_length",
                                          "invalid_header_name_length_too_long",
                                          "invalid_header_string_length_cut_off",
                                          "invalid_header_string_value_length",
                                          "invalid_header_value_type",
                                          "invalid_headers_length",
                                          "invalid_message_checksum",
                                          "invalid_prelude_checksum"};
    static const char *const valid[] = {"valid_empty_payload", "valid_no_headers",
                                        "valid_with_all_headers_and_payload"};
    static const char *const corrupted[] = {"corrupted_header_len", "corrupted_headers", "corrupted_length",
                                            "corrupted_payload"};
    static const char *const described[] = {"all_headers", "empty_message", "int32_header", "payload_no_headers",
                                            "payload_one_str_header"};
    struct buf probe = {0};
    bool there = read_vector("smithy-rs", valid[0], &probe);
    buf_fini(&probe);
    if (!there) {
        corpora_absent("eventstream");
        skip();
    }
    for (size_t i = 0; i < 8; i++) check_vector("smithy-rs", invalid[i], false);
    for (size_t i = 0; i < 3; i++) check_vector("smithy-rs", valid[i], true);
    for (size_t i = 0; i < 4; i++) check_vector("smithy-ts/test_vectors/encoded/negative", corrupted[i], false);
    for (size_t i = 0; i < 5; i++) check_described(described[i]);
    print_message("# %u of 20 vectors at every split\n", checked);
    assert_int_equal(checked, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_read_and_written),       cmocka_unit_test(an_error_message_is_named),
        cmocka_unit_test(frames_are_found_at_every_split),   cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(large_frames_are_passed_over),      cmocka_unit_test(impossible_lengths_are_refused),
        cmocka_unit_test(what_cannot_be_written_is_refused), cmocka_unit_test(vendor_vectors_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
