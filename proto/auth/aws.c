#include "proto/auth/aws.h"

#include "proto/auth/fields.h"
#include "proto/auth/token.h"
#include "proto/base/date.h"

#include <string.h>

enum { WORDS_BYTES = 200 };

void aws_web_identity_body(struct str role_arn, struct str session_name, struct str token, struct buf *out)
{
    form_add(out, "Action", STR("AssumeRoleWithWebIdentity"));
    form_add(out, "Version", STR("2011-06-15"));
    form_add(out, "RoleArn", role_arn);
    form_add(out, "RoleSessionName", session_name);
    form_add(out, "WebIdentityToken", token);
}

void aws_assume_role_body(struct str role_arn, struct str session_name, struct buf *out)
{
    form_add(out, "Action", STR("AssumeRole"));
    form_add(out, "Version", STR("2011-06-15"));
    form_add(out, "RoleArn", role_arn);
    form_add(out, "RoleSessionName", session_name);
}

bool aws_is_session_name(struct str name)
{
    static const char marks[] = "_+=,.@-";
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (c == '\0' || strchr(marks, c) == NULL)) return false;
    }
    return name.n >= 2 && name.n <= 64;
}

static bool fail(struct aws_keys *k, struct str why, bool again)
{
    *k = (struct aws_keys){.why = why, .again = again};
    return false;
}

static bool is_header_text(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~') return false;
    return true;
}

static bool check(struct aws_keys *k)
{
    if (k->access_key_id.n == 0 || k->secret.n == 0) return fail(k, STR("the answer holds no keys"), true);
    if (!is_header_text(k->access_key_id) || !is_header_text(k->session_token))
        return fail(k, STR("the keys hold bytes that no header may"), false);
    return true;
}

/* ---- XML: only what STS writes: elements without attributes that matter, no CDATA ---- */

/* The text between <name> and </name>, first in `xml`. */
static bool element(struct str xml, const char *name, struct str *ret_content)
{
    size_t name_n = strlen(name);
    for (ptrdiff_t at; (at = str_chr(xml, '<')) >= 0;) {
        xml = str_slice(xml, (size_t)at + 1, xml.n);
        if (!str_starts(xml, (struct str){name, name_n})) continue;
        struct str rest = str_slice(xml, name_n, xml.n);
        if (rest.n == 0 || (rest.p[0] != '>' && rest.p[0] != ' ')) continue;
        ptrdiff_t open = str_chr(rest, '>');
        if (open < 0) return false;
        rest = str_slice(rest, (size_t)open + 1, rest.n);
        struct str end_from = rest;
        for (ptrdiff_t end; (end = str_find(end_from, STR("</"))) >= 0;) {
            struct str tail = str_slice(end_from, (size_t)end + 2, end_from.n);
            if (str_starts(tail, (struct str){name, name_n}) && tail.n > name_n && tail.p[name_n] == '>') {
                *ret_content = (struct str){rest.p, (size_t)(end_from.p + end - rest.p)};
                return true;
            }
            end_from = tail;
        }
        return false;
    }
    return false;
}

static struct str unescaped(struct str s, struct arena *a)
{
    static const struct {
        struct str from;
        char to;
    } entities[] = {
        {{"&lt;", 4}, '<'}, {{"&gt;", 4}, '>'}, {{"&amp;", 5}, '&'}, {{"&quot;", 6}, '"'}, {{"&apos;", 6}, '\''}};
    char *p = arena_alloc(a, s.n + 1);
    size_t n = 0;
    while (s.n > 0) {
        size_t skip = 1;
        char c = s.p[0];
        for (size_t i = 0; c == '&' && i < sizeof entities / sizeof *entities; i++) {
            if (!str_starts(s, entities[i].from)) continue;
            c = entities[i].to;
            skip = entities[i].from.n;
            break;
        }
        p[n++] = c;
        s = str_slice(s, skip, s.n);
    }
    p[n] = '\0';
    return str_trim((struct str){p, n});
}

static struct str element_text(struct str xml, const char *name, struct arena *a)
{
    struct str s;
    return element(xml, name, &s) ? unescaped(s, a) : STR_NULL;
}

static bool read_sts_error(uint16_t status, struct str body, struct arena *a, struct aws_keys *k)
{
    struct str error;
    if (!element(body, "Error", &error))
        return fail(k, arena_printf(a, "status %u without credentials", status),
                    token_is_passing_status(status) || status == 200);
    struct str code = plain_words(element_text(error, "Code", a), WORDS_BYTES, a);
    struct str text = plain_words(element_text(error, "Message", a), WORDS_BYTES, a);
    /* InvalidIdentityToken: the issuer's keys could not be read, or the file's token was just replaced */
    bool again = token_is_passing_status(status) || str_is(code, "IDPCommunicationError") ||
                 str_is(code, "InvalidIdentityToken") || str_is(code, "Throttling") ||
                 str_is(code, "ExpiredTokenException");
    return fail(k, arena_printf(a, "%.*s: %.*s", STR_FMT(code), STR_FMT(text)), again);
}

bool aws_read_sts(uint16_t status, struct str body, struct arena *a, struct aws_keys *ret)
{
    struct str credentials;
    if (body.n > FIELDS_MAX_BYTES) return fail(ret, STR("the answer is too large"), true);
    if (status != 200 || !element(body, "Credentials", &credentials)) return read_sts_error(status, body, a, ret);
    struct aws_keys k = {
        .access_key_id = element_text(credentials, "AccessKeyId", a),
        .secret = element_text(credentials, "SecretAccessKey", a),
        .session_token = element_text(credentials, "SessionToken", a),
    };
    (void)date_read_rfc3339(element_text(credentials, "Expiration", a), &k.expires_s);
    *ret = k;
    return check(ret);
}

/* ---- JSON ---- */

bool aws_read_json(uint16_t status, struct str body, struct arena *a, struct aws_keys *ret)
{
    struct str object;
    const char *why;
    if (!fields_open(body, &object, &why))
        return fail(ret, arena_printf(a, "status %u, %s", status, why),
                    token_is_passing_status(status) || status == 200);
    struct str code = plain_words(fields_text(object, "Code", a), WORDS_BYTES, a);
    if (code.n == 0) code = plain_words(fields_text(object, "code", a), WORDS_BYTES, a);
    if (status != 200 || (code.n > 0 && !str_iis(code, "success"))) {
        struct str text = fields_text(object, "Message", a);
        if (text.n == 0) text = fields_text(object, "message", a);
        text = plain_words(text, WORDS_BYTES, a);
        return fail(ret, arena_printf(a, "status %u, %.*s %.*s", status, STR_FMT(code), STR_FMT(text)),
                    token_is_passing_status(status) || status == 200);
    }
    struct aws_keys k = {
        .access_key_id = fields_text(object, "AccessKeyId", a),
        .secret = fields_text(object, "SecretAccessKey", a),
        .session_token = fields_text(object, "Token", a),
    };
    (void)date_read_rfc3339(fields_text(object, "Expiration", a), &k.expires_s);
    *ret = k;
    return check(ret);
}

bool aws_is_container_address(int family, const uint8_t ip[16])
{
    static const uint8_t ecs[4] = {169, 254, 170, 2}, eks[4] = {169, 254, 170, 23};
    static const uint8_t eks6[16] = {0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23}, loopback6[16] = {[15] = 1};
    if (family == 4) return ip[0] == 127 || memcmp(ip, ecs, 4) == 0 || memcmp(ip, eks, 4) == 0;
    return memcmp(ip, eks6, 16) == 0 || memcmp(ip, loopback6, 16) == 0;
}
