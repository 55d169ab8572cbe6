#include "proto/auth/token.h"

#include "proto/auth/fields.h"
#include "proto/base/date.h"

enum { WORDS_BYTES = 200 };

bool token_is_passing_status(uint16_t status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static bool fail(struct token *t, struct str why, bool again)
{
    *t = (struct token){.why = why, .again = again};
    return false;
}

static uint64_t at_most(uint64_t v, uint64_t most)
{
    return v < most ? v : most;
}

/* {"error":"invalid_grant","error_description":"…"}; Google's APIs: {"error":{"status":"…","message":"…"}}. */
static bool read_refusal(uint16_t status, struct str object, struct arena *a, struct token *t)
{
    struct str inner;
    struct str code = fields_text(object, "error", a), text = fields_text(object, "error_description", a);
    if (fields_object(object, "error", &inner)) {
        code = fields_text(inner, "status", a);
        text = fields_text(inner, "message", a);
    }
    code = plain_words(code, WORDS_BYTES, a);
    text = plain_words(text, WORDS_BYTES, a);
    bool again =
        token_is_passing_status(status) || str_is(code, "temporarily_unavailable") || str_is(code, "slow_down");
    if (code.n == 0) return fail(t, arena_printf(a, "status %u without a token", status), again);
    return fail(t, arena_printf(a, "%.*s%s%.*s", STR_FMT(code), text.n > 0 ? ": " : "", STR_FMT(text)), again);
}

/* "1795003600", or a date. */
static bool read_moment(struct str object, const char *key, struct arena *a, uint64_t *ret_s)
{
    return fields_u64(object, key, ret_s) || date_read_rfc3339(fields_text(object, key, a), ret_s);
}

static uint64_t read_life(struct str object, const char *until_key, uint64_t now_s, struct arena *a)
{
    uint64_t life, until;
    if (fields_u64(object, "expires_in", &life)) return at_most(life, TOKEN_MAX_LIFE_S);
    if (!read_moment(object, until_key, a, &until)) return TOKEN_DEFAULT_LIFE_S;
    life = until > now_s ? until - now_s : 0;
    if (life > 1) life--; /* now_s is a whole second, of which a part is over */
    return at_most(life, TOKEN_MAX_LIFE_S);
}

static bool read_with(uint16_t status, struct str body, const char *token_key, const char *until_key, uint64_t now_s,
                      struct arena *a, struct token *t)
{
    struct str object;
    const char *why;
    if (!fields_open(body, &object, &why))
        return fail(t, arena_printf(a, "status %u, %s", status, why), token_is_passing_status(status) || status == 200);
    struct token got = {.text = fields_text(object, token_key, a)};
    if (status != 200 || got.text.n == 0) return read_refusal(status, object, a, t);
    for (size_t i = 0; i < got.text.n; i++) /* it will stand in a header */
        if (got.text.p[i] <= ' ' || got.text.p[i] > '~')
            return fail(t, STR("the token holds bytes that no header may"), false);
    got.life_s = read_life(object, until_key, now_s, a);
    if (got.life_s == 0) return fail(t, STR("the token that came is expired already; is the clock right?"), true);
    if (fields_u64(object, "refresh_in", &got.refresh_s) && got.refresh_s > got.life_s) got.refresh_s = 0;
    *t = got;
    return true;
}

bool token_read(uint16_t status, struct str body, uint64_t now_s, struct arena *a, struct token *ret)
{
    return read_with(status, body, "access_token", "expires_on", now_s, a, ret);
}

bool token_read_impersonated(uint16_t status, struct str body, uint64_t now_s, struct arena *a, struct token *ret)
{
    return read_with(status, body, "accessToken", "expireTime", now_s, a, ret);
}
