/* openai_chat.h — OpenAI Chat Completions and its many look-alikes: what its files share
 * Owns:     the dialect's row.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    as dialect.h says.
 * Not here: the hub (chat.h).
 * Sources: openai-node's type declarations, OpenAI API reference, recorded answers of some twenty hosts. */
#pragma once

#include "proto/dialect/chat.h"

#include <yyjson.h>

extern const struct dialect openai_chat;

/* openai_chat_read.c, openai_chat_write.c */
enum weir_err openai_chat_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why);
enum weir_err openai_chat_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                        struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why);

/* openai_chat_answer.c */
enum weir_err openai_chat_read_answer(struct str json, struct arena *a, struct answer **ret_answer,
                                      struct str *ret_why);
void openai_chat_write_answer(const struct answer *answer, struct buf *out);
bool openai_chat_read_usage(yyjson_val *body, struct usage *u); /* of an answer or a chunk; false: none there */
struct openai_usage_words { /* the same figures under the names that an API of OpenAI's has for them */
    const char *in, *in_details, *out, *out_details;
};
bool openai_read_usage(yyjson_val *body, const struct openai_usage_words *words, struct usage *u);
void openai_chat_write_usage(const struct usage *u, struct buf *out);
enum finish openai_chat_finish_of(struct str word);
const char *openai_chat_finish_word(enum finish f);
/* One entry of reasoning_details, by which a client can carry a provider's signature back to it. */
void openai_chat_write_reasoning_detail(const struct part *p, unsigned index, struct buf *out);
/* The text of a content that is a string or an array of parts: texts of kind `thinking` are reasoning (Mistral). */
struct str openai_chat_content_text(yyjson_val *content, bool thinking, struct arena *a);
/* reasoning_content or reasoning; else what stands in reasoning_details (OpenRouter), as far as it is text. */
struct str openai_chat_reasoning_text(yyjson_val *message, struct arena *a);
struct str openai_chat_logprobs(yyjson_val *choice, struct arena *a);

/* openai_citations.c: annotations */
bool openai_read_annotation(yyjson_val *v, struct citation *ret_citation); /* nested or flat; false: not known */
void openai_read_annotations(yyjson_val *list, struct arena *a, struct citations *ret_list);
yyjson_val *openai_search_results(yyjson_val *root); /* Perplexity: beside the choices; NULL: none */
bool openai_read_search_result(yyjson_val *v, struct citation *ret_citation);
void openai_chat_write_annotation(const struct citation *c, int64_t before,
                                  struct buf *out); /* of a page: Chat has no other */

/* openai_chat_events.c: chunks in; openai_chat_stream.c: chunks out */
enum { OPENAI_CHAT_CALLS_MOST = 128 };
/* A call of the message. Its arguments are watched just far enough to know when they are whole: then it can be closed
 * as the next one opens, and a client whose blocks must not overlap gets the next one at once. */
struct openai_chat_call {
    int64_t wire_index;
    struct str id;
    unsigned part;
    unsigned depth;
    bool open, in_string, escaped, whole, custom;
};
struct openai_chat_reader {
    struct stream_reader base;
    bool started;
    unsigned parts;                                   /* opened so far */
    unsigned open_text, open_reasoning, open_refusal; /* index + 1 of the open one; 0 none */
    int64_t text_before, text_points;                 /* characters of the content: before the open text, in all */
    struct citations cited; /* that came before any text; searched: others stand for all of it */
    bool is_cited;
    unsigned calls;
    struct openai_chat_call call[OPENAI_CHAT_CALLS_MOST];
    struct usage usage;
};
enum weir_err openai_chat_read_event(void *st, struct str name, struct str data, struct arena *a,
                                     void (*emit)(void *to, const struct delta *d), void *to);
struct openai_chat_writer {
    struct stream_writer base;
    struct str id, model;
    struct openai_chat_open *open; /* parts that are open */
    unsigned tools;                /* opened so far: the next call's index */
    unsigned reasonings;
    bool ended;
    struct usage usage;
};
void openai_chat_write_delta(void *st, const struct delta *d, struct buf *out);
void openai_chat_write_ping(struct buf *out);
void openai_chat_write_end(struct buf *out);
void openai_chat_write_stream_error(enum weir_err e, struct str message, struct buf *out);
