/* Hub deltas out as Responses events: every part is an output item of its own, so parallel parts may interleave; each is closed
 * before the terminal event, which holds the whole response again. Sequence numbers count from 0 without gaps. */
#include "proto/dialect/responses.h"

#include "proto/dialect/client_error.h"

#include <string.h>

struct piece {
    struct piece *next;
    struct str text;
};

struct pieces {
    struct piece *first, **end;
    size_t bytes;
};

struct responses_open {
    struct responses_open *next;
    unsigned index;  /* the hub's */
    unsigned number; /* output_index */
    bool has_part;   /* content_part.added or reasoning_summary_part.added went out */
    struct part *part;
    struct pieces text, signature; /* text: or arguments */
    struct pieces logprobs;        /* without brackets, behind a comma but for the first */
};

static void event(struct responses_writer *w, const char *type, struct buf *out)
{
    buf_addf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":", type, type);
    buf_add_u64(out, w->sequence++);
}

static void event_end(struct buf *out)
{
    buf_add(out, STR("}\n\n"));
}

static void state_event(struct responses_writer *w, const char *type, const struct responses_state *s, struct buf *out)
{
    event(w, type, out);
    buf_add(out, STR(",\"response\":"));
    responses_write_state(s, out);
    event_end(out);
}

static struct responses_state state_of(const struct responses_writer *w)
{
    return (struct responses_state){
        .chat = w->base.chat,
        .id = w->id,
        .model = w->model.n > 0 ? w->model : w->base.model,
        .created_s = (int64_t)w->base.created_s,
        .status = "in_progress",
        .finish = w->finish,
    };
}

static void write_start(struct responses_writer *w, const struct delta *d, struct buf *out)
{
    if (d != NULL && (d->id.n > 0 || w->id.n == 0)) {
        w->id = arena_copy(w->base.arena, d->id);
        w->model = arena_copy(w->base.arena, d->model);
        if (d->created_s != 0) w->base.created_s = d->created_s;
    }
    if (w->base.started) return;
    w->base.started = true;
    struct responses_state s = state_of(w);
    state_event(w, "response.created", &s, out);
    state_event(w, "response.in_progress", &s, out);
}

static void keep(struct responses_writer *w, struct pieces *p, struct str text)
{
    if (p->end == NULL) p->end = &p->first;
    struct piece *piece = *p->end = arena_zalloc(w->base.arena, sizeof *piece);
    p->end = &piece->next;
    piece->text = arena_copy(w->base.arena, text);
    p->bytes += text.n;
}

static struct str joined(struct responses_writer *w, const struct pieces *p)
{
    char *text = arena_alloc(w->base.arena, p->bytes + 1), *at = text;
    for (const struct piece *piece = p->first; piece != NULL; piece = piece->next) {
        memcpy(at, piece->text.p, piece->text.n);
        at += piece->text.n;
    }
    return (struct str){text, p->bytes};
}

static struct responses_open **find(struct responses_writer *w, unsigned index)
{
    struct responses_open **at = &w->open;
    while (*at != NULL && (*at)->index != index) at = &(*at)->next;
    return at;
}

/* ---- An item ---- */

static bool is_message(const struct responses_open *o)
{
    return o->part->kind == PART_TEXT || o->part->kind == PART_REFUSAL;
}

static void item_event(struct responses_writer *w, const struct responses_open *o, const char *type, struct buf *out)
{
    bool added = str_ends(str_of(type), STR(".added"));
    event(w, type, out);
    buf_addf(out, ",\"output_index\":%u,\"item\":", o->number);
    responses_write_item(o->part, w->id, o->number, added ? "in_progress" : "completed", out);
    event_end(out);
}

/* What all events inside an item begin with. */
static void inside(struct responses_writer *w, const struct responses_open *o, const char *type, struct buf *out)
{
    event(w, type, out);
    buf_add(out, STR(",\"item_id\":"));
    responses_write_item_id(w->id, o->part, o->number, out);
    buf_addf(out, ",\"output_index\":%u", o->number);
    if (is_message(o)) buf_add(out, STR(",\"content_index\":0"));
    if (o->part->kind == PART_REASONING) buf_add(out, STR(",\"summary_index\":0"));
}

static void part_event(struct responses_writer *w, const struct responses_open *o, bool done, struct buf *out)
{
    if (is_message(o)) {
        inside(w, o, done ? "response.content_part.done" : "response.content_part.added", out);
        buf_add(out, STR(",\"part\":"));
        responses_write_content(o->part, out);
    } else {
        inside(w, o, done ? "response.reasoning_summary_part.done" : "response.reasoning_summary_part.added", out);
        buf_add(out, STR(",\"part\":{\"type\":\"summary_text\",\"text\":"));
        buf_add_json_str(out, o->part->text);
        buf_addc(out, '}');
    }
    event_end(out);
}

static void text_event(struct responses_writer *w, const struct responses_open *o, bool done, struct str text,
                       struct str logprobs, struct buf *out)
{
    const char *type, *key;
    switch (o->part->kind) {
    case PART_REFUSAL:
        type = done ? "response.refusal.done" : "response.refusal.delta";
        key = "refusal";
        break;
    case PART_REASONING:
        type = done ? "response.reasoning_summary_text.done" : "response.reasoning_summary_text.delta";
        key = "text";
        break;
    case PART_TOOL_CALL:
        type = done ? "response.function_call_arguments.done" : "response.function_call_arguments.delta";
        key = "arguments";
        if (!o->part->custom) break;
        type = done ? "response.custom_tool_call_input.done" : "response.custom_tool_call_input.delta";
        key = "input";
        break;
    default:
        type = done ? "response.output_text.done" : "response.output_text.delta";
        key = "text";
        break;
    }
    inside(w, o, type, out);
    buf_addf(out, ",\"%s\":", done ? key : "delta");
    buf_add_json_str(out, text);
    if (o->part->kind == PART_TEXT) {
        buf_add(out, STR(",\"logprobs\":"));
        buf_add(out, logprobs.n > 0 ? logprobs : STR("[]"));
    }
    if (o->part->kind == PART_TOOL_CALL && !o->part->custom && done) {
        buf_add(out, STR(",\"name\":"));
        buf_add_json_str(out, o->part->name);
    }
    event_end(out);
}

static void open_part(struct responses_writer *w, const struct delta *d, struct buf *out)
{
    if (!responses_has_item(d->part)) return;
    struct responses_open *o = arena_zalloc(w->base.arena, sizeof *o);
    o->index = d->index;
    o->number = w->parts.n;
    o->part = part_add(&w->parts, w->base.arena, d->part);
    o->part->id = arena_copy(w->base.arena, d->id);
    o->part->name = arena_copy(w->base.arena, d->name);
    o->part->space = arena_copy(w->base.arena, d->space);
    o->part->custom = d->custom;
    *find(w, d->index) = o; /* at the end: closing keeps the order of opening */
    item_event(w, o, "response.output_item.added", out);
    if (!is_message(o)) return;
    part_event(w, o, false, out);
    o->has_part = true;
}

static void keep_logprobs(struct responses_writer *w, struct responses_open *o, struct str list)
{
    if (list.n <= 2) return;
    if (o->logprobs.bytes > 0) keep(w, &o->logprobs, STR(","));
    keep(w, &o->logprobs, str_slice(list, 1, list.n - 1));
}

static void add_text(struct responses_writer *w, struct responses_open *o, struct str text, struct str logprobs,
                     struct buf *out)
{
    if ((text.n == 0 && logprobs.n == 0) || o->part->kind == PART_REDACTED) return;
    if (o->part->kind == PART_REASONING && !o->has_part) {
        part_event(w, o, false, out);
        o->has_part = true;
    }
    keep(w, &o->text, text);
    keep_logprobs(w, o, logprobs);
    text_event(w, o, false, text, logprobs, out);
}

static void add_citation(struct responses_writer *w, struct responses_open *o, const struct citation *c,
                         struct buf *out)
{
    struct arena *a = w->base.arena;
    if (o->part->kind != PART_TEXT || o->part->citations.n == CITATIONS_MOST) return;
    inside(w, o, "response.output_text.annotation.added", out);
    buf_addf(out, ",\"annotation_index\":%u,\"annotation\":", o->part->citations.n);
    responses_write_annotation(c, out);
    event_end(out);
    citation_append(&o->part->citations, citation_copy(a, c));
}

static void close_part(struct responses_writer *w, struct responses_open *o, struct buf *out)
{
    *find(w, o->index) = o->next;
    bool function = o->part->kind == PART_TOOL_CALL && !o->part->custom;
    if (function && o->text.bytes == 0) add_text(w, o, STR("{}"), STR_NULL, out);
    struct str text = joined(w, &o->text);
    if (function)
        o->part->arguments = text;
    else
        o->part->text = text;
    o->part->signature = joined(w, &o->signature);
    if (o->logprobs.bytes > 0)
        o->part->logprobs = arena_printf(w->base.arena, "[%.*s]", STR_FMT(joined(w, &o->logprobs)));
    if (o->has_part || o->part->kind == PART_TOOL_CALL) text_event(w, o, true, text, o->part->logprobs, out);
    if (o->has_part) part_event(w, o, true, out);
    item_event(w, o, "response.output_item.done", out);
}

/* ---- The end ---- */

static void close_all(struct responses_writer *w, struct buf *out)
{
    while (w->open != NULL) close_part(w, w->open, out);
}

static void write_finish(struct responses_writer *w, const struct delta *d, struct buf *out)
{
    w->finish = d->finish;
    if (d->finish != FINISH_REFUSAL || d->text.n == 0) return;
    const struct delta refusal = {.kind = DELTA_OPEN, .part = PART_REFUSAL, .index = UINT32_MAX};
    open_part(w, &refusal, out);
    struct responses_open *o = *find(w, UINT32_MAX);
    add_text(w, o, d->text, STR_NULL, out);
    close_part(w, o, out);
}

static void write_last(struct responses_writer *w, struct buf *out)
{
    const char *status = responses_status_of(w->finish);
    struct responses_state s = state_of(w);
    close_all(w, out);
    s.status = status;
    s.parts = &w->parts;
    s.usage = &w->usage;
    s.err = WEIR_UP_STREAM_ERROR;
    w->base.end_at = buf_len(out);
    state_event(w,
                str_is(str_of(status), "incomplete") ? "response.incomplete"
                : str_is(str_of(status), "failed")   ? "response.failed"
                                                     : "response.completed",
                &s, out);
}

static void prepare(struct responses_writer *w, const struct delta *d, struct buf *out)
{
    enum { OPENING = 2 };
    if (w->base.started && w->sequence == 0) w->sequence = OPENING; /* an earlier attempt's went out */
    if (d->kind == DELTA_START || !w->base.started) write_start(w, d->kind == DELTA_START ? d : NULL, out);
}

void responses_write_delta(void *st, const struct delta *d, struct buf *out)
{
    struct responses_writer *w = st;
    if (d->usage != NULL) w->usage = *d->usage;
    prepare(w, d, out);
    struct responses_open *o = *find(w, d->index);
    switch (d->kind) {
    case DELTA_OPEN: open_part(w, d, out); break;
    case DELTA_TEXT:
    case DELTA_ARGUMENTS:
        if (o != NULL) add_text(w, o, d->text, d->logprobs, out);
        break;
    case DELTA_SIGNATURE:
        if (o != NULL) keep(w, &o->signature, d->text);
        break;
    case DELTA_CITATION:
        if (o != NULL) add_citation(w, o, d->citation, out);
        break;
    case DELTA_CLOSE:
        if (o != NULL) close_part(w, o, out);
        break;
    case DELTA_FINISH: write_finish(w, d, out); break;
    case DELTA_END: write_last(w, out); break;
    case DELTA_START:
    case DELTA_USAGE:
    case DELTA_ERROR: break;
    }
}

void responses_write_broken(void *st, enum weir_err e, struct str message, struct buf *out)
{
    struct responses_writer *w = st;
    prepare(w, &(struct delta){.kind = DELTA_USAGE}, out);
    struct responses_state s = state_of(w);
    s.status = "failed";
    s.err = e;
    s.message = message;
    event(w, "error", out);
    buf_add(out, STR(",\"code\":"));
    buf_add_json_str(out, str_of(err_row(e)->openai_code));
    buf_add(out, STR(",\"message\":"));
    buf_add_json_str(out, message.n > 0 ? message : str_of(err_row(e)->text));
    buf_add(out, STR(",\"param\":null"));
    event_end(out);
    state_event(w, "response.failed", &s, out);
}

void responses_write_ping(struct buf *out)
{
    buf_add(out, STR(": ping\n\n"));
}

/* Before anything of the stream was written. */
void responses_write_stream_error(enum weir_err e, struct str message, struct buf *out)
{
    struct responses_writer w = {.base = {.started = true}};
    responses_write_broken(&w, e, message, out);
}
