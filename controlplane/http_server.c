#include "controlplane/http_server.h"

#include "proto/base/mem.h"
#include "proto/wire/http1.h"
#include "proto/wire/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = 8192 };

struct http_connection {
    struct http_server *server; /* NULL: the server is gone */
    uv_tcp_t tcp;
    uv_timer_t deadline;
    uv_write_t write;
    unsigned open_handles;
    bool closing, writing, keep_alive;
    struct http1 http;
    struct buf in, out;
    char read_buffer[READ_BYTES];
};

struct http_server {
    uv_loop_t *loop;
    uv_tcp_t tcp;
    http_handler on_get;
    void *context;
    struct http_connection *connections[HTTP_CONNECTIONS];
};

static void next_request(struct http_connection *c);

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_connection *c = handle->data;
    if (--c->open_handles > 0) return;
    http1_fini(&c->http);
    buf_fini(&c->in);
    buf_fini(&c->out);
    free(c);
}

static void connection_close(struct http_connection *c)
{
    if (c->closing) return;
    c->closing = true;
    if (c->server != NULL)
        for (unsigned i = 0; i < HTTP_CONNECTIONS; i++)
            if (c->server->connections[i] == c) c->server->connections[i] = NULL;
    c->server = NULL;
    uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&c->deadline, on_handle_closed);
}

static void on_deadline(uv_timer_t *timer)
{
    connection_close(timer->data);
}

static void on_written(uv_write_t *req, int status)
{
    struct http_connection *c = req->data;
    c->writing = false;
    if (status < 0 || !c->keep_alive) {
        connection_close(c);
        return;
    }
    buf_clear(&c->out);
    http1_reset(&c->http);
    uv_timer_start(&c->deadline, on_deadline, HTTP_DEADLINE_MS, 0);
    next_request(c);
}

static void send_answer(struct http_connection *c, struct http_answer *a, bool head_only)
{
    http1_write_status_line(&c->out, a->status);
    (void)http1_write_header(&c->out, STR("content-type"), str_of(a->content_type));
    http1_write_header_u64(&c->out, "content-length", buf_len(&a->body));
    (void)http1_write_header(&c->out, STR("cache-control"), STR("no-store"));
    (void)http1_write_header(&c->out, STR("connection"), c->keep_alive ? STR("keep-alive") : STR("close"));
    http1_write_end(&c->out);
    if (!head_only) buf_add(&c->out, buf_view(&a->body));
    buf_fini(&a->body);
    uv_buf_t bytes = uv_buf_init(c->out.p + c->out.head, (unsigned)buf_len(&c->out));
    c->write.data = c;
    c->writing = true;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &bytes, 1, on_written) != 0) connection_close(c);
}

static void answer_text(struct http_connection *c, uint16_t status, const char *text)
{
    struct http_answer a = {.status = status, .content_type = "text/plain; charset=utf-8"};
    buf_addz(&a.body, text);
    send_answer(c, &a, false);
}

static void answer_request(struct http_connection *c)
{
    const struct http1_head *head = http1_head(&c->http);
    bool is_head = str_is(head->method, "HEAD");
    c->keep_alive = head->keep_alive;
    if (!is_head && !str_is(head->method, "GET")) {
        c->keep_alive = false;
        answer_text(c, 405, "weir: this port answers GET and HEAD only; changes go through the weir command\n");
        return;
    }
    struct http_answer a = {.content_type = "text/plain; charset=utf-8"};
    c->server->on_get(c->server->context, head->path, &a);
    if (a.status == 0) {
        a.status = 404;
        buf_addz(&a.body, "weir: no such page. There are /startupz, /livez, /readyz and /metrics\n");
    }
    send_answer(c, &a, is_head);
}

static void next_request(struct http_connection *c)
{
    struct str body;
    struct str in = buf_view(&c->in);
    size_t before = in.n;
    enum http1_event e;
    do e = http1_feed(&c->http, &in, &body);
    while (e == HTTP1_HEAD || e == HTTP1_BODY); /* a body is read and ignored: it is at most body_bytes long */
    buf_consume(&c->in, before - in.n);
    if (e == HTTP1_END) {
        answer_request(c);
    } else if (e == HTTP1_BAD) {
        const char *why = "";
        c->keep_alive = false;
        answer_text(c, err_row(http1_error(&c->http, &why))->http, "weir: bad request\n");
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct http_connection *c = handle->data;
    *buf = uv_buf_init(c->read_buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_connection *c = stream->data;
    if (n < 0) {
        connection_close(c);
        return;
    }
    buf_add(&c->in, (struct str){buf->base, (size_t)n});
    if (buf_len(&c->in) > 4 * READ_BYTES)
        connection_close(c); /* pipelines without reading */
    else if (!c->writing)
        next_request(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    static const struct http1_limits limits = {
        .line_bytes = 2048, .head_bytes = 16384, .headers = 64, .body_bytes = 1024};
    struct http_server *s = listener->data;
    if (status < 0) return;
    struct http_connection *c = xcalloc(1, sizeof *c);
    c->server = s;
    c->tcp.data = c->deadline.data = c;
    http1_init(&c->http, HTTP1_REQUEST, &limits);
    uv_tcp_init(s->loop, &c->tcp);
    uv_timer_init(s->loop, &c->deadline);
    c->open_handles = 2;
    unsigned slot = 0;
    while (slot < HTTP_CONNECTIONS && s->connections[slot] != NULL) slot++;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 || slot == HTTP_CONNECTIONS) {
        connection_close(c);
        return;
    }
    s->connections[slot] = c;
    uv_timer_start(&c->deadline, on_deadline, HTTP_DEADLINE_MS, 0);
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static bool parse_address(const char *text, struct sockaddr_storage *ret_address, const char **ret_why)
{
    struct str host;
    uint16_t port = 0;
    int family;
    uint8_t ip[16];
    memset(ret_address, 0, sizeof *ret_address);
    if (!url_parse_authority(str_of(text), &host, &port, ret_why)) return false;
    if (str_is(host, "localhost")) host = STR("127.0.0.1");
    if (!url_parse_ip(host, &family, ip)) {
        *ret_why = "an address to listen on is an IP address and a port, such as 127.0.0.1:8491";
        return false;
    }
    if (family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret_address;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, ip, 4);
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_address;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        memcpy(&in6->sin6_addr, ip, 16);
    }
    return true;
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(handle->data);
}

struct http_server *http_server_start(uv_loop_t *loop, const char *address, http_handler on_get, void *context,
                                      bool *ret_in_use, const char **ret_why)
{
    struct sockaddr_storage at;
    *ret_in_use = false;
    if (!parse_address(address, &at, ret_why)) return NULL;
    struct http_server *s = xcalloc(1, sizeof *s);
    s->loop = loop;
    s->on_get = on_get;
    s->context = context;
    uv_tcp_init(loop, &s->tcp);
    s->tcp.data = s;
    int rc = uv_tcp_bind(&s->tcp, (const struct sockaddr *)&at, 0);
    if (rc == 0) rc = uv_listen((uv_stream_t *)&s->tcp, 128, on_connection);
    if (rc == 0) return s;
    *ret_in_use = rc == UV_EADDRINUSE;
    *ret_why = uv_strerror(rc);
    uv_close((uv_handle_t *)&s->tcp, on_listener_closed);
    return NULL;
}

uint16_t http_server_port(const struct http_server *s)
{
    struct sockaddr_storage at;
    int n = sizeof at;
    if (uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&at, &n) != 0) return 0;
    return at.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&at)->sin_port)
                                   : ntohs(((struct sockaddr_in6 *)&at)->sin6_port);
}

void http_server_stop(struct http_server **sp)
{
    struct http_server *s = *sp;
    if (s == NULL) return;
    *sp = NULL;
    for (unsigned i = 0; i < HTTP_CONNECTIONS; i++)
        if (s->connections[i] != NULL) connection_close(s->connections[i]);
    uv_close((uv_handle_t *)&s->tcp, on_listener_closed);
}
