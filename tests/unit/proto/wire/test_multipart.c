#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/buf.h"
#include "proto/wire/multipart.h"

#include <string.h>

#define FILE_PART                                                                  \
    "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n" \
    "Content-Type: audio/wav\r\n\r\n\0\1--B not the end\r\n--C\r\n\r\n"
#define MODEL_PART(value) "--B\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n" value "\r\n"

#define PART(head) "--B\r\n" head "\r\n\r\nm\r\n--B--\r\n"

static void boundaries(void **state)
{
    (void)state;
    static const struct {
        const char *type, *want;
    } rows[] = {
        {"multipart/form-data; boundary=abc", "abc"},
        {"Multipart/Form-Data;boundary=\"a b:c\"; charset=utf-8", "a b:c"},
        {"multipart/form-data; charset=utf-8; Boundary=----WebKit7", "----WebKit7"},
        {"multipart/form-data", NULL},
        {"multipart/form-data; boundary=", NULL},
        {"multipart/form-data; boundary=\"abc", NULL},
        {"multipart/form-data; boundary=a; boundary=b", NULL},
        {"multipart/form-data; boundary=a; x; boundary=b", NULL},
        {"multipart/form-data; boundary=a; boundary*=utf-8''b", NULL},
        {"multipart/form-data; boundary=a;", "a"},
        {"multipart/form-data ; boundary=\"0123456789012345678901234567890123456789012345678901234567890123456789\"",
         "0123456789012345678901234567890123456789012345678901234567890123456789"},
        {"multipart/form-datax; boundary=abc", NULL},
        {"multipart/mixed; boundary=abc", NULL},
        {"application/json", NULL},
        {"", NULL},
        {"multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789X", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str got = STR_NULL;
        bool found = multipart_boundary(str_of(rows[i].type), &got);
        if (found != (rows[i].want != NULL) || (found && !str_is(got, rows[i].want))) fail_msg("%s", rows[i].type);
    }
}

static void fields(void **state)
{
    (void)state;
#define TEXT(t)         \
    {                   \
        t, sizeof t - 1 \
    }
    static const struct {
        struct str body;
        enum multipart_find want;
        const char *value;
    } rows[] = {
        {TEXT(MODEL_PART("m-1") "--B--\r\n"), MULTIPART_FOUND, "m-1"},
        {TEXT(FILE_PART MODEL_PART("m") "--B--"), MULTIPART_FOUND, "m"},
        {TEXT("preamble\r\n" MODEL_PART("m") FILE_PART "--B--\r\n"), MULTIPART_FOUND, "m"},
        {TEXT(MODEL_PART("") "--B--"), MULTIPART_FOUND, ""},
        {TEXT("--B\r\nX: y\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\nn\r\n--B--"), MULTIPART_FOUND,
         "m\r\nn"},
        {TEXT("--B \r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--B--"), MULTIPART_FOUND, "m"},
        {TEXT(FILE_PART "--B--"), MULTIPART_ABSENT, NULL},
        {TEXT("--B--"), MULTIPART_ABSENT, NULL},
        {TEXT("--B\r\nContent-Disposition: form-data; name=\"model\"; filename=\"x\"\r\n\r\nm\r\n--B--"),
         MULTIPART_ABSENT, NULL},
        {TEXT("--B\r\nContent-Disposition: form-data; name=\"xmodel\"\r\n\r\nm\r\n--B--"), MULTIPART_ABSENT, NULL},
        {TEXT(MODEL_PART("a") MODEL_PART("b") "--B--"), MULTIPART_TWICE, NULL},
        {TEXT(MODEL_PART("a")), MULTIPART_BAD, NULL},
        {TEXT("--B\r\nContent-Disposition: form-data; name=\"model\"\r\n--B--"), MULTIPART_BAD, NULL},
        {TEXT("--B\r\nContent-Disposition: form-data; name=\"a\"; name=\"model\"\r\n\r\nm\r\n--B--"), MULTIPART_BAD,
         NULL},
        {TEXT("--Bx\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--Bx--"), MULTIPART_BAD, NULL},
        /* heads that another parser would read otherwise */
        {TEXT(PART("Content-Disposition: form-data;\r\n name=\"model\"")), MULTIPART_BAD, NULL},
        {TEXT(PART("X: a\nContent-Disposition: form-data; name=\"model\"")), MULTIPART_BAD, NULL},
        {TEXT(PART("X: a\rContent-Disposition: form-data; name=\"model\"")), MULTIPART_BAD, NULL},
        {TEXT(PART("X: a\0b")), MULTIPART_BAD, NULL},
        {TEXT(PART("Content-Disposition : form-data; name=\"model\"")), MULTIPART_BAD, NULL},
        {TEXT(PART("Content-Disposition form-data; name=\"model\"")), MULTIPART_BAD, NULL},
        {TEXT(PART("Content-Disposition: form-data; name*=utf-8''model")), MULTIPART_BAD, NULL},
        {TEXT(PART("Content-Disposition: form-data; name=\"x\"; name*0=mo; name*1=del")), MULTIPART_BAD, NULL},
        {TEXT(PART("Content-Disposition: form-data; name=\"mo\\del\"")), MULTIPART_BAD, NULL},
        {TEXT(PART("Content-Disposition: form-data; x; name=\"model\"")), MULTIPART_BAD, NULL},
        {TEXT(PART("Content-Disposition: form-data; name=\"model\"; filename=\"a\"b\"")), MULTIPART_BAD, NULL},
        {TEXT(PART("Content-Disposition: attachment; name=\"model\"")), MULTIPART_BAD, NULL},
        {TEXT(PART("Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"model\"")),
         MULTIPART_BAD, NULL},
        {TEXT("--B\r\nX: y\r\n" MODEL_PART("m") "--B--"), MULTIPART_BAD, NULL},
        /* odd, but not about the field that is looked for */
        {TEXT(PART("Content-Disposition: form-data; name=\"file\"; filename=\"a\"b.wav\"")), MULTIPART_ABSENT, NULL},
        {TEXT(PART("Content-Disposition: form-data; name=\"file\"; filename=\"C:\\a\\\"")), MULTIPART_ABSENT, NULL},
        {TEXT(PART("Content-Disposition: form-data; name=\"a\\\"b\"")), MULTIPART_ABSENT, NULL},
        {TEXT(PART("Content-Disposition: form-data; name=\"f\"; filename*=utf-8''%e2%82%ac.wav")), MULTIPART_ABSENT,
         NULL},
        {TEXT("--B is no delimiter here\r" MODEL_PART("m") "--B--"), MULTIPART_BAD, NULL},
        {TEXT("of B, x--B\r\n\r\n--B\r\n\r\n\r\n" MODEL_PART("m") "--B--\r\n" MODEL_PART("n") "--B--"), MULTIPART_FOUND,
         "m"},
        {TEXT("nothing"), MULTIPART_BAD, NULL},
        {TEXT(""), MULTIPART_BAD, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str got = STR_NULL;
        enum multipart_find result = multipart_find(rows[i].body, str_of("B"), "model", &got);
        if (result != rows[i].want || (rows[i].value != NULL && !str_is(got, rows[i].value)))
            fail_msg("row %zu: %d \"%.*s\"", i, (int)result, STR_FMT(got));
    }
}

/* The longest boundary, a file that holds every beginning of a delimiter: found whole, and refused when cut at any byte. */
static void cuts(void **state)
{
    (void)state;
    const struct str boundary = STR("'()+_,-./:=? 34567890123456789012345678901234567890123456789012345678X");
    const struct str opening = STR("\r\n--"),
                     file = STR("\r\ncontent-disposition: form-data; name=f; filename=a\r\n\r\n"),
                     model = STR("\r\ncontent-disposition: form-data; name=model\r\n\r\nm-1");
    struct buf line = {0}, body = {0};
    assert_int_equal(boundary.n, MULTIPART_BOUNDARY_BYTES);
    buf_add(&line, opening);
    buf_add(&line, boundary);
    buf_add(&body, str_slice(buf_view(&line), 2, buf_len(&line)));
    buf_add(&body, file);
    for (size_t n = 1; n < buf_len(&line); n++) {
        buf_add(&body, str_slice(buf_view(&line), 0, n));
        buf_add(&body, STR("~"));
    }
    buf_add(&body, buf_view(&line));
    buf_add(&body, model);
    buf_add(&body, buf_view(&line));
    size_t until_end = buf_len(&body) + 2;
    buf_add(&body, STR("--\r\nepilogue"));
    struct str whole = buf_view(&body), got = STR_NULL;
    for (size_t n = 0; n <= whole.n; n++) {
        enum multipart_find want = n < until_end ? MULTIPART_BAD : MULTIPART_FOUND;
        if (multipart_find(str_slice(whole, 0, n), boundary, "model", &got) != want) fail_msg("cut at %zu", n);
    }
    assert_true(str_is(got, "m-1"));
    assert_int_equal(multipart_find_file(whole, boundary, "f", &(struct str){0}, &got), MULTIPART_FOUND);
    assert_int_equal(got.n, (buf_len(&line) - 1) * buf_len(&line) / 2 + buf_len(&line) - 1);
    buf_fini(&line);
    buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(boundaries), cmocka_unit_test(fields), cmocka_unit_test(cuts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
