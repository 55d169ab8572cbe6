/* Any bytes as an event stream, whole and in pieces: the same events, no byte lost, memory bounded. Byte 0: the limit; byte 1: seed of
 * the cuts. */
#include "proto/wire/sse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void note(struct buf *events, struct buf *raw, const struct sse_event *ev)
{
    buf_add(raw, ev->raw);
    if (ev->oversized) {
        assert(ev->name.n == 0 && ev->data.n == 0 && ev->raw.n > 0);
        if (!str_ends(buf_view(events), STR("\xFF!"))) buf_addz(events, "\xFF!");
        return;
    }
    assert(!(ev->comment_only && (ev->has_data || ev->name.n > 0)));
    buf_addf(events, "\xFF%d%d", ev->comment_only, ev->has_data);
    buf_add(events, ev->name);
    buf_addc(events, '|');
    buf_add(events, ev->data);
}

static void run(const uint8_t *p, size_t n, size_t limit, uint32_t seed, struct buf *events, struct buf *raw)
{
    struct sse s;
    struct sse_event ev;
    sse_init(&s, limit);
    for (size_t at = 0; at < n;) {
        seed = seed * 1103515245u + 12345u;
        size_t piece = (seed >> 16) % 19 + 1;
        if (events->cap == 0) piece = n; /* the first run is the whole */
        if (piece > n - at) piece = n - at;
        char *copy = malloc(piece);
        memcpy(copy, p + at, piece);
        sse_feed(&s, (struct str){copy, piece});
        free(copy);
        at += piece;
        while (sse_next(&s, &ev)) note(events, raw, &ev);
        assert(buf_len(&s.in) <= limit + piece);
        if (events->cap == 0) buf_reserve(events, 1);
    }
    while (sse_finish(&s, &ev)) note(events, raw, &ev);
    sse_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    size_t limit = (size_t)data[0] + 8;
    struct buf events = {0}, raw = {0}, events2 = {0}, raw2 = {0};
    struct str in = {(const char *)data + 2, size - 2};
    run(data + 2, size - 2, limit, 0, &events, &raw);
    buf_reserve(&events2, 1);
    run(data + 2, size - 2, limit, data[1], &events2, &raw2);
    assert(str_eq(buf_view(&events), buf_view(&events2)));
    assert(str_eq(buf_view(&raw), in) && str_eq(buf_view(&raw2), in));
    buf_fini(&events);
    buf_fini(&raw);
    buf_fini(&events2);
    buf_fini(&raw2);
    return 0;
}
