#include "tools/fake/identity.h"

#include "proto/auth/digest.h"
#include "proto/auth/fields.h"
#include "proto/auth/sigv4.h"
#include "proto/base/clock.h"
#include "proto/base/date.h"
#include "proto/wire/url.h"

#include <stdio.h>
#include <string.h>

/* Tokens of real issuers have this order of length; what carries them should meet it. */
enum { TOKEN_BYTES = 1200, SKEW_S = 300 };

struct issued {
    uint64_t number;
    uint64_t until_ms; /* wall: answers name an end in seconds of it, so that it holds exactly until then */
};

static struct issued issued[IDENTITY_KEPT];
static uint64_t last_number;

/* ---- issuing ---- */

/* Whole seconds of the wall clock, because that is what most answers can say. */
static const struct issued *issue(struct provider *p)
{
    p->counts.tokens++;
    uint64_t number = ++last_number, now_s = clock_wall_ns() / 1000000000u;
    issued[number % IDENTITY_KEPT] = (struct issued){number, (now_s + p->token_life_s) * 1000};
    return &issued[number % IDENTITY_KEPT];
}

static void add_token(const struct issued *i, struct buf *out)
{
    size_t begin = buf_len(out);
    buf_addf(out, "fake-token-%llu-", (unsigned long long)i->number);
    while (buf_len(out) - begin < TOKEN_BYTES) buf_addc(out, (char)('A' + (buf_len(out) - begin + i->number) % 26));
}

static void add_secret(uint64_t number, struct buf *out)
{
    char hex[DIGEST_HEX_BYTES], text[48];
    int n = snprintf(text, sizeof text, "weir-fake %llu", (unsigned long long)number);
    digest_sha256_hex((struct str){text, (size_t)n}, hex);
    buf_add(out, (struct str){hex, 40});
}

static void add_end(const struct issued *i, struct buf *out)
{
    struct date d = date_of(i->until_ms / 1000);
    buf_addf(out, "%04d-%02u-%02uT%02u:%02u:%02uZ", d.year, d.month, d.day, d.hour, d.minute, d.second);
}

/* What is left when it is told: whole seconds, never more than the truth. */
static unsigned long long left_s(const struct issued *i)
{
    uint64_t now_ms = clock_wall_ns() / 1000000u;
    return i->until_ms > now_ms ? (i->until_ms - now_ms) / 1000 : 0;
}

static void answer_oauth(struct provider *p, struct answer *out)
{
    const struct issued *i = issue(p);
    buf_addz(&out->body, "{\"token_type\":\"Bearer\",\"access_token\":\"");
    add_token(i, &out->body);
    buf_addf(&out->body, "\",\"expires_in\":%llu}\n", left_s(i));
}

static void answer_aws_json(struct provider *p, struct answer *out)
{
    const struct issued *i = issue(p);
    buf_addf(&out->body,
             "{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"ASIAFAKE%llu\",\"SecretAccessKey\":\"",
             (unsigned long long)i->number);
    add_secret(i->number, &out->body);
    buf_addz(&out->body, "\",\"Token\":\"");
    add_token(i, &out->body);
    buf_addz(&out->body, "\",\"Expiration\":\"");
    add_end(i, &out->body);
    buf_addz(&out->body, "\"}\n");
}

static void answer_sts(struct provider *p, struct answer *out)
{
    const struct issued *i = issue(p);
    struct buf *b = &out->body;
    out->content_type = "text/xml";
    buf_addz(b, "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
                "<AssumeRoleWithWebIdentityResult><Credentials>");
    buf_addf(b, "<AccessKeyId>ASIAFAKE%llu</AccessKeyId><SecretAccessKey>", (unsigned long long)i->number);
    add_secret(i->number, b);
    buf_addz(b, "</SecretAccessKey><SessionToken>");
    add_token(i, b);
    buf_addz(b, "</SessionToken><Expiration>");
    add_end(i, b);
    buf_addz(b, "</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>\n");
}

static void refuse_oauth(struct answer *out, unsigned status, const char *error, const char *text)
{
    out->status = status;
    buf_addf(&out->body, "{\"error\":\"%s\",\"error_description\":\"%s\"}\n", error, text);
}

static void refuse_sts(struct answer *out, const char *code, const char *text)
{
    out->status = 400;
    out->content_type = "text/xml";
    buf_addf(&out->body,
             "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>\n",
             code, text);
}

/* ---- endpoints ---- */

static struct str form_value(struct str form, const char *name, struct arena *a)
{
    while (form.n > 0) {
        struct str pair = str_split(&form, '&'), key = str_split(&pair, '=');
        struct buf b = {0};
        if (!str_is(key, name)) continue;
        (void)url_percent_decode(pair, &b);
        struct str copy = arena_copy(a, buf_view(&b));
        buf_fini(&b);
        return copy;
    }
    return STR_NULL;
}

static bool is_jwt(struct str s)
{
    struct str head = str_split(&s, '.'), claims = str_split(&s, '.');
    return head.n > 10 && claims.n > 10 && s.n > 100;
}

static void entra(struct conn *c, struct str form)
{
    struct answer *out = &c->answer;
    struct str assertion = form_value(form, "client_assertion", &c->arena);
    if (!str_is(form_value(form, "grant_type", &c->arena), "client_credentials") ||
        !str_ends(form_value(form, "scope", &c->arena), STR("/.default")))
        refuse_oauth(out, 400, "invalid_request", "AADSTS900144: grant_type client_credentials and a .default scope");
    else if (form_value(form, "client_id", &c->arena).n == 0 ||
             (assertion.n == 0 && form_value(form, "client_secret", &c->arena).n == 0))
        refuse_oauth(out, 401, "invalid_client", "AADSTS7000216: client_assertion or client_secret is required");
    else if (assertion.n > 0 && !str_is(form_value(form, "client_assertion_type", &c->arena),
                                        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"))
        refuse_oauth(out, 400, "invalid_request", "AADSTS900144: client_assertion_type");
    else
        answer_oauth(c->provider, out);
}

static void google(struct conn *c, struct str form)
{
    struct str grant = form_value(form, "grant_type", &c->arena);
    bool good = false;
    if (str_is(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer"))
        good = is_jwt(form_value(form, "assertion", &c->arena));
    else if (str_is(grant, "refresh_token"))
        good = form_value(form, "refresh_token", &c->arena).n > 0 && form_value(form, "client_id", &c->arena).n > 0;
    else if (str_is(grant, "urn:ietf:params:oauth:grant-type:token-exchange"))
        good = form_value(form, "subject_token", &c->arena).n > 0 && form_value(form, "audience", &c->arena).n > 0 &&
               form_value(form, "subject_token_type", &c->arena).n > 0;
    if (good)
        answer_oauth(c->provider, &c->answer);
    else
        refuse_oauth(&c->answer, 400, "invalid_grant", "Invalid JWT or grant");
}

static void sts(struct conn *c, const struct http1_head *head, struct str form)
{
    struct str action = form_value(form, "Action", &c->arena);
    bool web = str_is(action, "AssumeRoleWithWebIdentity");
    if ((!web && !str_is(action, "AssumeRole")) || !str_is(form_value(form, "Version", &c->arena), "2011-06-15"))
        refuse_sts(&c->answer, "InvalidAction", "Could not find operation for version 2011-06-15");
    else if (!str_starts(form_value(form, "RoleArn", &c->arena), STR("arn:")) ||
             (web && form_value(form, "WebIdentityToken", &c->arena).n == 0))
        refuse_sts(&c->answer, "ValidationError", "RoleArn and WebIdentityToken are required");
    else if (!web && !str_starts(http1_get(head, "authorization"), STR("AWS4-HMAC-SHA256 ")))
        refuse_sts(&c->answer, "MissingAuthenticationToken", "AssumeRole wants a signed request");
    else
        answer_sts(c->provider, &c->answer);
}

static void metadata(struct conn *c, const struct http1_head *head, const char *header, const char *value)
{
    struct answer *out = &c->answer;
    if (!str_iis(http1_get(head, header), value)) {
        refuse_oauth(out, 403, "invalid_request", "the metadata header is required");
        return;
    }
    if (str_iis(http1_get(head, "metadata-flavor"), "Google")) answer_header(out, "Metadata-Flavor", "Google");
    answer_oauth(c->provider, out);
}

static void imds(struct conn *c, const struct http1_head *head)
{
    static const char session[] = "fake-imds-session";
    struct str roles = STR("/latest/meta-data/iam/security-credentials/");
    struct str role = str_slice(head->path, roles.n, head->path.n);
    struct answer *out = &c->answer;
    if (str_is(head->path, "/latest/api/token")) {
        if (!str_is(head->method, "PUT") || http1_get(head, "x-aws-ec2-metadata-token-ttl-seconds").n == 0)
            out->status = 400;
        else
            buf_addz(&out->body, session);
    } else if (!str_is(http1_get(head, "x-aws-ec2-metadata-token"), session)) {
        out->status = 401;
    } else if (role.n == 0) {
        buf_addz(&out->body, "fake-role\n");
    } else {
        answer_aws_json(c->provider, out);
    }
}

bool identity_serve(struct conn *c, const struct http1_head *head, struct str body)
{
    struct str path = head->path;
    bool post = str_is(head->method, "POST"), get = str_is(head->method, "GET");
    if (post && str_ends(path, STR("/oauth2/v2.0/token")))
        entra(c, body);
    else if (get && str_is(path, "/metadata/identity/oauth2/token"))
        metadata(c, head, "metadata", "true");
    else if (post && str_is(path, "/google/token"))
        google(c, body);
    else if (get && str_starts(path, STR("/computeMetadata/v1/instance/service-accounts/")) &&
             str_ends(path, STR("/token")))
        metadata(c, head, "metadata-flavor", "Google");
    else if (post && str_is(path, "/"))
        sts(c, head, body);
    else if (get && str_is(path, "/container/credentials"))
        answer_aws_json(c->provider, &c->answer);
    else if (str_is(path, "/latest/api/token") || str_starts(path, STR("/latest/meta-data/iam/security-credentials/")))
        imds(c, head);
    else
        return false;
    return true;
}

/* ---- checking ---- */

/* The credential that this text is; NULL: none of ours. */
static const struct issued *issued_of(struct str token)
{
    struct str rest = token;
    uint64_t number;
    if (!str_starts(rest, STR("fake-token-"))) return NULL;
    rest = str_slice(rest, 11, rest.n);
    if (!str_u64(str_split(&rest, '-'), &number)) return NULL;
    const struct issued *i = &issued[number % IDENTITY_KEPT];
    if (number == 0 || i->number != number) return NULL;
    struct buf whole = {0};
    add_token(i, &whole);
    bool same = str_eq(buf_view(&whole), token);
    buf_fini(&whole);
    return same ? i : NULL;
}

static bool refused(struct provider *p, struct refusal *r, unsigned status, const char *code, const char *message)
{
    p->counts.unauthorized++;
    *r = (struct refusal){.status = status, .type = "authentication_error", .code = code, .message = str_of(message)};
    return false;
}

static bool holds(struct provider *p, const struct issued *i, unsigned status, const char *code, struct refusal *r)
{
    if (i == NULL) return refused(p, r, status, "invalid_token", "this token was not issued here");
    if (clock_wall_ns() / 1000000u < i->until_ms) return true;
    p->counts.expired_tokens++;
    return refused(p, r, status, code, "the token has expired");
}

struct signature {
    struct str access_key_id, day, region, service, names, hex;
};

/* "AWS4-HMAC-SHA256 Credential=ID/DAY/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX" */
static bool read_signature(struct str text, struct signature *s)
{
    const struct str begin = STR("AWS4-HMAC-SHA256 Credential=");
    if (!str_starts(text, begin)) return false;
    text = str_slice(text, begin.n, text.n);
    struct str scope = str_split(&text, ','), names = str_trim(str_split(&text, ','));
    *s = (struct signature){.access_key_id = str_split(&scope, '/')};
    s->day = str_split(&scope, '/');
    s->region = str_split(&scope, '/');
    s->service = str_split(&scope, '/');
    text = str_trim(text);
    if (!str_is(scope, "aws4_request") || !str_starts(names, STR("SignedHeaders=")) ||
        !str_starts(text, STR("Signature=")))
        return false;
    s->names = str_slice(names, 14, names.n);
    s->hex = str_slice(text, 10, text.n);
    return true;
}

/* "20150830T123600Z" */
static bool read_time(struct str s, uint64_t *ret_s)
{
    char text[24];
    if (s.n != 16) return false;
    snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s.p, s.p + 4, s.p + 6, s.p + 9, s.p + 11, s.p + 13);
    return date_read_rfc3339(str_of(text), ret_s);
}

static bool check_signature(struct provider *p, const struct http1_head *head, struct str body, struct arena *a,
                            struct refusal *r)
{
    struct signature s;
    struct str token = http1_get(head, "x-amz-security-token"), shown = http1_get(head, "x-amz-content-sha256");
    struct http1_header signed_headers[16];
    char hash[DIGEST_HEX_BYTES];
    uint64_t at_s, now_s = clock_wall_ns() / 1000000000u;
    unsigned n = 0;
    if (!read_signature(http1_get(head, "authorization"), &s))
        return refused(p, r, 403, "MissingAuthenticationTokenException", "Missing Authentication Token");
    const struct issued *i = issued_of(token);
    if (!holds(p, i, 403, "ExpiredTokenException", r)) return false;
    if (!read_time(http1_get(head, "x-amz-date"), &at_s) || at_s + SKEW_S < now_s || at_s > now_s + SKEW_S)
        return refused(p, r, 403, "RequestExpired", "Request has expired, or its date cannot be read");
    if (!str_contains(s.names, STR("host")) || !str_contains(s.names, STR("x-amz-security-token")) ||
        !str_contains(s.names, STR("x-amz-date")))
        return refused(p, r, 403, "InvalidSignatureException", "host, date and token must be signed");
    digest_sha256_hex(body, hash);
    if (shown.n > 0 && !str_eq(shown, (struct str){hash, sizeof hash}))
        return refused(p, r, 403, "InvalidSignatureException", "x-amz-content-sha256 is not that of the body");
    for (struct str rest = s.names; rest.n > 0 && n < 16;) {
        struct str name = str_split(&rest, ';');
        /* those that the computation adds by itself */
        if (str_is(name, "x-amz-date") || str_is(name, "x-amz-security-token") || str_is(name, "x-amz-content-sha256"))
            continue;
        signed_headers[n++] = (struct http1_header){name, http1_get(head, arena_copy(a, name).p)};
    }
    struct buf secret = {0};
    add_secret(i->number, &secret);
    const struct sigv4_input in = {
        .method = head->method,
        .path = head->path,
        .query = head->query,
        .header = signed_headers,
        .n = n,
        .payload_hash = {hash, sizeof hash},
        .credential = {.secret = buf_view(&secret), .access_key_id = s.access_key_id, .session_token = token},
        .region = s.region,
        .service = s.service,
        .now_s = at_s,
        .show_payload_hash = shown.n > 0,
    };
    struct sigv4_result want;
    sigv4_headers(&in, a, &want);
    buf_fini(&secret);
    if (str_is(s.service, "bedrock") && str_eq(want.signature, s.hex)) return true;
    return refused(p, r, 403, "InvalidSignatureException",
                   "The request signature we calculated does not match the signature you provided.");
}

bool identity_check(struct provider *p, const struct http1_head *head, struct str body, struct arena *a,
                    struct refusal *ret_refusal)
{
    struct str bearer = http1_get(head, "authorization");
    if (p->guard == GUARD_NONE) return true;
    if (p->guard == GUARD_SIGV4) return check_signature(p, head, body, a, ret_refusal);
    if (!str_starts(bearer, STR("Bearer ")))
        return refused(p, ret_refusal, 401, "invalid_token", "a bearer token is required");
    return holds(p, issued_of(str_slice(bearer, 7, bearer.n)), 401, "access_token_expired", ret_refusal);
}
