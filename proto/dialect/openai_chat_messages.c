/* The messages of a chat completions request into the hub. `tool` messages become result parts of one user message. */
#include "proto/dialect/openai_chat_messages.h"

#include "proto/dialect/custom_tool.h"
#include "proto/dialect/mark.h"
#include "proto/dialect/openai_chat.h"
#include "proto/dialect/tree.h"

static enum weir_err bad(struct openai_reading *r, unsigned index, const char *text)
{
    *r->ret_why = arena_printf(r->arena, "messages[%u]%s", index, text);
    return WEIR_BAD_REQUEST;
}

static struct part *add_text(struct openai_reading *r, struct parts *list, enum part_kind kind, struct str text)
{
    struct part *p = part_add(list, r->arena, kind);
    p->text = text;
    return p;
}

static void lose(struct openai_reading *r, const char *what)
{
    chat_hint(r->chat, r->arena, str_of(what));
}

/* ---- Parts ---- */

static void read_image(struct openai_reading *r, struct parts *list, yyjson_val *part)
{
    yyjson_val *image = tree_get(part, "image_url");
    struct str detail = tree_get_str(image, "detail");
    struct part *p = part_add(list, r->arena, PART_IMAGE);
    struct str url = yyjson_is_str(image) ? tree_str(image) : tree_get_str(image, "url");
    p->source = data_url_split(url, &p->media_type, &p->data) ? SOURCE_BASE64 : SOURCE_URL;
    if (p->source == SOURCE_URL) p->data = url;
    p->has_detail = detail.n > 0 && !str_is(detail, "auto");
    p->detail = detail;
}

static void read_audio(struct openai_reading *r, struct parts *list, yyjson_val *part)
{
    yyjson_val *audio = tree_get(part, "input_audio");
    struct part *p = part_add(list, r->arena, PART_AUDIO);
    p->source = SOURCE_BASE64;
    p->media_type = tree_get_str(audio, "format");
    p->data = tree_get_str(audio, "data");
}

static void read_file(struct openai_reading *r, struct parts *list, yyjson_val *part)
{
    yyjson_val *file = tree_get(part, "file");
    struct str data = tree_get_str(file, "file_data");
    struct part *p = part_add(list, r->arena, PART_DOCUMENT);
    p->title = tree_get_str(file, "filename");
    p->source = SOURCE_FILE;
    p->data = tree_get_str(file, "file_id");
    if (data.n == 0) return;
    p->source = SOURCE_BASE64;
    if (data_url_split(data, &p->media_type, &p->data)) return;
    p->source = str_starts(data, STR("http")) ? SOURCE_URL : SOURCE_BASE64;
    p->media_type = STR("application/pdf"); /* bare base64, as some clients send it */
    p->data = data;
}

static void read_part(struct openai_reading *r, struct parts *list, yyjson_val *part, unsigned message, size_t index)
{
    struct str type = tree_get_str(part, "type");
    unsigned before = list->n;
    if (str_is(type, "text"))
        add_text(r, list, PART_TEXT, tree_get_str(part, "text"));
    else if (str_is(type, "refusal"))
        add_text(r, list, PART_REFUSAL, tree_get_str(part, "refusal"));
    else if (str_is(type, "image_url"))
        read_image(r, list, part);
    else if (str_is(type, "input_audio"))
        read_audio(r, list, part);
    else if (str_is(type, "file"))
        read_file(r, list, part);
    else if (str_is(type, "thinking") || str_is(type, "reference")) /* Mistral's, in an assistant message */
        lose(r, "thinking");
    else
        openai_reading_demand(
            r, arena_printf(r->arena, "messages[%u].content[%zu] of type %.*s", message, index, STR_FMT(type)));
    if (list->n > before) list->last->cache = openai_reading_cache(part);
}

static enum weir_err read_content(struct openai_reading *r, struct parts *list, yyjson_val *content, unsigned index)
{
    size_t i, n;
    yyjson_val *part;
    if (yyjson_is_str(content)) {
        add_text(r, list, PART_TEXT, tree_str(content));
        return WEIR_OK;
    }
    if (content != NULL && !yyjson_is_arr(content))
        return bad(r, index, ".content must be a text or an array of parts");
    if (yyjson_arr_size(content) > PARTS_MOST) return bad(r, index, " has too many parts");
    yyjson_arr_foreach(content, i, n, part) read_part(r, list, part, index, i);
    return WEIR_OK;
}

/* ---- The assistant's own ---- */

static bool is_anthropic_detail(yyjson_val *detail)
{
    return str_is(tree_get_str(detail, "format"), "anthropic-claude-v1") || str_is(tree_get_str(detail, "id"), MARK);
}

static void sign(struct part *p, struct str signature)
{
    p->signature = signature;
    p->foreign = str_starts(signature, STR(MARK)); /* of another maker than Anthropic, behind its mark */
}

static void read_detail(struct openai_reading *r, struct parts *list, yyjson_val *detail)
{
    struct str type = tree_get_str(detail, "type"), signature = tree_get_str(detail, "signature");
    if (!is_anthropic_detail(detail)) return;
    if (str_is(type, "reasoning.text") && signature.n > 0)
        sign(add_text(r, list, PART_REASONING, tree_get_str(detail, "text")), signature);
    else if (str_is(type, "reasoning.encrypted"))
        add_text(r, list, PART_REDACTED, STR_NULL)->signature = tree_get_str(detail, "data");
}

static void read_thinking_block(struct openai_reading *r, struct parts *list, yyjson_val *block)
{
    struct str type = tree_get_str(block, "type"), signature = tree_get_str(block, "signature");
    if (str_is(type, "thinking") && signature.n > 0)
        sign(add_text(r, list, PART_REASONING, tree_get_str(block, "thinking")), signature);
    else if (str_is(type, "redacted_thinking"))
        add_text(r, list, PART_REDACTED, STR_NULL)->signature = tree_get_str(block, "data");
}

/* What clients echo of an earlier answer's reasoning: signed pieces go back to who made them, bare text is kept apart. */
static void read_reasoning(struct openai_reading *r, struct parts *list, yyjson_val *message)
{
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(tree_get(message, "reasoning_details"), i, n, v) read_detail(r, list, v);
    if (list->n == 0) yyjson_arr_foreach(tree_get(message, "thinking_blocks"), i, n, v) read_thinking_block(r, list, v);
    struct str text = openai_chat_reasoning_text(message, r->arena);
    if (list->n == 0 && text.n > 0) add_text(r, list, PART_REASONING, text)->foreign = true;
}

static void read_calls(struct openai_reading *r, struct parts *list, yyjson_val *message, unsigned index)
{
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(tree_get(message, "tool_calls"), i, n, v)
    {
        yyjson_val *f = tree_get(v, "function"), *arguments = tree_get(f, "arguments"), *custom = tree_get(v, "custom");
        if (!yyjson_is_obj(f) && !yyjson_is_obj(custom)) {
            openai_reading_demand(r,
                                  arena_printf(r->arena, "messages[%u].tool_calls[%zu] that is no function", index, i));
            continue;
        }
        struct part *p = part_add(list, r->arena, PART_TOOL_CALL);
        p->id = tree_get_str(v, "id");
        if (yyjson_is_obj(custom)) {
            p->name = tree_get_str(custom, "name");
            custom_call_read(p, tree_get_str(custom, "input"), r->arena);
            continue;
        }
        p->name = tree_get_str(f, "name");
        p->arguments = yyjson_is_obj(arguments) ? tree_text(arguments, r->arena) : tree_str(arguments);
    }
}

/* A call of the first form has no id: one is made of where it stands. */
static void read_old_call(struct openai_reading *r, struct parts *list, yyjson_val *call, unsigned index)
{
    if (!yyjson_is_obj(call)) return;
    struct part *p = part_add(list, r->arena, PART_TOOL_CALL);
    p->id = r->old_call = arena_printf(r->arena, "call_of_%u", index);
    p->name = tree_get_str(call, "name");
    p->arguments = tree_get_str(call, "arguments");
}

static enum weir_err read_assistant(struct openai_reading *r, struct message *m, yyjson_val *message)
{
    read_reasoning(r, &m->parts, message);
    enum weir_err e = read_content(r, &m->parts, tree_get(message, "content"), m->index);
    struct str refusal = tree_get_str(message, "refusal");
    if (e != WEIR_OK) return e;
    if (refusal.n > 0) add_text(r, &m->parts, PART_REFUSAL, refusal);
    if (yyjson_arr_size(tree_get(message, "tool_calls")) > PARTS_MOST)
        return bad(r, m->index, " has too many tool_calls");
    read_calls(r, &m->parts, message, m->index);
    if (tree_get(message, "audio") != NULL)
        openai_reading_demand(r, arena_printf(r->arena, "messages[%u].audio", m->index));
    read_old_call(r, &m->parts, tree_get(message, "function_call"), m->index);
    return WEIR_OK;
}

/* ---- Messages ---- */

static struct message *add_message(struct openai_reading *r, enum role role, unsigned index)
{
    struct message *m = arena_zalloc(r->arena, sizeof *m);
    m->role = role;
    m->index = index;
    *r->messages_end = m;
    r->messages_end = &m->next;
    r->last = m;
    r->last_is_results = false;
    return m;
}

static enum weir_err read_result(struct openai_reading *r, yyjson_val *message, unsigned index)
{
    bool old = str_is(tree_get_str(message, "role"), "function"); /* it answers the last call */
    struct str id = old ? r->old_call : tree_get_str(message, "tool_call_id");
    if (old && id.n == 0) return bad(r, index, ": a function message must follow a function_call");
    if (id.n == 0) return bad(r, index, ".tool_call_id is missing");
    if (!r->last_is_results) add_message(r, ROLE_USER, index);
    r->last_is_results = true;
    if (r->last->parts.n == PARTS_MOST) return bad(r, index, ": too many tool messages in a row");
    struct part *p = part_add(&r->last->parts, r->arena, PART_TOOL_RESULT);
    p->id = id;
    p->cache = openai_reading_cache(message);
    return read_content(r, &p->content, tree_get(message, "content"), index);
}

static enum weir_err read_message(struct openai_reading *r, yyjson_val *message, unsigned index)
{
    struct str role = tree_get_str(message, "role");
    if (!yyjson_is_obj(message)) return bad(r, index, " must be an object");
    if (tree_get_str(message, "name").n > 0 && !str_is(role, "function")) lose(r, "messages.name");
    if (str_is(role, "tool") || str_is(role, "function")) return read_result(r, message, index);
    if (str_is(role, "assistant")) return read_assistant(r, add_message(r, ROLE_ASSISTANT, index), message);
    if (str_is(role, "system") || str_is(role, "developer") || str_is(role, "user")) {
        struct message *m = add_message(r, str_is(role, "user") ? ROLE_USER : ROLE_SYSTEM, index);
        enum weir_err e = read_content(r, &m->parts, tree_get(message, "content"), index);
        if (openai_reading_cache(message) != CACHE_NONE && m->parts.n > 0)
            m->parts.last->cache = openai_reading_cache(message);
        return e;
    }
    return bad(r, index, ".role must be system, developer, user, assistant or tool");
}

enum weir_err openai_reading_messages(struct openai_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *message;
    if (!yyjson_is_arr(v) || yyjson_arr_size(v) == 0) {
        *r->ret_why = STR("messages must be an array that is not empty");
        return WEIR_BAD_REQUEST;
    }
    r->messages_end = &r->chat->messages;
    yyjson_arr_foreach(v, i, n, message)
    {
        enum weir_err e = read_message(r, message, (unsigned)i);
        if (e == WEIR_OK) e = chat_check_size(r->chat, r->arena, r->ret_why);
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}
