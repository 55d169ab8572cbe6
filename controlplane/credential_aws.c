#include "controlplane/credential_source.h"

#include "proto/auth/aws.h"
#include "proto/auth/sigv4.h"
#include "proto/base/date.h"
#include "proto/wire/url.h"

/* The AWS chain: keys, environment, web identity, container endpoint, instance metadata. Profiles (~/.aws) and SSO are not read: they
 * are for people at a desk. */

enum {
    STALE_LIFE_S = 300
}; /* what is added to keys that the metadata service hands out after their end, and up to as much again */

enum refresh_next aws_keys_step(struct refresh *r, const struct fetch_answer *answer)
{
    const struct credential_conf *c = r->conf;
    (void)answer;
    if (c->access_key_id.n == 0 || c->secret_access_key.n == 0) return REFRESH_ABSENT;
    r->value = (struct credential){c->secret_access_key, c->access_key_id, c->session_token, STR_NULL};
    return REFRESH_DONE;
}

/* AWS_BEARER_TOKEN_BEDROCK goes before the keys, as in AWS's own libraries. */
enum refresh_next aws_environment_step(struct refresh *r, const struct fetch_answer *answer)
{
    struct str bearer = refresh_text(r, STR_NULL, "AWS_BEARER_TOKEN_BEDROCK");
    struct str id = refresh_text(r, STR_NULL, "AWS_ACCESS_KEY_ID");
    struct str secret = refresh_text(r, STR_NULL, "AWS_SECRET_ACCESS_KEY");
    uint64_t until;
    (void)answer;
    if (bearer.n > 0) {
        r->value = (struct credential){.secret = bearer};
        return REFRESH_DONE;
    }
    if (id.n == 0 || secret.n == 0) return REFRESH_ABSENT;
    r->value = (struct credential){secret, id, refresh_text(r, STR_NULL, "AWS_SESSION_TOKEN"), STR_NULL};
    if (date_read_rfc3339(refresh_text(r, STR_NULL, "AWS_CREDENTIAL_EXPIRATION"), &until)) {
        if (until <= r->now_s) return refresh_fail(r, false, "AWS_CREDENTIAL_EXPIRATION is past");
        r->life_s = until - r->now_s;
    }
    return REFRESH_DONE;
}

static enum refresh_next take_keys(struct refresh *r, const struct aws_keys *k, const char *who)
{
    r->value = (struct credential){k->secret, k->access_key_id, k->session_token, STR_NULL};
    if (k->expires_s != 0 && k->expires_s <= r->now_s)
        return refresh_fail(r, true, "%s: the keys that came are expired already; is the clock right?", who);
    r->life_s = k->expires_s != 0 ? k->expires_s - r->now_s : 0; /* up to a second too long: now_s is a whole one */
    r->life_s -= r->life_s > 1 ? 1 : 0;
    return REFRESH_DONE;
}

/* ---- Web identity: a token of Kubernetes is exchanged at STS ---- */

static struct str region_of(const struct refresh *r)
{
    struct str region = refresh_text(r, r->conf->region, "AWS_REGION");
    return region.n > 0 ? region : refresh_text(r, STR_NULL, "AWS_DEFAULT_REGION");
}

static enum refresh_next sts_url(struct refresh *r, struct str *ret_url)
{
    struct str url = refresh_text(r, r->conf->token_url, "AWS_ENDPOINT_URL_STS"), region = region_of(r);
    if (url.n == 0 && region.n == 0) return refresh_fail(r, false, "no region: set it, or AWS_REGION");
    if (url.n == 0)
        url = arena_printf(&r->arena, "https://sts.%.*s.amazonaws.com%s", STR_FMT(region),
                           str_starts(region, STR("cn-")) ? ".cn" : "");
    *ret_url = url;
    return REFRESH_FETCH;
}

enum refresh_next aws_web_identity_step(struct refresh *r, const struct fetch_answer *answer)
{
    struct str file = refresh_text(r, r->conf->token_file, "AWS_WEB_IDENTITY_TOKEN_FILE"), token, url;
    struct str role = refresh_text(r, r->conf->role_arn, "AWS_ROLE_ARN");
    struct str session = refresh_text(r, r->conf->session_name, "AWS_ROLE_SESSION_NAME");
    struct aws_keys keys;
    enum refresh_next next;
    if (r->step == 1) {
        if (!refresh_is_answered(r, answer, "STS", &next)) return next;
        if (!aws_read_sts(answer->status, answer->body, &r->arena, &keys))
            return refresh_fail(r, keys.again, "STS: %.*s", STR_FMT(keys.why));
        r->is_role = true;
        return take_keys(r, &keys, "STS");
    }
    if (file.n == 0 || role.n == 0) return REFRESH_ABSENT;
    if (session.n == 0) session = STR("weir");
    if (!aws_is_session_name(session)) return refresh_fail(r, false, "the role session name is not one that AWS takes");
    if ((next = sts_url(r, &url)) != REFRESH_FETCH) return next;
    if (!refresh_read_file(r, file, &token, &next)) return next;
    refresh_begin_fetch(r, url, r->fetch_ms);
    buf_addc(&r->url, '/');
    (void)refresh_add_header(r, "Accept", STR("application/xml"));
    aws_web_identity_body(role, session, token, &r->body);
    return refresh_post_form(r);
}

/* ---- Container endpoint: ECS, EKS Pod Identity ---- */

/* In plain HTTP only to where these endpoints are: whoever set the variable must not make us send the token elsewhere. */
static bool is_allowed_url(struct str url)
{
    struct url u;
    const char *why;
    int family;
    uint8_t ip[16] = {0};
    size_t end = 0;
    while (end < url.n && url.p[end] != '?') end++;
    if (!url_parse(str_slice(url, 0, end), &u, &why)) return false;
    return u.tls || str_iis(u.host, "localhost") ||
           (url_parse_ip(u.host, &family, ip) && aws_is_container_address(family, ip));
}

static enum refresh_next container_begin(struct refresh *r)
{
    struct str relative = refresh_text(r, STR_NULL, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    struct str full = refresh_text(r, STR_NULL, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    struct str base = r->conf->container_url.n > 0 ? r->conf->container_url : AWS_CONTAINER_URL;
    struct str file = refresh_text(r, STR_NULL, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    struct str token = refresh_text(r, STR_NULL, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    enum refresh_next next;
    if (relative.n == 0 && full.n == 0) return REFRESH_ABSENT;
    if (relative.n == 0 && !is_allowed_url(full))
        return refresh_fail(r, false,
                            "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor an address of ECS or EKS");
    if (file.n > 0 && !refresh_read_file(r, file, &token, &next)) return next;
    refresh_begin_fetch(r, relative.n > 0 ? base : full, r->metadata_ms);
    if (relative.n > 0 && relative.p[0] != '/') buf_addc(&r->url, '/');
    buf_add(&r->url, relative);
    if (token.n > 0 && !refresh_add_header(r, "Authorization", token))
        return refresh_fail(r, false, "the container's authorization token holds bytes that no header may");
    return refresh_get(r);
}

enum refresh_next aws_container_step(struct refresh *r, const struct fetch_answer *answer)
{
    const char *who = "the container endpoint";
    struct aws_keys keys;
    enum refresh_next next;
    if (r->step == 0) return container_begin(r);
    if (!refresh_is_answered(r, answer, who, &next)) return next;
    if (!aws_read_json(answer->status, answer->body, &r->arena, &keys))
        return refresh_fail(r, keys.again, "%s: %.*s", who, STR_FMT(keys.why));
    return take_keys(r, &keys, who);
}

/* ---- Instance metadata, version 2: a session token, the role's name, its keys ---- */

static const char imds[] = "instance metadata";

static enum refresh_next imds_get(struct refresh *r, struct str role)
{
    struct str base = refresh_text(r, r->conf->metadata_url, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    refresh_begin_fetch(r, base.n > 0 ? base : AWS_IMDS_URL, r->metadata_ms);
    if (!refresh_add_header(r, "X-aws-ec2-metadata-token", r->note))
        return refresh_fail(r, true, "%s: its session token holds bytes that no header may", imds);
    buf_addz(&r->url, "/latest/meta-data/iam/security-credentials/");
    url_percent_encode(role, "", &r->url);
    return refresh_get(r);
}

static enum refresh_next imds_begin(struct refresh *r)
{
    struct str base = refresh_text(r, r->conf->metadata_url, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (str_iis(refresh_text(r, STR_NULL, "AWS_EC2_METADATA_DISABLED"), "true")) return REFRESH_ABSENT;
    refresh_begin_fetch(r, base.n > 0 ? base : AWS_IMDS_URL, r->metadata_ms);
    buf_addz(&r->url, "/latest/api/token");
    (void)refresh_add_header(r, "X-aws-ec2-metadata-token-ttl-seconds", STR("21600"));
    enum refresh_next next = refresh_get(r);
    r->fetch.method = STR("PUT");
    return next;
}

/* Keys past their end: AWS hands out what it has while its own refresh is held up, and takes them for a while longer. */
static enum refresh_next imds_take(struct refresh *r, const struct fetch_answer *answer)
{
    struct aws_keys keys;
    if (!aws_read_json(answer->status, answer->body, &r->arena, &keys))
        return refresh_fail(r, keys.again, "%s: %.*s", imds, STR_FMT(keys.why));
    if (keys.expires_s != 0 && keys.expires_s <= r->now_s)
        keys.expires_s = r->now_s + STALE_LIFE_S + r->random % STALE_LIFE_S;
    return take_keys(r, &keys, imds);
}

static struct str first_line(struct str text)
{
    return str_trim(str_split(&text, '\n'));
}

enum refresh_next aws_metadata_step(struct refresh *r, const struct fetch_answer *answer)
{
    enum refresh_next next;
    if (r->step == 0) return imds_begin(r);
    if (!refresh_is_answered(r, answer, imds, &next)) return next;
    if (answer->status == 401 && !r->retried) { /* the session token ended between two steps */
        r->retried = true;
        r->step = 0;
        return imds_begin(r);
    }
    if (r->step < 3 && answer->status != 200)
        return refresh_fail(r, answer->status != 403, "%s: %s", imds,
                            r->step == 1            ? "no session token (is the hop limit 1 and this a container?)"
                            : answer->status == 404 ? "the instance has no role"
                                                    : "no answer about roles");
    if (r->step == 1) {
        r->note = arena_copy(&r->arena, str_trim(answer->body));
        return imds_get(r, STR_NULL);
    }
    if (r->step == 2) {
        struct str role = first_line(answer->body);
        if (role.n == 0) return refresh_fail(r, true, "%s: the instance has no role", imds);
        return imds_get(r, arena_copy(&r->arena, role));
    }
    return imds_take(r, answer);
}

/* ---- A role of another account: the keys found here sign for those of the role ---- */

bool aws_wants_role(const struct refresh *r)
{
    return r->conf->role_arn.n > 0 && !r->assuming && r->value.access_key_id.n > 0 && r->conf->source >= SOURCE_AWS &&
           r->conf->source <= SOURCE_AWS_METADATA && !r->is_role;
}

/* As fetch.c sends it. */
static struct str host_of(const struct url *u, struct arena *a)
{
    bool v6 = str_chr(u->host, ':') >= 0;
    struct str host = arena_printf(a, "%s%.*s%s", v6 ? "[" : "", STR_FMT(u->host), v6 ? "]" : "");
    if (!u->explicit_port || u->port == (u->tls ? 443 : 80)) return host;
    return arena_printf(a, "%.*s:%u", STR_FMT(host), (unsigned)u->port);
}

static enum refresh_next assume_begin(struct refresh *r)
{
    struct str session = refresh_text(r, r->conf->session_name, "AWS_ROLE_SESSION_NAME"), url;
    const struct http1_header form = {STR("content-type"), STR("application/x-www-form-urlencoded")};
    enum refresh_next next;
    struct url u;
    const char *why = "";
    r->assuming = true;
    if (session.n == 0) session = STR("weir");
    if (!aws_is_session_name(session)) return refresh_fail(r, false, "the role session name is not one that AWS takes");
    if (region_of(r).n == 0) return refresh_fail(r, false, "no region: set it, or AWS_REGION");
    if ((next = sts_url(r, &url)) != REFRESH_FETCH) return next;
    if (!url_parse(url, &u, &why)) return refresh_fail(r, false, "STS: %s", why);
    refresh_begin_fetch(r, url, r->fetch_ms);
    buf_addc(&r->url, '/');
    (void)refresh_add_header(r, "Accept", STR("application/xml"));
    aws_assume_role_body(r->conf->role_arn, session, &r->body);
    const struct sign_request s = {
        .method = STR("POST"),
        .host = host_of(&u, &r->arena),
        .path = STR("/"),
        .header = &form,
        .n = 1,
        .body = buf_view(&r->body),
        .region = region_of(r),
        .service = STR("sts"),
        .now_s = r->now_s,
    };
    if (sigv4_sign(&s, &r->value, &r->arena, &r->headers) != WEIR_OK)
        return refresh_fail(r, false, "STS: the keys cannot sign a request");
    return refresh_post_form(r);
}

enum refresh_next aws_assume_step(struct refresh *r, const struct fetch_answer *answer)
{
    struct aws_keys keys;
    enum refresh_next next;
    if (!r->assuming) return assume_begin(r);
    if (!refresh_is_answered(r, answer, "STS", &next)) return next;
    if (!aws_read_sts(answer->status, answer->body, &r->arena, &keys))
        return refresh_fail(r, keys.again, "STS: %.*s", STR_FMT(keys.why));
    r->via = "assumed role";
    return take_keys(r, &keys, "STS");
}
