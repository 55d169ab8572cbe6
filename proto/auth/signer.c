#include "proto/auth/signer.h"

#include "proto/auth/sigv4.h"
#include "proto/auth/static_key.h"

static enum weir_err sign_nothing(const struct sign_request *r, const struct credential *c, struct arena *a,
                                  struct buf *head)
{
    (void)r, (void)c, (void)a, (void)head;
    return WEIR_OK;
}

static const struct signer signers[SIGNER_COUNT] = {
    [SIGNER_NONE] = {.name = "none", .sign = sign_nothing},
    [SIGNER_BEARER] = {.name = "bearer", .needs_credential = true, .sign = static_key_bearer},
    [SIGNER_X_API_KEY] = {.name = "x-api-key", .needs_credential = true, .sign = static_key_x_api_key},
    [SIGNER_X_GOOG_API_KEY] = {.name = "x-goog-api-key", .needs_credential = true, .sign = static_key_x_goog_api_key},
    [SIGNER_API_KEY] = {.name = "api-key", .needs_credential = true, .sign = static_key_api_key},
    [SIGNER_SIGV4] =
        {.name = "sigv4", .needs_credential = true, .needs_body = true, .needs_region = true, .sign = sigv4_sign},
};

const struct signer *signer_of(enum signer_kind kind)
{
    return &signers[(unsigned)kind < SIGNER_COUNT ? kind : SIGNER_NONE];
}

bool signer_find(struct str name, enum signer_kind *ret_kind)
{
    for (unsigned i = 0; i < SIGNER_COUNT; i++) {
        if (!str_is(name, signers[i].name)) continue;
        *ret_kind = (enum signer_kind)i;
        return true;
    }
    return false;
}

enum weir_err signer_sign(enum signer_kind kind, const struct sign_request *r, const struct credential *c,
                          struct arena *a, struct buf *head)
{
    const struct signer *s = signer_of(kind);
    size_t before = buf_len(head);
    if (s->needs_credential && c->secret.n == 0) return WEIR_UP_AUTH;
    enum weir_err e = s->sign(r, c, a, head);
    if (e != WEIR_OK) buf_truncate(head, before);
    return e;
}

bool signer_is_credential_header(struct str name)
{
    static const char *const names[] = {
        "authorization",        "x-api-key", "x-goog-api-key",     "api-key", "x-amz-date", "x-amz-security-token",
        "x-amz-content-sha256", "cookie",    "proxy-authorization"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_iis(name, names[i])) return true;
    return false;
}

/* ---- One piece of bytes ---- */

bool credential_pack(const struct credential *c, struct buf *out)
{
    const struct str field[] = {c->secret, c->access_key_id, c->session_token, c->project};
    for (size_t i = 0; i < sizeof field / sizeof *field; i++)
        if (field[i].n > UINT16_MAX) return false;
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        buf_addc(out, (char)(field[i].n & 0xff));
        buf_addc(out, (char)(field[i].n >> 8));
        buf_add(out, field[i]);
    }
    return true;
}

static bool take_field(struct str *bytes, struct str *ret_field)
{
    if (bytes->n < 2) return false;
    size_t n = (size_t)(uint8_t)bytes->p[0] | (size_t)(uint8_t)bytes->p[1] << 8;
    if (bytes->n - 2 < n) return false;
    *ret_field = str_slice(*bytes, 2, 2 + n);
    *bytes = str_slice(*bytes, 2 + n, bytes->n);
    return true;
}

bool credential_unpack(struct str bytes, struct credential *ret_credential)
{
    struct credential c;
    if (!take_field(&bytes, &c.secret) || !take_field(&bytes, &c.access_key_id) ||
        !take_field(&bytes, &c.session_token) || !take_field(&bytes, &c.project) || bytes.n > 0)
        return false;
    *ret_credential = c;
    return true;
}
