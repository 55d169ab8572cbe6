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

    /* of the writer; free_slots NULL until journal_begin() */
    uint16_t *free_slots; /* a stack, so that the same few slots are used again and the other pages stay untouched */
    unsigned free_n, dead_n;
    unsigned slots_touched; /* most slots in use since the last trim of their pages */
    uint32_t incarnation;
    uint64_t tail_seen; /* copy of ring_tail, refreshed when it says "full" */

    uint64_t dropped_to; /* ring pages of records before this one were given back to the kernel by this process */
};

/* Opens or creates "<dir>/journal.<worker>", O_NOFOLLOW, locked to one user. A file of another layout, or broken, is renamed to
 * "….bad-<time>" and counted in *ret_bad, and a new one made. */
bool journal_open(const char *dir, unsigned worker, struct journal_map *ret_map, unsigned *ret_bad,
                  const char **ret_why);
bool journal_exists(const char *dir, unsigned worker); /* something has that name, a journal or not */
/* As journal_open(), but neither creates nor renames: for the control plane, beside a writer that may be alive. */
bool journal_open_existing(const char *dir, unsigned worker, struct journal_map *ret_map, const char **ret_why);
bool journal_map_fd(int fd, struct journal_map *ret_map, const char **ret_why); /* inherited descriptor, kept open */
void journal_close(struct journal_map *m); /* unmaps; closes only what journal_open() opened */

/* ---- writer ---- */
/* This process is the writer from now on, of the incarnation that the supervisor set. Its free slots are those that nobody left in use;
 * slots of dead incarnations stay for recovery. Called by journal_map_fd(), and by the first write where it was not. */
void journal_begin(struct journal_map *m);
struct journal_slot *journal_slot_open(struct journal_map *m, const struct usage_record *draft,
                                       const struct slot_hold *holds, unsigned n);
/* Room for one record that has no slot (a refused call). false: ring full; count it as dropped. */
bool journal_add(struct journal_map *m, const struct usage_record *r);
/* Commits the attempt's record (seq and crc are set here) and frees the slot: one release store makes it visible, whole. */
void journal_commit(struct journal_map *m, struct journal_slot *slot, const struct usage_record *r);
/* The two halves of journal_commit(), for a call with holds: append, settle the holds, release. A slot found between the two has its
 * record in the ring and holds to settle. */
void journal_append(struct journal_map *m, struct journal_slot *slot, const struct usage_record *r);
void journal_slot_release(struct journal_map *m, struct journal_slot *slot);
/* An attempt that sent no byte upstream: no record, the slot is free again. */
void journal_slot_drop(struct journal_map *m, struct journal_slot *slot);
/* Per mille of the ring that is written or promised: accounting acts at 900. */
unsigned journal_fill_permille(struct journal_map *m);
/* From a timer, never in a request's steps: gives the pages of records that the ledger has back to the kernel. */
void journal_trim(struct journal_map *m);

/* ---- reader (control plane) ---- */
/* The record at `seq` if it is whole (crc, version, seq). false: torn or foreign; count and skip. */
bool journal_read(const struct journal *j, uint64_t seq, struct usage_record *ret_record);
uint64_t journal_head(const struct journal *j);
void journal_consumed(struct journal_map *m, uint64_t tail); /* after the ledger's commit; gives pages back */

/* false: head and tail make no sense (journal_head() then reads as "nothing there"): a hostile or broken writer, to be replaced. */
bool journal_is_sane(const struct journal *j);

/* ---- incarnations. WRITER: supervisor, when the writer is known to be dead: at its own start, and when it has reaped a worker ---- */
/* From here on every slot in use is a dead worker's. `boot`: holds of older slots were in another live segment. */
void journal_retire(struct journal_map *m, bool boot);

/* ---- recovery of dead workers' slots (control plane), while the next writer already works. For each the caller drains the ring, then
 * asks ring and ledger for the attempt id: there: close with that record; not there: book the draft as an estimate. Then
 * journal_slot_booked(), settle the holds if journal_slot_holds_live(), journal_slot_free(). A slot found BOOKED is only freed. ---- */
unsigned journal_open_slots(const struct journal *j);                   /* in use, of any incarnation */
unsigned journal_dead_slots(const struct journal *j);                   /* in use, of a dead one */
enum slot_state journal_slot_dead(const struct journal *j, unsigned i); /* SLOT_FREE: free, or a living worker's */
bool journal_slot_holds_live(const struct journal *j,
                             unsigned i); /* its holds are in the live segment of this supervisor */
bool journal_slot_draft(const struct journal *j, unsigned i, struct usage_record *ret_draft,
                        struct slot_hold *ret_holds, unsigned *ret_n);
void journal_slot_booked(struct journal_map *m, unsigned i);
void journal_slot_free(struct journal_map *m, unsigned i);
