#include "proto/dialect/function_tools.h"

#include "proto/dialect/tree.h"

enum weir_err function_tools_read(yyjson_val *tools, struct chat *chat, struct arena *a, struct str *ret_why)
{
    size_t i, n;
    yyjson_val *v;
    struct tool **end = &chat->tools;
    if (yyjson_arr_size(tools) > TOOLS_MOST) {
        *ret_why = STR("tools has more than 2048 entries");
        return WEIR_BAD_REQUEST;
    }
    yyjson_arr_foreach(tools, i, n, v)
    {
        yyjson_val *function = tree_get(v, "function"), *schema = tree_get(function, "parameters");
        struct tool *t = *end = arena_zalloc(a, sizeof *t);
        end = &t->next;
        t->name = tree_get_str(function, "name");
        t->description = tree_get_str(function, "description");
        t->strict = -1;
        if (schema != NULL) t->schema = tree_text(schema, a);
        if (t->name.n > 0) continue;
        *ret_why = STR("a tool has no function.name");
        return WEIR_BAD_REQUEST;
    }
    return WEIR_OK;
}

static void write_tool(struct chat *chat, const struct tool *t, struct buf *out, struct loss *loss, struct arena *a)
{
    struct str sent = chat_fit_tool_name(t->name, a);
    if (!str_eq(sent, t->name)) name_add(&chat->renamed, a, sent)->value = t->name;
    buf_add(out, STR("{\"type\":\"function\",\"function\":{\"name\":"));
    buf_add_json_str(out, sent);
    buf_add(out, STR(",\"description\":"));
    buf_add_json_str(out, t->description);
    buf_add(out, STR(",\"parameters\":"));
    buf_add(out, t->schema.n > 0 ? t->schema : STR("{\"type\":\"object\",\"properties\":{}}"));
    buf_add(out, STR("}}"));
    if (t->cache != CACHE_NONE) loss_addz(loss, "cache_control");
}

bool function_tools_write(struct chat *chat, struct buf *out, struct loss *loss, struct arena *a)
{
    bool any = false;
    for (const struct tool *t = chat->tools; t != NULL; t = t->next) {
        if (chat->allowed_tools.n > 0 && !name_in(&chat->allowed_tools, t->name)) continue;
        buf_addz(out, any ? "," : ",\"tools\":[");
        write_tool(chat, t, out, loss, a);
        any = true;
    }
    if (!any) return false;
    buf_addc(out, ']');
    if (chat->parallel_tools == 0) loss_addz(loss, "parallel_tool_calls");
    return true;
}
