#include "proto/dialect/custom_tool.h"

#include "proto/dialect/tree.h"

#include <string.h>

struct piece {
    struct piece *next;
    struct str text;
};

struct custom_call {
    struct custom_call *next;
    unsigned index; /* the hub's */
    struct piece *first, **end;
    size_t bytes;
};

static struct str take(struct buf *b, struct arena *a)
{
    struct str text = arena_copy(a, buf_view(b));
    buf_fini(b);
    return text;
}

void custom_tool_read(struct chat *chat, struct tool *t, yyjson_val *format, struct arena *a)
{
    struct buf b = {0};
    struct str syntax = tree_get_str(format, "syntax"), definition = tree_get_str(format, "definition");
    t->custom = chat->has_custom_tools = true;
    buf_add(&b, STR("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\",\"description\":\"The whole "
                    "input of the "
                    "tool, as plain text."));
    if (definition.n > 0) {
        struct buf flat = {0};
        buf_add(&flat, STR("{\"type\":\"grammar\",\"syntax\":"));
        buf_add_json_str(&flat, syntax);
        buf_add(&flat, STR(",\"definition\":"));
        buf_add_json_str(&flat, definition);
        buf_addc(&flat, '}');
        t->format = take(&flat, a);
        buf_add(&b, STR(" It must follow this grammar ("));
        buf_add_json(&b, syntax);
        buf_add(&b, STR("):\\n"));
        buf_add_json(&b, definition);
    }
    buf_add(&b, STR("\"}},\"required\":[\"input\"],\"additionalProperties\":false}"));
    t->schema = take(&b, a);
}

void custom_call_read(struct part *p, struct str input, struct arena *a)
{
    struct buf b = {0};
    p->custom = true;
    p->text = input;
    buf_add(&b, STR("{\"input\":"));
    buf_add_json_str(&b, input);
    buf_addc(&b, '}');
    p->arguments = take(&b, a);
}

void custom_tools_lose_format(const struct chat *chat, struct loss *loss)
{
    bool any = false;
    for (const struct tool *t = chat->tools; t != NULL && !any; t = t->next) any = t->format.n > 0;
    if (any) loss_addz(loss, "tools.format");
}

bool custom_tool_is(const struct chat *chat, struct str name)
{
    if (chat == NULL || !chat->has_custom_tools) return false;
    for (const struct tool *t = chat->tools; t != NULL; t = t->next)
        if (t->custom && str_eq(t->name, name)) return true;
    return false;
}

static struct str input_of(struct str arguments, struct arena *a)
{
    yyjson_val *root;
    struct str why;
    if (tree_read(arguments, a, &root, &why) != WEIR_OK || !yyjson_is_obj(root)) return arguments;
    yyjson_val *input = tree_get(root, "input");
    return yyjson_is_str(input) ? tree_str(input) : arguments;
}

void custom_calls_restore(const struct chat *chat, struct answer *answer, struct arena *a)
{
    for (struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_TOOL_CALL || p->custom || !custom_tool_is(chat, p->name)) continue;
        p->custom = true;
        p->text = input_of(p->arguments, a);
    }
}

/* ---- A stream ---- */

static struct custom_call **find(struct custom_call **at, unsigned index)
{
    while (*at != NULL && (*at)->index != index) at = &(*at)->next;
    return at;
}

static struct str joined(const struct custom_call *call, struct arena *a)
{
    char *text = arena_alloc(a, call->bytes + 1), *at = text;
    for (const struct piece *p = call->first; p != NULL; p = p->next) {
        memcpy(at, p->text.p, p->text.n);
        at += p->text.n;
    }
    return (struct str){text, call->bytes};
}

static void open_call(struct custom_call **open, unsigned index, struct arena *a)
{
    struct custom_call *call = arena_zalloc(a, sizeof *call);
    call->index = index;
    call->end = &call->first;
    call->next = *open;
    *open = call;
}

bool custom_calls_take(struct custom_call **open, const struct chat *chat, const struct delta *d, struct arena *a,
                       struct delta *ret_first, struct delta *ret_second)
{
    static const struct delta nothing = {.kind = DELTA_ERROR};
    *ret_first = *ret_second = nothing;
    if (d->part != PART_TOOL_CALL) return false;
    if (d->kind == DELTA_OPEN) {
        if (d->custom || !custom_tool_is(chat, d->name)) return false;
        open_call(open, d->index, a);
        *ret_first = *d;
        ret_first->custom = true;
        return true;
    }
    if (*open == NULL || (d->kind != DELTA_ARGUMENTS && d->kind != DELTA_CLOSE)) return false;
    struct custom_call **at = find(open, d->index), *call = *at;
    if (call == NULL) return false;
    if (d->kind == DELTA_ARGUMENTS) {
        struct piece *p = *call->end = arena_zalloc(a, sizeof *p);
        call->end = &p->next;
        p->text = arena_copy(a, d->text);
        call->bytes += d->text.n;
        return true;
    }
    *at = call->next;
    *ret_first = *ret_second = *d;
    ret_first->kind = DELTA_ARGUMENTS;
    ret_first->text = input_of(joined(call, a), a);
    if (ret_first->text.n == 0) *ret_first = nothing;
    return true;
}
