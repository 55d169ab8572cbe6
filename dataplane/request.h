/* request.h — one exchange with an app, from its head to its settled record: the journey's state
 * Owns:     all memory of the request (arena, bufs), the upstream it uses, the open slot of its attempt, a reference to its configuration.
 * Process:  worker only. Callbacks set facts and call request_wake(); policy lives in the steps of request.c and the files they call.
 * Memory:   slab; bufs and arena are kept for the next request. It never outlives its client.
 * Fails:    request_fail() sets the reason once; the first one stays.
 * Not here: the bodies of steps (admit.c, route.c, relay.c, reply.c, meter.c). */
#pragma once

#include "dataplane/client.h"
#include "dataplane/media.h"
#include "dataplane/route.h"
#include "dataplane/upstream.h"
#include "proto/base/arena.h"
#include "proto/base/err.h"
#include "proto/dialect/endpoint.h"
#include "proto/dialect/exchange.h"
#include "proto/wire/http1.h"
#include "shm/layout.h"

struct generation;
struct step;

enum request_fact {
    FACT_HEAD = 1,          /* the client's head is complete */
    FACT_WHOLE = 2,         /* its body too */
    FACT_BAD = 4,           /* it is not HTTP: keep.in says why */
    FACT_SLOW = 8,          /* it did not arrive in time */
    FACT_GONE = 16,         /* the client left */
    FACT_STOP = 32,         /* the worker stops */
    FACT_NO_ROOM = 64,      /* the body found no place in server.buffers */
    FACT_CLIENT_ROOM = 128, /* the client has read most of what was written */
    FACT_TIMER = 256,       /* call_timer went off: look at the clock */
    FACT_UP_SHAKING = 512,  /* TCP connected, TLS under way */
    FACT_UP_CONNECTED = 1024,
    FACT_UP_FAILED = 2048,
    FACT_UP_DATA = 4096,
    FACT_LOOKED_UP = 8192, /* the name of a place that media are fetched from */
    FACT_UP_ALL = FACT_UP_SHAKING | FACT_UP_CONNECTED | FACT_UP_FAILED | FACT_UP_DATA,
};

/* How far the answer has come on its way to the client. */
enum answer_stage {
    ANSWER_NONE,      /* nothing has been written: any answer is still possible */
    ANSWER_OPENED,    /* a stream's head and pings: another target may still answer, an error must be an event */
    ANSWER_COMMITTED, /* content: this attempt is the answer */
    ANSWER_ENDED,     /* all bytes are written or queued */
};

/* Kept from request to request with its memory. */
struct request_keep {
    struct http1 in;
    struct arena arena;
    struct buf body; /* the client's, whole: a later target gets it again */
    struct buf
        ask; /* head of what the attempt sends; never in one buf with bytes for the client: it holds the credential */
    struct buf target; /* its body */
    struct buf hosted; /* the same before the form of its host was given to it */
    struct buf held;   /* answer bytes that the client has not been given: before the commit point; unary */
    struct buf out;    /* client bytes being made */
    struct buf head;   /* of the answer to the client */
    struct buf media;  /* base64 of what is being fetched */
};

/* An error answer of a provider that may be passed on as it is. */
struct relayed {
    uint16_t status; /* 0: none */
    struct str body;
    struct str headers; /* lines that may be forwarded */
};

struct request {
    void *slab_link;
    struct request_keep keep;

    /* everything below is zero when a request begins */
    char first_zeroed;
    struct worker *w;
    struct client *c;
    struct generation *gen;
    const struct step *step;
    bool running, woken;
    unsigned facts;
    enum weir_err err; /* of the request: set once, by request_fail() */
    struct str why;    /* for people */

    /* the call: identify */
    const struct endpoint *endpoint;
    const struct dialect *dialect; /* of the client; guessed where the endpoint is unknown */
    const struct snap_key *key;
    struct call call;
    struct media_list media;  /* what the body names by URL and was or is to be fetched */
    struct fetching fetching; /* the one under way */
    struct str raw_provider;  /* /p/NAME */
    struct str client_name;   /* product and version of the User-Agent */
    struct str origin;        /* an allowed Origin: echoed for the browser */
    bool identified;
    char id[32];

    /* the clock; ns are monotonic, ms are uv_now() */
    uint64_t started_ns, started_wall_ns;
    uint64_t run_ns;     /* spent in steps so far */
    uint64_t entered_ns; /* the step loop was entered */
    uint64_t ttft_ns;
    uint64_t total_at_ms, phase_at_ms, quiet_at_ms; /* 0: none. quiet: the next ping is due */
    enum weir_err phase_err;                        /* what it means when phase_at_ms is reached */
    uint64_t buffered;                              /* bytes counted against server.buffers */

    /* the way: route */
    const struct snap_route *route;
    struct plan plan;
    uint16_t named_target; /* index, where the model's name named it; else ID_NONE */
    unsigned tries;        /* attempts begun */
    unsigned same_tries;   /* of the present target */
    unsigned redials;      /* of the present attempt */

    /* the attempt */
    const struct snap_target *target;
    const struct snap_provider *provider;
    struct str model;              /* asked of the provider */
    const struct price_row *price; /* NULL: unknown */
    struct exchange x;
    uint16_t first_target;                  /* stable id of the target that was tried first */
    const struct snap_provider *secrets_of; /* whose keys secrets_tried is about */
    uint32_t secrets_tried;                 /* bit i: this call has shown key i */
    uint8_t secret;                         /* the key of the attempt */
    uint64_t token_gen;                     /* which fetched credential was shown */
    struct str shown;   /* of the credential, what stands in the attempt's head: never to be passed on */
    bool clock_learnt;  /* from the refusal of the last attempt: the same target is worth another */
    bool has_exchange;  /* x is of the present attempt */
    bool probing;       /* this call is the probe of a half-open circuit */
    bool sent;          /* bytes have gone to the provider */
    bool fresh_only;    /* a pooled connection was dead: dial */
    bool in_attempt;    /* begun and not yet ended */
    bool record_waits;  /* rec is complete but not committed */
    bool events;        /* a passed answer that comes in events */
    bool opaque;        /* the answer's bytes cannot be read here (compressed): passed on as they are */
    bool collecting;    /* the answer is an error's body */
    bool collected_all; /* unary: all that came is in held */
    bool broken_off;    /* the client's connection ends with this answer */
    struct upstream *up;
    enum weir_err attempt_err;
    struct str attempt_why;
    uint16_t status; /* the provider's; 0: none yet */
    struct upstream_error said;
    uint64_t attempt_ns; /* began */
    struct journal_slot *slot;
    struct usage_record rec;
    int64_t cost_nanousd; /* of the attempt that answers; -1 unknown */
    struct relayed relayed;
    uint64_t unary_seen;

    /* the answer */
    enum answer_stage stage;
    uint16_t client_status;
    bool chunked;
    bool sized; /* its head has a length */
    uint64_t bytes_out;
};

#define REQUEST_MAX_TRIES 4u

struct request *request_open(struct client *c);
void request_body(struct request *r, struct str bytes); /* counts them; FACT_NO_ROOM instead of taking too many */
void request_wake(struct request *r);
void request_free_bufs(void *r);

/* Counts bytes held for the request against server.buffers. false: there is no room. Given back when the request ends. */
bool request_charge(struct request *r, size_t bytes);

/* The reason why the call ends; `why` must live as long as the arena or be static. Returns the step to go to. */
const struct step *request_fail(struct request *r, enum weir_err err, struct str why);
/* The same for the attempt: another target may still answer. */
const struct step *attempt_fail(struct request *r, enum weir_err err, struct str why);

/* May the client's connection be used again after this answer? */
bool request_keeps_alive(const struct request *r);
/* The bodies of retry and stream are elsewhere; these are the steps they name. */
extern const struct step *const STEP_WAIT, *const STEP_STREAM, *const STEP_SETTLE;
/* The attempt's verdict: usage and cost into its record (which then waits for its commit), circuit, counters. */
void attempt_over(struct request *r, enum record_outcome outcome, enum weir_err err, struct str why);
/* Deadlines and pings, when a step is about to wait: another step when one has passed, else STEP_WAIT with the timer set. */
const struct step *request_wait(struct request *r);

/* No chat: its bytes pass through (endpoints.tbl.h, /p/). */
static inline bool request_is_passed(const struct request *r)
{
    return r->endpoint != NULL && (r->endpoint->kind == ENDPOINT_PASSED || r->endpoint->kind == ENDPOINT_RAW);
}

static inline bool request_is_whole(const struct request *r)
{
    return (r->facts & FACT_WHOLE) != 0;
}
