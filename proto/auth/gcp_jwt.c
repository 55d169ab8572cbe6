#include "proto/auth/gcp_jwt.h"

#include "proto/auth/digest.h"
#include "proto/base/base64.h"

#include <stdlib.h>
#include <string.h>

#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>

enum { MIN_KEY_BITS = 2048 }; /* RFC 7518 §3.3 */

static void write_header(const struct gcp_file *f, struct buf *out)
{
    struct buf json = {0};
    buf_addz(&json, "{\"alg\":\"RS256\",\"typ\":\"JWT\"");
    if (f->private_key_id.n > 0) {
        buf_addz(&json, ",\"kid\":");
        buf_add_json_str(&json, f->private_key_id);
    }
    buf_addc(&json, '}');
    base64_encode_url(buf_view(&json), out);
    buf_fini(&json);
}

static void add_member(struct buf *json, const char *key, struct str value)
{
    buf_addf(json, "\"%s\":", key);
    buf_add_json_str(json, value);
    buf_addc(json, ',');
}

static void write_claims(const struct gcp_file *f, const struct gcp_claims *c, uint64_t now_s, struct buf *out)
{
    struct buf json = {0};
    struct str audience = c->audience.n > 0 ? c->audience : f->token_url;
    buf_addc(&json, '{');
    add_member(&json, "iss", f->client_email);
    if (c->self_signed) add_member(&json, "sub", f->client_email);
    if (c->scope.n > 0) add_member(&json, "scope", c->scope);
    if (!c->self_signed || c->scope.n == 0) add_member(&json, "aud", audience);
    buf_addz(&json, "\"iat\":");
    buf_add_u64(&json, now_s);
    buf_addz(&json, ",\"exp\":");
    buf_add_u64(&json, now_s + GCP_JWT_LIFE_S);
    buf_addc(&json, '}');
    base64_encode_url(buf_view(&json), out);
    buf_fini(&json);
}

/* mbedTLS wants PEM with its NUL counted. */
static int parse_key(mbedtls_pk_context *pk, struct str pem, random_fill fill, void *context)
{
    unsigned char *text = calloc(1, pem.n + 1);
    if (text == NULL) return -1;
    if (pem.n > 0) memcpy(text, pem.p, pem.n);
    int rc = mbedtls_pk_parse_key(pk, text, pem.n + 1, NULL, 0, fill, context);
    mbedtls_platform_zeroize(text, pem.n + 1);
    free(text);
    return rc;
}

static bool sign(mbedtls_pk_context *pk, struct str text, random_fill fill, void *context, struct buf *out)
{
    uint8_t digest[DIGEST_BYTES];
    unsigned char signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t n = 0;
    digest_sha256(text, digest);
    if (mbedtls_pk_sign(pk, MBEDTLS_MD_SHA256, digest, sizeof digest, signature, sizeof signature, &n, fill, context) !=
        0)
        return false;
    buf_addc(out, '.');
    base64_encode_url((struct str){(const char *)signature, n}, out);
    return true;
}

bool gcp_jwt_write(const struct gcp_file *f, const struct gcp_claims *claims, uint64_t now_s, random_fill fill,
                   void *context, struct buf *out, const char **ret_why)
{
    mbedtls_pk_context pk;
    size_t start = buf_len(out);
    bool done = false;
    mbedtls_pk_init(&pk);
    if (parse_key(&pk, f->private_key_pem, fill, context) != 0) {
        *ret_why = "its private_key is no PEM private key";
    } else if (mbedtls_pk_get_type(&pk) != MBEDTLS_PK_RSA || mbedtls_pk_get_bitlen(&pk) < MIN_KEY_BITS) {
        *ret_why = "its private_key is no RSA key of 2048 bits or more";
    } else {
        write_header(f, out);
        buf_addc(out, '.');
        write_claims(f, claims, now_s, out);
        struct str all = buf_view(out);
        done = sign(&pk, str_slice(all, start, all.n), fill, context, out);
        if (!done) *ret_why = "its private_key cannot sign";
    }
    if (!done) buf_truncate(out, start);
    mbedtls_pk_free(&pk);
    return done;
}
