/* gcp_jwt.h — the signed assertion of a service account: RS256 over two small JSON texts
 * Owns:     nothing.
 * Process:  any; pure: time and random numbers are passed in.
 * Memory:   mbedTLS's heap while a key is parsed and used (once an hour).
 * Fails:    false with a text that names what is wrong with the key; never a part of it.
 * Not here: exchanging the assertion (gcp.h, token.h).
 * Sources: RFC 7515, RFC 7519, RFC 7523; Google, "Using OAuth 2.0 for server to server applications". */
#pragma once

#include "proto/auth/gcp.h"

enum { GCP_JWT_LIFE_S = 3600 }; /* the most that Google takes */

/* Fills n bytes; 0 when it could. RSA is blinded with them, so that timing tells nothing of the key; the signature does not depend
 * on them. */
typedef int (*random_fill)(void *context, unsigned char *out, size_t n);

struct gcp_claims {
    struct str scope;    /* one of the two: for the exchange, and for calls without one */
    struct str audience; /* empty: the file's token_url (the exchange) */
    bool self_signed; /* sent to the API itself instead of exchanged: has "sub", and an audience only without a scope */
};

/* Appends header.claims.signature. */
bool gcp_jwt_write(const struct gcp_file *f, const struct gcp_claims *claims, uint64_t now_s, random_fill fill,
                   void *context, struct buf *out, const char **ret_why);
