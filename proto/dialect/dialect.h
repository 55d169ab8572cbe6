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

enum dialect_id { DIALECT_OPENAI_CHAT, DIALECT_ANTHROPIC, DIALECT_COUNT };

struct chat;   /* a request: chat.h */
struct answer; /* a unary answer: chat.h */
struct delta;  /* one step of a stream: chat.h */
struct loss;   /* what a translation could not carry: chat.h */

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
};

struct dialect {
    enum dialect_id id;
    const char *name; /* "openai", "anthropic": labels, x-weir-loss, logs */

    /* whole bodies */
    enum weir_err (*read_request)(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why);
    enum weir_err (*write_request)(const struct chat *chat, struct str model, struct buf *out, struct loss *loss,
                                   struct arena *a, struct str *ret_why);
    enum weir_err (*read_answer)(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why);
    void (*write_answer)(const struct answer *answer, struct buf *out);

    /* streams; st is the dialect's own state, new per attempt */
    size_t reader_bytes, writer_bytes; /* zeroed memory of that size is a fresh state */
    /* One SSE event in; any number of deltas out, through emit(). An event it cannot read is WEIR_UP_PROTOCOL. */
    enum weir_err (*read_event)(void *st, struct str name, struct str data, struct arena *a,
                                void (*emit)(void *to, const struct delta *d), void *to);
    void (*write_delta)(void *st, const struct delta *d, struct buf *out);
    void (*write_ping)(void *st, struct buf *out); /* what keeps this dialect's clients awake, between events */

    /* errors */
    void (*read_error)(uint16_t status, const struct answer_headers *h, struct str body, struct arena *a,
                       struct upstream_error *ret_error);
    uint16_t (*error_status)(enum weir_err e); /* the table's, but Anthropic's 529 and 402 */
    void (*write_error)(enum weir_err e, struct str message, struct str request_id, struct buf *out);
    void (*write_stream_error)(void *st, enum weir_err e, struct str message,
                               struct buf *out); /* the in-stream error event that ends a stream */
};

const struct dialect *dialect_of(enum dialect_id id);
const struct dialect *dialect_by_name(struct str name); /* NULL: none */
