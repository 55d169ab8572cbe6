/* Hub deltas out as ConverseStream messages, in frames. Blocks follow each other (serial.h); only a tool call has a start. What stopped
 * the answer and the usage come at the end. */
#include "proto/dialect/converse.h"

#include "proto/dialect/client_error.h"

#include <limits.h>
#include <string.h>

static size_t begin(struct buf *out, const char *event)
{
    return eventstream_begin_json(out, STR("event"), str_of(event));
}

static void end(struct buf *out, size_t start)
{
    (void)eventstream_end(out, start); /* an event that is read is far below the largest frame */
}

static void write_start(struct converse_writer *w, struct buf *out)
{
    if (w->base.started) return;
    w->base.started = true;
    size_t start = begin(out, "messageStart");
    buf_add(out, STR("{\"role\":\"assistant\"}"));
    end(out, start);
}

/* ---- Blocks ---- */

static void open_block(void *st, const struct serial_part *p, struct buf *out)
{
    struct converse_writer *w = st;
    w->signature.n = 0;
    if (p->kind != PART_TOOL_CALL) return;
    size_t start = begin(out, "contentBlockStart");
    buf_addf(out, "{\"contentBlockIndex\":%u,\"start\":{\"toolUse\":{\"toolUseId\":", w->blocks.done);
    buf_add_json_str(out, p->id);
    buf_add(out, STR(",\"name\":"));
    buf_add_json_str(out, p->name);
    buf_add(out, STR("}}}"));
    end(out, start);
}

static size_t begin_delta(const struct converse_writer *w, struct buf *out)
{
    size_t start = begin(out, "contentBlockDelta");
    buf_addf(out, "{\"contentBlockIndex\":%u,\"delta\":{", w->blocks.done);
    return start;
}

static void block_delta(void *st, const struct serial_part *p, enum delta_kind kind, struct str text, struct buf *out)
{
    struct converse_writer *w = st;
    bool reasoning = p->kind == PART_REASONING, call = kind == DELTA_ARGUMENTS;
    if (kind == DELTA_SIGNATURE) {
        arena_text_add(&w->signature, w->base.arena, text);
        return;
    }
    size_t start = begin_delta(w, out);
    if (kind == DELTA_CITATION) {
        buf_add(out, STR("\"citation\":"));
        buf_add(out, text);
        buf_add(out, STR("}}"));
        end(out, start);
        return;
    }
    buf_addz(out, call ? "\"toolUse\":{\"input\":" : reasoning ? "\"reasoningContent\":{\"text\":" : "\"text\":");
    buf_add_json_str(out, text);
    buf_addz(out, call || reasoning ? "}}}" : "}}");
    end(out, start);
}

static void close_block(void *st, const struct serial_part *p, struct buf *out)
{
    struct converse_writer *w = st;
    if (p->kind == PART_REASONING || p->kind == PART_REDACTED) {
        size_t start = begin_delta(w, out);
        buf_add(out, STR("\"reasoningContent\":{"));
        converse_write_signature(arena_text_view(&w->signature), p->kind == PART_REDACTED, out);
        buf_add(out, STR("}}}"));
        end(out, start);
    }
    size_t start = begin(out, "contentBlockStop");
    buf_addf(out, "{\"contentBlockIndex\":%u}", w->blocks.done);
    end(out, start);
}

static const struct serial_ops BLOCKS = {
    .redacted = true, .open = open_block, .delta = block_delta, .close = close_block};

/* ---- Steps ---- */

static void write_last(struct converse_writer *w, struct buf *out)
{
    enum finish f = w->finish == FINISH_STOP && w->has_refusal ? FINISH_REFUSAL : w->finish;
    serial_end(&w->blocks, &BLOCKS, w, out);
    w->base.end_at = buf_len(out);
    size_t start = begin(out, "messageStop");
    buf_addf(out, "{\"stopReason\":\"%s\"", converse_finish_word(f));
    if (f == FINISH_STOP_SEQUENCE && w->stop_sequence.n > 0) {
        buf_add(out, STR(",\"additionalModelResponseFields\":{\"stop_sequence\":"));
        buf_add_json_str(out, w->stop_sequence);
        buf_addc(out, '}');
    }
    buf_addc(out, '}');
    end(out, start);
    start = begin(out, "metadata");
    buf_add(out, STR("{\"usage\":"));
    converse_write_usage(&w->usage, out);
    buf_add(out, STR(",\"metrics\":{\"latencyMs\":0}}"));
    end(out, start);
}

/* Why a model refused, told beside the reason elsewhere: here it is text, as in a unary answer. */
static void write_explanation(struct converse_writer *w, struct str text, struct buf *out)
{
    serial_end(&w->blocks, &BLOCKS, w, out);
    const struct delta open = {.kind = DELTA_OPEN, .part = PART_REFUSAL, .index = UINT_MAX};
    const struct delta said = {.kind = DELTA_TEXT, .part = PART_REFUSAL, .index = UINT_MAX, .text = text};
    w->blocks.arena = w->base.arena;
    serial_take(&w->blocks, &open, &BLOCKS, w, out);
    serial_take(&w->blocks, &said, &BLOCKS, w, out);
}

void converse_write_delta(void *st, const struct delta *d, struct buf *out)
{
    struct converse_writer *w = st;
    if (d->usage != NULL) w->usage = *d->usage;
    write_start(w, out);
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
    case DELTA_CITATION: serial_cite(&w->blocks, d, converse_write_citation, &BLOCKS, w, out); break;
    case DELTA_FINISH:
        w->finish = d->finish;
        w->stop_sequence = arena_copy(w->base.arena, d->stop_sequence);
        if (d->text.n > 0) write_explanation(w, d->text, out);
        break;
    case DELTA_END: write_last(w, out); break;
    case DELTA_START:
    case DELTA_USAGE:
    case DELTA_ERROR: break;
    }
}

/* Clients pass over events that they do not know; the framing has no comments. */
void converse_write_ping(struct buf *out)
{
    (void)eventstream_write_json(out, STR("event"), STR("ping"), STR("{}"));
}

void converse_write_stream_error(enum weir_err e, struct str message, struct buf *out)
{
    size_t start = eventstream_begin_json(out, STR("exception"), str_of(converse_exception_in_stream(e)));
    converse_error_write(e, message, out);
    end(out, start);
}
