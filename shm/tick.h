/* tick.h — what the control plane tells the workers many times a minute: weights, addresses, health, drains
 * Owns:     the protocol of the two sides: fill the other side, store the generation with release; read a row, re-check.
 * Process:  one writer (control plane, a new memfd per incarnation), readers everywhere.
 * Memory:   the segment; readers copy rows out and keep no pointer into it.
 * Fails:    a reader never waits for a writer: a dead one leaves the current side whole. An id out of range reads as an empty row.
 * Not here: computing any of it (controlplane/weights, resolver, prober). */
#pragma once

#include "proto/base/str.h"
#include "shm/segment.h"

int tick_create(uint64_t incarnation, struct segment *ret_seg, const char **ret_why);
bool tick_map(int fd, struct segment *ret_seg, const char **ret_why); /* read-only */

/* The side to fill, as a copy of the current one; then tick_publish(). The writer only. */
struct tick_side *tick_begin(struct tick *t);
void tick_publish(struct tick *t);

uint64_t tick_serial(const struct tick *t);
struct tick_target tick_read_target(const struct tick *t, uint16_t id);
struct tick_leg tick_read_leg(const struct tick *t, uint16_t id);
void tick_read_provider(const struct tick *t, uint16_t id, struct tick_provider *ret_row);

/* A fetched credential, by provider. packed empty: there is none any more. false: it is too long, and there is none then. */
bool tick_put_token(struct tick *t, uint16_t id, struct str packed, uint64_t origin, uint64_t expires_mono_ms);
/* Copies it, if it may go to this origin and still holds at now_mono_ms, into `to` (SHM_TOKEN_BYTES). Its length; 0: there is none.
 * *ret_gen says which it was, for live_secret.refused_gen. */
size_t tick_read_token(const struct tick *t, uint16_t id, uint64_t origin, uint64_t now_mono_ms, char *to,
                       uint64_t *ret_gen);
uint64_t tick_token_gen(const struct tick *t, uint16_t id);
