#include "proto/dialect/mark.h"

#include "proto/dialect/tree.h"

/* An Anthropic thinking block whose signature is a mark. */
static bool is_foreign_block(yyjson_val *block)
{
    return str_is(tree_get_str(block, "type"), "thinking") && str_starts(tree_get_str(block, "signature"), STR(MARK));
}

/* An OpenAI assistant message whose reasoning came from another dialect's provider. */
static bool has_foreign_details(yyjson_val *message)
{
    size_t i, n;
    yyjson_val *detail;
    yyjson_arr_foreach(tree_get(message, "reasoning_details"), i, n, detail)
    {
        if (str_is(tree_get_str(detail, "id"), MARK)) return true;
    }
    return false;
}

static bool is_reasoning(struct str key)
{
    return str_is(key, "reasoning_details") || str_is(key, "reasoning_content") || str_is(key, "reasoning");
}

static bool emit_blocks(struct buf *out, yyjson_val *blocks)
{
    size_t i, n;
    yyjson_val *block;
    bool first = true, stripped = false;
    buf_addc(out, '[');
    yyjson_arr_foreach(blocks, i, n, block)
    {
        if (is_foreign_block(block)) {
            stripped = true;
            continue;
        }
        if (!first) buf_addc(out, ',');
        tree_emit(out, block);
        first = false;
    }
    if (first && stripped) /* a message may not be empty */
        buf_add(out, STR("{\"type\":\"text\",\"text\":\".\"}"));
    buf_addc(out, ']');
    return stripped;
}

static bool emit_message(enum dialect_id dialect, struct buf *out, yyjson_val *message)
{
    size_t i, n;
    yyjson_val *key, *value;
    bool first = true, stripped = false;
    bool foreign = dialect == DIALECT_OPENAI_CHAT && has_foreign_details(message);
    buf_addc(out, '{');
    yyjson_obj_foreach(message, i, n, key, value)
    {
        if (foreign && is_reasoning(tree_str(key))) {
            stripped = true;
            continue;
        }
        if (!first) buf_addc(out, ',');
        first = false;
        buf_add_json_str(out, tree_str(key));
        buf_addc(out, ':');
        if (dialect == DIALECT_ANTHROPIC && yyjson_is_arr(value) && str_is(tree_str(key), "content"))
            stripped |= emit_blocks(out, value);
        else
            tree_emit(out, value);
    }
    buf_addc(out, '}');
    return stripped;
}

bool mark_strip(enum dialect_id dialect, struct str messages, struct arena *a, struct buf *out)
{
    size_t i, n;
    yyjson_val *root, *message;
    struct str why;
    bool stripped = false;
    if (tree_read(messages, a, &root, &why) != WEIR_OK || !yyjson_is_arr(root)) return false;
    buf_addc(out, '[');
    yyjson_arr_foreach(root, i, n, message)
    {
        if (i > 0) buf_addc(out, ',');
        if (yyjson_is_obj(message))
            stripped |= emit_message(dialect, out, message);
        else
            tree_emit(out, message);
    }
    buf_addc(out, ']');
    return stripped;
}
