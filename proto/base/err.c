#include "proto/base/err.h"

#include <string.h>
#include <strings.h>

#define X(name_, http_, fault_, next_, breaker_, otype, ocode, atype, gstatus, text_) \
    [WEIR_##name_] = {.name = #name_,                                                 \
                      .http = http_,                                                  \
                      .fault = FAULT_##fault_,                                        \
                      .next = NEXT_##next_,                                           \
                      .breaker = BREAKER_##breaker_,                                  \
                      .openai_type = otype,                                           \
                      .openai_code = ocode,                                           \
                      .anthropic_type = atype,                                        \
                      .gemini_status = gstatus,                                       \
                      .text = text_},
static struct err_row rows[WEIR_ERR_COUNT] = {WEIR_ERRORS(X)};
#undef X

/* The words are the names in lower case; made once at program start, before any thread or loop. */
static char words[WEIR_ERR_COUNT][32];

__attribute__((constructor)) static void make_words(void)
{
    for (int e = 0; e < WEIR_ERR_COUNT; e++) {
        size_t n = strnlen(rows[e].name, sizeof words[e] - 1);
        for (size_t i = 0; i < n; i++) {
            char c = rows[e].name[i];
            words[e][i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        }
        rows[e].word = words[e];
    }
}

const struct err_row *err_row(enum weir_err e)
{
    return &rows[(unsigned)e < WEIR_ERR_COUNT ? e : WEIR_INTERNAL];
}

const char *err_word(enum weir_err e)
{
    return err_row(e)->word;
}

enum weir_err err_of_word(const char *word)
{
    for (int e = 0; e < WEIR_ERR_COUNT; e++)
        if (strcasecmp(word, rows[e].name) == 0) return (enum weir_err)e;
    return WEIR_INTERNAL;
}
