/* What a provider's response object says: its output items, how it ended, its usage. */
#include "proto/dialect/responses.h"

#include "proto/dialect/custom_tool.h"
#include "proto/dialect/openai_chat.h"
#include "proto/dialect/tree.h"

struct str responses_join_name(struct str space, struct str name, struct arena *a)
{
    return arena_printf(a, "%.*s__%.*s", STR_FMT(space), STR_FMT(name));
}

struct str responses_call_name(yyjson_val *item, struct arena *a)
{
    struct str name = tree_get_str(item, "name"), space = tree_get_str(item, "namespace");
    return space.n > 0 ? responses_join_name(space, name, a) : name;
}

static struct str texts_of(yyjson_val *list, const char *between, struct arena *a)
{
    size_t i, n;
    yyjson_val *v;
    struct buf all = {0};
    yyjson_arr_foreach(list, i, n, v)
    {
        struct str text = tree_get_str(v, "text");
        if (text.n > 0 && buf_len(&all) > 0) buf_addz(&all, between);
        buf_add(&all, text);
    }
    struct str copy = arena_copy(a, buf_view(&all));
    buf_fini(&all);
    return copy;
}

struct str responses_reasoning_text(yyjson_val *item, struct arena *a)
{
    struct str text = texts_of(tree_get(item, "summary"), "\n\n", a);
    return text.n > 0 ? text : texts_of(tree_get(item, "content"), "", a);
}

struct str responses_signature(yyjson_val *item, struct arena *a)
{
    const struct str ours = STR(RESPONSES_SIGNED);
    struct str secret = tree_get_str(item, "encrypted_content"), id = tree_get_str(item, "id");
    if (secret.n == 0) return STR_NULL;
    if (str_starts(secret, ours)) return str_slice(secret, ours.n, secret.n); /* another weir stands behind this one */
    return arena_printf(a, MARK_RESPONSES "%.*s:%.*s", STR_FMT(id), STR_FMT(secret));
}

enum finish responses_finish_of(yyjson_val *response, bool calls)
{
    struct str status = tree_get_str(response, "status");
    struct str reason = tree_get_str(tree_get(response, "incomplete_details"), "reason");
    if (str_is(status, "completed")) return calls ? FINISH_TOOL_CALLS : FINISH_STOP;
    if (!str_is(status, "incomplete")) return FINISH_NONE; /* failed, cancelled, or still at work */
    if (str_is(reason, "max_output_tokens")) return FINISH_LENGTH;
    return str_is(reason, "content_filter") ? FINISH_CONTENT_FILTER : FINISH_OTHER;
}

bool responses_read_usage(yyjson_val *response, struct usage *u)
{
    static const struct openai_usage_words words = {"input_tokens", "input_tokens_details", "output_tokens",
                                                    "output_tokens_details"};
    size_t i, n;
    yyjson_val *item;
    if (!openai_read_usage(response, &words, u)) return false;
    yyjson_arr_foreach(tree_get(response, "output"), i, n, item)
    {
        struct str action = tree_get_str(tree_get(item, "action"), "type"); /* opening a page that was found is free */
        if (str_is(tree_get_str(item, "type"), "web_search_call") && (action.n == 0 || str_is(action, "search")))
            u->web_searches++;
    }
    return true;
}

struct str responses_logprobs(yyjson_val *holder, struct arena *a)
{
    yyjson_val *list = tree_get(holder, "logprobs");
    return yyjson_arr_size(list) > 0 ? tree_text(list, a) : STR_NULL;
}

/* ---- A whole answer ---- */

static void read_message(struct answer *answer, yyjson_val *item, struct arena *a)
{
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(tree_get(item, "content"), i, n, v)
    {
        bool refusal = str_is(tree_get_str(v, "type"), "refusal");
        struct str text = tree_get_str(v, refusal ? "refusal" : "text");
        if (text.n == 0) continue;
        struct part *p = part_add(&answer->parts, a, refusal ? PART_REFUSAL : PART_TEXT);
        p->text = text;
        p->logprobs = responses_logprobs(v, a);
        openai_read_annotations(tree_get(v, "annotations"), a, &p->citations);
    }
}

static void read_item(struct answer *answer, yyjson_val *item, struct arena *a)
{
    struct str type = tree_get_str(item, "type");
    struct part *p;
    bool custom = str_is(type, "custom_tool_call");
    if (str_is(type, "message")) {
        read_message(answer, item, a);
    } else if (custom || str_is(type, "function_call")) {
        p = part_add(&answer->parts, a, PART_TOOL_CALL);
        p->id = tree_get_str(item, "call_id");
        p->name = responses_call_name(item, a);
        if (custom)
            custom_call_read(p, tree_get_str(item, "input"), a);
        else
            p->arguments = tree_get_str(item, "arguments");
    } else if (str_is(type, "reasoning")) {
        struct str text = responses_reasoning_text(item, a), signature = responses_signature(item, a);
        if (text.n == 0 && signature.n == 0) return;
        p = part_add(&answer->parts, a, PART_REASONING);
        p->text = text;
        p->signature = signature;
        p->foreign = true;
    } else {
        part_add(&answer->parts, a, PART_OTHER)->name = type;
    }
}

enum weir_err responses_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why)
{
    yyjson_val *root, *item;
    size_t i, n;
    bool calls = false;
    if (tree_read(json, a, &root, ret_why) != WEIR_OK) return WEIR_UP_PROTOCOL;
    struct answer *answer = *ret_answer = arena_zalloc(a, sizeof *answer);
    struct str status = tree_get_str(root, "status");
    answer->has_error = tree_get(root, "error") != NULL || str_is(status, "failed") || str_is(status, "cancelled");
    if (answer->has_error) return WEIR_OK;
    if (!yyjson_is_arr(tree_get(root, "output"))) {
        *ret_why = STR("the answer has no output");
        return WEIR_UP_PROTOCOL;
    }
    answer->id = tree_get_str(root, "id");
    answer->model = tree_get_str(root, "model");
    if (!tree_i64(tree_get(root, "created_at"), &answer->created_s)) answer->created_s = 0;
    answer->choices = 1;
    yyjson_arr_foreach(tree_get(root, "output"), i, n, item) read_item(answer, item, a);
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) calls |= p->kind == PART_TOOL_CALL;
    answer->finish = responses_finish_of(root, calls);
    responses_read_usage(root, &answer->usage);
    return WEIR_OK;
}
