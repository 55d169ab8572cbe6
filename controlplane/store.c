#include "controlplane/store.h"

#include "controlplane/ledger_verify.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RETRY_MS = 1000,
    KEEP_MS = 60000, /* between two looks at age and dead readers */
    MARK_MS = 5000,  /* a ledger that was used so long does not kill its control plane at once */
    BLOB_MS = 50,    /* blobs put in one go are committed in one go */
    STACK_BYTES =
        256 << 10 /* LMDB and the codecs need a few KiB; 8 MiB would only be address space, but mlock'ed pods exist */
};

struct blob {
    struct blob *next;
    char key[sizeof((struct ledger_blob *)0)->key];
    struct buf value;
    bool gone;  /* forgotten; leaves the list when that is on disk */
    bool dirty; /* not on disk yet */
    bool writing;
};

struct store {
    struct store_conf conf;
    uv_async_t async;
    uv_thread_t writer, reader;
    bool reader_runs;

    uv_rwlock_t ledger_lock; /* read: a query uses it. write: the writer opens or closes it */
    struct ledger *ledger;

    /* everything below: with the lock */
    uv_mutex_t lock;
    uv_cond_t work, queries;
    bool stop;
    struct store_batch *batches, *done_batches;
    struct store_job *jobs, *done_jobs;
    struct blob *blobs;
    bool blobs_dirty;
    struct store_state state;
};

/* ---- small lists, oldest first ---- */

#define APPEND(head, item)                        \
    do {                                          \
        __typeof__(item) *at_ = head;             \
        while (*at_ != NULL) at_ = &(*at_)->next; \
        (item)->next = NULL;                      \
        *at_ = (item);                            \
    } while (0)

static void note(struct store *s, const char *text)
{
    snprintf(s->state.error, sizeof s->state.error, "%s", text);
}

static void set_error(struct store *s, const char *text)
{
    uv_mutex_lock(&s->lock);
    note(s, text);
    uv_mutex_unlock(&s->lock);
}

/* ---- opening: at the start, and by the writer after a failure ---- */

static void mark_all_dirty(struct store *s)
{
    uv_mutex_lock(&s->lock);
    for (struct blob *b = s->blobs; b != NULL; b = b->next) b->dirty = true;
    s->blobs_dirty = s->blobs != NULL;
    uv_mutex_unlock(&s->lock);
}

static void set_aside(struct store *s, const char *why)
{
    char name[sizeof s->state.corrupt_name];
    bool moved = ledger_quarantine(s->conf.ledger.dir, name, sizeof name);
    uv_mutex_lock(&s->lock);
    s->state.corrupt = true;
    note(s, why);
    if (moved) memcpy(s->state.corrupt_name, name, sizeof name);
    uv_mutex_unlock(&s->lock);
}

/* The mark of a ledger that need not be verified: "boot <id>" after MARK_MS of use, for whoever comes after a kill, which harms no file as
 * long as the kernel lives; "closed <bytes> <time>" after an orderly end, which holds as long as nobody has changed the file. It is taken
 * away at each opening, so that a ledger that kills its control plane is verified the next time. */
enum { MARK_BYTES = 80 };

static void mark_path(const struct store *s, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s/sound", s->conf.ledger.dir);
}

static void boot_mark(const struct store *s, char out[MARK_BYTES])
{
    snprintf(out, MARK_BYTES, "boot %016llx", (unsigned long long)s->conf.boot_id);
}

static void closed_mark(const struct store *s, char out[MARK_BYTES])
{
    char path[560];
    struct stat st;
    snprintf(path, sizeof path, "%s/data.mdb", s->conf.ledger.dir);
    out[0] = '\0';
    if (lstat(path, &st) == 0)
        snprintf(out, MARK_BYTES, "closed %lld %lld.%09ld", (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                 st.st_mtim.tv_nsec);
}

static bool take_mark(struct store *s)
{
    char path[560], text[MARK_BYTES] = "", boot[MARK_BYTES], closed[MARK_BYTES];
    mark_path(s, path, sizeof path);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    unlink(path);
    boot_mark(s, boot);
    closed_mark(s, closed);
    return n > 0 && ((s->conf.boot_id != 0 && strcmp(text, boot) == 0) || strcmp(text, closed) == 0);
}

static void set_mark(struct store *s, const char text[MARK_BYTES])
{
    char path[560];
    size_t bytes = strlen(text);
    mark_path(s, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return;
    if (write(fd, text, bytes) != (ssize_t)bytes) unlink(path);
    close(fd);
}

/* true: the ledger is open. A ledger that opens badly though its verification was sound is set aside as well. */
static bool open_ledger(struct store *s)
{
    char why[200] = "";
    struct ledger *l = NULL;
    const char *dir = s->conf.ledger.dir;
    if (!take_mark(s) && ledger_verify(s->conf.verify_exe, dir, why, sizeof why) == LEDGER_NOT_SOUND) set_aside(s, why);
    enum ledger_result result = ledger_open(&s->conf.ledger, &l, why, sizeof why);
    if (result == LEDGER_BROKEN && access(dir, F_OK) == 0) {
        set_aside(s, why);
        result = ledger_open(&s->conf.ledger, &l, why, sizeof why);
    }
    uv_mutex_lock(&s->lock);
    s->state.open = l != NULL;
    s->state.full = result == LEDGER_FULL;
    if (l == NULL) note(s, why);
    uv_mutex_unlock(&s->lock);
    uv_rwlock_wrlock(&s->ledger_lock);
    s->ledger = l;
    uv_rwlock_wrunlock(&s->ledger_lock);
    return l != NULL;
}

static void close_ledger(struct store *s)
{
    uv_rwlock_wrlock(&s->ledger_lock);
    ledger_close(&s->ledger);
    uv_rwlock_wrunlock(&s->ledger_lock);
    uv_mutex_lock(&s->lock);
    s->state.open = false;
    uv_mutex_unlock(&s->lock);
}

/* ---- the writer thread ---- */

struct blob_set {
    struct ledger_blob *rows;
    unsigned n, cap;
};

/* Copies what is dirty, so that the loop may put again during the commit. */
static void take_blobs(struct store *s, struct blob_set *set)
{
    if (!s->blobs_dirty) return;
    for (struct blob *b = s->blobs; b != NULL; b = b->next) {
        if (!b->dirty) continue;
        if (set->n == set->cap) {
            set->cap = set->cap == 0 ? 8 : set->cap * 2;
            set->rows = xrealloc(set->rows, set->cap * sizeof *set->rows);
        }
        struct ledger_blob *row = &set->rows[set->n++];
        struct str v = buf_view(&b->value);
        memcpy(row->key, b->key, sizeof row->key);
        row->value = STR_NULL;
        if (!b->gone) {
            char *copy = xmalloc(v.n);
            if (v.n > 0) memcpy(copy, v.p, v.n);
            row->value = (struct str){copy, v.n};
        }
        b->dirty = false;
        b->writing = true;
    }
    s->blobs_dirty = false;
}

static void drop_blob(struct store *s, struct blob **at)
{
    struct blob *b = *at;
    (void)s;
    *at = b->next;
    buf_fini(&b->value);
    free(b);
}

/* ok: they are on disk. Else they are dirty again, unless put anew meanwhile. */
static void give_blobs(struct store *s, struct blob_set *set, bool ok)
{
    for (struct blob **at = &s->blobs; *at != NULL;) {
        struct blob *b = *at;
        if (b->writing && !ok) {
            b->dirty = true;
            s->blobs_dirty = true;
        }
        b->writing = false;
        if (b->gone && !b->dirty)
            drop_blob(s, at);
        else
            at = &b->next;
    }
    for (unsigned i = 0; i < set->n; i++) free((char *)(uintptr_t)set->rows[i].value.p);
    set->n = 0;
}

static void note_commit(struct store *s, enum ledger_result result, const char *why, const struct store_batch *b)
{
    struct ledger_stat stat = {0};
    if (s->ledger != NULL) ledger_stat(s->ledger, &stat);
    s->state.full = result == LEDGER_FULL;
    if (result == LEDGER_OK) {
        s->state.commits++;
        s->state.ledger = stat;
        s->state.error[0] = '\0';
        for (unsigned i = 0; b != NULL && i < b->work.records_n; i++) s->state.records += b->work.inserted[i];
    } else {
        s->state.failures++;
        note(s, why);
    }
}

/* One try. false: it is to be tried again. */
static bool commit(struct store *s, struct store_batch *b, struct blob_set *set)
{
    char why[200] = "";
    struct ledger_batch empty = {0}, *work = b != NULL ? &b->work : &empty;
    work->blobs = set->rows;
    work->blobs_n = set->n;
    enum ledger_result result = ledger_commit(s->ledger, work, why, sizeof why);
    uv_mutex_lock(&s->lock);
    note_commit(s, result, why, b);
    give_blobs(s, set, result == LEDGER_OK);
    if (result == LEDGER_OK && b != NULL) APPEND(&s->done_batches, b);
    uv_mutex_unlock(&s->lock);
    if (result == LEDGER_OK && b != NULL) uv_async_send(&s->async);
    if (result == LEDGER_BROKEN) close_ledger(s); /* never a second fsync on the same descriptor */
    return result == LEDGER_OK;
}

static void keep(struct store *s)
{
    char why[200] = "";
    bool more = true;
    ledger_reader_check(s->ledger);
    for (unsigned step = 0; more && step < 100; step++) {
        enum ledger_result result = ledger_trim(s->ledger, clock_wall_ns(), &more, why, sizeof why);
        if (result == LEDGER_OK) continue;
        set_error(s, why);
        if (result == LEDGER_BROKEN) close_ledger(s);
        return;
    }
}

static bool is_over_size(struct store *s)
{
    struct ledger_stat stat;
    ledger_stat(s->ledger, &stat);
    return stat.used_bytes > s->conf.ledger.max_bytes / 10 * 9;
}

/* Waits until there is something to write, the store stops, or it is time to look after the file. *ret_batch leaves the queue. */
static bool wait_for_work(struct store *s, uint64_t keep_at_ms, struct store_batch **ret_batch, struct blob_set *set)
{
    uv_mutex_lock(&s->lock);
    while (!s->stop && s->batches == NULL && !s->blobs_dirty) {
        uint64_t now = clock_mono_ms();
        if (now >= keep_at_ms) break;
        uv_cond_timedwait(&s->work, &s->lock, (keep_at_ms - now) * 1000000);
    }
    if (s->blobs_dirty && s->batches == NULL && !s->stop)
        uv_cond_timedwait(&s->work, &s->lock, (uint64_t)BLOB_MS * 1000000);
    *ret_batch = s->batches;
    if (s->batches != NULL) s->batches = s->batches->next;
    take_blobs(s, set);
    bool run = !s->stop || *ret_batch != NULL || set->n > 0;
    uv_mutex_unlock(&s->lock);
    return run;
}

/* false: the store stops, and what was in hand stays undone. */
static bool pause_for_retry(struct store *s)
{
    uint64_t until = clock_mono_ms() + RETRY_MS;
    uv_mutex_lock(&s->lock);
    for (uint64_t now = clock_mono_ms(); !s->stop && now < until; now = clock_mono_ms())
        uv_cond_timedwait(&s->work, &s->lock, (until - now) * 1000000);
    bool go = !s->stop;
    uv_mutex_unlock(&s->lock);
    return go;
}

static void write_until_done(struct store *s, struct store_batch *b, struct blob_set *set)
{
    for (;;) {
        if (s->ledger == NULL) {
            uv_mutex_lock(&s->lock);
            bool was_corrupt = s->state.corrupt;
            uv_mutex_unlock(&s->lock);
            if (open_ledger(s) && s->state.corrupt && !was_corrupt)
                mark_all_dirty(s); /* the new ledger has none of them */
        }
        if (s->ledger != NULL && commit(s, b, set)) return;
        if (!pause_for_retry(s)) {
            uv_mutex_lock(&s->lock);
            give_blobs(s, set, false);
            if (b != NULL) {
                b->lost = true;
                APPEND(&s->done_batches, b);
            }
            uv_mutex_unlock(&s->lock);
            return;
        }
        uv_mutex_lock(&s->lock);
        if (set->n == 0) take_blobs(s, set);
        uv_mutex_unlock(&s->lock);
    }
}

static void run_writer(void *arg)
{
    struct store *s = arg;
    struct store_batch *b;
    struct blob_set set = {0};
    uint64_t keep_at = 0, mark_at = clock_mono_ms() + MARK_MS;
    if (s->ledger != NULL) commit(s, NULL, &set); /* the incarnation */
    while (wait_for_work(s, keep_at, &b, &set)) {
        if (b != NULL || set.n > 0) write_until_done(s, b, &set);
        if (s->ledger != NULL && mark_at != 0 && clock_mono_ms() >= mark_at) {
            char mark[MARK_BYTES];
            boot_mark(s, mark);
            set_mark(s, mark);
            mark_at = 0;
        }
        if (s->ledger != NULL && (clock_mono_ms() >= keep_at || is_over_size(s))) {
            keep(s);
            keep_at = clock_mono_ms() + KEEP_MS;
            if (mark_at > clock_mono_ms() && mark_at < keep_at) keep_at = mark_at;
        } else if (s->ledger == NULL) {
            keep_at = clock_mono_ms() + RETRY_MS;
            if (b == NULL && set.n == 0) open_ledger(s);
        }
    }
    free(set.rows);
}

/* ---- the query thread ---- */

static void run_reader(void *arg)
{
    struct store *s = arg;
    uv_mutex_lock(&s->lock);
    for (;;) {
        while (!s->stop && s->jobs == NULL) uv_cond_wait(&s->queries, &s->lock);
        struct store_job *j = s->jobs;
        if (j == NULL) break;
        s->jobs = j->next;
        uv_mutex_unlock(&s->lock);
        uv_rwlock_rdlock(&s->ledger_lock);
        j->run(j, s->ledger);
        uv_rwlock_rdunlock(&s->ledger_lock);
        uv_mutex_lock(&s->lock);
        APPEND(&s->done_jobs, j);
        uv_async_send(&s->async);
    }
    uv_mutex_unlock(&s->lock);
}

/* ---- the loop thread ---- */

static void call_back(struct store *s)
{
    uv_mutex_lock(&s->lock);
    struct store_batch *batches = s->done_batches;
    struct store_job *jobs = s->done_jobs;
    s->done_batches = NULL;
    s->done_jobs = NULL;
    uv_mutex_unlock(&s->lock);
    while (batches != NULL) {
        struct store_batch *b = batches;
        batches = b->next;
        b->done(b);
    }
    while (jobs != NULL) {
        struct store_job *j = jobs;
        jobs = j->next;
        j->done(j);
    }
}

static void on_async(uv_async_t *async)
{
    call_back(async->data);
}

static void load_blob(void *ctx, const char *key, struct str value)
{
    struct store *s = ctx;
    struct blob *b = xcalloc(1, sizeof *b);
    snprintf(b->key, sizeof b->key, "%s", key);
    buf_add(&b->value, value);
    APPEND(&s->blobs, b);
}

struct store *store_open(uv_loop_t *loop, const struct store_conf *conf, const char **ret_why)
{
    const uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = STACK_BYTES};
    struct store *s = xcalloc(1, sizeof *s);
    s->conf = *conf;
    uv_mutex_init(&s->lock);
    uv_cond_init(&s->work);
    uv_cond_init(&s->queries);
    uv_rwlock_init(&s->ledger_lock);
    if (open_ledger(s)) {
        ledger_each_blob(s->ledger, "", load_blob, s);
        ledger_stat(s->ledger, &s->state.ledger);
    }
    uv_async_init(loop, &s->async, on_async);
    uv_unref((uv_handle_t *)&s->async); /* what waits for an answer keeps the loop alive by itself */
    s->async.data = s;
    if (uv_thread_create_ex(&s->writer, &options, run_writer, s) == 0) return s;
    *ret_why = "the store's thread cannot be started";
    ledger_close(&s->ledger);
    free(s); /* the process ends over this */
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct store *s = handle->data;
    while (s->blobs != NULL) drop_blob(s, &s->blobs);
    uv_mutex_destroy(&s->lock);
    uv_cond_destroy(&s->work);
    uv_cond_destroy(&s->queries);
    uv_rwlock_destroy(&s->ledger_lock);
    free(s);
}

void store_close(struct store **sp)
{
    struct store *s = *sp;
    if (s == NULL) return;
    *sp = NULL;
    uv_mutex_lock(&s->lock);
    s->stop = true;
    uv_cond_broadcast(&s->work);
    uv_cond_broadcast(&s->queries);
    uv_mutex_unlock(&s->lock);
    uv_thread_join(&s->writer);
    if (s->reader_runs) uv_thread_join(&s->reader);
    while (s->batches != NULL) {
        struct store_batch *b = s->batches;
        s->batches = b->next;
        b->lost = true;
        APPEND(&s->done_batches, b);
    }
    call_back(s);
    bool was_open = s->ledger != NULL;
    ledger_close(&s->ledger);
    if (was_open) {
        char mark[MARK_BYTES];
        closed_mark(s, mark);
        set_mark(s, mark);
    }
    uv_close((uv_handle_t *)&s->async, on_closed);
}

void store_submit(struct store *s, struct store_batch *b)
{
    uv_mutex_lock(&s->lock);
    APPEND(&s->batches, b);
    uv_cond_signal(&s->work);
    uv_mutex_unlock(&s->lock);
}

void store_query(struct store *s, struct store_job *j)
{
    const uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = STACK_BYTES};
    if (!s->reader_runs) s->reader_runs = uv_thread_create_ex(&s->reader, &options, run_reader, s) == 0;
    uv_mutex_lock(&s->lock);
    if (s->reader_runs) {
        APPEND(&s->jobs, j);
        uv_cond_signal(&s->queries);
    } else { /* no thread: an answer without data */
        j->run(j, NULL);
        APPEND(&s->done_jobs, j);
        uv_async_send(&s->async);
    }
    uv_mutex_unlock(&s->lock);
}

void store_state(struct store *s, struct store_state *ret_state)
{
    uv_mutex_lock(&s->lock);
    *ret_state = s->state;
    uv_mutex_unlock(&s->lock);
}

/* ---- blobs ---- */

static struct blob *find_blob(struct store *s, const char *key)
{
    struct blob *b = s->blobs;
    while (b != NULL && strcmp(b->key, key) != 0) b = b->next;
    return b;
}

bool store_get(struct store *s, const char *key, struct str *ret_value)
{
    uv_mutex_lock(&s->lock);
    struct blob *b = find_blob(s, key);
    bool found = b != NULL && !b->gone;
    if (found) *ret_value = buf_len(&b->value) > 0 ? buf_view(&b->value) : STR("");
    uv_mutex_unlock(&s->lock);
    return found;
}

static void change_blob(struct store *s, const char *key, struct str value, bool gone)
{
    uv_mutex_lock(&s->lock);
    struct blob *b = find_blob(s, key);
    if (b == NULL && !gone) {
        b = xcalloc(1, sizeof *b);
        snprintf(b->key, sizeof b->key, "%s", key);
        APPEND(&s->blobs, b);
    }
    if (b != NULL) {
        buf_clear(&b->value);
        buf_add(&b->value, value);
        b->gone = gone;
        b->dirty = true;
        s->blobs_dirty = true;
        uv_cond_signal(&s->work);
    }
    uv_mutex_unlock(&s->lock);
}

void store_put(struct store *s, const char *key, struct str value)
{
    change_blob(s, key, value, false);
}

void store_forget(struct store *s, const char *key)
{
    change_blob(s, key, STR_NULL, true);
}

void store_each(struct store *s, const char *prefix, void (*each)(void *ctx, const char *key, struct str value),
                void *ctx)
{
    /* the list changes only on this thread, but for forgotten blobs that the writer drops: those are not shown */
    uv_mutex_lock(&s->lock);
    size_t n = strlen(prefix);
    for (struct blob *b = s->blobs; b != NULL; b = b->next)
        if (!b->gone && strncmp(b->key, prefix, n) == 0) each(ctx, b->key, buf_view(&b->value));
    uv_mutex_unlock(&s->lock);
}

uint64_t store_incarnation(struct store *s)
{
    struct store_state state;
    store_state(s, &state);
    return state.ledger.incarnation;
}

bool store_position(struct store *s, uint64_t created_wall_ns, uint32_t worker, uint64_t *ret_tail)
{
    uv_rwlock_rdlock(&s->ledger_lock);
    bool found = s->ledger != NULL && ledger_get_position(s->ledger, created_wall_ns, worker, ret_tail);
    uv_rwlock_rdunlock(&s->ledger_lock);
    return found;
}
