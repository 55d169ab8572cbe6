/* An Ollama chat into the hub. Calls have no ids of their own there: each gets one, and a result belongs to the call that it names, else to
 * the first one without a result. */
#include "proto/dialect/ollama.h"

#include "proto/dialect/function_tools.h"
#include "proto/dialect/tree.h"

enum { PENDING_MOST = 64 };

struct reading {
    struct arena *arena;
    struct chat *chat;
    struct str *ret_why;
    struct part *pending[PENDING_MOST]; /* calls without a result so far */
    unsigned pending_n, calls;
};

static enum weir_err bad(struct reading *r, const char *text)
{
    *r->ret_why = str_of(text);
    return WEIR_BAD_REQUEST;
}

static enum weir_err bad_message(struct reading *r, unsigned index, const char *text)
{
    *r->ret_why = arena_printf(r->arena, "messages[%u]%s", index, text);
    return WEIR_BAD_REQUEST;
}

/* ---- Messages ---- */

/* A picture comes as bare base64: its first bytes tell what it is. */
static struct str image_type(struct str data)
{
    return str_starts(data, STR("/9j/"))   ? STR("image/jpeg")
           : str_starts(data, STR("R0lG")) ? STR("image/gif")
           : str_starts(data, STR("UklG")) ? STR("image/webp")
                                           : STR("image/png");
}

static enum weir_err read_images(struct reading *r, struct parts *list, yyjson_val *images, unsigned index)
{
    size_t i, n;
    yyjson_val *v;
    if (yyjson_arr_size(images) > PARTS_MOST) return bad_message(r, index, ".images has too many entries");
    yyjson_arr_foreach(images, i, n, v)
    {
        struct part *p = part_add(list, r->arena, PART_IMAGE);
        p->source = SOURCE_BASE64;
        p->data = tree_str(v);
        p->media_type = image_type(p->data);
        if (p->data.n == 0) return bad_message(r, index, ".images must hold base64 texts");
    }
    return WEIR_OK;
}

static enum weir_err read_calls(struct reading *r, struct parts *list, yyjson_val *calls, unsigned index)
{
    size_t i, n;
    yyjson_val *v;
    r->pending_n = 0;
    if (yyjson_arr_size(calls) > PARTS_MOST) return bad_message(r, index, ".tool_calls has too many entries");
    yyjson_arr_foreach(calls, i, n, v)
    {
        yyjson_val *function = tree_get(v, "function"), *arguments = tree_get(function, "arguments");
        struct part *p = part_add(list, r->arena, PART_TOOL_CALL);
        p->id = tree_get_str(v, "id");
        if (p->id.n == 0) p->id = arena_printf(r->arena, "call_%u", ++r->calls);
        p->name = tree_get_str(function, "name");
        p->arguments = yyjson_is_str(arguments) ? tree_str(arguments) : tree_text(arguments, r->arena);
        if (p->name.n == 0) return bad_message(r, index, ".tool_calls: a call has no function.name");
        if (r->pending_n < PENDING_MOST) r->pending[r->pending_n++] = p;
    }
    return WEIR_OK;
}

static struct str call_of(struct reading *r, yyjson_val *message)
{
    struct str id = tree_get_str(message, "tool_call_id"), name = tree_get_str(message, "tool_name");
    unsigned at = 0;
    if (name.n == 0) name = tree_get_str(message, "name");
    if (id.n > 0) return id;
    while (at < r->pending_n && name.n > 0 && !str_eq(r->pending[at]->name, name)) at++;
    if (at == r->pending_n) at = 0;
    if (at == r->pending_n)
        return arena_printf(r->arena, "call_%u", ++r->calls); /* of no call: turns.c makes text of it */
    id = r->pending[at]->id;
    for (r->pending_n--; at < r->pending_n; at++) r->pending[at] = r->pending[at + 1];
    return id;
}

static enum weir_err read_message(struct reading *r, yyjson_val *v, struct message *m)
{
    struct str role = tree_get_str(v, "role"), text = tree_get_str(v, "content"), thought = tree_get_str(v, "thinking");
    struct parts *to = &m->parts;
    if (!yyjson_is_obj(v)) return bad_message(r, m->index, " must be an object");
    if (tree_get(v, "content") != NULL && !yyjson_is_str(tree_get(v, "content")))
        return bad_message(r, m->index, ".content must be a text");
    m->role = str_is(role, "assistant") ? ROLE_ASSISTANT : str_is(role, "system") ? ROLE_SYSTEM : ROLE_USER;
    if (str_is(role, "tool")) {
        struct part *result = part_add(to, r->arena, PART_TOOL_RESULT);
        result->id = call_of(r, v);
        to = &result->content;
    } else if (m->role == ROLE_USER && !str_is(role, "user")) {
        return bad_message(r, m->index, ".role must be system, user, assistant or tool");
    }
    if (thought.n > 0 && m->role == ROLE_ASSISTANT) {
        struct part *p = part_add(to, r->arena, PART_REASONING);
        p->text = thought;
        p->foreign = true;
    }
    if (text.n > 0) part_add(to, r->arena, PART_TEXT)->text = text;
    enum weir_err e = read_images(r, to, tree_get(v, "images"), m->index);
    if (e == WEIR_OK && m->role == ROLE_ASSISTANT) e = read_calls(r, to, tree_get(v, "tool_calls"), m->index);
    return e;
}

static enum weir_err read_messages(struct reading *r, yyjson_val *messages)
{
    size_t i, n;
    yyjson_val *v;
    struct message **end = &r->chat->messages;
    if (!yyjson_is_arr(messages)) return bad(r, "messages must be an array");
    yyjson_arr_foreach(messages, i, n, v)
    {
        struct message *m = *end = arena_zalloc(r->arena, sizeof *m);
        m->index = (unsigned)i;
        end = &m->next;
        enum weir_err e = read_message(r, v, m);
        if (e == WEIR_OK) e = chat_check_size(r->chat, r->arena, r->ret_why);
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}

/* ---- The rest ---- */

static enum weir_err read_stop(struct reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *word;
    if (yyjson_arr_size(v) > TOOLS_MOST) return bad(r, "options.stop has too many entries");
    if (yyjson_is_str(v)) name_add(&r->chat->stop, r->arena, tree_str(v));
    yyjson_arr_foreach(v, i, n, word) name_add(&r->chat->stop, r->arena, tree_str(word));
    return WEIR_OK;
}

static enum weir_err read_options(struct reading *r, yyjson_val *options)
{
    size_t i, n;
    yyjson_val *key, *v;
    enum weir_err e = WEIR_OK;
    int64_t limit;
    yyjson_obj_foreach(options, i, n, key, v)
    {
        struct str name = tree_str(key);
        if (str_is(name, "temperature")) {
            r->chat->temperature = tree_num(v);
        } else if (str_is(name, "top_p")) {
            r->chat->top_p = tree_num(v);
        } else if (str_is(name, "top_k")) {
            r->chat->top_k = tree_num(v);
        } else if (str_is(name, "num_predict")) {
            if (!tree_i64(v, &limit)) return bad(r, "options.num_predict must be a whole number");
            if (limit >= 0) r->chat->max_output = limit; /* -1, -2: as long as it likes */
        } else if (str_is(name, "stop")) {
            e = read_stop(r, v);
        } else if (!yyjson_is_null(v)) {
            chat_hint(r->chat, r->arena, arena_printf(r->arena, "options.%.*s", STR_FMT(name)));
        }
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}

static void read_format(struct reading *r, yyjson_val *v)
{
    struct chat *c = r->chat;
    if (str_is(tree_str(v), "json")) {
        c->format = FORMAT_JSON_OBJECT;
    } else if (yyjson_is_obj(v)) {
        c->format = FORMAT_JSON_SCHEMA;
        c->schema = tree_text(v, r->arena);
    }
}

static void read_think(struct reading *r, yyjson_val *v)
{
    enum effort e = effort_of_word(tree_str(v));
    if (yyjson_is_false(v)) r->chat->thinking = THINKING_OFF;
    if (yyjson_is_true(v)) r->chat->thinking = THINKING_ADAPTIVE;
    if (e != EFFORT_UNSET) r->chat->effort = e;
    if (yyjson_is_true(v) || e != EFFORT_UNSET) r->chat->thinking_shown = 1;
}

static enum weir_err read_member(struct reading *r, struct str name, yyjson_val *v)
{
    static const char *const ignored[] = {"model", "messages", "keep_alive"};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        if (str_is(name, ignored[i])) return WEIR_OK;
    if (yyjson_is_null(v)) return WEIR_OK;
    if (str_is(name, "tools")) return function_tools_read(v, r->chat, r->arena, r->ret_why);
    if (str_is(name, "options")) return read_options(r, v);
    if (str_is(name, "stream"))
        r->chat->stream = !yyjson_is_false(v);
    else if (str_is(name, "format"))
        read_format(r, v);
    else if (str_is(name, "think"))
        read_think(r, v);
    else
        chat_hint(r->chat, r->arena, name);
    return WEIR_OK;
}

enum weir_err ollama_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why)
{
    yyjson_val *root, *key, *value;
    size_t i, n;
    enum weir_err e = tree_read(json, a, &root, ret_why);
    if (e != WEIR_OK) return e;
    struct chat *chat = chat_new(a);
    struct reading r = {.arena = a, .chat = chat, .ret_why = ret_why};
    if (!yyjson_is_obj(root)) return bad(&r, "the body must be a JSON object");
    chat->stream = true; /* unless it says no */
    e = read_messages(&r, tree_get(root, "messages"));
    yyjson_obj_foreach(root, i, n, key, value)
    {
        if (e == WEIR_OK) e = read_member(&r, tree_str(key), value);
        if (e == WEIR_OK) e = chat_check_size(chat, a, ret_why);
    }
    *ret_chat = chat;
    return e;
}
