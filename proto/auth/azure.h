/* azure.h — what Entra and Azure's metadata endpoints are asked for a token
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   the caller's buf.
 * Fails:    never.
 * Not here: reading answers (token.h), sending (controlplane/credentials.c).
 * Sources: Microsoft identity platform, "OAuth 2.0 client credentials flow"; "How to use managed identities on a VM to acquire an
 * access token"; App Service, "REST endpoint reference" of managed identities. */
#pragma once

#include "proto/base/buf.h"

#define AZURE_AUTHORITY_URL STR("https://login.microsoftonline.com")
#define AZURE_SCOPE         STR("https://cognitiveservices.azure.com/.default") /* Azure OpenAI */
#define AZURE_IMDS_URL      STR("http://169.254.169.254")

/* "/TENANT/oauth2/v2.0/token" */
void azure_token_target(struct str tenant, struct buf *out);
/* Bodies, application/x-www-form-urlencoded. assertion: the token that Kubernetes (or another issuer) gave. */
void azure_secret_body(struct str client_id, struct str client_secret, struct str scope, struct buf *out);
void azure_assertion_body(struct str client_id, struct str assertion, struct str scope, struct buf *out);

/* Managed identities name a resource instead: the scope without "/.default". */
struct str azure_resource(struct str scope);
/* Path and query of the instance metadata service; header "Metadata: true". client_id: of a user-assigned identity, else empty. */
void azure_imds_target(struct str resource, struct str client_id, struct buf *out);
/* What is added to IDENTITY_ENDPOINT (App Service, Functions, Container Apps); header X-IDENTITY-HEADER. */
void azure_app_service_query(struct str resource, struct str client_id, struct buf *out);
