/* tick.c — two sides and a generation. The difficulty: the writer may be killed between any two stores and readers must neither wait nor
 * see half a row. So the current side is never written; a reader whose side became the one being filled sees another generation. */
#include "shm/tick.h"

#include "proto/base/clock.h"

#include <string.h>

/* Each further try means that the writer published in the nanoseconds of a row's copy, which takes it microseconds: after this many the
 * reader was put to sleep each time, and takes what it has. */
enum { TICK_TRIES = 64 };

int tick_create(uint64_t incarnation, struct segment *ret_seg, const char **ret_why)
{
    int fd = segment_create("weir-tick", SHM_TICK, sizeof(struct tick), ret_seg, ret_why);
    if (fd >= 0) ((struct tick *)ret_seg->base)->incarnation = incarnation;
    return fd;
}

bool tick_map(int fd, struct segment *ret_seg, const char **ret_why)
{
    struct segment seg;

    if (!segment_map(fd, SHM_TICK, false, &seg, ret_why)) return false;
    if (seg.bytes != sizeof(struct tick)) {
        segment_unmap(&seg);
        *ret_why = "tick segment has another size";
        return false;
    }
    *ret_seg = seg;
    return true;
}

struct tick_side *tick_begin(struct tick *t)
{
    uint64_t gen = atomic_load_explicit(&t->gen, memory_order_relaxed);
    struct tick_side *side = &t->side[(gen + 1) & 1];

    /* Orders the store of the last generation before the stores into the side that it made free. */
    atomic_thread_fence(memory_order_release);
    memcpy(side, &t->side[gen & 1], sizeof *side);
    return side;
}

void tick_publish(struct tick *t)
{
    uint64_t gen = atomic_load_explicit(&t->gen, memory_order_relaxed);

    t->side[(gen + 1) & 1].written_mono_ms = clock_mono_ms();
    atomic_store_explicit(&t->gen, gen + 1, memory_order_release);
}

/* Copies `words` 64-bit words that lie `offset` bytes into the current side. */
static void side_read(const struct tick *t, size_t offset, void *ret_row, size_t words)
{
    struct tick *tt = (struct tick *)(uintptr_t)t; /* C17 cannot load from a const atomic */
    uint64_t copy[sizeof(struct tick_provider) / 8];

    for (unsigned tries = 0; tries < TICK_TRIES; tries++) {
        uint64_t gen = atomic_load_explicit(&tt->gen, memory_order_acquire);
        const uint64_t *from = (const uint64_t *)(const void *)((const char *)&t->side[gen & 1] + offset);

        for (size_t i = 0; i < words; i++) copy[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&tt->gen, memory_order_relaxed) == gen) break;
    }
    memcpy(ret_row, copy, words * 8);
}

uint64_t tick_serial(const struct tick *t)
{
    uint64_t serial;

    side_read(t, offsetof(struct tick_side, serial), &serial, 1);
    return serial;
}

struct tick_target tick_read_target(const struct tick *t, uint16_t id)
{
    struct tick_target row = {0};

    if (id < SHM_TARGETS) side_read(t, offsetof(struct tick_side, target) + id * sizeof row, &row, sizeof row / 8);
    return row;
}

struct tick_leg tick_read_leg(const struct tick *t, uint16_t id)
{
    struct tick_leg row = {0};

    if (id < SHM_LEGS) side_read(t, offsetof(struct tick_side, leg) + id * sizeof row, &row, sizeof row / 8);
    return row;
}

void tick_read_provider(const struct tick *t, uint16_t id, struct tick_provider *ret_row)
{
    *ret_row = (struct tick_provider){0};
    if (id >= SHM_PROVIDERS) return;
    side_read(t, offsetof(struct tick_side, provider) + id * sizeof *ret_row, ret_row, sizeof *ret_row / 8);
    if (ret_row->n > SHM_ADDRESSES) ret_row->n = SHM_ADDRESSES; /* never trusted as an index */
}
