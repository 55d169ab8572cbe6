/* A Cohere chat into the hub and out of it. Messages and tools have OpenAI's form; the members around them have names of their own. */
#include "proto/dialect/cohere.h"

#include "proto/dialect/function_tools.h"
#include "proto/dialect/openai_chat.h"
#include "proto/dialect/openai_chat_messages.h"
#include "proto/dialect/openai_chat_turns.h"
#include "proto/dialect/openai_rules.h"
#include "proto/dialect/stop_cut.h"
#include "proto/dialect/tree.h"
#include "proto/dialect/turns.h"

#include <stdlib.h>
#include <string.h>

/* ---- Reading ---- */

static enum weir_err bad(struct openai_reading *r, const char *text)
{
    *r->ret_why = str_of(text);
    return WEIR_BAD_REQUEST;
}

static enum weir_err on_ignored(struct openai_reading *r, yyjson_val *v)
{
    (void)r, (void)v;
    return WEIR_OK;
}

static enum weir_err on_max_tokens(struct openai_reading *r, yyjson_val *v)
{
    return tree_i64(v, &r->chat->max_output) ? WEIR_OK : bad(r, "max_tokens must be a whole number");
}

static enum weir_err on_temperature(struct openai_reading *r, yyjson_val *v)
{
    r->chat->temperature = tree_num(v);
    return r->chat->temperature.n > 0 ? WEIR_OK : bad(r, "temperature must be a number");
}

static enum weir_err on_p(struct openai_reading *r, yyjson_val *v)
{
    r->chat->top_p = tree_num(v);
    return r->chat->top_p.n > 0 ? WEIR_OK : bad(r, "p must be a number");
}

static enum weir_err on_k(struct openai_reading *r, yyjson_val *v)
{
    r->chat->top_k = tree_num(v);
    return r->chat->top_k.n > 0 ? WEIR_OK : bad(r, "k must be a number");
}

static enum weir_err on_stop(struct openai_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *word;
    if (yyjson_arr_size(v) > TOOLS_MOST) return bad(r, "stop_sequences has too many entries");
    yyjson_arr_foreach(v, i, n, word) name_add(&r->chat->stop, r->arena, tree_str(word));
    return WEIR_OK;
}

static enum weir_err on_stream(struct openai_reading *r, yyjson_val *v)
{
    r->chat->stream = yyjson_is_true(v);
    return WEIR_OK;
}

static enum weir_err on_tools(struct openai_reading *r, yyjson_val *v)
{
    return function_tools_read(v, r->chat, r->arena, r->ret_why);
}

static enum weir_err on_tool_choice(struct openai_reading *r, yyjson_val *v)
{
    if (str_ieq(tree_str(v), STR("REQUIRED")))
        r->chat->tool_choice = TOOLS_REQUIRED;
    else if (str_ieq(tree_str(v), STR("NONE")))
        r->chat->tool_choice = TOOLS_NONE;
    else
        return bad(r, "tool_choice must be REQUIRED or NONE");
    return WEIR_OK;
}

static enum weir_err on_response_format(struct openai_reading *r, yyjson_val *v)
{
    yyjson_val *schema = tree_get(v, "json_schema") != NULL ? tree_get(v, "json_schema") : tree_get(v, "schema");
    if (!str_is(tree_get_str(v, "type"), "json_object")) return WEIR_OK;
    r->chat->format = schema == NULL ? FORMAT_JSON_OBJECT : FORMAT_JSON_SCHEMA;
    if (schema != NULL) r->chat->schema = tree_text(schema, r->arena);
    return WEIR_OK;
}

static enum weir_err on_thinking(struct openai_reading *r, yyjson_val *v)
{
    struct chat *c = r->chat;
    int64_t budget = tree_get_i64(v, "token_budget");
    if (str_is(tree_get_str(v, "type"), "disabled")) {
        c->thinking = THINKING_OFF;
    } else {
        c->thinking = budget > 0 ? THINKING_BUDGET : THINKING_ADAPTIVE;
        c->thinking_budget = budget > 0 ? budget : 0;
        c->thinking_shown = 1;
    }
    return WEIR_OK;
}

static enum weir_err on_demand(struct openai_reading *r, yyjson_val *v)
{
    bool nothing = yyjson_is_false(v) || (yyjson_is_ctn(v) && unsafe_yyjson_get_len(v) == 0);
    if (!nothing) openai_reading_demand(r, r->member);
    return WEIR_OK;
}

static const struct row {
    const char *name;
    enum weir_err (*read)(struct openai_reading *r, yyjson_val *v);
} ROWS[] = {
    {"model", on_ignored},
    {"messages", openai_reading_messages},
    {"stream", on_stream},
    {"max_tokens", on_max_tokens},
    {"temperature", on_temperature},
    {"p", on_p},
    {"k", on_k},
    {"stop_sequences", on_stop},
    {"tools", on_tools},
    {"tool_choice", on_tool_choice},
    {"response_format", on_response_format},
    {"thinking", on_thinking},
    {"documents", on_ignored}, /* behind the messages, whose last one they belong to */
    {"logprobs", on_demand},
};

static enum weir_err read_member(struct openai_reading *r, yyjson_val *v)
{
    if (yyjson_is_null(v)) return WEIR_OK;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (str_is(r->member, ROWS[i].name)) return ROWS[i].read(r, v);
    if (!yyjson_is_false(v)) chat_hint(r->chat, r->arena, r->member);
    return WEIR_OK;
}

enum weir_err cohere_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why)
{
    yyjson_val *root, *key, *value;
    size_t i, n;
    enum weir_err e = tree_read(json, a, &root, ret_why);
    if (e != WEIR_OK) return e;
    struct chat *chat = chat_new(a);
    struct openai_reading r = {.arena = a, .chat = chat, .ret_why = ret_why, .tools_end = &chat->tools};
    r.messages_end = &chat->messages;
    if (!yyjson_is_obj(root)) return bad(&r, "the body must be a JSON object");
    yyjson_obj_foreach(root, i, n, key, value)
    {
        r.member = tree_str(key);
        e = read_member(&r, value);
        if (e == WEIR_OK) e = chat_check_size(chat, a, ret_why);
        if (e != WEIR_OK) return e;
    }
    if (chat->messages == NULL) return bad(&r, "messages must be an array that is not empty");
    e = cohere_read_documents(chat, tree_get(root, "documents"), a, ret_why);
    if (e != WEIR_OK) return e;
    *ret_chat = chat;
    return WEIR_OK;
}

/* ---- Writing ---- */

static void number(struct buf *out, const char *name, struct str text)
{
    if (text.n > 0) buf_addf(out, ",\"%s\":%.*s", name, STR_FMT(text));
}

static enum weir_err write_choice(struct chat *chat, struct buf *out, struct str *ret_why)
{
    if (chat->tool_choice == TOOLS_ONE && chat->tools != NULL && chat->tools->next != NULL) {
        *ret_why = STR("a forced call of one tool cannot be carried to a provider that speaks cohere");
        return WEIR_UNSUPPORTED;
    }
    if (chat->tool_choice == TOOLS_REQUIRED || chat->tool_choice == TOOLS_ONE)
        buf_add(out, STR(",\"tool_choice\":\"REQUIRED\""));
    if (chat->tool_choice == TOOLS_NONE) buf_add(out, STR(",\"tool_choice\":\"NONE\""));
    return WEIR_OK;
}

static void write_format(const struct chat *c, struct buf *out)
{
    if (c->format == FORMAT_TEXT) return;
    buf_add(out, STR(",\"response_format\":{\"type\":\"json_object\""));
    if (c->format == FORMAT_JSON_SCHEMA) {
        buf_add(out, STR(",\"json_schema\":"));
        buf_add(out, c->schema);
    }
    buf_addc(out, '}');
}

static void write_thinking(const struct chat *c, struct buf *out)
{
    if (openai_wanted_effort(c) == EFFORT_NONE)
        buf_add(out, STR(",\"thinking\":{\"type\":\"disabled\"}"));
    else if (c->thinking == THINKING_BUDGET)
        buf_addf(out, ",\"thinking\":{\"type\":\"enabled\",\"token_budget\":%lld}", (long long)c->thinking_budget);
    else if (c->thinking != THINKING_UNSET || c->effort != EFFORT_UNSET)
        buf_add(out, STR(",\"thinking\":{\"type\":\"enabled\"}"));
}

enum { STOPS_MOST = 5 }; /* Cohere API reference, stop_sequences */

/* More than it takes are looked for here. */
static enum weir_err check_stop(struct chat *c, struct str *ret_why)
{
    if (c->stop.n <= STOPS_MOST || stop_cut_ask(c)) return WEIR_OK;
    *ret_why = STR("so many stop sequences cannot be carried to a provider that speaks cohere");
    return WEIR_UNSUPPORTED;
}

static enum weir_err check_parts(const struct parts *parts, struct str *ret_why)
{
    enum weir_err e = WEIR_OK;
    for (const struct part *p = parts->first; p != NULL && e == WEIR_OK; p = p->next) {
        if (p->kind == PART_TOOL_RESULT) e = check_parts(&p->content, ret_why);
        if (p->kind != PART_DOCUMENT || p->source == SOURCE_TEXT) continue;
        *ret_why = STR("a file that is no text cannot be carried to a provider that speaks cohere");
        e = WEIR_UNSUPPORTED;
    }
    return e;
}

static enum weir_err check_carried(struct chat *c, struct str *ret_why)
{
    enum weir_err e = check_stop(c, ret_why);
    for (const struct message *m = c->messages; m != NULL && e == WEIR_OK; m = m->next)
        e = check_parts(&m->parts, ret_why);
    return e;
}

/* One switch for all tools. */
static void write_strict(const struct chat *c, struct buf *out, struct loss *loss)
{
    bool all = c->tools != NULL, any = false;
    for (const struct tool *t = c->tools; t != NULL; t = t->next) {
        all = all && t->strict == 1;
        any = any || t->strict == 1;
    }
    if (all)
        buf_add(out, STR(",\"strict_tools\":true"));
    else if (any)
        loss_addz(loss, "tools.strict");
}

static void write_stop(const struct chat *c, struct buf *out)
{
    if (c->stop.n == 0 || c->stop.n > STOPS_MOST) return;
    buf_add(out, STR(",\"stop_sequences\":["));
    for (const struct name *s = c->stop.first; s != NULL; s = s->next) {
        if (s != c->stop.first) buf_addc(out, ',');
        buf_add_json_str(out, s->text);
    }
    buf_addc(out, ']');
}

/* It is not taken at its ends, and 1 is what many clients send. */
static void write_p(const struct chat *c, struct buf *out)
{
    char text[32] = "";
    if (c->top_p.n > 0 && c->top_p.n < sizeof text) memcpy(text, c->top_p.p, c->top_p.n);
    double p = text[0] != '\0' ? strtod(text, NULL) : 0.5;
    number(out, "p", p > 0.99 ? STR("0.99") : p < 0.01 ? STR("0.01") : c->top_p);
}

static void write_members(const struct chat *c, struct buf *out, struct loss *loss)
{
    if (c->max_output >= 0) buf_addf(out, ",\"max_tokens\":%lld", (long long)(c->max_output > 0 ? c->max_output : 1));
    number(out, "temperature", c->temperature);
    write_p(c, out);
    number(out, "k", c->top_k);
    write_stop(c, out);
    write_format(c, out);
    write_thinking(c, out);
    write_strict(c, out, loss);
    if (c->user.n > 0) loss_addz(loss, "metadata.user_id");
    if (c->service_tier.n > 0) loss_addz(loss, "service_tier");
    if (c->cache_all != CACHE_NONE) loss_addz(loss, "cache_control");
}

enum weir_err cohere_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                   struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why)
{
    struct openai_writing w = {.chat = chat, .hints = hints, .out = out, .loss = loss, .arena = a, .ret_why = ret_why};
    struct turns turns;
    w.traits.user = true; /* thoughts do not go back in a member of their own */
    enum weir_err e = chat_refuse_demands(chat, "cohere", a, ret_why);
    if (e == WEIR_OK) e = check_carried(chat, ret_why);
    if (e == WEIR_OK) e = turns_build(chat, true, a, &turns, ret_why);
    if (e != WEIR_OK) return e;
    chat_lose_hints(chat, loss);
    buf_add(out, chat->stream ? STR("{\"stream\":true,\"model\":") : STR("{\"stream\":false,\"model\":"));
    buf_add_json_str(out, model);
    struct str documents = cohere_take_documents(&turns, a);
    if (documents.n > 0) {
        buf_add(out, STR(",\"documents\":"));
        buf_add(out, documents);
    }
    buf_add(out, STR(",\"messages\":"));
    e = openai_write_turns(&w, &turns);
    if (e == WEIR_OK && function_tools_write(chat, out, loss, a)) e = write_choice(chat, out, ret_why);
    write_members(chat, out, loss);
    buf_addc(out, '}');
    return e;
}
