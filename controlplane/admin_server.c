#include "controlplane/admin_server.h"

#include "proto/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_BYTES = 16384, CLOGGED_BYTES = 1 << 20 };

struct admin_connection {
    struct admin_server *server; /* NULL: the server is gone */
    uv_pipe_t pipe;
    uv_timer_t deadline;
    unsigned open_handles;
    bool closing;
    bool busy; /* a call is being answered: no further frame is looked at */
    struct buf in;
    msgpack_unpacked unpacked; /* the call's args point into it */
    struct admin_call call;
    char read_buffer[READ_BYTES];
};

struct admin_server {
    uv_loop_t *loop;
    uv_pipe_t pipe;
    char *path;
    admin_handler on_call;
    void *context;
    struct admin_connection *connections[ADMIN_CONNECTIONS];
};

struct answer_write {
    uv_write_t req;
    struct buf bytes;
    struct admin_connection *connection;
    bool last; /* of its call */
};

static void next_frame(struct admin_connection *c);

/* ---- connections ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct admin_connection *c = handle->data;
    if (--c->open_handles > 0) return;
    buf_fini(&c->in);
    msgpack_unpacked_destroy(&c->unpacked);
    free(c);
}

static void connection_close(struct admin_connection *c)
{
    if (c->closing) return;
    c->closing = true;
    if (c->busy && c->call.on_gone != NULL) c->call.on_gone(&c->call);
    c->call.on_gone = NULL;
    if (c->server != NULL)
        for (unsigned i = 0; i < ADMIN_CONNECTIONS; i++)
            if (c->server->connections[i] == c) c->server->connections[i] = NULL;
    c->server = NULL;
    uv_close((uv_handle_t *)&c->pipe, on_handle_closed);
    uv_close((uv_handle_t *)&c->deadline, on_handle_closed);
}

static void on_deadline(uv_timer_t *timer)
{
    connection_close(timer->data);
}

/* A peer has this long to send a whole frame; while a call is answered it has all the time the answer takes. */
static void arm_deadline(struct admin_connection *c)
{
    uv_timer_start(&c->deadline, on_deadline, ADMIN_DEADLINE_MS, 0);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct admin_connection *c = handle->data;
    *buf = uv_buf_init(c->read_buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct admin_connection *c = stream->data;
    if (n < 0) {
        connection_close(c);
        return;
    }
    buf_add(&c->in, (struct str){buf->base, (size_t)n});
    if (buf_len(&c->in) > ADMIN_MAX_FRAME + 4u) {
        connection_close(c); /* more than one frame ahead of its answers */
        return;
    }
    next_frame(c);
}

static bool peer_is_allowed(uv_pipe_t *pipe)
{
    int fd;
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (uv_fileno((uv_handle_t *)pipe, &fd) != 0) return false;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0) return false;
    return peer.uid == geteuid() || peer.uid == 0;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct admin_server *s = listener->data;
    if (status < 0) return;
    struct admin_connection *c = xcalloc(1, sizeof *c);
    msgpack_unpacked_init(&c->unpacked);
    c->server = s;
    c->pipe.data = c->deadline.data = c;
    uv_pipe_init(s->loop, &c->pipe, 0);
    uv_timer_init(s->loop, &c->deadline);
    c->open_handles = 2;
    unsigned slot = 0;
    while (slot < ADMIN_CONNECTIONS && s->connections[slot] != NULL) slot++;
    if (uv_accept(listener, (uv_stream_t *)&c->pipe) != 0 || slot == ADMIN_CONNECTIONS || !peer_is_allowed(&c->pipe)) {
        connection_close(c);
        return;
    }
    s->connections[slot] = c;
    arm_deadline(c);
    uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
}

/* ---- calls ---- */

static void start_call(struct admin_connection *c, struct str payload)
{
    size_t at = 0;
    if (!admin_check(payload) ||
        msgpack_unpack_next(&c->unpacked, payload.p, payload.n, &at) != MSGPACK_UNPACK_SUCCESS) {
        connection_close(c);
        return;
    }
    uv_timer_stop(&c->deadline);
    c->busy = true;
    c->call = (struct admin_call){
        .cmd = admin_get_str(&c->unpacked.data, "cmd"), .args = admin_get(&c->unpacked.data, "args"), .connection = c};
    if (admin_get_i64(&c->unpacked.data, "v", 0) != ADMIN_VERSION)
        admin_call_fail(&c->call, 1, STR("this weir speaks another version of the admin protocol"),
                        "use the weir command of the running version");
    else
        c->server->on_call(c->server->context, &c->call);
}

static void next_frame(struct admin_connection *c)
{
    if (c->busy || c->closing) return;
    struct str payload = STR_NULL;
    switch (admin_next(&c->in, &payload)) {
    case ADMIN_MORE: break;
    case ADMIN_BAD: connection_close(c); break;
    case ADMIN_WHOLE: start_call(c, payload); break;
    }
}

/* The frame's bytes stay in c->in until the call is over: cmd and args are views into them. */
static void finish_call(struct admin_connection *c)
{
    struct str payload = STR_NULL;
    c->busy = false;
    if (admin_next(&c->in, &payload) == ADMIN_WHOLE) buf_consume(&c->in, 4 + payload.n);
    arm_deadline(c);
    next_frame(c);
}

static void on_written(uv_write_t *req, int status)
{
    struct answer_write *w = req->data;
    struct admin_connection *c = w->connection;
    bool last = w->last;
    buf_fini(&w->bytes);
    free(w);
    if (status < 0)
        connection_close(c);
    else if (last && !c->closing)
        finish_call(c);
}

static struct answer_write *new_write(struct admin_call *call)
{
    struct answer_write *w = xcalloc(1, sizeof *w);
    w->connection = call->connection;
    return w;
}

static void send_answer(struct admin_call *call, struct answer_write *w, bool last)
{
    struct admin_connection *c = call->connection;
    w->last = last;
    w->req.data = w;
    if (last) call->on_gone = NULL; /* who answered is through with the call, and frees what on_gone would touch */
    uv_buf_t bytes = uv_buf_init(w->bytes.p + w->bytes.head, (unsigned)buf_len(&w->bytes));
    if (c->closing || uv_write(&w->req, (uv_stream_t *)&c->pipe, &bytes, 1, on_written) != 0) {
        buf_fini(&w->bytes);
        free(w);
        connection_close(c);
    }
}

msgpack_packer *admin_call_begin(struct admin_call *call, bool more)
{
    struct answer_write *w = new_write(call);
    call->more = more;
    admin_begin(&call->out, &w->bytes);
    msgpack_packer *p = &call->out.packer;
    msgpack_pack_map(p, more ? 4 : 3);
    admin_pack_kv_i64(p, "v", ADMIN_VERSION);
    admin_pack_kv_bool(p, "ok", true);
    if (more) admin_pack_kv_bool(p, "more", true);
    admin_pack_str(p, STR("data"));
    return p;
}

void admin_call_end(struct admin_call *call)
{
    struct answer_write *w =
        (struct answer_write *)(void *)((char *)call->out.out - offsetof(struct answer_write, bytes));
    if (admin_end(&call->out)) {
        send_answer(call, w, !call->more);
        return;
    }
    buf_fini(&w->bytes);
    free(w);
    admin_call_fail(call, 1, STR("the answer is larger than the admin protocol carries"),
                    "ask for less: --since, --limit");
}

void admin_call_fail(struct admin_call *call, int exit_code, struct str error, const char *hint)
{
    struct answer_write *w = new_write(call);
    admin_begin(&call->out, &w->bytes);
    msgpack_packer *p = &call->out.packer;
    msgpack_pack_map(p, hint == NULL ? 4 : 5);
    admin_pack_kv_i64(p, "v", ADMIN_VERSION);
    admin_pack_kv_bool(p, "ok", false);
    admin_pack_kv_i64(p, "exit", exit_code);
    admin_pack_kv_str(p, "error", error);
    if (hint != NULL) admin_pack_kv_str(p, "hint", str_of(hint));
    (void)admin_end(&call->out); /* short by construction */
    send_answer(call, w, true);
}

bool admin_call_is_clogged(const struct admin_call *call)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&call->connection->pipe) > CLOGGED_BYTES;
}

/* ---- the listener ---- */

/* Only a socket of ours that nobody answers on is taken away. */
static bool clear_stale(const char *path, const struct sockaddr_un *address, const char **ret_why)
{
    struct stat st;
    if (lstat(path, &st) != 0) return true;
    if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid()) {
        *ret_why = "something that is not our socket stands at this path";
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answered = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    if (fd >= 0) close(fd);
    if (answered) *ret_why = "another process answers on it";
    return !answered && unlink(path) == 0;
}

static int listen_at(const char *path, const char **ret_why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        *ret_why = "the path is too long for a Unix socket (107 bytes at most): choose a shorter state directory";
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (!clear_stale(path, &address, ret_why)) return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(0177); /* never visible with a wider mode */
    bool ok = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 16) == 0;
    if (!ok) *ret_why = strerror(errno);
    umask(old);
    if (ok) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

struct admin_server *admin_server_start(uv_loop_t *loop, const char *path, admin_handler on_call, void *context,
                                        const char **ret_why)
{
    int fd = listen_at(path, ret_why);
    if (fd < 0) return NULL;
    struct admin_server *s = xcalloc(1, sizeof *s);
    s->loop = loop;
    s->path = xstrdup(path);
    s->on_call = on_call;
    s->context = context;
    s->pipe.data = s;
    uv_pipe_init(loop, &s->pipe, 0);
    uv_pipe_open(&s->pipe, fd);
    uv_listen((uv_stream_t *)&s->pipe, 16, on_connection);
    return s;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct admin_server *s = handle->data;
    free(s->path);
    free(s);
}

void admin_server_stop(struct admin_server **sp)
{
    struct admin_server *s = *sp;
    if (s == NULL) return;
    *sp = NULL;
    for (unsigned i = 0; i < ADMIN_CONNECTIONS; i++)
        if (s->connections[i] != NULL) connection_close(s->connections[i]);
    unlink(s->path);
    uv_close((uv_handle_t *)&s->pipe, on_listener_closed);
}
