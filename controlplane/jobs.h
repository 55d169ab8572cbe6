/* jobs.h — tasks that workers began and that cost something when they end: followed to their end, settled once
 * Owns:     the open jobs: a row each in the store ("job:…"), and the questions to their providers under way.
 * Process:  control plane, loop thread.
 * Memory:   heap, one block for each open job.
 * Fails:    a provider that cannot be asked is asked again, with growing pauses; a task that its provider no longer knows, or that never ends,
 *           is booked at its bound, as an estimate. Nothing is dropped.
 * Not here: the row and the bill (job_row.h), creating and showing a task (dataplane/video.c), how a provider's answer reads (video.h).
 *
 * Whoever is killed when: the row is on disk with the record of the creation, or before it (drain.h on_taken); the bill's attempt id
 * follows from the creation's, so that the ledger takes it once; the row goes only when the bill is on disk. */
#pragma once

#include "shm/layout.h"

struct core;
struct jobs;

/* Takes up what the store has. on_record: for each bill that is new in the ledger. */
struct jobs *jobs_start(struct core *c, void (*on_record)(void *core, const struct usage_record *r));
/* Records that are about to be committed: those that created a task become jobs. */
void jobs_take(struct jobs *j, const struct usage_record *records, unsigned n);
unsigned jobs_open(const struct jobs *j);
void jobs_stop(struct jobs **j);
