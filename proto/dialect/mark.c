#include "proto/dialect/mark.h"

#include "proto/dialect/tree.h"

/* An Anthropic thinking block whose signature is a mark. */
static bool is_foreign_block(yyjson_val *block, bool all)
{
    struct str type = tree_get_str(block, "type");
    if (all) return str_is(type, "thinking") || str_is(type, "redacted_thinking");
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

/* A Converse block of reasoning that another maker's model thought. */
static bool is_foreign_reasoning(yyjson_val *block, bool all)
{
    if (all) return tree_get(block, "reasoningContent") != NULL;
    yyjson_val *text = tree_get(tree_get(block, "reasoningContent"), "reasoningText");
    return str_starts(tree_get_str(text, "signature"), STR(MARK));
}

static bool is_reasoning(struct str key)
{
    return str_is(key, "reasoning_details") || str_is(key, "reasoning_content") || str_is(key, "reasoning");
}

/* A page that Anthropic's own search did not find: its proof is a mark. */
static bool is_foreign_citation(yyjson_val *citation)
{
    return str_starts(tree_get_str(citation, "encrypted_index"), STR(MARK));
}

static bool has_foreign_citation(yyjson_val *block)
{
    size_t i, n;
    yyjson_val *citation;
    yyjson_arr_foreach(tree_get(block, "citations"), i, n, citation)
    {
        if (is_foreign_citation(citation)) return true;
    }
    return false;
}

static void emit_own_citations(struct buf *out, yyjson_val *list)
{
    size_t i, n;
    yyjson_val *citation;
    bool first = true;
    yyjson_arr_foreach(list, i, n, citation)
    {
        if (is_foreign_citation(citation)) continue;
        buf_addz(out, first ? ",\"citations\":[" : ",");
        tree_emit(out, citation);
        first = false;
    }
    if (!first) buf_addc(out, ']');
}

/* The block's other members as they are. */
static void emit_cited(struct buf *out, yyjson_val *block)
{
    size_t i, n;
    yyjson_val *key, *value;
    buf_addz(out, "{\"type\":\"text\"");
    yyjson_obj_foreach(block, i, n, key, value)
    {
        if (str_is(tree_str(key), "type")) continue;
        if (str_is(tree_str(key), "citations")) {
            emit_own_citations(out, value);
            continue;
        }
        buf_addc(out, ',');
        buf_add_json_str(out, tree_str(key));
        buf_addc(out, ':');
        tree_emit(out, value);
    }
    buf_addc(out, '}');
}

/* What was taken out of the messages. */
enum { STRIPPED_THOUGHT = 1, STRIPPED_CITATION = 2 };

static unsigned emit_blocks(enum dialect_id dialect, bool all, struct buf *out, yyjson_val *blocks)
{
    unsigned stripped = 0;
    bool converse = dialect == DIALECT_CONVERSE;
    size_t i, n;
    yyjson_val *block;
    bool first = true;
    buf_addc(out, '[');
    yyjson_arr_foreach(blocks, i, n, block)
    {
        if (converse ? is_foreign_reasoning(block, all) : is_foreign_block(block, all)) {
            stripped |= STRIPPED_THOUGHT;
            continue;
        }
        if (!first) buf_addc(out, ',');
        first = false;
        if (!converse && has_foreign_citation(block)) {
            stripped |= STRIPPED_CITATION;
            emit_cited(out, block);
        } else {
            tree_emit(out, block);
        }
    }
    if (first && stripped) /* a message may not be empty */
        buf_addz(out, converse ? "{\"text\":\".\"}" : "{\"type\":\"text\",\"text\":\".\"}");
    buf_addc(out, ']');
    return stripped;
}

/* A Gemini part whose signature is a mark: a thought of another maker. */
static bool is_foreign_part(yyjson_val *part)
{
    struct str signature = tree_get_str(part, "thoughtSignature");
    if (signature.n == 0) signature = tree_get_str(part, "thought_signature");
    return str_starts(signature, STR(MARK_BASE64));
}

static yyjson_val *call_of(yyjson_val *part)
{
    yyjson_val *call = tree_get(part, "functionCall");
    return call != NULL ? call : tree_get(part, "function_call");
}

/* A part of Gemini's own without its signature. */
static void emit_bare_part(struct buf *out, yyjson_val *part)
{
    size_t i, n;
    yyjson_val *key, *value;
    bool first = true;
    buf_addc(out, '{');
    yyjson_obj_foreach(part, i, n, key, value)
    {
        if (str_is(tree_str(key), "thoughtSignature") || str_is(tree_str(key), "thought_signature")) continue;
        if (!first) buf_addc(out, ',');
        first = false;
        buf_add_json_str(out, tree_str(key));
        buf_addc(out, ':');
        tree_emit(out, value);
    }
    buf_addc(out, '}');
}

/* The calls of such a turn were not made by Gemini either: the first one says so, or the turn is refused. */
static void emit_unsigned_call(struct buf *out, yyjson_val *part)
{
    buf_add(out, STR("{\"functionCall\":"));
    tree_emit(out, call_of(part));
    buf_add(out, STR(",\"thoughtSignature\":\"" GEMINI_UNSIGNED "\"}"));
}

static bool is_thought(yyjson_val *part)
{
    return yyjson_is_true(tree_get(part, "thought"));
}

/* A model's turn may stand in several contents, one per chunk of a stream. */
struct run {
    bool foreign, calls, all;
};

static bool is_model(yyjson_val *content)
{
    return str_is(tree_get_str(content, "role"), "model");
}

static struct run run_from(yyjson_val *content, size_t left)
{
    struct run run = {0};
    size_t i, n;
    yyjson_val *part;
    for (; left > 0 && is_model(content); left--, content = unsafe_yyjson_get_next(content))
        yyjson_arr_foreach(tree_get(content, "parts"), i, n, part) run.foreign |= is_foreign_part(part);
    return run;
}

static bool emit_parts(struct buf *out, yyjson_val *parts, struct run *run)
{
    size_t i, n;
    yyjson_val *part;
    bool first = true, stripped = run->foreign;
    buf_addc(out, '[');
    yyjson_arr_foreach(parts, i, n, part)
    {
        if (stripped && (is_foreign_part(part) || is_thought(part))) continue; /* pieces of the same thought */
        bool is_signed = tree_get(part, "thoughtSignature") != NULL || tree_get(part, "thought_signature") != NULL;
        if (!first) buf_addc(out, ',');
        first = false;
        if (stripped && !run->calls && call_of(part) != NULL && (run->all || !is_signed))
            emit_unsigned_call(out, part);
        else if (run->all && is_signed)
            emit_bare_part(out, part);
        else
            tree_emit(out, part);
        run->calls |= call_of(part) != NULL;
    }
    if (first && stripped) buf_add(out, STR("{\"text\":\".\"}"));
    buf_addc(out, ']');
    return stripped;
}

/* An item's id calls for what belongs to it: the reasoning that led to a call. */
static bool is_id_of_item(enum dialect_id dialect, bool all, yyjson_val *message, struct str key)
{
    struct str type = tree_get_str(message, "type");
    return all && dialect == DIALECT_RESPONSES && str_is(key, "id") && !str_is(type, "item_reference");
}

static unsigned emit_message(enum dialect_id dialect, bool all, struct buf *out, yyjson_val *message, struct run *run)
{
    size_t i, n;
    yyjson_val *key, *value;
    bool first = true;
    unsigned stripped = 0;
    bool foreign = dialect == DIALECT_OPENAI_CHAT && (all || has_foreign_details(message));
    buf_addc(out, '{');
    yyjson_obj_foreach(message, i, n, key, value)
    {
        if ((foreign && is_reasoning(tree_str(key))) || is_id_of_item(dialect, all, message, tree_str(key))) {
            stripped |= STRIPPED_THOUGHT;
            continue;
        }
        if (!first) buf_addc(out, ',');
        first = false;
        buf_add_json_str(out, tree_str(key));
        buf_addc(out, ':');
        bool blocks = dialect == DIALECT_ANTHROPIC || dialect == DIALECT_CONVERSE;
        if (blocks && yyjson_is_arr(value) && str_is(tree_str(key), "content"))
            stripped |= emit_blocks(dialect, all, out, value);
        else if (dialect == DIALECT_GEMINI && yyjson_is_arr(value) && str_is(tree_str(key), "parts"))
            stripped |= emit_parts(out, value, run) ? STRIPPED_THOUGHT : 0;
        else
            tree_emit(out, value);
    }
    buf_addc(out, '}');
    return stripped;
}

/* An item of reasoning that another dialect's provider thought. */
static bool is_foreign_item(yyjson_val *item, bool all)
{
    return str_is(tree_get_str(item, "type"), "reasoning") &&
           (all || str_starts(tree_get_str(item, "encrypted_content"), STR(MARK)));
}

static const char *names_of(enum dialect_id dialect, unsigned stripped)
{
    if (stripped == STRIPPED_CITATION) return "citations";
    switch (dialect) {
    case DIALECT_GEMINI: return "thoughtSignature";
    case DIALECT_CONVERSE: return "reasoningContent";
    case DIALECT_RESPONSES: return "reasoning.encrypted_content";
    case DIALECT_ANTHROPIC: return stripped & STRIPPED_CITATION ? "thinking,citations" : "thinking";
    default: return "reasoning_details";
    }
}

bool mark_strip(enum dialect_id dialect, bool all, struct str messages, struct arena *a, struct buf *out,
                const char **ret_what)
{
    size_t i, n;
    yyjson_val *root, *message;
    struct str why;
    bool before = false, first = true;
    unsigned stripped = 0;
    struct run run = {0};
    if (tree_read(messages, a, &root, &why) != WEIR_OK || !yyjson_is_arr(root)) return false;
    buf_addc(out, '[');
    yyjson_arr_foreach(root, i, n, message)
    {
        bool model = dialect == DIALECT_GEMINI && is_model(message);
        if (!model || !before) run = model ? run_from(message, n - i) : (struct run){0};
        before = model;
        if (all && model) run.foreign = run.all = true;
        if (dialect == DIALECT_RESPONSES && is_foreign_item(message, all)) {
            stripped |= STRIPPED_THOUGHT;
            continue;
        }
        if (!first) buf_addc(out, ',');
        first = false;
        if (yyjson_is_obj(message))
            stripped |= emit_message(dialect, all, out, message, &run);
        else
            tree_emit(out, message);
    }
    buf_addc(out, ']');
    *ret_what = names_of(dialect, stripped);
    return stripped != 0;
}
