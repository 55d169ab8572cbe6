/* exchange.h — the body work of one attempt, both ways: all that the data plane knows of dialects
 * Owns:     struct exchange: pass-through or translation, chosen once from the two dialects; usage, content, end and error are seen in passing.
 * Process:  worker; sans-I/O. Bytes in, bytes out, facts set.
 * Memory:   the request's arena; out-bufs are the caller's and are reused.
 * Fails:    an error code and a text; `facts` never go back.
 * Not here: HTTP framing (wire/http1), holding bytes until the commit point (dataplane/relay.c), choosing targets. */
#pragma once

#include "proto/dialect/citation.h"
#include "proto/dialect/dialect.h"
#include "proto/dialect/endpoint.h"
#include "proto/dialect/stop_cut.h"
#include "proto/wire/framing.h"

struct video_call;

/* What a request says of reasoning, as far as it decides how a model is asked. */
enum call_reasoning { CALL_REASONING_UNSAID, CALL_REASONING_OFF, CALL_REASONING_ON };

/* What the journey must know of a request's body before it chooses a target. Duplicate routing keys are refused. */
struct call {
    struct str model; /* unescaped, in the arena */
    bool stream;
    bool include_usage;                                /* OpenAI: the client itself asked for the usage chunk */
    bool needs_tools, needs_images, needs_json_schema; /* seen at the top level or by a bounded search */
    bool without_reasoning;        /* set for another try: what earlier turns' reasoning there is stays behind */
    bool has_stop;                 /* OpenAI Chat: stop sequences */
    enum call_reasoning reasoning; /* asked for, in the client's words for it */
    int64_t max_output;            /* tokens asked for at most; -1: not said */
    int64_t choices;               /* n; 1 unless said */
    int64_t input_bound;           /* tokens this body can be at most: its text bytes, images by a bound of their own */
    bool json_array;               /* the stream is framed as one JSON array (Gemini without alt=sse) */
    bool counts;                   /* only tokens are counted (Gemini's countTokens): nothing is used */
    bool passed_stream;            /* a passed endpoint's answer comes in events; `stream` is for chats */
    int64_t units;                 /* of a passed endpoint: pictures or characters asked for */
    struct str tail, content_type; /* of a passed endpoint: struct endpoint_place's; the body's, as the client said */
    struct video_call *video;      /* a call of Videos (video.h); else NULL */
    struct str session;            /* metadata.user_id, prompt_cache_key, user: whichever the dialect has; empty */
};
enum weir_err call_read(enum dialect_id client, struct str body, struct arena *a, struct call *ret_call,
                        struct str *ret_why);
/* The same where the path says more (endpoint_read_place()): model and stream of a dialect that has them there. */
enum weir_err call_read_at(enum dialect_id client, const struct endpoint_place *place, struct str body, struct arena *a,
                           struct call *ret_call, struct str *ret_why);

enum exchange_fact {
    EXCHANGE_CONTENT = 1,  /* text, reasoning, refusal or tool-call bytes went into out: the commit point */
    EXCHANGE_FINISHED = 2, /* a finish reason was seen */
    EXCHANGE_END = 4,      /* the dialect's terminal event was read */
    EXCHANGE_ERROR = 8,    /* the provider reported an error inside the 200: see `error` */
    EXCHANGE_USAGE = 16,   /* usage is the provider's final word */
    EXCHANGE_BROKEN = 32,  /* cannot be read (garbage, no JSON): see `error` */
};

struct exchange {
    const struct dialect *client, *target;
    const struct call *call;
    struct arena *arena;
    bool same; /* pass-through */
    bool stream;
    enum framing framing; /* of the client's stream */
    uint8_t facts;        /* enum exchange_fact */
    struct usage usage;   /* normal form, as far as seen */
    struct upstream_error error;
    struct str finish;       /* normal word: stop, length, tool_calls, content_filter, refusal …; empty: none seen */
    struct str answer_model; /* as the provider names it */
    struct str answer_id;
    int64_t max_output;    /* tokens the provider was asked for at most; -1: none said */
    struct str loss;       /* value of x-weir-loss, more may come with the answer; empty: nothing was lost */
    struct str tail;       /* passed: the path at the provider, behind its version */
    unsigned media_wanted; /* what has to be fetched before this can be encoded (media.h): nothing was written */
    bool as_base64;        /* embed.c: the client wants its vectors so */
    const struct endpoint
        *passed; /* no chat: the bytes pass through, `client` and `target` are whose errors are written */
    size_t
        end_at; /* with EXCHANGE_END: offset in out, at the call that set it, where the terminal event's bytes begin */
    int64_t content_bytes; /* of text, reasoning and arguments seen: what an estimate of output is made from */
    bool started; /* the client has the opening of its stream. Set by the caller on an attempt that follows one whose
                            * opening went out (before the first exchange_feed): it is then not written again */

    /* private */
    struct frames frames;
    void *reader, *writer;
    struct buf scratch;
    struct arena events;              /* memory of one event */
    struct custom_call *custom_calls; /* under way (custom_tool.h) */
    struct stop_cut stops;
    struct citing citing; /* texts that are open, and what they rest on */
    struct chat *chat;
    struct target_hints hints;
    struct str model;       /* as the provider is asked for it */
    struct buf last;        /* same: an event that may be the last one waits here for the end of the body */
    bool last_complete;     /* it came with its end mark */
    bool array_open;        /* FRAMING_JSON_ARRAY: its '[' is out */
    struct str error_event; /* same: the provider's own error event, framed for the client */
    struct buf *out;        /* while feeding */
};

/* For an attempt: what the target's provider is sent. body is the client's; model the target's name for the model. */
enum weir_err exchange_request(struct exchange *x, enum dialect_id client, enum dialect_id target,
                               const struct call *call, struct str body, struct str model, struct arena *a,
                               struct buf *out, struct str *ret_why);

/* The same with what is known of the target beside its name; exchange_request() is this with nothing known. */
enum weir_err exchange_request_to(struct exchange *x, enum dialect_id client, enum dialect_id target,
                                  const struct target_hints *hints, const struct call *call, struct str body,
                                  struct str model, struct arena *a, struct buf *out, struct str *ret_why);

/* A call that is no chat. `out` gets the body; exchange_answer() and exchange_feed() then pass all bytes and read the usage. */
enum weir_err exchange_request_passed(struct exchange *x, const struct endpoint *e, enum dialect_id target,
                                      const struct target_hints *hints, const struct call *call, struct str body,
                                      struct str model, struct arena *a, struct buf *out, struct str *ret_why);

/* The path and query to ask, behind base_path ("/chat/completions"). */
struct str exchange_path(const struct exchange *x);
/* The whole path: base_path as people write it in base_url ("/v1", "/openai/v1", "" …) joined with the dialect's own. Anthropic's
 * base URLs go without "/v1", OpenAI's with it; both are taken either way. */
struct str exchange_target_path(const struct exchange *x, struct str base_path, struct arena *a);

/* A whole 200 answer. same: the bytes as they are, usage read. Sets facts; WEIR_UP_PROTOCOL where it cannot be read. */
enum weir_err exchange_answer(struct exchange *x, struct str body, struct buf *out);

/* Bytes of a streaming 200 in any split. Client bytes are appended to out. same: the provider's own event bytes, whole events only,
 * without the usage chunk that only we asked for; else the client dialect's events. Ends at EXCHANGE_END: later bytes are ignored.
 * A provider's error event is not written: it sets EXCHANGE_ERROR, and exchange_write_error() then gives it (same: as received). */
void exchange_feed(struct exchange *x, struct str bytes, struct buf *out);
/* The provider's body ended. Facts tell if that was the end: without EXCHANGE_END it is truncation and nothing like an end is written.
 * (An OpenAI look-alike that ends after a finish reason without [DONE] counts as ended: the end is then written.) */
void exchange_finish(struct exchange *x, struct buf *out);

/* The opening of a stream (role chunk, message_start) for a client that has waited long, if it has not been written. */
void exchange_write_start(struct exchange *x, struct buf *out);
void exchange_write_ping(struct exchange *x, struct buf *out);
/* The in-stream error that ends a broken stream honestly. */
void exchange_write_error(struct exchange *x, enum weir_err e, struct str message, struct buf *out);

void exchange_fini(struct exchange *x); /* frees its bufs; the arena has the rest */

/* GET /v1/models: one body that the OpenAI, Anthropic and Google SDKs all parse. */
struct model_entry {
    struct str id, display, description;
};
void models_write_list(const struct model_entry *m, size_t n, uint64_t created_s, struct buf *out);
/* The same for Ollama's clients: GET /api/tags, POST /api/show. */
void models_write_tags(const struct model_entry *m, size_t n, uint64_t created_s, struct buf *out);
void models_write_shown(const struct model_entry *m, uint64_t created_s, struct buf *out);
void models_write_one(const struct model_entry *m, uint64_t created_s, struct buf *out);
