/* metrics.h — counters over the records, as Prometheus text
 * Owns:     a table of series, counted since this control plane began.
 * Process:  control plane, loop thread.
 * Memory:   about 200 bytes a series, at most METRICS_SERIES; beyond that the labels read "other".
 * Fails:    never. A model that is not configured reads as "other", so that clients cannot make series.
 * Not here: gauges of the moment (circuits, calls in flight, keys): they are read from live when the page is made. */
#pragma once

#include "proto/base/buf.h"
#include "shm/layout.h"

enum { METRICS_SERIES = 4000 };

struct metrics;
struct metrics *metrics_new(void);
void metrics_free(struct metrics **m);

/* Which (provider, model) may be a label; NULL, the default: all. */
void metrics_set_known(struct metrics *m, bool (*is_known)(void *ctx, struct str provider, struct str model),
                       void *ctx);

/* One record, each exactly once. */
void metrics_record(struct metrics *m, const struct usage_record *r);
/* n more of a counter that does not come from records; labels "" or `a="b",…`, already escaped. The family must be one of the table in
 * metrics.c. */
void metrics_count(struct metrics *m, const char *family, const char *labels, int64_t n);

/* All families, each with HELP and TYPE, series sorted. */
void metrics_write(const struct metrics *m, struct buf *out);

/* For pages that add gauges: one family's head, and one series. value as text, so that money stays exact. */
void metrics_head(struct buf *out, const char *family, const char *type, const char *help);
void metrics_series(struct buf *out, const char *family, const char *labels, const char *value);
/* `,name="value"` (or without the comma when labels is empty); backslash, quote and line end escaped. */
void metrics_label(struct buf *labels, const char *name, struct str value);
