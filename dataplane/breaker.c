#include "dataplane/breaker.h"

#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/request.h"
#include "dataplane/secret.h"
#include "proto/base/clock.h"
#include "shm/live.h"

/* How long a target is out when the provider did not say, and at most when it did. A rate limit is a matter of seconds, and one garbled
 * header must not take a target away for an hour; an empty account or a refused key is looked at again now and then. */
enum {
    BENCH_RATE_MS = 1000,
    BENCH_RATE_MOST_MS = 60000,
    BENCH_AUTH_MS = 10000,
    BENCH_QUOTA_MS = 60000,
    BENCH_QUOTA_MOST_MS = 3600000
};

static uint64_t bench_ms(const struct request *r, enum weir_err err)
{
    /* A token that was refused is fetched anew within a second. */
    uint64_t auth_ms = r->provider->token ? BENCH_RATE_MS : BENCH_AUTH_MS;
    uint64_t usual = err == WEIR_UP_QUOTA                               ? BENCH_QUOTA_MS
                     : err == WEIR_UP_AUTH || err == WEIR_UP_PERMISSION ? auth_ms
                                                                        : BENCH_RATE_MS;
    uint64_t most = err == WEIR_UP_QUOTA ? BENCH_QUOTA_MOST_MS : BENCH_RATE_MOST_MS;
    uint64_t ms = r->said.retry_after_ms >= 0 ? (uint64_t)r->said.retry_after_ms : usual;
    return ms < most ? ms : most;
}

void breaker_begin(struct request *r)
{
    struct live_target *t = core_target(r->w, r->target->id);
    live_in_flight_add(r->w->live, r->w->number, r->target->id, 1);
    if (r->same_tries == 1) live_retry_deposit(t, uv_now(&r->w->loop));
}

void breaker_end(struct request *r, enum weir_err err)
{
    struct live_target *t = core_target(r->w, r->target->id);
    const struct err_row *row = err_row(err);
    uint64_t now = uv_now(&r->w->loop);
    live_in_flight_add(r->w->live, r->w->number, r->target->id, -1);
    if (err == WEIR_OK) {
        uint64_t first_ns = r->ttft_ns > 0 ? r->started_ns + r->ttft_ns : clock_mono_ns();
        live_target_ok(t, (first_ns - r->attempt_ns) / 1000);
    } else if (row->breaker == BREAKER_COUNT) {
        const struct live_breaker b = {r->route->breaker_failures, r->route->breaker_window_ms,
                                       r->route->breaker_open_ms};
        live_target_failed(t, &b, err, now, clock_wall_ns() / 1000000);
    } else if (r->probing) {
        live_target_probe_left(t);
    }
    secret_end(r, err, now + bench_ms(r, err));
    if (secret_is_blamed(err) && secret_has_another(r)) {
        r->probing = false;
        return; /* the key rests alone */
    }
    bool said = row->fault == FAULT_UPSTREAM && r->said.err == err && r->said.retry_after_ms > 0;
    if (row->breaker == BREAKER_BENCH || said)
        live_target_bench(t, secret_back_ms(r, now + bench_ms(r, err)), err, clock_wall_ns() / 1000000);
    r->probing = false;
}
