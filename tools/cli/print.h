/* print.h — rows of an answer as a table, CSV or JSON
 * Owns:     nothing.
 * Process:  weir (CLI).
 * Memory:   bounded by the answer.
 * Fails:    never; a value that is not there prints as "-".
 * Not here: what the columns mean (cmd_*.c). */
#pragma once

#include "proto/admin/message.h"

enum column_kind {
    COLUMN_TEXT,
    COLUMN_INT,     /* 1,234,567 */
    COLUMN_USD,     /* nano-dollars; nil: unknown, shown as ? */
    COLUMN_MS,      /* milliseconds -> "0.61 s", "12 ms" */
    COLUMN_US,      /* microseconds -> as above */
    COLUMN_TIME,    /* wall nanoseconds -> local time on a terminal, RFC 3339 UTC otherwise */
    COLUMN_PERCENT, /* per mille -> "12.3 %" */
};

struct column {
    const char *key; /* in the row's map */
    const char *title;
    enum column_kind kind;
};

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_CSV };

/* "-o X" of a read verb. false: not one of ours (message printed). */
bool output_parse(const char *text, enum output *ret_output);

/* rows: array of maps. total: a map printed as a last line under a rule, or NULL. JSON prints `whole` as it came. */
void print_rows(enum output o, const msgpack_object *whole, const msgpack_object *rows, const msgpack_object *total,
                const struct column *columns, size_t n);
void print_json(const msgpack_object *o);

bool colour_is_on(void); /* stdout is a terminal, and neither NO_COLOR nor TERM=dumb */
void format_cell(const msgpack_object *value, enum column_kind kind, struct buf *out);
void add_safe(struct buf *out,
              struct str s); /* C0, C1 and DEL as \xNN: what a provider or client wrote cannot steer a terminal */
