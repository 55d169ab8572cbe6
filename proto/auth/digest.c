#include "proto/auth/digest.h"

#include <string.h>

#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>

enum { BLOCK_BYTES = 64 };

static void hash_two(struct str first, struct str second, uint8_t *ret_digest)
{
    mbedtls_sha256_context c;
    mbedtls_sha256_init(&c);
    /* The software implementation cannot fail; an alternative one that did must not leave an old digest in place. */
    if (mbedtls_sha256_starts(&c, 0) != 0 || mbedtls_sha256_update(&c, (const unsigned char *)first.p, first.n) != 0 ||
        mbedtls_sha256_update(&c, (const unsigned char *)second.p, second.n) != 0 ||
        mbedtls_sha256_finish(&c, ret_digest) != 0)
        memset(ret_digest, 0, DIGEST_BYTES);
    mbedtls_sha256_free(&c);
}

void digest_sha256(struct str bytes, uint8_t ret_digest[DIGEST_BYTES])
{
    hash_two(bytes, STR_NULL, ret_digest);
}

void digest_hmac(struct str key, struct str bytes, uint8_t ret_mac[DIGEST_BYTES])
{
    char pad[BLOCK_BYTES] = {0};
    uint8_t inner[DIGEST_BYTES];
    if (key.n > BLOCK_BYTES)
        digest_sha256(key, (uint8_t *)pad);
    else if (key.n > 0)
        memcpy(pad, key.p, key.n);
    for (size_t i = 0; i < BLOCK_BYTES; i++) pad[i] = (char)(pad[i] ^ 0x36);
    hash_two((struct str){pad, BLOCK_BYTES}, bytes, inner);
    for (size_t i = 0; i < BLOCK_BYTES; i++) pad[i] = (char)(pad[i] ^ 0x36 ^ 0x5c);
    hash_two((struct str){pad, BLOCK_BYTES}, (struct str){(const char *)inner, DIGEST_BYTES}, ret_mac);
    mbedtls_platform_zeroize(pad, sizeof pad);
}

void digest_hex(const uint8_t digest[DIGEST_BYTES], char ret_hex[DIGEST_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        ret_hex[2 * i] = digits[digest[i] >> 4];
        ret_hex[2 * i + 1] = digits[digest[i] & 15];
    }
}

void digest_sha256_hex(struct str bytes, char ret_hex[DIGEST_HEX_BYTES])
{
    uint8_t digest[DIGEST_BYTES];
    digest_sha256(bytes, digest);
    digest_hex(digest, ret_hex);
}
