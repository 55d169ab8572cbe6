/* citation.h — what a text of an answer rests on: one form for Anthropic's locations, OpenAI's annotations, Gemini's grounding, …
 * Owns:     nothing; every view points into the arena that the reader was given.
 * Process:  any; pure.
 * Memory:   the arena given in; at most CITATIONS_MOST for each text.
 * Fails:    never; what is beyond the limit is left out.
 * Not here: the form that a dialect has for it (anthropic_citations.c, openai_citations.c, gemini_grounding.c, …).
 *
 * Some APIs cite blocks (Anthropic, Converse: the whole text of a block rests on its citations), some spans (OpenAI and Cohere in characters,
 * Gemini in bytes of UTF-8). The hub has spans in characters of their part; a block is a span from 0 to its end. */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"

enum { CITATIONS_MOST = 1024 };

enum citation_kind {
    CITED_URL,      /* a page of the web: url, title */
    CITED_DOCUMENT, /* a document of the request: number, title; id where it is a file */
    CITED_FILE,     /* a file that the provider found: id, title */
    CITED_SOURCE,   /* a search result of the request or what a tool gave: id, title, number */
};

/* Bits of kinds, for what a dialect has a form. */
#define CITES(kind) (1u << (kind))
#define CITES_ALL   (CITES(CITED_URL) | CITES(CITED_DOCUMENT) | CITES(CITED_FILE) | CITES(CITED_SOURCE))

/* What `from` and `to` count in the cited document. */
enum citation_unit { UNIT_NONE, UNIT_CHARS, UNIT_PAGES, UNIT_BLOCKS };

struct citation {
    struct citation *next;
    enum citation_kind kind;

    int64_t start, end; /* in the answer's text; end -1: to the end of its part */
    struct str cited;   /* of the source, word for word; empty: not told */
    struct str url, title, id;
    int64_t number; /* DOCUMENT, SOURCE: its place among the request's; -1 not known */
    enum citation_unit unit;
    int64_t from, to; /* `to` is the first one behind */
    struct str proof; /* URL: Anthropic's encrypted_index */
};

/* In the order of their starts. */
struct citations {
    struct citation *first, *last;
    unsigned n;
};

/* Nothing is known of it yet, and it is for all of its part. */
struct citation citation_of(enum citation_kind kind);
/* Its span by the API's own figures; without any, or with an empty span, it is for all of its part. */
void citation_set_span(struct citation *c, int64_t start, int64_t end);
/* A copy of the struct in its place; its texts are not copied. */
void citation_add(struct citations *list, struct arena *a, const struct citation *c);
/* In the order of their telling instead; becomes the list's. */
void citation_append(struct citations *list, struct citation *own);
/* A copy with all texts, for who keeps it longer than an event. */
struct citation *citation_copy(struct arena *a, const struct citation *c);
/* kinds: bits of CITES(). What has an address fits where addresses do, whatever it is. */
bool citation_fits(const struct citation *c, unsigned kinds);

int64_t citation_points(struct str text); /* characters of UTF-8 */

/* For a writer: every end is known and inside its text; what the client's dialect has no form for is taken out. false: something was. */
struct parts;
bool citations_settle(struct parts *parts, unsigned kinds);

/* ---- Blocks of a text ---- */

/* A text cut where citations begin and end, for dialects that cite blocks. What overlaps is one block; blanks between two go with the one before. */
struct cited_block {
    struct str text;
    const struct citation *first; /* NULL: nothing is cited */
    unsigned n;
};
struct cited_walk {
    struct str left;
    int64_t at;
    const struct citation *next;
};
void cited_walk_init(struct cited_walk *w, struct str text, const struct citations *list);
bool cited_walk_next(struct cited_walk *w, struct cited_block *ret_block);

/* ---- Bytes and characters of a text that comes in pieces ---- */

struct text_map {
    struct text_run *runs; /* of characters that take the same number of bytes */
    unsigned n, cap;
    int64_t bytes, points;
};
void text_map_add(struct text_map *m, struct arena *a, struct str text);
int64_t text_map_point(const struct text_map *m, int64_t byte); /* both clamped to what is there */
int64_t text_map_byte(const struct text_map *m, int64_t point);

/* ---- A stream ---- */

/* Citations whose end is the end of their part, or is still to come, wait until it closes: only then the figure is known that
 * others want. */
struct delta;
struct citing {
    struct citing_part *open;
    int64_t points; /* of all text so far */
};
/* true: d is a citation and was told, or waits. tell() gets it with both figures and `before`; an end of 0 says that there is no text that
 * it could be of. */
bool citing_take(struct citing *s, const struct delta *d, struct arena *a,
                 void (*tell)(void *to, const struct delta *d), void *to);
