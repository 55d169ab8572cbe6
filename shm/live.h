/* live.h — atomics that all processes share: circuits, rates, budgets
 * Owns:     the rules of each cell: who may change it and how, so that a process killed between any two instructions leaves it usable.
 * Process:  created by the supervisor; workers and control plane change it.
 * Memory:   the segment. Time is passed in (CLOCK_MONOTONIC).
 * Fails:    admission functions return false; nothing waits, nothing loops unboundedly.
 * Not here: policy of the journey (dataplane/), windows of budgets (controlplane/). */
#pragma once

#include "shm/segment.h"

int live_create(struct segment *ret_seg, const char **ret_why);
bool live_map(int fd, struct segment *ret_seg, const char **ret_why);

/* ---- circuit of a target. closed -> open after `failures` in a row within the window -> half-open after open_ms: one probe call ---- */
struct live_breaker {
    uint32_t failures, window_ms, open_ms;
}; /* failures 0: never opens */

enum live_gate { GATE_PASS, GATE_PROBE, GATE_SHUT };
/* May a call go to the target now? GATE_PROBE: yes, as the one probe of a half-open circuit. */
enum live_gate live_target_gate(struct live_target *t, uint64_t now_ms, uint32_t probe_ms);
bool live_target_is_shut(struct live_target *t, uint64_t now_ms); /* the same question without taking the probe */
/* Shut by nothing but a pause that the provider asked for. */
bool live_target_is_benched(struct live_target *t, uint64_t now_ms);
void live_target_ok(struct live_target *t, uint64_t ttft_us);
void live_target_failed(struct live_target *t, const struct live_breaker *b, uint32_t err, uint64_t now_ms,
                        uint64_t now_wall_ms);
void live_target_bench(struct live_target *t, uint64_t until_ms, uint32_t err,
                       uint64_t now_wall_ms);       /* retry-after of the provider */
void live_target_probe_left(struct live_target *t); /* the probing call ended without a verdict (client left) */

/* Attempts under way: each worker counts its own, the sum is over all. */
void live_in_flight_add(struct live *l, unsigned worker, uint16_t target, int by);
void live_in_flight_forget(struct live *l, unsigned worker); /* supervisor: it died */
uint64_t live_target_in_flight(const struct live *l, uint16_t target);

/* Retry budget of a target: each call deposits 0.2 of a retry (at most 10 s worth), 10 a second come for free. false: spent. */
void live_retry_deposit(struct live_target *t, uint64_t now_ms);
bool live_retry_take(struct live_target *t, uint64_t now_ms);

/* ---- budgets: reserve before the call, settle after it ---- */
/* Compare-and-swap on committed: false, unchanged, when limit would be passed. The share row is worker w's. */
bool live_budget_hold(struct live_budget *c, unsigned w, int64_t nanousd);
void live_budget_settle(struct live_budget *c, unsigned w, int64_t held_nanousd, int64_t actual_nanousd);
/* Control plane: truth = base + sum of shares; rewrites committed where it differs and returns the drift. */
int64_t live_budget_repair(struct live_budget *c, unsigned workers);
/* Control plane: the share of a dead worker becomes part of base. */
void live_budget_fold(struct live_budget *c, unsigned w);
