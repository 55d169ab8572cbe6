/* prices.h — the list of what models cost: built in, or a file of the same form
 * Owns:     struct prices: rows sorted by name; prices_fini() frees them.
 * Process:  control plane, at start and at a reload; pure but for the built-in text.
 * Memory:   the heap, about 400 bytes a row.
 * Fails:    prices_parse() names the line and what is wrong with it; a list is taken whole or not at all.
 * Not here: arithmetic (proto/money), prices that the configuration sets (controlplane/config). */
#pragma once

#include "proto/base/str.h"
#include "proto/money/price.h"
#include "shm/layout.h"

struct price_entry {
    char name[NAME_MODEL + NAME_PROVIDER]; /* "gpt-x", or "host/gpt-x" where the host decides the price */
    char source[24];
    struct price_row row;
    uint32_t context_window; /* tokens; 0 unknown */
    uint32_t max_output;     /* tokens; 0 unknown */
};

struct prices {
    struct price_entry *rows;
    unsigned n;
    uint32_t date; /* yyyymmdd, of the newest row */
};

/* The form is described at the head of prices.tbl. On failure *ret_why is "line 12: …", at most why_bytes. */
bool prices_parse(struct str text, struct prices *ret_prices, char *ret_why, unsigned why_bytes);
/* The list of this build. A unit test keeps it valid, so that failing here is a bug and ends the process. */
void prices_builtin(struct prices *ret_prices);
void prices_fini(struct prices *p);

/* "provider/model", then the model; each as it is, then without a date at its end ("-2026-05-01", "-20260501", "@20260501",
 * "-latest"); then behind each '/' of the model ("anthropic/claude-x"). NULL: unknown. Either may be empty. */
const struct price_entry *prices_find(const struct prices *p, struct str provider, struct str model);
