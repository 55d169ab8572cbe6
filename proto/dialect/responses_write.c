/* The hub out as a Responses request, stateless: nothing is stored, and reasoning comes back encrypted to be carried by the client.
 * Items of a turn stand in the order of its parts; a thought is sent back only where OpenAI made it. */
#include "proto/dialect/responses.h"

#include "proto/dialect/custom_tool.h"
#include "proto/dialect/model_traits.h"
#include "proto/dialect/openai_chat.h"
#include "proto/dialect/openai_rules.h"
#include "proto/dialect/stop_cut.h"
#include "proto/dialect/turns.h"

enum { OUTPUT_LEAST = 16 }; /* OpenAI refuses fewer */

struct writing {
    struct chat *chat;
    struct buf *out;
    struct loss *loss;
    struct arena *arena;
    struct str *ret_why;
    struct openai_traits traits;
    bool any;                  /* an item is out already */
    struct names custom_calls; /* ids, of the last assistant turn: their results are written otherwise */
};

static enum weir_err refuse(struct writing *w, const char *what)
{
    *w->ret_why = arena_printf(w->arena, "%s cannot be carried to a provider that is asked in Responses", what);
    return WEIR_UNSUPPORTED;
}

static void key(struct writing *w, const char *name)
{
    buf_addf(w->out, ",\"%s\":", name);
}

static void member(struct writing *w, const char *name, struct str text)
{
    key(w, name);
    buf_add_json_str(w->out, text);
}

/* ---- Content ---- */

static bool is_media(const struct part *p)
{
    return p->kind == PART_IMAGE || p->kind == PART_DOCUMENT || p->kind == PART_AUDIO;
}

static struct str text_of(const struct part *p)
{
    if (p->kind == PART_DOCUMENT && p->source == SOURCE_TEXT) return p->data;
    return p->kind == PART_TEXT || p->kind == PART_REFUSAL ? p->text : STR_NULL;
}

/* Only parts of a message hold a mark. */
static bool carries_mark(const struct writing *w, const struct part *p)
{
    return w->traits.breakpoints && (p->kind == PART_TEXT || is_media(p));
}

static void note_losses(struct writing *w, const struct part *p)
{
    if (p->cache != CACHE_NONE && !carries_mark(w, p)) loss_addz(w->loss, "cache_control");
    if (p->has_citations) loss_addz(w->loss, "citations");
    if (p->kind == PART_OTHER) loss_add(w->loss, p->name);
}

static void write_source(struct writing *w, const struct part *p, const char *name)
{
    key(w, p->source == SOURCE_FILE ? "file_id" : name);
    if (p->source != SOURCE_BASE64) {
        buf_add_json_str(w->out, p->data);
        return;
    }
    buf_add(w->out, STR("\"data:"));
    buf_add_json(w->out, p->media_type);
    buf_add(w->out, STR(";base64,"));
    buf_add_json(w->out, p->data);
    buf_addc(w->out, '"');
}

static void write_media(struct writing *w, const struct part *p)
{
    if (p->kind == PART_IMAGE) {
        buf_add(w->out, STR("{\"type\":\"input_image\""));
        member(w, "detail", p->has_detail ? p->detail : STR("auto"));
        write_source(w, p, "image_url");
    } else if (p->kind == PART_DOCUMENT) {
        buf_add(w->out, STR("{\"type\":\"input_file\""));
        if (p->source == SOURCE_BASE64) member(w, "filename", p->title.n > 0 ? p->title : STR("document.pdf"));
        write_source(w, p, p->source == SOURCE_URL ? "file_url" : "file_data");
    } else {
        buf_add(w->out, STR("{\"type\":\"input_audio\",\"input_audio\":{\"data\":"));
        buf_add_json_str(w->out, p->data);
        member(w, "format", p->media_type);
        buf_addc(w->out, '}');
    }
}

/* false: there was nothing to write. */
static bool write_input_parts(struct writing *w, const struct parts *parts, const char *before)
{
    bool any = false;
    for (const struct part *p = parts->first; p != NULL; p = p->next) {
        struct str text = text_of(p);
        note_losses(w, p);
        if (text.n == 0 && (!is_media(p) || p->source == SOURCE_TEXT)) continue;
        buf_addz(w->out, any ? "," : before);
        any = true;
        if (text.n == 0) {
            write_media(w, p);
        } else {
            buf_add(w->out, STR("{\"type\":\"input_text\",\"text\":"));
            buf_add_json_str(w->out, text);
        }
        if (p->cache != CACHE_NONE && w->traits.breakpoints) openai_write_breakpoint(p->cache, w->out);
        buf_addc(w->out, '}');
    }
    return any;
}

static void begin_item(struct writing *w)
{
    if (w->any) buf_addc(w->out, ',');
    w->any = true;
}

/* ---- Turns ---- */

/* There is no flag for a failed tool: the text says so, unless it does already. */
static void write_result(struct writing *w, const struct part *result)
{
    struct str text = parts_join_text(&result->content, w->arena);
    bool media = false;
    for (const struct part *p = result->content.first; p != NULL; p = p->next) media |= is_media(p);
    begin_item(w);
    buf_add(w->out, name_in(&w->custom_calls, result->id) ? STR("{\"type\":\"custom_tool_call_output\"")
                                                          : STR("{\"type\":\"function_call_output\""));
    member(w, "call_id", result->id);
    key(w, "output");
    bool cached = w->traits.breakpoints && result->cache != CACHE_NONE && !media;
    if (result->cache != CACHE_NONE && !cached) loss_addz(w->loss, "cache_control");
    if (media) {
        if (result->is_error) loss_addz(w->loss, "is_error");
        buf_addc(w->out, '[');
        write_input_parts(w, &result->content, "");
        buf_addc(w->out, ']');
    } else {
        for (const struct part *p = result->content.first; p != NULL; p = p->next) note_losses(w, p);
        buf_add(w->out, cached ? STR("[{\"type\":\"input_text\",\"text\":\"") : STR("\""));
        if (result->is_error && !str_icontains(str_slice(text, 0, 16), STR("error"))) buf_add(w->out, STR("Error: "));
        buf_add_json(w->out, text);
        buf_addc(w->out, '"');
        if (cached) openai_write_breakpoint(result->cache, w->out);
        if (cached) buf_add(w->out, STR("}]"));
    }
    buf_addc(w->out, '}');
}

static void write_user(struct writing *w, const struct message *m)
{
    struct parts rest = {0};
    for (const struct part *p = m->parts.first; p != NULL; p = p->next) {
        if (p->kind == PART_TOOL_RESULT) {
            write_result(w, p);
            continue;
        }
        struct part *copy = part_add(&rest, w->arena, p->kind), *next = copy->next;
        *copy = *p;
        copy->next = next;
    }
    size_t before = buf_len(w->out);
    bool any = w->any;
    begin_item(w);
    if (write_input_parts(w, &rest, "{\"role\":\"user\",\"content\":[")) {
        buf_add(w->out, STR("]}"));
    } else {
        buf_truncate(w->out, before);
        w->any = any;
    }
}

static void write_text_item(struct writing *w, const struct part *p)
{
    bool refusal = p->kind == PART_REFUSAL;
    if (p->text.n == 0) return;
    begin_item(w);
    buf_add(w->out, STR("{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":"));
    buf_add(w->out, refusal ? STR("\"refusal\",\"refusal\":") : STR("\"output_text\",\"annotations\":[],\"text\":"));
    buf_add_json_str(w->out, p->text);
    buf_add(w->out, STR("}]}"));
}

static void write_call(struct writing *w, const struct part *p)
{
    begin_item(w);
    buf_add(w->out, p->custom ? STR("{\"type\":\"custom_tool_call\"") : STR("{\"type\":\"function_call\""));
    member(w, "call_id", p->id);
    member(w, "name", chat_fit_tool_name(p->name, w->arena));
    if (p->custom) {
        name_add(&w->custom_calls, w->arena, p->id);
        member(w, "input", p->text);
    } else {
        member(w, "arguments", p->arguments.n > 0 ? p->arguments : STR("{}"));
    }
    buf_addc(w->out, '}');
}

/* Only what OpenAI encrypted goes back, to whom it belongs; the id is part of it. */
static void write_thought(struct writing *w, const struct part *p)
{
    const struct str mark = STR(MARK_RESPONSES);
    if (!str_starts(p->signature, mark)) {
        loss_addz(w->loss, p->foreign ? "reasoning_content" : "thinking");
        return;
    }
    struct str secret = str_slice(p->signature, mark.n, p->signature.n), id = str_split(&secret, ':');
    begin_item(w);
    buf_add(w->out, STR("{\"type\":\"reasoning\""));
    member(w, "id", id);
    buf_add(w->out, STR(",\"summary\":["));
    if (p->text.n > 0) {
        buf_add(w->out, STR("{\"type\":\"summary_text\",\"text\":"));
        buf_add_json_str(w->out, p->text);
        buf_addc(w->out, '}');
    }
    buf_addc(w->out, ']');
    member(w, "encrypted_content", secret);
    buf_addc(w->out, '}');
}

static void write_assistant(struct writing *w, const struct message *m)
{
    w->custom_calls = (struct names){0};
    for (const struct part *p = m->parts.first; p != NULL; p = p->next) {
        note_losses(w, p);
        if (p->cache != CACHE_NONE) loss_addz(w->loss, "cache_control");
        switch (p->kind) {
        case PART_TEXT:
        case PART_REFUSAL: write_text_item(w, p); break;
        case PART_TOOL_CALL: write_call(w, p); break;
        case PART_REASONING:
        case PART_REDACTED: write_thought(w, p); break;
        default:
            if (is_media(p)) loss_addz(w->loss, "assistant.media");
            break;
        }
    }
}

static bool has_breakpoints(const struct writing *w, const struct parts *parts)
{
    for (const struct part *p = parts->first; p != NULL && w->traits.breakpoints; p = p->next)
        if (p->cache != CACHE_NONE) return true;
    return false;
}

/* A file of another vendor's account is nothing to this one; a sound in another form neither. */
static enum weir_err check_media(struct writing *w, const struct parts *parts)
{
    enum weir_err e = WEIR_OK;
    for (const struct part *p = parts->first; p != NULL && e == WEIR_OK; p = p->next) {
        if (p->kind == PART_TOOL_RESULT) e = check_media(w, &p->content);
        if (p->source == SOURCE_FILE && !w->chat->of_openai)
            return refuse(w, p->kind == PART_IMAGE ? "an image by file id" : "a document by file id");
        if (p->kind == PART_AUDIO && !str_is(p->media_type, "wav") && !str_is(p->media_type, "mp3"))
            return refuse(w, "sound that is no wav or mp3");
    }
    return e;
}

static void write_system(struct writing *w, const struct message *m)
{
    begin_item(w);
    if (has_breakpoints(w, &m->parts)) {
        write_input_parts(w, &m->parts, "{\"role\":\"developer\",\"content\":[");
        buf_add(w->out, STR("]}"));
        return;
    }
    for (const struct part *p = m->parts.first; p != NULL; p = p->next) note_losses(w, p);
    buf_add(w->out, STR("{\"role\":\"developer\",\"content\":"));
    buf_add_json_str(w->out, parts_join_text(&m->parts, w->arena));
    buf_addc(w->out, '}');
}

static enum weir_err write_input(struct writing *w, const struct turns *turns)
{
    enum weir_err e = WEIR_OK;
    bool as_item = has_breakpoints(w, &turns->system); /* instructions are one text without a place for a mark */
    if (turns->system.n > 0 && !as_item) {
        for (const struct part *p = turns->system.first; p != NULL; p = p->next) note_losses(w, p);
        member(w, "instructions", parts_join_text(&turns->system, w->arena));
    }
    key(w, "input");
    buf_addc(w->out, '[');
    if (as_item) write_system(w, &(struct message){.parts = turns->system});
    for (const struct message *m = turns->first; m != NULL && e == WEIR_OK; m = m->next) {
        e = m->role == ROLE_USER ? check_media(w, &m->parts) : WEIR_OK;
        if (m->role == ROLE_SYSTEM)
            write_system(w, m);
        else if (m->role == ROLE_USER)
            write_user(w, m);
        else
            write_assistant(w, m);
    }
    buf_addc(w->out, ']');
    return e;
}

/* ---- Members ---- */

static void write_tool(struct writing *w, const struct tool *t)
{
    struct str sent = chat_fit_tool_name(t->name, w->arena);
    if (!str_eq(sent, t->name)) name_add(&w->chat->renamed, w->arena, sent)->value = t->name;
    buf_add(w->out, t->custom ? STR("{\"type\":\"custom\"") : STR("{\"type\":\"function\""));
    member(w, "name", sent);
    if (t->description.n > 0) member(w, "description", t->description);
    if (t->cache != CACHE_NONE) loss_addz(w->loss, "cache_control");
    if (t->custom) {
        if (t->format.n > 0) {
            key(w, "format");
            buf_add(w->out, t->format);
        }
        buf_addc(w->out, '}');
        return;
    }
    key(w, "parameters");
    buf_add(w->out, t->schema.n > 0 ? t->schema : STR("{\"type\":\"object\",\"properties\":{}}"));
    /* Unsaid means "strict, if the schema allows" here, and "not strict" everywhere else. */
    int8_t strict = openai_strictness(w->chat, &w->traits, t->strict, t->schema, w->arena, w->loss);
    buf_add(w->out, strict == 1 ? STR(",\"strict\":true}") : STR(",\"strict\":false}"));
}

static void write_named(struct writing *w, struct str name)
{
    buf_add(w->out, custom_tool_is(w->chat, name) ? STR("{\"type\":\"custom\"") : STR("{\"type\":\"function\""));
    member(w, "name", chat_fit_tool_name(name, w->arena));
    buf_addc(w->out, '}');
}

/* The tools stay as they are and with them what is cached of the prompt. */
static bool allows_by_choice(const struct chat *c)
{
    return c->allowed_tools.n > 0 && (c->tool_choice == TOOLS_AUTO || c->tool_choice == TOOLS_REQUIRED);
}

static void write_choice(struct writing *w)
{
    static const char *const words[] = {[TOOLS_AUTO] = "auto", [TOOLS_NONE] = "none", [TOOLS_REQUIRED] = "required"};
    const struct chat *c = w->chat;
    if (allows_by_choice(c)) {
        buf_add(w->out, STR(",\"tool_choice\":{\"type\":\"allowed_tools\""));
        member(w, "mode", str_of(words[c->tool_choice]));
        for (const struct name *n = c->allowed_tools.first; n != NULL; n = n->next) {
            buf_add(w->out, n == c->allowed_tools.first ? STR(",\"tools\":[") : STR(","));
            write_named(w, n->text);
        }
        buf_add(w->out, STR("]}"));
        return;
    }
    if (c->tool_choice == TOOLS_UNSET) return;
    if (c->tool_choice != TOOLS_ONE) {
        member(w, "tool_choice", str_of(words[c->tool_choice]));
        return;
    }
    key(w, "tool_choice");
    write_named(w, c->tool_choice_name);
}

static void write_tools(struct writing *w)
{
    const struct chat *c = w->chat;
    bool any = false;
    for (const struct tool *t = c->tools; t != NULL; t = t->next) {
        if (c->allowed_tools.n > 0 && !allows_by_choice(c) && !name_in(&c->allowed_tools, t->name)) continue;
        buf_add(w->out, any ? STR(",") : STR(",\"tools\":["));
        write_tool(w, t);
        any = true;
    }
    if (!any) return;
    buf_addc(w->out, ']');
    write_choice(w);
    if (c->parallel_tools == 0) buf_add(w->out, STR(",\"parallel_tool_calls\":false"));
}

static void write_format(struct writing *w)
{
    const struct chat *c = w->chat;
    buf_add(w->out, STR("\"format\":{\"type\":"));
    if (c->format == FORMAT_JSON_OBJECT) {
        buf_add(w->out, STR("\"json_object\"}"));
        return;
    }
    buf_add(w->out, STR("\"json_schema\""));
    member(w, "name", c->schema_name.n > 0 ? c->schema_name : STR("answer"));
    if (c->schema_description.n > 0) member(w, "description", c->schema_description);
    int8_t strict = openai_strictness(c, &w->traits, c->schema_strict, c->schema, w->arena, w->loss);
    if (strict >= 0) buf_add(w->out, strict == 1 ? STR(",\"strict\":true") : STR(",\"strict\":false"));
    key(w, "schema");
    buf_add(w->out, c->schema);
    buf_addc(w->out, '}');
}

static void write_text(struct writing *w)
{
    struct str verbosity = w->traits.verbosity ? chat_take_shared(w->chat, "verbosity") : STR_NULL;
    bool format = w->chat->format != FORMAT_TEXT;
    if (!format && verbosity.n == 0) return;
    buf_add(w->out, STR(",\"text\":{"));
    if (format) write_format(w);
    if (verbosity.n > 0) {
        buf_addz(w->out, format ? ",\"verbosity\":" : "\"verbosity\":");
        buf_add(w->out, verbosity);
    }
    buf_addc(w->out, '}');
}

/* true: the model will reason. */
static bool write_reasoning(struct writing *w)
{
    enum effort wanted = openai_wanted_effort(w->chat), e = openai_fit_effort(w->chat, &w->traits, wanted);
    bool logprobs = w->chat->logprobs_said.n > 0;
    if (logprobs)
        buf_add(w->out, w->traits.effort ? STR(",\"include\":[\"message.output_text.logprobs\"")
                                         : STR(",\"include\":[\"message.output_text.logprobs\"]"));
    if (!w->traits.effort) {
        if (e != EFFORT_UNSET && e != EFFORT_NONE) loss_addz(w->loss, "thinking");
        return false;
    }
    if (w->traits.reasons_always && wanted == EFFORT_NONE) { /* whoever asks: there is no such word */
        loss_addz(w->loss, w->chat->thinking == THINKING_OFF ? "thinking" : "reasoning_effort");
        e = EFFORT_LOW;
    }
    buf_add(w->out, logprobs ? STR(",\"reasoning.encrypted_content\"]")
                             : STR(",\"include\":[\"reasoning.encrypted_content\"]"));
    if (e == EFFORT_UNSET && w->chat->thinking_shown <= 0) return true;
    buf_add(w->out, STR(",\"reasoning\":{"));
    if (e != EFFORT_UNSET) buf_addf(w->out, "\"effort\":\"%s\"", effort_word(e));
    if (e != EFFORT_NONE && (w->chat->thinking_shown > 0 || w->chat->thinking != THINKING_UNSET))
        buf_addf(w->out, "%s\"summary\":\"auto\"", e != EFFORT_UNSET ? "," : "");
    buf_addc(w->out, '}');
    return e != EFFORT_NONE;
}

static void write_shared(struct writing *w, const char *name, bool takes)
{
    struct str json = takes ? chat_take_shared(w->chat, name) : STR_NULL;
    if (json.n == 0) return;
    key(w, name);
    buf_add(w->out, json);
}

static void write_sampling(struct writing *w, bool reasons)
{
    const struct chat *c = w->chat;
    bool takes = w->traits.sampling && !(reasons && w->traits.sampling_unless_reasoning);
    const struct {
        const char *name;
        struct str text;
        bool takes;
    } rows[] = {{"temperature", c->temperature, takes}, {"top_p", c->top_p, takes}, {"top_k", c->top_k, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].text.n == 0) continue;
        if (!rows[i].takes) {
            loss_addz(w->loss, rows[i].name);
            continue;
        }
        key(w, rows[i].name);
        buf_add(w->out, rows[i].text);
    }
}

static enum weir_err write_members(struct writing *w)
{
    const struct chat *c = w->chat;
    if (c->stop.n > 0 && !stop_cut_ask(w->chat)) return refuse(w, "so many or so long stop sequences");
    buf_add(w->out, STR(",\"store\":false"));
    if (c->max_output >= 0) {
        key(w, "max_output_tokens");
        buf_add_i64(w->out, c->max_output > OUTPUT_LEAST ? c->max_output : OUTPUT_LEAST);
    }
    write_tools(w);
    write_text(w);
    write_sampling(w, write_reasoning(w));
    if (c->top_logprobs > 0 && c->logprobs_said.n > 0) key(w, "top_logprobs"), buf_add_i64(w->out, c->top_logprobs);
    write_shared(w, "metadata", true);
    write_shared(w, "moderation", w->traits.user);
    write_shared(w, "prompt_cache_key", true);
    write_shared(w, "prompt_cache_options", w->traits.breakpoints);
    write_shared(w, "prompt_cache_retention", w->traits.user);
    if (c->user.n > 0 && c->user.n <= 512) member(w, "safety_identifier", c->user);
    if (c->user.n > 512) loss_addz(w->loss, "metadata.user_id");
    if (c->service_tier.n > 0) member(w, "service_tier", c->service_tier);
    if (c->cache_all != CACHE_NONE) loss_addz(w->loss, "cache_control");
    if (c->stream) buf_add(w->out, STR(",\"stream\":true"));
    return WEIR_OK;
}

enum weir_err responses_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                      struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why)
{
    struct writing w = {
        .chat = chat, .out = out, .loss = loss, .arena = a, .ret_why = ret_why, .traits = openai_traits_of(model)};
    struct turns turns;
    (void)hints;
    chat->custom_as_such = true;
    chat_meet_demand(chat, chat->logprobs_said);
    enum weir_err e = chat_refuse_demands(chat, "responses", a, ret_why);
    if (e == WEIR_OK) e = turns_build(chat, true, a, &turns, ret_why);
    if (e != WEIR_OK) return e;
    chat_lose_hints(chat, loss);
    if (chat->format == FORMAT_JSON_OBJECT && !openai_speaks_of_json(&turns))
        part_add(&turns.system, a, PART_TEXT)->text = STR(OPENAI_JSON_WISH);
    buf_add(out, STR("{\"model\":"));
    buf_add_json_str(out, model);
    e = write_input(&w, &turns);
    if (e == WEIR_OK) e = write_members(&w);
    buf_addc(out, '}');
    return e;
}
