#include "controlplane/dial.h"

#include "proto/base/mem.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = 16384 };

struct dial {
    uv_loop_t *loop;
    struct dial_events events;
    void *context;
    uv_tcp_t tcp;
    uv_timer_t deadline;
    uv_connect_t connect;
    uv_write_t write;
    unsigned open_handles;
    bool closing, opened, writing;
    int refused; /* libuv's word where the connection could not even be begun */
    struct tls *tls;
    struct buf plain;   /* decrypted, for on_bytes() */
    struct buf queued;  /* for the socket, behind what is under way */
    struct buf sending; /* under way */
    char why[160];
    char read_buffer[READ_BYTES];
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct dial *d = handle->data;
    if (--d->open_handles > 0) return;
    tls_free(&d->tls);
    buf_fini(&d->plain);
    buf_fini(&d->queued);
    buf_fini(&d->sending);
    free(d);
}

static void close_handles(struct dial *d)
{
    d->closing = true;
    uv_close((uv_handle_t *)&d->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&d->deadline, on_handle_closed);
}

static void end(struct dial *d, enum weir_err err, const char *why)
{
    if (d->closing) return;
    snprintf(d->why, sizeof d->why, "%s", why); /* mbedTLS's text may go before the owner has read it */
    close_handles(d);
    d->events.on_end(d->context, err, d->why);
}

void dial_close(struct dial **dp)
{
    struct dial *d = *dp;
    *dp = NULL;
    if (d != NULL && !d->closing) close_handles(d);
}

static void on_deadline(uv_timer_t *timer)
{
    struct dial *d = timer->data;
    char why[64];
    if (d->refused != 0) {
        end(d, WEIR_UP_CONNECT, uv_strerror(d->refused));
        return;
    }
    snprintf(why, sizeof why, "no connection within %g s", (double)uv_timer_get_repeat(timer) / 1000);
    end(d, WEIR_UP_TIMEOUT_CONNECT, why);
}

/* ---- Writing ---- */

static void flush(struct dial *d);

static void on_written(uv_write_t *req, int status)
{
    struct dial *d = req->data;
    d->writing = false;
    if (d->closing) return;
    if (status < 0)
        end(d, d->opened ? WEIR_UP_RESET : WEIR_UP_CONNECT, uv_strerror(status));
    else
        flush(d);
}

static void flush(struct dial *d)
{
    struct buf *out = d->tls != NULL ? tls_out(d->tls) : &d->queued;
    if (d->closing || d->writing || buf_len(out) == 0) return;
    buf_clear(&d->sending);
    buf_add(&d->sending, buf_view(out));
    buf_consume(out, buf_len(out));
    uv_buf_t bytes = uv_buf_init(d->sending.p + d->sending.head, (unsigned)buf_len(&d->sending));
    int rc = uv_write(&d->write, (uv_stream_t *)&d->tcp, &bytes, 1, on_written);
    d->writing = rc == 0;
    if (rc != 0) end(d, WEIR_UP_CONNECT, uv_strerror(rc));
}

void dial_write(struct dial *d, struct str bytes)
{
    if (d->closing) return;
    if (d->tls != NULL)
        tls_write(d->tls, bytes);
    else
        buf_add(&d->queued, bytes);
    flush(d);
}

/* ---- Reading ---- */

static void opened(struct dial *d)
{
    d->opened = true;
    uv_timer_stop(&d->deadline);
    d->events.on_open(d->context);
}

static void give_bytes(struct dial *d, struct str bytes)
{
    if (bytes.n > 0 && d->events.on_bytes != NULL) d->events.on_bytes(d->context, bytes);
}

static void after_tls(struct dial *d, enum tls_state state)
{
    flush(d);
    if (!d->closing && !d->opened && tls_is_handshake_done(d->tls) && state != TLS_BAD) opened(d);
    if (!d->closing) give_bytes(d, buf_view(&d->plain));
    buf_clear(&d->plain);
    if (d->closing) return;
    if (state == TLS_BAD) end(d, WEIR_UP_TLS, tls_reason(d->tls));
    if (state == TLS_CLOSED) end(d, d->opened ? WEIR_OK : WEIR_UP_TLS, d->opened ? "" : "closed during the handshake");
}

static void on_eof(struct dial *d, ssize_t n)
{
    if (!d->opened)
        end(d, WEIR_UP_TLS, "closed during the handshake");
    else if (n != UV_EOF)
        end(d, WEIR_UP_RESET, uv_strerror((int)n));
    else if (d->tls != NULL)
        end(d, WEIR_UP_TRUNCATED, "cut off: the connection ended without the end of TLS");
    else
        end(d, WEIR_OK, "");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct dial *d = handle->data;
    *buf = uv_buf_init(d->read_buffer, sizeof d->read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct dial *d = stream->data;
    if (d->closing || n == 0) return;
    struct str bytes = {buf->base, n > 0 ? (size_t)n : 0};
    if (n < 0)
        on_eof(d, n);
    else if (d->tls != NULL)
        after_tls(d, tls_feed(d->tls, bytes, &d->plain));
    else
        give_bytes(d, bytes);
}

/* ---- Opening ---- */

static void on_connected(uv_connect_t *req, int status)
{
    struct dial *d = req->data;
    if (d->closing) return;
    if (status < 0) {
        end(d, WEIR_UP_CONNECT, uv_strerror(status));
        return;
    }
    uv_read_start((uv_stream_t *)&d->tcp, on_alloc, on_read);
    if (d->tls != NULL)
        after_tls(d, tls_start(d->tls));
    else
        opened(d);
}

static void socket_address(const struct dial_to *to, struct sockaddr_storage *ret_at)
{
    memset(ret_at, 0, sizeof *ret_at);
    if (to->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret_at;
        in->sin_family = AF_INET;
        in->sin_port = htons(to->port);
        memcpy(&in->sin_addr, to->ip, 4);
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_at;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(to->port);
        memcpy(&in6->sin6_addr, to->ip, 16);
    }
}

struct dial *dial_open(uv_loop_t *loop, const struct dial_to *to, const struct dial_events *events, void *context)
{
    struct dial *d = xcalloc(1, sizeof *d);
    struct sockaddr_storage at;
    d->loop = loop;
    d->events = *events;
    d->context = context;
    d->tcp.data = d->deadline.data = d->connect.data = d->write.data = d;
    d->open_handles = 2;
    uv_tcp_init(loop, &d->tcp);
    uv_timer_init(loop, &d->deadline);
    socket_address(to, &at);
    if (to->trust != NULL) d->tls = tls_new(to->trust, to->host, STR_NULL);
    if (to->trust != NULL && d->tls == NULL)
        d->refused = UV_EINVAL;
    else
        d->refused = uv_tcp_connect(&d->connect, &d->tcp, (const struct sockaddr *)&at, on_connected);
    uint64_t wait_ms = d->refused != 0 ? 0 : to->open_ms;
    uv_timer_start(&d->deadline, on_deadline, wait_ms,
                   to->open_ms); /* the repeat only remembers the figure for the text */
    return d;
}
