#include "proto/dialect/upstream_error.h"

#include "proto/dialect/tree.h"

enum { MESSAGE_MOST = 500 };

/* All that error bodies of any shape say, before it is judged. */
struct said {
    struct str message, code, type, detail;
    struct str delay;     /* Google's RetryInfo: "37s" */
    struct str field;     /* FastAPI and the like: the member that is wrong */
    struct str behind;    /* OpenRouter: the body of the provider behind it, as text */
    bool has_error;       /* an `error` member, or a body of type error: what makes a 200 a failure */
    uint16_t code_status; /* a code that is an HTTP status, as number or text: Azure "429", OpenRouter 502 */
};

enum where { CODE, BEGINS, HOLDS, MESSAGE };

/* First match wins, so the narrow ones stand before the wide ones. A row with a status holds for that status only (0: any).
 * No row looks for "429" or "rate limit" in a message: bad requests talk about those too. */
static const struct pattern {
    uint16_t status;
    enum where where;
    const char
        *text; /* CODE: whole code, type or detail code; BEGINS, HOLDS: how one begins, part of one; MESSAGE: part of
                * the message. Letters' case does not matter */
    enum weir_err err;
} PATTERNS[] = {
    /* money */
    {0, CODE, "insufficient_quota", WEIR_UP_QUOTA},
    {0, CODE, "credit_balance_exhausted", WEIR_UP_QUOTA},
    {0, CODE, "organization_spend_limit_exceeded", WEIR_UP_QUOTA},
    {0, CODE, "project_spend_limit_exceeded", WEIR_UP_QUOTA},
    {0, CODE, "organization_usage_limit_exceeded", WEIR_UP_QUOTA},
    {0, CODE, "billing_hard_limit_reached", WEIR_UP_QUOTA},
    {0, CODE, "billing_not_active", WEIR_UP_QUOTA},
    {0, CODE, "usage_limit_reached", WEIR_UP_QUOTA},
    {0, CODE, "usage_not_included", WEIR_UP_QUOTA},
    {0, CODE, "billing_error", WEIR_UP_QUOTA},
    {0, CODE, "enforced_spend_limit_reached", WEIR_UP_QUOTA},
    {0, CODE, "contract_spend_limit_reached", WEIR_UP_QUOTA},
    {0, CODE, "linked_organization_spend_limit_reached", WEIR_UP_QUOTA},
    {0, CODE, "servicequotaexceededexception", WEIR_UP_QUOTA}, /* Amazon */
    {0, CODE, "exceeded_current_quota_error", WEIR_UP_QUOTA},  /* Moonshot */
    {0, CODE, "credit_limit", WEIR_UP_QUOTA},                  /* Together */
    {0, CODE, "accountoverdueerror", WEIR_UP_QUOTA},           /* Ark, these three */
    {0, CODE, "quotaexceeded", WEIR_UP_QUOTA},
    {0, CODE, "setlimitexceeded", WEIR_UP_QUOTA},
    {400, MESSAGE, "reached your specified api usage limits", WEIR_UP_QUOTA}, /* Anthropic: a limit of one's own */
    {429, MESSAGE, "free_tier_requests, limit: 0", WEIR_UP_QUOTA},            /* Google */
    {0, MESSAGE, "used all available credits", WEIR_UP_QUOTA},                /* xAI, these two */
    {403, MESSAGE, "doesn't have any credits", WEIR_UP_QUOTA},
    {429, MESSAGE, "too many tokens per day", WEIR_UP_QUOTA},
    {0, MESSAGE, "credit balance is too low", WEIR_UP_QUOTA},
    {0, MESSAGE, "insufficient balance", WEIR_UP_QUOTA},
    {402, MESSAGE, "", WEIR_UP_QUOTA},
    {0, CODE, "quota_per_day", WEIR_UP_QUOTA}, /* Google: made of its quotaId */
    {400, MESSAGE, "free tier is not available", WEIR_UP_QUOTA},
    {400, MESSAGE, "enable billing", WEIR_UP_QUOTA},
    /* too much at a time */
    {0, CODE, "server_is_overloaded", WEIR_UP_OVERLOADED},
    {0, CODE, "overloaded_error", WEIR_UP_OVERLOADED},
    {0, CODE, "serveroverloaded", WEIR_UP_OVERLOADED}, /* Ark, these two */
    {0, CODE, "modelloadingerror", WEIR_UP_OVERLOADED},
    {429, MESSAGE, "system is experiencing high demand", WEIR_UP_OVERLOADED},
    {0, MESSAGE, "engine is currently overloaded", WEIR_UP_OVERLOADED},
    {0, CODE, "serviceunavailableexception", WEIR_UP_OVERLOADED},
    {0, CODE, "modelnotreadyexception", WEIR_UP_OVERLOADED},
    {0, CODE, "throttlingexception", WEIR_UP_RATE_LIMIT},
    {0, CODE, "toomanyrequestsexception", WEIR_UP_RATE_LIMIT},
    {0, CODE, "rate_limit_exceeded", WEIR_UP_RATE_LIMIT},
    {0, CODE, "rate_limit_error", WEIR_UP_RATE_LIMIT},
    {0, CODE, "slow_down", WEIR_UP_RATE_LIMIT},
    {0, CODE, "ramp_limit_exceeded", WEIR_UP_RATE_LIMIT},
    {0, CODE, "ratelimitreached", WEIR_UP_RATE_LIMIT},
    {0, CODE, "too_many_requests", WEIR_UP_RATE_LIMIT},
    {429, HOLDS, "ratelimitexceeded", WEIR_UP_RATE_LIMIT}, /* Ark, these two */
    {0, CODE, "requestbursttoofast", WEIR_UP_RATE_LIMIT},
    {429, CODE, "requests", WEIR_UP_RATE_LIMIT},
    {429, CODE, "resource_exhausted", WEIR_UP_RATE_LIMIT},
    {503, CODE, "unavailable", WEIR_UP_OVERLOADED},
    {429, CODE, "tokens", WEIR_UP_RATE_LIMIT},
    /* too long */
    {0, CODE, "context_length_exceeded", WEIR_UP_CONTEXT_LENGTH},
    {0, CODE, "string_above_max_length", WEIR_UP_CONTEXT_LENGTH},
    {0, CODE, "too_many_prompt_tokens", WEIR_UP_CONTEXT_LENGTH},           /* Perplexity */
    {0, CODE, "exceed_context_size_error", WEIR_UP_CONTEXT_LENGTH},        /* llama.cpp */
    {0, CODE, "model_max_prompt_tokens_exceeded", WEIR_UP_CONTEXT_LENGTH}, /* Copilot */
    {0, CODE, "outofcontexterror", WEIR_UP_CONTEXT_LENGTH},                /* Ark */
    {400, MESSAGE, "maximum context", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "max context length", WEIR_UP_CONTEXT_LENGTH},              /* Ollama */
    {400, MESSAGE, "maximum prompt length", WEIR_UP_CONTEXT_LENGTH},           /* xAI */
    {400, MESSAGE, "exceeded model token limit", WEIR_UP_CONTEXT_LENGTH},      /* Moonshot */
    {400, MESSAGE, "prompt exceeds max length", WEIR_UP_CONTEXT_LENGTH},       /* Z.ai */
    {400, MESSAGE, "context window exceeds", WEIR_UP_CONTEXT_LENGTH},          /* MiniMax */
    {400, MESSAGE, "greater than the context length", WEIR_UP_CONTEXT_LENGTH}, /* LM Studio */
    {400, MESSAGE, "exceed the configured limit", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "string too long", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "prompt is too long", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "exceed context limit", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "longer than the model's context", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "exceeds the available context", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "max_new_tokens` must be", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "too many tokens", WEIR_UP_CONTEXT_LENGTH},
    {422, MESSAGE, "max_new_tokens` must be", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "current length is", WEIR_UP_CONTEXT_LENGTH},
    {413, MESSAGE, "prompt is too long", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "exceeds the maximum number of tokens allowed", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "input is too long for requested model", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "input tokens exceeded", WEIR_UP_CONTEXT_LENGTH},
    {400, MESSAGE, "too many input tokens", WEIR_UP_CONTEXT_LENGTH},
    /* policy */
    {0, CODE, "content_policy_violation", WEIR_UP_CONTENT_POLICY},
    {0, CODE, "content_filter", WEIR_UP_CONTENT_POLICY},
    {0, CODE, "responsibleaipolicyviolation", WEIR_UP_CONTENT_POLICY},
    {0, CODE, "invalid_prompt", WEIR_UP_CONTENT_POLICY},
    {0, CODE, "moderation_blocked", WEIR_UP_CONTENT_POLICY},
    {0, CODE, "bio_policy", WEIR_UP_CONTENT_POLICY},
    {0, CODE, "misalignment_policy_violation", WEIR_UP_CONTENT_POLICY},
    {0, BEGINS, "cyber_policy", WEIR_UP_CONTENT_POLICY},
    {400, HOLDS, "sensitivecontentdetected", WEIR_UP_CONTENT_POLICY}, /* Ark, these two */
    {400, HOLDS, "riskdetection", WEIR_UP_CONTENT_POLICY},
    {0, MESSAGE, "rejected as a result of our safety system", WEIR_UP_CONTENT_POLICY},
    {0, MESSAGE, "content management policy", WEIR_UP_CONTENT_POLICY},
    {0, MESSAGE, "blocked by content filtering policy", WEIR_UP_CONTENT_POLICY},
    /* our key */
    {0, CODE, "invalid_api_key", WEIR_UP_AUTH},
    {0, CODE, "authentication_error", WEIR_UP_AUTH},
    {0, CODE, "authenticationerror", WEIR_UP_AUTH}, /* Ark */
    {0, CODE, "ip_not_authorized", WEIR_UP_AUTH},
    {0, CODE, "api_key_invalid", WEIR_UP_AUTH}, /* Google: with status 400 */
    {0, CODE, "api_key_service_blocked", WEIR_UP_AUTH},
    {0, CODE, "access_token_expired", WEIR_UP_AUTH},
    {400, MESSAGE, "api key not valid", WEIR_UP_AUTH},
    {400, MESSAGE, "api key expired", WEIR_UP_AUTH},
    {400, MESSAGE, "user location is not supported", WEIR_UP_PERMISSION},
    {0, CODE, "unrecognizedclientexception", WEIR_UP_AUTH}, /* Amazon, from here on */
    {0, CODE, "invalidsignatureexception", WEIR_UP_AUTH},
    {0, CODE, "signaturedoesnotmatch", WEIR_UP_AUTH},
    {0, CODE, "expiredtokenexception", WEIR_UP_AUTH},
    {0, CODE, "invalidclienttokenid", WEIR_UP_AUTH},
    {0, CODE, "incompletesignature", WEIR_UP_AUTH},
    {0, CODE, "incompletesignatureexception", WEIR_UP_AUTH},
    {0, CODE, "missingauthenticationtokenexception", WEIR_UP_AUTH},
    {0, CODE, "requestexpired", WEIR_UP_AUTH},
    {0, CODE, "accessdeniedexception", WEIR_UP_PERMISSION},
    {0, CODE, "mpagreementbeingcreated", WEIR_UP_PERMISSION},
    {0, CODE, "permission_error", WEIR_UP_PERMISSION},
    {403, CODE, "accessdenied", WEIR_UP_PERMISSION}, /* Ark */
    {0, CODE, "unsupported_country", WEIR_UP_PERMISSION},
    {0, CODE, "unsupported_country_region_territory", WEIR_UP_PERMISSION},
    /* the model */
    {0, CODE, "model_not_found", WEIR_UP_NOT_FOUND},
    {0, CODE, "deploymentnotfound", WEIR_UP_NOT_FOUND},
    {0, CODE, "not_found_error", WEIR_UP_NOT_FOUND},
    {0, CODE, "resourcenotfoundexception", WEIR_UP_NOT_FOUND},
    {0, CODE, "ftuformnotfilled", WEIR_UP_NOT_FOUND},
    {0, CODE, "modelnotopen", WEIR_UP_NOT_FOUND}, /* Ark, these two */
    {0, BEGINS, "invalidendpointormodel", WEIR_UP_NOT_FOUND},
    {400, MESSAGE, "on-demand throughput isn't supported", WEIR_UP_NOT_FOUND},
    {400, MESSAGE, "on-demand throughput isn’t supported", WEIR_UP_NOT_FOUND},
    {400, MESSAGE, "provided model identifier is invalid", WEIR_UP_NOT_FOUND},
    /* what this model cannot do */
    /* reasoning of an earlier turn: not its own, not whole, or not there */
    {0, CODE, "invalid_encrypted_content", WEIR_UP_REASONING_STATE},
    {0, MESSAGE, "items are not persisted when",
     WEIR_UP_REASONING_STATE}, /* "Item with id 'rs_…' not found." comes before */
    {400, MESSAGE, "without its required following item", WEIR_UP_REASONING_STATE},
    {400, MESSAGE, "without its required 'reasoning' item", WEIR_UP_REASONING_STATE},
    {400, MESSAGE, "invalid `signature` in `thinking`", WEIR_UP_REASONING_STATE},
    {400, MESSAGE, "blocks in the latest assistant message cannot be modified", WEIR_UP_REASONING_STATE},
    {400, MESSAGE, "bound to a different conversation", WEIR_UP_REASONING_STATE},
    {400, MESSAGE, "missing a `thought_signature`", WEIR_UP_REASONING_STATE},
    {400, MESSAGE, "corrupted thought signature", WEIR_UP_REASONING_STATE},
    {0, CODE, "unsupported_parameter", WEIR_UP_CAPABILITY},
    {0, CODE, "unsupported_value", WEIR_UP_CAPABILITY},
    {0, CODE, "unknown_parameter", WEIR_UP_CAPABILITY},
    {0, CODE, "extra_forbidden", WEIR_UP_CAPABILITY},                 /* Mistral and whoever checks with pydantic */
    {0, CODE, "wrong_api_format", WEIR_UP_CAPABILITY},                /* Cerebras */
    {400, MESSAGE, "does not support parameter", WEIR_UP_CAPABILITY}, /* xAI, these two */
    {400, MESSAGE, "argument not supported on this model", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "response_format type is unavailable", WEIR_UP_CAPABILITY}, /* DeepSeek */
    {400, MESSAGE, "incompatible with thinking", WEIR_UP_CAPABILITY},          /* Moonshot, these two */
    {400, MESSAGE, "is allowed for this model", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "tool choice requires --enable", WEIR_UP_CAPABILITY}, /* vLLM */
    {400, MESSAGE, "and \"any\" are not supported", WEIR_UP_CAPABILITY}, /* Anthropic: forced tools */
    {400, MESSAGE, "function tools with reasoning_effort", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "is not supported for this model", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "not supported on this model", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "extra inputs are not permitted", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "are not supported for this model", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "is not enabled for this model", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "is not enabled for models/", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "' is unsupported", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "unknown name \"", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "extraneous key [", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "this model doesn't support", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "invalid beta flag", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "does not support assistant message prefill", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "does not support tool types", WEIR_UP_CAPABILITY},
    {400, MESSAGE, "`temperature` and `top_p` cannot both", WEIR_UP_CAPABILITY},
    /* the rest that has a name */
    {0, CODE, "request_too_large", WEIR_UP_TOO_LARGE},
    {0, CODE, "timeout_error", WEIR_UP_TIMEOUT},
    {0, CODE, "conflict_error", WEIR_UP_CONFLICT},
    {0, CODE, "modeltimeoutexception", WEIR_UP_TIMEOUT},
    {0, CODE, "conflictexception", WEIR_UP_CONFLICT},
    {0, CODE, "modelerrorexception", WEIR_UP_SERVER},
    {0, CODE, "modelstreamerrorexception", WEIR_UP_SERVER},
    {0, CODE, "internalserverexception", WEIR_UP_SERVER},
    {0, CODE, "validationexception", WEIR_UP_BAD_REQUEST},
    {0, CODE, "api_error", WEIR_UP_SERVER},
    {0, CODE, "server_error", WEIR_UP_SERVER},
    {0, CODE, "internal_server_error", WEIR_UP_SERVER},
    {0, CODE, "invalid_request_error", WEIR_UP_BAD_REQUEST},
};

static enum weir_err err_of_status(uint16_t status)
{
    switch (status) {
    case 401: return WEIR_UP_AUTH;
    case 402: return WEIR_UP_QUOTA;
    case 403: return WEIR_UP_PERMISSION;
    case 404: return WEIR_UP_NOT_FOUND;
    case 408:
    case 504:
    case 524: return WEIR_UP_TIMEOUT;
    case 409: return WEIR_UP_CONFLICT;
    case 413: return WEIR_UP_TOO_LARGE;
    case 429: return WEIR_UP_RATE_LIMIT;
    case 503:
    case 529: return WEIR_UP_OVERLOADED;
    default: break;
    }
    if (status >= 300 && status < 400) return WEIR_UP_REDIRECT;
    return status >= 400 && status < 500 ? WEIR_UP_BAD_REQUEST : WEIR_UP_SERVER;
}

/* ---- Reading the shapes ---- */

static struct str code_text(yyjson_val *v, struct said *s)
{
    struct str text = yyjson_is_str(v) ? tree_str(v) : tree_num(v);
    uint64_t number;
    if (str_u64(text, &number) && number >= 400 && number < 600) s->code_status = (uint16_t)number;
    return text;
}

static void set(struct str *field, struct str value)
{
    if (field->n == 0) *field = value;
}

static bool is_day_quota(yyjson_val *detail)
{
    size_t i, n;
    yyjson_val *violation;
    yyjson_arr_foreach(tree_get(detail, "violations"), i, n, violation)
    {
        if (str_contains(tree_get_str(violation, "quotaId"), STR("PerDay"))) return true;
    }
    return false;
}

/* Google: an array of typed details. */
static void read_details(yyjson_val *details, struct said *s)
{
    size_t i, n;
    yyjson_val *detail;
    yyjson_arr_foreach(details, i, n, detail)
    {
        set(&s->detail, tree_get_str(detail, "reason"));
        set(&s->delay, tree_get_str(detail, "retryDelay"));
        if (is_day_quota(detail)) s->detail = STR("quota_per_day");
    }
}

/* "ThrottlingException:http://…", "com.amazon.coral.service#ThrottlingException" */
static struct str exception_name(struct str type)
{
    ptrdiff_t colon = str_chr(type, ':'), hash;
    if (colon >= 0) type.n = (size_t)colon;
    hash = str_rchr(type, '#');
    return str_slice(type, (size_t)(hash + 1), type.n);
}

static void read_inner(yyjson_val *o, struct said *s)
{
    read_details(tree_get(o, "details"), s);
    if (yyjson_is_str(tree_get(o, "status"))) set(&s->type, tree_get_str(o, "status"));
    set(&s->message, tree_get_str(o, "message"));
    set(&s->message, tree_get_str(o, "Message")); /* Amazon, sometimes */
    set(&s->code, exception_name(tree_get_str(o, "__type")));
    set(&s->code, code_text(yyjson_obj_get(o, "code"), s));
    set(&s->type, tree_get_str(o, "type"));
    set(&s->detail, tree_get_str(tree_get(o, "details"), "error_code"));
    set(&s->detail, tree_get_str(tree_get(o, "innererror"), "code"));
    /* OpenRouter: what the provider behind it said */
    set(&s->detail, tree_get_str(tree_get(o, "metadata"), "error_type"));
    set(&s->behind, tree_get_str(tree_get(o, "metadata"), "raw"));
}

/* [{"type":"extra_forbidden","loc":["body","seed"],"msg":"…"}]: pydantic's, at FastAPI, vLLM, Mistral. */
static void read_validation(yyjson_val *list, struct said *s)
{
    yyjson_val *first = yyjson_arr_get_first(list);
    set(&s->message, tree_get_str(first, "msg"));
    set(&s->detail, tree_get_str(first, "type"));
    set(&s->field, tree_str(yyjson_arr_get_last(tree_get(first, "loc"))));
}

static void read_said(yyjson_val *root, struct said *s)
{
    yyjson_val *error = tree_get(root, "error"), *detail = tree_get(root, "detail");
    if (yyjson_is_arr(root)) /* Gemini's OpenAI look-alike wraps it in an array */
        error = tree_get(yyjson_arr_get_first(root), "error");
    if (yyjson_is_arr(error)) /* TGI: ["text", …] */
        error = yyjson_arr_get_first(error);
    if (error == NULL && yyjson_is_arr(tree_get(root, "errors"))) /* Cloudflare */
        error = yyjson_arr_get_first(tree_get(root, "errors"));
    s->has_error = yyjson_is_obj(error) || tree_str(error).n > 0 || str_is(tree_get_str(root, "type"), "error");
    if (yyjson_is_obj(error))
        read_inner(error, s);
    else if (yyjson_is_str(error)) /* xAI: {"code": …, "error": "text"} */
        set(&s->message, tree_str(error));
    if (error == NULL || yyjson_is_str(error)) read_inner(root, s); /* Mistral, vLLM, Cohere: flat */
    if (yyjson_is_str(detail))                                      /* FastAPI */
        set(&s->message, tree_str(detail));
    else if (yyjson_is_arr(detail))
        read_validation(detail, s);
    if (s->message.n == 0) /* Mistral: {"message":{"detail":[…]}} */
        read_validation(tree_get(tree_get(root, "message"), "detail"), s);
}

/* ---- Judging ---- */

static bool matches(const struct pattern *p, uint16_t status, const struct said *s)
{
    struct str text = str_of(p->text);
    if (p->status != 0 && p->status != status) return false;
    if (p->where == MESSAGE) return str_icontains(s->message, text) || str_icontains(s->behind, text);
    const struct str words[] = {s->detail, s->code, s->type};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (p->where == CODE     ? str_ieq(words[i], text)
            : p->where == BEGINS ? str_ieq(str_slice(words[i], 0, text.n), text)
                                 : str_icontains(words[i], text))
            return true;
    return false;
}

static enum weir_err judge(uint16_t status, const struct said *s)
{
    for (size_t i = 0; i < sizeof PATTERNS / sizeof *PATTERNS; i++)
        if (matches(&PATTERNS[i], status, s)) {
            enum weir_err e = PATTERNS[i].err;
            /* "invalid_request_error" is also the type of OpenAI's 401, 403 and 404: the status knows better. */
            if (e == WEIR_UP_BAD_REQUEST && status != 0 && status != 400 && status != 422) break;
            return e;
        }
    return err_of_status(status);
}

static bool is_html(struct str s)
{
    return str_icontains(str_slice(s, 0, 512), STR("<html")) || str_icontains(str_slice(s, 0, 512), STR("<!doctype"));
}

/* A text body may be shown; a broken JSON or a page may not. */
static bool is_plain_text(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 && s.p[i] != '\n' && s.p[i] != '\r' && s.p[i] != '\t') return false;
    return s.n > 0 && !is_html(s) && s.p[0] != '{' && s.p[0] != '[' && s.p[0] != '<';
}

static struct str safe_message(const struct said *said, struct arena *a)
{
    struct str s = said->message;
    if (is_html(s)) return STR_NULL;
    if (said->field.n > 0) s = arena_printf(a, "%.*s: %.*s", STR_FMT(str_slice(said->field, 0, 64)), STR_FMT(s));
    if (s.n > MESSAGE_MOST) {
        s.n = MESSAGE_MOST;
        while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xC0) == 0x80) /* not inside a UTF-8 sequence */
            s.n--;
    }
    return arena_copy(a, s);
}

static void conclude(uint16_t status, const struct answer_headers *h, const struct said *s, struct arena *a,
                     struct upstream_error *ret_error)
{
    static const struct answer_headers none;
    if (h == NULL) h = &none;
    int64_t hint = retry_hint_ms(h, s->message);
    if (s->delay.n > 0 && h->retry_after.n == 0 && h->retry_after_ms.n == 0) {
        int64_t delay = retry_duration_ms(s->delay);
        if (delay >= 0) hint = delay;
    }
    bool says_nothing = s->message.n == 0 && s->code.n == 0 && s->type.n == 0;
    bool is_fine = status >= 200 && status < 300 && (says_nothing || !s->has_error);
    /* The body's own status wins over that of the transport: a 500 may hide a 429, and a 200 anything. */
    uint16_t effective = s->code_status != 0 ? s->code_status : status < 300 ? 0 : status;
    enum weir_err e = is_fine ? WEIR_OK : judge(effective, s);
    bool about_our_key = e == WEIR_UP_AUTH || e == WEIR_UP_PERMISSION; /* such texts quote keys and accounts */
    *ret_error = (struct upstream_error){
        .err = e,
        .message = about_our_key ? STR_NULL : safe_message(s, a),
        .code = arena_copy(a, str_slice(s->code.n > 0 ? s->code : s->type, 0, 64)),
        .retry_after_ms = hint,
        .should_not_retry = str_iis(h->should_retry, "false"),
    };
}

void upstream_error_read(uint16_t status, const struct answer_headers *h, struct str body, struct arena *a,
                         struct upstream_error *ret_error)
{
    enum { BODY_MOST = 64 * 1024 };
    struct said s = {0};
    struct arena tree;
    yyjson_val *root;
    struct str why;
    arena_init(&tree, 8 * 1024);
    if (body.n > 0 && body.n <= BODY_MOST && tree_read(body, &tree, &root, &why) == WEIR_OK)
        read_said(root, &s);
    else if (body.n <= BODY_MOST && is_plain_text(body))
        s.message = str_trim(body);
    if (h != NULL && h->error_type.n > 0) s.code = exception_name(h->error_type);
    conclude(status, h, &s, a, ret_error);
    arena_fini(&tree);
}

void upstream_error_of_exception(struct str name, struct str json, struct arena *a, struct upstream_error *ret_error)
{
    struct said s = {0};
    struct arena tree;
    yyjson_val *root;
    struct str why;
    arena_init(&tree, 8 * 1024);
    if (tree_read(json, &tree, &root, &why) == WEIR_OK) {
        read_said(root, &s);
        (void)code_text(tree_get(root, "originalStatusCode"), &s);
        set(&s.message, tree_get_str(root, "originalMessage"));
    } else if (is_plain_text(json)) {
        s.message = json; /* of an error frame, from its header */
    }
    s.code = exception_name(name);
    /* Only what a request's own fault can be needs a status to be told apart; in a stream there is none. */
    bool refused = str_iis(s.code, "validationException") && s.code_status == 0;
    s.has_error = true;
    conclude(refused ? 400 : 0, NULL, &s, a, ret_error);
    if (ret_error->err == WEIR_UP_SERVER && s.code_status == 0) ret_error->err = WEIR_UP_STREAM_ERROR;
    arena_fini(&tree);
}

void upstream_error_in_stream(yyjson_val *root, struct arena *a, struct upstream_error *ret_error)
{
    struct said s = {0};
    read_said(root, &s);
    conclude(0, NULL, &s, a, ret_error);
    if (ret_error->err == WEIR_UP_SERVER && s.code_status == 0) ret_error->err = WEIR_UP_STREAM_ERROR;
}
