/* gcp.h — Google's credential files and the requests that turn them into tokens
 * Owns:     nothing; texts are in the arena.
 * Process:  any; pure.
 * Memory:   the arena; bodies go to the caller's buf.
 * Fails:    gcp_file_read() with what is missing or not supported, by name.
 * Not here: signing the assertion (gcp_jwt.h), reading answers (token.h), sending (controlplane/credentials.c).
 * Sources: Google, "Using OAuth 2.0 for server to server applications", "How Application Default Credentials works", AIP-4117
 * (external accounts); RFC 7523, RFC 8693. */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"

#define GCP_SCOPE        STR("https://www.googleapis.com/auth/cloud-platform")
#define GCP_TOKEN_URL    STR("https://oauth2.googleapis.com/token")
#define GCP_METADATA_URL STR("http://169.254.169.254")

enum gcp_file_type { GCP_SERVICE_ACCOUNT, GCP_AUTHORIZED_USER, GCP_EXTERNAL_ACCOUNT };

struct gcp_file {
    enum gcp_file_type type;
    struct str token_url;     /* "token_uri" or "token_url"; Google's own where the file has none */
    struct str quota_project; /* may be empty */

    /* service account */
    struct str client_email, private_key_pem, private_key_id, project_id;

    /* authorized user; client_id and client_secret of external accounts too, where the pool wants them */
    struct str client_id, client_secret, refresh_token;

    /* external account */
    struct str audience, subject_token_type;
    struct str source_file, source_url; /* one of them */
    struct str source_field;            /* the subject token's member, where the source is JSON; empty: text */
    struct str source_headers;          /* of source_url: whole lines */
    struct str impersonation_url;       /* may be empty */
    struct str user_project;            /* workforce pools; may be empty */
};

bool gcp_file_read(struct str json, struct arena *a, struct gcp_file *ret, const char **ret_why);

/* ---- Bodies, application/x-www-form-urlencoded ---- */
void gcp_assertion_body(struct str jwt, struct buf *out);         /* service account */
void gcp_refresh_body(const struct gcp_file *f, struct buf *out); /* authorized user */
void gcp_exchange_body(const struct gcp_file *f, struct str subject_token, struct str scope,
                       struct buf *out); /* external */

/* The subject token out of what the source gave. False: not there. */
bool gcp_subject_token(const struct gcp_file *f, struct str content, struct arena *a, struct str *ret_token);

/* ---- JSON ---- */
void gcp_impersonation_body(struct str scope,
                            struct buf *out); /* to impersonation_url, with the exchanged token as bearer */

/* What the metadata server is asked: path and query. account: usually "default". */
void gcp_metadata_target(struct str account, struct str scope, struct buf *out);
