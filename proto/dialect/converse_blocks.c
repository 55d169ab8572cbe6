/* System and messages of a Converse request into the hub, block by block. A block is an object with one member, its kind. */
#include "proto/dialect/converse_reading.h"

#include "proto/base/base64.h"
#include "proto/dialect/tree.h"

static enum weir_err bad(struct converse_reading *r, unsigned index, const char *text)
{
    *r->ret_why = arena_printf(r->arena, "messages[%u]%s", index, text);
    return WEIR_BAD_REQUEST;
}

/* The first row of a format is the one that is written. */
static const struct {
    const char *format, *media_type;
} FORMATS[] = {
    {"png", "image/png"},
    {"jpeg", "image/jpeg"},
    {"jpeg", "image/jpg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"pdf", "application/pdf"},
    {"txt", "text/plain"},
    {"csv", "text/csv"},
    {"html", "text/html"},
    {"md", "text/markdown"},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
};

const char *converse_media_type(struct str format)
{
    for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++)
        if (str_is(format, FORMATS[i].format)) return FORMATS[i].media_type;
    return NULL;
}

const char *converse_format(struct str media_type)
{
    ptrdiff_t semicolon = str_chr(media_type, ';');
    if (semicolon >= 0) media_type.n = (size_t)semicolon;
    for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++)
        if (str_iis(media_type, FORMATS[i].media_type)) return FORMATS[i].format;
    return NULL;
}

/* ---- Media ---- */

/* A document made of blocks is read as its text. */
static struct str inner_text(struct converse_reading *r, yyjson_val *content)
{
    size_t i, n;
    yyjson_val *block;
    struct parts texts = {0};
    yyjson_arr_foreach(content, i, n, block) part_add(&texts, r->arena, PART_TEXT)->text = tree_get_str(block, "text");
    return parts_join_text(&texts, r->arena);
}

static void read_source(struct converse_reading *r, struct part *p, yyjson_val *source)
{
    struct str uri = tree_get_str(tree_get(source, "s3Location"), "uri");
    if (uri.n > 0) {
        converse_reading_demand(r, STR("s3Location")); /* only Bedrock can read it */
    } else if (tree_get(source, "text") != NULL || tree_get(source, "content") != NULL) {
        p->source = SOURCE_TEXT;
        p->media_type = STR("text/plain");
        p->data = tree_get(source, "text") != NULL ? tree_get_str(source, "text")
                                                   : inner_text(r, tree_get(source, "content"));
    } else {
        p->source = SOURCE_BASE64;
        p->data = tree_get_str(source, "bytes");
    }
}

static void read_media(struct converse_reading *r, struct parts *list, yyjson_val *v, enum part_kind kind)
{
    struct part *p = part_add(list, r->arena, kind);
    struct str format = tree_get_str(v, "format");
    const char *type = converse_media_type(format);
    p->media_type = kind == PART_AUDIO ? format : str_of(type);
    p->title = tree_get_str(v, "name");
    p->has_citations = tree_get_bool(tree_get(v, "citations"), "enabled") == 1;
    read_source(r, p, tree_get(v, "source"));
    if (tree_get_str(v, "context").n > 0) chat_hint(r->chat, r->arena, STR("document.context"));
    /* Text in base64 is text: others take it only so. */
    if (kind != PART_DOCUMENT || p->source != SOURCE_BASE64 || !str_starts(p->media_type, STR("text/"))) return;
    struct buf text = {0};
    if (base64_decode(p->data, &text)) {
        p->source = SOURCE_TEXT;
        p->media_type = STR("text/plain");
        p->data = arena_copy(r->arena, buf_view(&text));
    }
    buf_fini(&text);
}

/* ---- Blocks ---- */

static void read_reasoning(struct converse_reading *r, struct parts *list, yyjson_val *v)
{
    yyjson_val *text = tree_get(v, "reasoningText");
    struct str redacted = tree_get_str(v, "redactedContent");
    struct part *p = part_add(list, r->arena, PART_REASONING);
    if (redacted.n > 0) {
        p->signature = converse_carry(r->arena, redacted, true);
        p->foreign = true;
        return;
    }
    p->text = tree_get_str(text, "text");
    converse_uncarry(r->arena, tree_get_str(text, "signature"), p);
}

static void read_call(struct converse_reading *r, struct parts *list, yyjson_val *v)
{
    yyjson_val *input = tree_get(v, "input");
    if (str_is(tree_get_str(v, "type"), "server_tool_use")) { /* ran at Bedrock */
        part_add(list, r->arena, PART_OTHER)->name = STR("server_tool_use");
        return;
    }
    struct part *p = part_add(list, r->arena, PART_TOOL_CALL);
    p->id = tree_get_str(v, "toolUseId");
    p->name = tree_get_str(v, "name");
    p->arguments = input == NULL ? STR("{}") : tree_text(input, r->arena);
}

static enum weir_err read_blocks(struct converse_reading *r, struct parts *list, yyjson_val *content, unsigned index);

static enum weir_err read_result(struct converse_reading *r, struct parts *list, yyjson_val *v, unsigned index)
{
    if (tree_get_str(v, "type").n > 0) { /* of a tool that ran at Bedrock */
        part_add(list, r->arena, PART_OTHER)->name = STR("server_tool_result");
        return WEIR_OK;
    }
    struct part *p = part_add(list, r->arena, PART_TOOL_RESULT);
    p->id = tree_get_str(v, "toolUseId");
    p->is_error = str_is(tree_get_str(v, "status"), "error");
    return read_blocks(r, &p->content, tree_get(v, "content"), index);
}

/* A search result has no like elsewhere: it becomes text that says what it is. */
static void read_search_result(struct converse_reading *r, struct parts *list, yyjson_val *v)
{
    struct str text = inner_text(r, tree_get(v, "content"));
    part_add(list, r->arena, PART_TEXT)->text =
        arena_printf(r->arena, "%.*s\n%.*s\n\n%.*s", STR_FMT(tree_get_str(v, "title")),
                     STR_FMT(tree_get_str(v, "source")), STR_FMT(text));
}

static void read_guarded(struct converse_reading *r, struct parts *list, yyjson_val *v)
{
    yyjson_val *image = tree_get(v, "image");
    chat_hint(r->chat, r->arena, STR("guardContent"));
    if (image != NULL)
        read_media(r, list, image, PART_IMAGE);
    else
        part_add(list, r->arena, PART_TEXT)->text = tree_get_str(tree_get(v, "text"), "text");
}

static void read_cited(struct converse_reading *r, struct parts *list, yyjson_val *v)
{
    struct part *p = part_add(list, r->arena, PART_TEXT);
    p->text = converse_cited_text(tree_get(v, "content"), r->arena);
    p->has_citations = true;
    if (r->assistant) converse_read_citations(tree_get(v, "citations"), r->arena, &p->citations);
}

static void read_cache_point(struct converse_reading *r, struct parts *list, yyjson_val *v)
{
    if (list->last != NULL)
        list->last->cache = converse_reading_cache(v);
    else
        chat_hint(r->chat, r->arena, STR("cachePoint"));
}

static enum weir_err read_block(struct converse_reading *r, struct parts *list, yyjson_val *block, unsigned index)
{
    size_t i, n;
    yyjson_val *key, *v;
    yyjson_obj_foreach(block, i, n, key, v)
    {
        struct str kind = tree_str(key);
        if (yyjson_is_null(v)) continue;
        if (str_is(kind, "text"))
            part_add(list, r->arena, PART_TEXT)->text = tree_str(v);
        else if (str_is(kind, "json"))
            part_add(list, r->arena, PART_TEXT)->text = tree_text(v, r->arena);
        else if (str_is(kind, "image"))
            read_media(r, list, v, PART_IMAGE);
        else if (str_is(kind, "document"))
            read_media(r, list, v, PART_DOCUMENT);
        else if (str_is(kind, "audio"))
            read_media(r, list, v, PART_AUDIO);
        else if (str_is(kind, "toolUse"))
            read_call(r, list, v);
        else if (str_is(kind, "toolResult"))
            return read_result(r, list, v, index);
        else if (str_is(kind, "reasoningContent"))
            read_reasoning(r, list, v);
        else if (str_is(kind, "cachePoint"))
            read_cache_point(r, list, v);
        else if (str_is(kind, "guardContent"))
            read_guarded(r, list, v);
        else if (str_is(kind, "searchResult"))
            read_search_result(r, list, v);
        else if (str_is(kind, "citationsContent"))
            read_cited(r, list, v);
        else if (!str_is(kind, "SDK_UNKNOWN_MEMBER"))
            part_add(list, r->arena, PART_OTHER)->name = kind;
        return WEIR_OK;
    }
    return bad(r, index, ".content: a block has no member");
}

/* The depth of nesting is two (a result inside a message): a result inside a result is read as well and costs depth,
 * which the JSON's own limit bounds. */
static enum weir_err read_blocks(struct converse_reading *r, struct parts *list, yyjson_val *content, unsigned index)
{
    size_t i, n;
    yyjson_val *block;
    if (content != NULL && !yyjson_is_arr(content)) return bad(r, index, ".content must be an array of blocks");
    if (yyjson_arr_size(content) > PARTS_MOST) return bad(r, index, " has too many blocks");
    yyjson_arr_foreach(content, i, n, block)
    {
        enum weir_err e = read_block(r, list, block, index);
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}

static struct message *add_message(struct converse_reading *r, enum role role, unsigned index)
{
    struct message *m = arena_zalloc(r->arena, sizeof *m);
    m->role = role;
    m->index = index;
    *r->messages_end = m;
    r->messages_end = &m->next;
    return m;
}

enum weir_err converse_reading_system(struct converse_reading *r, yyjson_val *v)
{
    if (yyjson_arr_size(v) == 0 && (v == NULL || yyjson_is_arr(v))) return WEIR_OK;
    struct message *m = add_message(r, ROLE_SYSTEM, 0);
    if (read_blocks(r, &m->parts, v, 0) == WEIR_OK) return WEIR_OK;
    *r->ret_why = STR("system must be an array of text blocks");
    return WEIR_BAD_REQUEST;
}

enum weir_err converse_reading_messages(struct converse_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *message;
    if (!yyjson_is_arr(v) || yyjson_arr_size(v) == 0) {
        *r->ret_why = STR("messages must be an array that is not empty");
        return WEIR_BAD_REQUEST;
    }
    yyjson_arr_foreach(v, i, n, message)
    {
        struct str word = tree_get_str(message, "role");
        enum role role = str_is(word, "user") ? ROLE_USER : str_is(word, "assistant") ? ROLE_ASSISTANT : ROLE_SYSTEM;
        if (role == ROLE_SYSTEM && !str_is(word, "system"))
            return bad(r, (unsigned)i, ".role must be user, assistant or system");
        struct message *m = add_message(r, role, (unsigned)i);
        r->assistant = role == ROLE_ASSISTANT;
        enum weir_err e = read_blocks(r, &m->parts, tree_get(message, "content"), (unsigned)i);
        if (e == WEIR_OK) e = chat_check_size(r->chat, r->arena, r->ret_why);
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}
