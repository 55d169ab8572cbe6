/* journal.c — ring and slots of one worker, while both sides run. The difficulty: the writer may be killed at any instruction and its
 * successor writes on while the control plane still closes what it left open. So a record is visible only through the release store of
 * ring_head, and a slot belongs to the incarnation in its word: the successor touches free ones only, recovery only the dead's. */
#include "shm/journal.h"

#include "proto/base/mem.h"

#include <string.h>
#include <sys/mman.h>

enum { RING_MASK = JOURNAL_RING_RECORDS - 1, INCARNATION_MASK = 0xFFFFFF, SLOTS_UNTRIMMED = 64, PAGE_BYTES = 4096 };

static uint64_t load(const _Atomic uint64_t *p)
{
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)p, memory_order_acquire);
}

static uint32_t load32(const _Atomic uint32_t *p)
{
    return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)p, memory_order_acquire);
}

static void count(_Atomic uint64_t *p) /* single writer: no locked instruction needed */
{
    atomic_store_explicit(p, atomic_load_explicit(p, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void word_set(struct journal *j, size_t i, uint32_t incarnation, enum slot_state state)
{
    atomic_store_explicit(&j->slot_word[i], incarnation << 8 | (uint32_t)state, memory_order_release);
}

/* ---- writer ---- */

void journal_begin(struct journal_map *m)
{
    if (m->free_slots != NULL) return;
    m->free_slots = xmalloc(JOURNAL_SLOTS * sizeof m->free_slots[0]);
    m->incarnation = load32(&m->j->incarnation) & INCARNATION_MASK;
    m->free_n = m->dead_n = 0;
    for (unsigned i = JOURNAL_SLOTS; i-- > 0;) {
        if ((load32(&m->j->slot_word[i]) & 0xFF) == SLOT_FREE)
            m->free_slots[m->free_n++] = (uint16_t)i; /* the lowest on top */
        else
            m->dead_n++;
    }
    m->tail_seen = load(&m->j->ring_tail);
    m->dropped_to = m->tail_seen;
    atomic_store_explicit(&m->j->reserved, 0,
                          memory_order_relaxed); /* what the dead had reserved is booked without the ring */
}

static uint64_t places_used(struct journal_map *m)
{
    return atomic_load_explicit(&m->j->ring_head, memory_order_relaxed) - m->tail_seen +
           atomic_load_explicit(&m->j->reserved, memory_order_relaxed);
}

static bool has_place(struct journal_map *m)
{
    if (places_used(m) < JOURNAL_RING_RECORDS) return true;
    m->tail_seen = load(&m->j->ring_tail);
    return places_used(m) < JOURNAL_RING_RECORDS;
}

static void reserved_add(struct journal_map *m, int64_t n)
{
    uint64_t now = atomic_load_explicit(&m->j->reserved, memory_order_relaxed);
    atomic_store_explicit(&m->j->reserved, now + (uint64_t)n, memory_order_relaxed);
}

/* Slots that recovery has freed since journal_begin() come back when the stack has run dry. */
static void free_refill(struct journal_map *m)
{
    m->dead_n = 0;
    for (unsigned i = JOURNAL_SLOTS; i-- > 0;) {
        uint32_t word = load32(&m->j->slot_word[i]);
        if ((word & 0xFF) == SLOT_FREE)
            m->free_slots[m->free_n++] = (uint16_t)i;
        else if (word >> 8 != m->incarnation)
            m->dead_n++;
    }
}

struct journal_slot *journal_slot_open(struct journal_map *m, const struct usage_record *draft,
                                       const struct slot_hold *holds, unsigned n)
{
    journal_begin(m);
    if (m->free_n == 0 && m->dead_n > 0) free_refill(m);
    if (n > SHM_BUDGETS_PER_CALL || m->free_n == 0 || !has_place(m)) return NULL;

    size_t i = m->free_slots[--m->free_n];
    struct journal_slot *slot = &m->j->slot[i];
    if (i >= m->slots_touched) m->slots_touched = (unsigned)i + 1;
    reserved_add(m, 1);
    slot->holds_n = n;
    if (n > 0) memcpy(slot->hold, holds, n * sizeof holds[0]);
    slot->draft = *draft;
    word_set(m->j, i, m->incarnation, SLOT_OPEN);
    return slot;
}

static void ring_append(struct journal_map *m, const struct usage_record *r)
{
    uint64_t head = atomic_load_explicit(&m->j->ring_head, memory_order_relaxed);
    struct usage_record *to = &m->j->ring[head & RING_MASK];

    *to = *r;
    to->version = JOURNAL_VERSION;
    to->seq = head;
    to->crc = crc32c(0, (const char *)to + sizeof to->crc, sizeof *to - sizeof to->crc);
    atomic_store_explicit(&m->j->ring_head, head + 1, memory_order_release);
    count(&m->j->count.records);
}

bool journal_add(struct journal_map *m, const struct usage_record *r)
{
    journal_begin(m);
    if (!has_place(m)) return false;
    ring_append(m, r);
    return true;
}

void journal_append(struct journal_map *m, struct journal_slot *slot, const struct usage_record *r)
{
    ring_append(m, r); /* its place was reserved by journal_slot_open() */
    word_set(m->j, (size_t)(slot - m->j->slot), m->incarnation, SLOT_CLOSED);
    reserved_add(m, -1);
}

void journal_slot_release(struct journal_map *m, struct journal_slot *slot)
{
    size_t i = (size_t)(slot - m->j->slot);

    word_set(m->j, i, m->incarnation, SLOT_FREE);
    m->free_slots[m->free_n++] = (uint16_t)i;
}

void journal_commit(struct journal_map *m, struct journal_slot *slot, const struct usage_record *r)
{
    journal_append(m, slot, r);
    journal_slot_release(m, slot);
}

void journal_slot_drop(struct journal_map *m, struct journal_slot *slot)
{
    journal_slot_release(m, slot);
    reserved_add(m, -1);
}

unsigned journal_fill_permille(struct journal_map *m)
{
    m->tail_seen = load(&m->j->ring_tail);
    return (unsigned)(places_used(m) * 1000 / JOURNAL_RING_RECORDS);
}

/* ---- pages: what the ledger has is of no more use to this process; the file keeps it until it is written over ---- */

/* A read fault maps the page's neighbours along with it, those given back before too: each time the whole neighbourhood goes. */
enum { FAULT_AROUND_BYTES = 65536 };

static void pages_drop(struct journal *j, size_t from_bytes, size_t to_bytes)
{
    uintptr_t base = (uintptr_t)j->ring & ~(uintptr_t)(PAGE_BYTES - 1);
    uintptr_t start = ((uintptr_t)j->ring + from_bytes) & ~(uintptr_t)(FAULT_AROUND_BYTES - 1);
    uintptr_t end = ((uintptr_t)j->ring + to_bytes) & ~(uintptr_t)(PAGE_BYTES - 1);

    if (start < base) start = base;
    if (end > start) madvise((void *)start, end - start, MADV_DONTNEED);
}

static void ring_drop(struct journal_map *m, uint64_t tail)
{
    size_t from = (size_t)(m->dropped_to & RING_MASK) * sizeof(struct usage_record);
    size_t to = (size_t)(tail & RING_MASK) * sizeof(struct usage_record);

    if (tail - m->dropped_to >= JOURNAL_RING_RECORDS) {
        pages_drop(m->j, 0, sizeof m->j->ring);
    } else if (from <= to) {
        pages_drop(m->j, from, to);
    } else {
        pages_drop(m->j, from, sizeof m->j->ring);
        pages_drop(m->j, 0, to);
    }
    m->dropped_to = tail;
}

void journal_trim(struct journal_map *m)
{
    m->tail_seen = load(&m->j->ring_tail);
    if (m->tail_seen != m->dropped_to) ring_drop(m, m->tail_seen);
    if (m->slots_touched > SLOTS_UNTRIMMED && m->free_n + m->dead_n == JOURNAL_SLOTS) {
        madvise(m->j->slot, m->slots_touched * sizeof m->j->slot[0] & ~(size_t)(PAGE_BYTES - 1), MADV_DONTNEED);
        m->slots_touched = 0;
    }
}

/* ---- reader ---- */

bool journal_is_sane(const struct journal *j)
{
    uint64_t tail = load(&j->ring_tail); /* before head, which only grows */
    return load(&j->ring_head) - tail <= JOURNAL_RING_RECORDS;
}

uint64_t journal_head(const struct journal *j)
{
    uint64_t tail = load(&j->ring_tail);
    uint64_t head = load(&j->ring_head);

    return head - tail > JOURNAL_RING_RECORDS ? tail : head;
}

/* Texts end within their field whatever the writer left there. */
static void record_terminate(struct usage_record *r)
{
#define END(field) r->field[sizeof r->field - 1] = '\0'
    END(request_id);
    END(route);
    END(provider);
    END(model);
    END(asked_model);
    END(key);
    END(key_hint);
    END(session);
    END(client);
    END(finish);
    END(loss);
    END(path);
    END(detail);
#undef END
}

bool journal_read(const struct journal *j, uint64_t seq, struct usage_record *ret_record)
{
    struct usage_record r;

    memcpy(&r, &j->ring[seq & RING_MASK], sizeof r); /* the copy is what is judged: the writer may be hostile */
    if (r.seq != seq || r.version != JOURNAL_VERSION ||
        r.crc != crc32c(0, (const char *)&r + sizeof r.crc, sizeof r - sizeof r.crc))
        return false;
    record_terminate(&r);
    *ret_record = r;
    return true;
}

void journal_consumed(struct journal_map *m, uint64_t tail)
{
    uint64_t old = load(&m->j->ring_tail);

    if (tail - old > JOURNAL_RING_RECORDS) return; /* backwards, or further than the ring is long: not ours to say */
    atomic_store_explicit(&m->j->ring_tail, tail, memory_order_release);
    if (m->dropped_to > tail || tail - m->dropped_to > JOURNAL_RING_RECORDS) m->dropped_to = old;
    ring_drop(m, tail);
}

/* ---- incarnations and recovery ---- */

void journal_retire(struct journal_map *m, bool boot)
{
    uint32_t next = (load32(&m->j->incarnation) + 1) & INCARNATION_MASK;

    atomic_store_explicit(&m->j->incarnation, next, memory_order_release);
    if (boot) atomic_store_explicit(&m->j->boot_incarnation, next, memory_order_release);
}

static bool is_of(const struct journal *j, uint32_t word)
{
    return word >> 8 == (load32(&j->incarnation) & INCARNATION_MASK);
}

enum slot_state journal_slot_dead(const struct journal *j, unsigned i)
{
    if (i >= JOURNAL_SLOTS) return SLOT_FREE;
    uint32_t word = load32(&j->slot_word[i]);
    uint32_t state = word & 0xFF;
    if (state == SLOT_FREE || is_of(j, word)) return SLOT_FREE;
    return state > SLOT_BOOKED ? SLOT_OPEN : (enum slot_state)state; /* a word of garbage is looked into, too */
}

unsigned journal_open_slots(const struct journal *j)
{
    unsigned n = 0;

    for (unsigned i = 0; i < JOURNAL_SLOTS; i++) n += (load32(&j->slot_word[i]) & 0xFF) != SLOT_FREE;
    return n;
}

unsigned journal_dead_slots(const struct journal *j)
{
    unsigned n = 0;

    for (unsigned i = 0; i < JOURNAL_SLOTS; i++) n += journal_slot_dead(j, i) != SLOT_FREE;
    return n;
}

bool journal_slot_holds_live(const struct journal *j, unsigned i)
{
    if (i >= JOURNAL_SLOTS) return false;
    uint32_t age = load32(&j->slot_word[i]) >> 8, boot = load32(&j->boot_incarnation), now = load32(&j->incarnation);
    return ((now - age) & INCARNATION_MASK) <= ((now - boot) & INCARNATION_MASK); /* not older than this boot's first */
}

bool journal_slot_draft(const struct journal *j, unsigned i, struct usage_record *ret_draft,
                        struct slot_hold *ret_holds, unsigned *ret_n)
{
    static const uint8_t nobody[16];
    struct usage_record r;

    if (i >= JOURNAL_SLOTS || (load32(&j->slot_word[i]) & 0xFF) == SLOT_FREE) return false;
    unsigned n = j->slot[i].holds_n;
    memcpy(&r, &j->slot[i].draft, sizeof r);
    if (n > SHM_BUDGETS_PER_CALL || memcmp(r.attempt_id, nobody, sizeof nobody) == 0)
        return false; /* without an id it cannot be booked once; the caller frees and counts it */
    record_terminate(&r);
    *ret_draft = r;
    *ret_n = n;
    memcpy(ret_holds, j->slot[i].hold, n * sizeof ret_holds[0]);
    return true;
}

void journal_slot_booked(struct journal_map *m, unsigned i)
{
    if (journal_slot_dead(m->j, i) != SLOT_FREE) word_set(m->j, i, load32(&m->j->slot_word[i]) >> 8, SLOT_BOOKED);
}

void journal_slot_free(struct journal_map *m, unsigned i)
{
    if (i < JOURNAL_SLOTS) word_set(m->j, i, 0, SLOT_FREE);
}
