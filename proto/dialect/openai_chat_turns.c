/* Turns out as chat completions messages. Content that is only text goes out as one string, because many hosts take nothing
 * else; pictures inside tool results follow in a user message, because a tool message cannot hold them. */
#include "proto/dialect/openai_chat_turns.h"

#include "proto/dialect/openai_rules.h"
#include "proto/dialect/turns.h"

static void begin(struct openai_writing *w, const char *role)
{
    bool first = buf_view(w->out).p[buf_len(w->out) - 1] == '[';
    buf_addf(w->out, "%s{\"role\":\"%s\"", first ? "" : ",", role);
}

static enum weir_err refuse(struct openai_writing *w, const char *what)
{
    *w->ret_why = arena_printf(w->arena, "%s cannot be carried to a provider that speaks openai", what);
    return WEIR_UNSUPPORTED;
}

static bool is_media(const struct part *p)
{
    return p->kind == PART_IMAGE || p->kind == PART_DOCUMENT || p->kind == PART_AUDIO;
}

static bool is_text_document(const struct part *p)
{
    return p->kind == PART_DOCUMENT && p->source == SOURCE_TEXT;
}

static bool has_media(const struct parts *parts)
{
    for (const struct part *p = parts->first; p != NULL; p = p->next)
        if (is_media(p) && !is_text_document(p)) return true;
    return false;
}

/* Calls and what is inside a result are no content parts: a mark has no place there. */
static bool carries_mark(const struct openai_writing *w, const struct part *p)
{
    return w->traits.breakpoints &&
           (p->kind == PART_TEXT || p->kind == PART_REFUSAL || p->kind == PART_TOOL_RESULT || is_media(p));
}

static void note_losses(struct openai_writing *w, const struct part *p)
{
    if (p->cache != CACHE_NONE && !carries_mark(w, p)) loss_addz(w->loss, "cache_control");
    if (p->has_citations) loss_addz(w->loss, "citations");
    if (p->kind == PART_OTHER) loss_add(w->loss, p->name);
}

/* ---- Parts ---- */

static void write_data_url(struct openai_writing *w, const struct part *p)
{
    buf_add(w->out, STR("\"data:"));
    buf_add_json(w->out, p->media_type);
    buf_add(w->out, STR(";base64,"));
    buf_add_json(w->out, p->data);
    buf_addc(w->out, '"');
}

static enum weir_err write_image(struct openai_writing *w, const struct part *p)
{
    if (p->source != SOURCE_BASE64 && p->source != SOURCE_URL) return refuse(w, "an image by file id");
    buf_add(w->out, STR("{\"type\":\"image_url\",\"image_url\":{\"url\":"));
    if (p->source == SOURCE_BASE64)
        write_data_url(w, p);
    else
        buf_add_json_str(w->out, p->data);
    if (p->has_detail) {
        buf_add(w->out, STR(",\"detail\":"));
        buf_add_json_str(w->out, p->detail);
    }
    buf_add(w->out, STR("}"));
    return WEIR_OK;
}

static enum weir_err write_document(struct openai_writing *w, const struct part *p)
{
    if (p->source == SOURCE_URL) return refuse(w, "a document by URL");
    if (p->source == SOURCE_FILE && w->chat->of_openai) {
        buf_add(w->out, STR("{\"type\":\"file\",\"file\":{\"file_id\":"));
        buf_add_json_str(w->out, p->data);
        buf_add(w->out, STR("}"));
        return WEIR_OK;
    }
    if (p->source != SOURCE_BASE64) return refuse(w, "a document by file id");
    buf_add(w->out, STR("{\"type\":\"file\",\"file\":{\"filename\":"));
    buf_add_json_str(w->out, p->title.n > 0 ? p->title : STR("document.pdf"));
    buf_add(w->out, STR(",\"file_data\":"));
    write_data_url(w, p);
    buf_add(w->out, STR("}"));
    return WEIR_OK;
}

static enum weir_err write_audio(struct openai_writing *w, const struct part *p)
{
    if (!str_is(p->media_type, "wav") && !str_is(p->media_type, "mp3")) return refuse(w, "sound that is no wav or mp3");
    buf_add(w->out, STR("{\"type\":\"input_audio\",\"input_audio\":{\"data\":"));
    buf_add_json_str(w->out, p->data);
    buf_add(w->out, STR(",\"format\":"));
    buf_add_json_str(w->out, p->media_type);
    buf_add(w->out, STR("}"));
    return WEIR_OK;
}

static struct str text_of(const struct part *p)
{
    return is_text_document(p) ? p->data : p->kind == PART_TEXT || p->kind == PART_REFUSAL ? p->text : STR_NULL;
}

static enum weir_err write_part(struct openai_writing *w, const struct part *p, bool *first)
{
    struct str text = text_of(p);
    if (text.n == 0 && (!is_media(p) || is_text_document(p))) return WEIR_OK;
    if (!*first) buf_addc(w->out, ',');
    *first = false;
    enum weir_err e = WEIR_OK;
    if (text.n > 0) {
        buf_add(w->out, STR("{\"type\":\"text\",\"text\":"));
        buf_add_json_str(w->out, text);
    } else {
        e = p->kind == PART_IMAGE      ? write_image(w, p)
            : p->kind == PART_DOCUMENT ? write_document(w, p)
                                       : write_audio(w, p);
    }
    if (p->cache != CACHE_NONE && w->traits.breakpoints) openai_write_breakpoint(p->cache, w->out);
    buf_addc(w->out, '}');
    return e;
}

static bool has_breakpoints(const struct openai_writing *w, const struct parts *parts)
{
    for (const struct part *p = parts->first; p != NULL && w->traits.breakpoints; p = p->next)
        if (p->cache != CACHE_NONE) return true;
    return false;
}

/* All text of the parts as one string. */
static void write_text(struct openai_writing *w, const struct parts *parts)
{
    bool first = true;
    buf_addc(w->out, '"');
    for (const struct part *p = parts->first; p != NULL; p = p->next) {
        if (text_of(p).n == 0) continue;
        if (!first) buf_add(w->out, STR("\\n\\n"));
        buf_add_json(w->out, text_of(p));
        first = false;
    }
    buf_addc(w->out, '"');
}

static enum weir_err write_content(struct openai_writing *w, const struct parts *parts)
{
    bool first = true;
    buf_add(w->out, STR(",\"content\":"));
    if (!has_media(parts) && !has_breakpoints(w, parts)) {
        write_text(w, parts);
        return WEIR_OK;
    }
    buf_addc(w->out, '[');
    for (const struct part *p = parts->first; p != NULL; p = p->next) {
        enum weir_err e = write_part(w, p, &first);
        if (e != WEIR_OK) return e;
    }
    buf_addc(w->out, ']');
    return WEIR_OK;
}

/* ---- Turns ---- */

/* There is no flag for a failed tool: the text says so, unless it does already. */
static void write_result(struct openai_writing *w, const struct part *result)
{
    struct str text = parts_join_text(&result->content, w->arena);
    bool cached = w->traits.breakpoints && result->cache != CACHE_NONE;
    begin(w, "tool");
    buf_add(w->out, STR(",\"tool_call_id\":"));
    buf_add_json_str(w->out, result->id);
    buf_add(w->out, cached ? STR(",\"content\":[{\"type\":\"text\",\"text\":") : STR(",\"content\":"));
    if (!result->is_error || str_icontains(str_slice(text, 0, 16), STR("error"))) {
        write_text(w, &result->content);
    } else {
        buf_add(w->out, STR("\"Error: "));
        buf_add_json(w->out, text);
        buf_addc(w->out, '"');
    }
    if (cached) {
        openai_write_breakpoint(result->cache, w->out);
        buf_add(w->out, STR("}]"));
    }
    buf_addc(w->out, '}');
}

static void add_copy(struct openai_writing *w, struct parts *to, const struct part *p)
{
    struct part *copy = part_add(to, w->arena, p->kind);
    *copy = *p;
    copy->next = NULL;
}

static enum weir_err write_user(struct openai_writing *w, const struct message *m)
{
    struct parts rest = {0};
    for (const struct part *p = m->parts.first; p != NULL; p = p->next) {
        note_losses(w, p);
        if (p->kind != PART_TOOL_RESULT) continue;
        write_result(w, p);
        for (const struct part *inner = p->content.first; inner != NULL; inner = inner->next) {
            note_losses(w, inner);
            if (inner->cache != CACHE_NONE) loss_addz(w->loss, "cache_control");
            if (is_media(inner) && !is_text_document(inner)) add_copy(w, &rest, inner);
        }
    }
    for (const struct part *p = m->parts.first; p != NULL; p = p->next)
        if (text_of(p).n > 0 || is_media(p)) add_copy(w, &rest, p);
    if (rest.n == 0) return WEIR_OK;
    begin(w, "user");
    enum weir_err e = write_content(w, &rest);
    buf_addc(w->out, '}');
    return e;
}

/* Hosts that think aloud in reasoning_content want it back beside the calls it led to; OpenAI itself would refuse the field. */
static void write_reasoning(struct openai_writing *w, const struct message *m, bool has_calls)
{
    bool any = false;
    for (const struct part *p = m->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_REASONING && p->kind != PART_REDACTED) continue;
        if (!p->foreign) loss_addz(w->loss, "thinking"); /* its signature is for its maker alone */
        if (!p->foreign || !has_calls || w->traits.user || p->text.n == 0) continue;
        if (!any) buf_add(w->out, STR(",\"reasoning_content\":\""));
        any = true;
        buf_add_json(w->out, p->text);
    }
    if (any) buf_addc(w->out, '"');
}

static unsigned write_calls(struct openai_writing *w, const struct message *m)
{
    unsigned n = 0;
    for (const struct part *p = m->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_TOOL_CALL) continue;
        buf_add(w->out, n++ == 0 ? STR(",\"tool_calls\":[") : STR(","));
        buf_add(w->out, STR("{\"id\":"));
        buf_add_json_str(w->out, p->id);
        bool custom = p->custom && w->chat->custom_as_such;
        buf_add(w->out, custom ? STR(",\"type\":\"custom\",\"custom\":{\"name\":")
                               : STR(",\"type\":\"function\",\"function\":{\"name\":"));
        buf_add_json_str(w->out, chat_fit_tool_name(p->name, w->arena));
        buf_add(w->out, custom ? STR(",\"input\":") : STR(",\"arguments\":"));
        buf_add_json_str(w->out, custom ? p->text : p->arguments.n > 0 ? p->arguments : STR("{}"));
        buf_add(w->out, STR("}}"));
    }
    if (n > 0) buf_addc(w->out, ']');
    return n;
}

static bool has_kind(const struct message *m, enum part_kind kind)
{
    for (const struct part *p = m->parts.first; p != NULL; p = p->next)
        if (p->kind == kind) return true;
    return false;
}

/* Of roles that only have texts. */
static void write_texts(struct openai_writing *w, const struct parts *parts)
{
    struct parts texts = {0};
    for (const struct part *p = parts->first; p != NULL; p = p->next)
        if (text_of(p).n > 0) add_copy(w, &texts, p);
    write_content(w, &texts); /* cannot fail: no media are among them */
}

static void write_assistant(struct openai_writing *w, const struct message *m)
{
    bool calls = has_kind(m, PART_TOOL_CALL), text = has_kind(m, PART_TEXT) || has_kind(m, PART_REFUSAL);
    for (const struct part *p = m->parts.first; p != NULL; p = p->next) {
        note_losses(w, p);
        if (is_media(p)) loss_addz(w->loss, "assistant.media");
    }
    begin(w, "assistant");
    if (text || !calls)
        write_texts(w, &m->parts);
    else
        buf_add(w->out, STR(",\"content\":null"));
    write_reasoning(w, m, calls);
    write_calls(w, m);
    buf_addc(w->out, '}');
}

static void write_system(struct openai_writing *w, const struct parts *parts)
{
    for (const struct part *p = parts->first; p != NULL; p = p->next) note_losses(w, p);
    begin(w, "system");
    write_texts(w, parts);
    buf_addc(w->out, '}');
}

enum weir_err openai_write_turns(struct openai_writing *w, const struct turns *turns)
{
    enum weir_err e = WEIR_OK;
    buf_addc(w->out, '[');
    if (turns->system.n > 0) write_system(w, &turns->system);
    for (const struct message *m = turns->first; m != NULL && e == WEIR_OK; m = m->next) {
        switch (m->role) {
        case ROLE_SYSTEM: write_system(w, &m->parts); break;
        case ROLE_ASSISTANT: write_assistant(w, m); break;
        case ROLE_USER: e = write_user(w, m); break;
        }
    }
    buf_addc(w->out, ']');
    return e;
}
