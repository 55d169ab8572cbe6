#include "dataplane/meter.h"

#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/request.h"
#include "dataplane/video.h"
#include "proto/base/clock.h"
#include "proto/dialect/provider_type.h"

#include <stdio.h>
#include <string.h>

/* ---- price and names ---- */

/* "gpt-x-2026-05-01", "claude-x-20260501", "claude-x@20260501": the name before the date. */
static struct str without_date(struct str model)
{
    size_t digits = 0, at = model.n;
    while (at > 0 && digits < 8 && ((model.p[at - 1] >= '0' && model.p[at - 1] <= '9') || model.p[at - 1] == '-'))
        digits += model.p[--at] != '-';
    bool dated = digits == 8 && at > 1 && (model.p[at - 1] == '-' || model.p[at - 1] == '@');
    return dated ? str_slice(model, 0, at - 1) : model;
}

static const struct price_row *find_price(const struct snap *sn, struct str provider, struct str model)
{
    for (uint32_t i = 0; i < sn->s->prices.n; i++) {
        struct str rest = snap_text(sn, sn->prices[i].name);
        if (sn->prices[i].row.known && rest.n == provider.n + 1 + model.n && str_eq(str_split(&rest, '/'), provider) &&
            str_eq(rest, model))
            return &sn->prices[i].row;
    }
    return NULL;
}

static const struct price_row *find_dated(const struct snap *sn, struct str provider, struct str model)
{
    struct str plain = without_date(model);
    const struct price_row *row = find_price(sn, provider, model);
    return row != NULL || plain.n == model.n ? row : find_price(sn, provider, plain);
}

const struct price_row *meter_price(const struct snap *sn, const struct snap_target *t, struct str model)
{
    if (t->price != ID_NONE) return sn->prices[t->price].row.known ? &sn->prices[t->price].row : NULL;
    if (t->model.n > 0) return NULL;
    const struct snap_provider *p = &sn->providers[t->provider];
    struct str provider = snap_text(sn, p->name);
    struct provider_model m = provider_model(p->type, model);
    const struct price_row *row = find_dated(sn, provider, model);
    char placed[NAME_MODEL + 16];
    if (row == NULL && m.geography.n + m.name.n + 1 < sizeof placed && m.geography.n > 0) {
        int n = snprintf(placed, sizeof placed, "%.*s.%.*s", STR_FMT(m.geography), STR_FMT(m.name));
        row = find_dated(sn, provider, (struct str){placed, (size_t)n});
    }
    return row != NULL || m.name.n == model.n ? row : find_dated(sn, provider, m.name);
}

void meter_request_id(struct request *r)
{
    static const char digit[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford's: no I, L, O, U */
    uint64_t ms = r->started_wall_ns / 1000000, a = core_random(r->w), b = core_random(r->w);
    for (int i = 9; i >= 0; i--, ms >>= 5) r->id[i] = digit[ms & 31];
    for (int i = 10; i < 18; i++, a >>= 5) r->id[i] = digit[a & 31];
    for (int i = 18; i < 26; i++, b >>= 5) r->id[i] = digit[b & 31];
    r->id[26] = '\0';
}

/* Time first, so that the ledger can be read by time; then the incarnation of this worker and a count. */
static void attempt_id(struct worker *w, uint64_t wall_ns, uint8_t id[16])
{
    uint64_t boot = w->live->boot_id;
    uint32_t count = (uint32_t)w->ids++;
    for (int i = 0; i < 8; i++) id[i] = (uint8_t)(wall_ns >> (56 - 8 * i));
    id[8] = (uint8_t)w->number;
    id[9] = (uint8_t)boot;
    id[10] = (uint8_t)(boot >> 8);
    id[11] = (uint8_t)(boot >> 16);
    for (int i = 0; i < 4; i++) id[12 + i] = (uint8_t)(count >> (24 - 8 * i));
}

/* Cut to the field; the rest of it is zero already. */
static void put(char *field, size_t bytes, struct str s)
{
    size_t n = s.n < bytes - 1 ? s.n : bytes - 1;
    if (n > 0) memcpy(field, s.p, n);
}
#define PUT(field, text) put(field, sizeof(field), text)

static struct str session_of(const struct request *r)
{
    static const struct str names[] = {
        {"x-weir-session", 14}, {"x-claude-code-session-id", 24}, {"session-id", 10}, {"x-session-id", 12}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct str v = http1_find(http1_head(&r->keep.in), names[i]);
        if (v.n > 0) return v;
    }
    return r->call.session;
}

static void fill_request(struct request *r, struct usage_record *u)
{
    const struct snap *sn = r->gen->sn;
    u->version = JOURNAL_VERSION;
    memcpy(u->request_id, r->id, sizeof u->request_id);
    u->request_wall_ns = r->started_wall_ns;
    u->worker = (uint16_t)r->w->number;
    u->client_dialect = r->dialect != NULL ? (uint8_t)r->dialect->id : 0;
    u->upstream_dialect = u->client_dialect;
    u->flags = r->call.stream ? RECORD_STREAM : 0;
    u->cost_nanousd = u->bound_nanousd = -1;
    if (r->route != NULL) PUT(u->route, snap_text(sn, r->route->name));
    if (r->key != NULL) {
        PUT(u->key, snap_text(sn, r->key->name));
        PUT(u->key_hint, snap_text(sn, r->key->hint));
    }
    PUT(u->asked_model, r->call.model);
    PUT(u->session, session_of(r));
    PUT(u->client, r->client_name);
    PUT(u->path, http1_head(&r->keep.in)->path);
}

/* ---- one attempt ---- */

/* What names no model has no price; what passes by /p/ has that of the model in its body. */
static const struct price_row *price_of(const struct request *r)
{
    const struct snap *sn = r->gen->sn;
    if (r->model.n == 0) return NULL;
    if (r->endpoint->kind == ENDPOINT_RAW) return find_price(sn, snap_text(sn, r->provider->name), r->model);
    return meter_price(sn, r->target, r->model);
}

/* What a task can use at most; nothing is known of it until it has ended. */
static struct usage video_bound(const struct request *r)
{
    const struct video_call *v = r->call.video;
    struct usage u = {.out_total = video_token_bound(v), .requests = 1};
    u.milliseconds = v->seconds * 1000;
    return u;
}

static bool creates_task(const struct request *r)
{
    return r->endpoint->meter == ENDPOINT_VIDEO;
}

void meter_attempt_begin(struct request *r)
{
    struct usage_record *u = &r->rec;
    const struct snap *sn = r->gen->sn;
    memset(u, 0, sizeof *u);
    fill_request(r, u);
    r->attempt_ns = clock_mono_ns();
    u->started_wall_ns = r->started_wall_ns + (r->attempt_ns - r->started_ns);
    attempt_id(r->w, u->started_wall_ns, u->attempt_id);
    u->kind = RECORD_ATTEMPT;
    u->attempt = (uint8_t)r->tries;
    u->upstream_dialect = (uint8_t)r->x.target->id;
    if (u->upstream_dialect != u->client_dialect) u->flags |= RECORD_TRANSLATED;
    PUT(u->provider, snap_text(sn, r->provider->name));
    PUT(u->model, r->model);
    int64_t out = r->x.max_output > 0 ? r->x.max_output : r->target->max_output;
    const struct price_row *price = r->price = price_of(r);
    if (price != NULL) {
        u->price_date = price->date != 0 ? price->date : sn->s->price_list_date;
        if (r->call.counts)
            u->bound_nanousd = 0;
        else if (creates_task(r)) {
            struct usage bound = video_bound(r);
            if (!price_cost(price, &bound, &u->bound_nanousd)) u->bound_nanousd = -1;
        } else if (request_is_passed(r) && r->endpoint->meter != ENDPOINT_TOKENS)
            u->bound_nanousd = r->endpoint->meter == ENDPOINT_FREE ? 0 : -1;
        else if (!price_upper_bound(price, r->call.input_bound, out * (r->call.choices > 0 ? r->call.choices : 1),
                                    &u->bound_nanousd))
            u->bound_nanousd = -1;
    }
    r->cost_nanousd = -1;
}

static void price(struct request *r, enum price_basis basis)
{
    struct usage_record *u = &r->rec;
    const struct price_row *row = r->price;
    u->basis = PRICE_BASIS_NONE;
    u->cost_nanousd = -1;
    if (row != NULL && price_cost(row, &u->usage, &u->cost_nanousd))
        u->basis = (uint8_t)basis;
    else
        u->cost_nanousd = -1;
    r->cost_nanousd = u->cost_nanousd;
}

bool meter_open_slot(struct request *r)
{
    struct usage_record *u = &r->rec;
    if (r->slot != NULL) return true;
    u->usage.in_uncached = r->call.input_bound;
    u->usage.out_total = r->x.max_output > 0 ? r->x.max_output : 0;
    u->usage.requests = 1;
    if (creates_task(r)) u->usage = video_bound(r);
    price(r, PRICE_BASIS_ESTIMATED);
    u->outcome = OUTCOME_WORKER_DIED;
    u->flags |= RECORD_ESTIMATED;
    r->slot = journal_slot_open(&r->w->journal, u, NULL, 0);
    u->flags &= (uint8_t)~RECORD_ESTIMATED;
    /* best_effort: the call goes on without a slot; its record takes a place of the ring if there is one then, else it is counted */
    return r->slot != NULL || r->gen->sn->s->server.accounting_best_effort;
}

void meter_drop_slot(struct request *r)
{
    if (r->slot != NULL) journal_slot_drop(&r->w->journal, r->slot);
    r->slot = NULL;
}

/* What cannot be is no bill: such a figure counts as not sent, and an estimate takes its place. */
static bool drop_absurd(struct usage *u)
{
    int64_t in = usage_in_total(u);
    if (!u->clamped && in <= USAGE_BELIEVED && u->out_total <= USAGE_BELIEVED) return false;
    if (in == 0 || in > USAGE_BELIEVED) {
        u->in_uncached = u->cache_read = u->cache_write_5m = u->cache_write_1h = u->in_audio = u->in_image = 0;
        u->known &= (uint8_t)~USAGE_INPUT;
    }
    if (u->out_total == 0 || u->out_total > USAGE_BELIEVED) {
        u->out_total = u->out_reasoning = u->out_audio = u->out_image = 0;
        u->known &= (uint8_t)~USAGE_OUTPUT;
    }
    return true;
}

/* Created: the task's end is what costs. No answer that names it: it may be there all the same, and nobody can ask for it. */
static void settle_task(struct request *r)
{
    struct usage_record *u = &r->rec;
    struct str task = r->call.video->task;
    if (task.n == 0) {
        u->usage = video_bound(r);
        u->flags |= RECORD_ESTIMATED;
        price(r, PRICE_BASIS_ESTIMATED);
        return;
    }
    u->usage.requests = 1;
    u->flags |= RECORD_TASK;
    u->secret = r->secret;
    PUT(u->detail, task);
    r->cost_nanousd = -1; /* not known yet: no header tells it */
}

/* Pictures, characters, seconds, searches. A price per token without the tokens is no price. */
static void settle_passed(struct request *r)
{
    struct usage_record *u = &r->rec;
    if (r->endpoint->meter != ENDPOINT_FREE) u->usage = r->x.usage;
    u->usage.requests = 1;
    if (r->endpoint->meter == ENDPOINT_FREE) return;
    if (u->usage.units == 0) u->usage.units = r->call.units;
    bool tokens = (u->usage.known & USAGE_INPUT) != 0;
    (void)drop_absurd(&u->usage);
    if (r->price != NULL && !tokens && price_is_by_tokens(r->price)) {
        u->cost_nanousd = r->cost_nanousd = -1;
        return;
    }
    bool said = (r->x.facts & EXCHANGE_USAGE) != 0;
    if (!said) u->flags |= RECORD_ESTIMATED;
    price(r, said ? PRICE_BASIS_COMPUTED : PRICE_BASIS_ESTIMATED);
}

/* What the provider may charge for: known figures where it sent them, else a bound of the input and the output that was seen. */
static void settle_usage(struct request *r)
{
    struct usage_record *u = &r->rec;
    bool may_cost = r->sent && r->status < 300;
    memset(&u->usage, 0, sizeof u->usage);
    u->cost_nanousd = 0; /* an attempt that the provider did not take or refused */
    u->basis = PRICE_BASIS_NONE;
    r->cost_nanousd = 0;
    if (!may_cost || r->call.counts) return;
    if (creates_task(r)) {
        settle_task(r);
        return;
    }
    if (request_is_passed(r) && r->endpoint->meter != ENDPOINT_TOKENS) {
        settle_passed(r);
        return;
    }
    if (r->endpoint->kind == ENDPOINT_RAW && !(r->x.facts & EXCHANGE_USAGE) && r->model.n == 0) {
        u->usage.requests = 1; /* a list, a file: nothing says that it costs anything */
        return;
    }
    if (r->has_exchange) u->usage = r->x.usage;
    bool guess = drop_absurd(&u->usage);
    if (!(u->usage.known & USAGE_INPUT)) {
        u->usage.in_uncached = r->call.input_bound;
        guess = true;
    }
    if (!(r->x.facts & EXCHANGE_USAGE) || !(u->usage.known & USAGE_OUTPUT)) {
        int64_t seen = r->opaque ? (int64_t)r->unary_seen : r->x.content_bytes;
        if (seen > u->usage.out_total) u->usage.out_total = seen < USAGE_MAX ? seen : USAGE_MAX;
        guess = true;
    }
    if (u->usage.requests == 0) u->usage.requests = 1;
    if (guess) u->flags |= RECORD_ESTIMATED;
    price(r, guess ? PRICE_BASIS_ESTIMATED : PRICE_BASIS_COMPUTED);
}

void meter_attempt_end(struct request *r, enum record_outcome outcome, enum weir_err err, struct str why)
{
    struct usage_record *u = &r->rec;
    u->outcome = (uint8_t)outcome;
    u->err = (uint16_t)err;
    u->status = r->status;
    u->duration_us = (clock_mono_ns() - r->attempt_ns) / 1000;
    u->ttft_us = r->ttft_ns / 1000;
    settle_usage(r);
    if (r->up != NULL && r->up->reused) u->flags |= RECORD_REUSED;
    if (outcome == OUTCOME_OK && r->first_target != r->target->id) u->flags |= RECORD_RESCUED;
    if (r->has_exchange) {
        PUT(u->finish, r->x.finish);
        PUT(u->loss, r->x.loss);
    }
    PUT(u->detail, why);
    r->record_waits = true;
}

uint64_t meter_overhead_us(const struct request *r, uint64_t now_ns)
{
    return (r->run_ns + (now_ns - r->entered_ns)) / 1000;
}

static void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void fill_last(struct request *r, struct usage_record *u, uint64_t now_ns)
{
    u->flags |= RECORD_FINAL;
    u->client_status = r->client_status;
    u->overhead_us = meter_overhead_us(r, now_ns);
    u->bytes_in = buf_len(&r->keep.body);
    u->bytes_out = r->bytes_out;
}

void meter_commit(struct request *r, bool last)
{
    struct usage_record *u = &r->rec;
    if (!r->record_waits) return;
    r->record_waits = false;
    uint64_t now_ns = clock_mono_ns();
    u->request_us = (now_ns - r->started_ns) / 1000;
    if (last) fill_last(r, u, now_ns);
    if (r->slot != NULL)
        journal_commit(&r->w->journal, r->slot, u);
    else if (!journal_add(&r->w->journal,
                          u)) /* never sent, so no money is in it; or best_effort, and the ring is full */
        count(&r->w->journal.j->count.dropped);
    r->slot = NULL;
}

void meter_refused(struct request *r, enum record_outcome outcome)
{
    struct usage_record *u = &r->rec;
    memset(u, 0, sizeof *u);
    fill_request(r, u);
    u->kind = RECORD_REFUSED;
    u->outcome = (uint8_t)outcome;
    u->err = (uint16_t)r->err;
    u->cost_nanousd = 0;
    u->started_wall_ns = r->started_wall_ns;
    attempt_id(r->w, u->started_wall_ns, u->attempt_id);
    uint64_t now_ns = clock_mono_ns();
    u->request_us = (now_ns - r->started_ns) / 1000;
    PUT(u->detail, r->why);
    fill_last(r, u, now_ns);
    count(&r->w->journal.j->count.refused);
    if (!journal_add(&r->w->journal, u)) count(&r->w->journal.j->count.dropped);
}
