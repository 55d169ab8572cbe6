/* The response object and its output items, whole or as far as a stream has come. */
#include "proto/dialect/responses.h"

bool responses_has_item(enum part_kind kind)
{
    return kind == PART_TEXT || kind == PART_REFUSAL || kind == PART_TOOL_CALL || kind == PART_REASONING ||
           kind == PART_REDACTED;
}

const char *responses_status_of(enum finish f)
{
    switch (f) {
    case FINISH_LENGTH:
    case FINISH_CONTEXT_FULL:
    case FINISH_CONTENT_FILTER:
    case FINISH_REFUSAL: return "incomplete";
    case FINISH_ERROR: return "failed";
    default: return "completed";
    }
}

void responses_write_id(struct str id, struct buf *out)
{
    buf_addc(out, '"');
    if (!str_starts(id, STR("resp_"))) buf_add(out, STR("resp_"));
    buf_add_json(out, id.n > 0 ? id : STR("0"));
    buf_addc(out, '"');
}

void responses_write_item_id(struct str id, const struct part *p, unsigned n, struct buf *out)
{
    bool reasoning = p->kind == PART_REASONING || p->kind == PART_REDACTED, call = p->kind == PART_TOOL_CALL;
    buf_addf(out, "\"%s_", call && p->custom ? "ctc" : call ? "fc" : reasoning ? "rs" : "msg");
    buf_add_json(out, id);
    buf_addf(out, "_%u\"", n);
}

void responses_write_content(const struct part *p, struct buf *out)
{
    bool refusal = p->kind == PART_REFUSAL;
    buf_add(out, refusal ? STR("{\"type\":\"refusal\",\"refusal\":") : STR("{\"type\":\"output_text\",\"text\":"));
    buf_add_json_str(out, p->text);
    if (refusal) {
        buf_addc(out, '}');
        return;
    }
    buf_add(out, STR(",\"annotations\":["));
    for (const struct citation *c = p->citations.first; c != NULL; c = c->next) {
        if (c != p->citations.first) buf_addc(out, ',');
        responses_write_annotation(c, out);
    }
    buf_add(out, STR("],\"logprobs\":"));
    buf_add(out, p->logprobs.n > 0 ? p->logprobs : STR("[]"));
    buf_addc(out, '}');
}

static void write_reasoning(const struct part *p, bool whole, struct buf *out)
{
    buf_add(out, STR(",\"summary\":["));
    if (p->text.n > 0) {
        buf_add(out, STR("{\"type\":\"summary_text\",\"text\":"));
        buf_add_json_str(out, p->text);
        buf_addc(out, '}');
    }
    buf_addc(out, ']');
    if (!whole && p->signature.n == 0) return; /* it may still come */
    buf_add(out, p->kind == PART_REDACTED ? STR(",\"encrypted_content\":\"" RESPONSES_REDACTED)
                                          : STR(",\"encrypted_content\":\"" RESPONSES_SIGNED));
    /* Unsigned thoughts are marked as well: OpenAI itself would look for an item of this id. */
    buf_add_json(out, p->signature.n > 0 ? p->signature : STR(MARK_OPENAI));
    buf_addc(out, '"');
}

static void write_call(const struct part *p, bool whole, struct buf *out)
{
    buf_add(out, STR(",\"call_id\":"));
    buf_add_json_str(out, p->id);
    buf_add(out, STR(",\"name\":"));
    buf_add_json_str(out, p->name);
    if (p->space.n > 0) {
        buf_add(out, STR(",\"namespace\":"));
        buf_add_json_str(out, p->space);
    }
    if (p->custom) {
        buf_add(out, STR(",\"input\":"));
        buf_add_json_str(out, p->text);
        return;
    }
    buf_add(out, STR(",\"arguments\":"));
    buf_add_json_str(out, whole && p->arguments.n == 0 ? STR("{}") : p->arguments);
}

void responses_write_item(const struct part *p, struct str id, unsigned n, const char *status, struct buf *out)
{
    bool message = p->kind == PART_TEXT || p->kind == PART_REFUSAL;
    buf_addf(out, "{\"type\":\"%s\",\"id\":",
             message                     ? "message"
             : p->kind == PART_TOOL_CALL ? p->custom ? "custom_tool_call" : "function_call"
                                         : "reasoning");
    responses_write_item_id(id, p, n, out);
    if (p->kind == PART_REASONING || p->kind == PART_REDACTED) {
        write_reasoning(p, !str_is(str_of(status), "in_progress"), out);
    } else {
        buf_addf(out, ",\"status\":\"%s\"", status);
        if (message) {
            buf_add(out, STR(",\"role\":\"assistant\",\"content\":["));
            if (p->text.n > 0) responses_write_content(p, out);
            buf_addc(out, ']');
        } else {
            write_call(p, !str_is(str_of(status), "in_progress"), out);
        }
    }
    buf_addc(out, '}');
}

static void write_usage(const struct usage *u, struct buf *out)
{
    int64_t in = usage_in_total(u);
    buf_add(out, STR("{\"input_tokens\":"));
    buf_add_i64(out, in);
    buf_add(out, STR(",\"input_tokens_details\":{\"cached_tokens\":"));
    buf_add_i64(out, u->cache_read);
    buf_add(out, STR(",\"cache_write_tokens\":"));
    buf_add_i64(out, usage_cache_write(u));
    buf_add(out, STR("},\"output_tokens\":"));
    buf_add_i64(out, u->out_total);
    buf_add(out, STR(",\"output_tokens_details\":{\"reasoning_tokens\":"));
    buf_add_i64(out, u->out_reasoning);
    buf_add(out, STR("},\"total_tokens\":"));
    buf_add_i64(out, in + u->out_total);
    buf_addc(out, '}');
}

static void write_output(const struct responses_state *s, struct buf *out)
{
    unsigned n = 0;
    buf_add(out, STR(",\"output\":["));
    for (const struct part *p = s->parts == NULL ? NULL : s->parts->first; p != NULL; p = p->next) {
        if (!responses_has_item(p->kind)) continue;
        if (n > 0) buf_addc(out, ',');
        responses_write_item(p, s->id, n++, "completed", out);
    }
    buf_addc(out, ']');
}

static void write_outcome(const struct responses_state *s, struct buf *out)
{
    buf_addf(out, ",\"status\":\"%s\",\"error\":", s->status);
    if (str_is(str_of(s->status), "failed")) {
        buf_add(out, STR("{\"code\":"));
        buf_add_json_str(out, str_of(err_row(s->err)->openai_code));
        buf_add(out, STR(",\"message\":"));
        buf_add_json_str(out, s->message.n > 0 ? s->message : str_of(err_row(s->err)->text));
        buf_addc(out, '}');
    } else {
        buf_add(out, STR("null"));
    }
    buf_add(out, STR(",\"incomplete_details\":"));
    if (!str_is(str_of(s->status), "incomplete"))
        buf_add(out, STR("null"));
    else if (s->finish == FINISH_CONTENT_FILTER || s->finish == FINISH_REFUSAL)
        buf_add(out, STR("{\"reason\":\"content_filter\"}"));
    else
        buf_add(out, STR("{\"reason\":\"max_output_tokens\"}"));
}

/* As the client asked: what it left out has OpenAI's own word for that. */
static void write_echo(const struct request_echo *said, struct buf *out)
{
    static const struct request_echo nothing;
    const struct request_echo *e = said != NULL ? said : &nothing;
    const struct {
        const char *name;
        const struct str *text;
        const char *unsaid; /* NULL: the member is left out */
    } rows[] = {
        {"instructions", &e->instructions, "null"},
        {"max_output_tokens", &e->max_output_tokens, "null"},
        {"max_tool_calls", &e->max_tool_calls, "null"},
        {"metadata", &e->metadata, "{}"},
        {"parallel_tool_calls", &e->parallel_tool_calls, "true"},
        {"prompt_cache_key", &e->prompt_cache_key, NULL},
        {"reasoning", &e->reasoning, "{\"effort\":null,\"summary\":null}"},
        {"safety_identifier", &e->safety_identifier, NULL},
        {"temperature", &e->temperature, "null"},
        {"text", &e->text, "{\"format\":{\"type\":\"text\"}}"},
        {"tool_choice", &e->tool_choice, "\"auto\""},
        {"tools", &e->tools, "[]"},
        {"top_logprobs", &e->top_logprobs, "0"},
        {"top_p", &e->top_p, "null"},
        {"truncation", &e->truncation, "\"disabled\""},
        {"user", &e->user, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].text->n == 0 && rows[i].unsaid == NULL) continue;
        buf_addf(out, ",\"%s\":", rows[i].name);
        buf_add(out, rows[i].text->n > 0 ? *rows[i].text : str_of(rows[i].unsaid));
    }
}

void responses_write_state(const struct responses_state *s, struct buf *out)
{
    buf_add(out, STR("{\"id\":"));
    responses_write_id(s->id, out);
    buf_add(out, STR(",\"object\":\"response\",\"created_at\":"));
    buf_add_i64(out, s->created_s);
    write_outcome(s, out);
    buf_add(out, STR(",\"model\":"));
    buf_add_json_str(out, s->model);
    write_output(s, out);
    buf_add(out, STR(",\"background\":false,\"previous_response_id\":null,\"store\":false"));
    write_echo(s->chat == NULL ? NULL : s->chat->echo, out);
    buf_add(out, STR(",\"usage\":"));
    if (s->usage != NULL)
        write_usage(s->usage, out);
    else
        buf_add(out, STR("null"));
    buf_addc(out, '}');
}

void responses_write_answer(const struct answer *answer, struct buf *out)
{
    const struct responses_state s = {
        .chat = answer->chat,
        .id = answer->id,
        .model = answer->model,
        .created_s = answer->created_s,
        .status = responses_status_of(answer->finish),
        .finish = answer->finish,
        .parts = &answer->parts,
        .usage = &answer->usage,
        .err = WEIR_UP_STREAM_ERROR,
    };
    responses_write_state(&s, out);
}
