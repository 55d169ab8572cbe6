#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire/multipart.h"

#include <string.h>

#define FILE_PART                                                                  \
    "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n" \
    "Content-Type: audio/wav\r\n\r\n\0\1--B not the end\r\n--C\r\n\r\n"
#define MODEL_PART(value) "--B\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n" value "\r\n"

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(boundaries), cmocka_unit_test(fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
