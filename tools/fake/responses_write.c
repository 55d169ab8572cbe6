/* The answers of the OpenAI Responses dialect. Source: OpenAI API reference, the response object and its streaming events. */
#include "tools/fake/responses.h"

#include <stdlib.h>

static const char *status_of(const struct plan *plan)
{
    return plan->finish == FINISH_LENGTH || plan->finish == FINISH_FILTER ? "incomplete" : "completed";
}

/* ---- items ---- */

static void add_reasoning(struct buf *b, const struct plan *plan, const struct ask *ask, bool whole)
{
    buf_addf(b, "{\"id\":\"rs_%.*s\",\"type\":\"reasoning\"", STR_FMT(plan->id));
    if (whole && ask->include_secret)
        buf_addf(b, ",\"encrypted_content\":\"" RESPONSES_SECRET "%.*s==\"", STR_FMT(plan->id));
    buf_addz(b, ",\"summary\":[");
    if (whole && ask->shows_thinking) {
        buf_addz(b, "{\"type\":\"summary_text\",\"text\":");
        buf_add_json_str(b, plan->thinking);
        buf_addz(b, "}");
    }
    buf_addz(b, "]}");
}

static void add_part(struct buf *b, const struct plan *plan, struct str text)
{
    bool refusal = plan->finish == FINISH_REFUSAL;
    buf_addf(b, "{\"type\":\"%s\",\"%s\":", refusal ? "refusal" : "output_text", refusal ? "refusal" : "text");
    buf_add_json_str(b, text);
    buf_addz(b, refusal ? "}" : ",\"annotations\":[],\"logprobs\":[]}");
}

static void add_message(struct buf *b, const struct plan *plan, bool whole)
{
    buf_addf(b,
             "{\"id\":\"msg_%.*s\",\"type\":\"message\",\"status\":\"%s\",\"role\":\"assistant\","
             "\"phase\":\"final_answer\",\"content\":[",
             STR_FMT(plan->id), whole ? status_of(plan) : "in_progress");
    if (whole) add_part(b, plan, plan->text);
    buf_addz(b, "]}");
}

static void add_call(struct buf *b, const struct ask *ask, const struct plan_call *call, bool whole)
{
    bool custom = responses_is_custom(ask, call->name);
    buf_addf(b, "{\"id\":\"%s_%.*s\",\"type\":\"%s\",\"status\":\"%s\",\"call_id\":\"call_%.*s\",\"name\":",
             custom ? "ctc" : "fc", STR_FMT(call->id), custom ? "custom_tool_call" : "function_call",
             whole ? "completed" : "in_progress", STR_FMT(call->id));
    buf_add_json_str(b, call->name);
    buf_addf(b, ",\"%s\":", custom ? "input" : "arguments");
    buf_add_json_str(b, whole ? call->arguments : STR_NULL);
    buf_addz(b, "}");
}

/* ---- the response ---- */

static void add_usage(struct buf *b, const struct plan_usage *u)
{
    uint64_t writes = u->cache_write + u->cache_write_1h, input = u->input + u->cache_read + writes;
    buf_addf(b,
             "{\"input_tokens\":%llu,\"input_tokens_details\":{\"cached_tokens\":%llu,\"cache_write_tokens\":%llu},"
             "\"output_tokens\":%llu,\"output_tokens_details\":{\"reasoning_tokens\":%llu},\"total_tokens\":%llu}",
             (unsigned long long)input, (unsigned long long)u->cache_read, (unsigned long long)writes,
             (unsigned long long)u->output, (unsigned long long)u->reasoning, (unsigned long long)(input + u->output));
}

static void add_tools(struct buf *b, const struct ask *ask)
{
    char *text = ask->tools != NULL ? yyjson_val_write(ask->tools, 0, NULL) : NULL;
    buf_addz(b, text != NULL ? text : "[]");
    free(text);
}

static void add_output(struct buf *b, const struct plan *plan, const struct ask *ask)
{
    const char *comma = "";
    if (plan->thinking.n > 0) {
        add_reasoning(b, plan, ask, true);
        comma = ",";
    }
    if (plan->text.n > 0) {
        buf_addz(b, comma);
        add_message(b, plan, true);
        comma = ",";
    }
    for (unsigned i = 0; i < plan->calls; i++, comma = ",") {
        buf_addz(b, comma);
        add_call(b, ask, &plan->call[i], true);
    }
}

static void add_response(struct buf *b, const struct plan *plan, const struct ask *ask, uint64_t now_s, bool whole)
{
    const char *status = whole ? status_of(plan) : "in_progress";
    buf_addf(b, "{\"id\":\"resp_%.*s\",\"object\":\"response\",\"created_at\":%llu,\"status\":\"%s\",",
             STR_FMT(plan->id), (unsigned long long)now_s, status);
    buf_addz(b, "\"background\":false,\"error\":null,\"incomplete_details\":");
    if (whole && plan->finish == FINISH_LENGTH)
        buf_addz(b, "{\"reason\":\"max_output_tokens\"}");
    else
        buf_addz(b, whole && plan->finish == FINISH_FILTER ? "{\"reason\":\"content_filter\"}" : "null");
    buf_addz(b, ",\"instructions\":null,\"max_output_tokens\":");
    if (ask->max_tokens > 0)
        buf_addf(b, "%llu", (unsigned long long)ask->max_tokens);
    else
        buf_addz(b, "null");
    buf_addz(b, ",\"model\":");
    buf_add_json_str(b, ask->model);
    buf_addz(b, ",\"output\":[");
    if (whole) add_output(b, plan, ask);
    buf_addf(b, "],\"parallel_tool_calls\":%s,\"previous_response_id\":null,",
             ask->may_call_parallel ? "true" : "false");
    buf_addz(b, "\"reasoning\":{\"effort\":null,\"summary\":null},\"service_tier\":\"default\",\"store\":false,"
                "\"temperature\":1.0,\"text\":{\"format\":{\"type\":\"text\"},\"verbosity\":\"medium\"},"
                "\"tool_choice\":\"auto\",\"tools\":");
    add_tools(b, ask);
    buf_addz(b, ",\"top_logprobs\":0,\"top_p\":1.0,\"truncation\":\"disabled\",\"usage\":");
    if (whole && !plan->omit_usage)
        add_usage(b, &plan->usage);
    else
        buf_addz(b, "null");
    buf_addz(b, ",\"user\":null,\"metadata\":{}}");
}

void responses_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    add_response(&out->body, plan, ask, now_s, true);
    buf_addz(&out->body, "\n");
}

/* ---- stream ---- */

struct stream {
    const struct plan *plan;
    const struct ask *ask;
    uint64_t now_s;
    struct answer *out;
    unsigned sequence, output_index;
};

static struct buf *open_event(struct stream *s, const char *name)
{
    buf_addf(&s->out->body, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%u", name, name, s->sequence++);
    return &s->out->body;
}

static void close_event(struct stream *s)
{
    buf_addz(&s->out->body, "}\n\n");
    answer_end_event(s->out);
}

static void add_state(struct stream *s, const char *name, bool whole)
{
    struct buf *b = open_event(s, name);
    buf_addz(b, ",\"response\":");
    add_response(b, s->plan, s->ask, s->now_s, whole);
    close_event(s);
}

static struct buf *open_item(struct stream *s, bool done)
{
    struct buf *b = open_event(s, done ? "response.output_item.done" : "response.output_item.added");
    buf_addf(b, ",\"output_index\":%u,\"item\":", s->output_index);
    return b;
}

/* An event inside an item; sub: the name of the index below output_index, NULL for none. */
static struct buf *open_inner(struct stream *s, const char *name, const char *prefix, struct str id, const char *sub)
{
    struct buf *b = open_event(s, name);
    buf_addf(b, ",\"item_id\":\"%s_%.*s\",\"output_index\":%u", prefix, STR_FMT(id), s->output_index);
    if (sub != NULL) buf_addf(b, ",\"%s\":0", sub);
    return b;
}

static void add_text(struct stream *s, struct buf *b, const char *field, struct str text, const char *more)
{
    buf_addf(b, ",\"%s\":", field);
    buf_add_json_str(b, text);
    buf_addz(b, more);
    close_event(s);
}

static void add_summary_part(struct stream *s, const char *name, struct str text)
{
    struct buf *b = open_inner(s, name, "rs", s->plan->id, "summary_index");
    buf_addz(b, ",\"part\":{\"type\":\"summary_text\",\"text\":");
    buf_add_json_str(b, text);
    buf_addz(b, "}");
    close_event(s);
}

static void stream_reasoning(struct stream *s)
{
    static const char sub[] = "summary_index";
    struct str id = s->plan->id, rest = s->plan->thinking;
    add_reasoning(open_item(s, false), s->plan, s->ask, false);
    close_event(s);
    if (s->ask->shows_thinking) {
        add_summary_part(s, "response.reasoning_summary_part.added", STR_NULL);
        for (struct str word = plan_next_word(&rest); word.n > 0; word = plan_next_word(&rest))
            add_text(s, open_inner(s, "response.reasoning_summary_text.delta", "rs", id, sub), "delta", word, "");
        add_text(s, open_inner(s, "response.reasoning_summary_text.done", "rs", id, sub), "text", s->plan->thinking,
                 "");
        add_summary_part(s, "response.reasoning_summary_part.done", s->plan->thinking);
    }
    add_reasoning(open_item(s, true), s->plan, s->ask, true);
    close_event(s);
    s->output_index++;
}

static void add_content_part(struct stream *s, const char *name, struct str text)
{
    struct buf *b = open_inner(s, name, "msg", s->plan->id, "content_index");
    buf_addz(b, ",\"part\":");
    add_part(b, s->plan, text);
    close_event(s);
}

static void stream_message(struct stream *s)
{
    static const char sub[] = "content_index";
    bool refusal = s->plan->finish == FINISH_REFUSAL;
    const char *delta = refusal ? "response.refusal.delta" : "response.output_text.delta";
    const char *done = refusal ? "response.refusal.done" : "response.output_text.done";
    const char *more = refusal ? "" : ",\"logprobs\":[]";
    struct str id = s->plan->id, rest = s->plan->text;
    add_message(open_item(s, false), s->plan, false);
    close_event(s);
    add_content_part(s, "response.content_part.added", STR_NULL);
    for (struct str word = plan_next_word(&rest); word.n > 0; word = plan_next_word(&rest))
        add_text(s, open_inner(s, delta, "msg", id, sub), "delta", word, more);
    add_text(s, open_inner(s, done, "msg", id, sub), refusal ? "refusal" : "text", s->plan->text, more);
    add_content_part(s, "response.content_part.done", s->plan->text);
    add_message(open_item(s, true), s->plan, true);
    close_event(s);
    s->output_index++;
}

static void stream_call(struct stream *s, const struct plan_call *call)
{
    bool custom = responses_is_custom(s->ask, call->name);
    const char *prefix = custom ? "ctc" : "fc";
    const char *delta = custom ? "response.custom_tool_call_input.delta" : "response.function_call_arguments.delta";
    const char *done = custom ? "response.custom_tool_call_input.done" : "response.function_call_arguments.done";
    add_call(open_item(s, false), s->ask, call, false);
    close_event(s);
    /* In pieces of 8 bytes, as providers cut them: anywhere. */
    for (size_t at = 0; at < call->arguments.n; at += 8)
        add_text(s, open_inner(s, delta, prefix, call->id, NULL), "delta", str_slice(call->arguments, at, at + 8), "");
    add_text(s, open_inner(s, done, prefix, call->id, NULL), custom ? "input" : "arguments", call->arguments, "");
    add_call(open_item(s, true), s->ask, call, true);
    close_event(s);
    s->output_index++;
}

void responses_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    struct stream s = {.plan = plan, .ask = ask, .now_s = now_s, .out = out};
    out->is_stream = true;
    out->content_type = "text/event-stream; charset=utf-8";
    add_state(&s, "response.created", false);
    add_state(&s, "response.in_progress", false);
    if (plan->thinking.n > 0) stream_reasoning(&s);
    if (plan->text.n > 0) stream_message(&s);
    for (unsigned i = 0; i < plan->calls; i++) stream_call(&s, &plan->call[i]);
    bool incomplete = plan->finish == FINISH_LENGTH || plan->finish == FINISH_FILTER;
    add_state(&s, incomplete ? "response.incomplete" : "response.completed", true);
}

/* error: an object with code and message; its members stand in the event itself. */
void responses_write_error_event(struct str error, struct buf *out)
{
    struct str members =
        STR("\"code\":\"server_is_overloaded\",\"message\":\"The server is overloaded.\",\"param\":null");
    if (error.n > 2) members = str_slice(error, 1, error.n - 1);
    buf_addf(out, "event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,%.*s}\n\n", STR_FMT(members));
}
