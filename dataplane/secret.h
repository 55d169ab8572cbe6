/* secret.h — which of a provider's keys an attempt shows, and which of them rest
 * Owns:     the cells of live.secret.
 * Process:  worker.
 * Memory:   what a request signs with is in its arena.
 * Fails:    secret_read(): no credential that may be sent to this origin and holds now.
 * Not here: how a credential is shown (proto/auth/signer.h), fetching one (the control plane), benching a target (breaker.c). */
#pragma once

#include "proto/auth/signer.h"
#include "proto/base/err.h"

#include <stdbool.h>

struct request;

/* Chooses the key of the attempt: by weight among those that do not rest and that this call has not tried at the target. */
void secret_pick(struct request *r);
bool secret_read(struct request *r, struct credential *ret_credential);
/* The attempt's verdict. until_ms: how long the key rests if the error is of the kind that benches (uv_now). */
void secret_end(struct request *r, enum weir_err err, uint64_t until_ms);
/* The key is to blame, not the provider: refused, without money, limited. */
bool secret_is_blamed(enum weir_err err);
/* Of several keys that all rest: when the first one is back, where that is before until_ms. */
uint64_t secret_back_ms(const struct request *r, uint64_t until_ms);
/* A signature was refused: if the answer's Date is far from our clock, the next ones are made for that. */
void secret_note_clock(struct request *r, struct str date);
/* Another key of the present provider that this call has not tried and that does not rest; a token that came after the one that was
 * refused; the same credential, signed for the provider's clock. */
bool secret_has_another(const struct request *r);
