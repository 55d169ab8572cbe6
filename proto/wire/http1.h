/* http1.h — HTTP/1 messages in and out: llhttp, and everything it lets through that must not pass
 * Owns:     struct http1: parser state and the bytes of one head.
 * Process:  any; sans-I/O: feed bytes, take events.
 * Memory:   the head's bytes in one growing buf that is reused by the next message; body bytes are views into the input.
 * Fails:    HTTP1_BAD with a code and a text; the connection is then unusable and is closed by who owns it.
 * Not here: sockets, time, routing, which headers are forwarded (dataplane/). */
#pragma once

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include <llhttp.h>

enum http1_role { HTTP1_REQUEST, HTTP1_RESPONSE };

struct http1_limits {
    uint32_t line_bytes; /* request or status line: 414 / bad */
    uint32_t head_bytes; /* the whole head, start line and empty lines included: 431 / bad */
    uint32_t headers;    /* how many; at most HTTP1_MAX_HEADERS */
    uint64_t body_bytes; /* Content-Length above it: 413 before any body byte; chunked: when passed. 0: no limit */
    uint32_t interim;    /* responses: how many 1xx are skipped before it is an error */
};

extern const struct http1_limits http1_request_limits, http1_response_limits; /* the defaults of README */

enum { HTTP1_MAX_HEADERS = 128 };

struct http1_header {
    struct str name, value;
}; /* name as sent; compare with str_iis */

struct http1_head {
    struct str method; /* requests */
    struct str target; /* as sent, without scheme and authority of the absolute form */
    struct str path;   /* before '?' ; still percent-encoded */
    struct str query;  /* behind '?', may be empty */
    struct str reason; /* responses */
    uint16_t status;
    uint8_t minor;   /* HTTP/1.minor */
    bool keep_alive; /* after this message, by version and Connection */
    bool chunked;
    bool expect_continue;
    bool upgrade;           /* an Upgrade was asked for (request) and may be ignored; a response 101 is HTTP1_BAD */
    bool until_eof;         /* response body ends with the connection */
    int64_t content_length; /* -1: none given */
    unsigned n;
    struct http1_header header[HTTP1_MAX_HEADERS];
};

enum http1_event {
    HTTP1_MORE, /* all input taken, nothing new */
    HTTP1_HEAD, /* http1_head() is complete; call again for the rest of the input */
    HTTP1_BODY, /* *ret_body: bytes of the body, a view into the input */
    HTTP1_END,  /* the message is complete; *in holds what follows it, untouched */
    HTTP1_BAD,
};

struct http1 {
    /* private */
    llhttp_t parser;
    enum http1_role role;
    uint8_t phase;
    uint8_t pending; /* events that are known and not yet given out */
    bool
        head_request; /* public: set after init or reset; the response answers a HEAD: no body whatever its head says */
    struct http1_limits limits;

    /* the message under way */
    struct http1_head head;
    struct buf bytes;  /* the head's text; offsets below point into it */
    uint32_t line_at;  /* where the start line begins: behind empty lines */
    uint32_t head_raw; /* bytes of the head taken so far, line ends and all */
    uint32_t framing;  /* bytes of chunk headers and trailers since the last body byte */
    uint32_t interims; /* 1xx passed over */
    uint64_t body_seen;
    struct str span;       /* body bytes of the call under way */
    const char *span_from; /* where that call's input began */
    struct http1_field {
        uint32_t name_at, name_n, value_at, value_n;
    } field[HTTP1_MAX_HEADERS + 1]; /* one more: the name that is too much is read before it is refused */
    unsigned fields;
    bool poke; /* llhttp was paused and may have more to say without more input */

    enum weir_err err;
    const char *err_text;
};

void http1_init(struct http1 *h, enum http1_role role, const struct http1_limits *limits);
void http1_reset(struct http1 *h); /* for the next message of the same connection; keeps the buf */
void http1_fini(struct http1 *h);

/* Takes from *in and moves it forward. Call until HTTP1_MORE, HTTP1_END or HTTP1_BAD. After HTTP1_END: http1_reset() first. */
enum http1_event http1_feed(struct http1 *h, struct str *in, struct str *ret_body);
/* The peer closed. HTTP1_END where the close is a proper end (until_eof body), HTTP1_MORE between messages, HTTP1_BAD otherwise. */
enum http1_event http1_eof(struct http1 *h);

/* Until the next http1_reset(). After HTTP1_BAD it holds what was read before the fault (a start line at most, or the whole head
 * when it is the body that is refused), so that a refusal can be spoken in the right dialect. */
const struct http1_head *http1_head(const struct http1 *h);
/* All of its text, names and values one behind the other: what is changed here changes in http1_head(). */
struct str http1_text(const struct http1 *h);
enum weir_err http1_error(const struct http1 *h, const char **ret_text);

struct str http1_find(const struct http1_head *head, struct str name); /* first header of that name; p NULL: absent */
/* Inline: nearly all names are literals, whose length the compiler knows. */
static inline struct str http1_get(const struct http1_head *head, const char *name)
{
    return http1_find(head, (struct str){name, strlen(name)});
}

/* ---- out ---- */
void http1_write_request_line(struct buf *out, struct str method, struct str target);
void http1_write_status_line(struct buf *out, uint16_t status); /* reason by table */
/* Refuses (false, nothing written) a value with CR, LF, NUL or a name that is no token: no header splitting, whoever gave it. */
bool http1_write_header(struct buf *out, struct str name, struct str value);
void http1_write_header_u64(struct buf *out, const char *name, uint64_t value);
void http1_write_end(struct buf *out);
void http1_write_chunk_head(struct buf *out, size_t n); /* "1f\r\n"; the chunk's bytes and then "\r\n" follow */
#define HTTP1_CHUNK_END  STR("\r\n")
#define HTTP1_LAST_CHUNK STR("0\r\n\r\n")

/* Hop-by-hop by name (RFC 9110 §7.6.1), or named by this head's Connection header. */
bool http1_is_hop_by_hop(const struct http1_head *head, struct str name);
