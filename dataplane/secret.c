#include "dataplane/secret.h"

#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/request.h"
#include "proto/base/clock.h"
#include "proto/base/date.h"
#include "shm/tick.h"

enum { SKEW_S = 60 }; /* AWS takes five minutes; what is nearer is told by no Date */

static struct live_secret *cell_of(const struct request *r, unsigned i)
{
    return &r->w->live->secret[r->provider->id][i];
}

/* A cell outlives reloads: when the list changes, what it says of another key must not count. */
static uint64_t print_of(const struct request *r, unsigned i)
{
    return str_hash(STR_HASH, snap_secret_at(r->gen->sn, r->provider, i)) | 1;
}

static bool rests(const struct request *r, unsigned i)
{
    struct live_secret *cell = cell_of(r, i);
    return atomic_load_explicit(&cell->bench_until_mono_ms, memory_order_relaxed) > uv_now(&r->w->loop) &&
           atomic_load_explicit(&cell->print, memory_order_relaxed) == print_of(r, i);
}

static bool is_usable(const struct request *r, unsigned i)
{
    return (r->secrets_tried >> i & 1) == 0 && !rests(r, i);
}

/* All rest, or were tried: the one that is back first. */
static unsigned soonest(const struct request *r)
{
    unsigned best = 0;
    for (unsigned i = 1; i < r->provider->secrets; i++)
        if (atomic_load(&cell_of(r, i)->bench_until_mono_ms) < atomic_load(&cell_of(r, best)->bench_until_mono_ms))
            best = i;
    return best;
}

static unsigned choose(struct request *r)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < r->provider->secrets; i++)
        if (is_usable(r, i)) sum += snap_secret_weight(r->gen->sn, r->provider, i);
    if (sum == 0) return soonest(r);
    uint64_t at = core_random(r->w) % sum;
    for (unsigned i = 0; i < r->provider->secrets; i++) {
        uint64_t weight = is_usable(r, i) ? snap_secret_weight(r->gen->sn, r->provider, i) : 0;
        if (at < weight) return i;
        at -= weight;
    }
    return soonest(r);
}

void secret_pick(struct request *r)
{
    r->clock_learnt = false;
    if (r->secrets_of != r->provider) r->secrets_tried = 0;
    r->secrets_of = r->provider;
    r->secret = r->provider->secrets > 1 ? (uint8_t)choose(r) : 0;
    r->secrets_tried |= 1u << r->secret;
}

bool secret_read(struct request *r, struct credential *ret_credential)
{
    const struct snap_provider *p = r->provider;
    *ret_credential = (struct credential){0};
    if (!p->token) {
        r->shown = ret_credential->secret = snap_secret_at(r->gen->sn, p, r->secret);
        return ret_credential->secret.n > 0;
    }
    const struct tick *tick = r->w->tick;
    if (r->w->before_seg.base != NULL && tick_token_gen(tick, p->id) == 0) tick = r->w->before_seg.base;
    char *room = arena_alloc(&r->keep.arena, SHM_TOKEN_BYTES);
    size_t n = tick_read_token(tick, p->id, snap_origin(r->gen->sn, p), clock_mono_ms(), room, &r->token_gen);
    if (n == 0 || !credential_unpack((struct str){room, n}, ret_credential)) return false;
    r->shown = ret_credential->access_key_id.n > 0 ? ret_credential->session_token : ret_credential->secret;
    return true;
}

void secret_note_clock(struct request *r, struct str date)
{
    uint64_t theirs_s, ours_s = clock_wall_ns() / 1000000000u;
    if (r->provider->auth != SIGNER_SIGV4 || !date_read_http(date, &theirs_s)) return;
    int64_t skew_s = (int64_t)theirs_s - (int64_t)ours_s, change_s = skew_s - r->w->signing_skew_s;
    if (change_s > -SKEW_S && change_s < SKEW_S) return; /* that was not the reason */
    r->w->signing_skew_s = skew_s;
    r->clock_learnt = true;
}

bool secret_has_another(const struct request *r)
{
    if (r->clock_learnt) return true;
    if (r->provider->token) return tick_token_gen(r->w->tick, r->provider->id) != r->token_gen;
    for (unsigned i = 0; i < r->provider->secrets; i++)
        if (is_usable(r, i)) return true;
    return false;
}

bool secret_is_blamed(enum weir_err err)
{
    return err_row(err)->breaker == BREAKER_BENCH || err == WEIR_UP_PERMISSION;
}

uint64_t secret_back_ms(const struct request *r, uint64_t until_ms)
{
    if (r->provider->secrets < 2) return until_ms;
    uint64_t back_ms = atomic_load_explicit(&cell_of(r, soonest(r))->bench_until_mono_ms, memory_order_relaxed);
    return back_ms < until_ms ? back_ms : until_ms;
}

void secret_end(struct request *r, enum weir_err err, uint64_t until_ms)
{
    const struct snap_provider *p = r->provider;
    if (!p->token && p->secrets < 2) return;
    struct live_secret *cell = cell_of(r, r->secret);
    if (p->token) {
        if (err == WEIR_UP_AUTH) atomic_store_explicit(&cell->refused_gen, r->token_gen, memory_order_relaxed);
        return;
    }
    uint64_t print = print_of(r, r->secret);
    if (atomic_exchange_explicit(&cell->print, print, memory_order_relaxed) != print) {
        atomic_store_explicit(&cell->bench_until_mono_ms, 0, memory_order_relaxed);
        atomic_store_explicit(&cell->served, 0, memory_order_relaxed);
        atomic_store_explicit(&cell->failed, 0, memory_order_relaxed);
        atomic_store_explicit(&cell->last_error, 0, memory_order_relaxed);
    }
    if (err == WEIR_OK) {
        atomic_fetch_add_explicit(&cell->served, 1, memory_order_relaxed);
    } else if (err_row(err)->fault == FAULT_UPSTREAM) {
        atomic_fetch_add_explicit(&cell->failed, 1, memory_order_relaxed);
        atomic_store_explicit(&cell->last_error, (uint32_t)err, memory_order_relaxed);
        atomic_store_explicit(&cell->last_error_wall_ms, clock_wall_ns() / 1000000, memory_order_relaxed);
    }
    if (secret_is_blamed(err)) atomic_store_explicit(&cell->bench_until_mono_ms, until_ms, memory_order_relaxed);
}
