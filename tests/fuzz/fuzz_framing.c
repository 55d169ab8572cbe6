/* Streams of messages in every framing that is read: any bytes at any split give the same messages, and no byte is lost. */
#include "proto/wire/framing.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 512 };

static void note(const struct frame *f, struct buf *out, struct buf *raw)
{
    buf_add(raw, f->raw);
    if (f->oversized) { /* how many pieces is not what is compared */
        if (!str_ends(buf_view(out), STR("#;"))) buf_addz(out, "#;");
        return;
    }
    buf_add(out, f->name);
    buf_addc(out, f->is_failure ? '!' : '|');
    buf_add(out, f->data);
    buf_addz(out, f->is_complete ? ";" : "~;");
}

static void read_all(enum framing framing, struct str bytes, size_t step, struct buf *out, struct buf *raw)
{
    struct frames frames;
    struct frame f;
    enum frame_result r = FRAME_MORE;
    frames_init(&frames, framing, LIMIT);
    for (size_t at = 0; at < bytes.n && r != FRAME_BAD; at += step) {
        frames_feed(&frames, str_slice(bytes, at, at + step));
        while ((r = frames_next(&frames, &f)) == FRAME_MESSAGE) note(&f, out, raw);
    }
    while (r != FRAME_BAD && (r = frames_finish(&frames, &f)) == FRAME_MESSAGE) note(&f, out, raw);
    if (!str_starts(bytes, buf_view(raw)) || (r != FRAME_BAD && buf_len(raw) != bytes.n)) abort();
    /* pieces of a large frame may have gone out before its checksum was there to be judged */
    if (r == FRAME_BAD && str_ends(buf_view(out), STR("#;"))) buf_truncate(out, buf_len(out) - 2);
    if (r == FRAME_BAD) buf_addz(out, "BAD");
    frames_fini(&frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    for (enum framing framing = 0; framing < FRAMING_COUNT; framing++) {
        struct buf whole = {0}, split = {0}, raw = {0};
        read_all(framing, bytes, size + 1, &whole, &raw);
        buf_clear(&raw);
        read_all(framing, bytes, size % 13 + 1, &split, &raw);
        if (!str_eq(buf_view(&whole), buf_view(&split))) abort();
        buf_fini(&whole);
        buf_fini(&split);
        buf_fini(&raw);
    }
    return 0;
}
