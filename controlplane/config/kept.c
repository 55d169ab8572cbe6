#include "controlplane/config/kept.h"

#include <mbedtls/gcm.h>
#include <string.h>
#include <sys/random.h>

#include "controlplane/config/env.h"
#include "controlplane/config/keys.h"

/* The blob: 'P', the source's length (2 bytes), source, text; or 'S', nonce, tag, and all that encrypted. */
enum { NONCE_BYTES = 12, TAG_BYTES = 16, SEAL_BYTES = 1 + NONCE_BYTES + TAG_BYTES };

static bool is_typed_in(const struct tree_node *section, enum key_section s)
{
    for (size_t i = 0; i < key_rows_n; i++) {
        const struct tree_node *key = NULL;

        if (key_rows[i].section == s && key_rows[i].kind == KIND_SECRET) key = tree_find(section, key_rows[i].name);
        if (key != NULL && key->text.n > 0 && env_is_typed_in(key->text)) return true;
    }
    return false;
}

static bool has_typed_in_secret(const struct config *c)
{
    for (size_t i = 0; i < c->providers.n; i++) {
        const struct config_provider *p = &c->providers.at[i];

        if (is_typed_in(p->at.node, SECTION_provider)) return true;
        for (size_t j = 0; j < p->api_keys.n; j++)
            if (is_typed_in(p->api_keys.at[j].at.node, SECTION_secret)) return true;
    }
    return false;
}

static bool seal(struct str plain, const uint8_t secret[KEPT_SECRET_BYTES], struct buf *out)
{
    mbedtls_gcm_context gcm;
    uint8_t *to = (uint8_t *)buf_reserve(out, SEAL_BYTES + plain.n);
    uint8_t *nonce = to + 1, *tag = nonce + NONCE_BYTES;
    bool is_done;

    to[0] = 'S';
    mbedtls_gcm_init(&gcm);
    is_done = getrandom(nonce, NONCE_BYTES, 0) == NONCE_BYTES &&
              mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, secret, 8 * KEPT_SECRET_BYTES) == 0 &&
              mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, plain.n, nonce, NONCE_BYTES, NULL, 0,
                                        (const uint8_t *)plain.p, to + SEAL_BYTES, TAG_BYTES, tag) == 0;
    mbedtls_gcm_free(&gcm);
    if (is_done) buf_commit(out, SEAL_BYTES + plain.n);
    return is_done;
}

static bool unseal(struct str blob, const uint8_t secret[KEPT_SECRET_BYTES], struct buf *out)
{
    mbedtls_gcm_context gcm;
    const uint8_t *nonce = (const uint8_t *)blob.p + 1, *tag = nonce + NONCE_BYTES;
    size_t n = blob.n - SEAL_BYTES;
    uint8_t *to = (uint8_t *)buf_reserve(out, n + 1);
    bool is_done;

    mbedtls_gcm_init(&gcm);
    is_done = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, secret, 8 * KEPT_SECRET_BYTES) == 0 &&
              mbedtls_gcm_auth_decrypt(&gcm, n, nonce, NONCE_BYTES, NULL, 0, tag, TAG_BYTES,
                                       (const uint8_t *)blob.p + SEAL_BYTES, to) == 0;
    mbedtls_gcm_free(&gcm);
    if (is_done) buf_commit(out, n);
    return is_done;
}

static void wipe(struct buf *b)
{
    if (b->p != NULL) explicit_bzero(b->p, b->cap);
    buf_fini(b);
}

void kept_write(const struct config *c, const uint8_t secret[KEPT_SECRET_BYTES], struct buf *out)
{
    struct buf plain = {0};
    uint16_t n = (uint16_t)(c->source.n < UINT16_MAX ? c->source.n : UINT16_MAX);

    buf_add(&plain, (struct str){(const char *)&n, sizeof n});
    buf_add(&plain, str_slice(c->source, 0, n));
    buf_add(&plain, c->text);
    if (!has_typed_in_secret(c)) {
        buf_addc(out, 'P');
        buf_add(out, buf_view(&plain));
    } else if (!seal(buf_view(&plain), secret, out)) {
        buf_clear(out); /* an empty blob: nothing is kept rather than a key */
    }
    wipe(&plain);
}

bool kept_read(struct str blob, const uint8_t secret[KEPT_SECRET_BYTES], struct buf *ret_text, struct buf *ret_source)
{
    struct buf plain = {0};
    struct str s;
    uint16_t n = 0;
    bool is_read = false;

    if (blob.n > 1 && blob.p[0] == 'P') {
        buf_add(&plain, str_slice(blob, 1, blob.n));
        is_read = true;
    } else if (blob.n >= SEAL_BYTES && blob.p[0] == 'S') {
        is_read = unseal(blob, secret, &plain);
    }
    s = buf_view(&plain);
    is_read = is_read && s.n >= sizeof n;
    if (is_read) memcpy(&n, s.p, sizeof n);
    is_read = is_read && s.n >= sizeof n + n;
    if (is_read) {
        buf_add(ret_source, str_slice(s, sizeof n, sizeof n + n));
        buf_add(ret_text, str_slice(s, sizeof n + n, s.n));
    }
    wipe(&plain);
    return is_read;
}
