/* passthrough.h — client and provider speak the same dialect: the client's bytes, with the fewest fields patched
 * Owns:     nothing.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in, for what must be rewritten.
 * Fails:    WEIR_BAD_REQUEST with a text.
 * Not here: watching the answer (exchange.c does, through the dialect's reader). */
#pragma once

#include "proto/dialect/exchange.h"

/* Patched are: the model if it differs; OpenAI streams: stream_options.include_usage, which meters the call; reasoning that
 * another dialect's provider made is taken out of the history (mark.h). Every other byte stays.
 * ret_loss: what was taken out, for x-weir-loss. */
enum weir_err passthrough_request(enum dialect_id dialect, const struct call *call, struct str body, struct str model,
                                  struct arena *a, struct buf *out, struct str *ret_loss, struct str *ret_why);
