/* retry.h — what follows after a failed attempt
 * Owns:     nothing; the rule is a pure function of what is known, so that it can be read and tested in one place.
 * Process:  worker.
 * Memory:   none.
 * Fails:    never.
 * Not here: which target is next (route.c), how long to wait before the same one (request.c). */
#pragma once

#include "proto/base/err.h"

#include <stdbool.h>

struct retry_question {
    enum weir_err err;
    uint16_t status;       /* the provider's; 0: no complete answer */
    bool committed;        /* content has reached the client */
    bool redial;           /* the connection failed before the provider can have seen the request */
    bool on_status;        /* the route's retry.on_status names the status */
    bool should_not_retry; /* the provider said x-should-retry: false */
    unsigned tries;        /* attempts of this request so far */
    unsigned same_tries;   /* of this target */
    unsigned attempts;     /* retry.attempts: tries of one target */
    unsigned most;         /* tries of one request */
};

enum retry_verdict {
    RETRY_STOP,   /* the call ends with this error */
    RETRY_REDIAL, /* at once, the same target on a new connection; not counted: the provider cannot have begun */
    RETRY_SAME,   /* the same target, after a pause, if its retry budget allows; else the next */
    RETRY_NEXT,   /* the next target */
};

enum retry_verdict retry_judge(const struct retry_question *q);

/* Between two tries of one target: doubling from `backoff`, at most `most`, and half of it by chance so that callers spread. */
uint64_t retry_pause_ms(unsigned same_tries, uint32_t backoff_ms, uint32_t most_ms, uint64_t random);
