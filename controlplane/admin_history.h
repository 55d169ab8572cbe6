/* admin_history.h — the commands that read the ledger: usage, tail, explain
 * Owns:     the state of a command until the query thread has answered; who follows the log.
 * Process:  control plane, loop thread; reads run on the store's query thread.
 * Memory:   heap, per command under way; freed with its answer, also when the peer has gone before.
 * Fails:    as admin_commands.h; a follower that does not read misses lines.
 * Not here: the forms of a call (reqlog.h, explain.h), the queries (ledger_query.h). */
#pragma once

#include "controlplane/admin_server.h"

struct core;
struct usage_record;

void history_usage(struct core *c, struct admin_call *call);
void history_tail(struct core *c, struct admin_call *call);
void history_explain(struct core *c, struct admin_call *call);
/* A request has ended: to all who follow. */
void history_request(const struct usage_record *records, unsigned n);
