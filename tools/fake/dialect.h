/* dialect.h — a provider's wire format as the fake speaks it
 * Owns:     nothing.
 * Process:  weir-fake; pure.
 * Memory:   the call's arena; answers go into the caller's struct answer.
 * Fails:    read() fills *ret_refusal (status != 0) with what the real provider answers to such a request.
 * Not here: the gateway's own dialects (proto/dialect): this is the other side, written apart so that one's mistake is not the other's. */
#pragma once

#include "proto/wire/http1.h"
#include "tools/fake/answer.h"
#include "tools/fake/ask.h"

struct fake_dialect {
    const char *name;
    /* strict: refuse what the provider refuses (unknown fields, tool results out of place …), not only what cannot be read. */
    void (*read)(yyjson_val *body, const struct http1_head *head, bool strict, struct ask *ret_ask,
                 struct refusal *ret_refusal, struct arena *a);
    void (*write_unary)(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
    void (*write_stream)(const struct plan *plan, const struct ask *ask, uint64_t now_s, struct answer *out);
    /* The provider's error body for a status; type and code NULL: the usual ones of that status. */
    void (*write_error)(const struct refusal *refusal, struct answer *out);
    void (*write_error_event)(struct str error,
                              struct buf *out); /* inside a 200 stream; error: raw JSON, empty: overloaded */
    const char *terminal;                       /* how the data of the last event of a whole stream begins */
};

extern const struct fake_dialect fake_openai, fake_responses, fake_anthropic, fake_converse, fake_gemini, fake_cohere,
    fake_ollama;

/* Helpers of all */
struct str val_str(yyjson_val *v); /* empty when it is no string */
bool val_is(yyjson_val *v, const char *text);
void refuse(struct refusal *r, unsigned status, const char *type, const char *code, struct str param,
            struct str message);
/* The first member of object that known (NULL-terminated) does not name; NULL when there is none. */
const char *first_unknown(yyjson_val *object, const char *const *known);
bool is_tool_id(struct str id); /* ^[a-zA-Z0-9_-]+$ */
