#include "proto/dialect/exchange.h"

#include "proto/dialect/chat.h"
#include "proto/dialect/cohere.h"
#include "proto/dialect/counting.h"
#include "proto/dialect/custom_tool.h"
#include "proto/dialect/embed.h"
#include "proto/dialect/host_quirks.h"
#include "proto/dialect/media.h"
#include "proto/dialect/model_traits.h"
#include "proto/dialect/passed.h"
#include "proto/dialect/passthrough.h"
#include "proto/dialect/stop_cut.h"
#include "proto/dialect/upstream_error.h"
#include "proto/dialect/video.h"

#include <string.h>

enum { EVENT_MOST_BYTES = 4 * 1024 * 1024, EVENT_ARENA_BYTES = 8 * 1024 };

/* ---- Request ---- */

/* The provider did not take it back. */
static void drop_reasoning(struct chat *chat, struct loss *loss)
{
    for (struct message *m = chat->messages; m != NULL; m = m->next) {
        struct parts kept = {0};
        for (struct part *p = m->parts.first, *next; p != NULL; p = next) {
            next = p->next;
            p->next = NULL;
            if (p->kind == PART_REASONING || p->kind == PART_REDACTED) {
                loss_addz(loss, "thinking");
                continue;
            }
            *(kept.last == NULL ? &kept.first : &kept.last->next) = p;
            kept.last = p;
            kept.n++;
        }
        m->parts = kept;
    }
}

static enum weir_err translate_request(struct exchange *x, struct str body, struct str model, struct buf *out,
                                       struct str *ret_why)
{
    struct loss loss = {.n = 0};
    enum weir_err e = x->client->read_request(body, x->arena, &x->chat, ret_why);
    if (e == WEIR_OK && x->call->without_reasoning) drop_reasoning(x->chat, &loss);
    if (e == WEIR_OK) x->chat->stream = x->stream; /* where it stands in the path, the reader cannot know */
    if (e == WEIR_OK) media_settle(x->chat, x->target, x->arena);
    if (e == WEIR_OK && x->hints.media != NULL)
        e = media_inline(x->chat, x->target, x->hints.bytes_only, x->hints.media, x->arena, &x->media_wanted, ret_why);
    if (x->media_wanted > 0) return e;
    if (e == WEIR_OK) e = x->target->write_request(x->chat, model, &x->hints, out, &loss, x->arena, ret_why);
    if (e != WEIR_OK) return e;
    chat_lose_shared(x->chat, &loss);
    if (!x->chat->custom_as_such) custom_tools_lose_format(x->chat, &loss); /* told in words only */
    x->loss = arena_copy(x->arena, loss_view(&loss));
    x->max_output = x->chat->max_output;
    return WEIR_OK;
}

/* Written by us or passed as the client sent it: a look-alike gets what it takes of it. */
static void fit_to_host(struct exchange *x, struct buf *out)
{
    struct loss loss = {.n = 0};
    struct buf fitted = {0};
    if (x->hints.quirks == NULL || x->target->id != DIALECT_OPENAI_CHAT) return;
    loss_add_list(&loss, x->loss);
    if (host_fit(x->hints.quirks, x->model, buf_view(out), x->arena, &fitted, &loss)) {
        buf_clear(out);
        buf_add(out, buf_view(&fitted));
        x->loss = arena_copy(x->arena, loss_view(&loss));
    }
    buf_fini(&fitted);
}

/* An alias or a fallback of an OpenAI client led to a model that takes no stop sequences: its answer has to be cut, so it cannot
 * pass as it is. */
static bool must_be_cut(enum dialect_id target, const struct call *call, struct str model)
{
    return target == DIALECT_OPENAI_CHAT && call->has_stop && !str_eq(call->model, model) &&
           !openai_traits_of(model).stop;
}

enum weir_err exchange_request_to(struct exchange *x, enum dialect_id client, enum dialect_id target,
                                  const struct target_hints *hints, const struct call *call, struct str body,
                                  struct str model, struct arena *a, struct buf *out, struct str *ret_why)
{
    *x = (struct exchange){
        .client = dialect_of(client),
        .target = dialect_of(target),
        .call = call,
        .arena = a,
        .same = client == target && !must_be_cut(target, call, model),
        .stream = call->stream,
        .hints = *hints,
        .model = arena_copy(a, model),
        .max_output = call->max_output,
    };
    x->error.retry_after_ms = -1;
    x->framing = call->json_array ? FRAMING_JSON_ARRAY : x->client->framing;
    bool wrapped = hints->invoke && target == DIALECT_ANTHROPIC;
    bool array = x->same && call->json_array;
    frames_init(&x->frames,
                wrapped ? FRAMING_CHUNKS
                : array ? FRAMING_JSON_ARRAY
                        : x->target->framing,
                EVENT_MOST_BYTES);
    arena_init(&x->events, EVENT_ARENA_BYTES);
    if (call->counts) return counting_request(x, body, out, ret_why);
    enum weir_err e = x->same ? passthrough_request(client, call, body, model, a, out, &x->loss, ret_why)
                              : translate_request(x, body, model, out, ret_why);
    if (e == WEIR_OK) fit_to_host(x, out);
    return e;
}

enum weir_err exchange_request(struct exchange *x, enum dialect_id client, enum dialect_id target,
                               const struct call *call, struct str body, struct str model, struct arena *a,
                               struct buf *out, struct str *ret_why)
{
    static const struct target_hints nothing;
    return exchange_request_to(x, client, target, &nothing, call, body, model, a, out, ret_why);
}

enum weir_err exchange_request_passed(struct exchange *x, const struct endpoint *e, enum dialect_id target,
                                      const struct target_hints *hints, const struct call *call, struct str body,
                                      struct str model, struct arena *a, struct buf *out, struct str *ret_why)
{
    *x = (struct exchange){
        .client = dialect_of(e->dialect),
        .target = dialect_of(target),
        .passed = e,
        .tail = call->tail,
        .call = call,
        .arena = a,
        .same = call->video != NULL ? call->video->op == VIDEO_CONTENT && call->video->form == VIDEO_OPENAI
                                    : e->kind == ENDPOINT_RAW || e->dialect == target,
        .hints = *hints,
        .model = arena_copy(a, model),
        .max_output = call->max_output,
    };
    x->error.retry_after_ms = -1;
    frames_init(&x->frames, FRAMING_SSE, EVENT_MOST_BYTES);
    arena_init(&x->events, EVENT_ARENA_BYTES);
    if (!x->same && call->video == NULL) return embed_request(x, body, out, ret_why);
    return passed_write_request(e, call, body, model, a, out, ret_why);
}

struct str exchange_path(const struct exchange *x)
{
    if (x->call->video != NULL) return video_path(x->call->video, x->arena);
    if (x->passed != NULL) return x->tail;
    if (x->call->counts && x->target->id == DIALECT_ANTHROPIC) return STR("/messages/count_tokens");
    return str_of(x->target->path);
}

static struct str path_with_model(const struct exchange *x, struct str base_path, struct arena *a)
{
    const struct target_path t = {base_path, x->model, x->stream, x->call->counts,
                                  x->frames.framing == FRAMING_JSON_ARRAY};
    struct buf b = {0};
    if (x->passed !=
        NULL) { /* ":embedContent" behind the path of a chat without its verb, "/v2/embed" in the place of "/v2/chat" */
        x->target->write_path(&t, &b);
        struct str chat = buf_view(&b);
        buf_truncate(&b, x->target->model_in_path ? (size_t)str_rchr(chat, ':') : chat.n - strlen(x->target->path));
        buf_add(&b, x->tail);
    } else {
        x->target->write_path(&t, &b);
    }
    struct str path = arena_copy(a, buf_view(&b));
    buf_fini(&b);
    return path;
}

struct str exchange_target_path(const struct exchange *x, struct str base_path, struct arena *a)
{
    if (x->passed != NULL && x->passed->kind == ENDPOINT_RAW) return x->tail;
    if (x->target->write_path != NULL) return path_with_model(x, base_path, a);
    struct str own = x->passed != NULL ? cohere_own_path(base_path, x->tail, a) : STR_NULL;
    if (own.n > 0) return own;
    bool versioned = str_ends(base_path, STR("/v1"));
    /* "/v1beta/openai", "/api/paas/v4": an OpenAI look-alike's base path is whole, whatever its end */
    bool whole = versioned || (x->target->base_is_whole && base_path.n > 0);
    struct str piece[] = {base_path, whole ? STR_NULL : STR("/v1"), exchange_path(x)}, path = {NULL, 0};
    char *to = arena_alloc(a, piece[0].n + piece[1].n + piece[2].n + 1);
    path.p = to;
    for (unsigned i = 0; i < 3; i++) {
        if (piece[i].n > 0) memcpy(to + path.n, piece[i].p, piece[i].n);
        path.n += piece[i].n;
    }
    to[path.n] = '\0';
    return path;
}

/* ---- Facts ---- */

static void fail(struct exchange *x, uint8_t fact, enum weir_err e, struct str message)
{
    x->facts |= fact;
    x->error = (struct upstream_error){.err = e, .message = message, .retry_after_ms = -1};
}

static bool is_content(const struct delta *d)
{
    switch (d->kind) {
    case DELTA_TEXT: return true;
    case DELTA_ARGUMENTS: return d->text.n > 0;
    case DELTA_OPEN: return d->part == PART_TOOL_CALL || d->part == PART_OTHER;
    default: return false;
    }
}

static void note_usage(struct exchange *x, const struct delta *d)
{
    const uint8_t both = USAGE_INPUT | USAGE_OUTPUT;
    if (d->usage == NULL) return;
    x->usage = *d->usage;
    /* Hosts that count along send figures with every chunk: the one at or after the finish is the last word. */
    if ((x->usage.known & both) == both && (d->usage_only || (x->facts & EXCHANGE_FINISHED) != 0))
        x->facts |= EXCHANGE_USAGE;
}

static void note_finish(struct exchange *x, enum finish f)
{
    x->finish = str_of(finish_word(f));
    x->facts |= EXCHANGE_FINISHED;
}

static void note(struct exchange *x, const struct delta *d)
{
    if (is_content(d)) {
        x->facts |= EXCHANGE_CONTENT;
        x->content_bytes += (int64_t)d->text.n;
    }
    switch (d->kind) {
    case DELTA_START:
        x->answer_id = arena_copy(x->arena, d->id);
        x->answer_model = arena_copy(x->arena, d->model);
        note_usage(x, d);
        break;
    case DELTA_USAGE: note_usage(x, d); break;
    case DELTA_FINISH: note_finish(x, d->finish); break;
    case DELTA_ERROR:
        x->facts |= EXCHANGE_ERROR;
        x->error = *d->error;
        x->error.message = arena_copy(x->arena, d->error->message);
        x->error.code = arena_copy(x->arena, d->error->code);
        break;
    case DELTA_END:
        if (x->usage.known != 0 && (x->facts & EXCHANGE_FINISHED) != 0) x->facts |= EXCHANGE_USAGE;
        break;
    default: break;
    }
}

/* ---- A stream ---- */

static void open_stream(struct exchange *x)
{
    if (x->reader != NULL) return;
    struct stream_reader *reader = x->reader = arena_zalloc(x->arena, x->target->reader_bytes);
    reader->arena = x->arena;
    struct stream_writer *writer = x->writer = arena_zalloc(x->arena, x->client->writer_bytes);
    *writer = (struct stream_writer){
        .arena = x->arena,
        .chat = x->chat,
        .model = x->model,
        .include_usage = x->call->include_usage,
        .started = x->started,
        .created_s = x->hints.now_s,
        /* Four bytes a token is the usual guess for text; it only stands until the provider's own figure comes. */
        .input_estimate = x->call->input_bound / 4,
    };
}

/* Events, whole ones that we wrote or received, as values of one JSON array. */
static void frame_as_array(struct exchange *x, struct str data)
{
    buf_addz(x->out, x->array_open ? ",\r\n" : "[");
    x->array_open = true;
    buf_add(x->out, data);
}

/* Dialects whose clients may ask for an array write SSE: each event is one line of data and a blank one. */
static void frame_events(struct exchange *x, struct str events)
{
    const struct str head = STR("data: ");
    while (events.n > 0) {
        struct str line = str_split(&events, '\n');
        if (str_starts(line, head)) frame_as_array(x, str_slice(line, head.n, line.n));
    }
}

static void write_framed(struct exchange *x, const struct delta *d)
{
    if (x->framing != FRAMING_JSON_ARRAY) {
        x->client->write_delta(x->writer, d, x->out);
        return;
    }
    buf_clear(&x->scratch);
    x->client->write_delta(x->writer, d, &x->scratch);
    if (d->kind == DELTA_END) ((struct stream_writer *)x->writer)->end_at = buf_len(x->out);
    frame_events(x, buf_view(&x->scratch));
    if (d->kind == DELTA_END) buf_addc(x->out, ']');
}

/* Bedrock names neither its answers nor the model in them; clients file both. */
static struct str id_of(const struct exchange *x, struct str id)
{
    if (id.n > 0 || x->hints.id.n == 0) return id;
    return arena_printf(x->arena, "msg_%.*s", STR_FMT(x->hints.id));
}

/* What the answer has and the client's dialect has no form for. */
static void lose(struct exchange *x, const char *what)
{
    struct loss loss = {.n = 0};
    struct str rest = x->loss, name;
    while (rest.n > 0) {
        name = str_split(&rest, ',');
        loss_add(&loss, name);
        if (str_is(name, what)) return;
    }
    loss_addz(&loss, what);
    x->loss = arena_copy(x->arena, loss_view(&loss));
}

/* Cohere's clients gave the documents ids. */
static void name_document(const struct chat *chat, struct citation *c)
{
    const struct name *id = chat == NULL ? NULL : chat->document_ids.first;
    if (c->kind != CITED_DOCUMENT || c->id.n > 0) return;
    for (int64_t i = 0; i < c->number && id != NULL; i++) id = id->next;
    if (id != NULL) c->id = id->text;
}

static void tell_citation(void *to, const struct delta *d)
{
    struct exchange *x = to;
    struct citation named = *d->citation;
    struct delta told = *d;
    name_document(x->chat, &named);
    told.citation = &named;
    d = &told;
    if (d->citation->end > 0 && citation_fits(d->citation, x->client->cites))
        write_framed(x, d);
    else
        lose(x, "citations");
}

static void write_cited(struct exchange *x, const struct delta *d)
{
    if (!citing_take(&x->citing, d, x->arena, tell_citation, x)) write_framed(x, d);
}

static void write_delta(struct exchange *x, const struct delta *d)
{
    struct stream_writer *writer = x->writer;
    struct delta renamed, first, second;
    if (d->choice > 0 || d->kind == DELTA_ERROR) return;
    if (d->kind == DELTA_END) {
        if ((x->facts & EXCHANGE_FINISHED) == 0) { /* an end without a reason is a broken answer, not a good one */
            fail(x, EXCHANGE_ERROR, WEIR_UP_TRUNCATED, STR("the provider's answer ended without a finish reason"));
            return;
        }
        x->facts |= EXCHANGE_END;
    }
    if (d->kind == DELTA_OPEN && d->part == PART_TOOL_CALL && x->chat != NULL) {
        renamed = *d;
        renamed.name = chat_tool_name(x->chat, d->name, &renamed.space);
        d = &renamed;
    }
    if (d->kind == DELTA_START && d->id.n == 0) {
        renamed = *d;
        renamed.id = id_of(x, d->id);
        d = &renamed;
    }
    if (stop_cut_take(&x->stops, x->chat, d, x->arena, &first, &second) ||
        custom_calls_take(&x->custom_calls, x->chat, d, x->arena, &first, &second)) {
        if (first.kind == DELTA_FINISH) note_finish(x, first.finish);
        if (first.kind != DELTA_ERROR) write_cited(x, &first);
        if (second.kind != DELTA_ERROR) write_cited(x, &second);
    } else {
        write_cited(x, d);
    }
    x->started = writer->started;
    if (d->kind == DELTA_END) x->end_at = writer->end_at;
}

/* One event on its way: what it did decides what happens to its bytes in a pass-through. */
struct passing {
    struct exchange *x;
    bool is_end, is_start, is_usage_only;
};

static bool is_over(const struct exchange *x)
{
    return (x->facts & (EXCHANGE_ERROR | EXCHANGE_BROKEN | EXCHANGE_END)) != 0;
}

static void on_delta(void *to, const struct delta *d)
{
    struct passing *p = to;
    if (is_over(p->x)) return;
    note(p->x, d);
    p->is_end |= d->kind == DELTA_END;
    p->is_start |= d->kind == DELTA_START;
    p->is_usage_only |= d->usage_only;
    if (!p->x->same) write_delta(p->x, d);
}

static bool is_framed_alike(const struct exchange *x)
{
    return x->framing == x->frames.framing;
}

/* An exception frame: what it means is told the same whatever the frames hold. */
static void take_failure(struct exchange *x, const struct frame *f, struct passing *p)
{
    struct upstream_error error;
    arena_reset(&x->events);
    upstream_error_of_exception(f->name, f->data, &x->events, &error);
    on_delta(p, &(struct delta){.kind = DELTA_ERROR, .error = &error});
}

/* Where only we asked for the usage, every chunk says that it has none yet: a member that the client did not ask for, and that some
 * clients do not read. Quotes inside a string are escaped, so it is found nowhere else. */
static void add_without_usage(struct exchange *x, struct str raw)
{
    const struct str forms[] = {STR(",\"usage\":null"), STR(", \"usage\": null")};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        ptrdiff_t at = str_find(raw, forms[i]);
        if (at < 0) continue;
        buf_add(x->out, str_slice(raw, 0, (size_t)at));
        raw = str_slice(raw, (size_t)at + forms[i].n, raw.n);
        break;
    }
    buf_add(x->out, raw);
}

/* A provider's message for a client of its own dialect: the same bytes, where both are framed alike. */
static void add_passed(struct exchange *x, const struct frame *f)
{
    if (is_framed_alike(x) && x->client->usage_on_request && !x->call->include_usage)
        add_without_usage(x, f->raw);
    else if (is_framed_alike(x))
        buf_add(x->out, f->raw);
    else if (f->data.n > 0 && x->framing == FRAMING_JSON_ARRAY)
        frame_as_array(x, f->data);
    else if (f->data.n > 0)
        framing_write(x->framing, f->name, f->data, x->out);
}

/* An event that may be the last one waits for the next or for the end of the body: what is billed is noted before the last
 * bytes go out. */
static void hold_last(struct exchange *x, const struct frame *f)
{
    struct stream_reader *reader = x->reader;
    buf_add(x->out, buf_view(&x->last));
    buf_clear(&x->last);
    if (!reader->ending) {
        add_passed(x, f);
        return;
    }
    struct buf *out = x->out;
    x->out = &x->last;
    add_passed(x, f);
    x->out = out;
    x->last_complete = f->is_complete || !is_framed_alike(x);
}

static void pass_bytes(struct exchange *x, const struct passing *p, const struct frame *f)
{
    if ((x->facts & EXCHANGE_ERROR) != 0) {
        if (f->is_failure && !is_framed_alike(x)) return; /* the client's dialect has words of its own for it */
        buf_clear(&x->scratch);
        struct buf *out = x->out;
        x->out = &x->scratch;
        add_passed(x, f);
        x->out = out;
        if (!f->is_complete && is_framed_alike(x)) framing_write_mark(x->framing, &x->scratch);
        x->error_event = arena_copy(x->arena, buf_view(&x->scratch));
        return;
    }
    if ((x->facts & EXCHANGE_BROKEN) != 0) return;
    if (p->is_usage_only && !x->call->include_usage && x->client->usage_on_request) return;
    if (p->is_start && x->started && x->client->starts_once) return;
    x->started |= p->is_start;
    if (p->is_end) {
        x->facts |= EXCHANGE_END;
        x->end_at = buf_len(x->out);
    }
    if (x->target->read_end != NULL)
        hold_last(x, f);
    else
        add_passed(x, f);
}

static void take_frame(struct exchange *x, const struct frame *f)
{
    struct passing p = {.x = x};
    if (f->oversized) {
        if (x->same && is_framed_alike(x)) {
            x->facts |= EXCHANGE_CONTENT; /* nothing but content is that long */
            x->content_bytes += (int64_t)f->raw.n;
            buf_add(x->out, f->raw);
        } else {
            fail(x, EXCHANGE_BROKEN, WEIR_UP_PROTOCOL, STR("an event of the provider's stream is too long"));
        }
        return;
    }
    if (f->is_failure) {
        take_failure(x, f, &p);
    } else if (f->data.n > 0) {
        arena_reset(&x->events);
        enum weir_err e = x->target->read_event(x->reader, f->name, f->data, &x->events, on_delta, &p);
        bool may_pass = x->same && (x->facts & EXCHANGE_CONTENT) != 0; /* what the client makes of it is its affair */
        if (e != WEIR_OK && !is_over(x) && !may_pass)
            fail(x, EXCHANGE_BROKEN, e, STR("an event of the provider's stream cannot be read"));
    }
    if (x->same) pass_bytes(x, &p, f);
}

static void frames_broken(struct exchange *x)
{
    fail(x, EXCHANGE_BROKEN, WEIR_UP_PROTOCOL, str_of(frames_error(&x->frames)));
}

/* ---- Events of an endpoint that is no chat ---- */

/* What may be the last event waits for the next one or for the end, so that what is billed is noted before the last bytes go out. */
static void pass_event(struct exchange *x, const struct frame *f)
{
    struct usage before = x->usage;
    arena_reset(&x->events);
    bool is_done = str_is(f->data, "[DONE]");
    bool usage = !is_done && str_contains(f->data, STR("sage")) && passed_read_usage(f->data, &x->events, &x->usage);
    bool ours =
        usage && x->call->passed_stream && !x->call->include_usage && str_contains(f->data, STR("\"choices\":[]"));
    buf_add(x->out, buf_view(&x->last));
    buf_clear(&x->last);
    if (f->data.n > 0 || f->oversized) x->facts |= EXCHANGE_CONTENT;
    if (usage) x->facts |= EXCHANGE_USAGE;
    if (!usage) x->usage = before;
    x->content_bytes += (int64_t)f->data.n;
    if (ours) return; /* asked for by us */
    buf_add(usage || is_done ? &x->last : x->out, f->raw);
}

static void pass_events(struct exchange *x, struct str bytes, struct buf *out)
{
    struct frame f;
    x->out = out;
    frames_feed(&x->frames, bytes);
    while (frames_next(&x->frames, &f) == FRAME_MESSAGE) pass_event(x, &f);
    x->out = NULL;
}

static void pass_end(struct exchange *x, struct buf *out)
{
    struct frame f;
    x->out = out;
    if (frames_finish(&x->frames, &f) == FRAME_MESSAGE) pass_event(x, &f);
    x->end_at = buf_len(out);
    buf_add(out, buf_view(&x->last));
    buf_clear(&x->last);
    x->out = NULL;
    x->facts |= EXCHANGE_END | EXCHANGE_FINISHED;
}

void exchange_feed(struct exchange *x, struct str bytes, struct buf *out)
{
    if (x->passed != NULL) {
        pass_events(x, bytes, out);
        return;
    }
    struct frame f;
    enum frame_result result = FRAME_MORE;
    if (is_over(x)) return;
    open_stream(x);
    x->out = out;
    frames_feed(&x->frames, bytes);
    while (!is_over(x) && (result = frames_next(&x->frames, &f)) == FRAME_MESSAGE) take_frame(x, &f);
    if (!is_over(x) && result == FRAME_BAD) frames_broken(x);
    x->out = NULL;
}

/* The body ended without the terminal event. Where the dialect's hosts do that after a good answer, the end is made up. */
static void end_at_finish(struct exchange *x)
{
    struct passing p = {.x = x};
    if (x->target->read_end != NULL) {
        x->target->read_end(x->reader, on_delta, &p);
        if (!x->same) return;
        x->end_at = buf_len(x->out);
        buf_add(x->out, buf_view(&x->last)); /* without an end it is a truncated stream's last event */
        if (buf_len(&x->last) > 0 && !x->last_complete) framing_write_mark(x->framing, x->out);
        buf_clear(&x->last);
        if (p.is_end) x->facts |= EXCHANGE_END;
        if (p.is_end && x->framing == FRAMING_JSON_ARRAY && !is_framed_alike(x))
            buf_addz(x->out, x->array_open ? "]" : "[]");
        return;
    }
    if (!x->target->ends_at_finish || (x->facts & EXCHANGE_FINISHED) == 0) return;
    if (!x->same) {
        on_delta(&p, &(struct delta){.kind = DELTA_END});
        return;
    }
    note(x, &(struct delta){.kind = DELTA_END});
    x->facts |= EXCHANGE_END;
    x->end_at = buf_len(x->out);
    x->client->write_end(x->out);
}

void exchange_finish(struct exchange *x, struct buf *out)
{
    if (x->passed != NULL) {
        pass_end(x, out);
        return;
    }
    struct frame f;
    if (is_over(x)) return;
    open_stream(x);
    x->out = out;
    enum frame_result result = frames_finish(&x->frames, &f);
    if (result == FRAME_MESSAGE) {
        size_t before = buf_len(out);
        take_frame(x, &f);
        if (x->same && buf_len(out) > before && !f.is_complete && is_framed_alike(x))
            framing_write_mark(x->framing, out);
    }
    if (!is_over(x) && result != FRAME_BAD) end_at_finish(x); /* cut inside a message: whatever was seen, no end */
    x->out = NULL;
}

void exchange_write_start(struct exchange *x, struct buf *out)
{
    if (x->same || x->started || is_over(x)) /* same: a ping is enough, and the provider's own opening may still come */
        return;
    open_stream(x);
    struct stream_writer *writer = x->writer;
    x->client->write_delta(
        writer, &(struct delta){.kind = DELTA_START, .id = id_of(x, x->answer_id), .model = x->answer_model}, out);
    x->started = writer->started;
}

void exchange_write_ping(struct exchange *x, struct buf *out)
{
    if (x->client->write_ping != NULL) x->client->write_ping(out);
}

void exchange_write_error(struct exchange *x, enum weir_err e, struct str message, struct buf *out)
{
    /* A provider's own words reach the client as they are, but for those about a key that is not the client's. */
    bool about_our_key = x->error.err == WEIR_UP_AUTH || x->error.err == WEIR_UP_PERMISSION;
    if (x->framing == FRAMING_JSON_ARRAY) {
        buf_clear(&x->scratch);
        x->client->write_stream_error(e, message, &x->scratch);
        x->out = out;
        x->array_open = (x->facts & EXCHANGE_CONTENT) != 0; /* before content nothing of it went out */
        frame_events(x, buf_view(&x->scratch));
        x->out = NULL;
        buf_addc(out, ']');
        return;
    }
    if (x->error_event.n > 0 && x->error.err == e && !about_our_key) {
        buf_add(out, x->error_event);
        return;
    }
    if (x->client->write_broken != NULL && x->writer != NULL)
        x->client->write_broken(x->writer, e, message, out);
    else
        x->client->write_stream_error(e, message, out);
}

void exchange_fini(struct exchange *x)
{
    frames_fini(&x->frames);
    buf_fini(&x->scratch);
    buf_fini(&x->last);
    arena_fini(&x->events);
}

/* ---- A whole answer ---- */

static void note_answer(struct exchange *x, const struct answer *answer)
{
    for (const struct part *p = answer->parts.first; p != NULL; p = p->next)
        x->content_bytes += (int64_t)(p->text.n + p->arguments.n);
    x->answer_id = answer->id;
    x->answer_model = answer->model;
    x->usage = answer->usage;
    x->facts |= EXCHANGE_END;
    if (answer->parts.n > 0) x->facts |= EXCHANGE_CONTENT;
    if (answer->usage.known != 0) x->facts |= EXCHANGE_USAGE;
    if (answer->finish != FINISH_NONE) {
        x->facts |= EXCHANGE_FINISHED;
        x->finish = str_of(finish_word(answer->finish));
    }
}

static void rename_calls(const struct chat *chat, struct answer *answer)
{
    for (struct part *p = answer->parts.first; p != NULL; p = p->next)
        if (p->kind == PART_TOOL_CALL) p->name = chat_tool_name(chat, p->name, &p->space);
}

static enum weir_err translate_answer(struct exchange *x, struct answer *answer, struct buf *out)
{
    if (answer->finish == FINISH_NONE) {
        fail(x, EXCHANGE_BROKEN, WEIR_UP_TRUNCATED, STR("the provider's answer has no finish reason"));
        return WEIR_UP_TRUNCATED;
    }
    if (answer->created_s == 0) answer->created_s = (int64_t)x->hints.now_s;
    answer->id = id_of(x, answer->id);
    if (answer->model.n == 0) answer->model = x->model;
    answer->chat = x->chat;
    rename_calls(x->chat, answer);
    custom_calls_restore(x->chat, answer, x->arena);
    stop_cut_answer(x->chat, answer);
    for (struct part *p = answer->parts.first; p != NULL; p = p->next)
        for (struct citation *c = p->citations.first; c != NULL; c = c->next) name_document(x->chat, c);
    if (!citations_settle(&answer->parts, x->client->cites)) lose(x, "citations");
    x->client->write_answer(answer, out);
    return WEIR_OK;
}

enum weir_err exchange_answer(struct exchange *x, struct str body, struct buf *out)
{
    struct answer *answer = NULL;
    struct str why = STR_NULL;
    if (x->call->video != NULL) return video_answer(x, body, out);
    if (x->passed != NULL && !x->same) {
        enum weir_err e = embed_answer(x, body, out);
        if (e != WEIR_OK) fail(x, EXCHANGE_BROKEN, e, STR("the answer has not the form of embeddings"));
        return e;
    }
    if (x->passed != NULL) {
        x->facts |= EXCHANGE_END | EXCHANGE_CONTENT | EXCHANGE_FINISHED;
        if (passed_settle(x->passed, x->call, body, x->arena, &x->usage)) x->facts |= EXCHANGE_USAGE;
        buf_add(out, body);
        return WEIR_OK;
    }
    if (x->call->counts) {
        enum weir_err counted = counting_answer(x, body, out);
        if (counted != WEIR_OK) fail(x, EXCHANGE_BROKEN, counted, STR("the answer has no count of tokens"));
        return counted;
    }
    enum weir_err e = x->target->read_answer(body, x->arena, &answer, &why);
    if (e == WEIR_OK && answer->has_error) {
        x->target->read_error(200, NULL, body, x->arena, &x->error);
        if (x->error.err == WEIR_UP_SERVER || x->error.err == WEIR_OK) x->error.err = WEIR_UP_STREAM_ERROR;
        if (x->error.message.n == 0) x->error.message = STR("the provider says that its answer went wrong");
        x->facts |= EXCHANGE_ERROR;
        return x->error.err;
    }
    if (e != WEIR_OK) {
        fail(x, EXCHANGE_BROKEN, WEIR_UP_PROTOCOL, why);
        return WEIR_UP_PROTOCOL;
    }
    if (!x->same)
        e = translate_answer(x, answer, out);
    else
        buf_add(out, body);
    if (e == WEIR_OK) note_answer(x, answer);
    return e;
}
