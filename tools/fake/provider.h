/* provider.h — one fake provider: its address, its faults, what it was asked and what it told
 * Owns:     struct provider: configuration, faults, the last calls, counters, the log file's buffer.
 * Process:  weir-fake; one loop, no locks.
 * Memory:   heap; the last calls are bounded by number and by bytes.
 * Fails:    provider_note() never; a log that cannot be written ends the process, because a bill with holes is worse than none.
 * Not here: sockets (conn.c), control requests (control.c). */
#pragma once

#include "tools/fake/ask.h"
#include "tools/fake/fault.h"
#include "tools/fake/program.h"

#include <uv.h>

struct tls_server;
struct http1_head;

/* One call as it is logged. Texts are owned by the record. */
struct call {
    uint64_t number; /* from 1, per fake */
    uint64_t wall_ns, mono_ns;
    struct str method, path, model;
    const char *dialect; /* "" when the body was not understood */
    bool stream;
    unsigned status;         /* 0: not HTTP */
    unsigned fault;          /* its id; 0: none */
    char key[24];            /* "sha256:" and 8 digits of the key's hash; empty: none was sent */
    struct str headers;      /* JSON array of [name, value]; keys replaced by their hash */
    struct str body;         /* as received */
    struct plan_usage usage; /* billed; all zero for an error */
    bool usage_sent;         /* the numbers stand in the answer */
    unsigned events;         /* told of the answer; a unary one counts as one */
    size_t bytes;            /* handed to the kernel, head and framing included */
    bool whole;              /* complete, well-formed, and every byte handed to the kernel */
    bool client_gone;        /* closed by the other side before that */
};

struct provider_counts {
    uint64_t connections, open, tls_failed, tls_ready, plain_bytes_in, calls, whole, refused, client_gone;
    uint64_t tokens, unauthorized,
        expired_tokens;       /* identity.h: issued; calls refused, and those of them with an old one */
    struct plan_usage billed; /* over all calls */
};

struct provider {
    struct provider *next;
    /* configured */
    char *name, *address; /* host:port, the real port */
    const char *listen;   /* as given */
    bool speaks_openai, speaks_responses, speaks_anthropic, speaks_converse, speaks_gemini, speaks_cohere,
        speaks_ollama, lax;
    uint64_t seed;
    int guard;             /* enum identity_guard */
    uint32_t token_life_s; /* of what its token endpoints issue */
    struct program_pace pace;
    const struct fake_host *host; /* a look-alike's rules on the chat endpoint; NULL: OpenAI's */
    struct tls_server *tls;       /* NULL: plain */

    uv_loop_t *loop;
    uv_tcp_t server;
    struct faults faults;
    struct provider_counts counts;
    struct call **last; /* ring of kept calls, number modulo keep */
    size_t keep, kept_bytes;
    uint64_t oldest; /* number of the oldest kept call */
    uint64_t last_number;
};

void provider_init(struct provider *p, uv_loop_t *loop);
void provider_reset(struct provider *p); /* faults, calls and counters; open connections go on */

struct call *call_new(struct provider *p, const struct http1_head *head, struct str body);
/* Logs, counts and keeps the call; takes it. */
void provider_note(struct provider *p, struct call **call);
void call_free(struct call **call);
void call_write_json(const struct call *c, const char *fake, struct buf *out); /* without a line end */

/* ---- the log: one file for all fakes of the process, written when 64 KiB are together, every 50 ms and on every control request ---- */
bool log_open(const char *path, uv_loop_t *loop, const char **ret_why);
void log_flush(void);
