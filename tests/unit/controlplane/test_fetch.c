#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/fetch.h"
#include "tests/unit/proto/wire/tls_peer.h"

#include <uv.h>

/* ---- A server on loopback that answers each connection with one text ---- */

enum { AFTER_CLOSE, AFTER_WAIT }; /* what it does once it has answered */

struct server {
    uv_loop_t *loop;
    uv_tcp_t listener;
    uint16_t port;
    const char *answer; /* NULL: none */
    int after;
    struct peer_conf *tls; /* NULL: plain */
    struct buf got;        /* the last request */
    unsigned connections;
};

struct guest {
    struct server *s;
    uv_tcp_t tcp;
    struct peer peer;
    struct buf in;
    bool answered;
    char bytes[4096];
};

static void on_guest_closed(uv_handle_t *h)
{
    struct guest *g = h->data;
    if (g->s->tls != NULL) peer_fini(&g->peer);
    buf_fini(&g->in);
    free(g);
}

static void guest_close(struct guest *g)
{
    if (!uv_is_closing((uv_handle_t *)&g->tcp)) uv_close((uv_handle_t *)&g->tcp, on_guest_closed);
}

struct sending {
    uv_write_t req;
    struct guest *guest;
    struct buf bytes;
    bool last;
};

static void on_guest_written(uv_write_t *w, int status)
{
    struct sending *s = w->data;
    if (status != UV_ECANCELED && (status < 0 || (s->last && s->guest->s->after == AFTER_CLOSE))) guest_close(s->guest);
    buf_fini(&s->bytes);
    free(s);
}

static void guest_send(struct guest *g, struct buf *from, bool last)
{
    if (buf_len(from) == 0) return;
    struct sending *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->req.data = s;
    s->guest = g;
    s->last = last;
    buf_add(&s->bytes, buf_view(from));
    buf_clear(from);
    uv_buf_t b = uv_buf_init(s->bytes.p, (unsigned)buf_len(&s->bytes));
    assert_int_equal(uv_write(&s->req, (uv_stream_t *)&g->tcp, &b, 1, on_guest_written), 0);
}

/* Head and body are here: Content-Length is looked for as our own client spells it. */
static bool is_whole(struct str text)
{
    ptrdiff_t end = str_find(text, STR("\r\n\r\n")), length = str_find(text, STR("Content-Length: "));
    if (end < 0) return false;
    size_t want = length < 0 ? 0 : (size_t)strtoul(text.p + length + 16, NULL, 10);
    return text.n >= (size_t)end + 4 + want;
}

static void guest_answer(struct guest *g)
{
    struct server *s = g->s;
    if (g->answered || !is_whole(buf_view(&g->in))) return;
    g->answered = true;
    buf_clear(&s->got);
    buf_add(&s->got, buf_view(&g->in));
    if (s->answer == NULL) {
        if (s->after == AFTER_CLOSE) guest_close(g);
        return;
    }
    struct buf text = {0};
    if (s->tls != NULL) {
        peer_write(&g->peer, str_of(s->answer));
        mbedtls_ssl_close_notify(&g->peer.ssl);
        guest_send(g, &g->peer.out, true);
    } else {
        buf_addz(&text, s->answer);
        guest_send(g, &text, true);
    }
    buf_fini(&text);
}

static void on_guest_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
    (void)n;
    struct guest *g = h->data;
    *b = uv_buf_init(g->bytes, sizeof g->bytes);
}

static void on_guest_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct guest *g = stream->data;
    if (n < 0) {
        guest_close(g);
        return;
    }
    if (g->s->tls == NULL) {
        buf_add(&g->in, (struct str){b->base, (size_t)n});
    } else {
        buf_add(&g->peer.in, (struct str){b->base, (size_t)n});
        peer_drive(&g->peer);
        buf_add(&g->in, buf_view(&g->peer.plain));
        buf_clear(&g->peer.plain);
        guest_send(g, &g->peer.out, false);
        if (g->peer.failed) {
            guest_close(g);
            return;
        }
    }
    guest_answer(g);
}

static void on_guest(uv_stream_t *listener, int status)
{
    struct server *s = listener->data;
    struct guest *g = calloc(1, sizeof *g);
    assert_int_equal(status, 0);
    assert_non_null(g);
    g->s = s;
    g->tcp.data = g;
    s->connections++;
    uv_tcp_init(s->loop, &g->tcp);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&g->tcp), 0);
    if (s->tls != NULL) peer_init(&g->peer, s->tls);
    uv_read_start((uv_stream_t *)&g->tcp, on_guest_alloc, on_guest_read);
}

static void server_start(struct server *s, uv_loop_t *loop)
{
    struct sockaddr_in at;
    int n = sizeof at;
    memset(s, 0, sizeof *s);
    s->loop = loop;
    uv_tcp_init(loop, &s->listener);
    s->listener.data = s;
    uv_ip4_addr("127.0.0.1", 0, &at);
    assert_int_equal(uv_tcp_bind(&s->listener, (struct sockaddr *)&at, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&s->listener, 16, on_guest), 0);
    assert_int_equal(uv_tcp_getsockname(&s->listener, (struct sockaddr *)&at, &n), 0);
    s->port = ntohs(at.sin_port);
}

/* ---- What came of a fetch ---- */

struct outcome {
    bool done;
    enum weir_err err;
    uint16_t status;
    char why[160];
    char flavour[32];
    struct buf body;
};

static void on_done(void *context, const struct fetch_answer *a)
{
    struct outcome *o = context;
    assert_false(o->done);
    o->done = true;
    o->err = a->err;
    o->status = a->status;
    snprintf(o->why, sizeof o->why, "%s", a->why);
    buf_clear(&o->body);
    buf_add(&o->body, a->body);
    assert_int_equal(a->head != NULL, a->err == WEIR_OK);
    if (a->head == NULL) return;
    struct str flavour = http1_get(a->head, "metadata-flavor");
    snprintf(o->flavour, sizeof o->flavour, "%.*s", STR_FMT(flavour));
}

static uv_loop_t loop;
static struct server server;
static struct outcome out;

static void on_bound(uv_timer_t *t)
{
    (void)t;
    fail_msg("the fetch never ended");
}

static void run_fetch(struct fetch_request r)
{
    uv_timer_t bound;
    struct buf body = out.body;
    memset(&out, 0, sizeof out);
    out.body = body;
    assert_non_null(fetch_start(&loop, &r, on_done, &out));
    assert_false(out.done);
    uv_timer_init(&loop, &bound);
    uv_timer_start(&bound, on_bound, 8000, 0);
    while (!out.done) uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&bound, NULL);
    for (int i = 0; i < 5; i++) uv_run(&loop, UV_RUN_NOWAIT); /* closing callbacks */
}

static struct str url_at(const char *scheme, const char *host, const char *target)
{
    static char url[256];
    snprintf(url, sizeof url, "%s://%s:%u%s", scheme, host, server.port, target);
    return str_of(url);
}

static void fetch_from(const char *answer, const char *target)
{
    server.answer = answer;
    run_fetch((struct fetch_request){.url = url_at("http", "127.0.0.1", target), .deadline_ms = 3000});
}

static int set_up(void **state)
{
    (void)state;
    uv_loop_init(&loop);
    server_start(&server, &loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    uv_close((uv_handle_t *)&server.listener, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0); /* no handle was forgotten */
    buf_fini(&server.got);
    buf_fini(&out.body);
    return 0;
}

/* ---- The stories ---- */

static void an_answer_is_given(void **state)
{
    (void)state;
    char want[256];
    fetch_from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nMetadata-Flavor: Google\r\n\r\nhello", "/a/b/?x=%20y");
    assert_int_equal(out.err, WEIR_OK);
    assert_int_equal(out.status, 200);
    assert_true(str_is(buf_view(&out.body), "hello"));
    assert_string_equal(out.flavour, "Google");
    snprintf(want, sizeof want, "GET /a/b/?x=%%20y HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: weir/", server.port);
    assert_true(str_starts(buf_view(&server.got), str_of(want)));
    assert_false(str_contains(buf_view(&server.got), STR("Content-Length")));
}

static void a_body_is_sent(void **state)
{
    (void)state;
    server.answer = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    run_fetch((struct fetch_request){.url = url_at("http", "localhost", ""),
                                     .method = STR("POST"),
                                     .headers = STR("Metadata: true\r\n"),
                                     .body = STR("grant_type=x"),
                                     .deadline_ms = 3000});
    assert_int_equal(out.err, WEIR_OK);
    assert_int_equal(out.status, 201);
    assert_true(str_is(buf_view(&out.body), "abcde"));
    assert_true(str_starts(buf_view(&server.got), STR("POST / HTTP/1.1\r\nHost: localhost:")));
    assert_true(
        str_contains(buf_view(&server.got), STR("\r\nMetadata: true\r\nContent-Length: 12\r\n\r\ngrant_type=x")));
    run_fetch(
        (struct fetch_request){.url = url_at("http", "127.0.0.1", "/t"), .method = STR("PUT"), .deadline_ms = 3000});
    assert_true(str_contains(buf_view(&server.got), STR("\r\nContent-Length: 0\r\n\r\n")));
}

static void any_status_is_an_answer(void **state)
{
    (void)state;
    fetch_from("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "/");
    assert_true(out.err == WEIR_OK && out.status == 302);
    fetch_from("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", "/");
    assert_true(out.err == WEIR_OK && out.status == 503 && str_is(buf_view(&out.body), "no"));
    fetch_from("HTTP/1.0 200 OK\r\n\r\nuntil the end", "/");
    assert_true(out.err == WEIR_OK && str_is(buf_view(&out.body), "until the end"));
    fetch_from("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "/");
    assert_true(out.err == WEIR_OK && out.status == 204);
}

static void what_is_no_answer_is_named(void **state)
{
    (void)state;
    fetch_from("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhell", "/");
    assert_int_equal(out.err, WEIR_UP_TRUNCATED);
    fetch_from(NULL, "/");
    assert_int_equal(out.err, WEIR_UP_TRUNCATED);
    assert_string_equal(out.why, "closed without an answer");
    fetch_from("SSH-2.0-x\r\n\r\n", "/");
    assert_int_equal(out.err, WEIR_UP_PROTOCOL);
    assert_true(out.why[0] != '\0');
}

static void a_large_answer_is_refused(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n123456789"};
    for (size_t i = 0; i < 3; i++) {
        server.answer = answers[i];
        run_fetch(
            (struct fetch_request){.url = url_at("http", "127.0.0.1", "/"), .body_limit = 8, .deadline_ms = 3000});
        assert_true(out.err != WEIR_OK && out.status == 0);
    }
}

static void a_silent_server_is_left(void **state)
{
    (void)state;
    server.answer = NULL;
    server.after = AFTER_WAIT;
    uint64_t before = uv_hrtime();
    run_fetch((struct fetch_request){.url = url_at("http", "127.0.0.1", "/"), .deadline_ms = 150});
    assert_int_equal(out.err, WEIR_UP_TIMEOUT_TOTAL);
    assert_true(uv_hrtime() - before < 3000000000u);
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhell"; /* and then nothing */
    run_fetch((struct fetch_request){.url = url_at("http", "127.0.0.1", "/"), .deadline_ms = 150});
    assert_int_equal(out.err, WEIR_UP_TIMEOUT_TOTAL);
    server.after = AFTER_CLOSE;
}

static void what_cannot_be_fetched_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        enum weir_err err;
    } cases[] = {
        {"", WEIR_UP_BLOCKED},
        {"ftp://x/", WEIR_UP_BLOCKED},
        {"http://user@127.0.0.1/", WEIR_UP_BLOCKED},
        {"http://127.0.0.1/a b", WEIR_UP_BLOCKED},
        {"http://127.0.0.1/a\r\nx: y", WEIR_UP_BLOCKED},
        {"http://127.0.0.1/#f", WEIR_UP_BLOCKED},
        {"https://127.0.0.1/", WEIR_UP_BLOCKED}, /* nobody to trust */
        {"http://127.0.0.1:1/", WEIR_UP_CONNECT},
        {"http://no-such-name.invalid/", WEIR_UP_DNS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run_fetch((struct fetch_request){.url = str_of(cases[i].url), .deadline_ms = 5000});
        if (out.err != cases[i].err) print_message("# %s: %s %s\n", cases[i].url, err_word(out.err), out.why);
        assert_int_equal(out.err, cases[i].err);
        assert_true(out.why[0] != '\0');
    }
}

static void never_called(void *context, const struct fetch_answer *a)
{
    (void)context, (void)a;
    fail_msg("a cancelled fetch called back");
}

static void a_cancelled_fetch_is_silent(void **state)
{
    (void)state;
    server.answer = NULL;
    server.after = AFTER_WAIT;
    const struct fetch_request by_ip = {.url = url_at("http", "127.0.0.1", "/"), .deadline_ms = 100};
    for (int turns = 0; turns < 6; turns++) {
        struct fetch *f = fetch_start(&loop, &by_ip, never_called, NULL);
        for (int i = 0; i < turns; i++) uv_run(&loop, UV_RUN_NOWAIT);
        fetch_cancel(&f);
        assert_null(f);
        fetch_cancel(&f);
        if (turns > 1)
            continue; /* a look-up of localhost takes a few turns, and then it calls back: the port is closed */
        const struct fetch_request by_name = {.url = STR("http://localhost:1/"), .deadline_ms = 100};
        f = fetch_start(&loop, &by_name, never_called, NULL);
        for (int i = 0; i < turns; i++) uv_run(&loop, UV_RUN_NOWAIT);
        fetch_cancel(&f);
    }
    server.after = AFTER_CLOSE;
}

static void tls_is_spoken_and_judged(void **state)
{
    (void)state;
    struct cert ours, other;
    struct peer_conf conf;
    const uint8_t ip[4] = {127, 0, 0, 1};
    const char *why = "";
    MUST((int)psa_crypto_init());
    cert_make(&ours,
              &(struct cert_spec){.subject = "CN=here", .dns = "localhost", .ip = ip, .ip_bytes = 4, .ca = true});
    cert_make(&other, &(struct cert_spec){.subject = "CN=other", .dns = "localhost", .ca = true});
    peer_conf_init(&conf, &ours, MBEDTLS_SSL_VERSION_TLS1_3);
    struct tls_trust *trust = tls_trust_new(str_of(ours.pem), &why), *wrong = tls_trust_new(str_of(other.pem), &why);
    assert_true(trust != NULL && wrong != NULL);
    server.tls = &conf;
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    run_fetch(
        (struct fetch_request){.url = url_at("https", "localhost", "/token"), .trust = trust, .deadline_ms = 5000});
    if (out.err != WEIR_OK) print_message("# %s\n", out.why);
    assert_true(out.err == WEIR_OK && str_is(buf_view(&out.body), "hello"));
    run_fetch((struct fetch_request){.url = url_at("https", "127.0.0.1", "/token"),
                                     .method = STR("POST"),
                                     .body = STR("a=b"),
                                     .trust = trust,
                                     .deadline_ms = 5000});
    assert_true(out.err == WEIR_OK && str_ends(buf_view(&server.got), STR("\r\n\r\na=b")));
    server.answer = "HTTP/1.0 200 OK\r\n\r\nto the end"; /* which TLS's own end makes certain */
    run_fetch((struct fetch_request){.url = url_at("https", "localhost", "/"), .trust = trust, .deadline_ms = 5000});
    assert_true(out.err == WEIR_OK && str_is(buf_view(&out.body), "to the end"));
    server.connections = 0;
    run_fetch((struct fetch_request){.url = url_at("https", "localhost", "/"), .trust = wrong, .deadline_ms = 5000});
    assert_int_equal(out.err, WEIR_UP_TLS);
    assert_int_equal(server.connections, 2); /* tried twice, see on_end() */
    server.tls = NULL;
    tls_trust_free(&trust);
    tls_trust_free(&wrong);
    for (int i = 0; i < 20; i++) uv_run(&loop, UV_RUN_NOWAIT); /* guests leave before their settings do */
    peer_conf_fini(&conf);
    cert_free(&ours);
    cert_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_given),
        cmocka_unit_test(a_body_is_sent),
        cmocka_unit_test(any_status_is_an_answer),
        cmocka_unit_test(what_is_no_answer_is_named),
        cmocka_unit_test(a_large_answer_is_refused),
        cmocka_unit_test(a_silent_server_is_left),
        cmocka_unit_test(what_cannot_be_fetched_is_refused),
        cmocka_unit_test(a_cancelled_fetch_is_silent),
        cmocka_unit_test(tls_is_spoken_and_judged),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
