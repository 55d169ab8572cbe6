/* The answers of Converse and ConverseStream. Source: Amazon Bedrock API reference, Converse, ConverseStream, common errors. */
#include "proto/wire/eventstream.h"
#include "tools/fake/converse.h"
#include "tools/fake/invoke.h"

static const char *stop_reason(enum plan_finish finish)
{
    switch (finish) {
    case FINISH_LENGTH: return "max_tokens";
    case FINISH_TOOLS: return "tool_use";
    case FINISH_SEQUENCE: return "stop_sequence";
    case FINISH_REFUSAL: return "content_filtered";
    case FINISH_FILTER: return "guardrail_intervened";
    case FINISH_STOP: break;
    }
    return "end_turn";
}

static void add_usage(struct buf *b, const struct plan_usage *u)
{
    uint64_t written = u->cache_write + u->cache_write_1h, all = u->input + u->cache_read + written + u->output;
    buf_addf(b, "{\"inputTokens\":%llu,\"outputTokens\":%llu,\"totalTokens\":%llu", (unsigned long long)u->input,
             (unsigned long long)u->output, (unsigned long long)all);
    buf_addf(b, ",\"cacheReadInputTokens\":%llu,\"cacheWriteInputTokens\":%llu", (unsigned long long)u->cache_read,
             (unsigned long long)written);
    if (u->cache_write_1h > 0)
        buf_addf(b, ",\"cacheDetails\":[{\"ttl\":\"1h\",\"inputTokens\":%llu},{\"ttl\":\"5m\",\"inputTokens\":%llu}]",
                 (unsigned long long)u->cache_write_1h, (unsigned long long)u->cache_write);
    buf_addz(b, ",\"serverToolUsage\":{}}");
}

static void add_signature(struct buf *b, const struct plan *plan)
{
    buf_addf(b, "\"EvABFake%.*s==\"", STR_FMT(plan->id)); /* opaque to clients, echoed back as it is */
}

static void add_stop(struct buf *b, const struct plan *plan)
{
    buf_addf(b, "\"stopReason\":\"%s\"", stop_reason(plan->finish));
    if (plan->finish == FINISH_SEQUENCE) {
        buf_addz(b, ",\"additionalModelResponseFields\":{\"stop_sequence\":");
        buf_add_json_str(b, plan->stop_sequence);
        buf_addc(b, '}');
    }
}

void converse_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    (void)now_s;
    struct buf *b = &out->body;
    const char *comma = "";
    buf_addz(b, "{\"metrics\":{\"latencyMs\":9},\"output\":{\"message\":{\"content\":[");
    if (plan->thinking.n > 0) {
        buf_addz(b, "{\"reasoningContent\":{\"reasoningText\":{\"signature\":");
        add_signature(b, plan);
        buf_addz(b, ",\"text\":");
        buf_add_json_str(b, ask->shows_thinking ? plan->thinking : STR_NULL);
        buf_addz(b, "}}}");
        comma = ",";
    }
    if (plan->text.n > 0) {
        buf_addf(b, "%s{\"text\":", comma);
        buf_add_json_str(b, plan->text);
        buf_addc(b, '}');
        comma = ",";
    }
    for (unsigned i = 0; i < plan->calls; i++) {
        const struct plan_call *call = &plan->call[i];
        buf_addf(b, "%s{\"toolUse\":{\"input\":%.*s,\"name\":", comma, STR_FMT(call->arguments));
        buf_add_json_str(b, call->name);
        buf_addf(b, ",\"toolUseId\":\"tooluse_%.*s\"}}", STR_FMT(call->id));
        comma = ",";
    }
    buf_addz(b, "],\"role\":\"assistant\"}},");
    add_stop(b, plan);
    if (!plan->omit_usage) {
        buf_addz(b, ",\"usage\":");
        add_usage(b, &plan->usage);
    }
    buf_addz(b, "}");
}

/* ---- stream ---- */

static size_t open_event(struct answer *out, const char *name)
{
    return eventstream_begin_json(&out->body, STR("event"), str_of(name));
}

/* "p" is padding of any length, against those who measure packets. */
static void close_event(struct answer *out, size_t start)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    buf_addf(&out->body, ",\"p\":\"%.*s\"}", (int)(out->events * 7 % (sizeof letters - 1)), letters);
    (void)eventstream_end(&out->body, start);
    answer_end_event(out);
}

static void add_delta(struct answer *out, unsigned index, const char *before, struct str text, const char *behind)
{
    size_t start = open_event(out, "contentBlockDelta");
    buf_addf(&out->body, "{\"contentBlockIndex\":%u,\"delta\":{%s", index, before);
    buf_add_json_str(&out->body, text);
    buf_addf(&out->body, "%s}", behind);
    close_event(out, start);
}

static void end_block(struct answer *out, unsigned index)
{
    size_t start = open_event(out, "contentBlockStop");
    buf_addf(&out->body, "{\"contentBlockIndex\":%u", index);
    close_event(out, start);
}

static void stream_thinking(const struct plan *plan, const struct ask *ask, unsigned index, struct answer *out)
{
    struct str rest = ask->shows_thinking ? plan->thinking : STR_NULL;
    for (struct str word = plan_next_word(&rest); word.n > 0; word = plan_next_word(&rest))
        add_delta(out, index, "\"reasoningContent\":{\"text\":", word, "}");
    size_t start = open_event(out, "contentBlockDelta");
    buf_addf(&out->body, "{\"contentBlockIndex\":%u,\"delta\":{\"reasoningContent\":{\"signature\":", index);
    add_signature(&out->body, plan);
    buf_addz(&out->body, "}}");
    close_event(out, start);
    end_block(out, index);
}

static void stream_text(const struct plan *plan, unsigned index, struct answer *out)
{
    struct str rest = plan->text;
    for (struct str word = plan_next_word(&rest); word.n > 0; word = plan_next_word(&rest))
        add_delta(out, index, "\"text\":", word, "");
    end_block(out, index);
}

static void stream_call(const struct plan_call *call, unsigned index, struct answer *out)
{
    size_t start = open_event(out, "contentBlockStart");
    buf_addf(&out->body, "{\"contentBlockIndex\":%u,\"start\":{\"toolUse\":{\"name\":", index);
    buf_add_json_str(&out->body, call->name);
    buf_addf(&out->body, ",\"toolUseId\":\"tooluse_%.*s\"}}", STR_FMT(call->id));
    close_event(out, start);
    for (size_t at = 0; at < call->arguments.n; at += 8)
        add_delta(out, index, "\"toolUse\":{\"input\":", str_slice(call->arguments, at, at + 8), "}");
    end_block(out, index);
}

void converse_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    (void)now_s;
    unsigned index = 0;
    out->is_stream = true;
    out->content_type = "application/vnd.amazon.eventstream";
    size_t start = open_event(out, "messageStart");
    buf_addz(&out->body, "{\"role\":\"assistant\"");
    close_event(out, start);
    if (plan->thinking.n > 0) stream_thinking(plan, ask, index++, out);
    if (plan->text.n > 0) stream_text(plan, index++, out);
    for (unsigned i = 0; i < plan->calls; i++) stream_call(&plan->call[i], index++, out);
    start = open_event(out, "messageStop");
    buf_addc(&out->body, '{');
    add_stop(&out->body, plan);
    close_event(out, start);
    if (plan->omit_usage) return;
    start = open_event(out, "metadata");
    buf_addz(&out->body, "{\"metrics\":{\"latencyMs\":9},\"usage\":");
    add_usage(&out->body, &plan->usage);
    close_event(out, start);
}

/* ---- errors ---- */

void converse_write_error(const struct refusal *refusal, struct answer *out)
{
    struct str message = refusal->message.n > 0 ? refusal->message : STR("The request failed.");
    out->status = refusal->status;
    buf_addz(&out->body, "{\"message\":");
    buf_add_json_str(&out->body, message);
    buf_addc(&out->body, '}');
    answer_header(out, "x-amzn-ErrorType", "%s:http://internal.amazon.com/coral/com.amazon.bedrock/",
                  refusal->code != NULL ? refusal->code : invoke_error_name(refusal->status));
}

/* error: the JSON of the exception; its name in the member "exception" of a fault's error, else that of a broken stream. */
void converse_write_error_event(struct str error, struct buf *out)
{
    yyjson_doc *doc = error.n > 0 ? yyjson_read(error.p, error.n, 0) : NULL;
    const char *name = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "exception"));
    (void)eventstream_write_json(out, STR("exception"), str_of(name != NULL ? name : "modelStreamErrorException"),
                                 error.n > 0 ? error : STR("{\"message\":\"The stream broke.\"}"));
    yyjson_doc_free(doc);
}
