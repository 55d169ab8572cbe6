/* serial.h — parts that may be open side by side (OpenAI interleaves calls) told one after the other
 * Owns:     the parts that are open or wait.
 * Process:  any; sans-I/O.
 * Memory:   the stream's arena.
 * Fails:    never; what belongs to no open part is passed over.
 * Not here: how a dialect writes a part (struct serial_ops). */
#pragma once

#include "proto/dialect/chat.h"

struct serial_part {
    struct serial_part *next;
    enum part_kind kind;
    unsigned index; /* the hub's */
    struct str id, name;

    /* private */
    struct serial_piece *waiting, **waiting_end;
    bool closed;
    bool is_signed;
};

/* The first part is live and streams; those behind it wait in the order of their opening until it closes. */
struct serial {
    struct arena *arena;
    struct serial_part *first;
    unsigned done; /* parts told whole: the live one's index */
};

struct serial_ops {
    bool redacted; /* PART_REDACTED is told, too */
    void (*open)(void *w, const struct serial_part *p, struct buf *out);
    void (*delta)(void *w, const struct serial_part *p, enum delta_kind kind, struct str text, struct buf *out);
    void (*close)(void *w, const struct serial_part *p, struct buf *out);
};

/* A citation goes to `delta` as JSON: what the dialect's write() makes of it, or the text of a DELTA_CITATION that is taken. */
void serial_cite(struct serial *s, const struct delta *d, void (*write)(const struct citation *c, struct buf *out),
                 const struct serial_ops *ops, void *w, struct buf *out);
/* OPEN, TEXT, ARGUMENTS, SIGNATURE and CLOSE. Of the kinds text, refusal, reasoning and tool call; reasoning that closes without a
 * signature gets our mark for one. */
void serial_take(struct serial *s, const struct delta *d, const struct serial_ops *ops, void *w, struct buf *out);
void serial_end(struct serial *s, const struct serial_ops *ops, void *w, struct buf *out); /* whatever is open closes */
