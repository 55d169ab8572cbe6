#include "controlplane/credential_source.h"

#include "proto/auth/token.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mbedtls/platform_util.h>

enum { MAX_FILE_BYTES = 64 * 1024, ARENA_BYTES = 16384, MAX_LINKS = 4 };

static enum refresh_next key_step(struct refresh *r, const struct fetch_answer *answer)
{
    (void)answer;
    if (r->conf->key.n == 0) return REFRESH_ABSENT;
    r->value = (struct credential){.secret = r->conf->key};
    return REFRESH_DONE;
}

/* ---- The table ---- */

struct link {
    refresh_source *step;
    const char *via; /* as people read it */
};

struct row {
    const char *name;
    struct link chain[MAX_LINKS + 1];
    const char *absent; /* when no link of the chain is set up here */
};

#define AWS_KEYS                         \
    {                                    \
        aws_keys_step, "configured keys" \
    }
#define AWS_ENV                             \
    {                                       \
        aws_environment_step, "environment" \
    }
#define AWS_WEB                               \
    {                                         \
        aws_web_identity_step, "web identity" \
    }
#define AWS_CONTAINER                            \
    {                                            \
        aws_container_step, "container endpoint" \
    }
#define AWS_METADATA                           \
    {                                          \
        aws_metadata_step, "instance metadata" \
    }
#define GOOGLE_FILE                         \
    {                                       \
        google_file_step, "credential file" \
    }
#define GOOGLE_META                             \
    {                                           \
        google_metadata_step, "metadata server" \
    }
#define AZURE_SECRET                       \
    {                                      \
        azure_secret_step, "client secret" \
    }
#define AZURE_WORK                               \
    {                                            \
        azure_workload_step, "workload identity" \
    }
#define AZURE_MANAGED                          \
    {                                          \
        azure_managed_step, "managed identity" \
    }

static const struct row rows[SOURCE_COUNT_OF_CREDENTIALS] = {
    [SOURCE_KEY] = {"key", {{key_step, "configured key"}}, "no key is configured"},
    [SOURCE_AWS_KEYS] = {"aws-keys", {AWS_KEYS}, "access_key_id and secret_access_key are not both configured"},
    [SOURCE_AWS_ENV] = {"aws-environment", {AWS_ENV}, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set"},
    [SOURCE_AWS_WEB_IDENTITY] = {"aws-web-identity",
                                 {AWS_WEB},
                                 "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN are not both set"},
    [SOURCE_AWS_CONTAINER] = {"aws-container", {AWS_CONTAINER}, "AWS_CONTAINER_CREDENTIALS_… is not set"},
    [SOURCE_AWS_METADATA] = {"aws-metadata", {AWS_METADATA}, "AWS_EC2_METADATA_DISABLED says no"},
    /* keys that are configured end the chain before the environment is looked at: see chain_of() */
    [SOURCE_AWS] =
        {"aws",
         {AWS_ENV, AWS_WEB, AWS_CONTAINER, AWS_METADATA},
         "no AWS credentials: no keys, no web identity, no container endpoint, and instance metadata is disabled"},
    [SOURCE_GOOGLE_FILE] = {"google-file", {GOOGLE_FILE}, "no credential file: set GOOGLE_APPLICATION_CREDENTIALS"},
    [SOURCE_GOOGLE_METADATA] = {"google-metadata", {GOOGLE_META}, "there is no metadata server"},
    [SOURCE_GOOGLE] = {"google", {GOOGLE_FILE, GOOGLE_META}, "no Google credentials"},
    [SOURCE_AZURE_SECRET] = {"azure-secret",
                             {AZURE_SECRET},
                             "AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET are not all set"},
    [SOURCE_AZURE_WORKLOAD] = {"azure-workload",
                               {AZURE_WORK},
                               "AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE are not all set"},
    [SOURCE_AZURE_MANAGED] = {"azure-managed", {AZURE_MANAGED}, "there is no managed identity"},
    [SOURCE_AZURE] = {"azure", {AZURE_SECRET, AZURE_WORK, AZURE_MANAGED}, "no Azure credentials"},
};

const char *credential_source_name(enum credential_source s)
{
    return (unsigned)s < SOURCE_COUNT_OF_CREDENTIALS ? rows[s].name : "?";
}

bool credential_source_find(struct str name, enum credential_source *ret)
{
    for (unsigned i = 0; i < SOURCE_COUNT_OF_CREDENTIALS; i++) {
        if (!str_is(name, rows[i].name)) continue;
        *ret = (enum credential_source)i;
        return true;
    }
    return false;
}

/* ---- One attempt ---- */

void refresh_init(struct refresh *r, const struct credential_conf *conf, credential_env *env)
{
    *r = (struct refresh){.conf = conf, .env = env, .via = ""};
    arena_init(&r->arena, ARENA_BYTES);
}

static void wipe(struct buf *b)
{
    if (b->cap > 0) mbedtls_platform_zeroize(b->p, b->cap);
    buf_fini(b);
}

void refresh_fini(struct refresh *r)
{
    wipe(&r->url);
    wipe(&r->headers);
    wipe(&r->body);
    arena_fini(&r->arena);
}

static const struct link *chain_of(const struct credential_conf *c)
{
    static const struct link keys[] = {AWS_KEYS, {0}};
    bool typed = c->source == SOURCE_AWS && c->access_key_id.n > 0 && c->secret_access_key.n > 0;
    return typed ? keys : rows[c->source].chain;
}

enum refresh_next refresh_step(struct refresh *r, const struct fetch_answer *answer)
{
    const struct link *chain = chain_of(r->conf);
    if (r->assuming) return aws_assume_step(r, answer);
    for (; chain[r->link].step != NULL; r->link++) {
        r->via = chain[r->link].via;
        enum refresh_next next = chain[r->link].step(r, answer);
        if (next == REFRESH_DONE && aws_wants_role(r)) return aws_assume_step(r, NULL);
        if (next != REFRESH_ABSENT) return next;
        answer = NULL;
        r->step = 0;
    }
    r->via = "";
    return refresh_fail(r, true, "%s", rows[r->conf->source].absent);
}

/* ---- For the steps ---- */

struct str refresh_text(const struct refresh *r, struct str configured, const char *variable)
{
    return configured.n > 0 || variable == NULL ? configured : str_trim(str_of(r->env(variable)));
}

enum refresh_next refresh_fail(struct refresh *r, bool again, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->why = arena_copy(&r->arena, str_of(text));
    r->again = again;
    return REFRESH_FAILED;
}

/* Regular files only, opened so that nothing else can hold up the loop. */
static int open_regular(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool read_whole(int fd, char *to, size_t max, size_t *ret_n)
{
    size_t n = 0;
    ssize_t got;
    while ((got = read(fd, to + n, max + 1 - n)) > 0 && n <= max) n += (size_t)got;
    *ret_n = n;
    return got == 0 && n <= max;
}

bool refresh_read_file(struct refresh *r, struct str path, struct str *ret_text, enum refresh_next *ret)
{
    const char *name = arena_copy(&r->arena, path).p;
    char *text = arena_alloc(&r->arena, MAX_FILE_BYTES + 1);
    size_t n = 0;
    int fd = open_regular(name);
    bool ok = fd >= 0 && read_whole(fd, text, MAX_FILE_BYTES, &n);
    if (fd >= 0) close(fd);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' ')) n--;
    if (!ok || n == 0) {
        *ret = refresh_fail(r, true, "%s cannot be read, or is empty", name);
        return false;
    }
    *ret_text = arena_copy(&r->arena, (struct str){text, n});
    mbedtls_platform_zeroize(text, n);
    return true;
}

void refresh_begin_fetch(struct refresh *r, struct str base_url, uint32_t deadline_ms)
{
    buf_clear(&r->url);
    buf_clear(&r->headers);
    buf_clear(&r->body);
    while (base_url.n > 0 && base_url.p[base_url.n - 1] == '/') base_url.n--;
    buf_add(&r->url, base_url);
    r->fetch = (struct fetch_request){.deadline_ms = deadline_ms};
}

bool refresh_add_header(struct refresh *r, const char *name, struct str value)
{
    return http1_write_header(&r->headers, str_of(name), value);
}

static enum refresh_next ready(struct refresh *r, struct str method)
{
    r->fetch.method = method;
    r->fetch.url = buf_view(&r->url);
    r->fetch.headers = buf_view(&r->headers);
    r->fetch.body = buf_view(&r->body);
    r->step++;
    return REFRESH_FETCH;
}

enum refresh_next refresh_get(struct refresh *r)
{
    return ready(r, STR("GET"));
}

enum refresh_next refresh_post_form(struct refresh *r)
{
    (void)refresh_add_header(r, "Content-Type", STR("application/x-www-form-urlencoded"));
    return ready(r, STR("POST"));
}

bool refresh_is_answered(struct refresh *r, const struct fetch_answer *answer, const char *who, enum refresh_next *ret)
{
    if (answer->err == WEIR_OK) return true;
    *ret = refresh_fail(r, true, "%s: %s", who, answer->why);
    return false;
}

enum refresh_next refresh_take_token(struct refresh *r, const struct fetch_answer *answer, const char *who)
{
    struct token t;
    enum refresh_next failed;
    if (!refresh_is_answered(r, answer, who, &failed)) return failed;
    if (!token_read(answer->status, answer->body, r->now_s, &r->arena, &t))
        return refresh_fail(r, t.again, "%s: %.*s", who, STR_FMT(t.why));
    r->value.secret = t.text;
    r->life_s = t.life_s;
    r->refresh_s = t.refresh_s;
    return REFRESH_DONE;
}
