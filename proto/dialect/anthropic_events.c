/* Anthropic stream events into hub deltas. Blocks come one after the other; usage is cumulative over message_start and
 * message_delta; event types that are not known are passed over, as the API's versioning policy asks. */
#include "proto/dialect/anthropic.h"

#include "proto/dialect/tree.h"
#include "proto/dialect/upstream_error.h"

struct sink {
    struct anthropic_reader *r;
    struct arena *arena;
    void (*emit)(void *to, const struct delta *d);
    void *to;
};

static void emit(struct sink *s, const struct delta *d)
{
    s->emit(s->to, d);
}

static void on_message_start(struct sink *s, yyjson_val *root)
{
    yyjson_val *message = tree_get(root, "message");
    if (s->r->started) /* seen twice in a row from one host: the second adds nothing */
        return;
    s->r->started = true;
    anthropic_read_usage(tree_get(message, "usage"), &s->r->usage);
    s->r->usage.known &= (uint8_t)~USAGE_OUTPUT; /* its output figure is only a start value */
    emit(s, &(struct delta){.kind = DELTA_START,
                            .id = tree_get_str(message, "id"),
                            .model = tree_get_str(message, "model"),
                            .usage = &s->r->usage});
}

static void close_block(struct sink *s)
{
    if (!s->r->open) return;
    s->r->open = false;
    emit(s, &(struct delta){.kind = DELTA_CLOSE, .part = s->r->kind, .index = s->r->parts - 1});
}

static void part_delta(struct sink *s, enum delta_kind kind, struct str text)
{
    if (text.n > 0) emit(s, &(struct delta){.kind = kind, .part = s->r->kind, .index = s->r->parts - 1, .text = text});
}

static void citation(struct sink *s, yyjson_val *v)
{
    struct citation c;
    if (s->r->kind != PART_TEXT || !anthropic_read_citation(v, &c)) return;
    emit(s, &(struct delta){.kind = DELTA_CITATION, .part = PART_TEXT, .index = s->r->parts - 1, .citation = &c});
}

static enum part_kind kind_of(struct str type)
{
    if (str_is(type, "text")) return PART_TEXT;
    if (str_is(type, "tool_use")) return PART_TOOL_CALL;
    if (str_is(type, "thinking")) return PART_REASONING;
    return str_is(type, "redacted_thinking") ? PART_REDACTED : PART_OTHER;
}

static void on_block_start(struct sink *s, yyjson_val *root)
{
    yyjson_val *block = tree_get(root, "content_block"), *input = tree_get(block, "input");
    struct str type = tree_get_str(block, "type");
    struct anthropic_reader *r = s->r;
    close_block(s);
    r->open = true;
    r->kind = kind_of(type);
    r->parts++;
    emit(s, &(struct delta){.kind = DELTA_OPEN,
                            .part = r->kind,
                            .index = r->parts - 1,
                            .id = tree_get_str(block, "id"),
                            .name = r->kind == PART_OTHER ? type : tree_get_str(block, "name")});
    switch (r->kind) {
    case PART_TEXT: part_delta(s, DELTA_TEXT, tree_get_str(block, "text")); break;
    case PART_REASONING:
        part_delta(s, DELTA_TEXT, tree_get_str(block, "thinking"));
        part_delta(s, DELTA_SIGNATURE, tree_get_str(block, "signature"));
        break;
    case PART_REDACTED: part_delta(s, DELTA_SIGNATURE, tree_get_str(block, "data")); break;
    case PART_TOOL_CALL: /* {} here means that deltas follow; whole arguments are a host's short cut */
        if (yyjson_obj_size(input) > 0) part_delta(s, DELTA_ARGUMENTS, tree_text(input, s->arena));
        break;
    default: break;
    }
}

static enum weir_err on_block_delta(struct sink *s, yyjson_val *root)
{
    yyjson_val *delta = tree_get(root, "delta");
    struct str type = tree_get_str(delta, "type");
    if (!s->r->open) return WEIR_UP_PROTOCOL;
    if (str_is(type, "text_delta"))
        part_delta(s, DELTA_TEXT, tree_get_str(delta, "text"));
    else if (str_is(type, "thinking_delta"))
        part_delta(s, DELTA_TEXT, tree_get_str(delta, "thinking"));
    else if (str_is(type, "input_json_delta"))
        part_delta(s, DELTA_ARGUMENTS, tree_get_str(delta, "partial_json"));
    else if (str_is(type, "signature_delta"))
        part_delta(s, DELTA_SIGNATURE, tree_get_str(delta, "signature"));
    else if (str_is(type, "citations_delta"))
        citation(s, tree_get(delta, "citation"));
    return WEIR_OK;
}

static void on_message_delta(struct sink *s, yyjson_val *root)
{
    yyjson_val *delta = tree_get(root, "delta");
    struct str reason = tree_get_str(delta, "stop_reason");
    struct anthropic_reader *r = s->r;
    close_block(s);
    if (reason.n > 0)
        emit(s, &(struct delta){.kind = DELTA_FINISH,
                                .finish = anthropic_finish_of(reason),
                                .text = tree_get_str(tree_get(delta, "stop_details"), "explanation"),
                                .stop_sequence = tree_get_str(delta, "stop_sequence")});
    if (anthropic_read_usage(tree_get(root, "usage"), &r->usage))
        emit(s, &(struct delta){.kind = DELTA_USAGE, .usage = &r->usage});
}

enum weir_err anthropic_read_event(void *st, struct str name, struct str data, struct arena *a,
                                   void (*to_emit)(void *to, const struct delta *d), void *to)
{
    struct sink s = {st, a, to_emit, to};
    struct upstream_error error;
    yyjson_val *root;
    struct str why;
    if (tree_read(data, a, &root, &why) != WEIR_OK || !yyjson_is_obj(root)) return WEIR_UP_PROTOCOL;
    struct str type = tree_get_str(root, "type");
    if (type.n == 0) type = name;
    if (str_is(type, "content_block_delta")) return on_block_delta(&s, root);
    if (str_is(type, "content_block_start")) {
        on_block_start(&s, root);
    } else if (str_is(type, "content_block_stop")) {
        close_block(&s);
    } else if (str_is(type, "message_start")) {
        on_message_start(&s, root);
    } else if (str_is(type, "message_delta")) {
        on_message_delta(&s, root);
    } else if (str_is(type, "message_stop")) {
        close_block(&s);
        emit(&s, &(struct delta){.kind = DELTA_END});
    } else if (str_is(type, "error") || str_is(name, "error") || tree_get(root, "error") != NULL) {
        upstream_error_in_stream(root, a, &error);
        emit(&s, &(struct delta){.kind = DELTA_ERROR, .error = &error});
    }
    return WEIR_OK;
}
