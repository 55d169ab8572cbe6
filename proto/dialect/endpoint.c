#include "proto/dialect/endpoint.h"

static const struct endpoint CHAT = {
    "chat.completions", "POST", "/v1/chat/completions", DIALECT_OPENAI_CHAT, ENDPOINT_CHAT,
};
static const struct endpoint MESSAGES = {"messages", "POST", "/v1/messages", DIALECT_ANTHROPIC, ENDPOINT_CHAT};
static const struct endpoint MODELS = {"models", "GET", "/v1/models", DIALECT_OPENAI_CHAT, ENDPOINT_MODELS};
static const struct endpoint HELLO = {"hello", NULL, "/", DIALECT_OPENAI_CHAT, ENDPOINT_HELLO};

/* Every spelling that clients were seen to use: base URLs are typed with and without /v1, and with a provider's prefix. */
static const struct spelling {
    const char *path;
    const struct endpoint *endpoint;
    bool has_id; /* "/{id}" may follow; the id may hold slashes */
} SPELLINGS[] = {
    {"/v1/chat/completions", &CHAT, false},
    {"/chat/completions", &CHAT, false},
    {"/openai/v1/chat/completions", &CHAT, false},
    {"/v1/messages", &MESSAGES, false},
    {"/messages", &MESSAGES, false},
    {"/anthropic/v1/messages", &MESSAGES, false},
    {"/v1/models", &MODELS, true},
    {"/models", &MODELS, true},
    {"/openai/v1/models", &MODELS, true},
    {"/anthropic/v1/models", &MODELS, true},
    {"/v1beta/models", &MODELS, true},
    {"/api/v1/models", &MODELS, true},
    {"/", &HELLO, false},
    {"/api/hello", &HELLO, false},
};
enum { SPELLING_COUNT = sizeof SPELLINGS / sizeof *SPELLINGS };

/* Without query, trailing slash and a doubled "/v1". The result is a view: "/v1/v1/x" reads as its tail "/v1/x". */
static struct str normal_path(struct str path)
{
    const struct str twice = STR("/v1/v1/");
    ptrdiff_t query = str_chr(path, '?');
    if (query >= 0) path.n = (size_t)query;
    if (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    while (str_starts(path, twice)) path = str_slice(path, 3, path.n);
    return path;
}

static const struct spelling *find(struct str path, struct str *ret_id)
{
    path = normal_path(path);
    for (unsigned i = 0; i < SPELLING_COUNT; i++) {
        const struct spelling *s = &SPELLINGS[i];
        struct str known = str_of(s->path);
        if (str_eq(path, known)) {
            *ret_id = STR_NULL;
            return s;
        }
        if (s->has_id && str_starts(path, known) && path.p[known.n] == '/') {
            *ret_id = str_slice(path, known.n + 1, path.n);
            return s;
        }
    }
    return NULL;
}

const struct endpoint *endpoint_find(struct str method, struct str path, bool *ret_known_path)
{
    struct str id;
    const struct spelling *s = find(path, &id);
    *ret_known_path = s != NULL;
    if (s == NULL) return NULL;
    const struct endpoint *e = s->endpoint;
    bool fits = e->method == NULL ? str_is(method, "GET") || str_is(method, "HEAD") : str_is(method, e->method);
    return fits ? e : NULL;
}

const char *endpoint_suggest(struct str path)
{
    enum { NEAR = 6 };
    unsigned best = NEAR + 1;
    const char *nearest = NULL;
    path = normal_path(path);
    if (str_ends(path, STR("/responses"))) return NULL; /* another API, near to "/messages" by its letters only */
    for (unsigned i = 0; i < SPELLING_COUNT; i++) {
        if (SPELLINGS[i].endpoint == &HELLO) continue;
        unsigned d = str_distance(path, str_of(SPELLINGS[i].path), NEAR);
        if (d < best) {
            best = d;
            nearest = SPELLINGS[i].path;
        }
    }
    return nearest;
}

struct str endpoint_model_id(struct str path)
{
    struct str id;
    const struct spelling *s = find(path, &id);
    return s == NULL ? STR_NULL : id;
}
