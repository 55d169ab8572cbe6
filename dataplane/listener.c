#include "dataplane/listener.h"

#include "dataplane/client.h"
#include "dataplane/core.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { BACKLOG = 1024 };

static void on_connection(uv_stream_t *s, int status)
{
    struct listener *l = s->data;
    if (status == 0) client_open(l->w, l);
}

bool listener_open(struct listener *l, struct worker *w, int fd, bool is_unix, const char **ret_why)
{
    l->w = w;
    l->is_unix = is_unix;
    int e = is_unix ? uv_pipe_init(&w->loop, &l->s.pipe, 0) : uv_tcp_init(&w->loop, &l->s.tcp);
    l->open = e == 0;
    if (e == 0) e = is_unix ? uv_pipe_open(&l->s.pipe, fd) : uv_tcp_open(&l->s.tcp, fd);
    l->s.handle.data = l;
    if (e == 0 && !is_unix) { /* accepted sockets inherit it: one system call for all of them */
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (e == 0) e = uv_listen(&l->s.stream, BACKLOG, on_connection);
    if (e != 0) *ret_why = uv_strerror(e);
    return e == 0;
}

static void on_closed(uv_handle_t *h)
{
    (void)h;
}

void listener_close(struct listener *l)
{
    if (l->open) uv_close(&l->s.handle, on_closed);
    l->open = false;
}
