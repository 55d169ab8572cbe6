/* crc32c.c — the checksum of records and snapshots: one instruction per 8 bytes where the CPU has it (SSE4.2) */
#include "shm/segment.h"

#include <string.h>

/* One entry per half byte: 64 bytes of table, for CPUs without the instruction. Polynomial 0x82F63B78, reflected. */
static const uint32_t crc_half[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_table(uint32_t seed, const void *p, size_t n)
{
    const unsigned char *b = p;
    uint32_t crc = ~seed;

    for (size_t i = 0; i < n; i++) {
        crc ^= b[i];
        crc = crc_half[crc & 15] ^ (crc >> 4);
        crc = crc_half[crc & 15] ^ (crc >> 4);
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t seed, const void *p, size_t n)
{
    const unsigned char *b = p;
    uint64_t crc = ~seed;

    for (; n >= 8; b += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, b, 8);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    for (; n > 0; b++, n--) crc = __builtin_ia32_crc32qi((uint32_t)crc, *b);
    return ~(uint32_t)crc;
}

uint32_t crc32c(uint32_t seed, const void *p, size_t n)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(seed, p, n) : crc32c_table(seed, p, n);
}
#else
uint32_t crc32c(uint32_t seed, const void *p, size_t n)
{
    return crc32c_table(seed, p, n);
}
#endif
