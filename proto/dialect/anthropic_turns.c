/* Turns out as Anthropic messages. The API is strict: no empty text, ids of a small alphabet, a user first, and with the newer
 * models a user last. */
#include "proto/dialect/anthropic_turns.h"

#include "proto/dialect/anthropic.h"
#include "proto/dialect/turns.h"

static enum weir_err refuse(struct anthropic_writing *w, const char *what)
{
    *w->ret_why = arena_printf(w->arena, "%s cannot be carried to a provider that speaks anthropic", what);
    return WEIR_UNSUPPORTED;
}

void anthropic_write_cache(struct anthropic_writing *w, enum cache_mark mark)
{
    if (mark == CACHE_SHORT) buf_add(w->out, STR(",\"cache_control\":{\"type\":\"ephemeral\"}"));
    if (mark == CACHE_LONG) buf_add(w->out, STR(",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}"));
}

/* ^[a-zA-Z0-9_-]+$; the same id gives the same result, so calls and results still meet. */
static void write_id(struct anthropic_writing *w, struct str id)
{
    buf_addc(w->out, '"');
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        buf_addc(w->out, fits ? c : '_');
    }
    buf_addc(w->out, '"');
}

/* ---- Blocks ---- */

static void write_text(struct anthropic_writing *w, struct str text)
{
    buf_add(w->out, STR("{\"type\":\"text\",\"text\":"));
    buf_add_json_str(w->out, text);
}

static void write_source(struct anthropic_writing *w, const struct part *p)
{
    if (p->source == SOURCE_URL) {
        buf_add(w->out, STR("{\"type\":\"url\",\"url\":"));
        buf_add_json_str(w->out, p->data);
    } else {
        buf_add(w->out, p->source == SOURCE_TEXT ? STR("{\"type\":\"text\",\"media_type\":")
                                                 : STR("{\"type\":\"base64\",\"media_type\":"));
        buf_add_json_str(w->out, p->media_type);
        buf_add(w->out, STR(",\"data\":"));
        buf_add_json_str(w->out, p->data);
    }
    buf_addc(w->out, '}');
}

static enum weir_err write_image(struct anthropic_writing *w, const struct part *p)
{
    if (p->source == SOURCE_FILE) return refuse(w, "an image by file id");
    if (p->has_detail) loss_addz(w->loss, "image_url.detail");
    buf_add(w->out, STR("{\"type\":\"image\",\"source\":"));
    write_source(w, p);
    return WEIR_OK;
}

static enum weir_err write_document(struct anthropic_writing *w, const struct part *p)
{
    if (p->source == SOURCE_FILE || p->source == SOURCE_NONE) return refuse(w, "a file by file_id");
    if (p->source == SOURCE_BASE64 && !str_is(p->media_type, "application/pdf"))
        return refuse(w, "a file that is no PDF");
    buf_add(w->out, STR("{\"type\":\"document\",\"source\":"));
    write_source(w, p);
    if (p->title.n > 0) {
        buf_add(w->out, STR(",\"title\":"));
        buf_add_json_str(w->out, p->title);
    }
    if (p->has_citations) buf_add(w->out, STR(",\"citations\":{\"enabled\":true}"));
    return WEIR_OK;
}

static enum weir_err write_result(struct anthropic_writing *w, const struct part *p);

static void write_call(struct anthropic_writing *w, const struct part *p)
{
    buf_add(w->out, STR("{\"type\":\"tool_use\",\"id\":"));
    write_id(w, p->id);
    buf_add(w->out, STR(",\"name\":"));
    buf_add_json_str(w->out, p->name);
    buf_add(w->out, STR(",\"input\":"));
    anthropic_write_arguments(p->arguments, w->out);
}

static void write_thinking(struct anthropic_writing *w, const struct part *p)
{
    bool redacted = p->kind == PART_REDACTED;
    buf_add(w->out, redacted ? STR("{\"type\":\"redacted_thinking\"") : STR("{\"type\":\"thinking\",\"thinking\":"));
    if (!redacted) buf_add_json_str(w->out, p->text);
    buf_add(w->out, redacted ? STR(",\"data\":") : STR(",\"signature\":"));
    buf_add_json_str(w->out, p->signature);
}

/* Does this part become a block? The others are named as lost where they are more than empty. */
static bool has_block(struct anthropic_writing *w, const struct part *p)
{
    switch (p->kind) {
    case PART_TEXT:
    case PART_REFUSAL: return p->text.n > 0;
    case PART_REASONING:
        if (p->foreign) loss_addz(w->loss, "reasoning_content");
        return !p->foreign && p->signature.n > 0;
    case PART_OTHER: loss_add(w->loss, p->name); return false;
    default: return true;
    }
}

static enum weir_err write_block(struct anthropic_writing *w, const struct part *p)
{
    enum weir_err e = WEIR_OK;
    switch (p->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        write_text(w, p->text);
        if (!anthropic_write_cited_before(&p->citations, w->out)) loss_addz(w->loss, "citations");
        break;
    case PART_IMAGE: e = write_image(w, p); break;
    case PART_DOCUMENT: e = write_document(w, p); break;
    case PART_TOOL_CALL: write_call(w, p); break;
    case PART_TOOL_RESULT: e = write_result(w, p); break;
    case PART_REASONING:
    case PART_REDACTED: write_thinking(w, p); break;
    case PART_AUDIO: e = refuse(w, "input_audio"); break;
    case PART_OTHER: break;
    }
    anthropic_write_cache(w, p->cache);
    buf_addc(w->out, '}');
    return e;
}

static enum weir_err write_blocks(struct anthropic_writing *w, const struct parts *parts, const char *if_empty)
{
    enum weir_err e = WEIR_OK;
    bool first = true;
    buf_addc(w->out, '[');
    for (const struct part *p = parts->first; p != NULL && e == WEIR_OK; p = p->next) {
        if (!has_block(w, p)) continue;
        if (!first) buf_addc(w->out, ',');
        first = false;
        e = write_block(w, p);
    }
    if (first && if_empty != NULL) {
        write_text(w, str_of(if_empty));
        buf_addc(w->out, '}');
    }
    buf_addc(w->out, ']');
    return e;
}

static enum weir_err write_result(struct anthropic_writing *w, const struct part *p)
{
    enum weir_err e = WEIR_OK;
    buf_add(w->out, STR("{\"type\":\"tool_result\",\"tool_use_id\":"));
    write_id(w, p->id);
    if (p->content.n == 1 && p->content.first->kind == PART_TEXT && p->content.first->cache == CACHE_NONE) {
        buf_add(w->out, STR(",\"content\":"));
        buf_add_json_str(w->out, p->content.first->text);
    } else if (p->content.n > 0) {
        buf_add(w->out, STR(",\"content\":"));
        e = write_blocks(w, &p->content, NULL);
    }
    if (p->is_error) buf_add(w->out, STR(",\"is_error\":true"));
    return e;
}

/* ---- System and turns ---- */

void anthropic_write_system(struct anthropic_writing *w, const struct turns *turns)
{
    bool wants_json = w->chat->format == FORMAT_JSON_OBJECT;
    bool first = true;
    if (turns->system.n == 0 && !wants_json) return;
    buf_add(w->out, STR(",\"system\":["));
    for (const struct part *p = turns->system.first; p != NULL; p = p->next) {
        if (p->kind != PART_TEXT || p->text.n == 0) continue;
        if (!first) buf_addc(w->out, ',');
        first = false;
        write_text(w, p->text);
        anthropic_write_cache(w, p->cache);
        buf_addc(w->out, '}');
    }
    if (wants_json) {
        if (!first) buf_addc(w->out, ',');
        write_text(w, STR("Respond with one valid JSON object and nothing else."));
        buf_addc(w->out, '}');
    }
    buf_addc(w->out, ']');
}

static enum weir_err write_turn(struct anthropic_writing *w, const struct message *m, bool first)
{
    static const char *const WORDS[] = {[ROLE_SYSTEM] = "system", [ROLE_USER] = "user", [ROLE_ASSISTANT] = "assistant"};
    buf_addf(w->out, "%s{\"role\":\"%s\",\"content\":", first ? "" : ",", WORDS[m->role]);
    enum weir_err e = write_blocks(w, &m->parts, ".");
    buf_addc(w->out, '}');
    return e;
}

enum weir_err anthropic_write_turns(struct anthropic_writing *w, const struct turns *turns)
{
    static const char go_on[] = "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"(continue)\"}]}";
    enum weir_err e = WEIR_OK;
    bool first = true, prefill = turns->last != NULL && turns->last->role == ROLE_ASSISTANT;
    buf_addc(w->out, '[');
    if (turns->first == NULL || turns->first->role != ROLE_USER) {
        buf_addz(w->out, go_on);
        first = false;
    }
    if (prefill && w->traits.prefill) turns_trim_end(turns);
    for (const struct message *m = turns->first; m != NULL && e == WEIR_OK; m = m->next) {
        e = write_turn(w, m, first);
        first = false;
    }
    if (prefill && !w->traits.prefill) {
        buf_addc(w->out, ',');
        buf_addz(w->out, go_on);
    }
    buf_addc(w->out, ']');
    return e;
}
