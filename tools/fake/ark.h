/* ark.h — Ark's video tasks (Seedance), played by the fakes: create, get, list, cancel or delete, and the file of the result
 * Owns:     the last tasks of this process.
 * Process:  weir-fake; one loop.
 * Memory:   static; a ring of ARK_TASKS.
 * Fails:    struct refusal, in Ark's words.
 * Not here: faults and logging (serve.c). What a task does is said in its prompt: [[task:queue=MS]], [[task:run=MS]] (200 unless
 *           said), [[task:fail]], [[task:expire]], [[task:nousage]]. */
#pragma once

#include "tools/fake/plain.h"

enum { ARK_TASKS = 512 };

/* false: the path is none of these. */
bool ark_serve(struct plain_call *call, struct refusal *ret_refusal, struct answer *out);
