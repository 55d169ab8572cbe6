/* digest.h — SHA-256 and HMAC for signers, without heap memory
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   the stack: mbedTLS's own HMAC would allocate for each call.
 * Fails:    never.
 * Not here: RSA (gcp_jwt.c), TLS's hashes (mbedTLS). */
#pragma once

#include "proto/base/str.h"

enum { DIGEST_BYTES = 32, DIGEST_HEX_BYTES = 64 };

void digest_sha256(struct str bytes, uint8_t ret_digest[DIGEST_BYTES]);
void digest_hmac(struct str key, struct str bytes, uint8_t ret_mac[DIGEST_BYTES]); /* RFC 2104 over SHA-256 */
/* In lower case; ret_hex is not NUL-terminated. */
void digest_hex(const uint8_t digest[DIGEST_BYTES], char ret_hex[DIGEST_HEX_BYTES]);
void digest_sha256_hex(struct str bytes, char ret_hex[DIGEST_HEX_BYTES]);
