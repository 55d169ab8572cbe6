/* Gemini stream chunks into hub deltas. Each chunk holds new parts only; there is no terminal event: the end of the body after a
 * chunk with a finish reason is the end, so the finish is told in gemini_read_end(). Usage is cumulative, the last one counts. */
#include "proto/dialect/gemini.h"

#include "proto/dialect/mark.h"
#include "proto/dialect/tree.h"
#include "proto/dialect/upstream_error.h"

struct sink {
    struct gemini_reader *r;
    struct arena *arena;
    void (*emit)(void *to, const struct delta *d);
    void *to;
    struct str logprobs; /* of the candidate under way, until its first text */
};

static void emit(struct sink *s, const struct delta *d)
{
    s->emit(s->to, d);
}

static void close_part(struct sink *s)
{
    if (!s->r->open) return;
    s->r->open = false;
    emit(s, &(struct delta){.kind = DELTA_CLOSE, .part = s->r->kind, .index = s->r->parts - 1});
}

static void open_part(struct sink *s, enum part_kind kind, struct str id, struct str name)
{
    close_part(s);
    s->r->open = true;
    s->r->kind = kind;
    s->r->parts++;
    if (kind == PART_TEXT) s->r->text_before = s->r->text.points;
    emit(s, &(struct delta){.kind = DELTA_OPEN, .part = kind, .index = s->r->parts - 1, .id = id, .name = name});
}

static void part_delta(struct sink *s, enum delta_kind kind, struct str text)
{
    if (text.n > 0) emit(s, &(struct delta){.kind = kind, .part = s->r->kind, .index = s->r->parts - 1, .text = text});
}

static void on_call(struct sink *s, yyjson_val *part, yyjson_val *call)
{
    struct str signature = gemini_get_str(part, "thoughtSignature"), id = gemini_get_str(call, "id");
    yyjson_val *args = gemini_get(call, "args");
    if (signature.n > 0) {
        open_part(s, PART_REASONING, STR_NULL, STR_NULL);
        part_delta(s, DELTA_SIGNATURE, gemini_carry(s->arena, MARK_GEMINI_NEXT, signature));
    }
    if (id.n == 0) id = arena_printf(s->arena, "call_%u", s->r->calls);
    s->r->calls++;
    open_part(s, PART_TOOL_CALL, id, gemini_get_str(call, "name"));
    part_delta(s, DELTA_ARGUMENTS, args == NULL ? STR("{}") : tree_text(args, s->arena));
    close_part(s);
}

static void on_text(struct sink *s, yyjson_val *part, struct str text)
{
    bool thought = yyjson_is_true(gemini_get(part, "thought"));
    enum part_kind kind = thought ? PART_REASONING : PART_TEXT;
    struct str signature = gemini_get_str(part, "thoughtSignature");
    if (text.n == 0 && (!thought || signature.n == 0)) return;
    if (!s->r->open || s->r->kind != kind) open_part(s, kind, STR_NULL, STR_NULL);
    if (thought || s->logprobs.n == 0)
        part_delta(s, DELTA_TEXT, text);
    else
        emit(s, &(struct delta){
                    .kind = DELTA_TEXT, .part = kind, .index = s->r->parts - 1, .text = text, .logprobs = s->logprobs});
    if (!thought) {
        s->logprobs = STR_NULL;
        text_map_add(&s->r->text, s->r->base.arena, text);
    }
    if (!thought || signature.n == 0) return;
    part_delta(s, DELTA_SIGNATURE, gemini_carry(s->arena, MARK_GEMINI, signature));
    close_part(s);
}

static void on_part(struct sink *s, yyjson_val *part)
{
    yyjson_val *call = gemini_get(part, "functionCall"), *text = gemini_get(part, "text");
    if (call != NULL) {
        on_call(s, part, call);
    } else if (yyjson_is_str(text)) {
        on_text(s, part, tree_str(text));
    } else if (yyjson_obj_size(part) > 0) {
        open_part(s, PART_OTHER, STR_NULL, STR("part"));
        close_part(s);
    }
}

static void fail(struct sink *s, struct str reason)
{
    struct upstream_error error = {.err = WEIR_UP_STREAM_ERROR, .code = reason, .retry_after_ms = -1};
    error.message =
        arena_printf(s->arena, "the provider ended its answer with %.*s", STR_FMT(str_slice(reason, 0, 60)));
    emit(s, &(struct delta){.kind = DELTA_ERROR, .error = &error});
}

static void on_reason(struct sink *s, struct str reason, bool first)
{
    struct gemini_reader *r = s->r;
    if (reason.n == 0) return;
    r->finished++;
    r->base.ending = true;
    if (!first) return;
    if (gemini_finish_of(reason, false) == FINISH_ERROR)
        fail(s, reason);
    else
        r->finish = arena_copy(r->base.arena, reason);
}

/* Candidates beside the first are only there when the client asked for them; they are passed on and counted. */
static void on_other_candidate(struct sink *s, yyjson_val *candidate, unsigned index)
{
    size_t i, n;
    yyjson_val *part;
    yyjson_arr_foreach(gemini_get(gemini_get(candidate, "content"), "parts"), i, n, part)
    {
        struct str text = gemini_get_str(part, "text");
        if (text.n > 0) emit(s, &(struct delta){.kind = DELTA_TEXT, .part = PART_TEXT, .text = text, .choice = index});
    }
    on_reason(s, gemini_get_str(candidate, "finishReason"), false);
}

static void on_citation(void *to, const struct citation *whole)
{
    struct sink *s = to;
    struct gemini_reader *r = s->r;
    struct citation c = *whole;
    bool open = r->open && r->kind == PART_TEXT;
    if (c.end >= 0) citation_set_span(&c, c.start - r->text_before, c.end - r->text_before);
    emit(s, &(struct delta){
                .kind = DELTA_CITATION, .part = PART_TEXT, .index = open ? r->parts - 1 : r->parts, .citation = &c});
}

static void on_candidate(struct sink *s, yyjson_val *candidate)
{
    size_t i, n;
    yyjson_val *part;
    int64_t index = tree_get_i64(candidate, "index");
    if (index > 0) {
        on_other_candidate(s, candidate, index < 64 ? (unsigned)index : 64);
        return;
    }
    s->logprobs = gemini_read_logprobs(candidate, s->arena);
    yyjson_arr_foreach(gemini_get(gemini_get(candidate, "content"), "parts"), i, n, part) on_part(s, part);
    gemini_read_grounding(candidate, &s->r->text, NULL, on_citation, s);
    on_reason(s, gemini_get_str(candidate, "finishReason"), true);
}

static void on_chunk(struct sink *s, yyjson_val *root)
{
    struct gemini_reader *r = s->r;
    size_t i, n;
    yyjson_val *candidate, *candidates = gemini_get(root, "candidates");
    bool usage = gemini_read_usage(gemini_get(root, "usageMetadata"), &r->usage);
    gemini_read_searches(root, &r->usage);
    if (!r->started)
        emit(s, &(struct delta){.kind = DELTA_START,
                                .id = gemini_get_str(root, "responseId"),
                                .model = gemini_get_str(root, "modelVersion"),
                                .usage = usage ? &r->usage : NULL});
    r->started = true;
    yyjson_arr_foreach(candidates, i, n, candidate) on_candidate(s, candidate);
    struct str blocked = gemini_get_str(gemini_get(root, "promptFeedback"), "blockReason");
    if (blocked.n > 0 && yyjson_arr_size(candidates) == 0) on_reason(s, STR("PROHIBITED_CONTENT"), true);
    if (usage) emit(s, &(struct delta){.kind = DELTA_USAGE, .usage = &r->usage});
}

enum weir_err gemini_read_event(void *st, struct str name, struct str data, struct arena *a,
                                void (*to_emit)(void *to, const struct delta *d), void *to)
{
    struct sink s = {.r = st, .arena = a, .emit = to_emit, .to = to};
    struct upstream_error error;
    yyjson_val *root;
    struct str why;
    (void)name;
    if (tree_read(data, a, &root, &why) != WEIR_OK) return WEIR_UP_PROTOCOL;
    if (yyjson_is_arr(root)) root = yyjson_arr_get_first(root); /* errors come wrapped so, too */
    if (!yyjson_is_obj(root)) return WEIR_UP_PROTOCOL;
    if (tree_get(root, "error") != NULL) {
        upstream_error_in_stream(root, a, &error);
        emit(&s, &(struct delta){.kind = DELTA_ERROR, .error = &error});
        return WEIR_OK;
    }
    on_chunk(&s, root);
    return WEIR_OK;
}

void gemini_read_end(void *st, void (*to_emit)(void *to, const struct delta *d), void *to)
{
    struct gemini_reader *r = st;
    struct sink s = {.r = st, .arena = r->base.arena, .emit = to_emit, .to = to};
    if (r->finish.n == 0) return;
    close_part(&s);
    emit(&s, &(struct delta){.kind = DELTA_FINISH, .finish = gemini_finish_of(r->finish, r->calls > 0)});
    emit(&s, &(struct delta){.kind = DELTA_END});
}
