/* System and messages of a Messages request into the hub, block by block. */
#include "proto/dialect/anthropic_blocks.h"

#include "proto/dialect/anthropic.h"
#include "proto/dialect/mark.h"
#include "proto/dialect/tree.h"

/* Where a block stands, for texts: "messages[3].content[1]". */
struct place {
    struct parts *list;
    unsigned message;
    size_t block;
};

static enum weir_err bad(struct anthropic_reading *r, unsigned index, const char *text)
{
    *r->ret_why = arena_printf(r->arena, "messages[%u]%s", index, text);
    return WEIR_BAD_REQUEST;
}

static struct part *add(struct anthropic_reading *r, const struct place *at, enum part_kind kind)
{
    return part_add(at->list, r->arena, kind);
}

static void read_text(struct anthropic_reading *r, const struct place *at, yyjson_val *block)
{
    struct part *p = add(r, at, PART_TEXT);
    p->text = tree_get_str(block, "text");
    p->has_citations = yyjson_arr_size(tree_get(block, "citations")) > 0;
    if (r->assistant) anthropic_read_citations(tree_get(block, "citations"), r->arena, &p->citations);
}

static enum part_source source_of(yyjson_val *source, struct part *p)
{
    struct str type = tree_get_str(source, "type");
    p->media_type = tree_get_str(source, "media_type");
    p->data = tree_get_str(source, "data");
    if (str_is(type, "base64")) return SOURCE_BASE64;
    if (str_is(type, "text")) return SOURCE_TEXT;
    if (str_is(type, "url")) {
        p->data = tree_get_str(source, "url");
        return SOURCE_URL;
    }
    if (str_is(type, "file")) {
        p->data = tree_get_str(source, "file_id");
        return SOURCE_FILE;
    }
    return SOURCE_NONE;
}

/* A document made of blocks is read as its text; pictures in it are told as lost. */
static void read_inner_text(struct anthropic_reading *r, struct part *p, yyjson_val *content)
{
    size_t i, n;
    yyjson_val *block;
    struct parts texts = {0};
    if (yyjson_is_str(content)) part_add(&texts, r->arena, PART_TEXT)->text = tree_str(content);
    yyjson_arr_foreach(content, i, n, block)
    {
        if (str_is(tree_get_str(block, "type"), "text"))
            part_add(&texts, r->arena, PART_TEXT)->text = tree_get_str(block, "text");
        else
            chat_hint(r->chat, r->arena, STR("document.content"));
    }
    p->source = SOURCE_TEXT;
    p->media_type = STR("text/plain");
    p->data = parts_join_text(&texts, r->arena);
}

static void read_media(struct anthropic_reading *r, const struct place *at, yyjson_val *block, enum part_kind kind)
{
    yyjson_val *source = tree_get(block, "source");
    struct part *p = add(r, at, kind);
    p->source = source_of(source, p);
    p->title = tree_get_str(block, "title");
    p->has_citations = tree_get_bool(tree_get(block, "citations"), "enabled") == 1;
    if (str_is(tree_get_str(source, "type"), "content")) read_inner_text(r, p, tree_get(source, "content"));
    if (tree_get_str(block, "context").n > 0) chat_hint(r->chat, r->arena, STR("document.context"));
}

/* A search result has no like elsewhere: it becomes text that says what it is. */
static void read_search_result(struct anthropic_reading *r, const struct place *at, yyjson_val *block)
{
    struct part *p = add(r, at, PART_TEXT), inner = {0};
    read_inner_text(r, &inner, tree_get(block, "content"));
    p->text = arena_printf(r->arena, "%.*s\n%.*s\n\n%.*s", STR_FMT(tree_get_str(block, "title")),
                           STR_FMT(tree_get_str(block, "source")), STR_FMT(inner.data));
}

static void read_call(struct anthropic_reading *r, const struct place *at, yyjson_val *block)
{
    yyjson_val *input = tree_get(block, "input");
    struct part *p = add(r, at, PART_TOOL_CALL);
    p->id = tree_get_str(block, "id");
    p->name = tree_get_str(block, "name");
    p->arguments = input == NULL ? STR("{}") : tree_text(input, r->arena);
}

static void read_thinking(struct anthropic_reading *r, const struct place *at, yyjson_val *block, bool redacted)
{
    struct part *p = add(r, at, redacted ? PART_REDACTED : PART_REASONING);
    p->text = tree_get_str(block, "thinking");
    p->signature = tree_get_str(block, redacted ? "data" : "signature");
    p->foreign = str_starts(p->signature, STR(MARK));
}

static enum weir_err read_blocks(struct anthropic_reading *r, struct parts *list, yyjson_val *content, unsigned index);

static enum weir_err read_result(struct anthropic_reading *r, const struct place *at, yyjson_val *block)
{
    struct part *p = add(r, at, PART_TOOL_RESULT);
    p->id = tree_get_str(block, "tool_use_id");
    p->is_error = tree_get_bool(block, "is_error") == 1;
    return read_blocks(r, &p->content, tree_get(block, "content"), at->message);
}

static enum weir_err read_block(struct anthropic_reading *r, const struct place *at, yyjson_val *block)
{
    struct str type = tree_get_str(block, "type");
    unsigned before = at->list->n;
    enum weir_err e = WEIR_OK;
    if (str_is(type, "text"))
        read_text(r, at, block);
    else if (str_is(type, "image"))
        read_media(r, at, block, PART_IMAGE);
    else if (str_is(type, "document"))
        read_media(r, at, block, PART_DOCUMENT);
    else if (str_is(type, "tool_use"))
        read_call(r, at, block);
    else if (str_is(type, "tool_result"))
        e = read_result(r, at, block);
    else if (str_is(type, "thinking"))
        read_thinking(r, at, block, false);
    else if (str_is(type, "redacted_thinking"))
        read_thinking(r, at, block, true);
    else if (str_is(type, "search_result"))
        read_search_result(r, at, block);
    else if (type.n == 0)
        return bad(r, at->message, ".content: a block has no type");
    else
        add(r, at, PART_OTHER)->name = type;
    if (at->list->n > before) at->list->last->cache = anthropic_reading_cache(block);
    return e;
}

/* The depth of nesting is two (a result inside a message): a result inside a result is read as well and costs depth,
 * which the JSON's own limit bounds. */
static enum weir_err read_blocks(struct anthropic_reading *r, struct parts *list, yyjson_val *content, unsigned index)
{
    size_t i, n;
    yyjson_val *block;
    if (yyjson_is_str(content)) {
        part_add(list, r->arena, PART_TEXT)->text = tree_str(content);
        return WEIR_OK;
    }
    if (content != NULL && !yyjson_is_arr(content))
        return bad(r, index, ".content must be a text or an array of blocks");
    if (yyjson_arr_size(content) > PARTS_MOST) return bad(r, index, " has too many blocks");
    yyjson_arr_foreach(content, i, n, block)
    {
        const struct place at = {list, index, i};
        enum weir_err e = read_block(r, &at, block);
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}

static struct message *add_message(struct anthropic_reading *r, enum role role, unsigned index)
{
    struct message *m = arena_zalloc(r->arena, sizeof *m);
    m->role = role;
    m->index = index;
    *r->messages_end = m;
    r->messages_end = &m->next;
    return m;
}

enum weir_err anthropic_reading_system(struct anthropic_reading *r, yyjson_val *v)
{
    if (v == NULL) return WEIR_OK;
    struct message *m = add_message(r, ROLE_SYSTEM, 0);
    if (read_blocks(r, &m->parts, v, 0) == WEIR_OK) return WEIR_OK;
    *r->ret_why = STR("system must be a text or an array of text blocks");
    return WEIR_BAD_REQUEST;
}

enum weir_err anthropic_reading_messages(struct anthropic_reading *r, yyjson_val *v)
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
