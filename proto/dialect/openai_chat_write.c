/* The hub out as a chat completions request. Fields that only some hosts know are sent to those whose model names say so
 * (model_traits.h): a look-alike that meets an unknown field may refuse the call. */
#include "proto/dialect/openai_chat.h"

#include "proto/dialect/model_traits.h"
#include "proto/dialect/openai_chat_turns.h"
#include "proto/dialect/turns.h"

enum { STOPS_MOST = 4 };

/* ---- Members ---- */

static void key(struct openai_writing *w, const char *name)
{
    buf_addf(w->out, ",\"%s\":", name);
}

static void number(struct openai_writing *w, const char *name, struct str text)
{
    key(w, name);
    buf_add(w->out, text);
}

static void write_limits(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    if (c->max_output >= 0) {
        key(w, w->traits.completion_tokens || w->hints->max_completion_tokens ? "max_completion_tokens" : "max_tokens");
        buf_add_i64(w->out, c->max_output > 0 ? c->max_output : 1); /* 0 is Anthropic's "only warm the cache" */
    }
    if (c->max_output == 0) loss_addz(w->loss, "max_tokens");
}

static void write_sampling(struct openai_writing *w, bool reasons)
{
    const struct chat *c = w->chat;
    bool takes = w->traits.sampling && !(reasons && w->traits.sampling_unless_reasoning);
    if (c->temperature.n > 0 && takes) number(w, "temperature", c->temperature);
    if (c->top_p.n > 0 && takes) number(w, "top_p", c->top_p);
    if (c->temperature.n > 0 && !takes) loss_addz(w->loss, "temperature");
    if (c->top_p.n > 0 && !takes) loss_addz(w->loss, "top_p");
    if (c->top_k.n > 0) loss_addz(w->loss, "top_k");
}

static enum weir_err write_stop(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    if (c->stop.n == 0) return WEIR_OK;
    if (!w->traits.stop || c->stop.n > STOPS_MOST) {
        *w->ret_why = w->traits.stop
                          ? STR("more than 4 stop sequences cannot be carried to a provider that speaks openai")
                          : STR("the model takes no stop sequences");
        return WEIR_UNSUPPORTED;
    }
    key(w, "stop");
    buf_addc(w->out, '[');
    for (const struct name *s = c->stop.first; s != NULL; s = s->next) {
        if (s != c->stop.first) buf_addc(w->out, ',');
        buf_add_json_str(w->out, s->text);
    }
    buf_addc(w->out, ']');
    return WEIR_OK;
}

static void write_tool(struct openai_writing *w, const struct tool *t)
{
    struct str sent = chat_fit_tool_name(t->name, w->arena);
    if (!str_eq(sent, t->name)) name_add(&w->chat->renamed, w->arena, sent)->value = t->name;
    buf_add(w->out, STR("{\"type\":\"function\",\"function\":{\"name\":"));
    buf_add_json_str(w->out, sent);
    if (t->description.n > 0) {
        key(w, "description");
        buf_add_json_str(w->out, t->description);
    }
    number(w, "parameters", t->schema.n > 0 ? t->schema : STR("{\"type\":\"object\",\"properties\":{}}"));
    if (t->strict >= 0) number(w, "strict", t->strict == 1 ? STR("true") : STR("false"));
    buf_add(w->out, STR("}}"));
    if (t->cache != CACHE_NONE) loss_addz(w->loss, "cache_control");
}

static void write_choice(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    switch (c->tool_choice) {
    case TOOLS_UNSET: return;
    case TOOLS_AUTO: number(w, "tool_choice", STR("\"auto\"")); return;
    case TOOLS_NONE: number(w, "tool_choice", STR("\"none\"")); return;
    case TOOLS_REQUIRED: number(w, "tool_choice", STR("\"required\"")); return;
    case TOOLS_ONE:
        number(w, "tool_choice", STR("{\"type\":\"function\",\"function\":{\"name\":"));
        buf_add_json_str(w->out, chat_fit_tool_name(c->tool_choice_name, w->arena));
        buf_add(w->out, STR("}}"));
    }
}

static void write_tools(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    bool first = true;
    for (const struct tool *t = c->tools; t != NULL; t = t->next) {
        if (c->allowed_tools.n > 0 && !name_in(&c->allowed_tools, t->name)) continue;
        buf_add(w->out, first ? STR(",\"tools\":[") : STR(","));
        write_tool(w, t);
        first = false;
    }
    if (first) return;
    buf_addc(w->out, ']');
    write_choice(w);
    if (c->parallel_tools == 0) number(w, "parallel_tool_calls", STR("false"));
}

static void write_format(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    if (c->format == FORMAT_TEXT) return;
    if (c->format == FORMAT_JSON_OBJECT) {
        number(w, "response_format", STR("{\"type\":\"json_object\"}"));
        return;
    }
    number(w, "response_format", STR("{\"type\":\"json_schema\",\"json_schema\":{\"name\":"));
    buf_add_json_str(w->out, c->schema_name.n > 0 ? c->schema_name : STR("answer"));
    if (c->schema_strict >= 0) number(w, "strict", c->schema_strict == 1 ? STR("true") : STR("false"));
    number(w, "schema", c->schema);
    buf_add(w->out, STR("}}"));
}

/* A budget in words. The bounds are between the budgets that gateways give to the words: 1024, 4096 to 8192, 16 k and more. */
static enum effort effort_of_budget(int64_t budget)
{
    return budget <= 2048 ? EFFORT_LOW : budget <= 12288 ? EFFORT_MEDIUM : EFFORT_HIGH;
}

enum effort openai_wanted_effort(const struct chat *c)
{
    if (c->thinking == THINKING_OFF) return EFFORT_NONE;
    if (c->effort != EFFORT_UNSET) return c->effort;
    return c->thinking == THINKING_BUDGET ? effort_of_budget(c->thinking_budget) : EFFORT_UNSET;
}

/* true: the model will reason. */
static bool write_effort(struct openai_writing *w)
{
    enum effort e = openai_wanted_effort(w->chat);
    if (w->chat->tools != NULL && w->traits.tools_without_reasoning) {
        if (e != EFFORT_UNSET && e != EFFORT_NONE) loss_addz(w->loss, "thinking");
        e = EFFORT_NONE; /* the only way these models take tools here */
    } else if (e == EFFORT_NONE || e == EFFORT_UNSET) {
        return false; /* "none" is not known everywhere; unsaid is the host's default */
    } else if (!w->traits.effort) {
        loss_addz(w->loss, "thinking");
        return false;
    }
    key(w, "reasoning_effort");
    buf_addf(w->out, "\"%s\"", effort_word(e));
    return e != EFFORT_NONE;
}

static void write_user(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    if (c->user.n == 0) return;
    if (!w->traits.user || c->user.n > 512) {
        loss_addz(w->loss, "metadata.user_id");
        return;
    }
    key(w, "user");
    buf_add_json_str(w->out, c->user);
}

static enum weir_err write_members(struct openai_writing *w)
{
    const struct chat *c = w->chat;
    write_limits(w);
    enum weir_err e = write_stop(w);
    if (e != WEIR_OK) return e;
    write_tools(w);
    write_format(w);
    write_sampling(w, write_effort(w));
    write_user(w);
    if (c->service_tier.n > 0 && w->traits.user) {
        key(w, "service_tier");
        buf_add_json_str(w->out, c->service_tier);
    }
    if (c->cache_all != CACHE_NONE) loss_addz(w->loss, "cache_control");
    if (c->stream) buf_add(w->out, STR(",\"stream\":true,\"stream_options\":{\"include_usage\":true}"));
    return WEIR_OK;
}

enum weir_err openai_chat_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                        struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why)
{
    struct openai_writing w = {.chat = chat,
                               .hints = hints,
                               .out = out,
                               .loss = loss,
                               .arena = a,
                               .ret_why = ret_why,
                               .traits = openai_traits_of(model)};
    struct turns turns;
    enum weir_err e = chat_refuse_demands(chat, "openai", a, ret_why);
    if (e == WEIR_OK) e = turns_build(chat, true, a, &turns, ret_why);
    if (e != WEIR_OK) return e;
    chat_lose_hints(chat, loss);
    buf_add(out, STR("{\"model\":"));
    buf_add_json_str(out, model);
    buf_add(out, STR(",\"messages\":"));
    e = openai_write_turns(&w, &turns);
    if (e == WEIR_OK) e = write_members(&w);
    buf_addc(out, '}');
    return e;
}
