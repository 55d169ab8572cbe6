/* tls_peer.h — a TLS server without sockets, and certificates made on the spot
 * Owns:     keys and certificates until peer_fini(); PEM text in static storage.
 * Process:  tests.
 * Memory:   the heap.
 * Fails:    assert; this is a test's tool.
 * Not here: what the client does with it. */
#pragma once

#include "proto/base/buf.h"

#include <assert.h>
#include <string.h>

#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/rsa.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>

#define MUST(call)            \
    do {                      \
        int must_rc = (call); \
        assert(must_rc == 0); \
        (void)must_rc;        \
    } while (0)

struct cert {
    mbedtls_pk_context key;
    mbedtls_x509_crt crt;
    char pem[4096];
};

struct cert_spec {
    const char *subject;    /* "CN=x" */
    const char *dns, *dns2; /* SAN names or NULL */
    const uint8_t *ip;      /* SAN address or NULL */
    size_t ip_bytes;
    const char *from, *to;     /* "20200101000000" */
    const struct cert *issuer; /* NULL: itself */
    bool ca;
    unsigned rsa_bits;    /* 0: ECDSA P-256 */
    mbedtls_md_type_t md; /* 0: SHA-256 */
};

static inline void cert_sans(mbedtls_x509write_cert *w, const struct cert_spec *s)
{
    mbedtls_x509_san_list item[3], *list = NULL;
    memset(item, 0, sizeof item);
    const void *value[3] = {s->dns, s->dns2, s->ip};
    for (int i = 0; i < 3; i++) {
        if (value[i] == NULL) continue;
        item[i].node.type = i == 2 ? MBEDTLS_X509_SAN_IP_ADDRESS : MBEDTLS_X509_SAN_DNS_NAME;
        item[i].node.san.unstructured_name.p = (unsigned char *)(uintptr_t)value[i];
        item[i].node.san.unstructured_name.len = i == 2 ? s->ip_bytes : strlen(value[i]);
        item[i].next = list;
        list = &item[i];
    }
    if (list != NULL) MUST(mbedtls_x509write_crt_set_subject_alternative_name(w, list));
}

static inline void cert_make(struct cert *c, const struct cert_spec *s)
{
    static unsigned char serial = 1;
    char issuer_name[128];
    const struct cert *issuer = s->issuer != NULL ? s->issuer : c;
    mbedtls_x509write_cert w;
    mbedtls_pk_init(&c->key);
    mbedtls_x509_crt_init(&c->crt);
    MUST(mbedtls_pk_setup(&c->key, mbedtls_pk_info_from_type(s->rsa_bits > 0 ? MBEDTLS_PK_RSA : MBEDTLS_PK_ECKEY)));
    if (s->rsa_bits > 0)
        MUST(mbedtls_rsa_gen_key(mbedtls_pk_rsa(c->key), mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE, s->rsa_bits,
                                 65537));
    else
        MUST(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(c->key), mbedtls_psa_get_random,
                                 MBEDTLS_PSA_RANDOM_STATE));
    mbedtls_x509write_crt_init(&w);
    mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&w, s->md != 0 ? s->md : MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&w, &c->key);
    mbedtls_x509write_crt_set_issuer_key(&w, (mbedtls_pk_context *)(uintptr_t)&issuer->key);
    MUST(mbedtls_x509write_crt_set_subject_name(&w, s->subject));
    if (issuer != c) mbedtls_x509_dn_gets(issuer_name, sizeof issuer_name, &issuer->crt.subject);
    MUST(mbedtls_x509write_crt_set_issuer_name(&w, issuer != c ? issuer_name : s->subject));
    MUST(mbedtls_x509write_crt_set_serial_raw(&w, &serial, 1));
    serial++;
    MUST(mbedtls_x509write_crt_set_validity(&w, s->from != NULL ? s->from : "20200101000000",
                                            s->to != NULL ? s->to : "20991231235959"));
    MUST(mbedtls_x509write_crt_set_basic_constraints(&w, s->ca, -1));
    cert_sans(&w, s);
    MUST(mbedtls_x509write_crt_pem(&w, (unsigned char *)c->pem, sizeof c->pem, mbedtls_psa_get_random,
                                   MBEDTLS_PSA_RANDOM_STATE));
    mbedtls_x509write_crt_free(&w);
    MUST(mbedtls_x509_crt_parse(&c->crt, (unsigned char *)c->pem, strlen(c->pem) + 1));
}

static inline void cert_free(struct cert *c)
{
    mbedtls_pk_free(&c->key);
    mbedtls_x509_crt_free(&c->crt);
}

/* The server's settings, for many connections: tickets are its memory. */
struct peer_conf {
    mbedtls_ssl_config conf;
    mbedtls_ssl_ticket_context tickets;
    char sni[80]; /* the last name a client sent */
};

static inline int peer_on_sni(void *p, mbedtls_ssl_context *ssl, const unsigned char *name, size_t n)
{
    struct peer_conf *c = p;
    (void)ssl;
    snprintf(c->sni, sizeof c->sni, "%.*s", (int)n, (const char *)name);
    return 0;
}

static inline void peer_conf_init(struct peer_conf *c, struct cert *cert, mbedtls_ssl_protocol_version version)
{
    memset(c, 0, sizeof *c);
    mbedtls_ssl_config_init(&c->conf);
    mbedtls_ssl_ticket_init(&c->tickets);
    MUST(mbedtls_ssl_config_defaults(&c->conf, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                     MBEDTLS_SSL_PRESET_DEFAULT));
    mbedtls_ssl_conf_rng(&c->conf, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    mbedtls_ssl_conf_min_tls_version(&c->conf, version);
    mbedtls_ssl_conf_max_tls_version(&c->conf, version);
    mbedtls_ssl_conf_sni(&c->conf, peer_on_sni, c);
    MUST(mbedtls_ssl_conf_own_cert(&c->conf, &cert->crt, &cert->key));
    MUST(mbedtls_ssl_ticket_setup(&c->tickets, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE,
                                  MBEDTLS_CIPHER_AES_256_GCM, 86400));
    mbedtls_ssl_conf_session_tickets_cb(&c->conf, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &c->tickets);
}

static inline void peer_conf_fini(struct peer_conf *c)
{
    mbedtls_ssl_config_free(&c->conf);
    mbedtls_ssl_ticket_free(&c->tickets);
}

struct peer {
    mbedtls_ssl_context ssl;
    struct buf in, out, plain;
    bool open, failed, closed;
    int error;
};

static inline int peer_send(void *p, const unsigned char *b, size_t n)
{
    buf_add(&((struct peer *)p)->out, (struct str){(const char *)b, n});
    return (int)n;
}

static inline int peer_recv(void *p, unsigned char *b, size_t n)
{
    struct peer *s = p;
    struct str v = buf_view(&s->in);
    if (v.n == 0) return MBEDTLS_ERR_SSL_WANT_READ;
    if (n > v.n) n = v.n;
    memcpy(b, v.p, n);
    buf_consume(&s->in, n);
    return (int)n;
}

static inline void peer_init(struct peer *s, struct peer_conf *c)
{
    memset(s, 0, sizeof *s);
    mbedtls_ssl_init(&s->ssl);
    MUST(mbedtls_ssl_setup(&s->ssl, &c->conf));
    mbedtls_ssl_set_bio(&s->ssl, s, peer_send, peer_recv, NULL);
}

static inline void peer_fini(struct peer *s)
{
    mbedtls_ssl_free(&s->ssl);
    buf_fini(&s->in);
    buf_fini(&s->out);
    buf_fini(&s->plain);
}

/* Works off what is in `in`. */
static inline void peer_drive(struct peer *s)
{
    unsigned char bytes[4096];
    while (!s->failed && !s->closed) {
        size_t before = buf_len(&s->in);
        int n = s->open ? mbedtls_ssl_read(&s->ssl, bytes, sizeof bytes) : mbedtls_ssl_handshake(&s->ssl);
        if (!s->open && n == 0) {
            s->open = true;
        } else if (n > 0) {
            buf_add(&s->plain, (struct str){(char *)bytes, (size_t)n});
        } else if (n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
            s->closed = true;
        } else if (n == MBEDTLS_ERR_SSL_WANT_READ || n == MBEDTLS_ERR_SSL_WANT_WRITE) {
            if (buf_len(&s->in) == 0 || buf_len(&s->in) == before) return;
        } else {
            s->failed = true;
            s->error = n;
        }
    }
}

static inline void peer_write(struct peer *s, struct str text)
{
    while (text.n > 0) {
        int n = mbedtls_ssl_write(&s->ssl, (const unsigned char *)text.p, text.n);
        assert(n > 0);
        text = str_slice(text, (size_t)n, text.n);
    }
}
