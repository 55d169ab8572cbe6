#include "controlplane/fetch.h"

#include "controlplane/dial.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "proto/base/version.h"
#include "proto/wire/url.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_MS = 3000 }; /* for one address: the next one must have its turn within the deadline */

struct address {
    int family;
    uint8_t ip[16];
};

struct fetch {
    uv_loop_t *loop;
    fetch_done done; /* NULL: cancelled or done */
    void *context;
    uv_timer_t deadline;
    uv_getaddrinfo_t lookup;
    bool looking_up, timer_closed;
    uint64_t ends_ms;

    /* the request */
    char host[256];
    uint16_t port;
    struct tls_trust *trust; /* NULL: plain http */
    struct buf out;          /* head and body, whole */
    const char *refused;     /* why nothing is sent at all */

    /* the way there */
    struct address address[FETCH_ADDRESSES];
    unsigned addresses, at;
    bool tls_again; /* the same address had its second try after a failed handshake */
    struct dial *dial;

    /* the answer */
    struct http1 http;
    struct buf body;
};

static void try_address(struct fetch *f);

/* ---- The end ---- */

static void free_if_idle(struct fetch *f)
{
    if (f->looking_up || !f->timer_closed) return;
    http1_fini(&f->http);
    buf_fini(&f->body);
    buf_fini(&f->out);
    free(f);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct fetch *f = handle->data;
    f->timer_closed = true;
    free_if_idle(f);
}

static void close_all(struct fetch *f)
{
    f->done = NULL;
    dial_close(&f->dial);
    if (f->looking_up) (void)uv_cancel((uv_req_t *)&f->lookup);
    uv_close((uv_handle_t *)&f->deadline, on_timer_closed);
}

static void answer(struct fetch *f, const struct fetch_answer *a)
{
    fetch_done done = f->done;
    if (done == NULL) return;
    close_all(f);
    done(f->context, a);
}

static void fail(struct fetch *f, enum weir_err err, const char *why)
{
    answer(f, &(struct fetch_answer){.err = err, .why = why});
}

void fetch_cancel(struct fetch **fp)
{
    struct fetch *f = *fp;
    *fp = NULL;
    if (f != NULL && f->done != NULL) close_all(f);
}

static void on_deadline(uv_timer_t *timer)
{
    fail(timer->data, WEIR_UP_TIMEOUT_TOTAL, "no answer in time");
}

/* ---- The answer ---- */

static void whole(struct fetch *f)
{
    const struct http1_head *head = http1_head(&f->http);
    answer(f, &(struct fetch_answer){.why = "", .status = head->status, .head = head, .body = buf_view(&f->body)});
}

static void bad_answer(struct fetch *f)
{
    const char *why = "";
    (void)http1_error(&f->http, &why);
    fail(f, WEIR_UP_PROTOCOL, why);
}

static void on_bytes(void *context, struct str bytes)
{
    struct fetch *f = context;
    struct str piece;
    for (;;) {
        switch (http1_feed(&f->http, &bytes, &piece)) {
        case HTTP1_MORE: return;
        case HTTP1_HEAD: break;
        case HTTP1_BODY: /* one without a length is counted here */
            if (buf_len(&f->body) + piece.n > f->http.limits.body_bytes) {
                fail(f, WEIR_UP_TOO_LARGE, "the answer is too large");
                return;
            }
            buf_add(&f->body, piece);
            break;
        case HTTP1_END: whole(f); return;
        case HTTP1_BAD: bad_answer(f); return;
        }
    }
}

static bool has_answer_begun(const struct fetch *f)
{
    return http1_head(&f->http)->status != 0;
}

static void on_end(void *context, enum weir_err err, const char *why)
{
    struct fetch *f = context;
    bool opening = err == WEIR_UP_CONNECT || err == WEIR_UP_TLS || err == WEIR_UP_TIMEOUT_CONNECT;
    f->dial = NULL;
    /* A server of TLS 1.2 may fail the first handshake only: the trust remembers what it wants. */
    bool again = err == WEIR_UP_TLS && !f->tls_again;
    if (opening && !has_answer_begun(f) && (again || f->at + 1 < f->addresses)) {
        f->tls_again = again;
        if (!again) f->at++;
        try_address(f);
    } else if (err != WEIR_OK) {
        fail(f, err, why);
    } else if (http1_eof(&f->http) == HTTP1_END) {
        whole(f);
    } else {
        fail(f, WEIR_UP_TRUNCATED, has_answer_begun(f) ? "the answer ended too early" : "closed without an answer");
    }
}

static void on_open(void *context)
{
    struct fetch *f = context;
    dial_write(f->dial, buf_view(&f->out));
}

/* ---- The way there ---- */

static void try_address(struct fetch *f)
{
    static const struct dial_events events = {.on_open = on_open, .on_bytes = on_bytes, .on_end = on_end};
    const struct address *a = &f->address[f->at];
    uint64_t now = clock_mono_ms(), left = f->ends_ms > now ? f->ends_ms - now : 1;
    struct dial_to to = {
        .family = a->family,
        .port = f->port,
        .host = str_of(f->host),
        .trust = f->trust,
        .open_ms = left < OPEN_MS ? (uint32_t)left + 1 : OPEN_MS, /* the fetch's own deadline comes first */
    };
    memcpy(to.ip, a->ip, sizeof to.ip);
    f->dial = dial_open(f->loop, &to, &events, f);
}

/* 127/8, ::1, 169.254/16, fe80::/10, and fd00:ec2::/32, where AWS keeps its metadata services. */
static bool is_local(const struct address *a)
{
    static const uint8_t loopback[16] = {[15] = 1}, aws[4] = {0xfd, 0x00, 0x0e, 0xc2};
    if (a->family == 4) return a->ip[0] == 127 || (a->ip[0] == 169 && a->ip[1] == 254);
    return memcmp(a->ip, loopback, 16) == 0 || (a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80) ||
           memcmp(a->ip, aws, 4) == 0;
}

static void add_address(struct fetch *f, const struct sockaddr *sa)
{
    struct address a = {0};
    if (f->addresses == FETCH_ADDRESSES) return;
    if (sa->sa_family == AF_INET) {
        a.family = 4;
        memcpy(a.ip, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        a.family = 6;
        memcpy(a.ip, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    } else {
        return;
    }
    f->address[f->addresses++] = a;
}

static void on_looked_up(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct fetch *f = req->data;
    f->looking_up = false;
    for (const struct addrinfo *i = list; i != NULL; i = i->ai_next) add_address(f, i->ai_addr);
    uv_freeaddrinfo(list);
    if (f->done == NULL) {
        free_if_idle(f);
        return;
    }
    bool local = true;
    for (unsigned i = 0; i < f->addresses; i++) local = local && is_local(&f->address[i]);
    if (f->addresses == 0)
        fail(f, WEIR_UP_DNS, status != 0 ? uv_strerror(status) : "the name has no address");
    else if (f->trust == NULL && !local)
        fail(f, WEIR_UP_BLOCKED, "plain http is only for addresses of this machine; use https");
    else
        try_address(f);
}

static void look_up(struct fetch *f)
{
    static const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    f->lookup.data = f;
    int rc = uv_getaddrinfo(f->loop, &f->lookup, on_looked_up, f->host, NULL, &hints);
    f->looking_up = rc == 0;
    if (rc != 0) fail(f, WEIR_UP_DNS, uv_strerror(rc));
}

/* The first turn of the loop: from here on the callback may be called. */
static void on_begin(uv_timer_t *timer)
{
    struct fetch *f = timer->data;
    uint64_t now = clock_mono_ms();
    uv_timer_start(timer, on_deadline, f->ends_ms > now ? f->ends_ms - now : 0, 0);
    if (f->refused != NULL)
        fail(f, WEIR_UP_BLOCKED, f->refused);
    else if (f->addresses > 0)
        try_address(f);
    else
        look_up(f);
}

/* ---- The request ---- */

/* "https://host:port" and the rest, which goes out as it stands. */
static struct str split_url(struct str url, struct str *ret_target)
{
    ptrdiff_t scheme = str_find(url, STR("://"));
    size_t at = scheme < 0 ? url.n : (size_t)scheme + 3;
    while (at < url.n && url.p[at] != '/' && url.p[at] != '?' && url.p[at] != '#') at++;
    *ret_target = str_slice(url, at, url.n);
    return str_slice(url, 0, at);
}

static bool is_target(struct str target)
{
    for (size_t i = 0; i < target.n; i++)
        if (target.p[i] <= ' ' || target.p[i] > '~' || target.p[i] == '#') return false;
    return true;
}

static void write_request(struct fetch *f, const struct fetch_request *r, const struct url *u, struct str target)
{
    struct buf host = {0};
    struct str method = r->method.n > 0 ? r->method : STR("GET");
    bool v6 = str_chr(u->host, ':') >= 0;
    buf_addf(&host, "%s%.*s%s", v6 ? "[" : "", STR_FMT(u->host), v6 ? "]" : "");
    if (u->explicit_port && u->port != (u->tls ? 443 : 80)) buf_addf(&host, ":%u", u->port);
    struct buf line = {0};
    if (target.n == 0 || target.p[0] != '/') buf_addc(&line, '/');
    buf_add(&line, target);
    http1_write_request_line(&f->out, method, buf_view(&line));
    (void)http1_write_header(&f->out, STR("Host"),
                             buf_view(&host)); /* url_parse() let nothing through that it refuses */
    buf_addf(&f->out, "User-Agent: weir/%s\r\nAccept-Encoding: identity\r\nConnection: close\r\n", weir_version());
    buf_add(&f->out, r->headers);
    if (!str_is(method, "GET")) http1_write_header_u64(&f->out, "Content-Length", r->body.n);
    http1_write_end(&f->out);
    if (!str_is(method, "GET")) buf_add(&f->out, r->body);
    buf_fini(&host);
    buf_fini(&line);
}

static const char *take_url(struct fetch *f, const struct fetch_request *r)
{
    struct url u;
    struct address literal = {0};
    struct str target, origin = split_url(r->url, &target);
    const char *why;
    if (!url_parse(origin, &u, &why)) return why;
    if (!is_target(target)) return "its path holds a byte that no URL may";
    if (u.host.n >= sizeof f->host) return "its host is too long";
    if (u.tls && r->trust == NULL) return "no certificate authorities to trust";
    memcpy(f->host, u.host.p, u.host.n);
    f->port = u.port;
    f->trust = u.tls ? r->trust : NULL;
    if (url_parse_ip(u.host, &literal.family, literal.ip)) f->address[f->addresses++] = literal;
    write_request(f, r, &u, target);
    return NULL;
}

struct fetch *fetch_start(uv_loop_t *loop, const struct fetch_request *request, fetch_done done, void *context)
{
    struct fetch *f = xcalloc(1, sizeof *f);
    struct http1_limits limits = http1_response_limits;
    f->loop = loop;
    f->done = done;
    f->context = context;
    f->ends_ms = clock_mono_ms() + (request->deadline_ms != 0 ? request->deadline_ms : FETCH_DEADLINE_MS);
    f->refused = take_url(f, request);
    limits.body_bytes = request->body_limit != 0 ? request->body_limit : FETCH_BODY_BYTES;
    http1_init(&f->http, HTTP1_RESPONSE, &limits);
    f->http.head_request = str_is(request->method, "HEAD");
    uv_timer_init(loop, &f->deadline);
    f->deadline.data = f;
    uv_timer_start(&f->deadline, on_begin, 0, 0);
    return f;
}
