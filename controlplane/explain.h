/* explain.h — one call told to a person: what was asked, each try, the arithmetic of its cost, where the time went
 * Owns:     nothing.
 * Process:  control plane; pure over the records of one request.
 * Memory:   the caller's buf.
 * Fails:    never; what a record does not say is left out.
 * Not here: the JSON and one-line forms (reqlog.h), finding the records (usage.h). */
#pragma once

#include "proto/base/buf.h"
#include "shm/layout.h"

/* records: all attempts of one request in order, n > 0. price_of gives the row in force for (provider, model), or NULL. */
void explain_text(const struct usage_record *records, size_t n,
                  const struct price_row *(*price_of)(const void *context, const char *provider, const char *model),
                  const void *context, struct buf *out);
