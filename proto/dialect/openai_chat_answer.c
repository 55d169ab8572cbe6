/* Unary chat completions, both ways, and what they share with chunks: usage, finish reasons, reasoning. */
#include "proto/dialect/openai_chat.h"

#include "proto/dialect/custom_tool.h"
#include "proto/dialect/mark.h"
#include "proto/dialect/tree.h"

#include <string.h>

static const struct {
    const char *word;
    enum finish finish;
} FINISHES[] = {
    {"stop", FINISH_STOP},
    {"length", FINISH_LENGTH},
    {"tool_calls", FINISH_TOOL_CALLS},
    {"content_filter", FINISH_CONTENT_FILTER},
    {"function_call", FINISH_TOOL_CALLS},
    {"error", FINISH_ERROR},
    {"stop_sequence", FINISH_STOP_SEQUENCE},
    {"eos", FINISH_STOP},            /* Together */
    {"eos_token", FINISH_STOP},      /* TGI */
    {"model_length", FINISH_LENGTH}, /* Mistral */
    {"max_tokens", FINISH_LENGTH},
    {"tool_use", FINISH_TOOL_CALLS},
    {"end_turn", FINISH_STOP},
    {"sensitive", FINISH_CONTENT_FILTER}, /* Z.ai */
};

enum finish openai_chat_finish_of(struct str word)
{
    for (size_t i = 0; i < sizeof FINISHES / sizeof *FINISHES; i++)
        if (str_ieq(word, str_of(FINISHES[i].word))) return FINISHES[i].finish;
    return word.n == 0 ? FINISH_NONE : FINISH_OTHER;
}

const char *openai_chat_finish_word(enum finish f)
{
    switch (f) {
    case FINISH_TOOL_CALLS: return "tool_calls";
    case FINISH_LENGTH:
    case FINISH_CONTEXT_FULL: return "length";
    case FINISH_CONTENT_FILTER:
    case FINISH_REFUSAL: return "content_filter";
    case FINISH_NONE:
    case FINISH_STOP:
    case FINISH_STOP_SEQUENCE:
    case FINISH_PAUSE:
    case FINISH_ERROR:
    case FINISH_OTHER: break;
    }
    return "stop";
}

/* ---- Usage ---- */

static bool figure(struct usage *u, int64_t *field, yyjson_val *o, const char *key)
{
    int64_t v;
    if (!tree_i64(yyjson_obj_get(o, key), &v)) return false;
    usage_set(u, field, v);
    return true;
}

static void read_input(yyjson_val *o, const struct openai_usage_words *w, struct usage *u)
{
    yyjson_val *in = tree_get(o, w->in_details);
    int64_t total = 0, written_long = 0;
    if (!figure(u, &total, o, w->in)) return;
    u->known |= USAGE_INPUT;
    if (!figure(u, &u->cache_read, in, "cached_tokens") && !figure(u, &u->cache_read, o, "prompt_cache_hit_tokens"))
        figure(u, &u->cache_read, o, "cached_tokens"); /* Moonshot */
    figure(u, &u->cache_write_5m, in, "cache_write_tokens");
    figure(u, &written_long, tree_get(in, "cache_write_tokens_details"), "ttl_12h");
    if (written_long > 0 && written_long <= u->cache_write_5m) {
        u->cache_write_1h = written_long;
        u->cache_write_5m -= written_long;
    }
    figure(u, &u->in_audio, in, "audio_tokens");
    figure(u, &u->in_image, in, "image_tokens");
    int64_t cached = u->cache_read + u->cache_write_5m + u->cache_write_1h;
    if (cached > total) { /* seen at a host whose total leaves the cached ones out, while totals are inclusive here */
        u->clamped = 1;
        u->in_uncached = 0;
        u->cache_write_5m = u->cache_write_5m < total ? u->cache_write_5m : total;
        u->cache_write_1h = 0;
        u->cache_read = total - u->cache_write_5m;
        return;
    }
    u->in_uncached = total - cached;
}

static void read_output(yyjson_val *o, const struct openai_usage_words *w, struct usage *u)
{
    yyjson_val *out = tree_get(o, w->out_details);
    int64_t prompt = 0, total = 0;
    if (!figure(u, &u->out_total, o, w->out)) {
        /* The final word of a prompt without any output may leave the figure out. */
        if ((u->known & USAGE_INPUT) == 0 || tree_get_i64(o, "total_tokens") != tree_get_i64(o, w->in)) return;
    }
    u->known |= USAGE_OUTPUT;
    if (!figure(u, &u->out_reasoning, out, "reasoning_tokens")) figure(u, &u->out_reasoning, o, "reasoning_tokens");
    figure(u, &u->out_audio, out, "audio_tokens");
    figure(u, &u->out_image, out, "image_tokens");
    /* Some Grok versions count reasoning beside completion_tokens; the total gives it away. */
    if (figure(u, &prompt, o, w->in) && figure(u, &total, o, "total_tokens") && u->out_reasoning > 0 &&
        total == prompt + u->out_total + u->out_reasoning)
        usage_set(u, &u->out_total, u->out_total + u->out_reasoning);
    if (u->out_reasoning > u->out_total) u->out_reasoning = u->out_total;
}

static enum usage_tier tier_of(struct str word)
{
    if (str_is(word, "flex")) return USAGE_FLEX;
    if (str_is(word, "priority") || str_is(word, "fast")) return USAGE_PRIORITY;
    return str_is(word, "batch") ? USAGE_BATCH : USAGE_STANDARD;
}

bool openai_read_usage(yyjson_val *body, const struct openai_usage_words *words, struct usage *u)
{
    yyjson_val *o = tree_get(body, "usage");
    struct str tier = tree_get_str(body, "service_tier");
    struct usage fresh = {.tier = u->tier};
    if (tier.n > 0) fresh.tier = u->tier = (uint8_t)tier_of(tier);
    if (!yyjson_is_obj(o)) o = tree_get(tree_get(body, "x_groq"), "usage");
    if (!yyjson_is_obj(o)) return false;
    read_input(o, words, &fresh);
    read_output(o, words, &fresh);
    figure(&fresh, &fresh.web_searches, tree_get(o, "server_tool_use"), "web_search_requests");
    if (fresh.known == 0) return false;
    *u = fresh;
    return true;
}

bool openai_chat_read_usage(yyjson_val *body, struct usage *u)
{
    static const struct openai_usage_words words = {"prompt_tokens", "prompt_tokens_details", "completion_tokens",
                                                    "completion_tokens_details"};
    return openai_read_usage(body, &words, u);
}

static void add_figure(struct buf *out, const char *key_and_colon, int64_t v)
{
    buf_addz(out, key_and_colon);
    buf_add_i64(out, v);
}

void openai_chat_write_usage(const struct usage *u, struct buf *out)
{
    int64_t in = usage_in_total(u);
    add_figure(out, "{\"prompt_tokens\":", in);
    add_figure(out, ",\"completion_tokens\":", u->out_total);
    add_figure(out, ",\"total_tokens\":", in + u->out_total);
    add_figure(out, ",\"prompt_tokens_details\":{\"cached_tokens\":", u->cache_read);
    add_figure(out, ",\"cache_write_tokens\":", u->cache_write_5m + u->cache_write_1h);
    add_figure(out, ",\"audio_tokens\":", u->in_audio);
    add_figure(out, "},\"completion_tokens_details\":{\"reasoning_tokens\":", u->out_reasoning);
    add_figure(out, ",\"audio_tokens\":", u->out_audio);
    buf_add(out, STR("}}"));
}

/* ---- Reading ---- */

static struct str details_text(yyjson_val *details, struct arena *a)
{
    size_t i, n;
    yyjson_val *detail;
    struct buf text = {0};
    yyjson_arr_foreach(details, i, n, detail)
    {
        struct str one = tree_get_str(detail, "text");
        buf_add(&text, one.n > 0 ? one : tree_get_str(detail, "summary"));
    }
    struct str copy = arena_copy(a, buf_view(&text));
    buf_fini(&text);
    return copy;
}

struct str openai_chat_reasoning_text(yyjson_val *message, struct arena *a)
{
    struct str text = tree_get_str(message, "reasoning_content");
    if (text.n == 0) text = tree_get_str(message, "reasoning");
    if (text.n > 0) return text;
    yyjson_val *details = tree_get(message, "reasoning_details");
    return details == NULL ? STR_NULL : details_text(details, a);
}

struct str openai_chat_logprobs(yyjson_val *choice, struct arena *a)
{
    yyjson_val *list = tree_get(tree_get(choice, "logprobs"), "content");
    return yyjson_arr_size(list) > 0 ? tree_text(list, a) : STR_NULL;
}

static struct str part_text(yyjson_val *part, bool thinking)
{
    bool is_thinking = str_is(tree_get_str(part, "type"), "thinking");
    if (is_thinking != thinking) return STR_NULL;
    return is_thinking ? STR_NULL : tree_get_str(part, "text");
}

struct str openai_chat_content_text(yyjson_val *content, bool thinking, struct arena *a)
{
    size_t i, n, j, k;
    yyjson_val *part, *inner;
    if (yyjson_is_obj(content)) return thinking ? STR_NULL : tree_text(content, a); /* Cloudflare: parsed JSON */
    if (!yyjson_is_arr(content)) return thinking ? STR_NULL : tree_str(content);
    struct buf text = {0};
    yyjson_arr_foreach(content, i, n, part)
    {
        buf_add(&text, part_text(part, thinking));
        if (!thinking || !str_is(tree_get_str(part, "type"), "thinking")) continue;
        yyjson_arr_foreach(tree_get(part, "thinking"), j, k, inner) buf_add(&text, tree_get_str(inner, "text"));
    }
    struct str copy = arena_copy(a, buf_view(&text));
    buf_fini(&text);
    return copy;
}

/* The last text is the message's. */
static void read_citations(struct answer *answer, struct arena *a, yyjson_val *root, yyjson_val *message)
{
    size_t i, n;
    yyjson_val *v;
    struct part *text = NULL;
    struct citation c;
    for (struct part *p = answer->parts.first; p != NULL; p = p->next)
        if (p->kind == PART_TEXT) text = p;
    if (text == NULL) return;
    openai_read_annotations(tree_get(message, "annotations"), a, &text->citations);
    if (text->citations.n > 0) return;
    yyjson_arr_foreach(openai_search_results(root), i, n, v)
    {
        if (openai_read_search_result(v, &c)) citation_add(&text->citations, a, &c);
    }
}

static void read_text(struct answer *answer, struct arena *a, enum part_kind kind, struct str text)
{
    if (text.n > 0) part_add(&answer->parts, a, kind)->text = text;
}

static void read_one_call(struct answer *answer, struct arena *a, yyjson_val *v, yyjson_val *function, unsigned number)
{
    yyjson_val *arguments = tree_get(function, "arguments"), *custom = tree_get(v, "custom");
    struct part *p = part_add(&answer->parts, a, PART_TOOL_CALL);
    p->id = tree_get_str(v, "id");
    if (p->id.n == 0) p->id = arena_printf(a, "call_%u", number);
    if (yyjson_is_obj(custom)) {
        p->name = tree_get_str(custom, "name");
        custom_call_read(p, tree_get_str(custom, "input"), a);
        return;
    }
    p->name = tree_get_str(function, "name");
    p->arguments = yyjson_is_obj(arguments) ? tree_text(arguments, a) : tree_str(arguments);
}

static unsigned read_calls(struct answer *answer, struct arena *a, yyjson_val *message)
{
    size_t i, n;
    yyjson_val *v, *old = tree_get(message, "function_call");
    yyjson_arr_foreach(tree_get(message, "tool_calls"), i, n, v)
        read_one_call(answer, a, v, tree_get(v, "function"), (unsigned)i + 1);
    if (yyjson_is_obj(old)) read_one_call(answer, a, NULL, old, 1);
    return (unsigned)yyjson_arr_size(tree_get(message, "tool_calls")) + (yyjson_is_obj(old) ? 1 : 0);
}

static void read_message(struct answer *answer, struct arena *a, yyjson_val *root, yyjson_val *choice)
{
    yyjson_val *message = tree_get(choice, "message"), *content = tree_get(message, "content");
    struct str text = openai_chat_content_text(content, true, a);
    read_text(answer, a, PART_REASONING, text.n > 0 ? text : openai_chat_reasoning_text(message, a));
    read_text(answer, a, PART_TEXT, openai_chat_content_text(content, false, a));
    if (answer->parts.last != NULL && answer->parts.last->kind == PART_TEXT)
        answer->parts.last->logprobs = openai_chat_logprobs(choice, a);
    read_citations(answer, a, root, message);
    read_text(answer, a, PART_REFUSAL, tree_get_str(message, "refusal"));
    yyjson_val *audio = tree_get(message, "audio");
    if (yyjson_is_obj(audio)) part_add(&answer->parts, a, PART_AUDIO)->text = tree_get_str(audio, "transcript");
    unsigned calls = read_calls(answer, a, message);
    answer->finish = openai_chat_finish_of(tree_get_str(choice, "finish_reason"));
    if (answer->finish == FINISH_STOP && calls > 0) answer->finish = FINISH_TOOL_CALLS;
}

enum weir_err openai_chat_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why)
{
    yyjson_val *root;
    enum weir_err e = tree_read(json, a, &root, ret_why);
    if (e != WEIR_OK) return e;
    struct answer *answer = arena_zalloc(a, sizeof *answer);
    yyjson_val *error = tree_get(root, "error"), *choices = tree_get(root, "choices");
    *ret_answer = answer;
    answer->has_error = yyjson_is_obj(error) || tree_str(error).n > 0;
    if (answer->has_error) return WEIR_OK;
    if (!yyjson_is_arr(choices)) {
        *ret_why = STR("the provider's answer has no choices");
        return WEIR_UP_PROTOCOL;
    }
    int64_t created = tree_get_i64(root, "created");
    answer->id = tree_get_str(root, "id");
    answer->model = tree_get_str(root, "model");
    answer->created_s = created > 0 ? created : 0;
    answer->choices = (unsigned)yyjson_arr_size(choices);
    openai_chat_read_usage(root, &answer->usage);
    if (answer->choices > 0) read_message(answer, a, root, yyjson_arr_get_first(choices));
    return WEIR_OK;
}

/* ---- Writing ---- */

void openai_chat_write_reasoning_detail(const struct part *p, unsigned index, struct buf *out)
{
    bool redacted = p->kind == PART_REDACTED;
    buf_add(out, redacted ? STR("{\"type\":\"reasoning.encrypted\",\"data\":")
                          : STR("{\"type\":\"reasoning.text\",\"text\":"));
    buf_add_json_str(out, redacted ? p->signature : p->text);
    if (!redacted && p->signature.n > 0) {
        buf_add(out, STR(",\"signature\":"));
        buf_add_json_str(out, p->signature);
    }
    buf_add(out, STR(",\"id\":\"" MARK "\",\"format\":\"anthropic-claude-v1\",\"index\":"));
    buf_add_u64(out, index);
    buf_addc(out, '}');
}

static void write_joined(const struct answer *answer, enum part_kind kind, struct buf *out)
{
    bool any = false;
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (p->kind != kind) continue;
        if (!any) buf_addc(out, '"');
        buf_add_json(out, p->text);
        any = true;
    }
    buf_add(out, any ? STR("\"") : STR("null"));
}

static bool has_kind(const struct answer *answer, enum part_kind kind)
{
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next)
        if (p->kind == kind) return true;
    return false;
}

static void write_reasoning(const struct answer *answer, struct buf *out)
{
    unsigned n = 0;
    if (has_kind(answer, PART_REASONING)) {
        buf_add(out, STR(",\"reasoning_content\":"));
        write_joined(answer, PART_REASONING, out);
    }
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (p->signature.n == 0 || (p->kind != PART_REASONING && p->kind != PART_REDACTED)) continue;
        buf_add(out, n == 0 ? STR(",\"reasoning_details\":[") : STR(","));
        openai_chat_write_reasoning_detail(p, n++, out);
    }
    if (n > 0) buf_addc(out, ']');
}

/* {"name":…,"arguments":…} of the first call, as `functions` were answered; there was only one at a time. */
static void write_old_call(const struct answer *answer, struct buf *out)
{
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_TOOL_CALL) continue;
        buf_add(out, STR(",\"function_call\":{\"name\":"));
        buf_add_json_str(out, p->name);
        buf_add(out, STR(",\"arguments\":"));
        buf_add_json_str(out, p->arguments.n > 0 ? p->arguments : STR("{}"));
        buf_addc(out, '}');
        return;
    }
}

static void write_logprobs(const struct answer *answer, struct buf *out)
{
    unsigned n = 0;
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_TEXT || p->logprobs.n <= 2) continue;
        buf_addz(out, n++ == 0 ? "{\"content\":[" : ",");
        buf_add(out, str_slice(p->logprobs, 1, p->logprobs.n - 1)); /* without its brackets */
    }
    buf_addz(out, n > 0 ? "],\"refusal\":null}" : "null");
}

static void write_annotations(const struct answer *answer, struct buf *out)
{
    int64_t before = 0;
    unsigned n = 0;
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_TEXT) continue;
        for (const struct citation *c = p->citations.first; c != NULL; c = c->next) {
            buf_addz(out, n++ == 0 ? ",\"annotations\":[" : ",");
            openai_chat_write_annotation(c, before, out);
        }
        before += citation_points(p->text);
    }
    if (n > 0) buf_addc(out, ']');
}

static void write_calls(const struct answer *answer, struct buf *out)
{
    unsigned n = 0;
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_TOOL_CALL) continue;
        buf_add(out, n++ == 0 ? STR(",\"tool_calls\":[") : STR(","));
        buf_add(out, STR("{\"id\":"));
        buf_add_json_str(out, p->id);
        buf_add(out, p->custom ? STR(",\"type\":\"custom\",\"custom\":{\"name\":")
                               : STR(",\"type\":\"function\",\"function\":{\"name\":"));
        buf_add_json_str(out, p->name);
        buf_add(out, p->custom ? STR(",\"input\":") : STR(",\"arguments\":"));
        buf_add_json_str(out, p->custom ? p->text : p->arguments.n > 0 ? p->arguments : STR("{}"));
        buf_add(out, STR("}}"));
    }
    if (n > 0) buf_addc(out, ']');
}

void openai_chat_write_answer(const struct answer *answer, struct buf *out)
{
    buf_add(out, STR("{\"id\":"));
    buf_add_json_str(out, answer->id);
    add_figure(out, ",\"object\":\"chat.completion\",\"created\":", answer->created_s);
    buf_add(out, STR(",\"model\":"));
    buf_add_json_str(out, answer->model);
    buf_add(out, STR(",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"));
    write_joined(answer, PART_TEXT, out);
    buf_add(out, STR(",\"refusal\":"));
    write_joined(answer, PART_REFUSAL, out);
    write_annotations(answer, out);
    write_reasoning(answer, out);
    bool old = answer->chat != NULL && answer->chat->old_functions;
    if (old)
        write_old_call(answer, out);
    else
        write_calls(answer, out);
    buf_add(out, STR("},\"logprobs\":"));
    write_logprobs(answer, out);
    buf_addf(out, ",\"finish_reason\":\"%s\"}],\"usage\":",
             old && answer->finish == FINISH_TOOL_CALLS ? "function_call" : openai_chat_finish_word(answer->finish));
    openai_chat_write_usage(&answer->usage, out);
    buf_addc(out, '}');
}
