#include "controlplane/jobs.h"

#include "controlplane/config/config.h"
#include "controlplane/config/plan.h"
#include "controlplane/core.h"
#include "controlplane/fetch.h"
#include "controlplane/job_row.h"
#include "proto/auth/signer.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "proto/dialect/provider_type.h"
#include "proto/dialect/video.h"
#include "shm/tick.h"

#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 50,
    FETCHES = 8,           /* under way at a time */
    SLOWEST = 6,           /* pauses grow to so many times the configured one */
    GONE_TIMES = 3,        /* "no such task" so often is believed */
    LOST_AFTER_S = 691200, /* eight days: providers keep a task for seven */
    ARENA_BYTES = 16 * 1024,
};

struct job {
    struct job *next;
    struct jobs *jobs;
    char key[JOB_KEY_BYTES];
    struct job_row row;
    uint64_t ask_at_ms;
    unsigned asked, gone;
    struct fetch *fetch;
    struct tls_trust *trust;
    struct bill *bill; /* on its way into the ledger */
};

struct bill {
    struct store_batch batch;
    struct usage_record record;
    bool inserted;
    struct job *job; /* NULL: the jobs are no more */
};

struct jobs {
    struct core *core;
    void (*on_record)(void *core, const struct usage_record *r);
    struct job *first;
    unsigned n, fetches;
    uv_timer_t *timer; /* freed by its close callback */
};

/* ---- the provider, as it is configured now ---- */

static const struct config_provider *find_provider(const struct core *c, struct str name, unsigned *ret_index)
{
    for (size_t i = 0; c->config != NULL && i < c->config->providers.n; i++)
        if (str_eq(c->config->providers.at[i].at.name, name)) {
            *ret_index = (unsigned)i;
            return &c->config->providers.at[i];
        }
    return NULL;
}

static struct str key_at(const struct config_provider *p, unsigned i)
{
    if (p->api_keys.n > 0) return i < p->api_keys.n ? p->api_keys.at[i].key : STR_NULL;
    return i == 0 ? p->api_key : STR_NULL;
}

/* The credential that made the task, if it is still there. */
static bool find_credential(const struct job *job, const struct config_provider *p, unsigned index, struct arena *a,
                            struct credential *ret_credential)
{
    struct core *c = job->jobs->core;
    *ret_credential = (struct credential){0};
    for (unsigned i = 0; job->row.print != 0 && i < SHM_PROVIDER_KEYS; i++)
        if (video_print(key_at(p, i)) == job->row.print) {
            ret_credential->secret = key_at(p, i);
            return true;
        }
    if (job->row.print != 0) return false;
    if (!p->fetches_token) return true; /* it needs none */
    const struct snap_provider *snap = &c->snap->providers[index];
    char *room = arena_alloc(a, SHM_TOKEN_BYTES);
    uint64_t gen;
    size_t n = tick_read_token(c->tick_seg.base, snap->id, snap_origin(c->snap, snap), clock_mono_ms(), room, &gen);
    return n > 0 && credential_unpack((struct str){room, n}, ret_credential);
}

/* ---- the end of a job ---- */

static void drop(struct jobs *j, struct job *job)
{
    struct job **at = &j->first;
    while (*at != job) at = &(*at)->next;
    *at = job->next;
    j->n--;
    fetch_cancel(&job->fetch);
    if (job->trust != NULL) tls_trust_free(&job->trust);
    free(job);
    if (j->n == 0) uv_timer_stop(j->timer);
}

static void on_booked(struct store_batch *batch)
{
    struct bill *bill = batch->user;
    struct job *job = bill->job;
    if (job != NULL) {
        struct jobs *j = job->jobs;
        job->bill = NULL;
        if (!batch->lost) {
            if (bill->inserted) j->on_record(j->core, &bill->record);
            store_forget(j->core->store, job->key);
            drop(j, job);
        }
    }
    free(bill);
}

static void settle(struct job *job, const struct video_task *task, enum weir_err err)
{
    struct bill *bill = xcalloc(1, sizeof *bill);
    job_settle(&job->row, task, err, clock_wall_ns(), &bill->record);
    bill->job = job;
    bill->batch.work.records = &bill->record;
    bill->batch.work.inserted = &bill->inserted;
    bill->batch.work.records_n = 1;
    bill->batch.done = on_booked;
    bill->batch.user = bill;
    job->bill = bill;
    store_submit(job->jobs->core->store, &bill->batch);
}

static enum weir_err reason_of(const struct video_task *task)
{
    if (task->state == VIDEO_EXPIRED) return WEIR_UP_TIMEOUT;
    if (task->state != VIDEO_FAILED) return WEIR_OK;
    return str_contains(task->error, STR("Sensitive")) || str_contains(task->error, STR("moderation"))
               ? WEIR_UP_CONTENT_POLICY
               : WEIR_UP_SERVER;
}

/* ---- asking ---- */

static void ask_later(struct job *job)
{
    unsigned index;
    const struct config_provider *p = find_provider(job->jobs->core, RECORD_TEXT(job->row.created.provider), &index);
    uint64_t pause_ms = p != NULL ? (uint64_t)p->poll_ms : 10000, grown = pause_ms;
    for (unsigned i = 0; i < job->asked && grown < pause_ms * SLOWEST; i++) grown += grown / 4 + 1;
    job->ask_at_ms = clock_mono_ms() + (grown < pause_ms * SLOWEST ? grown : pause_ms * SLOWEST);
}

static bool is_lost(const struct job *job)
{
    return clock_wall_ns() / 1000000000u > job->row.created.started_wall_ns / 1000000000u + LOST_AFTER_S;
}

static void on_answer(void *context, const struct fetch_answer *a)
{
    struct job *job = context;
    struct video_task task;
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    job->fetch = NULL;
    job->jobs->fetches--;
    job->asked++;
    if (a->err == WEIR_OK && a->status == 200 && video_task_read(job->row.form, a->body, &arena, &task)) {
        job->gone = 0;
        if (task.state != VIDEO_OPEN) settle(job, &task, reason_of(&task));
    } else if (a->err == WEIR_OK && a->status == 404 && ++job->gone >= GONE_TIMES) {
        settle(job, NULL, WEIR_UP_NOT_FOUND);
    }
    arena_fini(&arena);
    if (job->bill == NULL && is_lost(job)) settle(job, NULL, WEIR_UP_TIMEOUT);
    if (job->bill == NULL) ask_later(job);
}

static bool begin(struct job *job, const struct config_provider *p, unsigned index, struct arena *a)
{
    const struct provider_type *type = provider_type_of((unsigned)p->type);
    const struct sign_request request = {.method = STR("GET"), .host = p->url.host, .region = p->region};
    struct video_call v = {.op = VIDEO_RETRIEVE, .form = job->row.form};
    struct credential credential;
    struct buf head = {0};
    const char *why = NULL;
    v.id.task = RECORD_TEXT(job->row.created.detail);
    if (!find_credential(job, p, index, a, &credential)) return false;
    if (p->url.tls && job->trust == NULL && (job->trust = tls_trust_new(p->ca_pem, &why)) == NULL) return false;
    enum signer_kind signer = p->fetches_token && type->token_signer != SIGNER_NONE ? type->token_signer : type->signer;
    bool ok = credential.secret.n == 0 || signer_sign(signer, &request, &credential, a, &head) == WEIR_OK;
    struct str base = p->base_url;
    while (base.n > 0 && base.p[base.n - 1] == '/') base.n--;
    bool bare = job->row.form == VIDEO_OPENAI && p->url.path.n <= 1; /* as exchange_target_path() */
    struct fetch_request get = {
        .url = arena_printf(a, "%.*s%s%s", STR_FMT(base), bare ? "/v1" : "", video_path(&v, a).p),
        .headers = buf_view(&head),
        .trust = job->trust,
    };
    if (ok) job->fetch = fetch_start(job->jobs->core->loop, &get, on_answer, job);
    if (ok) job->jobs->fetches++;
    if (head.p != NULL) explicit_bzero(head.p, head.cap);
    buf_fini(&head);
    return ok;
}

static void ask(struct job *job)
{
    unsigned index;
    struct arena arena;
    const struct config_provider *p = find_provider(job->jobs->core, RECORD_TEXT(job->row.created.provider), &index);
    arena_init(&arena, ARENA_BYTES);
    if (p == NULL || !begin(job, p, index, &arena)) { /* it may be configured again */
        job->asked++;
        if (is_lost(job))
            settle(job, NULL, WEIR_UP_TIMEOUT);
        else
            ask_later(job);
    }
    arena_fini(&arena);
}

static void on_tick(uv_timer_t *timer)
{
    struct jobs *j = timer->data;
    uint64_t now = clock_mono_ms();
    for (struct job *job = j->first; job != NULL && j->fetches < FETCHES; job = job->next)
        if (job->fetch == NULL && job->bill == NULL && job->ask_at_ms <= now) ask(job);
}

/* ---- the beginning of a job ---- */

static struct job *add(struct jobs *j, const struct job_row *row)
{
    struct job *job = xcalloc(1, sizeof *job);
    job->jobs = j;
    job->row = *row;
    job_key(&row->created, job->key);
    struct job **at = &j->first;
    while (*at != NULL) at = &(*at)->next;
    *at = job;
    if (j->n++ == 0) uv_timer_start(j->timer, on_tick, TICK_MS, TICK_MS);
    ask_later(job);
    return job;
}

static bool has(const struct jobs *j, const struct usage_record *r)
{
    for (const struct job *job = j->first; job != NULL; job = job->next)
        if (memcmp(job->row.created.attempt_id, r->attempt_id, sizeof r->attempt_id) == 0) return true;
    return false;
}

static void load(void *ctx, const char *key, struct str value)
{
    struct job_row row;
    (void)key;
    if (job_row_read(value, &row)) add(ctx, &row);
}

static void take(struct jobs *j, const struct usage_record *r)
{
    struct core *c = j->core;
    struct job_row row = {.created = *r};
    uint8_t bytes[JOB_ROW_MAX];
    unsigned index;
    if (has(j, r)) return;
    const struct config_provider *p = find_provider(c, RECORD_TEXT(r->provider), &index);
    price_row_init(&row.price);
    if (p != NULL) {
        row.form = provider_type_of((unsigned)p->type)->tasks ? VIDEO_ARK : VIDEO_OPENAI;
        row.print = video_print(key_at(p, r->secret));
        row.has_price = plan_price_of(c->config, &c->prices, p, RECORD_TEXT(r->model), &row.price);
    }
    struct job *job = add(j, &row);
    size_t n = job_row_write(&row, bytes);
    store_put(c->store, job->key, (struct str){(const char *)bytes, n});
}

struct jobs *jobs_start(struct core *c, void (*on_record)(void *core, const struct usage_record *r))
{
    struct jobs *j = xcalloc(1, sizeof *j);
    j->core = c;
    j->on_record = on_record;
    j->timer = xcalloc(1, sizeof *j->timer);
    uv_timer_init(c->loop, j->timer);
    j->timer->data = j;
    store_each(c->store, JOB_KEY_PREFIX, load, j);
    return j;
}

void jobs_take(struct jobs *j, const struct usage_record *records, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (records[i].kind == RECORD_ATTEMPT && (records[i].flags & RECORD_TASK) != 0) take(j, &records[i]);
}

unsigned jobs_open(const struct jobs *j)
{
    return j != NULL ? j->n : 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

void jobs_stop(struct jobs **jp)
{
    struct jobs *j = *jp;
    if (j == NULL) return;
    *jp = NULL;
    while (j->first != NULL) {
        if (j->first->bill != NULL) j->first->bill->job = NULL;
        drop(j, j->first);
    }
    uv_close((uv_handle_t *)j->timer, on_closed);
    free(j);
}
