#include "proto/dialect/endpoint.h"

#include "proto/wire/url.h"

#include <string.h>

#define ROW(id, n, m, p, d, k) \
    static const struct endpoint id = {.name = n, .method = m, .path = p, .dialect = d, .kind = k};
ROW(CHAT, "chat.completions", "POST", "/v1/chat/completions", DIALECT_OPENAI_CHAT, ENDPOINT_CHAT)
ROW(MESSAGES, "messages", "POST", "/v1/messages", DIALECT_ANTHROPIC, ENDPOINT_CHAT)
ROW(MESSAGES_COUNT, "messages.count_tokens", "POST", "/v1/messages/count_tokens", DIALECT_ANTHROPIC, ENDPOINT_CHAT)
ROW(RESPONSES, "responses", "POST", "/v1/responses", DIALECT_RESPONSES, ENDPOINT_CHAT)
ROW(MODELS, "models", "GET", "/v1/models", DIALECT_OPENAI_CHAT, ENDPOINT_MODELS)
ROW(GENERATE, "gemini.generate", "POST", "/v1beta/models/{model}:generateContent", DIALECT_GEMINI, ENDPOINT_CHAT)
ROW(STREAM_GENERATE, "gemini.stream", "POST", "/v1beta/models/{model}:streamGenerateContent", DIALECT_GEMINI,
    ENDPOINT_CHAT)
ROW(COUNT_TOKENS, "gemini.count_tokens", "POST", "/v1beta/models/{model}:countTokens", DIALECT_GEMINI, ENDPOINT_CHAT)
ROW(CONVERSE, "bedrock.converse", "POST", "/model/{model}/converse", DIALECT_CONVERSE, ENDPOINT_CHAT)
ROW(CONVERSE_STREAM, "bedrock.converse_stream", "POST", "/model/{model}/converse-stream", DIALECT_CONVERSE,
    ENDPOINT_CHAT)
ROW(COHERE_CHAT, "cohere.chat", "POST", "/v2/chat", DIALECT_COHERE, ENDPOINT_CHAT)
ROW(OLLAMA_CHAT, "ollama.chat", "POST", "/api/chat", DIALECT_OLLAMA, ENDPOINT_CHAT)
ROW(OLLAMA_TAGS, "ollama.tags", "GET", "/api/tags", DIALECT_OLLAMA, ENDPOINT_MODELS)
ROW(OLLAMA_SHOW, "ollama.show", "POST", "/api/show", DIALECT_OLLAMA, ENDPOINT_MODELS)
ROW(OLLAMA_VERSION, "ollama.version", "GET", "/api/version", DIALECT_OLLAMA, ENDPOINT_VERSION)
ROW(HELLO, "hello", NULL, "/", DIALECT_OPENAI_CHAT, ENDPOINT_HELLO)
#undef ROW

#define EMBED_ROW(id, n, verb)                                                 \
    static const struct endpoint id = {.name = n,                              \
                                       .method = "POST",                       \
                                       .path = "/v1beta/models/{model}:" verb, \
                                       .dialect = DIALECT_GEMINI,              \
                                       .kind = ENDPOINT_PASSED,                \
                                       .body = ENDPOINT_BODY_JSON,             \
                                       .model = ENDPOINT_MODEL_PATH,           \
                                       .meter = ENDPOINT_TOKENS};
EMBED_ROW(EMBED, "gemini.embed", "embedContent")
EMBED_ROW(BATCH_EMBED, "gemini.batch_embed", "batchEmbedContents")
#undef EMBED_ROW

static const struct endpoint PASSED_ROWS[] = {
#define PASSED(n, m, p, d, b, mo, me) \
    {.name = n,                       \
     .method = m,                     \
     .path = p,                       \
     .dialect = DIALECT_##d,          \
     .kind = ENDPOINT_PASSED,         \
     .body = ENDPOINT_BODY_##b,       \
     .model = ENDPOINT_MODEL_##mo,    \
     .meter = ENDPOINT_##me},
#include "proto/dialect/endpoints.tbl.h"
#undef PASSED
};
static const struct endpoint RAW = {
    .name = "raw",
    .method = "*",
    .path = "/p/{provider}/{path}",
    .dialect = DIALECT_OPENAI_CHAT,
    .kind = ENDPOINT_RAW,
    .body = ENDPOINT_BODY_ANY,
    .model = ENDPOINT_MODEL_NONE,
    .meter = ENDPOINT_TOKENS,
};
/* What may stand before the path of a passed endpoint. */
static const char *const VERSIONS[] = {"/v1", "/openai/v1", "/anthropic/v1", "/v2", ""};
enum { PASSED_COUNT = sizeof PASSED_ROWS / sizeof *PASSED_ROWS, VERSION_COUNT = sizeof VERSIONS / sizeof *VERSIONS };

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
    {"/v1/messages/count_tokens", &MESSAGES_COUNT, false},
    {"/messages/count_tokens", &MESSAGES_COUNT, false},
    {"/anthropic/v1/messages/count_tokens", &MESSAGES_COUNT, false},
    {"/v1/responses", &RESPONSES, false},
    {"/responses", &RESPONSES, false},
    {"/openai/v1/responses", &RESPONSES, false},
    {"/v1/models", &MODELS, true},
    {"/models", &MODELS, true},
    {"/openai/v1/models", &MODELS, true},
    {"/anthropic/v1/models", &MODELS, true},
    {"/v1beta/models", &MODELS, true},
    {"/api/v1/models", &MODELS, true},
    {"/gemini/v1beta/models", &MODELS, true},
    {"/api/chat", &OLLAMA_CHAT, false},
    {"/api/tags", &OLLAMA_TAGS, false},
    {"/api/show", &OLLAMA_SHOW, false},
    {"/api/version", &OLLAMA_VERSION, false},
    {"/v2/chat", &COHERE_CHAT, false},
    {"/", &HELLO, false},
    {"/api/hello", &HELLO, false},
};
/* Paths with the model inside: what stands before it, and the verb behind its last colon or slash. Bedrock's ids hold both. */
static const struct prefix {
    const char *path;
    char before_verb;
} MODEL_PREFIXES[] = {
    {"/v1beta/models/", ':'},    {"/v1/models/", ':'}, {"/models/", ':'},        {"/gemini/v1beta/models/", ':'},
    {"/gemini/v1/models/", ':'}, {"/model/", '/'},     {"/bedrock/model/", '/'},
};
static const struct verb {
    const char *word;
    const struct endpoint *endpoint;
    char before;
} VERBS[] = {
    {"generateContent", &GENERATE, ':'},        {"streamGenerateContent", &STREAM_GENERATE, ':'},
    {"countTokens", &COUNT_TOKENS, ':'},        {"converse", &CONVERSE, '/'},
    {"converse-stream", &CONVERSE_STREAM, '/'}, {"embedContent", &EMBED, ':'},
    {"batchEmbedContents", &BATCH_EMBED, ':'},
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

static const struct endpoint *find_verb(struct str path, struct str *ret_model)
{
    path = normal_path(path);
    for (size_t i = 0; i < sizeof MODEL_PREFIXES / sizeof *MODEL_PREFIXES; i++) {
        struct str prefix = str_of(MODEL_PREFIXES[i].path);
        if (!str_starts(path, prefix)) continue;
        ptrdiff_t end = str_rchr(path, MODEL_PREFIXES[i].before_verb);
        if (end < 0 || (size_t)end <= prefix.n) continue;
        *ret_model = str_slice(path, prefix.n, (size_t)end);
        struct str word = str_slice(path, (size_t)end + 1, path.n);
        for (size_t k = 0; k < sizeof VERBS / sizeof *VERBS; k++)
            if (VERBS[k].before == MODEL_PREFIXES[i].before_verb && str_is(word, VERBS[k].word))
                return VERBS[k].endpoint;
    }
    return NULL;
}

/* ---- paths that are passed on ---- */

/* {id} in the pattern stands for one segment that is not empty. */
static bool matches(struct str path, struct str pattern)
{
    while (pattern.n > 0 && path.n > 0) {
        struct str want, have;
        if (path.p[0] != '/' || pattern.p[0] != '/') return false;
        path = str_slice(path, 1, path.n);
        pattern = str_slice(pattern, 1, pattern.n);
        ptrdiff_t a = str_chr(path, '/'), b = str_chr(pattern, '/');
        have = str_slice(path, 0, a < 0 ? path.n : (size_t)a);
        want = str_slice(pattern, 0, b < 0 ? pattern.n : (size_t)b);
        bool dots = str_is(have, ".") || str_is(have, "..");
        if (str_is(want, "{id}") ? have.n == 0 || dots : !str_eq(have, want)) return false;
        path = str_slice(path, have.n, path.n);
        pattern = str_slice(pattern, want.n, pattern.n);
    }
    return pattern.n == 0 && path.n == 0;
}

/* The path behind its version, or empty where it is another endpoint's. path: normal_path() of it. */
static struct str match_passed(const struct endpoint *e, struct str path)
{
    for (unsigned i = 0; i < VERSION_COUNT; i++) {
        struct str version = str_of(VERSIONS[i]);
        struct str tail = str_slice(path, version.n, path.n);
        if (str_starts(path, version) && matches(tail, str_of(e->path))) return tail;
    }
    return STR_NULL;
}

static const struct endpoint *find_passed(struct str method, struct str path, bool *ret_known_path)
{
    *ret_known_path = false;
    path = normal_path(path);
    for (unsigned i = 0; i < PASSED_COUNT; i++) {
        if (match_passed(&PASSED_ROWS[i], path).n == 0) continue;
        *ret_known_path = true;
        if (str_is(method, PASSED_ROWS[i].method)) return &PASSED_ROWS[i];
    }
    return NULL;
}

/* "/p/NAME/any/path": the tail begins with its slash. Not normalised: it is the provider's own. */
static bool find_raw(struct str path, struct str *ret_provider, struct str *ret_tail)
{
    const struct str prefix = STR("/p/");
    ptrdiff_t query = str_chr(path, '?');
    if (query >= 0) path.n = (size_t)query;
    if (!str_starts(path, prefix)) return false;
    struct str rest = str_slice(path, prefix.n, path.n);
    ptrdiff_t slash = str_chr(rest, '/');
    if (slash <= 0) return false;
    *ret_provider = str_slice(rest, 0, (size_t)slash);
    *ret_tail = str_slice(rest, (size_t)slash, rest.n);
    return true;
}

static bool fits_method(const struct endpoint *e, struct str method)
{
    static const char *const any[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    if (e->method == NULL) return str_is(method, "GET") || str_is(method, "HEAD");
    if (strcmp(e->method, "*") != 0) return str_is(method, e->method);
    for (size_t i = 0; i < sizeof any / sizeof *any; i++)
        if (str_is(method, any[i])) return true;
    return false;
}

static bool decode_model(struct str text, struct arena *a, struct str *ret_model)
{
    struct buf b = {0};
    bool good = url_percent_decode(text, &b);
    struct str model = arena_copy(a, buf_view(&b));
    buf_fini(&b);
    for (size_t i = 0; i < model.n && good; i++) good = (unsigned char)model.p[i] >= 0x20 && model.p[i] != 0x7F;
    *ret_model = model;
    return good;
}

static bool asks_for_sse(struct str query)
{
    while (query.n > 0) {
        struct str pair = str_split(&query, '&');
        if (str_is(pair, "alt=sse") || str_is(pair, "$alt=sse") || str_is(pair, "%24alt=sse")) return true;
    }
    return false;
}

bool endpoint_read_place(const struct endpoint *e, struct str path, struct str query, struct arena *a,
                         struct endpoint_place *ret_place)
{
    struct str model = STR_NULL;
    *ret_place = (struct endpoint_place){0};
    if (e->kind == ENDPOINT_RAW) return find_raw(path, &ret_place->provider, &ret_place->tail);
    if (e->kind == ENDPOINT_PASSED && e->model != ENDPOINT_MODEL_PATH) {
        ret_place->tail = match_passed(e, normal_path(path));
        ret_place->query = query;
        return true;
    }
    ret_place->counts = e == &MESSAGES_COUNT;
    if (!dialect_of(e->dialect)->model_in_path) return true;
    if (find_verb(path, &model) == NULL || !decode_model(model, a, &model)) return false;
    while (e->dialect == DIALECT_GEMINI && str_starts(model, STR("models/")))
        model = str_slice(model, sizeof "models/" - 1, model.n);
    ret_place->model = model;
    ret_place->stream = e == &STREAM_GENERATE || e == &CONVERSE_STREAM;
    ret_place->json_array = e == &STREAM_GENERATE && !asks_for_sse(query);
    ret_place->counts = e == &COUNT_TOKENS;
    ret_place->tail = e->kind == ENDPOINT_PASSED ? str_of(strrchr(e->path, ':')) : STR_NULL; /* ":embedContent" */
    return model.n > 0;
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
    const struct endpoint *verb = find_verb(path, &id);
    if (verb != NULL) {
        *ret_known_path = true;
        return str_is(method, verb->method) ? verb : NULL;
    }
    struct str tail;
    if (find_raw(path, &id, &tail)) {
        *ret_known_path = true;
        return fits_method(&RAW, method) ? &RAW : NULL;
    }
    const struct spelling *s = find(path, &id);
    if (s == NULL) return find_passed(method, path, ret_known_path);
    *ret_known_path = true;
    return fits_method(s->endpoint, method) ? s->endpoint : NULL;
}

/* How the canonical spellings of passed endpoints read: "/v1" and the row's path. */
#define PASSED(n, m, p, ...) "/v1" p,
static const char *const PASSED_SPELLINGS[] = {
#include "proto/dialect/endpoints.tbl.h"
};
#undef PASSED

const char *endpoint_suggest(struct str path)
{
    enum { NEAR = 6 };
    unsigned best = NEAR + 1;
    const char *nearest = NULL;
    path = normal_path(path);
    for (unsigned i = 0; i < SPELLING_COUNT; i++) {
        if (SPELLINGS[i].endpoint == &HELLO) continue;
        unsigned d = str_distance(path, str_of(SPELLINGS[i].path), NEAR);
        if (d < best) {
            best = d;
            nearest = SPELLINGS[i].path;
        }
    }
    for (unsigned i = 0; i < PASSED_COUNT; i++) {
        unsigned d = str_distance(path, str_of(PASSED_SPELLINGS[i]), NEAR);
        if (d < best) {
            best = d;
            nearest = PASSED_SPELLINGS[i];
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
