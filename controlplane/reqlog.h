/* reqlog.h — the request line: one per request, from the records of its attempts
 * Owns:     the attempts of requests that are not over yet (bounded), the queue to the sink and the thread that writes it.
 * Process:  control plane, loop thread; the sink may block, so it has a thread of its own.
 * Memory:   at most REQLOG_OPEN requests; REQLOG_QUEUE_BYTES waiting and as many being written.
 * Fails:    a sink that does not take lines loses them, counted; the ledger is not touched by that.
 * Not here: where records come from (drain.h), `weir tail`'s selection (ledger_query.h). */
#pragma once

#include "proto/base/buf.h"
#include "shm/layout.h"

enum { REQLOG_OPEN = 1024, REQLOG_ATTEMPTS = 8, REQLOG_QUEUE_BYTES = 1 << 20 };

/* ---- formatters, pure: records of one request, first attempt first, n at least 1 ---- */

/* One JSON object without a line end: the line of the log, of `weir tail -o json` and of `weir explain`. */
void reqlog_json(const struct usage_record *records, unsigned n, struct buf *out);

enum { REQLOG_COLOUR = 1, REQLOG_TIME = 2 }; /* REQLOG_TIME: begins with "10:29:51 " (UTC) */
/* "openai     chat → fake-a ✗ 529 → fake-b/large   200  0.83 s  412+96 tok  $0.00268  rescued", without a line end. */
void reqlog_text(const struct usage_record *records, unsigned n, unsigned flags, struct buf *out);

/* "ok", "rescued", "failed", "refused", "cancelled": of the request. */
const char *reqlog_outcome(const struct usage_record *records, unsigned n);
/* Sum over its attempts; false when one of them has an unknown cost. */
bool reqlog_cost(const struct usage_record *records, unsigned n, int64_t *ret_nanousd);

/* ---- grouping: add each record; when the last one of a request comes, `emit` is called with all of them, at once ---- */

struct reqlog_groups;
struct reqlog_groups *reqlog_groups_new(void (*emit)(void *ctx, const struct usage_record *records, unsigned n),
                                        void *ctx);
void reqlog_groups_free(struct reqlog_groups **g);
void reqlog_groups_add(struct reqlog_groups *g, const struct usage_record *r);

/* ---- the sink ---- */

struct reqlog_sink;
struct reqlog_sink *reqlog_sink_new(int fd);                   /* NULL: no thread. fd stays the caller's */
void reqlog_sink_line(struct reqlog_sink *s, struct str line); /* adds the line end; never waits */
uint64_t reqlog_sink_dropped(struct reqlog_sink *s);
/* Waits at most `ms` for what is queued; a thread that hangs in a write is left behind. */
void reqlog_sink_free(struct reqlog_sink **s, unsigned ms);
