#include "controlplane/config/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/config/bind.h"
#include "controlplane/config/env.h"
#include "shm/layout.h"

enum { SECRET_BYTES = 16 << 10, CA_BYTES = 1 << 20, ALIAS_BYTES = NAME_MODEL, ALIASES = 4096 };

struct checker {
    struct config *c;
    struct arena *arena;
    struct problems *problems;
};

#define refuse(k, at, hint, ...) problem_error((k)->problems, at, hint, __VA_ARGS__)
#define warn(k, at, hint, ...)   problem_warning((k)->problems, at, hint, __VA_ARGS__)

/* ---- names ---- */

/* Letters, digits and a few signs, beginning with a letter or digit: safe in headers, labels, URLs and shells. */
static bool is_name(struct str s, const char *signs)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!is_alnum && (i == 0 || c == '\0' || strchr(signs, c) == NULL)) return false;
    }
    return s.n > 0;
}

static void check_name(struct checker *k, const struct section_at *at, const char *what, size_t room)
{
    if (!is_name(at->name, "._-:@+"))
        refuse(k, at->place, STR_NULL,
               "%s name \"%.*s\" wants letters, digits and . _ - : @ +, first a letter or digit", what,
               STR_FMT(str_slice(at->name, 0, 80)));
    else if (at->name.n >= room)
        refuse(k, at->place, STR_NULL, "%s name \"%.*s\" is longer than %zu characters", what,
               STR_FMT(str_slice(at->name, 0, 80)), room - 1);
}

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f) return false;
    return true;
}

/* ---- files ---- */

bool check_read_file(const char *path, size_t most, struct buf *out, struct buf *why)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    bool is_read = false;
    ssize_t n = 1;

    if (fd < 0 || fstat(fd, &st) < 0) {
        buf_addf(why, "cannot be read: %s", strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        buf_addz(why, "is no ordinary file");
    } else {
        while (n > 0 && buf_len(out) <= most) {
            n = read(fd, buf_reserve(out, 16 << 10), 16 << 10);
            if (n > 0) buf_commit(out, (size_t)n);
        }
        is_read = n == 0 && buf_len(out) <= most;
        if (n < 0)
            buf_addf(why, "cannot be read: %s", strerror(errno));
        else if (!is_read)
            buf_addf(why, "is larger than %zu bytes", most);
    }
    if (fd >= 0) close(fd);
    return is_read;
}

static void remember_file(struct checker *k, struct str path)
{
    struct texts *files = &k->c->files;

    if (files->n % 16 == 0) {
        struct str *more = arena_alloc(k->arena, (files->n + 16) * sizeof *more);

        if (files->n > 0) memcpy(more, files->at, files->n * sizeof *more);
        files->at = more;
    }
    files->at[files->n++] = path;
}

static bool read_named_file(struct checker *k, const struct section_at *at, const char *key, struct str path,
                            size_t most, struct str *ret_text)
{
    struct buf text = {0}, why = {0};
    struct str trimmed;
    bool is_read = check_read_file(path.p, most, &text, &why);

    remember_file(k, path);
    trimmed = buf_view(&text);
    while (trimmed.n > 0 && strchr("\r\n", trimmed.p[trimmed.n - 1]) != NULL) trimmed.n--;
    if (is_read && trimmed.n == 0) {
        buf_addz(&why, "is empty");
        is_read = false;
    }
    if (is_read) {
        *ret_text = arena_copy(k->arena, trimmed);
    } else {
        refuse(k, bind_place(at, key), STR_NULL, "the file %.*s %.*s", STR_FMT(path), STR_FMT(buf_view(&why)));
        problem_file(k->problems, path);
    }
    if (text.p != NULL) explicit_bzero(text.p, text.cap);
    buf_fini(&text);
    buf_fini(&why);
    return is_read;
}

/* ---- server ---- */

static bool is_loopback(struct str host)
{
    int family;
    uint8_t ip[16];

    if (str_iis(host, "localhost")) return true;
    if (!url_parse_ip(host, &family, ip)) return false;
    if (family == 4) return ip[0] == 127;
    return memcmp(ip, (const uint8_t[16]){[15] = 1}, 16) == 0;
}

/* "host:port" with a numeric host: nothing that starts before the resolver may need it. *ret_host is a view. */
static bool check_address(struct checker *k, struct place at, const char *what, struct str text, struct str *ret_host)
{
    const char *why = NULL;
    struct str host;
    uint16_t port;
    int family;
    uint8_t ip[16];
    ptrdiff_t colon = str_rchr(text, ':');

    if (colon < 0 || colon == 0) {
        refuse(k, at, arena_printf(k->arena, "such as 127.0.0.1:%.*s", STR_FMT(str_slice(text, colon == 0, text.n))),
               "%s wants an address and a port, not \"%.*s\"", what, STR_FMT(text));
        return false;
    }
    if (!url_parse_authority(text, &host, &port, &why)) {
        refuse(k, at, STR_NULL, "%s \"%.*s\": %s", what, STR_FMT(text), why != NULL ? why : "not an address");
        return false;
    }
    if (!str_iis(host, "localhost") && !url_parse_ip(host, &family, ip)) {
        refuse(k, at, STR_NULL, "%s wants a numeric address, not \"%.*s\"", what, STR_FMT(host));
        return false;
    }
    *ret_host = host;
    return true;
}

static void check_listen(struct checker *k, struct config_server *s, size_t i)
{
    struct str text = s->listen.at[i];
    struct place at = bind_item_place(&s->at, "listen", i);
    struct str host;

    for (size_t j = 0; j < i; j++)
        if (str_eq(s->listen.at[j], text)) refuse(k, at, STR_NULL, "server.listen has \"%.*s\" twice", STR_FMT(text));
    if (str_starts(text, STR("unix:"))) {
        struct str path = str_slice(text, 5, text.n);

        if (path.n < 2 || path.p[0] != '/' || path.n >= sizeof((struct sockaddr_un){0}).sun_path)
            refuse(k, at, STR_NULL, "server.listen wants an absolute path of at most %zu bytes behind unix:",
                   sizeof((struct sockaddr_un){0}).sun_path - 1);
        return;
    }
    if (!check_address(k, at, "server.listen", text, &host)) return;
    if (!is_loopback(host) && k->c->auth.mode == AUTH_NONE && !s->allow_remote)
        refuse(k, at, STR("set auth.mode: keys, or server.allow_remote: true"),
               "%.*s can be reached from outside, and clients need no key", STR_FMT(text));
    if (str_iis(host, "localhost")) /* the supervisor binds numbers */
        s->listen.at[i] = arena_printf(k->arena, "127.0.0.1%.*s", STR_FMT(str_slice(text, host.n, text.n)));
}

static void check_server(struct checker *k)
{
    struct config_server *s = &k->c->server;
    struct str host;

    for (size_t i = 0; i < s->listen.n; i++) check_listen(k, s, i);
    if (str_is(s->admin.http, "none"))
        s->admin.http = STR_NULL;
    else
        (void)check_address(k, bind_place(&s->admin.at, "http"), "server.admin.http", s->admin.http, &host);
    if (s->admin.socket.n >= sizeof((struct sockaddr_un){0}).sun_path ||
        (s->admin.socket.n > 0 && s->admin.socket.p[0] != '/'))
        refuse(k, bind_place(&s->admin.at, "socket"), STR_NULL,
               "server.admin.socket wants an absolute path of at most %zu bytes",
               sizeof((struct sockaddr_un){0}).sun_path - 1);
    if (s->max_body_bytes > s->buffers_bytes)
        refuse(k, bind_place(&s->at, "max_body"), STR_NULL,
               "server.max_body is larger than server.buffers, which holds all bodies");
    for (size_t i = 0; i < s->hosts.n; i++)
        if (!is_printable(s->hosts.at[i]) || s->hosts.at[i].n > 253)
            refuse(k, bind_item_place(&s->at, "hosts", i), STR_NULL, "server.hosts wants host names");
    for (size_t i = 0; i < s->origins.n; i++)
        if (!str_contains(s->origins.at[i], STR("://")) || !is_printable(s->origins.at[i]))
            refuse(k, bind_item_place(&s->at, "origins", i), STR_NULL,
                   "server.origins wants origins such as https://app.example");
}

/* ---- providers ---- */

/* What a type's URLs are made of. */
static bool is_url_word(struct str s)
{
    return s.n == 0 || (is_name(s, "-_.:") && s.n < 128);
}

static bool check_place(struct checker *k, struct config_provider *p)
{
    bool has_own_url = p->base_url.n > 0;
    const char *missing =
        p->type == PROVIDER_AZURE && !has_own_url         ? "base_url"
        : p->type == PROVIDER_VERTEX && p->project.n == 0 ? "project"
        : str_contains(str_of(provider_type_of((unsigned)p->type)->base_url), STR("{region}")) && p->region.n == 0
            ? "region"
            : NULL;
    static const char *const keys[] = {"region", "project", "location", "api_version"};
    const struct str values[] = {p->region, p->project, p->location, p->api_version};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!is_url_word(values[i])) {
            refuse(k, bind_place(&p->at, keys[i]), STR_NULL,
                   "providers.%.*s.%s wants letters, digits and - _ . :", STR_FMT(p->at.name), keys[i]);
            return false;
        }
    if (missing == NULL) return true;
    refuse(k, p->at.place, STR_NULL, "providers.%.*s: \"%s\" is missing, which type %s wants", STR_FMT(p->at.name),
           missing, provider_type_of((unsigned)p->type)->name);
    return false;
}

static void check_base_url(struct checker *k, struct config_provider *p)
{
    const char *why = NULL;
    struct place at = bind_place(&p->at, "base_url");
    bool is_vendors = p->base_url.n == 0;
    int family;
    uint8_t ip[16];

    if (!check_place(k, p)) return;
    if (is_vendors) p->base_url = provider_base_url((unsigned)p->type, p->region, p->location, k->arena);
    if (!url_parse(p->base_url, &p->url, &why)) {
        refuse(k, at, STR_NULL, "providers.%.*s.base_url: %s", STR_FMT(p->at.name), why != NULL ? why : "not a URL");
        if (str_chr(p->base_url, '@') >= 0) problem_hide_line(k->problems);
        return;
    }
    if (p->url.host.n >= sizeof((struct secret_row){0}).origin_host) {
        refuse(k, at, STR_NULL, "providers.%.*s.base_url: the host's name is too long", STR_FMT(p->at.name));
        return;
    }
    /* A loopback address that the file itself names is meant; every other private place needs the flag, and so does a *name* that
     * turns out to lead to one (the resolver asks for it at run time). */
    p->may_dial_private = p->allow_private || is_loopback(p->url.host);
    if (!p->may_dial_private && url_parse_ip(p->url.host, &family, ip) && url_address_is_private(family, ip))
        refuse(k, at, STR("set allow_private: true if it is meant"), "providers.%.*s.base_url names a private address",
               STR_FMT(p->at.name));
    else if (!p->may_dial_private && !p->url.tls)
        refuse(k, at, STR("use https, or set allow_private: true if it is meant"),
               "providers.%.*s.base_url would send its key over plain http", STR_FMT(p->at.name));
}

/* A key, or one of several: from the file or its own file, and fit to stand in a header. name: as messages call it. */
static bool check_secret(struct checker *k, const struct section_at *at, struct str name, const char *key,
                         const char *file_key, struct str file, struct str *secret)
{
    if (secret->n > 0 && file.n > 0) {
        refuse(k, bind_place(at, file_key), STR_NULL, "%.*s has both %s and %s", STR_FMT(name), key, file_key);
        return false;
    }
    if (file.n > 0 && !read_named_file(k, at, file_key, file, SECRET_BYTES, secret)) return false;
    if (is_printable(*secret)) return true;
    key = file.n > 0 ? file_key : key;
    refuse(k, bind_place(at, key), STR_NULL, "%.*s.%s holds blanks, line ends or characters outside ASCII",
           STR_FMT(name), key);
    problem_hide_line(k->problems);
    return false;
}

static void check_api_keys(struct checker *k, struct config_provider *p)
{
    struct config_secret *kept = p->api_keys.at;

    for (size_t i = 0; i < p->api_keys.n; i++) {
        struct config_secret *one = &p->api_keys.at[i];
        struct str name = arena_printf(k->arena, "providers.%.*s.api_keys[%zu]", STR_FMT(p->at.name), i);

        if (!check_secret(k, &one->at, name, "key", "key_file", one->key_file, &one->key)) return;
        if (one->key.n > 0) *kept++ = *one; /* "${SECOND_KEY:-}" of an environment that has only one */
    }
    if (p->api_keys.n > 0 && kept == p->api_keys.at)
        refuse(k, bind_place(&p->at, "api_keys"), STR_NULL, "all of providers.%.*s.api_keys are empty",
               STR_FMT(p->at.name));
    p->api_keys.n = (size_t)(kept - p->api_keys.at);
}

static void check_fetched(struct checker *k, struct config_provider *p)
{
    struct config_credential *c = &p->credential;
    struct str name = arena_printf(k->arena, "providers.%.*s", STR_FMT(p->at.name));

    if (!check_secret(k, &p->at, name, "secret_access_key", "secret_access_key_file", c->secret_access_key_file,
                      &c->secret_access_key) ||
        !check_secret(k, &p->at, name, "session_token", "session_token_file", c->session_token_file,
                      &c->session_token) ||
        !check_secret(k, &p->at, name, "client_secret", "client_secret_file", c->client_secret_file, &c->client_secret))
        return;
    if ((c->access_key_id.n > 0) != (c->secret_access_key.n > 0))
        refuse(k, bind_place(&p->at, c->access_key_id.n > 0 ? "access_key_id" : "secret_access_key"), STR_NULL,
               "%.*s wants access_key_id and secret_access_key, or neither", STR_FMT(name));
    if (c->source == 0) return;
    if (provider_type_of((unsigned)p->type)->credentials == NULL)
        refuse(k, bind_place(&p->at, "credentials"), STR("give it an api_key"),
               "%.*s.credentials: nothing is fetched for providers of type %s", STR_FMT(name),
               provider_type_of((unsigned)p->type)->name);
}

static void check_credential(struct checker *k, struct config_provider *p)
{
    const struct provider_type *type = provider_type_of((unsigned)p->type);
    struct str name = arena_printf(k->arena, "providers.%.*s", STR_FMT(p->at.name));
    bool has_own_url = tree_find(p->at.node, "base_url") != NULL;

    if (!check_secret(k, &p->at, name, "api_key", "api_key_file", p->api_key_file, &p->api_key)) return;
    if (p->api_key.n > 0 && p->api_keys.n > 0)
        refuse(k, bind_place(&p->at, "api_keys"), STR_NULL, "%.*s has both api_key and api_keys", STR_FMT(name));
    check_api_keys(k, p);
    check_fetched(k, p);
    if (p->api_key.n > 0 || p->api_keys.n > 0) return;
    p->fetches_token = type->credentials != NULL;
    if (!p->fetches_token && !has_own_url && !is_loopback(p->url.host)) /* Ollama's own place is this machine */
        refuse(k, bind_place(&p->at, "api_key"), STR("api_key: ${VAR}, or api_key_file: /path"),
               "%.*s has no api_key, which its vendor asks for", STR_FMT(name));
}

static void check_ca(struct checker *k, struct config_provider *p)
{
    if (p->ca_file.n == 0) return;
    if (!read_named_file(k, &p->at, "ca_file", p->ca_file, CA_BYTES, &p->ca_pem)) return;
    if (!str_contains(p->ca_pem, STR("-----BEGIN CERTIFICATE-----")))
        refuse(k, bind_place(&p->at, "ca_file"), STR_NULL, "the file %.*s holds no certificate in PEM form",
               STR_FMT(p->ca_file));
    else if (!p->url.tls)
        refuse(k, bind_place(&p->at, "ca_file"), STR_NULL, "providers.%.*s has a ca_file but a base_url without TLS",
               STR_FMT(p->at.name));
}

/* `weir config show` writes every key, also those that hold nothing. */
static bool is_said(const struct tree_node *value)
{
    if (value == NULL) return false;
    return value->kind == TREE_SCALAR ? value->text.n > 0 : value->n > 0;
}

/* A key that only other types read is a mistake that costs hours: a role on a vertex provider, a project on an azure one. */
static void check_unused(struct checker *k, const struct config_provider *p)
{
    enum { AWS = 1, GOOGLE = 2, ENTRA = 4, FEDERATED = AWS | ENTRA, TOKENS = AWS | GOOGLE | ENTRA };
    static const struct {
        const char *key;
        unsigned users;
    } rows[] = {
        {"project", GOOGLE},        {"credentials_file", GOOGLE}, {"account", GOOGLE | ENTRA},
        {"api_version", ENTRA},     {"deployments", ENTRA},       {"tenant_id", ENTRA},
        {"client_id", ENTRA},       {"client_secret", ENTRA},     {"client_secret_file", ENTRA},
        {"access_key_id", AWS},     {"secret_access_key", AWS},   {"secret_access_key_file", AWS},
        {"session_token", AWS},     {"session_token_file", AWS},  {"role_arn", AWS},
        {"role_session_name", AWS}, {"container_url", AWS},       {"web_identity_token_file", FEDERATED},
        {"scope", GOOGLE | ENTRA},  {"token_url", TOKENS},        {"metadata_url", TOKENS},
    };
    const struct provider_type *type = provider_type_of((unsigned)p->type);
    unsigned mine = 0;
    if (type->credentials != NULL)
        mine |= strcmp(type->credentials, "aws") == 0 ? AWS : strcmp(type->credentials, "google") == 0 ? GOOGLE : ENTRA;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((rows[i].users & mine) == 0 && is_said(tree_find(p->at.node, rows[i].key)))
            warn(k, bind_place(&p->at, rows[i].key), STR_NULL, "providers.%.*s.%s has no meaning for type %s",
                 STR_FMT(p->at.name), rows[i].key, type->name);
}

static void check_provider(struct checker *k, struct config_provider *p)
{
    check_name(k, &p->at, "provider", NAME_PROVIDER);
    check_base_url(k, p);
    check_credential(k, p);
    check_ca(k, p);
    check_unused(k, p);
    if (p->price.at.node != NULL && !p->price.free)
        refuse(k, p->price.at.place, STR("set a price per model: models.\"provider/model\".price"),
               "providers.%.*s.price can only be free", STR_FMT(p->at.name));
}

/* ---- models ---- */

bool check_split_model(struct str text, struct str *ret_provider, struct str *ret_model)
{
    ptrdiff_t slash = str_chr(text, '/');

    if (slash <= 0 || (size_t)slash + 1 == text.n) return false;
    *ret_provider = str_slice(text, 0, (size_t)slash);
    *ret_model = str_slice(text, (size_t)slash + 1, text.n);
    return true;
}

/* The provider that "provider/model" begins with; ID_NONE after telling what is wrong. */
static uint32_t check_model_name(struct checker *k, struct place at, struct str text, struct str *ret_model)
{
    struct str name, model;
    unsigned best = 4;
    struct str hint = STR_NULL;

    if (!check_split_model(text, &name, &model) || !is_printable(text)) {
        refuse(k, at, STR_NULL, "\"%.*s\" wants the form provider/model", STR_FMT(str_slice(text, 0, 80)));
        return ID_NONE;
    }
    if (model.n >= NAME_MODEL) {
        refuse(k, at, STR_NULL, "the model's name is longer than %d characters", NAME_MODEL - 1);
        return ID_NONE;
    }
    for (size_t i = 0; i < k->c->providers.n; i++) {
        struct str known = k->c->providers.at[i].at.name;
        unsigned distance = str_distance(known, name, 3);

        if (str_eq(known, name)) {
            *ret_model = model;
            return (uint32_t)i;
        }
        if (distance < best && distance < name.n) {
            best = distance;
            hint = arena_printf(k->arena, "did you mean \"%.*s/%.*s\"?", STR_FMT(known), STR_FMT(model));
        }
    }
    refuse(k, at, hint, "no provider \"%.*s\" in providers", STR_FMT(name));
    return ID_NONE;
}

static void check_model(struct checker *k, struct config_model *m)
{
    struct str model;
    const struct config_model *other = m;

    (void)check_model_name(k, m->at.place, m->at.name, &model);
    if (m->same_as.n == 0) return;
    if (m->price.at.node != NULL)
        refuse(k, m->price.at.place, STR_NULL, "models.%.*s has a price and same_as; one of them", STR_FMT(m->at.name));
    for (size_t hops = 0; other != NULL && other->same_as.n > 0; hops++) {
        if (hops > k->c->models.n) {
            refuse(k, bind_place(&m->at, "same_as"), STR_NULL, "models.%.*s.same_as leads back to itself",
                   STR_FMT(m->at.name));
            return;
        }
        other = config_model(k->c, other->same_as);
    }
    if (config_model(k->c, m->same_as) == NULL)
        (void)check_model_name(k, bind_place(&m->at, "same_as"), m->same_as, &model);
}

/* ---- routes ---- */

static void check_target(struct checker *k, struct place at, struct config_target *t)
{
    t->provider = check_model_name(k, at, t->model, &t->model_name);
    if (t->provider == ID_NONE) return;
    if (str_is(t->model_name, "*"))
        t->model_name = STR_NULL; /* the name that the client sent */
    else if (str_chr(t->model_name, '*') >= 0)
        refuse(k, at, STR_NULL, "\"%.*s\": only provider/* alone stands for the name that the client sent",
               STR_FMT(t->model));
}

static void check_targets(struct checker *k, struct config_route *r)
{
    bool is_weighted = false;

    for (size_t i = 0; i < r->targets.n; i++) {
        struct config_target *t = &r->targets.at[i];

        if (t->model.n == 0) continue; /* told by bind.c */
        check_target(k, bind_place(&t->at, "model"), t);
        is_weighted = is_weighted || t->weight > 0;
        for (size_t j = 0; j < i; j++)
            if (str_eq(r->targets.at[j].model, t->model))
                refuse(k, t->at.place, STR_NULL, "routes.%.*s has the target %.*s twice", STR_FMT(r->at.name),
                       STR_FMT(t->model));
    }
    if (r->targets.n > 0 && !is_weighted && r->strategy == STRATEGY_WEIGHTED)
        warn(k, bind_place(&r->at, "targets"), STR_NULL, "all targets of routes.%.*s have weight 0",
             STR_FMT(r->at.name));
    r->fallback.at = arena_zalloc(k->arena, (r->fallbacks.n + 1) * sizeof *r->fallback.at);
    r->fallback.n = r->fallbacks.n;
    for (size_t i = 0; i < r->fallbacks.n; i++) {
        struct place at = bind_item_place(&r->at, "fallbacks", i);

        r->fallback.at[i] = (struct config_target){.at = {NULL, at, STR_NULL}, .model = r->fallbacks.at[i]};
        check_target(k, at, &r->fallback.at[i]);
        for (size_t j = 0; j < i; j++)
            if (str_eq(r->fallbacks.at[j], r->fallbacks.at[i]))
                refuse(k, at, STR_NULL, "routes.%.*s has the fallback %.*s twice", STR_FMT(r->at.name),
                       STR_FMT(r->fallbacks.at[i]));
    }
}

static void check_passthrough(struct checker *k, struct config_route *r)
{
    static const char *const not_here[] = {"targets", "fallbacks", "aliases", "strategy"};

    for (size_t i = 0; i < sizeof not_here / sizeof *not_here; i++)
        if (tree_find(r->at.node, not_here[i]) != NULL)
            refuse(k, bind_place(&r->at, not_here[i]), STR_NULL,
                   "routes.%.*s is a pass-through (match); %s has no meaning there", STR_FMT(r->at.name), not_here[i]);
    if (str_chr(r->match, '/') < 0 || !is_printable(r->match) || r->match.n >= ALIAS_BYTES + NAME_PROVIDER)
        refuse(k, bind_place(&r->at, "match"), STR_NULL,
               "routes.%.*s.match wants a pattern over provider/model, such as \"*/*\"", STR_FMT(r->at.name));
    for (size_t i = 0; i < r->allow.n; i++) {
        struct str pattern = r->allow.at[i];
        struct str rest = pattern;
        struct str provider = str_split(&rest, '/');
        bool is_known = false;

        for (size_t j = 0; j < k->c->providers.n; j++)
            is_known = is_known || str_glob(provider, k->c->providers.at[j].at.name);
        if (str_chr(pattern, '/') < 0)
            refuse(k, bind_item_place(&r->at, "allow", i), STR_NULL,
                   "routes.%.*s.allow wants patterns of provider/model, not \"%.*s\"", STR_FMT(r->at.name),
                   STR_FMT(str_slice(pattern, 0, 80)));
        else if (!is_known)
            refuse(k, bind_item_place(&r->at, "allow", i), STR_NULL, "routes.%.*s.allow: \"%.*s\" fits no provider",
                   STR_FMT(r->at.name), STR_FMT(pattern));
    }
}

static void check_alias_is_new(struct checker *k, struct place at, const struct config_route *r, size_t i)
{
    struct str alias = r->aliases.at[i];

    for (const struct config_route *other = k->c->routes.at; other <= r; other++)
        for (size_t j = 0; j < (other == r ? i : other->aliases.n); j++)
            if (str_eq(other->aliases.at[j], alias)) {
                refuse(k, at, STR_NULL, "the alias \"%.*s\" already leads to routes.%.*s", STR_FMT(alias),
                       STR_FMT(other->at.name));
                return;
            }
}

static void check_aliases(struct checker *k, struct config_route *r)
{
    for (size_t i = 0; i < r->aliases.n; i++) {
        struct str alias = r->aliases.at[i];
        struct place at = bind_item_place(&r->at, "aliases", i);
        const struct config_route *named = config_route(k->c, alias);

        if (!is_printable(alias) || alias.n >= ALIAS_BYTES)
            refuse(k, at, STR_NULL, "an alias of routes.%.*s wants at most %d characters without blanks",
                   STR_FMT(r->at.name), ALIAS_BYTES - 1);
        if (named != NULL) refuse(k, at, STR_NULL, "the alias \"%.*s\" is also the name of a route", STR_FMT(alias));
        check_alias_is_new(k, at, r, i);
    }
}

static void check_route(struct checker *k, struct config_route *r)
{
    check_name(k, &r->at, "route", NAME_ROUTE);
    if (r->retry.max_backoff_ms < r->retry.backoff_ms)
        refuse(k, bind_place(&r->retry.at, "backoff"), STR_NULL,
               "routes.%.*s.retry: backoff is longer than max_backoff", STR_FMT(r->at.name));
    if (tree_find(r->at.node, "match") != NULL) {
        check_passthrough(k, r);
        return;
    }
    if (tree_find(r->at.node, "allow") != NULL)
        refuse(k, bind_place(&r->at, "allow"), STR("match: \"*/*\""),
               "routes.%.*s.allow belongs to a pass-through, which has match", STR_FMT(r->at.name));
    if (r->targets.n == 0)
        refuse(k, r->at.place, STR("targets: [{model: provider/model}]"), "routes.%.*s has no targets",
               STR_FMT(r->at.name));
    check_targets(k, r);
    check_aliases(k, r);
}

/* ---- keys ---- */

static void check_key(struct checker *k, struct config_key *key)
{
    check_name(k, &key->at, "key", NAME_KEY);
    for (size_t i = 0; i < key->routes.n; i++)
        if (config_route(k->c, key->routes.at[i]) == NULL)
            refuse(k, bind_item_place(&key->at, "routes", i), STR_NULL, "keys.%.*s: no route \"%.*s\" in routes",
                   STR_FMT(key->at.name), STR_FMT(str_slice(key->routes.at[i], 0, 80)));
    if (tree_find(key->at.node, "hash") == NULL) return;
    for (struct config_key *other = k->c->keys.at; other < key; other++)
        if (memcmp(other->sha256, key->sha256, sizeof key->sha256) == 0)
            refuse(k, bind_place(&key->at, "hash"), STR_NULL, "keys.%.*s has the same hash as keys.%.*s",
                   STR_FMT(key->at.name), STR_FMT(other->at.name));
}

void check_config(struct config *c, struct problems *problems)
{
    struct checker k = {c, &c->arena, problems};
    size_t legs = 0, aliases = 0;

    check_server(&k);
    if (c->store.path.n > 0 && c->store.path.p[0] != '/')
        refuse(&k, bind_place(&c->store.at, "path"), STR_NULL, "store.path wants an absolute path");
    for (size_t i = 0; i < c->providers.n; i++) check_provider(&k, &c->providers.at[i]);
    for (size_t i = 0; i < c->models.n; i++) check_model(&k, &c->models.at[i]);
    for (size_t i = 0; i < c->routes.n; i++) {
        const struct config_route *r = &c->routes.at[i];

        aliases += r->aliases.n;
        if (aliases > ALIASES) {
            refuse(&k, bind_place(&r->at, "aliases"), STR_NULL, "more than %d aliases together", ALIASES);
            break;
        }
        check_route(&k, &c->routes.at[i]);
        legs += r->match.n > 0 ? c->providers.n : r->targets.n + r->fallbacks.n;
    }
    for (size_t i = 0; i < c->keys.n; i++) check_key(&k, &c->keys.at[i]);
    if (legs > SHM_LEGS)
        refuse(&k, bind_place(&c->at, "routes"), STR_NULL, "the routes have %zu targets together; at most %d", legs,
               SHM_LEGS);
    if (c->providers.n == 0)
        refuse(&k, bind_place(&c->at, "providers"),
               STR("providers: {openai: {type: openai, api_key: \"${OPENAI_API_KEY}\"}}"), "there are no providers");
    if (c->routes.n == 0)
        refuse(&k, bind_place(&c->at, "routes"), STR("routes: {passthrough: {match: \"*/*\"}}"),
               "there are no routes, so no call has a place to go");
    if (c->auth.mode == AUTH_KEYS && c->keys.n == 0)
        refuse(&k, bind_place(&c->auth.at, "mode"), STR_NULL, "auth.mode is keys, but there are no keys");
    if (c->auth.mode == AUTH_NONE && c->keys.n > 0)
        warn(&k, c->keys.at[0].at.place, STR("set auth.mode: keys"), "keys are not asked for: auth.mode is none");
}
