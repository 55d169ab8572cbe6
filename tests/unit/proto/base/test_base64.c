#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/base64.h"

static void check(const char *bytes, const char *text, const char *for_url)
{
    struct buf b = {0};
    base64_encode(str_of(bytes), &b);
    assert_true(str_is(buf_view(&b), text));
    buf_clear(&b);
    base64_encode_url(str_of(bytes), &b);
    assert_true(str_is(buf_view(&b), for_url));
    buf_clear(&b);
    assert_true(base64_decode(str_of(text), &b) && base64_decode(str_of(for_url), &b));
    assert_true(str_is(str_slice(buf_view(&b), 0, buf_len(&b) / 2), bytes));
    buf_fini(&b);
}

static void vectors_of_the_standard_agree(void **state)
{
    (void)state;
    check("", "", "");
    check("f", "Zg==", "Zg");
    check("fo", "Zm8=", "Zm8");
    check("foo", "Zm9v", "Zm9v");
    check("foob", "Zm9vYg==", "Zm9vYg");
    check("fooba", "Zm9vYmE=", "Zm9vYmE");
    check("foobar", "Zm9vYmFy", "Zm9vYmFy");
    check("\xfb\xff\xfe", "+//+", "-__-");
}

static void all_bytes_come_back(void **state)
{
    (void)state;
    char all[300];
    for (int i = 0; i < 300; i++) all[i] = (char)(i * 101);
    for (size_t n = 0; n <= sizeof all; n++) {
        struct buf text = {0}, back = {0};
        base64_encode((struct str){all, n}, &text);
        assert_true(base64_decode(buf_view(&text), &back));
        assert_true(str_eq(buf_view(&back), (struct str){all, n}));
        buf_fini(&text);
        buf_fini(&back);
    }
}

static void what_is_no_base64_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "A", "AAAAA", "Zg=", "Zg===", "Z===", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", "Zm9*", "=", "Zm=9"};
    struct buf b = {0};
    buf_addz(&b, "kept");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(base64_decode(str_of(wrong[i]), &b));
        assert_true(str_is(buf_view(&b), "kept"));
    }
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_standard_agree),
        cmocka_unit_test(all_bytes_come_back),
        cmocka_unit_test(what_is_no_base64_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
