/* answer.h — one HTTP answer before it is cut into writes: status, headers, body, and where each event of a stream ends
 * Owns:     its bufs and the list of event ends; reused by the next call of the connection.
 * Process:  weir-fake; pure.
 * Memory:   heap, kept over answer_reset().
 * Fails:    never.
 * Not here: framing and faults (program.h), what the words are (openai.c, anthropic.c). */
#pragma once

#include "proto/base/buf.h"

struct answer {
    unsigned status;
    const char *content_type;
    bool is_stream;
    struct buf headers; /* further header lines, each with its CRLF */
    struct buf body;
    size_t *event_end; /* offsets in body; one entry for each event of a stream */
    unsigned events, events_cap;
    uint32_t event_delay_ms; /* asked for in the prompt */
};

void answer_reset(struct answer *a); /* 200, nothing in it; an all-zero struct is allowed */
void answer_fini(struct answer *a);
void answer_header(struct answer *a, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Ends the event whose bytes were appended to body since the last one. */
void answer_end_event(struct answer *a);
