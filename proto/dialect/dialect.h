/* dialect.h — the languages of LLM APIs: one table of functions each, around one hub form (chat.h)
 * Owns:     the registry. Adding a dialect is one file, one row and its golden cases.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in; an open stream's state is allocated from it once.
 * Fails:    readers return an error code and a text for people; nothing from the wire reaches an assert.
 * Not here: pass-through (passthrough.c), one attempt's whole body work (exchange.h), sockets. */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/money/usage.h"
#include "proto/wire/framing.h"

enum dialect_id {
    DIALECT_OPENAI_CHAT,
    DIALECT_ANTHROPIC,
    DIALECT_GEMINI,
    DIALECT_RESPONSES,
    DIALECT_CONVERSE,
    DIALECT_OLLAMA,
    DIALECT_COHERE,
    DIALECT_COUNT
};

struct call;   /* what was read of the body before: exchange.h */
struct chat;   /* a request: chat.h */
struct answer; /* a unary answer: chat.h */
struct host_quirks;
struct delta; /* one step of a stream: chat.h */
struct loss;  /* what a translation could not carry: chat.h */

/* What a provider said when it did not answer 200, or inside a 200's stream. */
struct upstream_error {
    enum weir_err err;
    struct str message;     /* of the provider, safe to show: no HTML, cut to 500 bytes; empty if none */
    struct str code;        /* its own code, for logs */
    int64_t retry_after_ms; /* -1: it did not say. Clamped to [0, 1 h] */
    bool should_not_retry;  /* x-should-retry: false */
};

/* The answer headers that errors and rate limits are read from; any may be empty. */
struct answer_headers {
    struct str content_type, retry_after, retry_after_ms, should_retry;
    struct str limit_requests_left, limit_tokens_left, limit_requests_reset, limit_tokens_reset;
    struct str error_type; /* Amazon: the name of its exception, maybe with an address behind a colon */
    struct str date;       /* of the answer: what a retry-after that is a date is counted from */
};

struct part;
struct media_list;

/* What the configuration and the clock know of a target and its writer cannot; all zero: nothing is known. */
struct target_hints {
    int64_t max_output;               /* tokens the model can give at most; 0 unknown */
    bool max_completion_tokens;       /* OpenAI: a host (Azure) whose model names tell nothing takes the newer field */
    bool invoke;                      /* Anthropic: behind Bedrock's InvokeModel, which wraps the events of a stream */
    const struct host_quirks *quirks; /* OpenAI: what this host refuses (host_quirks.h); NULL: nothing known */
    bool bare_count; /* Gemini: countTokens takes the request as it is (Vertex), not in a member of its own */
    bool bytes_only; /* images and files by URL are not taken, whatever the dialect says (a Claude behind a cloud) */
    struct media_list *media; /* what was fetched and what is to be (media.h); NULL: URLs are not fetched */
    struct str id;            /* of this call: names an answer whose provider gives it none */
    uint64_t now_s;           /* seconds since 1970, for `created`; 0 unknown */
};

/* What a path is made of where the model stands in it. */
struct target_path {
    struct str base, model;
    bool stream, counts;
    bool json_array; /* the stream as one array, which is what Gemini sends unless it is asked for events */
};

struct dialect {
    enum dialect_id id;
    const char *name; /* "openai", "anthropic": labels, x-weir-loss, logs */

    /* whole bodies */
    enum weir_err (*read_request)(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why);
    /* chat is the writer's own: it may note renamed tools there */
    enum weir_err (*write_request)(struct chat *chat, struct str model, const struct target_hints *hints,
                                   struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why);
    enum weir_err (*read_answer)(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why);
    void (*write_answer)(const struct answer *answer, struct buf *out);

    bool (*takes_url)(const struct part *p); /* the provider fetches a part by http(s) URL itself; NULL: none */
    bool no_text_files;                      /* files of text are refused there: they go as text */

    /* Streams. st is the dialect's own state, new per attempt: zeroed memory of that size, which begins with a struct
     * stream_reader or stream_writer (chat.h) that is filled in. */
    size_t reader_bytes, writer_bytes;
    enum framing framing; /* in which providers are read and all that is written below is framed */
    /* One message of the stream in; any number of deltas out, through emit(). An event it cannot read is WEIR_UP_PROTOCOL.
     * a lives as long as the event; what must live longer is copied into the reader's own arena. */
    enum weir_err (*read_event)(void *st, struct str name, struct str data, struct arena *a,
                                void (*emit)(void *to, const struct delta *d), void *to);
    /* NULL: there is a terminal event. Else the end of the body is the end: what a finish seen before it leads to. */
    void (*read_end)(void *st, void (*emit)(void *to, const struct delta *d), void *to);
    void (*write_delta)(void *st, const struct delta *d, struct buf *out);
    /* The error that ends a stream under way, where its events must go on counting; NULL: write_stream_error() will do. */
    void (*write_broken)(void *st, enum weir_err e, struct str message, struct buf *out);
    void (*write_ping)(
        struct buf *out); /* what keeps this dialect's clients awake, between events; NULL: nothing would */
    void (*write_end)(struct buf *out); /* the bare terminal event, for a stream that is passed through */

    /* errors; a status of 2xx: WEIR_OK unless the body holds an error all the same */
    void (*read_error)(uint16_t status, const struct answer_headers *h, struct str body, struct arena *a,
                       struct upstream_error *ret_error);
    uint16_t (*error_status)(enum weir_err e); /* the table's, but Anthropic's 529 and 402 */
    void (*write_error)(enum weir_err e, struct str message, struct str request_id, struct buf *out);
    void (*write_retry)(uint64_t seconds,
                        struct buf *out); /* where clients look into that body for it; NULL: a header */
    void (*write_stream_error)(enum weir_err e, struct str message,
                               struct buf *out); /* the in-stream error event that ends a stream */

    const char *error_header;                   /* a header that has the error's word for these clients, and … */
    const char *(*error_word)(enum weir_err e); /* … the word; NULL: none */
    const char *id_header;                      /* where their SDKs look for the request's id; NULL: in x-request-id */

    /* habits */
    const char *path;      /* asked at a provider, behind a base path with its version: "/messages" */
    bool base_is_whole;    /* a base path that is not empty already has its version, whatever it looks like */
    bool ends_at_finish;   /* hosts leave out the terminal event: the end of the body after a finish is an end */
    bool usage_on_request; /* the event that holds only usage is for clients that asked for it */
    bool model_in_path;    /* the model and whether to stream stand in the path, not in the body */
    void (*write_path)(const struct target_path *t,
                       struct buf *out); /* the whole path, with its query; NULL: `path` behind the base, as usual */
    bool streams_unasked;                /* a request that says nothing of streaming wants a stream */
    uint8_t cites;                       /* kinds of citations that its answers have a form for: bits of CITES() */
    bool starts_once;                    /* clients refuse a second opening of a stream */
};

const struct dialect *dialect_of(enum dialect_id id);
const struct dialect *dialect_by_name(struct str name); /* NULL: none */
