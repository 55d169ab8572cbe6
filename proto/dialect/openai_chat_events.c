/* Chat completion chunks into hub deltas. The difficulty is what look-alikes do: calls without index or with all indexes 0,
 * usage in the finish chunk, in a chunk of its own, in every chunk or under x_groq; content as an array; errors inside a 200
 * as an event, as a chunk, as a choice. */
#include "proto/dialect/openai_chat.h"

#include "proto/dialect/tree.h"
#include "proto/dialect/upstream_error.h"

struct sink {
    struct openai_chat_reader *r;
    struct arena *arena;
    void (*emit)(void *to, const struct delta *d);
    void *to;
};

static void emit(struct sink *s, const struct delta *d)
{
    s->emit(s->to, d);
}

static void close_slot(struct sink *s, unsigned *slot, enum part_kind kind)
{
    if (*slot == 0) return;
    emit(s, &(struct delta){.kind = DELTA_CLOSE, .part = kind, .index = *slot - 1});
    *slot = 0;
}

static void close_call(struct sink *s, struct openai_chat_call *c)
{
    if (!c->open) return;
    c->open = false;
    emit(s, &(struct delta){.kind = DELTA_CLOSE, .part = PART_TOOL_CALL, .index = c->part});
}

static void close_all(struct sink *s)
{
    close_slot(s, &s->r->open_reasoning, PART_REASONING);
    close_slot(s, &s->r->open_text, PART_TEXT);
    close_slot(s, &s->r->open_refusal, PART_REFUSAL);
    for (unsigned i = 0; i < s->r->calls; i++) close_call(s, &s->r->call[i]);
}

/* Its span is of the whole content, the hub's of the part that is open. */
static void cite(struct sink *s, const struct citation *whole)
{
    struct openai_chat_reader *r = s->r;
    struct citation c = *whole;
    if (c.end >= 0) citation_set_span(&c, c.start - r->text_before, c.end - r->text_before);
    emit(s, &(struct delta){.kind = DELTA_CITATION, .part = PART_TEXT, .index = r->open_text - 1, .citation = &c});
}

static void begin_text(struct sink *s)
{
    struct openai_chat_reader *r = s->r;
    r->text_before = r->text_points;
    for (const struct citation *c = r->cited.first; c != NULL; c = c->next) cite(s, c);
    r->cited = (struct citations){0};
}

static void on_citation(struct sink *s, const struct citation *c)
{
    struct openai_chat_reader *r = s->r;
    r->is_cited = true;
    if (r->open_text > 0)
        cite(s, c);
    else
        citation_add(&r->cited, r->base.arena, citation_copy(r->base.arena, c));
}

static void text_delta(struct sink *s, unsigned *slot, enum part_kind kind, struct str text, struct str logprobs)
{
    if (text.n == 0 && logprobs.n == 0) return;
    if (*slot == 0) { /* another kind of text begins: the one before has ended */
        if (slot != &s->r->open_reasoning) close_slot(s, &s->r->open_reasoning, PART_REASONING);
        if (slot != &s->r->open_text) close_slot(s, &s->r->open_text, PART_TEXT);
        *slot = ++s->r->parts;
        emit(s, &(struct delta){.kind = DELTA_OPEN, .part = kind, .index = *slot - 1});
        if (kind == PART_TEXT) begin_text(s);
    }
    if (kind == PART_TEXT) s->r->text_points += citation_points(text);
    emit(s, &(struct delta){.kind = DELTA_TEXT, .part = kind, .index = *slot - 1, .text = text, .logprobs = logprobs});
}

/* ---- Tool calls ---- */

static void watch_arguments(struct openai_chat_call *c, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char ch = text.p[i];
        if (c->escaped) {
            c->escaped = false;
        } else if (c->in_string) {
            c->escaped = ch == '\\';
            c->in_string = ch != '"';
        } else if (ch == '"') {
            c->in_string = true;
        } else if (ch == '{' || ch == '[') {
            c->depth++;
        } else if ((ch == '}' || ch == ']') && c->depth > 0) {
            c->whole = --c->depth == 0;
        }
    }
}

static struct openai_chat_call *last_call(struct openai_chat_reader *r)
{
    return r->calls == 0 ? NULL : &r->call[r->calls - 1];
}

/* Which call a fragment belongs to; NULL: a new one. */
static struct openai_chat_call *find_call(struct openai_chat_reader *r, int64_t wire_index, struct str id,
                                          bool has_name)
{
    for (unsigned i = r->calls; i-- > 0;) {
        struct openai_chat_call *c = &r->call[i];
        if (id.n > 0 && str_eq(c->id, id) && (wire_index < 0 || c->wire_index == wire_index)) return c;
        if (wire_index >= 0 && c->wire_index == wire_index)
            /* Some hosts give every call of a message the index 0: another id with a name is another call. */
            return id.n > 0 && has_name && c->id.n > 0 ? NULL : c;
    }
    return wire_index < 0 && id.n == 0 && !has_name ? last_call(r) : NULL;
}

static struct openai_chat_call *open_call(struct sink *s, int64_t wire_index, struct str id, struct str name,
                                          bool custom)
{
    struct openai_chat_reader *r = s->r;
    if (r->calls == OPENAI_CHAT_CALLS_MOST) return NULL;
    close_slot(s, &r->open_reasoning, PART_REASONING);
    close_slot(s, &r->open_text, PART_TEXT);
    for (unsigned i = 0; i < r->calls; i++)
        if (r->call[i].whole) close_call(s, &r->call[i]);
    struct openai_chat_call *c = &r->call[r->calls++];
    *c = (struct openai_chat_call){.wire_index = wire_index, .part = r->parts++, .open = true, .custom = custom};
    c->id = id.n > 0 ? arena_copy(r->base.arena, id) : arena_printf(r->base.arena, "call_%u", r->calls);
    emit(
        s,
        &(struct delta){
            .kind = DELTA_OPEN, .part = PART_TOOL_CALL, .index = c->part, .id = c->id, .name = name, .custom = custom});
    return c;
}

static enum weir_err read_call(struct sink *s, yyjson_val *v)
{
    yyjson_val *custom = tree_get(v, "custom"), *function = custom != NULL ? custom : tree_get(v, "function"),
               *arguments;
    struct str id = tree_get_str(v, "id"), name = tree_get_str(function, "name"), text;
    int64_t wire_index = tree_get_i64(v, "index");
    struct openai_chat_call *c = find_call(s->r, wire_index, id, name.n > 0);
    if (c == NULL && (c = open_call(s, wire_index, id, name, custom != NULL)) == NULL) return WEIR_UP_PROTOCOL;
    arguments = tree_get(function, c->custom ? "input" : "arguments");
    text = yyjson_is_obj(arguments) ? tree_text(arguments, s->arena) : tree_str(arguments); /* Ollama sends an object */
    if (text.n == 0 || (!c->open && str_is_blank(text))) return WEIR_OK;
    if (!c->open) return WEIR_UP_PROTOCOL;    /* arguments after they were whole: cannot be put in order any more */
    if (!c->custom) watch_arguments(c, text); /* free text has no end of its own */
    emit(s, &(struct delta){.kind = DELTA_ARGUMENTS, .part = PART_TOOL_CALL, .index = c->part, .text = text});
    return WEIR_OK;
}

static enum weir_err read_calls(struct sink *s, yyjson_val *delta)
{
    size_t i, n;
    yyjson_val *v, *old = tree_get(delta, "function_call");
    yyjson_arr_foreach(tree_get(delta, "tool_calls"), i, n, v)
    {
        enum weir_err e = read_call(s, v);
        if (e != WEIR_OK) return e;
    }
    if (!yyjson_is_obj(old)) return WEIR_OK;
    struct openai_chat_call *c = last_call(s->r);
    struct str name = tree_get_str(old, "name"), text = tree_get_str(old, "arguments");
    if (c == NULL) c = open_call(s, 0, STR_NULL, name, false);
    if (c != NULL && text.n > 0)
        emit(s, &(struct delta){.kind = DELTA_ARGUMENTS, .part = PART_TOOL_CALL, .index = c->part, .text = text});
    return WEIR_OK;
}

/* ---- Choices ---- */

/* Of n > 1 only the first choice becomes parts; the others are counted as text, for whoever watches a stream pass by. */
static void count_other_choice(struct sink *s, yyjson_val *delta, unsigned choice)
{
    size_t i, n;
    yyjson_val *v;
    struct str text = tree_get_str(delta, "content");
    if (text.n > 0) emit(s, &(struct delta){.kind = DELTA_TEXT, .choice = choice, .text = text});
    yyjson_arr_foreach(tree_get(delta, "tool_calls"), i, n, v)
    {
        text = tree_get_str(tree_get(v, "function"), "arguments");
        emit(s, &(struct delta){.kind = DELTA_ARGUMENTS, .choice = choice, .text = text});
    }
}

/* Sounds and pictures in the answer have no part of their own here: they are content, and that is all that is told. */
static void read_media(struct sink *s, yyjson_val *delta)
{
    yyjson_val *audio = tree_get(delta, "audio");
    struct str data = tree_get_str(audio, "data"), transcript = tree_get_str(audio, "transcript");
    if (data.n > 0 || transcript.n > 0)
        emit(s, &(struct delta){.kind = DELTA_TEXT, .part = PART_AUDIO, .text = transcript});
    if (yyjson_arr_size(tree_get(delta, "images")) > 0)
        emit(s, &(struct delta){.kind = DELTA_TEXT, .part = PART_IMAGE});
}

static void read_annotations(struct sink *s, yyjson_val *list)
{
    size_t i, n;
    yyjson_val *v;
    struct citation c;
    yyjson_arr_foreach(list, i, n, v)
    {
        if (openai_read_annotation(v, &c)) on_citation(s, &c);
    }
}

/* Told again with every chunk: the last time counts. */
static void read_search(struct sink *s, yyjson_val *root)
{
    size_t i, n;
    yyjson_val *v;
    struct citation c;
    if (s->r->is_cited || s->r->open_text == 0) return;
    yyjson_arr_foreach(openai_search_results(root), i, n, v)
    {
        if (openai_read_search_result(v, &c)) cite(s, &c);
    }
}

static void finish(struct sink *s, yyjson_val *root, yyjson_val *choice)
{
    struct str word = tree_get_str(choice, "finish_reason");
    if (word.n == 0) return;
    read_search(s, root);
    enum finish f = openai_chat_finish_of(word);
    for (const struct citation *c = s->r->cited.first; c != NULL;
         c = c->next) /* of no text: for who tells what is lost */
        emit(s, &(struct delta){.kind = DELTA_CITATION, .part = PART_TEXT, .index = s->r->parts, .citation = c});
    if (f == FINISH_STOP && s->r->calls > 0) f = FINISH_TOOL_CALLS;
    struct str matched = tree_get_str(choice, "stop_reason"); /* vLLM: the stop sequence that matched */
    if (f == FINISH_STOP && matched.n > 0) f = FINISH_STOP_SEQUENCE;
    close_all(s);
    emit(s, &(struct delta){.kind = DELTA_FINISH, .finish = f, .stop_sequence = matched});
}

static enum weir_err read_choice(struct sink *s, yyjson_val *root, yyjson_val *choice, unsigned position)
{
    struct openai_chat_reader *r = s->r;
    /* A look-alike that does not stream after all sends the message whole. */
    yyjson_val *delta = tree_get(choice, "delta") != NULL ? tree_get(choice, "delta") : tree_get(choice, "message");
    int64_t index = tree_get_i64(choice, "index");
    if (index < 0) index = position;
    if (index > 0) {
        count_other_choice(s, delta, (unsigned)(index < 1024 ? index : 1024));
        return WEIR_OK;
    }
    yyjson_val *content = tree_get(delta, "content");
    text_delta(s, &r->open_reasoning, PART_REASONING, openai_chat_reasoning_text(delta, s->arena), STR_NULL);
    if (yyjson_is_arr(content))
        text_delta(s, &r->open_reasoning, PART_REASONING, openai_chat_content_text(content, true, s->arena), STR_NULL);
    text_delta(s, &r->open_text, PART_TEXT, openai_chat_content_text(content, false, s->arena),
               openai_chat_logprobs(choice, s->arena));
    read_annotations(s, tree_get(delta, "annotations"));
    text_delta(s, &r->open_refusal, PART_REFUSAL, tree_get_str(delta, "refusal"), STR_NULL);
    read_media(s, delta);
    enum weir_err e = read_calls(s, delta);
    if (e == WEIR_OK) finish(s, root, choice);
    return e;
}

static void report_error(struct sink *s, yyjson_val *root)
{
    struct upstream_error error;
    upstream_error_in_stream(root, s->arena, &error);
    emit(s, &(struct delta){.kind = DELTA_ERROR, .error = &error});
}

static bool has_error(yyjson_val *root)
{
    yyjson_val *error = tree_get(root, "error");
    return yyjson_is_obj(error) || tree_str(error).n > 0;
}

static enum weir_err read_choices(struct sink *s, yyjson_val *root)
{
    size_t i, n;
    yyjson_val *choice;
    yyjson_arr_foreach(tree_get(root, "choices"), i, n, choice)
    {
        if (has_error(choice)) { /* OpenRouter */
            report_error(s, choice);
            return WEIR_OK;
        }
        enum weir_err e = read_choice(s, root, choice, (unsigned)i);
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}

static void start(struct sink *s, yyjson_val *root)
{
    struct openai_chat_reader *r = s->r;
    struct str id = tree_get_str(root, "id");
    bool has_choice = yyjson_arr_size(tree_get(root, "choices")) > 0;
    if (r->started || (id.n == 0 && !has_choice)) /* Azure's first chunk has only what its filter says of the prompt */
        return;
    r->started = true;
    int64_t created = tree_get_i64(root, "created");
    emit(s, &(struct delta){.kind = DELTA_START,
                            .id = id,
                            .model = tree_get_str(root, "model"),
                            .created_s = created > 0 ? (uint64_t)created : 0});
}

static enum weir_err read_chunk(struct sink *s, yyjson_val *root)
{
    struct openai_chat_reader *r = s->r;
    start(s, root);
    enum weir_err e = read_choices(s, root);
    if (e == WEIR_OK && openai_chat_read_usage(root, &r->usage))
        emit(s, &(struct delta){.kind = DELTA_USAGE,
                                .usage = &r->usage,
                                .usage_only = yyjson_arr_size(tree_get(root, "choices")) == 0});
    return e;
}

static void end(struct sink *s)
{
    close_all(s);
    emit(s, &(struct delta){.kind = DELTA_END});
}

enum weir_err openai_chat_read_event(void *st, struct str name, struct str data, struct arena *a,
                                     void (*to_emit)(void *to, const struct delta *d), void *to)
{
    struct sink s = {st, a, to_emit, to};
    yyjson_val *root;
    struct str why;
    if (str_is(str_trim(data), "[DONE]")) {
        end(&s);
        return WEIR_OK;
    }
    if (tree_read(data, a, &root, &why) != WEIR_OK || !yyjson_is_obj(root)) return WEIR_UP_PROTOCOL;
    if (has_error(root) || str_is(name, "error")) {
        report_error(&s, root);
        return WEIR_OK;
    }
    if (has_error(tree_get(root, "x_groq"))) {
        report_error(&s, tree_get(root, "x_groq"));
        return WEIR_OK;
    }
    return read_chunk(&s, root);
}
