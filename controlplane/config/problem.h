/* problem.h — what is wrong with a configuration: every problem with its place, the line, a caret and a way out
 * Owns:     the messages and its own copy of the file's text; problems_fini() frees both.
 * Process:  control plane; pure.
 * Memory:   one arena. After PROBLEMS_KEPT of a kind further ones are only counted.
 * Fails:    never.
 * Not here: finding problems (tree.c, bind.c, check.c), printing them (the caller owns the terminal). */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"

enum { PROBLEMS_KEPT = 20, PROBLEM_FILES = 16 };

struct place { /* of the first character; both from 1, columns in characters. line 0: the file as a whole */
    uint32_t line, column, width;
};

enum problem_level { PROBLEM_ERROR, PROBLEM_WARNING };

struct problem {
    enum problem_level level;
    struct place at;
    bool hide_line; /* the line may hold a secret that masking cannot find */
    struct str text;
    struct str hint; /* "did you mean …"; empty for none */
};

struct problems {
    struct arena arena;
    struct str name; /* "weir.yaml": what stands before each message */
    struct str source;
    struct problem kept[2 * PROBLEMS_KEPT];
    unsigned n;
    unsigned errors, warnings;      /* all of them, kept or not */
    struct str file[PROBLEM_FILES]; /* files beside the configuration that could not be used: worth watching */
    unsigned files_n;
};

void problems_init(struct problems *p, struct str name);
void problems_fini(struct problems *p);
void problems_source(struct problems *p, struct str text); /* copied: the lines that messages show */

void problem_error(struct problems *p, struct place at, struct str hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void problem_warning(struct problems *p, struct place at, struct str hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void problem_file(struct problems *p, struct str path);
void problem_hide_line(struct problems *p); /* of the problem added last */

/* In the order of the file, errors and warnings mixed. json: one object. github: workflow commands, one a line. */
void problems_write_text(const struct problems *p, struct buf *out);
void problems_write_json(const struct problems *p, struct buf *out);
void problems_write_github(const struct problems *p, struct buf *out);
/* The first error as one line, without its source line: for logs and admin replies. */
void problems_write_first(const struct problems *p, struct buf *out);
