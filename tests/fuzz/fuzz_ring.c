/* fuzz_ring.c — the control plane reads a journal whose writer is hostile: any head, tail, slot words, slots and records */
#include "shm/journal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct journal_map map;

static void map_once(void)
{
    if (map.j == NULL)
        map.j = mmap(NULL, sizeof(struct journal), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map.j == MAP_FAILED) abort();
}

static void ends(const char *text, size_t n)
{
    if (memchr(text, '\0', n) == NULL) abort();
}

static void texts_end(const struct usage_record *r)
{
    ends(r->request_id, sizeof r->request_id);
    ends(r->route, sizeof r->route);
    ends(r->model, sizeof r->model);
    ends(r->detail, sizeof r->detail);
}

/* The first bytes are numbers and switches, the rest lies over slots and ring where the switches say. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct {
        uint64_t head, tail;
        uint32_t word, incarnation, boot, slot, record;
        uint8_t whole; /* bit 0: checksum made right */
    } in;
    struct usage_record r;
    struct slot_hold holds[SHM_BUDGETS_PER_CALL];
    unsigned holds_n;

    map_once();
    if (n < sizeof in) return 0;
    memcpy(&in, data, sizeof in);
    data += sizeof in;
    n -= sizeof in;
    struct journal *j = map.j;
    atomic_store(&j->ring_head, in.head);
    atomic_store(&j->ring_tail, in.tail);
    atomic_store(&j->incarnation, in.incarnation);
    atomic_store(&j->boot_incarnation, in.boot);
    unsigned slot = in.slot % JOURNAL_SLOTS;
    struct usage_record *record = &j->ring[in.record % JOURNAL_RING_RECORDS];
    atomic_store(&j->slot_word[slot], in.word);
    memcpy(&j->slot[slot], data, n < sizeof j->slot[0] ? n : sizeof j->slot[0]);
    memcpy(record, data, n < sizeof *record ? n : sizeof *record);
    if (in.whole & 1) {
        record->version = JOURNAL_VERSION;
        record->seq = in.record;
        record->crc = crc32c(0, (char *)record + sizeof record->crc, sizeof *record - sizeof record->crc);
    }

    uint64_t head = journal_head(j), tail = atomic_load(&j->ring_tail);
    if (head - tail > JOURNAL_RING_RECORDS) abort();
    if (journal_read(j, in.record, &r)) texts_end(&r);
    if (journal_read(j, in.head - 1, &r)) texts_end(&r);
    journal_is_sane(j);
    for (unsigned i = slot; i <= slot + 1; i++) {
        if (journal_slot_dead(j, i) == SLOT_FREE) continue;
        if (journal_slot_draft(j, i, &r, holds, &holds_n)) {
            texts_end(&r);
            if (holds_n > SHM_BUDGETS_PER_CALL) abort();
        }
        journal_slot_holds_live(j, i);
        journal_slot_booked(&map, i);
        journal_slot_free(&map, i);
        if (journal_slot_dead(j, i) != SLOT_FREE) abort();
    }
    journal_consumed(&map, in.record);
    atomic_store(&j->slot_word[slot], 0);
    memset(&j->slot[slot], 0, sizeof j->slot[0]);
    memset(record, 0, sizeof *record);
    return 0;
}
