#include "proto/dialect/endpoint.h"

#include "proto/wire/url.h"

static const struct endpoint CHAT = {
    "chat.completions", "POST", "/v1/chat/completions", DIALECT_OPENAI_CHAT, ENDPOINT_CHAT,
};
static const struct endpoint MESSAGES = {"messages", "POST", "/v1/messages", DIALECT_ANTHROPIC, ENDPOINT_CHAT};
static const struct endpoint RESPONSES = {"responses", "POST", "/v1/responses", DIALECT_RESPONSES, ENDPOINT_CHAT};
static const struct endpoint MODELS = {"models", "GET", "/v1/models", DIALECT_OPENAI_CHAT, ENDPOINT_MODELS};
static const struct endpoint GENERATE = {
    "gemini.generate", "POST", "/v1beta/models/{model}:generateContent", DIALECT_GEMINI, ENDPOINT_CHAT,
};
static const struct endpoint STREAM_GENERATE = {
    "gemini.stream", "POST", "/v1beta/models/{model}:streamGenerateContent", DIALECT_GEMINI, ENDPOINT_CHAT,
};
static const struct endpoint COUNT_TOKENS = {
    "gemini.count_tokens", "POST", "/v1beta/models/{model}:countTokens", DIALECT_GEMINI, ENDPOINT_CHAT,
};
static const struct endpoint CONVERSE = {
    "bedrock.converse", "POST", "/model/{model}/converse", DIALECT_CONVERSE, ENDPOINT_CHAT,
};
static const struct endpoint CONVERSE_STREAM = {
    "bedrock.converse_stream", "POST", "/model/{model}/converse-stream", DIALECT_CONVERSE, ENDPOINT_CHAT,
};
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
    {"converse-stream", &CONVERSE_STREAM, '/'},
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
    if (!dialect_of(e->dialect)->model_in_path) return true;
    if (find_verb(path, &model) == NULL || !decode_model(model, a, &model)) return false;
    while (e->dialect == DIALECT_GEMINI && str_starts(model, STR("models/")))
        model = str_slice(model, sizeof "models/" - 1, model.n);
    ret_place->model = model;
    ret_place->stream = e == &STREAM_GENERATE || e == &CONVERSE_STREAM;
    ret_place->json_array = e == &STREAM_GENERATE && !asks_for_sse(query);
    ret_place->counts = e == &COUNT_TOKENS;
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
