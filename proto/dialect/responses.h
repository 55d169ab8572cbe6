/* responses.h — OpenAI Responses, for clients (stateless use) and for providers: what its files share
 * Owns:     the dialect's row.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    as dialect.h says.
 * Not here: the hub (chat.h), stored responses.
 * Sources: openai-node's type declarations (resources/responses), OpenAI API reference, recorded streams. */
#pragma once

#include "proto/dialect/chat.h"
#include "proto/dialect/mark.h"

#include <yyjson.h>

extern const struct dialect responses;

/* Reasoning of another dialect's provider travels in encrypted_content: the mark, then what its maker signed. */
#define RESPONSES_SIGNED   MARK ":signed:"
#define RESPONSES_REDACTED MARK ":redacted:"

/* responses_write.c */
enum weir_err responses_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                      struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why);

/* responses_output.c: a provider's response object */
enum weir_err responses_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why);
struct str responses_call_name(yyjson_val *item, struct arena *a);
/* A tool inside a namespace is one tool with both names to whoever knows no namespaces. */
struct str responses_join_name(struct str space, struct str name, struct arena *a);
struct str responses_reasoning_text(yyjson_val *item, struct arena *a);
struct str responses_signature(yyjson_val *item, struct arena *a);  /* to be carried by clients of other dialects */
struct str responses_logprobs(yyjson_val *holder, struct arena *a); /* of a text or a piece of it */
enum finish responses_finish_of(yyjson_val *response, bool calls);
bool responses_read_usage(yyjson_val *response, struct usage *u); /* false: none there */

/* responses_events.c: a provider's stream */
struct responses_reader {
    struct stream_reader base;
    bool started, calls;
    unsigned parts; /* opened so far */
    unsigned pieces_n;
    struct responses_piece *pieces;
    struct usage usage;
};
enum weir_err responses_read_event(void *st, struct str name, struct str data, struct arena *a,
                                   void (*emit)(void *to, const struct delta *d), void *to);

/* responses_read.c */
enum weir_err responses_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why);

/* responses_answer.c: pieces that the whole answer and the stream's events share */
struct responses_state {
    const struct chat *chat; /* NULL: not known */
    struct str id, model;
    int64_t created_s;
    const char *status; /* "in_progress", "completed", "incomplete", "failed" */
    enum finish finish;
    const struct parts *parts;
    const struct usage *usage; /* NULL: null */
    enum weir_err err;         /* status failed */
    struct str message;
};
bool responses_has_item(enum part_kind kind); /* other kinds have no output item */
const char *responses_status_of(enum finish f);
void responses_write_id(struct str id, struct buf *out); /* with quotes and "resp_" */
void responses_write_item_id(struct str id, const struct part *p, unsigned n, struct buf *out); /* with quotes */
void responses_write_content(const struct part *p, struct buf *out); /* the part of a message */
void responses_write_item(const struct part *p, struct str id, unsigned n, const char *status, struct buf *out);
void responses_write_state(const struct responses_state *s, struct buf *out);
void responses_write_answer(const struct answer *answer, struct buf *out);

void responses_write_annotation(const struct citation *c, struct buf *out); /* openai_citations.c */

/* responses_stream.c */
struct responses_writer {
    struct stream_writer base;
    struct str id, model;
    uint64_t sequence;
    struct parts parts; /* opened so far: the position is output_index */
    struct responses_open *open;
    enum finish finish;
    struct usage usage;
};
void responses_write_delta(void *st, const struct delta *d, struct buf *out);
void responses_write_broken(void *st, enum weir_err e, struct str message, struct buf *out);
void responses_write_ping(struct buf *out);
void responses_write_stream_error(enum weir_err e, struct str message, struct buf *out);
