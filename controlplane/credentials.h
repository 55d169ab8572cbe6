/* credentials.h — what providers want to be shown, fetched ahead of need: a request never waits for a token
 * Owns:     a table of credentials by provider, the refreshes under way, and their texts (wiped when they go).
 * Process:  control plane, loop thread. Credential files are small and read there.
 * Memory:   one heap block for each credential and each refresh under way.
 * Fails:    a refresh that fails keeps the old value until it ends; then, or where there never was one, the provider has none:
 *           CREDENTIAL_NONE with a text. It is tried again for ever, with growing pauses.
 * Not here: the words of each issuer (proto/auth, credential_source.h), signing (proto/auth/signer.h), where workers find the
 *           value (shm/).
 *
 *            got one          80 % of its life, less a jitter        it ends
 *   WAITING ─────────▶ FRESH ───────────────────────────▶ (refresh) ─────────▶ NONE
 *      │                 ▲  ◀── got one ──────────────────────┤ failed           │
 *      │                 │                                    ▼                  │
 *      └── failed ──▶ NONE                                 FAILING ── it ends ───┘ */
#pragma once

#include "controlplane/credential_source.h"
#include "proto/base/err.h"
#include "proto/wire/tls.h"

#include <uv.h>

enum credential_state {
    CREDENTIAL_WAITING, /* the first refresh is under way */
    CREDENTIAL_FRESH,
    CREDENTIAL_FAILING, /* the last refresh failed, the value still holds */
    CREDENTIAL_NONE,    /* no value that holds: auth_error */
};

struct credential_event { /* valid during the callback */
    uint16_t provider_id;
    enum credential_state state;
    const struct credential *value; /* NULL without one */
    struct str packed;              /* the same as credential_pack() makes it; empty without one */
    uint64_t expires_mono_ms; /* not to be used from then on, a little before its issuer's end; UINT64_MAX: never */
    const char *via;          /* where it came from: "environment", "instance metadata" … */
    const char *why;          /* of FAILING and NONE, for people; no secret */
};

struct credential_status {
    enum credential_state state;
    const char *via;                                             /* "" before the first */
    const char *why;                                             /* of the last refresh that failed, while it matters */
    uint64_t expires_mono_ms, next_refresh_mono_ms, got_wall_ms; /* got: 0 never */
    uint64_t refreshes, failures;                                /* counted since the credential was configured */
};

struct credentials_settings {
    uv_loop_t *loop;
    credential_env *env;
    /* FRESH: a new value. FAILING: still the old one. NONE: none any more. It must not configure or free the table. */
    void (*on_event)(void *context, const struct credential_event *e);
    void *context;
    struct str ca_pem; /* for https; empty: the system's; the caller keeps it */
    /* waits, in milliseconds; 0: the figures below */
    uint32_t retry_min_ms, retry_max_ms; /* pause after a failed refresh, doubled each time */
    uint32_t gap_ms;                     /* least time between two refreshes of one credential */
    uint32_t fetch_ms, metadata_ms;      /* deadlines of one request: to a token endpoint, to a metadata service */
};

enum {
    CREDENTIALS_RETRY_MIN_MS = 1000,
    CREDENTIALS_RETRY_MAX_MS = 60000,
    CREDENTIALS_GAP_MS = 1000,
    CREDENTIALS_REFRESH_PERCENT = 80,
    CREDENTIALS_MARGIN_MS = 10000, /* before the end, when a value is dropped; a tenth of short lives */
};

struct credentials;

struct credentials *credentials_new(const struct credentials_settings *settings);
/* The whole table. A credential whose row did not change keeps its value and its time; the others begin at once, from the loop. */
void credentials_configure(struct credentials *c, const struct credential_conf *conf, unsigned n);
/* Now, if none is under way and the last was longer than gap_ms ago: a provider refused the value. */
void credentials_refresh(struct credentials *c, uint16_t provider_id);
bool credentials_status(const struct credentials *c, uint16_t provider_id, struct credential_status *ret);
const char *credential_state_word(enum credential_state s); /* "waiting", "fresh", "failing", "auth_error" */
void credentials_free(struct credentials **c);
