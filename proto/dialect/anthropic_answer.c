/* Unary Anthropic messages, both ways, and what they share with events: usage, stop reasons, tool input. */
#include "proto/dialect/anthropic.h"

#include "proto/dialect/mark.h"
#include "proto/dialect/tree.h"
#include "proto/wire/json.h"

static const struct {
    const char *word;
    enum finish finish;
} FINISHES[] = {
    {"end_turn", FINISH_STOP},
    {"stop_sequence", FINISH_STOP_SEQUENCE},
    {"tool_use", FINISH_TOOL_CALLS},
    {"max_tokens", FINISH_LENGTH},
    {"model_context_window_exceeded", FINISH_CONTEXT_FULL},
    {"refusal", FINISH_REFUSAL},
    {"pause_turn", FINISH_PAUSE},
};

enum finish anthropic_finish_of(struct str word)
{
    for (size_t i = 0; i < sizeof FINISHES / sizeof *FINISHES; i++)
        if (str_is(word, FINISHES[i].word)) return FINISHES[i].finish;
    return word.n == 0 ? FINISH_NONE : FINISH_OTHER;
}

const char *anthropic_finish_word(enum finish f)
{
    if (f == FINISH_CONTENT_FILTER) f = FINISH_REFUSAL;
    for (size_t i = 0; i < sizeof FINISHES / sizeof *FINISHES; i++)
        if (FINISHES[i].finish == f) return FINISHES[i].word;
    return "end_turn";
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
    yyjson_val *split = tree_get(o, "cache_creation");
    int64_t written = 0, shown = 0, kept = 0;
    bool total = figure(u, &written, o, "cache_creation_input_tokens");
    if (yyjson_is_obj(split)) {
        figure(u, &shown, split, "ephemeral_5m_input_tokens");
        figure(u, &kept, split, "ephemeral_1h_input_tokens");
        if (!total || shown + kept == written) {
            u->cache_write_5m = shown;
            u->cache_write_1h = kept;
            return;
        }
    }
    /* message_delta repeats only the sum: the split that message_start gave stays if it fits. */
    if (total && u->cache_write_5m + u->cache_write_1h != written) {
        u->cache_write_5m = written;
        u->cache_write_1h = 0;
    }
}

static uint8_t tier_of(struct str word)
{
    return str_is(word, "priority") ? USAGE_PRIORITY : str_is(word, "batch") ? USAGE_BATCH : USAGE_STANDARD;
}

bool anthropic_read_usage(yyjson_val *o, struct usage *u)
{
    yyjson_val *server = tree_get(o, "server_tool_use");
    struct str tier = tree_get_str(o, "service_tier"), geo = tree_get_str(o, "inference_geo");
    uint8_t before = u->known;
    if (!yyjson_is_obj(o)) return false;
    if (figure(u, &u->in_uncached, o, "input_tokens")) u->known |= USAGE_INPUT;
    figure(u, &u->cache_read, o, "cache_read_input_tokens");
    read_cache_writes(o, u);
    if (figure(u, &u->out_total, o, "output_tokens")) u->known |= USAGE_OUTPUT;
    figure(u, &u->out_reasoning, tree_get(o, "output_tokens_details"), "thinking_tokens");
    if (u->out_reasoning > u->out_total) u->out_reasoning = u->out_total;
    figure(u, &u->web_searches, server, "web_search_requests");
    if (tier.n > 0) u->tier = tier_of(tier);
    if (geo.n > 0) u->regional = !str_is(geo, "global") && !str_is(geo, "not_available");
    return u->known != 0 || before != 0;
}

static void add_figure(struct buf *out, const char *key_and_colon, int64_t v)
{
    buf_addz(out, key_and_colon);
    buf_add_i64(out, v);
}

void anthropic_write_usage(const struct usage *u, struct buf *out)
{
    add_figure(out, "{\"input_tokens\":", u->in_uncached);
    add_figure(out, ",\"cache_creation_input_tokens\":", u->cache_write_5m + u->cache_write_1h);
    add_figure(out, ",\"cache_read_input_tokens\":", u->cache_read);
    add_figure(out, ",\"cache_creation\":{\"ephemeral_5m_input_tokens\":", u->cache_write_5m);
    add_figure(out, ",\"ephemeral_1h_input_tokens\":", u->cache_write_1h);
    add_figure(out, "},\"output_tokens\":", u->out_total);
    add_figure(out, ",\"output_tokens_details\":{\"thinking_tokens\":", u->out_reasoning);
    buf_add(out, STR("},\"server_tool_use\":"));
    if (u->web_searches > 0)
        add_figure(out, "{\"web_search_requests\":", u->web_searches), buf_addc(out, '}');
    else
        buf_add(out, STR("null"));
    buf_addf(out, ",\"service_tier\":\"%s\"}", u->tier == USAGE_PRIORITY ? "priority" : "standard");
}

/* ---- Reading ---- */

static void read_block(struct answer *answer, struct arena *a, yyjson_val *block)
{
    struct str type = tree_get_str(block, "type");
    struct part *p;
    if (str_is(type, "text")) {
        p = part_add(&answer->parts, a, PART_TEXT);
        p->text = tree_get_str(block, "text");
        anthropic_read_citations(tree_get(block, "citations"), a, &p->citations);
    } else if (str_is(type, "tool_use")) {
        p = part_add(&answer->parts, a, PART_TOOL_CALL);
        p->id = tree_get_str(block, "id");
        p->name = tree_get_str(block, "name");
        p->arguments = tree_get(block, "input") == NULL ? STR("{}") : tree_text(tree_get(block, "input"), a);
    } else if (str_is(type, "thinking")) {
        p = part_add(&answer->parts, a, PART_REASONING);
        p->text = tree_get_str(block, "thinking");
        p->signature = tree_get_str(block, "signature");
    } else if (str_is(type, "redacted_thinking")) {
        p = part_add(&answer->parts, a, PART_REDACTED);
        p->signature = tree_get_str(block, "data");
    } else {
        p = part_add(&answer->parts, a, PART_OTHER);
        p->name = type;
    }
}

enum weir_err anthropic_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why)
{
    yyjson_val *root, *block;
    size_t i, n;
    enum weir_err e = tree_read(json, a, &root, ret_why);
    if (e != WEIR_OK) return e;
    struct answer *answer = arena_zalloc(a, sizeof *answer);
    *ret_answer = answer;
    answer->has_error = str_is(tree_get_str(root, "type"), "error") || tree_get(root, "error") != NULL;
    if (answer->has_error) return WEIR_OK;
    if (!yyjson_is_arr(tree_get(root, "content"))) {
        *ret_why = STR("the provider's answer has no content");
        return WEIR_UP_PROTOCOL;
    }
    answer->id = tree_get_str(root, "id");
    answer->model = tree_get_str(root, "model");
    answer->choices = 1;
    answer->finish = anthropic_finish_of(tree_get_str(root, "stop_reason"));
    answer->stop_sequence = tree_get_str(root, "stop_sequence");
    anthropic_read_usage(tree_get(root, "usage"), &answer->usage);
    yyjson_arr_foreach(tree_get(root, "content"), i, n, block) read_block(answer, a, block);
    struct str explanation = tree_get_str(tree_get(root, "stop_details"), "explanation");
    if (answer->finish == FINISH_REFUSAL && explanation.n > 0)
        part_add(&answer->parts, a, PART_REFUSAL)->text = explanation;
    return WEIR_OK;
}

/* ---- Writing ---- */

void anthropic_write_arguments(struct str arguments, struct buf *out)
{
    unsigned depth;
    struct json_error error;
    struct str trimmed = arguments;
    while (trimmed.n > 0 &&
           (trimmed.p[0] == ' ' || trimmed.p[0] == '\n' || trimmed.p[0] == '\r' || trimmed.p[0] == '\t'))
        trimmed = str_slice(trimmed, 1, trimmed.n);
    if (trimmed.n == 0 || str_is(trimmed, "null")) {
        buf_add(out, STR("{}"));
    } else if (trimmed.p[0] == '{' && json_check(trimmed, &depth, &error)) {
        buf_add(out, trimmed);
    } else { /* what the model wrote is kept, though it is no object */
        buf_add(out, STR("{\"_raw\":"));
        buf_add_json_str(out, arguments);
        buf_addc(out, '}');
    }
}

/* A text with citations is as many blocks as it has spans: a block is what rests on its citations. */
static void write_cited(const struct part *p, struct buf *out)
{
    struct cited_walk walk;
    struct cited_block block;
    bool first = true;
    cited_walk_init(&walk, p->text, &p->citations);
    while (cited_walk_next(&walk, &block)) {
        buf_addz(out, first ? "{\"type\":\"text\",\"text\":" : ",{\"type\":\"text\",\"text\":");
        first = false;
        buf_add_json_str(out, block.text);
        for (unsigned i = 0; i < block.n; i++, block.first = block.first->next) {
            buf_addz(out, i == 0 ? ",\"citations\":[" : ",");
            anthropic_write_citation(block.first, out);
        }
        buf_addz(out, block.n > 0 ? "]}" : "}");
    }
}

static void write_part(const struct part *p, struct buf *out)
{
    switch (p->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        if (p->citations.n > 0) {
            write_cited(p, out);
            return;
        }
        buf_add(out, STR("{\"type\":\"text\",\"text\":"));
        buf_add_json_str(out, p->text);
        break;
    case PART_REASONING:
        buf_add(out, STR("{\"type\":\"thinking\",\"thinking\":"));
        buf_add_json_str(out, p->text);
        buf_add(out, STR(",\"signature\":"));
        buf_add_json_str(out, p->signature.n > 0 ? p->signature : STR(MARK_OPENAI));
        break;
    case PART_TOOL_CALL:
        buf_add(out, STR("{\"type\":\"tool_use\",\"id\":"));
        buf_add_json_str(out, p->id);
        buf_add(out, STR(",\"name\":"));
        buf_add_json_str(out, p->name);
        buf_add(out, STR(",\"input\":"));
        anthropic_write_arguments(p->arguments, out);
        break;
    default: return;
    }
    buf_addc(out, '}');
}

static bool has_form(const struct part *p)
{
    switch (p->kind) {
    case PART_TEXT:
    case PART_REFUSAL: return p->text.n > 0;
    case PART_REASONING:
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

void anthropic_write_answer(const struct answer *answer, struct buf *out)
{
    enum finish f = answer->finish == FINISH_STOP && has_refusal(answer) ? FINISH_REFUSAL : answer->finish;
    bool first = true;
    buf_add(out, STR("{\"id\":"));
    buf_add_json_str(out, answer->id);
    buf_add(out, STR(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    buf_add_json_str(out, answer->model);
    buf_add(out, STR(",\"content\":["));
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (!has_form(p)) continue;
        if (!first) buf_addc(out, ',');
        write_part(p, out);
        first = false;
    }
    buf_addf(out, "],\"stop_reason\":\"%s\",\"stop_sequence\":", anthropic_finish_word(f));
    if (f == FINISH_STOP_SEQUENCE)
        buf_add_json_str(out, answer->stop_sequence);
    else
        buf_add(out, STR("null"));
    buf_add(out, STR(",\"usage\":"));
    anthropic_write_usage(&answer->usage, out);
    buf_addc(out, '}');
}
