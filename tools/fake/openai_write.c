/* The answers of the OpenAI Chat dialect. Source: OpenAI API reference, chat completion object and chunk object. */
#include "tools/fake/host.h"
#include "tools/fake/openai.h"

#include <string.h>

static const char *finish_word(enum plan_finish finish)
{
    switch (finish) {
    case FINISH_LENGTH: return "length";
    case FINISH_TOOLS: return "tool_calls";
    case FINISH_FILTER: return "content_filter";
    case FINISH_STOP:
    case FINISH_SEQUENCE:
    case FINISH_REFUSAL: break;
    }
    return "stop";
}

static void add_usage(struct buf *b, const struct plan *plan, const struct ask *ask)
{
    const struct plan_usage *u = &plan->usage;
    unsigned choices = ask->choices;
    if (ask->host != NULL) {
        host_add_usage(ask->host, u, choices, b);
        return;
    }
    uint64_t writes = u->cache_write + u->cache_write_1h, input = u->input + u->cache_read + writes;
    uint64_t output = u->output * choices;
    buf_addf(b,
             "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu,"
             "\"prompt_tokens_details\":{\"cached_tokens\":%llu,\"cache_write_tokens\":%llu,\"audio_tokens\":0},"
             "\"completion_tokens_details\":{\"reasoning_tokens\":%llu,\"audio_tokens\":0,"
             "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
             (unsigned long long)input, (unsigned long long)output, (unsigned long long)(input + output),
             (unsigned long long)u->cache_read, (unsigned long long)writes,
             (unsigned long long)(u->reasoning * choices));
}

static void add_call(struct buf *b, const struct ask *ask, const struct plan_call *call, int index, bool with_arguments)
{
    bool nine = ask->host != NULL && ask->host->nine_ids;
    struct str id = nine ? str_slice(call->id, call->id.n - 9, call->id.n) : call->id;
    buf_addc(b, '{');
    if (index >= 0) buf_addf(b, "\"index\":%d,", index);
    bool custom = openai_is_custom(ask, call->name);
    const char *type = custom ? "custom" : "function";
    buf_addf(b, "\"id\":\"%s%.*s\",\"type\":\"%s\",\"%s\":{\"name\":", nine ? "" : "call_", STR_FMT(id), type, type);
    buf_add_json_str(b, call->name);
    buf_addz(b, custom ? ",\"input\":" : ",\"arguments\":");
    buf_add_json_str(b, with_arguments ? call->arguments : STR_NULL);
    buf_addz(b, "}}");
}

/* The member that has what was thought; NULL: the content's own parts have it (Mistral). */
static const char *reasoning_member(const struct ask *ask)
{
    if (ask->host == NULL) return "reasoning_content";
    return ask->host->reasoning[0] == '\0' ? NULL : ask->host->reasoning;
}

static void add_thinking_part(struct buf *b, struct str text)
{
    buf_addz(b, "{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":");
    buf_add_json_str(b, text);
    buf_addz(b, "}]}");
}

static void add_message(struct buf *b, const struct plan *plan, const struct ask *ask)
{
    bool refusal = plan->finish == FINISH_REFUSAL;
    buf_addz(b, "{\"role\":\"assistant\",\"content\":");
    bool parts = ask->shows_thinking && reasoning_member(ask) == NULL;
    if (parts) {
        buf_addc(b, '[');
        add_thinking_part(b, plan->thinking);
        buf_addz(b, ",{\"type\":\"text\",\"text\":");
    }
    if (!parts && (refusal || plan->calls > 0))
        buf_addz(b, "null");
    else
        buf_add_json_str(b, plan->text);
    if (parts) buf_addz(b, "}]");
    buf_addz(b, ",\"refusal\":");
    if (refusal)
        buf_add_json_str(b, plan->text);
    else
        buf_addz(b, "null");
    buf_addz(b, ",\"annotations\":[]");
    if (ask->shows_thinking && !parts) {
        buf_addf(b, ",\"%s\":", reasoning_member(ask));
        buf_add_json_str(b, plan->thinking);
    }
    for (unsigned i = 0; i < plan->calls; i++) {
        buf_addz(b, i == 0 ? ",\"tool_calls\":[" : ",");
        add_call(b, ask, &plan->call[i], -1, true);
    }
    buf_addz(b, plan->calls > 0 ? "]}" : "}");
}

void openai_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    struct buf *b = &out->body;
    buf_addf(b,
             "{\"id\":\"chatcmpl-%.*s\",\"object\":\"chat.completion\",\"created\":%llu,\"model\":", STR_FMT(plan->id),
             (unsigned long long)now_s);
    buf_add_json_str(b, ask->model);
    buf_addz(b, ",\"service_tier\":\"default\",\"choices\":[");
    for (unsigned i = 0; i < ask->choices; i++) {
        buf_addf(b, "%s{\"index\":%u,\"message\":", i > 0 ? "," : "", i);
        add_message(b, plan, ask);
        buf_addf(b, ",\"logprobs\":null,\"finish_reason\":\"%s\"}", finish_word(plan->finish));
    }
    buf_addz(b, "]");
    if (!plan->omit_usage) {
        buf_addz(b, ",\"usage\":");
        add_usage(b, plan, ask);
    }
    buf_addz(b, ",\"system_fingerprint\":null}\n");
}

/* ---- stream ---- */

struct stream {
    const struct plan *plan;
    const struct ask *ask;
    uint64_t now_s;
    struct answer *out;
};

static struct buf *open_chunk(struct stream *s)
{
    struct buf *b = &s->out->body;
    buf_addf(b, "data: {\"id\":\"chatcmpl-%.*s\",\"object\":\"chat.completion.chunk\",\"created\":%llu,\"model\":",
             STR_FMT(s->plan->id), (unsigned long long)s->now_s);
    buf_add_json_str(b, s->ask->model);
    buf_addz(b, ",\"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":[");
    return b;
}

static void close_chunk(struct stream *s)
{
    struct buf *b = &s->out->body;
    buf_addz(b, s->ask->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
    answer_end_event(s->out);
}

static void add_delta(struct stream *s, unsigned choice, const char *name, struct str text)
{
    struct buf *b = open_chunk(s);
    buf_addf(b, "{\"index\":%u,\"delta\":{\"%s\":", choice, name);
    buf_add_json_str(b, text);
    buf_addz(b, "},\"logprobs\":null,\"finish_reason\":null}");
    close_chunk(s);
}

static void add_thoughts(struct stream *s, unsigned choice)
{
    struct str rest = s->plan->thinking;
    while (reasoning_member(s->ask) == NULL) {
        struct str word = plan_next_word(&rest);
        if (word.n == 0) return;
        struct buf *b = open_chunk(s);
        buf_addf(b, "{\"index\":%u,\"delta\":{\"content\":[", choice);
        add_thinking_part(b, word);
        buf_addz(b, "]},\"logprobs\":null,\"finish_reason\":null}");
        close_chunk(s);
    }
}

static void add_words(struct stream *s, unsigned choice, const char *name, struct str text)
{
    for (struct str word = plan_next_word(&text); word.n > 0; word = plan_next_word(&text))
        add_delta(s, choice, name, word);
}

static void stream_calls(struct stream *s, unsigned choice)
{
    for (unsigned i = 0; i < s->plan->calls; i++) {
        const struct plan_call *call = &s->plan->call[i];
        struct buf *b = open_chunk(s);
        buf_addf(b, "{\"index\":%u,\"delta\":{\"tool_calls\":[", choice);
        add_call(b, s->ask, call, (int)i, false);
        buf_addz(b, "]},\"logprobs\":null,\"finish_reason\":null}");
        close_chunk(s);
        /* The arguments in pieces of 8 bytes, as providers cut them: anywhere. */
        for (size_t at = 0; at < call->arguments.n; at += 8) {
            b = open_chunk(s);
            bool custom = openai_is_custom(s->ask, call->name);
            buf_addf(b, "{\"index\":%u,\"delta\":{\"tool_calls\":[{\"index\":%u,\"%s\":{\"%s\":", choice, i,
                     custom ? "custom" : "function", custom ? "input" : "arguments");
            buf_add_json_str(b, str_slice(call->arguments, at, at + 8));
            buf_addz(b, "}}]},\"logprobs\":null,\"finish_reason\":null}");
            close_chunk(s);
        }
    }
}

/* The last chunk of a choice; some hosts tell there what was used, whoever asked. */
static void close_finish(struct stream *s, unsigned choice)
{
    const struct fake_host *h = s->ask->host;
    bool last = choice + 1 == s->ask->choices && !s->plan->omit_usage;
    if (h == NULL || !last || (!h->usage_at_finish && !h->usage_in_x_groq)) {
        close_chunk(s);
        return;
    }
    buf_addz(&s->out->body, h->usage_in_x_groq ? "],\"x_groq\":{\"id\":\"req_1\",\"usage\":" : "],\"usage\":");
    add_usage(&s->out->body, s->plan, s->ask);
    buf_addz(&s->out->body, h->usage_in_x_groq ? "}}\n\n" : "}\n\n");
    answer_end_event(s->out);
}

static void stream_choice(struct stream *s, unsigned choice)
{
    struct buf *b = open_chunk(s);
    buf_addf(b,
             "{\"index\":%u,\"delta\":{\"role\":\"assistant\",\"content\":%s,\"refusal\":null},"
             "\"logprobs\":null,\"finish_reason\":null}",
             choice, s->plan->calls > 0 ? "null" : "\"\"");
    close_chunk(s);
    if (s->ask->shows_thinking && reasoning_member(s->ask) != NULL)
        add_words(s, choice, reasoning_member(s->ask), s->plan->thinking);
    else if (s->ask->shows_thinking)
        add_thoughts(s, choice);
    add_words(s, choice, s->plan->finish == FINISH_REFUSAL ? "refusal" : "content", s->plan->text);
    stream_calls(s, choice);
    b = open_chunk(s);
    buf_addf(b, "{\"index\":%u,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"%s\"}", choice,
             finish_word(s->plan->finish));
    close_finish(s, choice);
}

void openai_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    struct stream s = {plan, ask, now_s, out};
    out->is_stream = true;
    out->content_type = "text/event-stream; charset=utf-8";
    for (unsigned i = 0; i < ask->choices; i++) stream_choice(&s, i);
    if (ask->include_usage && !plan->omit_usage) {
        struct buf *b = open_chunk(&s);
        buf_addz(b, "],\"usage\":");
        add_usage(b, plan, ask);
        buf_addz(b, "}\n\n");
        answer_end_event(out);
    }
    buf_addz(&out->body, "data: [DONE]\n\n");
    answer_end_event(out);
}

/* ---- errors ---- */

/* Source: OpenAI API reference, error codes. */
static const struct {
    unsigned status;
    const char *type, *code, *message;
} usual[] = {
    {400, "invalid_request_error", "invalid_value", "The request is not valid."},
    {401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."},
    {403, "invalid_request_error", "unsupported_country", "Country, region, or territory not supported."},
    {404, "invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."},
    {409, "invalid_request_error", "conflict", "The resource is locked by another request."},
    {413, "invalid_request_error", "request_too_large", "The request body is too large."},
    {422, "invalid_request_error", "unprocessable", "The request cannot be processed."},
    {429, "rate_limit_error", "rate_limit_exceeded", "Rate limit reached for requests."},
    {503, "service_unavailable_error", "server_is_overloaded", "The engine is currently overloaded."},
};

void openai_write_error(const struct refusal *refusal, struct answer *out)
{
    const char *type = "server_error", *code = "server_error", *message = "The server had an error.";
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (usual[i].status == refusal->status) type = usual[i].type, code = usual[i].code, message = usual[i].message;
    if (refusal->type != NULL) type = refusal->type, code = refusal->code;
    struct buf *b = &out->body;
    out->status = refusal->status;
    buf_addz(b, "{\"error\":{\"message\":");
    buf_add_json_str(b, refusal->message.n > 0 ? refusal->message : str_of(message));
    buf_addf(b, ",\"type\":\"%s\",\"param\":", type);
    if (refusal->param.n > 0)
        buf_add_json_str(b, refusal->param);
    else
        buf_addz(b, "null");
    buf_addz(b, ",\"code\":");
    if (code != NULL)
        buf_addf(b, "\"%s\"}}\n", code);
    else
        buf_addz(b, "null}}\n");
    if (refusal->status == 429 || refusal->status == 503) answer_header(out, "retry-after", "1");
}

void openai_write_error_event(struct str error, struct buf *out)
{
    buf_addz(out, "data: {\"error\":");
    if (error.n > 0)
        buf_add(out, error);
    else
        buf_addz(out, "{\"message\":\"The server is overloaded.\",\"type\":\"server_error\",\"param\":null,"
                      "\"code\":\"server_is_overloaded\"}");
    buf_addz(out, "}\n\n");
}
