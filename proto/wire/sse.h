/* sse.h — server-sent events out of bytes in any split
 * Owns:     the bytes of the event under way.
 * Process:  any; sans-I/O.
 * Memory:   one growing buf, at most limit_bytes; an event above it is passed over and counted, the stream goes on.
 * Fails:    never; what is no event is skipped as the standard says.
 * Not here: JSON inside data; forwarding the raw bytes (the event carries its raw extent).
 * Source: WHATWG HTML, "Server-sent events", parsing an event stream. */
#pragma once

#include "proto/base/buf.h"

struct sse_event {
    struct str name;   /* "event:" field; empty when absent */
    struct str data;   /* "data:" lines joined with \n */
    struct str raw;    /* all bytes of the event as received, blank line included; comments before it too */
    bool comment_only; /* no field at all: a keep-alive, or an empty line too many */
    bool has_data;  /* a "data:" line was there, if only an empty one; without it a client's parser drops the event */
    bool oversized; /* name and data are empty: longer than the limit; raw is cut into pieces that follow each other */
    uint32_t data_lines;
};

struct sse {
    /* private */
    struct buf in;   /* raw bytes not yet given out, and those of the event given out last */
    struct buf data; /* joined data of the event being given out, where it had more than one line */
    size_t scanned;  /* bytes of `in` already looked at */
    size_t given;    /* bytes of `in` that the last event's views point to */
    size_t limit_bytes;
    bool started; /* behind the place where a BOM may stand */
    bool has_bom; /* `in` begins with one */
    bool passing; /* inside an oversized event */

    bool at_line_start; /* the line under way has no byte yet */
    bool after_cr;      /* the last byte was a CR whose LF may follow */
    bool blank;         /* the line that ended last was an empty one */
    bool lone_cr;       /* the line before it ended with a CR alone */

    uint64_t oversized; /* public: events that were passed over */
};

void sse_init(struct sse *s, size_t limit_bytes);
void sse_reset(struct sse *s);
void sse_fini(struct sse *s);

void sse_feed(struct sse *s, struct str bytes);
/* The next whole event; views valid until the next sse_ call. false: more bytes needed. */
bool sse_next(struct sse *s, struct sse_event *ret_event);
/* At the end of the stream: an event that only lacks its blank line (some providers) is given out, once. */
bool sse_finish(struct sse *s, struct sse_event *ret_event);

void sse_write(struct buf *out, struct str name, struct str data); /* name may be empty; data without line breaks */
