/* Hub deltas out as Gemini chunks. Text and thoughts go out as they come; a call goes out whole, when it is closed; the last chunk
 * has the finish reason and the usage. The framing is SSE; exchange.c makes a JSON array of it for clients that want one. */
#include "proto/dialect/gemini.h"

#include "proto/dialect/client_error.h"
#include "proto/dialect/mark.h"

struct gemini_open {
    struct gemini_open *next;
    enum part_kind kind;
    unsigned index; /* the hub's */
    struct str id, name;
    struct arena_text gathered; /* arguments or signature */
};

static void chunk(struct buf *out)
{
    buf_add(out, STR("data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":["));
}

static void chunk_end(const struct gemini_writer *w, struct buf *out)
{
    buf_add(out, STR(",\"modelVersion\":"));
    buf_add_json_str(out, w->model.n > 0 ? w->model : w->base.model);
    buf_add(out, STR(",\"responseId\":"));
    buf_add_json_str(out, w->id);
    buf_add(out, STR("}\n\n"));
}

static void write_text_with(const struct gemini_writer *w, struct str text, bool thought, struct str signature,
                            struct str logprobs, struct buf *out)
{
    chunk(out);
    gemini_write_text(text, thought, signature, out);
    buf_add(out, STR("]},\"index\":0"));
    gemini_write_logprobs(logprobs, out);
    buf_add(out, STR("}]"));
    chunk_end(w, out);
}

static void write_text(const struct gemini_writer *w, struct str text, bool thought, struct str signature,
                       struct buf *out)
{
    write_text_with(w, text, thought, signature, STR_NULL, out);
}

static struct gemini_open **find(struct gemini_writer *w, unsigned index)
{
    struct gemini_open **at = &w->open;
    while (*at != NULL && (*at)->index != index) at = &(*at)->next;
    return at;
}

static void open_part(struct gemini_writer *w, const struct delta *d)
{
    struct gemini_open **end = &w->open;
    struct arena *a = w->base.arena;
    w->has_refusal |= d->part == PART_REFUSAL;
    while (*end != NULL) end = &(*end)->next;
    struct gemini_open *p = *end = arena_zalloc(a, sizeof *p);
    p->kind = d->part;
    p->index = d->index;
    p->id = arena_copy(a, d->id);
    p->name = arena_copy(a, d->name);
}

static void part_delta(struct gemini_writer *w, const struct delta *d, struct buf *out)
{
    struct gemini_open *p = *find(w, d->index);
    if (p == NULL || d->text.n == 0) return;
    if (d->kind != DELTA_TEXT)
        arena_text_add(&p->gathered, w->base.arena, d->text);
    else if (p->kind == PART_TEXT || p->kind == PART_REFUSAL || p->kind == PART_REASONING)
        write_text_with(w, d->text, p->kind == PART_REASONING, STR_NULL, d->logprobs, out);
    if (d->kind == DELTA_TEXT && p->kind == PART_TEXT) text_map_add(&w->text, w->base.arena, d->text);
}

/* They stand in the last chunk, and count the bytes of all text. */
static void keep_citation(struct gemini_writer *w, const struct delta *d)
{
    gemini_grounding_add(&w->grounding, w->base.arena, d->citation,
                         text_map_byte(&w->text, d->before + d->citation->start),
                         text_map_byte(&w->text, d->before + d->citation->end), 0);
}

static void close_part(struct gemini_writer *w, unsigned index, struct buf *out)
{
    struct gemini_open **at = find(w, index), *p = *at;
    if (p == NULL) return;
    struct str gathered = arena_text_view(&p->gathered);
    *at = p->next;
    switch (p->kind) {
    case PART_TOOL_CALL:
        chunk(out);
        gemini_write_call(p->id, p->name, gathered, STR_NULL, out);
        buf_add(out, STR("]},\"index\":0}]"));
        chunk_end(w, out);
        break;
    case PART_REASONING:
    case PART_REDACTED:
        write_text(w, STR_NULL, true,
                   gemini_wrap(w->base.arena, gathered.n > 0 ? gathered : STR(MARK_OPENAI), p->kind == PART_REDACTED),
                   out);
        break;
    default: break;
    }
}

static void write_last(struct gemini_writer *w, struct buf *out)
{
    while (w->open != NULL) close_part(w, w->open->index, out);
    w->base.end_at = buf_len(out);
    chunk(out);
    gemini_write_text(STR_NULL, false, STR_NULL, out);
    buf_addf(out, "]},\"finishReason\":\"%s\",\"index\":0", gemini_finish_word(w->finish, w->has_refusal));
    gemini_grounding_write(&w->grounding, out);
    buf_add(out, STR("}],\"usageMetadata\":"));
    gemini_write_usage(&w->usage, out);
    chunk_end(w, out);
}

void gemini_write_delta(void *st, const struct delta *d, struct buf *out)
{
    struct gemini_writer *w = st;
    if (d->usage != NULL) w->usage = *d->usage;
    w->base.started = true; /* there is no opening that could be sent twice */
    switch (d->kind) {
    case DELTA_START:
        w->id = arena_copy(w->base.arena, d->id);
        w->model = arena_copy(w->base.arena, d->model);
        break;
    case DELTA_OPEN: open_part(w, d); break;
    case DELTA_TEXT:
    case DELTA_ARGUMENTS:
    case DELTA_SIGNATURE: part_delta(w, d, out); break;
    case DELTA_CITATION: keep_citation(w, d); break;
    case DELTA_CLOSE: close_part(w, d->index, out); break;
    case DELTA_FINISH:
        w->finish = d->finish;
        if (d->text.n > 0) write_text(w, d->text, false, STR_NULL, out); /* why a model refused: as in a unary answer */
        break;
    case DELTA_END: write_last(w, out); break;
    case DELTA_USAGE:
    case DELTA_ERROR: break;
    }
}

/* Google's own clients stumble over comments; a blank line between events is nothing to them, nor between values of an array. */
void gemini_write_ping(struct buf *out)
{
    buf_add(out, STR("\n\n"));
}

void gemini_write_end(struct buf *out)
{
    (void)out; /* the end of the body is the end */
}

void gemini_write_stream_error(enum weir_err e, struct str message, struct buf *out)
{
    buf_add(out, STR("data: "));
    gemini_error_write(e, message, out);
    buf_add(out, STR("\n\n"));
}
