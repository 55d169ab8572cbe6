#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire/http1.h"
#include "tests/unit/proto/wire/corpora.h"

#include <mbedtls/base64.h>
#include <string.h>
#include <yyjson.h>

/* Inputs of others, and three questions to each: is what must be refused refused; is what is fine still read, but for the rules
 * that weir adds; does it matter how the bytes are cut. A plain strict llhttp runs beside: what it refuses is never accepted. */

struct result {
    unsigned messages;
    bool bad, closed; /* closed: the last message said that none follows */
    bool any_head;
    enum weir_err err;
    const char *text;
    struct buf body;
};

static bool add_piece(struct http1 *h, struct str piece, struct result *r)
{
    struct str in = piece, body;
    for (;;) {
        switch (http1_feed(h, &in, &body)) {
        case HTTP1_MORE: return true;
        case HTTP1_HEAD: r->any_head = true; break;
        case HTTP1_BODY: buf_add(&r->body, body); break;
        case HTTP1_END:
            r->messages++;
            r->closed = !http1_head(h)->keep_alive;
            if (r->closed) return false;
            http1_reset(h);
            break;
        case HTTP1_BAD:
            r->bad = true;
            r->err = http1_error(h, &r->text);
            return false;
        }
    }
}

static struct result read_all(enum http1_role role, struct str text, size_t a, size_t b, bool eof)
{
    struct result r = {.text = ""};
    struct http1 h;
    http1_init(&h, role, role == HTTP1_REQUEST ? &http1_request_limits : &http1_response_limits);
    bool go_on = add_piece(&h, str_slice(text, 0, a), &r);
    if (go_on) go_on = add_piece(&h, str_slice(text, a, b), &r);
    if (go_on) go_on = add_piece(&h, str_slice(text, b, text.n), &r);
    if (go_on && eof) {
        enum http1_event e = http1_eof(&h);
        r.messages += e == HTTP1_END;
        if (e == HTTP1_BAD) {
            r.bad = true;
            r.err = http1_error(&h, &r.text);
        }
    }
    http1_fini(&h);
    return r;
}

/* The verdict for the whole text, after it was checked to be the same at every cut (for long texts at some). */
static struct result verdict(enum http1_role role, struct str text, bool eof)
{
    struct result want = read_all(role, text, 0, 0, eof);
    size_t step = text.n <= 400 ? 1 : text.n / 150;
    for (size_t a = 1; a <= text.n; a += step) {
        size_t b = text.n <= 60 ? a + (text.n - a) / 2 : a;
        struct result got = read_all(role, text, a, b, eof);
        if (got.bad != want.bad || got.err != want.err || got.messages != want.messages)
            fail_msg("cut at %zu: %d %s, else %d %s: %.*s", a, got.bad, got.text, want.bad, want.text, STR_FMT(text));
        assert_true(want.bad || str_eq(buf_view(&got.body), buf_view(&want.body)));
        buf_fini(&got.body);
    }
    return want;
}

/* ---- llhttp alone ---- */

static int count_message(llhttp_t *p)
{
    ++*(unsigned *)p->data;
    return 0;
}

static bool plain_refuses(enum http1_role role, struct str text)
{
    llhttp_settings_t settings;
    llhttp_t p;
    unsigned n = 0;
    llhttp_settings_init(&settings);
    settings.on_message_complete = count_message;
    llhttp_init(&p, role == HTTP1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    p.data = &n;
    llhttp_errno_t e = llhttp_execute(&p, text.p, text.n);
    return e != HPE_OK && e != HPE_CLOSED_CONNECTION && e != HPE_PAUSED_UPGRADE;
}

/* ---- llhttp's own cases ---- */

/* Accepted by llhttp and refused by weir, each for a reason that is meant. */
static const struct {
    const char *title, *why;
} stricter[] = {
    {"SOURCE request with ICE", "no HTTP version"},
    {"OPTIONS request with RTSP", "no HTTP version"},
    {"ANNOUNCE request with RTSP", "no HTTP version"},
    {"No HTTP version", "not: method, target, version"},
    {"curl GET", "Host header"},
    {"Firefox GET", "Host header"},
    {"Tabs in `Content-Length` (surrounding)", "Invalid character in Content-Length"}, /* a later llhttp takes it */
    {"M-SEARCH request", "target *"},
    {"Should parse multiple events", "bare LF"}, /* the page's own line ends stand between the messages */
    {"HTTP 103 first, then 200", "bare LF"},
    {"RTSP response", "not HTTP"},
    {"ICE response", "not HTTP"},
    {"HTTP version 0.9", "only HTTP/1.0 and HTTP/1.1"},
    {"`chunked` before other transfer-encoding", "other than chunked"},
    {"multiple transfer-encoding where chunked is not the last one", "two Transfer-Encoding"},
    {"`chunkedchunked` transfer-encoding does not enable chunked enconding", "other than chunked"},
    {"Fragment in URI", "fragment"},
    {"Host terminated by a query string", "query without a path"},
    {"`host:port` terminated by a query string", "query without a path"},
    {"`host:port` and basic auth", "Host header"},
    {"POST with `chunked` as last transfer-encoding", "fragment"},
    {"POST with `chunked` as last transfer-encoding (multiple headers)", "fragment"},
};

static void decode(yyjson_val *v, struct buf *out)
{
    yyjson_val *raw = yyjson_obj_get(v, "raw_b64");
    size_t n = 0;
    unsigned char *to = (unsigned char *)buf_reserve(out, yyjson_get_len(raw) + 4);
    assert_int_equal(mbedtls_base64_decode(to, yyjson_get_len(raw) + 4, &n, (const unsigned char *)yyjson_get_str(raw),
                                           yyjson_get_len(raw)),
                     0);
    buf_commit(out, n);
}

static struct str authority_of(struct str line)
{
    ptrdiff_t at = str_find(line, STR(" http://"));
    if (at < 0) return STR("a");
    line = str_slice(line, (size_t)at + 8, line.n);
    size_t n = 0;
    while (n < line.n && line.p[n] != '/' && line.p[n] != '?' && line.p[n] != ' ') n++;
    return str_slice(line, 0, n);
}

/* The cases lost their last line end when they were taken out of their page; requests mostly have no Host. */
static void complete(struct str raw, bool with_host, bool with_end, struct buf *out)
{
    with_host = with_host && !str_icontains(raw, STR("\nHost:"));
    while (raw.n > 0) {
        struct str line = str_split(&raw, '\n');
        buf_add(out, line);
        if (raw.p != NULL) buf_addc(out, '\n');
        if (with_host && (str_ends(line, STR(" HTTP/1.1\r")) || str_ends(line, STR(" HTTP/1.0\r"))))
            buf_addf(out, "Host: %.*s\r\n", STR_FMT(authority_of(line)));
    }
    if (with_end) buf_addz(out, "\r\n");
}

struct tally {
    unsigned seen, refused, read, added;
};

static void check_llhttp_case(yyjson_val *v, struct tally *t)
{
    const char *type = yyjson_get_str(yyjson_obj_get(v, "type")), *title = yyjson_get_str(yyjson_obj_get(v, "title"));
    bool lenient = yyjson_get_bool(yyjson_obj_get(v, "lenient"));
    int code = yyjson_get_int(yyjson_obj_get(v, "error_code"));
    enum http1_role role = strncmp(type, "response", 8) == 0 ? HTTP1_RESPONSE : HTTP1_REQUEST;
    struct buf raw = {0}, text = {0};
    decode(v, &raw);
    if (strcmp(type, "url") == 0) {
        buf_addf(&text, "GET %.*s HTTP/1.1\r\nHost: a\r\n\r\n", STR_FMT(str_trim(buf_view(&raw))));
        lenient = true; /* judged by what llhttp says beside */
    } else {
        complete(buf_view(&raw), role == HTTP1_REQUEST && code == 0, strstr(type, "finish") == NULL, &text);
    }
    struct result r = verdict(role, buf_view(&text), false);
    t->seen++;
    t->refused += r.bad;
    t->read += r.messages > 0;
    if (plain_refuses(role, buf_view(&text)) && !r.bad && !r.closed)
        fail_msg("llhttp refuses, weir accepts: %s", title);
    if (!lenient && code != 0 && code != HPE_CLOSED_CONNECTION && code != HPE_PAUSED_UPGRADE && !r.bad)
        fail_msg("accepted: %s", title);
    if (!lenient && code == HPE_CLOSED_CONNECTION && !r.closed && !r.bad) fail_msg("not closed: %s", title);
    if (!lenient && code == 0 && r.bad) {
        size_t i = 0;
        while (i < sizeof stricter / sizeof stricter[0] &&
               (strcmp(stricter[i].title, title) != 0 || strstr(r.text, stricter[i].why) == NULL))
            i++;
        if (i == sizeof stricter / sizeof stricter[0]) fail_msg("refused: %s: %s", title, r.text);
        t->added++;
    }
    buf_fini(&raw);
    buf_fini(&text);
    buf_fini(&r.body);
}

typedef void (*row_fn)(yyjson_val *row, struct tally *t);

static bool each_row(const char *name, row_fn fn, struct tally *t)
{
    struct buf file = {0};
    if (!corpora_read(name, &file)) {
        corpora_absent(name);
        return false;
    }
    struct str rest = buf_view(&file);
    while (rest.n > 0) {
        struct str line = str_split(&rest, '\n');
        if (line.n == 0) continue;
        yyjson_doc *doc = yyjson_read(line.p, line.n, 0);
        assert_non_null(doc);
        fn(yyjson_doc_get_root(doc), t);
        yyjson_doc_free(doc);
    }
    buf_fini(&file);
    return true;
}

static void llhttps_cases_agree(void **state)
{
    (void)state;
    struct tally t = {0};
    if (!each_row("http-llhttp/cases.jsonl", check_llhttp_case, &t)) skip();
    print_message("# llhttp: %u cases, %u refused, %u read, %u refused by added rules\n", t.seen, t.refused, t.read,
                  t.added);
    assert_int_equal(t.seen, 272);
}

/* ---- Requests that smuggle ---- */

static void replace(struct buf *b, const char *what, const char *with)
{
    struct buf out = {0};
    for (;;) {
        struct str v = buf_view(b);
        ptrdiff_t at = str_find(v, str_of(what));
        buf_add(&out, str_slice(v, 0, at < 0 ? v.n : (size_t)at));
        if (at < 0) break;
        buf_addz(&out, with);
        buf_consume(b, (size_t)at + strlen(what));
    }
    buf_fini(b);
    *b = out;
}

static void latin1(yyjson_val *v, struct buf *out)
{
    const unsigned char *p = (const unsigned char *)yyjson_get_str(v);
    for (size_t i = 0; i < yyjson_get_len(v); i++)
        buf_addc(out, (char)(p[i] >= 0xC2 ? (p[i] & 3) << 6 | (p[i + 1] & 0x3F) : p[i])), i += p[i] >= 0xC2;
}

/* Each template with the two bodies that tell the framings apart. One message at most, and where one is read its framing is the only
 * one that any reader could see: no second length or coding hides in it. */
static void check_smuggler(yyjson_val *v, struct tally *t)
{
    static const struct {
        const char *length, *body;
    } tries[] = {{"6", "0\r\n\r\nX"}, {"4", "1\r\nZ\r\nQ\r\n\r\n"}};
    for (size_t i = 0; i < 2; i++) {
        struct buf b = {0};
        latin1(yyjson_obj_get(v, "header_template_latin1"), &b);
        replace(&b, "__METHOD__", "POST");
        replace(&b, "__ENDPOINT__", "/v1/x");
        replace(&b, "__RANDOM__", "1");
        replace(&b, "__HOST__", "localhost");
        replace(&b, "__REPLACE_CL__", tries[i].length);
        buf_addf(&b, "\r\n%s", tries[i].body);
        struct result r = verdict(HTTP1_REQUEST, buf_view(&b), false);
        t->seen++;
        t->refused += r.bad;
        t->read += r.messages > 0;
        if (r.messages > 1) fail_msg("two requests: %s", yyjson_get_str(yyjson_obj_get(v, "name")));
        buf_fini(&b);
        buf_fini(&r.body);
    }
}

static void smuggled_requests_do_not_pass(void **state)
{
    (void)state;
    struct tally t = {0};
    if (!each_row("http-smuggler/mutations.jsonl", check_smuggler, &t)) skip();
    print_message("# smuggler: %u requests, %u refused, %u read as one message\n", t.seen, t.refused, t.read);
    assert_int_equal(t.seen, 2 * 1703);
}

/* ---- Answers of curl's test server ---- */

static void check_curl_reply(yyjson_val *v, struct tally *t)
{
    struct buf file = {0};
    char name[200];
    snprintf(name, sizeof name, "http-curl-replies/raw/%s", yyjson_get_str(yyjson_obj_get(v, "file")));
    assert_true(corpora_read(name, &file));
    struct result r = verdict(HTTP1_RESPONSE, buf_view(&file), true);
    t->seen++;
    t->refused += r.bad;
    t->read += r.messages > 0;
    if (plain_refuses(HTTP1_RESPONSE, buf_view(&file)) && !r.bad && r.messages == 0)
        fail_msg("llhttp refuses, weir accepts: %s", name);
    buf_fini(&file);
    buf_fini(&r.body);
}

static void curls_replies_are_judged(void **state)
{
    (void)state;
    struct tally t = {0};
    if (!each_row("http-curl-replies/index.jsonl", check_curl_reply, &t)) skip();
    print_message("# curl: %u replies, %u with a fault, %u with a message\n", t.seen, t.refused, t.read);
    assert_int_equal(t.seen, 1512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llhttps_cases_agree),
        cmocka_unit_test(smuggled_requests_do_not_pass),
        cmocka_unit_test(curls_replies_are_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
