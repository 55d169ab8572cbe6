/* The hub out as a Messages request. Much depends on the model's generation (model_traits.h): how thinking is asked for,
 * whether sampling and forced tools are taken at all. */
#include "proto/dialect/anthropic.h"

#include "proto/dialect/anthropic_turns.h"
#include "proto/dialect/claude_plan.h"
#include "proto/dialect/schema.h"
#include "proto/dialect/stop_cut.h"
#include "proto/dialect/turns.h"

static void key(struct anthropic_writing *w, const char *name)
{
    buf_addf(w->out, ",\"%s\":", name);
}

/* ---- Format ---- */

static enum weir_err write_output_config(struct anthropic_writing *w, const struct claude_plan *p)
{
    const struct chat *c = w->chat;
    bool schema = c->format == FORMAT_JSON_SCHEMA;
    if (c->format == FORMAT_JSON_OBJECT) loss_addz(w->loss, "response_format"); /* asked for in words instead */
    if (schema && !w->traits.json_schema) {
        *w->ret_why = STR("response_format json_schema cannot be carried to this model");
        return WEIR_UNSUPPORTED;
    }
    if (!schema && p->effort == EFFORT_UNSET) return WEIR_OK;
    key(w, "output_config");
    buf_addc(w->out, '{');
    if (p->effort != EFFORT_UNSET) buf_addf(w->out, "\"effort\":\"%s\"", effort_word(p->effort));
    if (schema) {
        buf_addf(w->out, "%s\"format\":{\"type\":\"json_schema\",\"schema\":", p->effort != EFFORT_UNSET ? "," : "");
        schema_write_strict(c->schema, w->arena, w->out, w->loss);
        buf_addc(w->out, '}');
    }
    buf_addc(w->out, '}');
    return WEIR_OK;
}

/* ---- Tools ---- */

static bool is_object_schema(struct str schema)
{
    return schema.n > 2; /* an empty object is no schema for Anthropic: its type must be there */
}

static void write_tool(struct anthropic_writing *w, const struct tool *t)
{
    buf_add(w->out, STR("{\"name\":"));
    buf_add_json_str(w->out, t->name);
    if (t->description.n > 0) {
        key(w, "description");
        buf_add_json_str(w->out, t->description);
    }
    key(w, "input_schema");
    if (!is_object_schema(t->schema))
        buf_add(w->out, STR("{\"type\":\"object\",\"properties\":{}}"));
    else if (t->strict == 1 && w->traits.json_schema)
        schema_write_strict(t->schema, w->arena, w->out, w->loss);
    else
        buf_add(w->out, t->schema);
    if (t->strict == 1 && w->traits.json_schema) buf_add(w->out, STR(",\"strict\":true"));
    if (t->strict == 1 && !w->traits.json_schema) loss_addz(w->loss, "tools.strict");
    anthropic_write_cache(w, t->cache);
    buf_addc(w->out, '}');
}

static enum weir_err write_choice(struct anthropic_writing *w)
{
    const struct chat *c = w->chat;
    bool forced = c->tool_choice == TOOLS_REQUIRED || c->tool_choice == TOOLS_ONE;
    if (forced && !w->traits.forced_tools) {
        *w->ret_why = STR("tool_choice that forces a tool is not taken by this model; send auto");
        return WEIR_UNSUPPORTED;
    }
    if (c->tool_choice == TOOLS_UNSET && c->parallel_tools != 0) return WEIR_OK;
    key(w, "tool_choice");
    switch (c->tool_choice) {
    case TOOLS_UNSET:
    case TOOLS_AUTO: buf_add(w->out, STR("{\"type\":\"auto\"")); break;
    case TOOLS_NONE: buf_add(w->out, STR("{\"type\":\"none\"")); break;
    case TOOLS_REQUIRED: buf_add(w->out, STR("{\"type\":\"any\"")); break;
    case TOOLS_ONE:
        buf_add(w->out, STR("{\"type\":\"tool\",\"name\":"));
        buf_add_json_str(w->out, c->tool_choice_name);
        break;
    }
    if (c->parallel_tools == 0 && c->tool_choice != TOOLS_NONE)
        buf_add(w->out, STR(",\"disable_parallel_tool_use\":true"));
    buf_addc(w->out, '}');
    return WEIR_OK;
}

static enum weir_err write_tools(struct anthropic_writing *w)
{
    const struct chat *c = w->chat;
    bool first = true;
    for (const struct tool *t = c->tools; t != NULL; t = t->next) {
        if (c->allowed_tools.n > 0 && !name_in(&c->allowed_tools, t->name)) continue;
        buf_add(w->out, first ? STR(",\"tools\":[") : STR(","));
        write_tool(w, t);
        first = false;
    }
    if (first) return WEIR_OK;
    buf_addc(w->out, ']');
    return write_choice(w);
}

/* ---- The rest ---- */

static void write_sampling(struct anthropic_writing *w, const struct claude_plan *p)
{
    const struct chat *c = w->chat;
    bool takes = w->traits.sampling && !p->on;
    bool top_p = takes && c->top_p.n > 0 && (w->traits.both_samplings || c->temperature.n == 0);
    if (takes && c->temperature.n > 0) {
        key(w, "temperature");
        chat_write_temperature(c, w->out);
    }
    if (top_p) {
        key(w, "top_p");
        buf_add(w->out, c->top_p);
    }
    if (takes && c->top_k.n > 0) {
        key(w, "top_k");
        buf_add(w->out, c->top_k);
    }
    if (!takes && c->temperature.n > 0) loss_addz(w->loss, "temperature");
    if (!top_p && c->top_p.n > 0) loss_addz(w->loss, "top_p");
    if (!takes && c->top_k.n > 0) loss_addz(w->loss, "top_k");
}

/* Blank ones are refused there: they are looked for here, in the answer. */
static void write_stop(struct anthropic_writing *w)
{
    bool first = true, has_blank = false;
    for (const struct name *s = w->chat->stop.first; s != NULL; s = s->next) has_blank |= str_is_blank(s->text);
    bool cut = has_blank && stop_cut_ask(w->chat);
    for (const struct name *s = w->chat->stop.first; s != NULL; s = s->next) {
        if (str_is_blank(s->text)) {
            if (!cut) loss_addz(w->loss, "stop");
            continue;
        }
        buf_add(w->out, first ? STR(",\"stop_sequences\":[") : STR(","));
        buf_add_json_str(w->out, s->text);
        first = false;
    }
    if (!first) buf_addc(w->out, ']');
}

static void write_user_and_tier(struct anthropic_writing *w)
{
    const struct chat *c = w->chat;
    if (c->user.n > 0 && c->user.n <= 256) {
        key(w, "metadata");
        buf_add(w->out, STR("{\"user_id\":"));
        buf_add_json_str(w->out, c->user);
        buf_addc(w->out, '}');
    } else if (c->user.n > 0) {
        loss_addz(w->loss, "user");
    }
    if (str_is(c->service_tier, "auto"))
        buf_add(w->out, STR(",\"service_tier\":\"auto\""));
    else if (str_is(c->service_tier, "default"))
        buf_add(w->out, STR(",\"service_tier\":\"standard_only\""));
    else if (c->service_tier.n > 0)
        loss_addz(w->loss, "service_tier");
}

enum weir_err anthropic_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                      struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why)
{
    struct anthropic_writing w = {.chat = chat,
                                  .hints = hints,
                                  .out = out,
                                  .loss = loss,
                                  .arena = a,
                                  .ret_why = ret_why,
                                  .traits = claude_traits_of(model)};
    struct turns turns;
    enum weir_err e = chat_refuse_demands(chat, "anthropic", a, ret_why);
    if (e == WEIR_OK) e = turns_build(chat, w.traits.mid_system, a, &turns, ret_why);
    if (e != WEIR_OK) return e;
    chat_lose_hints(chat, loss);
    struct claude_plan plan = claude_plan_make(chat, &w.traits, hints->max_output, &turns, loss);
    chat->max_output = plan.max_tokens;
    buf_add(out, STR("{\"model\":"));
    buf_add_json_str(out, model);
    key(&w, "max_tokens");
    buf_add_i64(out, plan.max_tokens);
    anthropic_write_system(&w, &turns);
    key(&w, "messages");
    e = anthropic_write_turns(&w, &turns);
    if (e == WEIR_OK) e = write_tools(&w);
    if (e == WEIR_OK) e = write_output_config(&w, &plan);
    if (claude_plan_has_thinking(&plan)) {
        key(&w, "thinking");
        claude_plan_write_thinking(&plan, &w.traits, out);
    }
    write_sampling(&w, &plan);
    write_stop(&w);
    write_user_and_tier(&w);
    if (chat->stream) buf_add(out, STR(",\"stream\":true"));
    buf_addc(out, '}');
    return e;
}
