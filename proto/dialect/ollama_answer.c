/* Ollama's answers, both ways: a whole one, and lines of one JSON object each, of which the last has the reason and the counts. Calls come
 * whole and without ids. */
#include "proto/dialect/ollama.h"

#include "proto/base/date.h"
#include "proto/dialect/anthropic.h"
#include "proto/dialect/client_error.h"
#include "proto/dialect/tree.h"
#include "proto/dialect/upstream_error.h"

#include <string.h>

/* ---- Reading ---- */

static uint64_t created_of(yyjson_val *root)
{
    uint64_t s = 0;
    return date_read_rfc3339(tree_get_str(root, "created_at"), &s) ? s : 0;
}

static bool read_usage(yyjson_val *root, struct usage *u)
{
    int64_t in = tree_get_i64(root, "prompt_eval_count"), out = tree_get_i64(root, "eval_count");
    if (in >= 0) usage_set(u, &u->in_uncached, in);
    if (out >= 0) usage_set(u, &u->out_total, out);
    if (in >= 0) u->known |= USAGE_INPUT; /* left out where the prompt was still in the cache */
    if (out >= 0) u->known |= USAGE_OUTPUT;
    return in >= 0 || out >= 0;
}

static enum finish finish_of(yyjson_val *root, bool calls)
{
    struct str reason = tree_get_str(root, "done_reason");
    if (!yyjson_is_true(tree_get(root, "done"))) return FINISH_NONE;
    if (str_is(reason, "length")) return FINISH_LENGTH;
    if (calls) return FINISH_TOOL_CALLS;
    return reason.n == 0 || str_is(reason, "stop") ? FINISH_STOP : FINISH_OTHER;
}

static struct str arguments_of(yyjson_val *function, struct arena *a)
{
    yyjson_val *v = tree_get(function, "arguments");
    return v == NULL ? STR("{}") : yyjson_is_str(v) ? tree_str(v) : tree_text(v, a);
}

static struct str id_of(yyjson_val *call, unsigned number, struct arena *a)
{
    struct str id = tree_get_str(call, "id");
    return id.n > 0 ? id : arena_printf(a, "call_%u", number);
}

enum weir_err ollama_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why)
{
    yyjson_val *root, *call;
    size_t i, n;
    if (tree_read(json, a, &root, ret_why) != WEIR_OK) return WEIR_UP_PROTOCOL;
    yyjson_val *message = tree_get(root, "message");
    struct answer *answer = *ret_answer = arena_zalloc(a, sizeof *answer);
    answer->has_error = tree_get(root, "error") != NULL;
    if (answer->has_error) return WEIR_OK;
    if (!yyjson_is_obj(message)) {
        *ret_why = STR("the answer has no message");
        return WEIR_UP_PROTOCOL;
    }
    answer->model = tree_get_str(root, "model");
    answer->created_s = (int64_t)created_of(root);
    answer->choices = 1;
    struct str thought = tree_get_str(message, "thinking"), text = tree_get_str(message, "content");
    if (thought.n > 0) {
        struct part *p = part_add(&answer->parts, a, PART_REASONING);
        p->text = thought;
        p->foreign = true;
    }
    if (text.n > 0) part_add(&answer->parts, a, PART_TEXT)->text = text;
    yyjson_arr_foreach(tree_get(message, "tool_calls"), i, n, call)
    {
        struct part *p = part_add(&answer->parts, a, PART_TOOL_CALL);
        p->id = id_of(call, (unsigned)i + 1, a);
        p->name = tree_get_str(tree_get(call, "function"), "name");
        p->arguments = arguments_of(tree_get(call, "function"), a);
    }
    answer->finish = finish_of(root, yyjson_arr_size(tree_get(message, "tool_calls")) > 0);
    read_usage(root, &answer->usage);
    return WEIR_OK;
}

struct sink {
    struct ollama_reader *r;
    struct arena *arena;
    void (*emit)(void *to, const struct delta *d);
    void *to;
};

static void close_slot(struct sink *s, unsigned *slot, enum part_kind kind)
{
    if (*slot == 0) return;
    s->emit(s->to, &(struct delta){.kind = DELTA_CLOSE, .part = kind, .index = *slot - 1});
    *slot = 0;
}

static void text_delta(struct sink *s, unsigned *slot, enum part_kind kind, struct str text)
{
    if (text.n == 0) return;
    if (slot != &s->r->open_thought) close_slot(s, &s->r->open_thought, PART_REASONING);
    if (slot != &s->r->open_text) close_slot(s, &s->r->open_text, PART_TEXT);
    if (*slot == 0) {
        *slot = ++s->r->parts;
        s->emit(s->to, &(struct delta){.kind = DELTA_OPEN, .part = kind, .index = *slot - 1});
    }
    s->emit(s->to, &(struct delta){.kind = DELTA_TEXT, .part = kind, .index = *slot - 1, .text = text});
}

static void close_all(struct sink *s)
{
    close_slot(s, &s->r->open_thought, PART_REASONING);
    close_slot(s, &s->r->open_text, PART_TEXT);
}

static void call_delta(struct sink *s, yyjson_val *call)
{
    yyjson_val *function = tree_get(call, "function");
    struct delta d = {.kind = DELTA_OPEN, .part = PART_TOOL_CALL, .index = s->r->parts++};
    close_all(s);
    s->r->calls = true;
    d.id = id_of(call, d.index + 1, s->arena);
    d.name = tree_get_str(function, "name");
    s->emit(s->to, &d);
    d = (struct delta){
        .kind = DELTA_ARGUMENTS, .part = PART_TOOL_CALL, .index = d.index, .text = arguments_of(function, s->arena)};
    s->emit(s->to, &d);
    d = (struct delta){.kind = DELTA_CLOSE, .part = PART_TOOL_CALL, .index = d.index};
    s->emit(s->to, &d);
}

enum weir_err ollama_read_event(void *st, struct str name, struct str data, struct arena *a,
                                void (*emit)(void *to, const struct delta *d), void *to)
{
    struct sink s = {st, a, emit, to};
    struct ollama_reader *r = st;
    yyjson_val *root, *call;
    size_t i, n;
    struct str why;
    (void)name;
    if (tree_read(data, a, &root, &why) != WEIR_OK || !yyjson_is_obj(root)) return WEIR_UP_PROTOCOL;
    if (tree_get(root, "error") != NULL) {
        struct upstream_error error;
        upstream_error_in_stream(root, a, &error);
        emit(to, &(struct delta){.kind = DELTA_ERROR, .error = &error});
        return WEIR_OK;
    }
    yyjson_val *message = tree_get(root, "message");
    if (!r->started)
        emit(to,
             &(struct delta){.kind = DELTA_START, .model = tree_get_str(root, "model"), .created_s = created_of(root)});
    r->started = true;
    text_delta(&s, &r->open_thought, PART_REASONING, tree_get_str(message, "thinking"));
    text_delta(&s, &r->open_text, PART_TEXT, tree_get_str(message, "content"));
    yyjson_arr_foreach(tree_get(message, "tool_calls"), i, n, call) call_delta(&s, call);
    if (!yyjson_is_true(tree_get(root, "done"))) return WEIR_OK;
    close_all(&s);
    emit(to, &(struct delta){.kind = DELTA_FINISH, .finish = finish_of(root, r->calls)});
    if (read_usage(root, &r->usage)) emit(to, &(struct delta){.kind = DELTA_USAGE, .usage = &r->usage});
    emit(to, &(struct delta){.kind = DELTA_END});
    return WEIR_OK;
}

/* ---- Writing ---- */

static void write_head(struct str model, uint64_t created_s, struct buf *out)
{
    struct date d = date_of(created_s);
    buf_add(out, STR("{\"model\":"));
    buf_add_json_str(out, model);
    buf_addf(out, ",\"created_at\":\"%04d-%02u-%02uT%02u:%02u:%02uZ\",\"message\":{\"role\":\"assistant\",\"content\":",
             d.year, d.month, d.day, d.hour, d.minute, d.second);
}

static void write_call(struct str id, struct str name, struct str arguments, struct buf *out)
{
    buf_add(out, STR("{\"id\":"));
    buf_add_json_str(out, id);
    buf_add(out, STR(",\"function\":{\"name\":"));
    buf_add_json_str(out, name);
    buf_add(out, STR(",\"arguments\":"));
    anthropic_write_arguments(arguments, out);
    buf_add(out, STR("}}"));
}

static void write_tail(enum finish f, const struct usage *u, struct buf *out)
{
    buf_addf(
        out,
        "},\"done\":true,\"done_reason\":\"%s\",\"total_duration\":0,\"load_duration\":0,\"prompt_eval_count\":%lld,",
        f == FINISH_LENGTH || f == FINISH_CONTEXT_FULL ? "length" : "stop", (long long)usage_in_total(u));
    buf_addf(out, "\"prompt_eval_duration\":0,\"eval_count\":%lld,\"eval_duration\":0}", (long long)u->out_total);
}

void ollama_write_answer(const struct answer *answer, struct buf *out)
{
    unsigned calls = 0;
    bool thinks = false;
    write_head(answer->model, (uint64_t)answer->created_s, out);
    buf_addc(out, '"');
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next)
        if (p->kind == PART_TEXT || p->kind == PART_REFUSAL) buf_add_json(out, p->text);
    buf_addc(out, '"');
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_REASONING || p->text.n == 0) continue;
        buf_addz(out, thinks ? "\\n" : ",\"thinking\":\"");
        buf_add_json(out, p->text);
        thinks = true;
    }
    if (thinks) buf_addc(out, '"');
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next) {
        if (p->kind != PART_TOOL_CALL) continue;
        buf_addz(out, calls++ == 0 ? ",\"tool_calls\":[" : ",");
        write_call(p->id, p->name, p->arguments, out);
    }
    if (calls > 0) buf_addc(out, ']');
    write_tail(answer->finish, &answer->usage, out);
}

static void open_line(struct ollama_writer *w, struct buf *out)
{
    write_head(w->model.n > 0 ? w->model : w->base.model, w->base.created_s, out);
}

static void keep_arguments(struct ollama_writer *w, struct str text)
{
    if (w->arguments.n + text.n > w->arguments.cap) {
        size_t cap = 2 * (w->arguments.n + text.n) + 64;
        char *p = arena_alloc(w->base.arena, cap);
        if (w->arguments.n > 0) memcpy(p, w->arguments.p, w->arguments.n);
        w->arguments.p = p;
        w->arguments.cap = cap;
    }
    if (text.n > 0) memcpy(w->arguments.p + w->arguments.n, text.p, text.n);
    w->arguments.n += text.n;
}

static void on_open(void *writer, const struct serial_part *p, struct buf *out)
{
    struct ollama_writer *w = writer;
    (void)p, (void)out;
    w->arguments.n = 0;
}

static void on_delta(void *writer, const struct serial_part *p, enum delta_kind kind, struct str text, struct buf *out)
{
    struct ollama_writer *w = writer;
    if (kind == DELTA_ARGUMENTS) {
        keep_arguments(w, text);
        return;
    }
    if (kind != DELTA_TEXT || text.n == 0) return; /* signatures have no place here */
    open_line(w, out);
    if (p->kind == PART_REASONING) {
        buf_add(out, STR("\"\",\"thinking\":"));
        buf_add_json_str(out, text);
    } else {
        buf_add_json_str(out, text);
    }
    buf_add(out, STR("},\"done\":false}\n"));
}

static void on_close(void *writer, const struct serial_part *p, struct buf *out)
{
    struct ollama_writer *w = writer;
    if (p->kind != PART_TOOL_CALL) return;
    open_line(w, out);
    buf_add(out, STR("\"\",\"tool_calls\":["));
    write_call(p->id, p->name, (struct str){w->arguments.p, w->arguments.n}, out);
    buf_add(out, STR("]},\"done\":false}\n"));
}

void ollama_write_delta(void *st, const struct delta *d, struct buf *out)
{
    static const struct serial_ops ops = {.open = on_open, .delta = on_delta, .close = on_close};
    struct ollama_writer *w = st;
    w->serial.arena = w->base.arena;
    switch (d->kind) {
    case DELTA_START:
        w->model = arena_copy(w->base.arena, d->model);
        if (d->created_s != 0) w->base.created_s = d->created_s;
        w->base.started = true;
        break;
    case DELTA_OPEN:
    case DELTA_TEXT:
    case DELTA_ARGUMENTS:
    case DELTA_SIGNATURE:
    case DELTA_CLOSE: serial_take(&w->serial, d, &ops, w, out); break;
    case DELTA_FINISH:
        serial_end(&w->serial, &ops, w, out);
        w->finish = d->finish;
        break;
    case DELTA_USAGE: w->usage = *d->usage; break;
    case DELTA_END:
        w->base.end_at = buf_len(out);
        open_line(w, out);
        buf_add(out, STR("\"\""));
        write_tail(w->finish, &w->usage, out);
        buf_addc(out, '\n');
        break;
    default: break;
    }
}

void ollama_write_error(enum weir_err e, struct str message, struct buf *out)
{
    buf_add(out, STR("{\"error\":"));
    buf_add_json_str(out, message.n > 0 ? message : str_of(err_row(e)->text));
    buf_addc(out, '}');
}
