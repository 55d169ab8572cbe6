#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire/http1.h"

#include <stdlib.h>
#include <string.h>

/* What came of feeding some bytes: the events in a line of letters (H head, B body, E end, X bad) and the body put together. */
struct outcome {
    char events[64];
    struct buf body;
    enum weir_err err;
    const char *text;
    size_t left;
    bool more_at_eof; /* http1_eof() said: between messages */
};

static void note(struct outcome *o, char c)
{
    size_t n = strlen(o->events);
    if (c == 'B' && n > 0 && o->events[n - 1] == 'B')
        return; /* how many pieces a body comes in is not what is tested */
    if (n < sizeof o->events - 1) o->events[n] = c;
}

/* Every piece in a block of its own, so that ASan sees a read behind it. False: a message is over or bad. */
static bool feed(struct http1 *h, struct str piece, struct outcome *o, size_t *used)
{
    char *copy = malloc(piece.n > 0 ? piece.n : 1);
    if (piece.n > 0) memcpy(copy, piece.p, piece.n);
    struct str in = {copy, piece.n}, body = STR_NULL;
    bool go_on = true;
    for (;;) {
        enum http1_event e = http1_feed(h, &in, &body);
        if (e == HTTP1_MORE) break;
        note(o, "-HBEX"[e]);
        if (e == HTTP1_BODY) buf_add(&o->body, body);
        if (e == HTTP1_END || e == HTTP1_BAD) {
            go_on = false;
            break;
        }
    }
    *used += piece.n - in.n;
    free(copy);
    return go_on;
}

struct how {
    enum http1_role role;
    bool head_request, eof;
    const struct http1_limits *limits;
};

static void run(struct str text, size_t cut1, size_t cut2, struct how how, struct http1 *h, struct outcome *o)
{
    const struct http1_limits *l = how.role == HTTP1_REQUEST ? &http1_request_limits : &http1_response_limits;
    memset(o, 0, sizeof *o);
    http1_init(h, how.role, how.limits != NULL ? how.limits : l);
    h->head_request = how.head_request;
    size_t used = 0;
    bool go_on = feed(h, str_slice(text, 0, cut1), o, &used);
    if (go_on) go_on = feed(h, str_slice(text, cut1, cut2), o, &used);
    if (go_on) go_on = feed(h, str_slice(text, cut2, text.n), o, &used);
    if (go_on && how.eof) {
        enum http1_event e = http1_eof(h);
        o->more_at_eof = e == HTTP1_MORE;
        note(o, "-HBEX"[e]);
    }
    o->left = text.n - used;
    o->err = http1_error(h, &o->text);
}

/* The outcome must be the same however the text is cut in two, and for short texts in three. */
static void same_at_every_cut(struct str text, struct how how, const struct outcome *want)
{
    for (size_t a = 0; a <= text.n; a++) {
        size_t last = text.n <= 120 ? text.n : a;
        for (size_t b = a; b <= last; b++) {
            struct http1 h;
            struct outcome o;
            run(text, a, b, how, &h, &o);
            assert_string_equal(o.events, want->events);
            assert_int_equal(o.err, want->err);
            assert_string_equal(o.text, want->text);
            if (want->err == WEIR_OK) {
                assert_int_equal(o.left, want->left);
                assert_true(str_eq(buf_view(&o.body), buf_view(&want->body)));
            }
            buf_fini(&o.body);
            http1_fini(&h);
        }
    }
}

static struct http1 kept;

/* The head and the outcome are looked at afterwards. */
static void check(const char *text, struct how how, const char *events, enum weir_err err, const char *body)
{
    static struct outcome o;
    struct str t = str_of(text);
    http1_fini(&kept);
    run(t, t.n, t.n, how, &kept, &o);
    if (strcmp(o.events, events) != 0 || o.err != err)
        print_message("# %s\n# -> %s %s (%s), wanted %s %s\n", text, o.events, err_word(o.err), o.text, events,
                      err_word(err));
    assert_string_equal(o.events, events);
    assert_int_equal(o.err, err);
    assert_true(str_is(buf_view(&o.body), body));
    same_at_every_cut(t, how, &o);
    buf_fini(&o.body);
}

static void request_is(const char *text, const char *events, const char *body)
{
    check(text, (struct how){.role = HTTP1_REQUEST}, events, WEIR_OK, body);
}

static void request_fails(const char *text, enum weir_err err)
{
    struct how how = {.role = HTTP1_REQUEST};
    static struct outcome o;
    struct str t = str_of(text);
    http1_fini(&kept);
    run(t, t.n, t.n, how, &kept, &o);
    if (o.err != err)
        print_message("# %s\n# -> %s %s (%s), wanted %s\n", text, o.events, err_word(o.err), o.text, err_word(err));
    assert_int_equal(o.err, err);
    assert_int_equal(o.events[strlen(o.events) - 1], 'X');
    same_at_every_cut(t, how, &o);
    buf_fini(&o.body);
}

static void response_is(const char *text, const char *events, enum weir_err err, const char *body)
{
    check(text, (struct how){.role = HTTP1_RESPONSE, .eof = true}, events, err, body);
}

static void request_heads_are_read(void **state)
{
    (void)state;
    request_is(
        "POST /v1/chat/completions?x=1&y HTTP/1.1\r\nHost: localhost:8490\r\nContent-Length: 5\r\nX-A:  b c \t\r\n"
        "Empty:\r\n\r\nhello",
        "HBE", "hello");
    const struct http1_head *head = http1_head(&kept);
    assert_true(str_is(head->method, "POST"));
    assert_true(str_is(head->target, "/v1/chat/completions?x=1&y"));
    assert_true(str_is(head->path, "/v1/chat/completions"));
    assert_true(str_is(head->query, "x=1&y"));
    assert_true(str_is(http1_get(head, "x-a"), "b c"));
    assert_true(str_is(http1_get(head, "EMPTY"), ""));
    assert_non_null(http1_get(head, "empty").p);
    assert_null(http1_get(head, "absent").p);
    assert_int_equal(head->n, 4);
    assert_int_equal(head->content_length, 5);
    assert_int_equal(head->minor, 1);
    assert_true(head->keep_alive);
    assert_false(head->chunked);

    request_is("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "HE", "");
    assert_int_equal(http1_head(&kept)->content_length, -1);
    request_is("\r\nGET / HTTP/1.0\r\n\r\n", "HE", "");
    assert_false(http1_head(&kept)->keep_alive);
    request_is("GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n", "HE", "");
    assert_true(http1_head(&kept)->keep_alive);
    request_is("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "HE", "");
    assert_false(http1_head(&kept)->keep_alive);
    request_is("GET http://a.b:80/c?d HTTP/1.1\r\nHost: A.b\r\n\r\n", "HE", "");
    assert_true(str_is(http1_head(&kept)->target, "/c?d"));
    request_is("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "HE", "");
    request_is("POST / HTTP/1.1\r\nHost: [::1]:8490\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", "HBE", "x");
    assert_true(http1_head(&kept)->expect_continue);
}

static void chunked_bodies_are_read(void **state)
{
    (void)state;
    request_is("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;ext=\"v\"\r\n!\r\n0\r\n"
               "Trailer: x\r\n\r\n",
               "HBE", "hello!");
    assert_true(http1_head(&kept)->chunked);
    request_is("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:  CHUNKED \r\n\r\n0\r\n\r\n", "HE", "");
    request_fails("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", WEIR_BAD_HTTP);
    request_fails("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n", WEIR_BAD_HTTP);
    request_fails("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n", WEIR_BAD_HTTP);
    request_fails("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX", WEIR_BAD_HTTP);
    request_fails("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n",
                  WEIR_BAD_HTTP);
}

static void what_follows_is_left(void **state)
{
    (void)state;
    struct http1 h;
    struct outcome o;
    struct str two = STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    run(two, two.n, two.n, (struct how){.role = HTTP1_REQUEST}, &h, &o);
    assert_string_equal(o.events, "HBE");
    struct str rest = str_slice(two, two.n - o.left, two.n);
    assert_true(str_starts(rest, STR("GET /2 ")));
    size_t used = 0;
    http1_reset(&h);
    memset(o.events, 0, sizeof o.events);
    assert_false(feed(&h, rest, &o, &used));
    assert_string_equal(o.events, "HE");
    assert_true(str_is(http1_head(&h)->path, "/2"));
    assert_int_equal(used, rest.n);
    buf_fini(&o.body);
    http1_fini(&h);
}

static void what_llhttp_lets_through_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:0x50\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX(: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
        "get / HTTP/1.1\r\nHost: a\r\n\r\n",
        "FOO / HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS rtsp://a/ RTSP/1.0\r\nHost: a\r\n\r\n",
        "SOURCE /x ICE/1.0\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, content-length\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: authorization\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n",
        "*1\r\n$4\r\nPING\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) request_fails(bad[i], WEIR_BAD_HTTP);
    request_fails("GET / HTTP/2.0\r\nHost: a\r\n\r\n", WEIR_HTTP_VERSION);
    request_fails("GET / HTTP/0.9\r\nHost: a\r\n\r\n", WEIR_HTTP_VERSION);
    request_fails("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", WEIR_METHOD);
    request_fails("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", WEIR_METHOD);
}

static void texts_say_what_it_is(void **state)
{
    (void)state;
    const char *text;
    request_fails("\x16\x03\x01", WEIR_BAD_HTTP);
    http1_error(&kept, &text);
    assert_string_equal(text, "TLS on a plain HTTP port");
    request_fails("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", WEIR_BAD_HTTP);
    http1_error(&kept, &text);
    assert_string_equal(text, "HTTP/2 is not spoken here, HTTP/1.1 is");
}

static void an_upgrade_is_only_noted(void **state)
{
    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "HE", "");
    assert_true(http1_head(&kept)->upgrade);
    request_is("POST / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: "
               "2\r\n\r\nab",
               "HBE", "ab");
}

static void limits_are_kept(void **state)
{
    (void)state;
    const struct http1_limits small = {.line_bytes = 30, .head_bytes = 80, .headers = 3, .body_bytes = 4};
    struct how how = {.role = HTTP1_REQUEST, .limits = &small};
    check("GET /12345678901234567890 HTTP/1.1\r\nHost: a\r\n\r\n", how, "X", WEIR_URI_TOO_LONG, "");
    check("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n", how, "HE", WEIR_OK, "");
    check("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", how, "X", WEIR_HEAD_TOO_LARGE, "");
    check("GET / HTTP/1.1\r\nHost: a\r\nA: 1234567890123456789012345678901234567890123456789\r\n\r\n", how, "X",
          WEIR_HEAD_TOO_LARGE, "");
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345", how, "X", WEIR_TOO_LARGE, "");
    assert_true(str_is(http1_head(&kept)->path, "/"));
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n1234", how, "HBE", WEIR_OK, "1234");
    struct how chunked = {
        .role = HTTP1_REQUEST,
        .limits = &(struct http1_limits){.line_bytes = 30, .head_bytes = 80, .headers = 3, .body_bytes = 1}};
    check("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n12\r\n0\r\n\r\n", chunked, "HX",
          WEIR_TOO_LARGE, "");
}

static void long_chunk_headers_and_trailers_are_refused(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_addz(&b, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    for (int i = 0; i < 9000; i++) buf_addc(&b, 'a');
    size_t extension = buf_len(&b);
    buf_addz(&b, "\r\nx\r\n0\r\n\r\n");
    struct how how = {.role = HTTP1_REQUEST};
    static const size_t cuts[] = {0, 60, 4000, 8300};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        struct http1 h;
        struct outcome o;
        run(buf_view(&b), cuts[i], extension, how, &h, &o);
        assert_string_equal(o.events, "HX");
        assert_int_equal(o.err, WEIR_BAD_HTTP);
        buf_fini(&o.body);
        http1_fini(&h);
    }
    buf_clear(&b);
    buf_addz(&b, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    for (int i = 0; i < 900; i++) buf_addz(&b, "T: 34567\r\n");
    buf_addz(&b, "\r\n");
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        struct http1 h;
        struct outcome o;
        run(buf_view(&b), cuts[i], buf_len(&b), how, &h, &o);
        assert_int_equal(o.err, WEIR_BAD_HTTP);
        buf_fini(&o.body);
        http1_fini(&h);
    }
    buf_fini(&b);
}

static void responses_are_read(void **state)
{
    (void)state;
    response_is("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", "HBE", WEIR_OK, "ab");
    assert_int_equal(http1_head(&kept)->status, 200);
    assert_true(str_is(http1_head(&kept)->reason, "OK"));
    assert_true(http1_head(&kept)->keep_alive);
    response_is("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HE", WEIR_OK, "");
    response_is("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "HE", WEIR_OK, "");
    response_is("HTTP/1.1 200 OK\r\n\r\nuntil the end", "HBE", WEIR_OK, "until the end");
    assert_true(http1_head(&kept)->until_eof);
    assert_false(http1_head(&kept)->keep_alive);
    response_is("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "HBE", WEIR_OK, "a");
    assert_false(http1_head(&kept)->keep_alive);
    response_is("HTTP/1.1 204 No Content\r\n\r\n", "HE", WEIR_OK, "");
    response_is("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "HE", WEIR_OK, "");
    response_is("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "HBE", WEIR_OK, "ab");
    response_is("HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\na", "HBE",
                WEIR_OK, "a");
    response_is(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
        "1\r\n\r\na",
        "HBE", WEIR_OK, "a");
    assert_int_equal(http1_head(&kept)->n, 1);
    response_is("HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HE", WEIR_OK, "");
    struct how head = {.role = HTTP1_RESPONSE, .head_request = true, .eof = true};
    check("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", head, "HE", WEIR_OK, "");
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", head, "HE", WEIR_OK, "");
    check("HTTP/1.1 200 OK\r\n\r\n", head, "HE", WEIR_OK, "");
}

static void broken_responses_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "\nHTTP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "\x15\x03\x01\x00\x02\x02\x46",
        "{\"error\":1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) response_is(bad[i], "X", WEIR_UP_PROTOCOL, "");
}

static void cut_short_is_truncated(void **state)
{
    (void)state;
    response_is("", "-", WEIR_OK, "");
    response_is("HTTP/1.1 200 OK\r\nContent-Le", "X", WEIR_UP_TRUNCATED, "");
    response_is("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "HBX", WEIR_UP_TRUNCATED, "ab");
    response_is("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "HBX", WEIR_UP_TRUNCATED, "ab");
    response_is("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n", "HBX", WEIR_UP_TRUNCATED,
                "ab");
    response_is("HTTP/1.1 100 Continue\r\n\r\n", "X", WEIR_UP_TRUNCATED, "");
}

static void interim_responses_are_counted(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int n = 8; n <= 9; n++) {
        buf_clear(&b);
        for (int i = 0; i < n; i++) buf_addz(&b, "HTTP/1.1 103 Early Hints\r\n\r\n");
        buf_addz(&b, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
        buf_addc(&b, '\0');
        response_is(buf_view(&b).p, n == 8 ? "HBE" : "X", n == 8 ? WEIR_OK : WEIR_UP_PROTOCOL, n == 8 ? "a" : "");
    }
    buf_fini(&b);
}

static void bodies_come_in_large_pieces(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct buf b = {0};
    buf_addf(&b, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", N);
    memset(buf_reserve(&b, N), 'x', N);
    buf_commit(&b, N);
    struct http1 h;
    http1_init(&h, HTTP1_RESPONSE, &http1_response_limits);
    struct str in = buf_view(&b), body;
    assert_int_equal(http1_feed(&h, &in, &body), HTTP1_HEAD);
    assert_int_equal(http1_feed(&h, &in, &body), HTTP1_BODY);
    assert_int_equal(body.n, N);
    assert_int_equal(http1_feed(&h, &in, &body), HTTP1_END);
    http1_fini(&h);
    buf_fini(&b);
}

/* After the first message of a connection nothing is allocated for the next ones. */
static void a_warm_parser_keeps_its_memory(void **state)
{
    (void)state;
    struct str text = STR("POST /v1/messages HTTP/1.1\r\nHost: a\r\nX-One: 1234567890123456789012345678901234567890\r\n"
                          "Content-Length: 2\r\n\r\nab");
    struct http1 h;
    http1_init(&h, HTTP1_REQUEST, &http1_request_limits);
    const char *block = NULL;
    for (int i = 0; i < 5; i++) {
        struct str in = text, body;
        while (http1_feed(&h, &in, &body) != HTTP1_END) continue;
        if (i > 0) assert_ptr_equal(h.bytes.p, block);
        block = h.bytes.p;
        http1_reset(&h);
    }
    http1_fini(&h);
}

static void heads_are_written(void **state)
{
    (void)state;
    struct buf b = {0};
    http1_write_request_line(&b, STR("POST"), STR("/x"));
    assert_true(http1_write_header(&b, STR("a"), STR("b\tc \xC3\xA9")));
    assert_false(http1_write_header(&b, STR("a"), STR("b\r\nc: d")));
    assert_false(http1_write_header(&b, STR("a"), (struct str){"b\0c", 3}));
    assert_false(http1_write_header(&b, STR("a b"), STR("c")));
    assert_false(http1_write_header(&b, STR(""), STR("c")));
    http1_write_header_u64(&b, "content-length", 12);
    http1_write_end(&b);
    assert_true(str_is(buf_view(&b), "POST /x HTTP/1.1\r\na: b\tc \xC3\xA9\r\ncontent-length: 12\r\n\r\n"));
    buf_clear(&b);
    http1_write_status_line(&b, 529);
    http1_write_status_line(&b, 799);
    http1_write_chunk_head(&b, 31);
    http1_write_chunk_head(&b, 0);
    assert_true(str_is(buf_view(&b), "HTTP/1.1 529 Overloaded\r\nHTTP/1.1 799 \r\n1f\r\n0\r\n"));
    buf_fini(&b);
}

static void hop_by_hop_is_known(void **state)
{
    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Own\r\nX-Own: 1\r\n\r\n", "HE", "");
    const struct http1_head *head = http1_head(&kept);
    assert_true(http1_is_hop_by_hop(head, STR("x-own")));
    assert_true(http1_is_hop_by_hop(head, STR("Connection")));
    assert_true(http1_is_hop_by_hop(head, STR("transfer-Encoding")));
    assert_false(http1_is_hop_by_hop(head, STR("content-type")));
}

static int free_kept(void **state)
{
    (void)state;
    http1_fini(&kept);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_heads_are_read),
        cmocka_unit_test(chunked_bodies_are_read),
        cmocka_unit_test(what_follows_is_left),
        cmocka_unit_test(what_llhttp_lets_through_is_refused),
        cmocka_unit_test(texts_say_what_it_is),
        cmocka_unit_test(an_upgrade_is_only_noted),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(long_chunk_headers_and_trailers_are_refused),
        cmocka_unit_test(responses_are_read),
        cmocka_unit_test(broken_responses_are_refused),
        cmocka_unit_test(cut_short_is_truncated),
        cmocka_unit_test(interim_responses_are_counted),
        cmocka_unit_test(bodies_come_in_large_pieces),
        cmocka_unit_test(a_warm_parser_keeps_its_memory),
        cmocka_unit_test(heads_are_written),
        cmocka_unit_test(hop_by_hop_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, free_kept);
}
