#include "dataplane/request.h"

#include "dataplane/admit.h"
#include "dataplane/breaker.h"
#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/headers.h"
#include "dataplane/media.h"
#include "dataplane/meter.h"
#include "dataplane/relay.h"
#include "dataplane/reply.h"
#include "dataplane/retry.h"
#include "dataplane/secret.h"
#include "dataplane/video.h"
#include "proto/base/clock.h"
#include "proto/dialect/counting.h"
#include "proto/dialect/embed.h"
#include "proto/dialect/host_quirks.h"
#include "proto/dialect/passed.h"
#include "proto/dialect/provider_type.h"
#include "shm/live.h"

#include <string.h>

/* THE JOURNEY. Steps in the order in which they happen; each returns the next one. A step runs when the request is woken and must bear
 * being run again: it looks at the facts, never at why it was called. Only steps decide; callbacks record facts. */

struct step {
    const char *name;
    const struct step *(*run)(struct request *r);
};

#define STEPS(X) \
    X(identify)  \
    X(admit) X(route) X(encode) X(fetch) X(connect) X(send) X(head) X(stream) X(retry) X(pause) X(refuse) X(settle)
#define X(n)                                               \
    static const struct step *step_##n(struct request *r); \
    static const struct step STEP_##n = {#n, step_##n};
STEPS(X)
#undef X
static const struct step STEP_wait = {"wait", NULL}; /* come back with the next event */

const struct step *const STEP_WAIT = &STEP_wait, *const STEP_STREAM = &STEP_stream, *const STEP_SETTLE = &STEP_settle;

enum { ARENA_BLOCK_BYTES = 8 * 1024, KEEP_BUF_BYTES = 64 * 1024 };

/* ---- identify: who calls, what for ---- */

static const struct step *not_http(struct request *r)
{
    const char *text = NULL;
    enum weir_err e = http1_error(&r->keep.in, &text);
    atomic_fetch_add_explicit(&r->w->journal.j->count.bad_http, 1, memory_order_relaxed);
    return request_fail(r, e, str_of(text));
}

static const struct step *step_identify(struct request *r)
{
    struct str why = STR_NULL;
    if (r->facts & FACT_BAD) return not_http(r);
    if (r->facts & FACT_HEAD && !r->identified) {
        r->identified = true;
        enum weir_err e = admit_head(r, &why);
        if (e != WEIR_OK) return request_fail(r, e, why);
        if (http1_head(&r->keep.in)->expect_continue && !request_is_whole(r)) {
            struct str go_on = STR("HTTP/1.1 100 Continue\r\n\r\n");
            client_write(r->c, &go_on, 1);
        }
    }
    if (r->facts & FACT_NO_ROOM) return request_fail(r, WEIR_BUFFERS_FULL, STR_NULL);
    if (!request_is_whole(r)) return r->facts & FACT_SLOW ? request_fail(r, WEIR_SLOW_CLIENT, STR_NULL) : &STEP_wait;
    if (r->endpoint == NULL || (r->endpoint->kind != ENDPOINT_CHAT && !request_is_passed(r))) {
        reply_local(r);
        return &STEP_settle;
    }
    const struct http1_head *h = http1_head(&r->keep.in);
    struct endpoint_place place;
    if (!endpoint_read_place(r->endpoint, h->path, h->query, &r->keep.arena, &place))
        return request_fail(r, WEIR_BAD_REQUEST, STR("the model's name in the path cannot be read"));
    struct str body = buf_view(&r->keep.body);
    r->raw_provider = place.provider;
    enum weir_err e =
        request_is_passed(r)
            ? passed_read_call(r->endpoint, &place, http1_get(h, "content-type"), body, &r->keep.arena, &r->call, &why)
            : call_read_at(r->endpoint->dialect, &place, body, &r->keep.arena, &r->call, &why);
    if (e == WEIR_OK && r->call.video != NULL) r->raw_provider = r->call.video->id.provider; /* of an id */
    return e == WEIR_OK ? &STEP_admit : request_fail(r, e, why);
}

/* ---- admit: may this call be made ---- */

static const struct step *step_admit(struct request *r)
{
    struct str why = STR_NULL;
    enum weir_err e = admit_call(r, &why);
    return e == WEIR_OK ? &STEP_route : request_fail(r, e, why);
}

/* ---- route: the next target of the plan ---- */

static const struct step *no_target_left(struct request *r)
{
    if (r->attempt_err != WEIR_OK) return request_fail(r, r->attempt_err, r->attempt_why);
    if (r->plan.n == 0) return request_fail(r, WEIR_NO_TARGET, STR("every target of the route is drained"));
    /* All are shut. A rate limit that we only remember is told as what it is. */
    const struct snap *sn = r->gen->sn;
    struct live_target *first = core_target(r->w, sn->targets[r->plan.c[0].target].id);
    uint32_t last = atomic_load_explicit(&first->last_error, memory_order_relaxed);
    if (last == WEIR_UP_QUOTA || last == WEIR_UP_AUTH)
        return request_fail(r, (enum weir_err)last, STR("not asked again so soon"));
    return request_fail(r, WEIR_NO_TARGET, STR("the circuits of all targets are open"));
}

static const struct step *step_route(struct request *r)
{
    if (!route_next(r) && (r->tries > 0 || r->attempt_err != WEIR_OK || !route_last_resort(r)))
        return no_target_left(r);
    if (r->tries == 0) r->first_target = r->target->id;
    return &STEP_encode;
}

/* ---- encode: the body that this target's provider is sent ---- */

static void begin_attempt(struct request *r)
{
    if (r->has_exchange) exchange_fini(&r->x);
    memset(&r->x, 0, sizeof r->x);
    memset(&r->said, 0, sizeof r->said);
    r->said.retry_after_ms = -1;
    r->has_exchange = r->sent = r->opaque = r->collecting = r->fresh_only = r->events = false;
    r->collected_all = true;
    r->relayed.status = r->status = 0;
    r->unary_seen = 0;
    r->redials = 0;
    r->facts &= ~(unsigned)FACT_UP_ALL;
    r->attempt_err = WEIR_OK;
    r->attempt_why = STR_NULL;
}

/* A Claude that another vendor hosts wants a body of its own. */
static void give_form_of_host(struct request *r)
{
    struct buf *hosted = &r->keep.hosted;
    buf_clear(hosted);
    struct str betas = r->x.same ? http1_get(http1_head(&r->keep.in), "anthropic-beta") : STR_NULL;
    if (!provider_body(r->provider->type, &r->x, buf_view(&r->keep.target), betas, hosted)) return;
    struct buf plain = r->keep.target;
    r->keep.target = *hosted;
    *hosted = plain;
}

/* A call that is no chat goes to providers that have its endpoint, in one form only. */
static enum weir_err encode_passed(struct request *r, struct buf *body, struct str *ret_why)
{
    bool raw = r->endpoint->kind == ENDPOINT_RAW;
    const struct target_hints hints = {.now_s = r->started_wall_ns / 1000000000};
    enum dialect_id target = raw ? (enum dialect_id)r->provider->dialect : r->endpoint->dialect;
    bool has = raw || route_has_endpoint(r->provider, target);
    if (!has && embed_other_dialect(r->endpoint, &target)) has = route_has_endpoint(r->provider, target);
    if (!has) {
        *ret_why = arena_printf(&r->keep.arena, "the provider \"%.*s\" has no %s",
                                STR_FMT(snap_text(r->gen->sn, r->provider->name)), r->endpoint->name);
        return WEIR_NOT_IMPLEMENTED;
    }
    if (r->call.video != NULL) {
        enum weir_err e = video_prepare(r, ret_why);
        if (e != WEIR_OK) return e;
    }
    return exchange_request_passed(&r->x, r->endpoint, target, &hints, &r->call, buf_view(&r->keep.body), r->model,
                                   &r->keep.arena, body, ret_why);
}

static enum weir_err encode_chat(struct request *r, struct buf *body, struct str *ret_why)
{
    enum dialect_id asked =
        provider_dialect_of_call(r->provider->type, r->provider->dialects, r->endpoint->dialect, r->model, &r->call);
    const struct provider_type *type = provider_type_of(r->provider->type);
    const struct target_hints hints = {.max_output = r->target->max_output,
                                       .max_completion_tokens = type->newer_max_tokens,
                                       .invoke = asked == DIALECT_ANTHROPIC && type->claude_invoked,
                                       .bare_count = type->path != NULL,
                                       .bytes_only = asked == DIALECT_ANTHROPIC && type->path != NULL,
                                       .media = r->provider->fetch_media ? &r->media : NULL,
                                       .quirks = host_quirks_of(r->provider->rules),
                                       .id = str_of(r->id),
                                       .now_s = r->started_wall_ns / 1000000000};
    return exchange_request_to(&r->x, r->endpoint->dialect, asked, &hints, &r->call, buf_view(&r->keep.body), r->model,
                               &r->keep.arena, body, ret_why);
}

/* Nobody who could is asked. */
static const struct step *answer_estimate(struct request *r)
{
    if (r->probing) live_target_probe_left(core_target(r->w, r->target->id));
    r->probing = false;
    meter_commit(r, false);
    reply_estimate(r);
    return &STEP_settle;
}

static const struct step *step_encode(struct request *r)
{
    struct buf *body = &r->keep.target, *head = &r->keep.ask;
    struct str why = STR_NULL;
    enum weir_err before = r->attempt_err;
    begin_attempt(r);
    if (r->call.counts &&
        !counting_is_served(r->provider->type,
                            provider_dialect(r->provider->type, r->provider->dialects, r->endpoint->dialect, r->model),
                            r->model))
        return answer_estimate(r);
    buf_clear(body);
    buf_clear(head);
    secret_pick(r);
    enum weir_err e = request_is_passed(r) ? encode_passed(r, body, &why) : encode_chat(r, body, &why);
    r->has_exchange = r->x.target != NULL;
    if (e == WEIR_OK && r->x.media_wanted > 0) {
        r->attempt_err = before;
        return &STEP_fetch;
    }
    if (e == WEIR_OK && !request_is_passed(r)) give_form_of_host(r);
    if (e == WEIR_OK) e = headers_write_request(r, buf_view(body), head);
    if (e == WEIR_UP_AUTH) why = STR("there is no credential for it at present");
    if (e != WEIR_OK) { /* this target cannot take the call; another may */
        if (r->probing) live_target_probe_left(core_target(r->w, r->target->id));
        bool first = r->tries == 0; /* else a provider has failed: that is the news, not a fallback that does not fit */
        r->attempt_err = first ? e : before;
        r->attempt_why = first ? why : STR_NULL;
        return &STEP_route;
    }
    meter_commit(r, false); /* only now is it sure that the attempt before this one was not the last */
    r->tries++;
    r->same_tries++;
    r->in_attempt = true;
    meter_attempt_begin(r);
    breaker_begin(r);
    return &STEP_connect;
}

/* ---- fetch: what the client names by URL and this target takes only as bytes ---- */

static const struct step *step_fetch(struct request *r)
{
    if (media_fetch(r)) return &STEP_encode;
    if (uv_now(&r->w->loop) >= r->total_at_ms && r->total_at_ms != 0)
        return request_fail(r, WEIR_UP_TIMEOUT_TOTAL, STR("what the request names by URL did not come in time"));
    return request_wait(r);
}

/* ---- connect: a connection, from the pool or new ---- */

static const struct step *step_connect(struct request *r)
{
    uint64_t now = uv_now(&r->w->loop);
    if (r->up == NULL) {
        r->up = upstream_open(r, r->fresh_only);
        r->phase_at_ms = now + r->route->connect_ms;
        r->phase_err = WEIR_UP_TIMEOUT_CONNECT;
        if (!(r->facts & FACT_UP_CONNECTED)) upstream_dial(r->up);
    }
    if (r->facts & FACT_UP_FAILED) return attempt_fail(r, r->up->err, str_of(r->up->detail));
    if (r->facts & FACT_UP_CONNECTED) return &STEP_send;
    if (r->facts & FACT_UP_SHAKING) { /* TCP is there; the handshake has as long again */
        r->facts &= ~(unsigned)FACT_UP_SHAKING;
        r->phase_at_ms = now + r->route->connect_ms;
    }
    return request_wait(r);
}

/* ---- send: from the first byte on the provider may charge ---- */

static const struct step *step_send(struct request *r)
{
    if (!meter_open_slot(r)) return request_fail(r, WEIR_ACCOUNTING_FULL, STR_NULL);
    struct str piece[] = {buf_view(&r->keep.ask), buf_view(&r->keep.target)};
    uint64_t now = uv_now(&r->w->loop);
    upstream_send(r->up, piece, 2);
    r->sent = true;
    /* An answer that is not streamed begins when it is complete: it may take the longer of the two. */
    bool longer = !r->call.stream && r->route->idle_ms > r->route->first_token_ms;
    r->phase_at_ms = now + (longer ? r->route->idle_ms : r->route->first_token_ms);
    r->phase_err = WEIR_UP_TIMEOUT_FIRST;
    if (r->call.stream && r->quiet_at_ms == 0) r->quiet_at_ms = now + r->w->patience.open_after_ms;
    return &STEP_head;
}

/* ---- head: the provider begins to answer ---- */

static const struct step *step_head(struct request *r)
{
    struct str none;
    switch (upstream_next(r->up, &none)) {
    case UPSTREAM_HEAD: return relay_head(r);
    case UPSTREAM_MORE: return request_wait(r);
    default: return attempt_fail(r, r->up->err != WEIR_OK ? r->up->err : WEIR_UP_PROTOCOL, str_of(r->up->detail));
    }
}

/* ---- stream: its body on the way to the client ---- */

static const struct step *step_stream(struct request *r)
{
    return relay_body(r);
}

/* ---- retry: the attempt has failed ---- */

enum { MOST_REDIALS = 2 };

/* The provider cannot have seen the request: a pooled connection that died before any answer, or a handshake that only the next one
 * can do right. */
static bool is_worth_a_redial(const struct request *r)
{
    const struct upstream *u = r->up;
    if (u == NULL || u->got_bytes || r->redials == MOST_REDIALS) return false;
    if (u->reused) return r->attempt_err == WEIR_UP_RESET || r->attempt_err == WEIR_UP_TRUNCATED;
    return u->redial && r->attempt_err == WEIR_UP_TLS;
}

static enum retry_verdict judge(const struct request *r)
{
    unsigned bit = r->status >= 100 ? r->status - 100u : 0;
    const struct retry_question q = {
        .err = r->attempt_err,
        .status = r->status,
        .committed = r->stage >= ANSWER_COMMITTED,
        .redial = is_worth_a_redial(r),
        .on_status = bit > 0 && bit < 512 && (r->route->on_status[bit / 64] >> (bit % 64) & 1) != 0,
        .should_not_retry = r->said.should_not_retry,
        .tries = r->tries,
        .same_tries = r->same_tries,
        .attempts = r->route->attempts,
        .most = REQUEST_MAX_TRIES,
    };
    return retry_judge(&q);
}

/* The provider did not take back what an earlier turn thought: another one had thought it, or an account of another's. The same call
 * without it is asked once more. */
static bool may_do_without_reasoning(struct request *r)
{
    if (r->attempt_err != WEIR_UP_REASONING_STATE || r->call.without_reasoning || r->stage >= ANSWER_COMMITTED ||
        r->tries >= REQUEST_MAX_TRIES || request_is_passed(r))
        return false;
    r->call.without_reasoning = true;
    return true;
}

static const struct step *step_retry(struct request *r)
{
    enum retry_verdict v = judge(r);
    if (v == RETRY_REDIAL) {
        upstream_close(&r->up);
        r->facts &= ~(unsigned)FACT_UP_ALL;
        r->attempt_err = WEIR_OK;
        r->attempt_why = STR_NULL;
        r->sent = false;
        r->fresh_only = true;
        r->redials++;
        meter_drop_slot(r);
        return &STEP_connect;
    }
    attempt_over(r, OUTCOME_FAILED, r->attempt_err, r->attempt_why);
    if (r->up != NULL && r->up->ended && r->status >= 400 && r->attempt_err != WEIR_UP_PROTOCOL)
        upstream_release(&r->up); /* an error answered in full says nothing against the connection; nonsense does */
    else
        upstream_close(&r->up);
    if (v != RETRY_STOP && r->tries < REQUEST_MAX_TRIES && secret_is_blamed(r->attempt_err) && secret_has_another(r))
        return &STEP_encode; /* it was the key that was refused, not the provider that failed */
    if (may_do_without_reasoning(r)) return &STEP_encode;
    if (v == RETRY_SAME && live_retry_take(core_target(r->w, r->target->id), uv_now(&r->w->loop))) {
        r->phase_at_ms = uv_now(&r->w->loop) + retry_pause_ms(r->same_tries, r->route->backoff_ms,
                                                              r->route->max_backoff_ms, core_random(r->w));
        r->phase_err = WEIR_OK;
        return &STEP_pause;
    }
    if (v == RETRY_STOP) return request_fail(r, r->attempt_err, r->attempt_why);
    return &STEP_route;
}

/* ---- pause: before the same target is asked again ---- */

static const struct step *step_pause(struct request *r)
{
    uint64_t now = uv_now(&r->w->loop);
    if (now >= r->total_at_ms) return request_fail(r, r->attempt_err, r->attempt_why);
    if (now < r->phase_at_ms) return request_wait(r);
    struct live_target *t = core_target(r->w, r->target->id);
    enum live_gate gate = live_target_gate(t, now, r->route->total_ms);
    if (gate == GATE_SHUT) return &STEP_route;
    r->probing = gate == GATE_PROBE;
    return &STEP_encode;
}

/* ---- refuse: an error is the answer ---- */

static const struct step *step_refuse(struct request *r)
{
    if (r->dialect == NULL) r->dialect = admit_guess_dialect(http1_head(&r->keep.in));
    if (r->in_attempt) { /* the call was broken off by us, in the middle of an attempt */
        attempt_over(r, OUTCOME_FAILED, r->err, r->why);
        upstream_close(&r->up);
    }
    if (r->stage == ANSWER_NONE)
        reply_error(r);
    else
        relay_break_off(r);
    return &STEP_settle;
}

/* ---- settle: nothing is left open ---- */

static const struct step *step_settle(struct request *r)
{
    if (r->in_attempt) attempt_over(r, OUTCOME_CANCELLED, r->err, r->why);
    media_stop(r);
    upstream_close(&r->up);
    if (r->record_waits)
        meter_commit(r, true);
    else if (r->err == WEIR_CLIENT_GONE && r->tries == 0 && r->facts & FACT_HEAD)
        meter_refused(r, OUTCOME_CANCELLED);
    return NULL;
}

/* ---- what drives the steps ---- */

void attempt_over(struct request *r, enum record_outcome outcome, enum weir_err err, struct str why)
{
    if (!r->in_attempt) return;
    r->in_attempt = false;
    meter_attempt_end(r, outcome, err, why);
    breaker_end(r, err);
}

const struct step *request_fail(struct request *r, enum weir_err err, struct str why)
{
    if (r->err == WEIR_OK) {
        r->err = err;
        r->why = why;
    }
    return &STEP_refuse;
}

const struct step *attempt_fail(struct request *r, enum weir_err err, struct str why)
{
    if (r->attempt_err == WEIR_OK) {
        r->attempt_err = err;
        r->attempt_why = arena_copy(&r->keep.arena, why); /* it may point into the upstream, which is about to close */
    }
    return &STEP_retry;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 ? b : b == 0 || a < b ? a : b;
}

const struct step *request_wait(struct request *r)
{
    uint64_t now = uv_now(&r->w->loop);
    if (r->total_at_ms != 0 && now >= r->total_at_ms) return attempt_fail(r, WEIR_UP_TIMEOUT_TOTAL, STR_NULL);
    if (r->phase_at_ms != 0 && now >= r->phase_at_ms && r->phase_err != WEIR_OK)
        return attempt_fail(r, r->phase_err, STR_NULL);
    if (r->quiet_at_ms != 0 && now >= r->quiet_at_ms) relay_ping(r);
    deadline_set(&r->c->call_timer, sooner(sooner(r->total_at_ms, r->phase_at_ms), r->quiet_at_ms));
    return &STEP_wait;
}

/* Facts that end the call wherever it stands. */
static const struct step *interrupted(struct request *r)
{
    if (r->step == &STEP_refuse || r->step == &STEP_settle) return NULL;
    if (r->facts & FACT_GONE) {
        request_fail(r, WEIR_CLIENT_GONE, STR_NULL);
        atomic_fetch_add_explicit(&r->w->journal.j->count.client_aborts, 1, memory_order_relaxed);
        return &STEP_settle;
    }
    return r->facts & FACT_STOP ? request_fail(r, WEIR_DRAINING, STR_NULL) : NULL;
}

static void request_close(struct request *r);

void request_wake(struct request *r)
{
    if (r->running) { /* a step brought this about: the loop below looks again */
        r->woken = true;
        return;
    }
    r->running = true;
    r->entered_ns = clock_mono_ns();
    const struct step *next;
    do {
        r->woken = false;
        do {
            next = interrupted(r);
            if (next == NULL) next = r->step->run(r);
            if (next != &STEP_wait && next != NULL) r->step = next;
        } while (next != &STEP_wait && next != NULL);
    } while (next != NULL && r->woken);
    r->running = false;
    if (next == NULL)
        request_close(r);
    else
        r->run_ns += clock_mono_ns() - r->entered_ns;
}

/* ---- begin and end ---- */

static void buffers_add(struct worker *w, int64_t bytes)
{
    w->buffer_bytes = (uint64_t)((int64_t)w->buffer_bytes + bytes);
    atomic_store_explicit(&w->me->buffer_bytes, w->buffer_bytes, memory_order_relaxed);
}

bool request_charge(struct request *r, size_t bytes)
{
    const struct worker *w = r->w;
    uint64_t held = bytes;
    unsigned workers = atomic_load_explicit(&w->live->workers, memory_order_relaxed);
    for (unsigned i = 0; i < workers && i < SHM_WORKERS; i++)
        held += atomic_load_explicit(&w->live->worker[i].buffer_bytes, memory_order_relaxed);
    if (held > r->gen->sn->s->server.buffers_bytes) return false;
    r->buffered += bytes;
    buffers_add(r->w, (int64_t)bytes);
    return true;
}

void request_body(struct request *r, struct str bytes)
{
    if (r->facts & FACT_NO_ROOM) return;
    if (request_charge(r, bytes.n))
        buf_add(&r->keep.body, bytes);
    else
        r->facts |= FACT_NO_ROOM;
}

static void count_in_flight(struct worker *w, int by)
{
    w->in_flight = (unsigned)((int)w->in_flight + by);
    atomic_store_explicit(&w->me->in_flight, w->in_flight, memory_order_relaxed);
}

struct request *request_open(struct client *c)
{
    bool fresh;
    struct request *r = slab_take(&c->w->request_slab, &fresh);
    memset(&r->first_zeroed, 0, sizeof *r - offsetof(struct request, first_zeroed));
    if (fresh) {
        http1_init(&r->keep.in, HTTP1_REQUEST, &http1_request_limits);
        arena_init(&r->keep.arena, ARENA_BLOCK_BYTES);
    }
    r->w = c->w;
    r->c = c;
    r->gen = generation_ref(c->w->gen);
    r->keep.in.limits.body_bytes = r->gen->sn->s->server.max_body_bytes;
    r->step = &STEP_identify;
    r->named_target = ID_NONE;
    r->call.max_output = -1;
    r->cost_nanousd = -1;
    r->started_ns = clock_mono_ns();
    r->started_wall_ns = clock_wall_ns();
    meter_request_id(r);
    count_in_flight(c->w, 1);
    atomic_fetch_add_explicit(&c->w->journal.j->count.requests, 1, memory_order_relaxed);
    return r;
}

bool request_keeps_alive(const struct request *r)
{
    return r->facts & FACT_WHOLE && !(r->facts & FACT_BAD) && http1_head(&r->keep.in)->keep_alive && !r->broken_off &&
           r->w->mode == WORKER_RUNNING;
}

static void reuse(struct buf *b)
{
    buf_clear(b);
    buf_shrink(b, KEEP_BUF_BYTES);
}

static void request_close(struct request *r)
{
    struct client *c = r->c;
    /* without a length and without chunks only the end of the connection ends the body */
    bool framed = r->stage != ANSWER_ENDED || r->call.model.n == 0 || r->chunked || r->sized;
    bool keep = r->stage == ANSWER_ENDED && request_keeps_alive(r) && framed;
    bool whole = (r->facts & FACT_WHOLE) != 0;
    if (r->has_exchange) exchange_fini(&r->x);
    buffers_add(r->w, -(int64_t)r->buffered);
    count_in_flight(r->w, -1);
    generation_unref(&r->gen);
    arena_reset(&r->keep.arena);
    http1_reset(&r->keep.in);
    reuse(&r->keep.body);
    reuse(&r->keep.ask);
    reuse(&r->keep.target);
    reuse(&r->keep.hosted);
    reuse(&r->keep.held);
    reuse(&r->keep.out);
    reuse(&r->keep.head);
    reuse(&r->keep.media);
    slab_give(&r->w->request_slab, r);
    client_done(c, keep, whole);
}

void request_free_bufs(void *o)
{
    struct request_keep *k = &((struct request *)o)->keep;
    http1_fini(&k->in);
    arena_fini(&k->arena);
    buf_fini(&k->body);
    buf_fini(&k->ask);
    buf_fini(&k->target);
    buf_fini(&k->hosted);
    buf_fini(&k->held);
    buf_fini(&k->out);
    buf_fini(&k->media);
    buf_fini(&k->head);
}
