/* rsa_key.h — a throw-away RSA key, made when a test starts, and its PKCS#8 text as Google's files hold it
 * Owns:     the key until rsa_key_fini().
 * Process:  tests.
 * Memory:   the heap.
 * Fails:    assert; this is a test's tool.
 * Not here: certificates (tls_peer.h). */
#pragma once

#include "proto/base/base64.h"

#include <assert.h>
#include <string.h>

#include <mbedtls/pk.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/rsa.h>
#include <psa/crypto.h>

struct rsa_key {
    mbedtls_pk_context pk;
    struct buf pem; /* PKCS#8 */
};

static inline void rsa_der(struct buf *out, uint8_t tag, struct str content)
{
    buf_addc(out, (char)tag);
    buf_addc(out, (char)0x82); /* length in two bytes: not the shortest form for small ones, so only used for large */
    buf_addc(out, (char)(content.n >> 8));
    buf_addc(out, (char)(content.n & 0xff));
    buf_add(out, content);
}

/* PrivateKeyInfo (RFC 5208): version 0, rsaEncryption, the PKCS#1 key as an octet string. */
static inline void rsa_pkcs8(struct str pkcs1, struct buf *pem)
{
    static const char head[] = "\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    struct buf inner = {0}, der = {0}, text = {0};
    buf_add(&inner, (struct str){head, sizeof head - 1});
    rsa_der(&inner, 0x04, pkcs1);
    rsa_der(&der, 0x30, buf_view(&inner));
    base64_encode(buf_view(&der), &text);
    buf_addz(pem, "-----BEGIN PRIVATE KEY-----\n");
    for (size_t at = 0; at < buf_len(&text); at += 64) {
        buf_add(pem, str_slice(buf_view(&text), at, at + 64));
        buf_addc(pem, '\n');
    }
    buf_addz(pem, "-----END PRIVATE KEY-----\n");
    buf_fini(&inner);
    buf_fini(&der);
    buf_fini(&text);
}

static inline void rsa_key_init(struct rsa_key *k, unsigned bits)
{
    static unsigned char der[4096];
    memset(k, 0, sizeof *k);
    int rc = (int)psa_crypto_init();
    assert(rc == 0);
    mbedtls_pk_init(&k->pk);
    rc = mbedtls_pk_setup(&k->pk, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA));
    assert(rc == 0);
    rc = mbedtls_rsa_gen_key(mbedtls_pk_rsa(k->pk), mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE, bits, 65537);
    assert(rc == 0);
    rc = mbedtls_pk_write_key_der(&k->pk, der, sizeof der); /* at the end of der */
    assert(rc > 0);
    rsa_pkcs8((struct str){(const char *)der + sizeof der - rc, (size_t)rc}, &k->pem);
}

static inline void rsa_key_fini(struct rsa_key *k)
{
    mbedtls_pk_free(&k->pk);
    buf_fini(&k->pem);
}
