/* findings.h — what `weir doctor` found, and how it reads
 * Owns:     its lines, in the order of adding.
 * Process:  weir-controlplane --doctor; pure but for the buf it writes to.
 * Memory:   an arena of its own.
 * Fails:    never.
 * Not here: looking (doctor.c). */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"

enum finding_state {
    FINDING_OK,
    FINDING_LOOK, /* works, but look at it */
    FINDING_BAD,  /* calls fail, or weir does not start */
};

struct finding {
    struct finding *next;
    const char *what; /* "key" */
    enum finding_state state;
    struct str text, hint; /* one line each; hint: what to do, empty where nothing is to be done */
};

struct finding_section { /* its findings stand together, whenever they were added */
    struct finding_section *next;
    struct str name;
    struct finding *first, **end;
};

struct findings {
    struct arena arena;
    struct finding_section *first, **end;
    unsigned count[FINDING_BAD + 1];
};

void findings_init(struct findings *f);
void findings_fini(struct findings *f);

/* Sections read in the order in which they were named first. The name is copied. */
struct finding_section *finding_section(struct findings *f, struct str name);

/* The text is copied, hint is static or lives in f->arena. Text is one line; bytes below a space become one. */
void finding_add(struct findings *f, struct finding_section *section, const char *what, enum finding_state state,
                 const char *hint, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* √ ‼ × before each line, a hint below what needs one, a last line that counts. */
void findings_write_text(const struct findings *f, bool colour, struct buf *out);
/* {"ok":…,"findings":[{"section","what","state","text","hint"}]} */
void findings_write_json(const struct findings *f, struct buf *out);
