/* ollama.h — Ollama's chat (/api/chat), for clients and providers: what its files share
 * Owns:     the dialect's row.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    as dialect.h says.
 * Not here: the hub (chat.h); the OpenAI look-alike that Ollama has beside it (/v1).
 * Source: Ollama API reference, generate a chat completion; its JavaScript client. */
#pragma once

#include "proto/dialect/chat.h"
#include "proto/dialect/serial.h"

extern const struct dialect ollama;

/* ollama_read.c, ollama_write.c: requests */
enum weir_err ollama_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why);
enum weir_err ollama_write_request(struct chat *chat, struct str model, const struct target_hints *hints,
                                   struct buf *out, struct loss *loss, struct arena *a, struct str *ret_why);

/* ollama_answer.c: whole answers and lines */
struct ollama_reader {
    struct stream_reader base;
    bool started, calls;
    unsigned parts;                   /* opened so far */
    unsigned open_text, open_thought; /* index + 1 of the open one; 0 none */
    struct usage usage;
};
struct ollama_writer {
    struct stream_writer base;
    struct str model;
    struct serial serial;
    struct {
        char *p;
        size_t n, cap;
    } arguments; /* of the call that is being told: it goes out whole */
    enum finish finish;
    struct usage usage;
};
enum weir_err ollama_read_answer(struct str json, struct arena *a, struct answer **ret_answer, struct str *ret_why);
void ollama_write_answer(const struct answer *answer, struct buf *out);
enum weir_err ollama_read_event(void *st, struct str name, struct str data, struct arena *a,
                                void (*emit)(void *to, const struct delta *d), void *to);
void ollama_write_delta(void *st, const struct delta *d, struct buf *out);
/* {"error":"…"}, without a line end */
void ollama_write_error(enum weir_err e, struct str message, struct buf *out);
