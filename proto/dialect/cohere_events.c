/* Cohere's stream events, both ways: contents, plans and calls come one after the other, each with a start and an end of its own. */
#include "proto/dialect/cohere.h"

#include "proto/dialect/tree.h"
#include "proto/dialect/upstream_error.h"

struct sink {
    struct cohere_reader *r;
    struct arena *arena;
    void (*emit)(void *to, const struct delta *d);
    void *to;
};

/* ---- Reading ---- */

static void close_part(struct sink *s)
{
    struct cohere_reader *r = s->r;
    if (r->open) s->emit(s->to, &(struct delta){.kind = DELTA_CLOSE, .part = r->kind, .index = r->parts - 1});
    r->open = false;
}

static void open_part(struct sink *s, enum part_kind kind, struct str id, struct str name)
{
    close_part(s);
    s->r->open = true;
    s->r->kind = kind;
    s->emit(s->to, &(struct delta){.kind = DELTA_OPEN, .part = kind, .index = s->r->parts++, .id = id, .name = name});
}

static void text(struct sink *s, enum part_kind kind, struct str text)
{
    if (text.n == 0) return;
    if (!s->r->open || s->r->kind != kind) open_part(s, kind, STR_NULL, STR_NULL);
    s->emit(s->to, &(struct delta){.kind = kind == PART_TOOL_CALL ? DELTA_ARGUMENTS : DELTA_TEXT,
                                   .part = kind,
                                   .index = s->r->parts - 1,
                                   .text = text});
}

static void on_start(struct sink *s, yyjson_val *root, yyjson_val *message)
{
    (void)message;
    s->emit(s->to, &(struct delta){.kind = DELTA_START, .id = tree_get_str(root, "id")});
}

static void on_content(struct sink *s, yyjson_val *root, yyjson_val *message)
{
    yyjson_val *content = tree_get(message, "content");
    (void)root;
    text(s, PART_REASONING, tree_get_str(content, "thinking"));
    text(s, PART_TEXT, tree_get_str(content, "text"));
}

static void on_plan(struct sink *s, yyjson_val *root, yyjson_val *message)
{
    (void)root;
    text(s, PART_REASONING, tree_get_str(message, "tool_plan"));
}

static void on_call(struct sink *s, yyjson_val *root, yyjson_val *message)
{
    yyjson_val *call = tree_get(message, "tool_calls"), *function = tree_get(call, "function");
    (void)root;
    open_part(s, PART_TOOL_CALL, tree_get_str(call, "id"), tree_get_str(function, "name"));
    text(s, PART_TOOL_CALL, tree_get_str(function, "arguments"));
}

static void on_arguments(struct sink *s, yyjson_val *root, yyjson_val *message)
{
    (void)root;
    if (s->r->open && s->r->kind == PART_TOOL_CALL)
        text(s, PART_TOOL_CALL, tree_get_str(tree_get(tree_get(message, "tool_calls"), "function"), "arguments"));
}

static void on_source(void *to, const struct citation *c)
{
    struct sink *s = to;
    s->emit(s->to, &(struct delta){.kind = DELTA_CITATION, .part = PART_TEXT, .index = s->r->parts - 1, .citation = c});
}

static void on_citation(struct sink *s, yyjson_val *root, yyjson_val *message)
{
    (void)root;
    if (s->r->open && s->r->kind == PART_TEXT) (void)cohere_read_citation(tree_get(message, "citations"), on_source, s);
}

static void on_part_end(struct sink *s, yyjson_val *root, yyjson_val *message)
{
    (void)root, (void)message;
    close_part(s);
}

static void on_end(struct sink *s, yyjson_val *root, yyjson_val *message)
{
    yyjson_val *delta = tree_get(root, "delta");
    enum finish f = cohere_finish_of(tree_get_str(delta, "finish_reason"));
    (void)message;
    close_part(s);
    if (f == FINISH_ERROR || tree_get(delta, "error") != NULL) {
        struct upstream_error error;
        upstream_error_in_stream(delta, s->arena, &error);
        s->emit(s->to, &(struct delta){.kind = DELTA_ERROR, .error = &error});
        return;
    }
    s->emit(s->to, &(struct delta){.kind = DELTA_FINISH, .finish = f});
    if (cohere_read_usage(tree_get(delta, "usage"), &s->r->usage))
        s->emit(s->to, &(struct delta){.kind = DELTA_USAGE, .usage = &s->r->usage});
}

static const struct {
    const char *type;
    void (*read)(struct sink *s, yyjson_val *root, yyjson_val *message);
} EVENTS[] = {
    {"content-delta", on_content},   {"content-start", on_content}, {"content-end", on_part_end},
    {"tool-plan-delta", on_plan},    {"tool-call-start", on_call},  {"tool-call-delta", on_arguments},
    {"tool-call-end", on_part_end},  {"message-start", on_start},   {"message-end", on_end},
    {"citation-start", on_citation},
};

enum weir_err cohere_read_event(void *st, struct str name, struct str data, struct arena *a,
                                void (*emit)(void *to, const struct delta *d), void *to)
{
    struct sink s = {st, a, emit, to};
    yyjson_val *root;
    struct str why;
    if (str_is(str_trim(data), "[DONE]")) {
        emit(to, &(struct delta){.kind = DELTA_END});
        return WEIR_OK;
    }
    if (tree_read(data, a, &root, &why) != WEIR_OK || !yyjson_is_obj(root)) return WEIR_UP_PROTOCOL;
    struct str type = tree_get_str(root, "type");
    if (type.n == 0) type = name;
    for (size_t i = 0; i < sizeof EVENTS / sizeof *EVENTS; i++)
        if (str_is(type, EVENTS[i].type)) EVENTS[i].read(&s, root, tree_get(tree_get(root, "delta"), "message"));
    return WEIR_OK;
}

/* ---- Writing ---- */

static void event(const char *type, struct buf *out)
{
    buf_addf(out, "event: %s\ndata: {\"type\":\"%s\"", type, type);
}

static void event_end(struct buf *out)
{
    buf_add(out, STR("}\n\n"));
}

static void part_event(const struct cohere_writer *w, const char *type, struct buf *out)
{
    event(type, out);
    buf_addf(out, ",\"index\":%u", w->serial.done);
}

static void on_open(void *writer, const struct serial_part *p, struct buf *out)
{
    struct cohere_writer *w = writer;
    w->has_arguments = false;
    if (p->kind == PART_TOOL_CALL) {
        part_event(w, "tool-call-start", out);
        buf_add(out, STR(",\"delta\":{\"message\":{\"tool_calls\":{\"id\":"));
        buf_add_json_str(out, p->id);
        buf_add(out, STR(",\"type\":\"function\",\"function\":{\"name\":"));
        buf_add_json_str(out, p->name);
        buf_add(out, STR(",\"arguments\":\"\"}}}}"));
    } else {
        part_event(w, "content-start", out);
        buf_addz(out, p->kind == PART_REASONING
                          ? ",\"delta\":{\"message\":{\"content\":{\"type\":\"thinking\",\"thinking\":\"\"}}}"
                          : ",\"delta\":{\"message\":{\"content\":{\"type\":\"text\",\"text\":\"\"}}}");
    }
    event_end(out);
}

static void on_delta(void *writer, const struct serial_part *p, enum delta_kind kind, struct str text, struct buf *out)
{
    struct cohere_writer *w = writer;
    if (kind == DELTA_CITATION) {
        event("citation-start", out);
        buf_addf(out, ",\"index\":%u,\"delta\":{\"message\":{\"citations\":", w->citations);
        buf_add(out, text);
        buf_add(out, STR("}}"));
        event_end(out);
        event("citation-end", out);
        buf_addf(out, ",\"index\":%u", w->citations++);
        event_end(out);
        return;
    }
    if (kind == DELTA_SIGNATURE || text.n == 0) return; /* there is no place for signatures */
    if (kind == DELTA_ARGUMENTS) {
        w->has_arguments = true;
        part_event(w, "tool-call-delta", out);
        buf_add(out, STR(",\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":"));
        buf_add_json_str(out, text);
        buf_add(out, STR("}}}}"));
    } else {
        part_event(w, "content-delta", out);
        buf_addf(out, ",\"delta\":{\"message\":{\"content\":{\"%s\":", p->kind == PART_REASONING ? "thinking" : "text");
        buf_add_json_str(out, text);
        buf_add(out, STR("}}}"));
    }
    event_end(out);
}

static void on_close(void *writer, const struct serial_part *p, struct buf *out)
{
    const struct cohere_writer *w = writer;
    if (p->kind == PART_TOOL_CALL && !w->has_arguments) /* an empty object, not an empty text */
        on_delta(writer, p, DELTA_ARGUMENTS, STR("{}"), out);
    part_event(writer, p->kind == PART_TOOL_CALL ? "tool-call-end" : "content-end", out);
    event_end(out);
}

/* The words of a text that is open, for what is cited in it. */
struct cohere_said {
    struct cohere_said *next;
    unsigned index; /* the hub's */
    struct arena_text text;
    struct text_map map;
};

static struct cohere_said **find_said(struct cohere_writer *w, unsigned index)
{
    struct cohere_said **at = &w->said;
    while (*at != NULL && (*at)->index != index) at = &(*at)->next;
    return at;
}

static void listen(struct cohere_writer *w, const struct delta *d)
{
    struct arena *a = w->base.arena;
    if (d->part != PART_TEXT) return;
    struct cohere_said **at = find_said(w, d->index), *said = *at;
    if (d->kind == DELTA_OPEN && said == NULL) {
        *at = said = arena_zalloc(a, sizeof *said);
        said->index = d->index;
    } else if (d->kind == DELTA_TEXT && said != NULL) {
        arena_text_add(&said->text, a, d->text);
        text_map_add(&said->map, a, d->text);
    } else if (d->kind == DELTA_CLOSE && said != NULL) {
        *at = said->next;
    }
}

static void write_citation(struct cohere_writer *w, const struct delta *d, const struct serial_ops *ops,
                           struct buf *out)
{
    const struct citation *c = d->citation;
    struct cohere_said *said = *find_said(w, d->index);
    struct buf json = {0};
    if (said == NULL) return;
    (void)cohere_write_citation(c,
                                str_slice(arena_text_view(&said->text), (size_t)text_map_byte(&said->map, c->start),
                                          (size_t)text_map_byte(&said->map, c->end)),
                                -1, &json);
    struct delta told = *d;
    told.text = buf_view(&json);
    serial_take(&w->serial, &told, ops, w, out);
    buf_fini(&json);
}

static void write_start(struct cohere_writer *w, const struct delta *d, struct buf *out)
{
    w->id = arena_copy(w->base.arena, d->id);
    if (w->base.started) return;
    w->base.started = true;
    buf_add(out, STR("event: message-start\ndata: {\"id\":"));
    buf_add_json_str(out, w->id);
    buf_add(out, STR(",\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[],"
                     "\"tool_plan\":\"\",\"tool_calls\":[],\"citations\":[]}}"));
    event_end(out);
}

static void write_last(struct cohere_writer *w, struct buf *out)
{
    w->base.end_at = buf_len(out);
    event("message-end", out);
    buf_addf(out, ",\"delta\":{\"finish_reason\":\"%s\",\"usage\":", cohere_finish_word(w->finish));
    cohere_write_usage(&w->usage, out);
    buf_addc(out, '}');
    event_end(out);
    buf_add(out, STR("data: [DONE]\n\n"));
}

void cohere_write_delta(void *st, const struct delta *d, struct buf *out)
{
    static const struct serial_ops ops = {.open = on_open, .delta = on_delta, .close = on_close};
    struct cohere_writer *w = st;
    w->serial.arena = w->base.arena;
    switch (d->kind) {
    case DELTA_START: write_start(w, d, out); break;
    case DELTA_OPEN:
    case DELTA_TEXT:
    case DELTA_ARGUMENTS:
    case DELTA_SIGNATURE:
    case DELTA_CLOSE:
        listen(w, d);
        serial_take(&w->serial, d, &ops, w, out);
        break;
    case DELTA_CITATION: write_citation(w, d, &ops, out); break;
    case DELTA_FINISH:
        serial_end(&w->serial, &ops, w, out);
        w->finish = d->finish;
        break;
    case DELTA_USAGE: w->usage = *d->usage; break;
    case DELTA_END: write_last(w, out); break;
    default: break;
    }
}

void cohere_write_stream_error(enum weir_err e, struct str message, struct buf *out)
{
    event("message-end", out);
    buf_add(out, STR(",\"delta\":{\"finish_reason\":\"ERROR\",\"error\":"));
    buf_add_json_str(out, message.n > 0 ? message : str_of(err_row(e)->text));
    buf_addc(out, '}');
    event_end(out);
}
