/* anthropic.h — Anthropic Messages: what its files share
 * Owns:     the dialect's row.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    as dialect.h says.
 * Not here: the hub (chat.h).
 * Sources: Anthropic API reference (Messages, streaming, errors, versions), the SDK's type declarations, recorded answers. */
#pragma once

#include "proto/dialect/chat.h"
#include "proto/dialect/serial.h"

#include <yyjson.h>

extern const struct dialect anthropic;

/* anthropic_read.c, anthropic_write.c */
enum weir_err anthropic_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why);
enum weir_err anthropic_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                      struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why);

/* anthropic_answer.c */
enum weir_err anthropic_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why);
void anthropic_write_answer(const struct answer *answer, struct buf *out);
bool anthropic_read_usage(yyjson_val *usage,
                          struct usage *u); /* absent and null figures leave what is there; false: none there */
void anthropic_write_usage(const struct usage *u, struct buf *out);
enum finish anthropic_finish_of(struct str word);
const char *anthropic_finish_word(enum finish f);
void anthropic_write_arguments(struct str arguments, struct buf *out); /* as an object, whatever they are */

/* anthropic_citations.c: of text blocks, in answers and in what a client sends back */
bool anthropic_read_citation(yyjson_val *v, struct citation *ret_citation); /* false: of a kind that is not known */
void anthropic_read_citations(yyjson_val *list, struct arena *a, struct citations *ret_list);
void anthropic_write_citation(const struct citation *c, struct buf *out);
/* A member of a text block that goes back to a provider. false: some were left out, for Anthropic takes pages only with its own proof. */
bool anthropic_write_cited_before(const struct citations *list, struct buf *out);

/* anthropic_events.c: events in; anthropic_stream.c: events out */
struct anthropic_reader {
    struct stream_reader base;
    bool started;
    bool open;
    enum part_kind kind; /* of the open block */
    unsigned parts;      /* opened so far */
    struct usage usage;
};
enum weir_err anthropic_read_event(void *st, struct str name, struct str data, struct arena *a,
                                   void (*emit)(void *to, const struct delta *d), void *to);
struct anthropic_writer {
    struct stream_writer base;
    struct serial blocks;
    bool has_refusal;
    enum finish finish;
    struct str stop_sequence;
    struct usage usage;
};
void anthropic_write_delta(void *st, const struct delta *d, struct buf *out);
void anthropic_write_ping(struct buf *out);
void anthropic_write_end(struct buf *out);
void anthropic_write_stream_error(enum weir_err e, struct str message, struct buf *out);
