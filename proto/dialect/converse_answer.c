/* Unary Converse answers, both ways, and what they share with events: usage, stop reasons, signatures. */
#include "proto/dialect/converse.h"

#include "proto/dialect/anthropic.h"
#include "proto/dialect/mark.h"
#include "proto/dialect/tree.h"

/* The first row of a finish is the word that is written. */
static const struct {
    const char *word;
    enum finish finish;
} FINISHES[] = {
    {"end_turn", FINISH_STOP},
    {"stop_sequence", FINISH_STOP_SEQUENCE},
    {"tool_use", FINISH_TOOL_CALLS},
    {"max_tokens", FINISH_LENGTH},
    {"model_context_window_exceeded", FINISH_CONTEXT_FULL},
    {"content_filtered", FINISH_CONTENT_FILTER},
    {"guardrail_intervened", FINISH_CONTENT_FILTER},
    {"refusal", FINISH_REFUSAL},
    {"malformed_model_output", FINISH_ERROR},
    {"malformed_tool_use", FINISH_ERROR},
};

enum finish converse_finish_of(struct str word)
{
    for (size_t i = 0; i < sizeof FINISHES / sizeof *FINISHES; i++)
        if (str_is(word, FINISHES[i].word)) return FINISHES[i].finish;
    return word.n == 0 ? FINISH_NONE : FINISH_OTHER;
}

const char *converse_finish_word(enum finish f)
{
    if (f == FINISH_REFUSAL) f = FINISH_CONTENT_FILTER; /* the API's own clients know no refusal */
    for (size_t i = 0; i < sizeof FINISHES / sizeof *FINISHES; i++)
        if (FINISHES[i].finish == f) return FINISHES[i].word;
    return "end_turn";
}

/* ---- Signatures ---- */

struct str converse_carry(struct arena *a, struct str signature, bool redacted)
{
    if (signature.n == 0) return STR_NULL;
    return arena_printf(a, "%s%.*s", redacted ? MARK_CONVERSE_REDACTED : MARK_CONVERSE, STR_FMT(signature));
}

void converse_uncarry(struct arena *a, struct str wire, struct part *p)
{
    const struct str claude = STR(MARK_ANTHROPIC), hidden = STR(MARK_ANTHROPIC_REDACTED);
    p->foreign = true;
    if (str_starts(wire, hidden) || str_starts(wire, claude)) {
        bool redacted = str_starts(wire, hidden);
        p->kind = redacted ? PART_REDACTED : PART_REASONING;
        p->signature = str_slice(wire, redacted ? hidden.n : claude.n, wire.n);
        p->foreign = false;
    } else if (str_starts(wire, STR(MARK))) {
        p->signature = wire;
    } else {
        p->signature = converse_carry(a, wire, false);
    }
}

/* ---- Usage ---- */

static bool figure(struct usage *u, int64_t *field, yyjson_val *o, const char *key)
{
    int64_t v;
    if (!tree_i64(yyjson_obj_get(o, key), &v)) return false;
    usage_set(u, field, v);
    return true;
}

static void read_cache_writes(yyjson_val *o, struct usage *u)
{
    size_t i, n;
    yyjson_val *detail;
    int64_t written = 0;
    bool total = figure(u, &written, o, "cacheWriteInputTokens");
    u->cache_write_5m = u->cache_write_1h = 0;
    yyjson_arr_foreach(tree_get(o, "cacheDetails"), i, n, detail)
    {
        int64_t some = 0;
        figure(u, &some, detail, "inputTokens");
        int64_t *field = str_is(tree_get_str(detail, "ttl"), "1h") ? &u->cache_write_1h : &u->cache_write_5m;
        usage_set(u, field, *field + some);
    }
    if (!total || u->cache_write_5m + u->cache_write_1h == written) return;
    u->cache_write_5m = written;
    u->cache_write_1h = 0;
}

bool converse_read_usage(yyjson_val *o, struct usage *u)
{
    if (!yyjson_is_obj(o)) return false;
    if (figure(u, &u->in_uncached, o, "inputTokens")) u->known |= USAGE_INPUT;
    if (figure(u, &u->out_total, o, "outputTokens")) u->known |= USAGE_OUTPUT;
    figure(u, &u->cache_read, o, "cacheReadInputTokens");
    read_cache_writes(o, u);
    return u->known != 0;
}

static void add_figure(struct buf *out, const char *key_and_colon, int64_t v)
{
    buf_addz(out, key_and_colon);
    buf_add_i64(out, v);
}

void converse_write_usage(const struct usage *u, struct buf *out)
{
    add_figure(out, "{\"inputTokens\":", u->in_uncached);
    add_figure(out, ",\"outputTokens\":", u->out_total);
    add_figure(out, ",\"totalTokens\":", usage_in_total(u) + u->out_total);
    add_figure(out, ",\"cacheReadInputTokens\":", u->cache_read);
    add_figure(out, ",\"cacheWriteInputTokens\":", usage_cache_write(u));
    if (u->cache_write_1h > 0) {
        add_figure(out, ",\"cacheDetails\":[{\"ttl\":\"1h\",\"inputTokens\":", u->cache_write_1h);
        add_figure(out, "},{\"ttl\":\"5m\",\"inputTokens\":", u->cache_write_5m);
        buf_add(out, STR("}]"));
    }
    buf_addc(out, '}');
}

/* ---- Reading ---- */

static void read_reasoning(struct answer *answer, struct arena *a, yyjson_val *v)
{
    yyjson_val *text = tree_get(v, "reasoningText");
    struct str redacted = tree_get_str(v, "redactedContent");
    struct part *p = part_add(&answer->parts, a, PART_REASONING);
    p->text = tree_get_str(text, "text");
    p->signature =
        redacted.n > 0 ? converse_carry(a, redacted, true) : converse_carry(a, tree_get_str(text, "signature"), false);
}

static void read_call(struct answer *answer, struct arena *a, yyjson_val *v)
{
    yyjson_val *input = tree_get(v, "input");
    if (str_is(tree_get_str(v, "type"), "server_tool_use")) { /* ran there */
        part_add(&answer->parts, a, PART_OTHER)->name = STR("server_tool_use");
        return;
    }
    struct part *p = part_add(&answer->parts, a, PART_TOOL_CALL);
    p->id = tree_get_str(v, "toolUseId");
    p->name = tree_get_str(v, "name");
    p->arguments = input == NULL ? STR("{}") : tree_text(input, a);
}

static void read_cited(struct answer *answer, struct arena *a, yyjson_val *v)
{
    struct part *p = part_add(&answer->parts, a, PART_TEXT);
    p->text = converse_cited_text(tree_get(v, "content"), a);
    converse_read_citations(tree_get(v, "citations"), a, &p->citations);
}

static void read_block(struct answer *answer, struct arena *a, yyjson_val *block)
{
    size_t i, n;
    yyjson_val *key, *v;
    yyjson_obj_foreach(block, i, n, key, v)
    {
        struct str kind = tree_str(key);
        if (yyjson_is_null(v)) continue;
        if (str_is(kind, "text"))
            part_add(&answer->parts, a, PART_TEXT)->text = tree_str(v);
        else if (str_is(kind, "toolUse"))
            read_call(answer, a, v);
        else if (str_is(kind, "reasoningContent"))
            read_reasoning(answer, a, v);
        else if (str_is(kind, "citationsContent"))
            read_cited(answer, a, v);
        else
            part_add(&answer->parts, a, PART_OTHER)->name = arena_copy(a, kind);
        return;
    }
}

enum weir_err converse_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why)
{
    yyjson_val *root, *block;
    size_t i, n;
    enum weir_err e = tree_read(json, a, &root, ret_why);
    if (e != WEIR_OK) return e;
    struct answer *answer = arena_zalloc(a, sizeof *answer);
    *ret_answer = answer;
    struct str reason = tree_get_str(root, "stopReason");
    yyjson_val *content = tree_get(tree_get(tree_get(root, "output"), "message"), "content");
    answer->finish = converse_finish_of(reason);
    answer->has_error = answer->finish == FINISH_ERROR || (content == NULL && tree_get_str(root, "message").n > 0);
    if (answer->has_error) return WEIR_OK;
    if (!yyjson_is_arr(content) && answer->finish == FINISH_NONE) {
        *ret_why = STR("the provider's answer has no content");
        return WEIR_UP_PROTOCOL;
    }
    answer->choices = 1;
    answer->stop_sequence = tree_get_str(tree_get(root, "additionalModelResponseFields"), "stop_sequence");
    converse_read_usage(tree_get(root, "usage"), &answer->usage);
    yyjson_arr_foreach(content, i, n, block) read_block(answer, a, block);
    return WEIR_OK;
}

/* ---- Writing ---- */

void converse_write_signature(struct str signature, bool redacted, struct buf *out)
{
    const struct str own = STR(MARK_CONVERSE), hidden = STR(MARK_CONVERSE_REDACTED);
    const char *mark = "";
    bool is_hidden = str_starts(signature, hidden);
    buf_addz(out, is_hidden ? "\"redactedContent\":\"" : "\"signature\":\"");
    if (is_hidden)
        signature = str_slice(signature, hidden.n, signature.n);
    else if (str_starts(signature, own))
        signature = str_slice(signature, own.n, signature.n);
    else if (!str_starts(signature, STR(MARK)))
        mark = signature.n == 0 ? MARK_OPENAI : redacted ? MARK_ANTHROPIC_REDACTED : MARK_ANTHROPIC;
    buf_addz(out, mark);
    buf_add_json(out, signature);
    buf_addc(out, '"');
}

static void write_reasoning(const struct part *p, struct buf *out)
{
    bool hidden = str_starts(p->signature, STR(MARK_CONVERSE_REDACTED));
    buf_add(out, STR("{\"reasoningContent\":{"));
    if (!hidden) {
        buf_add(out, STR("\"reasoningText\":{\"text\":"));
        buf_add_json_str(out, p->text);
        buf_addc(out, ',');
    }
    converse_write_signature(p->signature, p->kind == PART_REDACTED, out);
    buf_addz(out, hidden ? "}}" : "}}}");
}

static void write_text(struct str text, struct buf *out)
{
    buf_add(out, STR("{\"text\":"));
    buf_add_json_str(out, text);
    buf_addc(out, '}');
}

static void write_cited(const struct part *p, struct buf *out)
{
    struct cited_walk walk;
    struct cited_block block;
    bool first = true;
    cited_walk_init(&walk, p->text, &p->citations);
    while (cited_walk_next(&walk, &block)) {
        if (!first) buf_addc(out, ',');
        first = false;
        if (block.n > 0)
            converse_write_cited(block.text, block.first, block.n, out);
        else
            write_text(block.text, out);
    }
}

static void write_part(const struct part *p, struct buf *out)
{
    switch (p->kind) {
    case PART_REASONING:
    case PART_REDACTED: write_reasoning(p, out); break;
    case PART_TOOL_CALL:
        buf_add(out, STR("{\"toolUse\":{\"toolUseId\":"));
        buf_add_json_str(out, p->id);
        buf_add(out, STR(",\"name\":"));
        buf_add_json_str(out, p->name);
        buf_add(out, STR(",\"input\":"));
        anthropic_write_arguments(p->arguments, out);
        buf_add(out, STR("}}"));
        break;
    default:
        if (p->citations.n > 0)
            write_cited(p, out);
        else
            write_text(p->text, out);
    }
}

static bool has_form(const struct part *p)
{
    switch (p->kind) {
    case PART_TEXT:
    case PART_REFUSAL: return p->text.n > 0;
    case PART_REASONING:
    case PART_REDACTED:
    case PART_TOOL_CALL: return true;
    default: return false;
    }
}

static bool has_refusal(const struct answer *answer)
{
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next)
        if (p->kind == PART_REFUSAL) return true;
    return false;
}

void converse_write_answer(const struct answer *answer, struct buf *out)
{
    enum finish f = answer->finish == FINISH_STOP && has_refusal(answer) ? FINISH_REFUSAL : answer->finish;
    bool first = true;
    buf_add(out, STR("{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":["));
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (!has_form(p)) continue;
        if (!first) buf_addc(out, ',');
        write_part(p, out);
        first = false;
    }
    buf_addf(out, "]}},\"stopReason\":\"%s\",\"usage\":", converse_finish_word(f));
    converse_write_usage(&answer->usage, out);
    /* Typed clients want a figure here; how long it took stands in server-timing. */
    buf_add(out, STR(",\"metrics\":{\"latencyMs\":0}"));
    if (f == FINISH_STOP_SEQUENCE && answer->stop_sequence.n > 0) {
        buf_add(out, STR(",\"additionalModelResponseFields\":{\"stop_sequence\":"));
        buf_add_json_str(out, answer->stop_sequence);
        buf_addc(out, '}');
    }
    buf_addc(out, '}');
}
