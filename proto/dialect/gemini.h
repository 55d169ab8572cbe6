/* gemini.h — Gemini generateContent: what its files share
 * Owns:     the dialect's row.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    as dialect.h says.
 * Not here: the hub (chat.h), the model in the path (endpoint.h).
 * Sources: Gemini API reference (generateContent, streamGenerateContent, thought signatures, troubleshooting), the SDK's
 *          type declarations, recorded answers. */
#pragma once

#include "proto/dialect/chat.h"
#include "proto/dialect/gemini_grounding.h"

#include <yyjson.h>

extern const struct dialect gemini;

/* ":generateContent" …: what stands behind a model in the path, with its query. json_array: a stream as one array, not as events. */
const char *gemini_method(bool stream, bool counts, bool json_array);

/* Members are camelCase, and snake_case where a client writes protobuf's own names. NULL: absent or null. */
yyjson_val *gemini_get(yyjson_val *o, const char *camel);
struct str gemini_get_str(yyjson_val *o, const char *camel);

/* gemini_read.c, gemini_write.c, gemini_contents.c */
enum weir_err gemini_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why);
enum weir_err gemini_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                   struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why);

/* gemini_schema.c: a JSON Schema that Gemini takes as parametersJsonSchema or responseJsonSchema */
void gemini_write_schema(struct str schema, struct arena *a, struct buf *out, struct loss *loss);
/* The other way: the OpenAPI subset of `parameters` and `responseSchema` as JSON Schema. */
struct str gemini_schema_text(yyjson_val *schema, struct arena *a);

/* gemini_answer.c */
enum weir_err gemini_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why);
/* gemini_logprobs.c: in OpenAI's form, empty if there are none; and out again, behind a comma */
struct str gemini_read_logprobs(yyjson_val *candidate, struct arena *a);
void gemini_write_logprobs(struct str list, struct buf *out);
void gemini_write_answer(const struct answer *answer, struct buf *out);
bool gemini_read_usage(yyjson_val *usage, struct usage *u);
void gemini_read_searches(yyjson_val *root, struct usage *u); /* of an answer or a chunk */
void gemini_write_usage(const struct usage *u, struct buf *out);
/* has_calls: STOP then means that tools are called. FINISH_ERROR: the answer is malformed and no success. */
enum finish gemini_finish_of(struct str word, bool has_calls);
const char *gemini_finish_word(enum finish f, bool has_refusal);
/* The parts of an answer, one at a time, as they stand between "parts":[ and ]. */
void gemini_write_text(struct str text, bool thought, struct str signature, struct buf *out);
void gemini_write_call(struct str id, struct str name, struct str arguments, struct str signature, struct buf *out);
/* "gemini": one of MARK_GEMINI's carriers around Gemini's own signature, in the arena */
struct str gemini_carry(struct arena *a, const char *mark, struct str signature);
/* What a Gemini client gets as thoughtSignature for a signature of another maker, and back: base64, as the field demands. */
struct str gemini_wrap(struct arena *a, struct str signature, bool redacted);
bool gemini_unwrap(struct arena *a, struct str wire, struct str *ret_signature, bool *ret_redacted);

/* gemini_events.c: chunks in; gemini_stream.c: chunks out */
struct gemini_reader {
    struct stream_reader base;
    bool started;
    bool open;
    enum part_kind kind; /* of the open part: text and thoughts come in pieces */
    unsigned parts;      /* opened so far */
    unsigned calls;
    unsigned finished;    /* candidates that have their reason */
    struct str finish;    /* of the first candidate */
    struct text_map text; /* all of it, thoughts aside: supports count its bytes */
    int64_t text_before;  /* characters before the open text */
    struct usage usage;
};
enum weir_err gemini_read_event(void *st, struct str name, struct str data, struct arena *a,
                                void (*emit)(void *to, const struct delta *d), void *to);
void gemini_read_end(void *st, void (*emit)(void *to, const struct delta *d), void *to);

struct gemini_writer {
    struct stream_writer base;
    struct str id, model;
    struct gemini_open *open; /* parts whose end is waited for */
    bool has_refusal;
    enum finish finish;
    struct text_map text;
    struct gemini_grounding grounding;
    struct usage usage;
};
void gemini_write_delta(void *st, const struct delta *d, struct buf *out);
void gemini_write_ping(struct buf *out);
void gemini_write_end(struct buf *out);
void gemini_write_stream_error(enum weir_err e, struct str message, struct buf *out);
