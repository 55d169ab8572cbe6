/* ConverseStream messages into hub deltas. Blocks of text and reasoning have no start: their first delta opens them. There is no
 * terminal message: `metadata` with the usage follows messageStop, then the body ends, so the finish is told in converse_read_end(). */
#include "proto/dialect/converse.h"

#include "proto/dialect/tree.h"

struct sink {
    struct converse_reader *r;
    struct arena *arena;
    void (*emit)(void *to, const struct delta *d);
    void *to;
};

static void emit(struct sink *s, const struct delta *d)
{
    s->emit(s->to, d);
}

static void start(struct sink *s)
{
    if (s->r->started) return;
    s->r->started = true;
    emit(s, &(struct delta){.kind = DELTA_START});
}

static void close_block(struct sink *s)
{
    if (!s->r->open) return;
    s->r->open = false;
    emit(s, &(struct delta){.kind = DELTA_CLOSE, .part = s->r->kind, .index = s->r->parts - 1});
}

static void open_block(struct sink *s, int64_t wire_index, enum part_kind kind, struct str id, struct str name)
{
    struct converse_reader *r = s->r;
    start(s);
    close_block(s);
    r->open = true;
    r->wire_index = wire_index;
    r->kind = kind;
    r->is_signed = false;
    r->parts++;
    emit(s, &(struct delta){.kind = DELTA_OPEN, .part = kind, .index = r->parts - 1, .id = id, .name = name});
}

/* A delta of that kind: opens a block where it is the first one. */
static void part_delta(struct sink *s, int64_t wire_index, enum part_kind kind, enum delta_kind what, struct str text)
{
    struct converse_reader *r = s->r;
    if (text.n == 0) return;
    if (!r->open || r->wire_index != wire_index || r->kind != kind) open_block(s, wire_index, kind, STR_NULL, STR_NULL);
    emit(s, &(struct delta){.kind = what, .part = kind, .index = r->parts - 1, .text = text});
}

static void on_block_start(struct sink *s, yyjson_val *root)
{
    int64_t index = tree_get_i64(root, "contentBlockIndex");
    yyjson_val *begun = tree_get(root, "start"), *call = tree_get(begun, "toolUse");
    if (call == NULL) {
        if (yyjson_obj_size(begun) == 0) return; /* of text: its delta opens it */
        struct str kind = tree_str(unsafe_yyjson_get_first(begun));
        open_block(s, index, PART_OTHER, STR_NULL, kind);
    } else if (str_is(tree_get_str(call, "type"), "server_tool_use")) { /* runs there */
        open_block(s, index, PART_OTHER, STR_NULL, STR("server_tool_use"));
    } else {
        open_block(s, index, PART_TOOL_CALL, tree_get_str(call, "toolUseId"), tree_get_str(call, "name"));
    }
}

/* Our mark stands at the beginning of a signature only, though nothing says that one comes whole. */
static void on_signature(struct sink *s, int64_t index, struct str text, bool redacted)
{
    struct converse_reader *r = s->r;
    bool begun = r->open && r->kind == PART_REASONING && r->wire_index == index && r->is_signed;
    if (text.n == 0) return;
    part_delta(s, index, PART_REASONING, DELTA_SIGNATURE, begun ? text : converse_carry(s->arena, text, redacted));
    r->is_signed = true;
}

static void on_reasoning(struct sink *s, int64_t index, yyjson_val *v)
{
    part_delta(s, index, PART_REASONING, DELTA_TEXT, tree_get_str(v, "text"));
    on_signature(s, index, tree_get_str(v, "signature"), false);
    on_signature(s, index, tree_get_str(v, "redactedContent"), true);
}

/* It may come before the text that rests on it. */
static void on_citation(struct sink *s, int64_t index, yyjson_val *v)
{
    struct converse_reader *r = s->r;
    struct citation c;
    if (v == NULL || !converse_read_citation(v, s->arena, &c)) return;
    if (!r->open || r->wire_index != index || r->kind != PART_TEXT) open_block(s, index, PART_TEXT, STR_NULL, STR_NULL);
    emit(s, &(struct delta){.kind = DELTA_CITATION, .part = PART_TEXT, .index = r->parts - 1, .citation = &c});
}

static enum weir_err on_block_delta(struct sink *s, yyjson_val *root)
{
    struct converse_reader *r = s->r;
    int64_t index = tree_get_i64(root, "contentBlockIndex");
    yyjson_val *delta = tree_get(root, "delta"), *call = tree_get(delta, "toolUse");
    yyjson_val *reasoning = tree_get(delta, "reasoningContent");
    if (call != NULL) {
        bool other = r->open && r->wire_index == index && r->kind == PART_OTHER;
        bool ours = r->open && r->wire_index == index && r->kind == PART_TOOL_CALL;
        struct str text = tree_get_str(call, "input");
        if (!ours && !other) return WEIR_UP_PROTOCOL;
        if (ours) part_delta(s, index, PART_TOOL_CALL, DELTA_ARGUMENTS, text);
    } else if (reasoning != NULL) {
        on_reasoning(s, index, reasoning);
    } else {
        part_delta(s, index, PART_TEXT, DELTA_TEXT, tree_get_str(delta, "text"));
        on_citation(s, index, tree_get(delta, "citation"));
    }
    return WEIR_OK;
}

static void fail(struct sink *s, struct str reason)
{
    struct upstream_error error = {.err = WEIR_UP_STREAM_ERROR, .code = reason, .retry_after_ms = -1};
    error.message =
        arena_printf(s->arena, "the provider ended its answer with %.*s", STR_FMT(str_slice(reason, 0, 60)));
    emit(s, &(struct delta){.kind = DELTA_ERROR, .error = &error});
}

static void on_message_stop(struct sink *s, yyjson_val *root)
{
    struct converse_reader *r = s->r;
    struct str reason = tree_get_str(root, "stopReason");
    start(s);
    close_block(s);
    r->finish = converse_finish_of(reason);
    r->base.ending = true;
    if (r->finish == FINISH_ERROR) fail(s, reason);
    struct str stop = tree_get_str(tree_get(root, "additionalModelResponseFields"), "stop_sequence");
    r->stop_sequence = arena_copy(r->base.arena, stop);
}

static void on_metadata(struct sink *s, yyjson_val *root)
{
    if (!converse_read_usage(tree_get(root, "usage"), &s->r->usage)) return;
    start(s);
    emit(s, &(struct delta){.kind = DELTA_USAGE, .usage = &s->r->usage});
}

enum weir_err converse_read_event(void *st, struct str name, struct str data, struct arena *a,
                                  void (*to_emit)(void *to, const struct delta *d), void *to)
{
    struct converse_reader *r = st;
    struct sink s = {r, a, to_emit, to};
    yyjson_val *root;
    struct str why;
    if (tree_read(data, a, &root, &why) != WEIR_OK || !yyjson_is_obj(root)) return WEIR_UP_PROTOCOL;
    if (str_is(name, "contentBlockDelta")) return on_block_delta(&s, root);
    if (str_is(name, "messageStart")) {
        start(&s);
    } else if (str_is(name, "contentBlockStart")) {
        on_block_start(&s, root);
    } else if (str_is(name, "contentBlockStop")) {
        close_block(&s);
    } else if (str_is(name, "messageStop")) {
        on_message_stop(&s, root);
    } else if (str_is(name, "metadata")) {
        on_metadata(&s, root);
    }
    return WEIR_OK; /* kinds that are not known are passed over */
}

void converse_read_end(void *st, void (*to_emit)(void *to, const struct delta *d), void *to)
{
    struct converse_reader *r = st;
    struct sink s = {r, r->base.arena, to_emit, to};
    if (r->finish == FINISH_NONE || r->finish == FINISH_ERROR) return;
    emit(&s, &(struct delta){.kind = DELTA_FINISH, .finish = r->finish, .stop_sequence = r->stop_sequence});
    emit(&s, &(struct delta){.kind = DELTA_END});
}
