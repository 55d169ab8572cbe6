#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire/tls.h"
#include "tests/unit/proto/wire/tls_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct cert ca, other_ca, good, expired, future, self_signed, by_other, by_ip, no_names, weak_key, weak_hash;
static struct tls_trust *trust;

static const mbedtls_ssl_protocol_version versions[] = {MBEDTLS_SSL_VERSION_TLS1_2, MBEDTLS_SSL_VERSION_TLS1_3};

static int make_certificates(void **state)
{
    static const uint8_t ip[] = {127, 0, 0, 1};
    (void)state;
    psa_crypto_init();
    cert_make(&ca, &(struct cert_spec){.subject = "CN=Test CA", .ca = true});
    cert_make(&other_ca, &(struct cert_spec){.subject = "CN=Other CA", .ca = true});
    cert_make(&good, &(struct cert_spec){.subject = "CN=x", .dns = "api.test", .dns2 = "*.wild.test", .issuer = &ca});
    cert_make(&expired,
              &(struct cert_spec){.subject = "CN=x", .dns = "api.test", .to = "20210131000000", .issuer = &ca});
    cert_make(&future,
              &(struct cert_spec){.subject = "CN=x", .dns = "api.test", .from = "20980203000000", .issuer = &ca});
    cert_make(&self_signed, &(struct cert_spec){.subject = "CN=x", .dns = "api.test"});
    cert_make(&by_other, &(struct cert_spec){.subject = "CN=x", .dns = "api.test", .issuer = &other_ca});
    cert_make(&by_ip, &(struct cert_spec){.subject = "CN=x", .ip = ip, .ip_bytes = 4, .issuer = &ca});
    cert_make(&no_names, &(struct cert_spec){.subject = "CN=api.test", .issuer = &ca});
    cert_make(&weak_key, &(struct cert_spec){.subject = "CN=x", .dns = "api.test", .issuer = &ca, .rsa_bits = 1024});
    cert_make(&weak_hash,
              &(struct cert_spec){.subject = "CN=x", .dns = "api.test", .issuer = &ca, .md = MBEDTLS_MD_SHA1});
    const char *why;
    trust = tls_trust_new(str_of(ca.pem), &why);
    return trust == NULL;
}

static int free_certificates(void **state)
{
    (void)state;
    struct cert *all[] = {&ca,       &other_ca, &good,     &expired,  &future,   &self_signed,
                          &by_other, &by_ip,    &no_names, &weak_key, &weak_hash};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) cert_free(all[i]);
    tls_trust_free(&trust);
    mbedtls_psa_crypto_free();
    return 0;
}

/* One connection between the client under test and the server, both in memory. `piece`: bytes given to the client at a time. */
struct link {
    struct tls *client;
    struct peer server;
    struct buf plain;
    enum tls_state state;
};

static void move(struct link *l, size_t piece)
{
    for (int rounds = 0; rounds < 20; rounds++) {
        struct buf *out = tls_out(l->client);
        bool any = buf_len(out) > 0;
        buf_add(&l->server.in, buf_view(out));
        buf_clear(out);
        peer_drive(&l->server);
        while (buf_len(&l->server.out) > 0) {
            struct str v = buf_view(&l->server.out);
            size_t n = v.n < piece ? v.n : piece;
            char *copy = malloc(n);
            memcpy(copy, v.p, n);
            l->state = tls_feed(l->client, (struct str){copy, n}, &l->plain);
            free(copy);
            buf_consume(&l->server.out, n);
            any = true;
        }
        if (!any) return;
    }
}

static void open_link(struct link *l, struct peer_conf *conf, const char *host, struct str ticket)
{
    memset(l, 0, sizeof *l);
    peer_init(&l->server, conf);
    l->client = tls_new(trust, str_of(host), ticket);
    assert_non_null(l->client);
    l->state = tls_start(l->client);
    assert_int_equal(l->state, TLS_MORE);
    assert_true(buf_len(tls_out(l->client)) > 0);
}

static void close_link(struct link *l)
{
    tls_free(&l->client);
    peer_fini(&l->server);
    buf_fini(&l->plain);
}

static void exchange(struct link *l, size_t piece)
{
    move(l, piece);
    assert_int_equal(l->state, TLS_READY);
    assert_true(tls_is_handshake_done(l->client));
    tls_write(l->client, STR("GET / HTTP/1.1\r\n\r\n"));
    move(l, piece);
    assert_true(str_is(buf_view(&l->server.plain), "GET / HTTP/1.1\r\n\r\n"));
    peer_write(&l->server, STR("HTTP/1.1 200 OK\r\n\r\n"));
    move(l, piece);
    assert_true(str_is(buf_view(&l->plain), "HTTP/1.1 200 OK\r\n\r\n"));
    assert_int_equal(l->state, TLS_READY);
}

static void bytes_go_both_ways_in_any_split(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 3, 5, 7, 64, 1000, 100000};
    for (size_t v = 0; v < 2; v++) {
        struct peer_conf conf;
        peer_conf_init(&conf, &good, versions[v]);
        for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
            struct link l;
            open_link(&l, &conf, "api.test", STR_NULL);
            exchange(&l, pieces[i]);
            assert_false(tls_was_resumed(l.client));
            assert_string_equal(conf.sni, "api.test");
            tls_close(l.client);
            move(&l, 100000);
            assert_true(l.server.closed);
            close_link(&l);
        }
        peer_conf_fini(&conf);
    }
}

static void large_bodies_arrive_whole(void **state)
{
    (void)state;
    enum { N = 300000 };
    struct buf big = {0};
    for (int i = 0; i < N; i++) buf_addc(&big, (char)('a' + i % 23));
    for (size_t v = 0; v < 2; v++) {
        struct peer_conf conf;
        struct link l;
        peer_conf_init(&conf, &good, versions[v]);
        open_link(&l, &conf, "api.test", STR_NULL);
        exchange(&l, 100000);
        buf_clear(&l.plain);
        peer_write(&l.server, buf_view(&big));
        move(&l, 5000);
        assert_true(str_eq(buf_view(&l.plain), buf_view(&big)));
        tls_write(l.client, buf_view(&big));
        buf_clear(&l.server.plain);
        move(&l, 5000);
        assert_true(str_eq(buf_view(&l.server.plain), buf_view(&big)));
        close_link(&l);
        peer_conf_fini(&conf);
    }
    buf_fini(&big);
}

static void refused(struct cert *cert, const char *host, const char *part_of_reason)
{
    for (size_t v = 0; v < 2; v++) {
        struct peer_conf conf;
        struct link l;
        peer_conf_init(&conf, cert, versions[v]);
        open_link(&l, &conf, host, STR_NULL);
        move(&l, 100000);
        assert_int_equal(l.state, TLS_BAD);
        if (strstr(tls_reason(l.client), part_of_reason) == NULL) print_message("# %s\n", tls_reason(l.client));
        assert_non_null(strstr(tls_reason(l.client), part_of_reason));
        tls_write(l.client, STR("secret"));
        move(&l, 100000);
        assert_int_equal(buf_len(&l.server.plain), 0); /* not one byte for who cannot be trusted */
        assert_false(tls_is_handshake_done(l.client));
        assert_false(tls_should_redial(l.client));
        close_link(&l);
        peer_conf_fini(&conf);
    }
}

static void bad_certificates_are_refused_with_a_reason(void **state)
{
    (void)state;
    refused(&expired, "api.test", "certificate expired on 2021-01-31");
    refused(&future, "api.test", "certificate is not yet valid: it begins on 2098-02-03, and the clock here says 20");
    refused(&good, "evil.test", "certificate is for another name: ");
    refused(&good, "evil.test", "api.test");
    refused(&good, "evil.test", "not evil.test");
    refused(&good, "a.b.wild.test", "another name");
    refused(&self_signed, "api.test", "certificate is self-signed");
    refused(&by_other, "api.test", "certificate is from an unknown authority");
    refused(&good, "127.0.0.1", "another name");
    refused(&by_ip, "127.0.0.2", "another name");
    refused(&by_ip, "::1", "another name");
    refused(&by_ip, "x", "another name");
    refused(&no_names, "api.test",
            "certificate is for another name, not api.test"); /* the common name does not count */
    refused(&weak_key, "api.test", "certificate has too weak a key");
    refused(&weak_hash, "api.test", "certificate has too weak a key or signature");
}

static void names_and_addresses_are_accepted(void **state)
{
    (void)state;
    struct peer_conf conf;
    struct link l;
    for (size_t v = 0; v < 2; v++) {
        peer_conf_init(&conf, &good, versions[v]);
        open_link(&l, &conf, "one.WILD.test", STR_NULL);
        exchange(&l, 100000);
        close_link(&l);
        peer_conf_fini(&conf);
        peer_conf_init(&conf, &by_ip, versions[v]);
        open_link(&l, &conf, "127.0.0.1", STR_NULL);
        exchange(&l, 100000);
        assert_string_equal(conf.sni, ""); /* RFC 6066 §3: no address as server name */
        close_link(&l);
        peer_conf_fini(&conf);
    }
}

static void sessions_are_resumed(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct peer_conf conf;
        struct link l;
        struct buf ticket = {0}, again = {0};
        peer_conf_init(&conf, &good, versions[v]);
        open_link(&l, &conf, "api.test", STR_NULL);
        exchange(&l, 3);
        assert_true(tls_ticket(l.client, &ticket));
        assert_true(buf_len(&ticket) > 0 && buf_len(&ticket) < 4096);
        assert_false(tls_ticket(l.client, &again)); /* once */
        close_link(&l);

        open_link(&l, &conf, "api.test", buf_view(&ticket));
        exchange(&l, 1);
        assert_true(tls_was_resumed(l.client));
        close_link(&l);

        peer_conf_fini(&conf); /* a server that has forgotten: the handshake is a full one */
        peer_conf_init(&conf, &good, versions[v]);
        open_link(&l, &conf, "api.test", buf_view(&ticket));
        exchange(&l, 100000);
        assert_false(tls_was_resumed(l.client));
        close_link(&l);

        peer_conf_fini(&conf); /* and the certificate is looked at again */
        peer_conf_init(&conf, &expired, versions[v]);
        open_link(&l, &conf, "api.test", buf_view(&ticket));
        move(&l, 100000);
        assert_int_equal(l.state, TLS_BAD);
        close_link(&l);
        peer_conf_fini(&conf);
        buf_fini(&ticket);
        buf_fini(&again);
    }
}

static void a_broken_ticket_is_passed_over(void **state)
{
    (void)state;
    struct peer_conf conf;
    struct link l;
    peer_conf_init(&conf, &good, MBEDTLS_SSL_VERSION_TLS1_3);
    open_link(&l, &conf, "api.test", STR("not a session"));
    exchange(&l, 100000);
    assert_false(tls_was_resumed(l.client));
    close_link(&l);
    peer_conf_fini(&conf);
}

static void close_notify_is_told(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct peer_conf conf;
        struct link l;
        peer_conf_init(&conf, &good, versions[v]);
        open_link(&l, &conf, "api.test", STR_NULL);
        exchange(&l, 100000);
        buf_clear(&l.plain);
        peer_write(&l.server, STR("last"));
        mbedtls_ssl_close_notify(&l.server.ssl);
        move(&l, 100000);
        assert_int_equal(l.state, TLS_CLOSED);
        assert_true(str_is(buf_view(&l.plain), "last"));
        assert_int_equal(tls_feed(l.client, STR("x"), &l.plain), TLS_CLOSED);
        close_link(&l);
        peer_conf_fini(&conf);
    }
}

static void a_changed_record_is_noticed(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct peer_conf conf;
        struct link l;
        peer_conf_init(&conf, &good, versions[v]);
        open_link(&l, &conf, "api.test", STR_NULL);
        exchange(&l, 100000);
        buf_clear(&l.plain);
        peer_write(&l.server, STR("hello"));
        l.server.out.p[l.server.out.len - 1] ^= 1;
        move(&l, 100000);
        assert_int_equal(l.state, TLS_BAD);
        assert_int_equal(buf_len(&l.plain), 0);
        assert_non_null(strstr(tls_reason(l.client), "changed"));
        close_link(&l);
        peer_conf_fini(&conf);
    }
}

static void what_is_no_tls_is_refused(void **state)
{
    (void)state;
    static const char *const junk[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH\r\n",
                                       "\x15\x03\x01\x00\x02\x02\x46"};
    for (size_t i = 0; i < 3; i++) {
        struct tls *t = tls_new(trust, STR("api.test"), STR_NULL);
        struct buf plain = {0};
        struct str text = i < 2 ? str_of(junk[i]) : (struct str){junk[i], 7};
        tls_start(t);
        enum tls_state s = TLS_MORE;
        for (size_t k = 0; k < text.n; k++) s = tls_feed(t, str_slice(text, k, k + 1), &plain);
        assert_int_equal(s, TLS_BAD);
        assert_non_null(strstr(tls_reason(t), i < 2 ? "does not speak TLS" : "another TLS version"));
        tls_free(&t);
        buf_fini(&plain);
    }
    assert_null(tls_new(trust, STR_NULL, STR_NULL));
    assert_null(tls_new(trust, (struct str){"a\0b", 3}, STR_NULL));
}

static void another_protocol_is_refused(void **state)
{
    (void)state;
    static const char *h2[] = {"h2", NULL};
    for (size_t v = 0; v < 2; v++) {
        struct peer_conf conf;
        struct link l;
        peer_conf_init(&conf, &good, versions[v]);
        MUST(mbedtls_ssl_conf_alpn_protocols(&conf.conf, h2));
        open_link(&l, &conf, "api.test", STR_NULL);
        move(&l, 100000);
        assert_int_equal(l.state, TLS_BAD);
        assert_non_null(strstr(tls_reason(l.client), "HTTP/1.1"));
        close_link(&l);
        peer_conf_fini(&conf);
    }
}

static void many_handshakes_run_at_once(void **state)
{
    (void)state;
    enum { N = 60 }; /* more than mbedTLS's 32 key slots of old */
    static struct link l[N];
    struct peer_conf conf;
    peer_conf_init(&conf, &good, MBEDTLS_SSL_VERSION_TLS1_3);
    for (int i = 0; i < N; i++) open_link(&l[i], &conf, "api.test", STR_NULL);
    for (int i = 0; i < N; i++) exchange(&l[i], 100000);
    for (int i = 0; i < N; i++) close_link(&l[i]);
    peer_conf_fini(&conf);
}

static void trust_is_made_of_text_or_of_the_system(void **state)
{
    (void)state;
    const char *why = NULL;
    struct tls_trust *t = tls_trust_new(STR("no certificate"), &why);
    assert_null(t);
    assert_non_null(strstr(why, "no certificate"));
    setenv("SSL_CERT_FILE", "/does/not/exist", 1);
    t = tls_trust_new(STR_NULL, &why);
    assert_null(t);
    assert_non_null(strstr(why, "/does/not/exist (cannot be read)"));
    char path[] = "/tmp/weir-test-ca-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, ca.pem, strlen(ca.pem)) > 0);
    close(fd);
    setenv("SSL_CERT_FILE", path, 1);
    t = tls_trust_new(STR_NULL, &why);
    assert_non_null(t);
    unlink(path);
    unsetenv("SSL_CERT_FILE");

    struct tls *c = tls_new(t, STR("api.test"), STR_NULL); /* a connection keeps what it was made with */
    tls_trust_free(&t);
    assert_null(t);
    assert_int_equal(tls_start(c), TLS_MORE);
    tls_free(&c);
    tls_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_in_any_split),
        cmocka_unit_test(large_bodies_arrive_whole),
        cmocka_unit_test(bad_certificates_are_refused_with_a_reason),
        cmocka_unit_test(names_and_addresses_are_accepted),
        cmocka_unit_test(sessions_are_resumed),
        cmocka_unit_test(a_broken_ticket_is_passed_over),
        cmocka_unit_test(close_notify_is_told),
        cmocka_unit_test(a_changed_record_is_noticed),
        cmocka_unit_test(what_is_no_tls_is_refused),
        cmocka_unit_test(another_protocol_is_refused),
        cmocka_unit_test(many_handshakes_run_at_once),
        cmocka_unit_test(trust_is_made_of_text_or_of_the_system),
    };
    return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
