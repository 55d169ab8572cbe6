#include "proto/auth/azure.h"

#include "proto/auth/fields.h"
#include "proto/wire/url.h"

void azure_token_target(struct str tenant, struct buf *out)
{
    buf_addc(out, '/');
    url_percent_encode(tenant, "", out);
    buf_addz(out, "/oauth2/v2.0/token");
}

static void common_body(struct str client_id, struct str scope, struct buf *out)
{
    form_add(out, "grant_type", STR("client_credentials"));
    form_add(out, "client_id", client_id);
    form_add(out, "scope", scope);
}

void azure_secret_body(struct str client_id, struct str client_secret, struct str scope, struct buf *out)
{
    common_body(client_id, scope, out);
    form_add(out, "client_secret", client_secret);
}

void azure_assertion_body(struct str client_id, struct str assertion, struct str scope, struct buf *out)
{
    common_body(client_id, scope, out);
    form_add(out, "client_assertion_type", STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    form_add(out, "client_assertion", assertion);
}

struct str azure_resource(struct str scope)
{
    const struct str suffix = STR("/.default");
    return str_ends(scope, suffix) ? str_slice(scope, 0, scope.n - suffix.n) : scope;
}

static void add_param(struct buf *out, const char *before, struct str value)
{
    if (value.n == 0) return;
    buf_addz(out, before);
    url_percent_encode(value, "", out);
}

void azure_imds_target(struct str resource, struct str client_id, struct buf *out)
{
    buf_addz(out, "/metadata/identity/oauth2/token?api-version=2018-02-01");
    add_param(out, "&resource=", resource);
    add_param(out, "&client_id=", client_id);
}

void azure_app_service_query(struct str resource, struct str client_id, struct buf *out)
{
    buf_addz(out, "?api-version=2019-08-01");
    add_param(out, "&resource=", resource);
    add_param(out, "&client_id=", client_id);
}
