/* converse.h — Amazon Bedrock's Converse and ConverseStream: what its files share
 * Owns:     the dialect's row.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    as dialect.h says.
 * Not here: the model in the path (endpoint.h), signatures of requests (proto/auth), frames (wire/eventstream.h).
 * Sources: Amazon Bedrock API reference (Converse, ConverseStream, data types), the SDK's type declarations, recorded answers. */
#pragma once

#include "proto/dialect/chat.h"
#include "proto/dialect/serial.h"

#include <yyjson.h>

extern const struct dialect converse;

/* converse_read.c, converse_blocks.c, converse_write.c, converse_turns.c */
enum weir_err converse_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why);
enum weir_err converse_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                     struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why);

/* converse_answer.c */
enum weir_err converse_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why);
/* What its own provider made is bare in its clients' hands, what others made is marked. As a member with its value. */
void converse_write_signature(struct str signature, bool redacted, struct buf *out);
void converse_write_answer(const struct answer *answer, struct buf *out);
bool converse_read_usage(yyjson_val *usage, struct usage *u); /* false: none there */
void converse_write_usage(const struct usage *u, struct buf *out);
/* FINISH_ERROR: the answer is malformed and no success. */
enum finish converse_finish_of(struct str word);
const char *converse_finish_word(enum finish f);
/* What other dialects' clients carry for a signature of Bedrock's, and what Bedrock's carry for another's. In the arena. */
struct str converse_carry(struct arena *a, struct str signature, bool redacted);
/* A signature as a Converse client sends it, into hub form: sets signature and foreign. */
void converse_uncarry(struct arena *a, struct str wire, struct part *p);

/* converse_citations.c */
bool converse_read_citation(yyjson_val *v, struct arena *a, struct citation *ret_citation);
void converse_read_citations(yyjson_val *list, struct arena *a, struct citations *ret_list);
struct str converse_cited_text(yyjson_val *pieces, struct arena *a); /* of [{"text"}] */
void converse_write_citation(const struct citation *c, struct buf *out);
void converse_write_cited(struct str text, const struct citation *first, unsigned n, struct buf *out); /* a block */

/* converse_events.c: messages in; converse_stream.c: messages out */
struct converse_reader {
    struct stream_reader base;
    bool started;
    bool open;
    int64_t wire_index;  /* of the open block */
    enum part_kind kind; /* of the open block */
    bool is_signed;      /* the open block has a signature, or its beginning */
    unsigned parts;      /* opened so far */
    enum finish finish;
    struct str stop_sequence;
    struct usage usage;
};
enum weir_err converse_read_event(void *st, struct str name, struct str data, struct arena *a,
                                  void (*emit)(void *to, const struct delta *d), void *to);
void converse_read_end(void *st, void (*emit)(void *to, const struct delta *d), void *to);

struct converse_writer {
    struct stream_writer base;
    struct serial blocks;
    struct arena_text signature; /* of the live block: whose it is shows in its beginning, so it goes out whole */
    bool has_refusal;
    enum finish finish;
    struct str stop_sequence;
    struct usage usage;
};
void converse_write_delta(void *st, const struct delta *d, struct buf *out);
void converse_write_ping(struct buf *out);
void converse_write_stream_error(enum weir_err e, struct str message, struct buf *out);
