/* credential_source.h — where credentials come from: a table of sources, each a few steps with a request between them
 * Owns:     struct refresh: one attempt to get a credential; refresh_fini() wipes the request it sent.
 * Process:  control plane, loop thread; steps read small files and the environment, and send nothing themselves.
 * Memory:   an arena for each attempt.
 * Fails:    REFRESH_FAILED with a text for people, and whether it may work later. A source that is not set up here is ABSENT: the
 *           next of its chain is asked.
 * Not here: timers and pauses (credentials.c), sending (fetch.c).
 *
 * To add a source: write its step function in the file of its vendor (or a new one), and give it a row in credential_source.c. */
#pragma once

#include "controlplane/fetch.h"
#include "proto/auth/gcp.h"
#include "proto/auth/signer.h"

typedef const char *credential_env(const char *name); /* NULL: not set */

enum credential_source {
    SOURCE_KEY,      /* `key`, as it is */
    SOURCE_AWS,      /* the chain: keys, environment, web identity, container, instance metadata */
    SOURCE_AWS_KEYS, /* access_key_id, secret_access_key, session_token */
    SOURCE_AWS_ENV,
    SOURCE_AWS_WEB_IDENTITY,
    SOURCE_AWS_CONTAINER,
    SOURCE_AWS_METADATA,
    SOURCE_GOOGLE, /* Application Default Credentials: a file, then the metadata server */
    SOURCE_GOOGLE_FILE,
    SOURCE_GOOGLE_METADATA,
    SOURCE_AZURE, /* the chain: client secret, workload identity, managed identity */
    SOURCE_AZURE_SECRET,
    SOURCE_AZURE_WORKLOAD,
    SOURCE_AZURE_MANAGED,
    SOURCE_COUNT_OF_CREDENTIALS,
};

/* All may be empty: then the environment's word for it counts, then the vendor's default. */
#define CREDENTIAL_TEXTS(X)                                                                                  \
    X(key)               /* SOURCE_KEY */                                                                    \
    X(access_key_id)     /* AWS */                                                                           \
    X(secret_access_key) /* AWS */                                                                           \
    X(session_token)     /* AWS */                                                                           \
    X(region)            /* AWS: of STS */                                                                   \
    X(role_arn)          /* AWS web identity */                                                              \
    X(session_name)      /* AWS web identity */                                                              \
    X(token_file)        /* AWS and Azure: the token that Kubernetes puts there */                           \
    X(file)              /* Google: the credential file */                                                   \
    X(account)           /* Google metadata: which service account; Azure managed identity: the client id */ \
    X(scope)             /* Google, Azure */                                                                 \
    X(tenant)            /* Azure */                                                                         \
    X(client_id)         /* Azure */                                                                         \
    X(client_secret)     /* Azure */                                                                         \
    X(token_url)         /* AWS STS, Google's token endpoint, Entra's authority */                           \
    X(metadata_url)      /* scheme and authority of the metadata service of any of them */                   \
    X(container_url)     /* AWS: what a relative container URI is relative to */                             \
    X(origin)            /* where it will be shown: for another place it is fetched anew */

struct credential_conf {
    uint16_t provider_id;
    enum credential_source source;
#define X(name) struct str name;
    CREDENTIAL_TEXTS(X)
#undef X
};

const char *credential_source_name(enum credential_source s); /* "aws-web-identity" */
bool credential_source_find(struct str name, enum credential_source *ret);

enum refresh_next {
    REFRESH_FETCH,  /* send `fetch` and call again with its answer */
    REFRESH_DONE,   /* value, life_s, refresh_s, via */
    REFRESH_FAILED, /* why, again */
    REFRESH_ABSENT, /* steps only */
};

struct refresh {
    /* set by who starts it */
    const struct credential_conf *conf;
    credential_env *env;
    uint64_t now_s;                 /* wall clock; brought up to date before each step */
    uint64_t random;                /* for a life that is made up */
    uint32_t fetch_ms, metadata_ms; /* deadlines */

    /* where it stands */
    struct arena arena;
    unsigned link; /* of the chain */
    unsigned step; /* of the source under way */
    bool retried;
    bool is_role;         /* AWS: the keys are a role's already */
    bool assuming;        /* keys are there, and are being exchanged for those of a role */
    struct str note;      /* what the source keeps between its steps */
    struct gcp_file file; /* Google's */

    /* what it wants */
    struct fetch_request fetch;
    struct buf url, headers, body;

    /* what came of it */
    struct credential value;
    uint64_t life_s;    /* from now; 0: it does not end */
    uint64_t refresh_s; /* from now, the issuer's wish; 0: none */
    const char *via;
    struct str why;
    bool again;
};

void refresh_init(struct refresh *r, const struct credential_conf *conf, credential_env *env);
void refresh_fini(struct refresh *r);
/* answer: of the last fetch; NULL to begin. */
enum refresh_next refresh_step(struct refresh *r, const struct fetch_answer *answer);

/* ---- For the steps ---- */

typedef enum refresh_next refresh_source(struct refresh *r, const struct fetch_answer *answer);

refresh_source aws_keys_step, aws_environment_step, aws_web_identity_step, aws_container_step, aws_metadata_step;
/* After the chain: keys of another account's role, where one is configured and the keys are not its own already. */
bool aws_wants_role(const struct refresh *r);
refresh_source aws_assume_step;
refresh_source google_file_step, google_metadata_step;
refresh_source azure_secret_step, azure_workload_step, azure_managed_step;

/* The configured text, else the variable, else empty. */
struct str refresh_text(const struct refresh *r, struct str configured, const char *variable);
enum refresh_next refresh_fail(struct refresh *r, bool again, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A whole file into the arena, without white space at its end. false: *ret is set to the refusal. */
bool refresh_read_file(struct refresh *r, struct str path, struct str *ret_text, enum refresh_next *ret);
/* Begins a request: r->url gets scheme and authority and is appended to by the step, as r->headers and r->body are. */
void refresh_begin_fetch(struct refresh *r, struct str base_url, uint32_t deadline_ms);
bool refresh_add_header(struct refresh *r, const char *name,
                        struct str value); /* false: the value cannot stand in a header */
enum refresh_next refresh_get(struct refresh *r);
enum refresh_next refresh_post_form(struct refresh *r);
/* There is an answer, of whatever status. false: *ret is set to the failure; who: "the token endpoint". */
bool refresh_is_answered(struct refresh *r, const struct fetch_answer *answer, const char *who, enum refresh_next *ret);
/* An OAuth token endpoint's answer into value and life. */
enum refresh_next refresh_take_token(struct refresh *r, const struct fetch_answer *answer, const char *who);
