/* sigv4.h — AWS Signature Version 4: a request made canonical, hashed and signed
 * Owns:     nothing; results are text in the arena.
 * Process:  any; pure: the time is passed in.
 * Memory:   the arena.
 * Fails:    never on what is signed; sigv4_sign() with WEIR_UP_AUTH as signer.h says.
 * Not here: credentials (controlplane/credentials.c); correcting a wrong clock (who sends passes the corrected time).
 * Source: AWS, "Create a signed AWS API request"; "Authenticating requests: using query parameters".
 *
 *   canonical request = METHOD \n path \n query, sorted \n name:value \n … \n \n name;name;… \n hash of the body
 *   text to sign      = AWS4-HMAC-SHA256 \n time \n date/region/service/aws4_request \n hash of the canonical request
 *   signature         = HMAC(HMAC(HMAC(HMAC(HMAC("AWS4" secret, date), region), service), "aws4_request"), text to sign)
 */
#pragma once

#include "proto/auth/signer.h"

struct sigv4_input {
    struct str method, path,
        query; /* as on the request line: the path is encoded once more, the query made canonical */
    const struct http1_header
        *header; /* each is signed, but those that may change on the way (User-Agent, Connection …) */
    unsigned n;
    struct str payload_hash; /* 64 hex digits of the body's SHA-256, or SIGV4_UNSIGNED_PAYLOAD */
    struct credential credential;
    struct str region, service;
    uint64_t now_s;
    struct sign_cache *cache; /* may be NULL */
    uint32_t expires_s;       /* query form: how long the signed URL holds */
    bool keep_path;           /* "." and ".." and empty segments stay: services that sign the path as it is */
    bool token_unsigned;      /* the session token is added behind the signature: services that want it so */
    bool show_payload_hash;   /* header form: x-amz-content-sha256 is sent and signed */
};

#define SIGV4_UNSIGNED_PAYLOAD STR("UNSIGNED-PAYLOAD")

struct sigv4_result {
    struct str canonical; /* the canonical request */
    struct str to_sign;
    struct str date;           /* x-amz-date: "20150830T123600Z" */
    struct str signed_headers; /* "host;x-amz-date" */
    struct str signature;      /* 64 hex digits */
    struct str authorization;  /* header form: the value of Authorization */
    struct str query;          /* query form: the whole new query */
};

/* Header form. Send with it: x-amz-date, authorization, x-amz-security-token where there is a session token, and
 * x-amz-content-sha256 with show_payload_hash. */
void sigv4_headers(const struct sigv4_input *in, struct arena *a, struct sigv4_result *ret);
/* Query form: nothing but the query changes. */
void sigv4_query(const struct sigv4_input *in, struct arena *a, struct sigv4_result *ret);

/* The signer: covers host, content-type and every x-amz- header. A credential without access_key_id is a Bedrock API key: bearer. */
enum weir_err sigv4_sign(const struct sign_request *r, const struct credential *c, struct arena *a, struct buf *head);
