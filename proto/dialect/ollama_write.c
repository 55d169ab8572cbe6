/* The hub out as an Ollama chat: every message has one text, pictures beside it; arguments are objects; results name their tool. */
#include "proto/dialect/ollama.h"

#include "proto/dialect/anthropic.h"
#include "proto/dialect/function_tools.h"
#include "proto/dialect/openai_chat.h"
#include "proto/dialect/openai_rules.h"
#include "proto/dialect/turns.h"

struct writing {
    struct chat *chat;
    struct buf *out;
    struct loss *loss;
    struct arena *arena;
    struct str *ret_why;
    bool any; /* a message is out already */
};

static enum weir_err refuse(struct writing *w, const char *what)
{
    *w->ret_why = arena_printf(w->arena, "%s cannot be carried to a provider that speaks ollama", what);
    return WEIR_UNSUPPORTED;
}

static void key(struct writing *w, const char *name)
{
    buf_addf(w->out, ",\"%s\":", name);
}

static void begin(struct writing *w, const char *role)
{
    buf_addf(w->out, "%s{\"role\":\"%s\"", w->any ? "," : "", role);
    w->any = true;
}

static struct str text_of(const struct part *p)
{
    if (p->kind == PART_DOCUMENT && p->source == SOURCE_TEXT) return p->data;
    return p->kind == PART_TEXT || p->kind == PART_REFUSAL ? p->text : STR_NULL;
}

static enum weir_err check_part(struct writing *w, const struct part *p)
{
    if (p->cache != CACHE_NONE) loss_addz(w->loss, "cache_control");
    if (p->has_citations) loss_addz(w->loss, "citations");
    if (p->kind == PART_OTHER) loss_add(w->loss, p->name);
    if (p->kind == PART_IMAGE && p->source != SOURCE_BASE64) return refuse(w, "an image by its address");
    if (p->kind == PART_DOCUMENT && p->source != SOURCE_TEXT) return refuse(w, "a document");
    if (p->kind == PART_AUDIO) return refuse(w, "a sound");
    return WEIR_OK;
}

/* content, and images where there are some. */
static enum weir_err write_content(struct writing *w, const struct parts *parts)
{
    bool first = true;
    key(w, "content");
    buf_addc(w->out, '"');
    for (const struct part *p = parts->first; p != NULL; p = p->next) {
        enum weir_err e = check_part(w, p);
        if (e != WEIR_OK) return e;
        if (text_of(p).n == 0) continue;
        if (!first) buf_add(w->out, STR("\\n\\n"));
        buf_add_json(w->out, text_of(p));
        first = false;
    }
    buf_addc(w->out, '"');
    unsigned images = 0;
    for (const struct part *p = parts->first; p != NULL; p = p->next) {
        if (p->kind != PART_IMAGE) continue;
        buf_addz(w->out, images++ == 0 ? ",\"images\":[" : ",");
        buf_add_json_str(w->out, p->data);
    }
    if (images > 0) buf_addc(w->out, ']');
    return WEIR_OK;
}

/* ---- Turns ---- */

static enum weir_err write_results(struct writing *w, const struct message *m, const struct message *calls)
{
    for (const struct part *p = m->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_TOOL_RESULT) continue;
        const struct part *call = calls == NULL ? NULL : calls->parts.first;
        while (call != NULL && (call->kind != PART_TOOL_CALL || !str_eq(call->id, p->id))) call = call->next;
        begin(w, "tool");
        if (call != NULL) {
            key(w, "tool_name");
            buf_add_json_str(w->out, chat_fit_tool_name(call->name, w->arena));
        }
        key(w, "tool_call_id");
        buf_add_json_str(w->out, p->id);
        if (p->is_error) loss_addz(w->loss, "is_error");
        enum weir_err e = write_content(w, &p->content);
        buf_addc(w->out, '}');
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}

static enum weir_err write_user(struct writing *w, const struct message *m, const struct message *before)
{
    struct parts rest = {0};
    enum weir_err e = write_results(w, m, before);
    for (const struct part *p = m->parts.first; p != NULL; p = p->next) {
        if (p->kind == PART_TOOL_RESULT) continue;
        struct part *copy = part_add(&rest, w->arena, p->kind), *next = copy->next;
        *copy = *p;
        copy->next = next;
    }
    if (rest.n == 0 || e != WEIR_OK) return e;
    begin(w, "user");
    e = write_content(w, &rest);
    buf_addc(w->out, '}');
    return e;
}

static void write_thoughts(struct writing *w, const struct message *m)
{
    bool any = false;
    for (const struct part *p = m->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_REASONING && p->kind != PART_REDACTED) continue;
        if (p->kind == PART_REDACTED || !p->foreign || p->text.n == 0) {
            loss_addz(w->loss, "thinking");
            continue;
        }
        buf_addz(w->out, any ? "\\n" : ",\"thinking\":\"");
        buf_add_json(w->out, p->text);
        any = true;
    }
    if (any) buf_addc(w->out, '"');
}

static void write_calls(struct writing *w, const struct message *m)
{
    unsigned n = 0;
    for (const struct part *p = m->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_TOOL_CALL) continue;
        buf_addz(w->out, n++ == 0 ? ",\"tool_calls\":[" : ",");
        buf_add(w->out, STR("{\"id\":"));
        buf_add_json_str(w->out, p->id);
        buf_add(w->out, STR(",\"function\":{\"name\":"));
        buf_add_json_str(w->out, chat_fit_tool_name(p->name, w->arena));
        key(w, "arguments");
        anthropic_write_arguments(p->arguments, w->out);
        buf_add(w->out, STR("}}"));
    }
    if (n > 0) buf_addc(w->out, ']');
}

static enum weir_err write_assistant(struct writing *w, const struct message *m)
{
    begin(w, "assistant");
    enum weir_err e = write_content(w, &m->parts);
    write_thoughts(w, m);
    write_calls(w, m);
    buf_addc(w->out, '}');
    return e;
}

static enum weir_err write_system(struct writing *w, const struct parts *parts)
{
    begin(w, "system");
    enum weir_err e = write_content(w, parts);
    buf_addc(w->out, '}');
    return e;
}

static enum weir_err write_messages(struct writing *w, const struct turns *turns)
{
    enum weir_err e = WEIR_OK;
    const struct message *before = NULL;
    buf_add(w->out, STR(",\"messages\":["));
    if (turns->system.n > 0) e = write_system(w, &turns->system);
    for (const struct message *m = turns->first; m != NULL && e == WEIR_OK; before = m, m = m->next)
        e = m->role == ROLE_SYSTEM      ? write_system(w, &m->parts)
            : m->role == ROLE_ASSISTANT ? write_assistant(w, m)
                                        : write_user(w, m, before);
    buf_addc(w->out, ']');
    return e;
}

/* ---- Members ---- */

static enum weir_err write_tools(struct writing *w)
{
    const struct chat *c = w->chat;
    if (c->tools != NULL && (c->tool_choice == TOOLS_REQUIRED || c->tool_choice == TOOLS_ONE))
        return refuse(w, "a forced tool call");
    if (c->tool_choice == TOOLS_NONE) return WEIR_OK;
    for (const struct tool *t = c->tools; t != NULL; t = t->next)
        if (t->strict == 1) loss_addz(w->loss, "tools.strict");
    (void)function_tools_write(w->chat, w->out, w->loss, w->arena);
    return WEIR_OK;
}

static void option(struct writing *w, bool *any, const char *name, struct str text)
{
    if (text.n == 0) return;
    buf_addf(w->out, "%s\"%s\":", *any ? "," : ",\"options\":{", name);
    buf_add(w->out, text);
    *any = true;
}

static void write_options(struct writing *w)
{
    const struct chat *c = w->chat;
    struct buf stop = {0};
    bool any = false;
    if (c->max_output >= 0)
        option(w, &any, "num_predict",
               arena_printf(w->arena, "%lld", (long long)(c->max_output > 0 ? c->max_output : 1)));
    option(w, &any, "temperature", c->temperature);
    option(w, &any, "top_p", c->top_p);
    option(w, &any, "top_k", c->top_k);
    for (const struct name *s = c->stop.first; s != NULL; s = s->next) {
        buf_addc(&stop, s == c->stop.first ? '[' : ',');
        buf_add_json_str(&stop, s->text);
    }
    if (c->stop.n > 0) buf_addc(&stop, ']');
    option(w, &any, "stop", buf_view(&stop));
    if (any) buf_addc(w->out, '}');
    buf_fini(&stop);
}

static void write_think(struct writing *w)
{
    enum effort e = openai_wanted_effort(w->chat);
    if (e == EFFORT_NONE)
        buf_add(w->out, STR(",\"think\":false"));
    else if (e != EFFORT_UNSET)
        buf_addf(w->out, ",\"think\":\"%s\"", e <= EFFORT_LOW ? "low" : e == EFFORT_MEDIUM ? "medium" : "high");
    else if (w->chat->thinking == THINKING_ADAPTIVE)
        buf_add(w->out, STR(",\"think\":true"));
}

enum weir_err ollama_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                   struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why)
{
    struct writing w = {.chat = chat, .out = out, .loss = loss, .arena = a, .ret_why = ret_why};
    struct turns turns;
    (void)hints;
    enum weir_err e = chat_refuse_demands(chat, "ollama", a, ret_why);
    if (e == WEIR_OK) e = turns_build(chat, true, a, &turns, ret_why);
    if (e != WEIR_OK) return e;
    chat_lose_hints(chat, loss);
    buf_add(out, STR("{\"model\":"));
    buf_add_json_str(out, model);
    e = write_messages(&w, &turns);
    if (e == WEIR_OK) e = write_tools(&w);
    if (chat->format == FORMAT_JSON_OBJECT) buf_add(out, STR(",\"format\":\"json\""));
    if (chat->format == FORMAT_JSON_SCHEMA) {
        key(&w, "format");
        buf_add(out, chat->schema);
    }
    write_options(&w);
    write_think(&w);
    if (chat->user.n > 0) loss_addz(loss, "metadata.user_id");
    if (chat->service_tier.n > 0) loss_addz(loss, "service_tier");
    if (chat->cache_all != CACHE_NONE) loss_addz(loss, "cache_control");
    buf_add(out, chat->stream ? STR(",\"stream\":true}") : STR(",\"stream\":false}"));
    return e;
}
