#include "proto/dialect/client_error.h"

static struct str text_of(enum weir_err e, struct str message)
{
    return message.n > 0 ? message : str_of(err_row(e)->text);
}

/* A text with the words by which a dialect's clients know that a conversation has to be cut; whose provider spoke another dialect
 * said it in other words. */
static void add_text(enum weir_err e, struct str message, const char *too_long, struct buf *out)
{
    struct str text = text_of(e, message);
    buf_addc(out, '"');
    if (e == WEIR_UP_CONTEXT_LENGTH && !str_icontains(text, str_of(too_long))) buf_addf(out, "%s: ", too_long);
    buf_add_json(out, text);
    buf_addc(out, '"');
}

/* The field that an OpenAI client is pointed at; NULL: none in particular. */
static const char *param_of(enum weir_err e)
{
    switch (e) {
    case WEIR_MODEL_NOT_FOUND:
    case WEIR_UP_NOT_FOUND:
    case WEIR_KEY_FORBIDDEN:
    case WEIR_PRICE_UNKNOWN: return "model";
    case WEIR_UP_CONTEXT_LENGTH: return "messages";
    default: return NULL;
    }
}

void openai_error_write(enum weir_err e, struct str message, struct buf *out)
{
    const struct err_row *row = err_row(e);
    const char *param = param_of(e);
    buf_add(out, STR("{\"error\":{\"message\":"));
    buf_add_json_str(out, text_of(e, message));
    buf_add(out, STR(",\"type\":"));
    buf_add_json_str(out, str_of(row->openai_type));
    buf_add(out, STR(",\"param\":"));
    if (param == NULL)
        buf_add(out, STR("null"));
    else
        buf_add_json_str(out, str_of(param));
    buf_add(out, STR(",\"code\":"));
    buf_add_json_str(out, str_of(row->openai_code));
    buf_add(out, STR("}}"));
}

uint16_t openai_error_status(enum weir_err e)
{
    return err_row(e)->http;
}

void anthropic_error_write(enum weir_err e, struct str message, struct str request_id, struct buf *out)
{
    buf_add(out, STR("{\"type\":\"error\",\"error\":{\"type\":"));
    buf_add_json_str(out, str_of(err_row(e)->anthropic_type));
    buf_add(out, STR(",\"message\":"));
    add_text(e, message, "prompt is too long", out);
    buf_addc(out, '}');
    if (request_id.n > 0) {
        buf_add(out, STR(",\"request_id\":"));
        buf_add_json_str(out, request_id);
    }
    buf_addc(out, '}');
}

uint16_t anthropic_error_status(enum weir_err e)
{
    switch (e) {
    case WEIR_UP_OVERLOADED: return 529;
    case WEIR_UP_QUOTA: return 402;
    default: return err_row(e)->http;
    }
}

/* `details` is what clients look through for a reason, so it is always there. */
void gemini_error_write(enum weir_err e, struct str message, struct buf *out)
{
    buf_add(out, STR("{\"error\":{\"code\":"));
    buf_add_u64(out, gemini_error_status(e));
    buf_add(out, STR(",\"message\":"));
    buf_add_json_str(out, text_of(e, message));
    buf_add(out, STR(",\"status\":"));
    buf_add_json_str(out, str_of(err_row(e)->gemini_status));
    buf_add(out, STR(",\"details\":[]}}"));
}

void gemini_error_write_retry(uint64_t seconds, struct buf *out)
{
    const struct str none = STR("\"details\":[]}}");
    if (!str_ends(buf_view(out), none)) return;
    buf_truncate(out, buf_len(out) - none.n);
    buf_addf(out, "\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"%llus\"}]}}",
             (unsigned long long)seconds);
}

uint16_t gemini_error_status(enum weir_err e)
{
    switch (e) {
    case WEIR_TOO_LARGE:
    case WEIR_UP_TOO_LARGE: return 400; /* Google has no 413 */
    default: return err_row(e)->http;
    }
}

void converse_error_write(enum weir_err e, struct str message, struct buf *out)
{
    buf_add(out, STR("{\"message\":"));
    add_text(e, message, "Input is too long for requested model", out);
    buf_addc(out, '}');
}

uint16_t converse_error_status(enum weir_err e)
{
    switch (e) {
    case WEIR_KEY_INVALID: return 403;
    case WEIR_UP_QUOTA: return 400;
    default: return err_row(e)->http;
    }
}

const char *converse_exception(enum weir_err e)
{
    switch (e) {
    case WEIR_KEY_INVALID: return "UnrecognizedClientException";
    case WEIR_BUDGET_SPENT:
    case WEIR_UP_QUOTA: return "ServiceQuotaExceededException";
    default: break;
    }
    switch (err_row(e)->http) {
    case 403: return "AccessDeniedException";
    case 404: return "ResourceNotFoundException";
    case 409: return "ConflictException";
    case 408:
    case 504: return "ModelTimeoutException";
    case 429: return "ThrottlingException";
    case 503: return "ServiceUnavailableException";
    default: return err_row(e)->http < 500 ? "ValidationException" : "InternalServerException";
    }
}

const char *converse_exception_in_stream(enum weir_err e)
{
    switch (err_row(e)->http) {
    case 429: return "throttlingException";
    case 503: return "serviceUnavailableException";
    case 502:
    case 504: return "modelStreamErrorException";
    default: return err_row(e)->http < 500 ? "validationException" : "internalServerException";
    }
}
