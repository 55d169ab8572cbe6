#include "controlplane/credential_source.h"

#include "proto/auth/fields.h"
#include "proto/auth/gcp_jwt.h"
#include "proto/auth/token.h"

#include <unistd.h>

#include <mbedtls/psa_util.h>
#include <psa/crypto.h>

/* Application Default Credentials: the file that is named, the file that gcloud writes, the metadata server. */

static struct str scope_of(const struct refresh *r)
{
    return r->conf->scope.n > 0 ? r->conf->scope : GCP_SCOPE;
}

/* ---- The file ---- */

enum { STEP_BEGIN, STEP_ANSWER, STEP_SUBJECT, STEP_EXCHANGED, STEP_IMPERSONATED };

/* Each fetch knows what comes after it: sources of several requests do not count. */
static enum refresh_next then(struct refresh *r, enum refresh_next next, unsigned step)
{
    if (next == REFRESH_FETCH) r->step = step;
    return next;
}

static void begin_token_fetch(struct refresh *r)
{
    refresh_begin_fetch(r, r->conf->token_url.n > 0 ? r->conf->token_url : r->file.token_url, r->fetch_ms);
}

static enum refresh_next ask_with_assertion(struct refresh *r)
{
    struct gcp_claims claims = {.scope = scope_of(r)};
    struct buf jwt = {0};
    const char *why = "no random numbers from the system";
    bool ok = psa_crypto_init() == PSA_SUCCESS &&
              gcp_jwt_write(&r->file, &claims, r->now_s, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE, &jwt, &why);
    if (ok) {
        begin_token_fetch(r);
        gcp_assertion_body(buf_view(&jwt), &r->body);
    }
    buf_fini(&jwt);
    return ok ? then(r, refresh_post_form(r), STEP_ANSWER) : refresh_fail(r, false, "the credential file: %s", why);
}

static enum refresh_next exchange(struct refresh *r, struct str content)
{
    struct str subject;
    if (!gcp_subject_token(&r->file, content, &r->arena, &subject))
        return refresh_fail(r, true, "the credential file's source holds no subject token");
    begin_token_fetch(r);
    if (r->file.client_id.n > 0) { /* pools that want the client to show itself */
        form_add(&r->body, "client_id", r->file.client_id);
        form_add(&r->body, "client_secret", r->file.client_secret);
    }
    gcp_exchange_body(&r->file, subject, scope_of(r), &r->body);
    return then(r, refresh_post_form(r), STEP_EXCHANGED);
}

static enum refresh_next ask_for_subject(struct refresh *r)
{
    struct str content;
    enum refresh_next next;
    if (r->file.source_file.n > 0) {
        if (!refresh_read_file(r, r->file.source_file, &content, &next)) return next;
        return exchange(r, content);
    }
    refresh_begin_fetch(r, STR_NULL, r->metadata_ms);
    buf_add(&r->url, r->file.source_url);
    buf_add(&r->headers, r->file.source_headers);
    return then(r, refresh_get(r), STEP_SUBJECT);
}

static enum refresh_next ask_for_impersonated(struct refresh *r)
{
    struct str bearer = arena_printf(&r->arena, "Bearer %.*s", STR_FMT(r->value.secret));
    refresh_begin_fetch(r, r->file.impersonation_url, r->fetch_ms);
    gcp_impersonation_body(scope_of(r), &r->body);
    (void)refresh_add_header(r, "Authorization", bearer); /* token_read() let nothing through that no header may hold */
    (void)refresh_add_header(r, "Content-Type", STR("application/json"));
    enum refresh_next next = refresh_get(r);
    r->fetch.method = STR("POST");
    return then(r, next, STEP_IMPERSONATED);
}

/* GOOGLE_APPLICATION_CREDENTIALS, then what `gcloud auth application-default login` leaves. */
static struct str file_path(struct refresh *r)
{
    struct str path = refresh_text(r, r->conf->file, "GOOGLE_APPLICATION_CREDENTIALS");
    if (path.n > 0) return path;
    struct str folder = refresh_text(r, STR_NULL, "CLOUDSDK_CONFIG"), home = refresh_text(r, STR_NULL, "HOME");
    if (folder.n == 0 && home.n == 0) return STR_NULL;
    path = folder.n > 0
               ? arena_printf(&r->arena, "%.*s/application_default_credentials.json", STR_FMT(folder))
               : arena_printf(&r->arena, "%.*s/.config/gcloud/application_default_credentials.json", STR_FMT(home));
    const char *name = arena_copy(&r->arena, path).p;
    return access(name, F_OK) == 0 ? path : STR_NULL;
}

static enum refresh_next file_begin(struct refresh *r)
{
    struct str path = file_path(r), text;
    enum refresh_next next;
    const char *why;
    if (path.n == 0) return REFRESH_ABSENT;
    if (!refresh_read_file(r, path, &text, &next)) return next;
    if (!gcp_file_read(text, &r->arena, &r->file, &why))
        return refresh_fail(r, true, "%.*s: %s", STR_FMT(path), why); /* it may be replaced */
    r->value.project = refresh_text(r, STR_NULL, "GOOGLE_CLOUD_QUOTA_PROJECT");
    if (r->value.project.n == 0) r->value.project = r->file.quota_project;
    switch (r->file.type) {
    case GCP_SERVICE_ACCOUNT: return ask_with_assertion(r);
    case GCP_EXTERNAL_ACCOUNT: return ask_for_subject(r);
    case GCP_AUTHORIZED_USER: break;
    }
    begin_token_fetch(r);
    gcp_refresh_body(&r->file, &r->body);
    return then(r, refresh_post_form(r), STEP_ANSWER);
}

static enum refresh_next take_impersonated(struct refresh *r, const struct fetch_answer *answer)
{
    const char *who = "the service account's token endpoint";
    struct token t;
    enum refresh_next failed;
    if (!refresh_is_answered(r, answer, who, &failed)) return failed;
    if (!token_read_impersonated(answer->status, answer->body, r->now_s, &r->arena, &t))
        return refresh_fail(r, t.again, "%s: %.*s", who, STR_FMT(t.why));
    r->value.secret = t.text;
    r->life_s = t.life_s;
    return REFRESH_DONE;
}

enum refresh_next google_file_step(struct refresh *r, const struct fetch_answer *answer)
{
    const char *who = "the token endpoint";
    enum refresh_next next;
    switch (r->step) {
    case STEP_BEGIN: return file_begin(r);
    case STEP_SUBJECT:
        if (!refresh_is_answered(r, answer, "the source of the subject token", &next)) return next;
        if (answer->status != 200)
            return refresh_fail(r, true, "the source of the subject token: status %u", answer->status);
        return exchange(r, answer->body);
    case STEP_EXCHANGED:
        next = refresh_take_token(r, answer, who);
        return next == REFRESH_DONE && r->file.impersonation_url.n > 0 ? ask_for_impersonated(r) : next;
    case STEP_IMPERSONATED: return take_impersonated(r, answer);
    default: return refresh_take_token(r, answer, who);
    }
}

/* ---- The metadata server: GCE, GKE workload identity, Cloud Run ---- */

static struct str metadata_url(struct refresh *r)
{
    struct str host = refresh_text(r, STR_NULL, "GCE_METADATA_HOST");
    if (r->conf->metadata_url.n > 0) return r->conf->metadata_url;
    return host.n > 0 ? arena_printf(&r->arena, "http://%.*s", STR_FMT(host)) : GCP_METADATA_URL;
}

enum refresh_next google_metadata_step(struct refresh *r, const struct fetch_answer *answer)
{
    const char *who = "the metadata server";
    enum refresh_next next;
    if (r->step == 0) {
        refresh_begin_fetch(r, metadata_url(r), r->metadata_ms);
        gcp_metadata_target(r->conf->account, scope_of(r), &r->url);
        (void)refresh_add_header(r, "Metadata-Flavor", STR("Google"));
        return refresh_get(r);
    }
    if (!refresh_is_answered(r, answer, who, &next)) return next;
    /* Anybody may answer at that address where Google's network does not; only the real one says so. */
    if (!str_iis(http1_get(answer->head, "metadata-flavor"), "google"))
        return refresh_fail(r, true, "%s: what answered there is not Google's", who);
    if (answer->status == 404) return refresh_fail(r, true, "%s: no such service account (yet)", who);
    return refresh_take_token(r, answer, who);
}
