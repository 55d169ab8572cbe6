/* endpoint.h — which paths exist, in every spelling that clients use, and what is behind each
 * Owns:     one table; an endpoint is a row (method, spellings, dialect, kind).
 * Process:  any; pure.
 * Memory:   none.
 * Fails:    endpoint_find() returns NULL; endpoint_suggest() names the nearest path for the 404.
 * Not here: what the model name leads to (shm/snapshot), answering (dataplane/reply.c). */
#pragma once

#include "proto/base/str.h"
#include "proto/dialect/dialect.h"

enum endpoint_kind {
    ENDPOINT_CHAT,    /* chat-like: routed, translated, metered */
    ENDPOINT_PASSED,  /* routed and metered, its bytes passed through: a row of endpoints.tbl.h */
    ENDPOINT_RAW,     /* /p/{provider}/…: any path of that provider */
    ENDPOINT_MODELS,  /* GET /v1/models[/id], Ollama's /api/tags and /api/show: answered here */
    ENDPOINT_HELLO,   /* GET or HEAD /, HEAD /api/hello: 200, answered here */
    ENDPOINT_VERSION, /* GET /api/version of Ollama's clients: answered here */
};

enum endpoint_body { ENDPOINT_BODY_NONE, ENDPOINT_BODY_JSON, ENDPOINT_BODY_FORM, ENDPOINT_BODY_ANY };
enum endpoint_model { ENDPOINT_MODEL_BODY, ENDPOINT_MODEL_MAYBE, ENDPOINT_MODEL_NONE, ENDPOINT_MODEL_PATH };
enum endpoint_meter {
    ENDPOINT_TOKENS,
    ENDPOINT_IMAGES,
    ENDPOINT_CHARACTERS,
    ENDPOINT_SEARCHES,
    ENDPOINT_SECONDS,
    ENDPOINT_VIDEO, /* a task: paid when it has ended (controlplane/jobs.h) */
    ENDPOINT_FREE,
};

/* What a path says beside which endpoint it is: Gemini's names the model and how to answer. */
struct endpoint_place {
    struct str model; /* percent-decoded, in the arena; empty: stands in the body */
    bool stream;
    bool json_array;     /* a stream in one JSON array, not in events */
    bool counts;         /* only tokens are to be counted */
    struct str query;    /* as it came, without '?' */
    struct str tail;     /* ENDPOINT_PASSED: the path behind its version; ENDPOINT_RAW: the path at the provider */
    struct str provider; /* ENDPOINT_RAW: whose */
};

struct endpoint {
    const char *name;   /* "chat.completions": label of logs and metrics */
    const char *method; /* "POST"; NULL: GET and HEAD; "*": any but HEAD, CONNECT, OPTIONS and TRACE */
    const char
        *path; /* the canonical spelling, sent upstream behind base_path without its "/v1" where base_path ends so */
    enum dialect_id dialect; /* of the client */
    enum endpoint_kind kind;
    enum endpoint_body body; /* of the passed and raw ones, as the two below */
    enum endpoint_model model;
    enum endpoint_meter meter;
};

/* Collapses "/v1/v1", strips one trailing slash, ignores the query. *ret_known_path: the path exists with another method (405). */
const struct endpoint *endpoint_find(struct str method, struct str path, bool *ret_known_path);
const char *endpoint_suggest(struct str path); /* nearest known path, or NULL */
/* Of a path that endpoint_find() found; query as it came, without '?'. false: the model's name cannot be read. */
bool endpoint_read_place(const struct endpoint *e, struct str path, struct str query, struct arena *a,
                         struct endpoint_place *ret_place);
/* The id behind /v1/models/; empty without. */
struct str endpoint_model_id(struct str path);
