/* eventstream.h — AWS event-stream frames (application/vnd.amazon.eventstream) out of bytes in any split, and back
 * Owns:     the bytes of the frame under way.
 * Process:  any; sans-I/O.
 * Memory:   one growing buf, at most limit_bytes and what was fed last; a frame above it is passed over and counted, the stream goes on.
 * Fails:    EVENTSTREAM_BAD with a text: a checksum that is wrong, a length that cannot be, a header that runs out of its room.
 *           Nothing behind such a frame can be found again: the stream is broken.
 * Not here: JSON in the payload; what an event means (dialect/).
 * Source: AWS, "Amazon event stream encoding" (Smithy event stream specification).
 *
 *   +--------------+----------------+-------------+---------+---------+-------------+
 *   | total u32    | headers u32    | CRC of the  | headers | payload | CRC of all  |    big-endian; total counts everything
 *   |              | (their bytes)  | first 8     |         |         | before it   |
 *   +--------------+----------------+-------------+---------+---------+-------------+
 *   header: name length u8 (not 0) | name | type u8 | value; bytes and strings begin with their length u16
 */
#pragma once

#include "proto/base/buf.h"

enum {
    EVENTSTREAM_OVERHEAD = 16,                /* bytes of a frame without headers and payload */
    EVENTSTREAM_MAX_BYTES = 24 * 1024 * 1024, /* of a frame, by the specification */
    EVENTSTREAM_MAX_HEADER_BYTES = 128 * 1024,
};

enum eventstream_type {
    EVENTSTREAM_TRUE,
    EVENTSTREAM_FALSE,
    EVENTSTREAM_I8,
    EVENTSTREAM_I16,
    EVENTSTREAM_I32,
    EVENTSTREAM_I64,
    EVENTSTREAM_BYTES,
    EVENTSTREAM_STRING,
    EVENTSTREAM_TIMESTAMP, /* milliseconds since 1970, UTC */
    EVENTSTREAM_UUID,      /* 16 bytes */
};

struct eventstream_header {
    struct str name;
    enum eventstream_type type;
    struct str bytes; /* of BYTES, STRING, UUID */
    int64_t number;   /* of the integers and TIMESTAMP; 1 of TRUE, 0 of FALSE */
};

struct eventstream_message {
    struct str kind;    /* ":message-type": "event", "exception", "error"; empty when absent */
    struct str name;    /* ":event-type", ":exception-type" or ":error-code" */
    struct str detail;  /* ":error-message" */
    struct str headers; /* all of them, encoded: eventstream_next_header() */
    struct str payload;
    struct str raw; /* the whole frame as received */
    bool
        oversized; /* longer than the limit: all is empty but raw, which is cut into pieces that follow each other; the checksum
                       is judged at the last one */
};

enum eventstream_result { EVENTSTREAM_MORE, EVENTSTREAM_MESSAGE, EVENTSTREAM_BAD };

struct eventstream {
    /* private */
    struct buf in;      /* bytes not yet given out, and those of the frame given out last */
    size_t given;       /* bytes of `in` that the last message's views point to */
    size_t limit_bytes; /* of a frame that is held whole */
    size_t passing;     /* bytes still to come of an oversized frame; the last four are its checksum */
    uint32_t crc;       /* of the pieces given out */
    const char *bad;

    uint64_t oversized; /* public: frames that were passed over */
};

void eventstream_init(struct eventstream *s, size_t limit_bytes);
void eventstream_reset(struct eventstream *s);
void eventstream_fini(struct eventstream *s);

void eventstream_feed(struct eventstream *s, struct str bytes);
/* The next whole frame; views valid until the next eventstream_ call. After EVENTSTREAM_BAD only that is returned. */
enum eventstream_result eventstream_next(struct eventstream *s, struct eventstream_message *ret_message);
/* The bytes ended here: true between two frames. There is no end marker, so a stream that ends inside a frame was cut off. */
bool eventstream_is_between(const struct eventstream *s);
const char *eventstream_error(const struct eventstream *s); /* static text; "" while all is well */

/* Header by header: start with *at = 0; false at the end. Any bytes may be given: a header that is broken ends the walk with
 * *at below headers.n. Those of a message are whole. */
bool eventstream_next_header(struct str headers, size_t *at, struct eventstream_header *ret_header);
/* The first one of that name. */
bool eventstream_find_header(struct str headers, const char *name, struct eventstream_header *ret_header);

/* False and nothing written: a name that is empty or above 255 bytes, bytes above 65,535, a number that its type cannot hold, a
 * frame above the limits of the specification. */
bool eventstream_write(struct buf *out, const struct eventstream_header *header, unsigned n, struct str payload);
/* What Bedrock writes: kind "event" or "exception", its name, and JSON. */
bool eventstream_write_json(struct buf *out, struct str kind, struct str name, struct str json);
/* The same where the JSON is made in place: begin, append it to out, end with what begin gave. false: as above, the frame is gone. */
size_t eventstream_begin_json(struct buf *out, struct str kind, struct str name);
bool eventstream_end(struct buf *out, size_t start);
