/* signer.h — how a request shows who sends it: a table of functions, one row for each way
 * Owns:     nothing; credentials are views into memory that the caller keeps (and wipes).
 * Process:  any; pure: the time is passed in, nothing is fetched. A worker signs with what the control plane got ahead of need.
 * Memory:   the arena of the request; headers go to the caller's buf.
 * Fails:    WEIR_UP_AUTH: the credential lacks what the signer needs, or holds bytes that no header may; nothing was written then.
 * Not here: getting credentials (controlplane/credentials.c, with the words of gcp_*, azure, aws), keeping them (shm/). */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/wire/http1.h"

struct credential {
    struct str secret;        /* the key or token; of AWS the secret access key */
    struct str access_key_id; /* AWS; with a signer that takes bearer tokens too, empty: secret is such a token */
    struct str session_token; /* AWS, temporary credentials: else empty */
    struct str project; /* Google: the project that is billed, where it is not the credential's own; usually empty */
};

/* What a signer may keep from one request to the next of the same provider; begins as zeros. It holds what can sign: whoever keeps it
 * wipes it, and does not let it be dumped. */
struct sign_cache {
    uint8_t key[32];
    uint16_t n;   /* bytes of `of`; 0: empty */
    char of[238]; /* what the key was made of: day, region, service, secret; longer ones are not kept */
};

struct sign_request {
    struct str method;
    struct str host;                   /* as in the Host header: with the port unless it is the scheme's own */
    struct str path;                   /* as on the request line, still percent-encoded */
    struct str query;                  /* behind '?', may be empty */
    const struct http1_header *header; /* those that will be sent; the signer covers the ones that must not change */
    unsigned n;
    struct str body; /* all of it */
    struct str
        payload_hash;  /* instead of body: 64 hex digits of its SHA-256, or "UNSIGNED-PAYLOAD"; empty: body is hashed */
    struct str region; /* of the provider's row: AWS */
    struct str service;       /* AWS; empty: "bedrock" */
    uint64_t now_s;           /* since 1970, corrected by the provider's clock where that is known */
    struct sign_cache *cache; /* may be NULL; spares SIGNER_SIGV4 a part of the work */
};

enum signer_kind {
    SIGNER_NONE,
    SIGNER_BEARER,         /* Authorization: Bearer */
    SIGNER_X_API_KEY,      /* Anthropic */
    SIGNER_X_GOOG_API_KEY, /* Gemini */
    SIGNER_API_KEY,        /* Azure OpenAI */
    SIGNER_SIGV4,          /* AWS Signature Version 4; a bearer token where the credential is one (Bedrock API keys) */
    SIGNER_COUNT,
};

struct signer {
    const char *name;
    bool needs_credential;
    bool needs_body; /* or payload_hash: the request can only be signed when all of it is there */
    bool needs_region;
    enum weir_err (*sign)(const struct sign_request *r, const struct credential *c, struct arena *a, struct buf *head);
};

const struct signer *signer_of(enum signer_kind kind); /* a kind out of range reads as SIGNER_NONE */
bool signer_find(struct str name, enum signer_kind *ret_kind);

/* Appends the header lines that show the credential. */
enum weir_err signer_sign(enum signer_kind kind, const struct sign_request *r, const struct credential *c,
                          struct arena *a, struct buf *head) MUST_CHECK;

/* Headers of a client that must never reach a provider beside ours: its own credentials and signature. */
bool signer_is_credential_header(struct str name);

/* A credential as one piece of bytes, as it goes through shared memory: four fields, each with its length (u16, little-endian)
 * before it. False: a field is above 65,535 bytes; nothing is written. */
enum { CREDENTIAL_OVERHEAD = 8 };
bool credential_pack(const struct credential *c, struct buf *out);
bool credential_unpack(struct str bytes, struct credential *ret_credential); /* views into bytes */
