/* A provider's Responses events into hub deltas. Output items lie side by side under their output_index, a message's parts under
 * content_index. What arrived as deltas is not told again by the events that hold it whole; what did not is told then, for some
 * backends leave out the deltas, or the items of the last event. */
#include "proto/dialect/responses.h"

#include "proto/dialect/openai_chat.h"
#include "proto/dialect/tree.h"
#include "proto/dialect/upstream_error.h"

enum { ITEMS_MOST = 1024 };

struct sink {
    struct responses_reader *r;
    struct arena *arena;
    void (*emit)(void *to, const struct delta *d);
    void *to;
};

/* A text of a message, a call, or a thought. */
struct responses_piece {
    struct responses_piece *next;
    int64_t output, content; /* content: -1 where there is one piece only */
    int64_t summary;         /* the part of a thought that is being written */
    enum part_kind kind;
    unsigned index;        /* the hub's */
    bool open, over, told; /* told: something of it has come */
    unsigned cited;        /* annotations that were told */
    bool custom;           /* a call of a custom tool */
};

static void emit(struct sink *s, const struct delta *d)
{
    s->emit(s->to, d);
}

static struct responses_piece *find(struct sink *s, int64_t output, int64_t content)
{
    struct responses_piece *p = s->r->pieces;
    while (p != NULL && (p->output != output || p->content != content)) p = p->next;
    return p;
}

static struct responses_piece *piece(struct sink *s, int64_t output, int64_t content, enum part_kind kind)
{
    struct responses_reader *r = s->r;
    struct responses_piece *p = find(s, output, content);
    if (p != NULL || r->pieces_n == ITEMS_MOST) return p;
    p = arena_zalloc(r->base.arena, sizeof *p);
    *p = (struct responses_piece){.next = r->pieces, .output = output, .content = content, .kind = kind};
    r->pieces = p;
    r->pieces_n++;
    return p;
}

static void open_piece(struct sink *s, struct responses_piece *p, struct str id, struct str name)
{
    if (p->open) return;
    p->open = true;
    p->index = s->r->parts++;
    emit(s, &(struct delta){
                .kind = DELTA_OPEN, .part = p->kind, .index = p->index, .id = id, .name = name, .custom = p->custom});
}

static void tell_with(struct sink *s, struct responses_piece *p, struct str text, struct str logprobs)
{
    if (p == NULL || p->over || (text.n == 0 && logprobs.n == 0)) return;
    open_piece(s, p, STR_NULL, STR_NULL);
    p->told = true;
    emit(s, &(struct delta){.kind = p->kind == PART_TOOL_CALL ? DELTA_ARGUMENTS : DELTA_TEXT,
                            .part = p->kind,
                            .index = p->index,
                            .text = text,
                            .logprobs = logprobs});
}

static void tell(struct sink *s, struct responses_piece *p, struct str text)
{
    tell_with(s, p, text, STR_NULL);
}

static void close_piece(struct sink *s, struct responses_piece *p)
{
    if (p->open && !p->over) emit(s, &(struct delta){.kind = DELTA_CLOSE, .part = p->kind, .index = p->index});
    p->over = true;
}

static void cite(struct sink *s, struct responses_piece *p, yyjson_val *annotation)
{
    struct citation c;
    if (p->over || p->kind != PART_TEXT) return;
    p->cited++;
    if (!openai_read_annotation(annotation, &c)) return;
    open_piece(s, p, STR_NULL, STR_NULL);
    emit(s, &(struct delta){.kind = DELTA_CITATION, .part = PART_TEXT, .index = p->index, .citation = &c});
}

/* ---- Items, whole or as they begin ---- */

static bool is_custom(yyjson_val *item)
{
    return str_is(tree_get_str(item, "type"), "custom_tool_call");
}

static void begin_call(struct sink *s, yyjson_val *item, int64_t output)
{
    struct responses_piece *p = piece(s, output, -1, PART_TOOL_CALL);
    if (p == NULL || p->open) return;
    s->r->calls = true;
    p->custom = is_custom(item);
    open_piece(s, p, tree_get_str(item, "call_id"), responses_call_name(item, s->arena));
}

static void begin_item(struct sink *s, yyjson_val *item, int64_t output)
{
    struct str type = tree_get_str(item, "type");
    if (str_is(type, "function_call") || is_custom(item)) {
        begin_call(s, item, output);
    } else if (!str_is(type, "message") && !str_is(type, "reasoning")) {
        struct responses_piece *p = piece(s, output, -1, PART_OTHER); /* a hosted tool at work */
        if (p != NULL) open_piece(s, p, STR_NULL, type);
    }
}

static void end_message(struct sink *s, yyjson_val *item, int64_t output)
{
    size_t i, n, j, k;
    yyjson_val *v, *annotation;
    yyjson_arr_foreach(tree_get(item, "content"), i, n, v)
    {
        bool refusal = str_is(tree_get_str(v, "type"), "refusal");
        struct responses_piece *p = piece(s, output, (int64_t)i, refusal ? PART_REFUSAL : PART_TEXT);
        if (p == NULL) return;
        if (!p->told) tell_with(s, p, tree_get_str(v, refusal ? "refusal" : "text"), responses_logprobs(v, s->arena));
        yyjson_arr_foreach(tree_get(v, "annotations"), j, k, annotation)
        {
            if (j >= p->cited) cite(s, p, annotation);
        }
        close_piece(s, p);
    }
}

static void end_reasoning(struct sink *s, yyjson_val *item, int64_t output)
{
    struct responses_piece *p = piece(s, output, -1, PART_REASONING);
    if (p == NULL || p->over) return;
    if (!p->told) tell(s, p, responses_reasoning_text(item, s->arena));
    struct str signature = responses_signature(item, s->arena);
    if (signature.n > 0) {
        open_piece(s, p, STR_NULL, STR_NULL);
        emit(s, &(struct delta){.kind = DELTA_SIGNATURE, .part = p->kind, .index = p->index, .text = signature});
    }
    close_piece(s, p);
}

static void end_item(struct sink *s, yyjson_val *item, int64_t output)
{
    struct str type = tree_get_str(item, "type");
    if (str_is(type, "message")) {
        end_message(s, item, output);
    } else if (str_is(type, "reasoning")) {
        end_reasoning(s, item, output);
    } else {
        begin_item(s, item, output);
        struct responses_piece *p = find(s, output, -1);
        if (p == NULL) return;
        if (p->kind == PART_TOOL_CALL && !p->told) tell(s, p, tree_get_str(item, p->custom ? "input" : "arguments"));
        close_piece(s, p);
    }
}

/* ---- Events ---- */

static void start(struct sink *s, yyjson_val *response)
{
    struct responses_reader *r = s->r;
    int64_t created;
    if (r->started || !yyjson_is_obj(response)) return;
    r->started = true;
    if (!tree_i64(tree_get(response, "created_at"), &created) || created < 0) created = 0;
    emit(s, &(struct delta){.kind = DELTA_START,
                            .id = tree_get_str(response, "id"),
                            .model = tree_get_str(response, "model"),
                            .created_s = (uint64_t)created});
}

static void on_state(struct sink *s, yyjson_val *root)
{
    start(s, tree_get(root, "response"));
}

static void on_added(struct sink *s, yyjson_val *root)
{
    begin_item(s, tree_get(root, "item"), tree_get_i64(root, "output_index"));
}

static void on_done(struct sink *s, yyjson_val *root)
{
    end_item(s, tree_get(root, "item"), tree_get_i64(root, "output_index"));
}

static void message_delta(struct sink *s, yyjson_val *root, enum part_kind kind)
{
    int64_t content = tree_get_i64(root, "content_index");
    tell_with(s, piece(s, tree_get_i64(root, "output_index"), content < 0 ? 0 : content, kind),
              tree_get_str(root, "delta"), responses_logprobs(root, s->arena));
}

static void on_text(struct sink *s, yyjson_val *root)
{
    message_delta(s, root, PART_TEXT);
}

static void on_annotation(struct sink *s, yyjson_val *root)
{
    int64_t content = tree_get_i64(root, "content_index");
    struct responses_piece *p = piece(s, tree_get_i64(root, "output_index"), content < 0 ? 0 : content, PART_TEXT);
    if (p != NULL) cite(s, p, tree_get(root, "annotation"));
}

static void on_refusal(struct sink *s, yyjson_val *root)
{
    message_delta(s, root, PART_REFUSAL);
}

/* The parts of a summary are paragraphs of one thought. */
static void on_reasoning(struct sink *s, yyjson_val *root)
{
    int64_t summary = tree_get_i64(root, "summary_index");
    struct responses_piece *p = piece(s, tree_get_i64(root, "output_index"), -1, PART_REASONING);
    if (p == NULL) return;
    if (p->told && summary > p->summary) tell(s, p, STR("\n\n"));
    if (summary >= 0) p->summary = summary;
    tell(s, p, tree_get_str(root, "delta"));
}

static void on_arguments(struct sink *s, yyjson_val *root)
{
    tell(s, find(s, tree_get_i64(root, "output_index"), -1), tree_get_str(root, "delta"));
}

static void on_end(struct sink *s, yyjson_val *root)
{
    struct responses_reader *r = s->r;
    yyjson_val *response = tree_get(root, "response"), *item;
    size_t i, n;
    start(s, response);
    yyjson_arr_foreach(tree_get(response, "output"), i, n, item) end_item(s, item, (int64_t)i);
    for (struct responses_piece *p = r->pieces; p != NULL; p = p->next) close_piece(s, p);
    emit(s, &(struct delta){.kind = DELTA_FINISH, .finish = responses_finish_of(response, r->calls)});
    if (responses_read_usage(response, &r->usage)) emit(s, &(struct delta){.kind = DELTA_USAGE, .usage = &r->usage});
    emit(s, &(struct delta){.kind = DELTA_END});
}

static void report_error(struct sink *s, yyjson_val *holder)
{
    struct upstream_error error;
    upstream_error_in_stream(holder, s->arena, &error);
    emit(s, &(struct delta){.kind = DELTA_ERROR, .error = &error});
}

static void on_failed(struct sink *s, yyjson_val *root)
{
    report_error(s, tree_get(root, "response"));
}

static const struct {
    const char *type;
    void (*read)(struct sink *s, yyjson_val *root);
} EVENTS[] = {
    {"response.output_text.delta", on_text},
    {"response.function_call_arguments.delta", on_arguments},
    {"response.custom_tool_call_input.delta", on_arguments},
    {"response.reasoning_summary_text.delta", on_reasoning},
    {"response.reasoning_text.delta", on_reasoning},
    {"response.output_text.annotation.added", on_annotation},
    {"response.refusal.delta", on_refusal},
    {"response.created", on_state},
    {"response.in_progress", on_state},
    {"response.queued", on_state},
    {"response.output_item.added", on_added},
    {"response.output_item.done", on_done},
    {"response.completed", on_end},
    {"response.incomplete", on_end},
    {"response.failed", on_failed},
    {"response.cancelled", on_failed},
    {"error", report_error},
};

enum weir_err responses_read_event(void *st, struct str name, struct str data, struct arena *a,
                                   void (*to_emit)(void *to, const struct delta *d), void *to)
{
    struct sink s = {st, a, to_emit, to};
    yyjson_val *root;
    struct str why;
    if (str_is(str_trim(data), "[DONE]")) return WEIR_OK; /* some say it behind the terminal event */
    if (tree_read(data, a, &root, &why) != WEIR_OK || !yyjson_is_obj(root)) return WEIR_UP_PROTOCOL;
    struct str type = tree_get_str(root, "type");
    if (type.n == 0) type = name;
    for (size_t i = 0; i < sizeof EVENTS / sizeof *EVENTS; i++)
        if (str_is(type, EVENTS[i].type)) {
            EVENTS[i].read(&s, root);
            return WEIR_OK;
        }
    if (type.n == 0 && yyjson_is_obj(tree_get(root, "error"))) report_error(&s, root);
    return WEIR_OK; /* progress of hosted tools, and what may come to be */
}
