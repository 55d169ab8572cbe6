/* ask.h — what a request asks of the fake provider, and the answer it will get, whichever dialect it came in
 * Owns:     nothing: views into the request's JSON document and pieces of the call's arena.
 * Process:  weir-fake; pure.
 * Memory:   the call's arena; an ask and its plan die with the call.
 * Fails:    struct refusal says what a real provider would have refused, in its words.
 * Not here: wire formats (openai_*.c, responses_*.c, anthropic_*.c), sockets and faults (conn.c, fault.c).
 *
 * Token rule (so that a bill can be computed by hand): input = for each message, system prompt included, 4 + text bytes / 4
 * rounded up; each image 100; each tool its name, description and schema as sent, bytes / 4 rounded up, + 8. Output = one
 * for each word written, reasoning words included; for each tool call 5 + argument bytes / 4 rounded up. All dialects count alike. */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/str.h"

#include <yyjson.h>

enum { ASK_MAX_STOPS = 8, PLAN_MAX_CALLS = 8 };

struct refusal {
    unsigned status; /* 0: accepted */
    const char *type;
    const char *code; /* OpenAI */
    struct str param; /* OpenAI */
    struct str message;
};

/* What [[fake:word]] and [[fake:word=number]] in the last user text ask for. Prompts pass a gateway unchanged, so this reaches us. */
struct wishes {
    bool parallel;                   /* two or more tool calls at a time */
    bool no_tool;                    /* text although tools are offered */
    bool reasoning;                  /* visible reasoning */
    bool refuse;                     /* the model declines */
    bool filter;                     /* cut by the provider's content filter */
    struct str call, call_arguments; /* "call=NAME" or "call=NAME:JSON": this tool and no other, if it is offered */
    uint32_t words;                  /* length of the text; 0: as always */
    uint32_t cached, cache_write, cache_write_1h; /* of the input tokens: so many (clamped) */
    uint32_t delay_ms;                            /* between two events of a stream */
    uint32_t pings;                               /* Anthropic: ping events before the first content */
};

struct fake_host;

struct ask {
    const struct fake_host *host; /* whose spellings the answer has (host.h); NULL: OpenAI's */
    struct str model;
    bool stream;
    bool as_array;        /* Gemini: the stream is one JSON array */
    bool include_usage;   /* OpenAI */
    bool include_secret;  /* Responses: reasoning with its encrypted content */
    unsigned choices;     /* OpenAI "n" */
    yyjson_val *tools;    /* array, or NULL */
    struct str only_tool; /* tool_choice names one */
    bool may_call, must_call, may_call_parallel;
    yyjson_val *schema; /* the JSON schema the text must follow */
    bool json_object;
    bool thinks, shows_thinking;
    uint64_t max_tokens; /* 0: no limit */
    struct str stop[ASK_MAX_STOPS];
    unsigned stops;

    /* what was in the messages */
    unsigned systems, users, assistants, results, images, files;
    struct str last_text;   /* of the last user message */
    struct str last_result; /* of the last tool result */
    bool ends_with_result;
    uint64_t input_tokens;
    struct wishes wishes;
};

struct plan_call {
    struct str id, name, arguments;
};

enum plan_finish { FINISH_STOP, FINISH_LENGTH, FINISH_TOOLS, FINISH_SEQUENCE, FINISH_REFUSAL, FINISH_FILTER };

struct plan_usage {
    uint64_t input; /* not from the cache, not written to it */
    uint64_t cache_read;
    uint64_t cache_write; /* five minutes */
    uint64_t cache_write_1h;
    uint64_t output;    /* reasoning included */
    uint64_t reasoning; /* part of output */
};

struct plan {
    struct str id; /* without the dialect's prefix */
    struct str text;
    struct str thinking; /* empty: none */
    struct plan_call call[PLAN_MAX_CALLS];
    unsigned calls;
    enum plan_finish finish;
    struct str stop_sequence;
    struct plan_usage usage;
    bool omit_usage; /* the answer does not say it */
};

void ask_count_text(struct ask *ask, struct str text); /* adds its tokens */
void ask_count_tools(struct ask *ask);
void ask_read_wishes(struct ask *ask);

/* name: the fake's own. seed makes the words; the same ask and seed give the same plan. */
void plan_make(struct plan *plan, const struct ask *ask, const char *name, const char *dialect, uint64_t seed,
               struct arena *a);

/* The next word of *rest with the blanks before it, as a stream carries it; empty at the end. */
struct str plan_next_word(struct str *rest);
