#include "proto/dialect/host_quirks.h"

#include "proto/dialect/chat.h"
#include "proto/dialect/provider_type.h"
#include "proto/dialect/tree.h"
#include "proto/wire/json.h"

#include <stdlib.h>
#include <string.h>

static const struct host_quirks quirks[PROVIDER_TYPES] = {
#define HOST_QUIRKS(id, ...) [PROVIDER_##id] = {__VA_ARGS__},
#include "proto/dialect/host_quirks.tbl.h"
#undef HOST_QUIRKS
};

const struct host_quirks *host_quirks_of(unsigned provider_type)
{
    static const struct host_quirks none;
    const struct host_quirks *q = &quirks[provider_type < PROVIDER_TYPES ? provider_type : 0];
    return memcmp(q, &none, sizeof none) == 0 ? NULL : q;
}

/* ---- Lists of words ---- */

static struct str next_word(struct str *list)
{
    return str_split(list, ' ');
}

static bool list_has(const char *list, struct str word)
{
    struct str rest = str_of(list == NULL ? "" : list);
    while (rest.n > 0)
        if (str_eq(next_word(&rest), word)) return true;
    return false;
}

static bool list_is_in(const char *list, struct str text)
{
    struct str rest = str_of(list == NULL ? "" : list);
    while (rest.n > 0)
        if (str_icontains(text, next_word(&rest))) return true;
    return false;
}

/* ---- One body ---- */

struct fitting {
    const struct host_quirks *q;
    struct str model, body;
    struct arena *arena;
    struct buf *out;
    struct loss *loss;
    bool changed, first;
    bool no_tools; /* tool_choice "none" at a host that does not know it */
    struct buf scratch;
};

/* A member that says nothing is not missed. */
static bool says_nothing(struct str value)
{
    return str_is(value, "null") || str_is(value, "[]") || str_is(value, "\"\"");
}

static void write_member(struct fitting *f, struct str key, struct str value)
{
    if (!f->first) buf_addc(f->out, ',');
    f->first = false;
    buf_add_json_str(f->out, key);
    buf_addc(f->out, ':');
    buf_add(f->out, value);
}

static void write_changed(struct fitting *f, struct str key, struct str value)
{
    f->changed = true;
    write_member(f, key, value);
}

static bool is_in_body(struct fitting *f, struct str key)
{
    char name[64];
    struct str value;
    if (key.n >= sizeof name) return false;
    memcpy(name, key.p, key.n);
    name[key.n] = '\0';
    buf_clear(&f->scratch);
    return json_find(f->body, name, &value, &f->scratch) != JSON_ABSENT && !str_is(value, "null");
}

/* The host's name of a member; what has it already gives way to the newer one. */
static struct str renamed(struct fitting *f, struct str key, bool *ret_superseded)
{
    struct str rest = str_of(f->q->renames == NULL ? "" : f->q->renames);
    *ret_superseded = false;
    while (rest.n > 0) {
        struct str to = next_word(&rest), from = str_split(&to, '>');
        if (str_eq(from, key)) return to;
        if (str_eq(to, key) && is_in_body(f, from)) *ret_superseded = true;
    }
    return key;
}

/* The nearest word at or above the wanted one; else the most there is. */
static struct str fit_effort(struct fitting *f, struct str value)
{
    struct str rest = str_of(f->q->efforts == NULL ? "" : f->q->efforts), word = STR_NULL;
    buf_clear(&f->scratch);
    if (rest.n == 0 || !json_unquote(value, &f->scratch)) return value;
    enum effort wanted = effort_of_word(buf_view(&f->scratch));
    if (wanted == EFFORT_UNSET) return value;
    do word = next_word(&rest);
    while (rest.n > 0 && effort_of_word(word) < wanted);
    return str_eq(word, buf_view(&f->scratch)) ? value : arena_printf(f->arena, "\"%.*s\"", STR_FMT(word));
}

static struct str fit_temperature(struct fitting *f, struct str value)
{
    char text[32];
    if (!f->q->temperature_to_1 || value.n >= sizeof text) return value;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    return strtod(text, NULL) > 1.0 ? STR("1") : value;
}

/* ---- Messages ---- */

/* Calls of another host keep their pairing: the same id is the same nine characters each time. */
static void add_id(struct fitting *f, struct str id)
{
    struct str sent = f->q->nine_ids ? chat_nine_id(id, f->arena) : id;
    buf_add_json_str(f->out, sent);
    f->changed |= !str_eq(sent, id);
}

static void emit_call(struct fitting *f, yyjson_val *call)
{
    size_t i, n;
    yyjson_val *key, *value;
    buf_addc(f->out, '{');
    yyjson_obj_foreach(call, i, n, key, value)
    {
        if (i > 0) buf_addc(f->out, ',');
        buf_add_json_str(f->out, tree_str(key));
        buf_addc(f->out, ':');
        if (str_is(tree_str(key), "id") && yyjson_is_str(value))
            add_id(f, tree_str(value));
        else
            tree_emit(f->out, value);
    }
    buf_addc(f->out, '}');
}

static void emit_calls(struct fitting *f, yyjson_val *calls)
{
    size_t i, n;
    yyjson_val *call;
    buf_addc(f->out, '[');
    yyjson_arr_foreach(calls, i, n, call)
    {
        if (i > 0) buf_addc(f->out, ',');
        if (yyjson_is_obj(call))
            emit_call(f, call);
        else
            tree_emit(f->out, call);
    }
    buf_addc(f->out, ']');
}

static void emit_message_member(struct fitting *f, struct str key, yyjson_val *value)
{
    if (str_is(key, "role") && f->q->system_role && str_is(tree_str(value), "developer")) {
        buf_add(f->out, STR("\"system\""));
        f->changed = true;
    } else if (str_is(key, "tool_calls") && yyjson_is_arr(value)) {
        emit_calls(f, value);
    } else if (str_is(key, "tool_call_id") && yyjson_is_str(value)) {
        add_id(f, tree_str(value));
    } else {
        tree_emit(f->out, value);
    }
}

static bool is_empty_value(yyjson_val *v)
{
    return yyjson_is_null(v) || (yyjson_is_arr(v) && yyjson_arr_size(v) == 0) ||
           (yyjson_is_str(v) && tree_str(v).n == 0);
}

static void emit_message(struct fitting *f, yyjson_val *message)
{
    size_t i, n;
    yyjson_val *key, *value;
    bool first = true;
    buf_addc(f->out, '{');
    yyjson_obj_foreach(message, i, n, key, value)
    {
        struct str name = tree_str(key);
        bool goes =
            f->q->message_keeps != NULL ? !list_has(f->q->message_keeps, name) : list_has(f->q->message_drops, name);
        if (goes) {
            f->changed = true;
            if (!is_empty_value(value)) loss_add(f->loss, arena_printf(f->arena, "messages.%.*s", STR_FMT(name)));
            continue;
        }
        if (!first) buf_addc(f->out, ',');
        first = false;
        buf_add_json_str(f->out, name);
        buf_addc(f->out, ':');
        emit_message_member(f, name, value);
    }
    buf_addc(f->out, '}');
}

/* Whether a message could hold anything that the host does not take: a look at the bytes saves most bodies the tree. */
static bool may_need_change(const struct host_quirks *q, struct str messages)
{
    struct str rest = str_of(q->message_drops == NULL ? "" : q->message_drops);
    if (q->message_keeps != NULL || q->nine_ids) return true;
    if (q->system_role && (str_contains(messages, STR("developer")) || str_contains(messages, STR("\\u")))) return true;
    while (rest.n > 0)
        if (str_contains(messages, next_word(&rest))) return true;
    return false;
}

static struct str fit_messages(struct fitting *f, struct str messages)
{
    struct buf mine = {0}, *body = f->out;
    size_t i, n;
    yyjson_val *root, *message;
    struct str why, fitted = messages;
    bool before = f->changed;
    if (!may_need_change(f->q, messages) || tree_read(messages, f->arena, &root, &why) != WEIR_OK ||
        !yyjson_is_arr(root))
        return messages;
    f->out = &mine;
    f->changed = false;
    buf_addc(&mine, '[');
    yyjson_arr_foreach(root, i, n, message)
    {
        if (i > 0) buf_addc(&mine, ',');
        if (yyjson_is_obj(message))
            emit_message(f, message);
        else
            tree_emit(&mine, message);
    }
    buf_addc(&mine, ']');
    if (f->changed) fitted = arena_copy(f->arena, buf_view(&mine));
    f->changed |= before;
    f->out = body;
    buf_fini(&mine);
    return fitted;
}

/* ---- Tools ---- */

static void emit_tool(struct buf *out, yyjson_val *tool, bool *changed)
{
    size_t i, n;
    yyjson_val *key, *value;
    bool first = true;
    buf_addc(out, '{');
    yyjson_obj_foreach(tool, i, n, key, value)
    {
        struct str name = tree_str(key);
        if (str_is(name, "strict")) {
            *changed = true;
            continue;
        }
        if (!first) buf_addc(out, ',');
        first = false;
        buf_add_json_str(out, name);
        buf_addc(out, ':');
        if (str_is(name, "function") && yyjson_is_obj(value))
            emit_tool(out, value, changed);
        else
            tree_emit(out, value);
    }
    buf_addc(out, '}');
}

static struct str fit_tools(struct fitting *f, struct str tools)
{
    struct buf mine = {0};
    size_t i, n;
    yyjson_val *root, *tool;
    struct str why, fitted = tools;
    bool changed = false;
    if (!f->q->no_strict || !str_contains(tools, STR("strict")) || tree_read(tools, f->arena, &root, &why) != WEIR_OK)
        return tools;
    buf_addc(&mine, '[');
    yyjson_arr_foreach(root, i, n, tool)
    {
        if (i > 0) buf_addc(&mine, ',');
        if (yyjson_is_obj(tool))
            emit_tool(&mine, tool, &changed);
        else
            tree_emit(&mine, tool);
    }
    buf_addc(&mine, ']');
    if (changed) {
        fitted = arena_copy(f->arena, buf_view(&mine));
        loss_addz(f->loss, "tools.strict");
    }
    buf_fini(&mine);
    return fitted;
}

/* A call that the host cannot be made to make is asked for as "auto", and said to be lost. */
static struct str fit_choice(struct fitting *f, struct str choice)
{
    if (f->q->tool_choice == HOST_CHOICE_ANY || str_is(choice, "\"auto\"") || str_is(choice, "null")) return choice;
    if (f->q->tool_choice == HOST_CHOICE_UNFORCED && str_is(choice, "\"none\"")) return choice;
    loss_addz(f->loss, "tool_choice");
    return STR("\"auto\"");
}

/* ---- The body ---- */

static struct str fit_value(struct fitting *f, struct str key, struct str value)
{
    if (str_is(key, "messages")) return fit_messages(f, value);
    if (str_is(key, "tools")) return fit_tools(f, value);
    if (str_is(key, "tool_choice")) return fit_choice(f, value);
    if (str_is(key, "reasoning_effort")) return fit_effort(f, value);
    if (!str_is(key, "temperature")) return value;
    struct str fitted = fit_temperature(f, value);
    if (fitted.p != value.p) loss_addz(f->loss, "temperature");
    return fitted;
}

static bool is_of_tools(struct str key)
{
    return str_is(key, "tools") || str_is(key, "tool_choice") || str_is(key, "parallel_tool_calls");
}

static void fit_member(struct fitting *f, struct str key, struct str value)
{
    bool superseded,
        lost = list_has(f->q->drops, key) || (list_has(f->q->model_drops, key) && list_is_in(f->q->models, f->model));
    if (lost || list_has(f->q->ignores, key) || (f->no_tools && is_of_tools(key))) {
        f->changed = true;
        if (lost && !says_nothing(value)) loss_add(f->loss, key);
        return;
    }
    struct str name = renamed(f, key, &superseded), fitted;
    if (superseded || (name.p != key.p && str_is(value, "null"))) {
        f->changed = true;
        return;
    }
    fitted = fit_value(f, key, value);
    if (name.p != key.p || fitted.p != value.p)
        write_changed(f, name, fitted);
    else
        write_member(f, key, value);
}

bool host_fit(const struct host_quirks *q, struct str model, struct str body, struct arena *a, struct buf *out,
              struct loss *loss)
{
    struct fitting f = {.q = q, .model = model, .body = body, .arena = a, .out = out, .loss = loss, .first = true};
    struct buf scratch = {0};
    struct json_member m;
    size_t at = 0, before = buf_len(out);
    struct str choice;
    f.no_tools = q->tool_choice == HOST_CHOICE_AUTO &&
                 json_find(body, "tool_choice", &choice, &scratch) == JSON_FOUND && str_is(choice, "\"none\"");
    buf_addc(out, '{');
    while (json_next_member(body, &at, &m, &scratch)) fit_member(&f, m.key, m.value);
    buf_addc(out, '}');
    buf_fini(&scratch);
    buf_fini(&f.scratch);
    if (!f.changed) buf_truncate(out, before);
    return f.changed;
}
