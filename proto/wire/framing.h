/* framing.h — how the messages of a stream lie in its bytes: one reader and the few words of a writer for all of them
 * Owns:     the bytes of the message under way.
 * Process:  any; sans-I/O.
 * Memory:   at most limit_bytes for a message; one above it is passed over in pieces.
 * Fails:    FRAME_BAD with a text, where nothing behind the broken message can be found again (event-stream only).
 * Not here: JSON inside a message, what a message means (dialect/). */
#pragma once

#include "proto/wire/eventstream.h"
#include "proto/wire/sse.h"

enum framing {
    FRAMING_SSE,
    FRAMING_JSON_ARRAY, /* one array of all messages (Gemini without alt=sse). Read; a writer adds brackets and commas itself */
    FRAMING_EVENTSTREAM, /* AWS's binary frames */
    FRAMING_NDJSON,      /* a message a line */
    FRAMING_CHUNKS,      /* event-stream around another API's events: base64 in frames named `chunk`. Only read */
    FRAMING_COUNT
};

const char *framing_content_type(enum framing f);

struct frame {
    struct str name;  /* SSE: "event:"; event-stream: of the event, exception or error */
    struct str data;  /* JSON; empty: a keep-alive */
    struct str raw;   /* all its bytes as received */
    bool is_failure;  /* event-stream: an exception or an error, whatever its name */
    bool is_complete; /* raw has its end mark */
    bool oversized;   /* name and data are empty; raw is cut into pieces that follow each other */
};

enum frame_result { FRAME_MORE, FRAME_MESSAGE, FRAME_BAD };

struct frames {
    enum framing framing;

    /* private */
    union {
        struct sse sse;
        struct {
            struct eventstream es;
            struct buf inner, text; /* FRAMING_CHUNKS: the event of the frame given out last, and its base64 */
            bool bad;               /* what a frame holds cannot be read: nothing more is given out */
        } frames;
        struct {
            struct buf in;
            size_t given, scanned, limit_bytes;
            bool passing; /* inside an oversized line */
        } lines;
        struct {
            struct buf in;
            size_t given, scanned, begin, limit_bytes;
            unsigned depth; /* of brackets; 0: between two elements */
            bool quoted, escaped, opened, closed, comma, filled, passing, bad;
        } array;
    } u;
};

void frames_init(struct frames *f, enum framing framing, size_t limit_bytes);
void frames_fini(struct frames *f);

void frames_feed(struct frames *f, struct str bytes);
/* The next whole message; views valid until the next frames_ call. */
enum frame_result frames_next(struct frames *f, struct frame *ret_frame);
/* The bytes ended. FRAME_MESSAGE, once: a last message that only lacks its end mark; FRAME_MORE: there is none; FRAME_BAD: the end
 * lies inside a message. */
enum frame_result frames_finish(struct frames *f, struct frame *ret_frame);
const char *frames_error(const struct frames *f); /* static text */

/* What a message lacks that came without its end mark. */
void framing_write_mark(enum framing f, struct buf *out);
/* A message in that framing. A JSON array's brackets and commas are its writer's affair. */
void framing_write(enum framing f, struct str name, struct str data, struct buf *out);
