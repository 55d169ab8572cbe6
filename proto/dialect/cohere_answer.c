/* Cohere's whole answers, both ways, and what they share with its events: finish words and usage. What is billed stands apart from what the
 * model counted, and is what a price is for. */
#include "proto/dialect/cohere.h"

#include "proto/dialect/tree.h"

static const struct {
    const char *word;
    enum finish finish;
} FINISHES[] = {
    {"COMPLETE", FINISH_STOP},     {"STOP_SEQUENCE", FINISH_STOP_SEQUENCE},
    {"MAX_TOKENS", FINISH_LENGTH}, {"TOOL_CALL", FINISH_TOOL_CALLS},
    {"ERROR", FINISH_ERROR},       {"TIMEOUT", FINISH_ERROR},
};

enum finish cohere_finish_of(struct str word)
{
    for (size_t i = 0; i < sizeof FINISHES / sizeof *FINISHES; i++)
        if (str_ieq(word, str_of(FINISHES[i].word))) return FINISHES[i].finish;
    return word.n == 0 ? FINISH_NONE : FINISH_OTHER;
}

const char *cohere_finish_word(enum finish f)
{
    switch (f) {
    case FINISH_STOP_SEQUENCE: return "STOP_SEQUENCE";
    case FINISH_LENGTH:
    case FINISH_CONTEXT_FULL: return "MAX_TOKENS";
    case FINISH_TOOL_CALLS: return "TOOL_CALL";
    case FINISH_ERROR: return "ERROR";
    default: return "COMPLETE";
    }
}

bool cohere_read_usage(yyjson_val *usage, struct usage *u)
{
    yyjson_val *units = tree_get(usage, "billed_units");
    if (tree_get_i64(units, "input_tokens") < 0) units = tree_get(usage, "tokens");
    int64_t in = tree_get_i64(units, "input_tokens"), out = tree_get_i64(units, "output_tokens");
    if (in >= 0) usage_set(u, &u->in_uncached, in);
    if (out >= 0) usage_set(u, &u->out_total, out);
    u->known |= (uint8_t)((in >= 0 ? USAGE_INPUT : 0) | (out >= 0 ? USAGE_OUTPUT : 0));
    return in >= 0 || out >= 0;
}

void cohere_write_usage(const struct usage *u, struct buf *out)
{
    long long in = usage_in_total(u), billed = in - u->cache_read, written = u->out_total;
    buf_addf(out, "{\"billed_units\":{\"input_tokens\":%lld,\"output_tokens\":%lld},\"tokens\":{\"input_tokens\":%lld,",
             in, written, in);
    buf_addf(out, "\"output_tokens\":%lld},\"cached_tokens\":%lld}", written, in - billed);
}

/* ---- Reading ---- */

struct cited {
    struct arena *arena;
    struct part *part;
};

static void on_source(void *to, const struct citation *c)
{
    const struct cited *cited = to;
    citation_add(&cited->part->citations, cited->arena, c);
}

static void read_citations(struct arena *a, yyjson_val *list, struct part *const *texts, size_t n_texts)
{
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(list, i, n, v)
    {
        int64_t content = cohere_read_citation(v, NULL, NULL);
        if (content < 0 || (size_t)content >= n_texts || texts[content] == NULL) continue;
        struct cited cited = {a, texts[content]};
        (void)cohere_read_citation(v, on_source, &cited);
    }
}

static void add_text(struct answer *answer, struct arena *a, enum part_kind kind, struct str text)
{
    if (text.n == 0) return;
    struct part *p = part_add(&answer->parts, a, kind);
    p->text = text;
    p->foreign = kind == PART_REASONING;
}

enum weir_err cohere_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why)
{
    yyjson_val *root, *v;
    size_t i, n;
    if (tree_read(json, a, &root, ret_why) != WEIR_OK) return WEIR_UP_PROTOCOL;
    yyjson_val *message = tree_get(root, "message");
    struct answer *answer = *ret_answer = arena_zalloc(a, sizeof *answer);
    answer->has_error = yyjson_is_str(message); /* {"message":"…"} */
    if (answer->has_error) return WEIR_OK;
    if (!yyjson_is_obj(message)) {
        *ret_why = STR("the answer has no message");
        return WEIR_UP_PROTOCOL;
    }
    answer->id = tree_get_str(root, "id");
    answer->choices = 1;
    add_text(answer, a, PART_REASONING, tree_get_str(message, "tool_plan"));
    size_t contents = yyjson_arr_size(tree_get(message, "content"));
    struct part **texts = arena_zalloc(a, (contents + 1) * sizeof *texts); /* by the number of their block */
    yyjson_arr_foreach(tree_get(message, "content"), i, n, v)
    {
        add_text(answer, a, PART_REASONING, tree_get_str(v, "thinking"));
        add_text(answer, a, PART_TEXT, tree_get_str(v, "text"));
        if (tree_get_str(v, "text").n > 0) texts[i] = answer->parts.last;
    }
    read_citations(a, tree_get(message, "citations"), texts, contents);
    yyjson_arr_foreach(tree_get(message, "tool_calls"), i, n, v)
    {
        struct part *p = part_add(&answer->parts, a, PART_TOOL_CALL);
        p->id = tree_get_str(v, "id");
        p->name = tree_get_str(tree_get(v, "function"), "name");
        p->arguments = tree_get_str(tree_get(v, "function"), "arguments");
    }
    answer->finish = cohere_finish_of(tree_get_str(root, "finish_reason"));
    cohere_read_usage(tree_get(root, "usage"), &answer->usage);
    return WEIR_OK;
}

/* ---- Writing ---- */

static bool has_content(const struct part *p)
{
    return p->text.n > 0 && (p->kind == PART_REASONING || p->kind == PART_TEXT || p->kind == PART_REFUSAL);
}

static unsigned write_content(const struct answer *answer, struct buf *out)
{
    unsigned n = 0;
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        bool thought = p->kind == PART_REASONING;
        if (!has_content(p)) continue;
        buf_addz(out, n++ == 0 ? ",\"content\":[" : ",");
        buf_addz(out, thought ? "{\"type\":\"thinking\",\"thinking\":" : "{\"type\":\"text\",\"text\":");
        buf_add_json_str(out, p->text);
        buf_addc(out, '}');
    }
    if (n > 0) buf_addc(out, ']');
    return n;
}

static void write_citations(const struct answer *answer, struct arena *a, struct buf *out)
{
    unsigned n = 0;
    int content = 0;
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (!has_content(p)) continue;
        struct text_map map = {0};
        if (p->citations.n > 0) text_map_add(&map, a, p->text);
        for (const struct citation *c = p->citations.first; c != NULL;) {
            struct str words =
                str_slice(p->text, (size_t)text_map_byte(&map, c->start), (size_t)text_map_byte(&map, c->end));
            buf_addz(out, n++ == 0 ? ",\"citations\":[" : ",");
            c = cohere_write_citation(c, words, content, out);
        }
        content++;
    }
    if (n > 0) buf_addc(out, ']');
}

static unsigned write_calls(const struct answer *answer, struct buf *out)
{
    unsigned n = 0;
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_TOOL_CALL) continue;
        buf_addz(out, n++ == 0 ? ",\"tool_calls\":[" : ",");
        buf_add(out, STR("{\"id\":"));
        buf_add_json_str(out, p->id);
        buf_add(out, STR(",\"type\":\"function\",\"function\":{\"name\":"));
        buf_add_json_str(out, p->name);
        buf_add(out, STR(",\"arguments\":"));
        buf_add_json_str(out, p->arguments.n > 0 ? p->arguments : STR("{}"));
        buf_add(out, STR("}}"));
    }
    if (n > 0) buf_addc(out, ']');
    return n;
}

void cohere_write_answer(const struct answer *answer, struct buf *out)
{
    struct arena a;
    buf_add(out, STR("{\"id\":"));
    buf_add_json_str(out, answer->id);
    buf_add(out, STR(",\"message\":{\"role\":\"assistant\""));
    if (write_content(answer, out) + write_calls(answer, out) == 0) buf_add(out, STR(",\"content\":[]"));
    arena_init(&a, 4096);
    write_citations(answer, &a, out);
    arena_fini(&a);
    buf_addf(out, "},\"finish_reason\":\"%s\",\"usage\":", cohere_finish_word(answer->finish));
    cohere_write_usage(&answer->usage, out);
    buf_addc(out, '}');
}

void cohere_write_error(enum weir_err e, struct str message, struct buf *out)
{
    buf_add(out, STR("{\"message\":"));
    buf_add_json_str(out, message.n > 0 ? message : str_of(err_row(e)->text));
    buf_addc(out, '}');
}
