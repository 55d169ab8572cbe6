/* meter.h — what an attempt used and cost, from its draft in the journal to its committed record
 * Owns:     r->rec, the record being made, and r->slot, the open slot.
 * Process:  worker.
 * Memory:   the request; the journal's mapping.
 * Fails:    meter_open_slot() returns false when the journal is full and accounting is strict; a commit never fails.
 * Not here: arithmetic of money (proto/money), the ledger (controlplane). */
#pragma once

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "shm/layout.h"

#include <stdbool.h>

struct request;
struct snap;

/* The price of a target; where it takes any model, of the model that the provider is asked for: by its name, then without the date behind
 * it. NULL: unknown. */
const struct price_row *meter_price(const struct snap *sn, const struct snap_target *t, struct str model);

void meter_request_id(struct request *r); /* 26 characters, time-ordered */

void meter_attempt_begin(struct request *r);
/* Before the first byte goes to the provider. The draft is what recovery books if all is killed now. */
bool meter_open_slot(struct request *r);
/* A pooled connection was dead: the same attempt begins again on another. */
void meter_drop_slot(struct request *r);

/* The attempt is over; its record waits for the commit, for only the next step knows if it is the last one. */
void meter_attempt_end(struct request *r, enum record_outcome outcome, enum weir_err err, struct str why);
/* Commits the record that waits, if one does. last: of the request, with what the client was told. */
void meter_commit(struct request *r, bool last);
/* The call ended without an attempt. */
void meter_refused(struct request *r, enum record_outcome outcome);

uint64_t meter_overhead_us(const struct request *r, uint64_t now_ns);
