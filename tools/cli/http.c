#include "tools/cli/http.h"

#include "proto/base/clock.h"
#include "proto/wire/url.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_BYTES = 64 << 10, BODY_LIMIT_BYTES = 64 << 20 };

static bool fail(struct http_reply *r, const char *what, const char *why)
{
    snprintf(r->why, sizeof r->why, "%s%s%s", what, why[0] != '\0' ? ": " : "", why);
    return false;
}

/* ---- where to ---- */

static int dial_unix(struct str path, struct http_reply *r)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (path.n >= sizeof at.sun_path) {
        fail(r, "the path of the socket is too long", "");
        return -1;
    }
    memcpy(at.sun_path, path.p, path.n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) == 0) return fd;
    fail(r, at.sun_path, strerror(errno));
    if (fd >= 0) close(fd);
    return -1;
}

static int dial_tcp(const struct url *u, struct http_reply *r)
{
    struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(u->port)};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(u->port)};
    uint8_t ip[16] = {0};
    int family = 0;
    if (!url_parse_ip(u->host, &family, ip)) {
        fail(r, "not an IP address", "");
        return -1;
    }
    memcpy(&to4.sin_addr, ip, 4);
    memcpy(&to6.sin6_addr, ip, 16);
    const struct sockaddr *to = family == 4 ? (const struct sockaddr *)&to4 : (const struct sockaddr *)&to6;
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, to, family == 4 ? sizeof to4 : sizeof to6) == 0) return fd;
    char where[96];
    snprintf(where, sizeof where, "%.*s:%u", (int)(u->host.n < 64 ? u->host.n : 64), u->host.p, u->port);
    fail(r, where, strerror(errno));
    if (fd >= 0) close(fd);
    return -1;
}

static int dial(const char *endpoint, struct buf *host, struct http_reply *r)
{
    struct str text = str_of(endpoint);
    struct url u;
    const char *why = "";
    if (str_starts(text, STR("unix:"))) {
        buf_addz(host, "localhost");
        return dial_unix(str_slice(text, 5, text.n), r);
    }
    if (!url_parse(text, &u, &why) || u.tls) {
        fail(r, endpoint, u.tls ? "only plain HTTP" : why);
        return -1;
    }
    ptrdiff_t scheme = str_find(text, STR("//"));
    buf_add(host, str_slice(text, (size_t)scheme + 2, text.n));
    return dial_tcp(&u, r);
}

/* ---- asking ---- */

static bool wait_for(int fd, short what, uint64_t until_ms, struct http_reply *r)
{
    struct pollfd p = {.fd = fd, .events = what};
    uint64_t now_ms = clock_mono_ms();
    int n = now_ms >= until_ms ? 0 : poll(&p, 1, (int)(until_ms - now_ms));
    if (n > 0) return true;
    return fail(r, n == 0 ? "no answer in time" : "interrupted", "");
}

static bool send_all(int fd, struct str bytes, uint64_t until_ms, struct http_reply *r)
{
    while (bytes.n > 0) {
        if (!wait_for(fd, POLLOUT, until_ms, r)) return false;
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) continue;
        if (n < 0) return fail(r, "cannot send", strerror(errno));
        bytes = str_slice(bytes, (size_t)n, bytes.n);
    }
    return true;
}

static bool receive(int fd, uint64_t until_ms, struct http_reply *r)
{
    char bytes[READ_BYTES];
    for (;;) {
        if (!wait_for(fd, POLLIN, until_ms, r)) return false;
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n < 0) return fail(r, "cannot read the answer", strerror(errno));
        struct str in = {bytes, (size_t)n}, body = STR_NULL;
        enum http1_event event;
        do {
            event = n == 0 ? http1_eof(&r->http) : http1_feed(&r->http, &in, &body);
            if (event == HTTP1_BODY) buf_add(&r->body, body);
        } while (event == HTTP1_HEAD || event == HTTP1_BODY);
        if (event == HTTP1_END) return true;
        if (event == HTTP1_BAD || n == 0) return fail(r, "the answer ends early or is not HTTP", "");
    }
}

bool http_ask(const struct http_question *q, struct http_reply *r)
{
    static const struct http1_limits limits = {
        .line_bytes = 16 << 10, .head_bytes = 64 << 10, .headers = 100, .body_bytes = BODY_LIMIT_BYTES, .interim = 8};
    struct buf out = {0}, host = {0};
    uint64_t began_ns = clock_mono_ns(), until_ms = clock_mono_ms() + q->timeout_ms;
    *r = (struct http_reply){0};
    http1_init(&r->http, HTTP1_RESPONSE, &limits);
    int fd = dial(q->endpoint, &host, r);
    buf_addf(&out, "%s %s HTTP/1.1\r\nHost: %.*s\r\nConnection: close\r\n%s", q->method, q->path,
             STR_FMT(buf_view(&host)), q->headers != NULL ? q->headers : "");
    if (q->body.p != NULL) buf_addf(&out, "Content-Length: %zu\r\n", q->body.n);
    buf_addz(&out, "\r\n");
    buf_add(&out, q->body);
    bool ok = fd >= 0 && send_all(fd, buf_view(&out), until_ms, r) && receive(fd, until_ms, r);
    r->us = (clock_mono_ns() - began_ns) / 1000;
    r->status = ok ? http1_head(&r->http)->status : 0;
    if (fd >= 0) close(fd);
    buf_fini(&out);
    buf_fini(&host);
    return ok;
}

struct str http_reply_header(const struct http_reply *r, const char *name)
{
    struct str value = r->status != 0 ? http1_get(http1_head(&r->http), name) : STR_NULL;
    return value.p != NULL ? value : STR_NULL;
}

void http_reply_fini(struct http_reply *r)
{
    http1_fini(&r->http);
    buf_fini(&r->body);
}
