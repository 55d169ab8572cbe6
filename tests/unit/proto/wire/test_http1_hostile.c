#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire/http1.h"

#include <stdlib.h>
#include <string.h>

/* What probes and scanners send to find readers that disagree (the classes of Http11Probe's "must be 400" and http-desync-guardian's
 * "severe"). Each must be 400, at every cut, before or in place of its body. */

static enum weir_err read_cut(struct str text, size_t cut, bool *ret_bad)
{
    struct http1 h;
    struct str body;
    const char *why;
    http1_init(&h, HTTP1_REQUEST, &http1_request_limits);
    enum http1_event e = HTTP1_MORE;
    for (int half = 0; half < 2 && e != HTTP1_BAD && e != HTTP1_END; half++) {
        struct str piece = half == 0 ? str_slice(text, 0, cut) : str_slice(text, cut, text.n);
        char *copy = malloc(piece.n + 1);
        memcpy(copy, piece.p, piece.n);
        struct str in = {copy, piece.n};
        do e = http1_feed(&h, &in, &body);
        while (e == HTTP1_HEAD || e == HTTP1_BODY);
        free(copy);
    }
    *ret_bad = e == HTTP1_BAD;
    enum weir_err err = http1_error(&h, &why);
    http1_fini(&h);
    return err;
}

static void must_be_400(struct str text)
{
    for (size_t cut = 0; cut <= text.n; cut++) {
        bool bad;
        enum weir_err err = read_cut(text, cut, &bad);
        if (!bad || err_row(err)->http != 400) fail_msg("cut %zu, %d %s: %.*s", cut, bad, err_word(err), STR_FMT(text));
    }
}

#define S(literal)                      \
    {                                   \
        "" literal, sizeof(literal) - 1 \
    } /* STR() is no constant for gcc 12 */
#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Each is put behind "GET / HTTP/1.1\r\nHost: a\r\n" and ends the head. */
static void headers_of_hostile_requests_are_refused(void **state)
{
    (void)state;
    static const struct str headers[] = {
        S("X: a\r\n continued"),
        S("X : a"),
        S(": a"),
        S("Bad[Name: a"),
        S("NoColonHere"),
        S("X\xC3\xAB: a"),
        S("X: abc\x07\x08\x0B"),
        S("X: a\rb"),
        S("X: a\r\rb"),
        S("X: a\nTransfer-Encoding: chunked"),
        S("X: a\n b"),
        S("X: \0a"),
        S("X: a\0b"),
        S("X: a\0"),
        S("\0X: a"),
        S("X\0: a"),
        S("X\r: a"),
        S("X\n: a"),
        S("Host: a"),
        S("Host: other.example.com"),
        S("Content-Length: abc"),
        S("Content-Length: +5"),
        S("Content-Length: -1"),
        S("Content-Length: -0"),
        S("Content-Length: 0x5"),
        S("Content-Length: 0o5"),
        S("Content-Length: 1_0"),
        S("Content-Length: 1 0"),
        S("Content-Length: 1.0"),
        S("Content-Length: 5, 5"),
        S("Content-Length: 5, 10"),
        S("Content-Length: 1000,1000"),
        S("Content-Length: 1000\x11"),
        S("Content-Length: 5;x"),
        S("Content-Length: 99999999999999999999"),
        S("Content-Length: 18446744073709551616"),
        S("Content-Length: 9223372036854775808"),
        S("Content-Length:"),
        S("Content-Length : 5"),
        S(" Content-Length: 5"),
        S("Content-Length: 5\r\nContent-Length: 5"),
        S("Content-Length: 5\r\nContent-Length: 10"),
        S("Content-Length : 100\r\nContent-Length: 1000"),
        S("Content-Length: 5\r\n Content-Length: 5"),
        S("Content_Length: 5"),
        S("Transfer-Encoding:"),
        S("Transfer-Encoding: xchunked"),
        S("Transfer-Encoding: chunkedx"),
        S("Transfer-Encoding: chunked, gzip"),
        S("Transfer-Encoding: gzip, chunked"),
        S("Transfer-Encoding: gzip"),
        S("Transfer-Encoding: identity"),
        S("Transfer-Encoding: chunked, chunked"),
        S("Transfer-Encoding: , chunked"),
        S("Transfer-Encoding: chunked,"),
        S("Transfer-Encoding: chunked;ext=val"),
        S("Transfer-Encoding: \"chunked\""),
        S("Transfer-Encoding: \x0B"
          "chunked"),
        S("Transfer-Encoding: \x0C"
          "chunked"),
        S("Transfer-Encoding: chunked\x11"),
        S("Transfer-Encoding: chunked\0"),
        S("Transfer-Encoding:\r\n chunked"),
        S("Transfer-Encoding : chunked"),
        S(" Transfer-Encoding: chunked"),
        S("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        S("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        S("Transfer-Encoding : chunked\r\nTransfer-Encoding: chunked"),
        S("Transfer_Encoding: chunked"),
        S("Transfer-Encoding: chunked\r\nContent-Length: 5"),
        S("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        S("Transfer-Encoding: chunked \r\nContent-Length: 5"),
        S("Transfer-Encoding: Chunked\r\nContent-Length: 5"),
        S("Transfer-Encoding:\tchunked\r\nContent-Length: 5"),
    };
    struct buf b = {0};
    for (size_t i = 0; i < N_OF(headers); i++) {
        buf_clear(&b);
        buf_addz(&b, "POST / HTTP/1.1\r\nHost: a\r\n");
        buf_add(&b, headers[i]);
        buf_addz(&b, "\r\n\r\nhello12345");
        must_be_400(buf_view(&b));
    }
    buf_fini(&b);
}

static void hosts_and_lines_of_hostile_requests_are_refused(void **state)
{
    (void)state;
    static const struct str requests[] = {
        S("GET / HTTP/1.1\r\n\r\n"),
        S("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n"),
        S("GET / HTTP/1.1\r\nHost: a/path\r\n\r\n"),
        S("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"),
        S("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        S("GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        S("GET / HTTP/1.1\r\nHost: \r\n\r\n"),
        S("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
        S("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
        S("GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n"),
        S("GET / HTTP/1.1\r\nHost: http://a/\r\n\r\n"),
        S("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("GET HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("GET / HTTP/1.1\n\r\n"),
        S("GET / HTTP/1.1\rHost: a\r\n\r\n"),
        S("GET / HTTP/1.1\nHost: a\r\n\r\n"),
        S("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
        S("GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n"),
        S("GET / HTTP/1.1\r\nHost: a\r\n\rX"),
        S("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("GET / HTTP/1.1\t\r\nHost: a\r\n\r\n"),
        S("GET / HTTP/ 1.1\r\nHost: a\r\n\r\n"),
        S("GET / HTTP/1.1a\r\nHost: a\r\n\r\n"),
        S("GET / HTTP/01.1\r\nHost: a\r\n\r\n"),
        S("GET / http/1.1\r\nHost: a\r\n\r\n"),
        S("GET / HTTP/1\r\nHost: a\r\n\r\n"),
        S("GET /\0x HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("GET /caf\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("GET /\x7F HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("bad_method\x01 / HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("GE T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("G\0T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("GET /\r\n"),
        S("   \r\n\r\n"),
        S("\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("\0\0\0\0"),
        S("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        S("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello"),
    };
    for (size_t i = 0; i < N_OF(requests); i++) must_be_400(requests[i]);
}

static void chunks_of_hostile_requests_are_refused(void **state)
{
    (void)state;
    static const struct str bodies[] = {
        S("5;\r\nhello\r\n0\r\n\r\n"),
        S("5;\nhello\r\n0\r\n\r\n"),
        S("5;bad[=x\r\nhello\r\n0\r\n\r\n"),
        S("5;\0ext\r\nhello\r\n0\r\n\r\n"),
        S("5;a\rX\r\nhello\r\n0\r\n\r\n"),
        S("5;a=\"b\r\nhello\r\n0\r\n\r\n"),
        S("1_0\r\nhello world!!!!!\r\n0\r\n\r\n"),
        S("0x5\r\nhello\r\n0\r\n\r\n"),
        S("+5\r\nhello\r\n0\r\n\r\n"),
        S("-1\r\nhello\r\n0\r\n\r\n"),
        S("5 \r\nhello\r\n0\r\n\r\n"),
        S(" 5\r\nhello\r\n0\r\n\r\n"),
        S("5\t\r\nhello\r\n0\r\n\r\n"),
        S("\r\nhello\r\n0\r\n\r\n"),
        S("5\r\nhello0\r\n\r\n"),
        S("5\r\nhello!!\r\n0\r\n\r\n"),
        S("5\r\nhello\n0\r\n\r\n"),
        S("5\nhello\r\n0\r\n\r\n"),
        S("5\rhello\r\n0\r\n\r\n"),
        S("5\r\nhello\r\n0\n\r\n"),
        S("5\r\nhello\r\n0\r\n\n"),
        S("5\r\nhello\r\n0\r\nNo colon\r\n\r\n"),
        S("5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
        S("5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"),
        S("g\r\nhello\r\n0\r\n\r\n"),
        S("10000000000000000\r\nhello\r\n0\r\n\r\n"),
        S("fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    };
    struct buf b = {0};
    for (size_t i = 0; i < N_OF(bodies); i++) {
        buf_clear(&b);
        buf_addz(&b, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        buf_add(&b, bodies[i]);
        must_be_400(buf_view(&b));
    }
    buf_fini(&b);
}

static void expectations_are_not_ignored(void **state)
{
    (void)state;
    struct str text = STR("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\nContent-Length: 1\r\n\r\nx");
    for (size_t cut = 0; cut <= text.n; cut++) {
        bool bad;
        assert_int_equal(read_cut(text, cut, &bad), WEIR_EXPECTATION);
        assert_true(bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_hostile_requests_are_refused),
        cmocka_unit_test(hosts_and_lines_of_hostile_requests_are_refused),
        cmocka_unit_test(chunks_of_hostile_requests_are_refused),
        cmocka_unit_test(expectations_are_not_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
