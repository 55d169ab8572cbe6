/* journal.h — a worker's file of usage records: written before the client sees its last byte, read by the control plane
 * Owns:     ring and slots of one worker. An open attempt has a slot whose draft already is the record that recovery would book.
 * Process:  one writer (the worker of that number), one reader (control plane); both may be killed at any instruction.
 * Memory:   a file of the state directory, 0600, allocated whole, mapped; survives every process.
 * Fails:    journal_slot_open() refuses when slots or ring places run out (a slot reserves the ring place of its record); commits never fail.
 * Not here: the ledger (controlplane/store), what a record means (layout.h). */
#pragma once

#include "shm/segment.h"

struct journal_map {
    struct journal *j;
    struct segment seg;
    int fd;
    uint64_t tail_seen; /* writer's copy of ring_tail */
};

/* Opens or creates "<dir>/journal.<worker>", O_NOFOLLOW, locked to one user. A file of another layout, or broken, is renamed to
 * "….bad-<time>" and counted in *ret_bad, and a new one made. */
bool journal_open(const char *dir, unsigned worker, struct journal_map *ret_map, unsigned *ret_bad,
                  const char **ret_why);
bool journal_map_fd(int fd, struct journal_map *ret_map, const char **ret_why); /* inherited descriptor */
void journal_close(struct journal_map *m);

/* ---- writer ---- */
struct journal_slot *journal_slot_open(struct journal_map *m, const struct usage_record *draft,
                                       const struct slot_hold *holds, unsigned n);
/* Room for one record that has no slot (a refused call). false: ring full; count it as dropped. */
bool journal_add(struct journal_map *m, const struct usage_record *r);
/* Commits the attempt's record (seq and crc are set here) and frees the slot: one release store makes it visible, whole. */
void journal_commit(struct journal_map *m, struct journal_slot *slot, const struct usage_record *r);
/* An attempt that sent no byte upstream: no record, the slot is free again. */
void journal_slot_drop(struct journal_map *m, struct journal_slot *slot);
/* Per mille of the ring that is written or promised: accounting acts at 900. */
unsigned journal_fill_permille(struct journal_map *m);

/* ---- reader (control plane) ---- */
/* The record at `seq` if it is whole (crc, version, seq). false: torn or foreign; count and skip. */
bool journal_read(const struct journal *j, uint64_t seq, struct usage_record *ret_record);
uint64_t journal_head(const struct journal *j);
void journal_consumed(struct journal_map *m, uint64_t tail); /* after the ledger's commit; gives pages back */

/* Recovery of a dead worker's open slots. For each the caller asks the ring and the ledger for the attempt id first. */
unsigned journal_open_slots(const struct journal *j);
bool journal_slot_draft(const struct journal *j, unsigned i, struct usage_record *ret_draft,
                        struct slot_hold *ret_holds, unsigned *ret_n);
void journal_slot_free(struct journal_map *m, unsigned i);
