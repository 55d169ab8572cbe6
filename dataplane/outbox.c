#include "dataplane/outbox.h"

#include <assert.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

static void on_written(uv_write_t *w, int status);

void outbox_init(struct outbox *o, uv_stream_t *stream, void (*progress)(struct outbox *o, int status), void *owner)
{
    o->stream = stream;
    o->progress = progress;
    o->owner = owner;
    o->writing = o->failed = false;
    o->given = 0;
    buf_clear(&o->queue);
    buf_clear(&o->busy);
}

void outbox_fini(struct outbox *o)
{
    buf_fini(&o->queue);
    buf_fini(&o->busy);
}

static void start(struct outbox *o)
{
    struct buf swap = o->busy;
    o->busy = o->queue;
    o->queue = swap;
    buf_clear(&o->queue);
    struct str v = buf_view(&o->busy);
    uv_buf_t b = uv_buf_init((char *)v.p, (unsigned)v.n);
    o->write.data = o;
    if (uv_write(&o->write, o->stream, &b, 1, on_written) == 0)
        o->writing = true;
    else
        o->failed = true;
}

static void on_written(uv_write_t *w, int status)
{
    struct outbox *o = w->data;
    o->writing = false;
    buf_clear(&o->busy);
    buf_shrink(&o->busy, 16384);
    if (status < 0)
        o->failed = true;
    else if (buf_len(&o->queue) > 0)
        start(o);
    o->progress(o, status);
}

bool outbox_write(struct outbox *o, const struct str *piece, unsigned n)
{
    assert(n <= OUTBOX_PIECES);
    if (o->failed) return false;
    unsigned i = 0;
    for (unsigned k = 0; k < n; k++) o->given += piece[k].n;
    size_t done = 0; /* bytes of piece[i] that are written */
    if (!o->writing) {
        uv_buf_t b[OUTBOX_PIECES];
        unsigned used = 0;
        for (unsigned k = 0; k < n; k++)
            if (piece[k].n > 0) b[used++] = uv_buf_init((char *)piece[k].p, (unsigned)piece[k].n);
        int taken = used > 0 ? uv_try_write(o->stream, b, used) : 0;
        if (taken < 0 && taken != UV_EAGAIN) {
            o->failed = true;
            return false;
        }
        done = taken > 0 ? (size_t)taken : 0;
        while (i < n && done >= piece[i].n) done -= piece[i++].n;
    }
    for (; i < n; i++, done = 0) buf_add(&o->queue, str_slice(piece[i], done, piece[i].n));
    if (!o->writing && buf_len(&o->queue) > 0) start(o);
    return !o->failed;
}

size_t outbox_pending(const struct outbox *o)
{
    return buf_len(&o->queue) + (o->writing ? uv_stream_get_write_queue_size(o->stream) : 0);
}

int64_t outbox_progress(const struct outbox *o)
{
    uv_os_fd_t fd;
    int in_kernel = 0;
    if (uv_fileno((const uv_handle_t *)o->stream, &fd) == 0) ioctl(fd, SIOCOUTQ, &in_kernel);
    return (int64_t)o->given - (int64_t)outbox_pending(o) - in_kernel;
}
