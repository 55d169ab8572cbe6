/* tick.c — two sides and a generation. The difficulty: the writer may be killed between any two stores and readers must neither wait nor
 * see half a row. So the current side is never written; a reader whose side became the one being filled sees another generation. */
#include "shm/tick.h"

#include "proto/base/clock.h"

#include <string.h>
#include <sys/mman.h>

/* Each further try means that the writer published in the nanoseconds of a row's copy, which takes it microseconds: after this many the
 * reader was put to sleep each time, and takes what it has. */
enum { TICK_TRIES = 64 };

int tick_create(uint64_t incarnation, struct segment *ret_seg, const char **ret_why)
{
    int fd = segment_create("weir-tick", SHM_TICK, sizeof(struct tick), ret_seg, ret_why);
    if (fd < 0) return fd;
    ((struct tick *)ret_seg->base)->incarnation = incarnation;
    (void)madvise(ret_seg->base, ret_seg->bytes, MADV_DONTDUMP);
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
    (void)madvise(seg.base, seg.bytes, MADV_DONTDUMP);
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

/* ---- tokens ---- */

bool tick_put_token(struct tick *t, uint16_t id, struct str packed, uint64_t origin, uint64_t expires_mono_ms)
{
    if (id >= SHM_PROVIDERS) return false;
    struct tick_token *row = &t->token[id];
    uint64_t gen = atomic_load_explicit(&row->gen, memory_order_relaxed);
    bool fits = packed.n <= SHM_TOKEN_BYTES;
    if (gen == 0 && packed.n == 0) return true;
    struct tick_token_side *side = &row->side[(gen + 1) & 1];

    atomic_thread_fence(memory_order_release);
    explicit_bzero(side->bytes, sizeof side->bytes);
    side->origin = origin;
    side->expires_mono_ms = expires_mono_ms;
    side->n = fits ? (uint32_t)packed.n : 0;
    if (side->n > 0) memcpy(side->bytes, packed.p, side->n);
    atomic_store_explicit(&row->gen, gen + 1, memory_order_release);
    return fits;
}

size_t tick_read_token(const struct tick *t, uint16_t id, uint64_t origin, uint64_t now_mono_ms, char *to,
                       uint64_t *ret_gen)
{
    if (id >= SHM_PROVIDERS) return 0;
    struct tick_token *row = (struct tick_token *)(uintptr_t)&t->token[id]; /* C17 cannot load from a const atomic */

    for (unsigned tries = 0; tries < TICK_TRIES; tries++) {
        uint64_t gen = atomic_load_explicit(&row->gen, memory_order_acquire);
        const struct tick_token_side *side = &row->side[gen & 1];
        uint32_t n = __atomic_load_n(&side->n, __ATOMIC_RELAXED);

        if (gen == 0) return 0;
        bool usable = n > 0 && n <= SHM_TOKEN_BYTES && __atomic_load_n(&side->origin, __ATOMIC_RELAXED) == origin &&
                      now_mono_ms < __atomic_load_n(&side->expires_mono_ms, __ATOMIC_RELAXED);
        /* The side is written again only by the refresh after the next: a reader that slept through both sees another generation. */
        if (usable) memcpy(to, side->bytes, n);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&row->gen, memory_order_relaxed) != gen) continue;
        *ret_gen = gen;
        return usable ? n : 0;
    }
    return 0;
}

uint64_t tick_token_gen(const struct tick *t, uint16_t id)
{
    struct tick *tt = (struct tick *)(uintptr_t)t;

    return id < SHM_PROVIDERS ? atomic_load_explicit(&tt->token[id].gen, memory_order_acquire) : 0;
}
