/* credentials_rig: runs controlplane/credentials.c alone, for tests/flow/66-credentials.py.
 *
 *   credentials_rig [ca=FILE] [retry_min_ms=N] [retry_max_ms=N] [gap_ms=N] [metadata_ms=N] source=NAME [KEY=VALUE…] [source=NAME …]
 *
 * Each source= begins a row; rows are numbered from 0. Prints a JSON line for each event. Reads "refresh N" and "status N" on standard
 * input; its end ends the program. */
#include "controlplane/credentials.h"
#include "proto/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uv_loop_t loop;
static struct credentials *table;
static struct credential_conf rows[8];
static unsigned rows_n;
static char ca_text[65536];
static struct buf line;

static void die(const char *what, const char *name)
{
    fprintf(stderr, "credentials_rig: %s: %s\n", what, name);
    exit(2);
}

static void member(struct buf *out, const char *key, struct str value)
{
    buf_addf(out, ",\"%s\":", key);
    buf_add_json_str(out, value);
}

static void print(struct buf *out)
{
    printf("%.*s}\n", STR_FMT(buf_view(out)));
    fflush(stdout);
    buf_fini(out);
}

static void add_time(struct buf *out, const char *key, uint64_t at_ms)
{
    uint64_t now = clock_mono_ms();
    if (at_ms != UINT64_MAX && at_ms != 0) buf_addf(out, ",\"%s\":%lld", key, (long long)(at_ms - now));
}

static void on_event(void *context, const struct credential_event *e)
{
    struct buf out = {0};
    (void)context;
    buf_addf(&out, "{\"t\":%llu,\"id\":%u", (unsigned long long)clock_mono_ms(), e->provider_id);
    member(&out, "state", str_of(credential_state_word(e->state)));
    member(&out, "via", str_of(e->via));
    member(&out, "why", str_of(e->why));
    add_time(&out, "expires_in_ms", e->expires_mono_ms);
    if (e->value != NULL) {
        struct credential again;
        if (!credential_unpack(e->packed, &again) || !str_eq(again.secret, e->value->secret)) abort();
        member(&out, "secret", again.secret);
        member(&out, "access_key_id", again.access_key_id);
        member(&out, "session_token", again.session_token);
        member(&out, "project", again.project);
    }
    print(&out);
}

static void print_status(uint16_t id)
{
    struct credential_status s;
    struct buf out = {0};
    if (!credentials_status(table, id, &s)) die("no such row", "status");
    buf_addf(&out, "{\"status\":%u,\"refreshes\":%llu,\"failures\":%llu", id, (unsigned long long)s.refreshes,
             (unsigned long long)s.failures);
    member(&out, "state", str_of(credential_state_word(s.state)));
    member(&out, "via", str_of(s.via));
    member(&out, "why", str_of(s.why));
    add_time(&out, "expires_in_ms", s.expires_mono_ms);
    add_time(&out, "next_in_ms", s.next_refresh_mono_ms);
    print(&out);
}

/* ---- Commands ---- */

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
    static char bytes[1024];
    (void)h, (void)n;
    *b = uv_buf_init(bytes, sizeof bytes);
}

static void command(struct str text)
{
    uint64_t id;
    struct str verb = str_split(&text, ' ');
    if (!str_u64(text, &id)) die("not a number", "standard input");
    if (str_is(verb, "refresh")) credentials_refresh(table, (uint16_t)id);
    if (str_is(verb, "status")) print_status((uint16_t)id);
    if (str_is(verb, "keep")) credentials_configure(table, rows, (unsigned)id); /* the first so many rows */
}

static void on_read(uv_stream_t *in, ssize_t n, const uv_buf_t *b)
{
    if (n < 0) {
        credentials_free(&table);
        uv_close((uv_handle_t *)in, NULL);
        return;
    }
    buf_add(&line, (struct str){b->base, (size_t)n});
    for (ptrdiff_t end; (end = str_chr(buf_view(&line), '\n')) >= 0;) {
        command(str_slice(buf_view(&line), 0, (size_t)end));
        buf_consume(&line, (size_t)end + 1);
    }
}

/* ---- Arguments ---- */

static void read_ca(const char *path, struct credentials_settings *s)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) die("cannot be read", path);
    s->ca_pem = (struct str){ca_text, fread(ca_text, 1, sizeof ca_text, f)};
    fclose(f);
}

static void add_row(struct str name)
{
    if (rows_n == sizeof rows / sizeof *rows) die("too many", "source");
    struct credential_conf *row = &rows[rows_n];
    row->provider_id = (uint16_t)rows_n++;
    if (!credential_source_find(name, &row->source)) die("no such source", name.p);
}

static bool set_text(struct credential_conf *row, struct str key, struct str value)
{
#define X(name)               \
    if (str_is(key, #name)) { \
        row->name = value;    \
        return true;          \
    }
    CREDENTIAL_TEXTS(X)
#undef X
    return false;
}

static bool set_number(struct credentials_settings *s, struct str key, struct str value)
{
    uint64_t v;
    uint32_t *to = str_is(key, "retry_min_ms")   ? &s->retry_min_ms
                   : str_is(key, "retry_max_ms") ? &s->retry_max_ms
                   : str_is(key, "gap_ms")       ? &s->gap_ms
                   : str_is(key, "metadata_ms")  ? &s->metadata_ms
                                                 : NULL;
    if (to == NULL || !str_u64(value, &v)) return false;
    *to = (uint32_t)v;
    return true;
}

static const char *env_of(const char *name)
{
    return getenv(name);
}

int main(int argc, char **argv)
{
    struct credentials_settings s = {.loop = &loop, .env = env_of, .on_event = on_event};
    uv_pipe_t in;
    uv_loop_init(&loop);
    for (int i = 1; i < argc; i++) {
        struct str value = str_of(argv[i]), key = str_split(&value, '=');
        if (str_is(key, "ca"))
            read_ca(value.p, &s);
        else if (str_is(key, "source"))
            add_row(value);
        else if (!set_number(&s, key, value) && (rows_n == 0 || !set_text(&rows[rows_n - 1], key, value)))
            die("unknown", argv[i]);
    }
    table = credentials_new(&s);
    credentials_configure(table, rows, rows_n);
    uv_pipe_init(&loop, &in, 0);
    if (uv_pipe_open(&in, 0) != 0) die("no pipe", "standard input");
    uv_read_start((uv_stream_t *)&in, on_alloc, on_read);
    uv_run(&loop, UV_RUN_DEFAULT);
    buf_fini(&line);
    return uv_loop_close(&loop) == 0 ? 0 : 3; /* 3: a handle was forgotten */
}
