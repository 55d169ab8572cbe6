/* Hub deltas out as Anthropic events. Blocks must not overlap, parts of the hub may: the first open part is live and streams,
 * the others wait in order until it closes. message_delta waits for the end, because the final usage comes last. */
#include "proto/dialect/anthropic.h"

#include "proto/dialect/client_error.h"
#include "proto/dialect/mark.h"

struct fragment {
    struct fragment *next;
    enum delta_kind kind;
    struct str text;
};

struct anthropic_block {
    struct anthropic_block *next;
    enum part_kind kind;
    unsigned index; /* the hub's */
    struct str id, name;
    struct fragment *waiting, **waiting_end;
    bool closed;
    bool is_signed;
};

static void event(struct buf *out, const char *type)
{
    buf_addf(out, "event: %s\ndata: {\"type\":\"%s\"", type, type);
}

static void event_end(struct buf *out)
{
    buf_add(out, STR("}\n\n"));
}

static void write_start(struct anthropic_writer *w, const struct delta *d, struct buf *out)
{
    struct usage u = {.in_uncached = w->base.input_estimate};
    if (w->base.started) return;
    w->base.started = true;
    if (d->usage != NULL && d->usage->known != 0) u = *d->usage;
    event(out, "message_start");
    buf_add(out, STR(",\"message\":{\"id\":"));
    buf_add_json_str(out, d->id.n > 0 ? d->id : STR("msg_0"));
    buf_add(out, STR(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    buf_add_json_str(out, d->model.n > 0 ? d->model : w->base.model);
    buf_add(out, STR(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":"));
    anthropic_write_usage(&u, out);
    buf_addc(out, '}');
    event_end(out);
}

/* ---- The live block ---- */

static void open_live(struct anthropic_writer *w, const struct anthropic_block *b, struct buf *out)
{
    event(out, "content_block_start");
    buf_add(out, STR(",\"index\":"));
    buf_add_u64(out, w->blocks);
    buf_add(out, STR(",\"content_block\":{\"type\":"));
    switch (b->kind) {
    case PART_TOOL_CALL:
        buf_add(out, STR("\"tool_use\",\"id\":"));
        buf_add_json_str(out, b->id);
        buf_add(out, STR(",\"name\":"));
        buf_add_json_str(out, b->name);
        buf_add(out, STR(",\"input\":{}}"));
        break;
    case PART_REASONING: buf_add(out, STR("\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")); break;
    default: buf_add(out, STR("\"text\",\"text\":\"\"}")); break;
    }
    event_end(out);
}

static void delta_live(struct anthropic_writer *w, struct anthropic_block *b, enum delta_kind kind, struct str text,
                       struct buf *out)
{
    const char *head = b->kind == PART_REASONING ? "thinking_delta\",\"thinking" : "text_delta\",\"text";
    if (kind == DELTA_ARGUMENTS) head = "input_json_delta\",\"partial_json";
    if (kind == DELTA_SIGNATURE) {
        head = "signature_delta\",\"signature";
        b->is_signed = true;
    }
    event(out, "content_block_delta");
    buf_addf(out, ",\"index\":%u,\"delta\":{\"type\":\"%s\":", w->blocks, head);
    buf_add_json_str(out, text);
    buf_addc(out, '}');
    event_end(out);
}

static void close_live(struct anthropic_writer *w, struct anthropic_block *b, struct buf *out)
{
    if (b->kind == PART_REASONING && !b->is_signed) delta_live(w, b, DELTA_SIGNATURE, STR(MARK_OPENAI), out);
    event(out, "content_block_stop");
    buf_addf(out, ",\"index\":%u", w->blocks);
    event_end(out);
    w->blocks++;
    w->first = b->next;
}

/* The first block of the list is live: catches up with what waited, and as long as it is closed already, the next follows. */
static void advance(struct anthropic_writer *w, struct buf *out)
{
    struct anthropic_block *b;
    while ((b = w->first) != NULL) {
        open_live(w, b, out);
        for (; b->waiting != NULL; b->waiting = b->waiting->next)
            delta_live(w, b, b->waiting->kind, b->waiting->text, out);
        if (!b->closed) return;
        close_live(w, b, out);
    }
}

/* ---- Steps ---- */

static struct anthropic_block **find(struct anthropic_writer *w, unsigned index)
{
    struct anthropic_block **at = &w->first;
    while (*at != NULL && (*at)->index != index) at = &(*at)->next;
    return at;
}

static void open_part(struct anthropic_writer *w, const struct delta *d, struct buf *out)
{
    struct anthropic_block **end = &w->first;
    struct arena *a = w->base.arena;
    if (d->part != PART_TEXT && d->part != PART_REFUSAL && d->part != PART_REASONING && d->part != PART_TOOL_CALL)
        return;
    w->has_refusal |= d->part == PART_REFUSAL;
    while (*end != NULL) end = &(*end)->next;
    struct anthropic_block *b = *end = arena_zalloc(a, sizeof *b);
    b->kind = d->part;
    b->index = d->index;
    b->id = arena_copy(a, d->id);
    b->name = arena_copy(a, d->name);
    b->waiting_end = &b->waiting;
    if (w->first == b) open_live(w, b, out);
}

static void part_delta(struct anthropic_writer *w, const struct delta *d, struct buf *out)
{
    struct anthropic_block *b = *find(w, d->index);
    struct arena *a = w->base.arena;
    if (b == NULL || b->closed || d->text.n == 0) return;
    if (b == w->first) {
        delta_live(w, b, d->kind, d->text, out);
        return;
    }
    struct fragment *f = *b->waiting_end = arena_zalloc(a, sizeof *f);
    f->kind = d->kind;
    f->text = arena_copy(a, d->text);
    b->waiting_end = &f->next;
}

static void close_part(struct anthropic_writer *w, const struct delta *d, struct buf *out)
{
    struct anthropic_block *b = *find(w, d->index);
    if (b == NULL) return;
    b->closed = true;
    if (b != w->first) return;
    close_live(w, b, out);
    advance(w, out);
}

static void write_last(struct anthropic_writer *w, struct buf *out)
{
    enum finish f = w->finish == FINISH_STOP && w->has_refusal ? FINISH_REFUSAL : w->finish;
    for (struct anthropic_block *b = w->first; b != NULL; b = b->next) b->closed = true;
    if (w->first != NULL) {
        close_live(w, w->first, out);
        advance(w, out);
    }
    event(out, "message_delta");
    buf_addf(out, ",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":", anthropic_finish_word(f));
    if (f == FINISH_STOP_SEQUENCE)
        buf_add_json_str(out, w->stop_sequence);
    else
        buf_add(out, STR("null"));
    buf_add(out, STR("},\"usage\":"));
    anthropic_write_usage(&w->usage, out);
    event_end(out);
    w->base.end_at = buf_len(out);
    anthropic_write_end(out);
}

void anthropic_write_delta(void *st, const struct delta *d, struct buf *out)
{
    struct anthropic_writer *w = st;
    if (d->usage != NULL) w->usage = *d->usage;
    if (!w->base.started) write_start(w, d->kind == DELTA_START ? d : &(struct delta){.kind = DELTA_START}, out);
    switch (d->kind) {
    case DELTA_OPEN: open_part(w, d, out); break;
    case DELTA_TEXT:
    case DELTA_ARGUMENTS:
    case DELTA_SIGNATURE: part_delta(w, d, out); break;
    case DELTA_CLOSE: close_part(w, d, out); break;
    case DELTA_FINISH:
        w->finish = d->finish;
        w->stop_sequence = arena_copy(w->base.arena, d->stop_sequence);
        break;
    case DELTA_END: write_last(w, out); break;
    case DELTA_START:
    case DELTA_USAGE:
    case DELTA_ERROR: break;
    }
}

void anthropic_write_ping(struct buf *out)
{
    buf_add(out, STR("event: ping\ndata: {\"type\": \"ping\"}\n\n"));
}

void anthropic_write_end(struct buf *out)
{
    buf_add(out, STR("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
}

void anthropic_write_stream_error(enum weir_err e, struct str message, struct buf *out)
{
    buf_add(out, STR("event: error\ndata: "));
    anthropic_error_write(e, message, STR_NULL, out);
    buf_add(out, STR("\n\n"));
}
