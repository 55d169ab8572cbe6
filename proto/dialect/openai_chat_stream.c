/* Hub deltas out as chat completion chunks: the role first and once, each call's id and name once, its index for good,
 * one finish, the usage for whom it was asked, [DONE]. */
#include "proto/dialect/openai_chat.h"

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

/* What is kept of an open part. */
struct openai_chat_open {
    struct openai_chat_open *next;
    unsigned index;          /* the hub's */
    unsigned wire;           /* of a call, or of a reasoning detail */
    bool has_arguments;      /* of a call */
    bool custom;             /* a call of a custom tool */
    bool old, dropped;       /* a call told in `function_call`: there can be one only */
    struct pieces reasoning; /* its text goes out again beside its signature, for the signature is of this very text */
    struct pieces signature;
};

static void begin(struct openai_chat_writer *w, struct buf *out)
{
    buf_add(out, STR("data: {\"id\":"));
    buf_add_json_str(out, w->id);
    buf_add(out, STR(",\"object\":\"chat.completion.chunk\",\"created\":"));
    buf_add_u64(out, w->base.created_s);
    buf_add(out, STR(",\"model\":"));
    buf_add_json_str(out, w->model);
    buf_add(out, STR(",\"choices\":["));
}

static void begin_delta(struct openai_chat_writer *w, struct buf *out)
{
    begin(w, out);
    buf_add(out, STR("{\"index\":0,\"delta\":{"));
}

static void end_delta_with(struct openai_chat_writer *w, const char *finish, struct str logprobs, struct buf *out)
{
    if (logprobs.n > 0) {
        buf_add(out, STR("},\"logprobs\":{\"content\":"));
        buf_add(out, logprobs);
        buf_add(out, STR(",\"refusal\":null},\"finish_reason\":"));
    } else {
        buf_add(out, STR("},\"logprobs\":null,\"finish_reason\":"));
    }
    if (finish == NULL)
        buf_add(out, STR("null"));
    else
        buf_add_json_str(out, str_of(finish));
    buf_add(out, w->base.include_usage ? STR("}],\"usage\":null}\n\n") : STR("}]}\n\n"));
}

static void end_delta(struct openai_chat_writer *w, const char *finish, struct buf *out)
{
    end_delta_with(w, finish, STR_NULL, out);
}

static bool is_old(const struct openai_chat_writer *w)
{
    return w->base.chat != NULL && w->base.chat->old_functions;
}

static void write_start(struct openai_chat_writer *w, const struct delta *d, struct buf *out)
{
    if (d != NULL && (d->id.n > 0 || w->id.n == 0)) {
        w->id = arena_copy(w->base.arena, d->id);
        w->model = arena_copy(w->base.arena, d->model);
        if (d->created_s != 0) w->base.created_s = d->created_s;
    }
    if (w->model.n == 0) w->model = w->base.model;
    if (w->base.started) return;
    w->base.started = true;
    begin_delta(w, out);
    buf_add(out, STR("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"));
    end_delta(w, NULL, out);
}

static struct openai_chat_open **find(struct openai_chat_writer *w, unsigned index)
{
    struct openai_chat_open **at = &w->open;
    while (*at != NULL && (*at)->index != index) at = &(*at)->next;
    return at;
}

static void write_open(struct openai_chat_writer *w, const struct delta *d, struct buf *out)
{
    struct openai_chat_open *o = arena_zalloc(w->base.arena, sizeof *o);
    o->index = d->index;
    o->next = w->open;
    w->open = o;
    if (d->part == PART_REASONING || d->part == PART_REDACTED) o->wire = w->reasonings++;
    if (d->part != PART_TOOL_CALL) return;
    o->wire = w->tools++;
    o->old = is_old(w);
    o->dropped = o->old && o->wire > 0;
    if (o->dropped) return;
    begin_delta(w, out);
    if (o->old) {
        buf_add(out, STR("\"function_call\":{\"name\":"));
        buf_add_json_str(out, d->name);
        buf_add(out, STR(",\"arguments\":\"\"}"));
        end_delta(w, NULL, out);
        return;
    }
    buf_add(out, STR("\"tool_calls\":[{\"index\":"));
    buf_add_u64(out, o->wire);
    buf_add(out, STR(",\"id\":"));
    buf_add_json_str(out, d->id);
    o->custom = d->custom;
    buf_add(out, d->custom ? STR(",\"type\":\"custom\",\"custom\":{\"name\":")
                           : STR(",\"type\":\"function\",\"function\":{\"name\":"));
    buf_add_json_str(out, d->name);
    buf_add(out, d->custom ? STR(",\"input\":\"\"}}]") : STR(",\"arguments\":\"\"}}]"));
    end_delta(w, NULL, out);
}

static void write_arguments(struct openai_chat_writer *w, struct openai_chat_open *o, struct str text, struct buf *out)
{
    o->has_arguments = true;
    if (o->dropped) return;
    begin_delta(w, out);
    if (o->old) {
        buf_add(out, STR("\"function_call\":{\"arguments\":"));
        buf_add_json_str(out, text);
        buf_addc(out, '}');
        end_delta(w, NULL, out);
        return;
    }
    buf_add(out, STR("\"tool_calls\":[{\"index\":"));
    buf_add_u64(out, o->wire);
    buf_add(out, o->custom ? STR(",\"custom\":{\"input\":") : STR(",\"function\":{\"arguments\":"));
    buf_add_json_str(out, text);
    buf_add(out, STR("}}]"));
    end_delta(w, NULL, out);
}

static void write_text(struct openai_chat_writer *w, const struct delta *d, struct buf *out)
{
    struct str key;
    switch (d->part) {
    case PART_TEXT: key = STR("\"content\":"); break;
    case PART_REASONING: key = STR("\"reasoning_content\":"); break;
    case PART_REFUSAL: key = STR("\"refusal\":"); break;
    default: return;
    }
    begin_delta(w, out);
    buf_add(out, key);
    buf_add_json_str(out, d->text);
    end_delta_with(w, NULL, d->logprobs, out);
}

static void write_annotation(struct openai_chat_writer *w, const struct delta *d, struct buf *out)
{
    begin_delta(w, out);
    buf_add(out, STR("\"annotations\":["));
    openai_chat_write_annotation(d->citation, d->before, out);
    buf_addc(out, ']');
    end_delta(w, NULL, out);
}

static void keep(struct openai_chat_writer *w, struct pieces *p, struct str text)
{
    if (p->end == NULL) p->end = &p->first;
    struct piece *piece = *p->end = arena_zalloc(w->base.arena, sizeof *piece);
    p->end = &piece->next;
    piece->text = arena_copy(w->base.arena, text);
    p->bytes += text.n;
}

static struct str joined(struct openai_chat_writer *w, const struct pieces *p)
{
    char *text = arena_alloc(w->base.arena, p->bytes + 1), *at = text;
    for (const struct piece *piece = p->first; piece != NULL; piece = piece->next) {
        memcpy(at, piece->text.p, piece->text.n);
        at += piece->text.n;
    }
    return (struct str){text, p->bytes};
}

static void write_close(struct openai_chat_writer *w, const struct delta *d, struct buf *out)
{
    struct openai_chat_open **at = find(w, d->index), *o = *at;
    if (o == NULL) return;
    *at = o->next;
    if (d->part == PART_TOOL_CALL && !o->has_arguments && !o->custom) {
        write_arguments(w, o, STR("{}"), out); /* no arguments are an empty object, not an empty text */
    } else if (o->signature.bytes > 0) {
        struct part p = {.kind = d->part, .text = joined(w, &o->reasoning), .signature = joined(w, &o->signature)};
        begin_delta(w, out);
        buf_add(out, STR("\"reasoning_details\":["));
        openai_chat_write_reasoning_detail(&p, o->wire, out);
        buf_addc(out, ']');
        end_delta(w, NULL, out);
    }
}

static void write_finish(struct openai_chat_writer *w, const struct delta *d, struct buf *out)
{
    if (d->finish == FINISH_REFUSAL && d->text.n > 0)
        write_text(w, &(struct delta){.part = PART_REFUSAL, .text = d->text}, out);
    begin_delta(w, out);
    bool called = is_old(w) && d->finish == FINISH_TOOL_CALLS;
    end_delta(w, called ? "function_call" : openai_chat_finish_word(d->finish), out);
}

static void write_last(struct openai_chat_writer *w, struct buf *out)
{
    if (w->base.include_usage) {
        begin(w, out);
        buf_add(out, STR("],\"usage\":"));
        openai_chat_write_usage(&w->usage, out);
        buf_add(out, STR("}\n\n"));
    }
    w->base.end_at = buf_len(out);
    openai_chat_write_end(out);
}

void openai_chat_write_delta(void *st, const struct delta *d, struct buf *out)
{
    struct openai_chat_writer *w = st;
    struct openai_chat_open *o = *find(w, d->index);
    if (d->usage != NULL) w->usage = *d->usage;
    if (d->kind == DELTA_START || !w->base.started) write_start(w, d->kind == DELTA_START ? d : NULL, out);
    switch (d->kind) {
    case DELTA_OPEN: write_open(w, d, out); break;
    case DELTA_TEXT:
        write_text(w, d, out);
        if (o != NULL && d->part == PART_REASONING) keep(w, &o->reasoning, d->text);
        break;
    case DELTA_ARGUMENTS:
        if (o != NULL && d->part == PART_TOOL_CALL) write_arguments(w, o, d->text, out);
        break;
    case DELTA_SIGNATURE:
        if (o != NULL) keep(w, &o->signature, d->text);
        break;
    case DELTA_CITATION: write_annotation(w, d, out); break;
    case DELTA_CLOSE: write_close(w, d, out); break;
    case DELTA_FINISH: write_finish(w, d, out); break;
    case DELTA_END: write_last(w, out); break;
    case DELTA_START:
    case DELTA_USAGE:
    case DELTA_ERROR: break;
    }
}

void openai_chat_write_ping(struct buf *out)
{
    buf_add(out, STR(": ping\n\n"));
}

void openai_chat_write_end(struct buf *out)
{
    buf_add(out, STR("data: [DONE]\n\n"));
}

void openai_chat_write_stream_error(enum weir_err e, struct str message, struct buf *out)
{
    buf_add(out, STR("data: "));
    openai_error_write(e, message, out);
    buf_add(out, STR("\n\n"));
}
