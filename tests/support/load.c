/* Load for the stress runs: keep-alive connections, a fixed rate, no second try, and a line for each call that tells how it ended.
 *
 *   load --port N --rate CALLS_PER_S --seconds S [--calls N] [--connections N] [--streams PERCENT] [--model NAME] [--words N] [--log FILE]
 *        [--timeout-ms N] [--reconnect-wait-ms N] [--client both|openai|anthropic]
 * Calls alternate between the dialects of OpenAI and Anthropic, or are all of one; each asks for another number of words, so that two calls seldom cost the
 * same. A call is whole when it is a 200 whose framing ended and whose stream has its dialect's last event; everything else failed.
 * FILE has "whole|failed REQUEST_ID|- STATUS STREAM MICROSECONDS WHY" a line; the last line of standard output is the sum as JSON.
 * SIGTERM: no new calls; those under way end. */
#include "proto/base/buf.h"
#include "proto/base/clock.h"
#include "proto/wire/http1.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    int fd; /* -1: none; made anew for the next call */
    bool busy, stream, anthropic;
    uint64_t started_ns, free_ns; /* free_ns: not used before */
    struct http1 http;
    struct buf out;
    size_t sent;
    char tail[64]; /* the last bytes of the body */
    size_t tail_n;
    char id[48];
    unsigned status;
};

static struct options {
    uint64_t port, rate, seconds, calls, connections, streams, words, timeout_ms, wait_ms;
    const char *model, *log, *client;
} opt = {.rate = 100,
         .seconds = 10,
         .calls = UINT64_MAX,
         .connections = 64,
         .streams = 50,
         .words = 40,
         .timeout_ms = 20000,
         .model = "chat",
         .client = "both"};

static struct connection *connections;
static int epoll_fd;
static FILE *log_file;
static uint64_t started, whole, failed;
static volatile sig_atomic_t is_over;

static void on_term(int number)
{
    (void)number;
    is_over = 1;
}

static void give_up(struct connection *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void done(struct connection *c, const char *why)
{
    bool ok = why == NULL;
    if (ok)
        whole++;
    else
        failed++;
    if (log_file != NULL)
        fprintf(log_file, "%s %s %u %d %llu %s\n", ok ? "whole" : "failed", c->id[0] != 0 ? c->id : "-", c->status,
                c->stream, (unsigned long long)(clock_mono_ns() - c->started_ns) / 1000, ok ? "-" : why);
    c->busy = false;
    if (ok) return;
    give_up(c);
    c->free_ns = clock_mono_ns() + opt.wait_ms * 1000000;
}

static bool dial(struct connection *c)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 || fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e) < 0) {
        give_up(c);
        return false;
    }
    return true;
}

static void flush_out(struct connection *c)
{
    struct str left = str_slice(buf_view(&c->out), c->sent, SIZE_MAX);
    if (!c->busy || left.n == 0) return;
    ssize_t n = send(c->fd, left.p, left.n, MSG_NOSIGNAL);
    if (n > 0) c->sent += (size_t)n; /* an error is told by the next read */
}

static void ask(struct connection *c)
{
    struct buf body = {0};
    uint64_t number = started++;

    c->busy = true;
    c->started_ns = clock_mono_ns();
    c->anthropic = strcmp(opt.client, "both") == 0 ? number % 2 == 1 : strcmp(opt.client, "anthropic") == 0;
    c->stream = number * 37 % 100 < opt.streams;
    c->tail_n = 0;
    c->status = 0;
    c->id[0] = 0;
    if (c->fd < 0 && !dial(c)) {
        done(c, "connect");
        return;
    }
    http1_reset(&c->http);
    buf_addf(&body,
             "{\"model\":\"%s\",\"max_tokens\":4000,\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"[["
             "fake:words=%llu]]",
             opt.model, c->stream ? "true" : "false", (unsigned long long)(1 + number * 7 % opt.words));
    if (number % 3 == 0) buf_addf(&body, "[[fake:cached=%llu]]", (unsigned long long)(number % 500));
    buf_addf(&body, " call %llu\"}]}", (unsigned long long)number);
    buf_clear(&c->out);
    buf_addf(
        &c->out,
        "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\nContent-Length: %zu\r\n\r\n",
        c->anthropic ? "/v1/messages" : "/v1/chat/completions",
        c->anthropic ? "x-api-key: sk-app\r\nanthropic-version: 2023-06-01" : "Authorization: Bearer sk-app",
        buf_len(&body));
    buf_add(&c->out, buf_view(&body));
    buf_fini(&body);
    c->sent = 0;
    flush_out(c);
}

static void keep_tail(struct connection *c, struct str bytes)
{
    struct str last = bytes.n > sizeof c->tail ? str_slice(bytes, bytes.n - sizeof c->tail, bytes.n) : bytes;
    size_t keep = sizeof c->tail - last.n < c->tail_n ? sizeof c->tail - last.n : c->tail_n;
    memmove(c->tail, c->tail + (c->tail_n - keep), keep);
    memcpy(c->tail + keep, last.p, last.n);
    c->tail_n = keep + last.n;
}

static void answered(struct connection *c)
{
    struct str tail = {c->tail, c->tail_n};
    bool keep = http1_head(&c->http)->keep_alive;

    if (c->status != 200)
        done(c, "status");
    else if (c->stream && !str_contains(tail, c->anthropic ? STR("\"message_stop\"}") : STR("data: [DONE]")))
        done(c, "no-last-event");
    else
        done(c, NULL);
    if (!keep) give_up(c);
}

static void parse(struct connection *c, struct str in)
{
    struct str body;
    while (c->busy) {
        switch (http1_feed(&c->http, &in, &body)) {
        case HTTP1_MORE: return;
        case HTTP1_HEAD: {
            struct str id = http1_get(http1_head(&c->http), "x-request-id");
            c->status = http1_head(&c->http)->status;
            snprintf(c->id, sizeof c->id, "%.*s", STR_FMT(id));
            break;
        }
        case HTTP1_BODY: keep_tail(c, body); break;
        case HTTP1_END: answered(c); break;
        case HTTP1_BAD: done(c, "not-http"); return;
        }
    }
}

static void readable(struct connection *c)
{
    static char bytes[65536];
    while (c->fd >= 0) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n > 0) {
            parse(c, (struct str){bytes, (size_t)n});
            continue;
        }
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0 && errno == EINTR) continue;
        if (c->busy) done(c, n == 0 ? "closed" : "reset");
        give_up(c); /* an idle connection may be closed by the other side at any time */
        return;
    }
}

static void start_due(uint64_t begin_ns, uint64_t now_ns)
{
    uint64_t due = (now_ns - begin_ns) * opt.rate / 1000000000;
    if (due > opt.calls) due = opt.calls;
    for (uint64_t i = 0; i < opt.connections && started < due; i++)
        if (!connections[i].busy && connections[i].free_ns <= now_ns) ask(&connections[i]);
    for (uint64_t i = 0; i < opt.connections; i++)
        if (connections[i].busy && now_ns > connections[i].started_ns + opt.timeout_ms * 1000000)
            done(&connections[i], "timeout");
}

static bool any_busy(void)
{
    for (uint64_t i = 0; i < opt.connections; i++)
        if (connections[i].busy) return true;
    return false;
}

static void run(void)
{
    struct epoll_event events[64];
    uint64_t begin_ns = clock_mono_ns(), end_ns = begin_ns + opt.seconds * 1000000000;

    for (;;) {
        uint64_t now_ns = clock_mono_ns();
        bool over = is_over != 0 || now_ns >= end_ns || started >= opt.calls;
        if (over && !any_busy()) return;
        start_due(over ? now_ns : begin_ns, now_ns);
        int n = epoll_wait(epoll_fd, events, 64, 2);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            flush_out(c);
            readable(c);
        }
    }
}

static void read_options(int argc, char **argv)
{
    const struct {
        const char *name;
        uint64_t *number;
        const char **text;
    } rows[] = {{"--port", &opt.port, NULL},
                {"--rate", &opt.rate, NULL},
                {"--seconds", &opt.seconds, NULL},
                {"--calls", &opt.calls, NULL},
                {"--connections", &opt.connections, NULL},
                {"--streams", &opt.streams, NULL},
                {"--words", &opt.words, NULL},
                {"--timeout-ms", &opt.timeout_ms, NULL},
                {"--reconnect-wait-ms", &opt.wait_ms, NULL},
                {"--model", NULL, &opt.model},
                {"--client", NULL, &opt.client},
                {"--log", NULL, &opt.log}};
    for (int i = 1; i < argc; i += 2) {
        bool known = false;
        for (size_t k = 0; i + 1 < argc && k < sizeof rows / sizeof *rows; k++) {
            if (strcmp(argv[i], rows[k].name) != 0) continue;
            known = rows[k].text != NULL || str_u64(str_of(argv[i + 1]), rows[k].number);
            if (rows[k].text != NULL) *rows[k].text = argv[i + 1];
        }
        if (!known) {
            fprintf(stderr, "load: %s is no option, or its value is missing\n", argv[i]);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct http1_limits limits = http1_response_limits;

    read_options(argc, argv);
    signal(SIGTERM, on_term);
    if (opt.log != NULL && (log_file = fopen(opt.log, "w")) == NULL) {
        perror(opt.log);
        return 2;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc(opt.connections, sizeof *connections);
    if (connections == NULL || epoll_fd < 0) return 2;
    for (uint64_t i = 0; i < opt.connections; i++) {
        connections[i].fd = -1;
        http1_init(&connections[i].http, HTTP1_RESPONSE, &limits);
    }
    uint64_t begin_ns = clock_mono_ns();
    run();
    printf("{\"calls\":%llu,\"whole\":%llu,\"failed\":%llu,\"ms\":%llu}\n", (unsigned long long)started,
           (unsigned long long)whole, (unsigned long long)failed,
           (unsigned long long)(clock_mono_ns() - begin_ns) / 1000000);
    if (log_file != NULL) fclose(log_file);
    for (uint64_t i = 0; i < opt.connections; i++) {
        give_up(&connections[i]);
        http1_fini(&connections[i].http);
        buf_fini(&connections[i].out);
    }
    free(connections);
    return 0;
}
