/* Turns out as Converse messages. The API is strict: no blank text, ids and names of a small alphabet, a user first and, but for
 * older Claude models, a user last; media are bytes, never an address. */
#include "proto/dialect/converse_writing.h"

#include "proto/base/base64.h"
#include "proto/dialect/anthropic.h"
#include "proto/dialect/converse_reading.h"
#include "proto/dialect/mark.h"
#include "proto/dialect/turns.h"

enum { DOCUMENT_NAME_MOST = 190 };

static enum weir_err refuse(struct converse_writing *w, const char *what)
{
    *w->ret_why = arena_printf(w->arena, "%s cannot be carried to a provider that speaks converse", what);
    return WEIR_UNSUPPORTED;
}

/* ---- Reasoning ---- */

static void adopt(struct part *p)
{
    const struct str text = STR(MARK_CONVERSE), hidden = STR(MARK_CONVERSE_REDACTED);
    bool redacted = str_starts(p->signature, hidden);
    p->foreign = !redacted && !str_starts(p->signature, text);
    if (p->foreign) return;
    p->kind = redacted ? PART_REDACTED : PART_REASONING;
    p->signature = str_slice(p->signature, redacted ? hidden.n : text.n, p->signature.n);
}

void converse_adopt_reasoning(struct turns *turns)
{
    for (struct message *m = turns->first; m != NULL; m = m->next)
        for (struct part *p = m->parts.first; p != NULL; p = p->next)
            if (p->kind == PART_REASONING || p->kind == PART_REDACTED) adopt(p);
}

/* ---- Blocks ---- */

void converse_write_cache(struct converse_writing *w, enum cache_mark mark)
{
    if (mark == CACHE_NONE) return;
    if (!w->traits.cache_points) {
        loss_addz(w->loss, "cache_control");
        return;
    }
    buf_addf(w->out, ",{\"cachePoint\":{\"type\":\"default\"%s}}", mark == CACHE_LONG ? ",\"ttl\":\"1h\"" : "");
}

/* [a-zA-Z0-9_-]{1,64}; the same id gives the same result, so calls and results still meet. */
static void write_id(struct converse_writing *w, struct str id)
{
    struct str sent = w->traits.nine_ids ? chat_nine_id(id, w->arena) : chat_fit_tool_name(id, w->arena);
    buf_add_json_str(w->out, sent);
}

static void write_text(struct converse_writing *w, struct str text)
{
    buf_add(w->out, STR("{\"text\":"));
    buf_add_json_str(w->out, text);
    buf_addc(w->out, '}');
}

/* What a text rested on goes back to models that can cite. */
static void write_said(struct converse_writing *w, const struct part *p)
{
    struct citations kept = {0};
    for (const struct citation *c = p->citations.first; c != NULL; c = c->next) /* pages were not found by Bedrock */
        if (c->kind != CITED_URL) citation_add(&kept, w->arena, c);
    bool cites = w->traits.family == CONVERSE_CLAUDE && kept.n > 0;
    if (p->has_citations && (!cites || kept.n < p->citations.n)) loss_addz(w->loss, "citations");
    if (cites)
        converse_write_cited(p->text, kept.first, kept.n, w->out);
    else
        write_text(w, p->text);
}

static enum weir_err write_bytes(struct converse_writing *w, const struct part *p, const char *what)
{
    if (p->source == SOURCE_URL) {
        *w->ret_why = arena_printf(
            w->arena, "%s by URL cannot be carried to a provider that speaks converse: send its bytes", what);
        return WEIR_UNSUPPORTED;
    }
    if (p->source != SOURCE_BASE64 && p->source != SOURCE_TEXT)
        return refuse(w, p->kind == PART_IMAGE ? "an image by file id" : "a file by file_id");
    buf_add(w->out, STR(",\"source\":{\"bytes\":\""));
    if (p->source == SOURCE_TEXT)
        base64_encode(p->data, w->out);
    else
        buf_add_json(w->out, p->data);
    buf_add(w->out, STR("\"}"));
    return WEIR_OK;
}

static enum weir_err write_image(struct converse_writing *w, const struct part *p)
{
    const char *format = converse_format(p->media_type);
    if (p->has_detail) loss_addz(w->loss, "image_url.detail");
    if (p->source == SOURCE_BASE64 && (format == NULL || !str_starts(p->media_type, STR("image/"))))
        return refuse(w, "an image that is no png, jpeg, gif or webp");
    buf_addf(w->out, "{\"image\":{\"format\":\"%s\"", format != NULL ? format : "png");
    enum weir_err e = write_bytes(w, p, "an image");
    buf_add(w->out, STR("}}"));
    return e;
}

static bool is_document(const struct converse_writing *w, struct str name)
{
    for (const struct document_name *d = w->documents; d != NULL; d = d->next)
        if (str_eq(d->name, name)) return true;
    return false;
}

/* Letters, digits, single blanks and -()[]; each name once: the second "report" is "report (2)". */
static void write_document_name(struct converse_writing *w, struct str title)
{
    char name[DOCUMENT_NAME_MOST + 1];
    size_t n = 0;
    for (size_t i = 0; i < title.n && n < DOCUMENT_NAME_MOST; i++) {
        char c = title.p[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '(' || c == ')' || c == '[' || c == ']';
        if (!fits && (n == 0 || name[n - 1] == ' ')) continue;
        name[n++] = fits ? c : ' ';
    }
    while (n > 0 && name[n - 1] == ' ') n--;
    name[n] = '\0';
    struct document_name *d = arena_alloc(w->arena, sizeof *d);
    struct str free_name = arena_printf(w->arena, "%s", n > 0 ? name : "document");
    w->document_count++;
    for (unsigned number = w->document_count; is_document(w, free_name); number++)
        free_name = arena_printf(w->arena, "%s (%u)", n > 0 ? name : "document", number);
    *d = (struct document_name){w->documents, free_name};
    w->documents = d;
    buf_addf(w->out, "\"%.*s\"", STR_FMT(free_name));
}

static enum weir_err write_document(struct converse_writing *w, const struct part *p)
{
    const char *format = p->source == SOURCE_TEXT ? "txt" : converse_format(p->media_type);
    if (p->source == SOURCE_BASE64 && (format == NULL || str_starts(p->media_type, STR("image/"))))
        return refuse(w, "a file of this type");
    buf_addf(w->out, "{\"document\":{\"format\":\"%s\",\"name\":", format != NULL ? format : "pdf");
    write_document_name(w, p->title);
    enum weir_err e = write_bytes(w, p, "a file");
    if (p->has_citations) buf_add(w->out, STR(",\"citations\":{\"enabled\":true}"));
    buf_add(w->out, STR("}}"));
    return e;
}

static enum weir_err write_audio(struct converse_writing *w, const struct part *p)
{
    buf_add(w->out, STR("{\"audio\":{\"format\":"));
    buf_add_json_str(w->out, p->media_type);
    enum weir_err e = write_bytes(w, p, "audio");
    buf_add(w->out, STR("}}"));
    return e;
}

static void write_call(struct converse_writing *w, const struct part *p)
{
    buf_add(w->out, STR("{\"toolUse\":{\"toolUseId\":"));
    write_id(w, p->id);
    buf_add(w->out, STR(",\"name\":"));
    buf_add_json_str(w->out, chat_fit_tool_name(p->name, w->arena));
    buf_add(w->out, STR(",\"input\":"));
    anthropic_write_arguments(p->arguments, w->out);
    buf_add(w->out, STR("}}"));
}

static void write_reasoning(struct converse_writing *w, const struct part *p)
{
    buf_add(w->out, STR("{\"reasoningContent\":"));
    if (p->kind == PART_REDACTED) {
        buf_add(w->out, STR("{\"redactedContent\":"));
        buf_add_json_str(w->out, p->signature);
    } else {
        buf_add(w->out, STR("{\"reasoningText\":{\"text\":"));
        buf_add_json_str(w->out, p->text);
        buf_add(w->out, STR(",\"signature\":"));
        buf_add_json_str(w->out, p->signature);
        buf_addc(w->out, '}');
    }
    buf_add(w->out, STR("}}"));
}

/* Does this part become a block? The others are named as lost where they are more than empty. */
static bool has_block(struct converse_writing *w, const struct part *p)
{
    switch (p->kind) {
    case PART_TEXT:
    case PART_REFUSAL: return !str_is_blank(p->text);
    case PART_REASONING:
    case PART_REDACTED:
        if (p->foreign) loss_addz(w->loss, "reasoning_content");
        return !p->foreign;
    case PART_OTHER: loss_add(w->loss, p->name); return false;
    default: return true;
    }
}

static enum weir_err write_result(struct converse_writing *w, const struct part *p, enum cache_mark *ret_mark);

static enum weir_err write_block(struct converse_writing *w, const struct part *p)
{
    enum weir_err e = WEIR_OK;
    enum cache_mark mark = p->cache;
    switch (p->kind) {
    case PART_TEXT:
    case PART_REFUSAL: write_said(w, p); break;
    case PART_IMAGE: e = write_image(w, p); break;
    case PART_DOCUMENT: e = write_document(w, p); break;
    case PART_AUDIO: e = write_audio(w, p); break;
    case PART_TOOL_CALL: write_call(w, p); break;
    case PART_TOOL_RESULT: e = write_result(w, p, &mark); break;
    case PART_REASONING:
    case PART_REDACTED: write_reasoning(w, p); break;
    case PART_OTHER: break;
    }
    converse_write_cache(w, mark);
    return e;
}

/* A result holds no cache points: one inside stands behind the whole. */
static enum weir_err write_result(struct converse_writing *w, const struct part *result, enum cache_mark *ret_mark)
{
    enum weir_err e = WEIR_OK;
    bool first = true;
    buf_add(w->out, STR("{\"toolResult\":{\"toolUseId\":"));
    write_id(w, result->id);
    buf_add(w->out, STR(",\"content\":["));
    for (struct part *p = result->content.first; p != NULL && e == WEIR_OK; p = p->next) {
        if (p->cache > *ret_mark) *ret_mark = p->cache;
        if (!has_block(w, p)) continue;
        if (!first) buf_addc(w->out, ',');
        first = false;
        p->cache = CACHE_NONE;
        e = write_block(w, p);
    }
    if (first) write_text(w, STR("."));
    buf_addc(w->out, ']');
    if (result->is_error) buf_add(w->out, STR(",\"status\":\"error\""));
    buf_add(w->out, STR("}}"));
    return e;
}

/* ---- System and turns ---- */

void converse_write_system(struct converse_writing *w, const struct turns *turns)
{
    bool wants_json = w->chat->format == FORMAT_JSON_OBJECT;
    size_t empty = buf_len(w->out);
    bool first = true;
    buf_add(w->out, STR("\"system\":["));
    for (const struct part *p = turns->system.first; p != NULL; p = p->next) {
        if (p->kind != PART_TEXT || str_is_blank(p->text)) continue;
        if (!first) buf_addc(w->out, ',');
        first = false;
        write_text(w, p->text);
        converse_write_cache(w, p->cache);
    }
    if (wants_json) {
        if (!first) buf_addc(w->out, ',');
        first = false;
        write_text(w, STR("Respond with one valid JSON object and nothing else."));
    }
    if (first)
        buf_truncate(w->out, empty);
    else
        buf_add(w->out, STR("],"));
}

static enum weir_err write_turn(struct converse_writing *w, const struct message *m, bool first, bool last)
{
    static const char *const WORDS[] = {[ROLE_SYSTEM] = "system", [ROLE_USER] = "user", [ROLE_ASSISTANT] = "assistant"};
    enum weir_err e = WEIR_OK;
    bool empty = true, has_text = false, has_document = false;
    buf_addf(w->out, "%s{\"role\":\"%s\",\"content\":[", first ? "" : ",", WORDS[m->role]);
    for (const struct part *p = m->parts.first; p != NULL && e == WEIR_OK; p = p->next) {
        if (!has_block(w, p)) continue;
        if (!empty) buf_addc(w->out, ',');
        empty = false;
        has_text |= p->kind == PART_TEXT;
        has_document |= p->kind == PART_DOCUMENT;
        e = write_block(w, p);
    }
    if (empty || (has_document && !has_text)) { /* a document stands beside a text only */
        if (!empty) buf_addc(w->out, ',');
        write_text(w, STR("."));
    }
    if (last) converse_write_cache(w, w->chat->cache_all);
    buf_add(w->out, STR("]}"));
    return e;
}

enum weir_err converse_write_turns(struct converse_writing *w, const struct turns *turns)
{
    static const char go_on[] = "{\"role\":\"user\",\"content\":[{\"text\":\"(continue)\"}]}";
    enum weir_err e = WEIR_OK;
    bool first = true, ends_with_assistant = turns->last != NULL && turns->last->role == ROLE_ASSISTANT;
    bool prefill = ends_with_assistant && w->traits.family == CONVERSE_CLAUDE && w->claude.prefill;
    buf_addc(w->out, '[');
    if (turns->first == NULL || turns->first->role != ROLE_USER) {
        buf_addz(w->out, go_on);
        first = false;
    }
    if (prefill) turns_trim_end(turns);
    for (const struct message *m = turns->first; m != NULL && e == WEIR_OK; m = m->next) {
        e = write_turn(w, m, first, m->next == NULL);
        first = false;
    }
    if (ends_with_assistant && !prefill) {
        buf_addc(w->out, ',');
        buf_addz(w->out, go_on);
    }
    buf_addc(w->out, ']');
    return e;
}
