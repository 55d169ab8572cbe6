/* keys.h — the table of all configuration keys: one row drives reading, checking, messages, `config show` and the JSON schema
 * Owns:     keys.tbl.h as an array, and the values' text forms (keys_parse, keys_format).
 * Process:  control plane; pure.
 * Memory:   static; parsed texts point into what they were parsed from.
 * Fails:    keys_parse() with a reason that names the value and the limit.
 * Not here: walking a file (bind.c), what several keys mean together (check.c). */
#pragma once

#include "controlplane/config/config.h"

enum key_section {
#define SECTION(id, type) SECTION_##id,
#include "controlplane/config/sections.tbl.h"
#undef SECTION
    SECTION_COUNT
};

enum key_kind {
    KIND_TEXT,
    KIND_SECRET,   /* text, never shown; has a sibling NAME_file */
    KIND_FILE,     /* path of a file that is watched */
    KIND_BOOL,     /* bool */
    KIND_INT,      /* int64_t */
    KIND_AUTO,     /* int64_t; "auto" is 0 */
    KIND_DURATION, /* int64_t, ms */
    KIND_SIZE,     /* int64_t, bytes */
    KIND_RATE,     /* int64_t, pico-dollars per token; USD per million tokens in the file */
    KIND_PERCENT,  /* int64_t, parts per million */
    KIND_WHEN,     /* int64_t, wall ms */
    KIND_ENUM,     /* int: index into choices */
    KIND_HASH,     /* uint8_t[32] */
    KIND_TEXTS,    /* struct texts; one text alone will do */
    KIND_STATUSES, /* uint64_t[8] */
    KIND_TAGS,     /* struct named_texts */
    KIND_SECTION,  /* a section inside */
    KIND_PRICE,    /* section price, or the word "free" */
    KIND_MAP,      /* NAME: section */
    KIND_LIST,     /* of sections */
    KIND_LATER,    /* known, not built */
};

enum key_reload { RELOAD_LIVE, RELOAD_RESTART };

#define KEY_REQUIRED "!" /* instead of a default */

struct key_row {
    enum key_section section;
    enum key_kind kind;
    const char *name;
    size_t offset;        /* into the section's struct */
    enum key_section sub; /* of the section kinds */
    int64_t lo, hi;       /* in the field's unit; of lists and maps: most entries */
    const char *choices;  /* ENUM: words in order; those behind '|' are of later versions */
    const char *fallback; /* the default as it would be written; "" none; KEY_REQUIRED */
    enum key_reload reload;
    const char *help;
};

extern const struct key_row key_rows[];
extern const size_t key_rows_n;

size_t section_bytes(enum key_section s);

/* Every struct of a pointer and a length (struct texts, struct config_routes …) has this shape: read and written through it. */
struct section_list {
    char *at;
    size_t n;
};
struct section_list section_list(const void *field);
struct section_at section_at(const void *section); /* what every section begins with */

const struct key_row *key_find(enum key_section s, struct str name); /* NULL: unknown */
/* The name nearest to a mistyped one, or NULL. */
const char *key_nearest(enum key_section s, struct str name);
bool key_is_required(const struct key_row *row);

struct str key_nearest_choice(const struct key_row *row, struct str word); /* the same for the words of an ENUM */

/* One value of the scalar kinds, from text (after ${VAR}) into the field. false: *why, a sentence without subject that fits behind
 * the key's name ("wants a duration with its unit"). It never holds the value, which may be a secret in the wrong place. */
bool key_parse(const struct key_row *row, struct str text, void *field, struct buf *why);
/* The other way, as YAML would have it (without quotes). Not for SECRET. */
void key_format(const struct key_row *row, const void *field, struct buf *out);
/* Word number i of a list of words "weighted ordered | least_cost"; empty at its end. *ret_later: behind the bar. */
struct str key_choice(const char *choices, unsigned i, bool *ret_later);
