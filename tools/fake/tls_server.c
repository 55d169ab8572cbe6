#include "tools/fake/tls_server.h"

#include "proto/base/mem.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>
#include <stdlib.h>
#include <string.h>

struct tls_server {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_x509_crt cert;
    mbedtls_pk_context key;
    mbedtls_ssl_ticket_context tickets;
    mbedtls_ssl_config conf;
};

struct tls_peer {
    mbedtls_ssl_context ssl;
    struct buf in, out;
    bool is_ready, starved;
};

enum { TICKET_LIFETIME_S = 3600 };

static char why_text[160];

static const char *explain(const char *what, int error)
{
    char text[100];
    mbedtls_strerror(error, text, sizeof text);
    snprintf(why_text, sizeof why_text, "%s: %s", what, text);
    return why_text;
}

static const char *set_up(struct tls_server *s, const char *cert_path, const char *key_path, bool only_12)
{
    int r;
    if (psa_crypto_init() != PSA_SUCCESS) return "psa_crypto_init failed";
    if ((r = mbedtls_ctr_drbg_seed(&s->random, mbedtls_entropy_func, &s->entropy, NULL, 0)) != 0)
        return explain("random", r);
    if ((r = mbedtls_x509_crt_parse_file(&s->cert, cert_path)) != 0) return explain(cert_path, r);
    if ((r = mbedtls_pk_parse_keyfile(&s->key, key_path, NULL, mbedtls_ctr_drbg_random, &s->random)) != 0)
        return explain(key_path, r);
    if ((r = mbedtls_ssl_config_defaults(&s->conf, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT)) != 0)
        return explain("TLS configuration", r);
    mbedtls_ssl_conf_rng(&s->conf, mbedtls_ctr_drbg_random, &s->random);
    if ((r = mbedtls_ssl_conf_own_cert(&s->conf, &s->cert, &s->key)) != 0) return explain("certificate and key", r);
    if ((r = mbedtls_ssl_ticket_setup(&s->tickets, mbedtls_ctr_drbg_random, &s->random, MBEDTLS_CIPHER_AES_256_GCM,
                                      TICKET_LIFETIME_S)) != 0)
        return explain("tickets", r);
    mbedtls_ssl_conf_session_tickets_cb(&s->conf, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &s->tickets);
    static const char *alpn[] = {"http/1.1", NULL};
    mbedtls_ssl_conf_alpn_protocols(&s->conf, alpn);
    if (only_12) mbedtls_ssl_conf_max_tls_version(&s->conf, MBEDTLS_SSL_VERSION_TLS1_2);
    return NULL;
}

struct tls_server *tls_server_new(const char *cert_path, const char *key_path, bool only_12, const char **ret_why)
{
    struct tls_server *s = xcalloc(1, sizeof *s);
    mbedtls_entropy_init(&s->entropy);
    mbedtls_ctr_drbg_init(&s->random);
    mbedtls_x509_crt_init(&s->cert);
    mbedtls_pk_init(&s->key);
    mbedtls_ssl_ticket_init(&s->tickets);
    mbedtls_ssl_config_init(&s->conf);
    const char *why = set_up(s, cert_path, key_path, only_12);
    if (why == NULL) return s;
    *ret_why = why; /* the process ends with this: nothing is given back */
    return NULL;
}

static int on_send(void *context, const unsigned char *bytes, size_t n)
{
    struct tls_peer *t = context;
    buf_add(&t->out, (struct str){(const char *)bytes, n});
    return (int)n;
}

static int on_receive(void *context, unsigned char *bytes, size_t n)
{
    struct tls_peer *t = context;
    struct str have = buf_view(&t->in);
    if (have.n == 0) {
        t->starved = true;
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    n = n < have.n ? n : have.n;
    memcpy(bytes, have.p, n);
    buf_consume(&t->in, n);
    return (int)n;
}

struct tls_peer *tls_peer_new(struct tls_server *server)
{
    struct tls_peer *t = xcalloc(1, sizeof *t);
    mbedtls_ssl_init(&t->ssl);
    if (mbedtls_ssl_setup(&t->ssl, &server->conf) != 0) abort(); /* out of memory */
    mbedtls_ssl_set_bio(&t->ssl, t, on_send, on_receive, NULL);
    return t;
}

void tls_peer_free(struct tls_peer **t)
{
    struct tls_peer *gone = *t;
    *t = NULL;
    if (gone == NULL) return;
    mbedtls_ssl_free(&gone->ssl);
    buf_fini(&gone->in);
    buf_fini(&gone->out);
    free(gone);
}

/* mbedTLS says WANT_READ also with input left, between two steps of TLS 1.3: only the callback knows that nothing is left. */
static bool wants_more(const struct tls_peer *t, int r)
{
    return r == MBEDTLS_ERR_SSL_WANT_READ && t->starved;
}

static bool is_transient(int r)
{
    return r == MBEDTLS_ERR_SSL_WANT_READ || r == MBEDTLS_ERR_SSL_WANT_WRITE;
}

bool tls_peer_feed(struct tls_peer *t, struct str cipher, struct buf *plain, bool *ret_closed)
{
    buf_add(&t->in, cipher);
    while (!t->is_ready) {
        t->starved = false;
        int r = mbedtls_ssl_handshake(&t->ssl);
        if (wants_more(t, r)) return true;
        if (r != 0 && !is_transient(r)) return false;
        t->is_ready = r == 0;
    }
    for (;;) {
        t->starved = false;
        char *room = buf_reserve(plain, 16384);
        int r = mbedtls_ssl_read(&t->ssl, (unsigned char *)room, 16384);
        if (r > 0)
            buf_commit(plain, (size_t)r);
        else if (wants_more(t, r))
            return true;
        else if (r == 0 || r == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
            return *ret_closed = true;
        else if (!is_transient(r))
            return false;
    }
}

bool tls_peer_is_ready(const struct tls_peer *t)
{
    return t->is_ready;
}

void tls_peer_write(struct tls_peer *t, struct str plain)
{
    while (plain.n > 0) {
        int r = mbedtls_ssl_write(&t->ssl, (const unsigned char *)plain.p, plain.n);
        if (r <= 0) return; /* the connection is broken; reading will say so */
        plain = str_slice(plain, (size_t)r, plain.n);
    }
}

void tls_peer_close(struct tls_peer *t)
{
    if (t->is_ready) mbedtls_ssl_close_notify(&t->ssl);
}

struct buf *tls_peer_out(struct tls_peer *t)
{
    return &t->out;
}
