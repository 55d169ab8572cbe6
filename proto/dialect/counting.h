/* counting.h — how many tokens a prompt is, asked in one dialect and answered in another
 * Owns:     nothing.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    an error code and a text.
 * Not here: estimates of what was used (dataplane/meter.c). */
#pragma once

#include "proto/dialect/exchange.h"

/* Does a provider of this type have an endpoint that counts for this model (target: the dialect it is asked in)? Else the count is
 * estimated. Source: Anthropic's "Token counting", Google's and Amazon's CountTokens. */
bool counting_is_served(unsigned provider_type, enum dialect_id target, struct str model);

/* What the provider is asked, and what it said for the client; exchange.c. */
enum weir_err counting_request(struct exchange *x, struct str body, struct buf *out, struct str *ret_why);
enum weir_err counting_answer(struct exchange *x, struct str body, struct buf *out);

/* Four bytes a token, the usual guess for text. */
int64_t counting_estimate(const struct call *call);
void counting_write(enum dialect_id client, int64_t tokens, struct buf *out);
