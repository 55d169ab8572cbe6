/* records.h — made-up usage records for the tests of the ledger
 * Owns:     nothing.
 * Process:  tests.
 * Memory:   none.
 * Fails:    never.
 * Not here: expectations. */
#pragma once

#include "shm/layout.h"

#include <stdio.h>
#include <string.h>

static const uint64_t T0 = 1763805600ull * 1000000000u; /* 2025-11-22 10:00:00 UTC, a whole hour */

static inline uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xFF51AFD7ED558CCDu;
    x ^= x >> 33;
    x *= 0xC4CEB9FE1A85EC53u;
    return x ^ x >> 33;
}

static inline void set_id(struct usage_record *r, uint64_t wall_ns, uint64_t unique)
{
    uint64_t be = __builtin_bswap64(wall_ns);
    r->started_wall_ns = r->request_wall_ns = wall_ns;
    memcpy(r->attempt_id, &be, 8);
    memcpy(r->attempt_id + 8, &unique, 8);
}

/* Record i of a made-up history: one call a second over three providers, some failed and rescued, refused, unknown or estimated. */
static inline struct usage_record made_record(uint64_t i)
{
    static const char *const providers[] = {"openai", "anthropic", "local"}, *const keys[] = {"", "search-api"};
    struct usage_record r;
    memset(&r, 0, sizeof r);
    uint64_t dice = mix(i + 1);
    r.version = JOURNAL_VERSION;
    set_id(&r, T0 + i * 1000000000u, i);
    snprintf(r.request_id, sizeof r.request_id, "req-%08llu", (unsigned long long)i);
    r.kind = RECORD_ATTEMPT;
    r.outcome = dice % 7 == 0 ? OUTCOME_FAILED : OUTCOME_OK;
    r.flags = RECORD_FINAL;
    r.attempt = 1;
    r.status = r.client_status = r.outcome == OUTCOME_OK ? 200 : 502;
    r.duration_us = r.request_us = 1000 + dice % 1000000;
    r.usage.in_uncached = (int64_t)(dice >> 8 & 0xFFF);
    r.usage.cache_read = (int64_t)(dice >> 20 & 0xFF);
    r.usage.out_total = (int64_t)(dice >> 28 & 0x3FF);
    r.usage.known = USAGE_INPUT | USAGE_OUTPUT;
    r.cost_nanousd = dice % 11 == 0 ? -1 : (int64_t)(dice >> 40 & 0xFFFFFF);
    r.bound_nanousd = 20000000;
    r.basis = PRICE_BASIS_COMPUTED;
    if (dice % 13 == 0) {
        r.flags |= RECORD_ESTIMATED;
        r.basis = PRICE_BASIS_ESTIMATED;
    }
    snprintf(r.provider, sizeof r.provider, "%s", providers[dice / 16 % 3]);
    snprintf(r.model, sizeof r.model, "model-%u", (unsigned)(dice / 64 % 4));
    snprintf(r.route, sizeof r.route, "%s", dice / 256 % 2 ? "chat" : "cheap");
    snprintf(r.key, sizeof r.key, "%s", keys[dice / 512 % 2]);
    if (dice % 17 == 0) {
        r.kind = RECORD_REFUSED;
        r.outcome = OUTCOME_REFUSED;
        r.client_status = 429;
        r.status = 0;
        r.usage = (struct usage){0};
        r.cost_nanousd = 0;
        memset(r.provider, 0, sizeof r.provider);
        memset(r.model, 0, sizeof r.model);
    }
    return r;
}
