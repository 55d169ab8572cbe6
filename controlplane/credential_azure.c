#include "controlplane/credential_source.h"

#include "proto/auth/azure.h"

/* Entra: a client secret, a workload identity (the token that AKS writes into the pod), a managed identity. */

static struct str scope_of(const struct refresh *r)
{
    return r->conf->scope.n > 0 ? r->conf->scope : AZURE_SCOPE;
}

static void begin_entra(struct refresh *r, struct str tenant)
{
    struct str authority = refresh_text(r, r->conf->token_url, "AZURE_AUTHORITY_HOST");
    refresh_begin_fetch(r, authority.n > 0 ? authority : AZURE_AUTHORITY_URL, r->fetch_ms);
    azure_token_target(tenant, &r->url);
}

enum refresh_next azure_secret_step(struct refresh *r, const struct fetch_answer *answer)
{
    struct str tenant = refresh_text(r, r->conf->tenant, "AZURE_TENANT_ID");
    struct str client = refresh_text(r, r->conf->client_id, "AZURE_CLIENT_ID");
    struct str secret = refresh_text(r, r->conf->client_secret, "AZURE_CLIENT_SECRET");
    if (r->step == 1) return refresh_take_token(r, answer, "Entra");
    if (tenant.n == 0 || client.n == 0 || secret.n == 0) return REFRESH_ABSENT;
    begin_entra(r, tenant);
    azure_secret_body(client, secret, scope_of(r), &r->body);
    return refresh_post_form(r);
}

enum refresh_next azure_workload_step(struct refresh *r, const struct fetch_answer *answer)
{
    struct str tenant = refresh_text(r, r->conf->tenant, "AZURE_TENANT_ID"), assertion;
    struct str client = refresh_text(r, r->conf->client_id, "AZURE_CLIENT_ID");
    struct str file = refresh_text(r, r->conf->token_file, "AZURE_FEDERATED_TOKEN_FILE");
    enum refresh_next next;
    if (r->step == 1) return refresh_take_token(r, answer, "Entra");
    if (tenant.n == 0 || client.n == 0 || file.n == 0) return REFRESH_ABSENT;
    if (!refresh_read_file(r, file, &assertion, &next)) return next;
    begin_entra(r, tenant);
    azure_assertion_body(client, assertion, scope_of(r), &r->body);
    return refresh_post_form(r);
}

/* ---- Managed identity ---- */

static enum refresh_next managed_begin(struct refresh *r)
{
    struct str resource = azure_resource(scope_of(r)), account = r->conf->account;
    struct str endpoint = refresh_text(r, STR_NULL, "IDENTITY_ENDPOINT");
    struct str header = refresh_text(r, STR_NULL, "IDENTITY_HEADER");
    if (r->conf->metadata_url.n == 0 && endpoint.n > 0 && header.n > 0) { /* App Service, Functions, Container Apps */
        refresh_begin_fetch(r, endpoint, r->metadata_ms);
        azure_app_service_query(resource, account, &r->url);
        if (!refresh_add_header(r, "X-IDENTITY-HEADER", header))
            return refresh_fail(r, false, "IDENTITY_HEADER holds bytes that no header may");
        return refresh_get(r);
    }
    struct str base = refresh_text(r, r->conf->metadata_url, "AZURE_POD_IDENTITY_AUTHORITY_HOST");
    refresh_begin_fetch(r, base.n > 0 ? base : AZURE_IMDS_URL, r->metadata_ms);
    azure_imds_target(resource, account, &r->url);
    (void)refresh_add_header(r, "Metadata", STR("true"));
    return refresh_get(r);
}

enum refresh_next azure_managed_step(struct refresh *r, const struct fetch_answer *answer)
{
    if (r->step == 0) return managed_begin(r);
    enum refresh_next next = refresh_take_token(r, answer, "the managed identity endpoint");
    /* 404 and 410: the service is starting or being replaced */
    if (next == REFRESH_FAILED && (answer->status == 404 || answer->status == 410)) r->again = true;
    return next;
}
