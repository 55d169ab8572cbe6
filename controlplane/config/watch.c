#include "controlplane/config/watch.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/clock.h"
#include "proto/base/mem.h"

/* Editors and Kubernetes replace files rather than write them: the notice comes from the folder, and a mounted Secret changes by the
 * swap of its "..data" link, which touches no file of ours by name. So every notice only starts the quiet time; then stat() through all
 * links says whether anything we read is different. */

enum { QUIET_MS = 250, QUIET_MOST_MS = 2000, POLL_MS = 30000 };

struct stamp { /* all zero: not there. Whole words only, it is compared as bytes */
    uint64_t dev, ino, size, modified_s, modified_ns, changed_s, changed_ns;
};

struct watched {
    char *path;
    struct stamp stamp;
};

struct folder {
    uv_fs_event_t event;
    struct config_watch *w;
    char *path;
};

struct config_watch {
    uv_loop_t *loop;
    void (*changed)(void *to);
    void *to;
    uv_timer_t quiet, poll;
    uint64_t first_notice_ms; /* 0: none waits */
    struct watched *files;
    size_t files_n;
    struct folder **folders;
    size_t folders_n;
    unsigned open_handles;
    bool is_closing;
};

static struct stamp stamp_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0) return (struct stamp){0};
    return (struct stamp){
        .dev = (uint64_t)st.st_dev,
        .ino = (uint64_t)st.st_ino,
        .size = (uint64_t)st.st_size,
        .modified_s = (uint64_t)st.st_mtim.tv_sec,
        .modified_ns = (uint64_t)st.st_mtim.tv_nsec,
        .changed_s = (uint64_t)st.st_ctim.tv_sec,
        .changed_ns = (uint64_t)st.st_ctim.tv_nsec,
    };
}

/* ---- handles ---- */

static void on_watch_handle_closed(uv_handle_t *h)
{
    struct config_watch *w = h->data;

    if (--w->open_handles > 0 || !w->is_closing) return;
    free(w->folders);
    free(w);
}

static void on_folder_closed(uv_handle_t *h)
{
    struct folder *f = h->data;

    h->data = f->w;
    on_watch_handle_closed(h);
    free(f->path);
    free(f);
}

static void files_free(struct watched *files, size_t n)
{
    for (size_t i = 0; i < n; i++) free(files[i].path);
    free(files);
}

static void forget_all(struct config_watch *w)
{
    for (size_t i = 0; i < w->folders_n; i++) uv_close((uv_handle_t *)&w->folders[i]->event, on_folder_closed);
    w->folders_n = 0;
    files_free(w->files, w->files_n);
    w->files = NULL;
    w->files_n = 0;
}

/* ---- notices ---- */

static void check(struct config_watch *w)
{
    bool is_different = false;

    for (size_t i = 0; i < w->files_n; i++) {
        struct stamp now = stamp_of(w->files[i].path);

        if (memcmp(&now, &w->files[i].stamp, sizeof now) == 0) continue;
        w->files[i].stamp = now;
        is_different = true;
    }
    if (is_different) w->changed(w->to); /* last: it may set new files, or close */
}

static void on_quiet(uv_timer_t *t)
{
    struct config_watch *w = t->data;

    w->first_notice_ms = 0;
    check(w);
}

static void on_poll(uv_timer_t *t)
{
    check(t->data);
}

static void on_folder_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct folder *f = event->data;
    struct config_watch *w = f->w;
    uint64_t now_ms = clock_mono_ms();
    uint64_t wait_ms = QUIET_MS;

    (void)name, (void)events, (void)status;
    if (w->is_closing) return;
    if (w->first_notice_ms == 0) w->first_notice_ms = now_ms;
    if (now_ms - w->first_notice_ms + wait_ms > QUIET_MOST_MS) return; /* the timer that runs will do */
    uv_timer_start(&w->quiet, on_quiet, wait_ms, 0);
}

/* ---- what is watched ---- */

static void watch_folder(struct config_watch *w, const char *file)
{
    char copy[PATH_MAX];
    struct folder *f;
    const char *path;

    if (strlen(file) >= sizeof copy) return;
    memcpy(copy, file, strlen(file) + 1);
    path = dirname(copy);
    for (size_t i = 0; i < w->folders_n; i++)
        if (strcmp(w->folders[i]->path, path) == 0) return;
    f = xcalloc(1, sizeof *f);
    f->w = w;
    f->path = xstrdup(path);
    if (uv_fs_event_init(w->loop, &f->event) != 0) {
        free(f->path);
        free(f);
        return;
    }
    f->event.data = f;
    w->open_handles++;
    if (uv_fs_event_start(&f->event, on_folder_event, path, 0) != 0) {
        uv_close((uv_handle_t *)&f->event, on_folder_closed);
        return;
    }
    uv_unref((uv_handle_t *)&f->event);
    w->folders = xrealloc(w->folders, (w->folders_n + 1) * sizeof(struct folder *));
    w->folders[w->folders_n++] = f;
}

static void watch_file(struct config_watch *w, const char *path)
{
    char real[PATH_MAX];

    w->files = xrealloc(w->files, (w->files_n + 1) * sizeof *w->files);
    w->files[w->files_n++] = (struct watched){xstrdup(path), stamp_of(path)};
    watch_folder(w, path);
    if (realpath(path, real) != NULL) watch_folder(w, real); /* where a link leads */
}

struct config_watch *config_watch_start(uv_loop_t *loop, void (*changed)(void *to), void *to)
{
    struct config_watch *w = xcalloc(1, sizeof *w);

    w->loop = loop;
    w->changed = changed;
    w->to = to;
    uv_timer_init(loop, &w->quiet);
    uv_timer_init(loop, &w->poll);
    w->quiet.data = w->poll.data = w;
    w->open_handles = 2;
    uv_timer_start(&w->poll, on_poll, POLL_MS, POLL_MS);
    uv_unref((uv_handle_t *)&w->poll);
    return w;
}

void config_watch_set(struct config_watch *w, const struct config *c)
{
    struct watched *old = w->files;
    size_t old_n = w->files_n;

    w->files = NULL;
    w->files_n = 0;
    forget_all(w);
    if (!str_starts(c->source, STR("("))) watch_file(w, c->source.p); /* else it came from no file */
    for (size_t i = 0; i < c->files.n; i++) watch_file(w, c->files.at[i].p);
    for (size_t i = 0; i < w->files_n; i++)
        for (size_t j = 0; j < old_n; j++)
            if (strcmp(w->files[i].path, old[j].path) == 0) w->files[i].stamp = old[j].stamp;
    files_free(old, old_n);
}

void config_watch_problems(struct config_watch *w, const struct problems *p)
{
    for (unsigned i = 0; i < p->files_n; i++) {
        bool is_there = false;

        for (size_t j = 0; j < w->files_n; j++) is_there = is_there || str_is(p->file[i], w->files[j].path);
        if (!is_there) watch_file(w, p->file[i].p);
    }
}

void config_watch_stop(struct config_watch **w)
{
    struct config_watch *watch = *w;

    *w = NULL;
    if (watch == NULL) return;
    watch->is_closing = true;
    forget_all(watch);
    uv_close((uv_handle_t *)&watch->quiet, on_watch_handle_closed);
    uv_close((uv_handle_t *)&watch->poll, on_watch_handle_closed);
}
