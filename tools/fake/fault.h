/* fault.h — what is to go wrong, as a control request described it, and for which calls
 * Owns:     struct faults: the list of one fake provider; each fault keeps the JSON document it came from.
 * Process:  weir-fake; pure.
 * Memory:   heap; a fault lives until it is cleared. Its texts point into its document.
 * Fails:    faults_add() says what is wrong with a description: unknown keys are refused, so that no test waits for a fault with a typo.
 * Not here: how a fault changes the bytes (program.c), connections (conn.c). The keys are described in README.md. */
#pragma once

#include "proto/base/buf.h"

#include <yyjson.h>

enum fault_end { FAULT_KEEP, FAULT_FIN, FAULT_RST, FAULT_STALL };

struct fault {
    struct fault *next;
    yyjson_doc *doc;
    unsigned id;

    /* which calls */
    struct str path, model; /* globs; empty: all */
    struct str dialect;
    struct str text; /* in the last user text; empty: any */
    int8_t stream;   /* -1: either */
    bool on_accept;  /* a connection, before a byte of it is read; `end` says how it goes */
    bool early;      /* answered when the head is read, the body is not waited for */
    int64_t times;   /* so often; -1: until cleared */
    uint64_t skip;   /* the first so many matching calls pass */
    uint64_t every;  /* then each nth; 1: all */
    uint64_t seen, hits;

    /* another answer */
    unsigned status;     /* 0: the usual one */
    yyjson_val *headers; /* object of strings */
    struct str body;     /* raw; p NULL: the dialect's own error body */
    struct str raw;      /* instead of HTTP; p NULL: not so */
    yyjson_val *usage;   /* object: these numbers instead of the counted ones; false: none sent */

    /* the same answer, otherwise told */
    uint32_t delay_head_ms, delay_first_ms, delay_event_ms;
    int64_t keep_bytes, keep_events; /* of the body; -1: all. What follows is `end` */
    int64_t malformed_after_events;  /* -1: not */
    int64_t spoil_event;             /* its last byte is wrong; -1: none */
    int64_t error_after_events;      /* -1: not. `error`: the event's error object, empty: overloaded */
    struct str error;
    uint32_t omit_events; /* at the end */
    uint32_t split_bytes, split_delay_ms;
    struct str extra;       /* behind the whole answer */
    int64_t content_length; /* -1: the true one */
    bool until_eof;         /* no length, no chunks: the close ends the body */
    bool connection_close;
    enum fault_end end;
};

struct faults {
    struct fault *first;
    unsigned last_id;
};

/* The facts of a call that a fault may ask for. model and dialect are empty as long as the body is not read. */
struct fault_facts {
    struct str path, model, dialect, text;
    bool stream;
};

/* 0 and *ret_why: refused. */
unsigned faults_add(struct faults *list, struct str json, const char **ret_why);
/* The first fault for this call, counted as used; NULL: none. */
struct fault *faults_take(struct faults *list, const struct fault_facts *facts, bool early);
struct fault *faults_take_accept(struct faults *list);
bool faults_clear(struct faults *list, unsigned id);          /* 0: all */
void faults_list(const struct faults *list, struct buf *out); /* a JSON array */
