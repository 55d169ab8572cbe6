#include "controlplane/doctor.h"

#include "controlplane/config/config.h"
#include "controlplane/config/env.h"
#include "controlplane/config/plan.h"
#include "controlplane/config/problem.h"
#include "controlplane/credential_keep.h"
#include "controlplane/fetch.h"
#include "controlplane/findings.h"
#include "controlplane/key_check.h"
#include "controlplane/prices.h"
#include "proto/auth/signer.h"
#include "proto/base/clock.h"
#include "proto/base/date.h"
#include "proto/base/mem.h"
#include "proto/dialect/dialect.h"
#include "proto/dialect/provider_type.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    SKEW_LOOK_S = 30, /* tokens and retry-after dates begin to mean something else */
    SKEW_BAD_S = 300, /* signatures are refused (AWS: 5 minutes), certificates may seem not valid yet */
    PRICES_OLD_DAYS = 90,
    DISK_LOOK_MIB = 512,
    DISK_BAD_MIB = 64, /* a worker's journal takes 24 MiB, whole, at the start */
    NAMED_MODELS = 3,
};

struct options {
    const char *config, *state;
    bool json;
};

struct doctor {
    const struct options *options;
    struct findings findings;
    struct config *config;
    uv_loop_t loop;
    unsigned under_way;
    struct visit *visits;
    unsigned visits_n;
    int64_t skew_s; /* of the provider whose clock was read first */
    struct str skew_of;
};

/* One provider, asked with one of its keys for its list of models: reachable, certificate good, key good. */
struct visit {
    struct doctor *doctor;
    const struct config_provider *provider;
    const struct provider_type *type;
    struct finding_section *section;
    struct str key;   /* configured; empty: none, or one is fetched */
    const char *what; /* "key", "key 2" */
    bool first;       /* of its provider: tells how it is reached */
    bool waits;       /* for its credential */
    struct fetch *fetch;
    struct tls_trust *trust; /* the fetch uses it to its end */
    uint64_t began_ms;
};

/* ---- the configuration ---- */

static bool look_at_configuration(struct doctor *d)
{
    struct problems problems;
    struct findings *f = &d->findings;
    const char *path = d->options->config != NULL       ? d->options->config
                       : access("weir.yaml", F_OK) == 0 ? "weir.yaml"
                                                        : NULL;
    struct finding_section *section = finding_section(f, STR("configuration"));
    problems_init(&problems, str_of(path != NULL ? path : "weir"));
    d->config = path != NULL ? config_load_file(path, env_get, &problems) : config_load_environment(env_get, &problems);
    if (d->config != NULL)
        finding_add(f, section, "file", FINDING_OK, NULL, "%s; providers: %zu, routes: %zu",
                    path != NULL ? path : "none; built from the keys in the environment", d->config->providers.n,
                    d->config->routes.n);
    for (unsigned i = 0; i < problems.n; i++) {
        const struct problem *p = &problems.kept[i];
        const char *hint = arena_copy(&f->arena, p->hint).p;
        enum finding_state state = p->level == PROBLEM_ERROR ? FINDING_BAD : FINDING_LOOK;
        if (p->at.line > 0)
            finding_add(f, section, "file", state, hint, "%.*s:%u:%u: %.*s", STR_FMT(problems.name), p->at.line,
                        p->at.column, STR_FMT(p->text));
        else
            finding_add(f, section, "file", state, hint, "%s%s%.*s", path != NULL ? path : "", path != NULL ? ": " : "",
                        STR_FMT(p->text));
    }
    problems_fini(&problems);
    return d->config != NULL;
}

/* Anybody on this machine could use a key that anybody may read. */
static void look_at_key_file(struct doctor *d, struct finding_section *section, struct str path)
{
    struct stat st;
    if (path.n == 0 || stat(arena_copy(&d->findings.arena, path).p, &st) != 0) return;
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        finding_add(&d->findings, section, "key file", FINDING_LOOK, "chmod 600, unless others are meant to use it",
                    "%.*s may be read by others (mode %o)", STR_FMT(path), (unsigned)st.st_mode & 0777u);
}

static void look_at_prices(struct doctor *d, struct finding_section *section)
{
    struct findings *f = &d->findings;
    struct prices list;
    struct buf unknown = {0};
    unsigned unknown_n = 0;
    prices_builtin(&list);
    uint64_t then_s = 0;
    struct str text =
        arena_printf(&f->arena, "%04u-%02u-%02uT00:00:00Z", list.date / 10000, list.date / 100 % 100, list.date % 100);
    (void)date_read_rfc3339(text, &then_s);
    int64_t days = (int64_t)(clock_wall_ns() / 1000000000u / 86400) - (int64_t)(then_s / 86400);
    finding_add(f, section, "prices", days > PRICES_OLD_DAYS ? FINDING_LOOK : FINDING_OK,
                "a newer weir has newer prices; models.*.price in weir.yaml wins over the list",
                "built in, of %.10s, %lld days old", text.p, (long long)days);
    for (size_t r = 0; r < d->config->routes.n; r++) {
        const struct config_targets *lists[] = {&d->config->routes.at[r].targets, &d->config->routes.at[r].fallback};
        for (unsigned l = 0; l < 2; l++)
            for (size_t i = 0; i < lists[l]->n; i++) {
                const struct config_target *t = &lists[l]->at[i];
                struct price_row row;
                if (str_contains(t->model_name, STR("*")) ||
                    plan_price_of(d->config, &list, &d->config->providers.at[t->provider], t->model_name, &row))
                    continue;
                if (unknown_n++ < NAMED_MODELS)
                    buf_addf(&unknown, "%s%.*s", unknown_n > 1 ? ", " : "", STR_FMT(t->model));
            }
    }
    if (unknown_n > 0)
        finding_add(f, section, "prices", FINDING_LOOK, "give models.NAME.price, or same_as a model that has one",
                    "no price for %.*s%s: these calls have no cost, and no budget stops them",
                    STR_FMT(buf_view(&unknown)), unknown_n > NAMED_MODELS ? " …" : "");
    buf_fini(&unknown);
    prices_fini(&list);
}

/* ---- this machine ---- */

static bool is_running(const char *state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int n = snprintf(at.sun_path, sizeof at.sun_path, "%s/admin.sock", state);
    bool runs = n > 0 && (size_t)n < sizeof at.sun_path && connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return runs;
}

static void look_at_disk(struct doctor *d, struct finding_section *section, const char *path)
{
    struct statvfs fs;
    if (statvfs(path, &fs) != 0) return;
    uint64_t mib = (uint64_t)fs.f_bavail * fs.f_frsize >> 20;
    finding_add(&d->findings, section, "disk",
                mib < DISK_BAD_MIB    ? FINDING_BAD
                : mib < DISK_LOOK_MIB ? FINDING_LOOK
                                      : FINDING_OK,
                "calls are refused when they cannot be recorded (accounting: strict); make room, or move store.path",
                "%llu MiB free for the journals and the ledger", (unsigned long long)mib);
}

static void look_at_state(struct doctor *d, struct finding_section *section, bool runs)
{
    const char *state = d->options->state;
    struct stat st;
    struct findings *f = &d->findings;
    if (lstat(state, &st) != 0) {
        char *parent = xstrdup(state);
        finding_add(f, section, "state", errno == ENOENT ? FINDING_OK : FINDING_BAD, NULL, "%s: %s", state,
                    errno == ENOENT ? "will be made at the first start" : strerror(errno));
        for (char *slash; (slash = strrchr(parent, '/')) != NULL && slash != parent && access(parent, F_OK) != 0;)
            *slash = '\0';
        look_at_disk(d, section, parent);
        free(parent);
        return;
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        finding_add(f, section, "state", FINDING_BAD, "give another directory with --state",
                    "%s is not a directory of this user", state);
    else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        finding_add(f, section, "state", FINDING_BAD, "chmod 700: money and requests are noted there",
                    "%s is open to others (mode %o)", state, (unsigned)st.st_mode & 0777u);
    else
        finding_add(f, section, "state", FINDING_OK, NULL, "%s%s", state, runs ? ", a weir is running on it" : "");
    look_at_disk(d, section, state);
}

static bool is_free(const char *address)
{
    struct str host, text = str_of(address);
    uint16_t port;
    const char *why;
    int family = 0, yes = 1;
    uint8_t ip[16];
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    memset(&at, 0, sizeof at);
    if (!url_parse_authority(text, &host, &port, &why) || !url_parse_ip(host, &family, ip)) return true;
    if (family == 4) {
        at.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&at.v4.sin_addr, ip, 4);
    } else {
        at.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
        memcpy(&at.v6.sin6_addr, ip, 16);
    }
    int fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    bool taken = fd >= 0 && bind(fd, &at.any, family == 4 ? sizeof at.v4 : sizeof at.v6) != 0 && errno == EADDRINUSE;
    close(fd);
    return !taken;
}

static void look_at_ports(struct doctor *d, struct finding_section *section)
{
    const struct config_server *s = &d->config->server;
    struct buf free_ones = {0};
    for (size_t i = 0; i <= s->listen.n; i++) {
        struct str address = i < s->listen.n ? s->listen.at[i] : s->admin.http;
        if (address.n == 0 || str_starts(address, STR("unix:"))) continue;
        if (is_free(arena_copy(&d->findings.arena, address).p))
            buf_addf(&free_ones, "%s%.*s", buf_len(&free_ones) > 0 ? ", " : "", STR_FMT(address));
        else
            finding_add(&d->findings, section, "port", FINDING_BAD,
                        "end that program, or say another address in server.listen / server.admin.http",
                        "%.*s is taken by another program", STR_FMT(address));
    }
    if (buf_len(&free_ones) > 0)
        finding_add(&d->findings, section, "port", FINDING_OK, NULL, "free: %.*s", STR_FMT(buf_view(&free_ones)));
    buf_fini(&free_ones);
}

/* ---- providers ---- */

static void note_skew(struct visit *v, const struct fetch_answer *a)
{
    uint64_t theirs_s;
    if (v->doctor->skew_of.n > 0 || !v->provider->url.tls || !date_read_http(http1_get(a->head, "date"), &theirs_s))
        return;
    v->doctor->skew_s = (int64_t)(clock_wall_ns() / 1000000000u) - (int64_t)theirs_s;
    v->doctor->skew_of = v->provider->url.host;
}

static void judge_key(struct visit *v, const struct fetch_answer *a)
{
    struct findings *f = &v->doctor->findings;
    const struct config_provider *p = v->provider;
    const struct key_asked asked = {(unsigned)p->type, p->base_url, v->key.n > 0 || p->fetches_token, p->fetches_token};
    struct key_verdict verdict = key_check_judge(&asked, a, &f->arena);
    finding_add(f, v->section, v->what, verdict.state, verdict.hint, "%.*s", STR_FMT(verdict.text));
}

static const char *hint_for(enum weir_err e)
{
    switch (e) {
    case WEIR_UP_DNS: return "is the name right, is there a resolver (/etc/resolv.conf)?";
    case WEIR_UP_BLOCKED: return "a private address is only asked with allow_private: true";
    case WEIR_UP_TLS: return "a proxy or an own authority in between? then give ca_file";
    case WEIR_UP_TIMEOUT_CONNECT:
    case WEIR_UP_CONNECT: return "is it up, may this machine reach it (firewall, egress policy)?";
    default: return "does base_url lead to an HTTP API?";
    }
}

static void on_answer(void *context, const struct fetch_answer *a)
{
    struct visit *v = context;
    struct findings *f = &v->doctor->findings;
    unsigned long long took_ms = clock_mono_ms() - v->began_ms;
    v->fetch = NULL;
    v->doctor->under_way--;
    if (!v->first && a->err != WEIR_OK) return; /* the first visit tells it */
    if (a->err != WEIR_OK) {
        finding_add(f, v->section, "reach", FINDING_BAD, hint_for(a->err), "%.*s: %s", STR_FMT(v->provider->base_url),
                    a->why);
        return;
    }
    if (v->first)
        finding_add(f, v->section, "reach", FINDING_OK, NULL, "%.*s, %s, answers in %llu ms",
                    STR_FMT(v->provider->base_url), v->provider->url.tls ? "its certificate is good" : "without TLS",
                    took_ms);
    judge_key(v, a);
    note_skew(v, a);
}

/* c: what is shown; its views are read now. */
static void visit_ask(struct visit *v, enum signer_kind signer, const struct credential *c)
{
    struct doctor *d = v->doctor;
    const char *why = NULL;
    if (v->type->models_path == NULL) {
        finding_add(&d->findings, v->section, "reach", FINDING_LOOK,
                    "weir call MODEL \"hello\" tries it, and costs something",
                    "not tried: a provider of type %s has nothing that is free to ask", v->type->name);
        return;
    }
    v->began_ms = clock_mono_ms();
    v->fetch = key_check_start(&d->loop, v->provider, signer, c, &d->findings.arena, &v->trust, on_answer, v, &why);
    if (v->fetch == NULL)
        finding_add(&d->findings, v->section, "reach", FINDING_BAD, NULL, "not tried: %s", why);
    else
        d->under_way++;
}

/* The credential of a provider that fetches one. */
static void on_credential(void *doctor, const struct credential_event *e)
{
    struct doctor *d = doctor;
    struct visit *v = &d->visits[e->provider_id];
    if (!v->waits) return;
    v->waits = false;
    d->under_way--;
    if (e->value == NULL) {
        finding_add(&d->findings, v->section, v->what, FINDING_BAD,
                    "is this machine the one that has it? providers.NAME.credential says where to look", "none: %s",
                    e->why);
        return;
    }
    finding_add(&d->findings, v->section, v->what, FINDING_OK, NULL, "from %s%s", e->via,
                e->expires_mono_ms == UINT64_MAX ? "" : ", renewed before it ends");
    visit_ask(v, v->type->token_signer != SIGNER_NONE ? v->type->token_signer : v->type->signer, e->value);
}

static struct visit *visit_add(struct doctor *d, const struct config_provider *p, struct str key, unsigned number)
{
    struct arena *a = &d->findings.arena;
    struct visit *v = &d->visits[d->visits_n++];
    *v = (struct visit){.doctor = d,
                        .provider = p,
                        .type = provider_type_of((unsigned)p->type),
                        .section = finding_section(&d->findings, arena_printf(a, "provider %.*s", STR_FMT(p->at.name))),
                        .key = key,
                        .what = number == 0 ? "key" : arena_printf(a, "key %u", number).p,
                        .first = number < 2};
    return v;
}

static void look_at_provider(struct doctor *d, const struct config_provider *p)
{
    if (p->api_keys.n == 0) {
        struct visit *v = visit_add(d, p, p->api_key, 0);
        look_at_key_file(d, v->section, p->api_key_file);
        v->waits = p->fetches_token;
        if (v->waits) v->what = "credential";
    }
    for (size_t i = 0; i < p->api_keys.n; i++) {
        struct visit *v = visit_add(d, p, p->api_keys.at[i].key, (unsigned)i + 1);
        look_at_key_file(d, v->section, p->api_keys.at[i].key_file);
    }
}

static void look_at_providers(struct doctor *d)
{
    const struct config_providers *all = &d->config->providers;
    const struct credentials_settings settings = {
        .loop = &d->loop, .env = env_get, .on_event = on_credential, .context = d};
    unsigned most = 0, fetched = 0;
    for (size_t i = 0; i < all->n; i++) most += 1 + (unsigned)all->at[i].api_keys.n;
    d->visits = xcalloc(most + 1, sizeof *d->visits);
    struct credential_conf *conf = xcalloc(most + 1, sizeof *conf);
    struct credentials *credentials = credentials_new(&settings);
    for (size_t i = 0; i < all->n; i++) look_at_provider(d, &all->at[i]);
    for (unsigned i = 0; i < d->visits_n; i++) {
        struct visit *v = &d->visits[i];
        const struct credential key = {.secret = v->key};
        if (v->waits)
            conf[fetched++] = credential_keep_conf(v->provider, (uint16_t)i), d->under_way++;
        else
            visit_ask(v, v->type->signer, &key);
    }
    credentials_configure(credentials, conf, fetched);
    while (d->under_way > 0) uv_run(&d->loop, UV_RUN_ONCE);
    credentials_free(&credentials);
    uv_run(&d->loop, UV_RUN_DEFAULT); /* close callbacks */
    for (unsigned i = 0; i < d->visits_n; i++) tls_trust_free(&d->visits[i].trust);
    free(conf);
    free(d->visits);
}

static void look_at_clock(struct doctor *d, struct finding_section *section)
{
    int64_t off = d->skew_s < 0 ? -d->skew_s : d->skew_s;
    if (d->skew_of.n == 0) return;
    finding_add(&d->findings, section, "clock",
                off > SKEW_BAD_S    ? FINDING_BAD
                : off > SKEW_LOOK_S ? FINDING_LOOK
                                    : FINDING_OK,
                "let NTP set it: signatures and tokens are refused when it is wrong", "%lld s %s that of %.*s",
                (long long)off, d->skew_s < 0 ? "behind" : "ahead of", STR_FMT(d->skew_of));
}

/* ---- the whole ---- */

static void look(struct doctor *d)
{
    bool runs = is_running(d->options->state);
    bool configured = look_at_configuration(d);
    if (configured) look_at_prices(d, finding_section(&d->findings, STR("configuration")));
    struct finding_section *here = finding_section(&d->findings, STR("this machine"));
    look_at_state(d, here, runs);
    if (configured && !runs) look_at_ports(d, here);
    if (!configured) return;
    look_at_providers(d);
    look_at_clock(d, here);
}

static bool read_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){0};
    for (int i = 2; i < argc; i += 2) {
        const char *value = argv[i + 1]; /* argv ends with NULL */
        if (value == NULL)
            return false;
        else if (strcmp(argv[i], "--config") == 0)
            o->config = value;
        else if (strcmp(argv[i], "--state") == 0)
            o->state = value;
        else if (strcmp(argv[i], "--output") == 0 && (strcmp(value, "json") == 0 || strcmp(value, "table") == 0))
            o->json = strcmp(value, "json") == 0;
        else
            return false;
    }
    return o->state != NULL;
}

int doctor_main(int argc, char **argv)
{
    struct options o;
    struct doctor d = {.options = &o};
    struct buf out = {0};
    if (!read_options(argc, argv, &o)) {
        fputs("usage: weir-controlplane --doctor --state DIR [--config FILE] [--output table|json]\n", stderr);
        return 2;
    }
    findings_init(&d.findings);
    uv_loop_init(&d.loop);
    look(&d);
    if (o.json)
        findings_write_json(&d.findings, &out);
    else
        findings_write_text(&d.findings, isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == NULL, &out);
    struct str text = buf_view(&out);
    fwrite(text.p, 1, text.n, stdout);
    int code = d.findings.count[FINDING_BAD] > 0 ? 1 : 0;
    uv_loop_close(&d.loop);
    config_free(&d.config);
    findings_fini(&d.findings);
    buf_fini(&out);
    return code;
}
