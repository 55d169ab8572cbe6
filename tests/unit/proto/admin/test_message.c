#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/admin/message.h"

#include <string.h>

static void pack_sample(struct buf *out)
{
    struct admin_out o;
    admin_begin(&o, out);
    msgpack_pack_map(&o.packer, 3);
    admin_pack_kv_str(&o.packer, "cmd", STR("usage"));
    admin_pack_kv_i64(&o.packer, "v", -5);
    admin_pack_kv_bool(&o.packer, "ok", true);
    assert_true(admin_end(&o));
}

static void a_frame_survives_every_split(void **state)
{
    (void)state;
    struct buf whole = {0};
    pack_sample(&whole);
    struct str all = buf_view(&whole);
    for (size_t cut = 0; cut <= all.n; cut++) {
        struct buf in = {0};
        struct str payload = STR_NULL;
        buf_add(&in, str_slice(all, 0, cut));
        enum admin_frame want = cut == all.n ? ADMIN_WHOLE : ADMIN_MORE;
        assert_int_equal(admin_next(&in, &payload), want);
        if (want == ADMIN_WHOLE) assert_true(admin_check(payload));
        buf_fini(&in);
    }
    buf_fini(&whole);
}

static void values_come_back(void **state)
{
    (void)state;
    struct buf out = {0}, json = {0};
    pack_sample(&out);
    struct str payload;
    assert_int_equal(admin_next(&out, &payload), ADMIN_WHOLE);
    msgpack_unpacked u;
    msgpack_unpacked_init(&u);
    size_t at = 0;
    assert_int_equal(msgpack_unpack_next(&u, payload.p, payload.n, &at), MSGPACK_UNPACK_SUCCESS);
    assert_true(str_is(admin_get_str(&u.data, "cmd"), "usage"));
    assert_int_equal(admin_get_i64(&u.data, "v", 0), -5);
    assert_true(admin_get_bool(&u.data, "ok", false));
    assert_int_equal(admin_get_i64(&u.data, "absent", 7), 7);
    admin_to_json(&u.data, &json);
    assert_true(str_is(buf_view(&json), "{\"cmd\":\"usage\",\"v\":-5,\"ok\":true}"));
    msgpack_unpacked_destroy(&u);
    buf_fini(&out);
    buf_fini(&json);
}

static bool check(const char *bytes, size_t n)
{
    return admin_check((struct str){bytes, n});
}

static void lies_about_size_are_refused(void **state)
{
    (void)state;
    assert_false(check("\xdd\x01\x00\x00\x00", 5));       /* array of 16 M elements in five bytes */
    assert_false(check("\xdf\xff\xff\xff\xff", 5));       /* map of 4 G */
    assert_false(check("\xdb\x00\x00\x00\x09hello", 10)); /* string longer than what is there */
    assert_false(check("\xc7\x01\x01x", 4));              /* ext */
    assert_false(check("\x01\x01", 2));                   /* two values */
    assert_false(check("", 0));
    assert_true(check("\x93\x01\xa1x\xc0", 5));
    assert_true(check("\xdc\x00\x02\x01\x02", 5));
    char deep[64];
    memset(deep, '\x91', sizeof deep);
    deep[ADMIN_MAX_DEPTH] = '\x01';
    assert_false(check(deep, ADMIN_MAX_DEPTH + 1));
    deep[ADMIN_MAX_DEPTH - 1] = '\x01';
    assert_true(check(deep, ADMIN_MAX_DEPTH));
}

static void a_length_out_of_range_is_bad(void **state)
{
    (void)state;
    struct buf in = {0};
    struct str payload;
    buf_add(&in, (struct str){"\0\0\0\0", 4});
    assert_int_equal(admin_next(&in, &payload), ADMIN_BAD);
    buf_clear(&in);
    buf_add(&in, (struct str){"\xff\xff\xff\xff", 4});
    assert_int_equal(admin_next(&in, &payload), ADMIN_BAD);
    buf_fini(&in);
}

static void a_frame_too_large_is_taken_back(void **state)
{
    (void)state;
    struct buf out = {0}, big = {0};
    memset(buf_reserve(&big, ADMIN_MAX_FRAME), 'x', ADMIN_MAX_FRAME);
    buf_commit(&big, ADMIN_MAX_FRAME);
    struct admin_out o;
    admin_begin(&o, &out);
    admin_pack_str(&o.packer, buf_view(&big));
    assert_false(admin_end(&o));
    assert_int_equal(buf_len(&out), 0);
    buf_fini(&out);
    buf_fini(&big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_survives_every_split),    cmocka_unit_test(values_come_back),
        cmocka_unit_test(lies_about_size_are_refused),     cmocka_unit_test(a_length_out_of_range_is_bad),
        cmocka_unit_test(a_frame_too_large_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
