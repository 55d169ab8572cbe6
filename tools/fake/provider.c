#include "tools/fake/provider.h"

#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "proto/wire/http1.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { KEEP_CALLS = 2000, KEEP_BYTES = 64 << 20, LOG_TOGETHER = 64 << 10, LOG_EVERY_MS = 50 };

/* ---- the log ---- */

static struct {
    int fd;
    struct buf bytes;
    uv_timer_t timer;
} log_file = {.fd = -1};

static void on_log_timer(uv_timer_t *timer)
{
    (void)timer;
    log_flush();
}

bool log_open(const char *path, uv_loop_t *loop, const char **ret_why)
{
    log_file.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_file.fd < 0) {
        *ret_why = strerror(errno);
        return false;
    }
    uv_timer_init(loop, &log_file.timer);
    uv_timer_start(&log_file.timer, on_log_timer, LOG_EVERY_MS, LOG_EVERY_MS);
    uv_unref((uv_handle_t *)&log_file.timer);
    return true;
}

void log_flush(void)
{
    while (buf_len(&log_file.bytes) > 0) {
        struct str rest = buf_view(&log_file.bytes);
        ssize_t n = write(log_file.fd, rest.p, rest.n);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            fprintf(stderr, "weir-fake: cannot write the log: %s\n", strerror(errno));
            exit(1);
        }
        buf_consume(&log_file.bytes, (size_t)n);
    }
}

static void log_call(const struct call *c, const char *fake)
{
    if (log_file.fd < 0) return;
    call_write_json(c, fake, &log_file.bytes);
    buf_addc(&log_file.bytes, '\n');
    if (buf_len(&log_file.bytes) >= LOG_TOGETHER) log_flush();
}

/* ---- calls ---- */

static struct str own(struct str s)
{
    char *copy = xmalloc(s.n + 1);
    if (s.n > 0) memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return (struct str){copy, s.n};
}

static void release(struct str *s)
{
    free((char *)(uintptr_t)s->p);
    *s = STR_NULL;
}

static bool is_key_header(struct str name)
{
    return str_iis(name, "authorization") || str_iis(name, "x-api-key") || str_iis(name, "api-key") ||
           str_iis(name, "x-goog-api-key") || str_iis(name, "x-amz-security-token");
}

static void hash_key(struct str key, char ret[24])
{
    unsigned char digest[32];
    if (str_starts(key, STR("Bearer "))) key = str_slice(key, 7, key.n);
    mbedtls_sha256((const unsigned char *)key.p, key.n, digest, 0);
    snprintf(ret, 24, "sha256:%02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]);
}

static struct str write_headers(const struct http1_head *head, char ret_key[24])
{
    struct buf b = {0};
    buf_addc(&b, '[');
    for (unsigned i = 0; i < head->n; i++) {
        buf_addz(&b, i > 0 ? ",[" : "[");
        buf_add_json_str(&b, head->header[i].name);
        buf_addc(&b, ',');
        if (is_key_header(head->header[i].name)) {
            hash_key(head->header[i].value, ret_key);
            buf_add_json_str(&b, str_of(ret_key));
        } else {
            buf_add_json_str(&b, head->header[i].value);
        }
        buf_addc(&b, ']');
    }
    buf_addc(&b, ']');
    struct str text = own(buf_view(&b));
    buf_fini(&b);
    return text;
}

struct call *call_new(struct provider *p, const struct http1_head *head, struct str body)
{
    struct call *c = xcalloc(1, sizeof *c);
    c->number = ++p->last_number;
    c->wall_ns = clock_wall_ns();
    c->mono_ns = clock_mono_ns();
    c->method = own(head->method);
    c->path = own(head->path);
    c->model = own(STR_NULL);
    c->dialect = "";
    c->headers = write_headers(head, c->key);
    c->body = own(body);
    p->counts.calls++;
    return c;
}

void call_free(struct call **call)
{
    struct call *c = *call;
    *call = NULL;
    if (c == NULL) return;
    release(&c->method);
    release(&c->path);
    release(&c->model);
    release(&c->headers);
    release(&c->body);
    free(c);
}

static void write_time(struct buf *out, uint64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / 1000000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec, (unsigned)(wall_ns / 1000 % 1000000));
}

static void write_usage(struct buf *out, const struct plan_usage *u)
{
    buf_addf(out,
             "{\"input\":%llu,\"cache_read\":%llu,\"cache_write\":%llu,\"cache_write_1h\":%llu,\"output\":%llu,"
             "\"reasoning\":%llu}",
             (unsigned long long)u->input, (unsigned long long)u->cache_read, (unsigned long long)u->cache_write,
             (unsigned long long)u->cache_write_1h, (unsigned long long)u->output, (unsigned long long)u->reasoning);
}

void call_write_json(const struct call *c, const char *fake, struct buf *out)
{
    buf_addz(out, "{\"ts\":\"");
    write_time(out, c->wall_ns);
    buf_addf(out, "\",\"fake\":\"%s\",\"call\":%llu,\"method\":", fake, (unsigned long long)c->number);
    buf_add_json_str(out, c->method);
    buf_addz(out, ",\"path\":");
    buf_add_json_str(out, c->path);
    buf_addf(out, ",\"dialect\":\"%s\",\"model\":", c->dialect);
    buf_add_json_str(out, c->model);
    buf_addf(out, ",\"stream\":%s,\"status\":%u,\"fault\":%u,\"key\":\"%s\",\"tokens\":", c->stream ? "true" : "false",
             c->status, c->fault, c->key);
    write_usage(out, &c->usage);
    buf_addf(out, ",\"usage_sent\":%s,\"events\":%u,\"bytes\":%zu,\"whole\":%s,\"client_gone\":%s,\"us\":%llu}",
             c->usage_sent ? "true" : "false", c->events, c->bytes, c->whole ? "true" : "false",
             c->client_gone ? "true" : "false", (unsigned long long)((clock_mono_ns() - c->mono_ns) / 1000));
}

static size_t size_of(const struct call *c)
{
    return sizeof *c + c->headers.n + c->body.n;
}

static void drop_oldest(struct provider *p)
{
    struct call **slot = &p->last[p->oldest % p->keep];
    if (*slot != NULL) {
        p->kept_bytes -= size_of(*slot);
        call_free(slot);
    }
    p->oldest++;
}

static void keep_call(struct provider *p, struct call *c)
{
    while (p->oldest + p->keep <= c->number || (p->kept_bytes + size_of(c) > KEEP_BYTES && p->oldest < c->number))
        drop_oldest(p);
    if (c->number < p->oldest) { /* a slow call, overtaken by a whole ring of others */
        call_free(&c);
        return;
    }
    p->last[c->number % p->keep] = c;
    p->kept_bytes += size_of(c);
}

static void add_usage(struct plan_usage *sum, const struct plan_usage *u)
{
    sum->input += u->input;
    sum->cache_read += u->cache_read;
    sum->cache_write += u->cache_write;
    sum->cache_write_1h += u->cache_write_1h;
    sum->output += u->output;
    sum->reasoning += u->reasoning;
}

void provider_note(struct provider *p, struct call **call)
{
    struct call *c = *call;
    *call = NULL;
    p->counts.whole += c->whole && c->status == 200;
    p->counts.refused += c->status >= 400;
    p->counts.client_gone += c->client_gone;
    add_usage(&p->counts.billed, &c->usage);
    log_call(c, p->name);
    keep_call(p, c);
}

/* ---- the provider ---- */

void provider_init(struct provider *p, uv_loop_t *loop)
{
    p->loop = loop;
    p->keep = KEEP_CALLS;
    p->last = xcalloc(p->keep, sizeof *p->last);
    p->oldest = 1;
}

void provider_reset(struct provider *p)
{
    faults_clear(&p->faults, 0);
    while (p->oldest <= p->last_number) drop_oldest(p);
    uint64_t open = p->counts.open;
    p->counts = (struct provider_counts){.open = open};
}
