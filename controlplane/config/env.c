#include "controlplane/config/env.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"

extern char **environ;

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!(c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return s.n > 0;
}

struct reference { /* the inside of ${…} */
    struct str name;
    char form;          /* 0, '-' or '?' */
    struct str operand; /* default or message */
};

static bool read_reference(struct str inside, struct reference *ret_reference, struct buf *why)
{
    struct reference r = {.name = inside};
    ptrdiff_t colon = str_chr(inside, ':');

    if (colon >= 0) {
        struct str rest = str_slice(inside, (size_t)colon + 1, inside.n);

        r.name = str_slice(inside, 0, (size_t)colon);
        if (rest.n == 0 || (rest.p[0] != '-' && rest.p[0] != '?')) {
            buf_addz(why, "behind the colon in ${NAME:…} comes - and a default, or ? and a message");
            return false;
        }
        r.form = rest.p[0];
        r.operand = str_slice(rest, 1, rest.n);
    }
    if (!is_name(r.name)) {
        buf_addf(why, "${%.*s} holds no variable's name", STR_FMT(r.name));
        return false;
    }
    if (str_contains(r.operand, STR("${"))) {
        buf_addz(why, "a ${…} inside another is not read");
        return false;
    }
    *ret_reference = r;
    return true;
}

static bool expand(const struct reference *r, config_env_fn *env, struct arena *a, struct buf *out, struct buf *why)
{
    const char *value = env(arena_copy(a, r->name).p);
    bool is_empty = value == NULL || *value == '\0';

    if (r->form == '-' && is_empty) {
        buf_add(out, r->operand);
        return true;
    }
    if (r->form == '?' && is_empty) {
        if (r->operand.n > 0)
            buf_add(why, r->operand);
        else
            buf_addf(why, "the environment variable %.*s is not set or empty", STR_FMT(r->name));
        return false;
    }
    if (value == NULL) {
        buf_addf(why, "the environment variable %.*s is not set", STR_FMT(r->name));
        return false;
    }
    buf_addz(out, value);
    return true;
}

bool env_substitute(struct str raw, config_env_fn *env, struct arena *a, struct str *ret_text, struct buf *why)
{
    struct buf out = {0};
    struct str rest = raw;
    bool is_fine = true;

    if (str_chr(raw, '$') < 0) {
        *ret_text = raw;
        return true;
    }
    while (rest.n > 0 && is_fine) {
        ptrdiff_t dollar = str_chr(rest, '$');
        ptrdiff_t close;
        struct reference r;

        if (dollar < 0) dollar = (ptrdiff_t)rest.n;
        buf_add(&out, str_slice(rest, 0, (size_t)dollar));
        rest = str_slice(rest, (size_t)dollar, rest.n);
        if (rest.n < 2 || (rest.p[1] != '{' && rest.p[1] != '$')) { /* a lone dollar is a dollar */
            buf_add(&out, str_slice(rest, 0, 1));
            rest = str_slice(rest, 1, rest.n);
            continue;
        }
        if (rest.p[1] == '$') {
            buf_addc(&out, '$');
            rest = str_slice(rest, 2, rest.n);
            continue;
        }
        close = str_chr(rest, '}');
        if (close < 0) {
            buf_addz(why, "a ${ without its }");
            is_fine = false;
            break;
        }
        is_fine = read_reference(str_slice(rest, 2, (size_t)close), &r, why) && expand(&r, env, a, &out, why);
        rest = str_slice(rest, (size_t)close + 1, rest.n);
    }
    if (is_fine) *ret_text = arena_copy(a, buf_view(&out));
    if (out.p != NULL) explicit_bzero(out.p, out.cap);
    buf_fini(&out);
    return is_fine;
}

struct str env_reference(struct str raw)
{
    struct str name;

    if (!str_starts(raw, STR("${")) || str_chr(raw, '}') != (ptrdiff_t)raw.n - 1 || str_contains(raw, STR(":-")))
        return STR_NULL;
    name = str_slice(raw, 2, raw.n - 1);
    return str_split(&name, ':');
}

bool env_is_typed_in(struct str raw)
{
    while (raw.n > 0) {
        ptrdiff_t close = str_chr(raw, '}');
        struct str inside;

        if (!str_starts(raw, STR("${")) || close < 0) return true;
        inside = str_slice(raw, 2, (size_t)close);
        str_split(&inside, ':');
        if (str_starts(inside, STR("-")) && inside.n > 1) return true;
        raw = str_slice(raw, (size_t)close + 1, raw.n);
    }
    return false;
}

/* ---- the process's environment ---- */

static char **taken; /* NULL until env_take(); ends with NULL */

/* Stays where libraries and children look for it: what no provider's key is kept in. Any other variable may be one that a ${VAR} names. */
static bool is_harmless(const char *entry)
{
    static const char *const names[] = {"PATH",        "HOME",         "USER",          "LOGNAME",     "SHELL",
                                        "PWD",         "TZ",           "TZDIR",         "LANG",        "TERM",
                                        "TMPDIR",      "HOSTNAME",     "NO_COLOR",      "FORCE_COLOR", "RES_OPTIONS",
                                        "LOCALDOMAIN", "SSL_CERT_DIR", "SSL_CERT_FILE", "WEIR_STATE",  "NOTIFY_SOCKET"};
    struct str rest = str_of(entry);
    struct str name = str_split(&rest, '=');

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_is(name, names[i])) return true;
    return str_starts(name, STR("LC_")) || str_starts(name, STR("XDG_")) || str_starts(name, STR("LD_")) ||
           str_ends(name, STR("SAN_OPTIONS"));
}

void env_take(void)
{
    size_t n = 0;

    if (taken != NULL) return;
    while (environ != NULL && environ[n] != NULL) n++;
    taken = xcalloc(n + 1, sizeof *taken);
    for (size_t i = 0; i < n; i++) {
        taken[i] = xstrdup(environ[i]);
        if (!is_harmless(environ[i])) explicit_bzero(environ[i], strlen(environ[i]));
    }
}

const char *env_get(const char *name)
{
    size_t n = strlen(name);

    if (taken == NULL) return getenv(name);
    for (char **e = taken; *e != NULL; e++)
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=') return *e + n + 1;
    return NULL;
}
