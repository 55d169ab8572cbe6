/* The answers of Ollama's /api/chat: one object, or one a line. Calls come whole. Source: Ollama API reference, generate a chat message. */
#include "tools/fake/ollama.h"

#include "proto/base/date.h"

static void add_head(struct buf *b, const struct ask *ask, uint64_t now_s)
{
    struct date d = date_of(now_s);
    buf_addz(b, "{\"model\":");
    buf_add_json_str(b, ask->model);
    buf_addf(b, ",\"created_at\":\"%04d-%02u-%02uT%02u:%02u:%02u.000000001Z\"", d.year, d.month, d.day, d.hour,
             d.minute, d.second);
    buf_addz(b, ",\"message\":{\"role\":\"assistant\",\"content\":");
}

static void add_calls(struct buf *b, const struct plan *plan)
{
    for (unsigned i = 0; i < plan->calls; i++) {
        buf_addf(b, "%s{\"id\":\"call_%.*s\",\"function\":{\"index\":%u,\"name\":", i == 0 ? ",\"tool_calls\":[" : ",",
                 STR_FMT(plan->call[i].id), i);
        buf_add_json_str(b, plan->call[i].name);
        buf_addf(b, ",\"arguments\":%.*s}}", STR_FMT(plan->call[i].arguments));
    }
    if (plan->calls > 0) buf_addc(b, ']');
}

static void add_tail(struct buf *b, const struct plan *plan)
{
    const struct plan_usage *u = &plan->usage;
    unsigned long long in = u->input + u->cache_read + u->cache_write + u->cache_write_1h;
    buf_addf(b, "},\"done\":true,\"done_reason\":\"%s\",\"total_duration\":9000000,\"load_duration\":1000000",
             plan->finish == FINISH_LENGTH ? "length" : "stop");
    if (!plan->omit_usage)
        buf_addf(b,
                 ",\"prompt_eval_count\":%llu,\"prompt_eval_duration\":2000000,\"eval_count\":%llu,\"eval_duration\":"
                 "6000000",
                 in, (unsigned long long)u->output);
    buf_addz(b, "}\n");
}

void ollama_write_unary(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    struct buf *b = &out->body;
    add_head(b, ask, now_s);
    buf_add_json_str(b, plan->text);
    if (ask->shows_thinking && plan->thinking.n > 0) {
        buf_addz(b, ",\"thinking\":");
        buf_add_json_str(b, plan->thinking);
    }
    add_calls(b, plan);
    add_tail(b, plan);
}

static void stream_words(const struct ask *ask, uint64_t now_s, struct str text, bool thought, struct answer *out)
{
    for (struct str word = plan_next_word(&text); word.n > 0; word = plan_next_word(&text)) {
        add_head(&out->body, ask, now_s);
        if (thought) buf_addz(&out->body, "\"\",\"thinking\":");
        buf_add_json_str(&out->body, word);
        buf_addz(&out->body, "},\"done\":false}\n");
        answer_end_event(out);
    }
}

void ollama_write_stream(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out)
{
    out->is_stream = true;
    out->content_type = "application/x-ndjson";
    if (ask->shows_thinking) stream_words(ask, now_s, plan->thinking, true, out);
    stream_words(ask, now_s, plan->text, false, out);
    if (plan->calls > 0) {
        add_head(&out->body, ask, now_s);
        buf_addz(&out->body, "\"\"");
        add_calls(&out->body, plan);
        buf_addz(&out->body, "},\"done\":false}\n");
        answer_end_event(out);
    }
    add_head(&out->body, ask, now_s);
    buf_addz(&out->body, "\"\"");
    add_tail(&out->body, plan);
    answer_end_event(out);
}

/* ---- errors ---- */

static const struct {
    unsigned status;
    const char *message;
} usual[] = {
    {400, "invalid request"},
    {401, "unauthorized"},
    {403, "this model requires a subscription"},
    {404, "model not found, try pulling it first"},
    {413, "request body too large"},
    {429, "too many concurrent requests"},
    {503, "server busy, please try again.  maximum pending requests exceeded"},
};

void ollama_write_error(const struct refusal *refusal, struct answer *out)
{
    const char *message = "llama runner process has terminated";
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (usual[i].status == refusal->status) message = usual[i].message;
    out->status = refusal->status;
    buf_addz(&out->body, "{\"error\":");
    buf_add_json_str(&out->body, refusal->message.n > 0 ? refusal->message : str_of(message));
    buf_addz(&out->body, "}\n");
}

void ollama_write_error_event(struct str error, struct buf *out)
{
    buf_addz(out, "{\"error\":");
    if (error.n > 0)
        buf_add(out, error);
    else
        buf_addz(out, "\"an error was encountered while running the model\"");
    buf_addz(out, "}\n");
}
