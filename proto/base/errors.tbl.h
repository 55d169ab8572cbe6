/* errors.tbl.h — the one error table: status, blame, what the journey does next, and how each client dialect spells it
 *
 * X(name, http, fault, next, breaker, openai type, openai code, anthropic type, gemini status, text)
 *
 * fault    who is to blame: NOBODY, CLIENT (the caller must change something), UPSTREAM (the provider), OURS
 * next     NO       this call ends here: the same bytes would fail anywhere, or it is not worth a try
 *          TARGET   the next target may answer it
 *          SAME     the same target may be tried again first (within retry.attempts), then the next
 * breaker  COUNT    speaks against the target's health; IGNORE does not; BENCH takes the target (its key) out at once
 *          for as long as the provider said
 * Sources: OpenAI error reference, Anthropic API errors page, Gemini API troubleshooting page; taxonomy of our own. */
#define WEIR_ERRORS(X)                                                                                                 \
    X(OK, 200, NOBODY, NO, IGNORE, "", "", "", "OK", "ok")                                                             \
    /* what the client did */                                                                                          \
    X(BAD_REQUEST, 400, CLIENT, NO, IGNORE, "invalid_request_error", "invalid_request", "invalid_request_error",       \
      "INVALID_ARGUMENT", "the request is not valid")                                                                  \
    X(BAD_JSON, 400, CLIENT, NO, IGNORE, "invalid_request_error", "invalid_json", "invalid_request_error",             \
      "INVALID_ARGUMENT", "the body is not valid JSON")                                                                \
    X(BAD_HTTP, 400, CLIENT, NO, IGNORE, "invalid_request_error", "invalid_http", "invalid_request_error",             \
      "INVALID_ARGUMENT", "the request is not valid HTTP/1.1")                                                         \
    X(UNSUPPORTED, 400, CLIENT, NO, IGNORE, "invalid_request_error", "unsupported_parameter", "invalid_request_error", \
      "INVALID_ARGUMENT", "the target cannot carry a parameter of this request")                                       \
    X(KEY_INVALID, 401, CLIENT, NO, IGNORE, "invalid_request_error", "invalid_api_key", "authentication_error",        \
      "UNAUTHENTICATED", "the client key is missing or not known here")                                                \
    X(BUDGET_SPENT, 402, CLIENT, NO, IGNORE, "insufficient_quota", "budget_exceeded", "billing_error",                 \
      "RESOURCE_EXHAUSTED", "the budget is spent")                                                                     \
    X(PRICE_UNKNOWN, 402, CLIENT, NO, IGNORE, "invalid_request_error", "price_unknown", "billing_error",               \
      "FAILED_PRECONDITION", "no price is known for this model")                                                       \
    X(KEY_FORBIDDEN, 403, CLIENT, NO, IGNORE, "permission_error", "model_not_allowed", "permission_error",             \
      "PERMISSION_DENIED", "the client key may not use this route")                                                    \
    X(ORIGIN_FORBIDDEN, 403, CLIENT, NO, IGNORE, "permission_error", "origin_not_allowed", "permission_error",         \
      "PERMISSION_DENIED", "calls from web pages are not allowed here")                                                \
    X(NO_ENDPOINT, 404, CLIENT, NO, IGNORE, "invalid_request_error", "unknown_url", "not_found_error", "NOT_FOUND",    \
      "no such endpoint")                                                                                              \
    X(MODEL_NOT_FOUND, 404, CLIENT, NO, IGNORE, "invalid_request_error", "model_not_found", "not_found_error",         \
      "NOT_FOUND", "no such model")                                                                                    \
    X(METHOD, 405, CLIENT, NO, IGNORE, "invalid_request_error", "method_not_allowed", "invalid_request_error",         \
      "INVALID_ARGUMENT", "the endpoint has no such method")                                                           \
    X(SLOW_CLIENT, 408, CLIENT, NO, IGNORE, "invalid_request_error", "request_timeout", "invalid_request_error",       \
      "DEADLINE_EXCEEDED", "the request did not arrive in time")                                                       \
    X(TOO_LARGE, 413, CLIENT, NO, IGNORE, "invalid_request_error", "request_too_large", "request_too_large",           \
      "INVALID_ARGUMENT", "the request is too large")                                                                  \
    X(URI_TOO_LONG, 414, CLIENT, NO, IGNORE, "invalid_request_error", "uri_too_long", "invalid_request_error",         \
      "INVALID_ARGUMENT", "the request line is too long")                                                              \
    X(EXPECTATION, 417, CLIENT, NO, IGNORE, "invalid_request_error", "expectation_failed", "invalid_request_error",    \
      "INVALID_ARGUMENT", "no expectation but 100-continue is met here")                                               \
    X(MISDIRECTED, 421, CLIENT, NO, IGNORE, "invalid_request_error", "misdirected_request", "invalid_request_error",   \
      "INVALID_ARGUMENT", "the Host header names another server")                                                      \
    X(UPGRADE, 426, CLIENT, NO, IGNORE, "invalid_request_error", "upgrade_required", "invalid_request_error",          \
      "INVALID_ARGUMENT", "WebSocket is not spoken here, plain HTTP is")                                               \
    X(RATE, 429, CLIENT, NO, IGNORE, "rate_limit_error", "rate_limit_exceeded", "rate_limit_error",                    \
      "RESOURCE_EXHAUSTED", "the rate limit is reached")                                                               \
    X(CONCURRENCY, 429, CLIENT, NO, IGNORE, "rate_limit_error", "rate_limit_exceeded", "rate_limit_error",             \
      "RESOURCE_EXHAUSTED", "too many calls at a time")                                                                \
    X(BUDGET_HELD, 429, CLIENT, NO, IGNORE, "rate_limit_error", "budget_held", "rate_limit_error",                     \
      "RESOURCE_EXHAUSTED", "the rest of the budget is held by calls in flight")                                       \
    X(HEAD_TOO_LARGE, 431, CLIENT, NO, IGNORE, "invalid_request_error", "headers_too_large", "invalid_request_error",  \
      "INVALID_ARGUMENT", "the request headers are too large")                                                         \
    X(CLIENT_GONE, 499, CLIENT, NO, IGNORE, "invalid_request_error", "client_gone", "invalid_request_error",           \
      "CANCELLED", "the client left")                                                                                  \
    X(NOT_IMPLEMENTED, 501, CLIENT, NO, IGNORE, "invalid_request_error", "not_implemented", "invalid_request_error",   \
      "UNIMPLEMENTED", "not in this version")                                                                          \
    X(HTTP_VERSION, 505, CLIENT, NO, IGNORE, "invalid_request_error", "http_version", "invalid_request_error",         \
      "INVALID_ARGUMENT", "only HTTP/1.0 and HTTP/1.1 are spoken here")                                                \
    /* what we cannot do now */                                                                                        \
    X(INTERNAL, 500, OURS, NO, IGNORE, "server_error", "internal_error", "api_error", "INTERNAL",                      \
      "an error inside weir")                                                                                          \
    X(BUFFERS_FULL, 503, OURS, NO, IGNORE, "server_error", "overloaded", "overloaded_error", "UNAVAILABLE",            \
      "all buffers are in use")                                                                                        \
    X(ACCOUNTING_FULL, 503, OURS, NO, IGNORE, "server_error", "accounting_unavailable", "overloaded_error",            \
      "UNAVAILABLE", "the usage journal is full")                                                                      \
    X(DRAINING, 503, OURS, NO, IGNORE, "server_error", "draining", "overloaded_error", "UNAVAILABLE",                  \
      "weir is shutting down")                                                                                         \
    X(NO_TARGET, 503, OURS, NO, IGNORE, "server_error", "no_target", "overloaded_error", "UNAVAILABLE",                \
      "no target can take the call now")                                                                               \
    X(LOCAL_RESOURCE, 503, OURS, TARGET, IGNORE, "server_error", "local_resource", "api_error", "UNAVAILABLE",         \
      "out of sockets or ports")                                                                                       \
    /* what the provider answered or failed to */                                                                      \
    X(UP_RATE_LIMIT, 429, UPSTREAM, TARGET, BENCH, "rate_limit_error", "rate_limit_exceeded", "rate_limit_error",      \
      "RESOURCE_EXHAUSTED", "the provider's rate limit is reached")                                                    \
    X(UP_QUOTA, 429, UPSTREAM, TARGET, BENCH, "insufficient_quota", "insufficient_quota", "billing_error",             \
      "RESOURCE_EXHAUSTED", "the provider account's quota is used up")                                                 \
    X(UP_OVERLOADED, 503, UPSTREAM, SAME, COUNT, "service_unavailable_error", "server_is_overloaded",                  \
      "overloaded_error", "UNAVAILABLE", "the provider is overloaded")                                                 \
    X(UP_SERVER, 500, UPSTREAM, SAME, COUNT, "server_error", "upstream_error", "api_error", "INTERNAL",                \
      "the provider failed")                                                                                           \
    X(UP_CONNECT, 502, UPSTREAM, SAME, COUNT, "server_error", "upstream_connect", "api_error", "UNAVAILABLE",          \
      "the provider could not be reached")                                                                             \
    X(UP_DNS, 502, UPSTREAM, TARGET, COUNT, "server_error", "upstream_dns", "api_error", "UNAVAILABLE",                \
      "the provider's name has no address")                                                                            \
    X(UP_BLOCKED, 502, UPSTREAM, TARGET, IGNORE, "server_error", "ssrf_blocked", "api_error", "UNAVAILABLE",           \
      "the provider's name leads to an address that is not allowed")                                                   \
    X(UP_TLS, 502, UPSTREAM, SAME, COUNT, "server_error", "upstream_tls", "api_error", "UNAVAILABLE",                  \
      "no trusted TLS connection to the provider")                                                                     \
    X(UP_RESET, 502, UPSTREAM, SAME, COUNT, "server_error", "upstream_reset", "api_error", "UNAVAILABLE",              \
      "the provider closed the connection")                                                                            \
    X(UP_PROTOCOL, 502, UPSTREAM, TARGET, COUNT, "server_error", "upstream_protocol", "api_error", "INTERNAL",         \
      "the provider's answer is not valid HTTP or JSON")                                                               \
    X(UP_TRUNCATED, 502, UPSTREAM, TARGET, COUNT, "server_error", "upstream_truncated", "api_error", "INTERNAL",       \
      "the provider's answer ended too early")                                                                         \
    X(UP_STREAM_ERROR, 502, UPSTREAM, TARGET, COUNT, "server_error", "upstream_stream_error", "api_error", "INTERNAL", \
      "the provider reported an error inside the stream")                                                              \
    X(UP_REDIRECT, 502, UPSTREAM, TARGET, COUNT, "server_error", "upstream_redirect", "api_error", "INTERNAL",         \
      "the provider answered with a redirect, which is not followed")                                                  \
    X(UP_AUTH, 502, UPSTREAM, TARGET, BENCH, "server_error", "upstream_auth_error", "api_error", "INTERNAL",           \
      "the provider refused the key configured here")                                                                  \
    X(UP_PERMISSION, 502, UPSTREAM, TARGET, IGNORE, "server_error", "upstream_auth_error", "api_error", "INTERNAL",    \
      "the provider does not let the key configured here do this")                                                     \
    X(UP_TIMEOUT_CONNECT, 504, UPSTREAM, SAME, COUNT, "server_error", "timeout", "timeout_error", "DEADLINE_EXCEEDED", \
      "the provider did not accept a connection in time")                                                              \
    X(UP_TIMEOUT_FIRST, 504, UPSTREAM, TARGET, COUNT, "server_error", "timeout", "timeout_error", "DEADLINE_EXCEEDED", \
      "the provider did not begin to answer in time")                                                                  \
    X(UP_TIMEOUT_IDLE, 504, UPSTREAM, TARGET, COUNT, "server_error", "timeout", "timeout_error", "DEADLINE_EXCEEDED",  \
      "the provider fell silent in the middle of its answer")                                                          \
    X(UP_TIMEOUT_TOTAL, 504, UPSTREAM, NO, IGNORE, "server_error", "timeout", "timeout_error", "DEADLINE_EXCEEDED",    \
      "the call took longer than it may")                                                                              \
    X(UP_TIMEOUT, 504, UPSTREAM, TARGET, COUNT, "server_error", "timeout", "timeout_error", "DEADLINE_EXCEEDED",       \
      "the provider reported a timeout")                                                                               \
    X(UP_CONTEXT_LENGTH, 400, CLIENT, NO, IGNORE, "invalid_request_error", "context_length_exceeded",                  \
      "invalid_request_error", "INVALID_ARGUMENT", "prompt is too long")                                               \
    X(UP_CONTENT_POLICY, 400, CLIENT, NO, IGNORE, "invalid_request_error", "content_policy_violation",                 \
      "invalid_request_error", "INVALID_ARGUMENT", "the provider's content policy refused the request")                \
    X(UP_BAD_REQUEST, 400, CLIENT, NO, IGNORE, "invalid_request_error", "invalid_request", "invalid_request_error",    \
      "INVALID_ARGUMENT", "the provider refused the request")                                                          \
    X(UP_CAPABILITY, 400, CLIENT, NO, IGNORE, "invalid_request_error", "unsupported_parameter",                        \
      "invalid_request_error", "INVALID_ARGUMENT", "the model does not support a parameter of this request")           \
    X(UP_REASONING_STATE, 400, CLIENT, NO, IGNORE, "invalid_request_error", "invalid_encrypted_content",               \
      "invalid_request_error", "INVALID_ARGUMENT", "the provider did not take back the reasoning in the conversation") \
    X(UP_NOT_FOUND, 404, UPSTREAM, NO, IGNORE, "invalid_request_error", "model_not_found", "not_found_error",          \
      "NOT_FOUND", "the provider does not know the model")                                                             \
    X(UP_CONFLICT, 409, UPSTREAM, SAME, IGNORE, "invalid_request_error", "conflict", "invalid_request_error",          \
      "ABORTED", "the provider reports a conflict")                                                                    \
    X(UP_TOO_LARGE, 413, CLIENT, NO, IGNORE, "invalid_request_error", "request_too_large", "request_too_large",        \
      "INVALID_ARGUMENT", "the request is too large for the provider")
