/* host_quirks.h — where a host that speaks OpenAI's chat completions refuses what OpenAI takes: its body is cut to what it knows
 * Owns:     one table, host_quirks.tbl.h: only what was checked, each row with its source. A host without a row gets the body as it is.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in, for a body whose messages have to be looked at.
 * Fails:    never: what cannot be read goes out as it came.
 * Not here: what differs by the model alone (model_traits.h), addresses and keys (provider_type.h). */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/str.h"

struct loss;

enum host_choice { HOST_CHOICE_ANY, HOST_CHOICE_UNFORCED, HOST_CHOICE_AUTO };

/* Lists are words with a blank between them; NULL: none. */
struct host_quirks {
    const char *drops;   /* members of the request that it refuses and that only steer: left out, named as lost */
    const char *ignores; /* the same, but nobody misses them */
    const char *renames; /* "from>to": the same member under the host's name for it */
    const char *
        efforts; /* the words of reasoning_effort that it knows, from little to much; another becomes the nearest one */
    const char *message_keeps;    /* all members that a message may have */
    const char *message_drops;    /* members that a message may not have */
    const char *models;           /* where the model's name holds one of these … */
    const char *model_drops;      /* … these members go too */
    enum host_choice tool_choice; /* UNFORCED: auto and none; AUTO: auto alone, so "none" takes the tools away */
    bool system_role;             /* role developer is not known: it is the system's */
    bool no_strict;               /* tools have no member strict */
    bool nine_ids;                /* ids of tool calls are nine letters and digits */
    bool temperature_to_1;
};

/* NULL: it takes what OpenAI takes, or nothing else is known of it. */
const struct host_quirks *host_quirks_of(unsigned provider_type);

/* true: the host's body is in out, and what was left out is named. false: the body may go as it is, out is as it was. */
bool host_fit(const struct host_quirks *q, struct str model, struct str body, struct arena *a, struct buf *out,
              struct loss *loss);
