/* Hub deltas out as Anthropic events. Blocks must not overlap, parts of the hub may: serial.h puts them in a row. message_delta waits
 * for the end, because the final usage comes last. */
#include "proto/dialect/anthropic.h"

#include "proto/dialect/client_error.h"

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

/* ---- Blocks ---- */

static void open_block(void *st, const struct serial_part *p, struct buf *out)
{
    struct anthropic_writer *w = st;
    event(out, "content_block_start");
    buf_add(out, STR(",\"index\":"));
    buf_add_u64(out, w->blocks.done);
    buf_add(out, STR(",\"content_block\":{\"type\":"));
    switch (p->kind) {
    case PART_TOOL_CALL:
        buf_add(out, STR("\"tool_use\",\"id\":"));
        buf_add_json_str(out, p->id);
        buf_add(out, STR(",\"name\":"));
        buf_add_json_str(out, p->name);
        buf_add(out, STR(",\"input\":{}}"));
        break;
    case PART_REASONING: buf_add(out, STR("\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")); break;
    default: buf_add(out, STR("\"text\",\"text\":\"\"}")); break;
    }
    event_end(out);
}

static void block_delta(void *st, const struct serial_part *p, enum delta_kind kind, struct str text, struct buf *out)
{
    struct anthropic_writer *w = st;
    const char *head = p->kind == PART_REASONING ? "thinking_delta\",\"thinking" : "text_delta\",\"text";
    if (kind == DELTA_ARGUMENTS) head = "input_json_delta\",\"partial_json";
    if (kind == DELTA_SIGNATURE) head = "signature_delta\",\"signature";
    if (kind == DELTA_CITATION) head = "citations_delta\",\"citation";
    event(out, "content_block_delta");
    buf_addf(out, ",\"index\":%u,\"delta\":{\"type\":\"%s\":", w->blocks.done, head);
    if (kind == DELTA_CITATION)
        buf_add(out, text);
    else
        buf_add_json_str(out, text);
    buf_addc(out, '}');
    event_end(out);
}

static void close_block(void *st, const struct serial_part *p, struct buf *out)
{
    struct anthropic_writer *w = st;
    (void)p;
    event(out, "content_block_stop");
    buf_addf(out, ",\"index\":%u", w->blocks.done);
    event_end(out);
}

static const struct serial_ops BLOCKS = {.open = open_block, .delta = block_delta, .close = close_block};

/* ---- Steps ---- */

static void write_last(struct anthropic_writer *w, struct buf *out)
{
    enum finish f = w->finish == FINISH_STOP && w->has_refusal ? FINISH_REFUSAL : w->finish;
    serial_end(&w->blocks, &BLOCKS, w, out);
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
    case DELTA_OPEN:
        w->has_refusal |= d->part == PART_REFUSAL;
        w->blocks.arena = w->base.arena;
        serial_take(&w->blocks, d, &BLOCKS, w, out);
        break;
    case DELTA_TEXT:
    case DELTA_ARGUMENTS:
    case DELTA_SIGNATURE:
    case DELTA_CLOSE: serial_take(&w->blocks, d, &BLOCKS, w, out); break;
    case DELTA_CITATION: serial_cite(&w->blocks, d, anthropic_write_citation, &BLOCKS, w, out); break;
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
