/* Any well-formed stream that the hub can hold, written in each dialect: messages in its framing, JSON each, which its own reader takes as a
 * whole stream with the same text, the same arguments call by call, one finish, one end. */
#include "tests/fuzz/hub.h"

#include "proto/wire/framing.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS_MOST = 16 };

/* What an app makes of a stream: its text, and for each call a name and arguments, in the order of opening. */
struct gathered {
    struct buf text, arguments[CALLS_MOST];
    struct str names[CALLS_MOST];
    unsigned index[CALLS_MOST];
    unsigned calls, finishes, ends, errors, citations;
    struct arena *arena;
};

static void gather(void *to, const struct delta *d)
{
    struct gathered *g = to;
    unsigned at = 0;
    switch (d->kind) {
    case DELTA_OPEN:
        if (d->part != PART_TOOL_CALL || g->calls == CALLS_MOST) break;
        g->index[g->calls] = d->index;
        g->names[g->calls++] = arena_copy(g->arena, d->name);
        break;
    case DELTA_TEXT:
        if (d->part == PART_TEXT || d->part == PART_REFUSAL) buf_add(&g->text, d->text);
        break;
    case DELTA_ARGUMENTS:
        while (at < g->calls && g->index[at] != d->index) at++;
        if (at < g->calls) buf_add(&g->arguments[at], d->text);
        break;
    case DELTA_CITATION: g->citations++; break;
    case DELTA_FINISH: g->finishes++; break;
    case DELTA_END: g->ends++; break;
    case DELTA_ERROR: g->errors++; break;
    default: break;
    }
}

static void gathered_fini(struct gathered *g)
{
    buf_fini(&g->text);
    for (unsigned i = 0; i < CALLS_MOST; i++) buf_fini(&g->arguments[i]);
}

static void read_back(const struct dialect *d, struct str bytes, struct arena *a, struct gathered *g)
{
    struct frames frames;
    struct frame f;
    struct stream_reader *reader = arena_zalloc(a, d->reader_bytes);
    enum frame_result r;
    reader->arena = a;
    frames_init(&frames, d->framing, 1 << 22);
    frames_feed(&frames, bytes);
    while ((r = frames_next(&frames, &f)) == FRAME_MESSAGE) {
        if (f.data.n == 0) continue;
        if (!str_is(f.data, "[DONE]")) must_be_json(f.data);
        if (f.is_failure) abort();
        if (d->read_event(reader, f.name, f.data, a, gather, g) != WEIR_OK) abort();
    }
    if (r != FRAME_MORE || frames_finish(&frames, &f) != FRAME_MORE) abort();
    if (d->read_end != NULL) d->read_end(reader, gather, g);
    frames_fini(&frames);
}

/* Of texts and calls in any order: a writer whose blocks must not overlap keeps a part until the one before it is closed. */
static uint64_t text_sum(struct str text)
{
    uint64_t sum = text.n;
    for (size_t i = 0; i < text.n; i++) sum += (uint64_t)(unsigned char)text.p[i] * (unsigned char)text.p[i] << 20;
    return sum;
}

static bool has_call(const struct gathered *g, struct str name, struct str arguments)
{
    for (unsigned i = 0; i < g->calls; i++)
        if (str_eq(g->names[i], name) && str_eq(buf_view(&g->arguments[i]), arguments)) return true;
    return false;
}

static void compare(const struct gathered *sent, const struct gathered *got)
{
    if (got->errors > 0 || got->finishes != 1 || got->ends != 1) abort();
    if (text_sum(buf_view(&sent->text)) != text_sum(buf_view(&got->text))) abort();
    if (sent->calls != got->calls || sent->citations < got->citations) abort();
    /* Where a text is not opened and closed on the wire, a call ends it for the reader: what is cited later has lost its text. */
    if (got->calls == 0 && sent->citations != got->citations) abort();
    for (unsigned i = 0; i < sent->calls; i++)
        if (!has_call(got, sent->names[i], buf_view(&sent->arguments[i]))) abort();
}

/* As exchange.c writes: citations whose span is known, of the kinds that the dialect has a form for. */
struct writing {
    const struct dialect *d;
    void *writer;
    struct buf *out;
    struct gathered *sent;
};

static void write_one(void *to, const struct delta *d)
{
    struct writing *w = to;
    if (d->kind == DELTA_CITATION && (d->citation->end == 0 || !citation_fits(d->citation, w->d->cites))) return;
    gather(w->sent, d);
    w->d->write_delta(w->writer, d, w->out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in;
    struct arena a;
    struct hub_stream s;
    struct buf out = {0};
    struct str unused;
    struct call call;
    if (!fuzz_split(data, size, &in)) return 0;
    const struct dialect *d = in.client;
    arena_init(&a, 4096);
    hub_small_call(d, false, &a, &unused, &call);
    struct choices c = {(const uint8_t *)in.text.p, in.text.n};
    hub_stream(&c, &a, &s);
    struct stream_writer *writer = arena_zalloc(&a, d->writer_bytes);
    *writer = (struct stream_writer){.arena = &a, .model = STR("m"), .include_usage = (in.variant & 1) != 0};
    struct gathered sent = {.arena = &a}, got = {.arena = &a};
    struct writing w = {d, writer, &out, &sent};
    struct citing citing = {0};
    for (unsigned i = 0; i < s.n; i++) {
        if (!citing_take(&citing, &s.delta[i], &a, write_one, &w)) write_one(&w, &s.delta[i]);
        if (in.variant & 2 && s.delta[i].kind != DELTA_END && d->write_ping != NULL) d->write_ping(&out);
    }
    if (writer->end_at > buf_len(&out)) abort();
    fuzz_show("stream", buf_view(&out));
    read_back(d, arena_copy(&a, buf_view(&out)), &a, &got);
    compare(&sent, &got);
    gathered_fini(&sent);
    gathered_fini(&got);
    buf_fini(&out);
    arena_fini(&a);
    return 0;
}
