/* The hub out as a generateContent request. How thinking is asked for depends on the model's generation (model_traits.h). */
#include "proto/dialect/gemini.h"

#include "proto/dialect/gemini_writing.h"
#include "proto/dialect/stop_cut.h"
#include "proto/dialect/turns.h"

enum { NAME_MOST = 64, STOPS_MOST = 5 };

/* ---- Tool names ---- */

static uint32_t hash(struct str s) /* FNV-1a: two long names that begin alike must not become one */
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)s.p[i]) * 16777619u;
    return h;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_char(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':';
}

struct str gemini_tool_name(struct gemini_writing *w, struct str name)
{
    bool fits = name.n > 0 && name.n <= NAME_MOST && is_letter(name.p[0]);
    for (size_t i = 0; i < name.n && fits; i++) fits = is_name_char(name.p[i]);
    if (fits) return name;
    char sent[NAME_MOST];
    size_t n =
        name.n < NAME_MOST - 10 ? name.n : NAME_MOST - 10; /* room for '_' before and '_' and eight digits behind */
    for (size_t i = 0; i < n; i++) sent[i] = is_name_char(name.p[i]) ? name.p[i] : '_';
    return arena_printf(w->arena, "%s%.*s_%08x", n > 0 && is_letter(sent[0]) ? "" : "_", (int)n, sent, hash(name));
}

/* ---- generationConfig ---- */

/* The config's members, each with its comma; the object is made around them at the end. */
static void key(struct gemini_writing *w, const char *name)
{
    bool first = buf_view(w->out).p[buf_len(w->out) - 1] == '{';
    buf_addf(w->out, "%s\"%s\":", first ? "" : ",", name);
}

static void number(struct gemini_writing *w, const char *name, struct str text)
{
    if (text.n == 0) return;
    key(w, name);
    buf_add(w->out, text);
}

static enum effort effort_of_budget(int64_t budget)
{
    return budget <= 2048 ? EFFORT_LOW : budget <= 12288 ? EFFORT_MEDIUM : EFFORT_HIGH;
}

static const char *level_of(const struct gemini_writing *w, enum effort e)
{
    switch (e) {
    case EFFORT_NONE:
    case EFFORT_MINIMAL: return w->traits.pro ? "LOW" : "MINIMAL"; /* it cannot be switched off there */
    case EFFORT_LOW: return "LOW";
    case EFFORT_MEDIUM: return "MEDIUM";
    default: return "HIGH";
    }
}

static int64_t budget_of(const struct gemini_writing *w, enum effort e)
{
    int64_t least = w->traits.pro ? 128 : 0;
    switch (e) {
    case EFFORT_NONE: return least;
    case EFFORT_MINIMAL: return 512;
    case EFFORT_LOW: return 1024;
    case EFFORT_MEDIUM: return 8192;
    case EFFORT_UNSET: return -1; /* as the model likes */
    default: return w->traits.pro && e > EFFORT_HIGH ? 32768 : 24576;
    }
}

static int64_t fit_budget(const struct gemini_writing *w, int64_t budget)
{
    int64_t most = w->traits.pro ? 32768 : 24576;
    return budget > most ? most : budget;
}

static void write_thinking(struct gemini_writing *w)
{
    const struct chat *c = w->chat;
    enum effort e = c->thinking == THINKING_OFF ? EFFORT_NONE : c->effort;
    bool by_budget = c->thinking == THINKING_BUDGET && e == EFFORT_UNSET;
    if (e == EFFORT_UNSET && c->thinking == THINKING_UNSET && c->thinking_shown != 1) return;
    if (w->traits.thinking == GEMINI_NO_THINKING) {
        if (e != EFFORT_NONE) loss_addz(w->loss, "reasoning_effort");
        return;
    }
    key(w, "thinkingConfig");
    buf_addf(w->out, "{\"includeThoughts\":%s", e != EFFORT_NONE && c->thinking_shown != 0 ? "true" : "false");
    if (w->traits.thinking == GEMINI_BUDGET) {
        key(w, "thinkingBudget");
        buf_add_i64(w->out, by_budget ? fit_budget(w, c->thinking_budget) : budget_of(w, e));
    } else if (e != EFFORT_UNSET || by_budget) {
        key(w, "thinkingLevel");
        buf_addf(w->out, "\"%s\"", level_of(w, by_budget ? effort_of_budget(c->thinking_budget) : e));
    }
    buf_addc(w->out, '}');
}

static void write_format(struct gemini_writing *w)
{
    const struct chat *c = w->chat;
    if (c->format == FORMAT_TEXT) return;
    key(w, "responseMimeType");
    buf_add(w->out, STR("\"application/json\""));
    if (c->format != FORMAT_JSON_SCHEMA || c->schema.n == 0) return;
    key(w, "responseJsonSchema");
    gemini_write_schema(c->schema, w->arena, w->out, w->loss);
}

static enum weir_err write_stop(struct gemini_writing *w)
{
    const struct chat *c = w->chat;
    if (c->stop.n == 0) return WEIR_OK;
    if (c->stop.n > STOPS_MOST) {
        if (stop_cut_ask(w->chat)) return WEIR_OK;
        *w->ret_why = STR("so many stop sequences cannot be carried to a provider that speaks gemini");
        return WEIR_UNSUPPORTED;
    }
    key(w, "stopSequences");
    buf_addc(w->out, '[');
    for (const struct name *s = c->stop.first; s != NULL; s = s->next) {
        if (s != c->stop.first) buf_addc(w->out, ',');
        buf_add_json_str(w->out, s->text);
    }
    buf_addc(w->out, ']');
    return WEIR_OK;
}

static enum weir_err write_config(struct gemini_writing *w)
{
    struct chat *c = w->chat;
    size_t empty = buf_len(w->out);
    buf_add(w->out, STR(",\"generationConfig\":{"));
    size_t begun = buf_len(w->out);
    if (w->hints->max_output > 0 && c->max_output > w->hints->max_output) c->max_output = w->hints->max_output;
    if (c->max_output >= 0) {
        key(w, "maxOutputTokens");
        buf_add_i64(w->out, c->max_output > 0 ? c->max_output : 1); /* 0 is Anthropic's "only warm the cache" */
    }
    number(w, "temperature", c->temperature);
    number(w, "topP", c->top_p);
    number(w, "topK", c->top_k);
    number(w, "seed", chat_take_shared(c, "seed"));
    number(w, "presencePenalty", chat_take_shared(c, "presence_penalty"));
    number(w, "frequencyPenalty", chat_take_shared(c, "frequency_penalty"));
    if (c->logprobs_said.n > 0) {
        number(w, "responseLogprobs", STR("true"));
        if (c->top_logprobs > 0) key(w, "logprobs"), buf_add_i64(w->out, c->top_logprobs);
    }
    enum weir_err e = write_stop(w);
    write_format(w);
    write_thinking(w);
    if (buf_len(w->out) == begun)
        buf_truncate(w->out, empty);
    else
        buf_addc(w->out, '}');
    return e;
}

/* ---- Tools ---- */

static bool has_properties(struct str schema)
{
    /* An object without properties is said by leaving the schema out; it is refused otherwise. */
    return schema.n > 2 &&
           (str_contains(schema, STR("\"properties\"")) || str_contains(schema, STR("\"$ref\"")) ||
            str_contains(schema, STR("\"anyOf\""))) &&
           !str_contains(schema, STR("\"properties\":{}}"));
}

static void write_tool(struct gemini_writing *w, const struct tool *t)
{
    struct str sent = gemini_tool_name(w, t->name);
    if (!str_eq(sent, t->name)) name_add(&w->chat->renamed, w->arena, sent)->value = t->name;
    buf_add(w->out, STR("{\"name\":"));
    buf_add_json_str(w->out, sent);
    if (t->description.n > 0) {
        buf_add(w->out, STR(",\"description\":"));
        buf_add_json_str(w->out, t->description);
    }
    if (has_properties(t->schema)) {
        buf_add(w->out, STR(",\"parametersJsonSchema\":"));
        gemini_write_schema(t->schema, w->arena, w->out, w->loss);
    }
    buf_addc(w->out, '}');
    if (t->cache != CACHE_NONE) loss_addz(w->loss, "cache_control");
}

static bool any_strict(const struct chat *c)
{
    for (const struct tool *t = c->tools; t != NULL; t = t->next)
        if (t->strict == 1) return true;
    return false;
}

static void write_names(struct gemini_writing *w)
{
    const struct chat *c = w->chat;
    bool first = true;
    buf_add(w->out, STR(",\"allowedFunctionNames\":["));
    if (c->tool_choice == TOOLS_ONE) buf_add_json_str(w->out, gemini_tool_name(w, c->tool_choice_name));
    for (const struct name *n = c->tool_choice == TOOLS_ONE ? NULL : c->allowed_tools.first; n != NULL; n = n->next) {
        if (!first) buf_addc(w->out, ',');
        first = false;
        buf_add_json_str(w->out, gemini_tool_name(w, n->text));
    }
    buf_addc(w->out, ']');
}

static void write_choice(struct gemini_writing *w)
{
    const struct chat *c = w->chat;
    bool subset = c->tool_choice == TOOLS_ONE || (c->allowed_tools.n > 0 && c->tool_choice != TOOLS_NONE);
    bool forced = c->tool_choice == TOOLS_ONE || c->tool_choice == TOOLS_REQUIRED;
    const char *mode = c->tool_choice == TOOLS_NONE ? "NONE"
                       : forced                     ? "ANY"
                       : subset || any_strict(c)    ? "VALIDATED"
                                                    : "AUTO";
    if (c->parallel_tools == 0) loss_addz(w->loss, "parallel_tool_calls");
    if (c->tool_choice == TOOLS_UNSET && !subset && !any_strict(c)) return;
    buf_addf(w->out, ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"%s\"", mode);
    if (subset) write_names(w);
    buf_add(w->out, STR("}}"));
}

static void write_tools(struct gemini_writing *w)
{
    const struct chat *c = w->chat;
    if (c->tools == NULL) return;
    buf_add(w->out, STR(",\"tools\":[{\"functionDeclarations\":["));
    for (const struct tool *t = c->tools; t != NULL; t = t->next) {
        if (t != c->tools) buf_addc(w->out, ',');
        write_tool(w, t);
    }
    buf_add(w->out, STR("]}]"));
    write_choice(w);
}

static void write_rest(struct gemini_writing *w)
{
    const struct chat *c = w->chat;
    if (c->user.n > 0) loss_addz(w->loss, "user");
    if (c->cache_all != CACHE_NONE) loss_addz(w->loss, "cache_control");
    if (str_is(c->service_tier, "flex") || str_is(c->service_tier, "priority"))
        buf_addf(w->out, ",\"serviceTier\":\"%.*s\"", STR_FMT(c->service_tier));
    else if (c->service_tier.n > 0 && !str_is(c->service_tier, "auto") && !str_is(c->service_tier, "default"))
        loss_addz(w->loss, "service_tier");
}

static enum weir_err refuse_format(struct gemini_writing *w)
{
    const struct chat *c = w->chat;
    if (c->format == FORMAT_TEXT || c->tools == NULL || w->traits.json_with_tools) return WEIR_OK;
    *w->ret_why = STR("this model takes no tools beside a JSON response format");
    return WEIR_UNSUPPORTED;
}

enum weir_err gemini_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                   struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why)
{
    struct gemini_writing w = {.chat = chat,
                               .hints = hints,
                               .out = out,
                               .loss = loss,
                               .arena = a,
                               .ret_why = ret_why,
                               .traits = gemini_traits_of(model)};
    struct turns turns;
    chat_meet_demand(chat, chat->logprobs_said);
    enum weir_err e = chat_refuse_demands(chat, "gemini", a, ret_why);
    if (e == WEIR_OK) e = refuse_format(&w);
    if (e == WEIR_OK) e = turns_build(chat, false, a, &turns, ret_why);
    if (e != WEIR_OK) return e;
    chat_lose_hints(chat, loss);
    buf_addc(out, '{');
    gemini_write_system(&w, &turns);
    e = gemini_write_turns(&w, &turns);
    if (e != WEIR_OK) return e;
    write_tools(&w);
    e = write_config(&w);
    write_rest(&w);
    buf_addc(out, '}');
    return e;
}
