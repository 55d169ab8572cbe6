/* program.h — an answer as the list of writes that tell it, with the waits between them; a fault changes the list
 * Owns:     its bytes and steps; reused by the next call of the connection.
 * Process:  weir-fake; pure.
 * Memory:   heap. The bytes stay where they are until program_reset(), so a socket may write from them.
 * Fails:    never.
 * Not here: timers and sockets (conn.c). */
#pragma once

#include "tools/fake/answer.h"
#include "tools/fake/dialect.h"
#include "tools/fake/fault.h"

struct program_step {
    size_t end;        /* bytes up to here … */
    uint32_t delay_ms; /* … after waiting so long */
    bool alone;        /* in a write of its own, in a turn of the loop of its own */
};

struct program {
    struct buf bytes;
    struct program_step *step;
    size_t steps, steps_cap;
    enum fault_end end; /* after the last step */
    bool is_whole;      /* the client gets a complete, well-formed answer if all steps are done */
    unsigned events;    /* told, of answer.events; 1 for a unary body told to its end */
};

struct program_pace {
    uint32_t head_ms, event_ms; /* as a provider takes its time, without any fault */
};

void program_reset(struct program *p);
void program_fini(struct program *p);
/* fault may be NULL. dialect may be NULL when the fault has no error_after_events. */
void program_build(struct program *p, const struct answer *a, const struct fault *fault,
                   const struct fake_dialect *dialect, struct program_pace pace, bool keep_alive);
