#include "proto/auth/gcp.h"

#include "proto/auth/fields.h"
#include "proto/wire/http1.h"
#include "proto/wire/json.h"
#include "proto/wire/url.h"

static bool lacks(const char *what, const char **ret_why)
{
    *ret_why = what;
    return false;
}

static bool read_service_account(struct str object, struct arena *a, struct gcp_file *f, const char **ret_why)
{
    f->type = GCP_SERVICE_ACCOUNT;
    f->private_key_id = fields_text(object, "private_key_id", a);
    f->project_id = fields_text(object, "project_id", a);
    if (!fields_str(object, "client_email", a, &f->client_email)) return lacks("it has no client_email", ret_why);
    if (!fields_str(object, "private_key", a, &f->private_key_pem)) return lacks("it has no private_key", ret_why);
    return true;
}

static bool read_authorized_user(struct str object, struct arena *a, struct gcp_file *f, const char **ret_why)
{
    f->type = GCP_AUTHORIZED_USER;
    if (!fields_str(object, "client_id", a, &f->client_id)) return lacks("it has no client_id", ret_why);
    if (!fields_str(object, "client_secret", a, &f->client_secret)) return lacks("it has no client_secret", ret_why);
    if (!fields_str(object, "refresh_token", a, &f->refresh_token)) return lacks("it has no refresh_token", ret_why);
    return true;
}

/* {"Authorization":"…"} as whole lines; false: one that no header may be. */
static bool read_source_headers(struct str source, struct arena *a, struct gcp_file *f)
{
    struct str headers, value;
    struct buf lines = {0}, scratch = {0};
    struct json_member m;
    bool sound = true;
    if (!fields_object(source, "headers", &headers)) return true;
    for (size_t at = 0; sound && json_next_member(headers, &at, &m, &scratch);) {
        struct str name = arena_copy(a, m.key);
        buf_clear(&scratch);
        sound = json_unquote(m.value, &scratch);
        value = buf_view(&scratch);
        sound = sound && http1_write_header(&lines, name, value);
    }
    f->source_headers = arena_copy(a, buf_view(&lines));
    buf_fini(&lines);
    buf_fini(&scratch);
    return sound;
}

static bool read_source(struct str object, struct arena *a, struct gcp_file *f, const char **ret_why)
{
    struct str source, format;
    if (!fields_object(object, "credential_source", &source)) return lacks("it has no credential_source", ret_why);
    f->source_file = fields_text(source, "file", a);
    f->source_url = fields_text(source, "url", a);
    if (fields_text(source, "environment_id", a).n > 0)
        return lacks("its credential_source is AWS, which is not in this version; use a file or a url", ret_why);
    if (f->source_file.n == 0 && f->source_url.n == 0)
        return lacks("its credential_source is neither a file nor a url, and others are not in this version", ret_why);
    if (!read_source_headers(source, a, f)) return lacks("a header of its credential_source is broken", ret_why);
    if (fields_object(source, "format", &format) && str_is(fields_text(format, "type", a), "json") &&
        !fields_str(format, "subject_token_field_name", a, &f->source_field))
        return lacks("its credential_source is JSON without subject_token_field_name", ret_why);
    return true;
}

static bool read_external_account(struct str object, struct arena *a, struct gcp_file *f, const char **ret_why)
{
    f->type = GCP_EXTERNAL_ACCOUNT;
    f->client_id = fields_text(object, "client_id", a);
    f->client_secret = fields_text(object, "client_secret", a);
    f->impersonation_url = fields_text(object, "service_account_impersonation_url", a);
    f->user_project = fields_text(object, "workforce_pool_user_project", a);
    if (!fields_str(object, "audience", a, &f->audience)) return lacks("it has no audience", ret_why);
    if (!fields_str(object, "subject_token_type", a, &f->subject_token_type))
        return lacks("it has no subject_token_type", ret_why);
    if (!fields_str(object, "token_url", a, &f->token_url)) return lacks("it has no token_url", ret_why);
    return read_source(object, a, f, ret_why);
}

bool gcp_file_read(struct str json, struct arena *a, struct gcp_file *ret, const char **ret_why)
{
    struct str object;
    struct gcp_file f = {0};
    bool ok;
    if (!fields_open(json, &object, ret_why)) return false;
    struct str type = fields_text(object, "type", a);
    if (!fields_str(object, "token_uri", a, &f.token_url) || f.token_url.n == 0) f.token_url = GCP_TOKEN_URL;
    f.quota_project = fields_text(object, "quota_project_id", a);
    if (str_is(type, "service_account"))
        ok = read_service_account(object, a, &f, ret_why);
    else if (str_is(type, "authorized_user"))
        ok = read_authorized_user(object, a, &f, ret_why);
    else if (str_is(type, "external_account"))
        ok = read_external_account(object, a, &f, ret_why);
    else
        ok = lacks("its type is not service_account, authorized_user or external_account", ret_why);
    if (ok) *ret = f;
    return ok;
}

/* ---- Bodies ---- */

void gcp_assertion_body(struct str jwt, struct buf *out)
{
    form_add(out, "grant_type", STR("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    form_add(out, "assertion", jwt);
}

void gcp_refresh_body(const struct gcp_file *f, struct buf *out)
{
    form_add(out, "grant_type", STR("refresh_token"));
    form_add(out, "client_id", f->client_id);
    form_add(out, "client_secret", f->client_secret);
    form_add(out, "refresh_token", f->refresh_token);
}

void gcp_exchange_body(const struct gcp_file *f, struct str subject_token, struct str scope, struct buf *out)
{
    form_add(out, "grant_type", STR("urn:ietf:params:oauth:grant-type:token-exchange"));
    form_add(out, "requested_token_type", STR("urn:ietf:params:oauth:token-type:access_token"));
    form_add(out, "audience", f->audience);
    form_add(out, "scope", f->impersonation_url.n > 0 ? GCP_SCOPE : scope);
    form_add(out, "subject_token_type", f->subject_token_type);
    form_add(out, "subject_token", subject_token);
    if (f->user_project.n == 0) return;
    struct buf options = {0};
    buf_addz(&options, "{\"userProject\":");
    buf_add_json_str(&options, f->user_project);
    buf_addc(&options, '}');
    form_add(out, "options", buf_view(&options));
    buf_fini(&options);
}

bool gcp_subject_token(const struct gcp_file *f, struct str content, struct arena *a, struct str *ret_token)
{
    struct str object, token = content;
    const char *why;
    if (f->source_field.n > 0) {
        /* the name came out of a file of ours: it is text, and the arena ends it with a NUL */
        const char *key = arena_copy(a, f->source_field).p;
        if (!fields_open(content, &object, &why) || !fields_str(object, key, a, &token)) return false;
    }
    while (token.n > 0 && (token.p[token.n - 1] == '\n' || token.p[token.n - 1] == '\r')) token.n--;
    token = str_trim(token);
    if (token.n == 0) return false;
    *ret_token = token;
    return true;
}

void gcp_impersonation_body(struct str scope, struct buf *out)
{
    buf_addz(out, "{\"scope\":[");
    buf_add_json_str(out, scope);
    buf_addz(out, "],\"lifetime\":\"3600s\"}");
}

void gcp_metadata_target(struct str account, struct str scope, struct buf *out)
{
    buf_addz(out, "/computeMetadata/v1/instance/service-accounts/");
    url_percent_encode(account.n > 0 ? account : STR("default"), "@", out);
    buf_addz(out, "/token?scopes=");
    url_percent_encode(scope, "", out);
}
