/* AWS event-streams: any bytes at any split give the same messages, no byte of a sound stream is lost, and what was read can be
 * written again: the same bytes. */
#include "proto/wire/eventstream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 512, HEADERS = 64 };

static void rewrite(const struct eventstream_message *m)
{
    struct eventstream_header header[HEADERS];
    struct buf again = {0};
    unsigned n = 0;
    size_t at = 0;
    while (n < HEADERS && eventstream_next_header(m->headers, &at, &header[n])) n++;
    if (n < HEADERS) {
        if (at != m->headers.n || !eventstream_write(&again, header, n, m->payload)) abort();
        if (!str_eq(buf_view(&again), m->raw)) abort();
    }
    buf_fini(&again);
}

/* The payloads and where it ended. */
static void read_all(struct str bytes, size_t step, struct buf *out, struct buf *raw)
{
    struct eventstream s;
    struct eventstream_message m;
    enum eventstream_result r = EVENTSTREAM_MORE;
    eventstream_init(&s, LIMIT);
    for (size_t at = 0; at < bytes.n; at += step) {
        eventstream_feed(&s, str_slice(bytes, at, at + step));
        while ((r = eventstream_next(&s, &m)) == EVENTSTREAM_MESSAGE) {
            if (!m.oversized) rewrite(&m);
            buf_add(out, m.payload);
            buf_addc(out, m.oversized ? '!' : ';');
            if (m.oversized && str_ends(buf_view(out), STR("!!"))) buf_truncate(out, buf_len(out) - 1);
            buf_add(raw, m.raw);
        }
    }
    if (!str_starts(bytes, buf_view(raw))) abort();
    if (eventstream_is_between(&s) && buf_len(raw) != bytes.n) abort();
    /* pieces of a large frame may have gone out before its checksum was there to be judged */
    if (r == EVENTSTREAM_BAD && str_ends(buf_view(out), STR("!"))) buf_truncate(out, buf_len(out) - 1);
    buf_addz(out, r == EVENTSTREAM_BAD ? eventstream_error(&s) : eventstream_is_between(&s) ? "." : "CUT");
    eventstream_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    struct buf whole = {0}, split = {0}, raw = {0};
    struct eventstream_header h;
    size_t at = 0;
    while (eventstream_next_header(bytes, &at, &h)) continue; /* any bytes may be walked */
    if (at > size) abort();
    read_all(bytes, size + 1, &whole, &raw);
    buf_clear(&raw);
    read_all(bytes, size % 13 + 1, &split, &raw);
    if (!str_eq(buf_view(&whole), buf_view(&split))) abort();
    buf_fini(&whole);
    buf_fini(&split);
    buf_fini(&raw);
    return 0;
}
