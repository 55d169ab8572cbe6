/* cohere.h — Cohere's chat (/v2/chat), for clients and providers: what its files share
 * Owns:     the dialect's row.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    as dialect.h says.
 * Not here: the hub (chat.h); messages and tools, which have OpenAI's form (openai_chat_messages.h, function_tools.h).
 * Source: Cohere API reference v2, its TypeScript client's types, recorded answers. */
#pragma once

#include "proto/dialect/chat.h"
#include "proto/dialect/serial.h"

#include <yyjson.h>

extern const struct dialect cohere;

/* What Cohere's look-alike of OpenAI lacks has a path of Cohere's own; empty: no such base path, or nothing that it lacks. */
struct str cohere_own_path(struct str base, struct str tail, struct arena *a);

/* cohere_request.c */
enum weir_err cohere_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why);
enum weir_err cohere_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                   struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why);

/* cohere_documents.c: in a request, and how citations name them */
struct turns;
enum weir_err cohere_read_documents(struct chat *chat, yyjson_val *list, struct arena *a, struct str *ret_why);
struct str cohere_take_documents(struct turns *turns, struct arena *a); /* JSON; empty: none. They leave their turns */
bool cohere_document_number(struct str id, int64_t *ret_number);        /* false: an id that is not ours */

/* cohere_answer.c */
enum weir_err cohere_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why);
void cohere_write_answer(const struct answer *answer, struct buf *out);
enum finish cohere_finish_of(struct str word);
const char *cohere_finish_word(enum finish f);
bool cohere_read_usage(yyjson_val *usage, struct usage *u);
void cohere_write_usage(const struct usage *u, struct buf *out);
void cohere_write_error(enum weir_err e, struct str message, struct buf *out); /* {"message"} */

/* cohere_citations.c. Of one citation each source is told; what comes back is the number of the content block, -1: of no text. */
int64_t cohere_read_citation(yyjson_val *v, void (*found)(void *to, const struct citation *c), void *to);
/* All with the same span go into one; what comes back is the first one of another. content: -1 not told. */
const struct citation *cohere_write_citation(const struct citation *c, struct str text, int content, struct buf *out);

/* cohere_events.c: both ways */
struct cohere_reader {
    struct stream_reader base;
    unsigned parts; /* opened so far */
    bool open;      /* the last one still is */
    enum part_kind kind;
    struct usage usage;
};
enum weir_err cohere_read_event(void *st, struct str name, struct str data, struct arena *a,
                                void (*emit)(void *to, const struct delta *d), void *to);
struct cohere_writer {
    struct stream_writer base;
    struct serial serial;
    struct str id;
    bool has_arguments;       /* of the live call */
    unsigned citations;       /* told so far */
    struct cohere_said *said; /* texts that are open: a citation repeats the words that it is for */
    enum finish finish;
    struct usage usage;
};
void cohere_write_delta(void *st, const struct delta *d, struct buf *out);
void cohere_write_stream_error(enum weir_err e, struct str message, struct buf *out);
