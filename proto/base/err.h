/* err.h — one error code for everything that can go wrong with a call, and what follows from it
 * Owns:     the table of errors.tbl.h; a row decides status, blame, the journey's next move and each dialect's words.
 * Process:  any; pure.
 * Memory:   static text only.
 * Fails:    never; a code out of range reads as WEIR_INTERNAL.
 * Not here: reading a provider's error body (dialect/), rendering a client's (dialect/). */
#pragma once

#include "proto/base/errors.tbl.h"

#include <stdbool.h>
#include <stdint.h>

enum weir_err {
#define X(name, ...) WEIR_##name,
    WEIR_ERRORS(X)
#undef X
        WEIR_ERR_COUNT
};

enum err_fault { FAULT_NOBODY, FAULT_CLIENT, FAULT_UPSTREAM, FAULT_OURS };
enum err_next { NEXT_NO, NEXT_TARGET, NEXT_SAME };
enum err_breaker { BREAKER_IGNORE, BREAKER_COUNT, BREAKER_BENCH };

struct err_row {
    const char *name; /* "UP_TLS"; err_word() gives it in lower case for logs and labels */
    const char *word;
    uint16_t http;
    enum err_fault fault;
    enum err_next next;
    enum err_breaker breaker;
    const char *openai_type;
    const char *openai_code;
    const char *anthropic_type;
    const char *gemini_status;
    const char *text;
};

const struct err_row *err_row(enum weir_err e);

/* "up_tls": the word of logs, metrics and `weir tail`. */
const char *err_word(enum weir_err e);

/* Of a word written by err_word(); WEIR_INTERNAL for any other text. */
enum weir_err err_of_word(const char *word);

#define MUST_CHECK __attribute__((warn_unused_result))
