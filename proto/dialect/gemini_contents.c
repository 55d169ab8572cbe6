/* Turns out as Gemini contents: all calls of a turn in one content, as many results right behind it, no empty part. */
#include "proto/dialect/gemini_writing.h"

#include "proto/dialect/anthropic.h"
#include "proto/dialect/mark.h"
#include "proto/dialect/turns.h"
#include "proto/wire/json.h"

static enum weir_err refuse(struct gemini_writing *w, const char *what)
{
    *w->ret_why = arena_printf(w->arena, "%s cannot be carried to a provider that speaks gemini", what);
    return WEIR_UNSUPPORTED;
}

static void note_losses(struct gemini_writing *w, const struct part *p)
{
    if (p->cache != CACHE_NONE) loss_addz(w->loss, "cache_control");
    if (p->has_citations) loss_addz(w->loss, "citations");
    if (p->has_detail) loss_addz(w->loss, "image_url.detail");
    if (p->kind == PART_OTHER) loss_add(w->loss, p->name);
}

/* ---- Media ---- */

static struct str mime_of(struct gemini_writing *w, const struct part *p)
{
    if (p->kind == PART_AUDIO && str_chr(p->media_type, '/') < 0)
        return arena_printf(w->arena, "audio/%.*s", STR_FMT(p->media_type));
    if (p->media_type.n > 0) return p->media_type;
    if (p->kind == PART_DOCUMENT) return STR("application/pdf");
    return str_ends(p->data, STR(".png"))    ? STR("image/png")
           : str_ends(p->data, STR(".webp")) ? STR("image/webp")
           : str_ends(p->data, STR(".gif"))  ? STR("image/gif")
                                             : STR("image/jpeg");
}

static enum weir_err write_media(struct gemini_writing *w, const struct part *p)
{
    bool url = p->source == SOURCE_URL;
    if (p->source == SOURCE_TEXT) {
        gemini_write_text(p->data, false, STR_NULL, w->out);
        return WEIR_OK;
    }
    if (p->source == SOURCE_FILE || p->source == SOURCE_NONE) return refuse(w, "a file by its id");
    buf_addf(w->out, "{\"%s\":{\"mimeType\":", url ? "fileData" : "inlineData");
    buf_add_json_str(w->out, mime_of(w, p));
    buf_addf(w->out, ",\"%s\":", url ? "fileUri" : "data");
    buf_add_json_str(w->out, p->data);
    buf_add(w->out, STR("}}"));
    return WEIR_OK;
}

/* ---- Results ---- */

static struct str name_of_call(const struct message *calls, struct str id)
{
    for (const struct part *p = calls == NULL ? NULL : calls->parts.first; p != NULL; p = p->next)
        if (p->kind == PART_TOOL_CALL && str_eq(p->id, id)) return p->name;
    return STR("unknown");
}

/* An object goes as it is; everything else must be wrapped. */
static void write_response(struct gemini_writing *w, const struct part *p)
{
    struct str text = parts_join_text(&p->content, w->arena);
    unsigned depth;
    struct json_error error;
    struct str trimmed = str_trim(text);
    if (!p->is_error && trimmed.n > 1 && trimmed.p[0] == '{' && json_check(trimmed, &depth, &error)) {
        buf_add(w->out, trimmed);
        return;
    }
    buf_add(w->out, p->is_error ? STR("{\"error\":") : STR("{\"output\":"));
    buf_add_json_str(w->out, text);
    buf_addc(w->out, '}');
}

static bool is_media(const struct part *p)
{
    return p->kind == PART_IMAGE || p->kind == PART_DOCUMENT || p->kind == PART_AUDIO;
}

static enum weir_err write_inner_media(struct gemini_writing *w, const struct part *result)
{
    bool first = true;
    enum weir_err e = WEIR_OK;
    for (const struct part *p = result->content.first; p != NULL && e == WEIR_OK; p = p->next) {
        note_losses(w, p);
        if (!is_media(p)) continue;
        if (!w->traits.media_in_results) { /* older models take text alone there */
            loss_addz(w->loss, "tool_result.media");
            continue;
        }
        if (p->source != SOURCE_BASE64) return refuse(w, "a file by URL inside a tool result");
        buf_add(w->out, first ? STR(",\"parts\":[") : STR(","));
        first = false;
        e = write_media(w, p);
    }
    if (!first) buf_addc(w->out, ']');
    return e;
}

static enum weir_err write_result(struct gemini_writing *w, const struct part *p, const struct message *calls)
{
    buf_add(w->out, STR("{\"functionResponse\":{\"id\":"));
    buf_add_json_str(w->out, p->id);
    buf_add(w->out, STR(",\"name\":"));
    buf_add_json_str(w->out, gemini_tool_name(w, name_of_call(calls, p->id)));
    buf_add(w->out, STR(",\"response\":"));
    write_response(w, p);
    enum weir_err e = write_inner_media(w, p);
    buf_add(w->out, STR("}}"));
    return e;
}

/* ---- Parts ---- */

struct step {
    struct str next; /* signature that waits for the next call */
    bool in_turn;    /* behind the last user message with content of its own: signatures are checked */
    unsigned calls;  /* so far */
    bool first;      /* part of the content */
    const struct message *before;
};

static struct str carried(struct str signature, const char *mark)
{
    struct str m = str_of(mark);
    return str_starts(signature, m) ? str_slice(signature, m.n, signature.n) : STR_NULL;
}

static void begin_part(struct gemini_writing *w, struct step *s)
{
    if (!s->first) buf_addc(w->out, ',');
    s->first = false;
}

static void write_reasoning(struct gemini_writing *w, struct step *s, const struct part *p)
{
    struct str own = carried(p->signature, MARK_GEMINI), next = carried(p->signature, MARK_GEMINI_NEXT);
    if (next.n > 0) s->next = next;
    if (own.n > 0) {
        begin_part(w, s);
        gemini_write_text(p->text, true, own, w->out);
    } else if (next.n == 0 && (p->kind == PART_REDACTED || p->text.n > 0)) {
        loss_addz(w->loss, "reasoning"); /* of another maker */
    }
}

/* Only the first call of a step carries a signature: on its siblings a made-up one makes answers empty. */
static void write_call(struct gemini_writing *w, struct step *s, const struct part *p)
{
    struct str signature = s->next;
    if (signature.n == 0 && s->calls == 0 && s->in_turn && w->traits.signatures) signature = STR(GEMINI_UNSIGNED);
    s->next = STR_NULL;
    s->calls++;
    begin_part(w, s);
    gemini_write_call(p->id, gemini_tool_name(w, p->name), p->arguments, signature, w->out);
}

static enum weir_err write_part(struct gemini_writing *w, struct step *s, const struct part *p)
{
    note_losses(w, p);
    switch (p->kind) {
    case PART_REASONING:
    case PART_REDACTED: write_reasoning(w, s, p); return WEIR_OK;
    case PART_TOOL_CALL: write_call(w, s, p); return WEIR_OK;
    case PART_TOOL_RESULT: begin_part(w, s); return write_result(w, p, s->before);
    case PART_IMAGE:
    case PART_DOCUMENT:
    case PART_AUDIO:
        if (p->source == SOURCE_TEXT && p->data.n == 0) return WEIR_OK;
        begin_part(w, s);
        return write_media(w, p);
    case PART_TEXT:
    case PART_REFUSAL:
        if (p->text.n == 0) return WEIR_OK;
        begin_part(w, s);
        gemini_write_text(p->text, false, STR_NULL, w->out);
        return WEIR_OK;
    case PART_OTHER: return WEIR_OK;
    }
    return WEIR_OK;
}

/* ---- Turns ---- */

/* Begins a turn: words beside results (a reminder that an agent adds) may or may not, so they do not. */
static bool begins_turn(const struct message *m)
{
    for (const struct part *p = m->parts.first; p != NULL; p = p->next)
        if (p->kind == PART_TOOL_RESULT) return false;
    return m->parts.first != NULL;
}

void gemini_write_system(struct gemini_writing *w, const struct turns *turns)
{
    struct step s = {.first = true};
    for (const struct part *p = turns->system.first; p != NULL; p = p->next) {
        note_losses(w, p);
        if (p->kind != PART_TEXT || p->text.n == 0) continue;
        if (s.first) buf_add(w->out, STR("\"systemInstruction\":{\"parts\":["));
        begin_part(w, &s);
        gemini_write_text(p->text, false, STR_NULL, w->out);
    }
    if (!s.first) buf_add(w->out, STR("]},"));
}

enum weir_err gemini_write_turns(struct gemini_writing *w, const struct turns *turns)
{
    static const char go_on[] = "{\"role\":\"user\",\"parts\":[{\"text\":\"(continue)\"}]}";
    const struct message *asked = NULL, *before = NULL;
    enum weir_err e = WEIR_OK;
    for (const struct message *m = turns->first; m != NULL; m = m->next)
        if (m->role == ROLE_USER && begins_turn(m)) asked = m;
    bool in_turn = asked == NULL, first = true;
    buf_add(w->out, STR("\"contents\":["));
    if (turns->first == NULL || turns->first->role != ROLE_USER) {
        buf_addz(w->out, go_on);
        first = false;
    }
    for (const struct message *m = turns->first; m != NULL && e == WEIR_OK; before = m, m = m->next) {
        struct step s = {.first = true, .in_turn = in_turn, .before = before};
        buf_addf(w->out, "%s{\"role\":\"%s\",\"parts\":[", first ? "" : ",",
                 m->role == ROLE_ASSISTANT ? "model" : "user");
        first = false;
        for (const struct part *p = m->parts.first; p != NULL && e == WEIR_OK; p = p->next) e = write_part(w, &s, p);
        if (s.first) gemini_write_text(STR("."), false, STR_NULL, w->out); /* an empty content is refused */
        buf_add(w->out, STR("]}"));
        in_turn = in_turn || m == asked;
    }
    buf_addc(w->out, ']');
    return e;
}
