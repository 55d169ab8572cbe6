/* Contents of a generateContent request into the hub. Histories are often made of a stream's chunks: pieces of one text, each in
 * a content of its own, come together again. */
#include "proto/dialect/gemini_reading.h"

#include "proto/dialect/mark.h"
#include "proto/dialect/tree.h"

static enum weir_err bad(struct gemini_reading *r, unsigned index, const char *text)
{
    *r->ret_why = arena_printf(r->arena, "contents[%u]%s", index, text);
    return WEIR_BAD_REQUEST;
}

static struct part *add(struct gemini_reading *r, enum part_kind kind)
{
    r->room = 0;
    return part_add(&r->last->parts, r->arena, kind);
}

/* ---- Text ---- */

/* Room doubles, so that a history of single letters stays linear. */
static void append(struct gemini_reading *r, struct part *p, struct str more)
{
    if (more.n == 0) return;
    if (r->room < more.n) {
        size_t cap = (p->text.n + more.n) * 2;
        char *to = arena_alloc(r->arena, cap);
        if (p->text.n > 0) memcpy(to, p->text.p, p->text.n);
        p->text.p = to;
        r->room = cap - p->text.n;
    }
    memcpy((char *)(uintptr_t)p->text.p + p->text.n, more.p, more.n);
    p->text.n += more.n;
    r->room -= more.n;
}

static void sign(struct gemini_reading *r, struct part *p, struct str wire)
{
    bool redacted = false;
    /* Gemini's own is for Gemini alone, where the request is passed on as it is. */
    if (!gemini_unwrap(r->arena, wire, &p->signature, &redacted)) return;
    if (redacted) p->kind = PART_REDACTED;
    p->foreign = str_starts(p->signature, STR(MARK));
}

static void read_text(struct gemini_reading *r, yyjson_val *part, struct str text)
{
    bool thought = yyjson_is_true(gemini_get(part, "thought"));
    enum part_kind kind = thought ? PART_REASONING : PART_TEXT;
    struct str wire = gemini_get_str(part, "thoughtSignature");
    struct part *p = r->last->parts.last;
    bool joins = r->last->role == ROLE_ASSISTANT && p != NULL && p->kind == kind && p->signature.n == 0;
    if (!joins && text.n == 0 && wire.n == 0) return;
    if (!joins) p = add(r, kind);
    if (joins || r->last->role == ROLE_ASSISTANT)
        append(r, p, text);
    else
        p->text = text;
    if (thought && wire.n > 0) sign(r, p, wire);
}

/* ---- Media ---- */

static struct str audio_format(struct str type)
{
    struct str word = str_split(&type, ';'); /* without rate and codecs */
    word = str_slice(word, sizeof "audio/" - 1, word.n);
    if (str_is(word, "mpeg") || str_is(word, "mpga")) return STR("mp3");
    return str_is(word, "x-wav") || str_is(word, "wave") || str_is(word, "vnd.wave") ? STR("wav") : word;
}

static void read_media(struct gemini_reading *r, struct parts *to, yyjson_val *media, bool by_uri)
{
    struct str type = gemini_get_str(media, "mimeType");
    struct str data = by_uri ? gemini_get_str(media, "fileUri") : gemini_get_str(media, "data");
    enum part_kind kind = PART_OTHER;
    if (str_starts(type, STR("image/")))
        kind = PART_IMAGE;
    else if (str_starts(type, STR("audio/")))
        kind = PART_AUDIO;
    else if (str_is(type, "application/pdf") || str_starts(type, STR("text/")))
        kind = PART_DOCUMENT;
    /* A file at Google is there for the key that put it there. */
    bool fetchable = (str_starts(data, STR("https://")) || str_starts(data, STR("http://"))) &&
                     !str_starts(data, STR("https://generativelanguage.googleapis.com/"));
    if (kind == PART_OTHER || (by_uri && (!fetchable || kind == PART_AUDIO))) {
        gemini_reading_demand(r, arena_printf(r->arena, "%s of type %.*s", by_uri ? "fileData" : "inlineData",
                                              STR_FMT(str_slice(type, 0, 40))));
        return;
    }
    r->room = 0;
    struct part *p = part_add(to, r->arena, kind);
    p->source = by_uri ? SOURCE_URL : SOURCE_BASE64;
    p->media_type = kind == PART_AUDIO ? audio_format(type) : type;
    p->data = data;
    p->title = gemini_get_str(media, "displayName");
}

/* ---- Calls and results ---- */

static void read_call(struct gemini_reading *r, yyjson_val *call)
{
    yyjson_val *args = gemini_get(call, "args");
    struct part *p = add(r, PART_TOOL_CALL);
    p->id = gemini_get_str(call, "id");
    if (p->id.n == 0) p->id = arena_printf(r->arena, "call_%u", r->calls);
    r->calls++;
    p->name = gemini_get_str(call, "name");
    p->arguments = args == NULL ? STR("{}") : tree_text(args, r->arena);
    struct part *waits = part_add(&r->calls_, r->arena, PART_TOOL_CALL);
    waits->id = p->id;
    waits->name = p->name;
}

/* Without an id a result belongs to the first call of its name that has none yet. */
static struct str id_of_result(struct gemini_reading *r, yyjson_val *response)
{
    struct str id = gemini_get_str(response, "id"), name = gemini_get_str(response, "name");
    for (struct part *c = r->calls_.first; c != NULL; c = c->next) {
        bool fits = id.n > 0 ? str_eq(c->id, id) : str_eq(c->name, name);
        if (!fits || c->is_error) continue;
        c->is_error = true; /* answered */
        return c->id;
    }
    return id.n > 0 ? id : name;
}

static void read_result(struct gemini_reading *r, yyjson_val *response)
{
    yyjson_val *o = gemini_get(response, "response"), *text = NULL, *part;
    size_t i, n;
    struct part *p = add(r, PART_TOOL_RESULT);
    p->id = id_of_result(r, response);
    p->name = gemini_get_str(response, "name");
    if (yyjson_obj_size(o) == 1) {
        text = tree_get(o, "output");
        if (text == NULL) text = tree_get(o, "result");
        if (text == NULL) text = tree_get(o, "error");
        p->is_error = tree_get(o, "error") != NULL;
    }
    if (text == NULL) text = o;
    if (text != NULL)
        part_add(&p->content, r->arena, PART_TEXT)->text =
            yyjson_is_str(text) ? tree_str(text) : tree_text(text, r->arena);
    yyjson_arr_foreach(gemini_get(response, "parts"), i, n, part)
    {
        if (gemini_get(part, "inlineData") != NULL) read_media(r, &p->content, gemini_get(part, "inlineData"), false);
        if (gemini_get(part, "fileData") != NULL) read_media(r, &p->content, gemini_get(part, "fileData"), true);
    }
}

/* ---- Contents ---- */

static void read_other(struct gemini_reading *r, yyjson_val *part)
{
    static const char *const NAMES[] = {"executableCode", "codeExecutionResult", "toolCall", "toolResponse"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (gemini_get(part, NAMES[i]) != NULL) {
            add(r, PART_OTHER)->name = str_of(NAMES[i]);
            return;
        }
    if (yyjson_obj_size(part) > 0) add(r, PART_OTHER)->name = STR("contents.part");
}

static void read_part(struct gemini_reading *r, yyjson_val *part)
{
    yyjson_val *text = gemini_get(part, "text"), *v;
    if (yyjson_is_str(text))
        read_text(r, part, tree_str(text));
    else if ((v = gemini_get(part, "functionCall")) != NULL)
        read_call(r, v);
    else if ((v = gemini_get(part, "functionResponse")) != NULL)
        read_result(r, v);
    else if ((v = gemini_get(part, "inlineData")) != NULL)
        read_media(r, &r->last->parts, v, false);
    else if ((v = gemini_get(part, "fileData")) != NULL)
        read_media(r, &r->last->parts, v, true);
    else
        read_other(r, part);
    if (gemini_get(part, "videoMetadata") != NULL) chat_hint(r->chat, r->arena, STR("videoMetadata"));
    if (gemini_get(part, "mediaResolution") != NULL) chat_hint(r->chat, r->arena, STR("mediaResolution"));
}

static void begin_message(struct gemini_reading *r, enum role role, unsigned index)
{
    if (r->last != NULL && r->last->role == role && role == ROLE_ASSISTANT) return;
    struct message *m = arena_zalloc(r->arena, sizeof *m);
    m->role = role;
    m->index = index;
    *r->messages_end = m;
    r->messages_end = &m->next;
    r->last = m;
    r->room = 0;
    if (role == ROLE_ASSISTANT) r->calls_ = (struct parts){0};
}

static enum weir_err read_parts(struct gemini_reading *r, yyjson_val *content, unsigned index)
{
    yyjson_val *parts = gemini_get(content, "parts"), *part;
    size_t i, n;
    if (yyjson_is_obj(parts)) { /* one part alone: protobuf's JSON takes it */
        read_part(r, parts);
        return WEIR_OK;
    }
    if (yyjson_arr_size(parts) > PARTS_MOST) return bad(r, index, " has too many parts");
    yyjson_arr_foreach(parts, i, n, part)
    {
        if (!yyjson_is_obj(part)) return bad(r, index, ".parts: a part must be an object");
        read_part(r, part);
    }
    return WEIR_OK;
}

enum weir_err gemini_reading_system(struct gemini_reading *r, yyjson_val *v)
{
    if (v == NULL) return WEIR_OK;
    begin_message(r, ROLE_SYSTEM, 0);
    if (yyjson_is_str(v)) {
        add(r, PART_TEXT)->text = tree_str(v);
        return WEIR_OK;
    }
    return read_parts(r, v, 0);
}

enum weir_err gemini_reading_contents(struct gemini_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *content;
    if (!yyjson_is_arr(v) || yyjson_arr_size(v) == 0) {
        *r->ret_why = STR("contents must be an array that is not empty");
        return WEIR_BAD_REQUEST;
    }
    yyjson_arr_foreach(v, i, n, content)
    {
        struct str word = tree_get_str(content, "role");
        enum role role = str_is(word, "model") ? ROLE_ASSISTANT : ROLE_USER;
        if (!yyjson_is_obj(content)) return bad(r, (unsigned)i, " must be an object");
        if (word.n > 0 && role == ROLE_USER && !str_is(word, "user") && !str_is(word, "function"))
            return bad(r, (unsigned)i, ".role must be user or model");
        begin_message(r, role, (unsigned)i);
        enum weir_err e = read_parts(r, content, (unsigned)i);
        if (e == WEIR_OK && r->last->parts.n > PARTS_MOST) e = bad(r, (unsigned)i, ": the turn has too many parts");
        if (e == WEIR_OK) e = chat_check_size(r->chat, r->arena, r->ret_why);
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}
