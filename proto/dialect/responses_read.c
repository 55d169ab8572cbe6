/* A Responses request into the hub. Every member of the top level is one row of a table; items become messages, which turns.c
 * merges. What needs a provider's store (previous_response_id, conversation, background …) or a hosted tool is a demand: refused
 * by name. */
#include "proto/dialect/responses.h"

#include "proto/dialect/custom_tool.h"
#include "proto/dialect/tree.h"

struct reading {
    struct arena *arena;
    struct chat *chat;
    struct str *ret_why;
    struct str member;
    struct tool **tools_end;
    struct message **messages_end;
};

static enum weir_err bad(struct reading *r, const char *text)
{
    *r->ret_why = str_of(text);
    return WEIR_BAD_REQUEST;
}

static enum weir_err bad_item(struct reading *r, unsigned index, const char *text)
{
    *r->ret_why = arena_printf(r->arena, "input[%u]%s", index, text);
    return WEIR_BAD_REQUEST;
}

static void demand(struct reading *r, struct str what)
{
    if (r->chat->demands.n < HINTS_MOST) name_add(&r->chat->demands, r->arena, what);
}

static void lose(struct reading *r, const char *what)
{
    chat_hint(r->chat, r->arena, str_of(what));
}

static enum cache_mark cache_of(yyjson_val *holder)
{
    yyjson_val *mark = tree_get(holder, "prompt_cache_breakpoint");
    if (!yyjson_is_obj(mark)) return CACHE_NONE;
    return str_is(tree_get_str(mark, "ttl"), "12h") ? CACHE_LONG : CACHE_SHORT;
}

/* ---- Content parts ---- */

static void read_image(struct reading *r, struct parts *list, yyjson_val *v)
{
    struct str url = tree_get_str(v, "image_url"), detail = tree_get_str(v, "detail");
    struct part *p = part_add(list, r->arena, PART_IMAGE);
    p->source = SOURCE_FILE;
    p->data = tree_get_str(v, "file_id");
    p->has_detail = detail.n > 0 && !str_is(detail, "auto");
    p->detail = detail;
    if (url.n == 0) return;
    p->source = data_url_split(url, &p->media_type, &p->data) ? SOURCE_BASE64 : SOURCE_URL;
    if (p->source == SOURCE_URL) p->data = url;
}

static void read_file(struct reading *r, struct parts *list, yyjson_val *v)
{
    struct str data = tree_get_str(v, "file_data"), url = tree_get_str(v, "file_url");
    struct part *p = part_add(list, r->arena, PART_DOCUMENT);
    p->title = tree_get_str(v, "filename");
    p->source = SOURCE_FILE;
    p->data = tree_get_str(v, "file_id");
    if (url.n > 0) {
        p->source = SOURCE_URL;
        p->media_type = STR("application/pdf");
        p->data = url;
    } else if (data.n > 0) {
        p->source = SOURCE_BASE64;
        if (data_url_split(data, &p->media_type, &p->data)) return;
        p->media_type = STR("application/pdf");
        p->data = data;
    }
}

static void read_audio(struct reading *r, struct parts *list, yyjson_val *v)
{
    yyjson_val *audio = tree_get(v, "input_audio");
    struct part *p = part_add(list, r->arena, PART_AUDIO);
    p->source = SOURCE_BASE64;
    p->media_type = tree_get_str(audio, "format");
    p->data = tree_get_str(audio, "data");
}

static void read_part(struct reading *r, struct parts *list, yyjson_val *v, unsigned item, size_t index)
{
    struct str type = tree_get_str(v, "type");
    unsigned before = list->n;
    if (str_is(type, "input_text") || str_is(type, "output_text") || str_is(type, "text")) {
        part_add(list, r->arena, PART_TEXT)->text = tree_get_str(v, "text");
        if (yyjson_arr_size(tree_get(v, "annotations")) > 0) lose(r, "annotations");
    } else if (str_is(type, "refusal")) {
        part_add(list, r->arena, PART_REFUSAL)->text = tree_get_str(v, "refusal");
    } else if (str_is(type, "input_image")) {
        read_image(r, list, v);
    } else if (str_is(type, "input_file")) {
        read_file(r, list, v);
    } else if (str_is(type, "input_audio")) {
        read_audio(r, list, v);
    } else {
        demand(r, arena_printf(r->arena, "input[%u].content[%zu] of type %.*s", item, index, STR_FMT(type)));
    }
    if (list->n > before) list->last->cache = cache_of(v);
}

static enum weir_err read_content(struct reading *r, struct parts *list, yyjson_val *content, unsigned item)
{
    size_t i, n;
    yyjson_val *v;
    if (yyjson_is_str(content)) {
        part_add(list, r->arena, PART_TEXT)->text = tree_str(content);
        return WEIR_OK;
    }
    if (!yyjson_is_arr(content)) return bad_item(r, item, ": its content must be a text or an array of parts");
    if (yyjson_arr_size(content) > PARTS_MOST) return bad_item(r, item, " has too many parts");
    yyjson_arr_foreach(content, i, n, v) read_part(r, list, v, item, i);
    return WEIR_OK;
}

/* ---- Items ---- */

static struct parts *add_message(struct reading *r, enum role role, unsigned index)
{
    struct message *m = arena_zalloc(r->arena, sizeof *m);
    m->role = role;
    m->index = index;
    *r->messages_end = m;
    r->messages_end = &m->next;
    return &m->parts;
}

static enum weir_err read_message(struct reading *r, yyjson_val *v, unsigned index)
{
    struct str role = tree_get_str(v, "role");
    enum role to = ROLE_USER;
    if (str_is(role, "assistant"))
        to = ROLE_ASSISTANT;
    else if (str_is(role, "system") || str_is(role, "developer"))
        to = ROLE_SYSTEM;
    else if (!str_is(role, "user"))
        return bad_item(r, index, ".role must be user, assistant, system or developer");
    if (tree_get_str(v, "phase").n > 0) lose(r, "phase");
    return read_content(r, add_message(r, to, index), tree_get(v, "content"), index);
}

static enum weir_err read_call(struct reading *r, yyjson_val *v, unsigned index, bool custom)
{
    struct str id = tree_get_str(v, "call_id"), name = tree_get_str(v, "name");
    if (id.n == 0) return bad_item(r, index, ".call_id is missing");
    if (name.n == 0) return bad_item(r, index, ".name is missing");
    struct part *p = part_add(add_message(r, ROLE_ASSISTANT, index), r->arena, PART_TOOL_CALL);
    p->id = id;
    p->name = responses_call_name(v, r->arena);
    if (custom)
        custom_call_read(p, tree_get_str(v, "input"), r->arena);
    else
        p->arguments = tree_get_str(v, "arguments");
    return WEIR_OK;
}

static enum weir_err read_result(struct reading *r, yyjson_val *v, unsigned index)
{
    struct str id = tree_get_str(v, "call_id");
    if (id.n == 0) return bad_item(r, index, ".call_id is missing");
    struct part *p = part_add(add_message(r, ROLE_USER, index), r->arena, PART_TOOL_RESULT);
    p->id = id;
    p->is_error = str_is(tree_get_str(v, "status"), "incomplete");
    return read_content(r, &p->content, tree_get(v, "output"), index);
}

static struct str texts_of(struct reading *r, yyjson_val *list)
{
    size_t i, n;
    yyjson_val *v;
    struct buf all = {0};
    yyjson_arr_foreach(list, i, n, v) buf_add(&all, tree_get_str(v, "text"));
    struct str copy = arena_copy(r->arena, buf_view(&all));
    buf_fini(&all);
    return copy;
}

/* What carries our mark goes back to its maker; what OpenAI encrypted only OpenAI can read. */
static void read_reasoning(struct reading *r, yyjson_val *v, unsigned index)
{
    const struct str is_signed = STR(RESPONSES_SIGNED), redacted = STR(RESPONSES_REDACTED);
    struct str secret = tree_get_str(v, "encrypted_content"), text = texts_of(r, tree_get(v, "summary"));
    if (text.n == 0) text = texts_of(r, tree_get(v, "content"));
    bool ours = str_starts(secret, is_signed), hidden = str_starts(secret, redacted);
    if (secret.n > 0 && !ours && !hidden) lose(r, "reasoning.encrypted_content");
    if (text.n == 0 && !ours && !hidden) return;
    struct part *p = part_add(add_message(r, ROLE_ASSISTANT, index), r->arena, hidden ? PART_REDACTED : PART_REASONING);
    p->text = hidden ? STR_NULL : text;
    if (ours || hidden) p->signature = str_slice(secret, ours ? is_signed.n : redacted.n, secret.n);
    p->foreign = (!ours && !hidden) || str_starts(p->signature, STR(MARK));
}

/* What ran at OpenAI earlier on: the text that came of it stands in the messages behind. */
static bool is_hosted_call(struct str type)
{
    static const char *const types[] = {"web_search_call",       "file_search_call",   "code_interpreter_call",
                                        "image_generation_call", "mcp_list_tools",     "mcp_call",
                                        "tool_search_call",      "tool_search_output", "program",
                                        "program_output"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_is(type, types[i])) return true;
    return false;
}

static enum weir_err read_item(struct reading *r, yyjson_val *v, unsigned index)
{
    struct str type = tree_get_str(v, "type");
    if (!yyjson_is_obj(v)) return bad_item(r, index, " must be an object");
    if (type.n == 0 || str_is(type, "message")) return read_message(r, v, index);
    if (str_is(type, "function_call")) return read_call(r, v, index, false);
    if (str_is(type, "function_call_output")) return read_result(r, v, index);
    if (str_is(type, "custom_tool_call")) return read_call(r, v, index, true);
    if (str_is(type, "custom_tool_call_output")) return read_result(r, v, index);
    if (str_is(type, "reasoning"))
        read_reasoning(r, v, index);
    else if (is_hosted_call(type))
        chat_hint(r->chat, r->arena, arena_printf(r->arena, "input.%.*s", STR_FMT(type)));
    else
        demand(r, arena_printf(r->arena, "input[%u] of type %.*s", index, STR_FMT(type)));
    return WEIR_OK;
}

static enum weir_err read_input(struct reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *item;
    if (yyjson_is_str(v)) {
        part_add(add_message(r, ROLE_USER, 0), r->arena, PART_TEXT)->text = tree_str(v);
        return WEIR_OK;
    }
    if (yyjson_arr_size(v) == 0) return bad(r, "input must be a text or an array that is not empty");
    yyjson_arr_foreach(v, i, n, item)
    {
        enum weir_err e = read_item(r, item, (unsigned)i);
        if (e == WEIR_OK) e = chat_check_size(r->chat, r->arena, r->ret_why);
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}

/* ---- Members of the top level ---- */

static enum weir_err on_ignored(struct reading *r, yyjson_val *v)
{
    (void)r, (void)v;
    return WEIR_OK;
}

static bool is_neutral(yyjson_val *v)
{
    return yyjson_is_null(v) || yyjson_is_false(v) || str_is(tree_num(v), "0") ||
           (yyjson_is_ctn(v) && unsafe_yyjson_get_len(v) == 0);
}

static enum weir_err on_demand(struct reading *r, yyjson_val *v)
{
    if (!is_neutral(v)) demand(r, r->member);
    return WEIR_OK;
}

static enum weir_err on_max_output(struct reading *r, yyjson_val *v)
{
    return tree_i64(v, &r->chat->max_output) ? WEIR_OK : bad(r, "max_output_tokens must be a whole number");
}

static enum weir_err on_temperature(struct reading *r, yyjson_val *v)
{
    r->chat->temperature = tree_num(v);
    return r->chat->temperature.n > 0 ? WEIR_OK : bad(r, "temperature must be a number");
}

static enum weir_err on_top_p(struct reading *r, yyjson_val *v)
{
    r->chat->top_p = tree_num(v);
    return r->chat->top_p.n > 0 ? WEIR_OK : bad(r, "top_p must be a number");
}

static enum weir_err on_reasoning(struct reading *r, yyjson_val *v)
{
    struct str effort = tree_get_str(v, "effort");
    r->chat->effort = effort_of_word(effort);
    if (effort.n > 0 && r->chat->effort == EFFORT_UNSET) lose(r, "reasoning.effort");
    if (tree_get_str(v, "summary").n > 0 || tree_get_str(v, "generate_summary").n > 0) r->chat->thinking_shown = 1;
    if (str_is(tree_get_str(v, "mode"), "pro")) lose(r, "reasoning.mode");
    struct str context = tree_get_str(v, "context");
    if (context.n > 0 && !str_is(context, "auto")) lose(r, "reasoning.context");
    return WEIR_OK;
}

static enum weir_err on_text(struct reading *r, yyjson_val *v)
{
    yyjson_val *f = tree_get(v, "format");
    struct str type = tree_get_str(f, "type");
    struct chat *c = r->chat;
    if (tree_get(v, "verbosity") != NULL)
        chat_share(c, r->arena, "verbosity", STR("text.verbosity"), tree_text(tree_get(v, "verbosity"), r->arena));
    if (str_is(type, "json_object")) {
        c->format = FORMAT_JSON_OBJECT;
    } else if (str_is(type, "json_schema")) {
        c->format = FORMAT_JSON_SCHEMA;
        c->schema_name = tree_get_str(f, "name");
        c->schema_description = tree_get_str(f, "description");
        c->schema_strict = tree_get_bool(f, "strict");
        c->schema =
            tree_get(f, "schema") == NULL ? STR("{\"type\":\"object\"}") : tree_text(tree_get(f, "schema"), r->arena);
    } else if (f != NULL && !str_is(type, "text")) {
        return bad(r, "text.format.type must be text, json_object or json_schema");
    }
    return WEIR_OK;
}

/* What only decorates a tool: another dialect has no place for it. */
static void lose_tool_extras(struct reading *r, yyjson_val *tool)
{
    static const char *const extras[] = {"async", "defer_loading", "output_schema", "allowed_callers"};
    for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
        yyjson_val *v = tree_member(tool, str_of(extras[i]));
        if (v != NULL && !yyjson_is_false(v))
            chat_hint(r->chat, r->arena, arena_printf(r->arena, "tools.%s", extras[i]));
    }
}

static enum weir_err add_tool(struct reading *r, yyjson_val *v, struct str space)
{
    struct tool *t = *r->tools_end = arena_zalloc(r->arena, sizeof *t);
    struct str name = tree_get_str(v, "name");
    r->tools_end = &t->next;
    t->name = name;
    t->description = tree_get_str(v, "description");
    t->strict = tree_get_bool(v, "strict");
    if (tree_get(v, "parameters") != NULL) t->schema = tree_text(tree_get(v, "parameters"), r->arena);
    lose_tool_extras(r, v);
    if (name.n == 0) return bad(r, "a tool has no name");
    if (space.n == 0) return WEIR_OK;
    /* One flat name for those who know no namespaces; its two halves again where it is called. */
    t->name = responses_join_name(space, name, r->arena);
    struct name *pair = name_add(&r->chat->spaces, r->arena, t->name);
    pair->value = space;
    return WEIR_OK;
}

static enum weir_err add_custom_tool(struct reading *r, yyjson_val *v)
{
    struct tool **at = r->tools_end;
    enum weir_err e = add_tool(r, v, STR_NULL);
    if (e == WEIR_OK) custom_tool_read(r->chat, *at, tree_get(v, "format"), r->arena);
    return e;
}

static enum weir_err add_space(struct reading *r, yyjson_val *v, size_t index)
{
    size_t i, n;
    yyjson_val *tool;
    enum weir_err e = WEIR_OK;
    struct str space = tree_get_str(v, "name");
    if (space.n == 0) return bad(r, "a namespace of tools has no name");
    yyjson_arr_foreach(tree_get(v, "tools"), i, n, tool)
    {
        struct str type = tree_get_str(tool, "type");
        if (str_is(type, "function"))
            e = add_tool(r, tool, space);
        else
            demand(r, arena_printf(r->arena, "tools[%zu].tools[%zu] of type %.*s", index, i, STR_FMT(type)));
        if (e != WEIR_OK || i == TOOLS_MOST) return e;
    }
    return WEIR_OK;
}

static enum weir_err on_tools(struct reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *tool;
    enum weir_err e = WEIR_OK;
    if (yyjson_arr_size(v) > TOOLS_MOST) return bad(r, "tools has more than 2048 entries");
    yyjson_arr_foreach(v, i, n, tool)
    {
        struct str type = tree_get_str(tool, "type");
        if (str_is(type, "function"))
            e = add_tool(r, tool, STR_NULL);
        else if (str_is(type, "custom"))
            e = add_custom_tool(r, tool);
        else if (str_is(type, "namespace"))
            e = add_space(r, tool, i);
        else if (str_starts(type, STR("web_search"))) /* offered; on_tool_choice() refuses what is demanded */
            lose(r, "tools.web_search");
        else
            demand(r, arena_printf(r->arena, "tools[%zu] of type %.*s", i, STR_FMT(type)));
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}

static enum weir_err choose_allowed(struct reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *tool, *tools = tree_get(v, "tools");
    if (yyjson_arr_size(tools) > TOOLS_MOST) return bad(r, "tool_choice allows more than 2048 tools");
    r->chat->tool_choice = str_is(tree_get_str(v, "mode"), "required") ? TOOLS_REQUIRED : TOOLS_AUTO;
    yyjson_arr_foreach(tools, i, n, tool) name_add(&r->chat->allowed_tools, r->arena, tree_get_str(tool, "name"));
    return WEIR_OK;
}

static enum weir_err on_tool_choice(struct reading *r, yyjson_val *v)
{
    struct str word = tree_str(v), type = tree_get_str(v, "type");
    struct chat *c = r->chat;
    if (str_is(word, "auto")) {
        c->tool_choice = TOOLS_AUTO;
    } else if (str_is(word, "none")) {
        c->tool_choice = TOOLS_NONE;
    } else if (str_is(word, "required")) {
        c->tool_choice = TOOLS_REQUIRED;
    } else if (str_is(type, "function") || str_is(type, "custom")) {
        c->tool_choice = TOOLS_ONE;
        c->tool_choice_name = tree_get_str(v, "name");
    } else if (str_is(type, "allowed_tools")) {
        return choose_allowed(r, v);
    } else if (type.n > 0) {
        demand(r, arena_printf(r->arena, "tool_choice of type %.*s", STR_FMT(type)));
    } else {
        return bad(r, "tool_choice must be auto, none, required or an object that names a tool");
    }
    return WEIR_OK;
}

static enum weir_err on_parallel(struct reading *r, yyjson_val *v)
{
    r->chat->parallel_tools = yyjson_is_true(v) ? 1 : yyjson_is_false(v) ? 0 : -1;
    return WEIR_OK;
}

static enum weir_err on_user(struct reading *r, yyjson_val *v)
{
    if (r->chat->user.n == 0) r->chat->user = tree_str(v);
    return WEIR_OK;
}

static enum weir_err on_service_tier(struct reading *r, yyjson_val *v)
{
    r->chat->service_tier = tree_str(v);
    return WEIR_OK;
}

static enum weir_err on_stream(struct reading *r, yyjson_val *v)
{
    r->chat->stream = yyjson_is_true(v);
    return WEIR_OK;
}

static void want_logprobs(struct reading *r, const char *said)
{
    if (r->chat->logprobs_said.n > 0) return;
    r->chat->logprobs_said = str_of(said);
    demand(r, str_of(said));
}

/* Of what is asked for here only logprobs would be missed: the rest is of tools that run at OpenAI, or of the client's own input. */
static enum weir_err on_include(struct reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *word;
    yyjson_arr_foreach(v, i, n, word)
    {
        if (str_is(tree_str(word), "message.output_text.logprobs"))
            want_logprobs(r, "include message.output_text.logprobs");
        else if (!str_is(tree_str(word), "reasoning.encrypted_content"))
            lose(r, "include");
    }
    return WEIR_OK;
}

static enum weir_err on_top_logprobs(struct reading *r, yyjson_val *v)
{
    if (!tree_i64(v, &r->chat->top_logprobs) || r->chat->top_logprobs < 0 || r->chat->top_logprobs > 20)
        return bad(r, "top_logprobs must be a whole number from 0 to 20");
    if (r->chat->top_logprobs > 0) want_logprobs(r, "top_logprobs");
    return WEIR_OK;
}

/* Other dialects have it, too. */
static enum weir_err on_shared(struct reading *r, yyjson_val *v)
{
    static const char *const names[] = {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
                                        "metadata", "moderation"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_is(r->member, names[i]) && !is_neutral(v))
            chat_share(r->chat, r->arena, names[i], r->member, tree_text(v, r->arena));
    return WEIR_OK;
}

/* "disabled" is what others do; "auto" would cut a conversation that is too long. */
static enum weir_err on_truncation(struct reading *r, yyjson_val *v)
{
    if (!str_is(tree_str(v), "disabled")) lose(r, "truncation");
    return WEIR_OK;
}

/* What the answer tells again. */
static void read_echo(struct reading *r, yyjson_val *root)
{
    struct request_echo *e = arena_zalloc(r->arena, sizeof *e);
    const struct {
        const char *name;
        struct str *to;
    } rows[] = {
        {"instructions", &e->instructions},
        {"max_output_tokens", &e->max_output_tokens},
        {"max_tool_calls", &e->max_tool_calls},
        {"metadata", &e->metadata},
        {"parallel_tool_calls", &e->parallel_tool_calls},
        {"prompt_cache_key", &e->prompt_cache_key},
        {"reasoning", &e->reasoning},
        {"safety_identifier", &e->safety_identifier},
        {"temperature", &e->temperature},
        {"text", &e->text},
        {"tool_choice", &e->tool_choice},
        {"tools", &e->tools},
        {"top_logprobs", &e->top_logprobs},
        {"top_p", &e->top_p},
        {"truncation", &e->truncation},
        {"user", &e->user},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        yyjson_val *v = tree_member(root, str_of(rows[i].name));
        if (v != NULL) *rows[i].to = tree_text(v, r->arena);
    }
    r->chat->echo = e;
}

static const struct row {
    const char *name;
    enum weir_err (*read)(struct reading *r, yyjson_val *v);
} ROWS[] = {
    {"model", on_ignored},
    {"input", on_ignored}, /* behind instructions, wherever these stand */
    {"instructions", on_ignored},
    {"max_output_tokens", on_max_output},
    {"temperature", on_temperature},
    {"top_p", on_top_p},
    {"top_logprobs", on_top_logprobs},
    {"reasoning", on_reasoning},
    {"text", on_text},
    {"tools", on_tools},
    {"tool_choice", on_tool_choice},
    {"parallel_tool_calls", on_parallel},
    {"user", on_user},
    {"safety_identifier", on_user},
    {"service_tier", on_service_tier},
    {"stream", on_stream},
    {"stream_options", on_ignored},
    {"include", on_include},
    {"previous_response_id", on_demand},
    {"conversation", on_demand},
    {"background", on_demand},
    {"prompt", on_demand},
    {"prompt_cache_key", on_shared},
    {"prompt_cache_options", on_shared},
    {"prompt_cache_retention", on_shared},
    {"metadata", on_shared},
    {"moderation", on_shared},
    {"truncation", on_truncation},
};

static enum weir_err read_member(struct reading *r, yyjson_val *v)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (str_is(r->member, ROWS[i].name)) return yyjson_is_null(v) ? WEIR_OK : ROWS[i].read(r, v);
    if (!is_neutral(v)) chat_hint(r->chat, r->arena, r->member);
    return WEIR_OK;
}

enum weir_err responses_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why)
{
    yyjson_val *root, *key, *value;
    size_t i, n;
    enum weir_err e = tree_read(json, a, &root, ret_why);
    if (e != WEIR_OK) return e;
    struct chat *chat = chat_new(a);
    struct reading r = {.arena = a, .chat = chat, .ret_why = ret_why, .tools_end = &chat->tools};
    r.messages_end = &chat->messages;
    if (!yyjson_is_obj(root)) return bad(&r, "the body must be a JSON object");
    chat->of_openai = true;
    struct str instructions = tree_get_str(root, "instructions");
    if (instructions.n > 0) part_add(add_message(&r, ROLE_SYSTEM, 0), a, PART_TEXT)->text = instructions;
    e = read_input(&r, tree_get(root, "input"));
    if (e != WEIR_OK) return e;
    yyjson_obj_foreach(root, i, n, key, value)
    {
        r.member = tree_str(key);
        e = read_member(&r, value);
        if (e == WEIR_OK) e = chat_check_size(chat, a, ret_why);
        if (e != WEIR_OK) return e;
    }
    read_echo(&r, root);
    e = chat_check_size(chat, a, ret_why);
    *ret_chat = chat;
    return e;
}
