/* The answers of Gemini's generateContent, whole, as events and as one array. Source: Gemini API reference, GenerateContentResponse. */
#include "tools/fake/gemini.h"

static const char *finish_reason(enum plan_finish finish)
{
    switch (finish) {
    case FINISH_LENGTH: return "MAX_TOKENS";
    case FINISH_REFUSAL: return "PROHIBITED_CONTENT";
    case FINISH_FILTER: return "SAFETY";
    case FINISH_TOOLS:
    case FINISH_SEQUENCE:
    case FINISH_STOP: break;
    }
    return "STOP";
}

/* The prompt's count includes what came from the cache; the candidates' leaves thoughts out. */
static void add_usage(struct buf *b, const struct plan_usage *u, bool whole)
{
    uint64_t prompt = u->input + u->cache_read + u->cache_write + u->cache_write_1h;
    buf_addf(b, ",\"usageMetadata\":{\"promptTokenCount\":%llu", (unsigned long long)prompt);
    if (u->cache_read > 0) buf_addf(b, ",\"cachedContentTokenCount\":%llu", (unsigned long long)u->cache_read);
    if (whole) buf_addf(b, ",\"candidatesTokenCount\":%llu", (unsigned long long)(u->output - u->reasoning));
    if (whole && u->reasoning > 0) buf_addf(b, ",\"thoughtsTokenCount\":%llu", (unsigned long long)u->reasoning);
    buf_addf(b, ",\"totalTokenCount\":%llu,\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":%llu}]}",
             (unsigned long long)(prompt + (whole ? u->output : 0)), (unsigned long long)prompt);
}

static void add_tail(struct buf *b, const struct plan *plan, const struct ask *ask, bool whole)
{
    if (!plan->omit_usage) add_usage(b, &plan->usage, whole);
    buf_addz(b, ",\"modelVersion\":");
    buf_add_json_str(b, ask->model);
    buf_addf(b, ",\"responseId\":\"%.*s\"}", STR_FMT(plan->id));
}

static void add_text(struct buf *b, struct str text, bool thought)
{
    buf_addz(b, "{\"text\":");
    buf_add_json_str(b, text);
    buf_addz(b, thought ? ",\"thought\":true}" : "}");
}

/* Of parallel calls only the first one is signed. */
static void add_call(struct buf *b, const struct plan *plan, unsigned i)
{
    const struct plan_call *call = &plan->call[i];
    buf_addf(b, "{\"functionCall\":{\"id\":\"%.*s\",\"name\":", STR_FMT(call->id));
    buf_add_json_str(b, call->name);
    buf_addf(b, ",\"args\":%.*s}", STR_FMT(call->arguments));
    if (i == 0) buf_addf(b, ",\"thoughtSignature\":\"" GEMINI_SIGNATURE "%.*s\"", STR_FMT(plan->id));
    buf_addc(b, '}');
}

void gemini_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    struct buf *b = &out->body;
    const char *comma = "";
    (void)now_s;
    buf_addz(b, "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[");
    if (plan->thinking.n > 0 && ask->shows_thinking) {
        add_text(b, plan->thinking, true);
        comma = ",";
    }
    if (plan->text.n > 0) {
        buf_addz(b, comma);
        add_text(b, plan->text, false);
        comma = ",";
    }
    for (unsigned i = 0; i < plan->calls; i++) {
        buf_addz(b, i > 0 ? "," : comma);
        add_call(b, plan, i);
    }
    buf_addf(b, "]},\"finishReason\":\"%s\",\"index\":0}]", finish_reason(plan->finish));
    add_tail(b, plan, ask, true);
    buf_addc(b, '\n');
}

/* ---- stream ---- */

static void open_chunk(struct answer *out, const struct ask *ask)
{
    if (ask->as_array)
        buf_addz(&out->body, out->events == 0 ? "[" : ",\r\n");
    else
        buf_addz(&out->body, "data: ");
}

static void close_chunk(struct answer *out, const struct ask *ask, bool last)
{
    if (!ask->as_array)
        buf_addz(&out->body, "\r\n\r\n");
    else if (last)
        buf_addz(&out->body, "]\n");
    answer_end_event(out);
}

static struct buf *open_parts(struct answer *out, const struct ask *ask)
{
    open_chunk(out, ask);
    buf_addz(&out->body, "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[");
    return &out->body;
}

static void close_parts(struct answer *out, const struct plan *plan, const struct ask *ask)
{
    buf_addz(&out->body, "]},\"index\":0}]");
    add_tail(&out->body, plan, ask, false);
    close_chunk(out, ask, false);
}

static void stream_text(const struct plan *plan, const struct ask *ask, struct str text, bool thought,
                        struct answer *out)
{
    for (struct str word = plan_next_word(&text); word.n > 0; word = plan_next_word(&text)) {
        add_text(open_parts(out, ask), word, thought);
        close_parts(out, plan, ask);
    }
}

void gemini_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    (void)now_s;
    out->is_stream = true;
    out->content_type = ask->as_array ? "application/json; charset=UTF-8" : "text/event-stream";
    if (ask->shows_thinking) stream_text(plan, ask, plan->thinking, true, out);
    stream_text(plan, ask, plan->text, false, out);
    if (plan->calls > 0) { /* calls come whole */
        struct buf *b = open_parts(out, ask);
        for (unsigned i = 0; i < plan->calls; i++) {
            if (i > 0) buf_addc(b, ',');
            add_call(b, plan, i);
        }
        close_parts(out, plan, ask);
    }
    open_chunk(out, ask);
    buf_addf(&out->body,
             "{\"candidates\":[{\"finishReason\":\"%s\",\"index\":0,\"content\":{\"role\":\"model\",\"parts\":[{"
             "\"text\":\"\"}]}}]",
             finish_reason(plan->finish));
    add_tail(&out->body, plan, ask, true);
    close_chunk(out, ask, true);
}

/* ---- errors ---- */

/* Source: Gemini API reference, troubleshooting. */
static const struct {
    unsigned status;
    const char *word, *message;
} usual[] = {
    {400, "INVALID_ARGUMENT", "Request contains an invalid argument."},
    {401, "UNAUTHENTICATED", "Request had invalid authentication credentials."},
    {402, "FAILED_PRECONDITION", "Your prepayment credits are depleted."},
    {403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key."},
    {404, "NOT_FOUND", "The model is not found for API version v1beta, or is not supported for generateContent."},
    {413, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."},
    {422, "INVALID_ARGUMENT", "Request contains an invalid argument."},
    {429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."},
    {500, "INTERNAL", "An internal error has occurred."},
    {503, "UNAVAILABLE", "The model is overloaded. Please try again later."},
    {529, "UNAVAILABLE", "The model is overloaded. Please try again later."},
    {504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."},
};

void gemini_write_error(const struct refusal *refusal, struct answer *out)
{
    const char *word = "UNKNOWN", *message = "An unknown error has occurred.";
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (usual[i].status == refusal->status) word = usual[i].word, message = usual[i].message;
    if (refusal->type != NULL) word = refusal->type;
    out->status = refusal->status;
    buf_addf(&out->body, "{\n  \"error\": {\n    \"code\": %u,\n    \"message\": ", refusal->status);
    buf_add_json_str(&out->body, refusal->message.n > 0 ? refusal->message : str_of(message));
    buf_addf(&out->body, ",\n    \"status\": \"%s\"", word);
    if (refusal->status == 429) /* there is no retry-after header */
        buf_addz(
            &out->body,
            ",\n    \"details\": [{\"@type\": \"type.googleapis.com/google.rpc.RetryInfo\", \"retryDelay\": \"1s\"}]");
    buf_addz(&out->body, "\n  }\n}\n");
}

void gemini_write_error_event(struct str error, struct buf *out)
{
    buf_addz(out, "data: {\"error\":");
    if (error.n > 0)
        buf_add(out, error);
    else
        buf_addz(out, "{\"code\":503,\"message\":\"The model is overloaded. Please try again "
                      "later.\",\"status\":\"UNAVAILABLE\"}");
    buf_addz(out, "}\r\n\r\n");
}
