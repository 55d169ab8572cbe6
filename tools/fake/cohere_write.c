/* The answers of Cohere's /v2/chat, whole and as events. Source: Cohere API reference, chat and chat with streaming. */
#include "tools/fake/cohere.h"

static const char *finish_word(enum plan_finish finish)
{
    switch (finish) {
    case FINISH_LENGTH: return "MAX_TOKENS";
    case FINISH_TOOLS: return "TOOL_CALL";
    case FINISH_SEQUENCE: return "STOP_SEQUENCE";
    case FINISH_FILTER:
    case FINISH_REFUSAL:
    case FINISH_STOP: break;
    }
    return "COMPLETE";
}

static void add_usage(struct buf *b, const struct plan_usage *u)
{
    unsigned long long in = u->input + u->cache_read + u->cache_write + u->cache_write_1h, out = u->output;
    buf_addf(b,
             "{\"billed_units\":{\"input_tokens\":%llu,\"output_tokens\":%llu},\"tokens\":{\"input_tokens\":%llu,"
             "\"output_tokens\":%llu},\"cached_tokens\":%llu}",
             in, out, in, out, (unsigned long long)u->cache_read);
}

static void add_content(struct buf *b, const char *type, struct str text)
{
    buf_addf(b, "{\"type\":\"%s\",\"%s\":", type, type);
    buf_add_json_str(b, text);
    buf_addc(b, '}');
}

static void add_call(struct buf *b, const struct plan_call *call, bool with_arguments)
{
    buf_addf(b, "{\"id\":\"call_%.*s\",\"type\":\"function\",\"function\":{\"name\":", STR_FMT(call->id));
    buf_add_json_str(b, call->name);
    buf_addz(b, ",\"arguments\":");
    buf_add_json_str(b, with_arguments ? call->arguments : STR_NULL);
    buf_addz(b, "}}");
}

void cohere_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    struct buf *b = &out->body;
    bool thinks = ask->shows_thinking && plan->thinking.n > 0;
    (void)now_s;
    buf_addf(b, "{\"id\":\"%.*s\",\"message\":{\"role\":\"assistant\"", STR_FMT(plan->id));
    if (thinks || plan->text.n > 0) {
        buf_addz(b, ",\"content\":[");
        if (thinks) add_content(b, "thinking", plan->thinking);
        if (thinks && plan->text.n > 0) buf_addc(b, ',');
        if (plan->text.n > 0) add_content(b, "text", plan->text);
        buf_addc(b, ']');
    }
    for (unsigned i = 0; i < plan->calls; i++) {
        buf_addz(b, i == 0 ? ",\"tool_calls\":[" : ",");
        add_call(b, &plan->call[i], true);
    }
    buf_addf(b, "%s},\"finish_reason\":\"%s\"", plan->calls > 0 ? "]" : "", finish_word(plan->finish));
    if (!plan->omit_usage) {
        buf_addz(b, ",\"usage\":");
        add_usage(b, &plan->usage);
    }
    buf_addz(b, "}\n");
}

/* ---- stream ---- */

static struct buf *open_event(struct answer *out, const char *type)
{
    buf_addf(&out->body, "event: %s\ndata: {\"type\":\"%s\"", type, type);
    return &out->body;
}

static void close_event(struct answer *out)
{
    buf_addz(&out->body, "}\n\n");
    answer_end_event(out);
}

static void stream_content(struct answer *out, unsigned index, const char *type, struct str text)
{
    struct buf *b = open_event(out, "content-start");
    buf_addf(b, ",\"index\":%u,\"delta\":{\"message\":{\"content\":", index);
    add_content(b, type, STR_NULL);
    buf_addz(b, "}}");
    close_event(out);
    for (struct str word = plan_next_word(&text); word.n > 0; word = plan_next_word(&text)) {
        b = open_event(out, "content-delta");
        buf_addf(b, ",\"index\":%u,\"delta\":{\"message\":{\"content\":{\"%s\":", index, type);
        buf_add_json_str(b, word);
        buf_addz(b, "}}}");
        close_event(out);
    }
    buf_addf(open_event(out, "content-end"), ",\"index\":%u", index);
    close_event(out);
}

static void stream_call(struct answer *out, unsigned index, const struct plan_call *call)
{
    struct buf *b = open_event(out, "tool-call-start");
    buf_addf(b, ",\"index\":%u,\"delta\":{\"message\":{\"tool_calls\":", index);
    add_call(b, call, false);
    buf_addz(b, "}}");
    close_event(out);
    for (size_t at = 0; at < call->arguments.n; at += 8) {
        b = open_event(out, "tool-call-delta");
        buf_addf(b, ",\"index\":%u,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":", index);
        buf_add_json_str(b, str_slice(call->arguments, at, at + 8));
        buf_addz(b, "}}}}");
        close_event(out);
    }
    buf_addf(open_event(out, "tool-call-end"), ",\"index\":%u", index);
    close_event(out);
}

void cohere_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    unsigned index = 0;
    (void)now_s;
    out->is_stream = true;
    out->content_type = "text/event-stream";
    buf_addf(&out->body,
             "event: message-start\ndata: {\"id\":\"%.*s\",\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":"
             "\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],\"citations\":[]}}",
             STR_FMT(plan->id));
    close_event(out);
    if (ask->shows_thinking && plan->thinking.n > 0) stream_content(out, index++, "thinking", plan->thinking);
    if (plan->text.n > 0) stream_content(out, index, "text", plan->text);
    for (unsigned i = 0; i < plan->calls; i++) stream_call(out, i, &plan->call[i]);
    struct buf *b = open_event(out, "message-end");
    buf_addf(b, ",\"delta\":{\"finish_reason\":\"%s\"", finish_word(plan->finish));
    if (!plan->omit_usage) {
        buf_addz(b, ",\"usage\":");
        add_usage(b, &plan->usage);
    }
    buf_addc(b, '}');
    close_event(out);
    buf_addz(&out->body, "data: [DONE]\n\n");
    answer_end_event(out);
}

/* ---- errors ---- */

/* Source: Cohere API reference, errors. */
static const struct {
    unsigned status;
    const char *message;
} usual[] = {
    {400, "invalid request: message must be at least 1 token long."},
    {401, "invalid api token"},
    {403, "your API token has no access to this model"},
    {404, "model not found, make sure the correct model ID was used and that you have access to the model."},
    {413, "the request is too large"},
    {422, "invalid request"},
    {429, "You are using a Trial key, which is limited. Please wait and try again later"},
    {503, "service unavailable, please try again later"},
};

void cohere_write_error(const struct refusal *refusal, struct answer *out)
{
    const char *message = "internal server error, this has been reported to our developers.";
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (usual[i].status == refusal->status) message = usual[i].message;
    out->status = refusal->status;
    buf_addz(&out->body, "{\"id\":\"e1\",\"message\":");
    buf_add_json_str(&out->body, refusal->message.n > 0 ? refusal->message : str_of(message));
    buf_addz(&out->body, "}\n");
}

void cohere_write_error_event(struct str error, struct buf *out)
{
    buf_addz(out,
             "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"ERROR\",\"error\":");
    if (error.n > 0)
        buf_add(out, error);
    else
        buf_addz(out, "\"the service is overloaded\"");
    buf_addz(out, "}}\n\n");
}
