/* Every class of failure: how each provider spells it, and how each client is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/client_error.h"
#include "proto/dialect/dialect.h"
#include "proto/dialect/upstream_error.h"
#include "proto/wire/json.h"

#include <stdio.h>

static struct arena arena;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

/* ---- What providers say ---- */

struct spelling {
    enum weir_err err;
    uint16_t status;
    const char *header; /* x-amzn-errortype; NULL: none */
    const char *body;
};

#define ERROR(members)     "{\"error\":{" members "}}"
#define SAYS(text)         ERROR("\"message\":\"" text "\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null")
#define CODED(code)        ERROR("\"message\":\"m\",\"code\":\"" code "\"")
#define CLAUDE(type, text) "{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" text "\"}}"
#define GOOGLE(code, status, text, details) \
    "{\"error\":{\"code\":" #code ",\"message\":\"" text "\",\"status\":\"" status "\",\"details\":[" details "]}}"
#define AMAZON(text) "{\"message\":\"" text "\"}"

static const struct spelling openai[] = {
    {WEIR_UP_RATE_LIMIT, 429, NULL, CODED("slow_down")},
    {WEIR_UP_RATE_LIMIT, 429, NULL, ERROR("\"message\":\"m\",\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"")},
    {WEIR_UP_RATE_LIMIT, 429, NULL, CODED("RateLimitReached")}, /* Azure */
    {WEIR_UP_QUOTA, 429, NULL, CODED("credit_balance_exhausted")},
    {WEIR_UP_QUOTA, 429, NULL, CODED("project_spend_limit_exceeded")},
    {WEIR_UP_QUOTA, 429, NULL, CODED("organization_usage_limit_exceeded")},
    {WEIR_UP_QUOTA, 429, NULL, CODED("billing_hard_limit_reached")},
    {WEIR_UP_QUOTA, 429, NULL, CODED("usage_limit_reached")},
    {WEIR_UP_OVERLOADED, 503, NULL, SAYS("The engine is currently overloaded, please try again later")},
    {WEIR_UP_TIMEOUT, 408, NULL, ""},
    {WEIR_UP_TIMEOUT, 504, NULL, "<html>Gateway Time-out</html>"},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL, SAYS("This model's maximum context length is 128000 tokens.")},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL, SAYS("Input tokens exceed the configured limit of 272000 tokens.")},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL, CODED("string_above_max_length")},
    {WEIR_UP_CONTENT_POLICY, 400, NULL, CODED("content_policy_violation")},
    {WEIR_UP_CONTENT_POLICY, 400, NULL, CODED("invalid_prompt")},
    {WEIR_UP_CONTENT_POLICY, 400, NULL, CODED("moderation_blocked")},
    {WEIR_UP_CONTENT_POLICY, 400, NULL, CODED("cyber_policy_violation")},
    {WEIR_UP_CONTENT_POLICY, 400, NULL,
     SAYS("The response was filtered … triggering Azure OpenAI's content management policy")},
    {WEIR_UP_AUTH, 401, NULL, CODED("ip_not_authorized")},
    {WEIR_UP_AUTH, 401, NULL, CODED("401")},
    {WEIR_UP_PERMISSION, 403, NULL, CODED("unsupported_country")},
    {WEIR_UP_NOT_FOUND, 404, NULL, CODED("404")},
    {WEIR_UP_CAPABILITY, 400, NULL, CODED("unsupported_value")},
    {WEIR_UP_CAPABILITY, 400, NULL, CODED("unknown_parameter")},
    {WEIR_UP_CAPABILITY, 400, NULL, SAYS("Function tools with reasoning_effort are not supported for gpt-6-sol")},
    {WEIR_UP_BAD_REQUEST, 400, NULL, CODED("invalid_value")},
    {WEIR_UP_SERVER, 500, NULL, CODED("server_error")},
    {WEIR_UP_SERVER, 520, NULL, "<!doctype html>"},
    {WEIR_UP_TOO_LARGE, 413, NULL, ""},
    {WEIR_UP_CONFLICT, 409, NULL, ""},
};

static const struct spelling anthropic[] = {
    {WEIR_UP_RATE_LIMIT, 429, NULL, CLAUDE("rate_limit_error", "m")},
    {WEIR_UP_QUOTA, 402, NULL, CLAUDE("billing_error", "m")},
    {WEIR_UP_QUOTA, 400, NULL, CLAUDE("invalid_request_error", "You have reached your specified API usage limits.")},
    {WEIR_UP_OVERLOADED, 529, NULL, CLAUDE("overloaded_error", "Overloaded")},
    {WEIR_UP_TIMEOUT, 504, NULL, CLAUDE("timeout_error", "m")},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL,
     CLAUDE("invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2")},
    {WEIR_UP_CONTENT_POLICY, 400, NULL, CLAUDE("invalid_request_error", "Output blocked by content filtering policy")},
    {WEIR_UP_AUTH, 401, NULL, CLAUDE("authentication_error", "invalid x-api-key")},
    {WEIR_UP_PERMISSION, 403, NULL, CLAUDE("permission_error", "m")},
    {WEIR_UP_NOT_FOUND, 404, NULL, CLAUDE("not_found_error", "model: claude-x")},
    {WEIR_UP_CAPABILITY, 400, NULL,
     CLAUDE("invalid_request_error", "`temperature` and `top_p` cannot both be specified for this model")},
    {WEIR_UP_CAPABILITY, 400, NULL,
     CLAUDE("invalid_request_error", "tool_choice: type \\\"tool\\\" and \\\"any\\\" are not supported by this model")},
    {WEIR_UP_CAPABILITY, 400, NULL,
     CLAUDE("invalid_request_error", "This model does not support assistant message prefill.")},
    {WEIR_UP_BAD_REQUEST, 400, NULL, CLAUDE("invalid_request_error", "messages: at least one message is required")},
    {WEIR_UP_TOO_LARGE, 413, NULL, CLAUDE("request_too_large", "m")},
    {WEIR_UP_SERVER, 500, NULL, CLAUDE("api_error", "m")},
};

static const struct spelling google[] = {
    {WEIR_UP_RATE_LIMIT, 429, NULL,
     GOOGLE(429, "RESOURCE_EXHAUSTED", "m",
            "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"7s\"}")},
    {WEIR_UP_QUOTA, 429, NULL,
     GOOGLE(429, "RESOURCE_EXHAUSTED", "m",
            "{\"violations\":[{\"quotaId\":\"GenerateRequestsPerDayPerProjectPerModel\"}]}")},
    {WEIR_UP_QUOTA, 429, NULL,
     GOOGLE(429, "RESOURCE_EXHAUSTED",
            "Quota exceeded for metric: x/generate_content_free_tier_requests, limit: 0, model: m", "")},
    {WEIR_UP_QUOTA, 400, NULL,
     GOOGLE(400, "FAILED_PRECONDITION", "The free tier is not available in your country. Please enable billing.", "")},
    {WEIR_UP_OVERLOADED, 503, NULL, GOOGLE(503, "UNAVAILABLE", "The model is overloaded.", "")},
    {WEIR_UP_TIMEOUT, 504, NULL, GOOGLE(504, "DEADLINE_EXCEEDED", "m", "")},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL,
     GOOGLE(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            "")},
    {WEIR_UP_AUTH, 400, NULL,
     GOOGLE(400, "INVALID_ARGUMENT", "API key not valid.", "{\"reason\":\"API_KEY_INVALID\"}")},
    {WEIR_UP_AUTH, 401, NULL, GOOGLE(401, "UNAUTHENTICATED", "m", "")},
    {WEIR_UP_AUTH, 403, NULL, GOOGLE(403, "PERMISSION_DENIED", "m", "{\"reason\":\"API_KEY_SERVICE_BLOCKED\"}")},
    {WEIR_UP_PERMISSION, 403, NULL, GOOGLE(403, "PERMISSION_DENIED", "m", "")},
    {WEIR_UP_PERMISSION, 400, NULL,
     GOOGLE(400, "FAILED_PRECONDITION", "User location is not supported for the API use.", "")},
    {WEIR_UP_NOT_FOUND, 404, NULL, GOOGLE(404, "NOT_FOUND", "models/x is not found", "")},
    {WEIR_UP_CAPABILITY, 400, NULL,
     GOOGLE(400, "INVALID_ARGUMENT", "Thinking is not enabled for models/gemini-2.0-flash", "")},
    {WEIR_UP_CAPABILITY, 400, NULL,
     GOOGLE(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unknown name \\\"x\\\"", "")},
    {WEIR_UP_BAD_REQUEST, 400, NULL, GOOGLE(400, "INVALID_ARGUMENT", "contents is not specified", "")},
    {WEIR_UP_SERVER, 500, NULL, GOOGLE(500, "INTERNAL", "m", "")},
};

static const struct spelling amazon[] = {
    {WEIR_UP_RATE_LIMIT, 429, "ThrottlingException", AMAZON("Too many requests, please wait before trying again.")},
    {WEIR_UP_RATE_LIMIT, 429, "TooManyRequestsException:http://x/", AMAZON("m")},
    {WEIR_UP_QUOTA, 429, "ThrottlingException", AMAZON("Too many tokens per day, please wait before trying again.")},
    {WEIR_UP_QUOTA, 400, "ServiceQuotaExceededException", AMAZON("m")},
    {WEIR_UP_OVERLOADED, 503, "ServiceUnavailableException", AMAZON("m")},
    {WEIR_UP_OVERLOADED, 429, "ModelNotReadyException", AMAZON("m")},
    {WEIR_UP_TIMEOUT, 408, "ModelTimeoutException", AMAZON("m")},
    {WEIR_UP_CONTEXT_LENGTH, 400, "ValidationException", AMAZON("Input is too long for requested model.")},
    {WEIR_UP_CONTEXT_LENGTH, 400, "ValidationException",
     AMAZON("The request exceeds the maximum context of the model")},
    {WEIR_UP_AUTH, 403, "UnrecognizedClientException",
     AMAZON("The security token included in the request is invalid.")},
    {WEIR_UP_AUTH, 403, "ExpiredTokenException", AMAZON("m")},
    {WEIR_UP_AUTH, 400, "IncompleteSignature", AMAZON("m")},
    {WEIR_UP_AUTH, 400, "RequestExpired", AMAZON("m")},
    {WEIR_UP_PERMISSION, 403, "AccessDeniedException",
     AMAZON("You don't have access to the model with the specified model ID.")},
    {WEIR_UP_NOT_FOUND, 404, "ResourceNotFoundException", AMAZON("m")},
    {WEIR_UP_NOT_FOUND, 400, "ValidationException", AMAZON("The provided model identifier is invalid.")},
    {WEIR_UP_NOT_FOUND, 400, "ValidationException",
     AMAZON("Invocation of model ID x with on-demand throughput isn’t supported.")},
    {WEIR_UP_CAPABILITY, 400, "ValidationException",
     AMAZON("Malformed input request: #: extraneous key [x] is not permitted")},
    {WEIR_UP_CAPABILITY, 400, "ValidationException", AMAZON("This model doesn't support tool use.")},
    {WEIR_UP_BAD_REQUEST, 400, "ValidationException", AMAZON("m")},
    {WEIR_UP_CONFLICT, 400, "ConflictException", AMAZON("m")},
    {WEIR_UP_SERVER, 500, "InternalServerException", AMAZON("m")},
    {WEIR_UP_SERVER, 424, "ModelErrorException", AMAZON("m")},
};

static const struct spelling ark[] = {
    {WEIR_UP_RATE_LIMIT, 429, NULL, CODED("RateLimitExceeded.EndpointTPMExceeded")},
    {WEIR_UP_RATE_LIMIT, 429, NULL, CODED("ModelAccountRpmRateLimitExceeded")},
    {WEIR_UP_RATE_LIMIT, 429, NULL, CODED("RequestBurstTooFast")},
    {WEIR_UP_QUOTA, 403, NULL, CODED("AccountOverdueError")},
    {WEIR_UP_QUOTA, 429, NULL, CODED("QuotaExceeded")},
    {WEIR_UP_QUOTA, 429, NULL, CODED("SetLimitExceeded")},
    {WEIR_UP_OVERLOADED, 429, NULL, CODED("ServerOverloaded")},
    {WEIR_UP_OVERLOADED, 429, NULL, CODED("ModelLoadingError")},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL, CODED("OutofContextError")},
    {WEIR_UP_CONTENT_POLICY, 400, NULL, CODED("InputTextSensitiveContentDetected")},
    {WEIR_UP_CONTENT_POLICY, 400, NULL, CODED("OutputVideoRiskDetection.SeriousViolation")},
    {WEIR_UP_AUTH, 401, NULL, CODED("AuthenticationError")},
    {WEIR_UP_PERMISSION, 403, NULL, CODED("AccessDenied")},
    {WEIR_UP_NOT_FOUND, 404, NULL, CODED("InvalidEndpointOrModel.NotFound")},
    {WEIR_UP_NOT_FOUND, 404, NULL, CODED("ModelNotOpen")},
    {WEIR_UP_SERVER, 500, NULL, CODED("InternalServiceError")},
};

/* What has the status of another class keeps it: clients go by the status, and nothing is done otherwise for it. */
static const struct spelling look_alikes[] = {
    {WEIR_UP_CAPABILITY, 422, NULL,
     "{\"object\":\"error\",\"message\":{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"store\"],"
     "\"msg\":\"Extra inputs are not permitted\"}]},\"type\":\"invalid_request_error\"}"},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL,
     "{\"object\":\"error\",\"message\":\"Prompt contains 9 tokens, too large for model with 8 maximum context "
     "length\",\"code\":\"3051\"}"},
    {WEIR_UP_BAD_REQUEST, 400, NULL,
     "{\"object\":\"error\",\"message\":\"Invalid model: x\",\"type\":\"invalid_model\",\"code\":\"1500\"}"},
    {WEIR_UP_AUTH, 401, NULL, "{\"detail\":\"Invalid API Key\"}"},
    {WEIR_UP_CAPABILITY, 400, NULL,
     ERROR("\"message\":\"'messages.1' : property 'reasoning_content' is "
           "unsupported\",\"type\":\"invalid_request_error\"")},
    {WEIR_UP_CAPABILITY, 400, NULL,
     "{\"message\":\"body.store: property 'body.store' is "
     "unsupported\",\"type\":\"invalid_request_error\",\"param\":\"validation_error\",\"code\":\"wrong_api_format\"}"},
    {WEIR_UP_RATE_LIMIT, 429, NULL,
     "{\"message\":\"We're experiencing high traffic right "
     "now!\",\"type\":\"too_many_requests_error\",\"code\":\"queue_exceeded\"}"},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL,
     "{\"message\":\"Please reduce the length. Current length is 9 while limit is 8\",\"code\":\"x\"}"},
    {WEIR_UP_CAPABILITY, 400, NULL,
     "{\"code\":\"invalid-argument\",\"error\":\"Model grok-4.6 does not support parameter presencePenalty.\"}"},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL,
     "{\"code\":\"x\",\"error\":\"This model's maximum prompt length is 5 but the request contains 6 tokens.\"}"},
    {WEIR_UP_QUOTA, 403, NULL, "{\"code\":\"x\",\"error\":\"Your newly created team doesn't have any credits yet.\"}"},
    {WEIR_UP_BAD_REQUEST, 400, NULL, SAYS("The supported API model names are a or b, but you passed c.")},
    {WEIR_UP_CAPABILITY, 400, NULL, SAYS("This response_format type is unavailable now")},
    {WEIR_UP_QUOTA, 402, NULL, SAYS("Insufficient Balance")},
    {WEIR_UP_QUOTA, 429, NULL, ERROR("\"message\":\"m\",\"type\":\"exceeded_current_quota_error\"")},
    {WEIR_UP_RATE_LIMIT, 429, NULL, ERROR("\"message\":\"m\",\"type\":\"engine_overloaded_error\"")},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL, SAYS("Your request exceeded model token limit: 8192")},
    {WEIR_UP_CAPABILITY, 400, NULL, SAYS("invalid temperature: only 1 is allowed for this model")},
    {WEIR_UP_QUOTA, 429, NULL,
     ERROR("\"code\":\"1113\",\"message\":\"Insufficient balance or no resource package. Please recharge.\"")},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL, ERROR("\"code\":\"1261\",\"message\":\"Prompt exceeds max length\"")},
    {WEIR_UP_BAD_REQUEST, 400, NULL,
     ERROR("\"code\":\"1211\",\"message\":\"Unknown Model, please check the model code.\"")},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL,
     ERROR("\"message\":\"The total length of all messages is too "
           "long.\",\"type\":\"too_many_prompt_tokens\",\"code\":400")},
    {WEIR_UP_BAD_REQUEST, 400, NULL, ERROR("\"code\":400,\"message\":\"x/y is not a valid model ID\"")},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL,
     ERROR("\"code\":400,\"message\":\"Provider returned "
           "error\",\"metadata\":{\"raw\":\"{\\\"error\\\":{\\\"message\\\":\\\"prompt is too long: 9 tokens > 8 "
           "maximum\\\"}}\"}")},
    {WEIR_UP_BAD_REQUEST, 400, NULL,
     ERROR("\"message\":\"The requested model is not supported by any provider you have "
           "enabled.\",\"code\":\"model_not_supported\"")},
    {WEIR_UP_CONTEXT_LENGTH, 422, NULL,
     "{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= "
     "8\",\"error_type\":\"validation\"}"},
    {WEIR_UP_OVERLOADED, 503, NULL, "{\"error\":[\"Model is overloaded\"]}"},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL,
     ERROR("\"code\":400,\"message\":\"the request exceeds the available context "
           "size\",\"type\":\"exceed_context_size_error\"")},
    {WEIR_UP_CONTEXT_LENGTH, 400, NULL, SAYS("prompt too long; exceeded max context length by 9 tokens")},
    {WEIR_UP_CAPABILITY, 400, NULL,
     SAYS("\\\"auto\\\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set")},
    {WEIR_UP_NOT_FOUND, 404, NULL,
     "{\"errors\":[{\"message\":\"AiError: No such model\",\"code\":5007}],\"success\":false}"},
    {WEIR_UP_NOT_FOUND, 404, NULL,
     "{\"type\":\"about:blank\",\"status\":404,\"title\":\"Not Found\",\"detail\":\"Function not found for account\"}"},
    {WEIR_UP_BAD_REQUEST, 422, NULL,
     "{\"detail\":[{\"type\":\"missing\",\"loc\":[\"body\",\"messages\"],\"msg\":\"Field required\"}]}"},
    {WEIR_UP_SERVER, 502, NULL, "<html><body>502</body></html>"},
    {WEIR_UP_QUOTA, 402, NULL, ""},
};

static void check_spellings(const struct spelling *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct upstream_error e;
        const struct answer_headers h = {.error_type = s[i].header == NULL ? STR_NULL : str_of(s[i].header)};
        upstream_error_read(s[i].status, &h, str_of(s[i].body), &arena, &e);
        if (e.err != s[i].err)
            fail_msg("%d %s: %s, not %s", s[i].status, s[i].body, err_word(e.err), err_word(s[i].err));
    }
}
#define CHECK(rows) check_spellings(rows, sizeof rows / sizeof *rows)

static void every_provider_spells_every_class(void **state)
{
    (void)state;
    CHECK(openai);
    CHECK(anthropic);
    CHECK(google);
    CHECK(amazon);
    CHECK(ark);
    CHECK(look_alikes);
}

static void a_validation_error_names_its_field(void **state)
{
    (void)state;
    struct upstream_error e;
    upstream_error_read(422, NULL, str_of(look_alikes[0].body), &arena, &e);
    assert_true(str_is(e.message, "store: Extra inputs are not permitted"));
}

/* ---- What clients are told ---- */

struct telling {
    enum weir_err err;
    enum err_next next;
    enum err_breaker breaker;
    uint16_t openai_status;
    const char *openai_type, *openai_code;
    uint16_t anthropic_status;
    const char *anthropic_type;
    uint16_t gemini_code;
    const char *gemini_status;
    uint16_t converse_status;
    const char *converse_type;
};

#define BAD "invalid_request_error"
static const struct telling tellings[] = {
    {WEIR_UP_RATE_LIMIT, NEXT_TARGET, BREAKER_BENCH, 429, "rate_limit_error", "rate_limit_exceeded", 429,
     "rate_limit_error", 429, "RESOURCE_EXHAUSTED", 429, "ThrottlingException"},
    {WEIR_UP_QUOTA, NEXT_TARGET, BREAKER_BENCH, 429, "insufficient_quota", "insufficient_quota", 402, "billing_error",
     429, "RESOURCE_EXHAUSTED", 400, "ServiceQuotaExceededException"},
    {WEIR_UP_OVERLOADED, NEXT_SAME, BREAKER_COUNT, 503, "service_unavailable_error", "server_is_overloaded", 529,
     "overloaded_error", 503, "UNAVAILABLE", 503, "ServiceUnavailableException"},
    {WEIR_UP_TIMEOUT, NEXT_TARGET, BREAKER_COUNT, 504, "server_error", "timeout", 504, "timeout_error", 504,
     "DEADLINE_EXCEEDED", 504, "ModelTimeoutException"},
    {WEIR_UP_TIMEOUT_CONNECT, NEXT_SAME, BREAKER_COUNT, 504, "server_error", "timeout", 504, "timeout_error", 504,
     "DEADLINE_EXCEEDED", 504, "ModelTimeoutException"},
    {WEIR_UP_TIMEOUT_FIRST, NEXT_TARGET, BREAKER_COUNT, 504, "server_error", "timeout", 504, "timeout_error", 504,
     "DEADLINE_EXCEEDED", 504, "ModelTimeoutException"},
    {WEIR_UP_CONNECT, NEXT_SAME, BREAKER_COUNT, 502, "server_error", "upstream_connect", 502, "api_error", 502,
     "UNAVAILABLE", 502, "InternalServerException"},
    {WEIR_UP_DNS, NEXT_TARGET, BREAKER_COUNT, 502, "server_error", "upstream_dns", 502, "api_error", 502, "UNAVAILABLE",
     502, "InternalServerException"},
    {WEIR_UP_TLS, NEXT_SAME, BREAKER_COUNT, 502, "server_error", "upstream_tls", 502, "api_error", 502, "UNAVAILABLE",
     502, "InternalServerException"},
    {WEIR_UP_RESET, NEXT_SAME, BREAKER_COUNT, 502, "server_error", "upstream_reset", 502, "api_error", 502,
     "UNAVAILABLE", 502, "InternalServerException"},
    {WEIR_UP_SERVER, NEXT_SAME, BREAKER_COUNT, 500, "server_error", "upstream_error", 500, "api_error", 500, "INTERNAL",
     500, "InternalServerException"},
    {WEIR_UP_STREAM_ERROR, NEXT_TARGET, BREAKER_COUNT, 502, "server_error", "upstream_stream_error", 502, "api_error",
     502, "INTERNAL", 502, "InternalServerException"},
    {WEIR_UP_CONTEXT_LENGTH, NEXT_NO, BREAKER_IGNORE, 400, BAD, "context_length_exceeded", 400, BAD, 400,
     "INVALID_ARGUMENT", 400, "ValidationException"},
    {WEIR_UP_CONTENT_POLICY, NEXT_NO, BREAKER_IGNORE, 400, BAD, "content_policy_violation", 400, BAD, 400,
     "INVALID_ARGUMENT", 400, "ValidationException"},
    {WEIR_UP_AUTH, NEXT_TARGET, BREAKER_BENCH, 502, "server_error", "upstream_auth_error", 502, "api_error", 502,
     "INTERNAL", 502, "InternalServerException"},
    {WEIR_UP_PERMISSION, NEXT_TARGET, BREAKER_IGNORE, 502, "server_error", "upstream_auth_error", 502, "api_error", 502,
     "INTERNAL", 502, "InternalServerException"},
    {WEIR_UP_NOT_FOUND, NEXT_NO, BREAKER_IGNORE, 404, BAD, "model_not_found", 404, "not_found_error", 404, "NOT_FOUND",
     404, "ResourceNotFoundException"},
    {WEIR_UP_BAD_REQUEST, NEXT_NO, BREAKER_IGNORE, 400, BAD, "invalid_request", 400, BAD, 400, "INVALID_ARGUMENT", 400,
     "ValidationException"},
    {WEIR_UP_CAPABILITY, NEXT_NO, BREAKER_IGNORE, 400, BAD, "unsupported_parameter", 400, BAD, 400, "INVALID_ARGUMENT",
     400, "ValidationException"},
    {WEIR_UP_TOO_LARGE, NEXT_NO, BREAKER_IGNORE, 413, BAD, "request_too_large", 413, "request_too_large", 400,
     "INVALID_ARGUMENT", 413, "ValidationException"},
    {WEIR_UP_CONFLICT, NEXT_SAME, BREAKER_IGNORE, 409, BAD, "conflict", 409, BAD, 409, "ABORTED", 409,
     "ConflictException"},
    {WEIR_KEY_INVALID, NEXT_NO, BREAKER_IGNORE, 401, BAD, "invalid_api_key", 401, "authentication_error", 401,
     "UNAUTHENTICATED", 403, "UnrecognizedClientException"},
    {WEIR_KEY_FORBIDDEN, NEXT_NO, BREAKER_IGNORE, 403, "permission_error", "model_not_allowed", 403, "permission_error",
     403, "PERMISSION_DENIED", 403, "AccessDeniedException"},
    {WEIR_MODEL_NOT_FOUND, NEXT_NO, BREAKER_IGNORE, 404, BAD, "model_not_found", 404, "not_found_error", 404,
     "NOT_FOUND", 404, "ResourceNotFoundException"},
    {WEIR_BUDGET_SPENT, NEXT_NO, BREAKER_IGNORE, 402, "insufficient_quota", "budget_exceeded", 402, "billing_error",
     402, "RESOURCE_EXHAUSTED", 402, "ServiceQuotaExceededException"},
    {WEIR_RATE, NEXT_NO, BREAKER_IGNORE, 429, "rate_limit_error", "rate_limit_exceeded", 429, "rate_limit_error", 429,
     "RESOURCE_EXHAUSTED", 429, "ThrottlingException"},
    {WEIR_DRAINING, NEXT_NO, BREAKER_IGNORE, 503, "server_error", "draining", 503, "overloaded_error", 503,
     "UNAVAILABLE", 503, "ServiceUnavailableException"},
};

static struct str said(enum dialect_id d, enum weir_err e, struct buf *out)
{
    unsigned depth;
    struct json_error bad;
    buf_clear(out);
    dialect_of(d)->write_error(e, STR("said \"so\""), STR("req_1"), out);
    if (!json_check(buf_view(out), &depth, &bad)) fail_msg("%s: no JSON: %s", dialect_of(d)->name, bad.what);
    assert_true(str_contains(buf_view(out), STR("said \\\"so\\\"")));
    return buf_view(out);
}

static void expect(const struct telling *t, struct str body, const char *key, const char *word)
{
    char text[128];
    snprintf(text, sizeof text, "\"%s\":\"%s\"", key, word);
    if (!str_contains(body, str_of(text))) fail_msg("%s: no %s in %.*s", err_word(t->err), text, STR_FMT(body));
}

static void expect_status(const struct telling *t, enum dialect_id d, uint16_t status)
{
    uint16_t got = dialect_of(d)->error_status(t->err);
    if (got != status) fail_msg("%s to %s: %d, not %d", err_word(t->err), dialect_of(d)->name, got, status);
}

static void every_client_is_told_every_class(void **state)
{
    (void)state;
    struct buf out = {0};
    for (size_t i = 0; i < sizeof tellings / sizeof *tellings; i++) {
        const struct telling *t = &tellings[i];
        assert_int_equal(err_row(t->err)->next, t->next);
        assert_int_equal(err_row(t->err)->breaker, t->breaker);
        assert_true(err_of_word(err_word(t->err)) == t->err);
        static const enum dialect_id chats[] = {DIALECT_OPENAI_CHAT, DIALECT_RESPONSES};
        for (size_t k = 0; k < 2; k++) {
            struct str body = said(chats[k], t->err, &out);
            expect_status(t, chats[k], t->openai_status);
            expect(t, body, "type", t->openai_type);
            expect(t, body, "code", t->openai_code);
        }
        expect_status(t, DIALECT_ANTHROPIC, t->anthropic_status);
        expect(t, said(DIALECT_ANTHROPIC, t->err, &out), "type", t->anthropic_type);
        expect_status(t, DIALECT_GEMINI, t->gemini_code);
        expect(t, said(DIALECT_GEMINI, t->err, &out), "status", t->gemini_status);
        expect_status(t, DIALECT_CONVERSE, t->converse_status);
        (void)said(DIALECT_CONVERSE, t->err, &out);
        assert_string_equal(dialect_of(DIALECT_CONVERSE)->error_word(t->err), t->converse_type);
        (void)said(DIALECT_COHERE, t->err, &out);
        (void)said(DIALECT_OLLAMA, t->err, &out);
    }
    buf_fini(&out);
}

/* In a stream: the dialect's error event, a whole one, with the words of the class. */
static void every_stream_ends_with_its_error(void **state)
{
    (void)state;
    struct buf out = {0};
    for (size_t i = 0; i < sizeof tellings / sizeof *tellings; i++)
        for (unsigned d = 0; d < DIALECT_COUNT; d++) {
            buf_clear(&out);
            dialect_of(d)->write_stream_error(tellings[i].err, STR("it broke"), &out);
            assert_true(str_contains(buf_view(&out), STR("it broke")));
            if (dialect_of(d)->framing == FRAMING_SSE) assert_true(str_ends(buf_view(&out), STR("\n\n")));
            if (d == DIALECT_ANTHROPIC) expect(&tellings[i], buf_view(&out), "type", tellings[i].anthropic_type);
            if (d == DIALECT_OPENAI_CHAT) expect(&tellings[i], buf_view(&out), "code", tellings[i].openai_code);
            if (d == DIALECT_GEMINI) expect(&tellings[i], buf_view(&out), "status", tellings[i].gemini_status);
        }
    buf_fini(&out);
}

/* Words that agents look for. */
static void known_words_stand_in_the_text(void **state)
{
    (void)state;
    struct buf out = {0};
    anthropic_error_write(WEIR_UP_CONTEXT_LENGTH, STR_NULL, STR_NULL, &out);
    assert_true(str_contains(buf_view(&out), STR("prompt is too long")));
    buf_clear(&out);
    anthropic_error_write(WEIR_UP_CONTEXT_LENGTH, STR("weir: maximum context length is 5"), STR_NULL, &out);
    assert_true(str_contains(buf_view(&out), STR("\"prompt is too long: weir: maximum context length is 5\"")));
    buf_clear(&out);
    converse_error_write(WEIR_UP_CONTEXT_LENGTH, STR("weir: too much"), &out);
    assert_true(str_is(buf_view(&out), "{\"message\":\"Input is too long for requested model: weir: too much\"}"));
    buf_clear(&out);
    gemini_error_write(WEIR_UP_RATE_LIMIT, STR("m"), &out);
    gemini_error_write_retry(7, &out);
    assert_true(str_is(buf_view(&out),
                       "{\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{"
                       "\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"7s\"}]}}"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_provider_spells_every_class, teardown),
        cmocka_unit_test_teardown(a_validation_error_names_its_field, teardown),
        cmocka_unit_test(every_client_is_told_every_class),
        cmocka_unit_test(every_stream_ends_with_its_error),
        cmocka_unit_test(known_words_stand_in_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
