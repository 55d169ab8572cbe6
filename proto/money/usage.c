#include "proto/money/usage.h"

static int64_t within(int64_t value)
{
    if (value < 0) return 0;
    return value > USAGE_MAX ? USAGE_MAX : value;
}

int64_t usage_in_total(const struct usage *u)
{
    return within(u->in_uncached) + within(u->cache_read) + within(u->cache_write_5m) + within(u->cache_write_1h);
}

int64_t usage_cache_write(const struct usage *u)
{
    return within(u->cache_write_5m) + within(u->cache_write_1h);
}

void usage_set(struct usage *u, int64_t *field, int64_t value)
{
    *field = within(value);
    if (*field != value) u->clamped = 1;
}
