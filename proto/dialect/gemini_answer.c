/* Unary Gemini answers, both ways, and what they share with chunks: usage, finish reasons, parts, carriers of signatures. */
#include "proto/dialect/gemini.h"

#include "proto/base/base64.h"
#include "proto/dialect/anthropic.h"
#include "proto/dialect/mark.h"
#include "proto/dialect/tree.h"

/* ---- Finish reasons ---- */

static const struct {
    const char *word;
    enum finish finish;
} FINISHES[] = {
    {"STOP", FINISH_STOP},
    {"MAX_TOKENS", FINISH_LENGTH},
    {"CONTINUATION", FINISH_LENGTH}, /* of a long decode: the client may ask on, for us it is a length */
    {"SAFETY", FINISH_CONTENT_FILTER},
    {"RECITATION", FINISH_CONTENT_FILTER},
    {"BLOCKLIST", FINISH_CONTENT_FILTER},
    {"PROHIBITED_CONTENT", FINISH_CONTENT_FILTER},
    {"SPII", FINISH_CONTENT_FILTER},
    {"IMAGE_SAFETY", FINISH_CONTENT_FILTER},
    {"IMAGE_PROHIBITED_CONTENT", FINISH_CONTENT_FILTER},
    {"IMAGE_RECITATION", FINISH_CONTENT_FILTER},
    {"MALFORMED_FUNCTION_CALL", FINISH_ERROR},
    {"UNEXPECTED_TOOL_CALL", FINISH_ERROR},
    {"TOO_MANY_TOOL_CALLS", FINISH_ERROR},
    {"MALFORMED_RESPONSE", FINISH_ERROR},
};

enum finish gemini_finish_of(struct str word, bool has_calls)
{
    if (word.n == 0) return FINISH_NONE;
    if (has_calls && str_is(word, "STOP")) return FINISH_TOOL_CALLS;
    for (size_t i = 0; i < sizeof FINISHES / sizeof *FINISHES; i++)
        if (str_is(word, FINISHES[i].word)) return FINISHES[i].finish;
    return FINISH_OTHER;
}

const char *gemini_finish_word(enum finish f, bool has_refusal)
{
    switch (f) {
    case FINISH_LENGTH:
    case FINISH_CONTEXT_FULL: return "MAX_TOKENS";
    case FINISH_CONTENT_FILTER:
    case FINISH_REFUSAL: return "SAFETY";
    case FINISH_OTHER:
    case FINISH_ERROR: return "OTHER";
    default: return has_refusal ? "SAFETY" : "STOP";
    }
}

/* ---- Usage ---- */

static bool figure(yyjson_val *o, const char *key, int64_t *ret_value)
{
    return tree_i64(gemini_get(o, key), ret_value);
}

static int64_t of_modality(yyjson_val *o, const char *key, const char *modality)
{
    size_t i, n;
    yyjson_val *detail;
    int64_t v, sum = 0;
    yyjson_arr_foreach(gemini_get(o, key), i, n, detail)
    {
        if (str_is(gemini_get_str(detail, "modality"), modality) && figure(detail, "tokenCount", &v) && v > 0 &&
            v < USAGE_MAX)
            sum += v;
    }
    return sum < USAGE_MAX ? sum : USAGE_MAX;
}

static int64_t at_most(int64_t v, int64_t most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

static void read_output(yyjson_val *o, struct usage *u)
{
    struct usage part = {0};
    int64_t candidates = 0, thoughts = 0;
    if (figure(o, "candidatesTokenCount", &candidates)) u->known |= USAGE_OUTPUT;
    if (figure(o, "thoughtsTokenCount", &thoughts)) u->known |= USAGE_OUTPUT;
    usage_set(&part, &part.out_total, candidates); /* each clamped, so that their sum cannot overflow */
    usage_set(&part, &part.out_reasoning, thoughts);
    usage_set(u, &u->out_total, part.out_total + part.out_reasoning);
    u->out_reasoning = part.out_reasoning < u->out_total ? part.out_reasoning : u->out_total;
    u->clamped |= part.clamped;
    u->out_audio = at_most(of_modality(o, "candidatesTokensDetails", "AUDIO"), u->out_total);
    u->out_image = at_most(of_modality(o, "candidatesTokensDetails", "IMAGE"), u->out_total - u->out_audio);
}

/* prompt holds what was cached and leaves out what tools brought in; candidates leave out thoughts. */
bool gemini_read_usage(yyjson_val *o, struct usage *u)
{
    struct usage part = {0};
    int64_t prompt = 0, tools = 0, cached = 0;
    struct str tier = gemini_get_str(o, "serviceTier");
    if (!yyjson_is_obj(o)) return false;
    if (figure(o, "promptTokenCount", &prompt)) u->known |= USAGE_INPUT;
    (void)figure(o, "toolUsePromptTokenCount", &tools);
    (void)figure(o, "cachedContentTokenCount", &cached);
    usage_set(&part, &part.in_uncached, prompt);
    usage_set(&part, &part.in_audio, tools);
    usage_set(&part, &part.cache_read, cached);
    if (part.cache_read > part.in_uncached) part.cache_read = part.in_uncached;
    usage_set(u, &u->in_uncached, part.in_uncached + part.in_audio - part.cache_read);
    u->cache_read = part.cache_read;
    u->clamped |= part.clamped;
    u->in_audio = at_most(
        of_modality(o, "promptTokensDetails", "AUDIO") - of_modality(o, "cacheTokensDetails", "AUDIO"), u->in_uncached);
    read_output(o, u);
    if (str_iis(tier, "flex") || str_is(gemini_get_str(o, "trafficType"), "ON_DEMAND_FLEX")) u->tier = USAGE_FLEX;
    if (str_iis(tier, "priority") || str_is(gemini_get_str(o, "trafficType"), "ON_DEMAND_PRIORITY"))
        u->tier = USAGE_PRIORITY;
    return u->known != 0;
}

/* Google charges each query that a Gemini 3 model searched with, and one for a prompt of those before it. */
void gemini_read_searches(yyjson_val *root, struct usage *u)
{
    size_t i, n;
    yyjson_val *candidate;
    int64_t queries = 0;
    yyjson_arr_foreach(gemini_get(root, "candidates"), i, n, candidate) queries +=
        (int64_t)yyjson_arr_size(gemini_get(gemini_get(candidate, "groundingMetadata"), "webSearchQueries"));
    if (queries == 0) return;
    struct str model = gemini_get_str(root, "modelVersion");
    bool by_prompt = str_starts(model, STR("gemini-2")) || str_starts(model, STR("gemini-1"));
    u->web_searches = by_prompt ? 1 : queries;
}

void gemini_write_usage(const struct usage *u, struct buf *out)
{
    int64_t in = usage_in_total(u);
    buf_add(out, STR("{\"promptTokenCount\":"));
    buf_add_i64(out, in);
    if (u->cache_read > 0) {
        buf_add(out, STR(",\"cachedContentTokenCount\":"));
        buf_add_i64(out, u->cache_read);
    }
    buf_add(out, STR(",\"candidatesTokenCount\":"));
    buf_add_i64(out, u->out_total - u->out_reasoning);
    if (u->out_reasoning > 0) {
        buf_add(out, STR(",\"thoughtsTokenCount\":"));
        buf_add_i64(out, u->out_reasoning);
    }
    buf_add(out, STR(",\"totalTokenCount\":"));
    buf_add_i64(out, in + u->out_total);
    buf_addc(out, '}');
}

/* ---- Carriers ---- */

struct str gemini_carry(struct arena *a, const char *mark, struct str signature)
{
    return arena_printf(a, "%s%.*s", mark, STR_FMT(signature));
}

struct str gemini_wrap(struct arena *a, struct str signature, bool redacted)
{
    struct buf b = {0};
    struct str text =
        str_starts(signature, STR(MARK))
            ? signature
            : arena_printf(a, "%s%.*s", redacted ? MARK_ANTHROPIC_REDACTED : MARK_ANTHROPIC, STR_FMT(signature));
    base64_encode(text, &b);
    struct str wire = arena_copy(a, buf_view(&b));
    buf_fini(&b);
    return wire;
}

bool gemini_unwrap(struct arena *a, struct str wire, struct str *ret_signature, bool *ret_redacted)
{
    struct buf b = {0};
    if (!str_starts(wire, STR(MARK_BASE64)) || !base64_decode(wire, &b)) {
        buf_fini(&b);
        return false;
    }
    struct str text = arena_copy(a, buf_view(&b)), claude = STR(MARK_ANTHROPIC), hidden = STR(MARK_ANTHROPIC_REDACTED);
    buf_fini(&b);
    *ret_redacted = str_starts(text, hidden);
    if (*ret_redacted)
        text = str_slice(text, hidden.n, text.n);
    else if (str_starts(text, claude))
        text = str_slice(text, claude.n, text.n);
    *ret_signature = text;
    return true;
}

/* ---- Reading ---- */

static void add_signature(struct answer *answer, struct arena *a, const char *mark, struct str signature)
{
    if (signature.n == 0) return;
    struct part *p = part_add(&answer->parts, a, PART_REASONING);
    p->signature = gemini_carry(a, mark, signature);
    p->foreign = true;
}

static void read_call(struct answer *answer, struct arena *a, yyjson_val *part, yyjson_val *call)
{
    yyjson_val *args = gemini_get(call, "args");
    add_signature(answer, a, MARK_GEMINI_NEXT, gemini_get_str(part, "thoughtSignature"));
    struct part *p = part_add(&answer->parts, a, PART_TOOL_CALL);
    p->id = gemini_get_str(call, "id");
    if (p->id.n == 0) p->id = arena_printf(a, "call_%u_%.*s", answer->parts.n, STR_FMT(str_slice(answer->id, 0, 24)));
    p->name = gemini_get_str(call, "name");
    p->arguments = args == NULL ? STR("{}") : tree_text(args, a);
}

/* Pieces of one text stand in parts of their own when an answer was put together from a stream. */
static void read_text(struct answer *answer, struct arena *a, yyjson_val *part, yyjson_val *text)
{
    enum part_kind kind = yyjson_is_true(gemini_get(part, "thought")) ? PART_REASONING : PART_TEXT;
    struct str signature = gemini_get_str(part, "thoughtSignature");
    if (tree_str(text).n == 0 && (kind == PART_TEXT || signature.n == 0)) return;
    struct part *p = part_add(&answer->parts, a, kind);
    p->text = tree_str(text);
    if (kind == PART_TEXT) return;
    p->foreign = true;
    p->signature = signature.n > 0 ? gemini_carry(a, MARK_GEMINI, signature) : STR_NULL;
}

static const char *other_name(yyjson_val *part)
{
    static const char *const NAMES[] = {"inlineData", "fileData", "executableCode", "codeExecutionResult", "toolCall"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (gemini_get(part, NAMES[i]) != NULL) return NAMES[i];
    return "part";
}

static void read_part(struct answer *answer, struct arena *a, yyjson_val *part)
{
    yyjson_val *call = gemini_get(part, "functionCall"), *text = gemini_get(part, "text");
    if (call != NULL)
        read_call(answer, a, part, call);
    else if (yyjson_is_str(text))
        read_text(answer, a, part, text);
    else if (yyjson_obj_size(part) > 0)
        part_add(&answer->parts, a, PART_OTHER)->name = str_of(other_name(part));
}

static bool has_kind(const struct answer *answer, enum part_kind kind)
{
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next)
        if (p->kind == kind) return true;
    return false;
}

/* The texts of an answer, and how many characters lie before each: the one that a span begins in has the citation. */
struct texts {
    struct arena *arena;
    struct text_map map;
    unsigned n;
    struct text {
        struct part *part;
        int64_t before;
    } * text;
};

static void on_citation(void *to, const struct citation *whole)
{
    const struct texts *t = to;
    struct citation c = *whole;
    unsigned low = 0, high = t->n;
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        *(t->text[middle].before <= c.start ? &low : &high) = middle;
    }
    const struct text *text = &t->text[low];
    if (c.end >= 0) citation_set_span(&c, c.start - text->before, c.end - text->before);
    citation_add(&text->part->citations, t->arena, &c);
}

static void read_grounding(struct answer *answer, struct arena *a, yyjson_val *candidate)
{
    struct texts t = {.arena = a};
    if (gemini_get(candidate, "groundingMetadata") == NULL && gemini_get(candidate, "citationMetadata") == NULL) return;
    t.text = arena_alloc(a, (answer->parts.n + 1) * sizeof *t.text);
    for (struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_TEXT) continue;
        t.text[t.n++] = (struct text){p, t.map.points};
        text_map_add(&t.map, a, p->text);
    }
    if (t.n == 0) return;
    gemini_read_grounding(candidate, &t.map, gemini_get(gemini_get(candidate, "content"), "parts"), on_citation, &t);
}

static void read_total(yyjson_val *root, struct answer *answer) /* countTokens: nothing is used */
{
    if (gemini_get(root, "totalTokens") == NULL) return;
    answer->usage.known = USAGE_INPUT | USAGE_OUTPUT;
    answer->finish = FINISH_STOP;
}

enum weir_err gemini_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why)
{
    yyjson_val *root, *part;
    size_t i, n;
    enum weir_err e = tree_read(json, a, &root, ret_why);
    if (e != WEIR_OK) return e;
    struct answer *answer = arena_zalloc(a, sizeof *answer);
    *ret_answer = answer;
    answer->has_error = tree_get(root, "error") != NULL || tree_get(yyjson_arr_get_first(root), "error") != NULL;
    if (answer->has_error) return WEIR_OK;
    yyjson_val *candidates = gemini_get(root, "candidates"), *first = yyjson_arr_get_first(candidates);
    yyjson_val *blocked = gemini_get(gemini_get(root, "promptFeedback"), "blockReason");
    if (first == NULL && blocked == NULL && gemini_get(root, "totalTokens") == NULL) {
        *ret_why = STR("the provider's answer has no candidates");
        return WEIR_UP_PROTOCOL;
    }
    answer->id = gemini_get_str(root, "responseId");
    answer->model = gemini_get_str(root, "modelVersion");
    answer->choices = (unsigned)yyjson_arr_size(candidates);
    yyjson_arr_foreach(gemini_get(gemini_get(first, "content"), "parts"), i, n, part) read_part(answer, a, part);
    for (struct part *p = answer->parts.first; p != NULL; p = p->next)
        if (p->kind == PART_TEXT) {
            p->logprobs = gemini_read_logprobs(first, a); /* of all texts */
            break;
        }
    read_grounding(answer, a, first);
    answer->finish = gemini_finish_of(gemini_get_str(first, "finishReason"), has_kind(answer, PART_TOOL_CALL));
    if (first == NULL && blocked != NULL) answer->finish = FINISH_CONTENT_FILTER;
    answer->has_error = answer->finish == FINISH_ERROR;
    gemini_read_usage(gemini_get(root, "usageMetadata"), &answer->usage);
    gemini_read_searches(root, &answer->usage);
    read_total(root, answer);
    return WEIR_OK;
}

/* ---- Writing ---- */

static void write_signature(struct str signature, struct buf *out)
{
    if (signature.n == 0) return;
    buf_add(out, STR(",\"thoughtSignature\":"));
    buf_add_json_str(out, signature);
}

void gemini_write_text(struct str text, bool thought, struct str signature, struct buf *out)
{
    buf_add(out, STR("{\"text\":"));
    buf_add_json_str(out, text);
    if (thought) buf_add(out, STR(",\"thought\":true"));
    write_signature(signature, out);
    buf_addc(out, '}');
}

void gemini_write_call(struct str id, struct str name, struct str arguments, struct str signature, struct buf *out)
{
    buf_add(out, STR("{\"functionCall\":{"));
    if (id.n > 0) {
        buf_add(out, STR("\"id\":"));
        buf_add_json_str(out, id);
        buf_addc(out, ',');
    }
    buf_add(out, STR("\"name\":"));
    buf_add_json_str(out, name);
    buf_add(out, STR(",\"args\":"));
    anthropic_write_arguments(arguments, out);
    buf_addc(out, '}');
    write_signature(signature, out);
    buf_addc(out, '}');
}

static void write_part(struct arena *a, const struct part *p, struct buf *out)
{
    switch (p->kind) {
    case PART_TOOL_CALL: gemini_write_call(p->id, p->name, p->arguments, STR_NULL, out); break;
    case PART_REASONING:
        gemini_write_text(p->text, true, gemini_wrap(a, p->signature.n > 0 ? p->signature : STR(MARK_OPENAI), false),
                          out);
        break;
    case PART_REDACTED: gemini_write_text(STR_NULL, true, gemini_wrap(a, p->signature, true), out); break;
    default: gemini_write_text(p->text, false, STR_NULL, out);
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

static void ground(struct gemini_grounding *g, struct arena *a, const struct part *p, int number)
{
    struct text_map map = {0};
    if (p->citations.n == 0) return;
    text_map_add(&map, a, p->text);
    for (const struct citation *c = p->citations.first; c != NULL; c = c->next)
        gemini_grounding_add(g, a, c, text_map_byte(&map, c->start), text_map_byte(&map, c->end), number);
}

void gemini_write_answer(const struct answer *answer, struct buf *out)
{
    struct arena a;
    struct str logprobs = STR_NULL;
    struct gemini_grounding grounding = {0};
    int number = 0;
    bool first = true;
    arena_init(&a, 4096);
    buf_add(out, STR("{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":["));
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (!has_form(p)) continue;
        if (!first) buf_addc(out, ',');
        write_part(&a, p, out);
        if (logprobs.n == 0) logprobs = p->logprobs;
        ground(&grounding, &a, p, number++);
        first = false;
    }
    if (first) gemini_write_text(STR_NULL, false, STR_NULL, out);
    buf_addf(out, "]},\"finishReason\":\"%s\",\"index\":0",
             gemini_finish_word(answer->finish, has_kind(answer, PART_REFUSAL)));
    gemini_grounding_write(&grounding, out);
    gemini_write_logprobs(logprobs, out);
    buf_add(out, STR("}],\"usageMetadata\":"));
    gemini_write_usage(&answer->usage, out);
    buf_add(out, STR(",\"modelVersion\":"));
    buf_add_json_str(out, answer->model);
    buf_add(out, STR(",\"responseId\":"));
    buf_add_json_str(out, answer->id);
    buf_addc(out, '}');
    arena_fini(&a);
}
