/* The answers of the Anthropic Messages dialect. Source: Anthropic API reference, messages, streaming, errors. */
#include "tools/fake/anthropic.h"

static const char *stop_reason(enum plan_finish finish)
{
    switch (finish) {
    case FINISH_LENGTH: return "max_tokens";
    case FINISH_TOOLS: return "tool_use";
    case FINISH_SEQUENCE: return "stop_sequence";
    case FINISH_REFUSAL:
    case FINISH_FILTER: return "refusal";
    case FINISH_STOP: break;
    }
    return "end_turn";
}

static void add_stop(struct buf *b, const struct plan *plan)
{
    buf_addf(b, "\"stop_reason\":\"%s\",\"stop_sequence\":", stop_reason(plan->finish));
    if (plan->finish == FINISH_SEQUENCE)
        buf_add_json_str(b, plan->stop_sequence);
    else
        buf_addz(b, "null");
    if (plan->finish == FINISH_REFUSAL || plan->finish == FINISH_FILTER)
        buf_addz(b, ",\"stop_details\":{\"type\":\"refusal\",\"category\":\"general_harms\",\"explanation\":null}");
    else
        buf_addz(b, ",\"stop_details\":null");
    buf_addz(b, ",\"container\":null");
}

static void add_usage(struct buf *b, const struct plan_usage *u, uint64_t output, bool whole)
{
    buf_addf(b, "{\"input_tokens\":%llu,\"cache_creation_input_tokens\":%llu,\"cache_read_input_tokens\":%llu",
             (unsigned long long)u->input, (unsigned long long)(u->cache_write + u->cache_write_1h),
             (unsigned long long)u->cache_read);
    if (whole)
        buf_addf(b, ",\"cache_creation\":{\"ephemeral_5m_input_tokens\":%llu,\"ephemeral_1h_input_tokens\":%llu}",
                 (unsigned long long)u->cache_write, (unsigned long long)u->cache_write_1h);
    buf_addf(b, ",\"output_tokens\":%llu", (unsigned long long)output);
    if (output >= u->reasoning && u->reasoning > 0)
        buf_addf(b, ",\"output_tokens_details\":{\"thinking_tokens\":%llu}", (unsigned long long)u->reasoning);
    if (whole) buf_addz(b, ",\"server_tool_use\":null,\"service_tier\":\"standard\"");
    buf_addc(b, '}');
}

static void open_message(struct buf *b, const struct plan *plan, const struct ask *ask)
{
    buf_addf(b, "{\"id\":\"msg_%.*s\",\"type\":\"message\",\"role\":\"assistant\",\"model\":", STR_FMT(plan->id));
    buf_add_json_str(b, ask->model);
    buf_addz(b, ",\"content\":[");
}

static void add_signature(struct buf *b, const struct plan *plan)
{
    buf_addf(b, "\"EqQBFake%.*s==\"", STR_FMT(plan->id)); /* opaque to clients, echoed back as it is */
}

void anthropic_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    (void)now_s;
    struct buf *b = &out->body;
    open_message(b, plan, ask);
    const char *comma = "";
    if (plan->thinking.n > 0) {
        buf_addz(b, "{\"type\":\"thinking\",\"thinking\":");
        buf_add_json_str(b, ask->shows_thinking ? plan->thinking : STR_NULL);
        buf_addz(b, ",\"signature\":");
        add_signature(b, plan);
        buf_addz(b, "}");
        comma = ",";
    }
    if (plan->text.n > 0) {
        buf_addf(b, "%s{\"type\":\"text\",\"text\":", comma);
        buf_add_json_str(b, plan->text);
        buf_addz(b, ",\"citations\":null}");
        comma = ",";
    }
    for (unsigned i = 0; i < plan->calls; i++) {
        const struct plan_call *call = &plan->call[i];
        buf_addf(b, "%s{\"type\":\"tool_use\",\"id\":\"toolu_%.*s\",\"name\":", comma, STR_FMT(call->id));
        buf_add_json_str(b, call->name);
        buf_addf(b, ",\"input\":%.*s}", STR_FMT(call->arguments));
        comma = ",";
    }
    buf_addz(b, "],");
    add_stop(b, plan);
    if (!plan->omit_usage) {
        buf_addz(b, ",\"usage\":");
        add_usage(b, &plan->usage, plan->usage.output, true);
    }
    buf_addz(b, "}\n");
}

/* ---- stream ---- */

static struct buf *open_event(struct answer *out, const char *name)
{
    buf_addf(&out->body, "event: %s\ndata: {\"type\":\"%s\"", name, name);
    return &out->body;
}

static void close_event(struct answer *out)
{
    buf_addz(&out->body, "}\n\n");
    answer_end_event(out);
}

static void ping(struct answer *out)
{
    open_event(out, "ping");
    close_event(out);
}

static void add_delta(struct answer *out, unsigned index, const char *type, const char *field, struct str text)
{
    struct buf *b = open_event(out, "content_block_delta");
    buf_addf(b, ",\"index\":%u,\"delta\":{\"type\":\"%s\",\"%s\":", index, type, field);
    buf_add_json_str(b, text);
    buf_addz(b, "}");
    close_event(out);
}

static struct buf *open_block(struct answer *out, unsigned index)
{
    struct buf *b = open_event(out, "content_block_start");
    buf_addf(b, ",\"index\":%u,\"content_block\":", index);
    return b;
}

static void end_block(struct answer *out, unsigned index)
{
    buf_addf(open_event(out, "content_block_stop"), ",\"index\":%u", index);
    close_event(out);
}

static void stream_thinking(const struct plan *plan, const struct ask *ask, unsigned index, struct answer *out)
{
    buf_addz(open_block(out, index), "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
    close_event(out);
    struct str rest = ask->shows_thinking ? plan->thinking : STR_NULL;
    for (struct str word = plan_next_word(&rest); word.n > 0; word = plan_next_word(&rest))
        add_delta(out, index, "thinking_delta", "thinking", word);
    struct buf *b = open_event(out, "content_block_delta");
    buf_addf(b, ",\"index\":%u,\"delta\":{\"type\":\"signature_delta\",\"signature\":", index);
    add_signature(b, plan);
    buf_addz(b, "}");
    close_event(out);
    end_block(out, index);
}

static void stream_text(const struct plan *plan, unsigned index, struct answer *out)
{
    buf_addz(open_block(out, index), "{\"type\":\"text\",\"text\":\"\"}");
    close_event(out);
    struct str rest = plan->text;
    for (struct str word = plan_next_word(&rest); word.n > 0; word = plan_next_word(&rest))
        add_delta(out, index, "text_delta", "text", word);
    end_block(out, index);
}

static void stream_call(const struct plan_call *call, unsigned index, struct answer *out)
{
    struct buf *b = open_block(out, index);
    buf_addf(b, "{\"type\":\"tool_use\",\"id\":\"toolu_%.*s\",\"name\":", STR_FMT(call->id));
    buf_add_json_str(b, call->name);
    buf_addz(b, ",\"input\":{}}");
    close_event(out);
    add_delta(out, index, "input_json_delta", "partial_json", STR_NULL);
    if (!str_is(call->arguments, "{}")) /* a call without arguments has no further pieces */
        for (size_t at = 0; at < call->arguments.n; at += 8)
            add_delta(out, index, "input_json_delta", "partial_json", str_slice(call->arguments, at, at + 8));
    end_block(out, index);
}

void anthropic_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    (void)now_s;
    unsigned index = 0;
    out->is_stream = true;
    out->content_type = "text/event-stream; charset=utf-8";
    struct buf *b = open_event(out, "message_start");
    buf_addz(b, ",\"message\":");
    open_message(b, plan, ask);
    buf_addz(b, "],\"stop_reason\":null,\"stop_sequence\":null,\"stop_details\":null,\"container\":null");
    if (!plan->omit_usage) {
        buf_addz(b, ",\"usage\":");
        add_usage(b, &plan->usage, 1, true);
    }
    buf_addz(b, "}");
    close_event(out);
    for (unsigned i = 0; i < ask->wishes.pings; i++) ping(out);
    if (plan->thinking.n > 0) stream_thinking(plan, ask, index++, out);
    ping(out);
    if (plan->text.n > 0) stream_text(plan, index++, out);
    for (unsigned i = 0; i < plan->calls; i++) stream_call(&plan->call[i], index++, out);
    b = open_event(out, "message_delta");
    buf_addz(b, ",\"delta\":{");
    add_stop(b, plan);
    buf_addz(b, "}");
    if (!plan->omit_usage) {
        buf_addz(b, ",\"usage\":");
        add_usage(b, &plan->usage, plan->usage.output, false);
    }
    close_event(out);
    open_event(out, "message_stop");
    close_event(out);
}

/* ---- errors ---- */

/* Source: Anthropic API reference, errors. */
static const struct {
    unsigned status;
    const char *type, *message;
} usual[] = {
    {400, "invalid_request_error", "The request is not valid."},
    {401, "authentication_error", "invalid x-api-key"},
    {402, "billing_error", "Your credit balance is too low."},
    {403, "permission_error", "Your API key does not have permission to use the specified resource."},
    {404, "not_found_error", "The requested resource could not be found."},
    {409, "conflict_error", "The resource is in conflict."},
    {413, "request_too_large", "Request exceeds the maximum allowed number of bytes."},
    {422, "invalid_request_error", "The request cannot be processed."},
    {429, "rate_limit_error", "This request would exceed your rate limit."},
    {504, "timeout_error", "The request timed out."},
    {529, "overloaded_error", "Overloaded"},
};

void anthropic_write_error(const struct refusal *refusal, struct answer *out)
{
    const char *type = "api_error", *message = "Internal server error";
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (usual[i].status == refusal->status) type = usual[i].type, message = usual[i].message;
    if (refusal->type != NULL) type = refusal->type;
    out->status = refusal->status;
    buf_addf(&out->body, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type);
    buf_add_json_str(&out->body, refusal->message.n > 0 ? refusal->message : str_of(message));
    buf_addz(&out->body, "},\"request_id\":\"req_fake\"}\n");
    if (refusal->status == 429) answer_header(out, "retry-after", "1");
}

void anthropic_write_error_event(struct str error, struct buf *out)
{
    buf_addz(out, "event: error\ndata: {\"type\":\"error\",\"error\":");
    if (error.n > 0)
        buf_add(out, error);
    else
        buf_addz(out, "{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}");
    buf_addz(out, ",\"request_id\":\"req_fake\"}\n\n");
}
