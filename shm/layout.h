/* layout.h — every struct that more than one process reads; the only place where such structs exist
 * Owns:     the meaning of each byte. One writer per field, named as WRITER.
 * Process:  all. Processes of one build only: attach compares magic, version and fingerprint and refuses with both values.
 * Memory:   no pointers, fixed-width integers, offsets from the start of the segment; parts begin on cache lines.
 * Fails:    a size or offset that changes without a new SHM_VERSION / JOURNAL_VERSION fails tests/unit/shm/test_layout.
 * Not here: policy, and any function (segment.h, snapshot.h, tick.h, live.h, journal.h, channel.h). */
#pragma once

#include "proto/money/price.h"
#include "proto/money/usage.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SHM_MAGIC       0x5245495753484d31ull /* "1MHSWEIR" */
#define SHM_VERSION     2u
#define JOURNAL_MAGIC   0x4c4e525552494557ull /* "WEIRURNL" */
#define JOURNAL_VERSION 1u

static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "processes can share only lock-free atomics");

enum {
    SHM_LINE = 64,
    SHM_WORKERS = 32,    /* most worker processes */
    SHM_PROVIDERS = 256, /* stable ids of providers */
    SHM_TARGETS = 1024,  /* stable ids of (provider, model) */
    SHM_LEGS = 4096,     /* stable ids of (route, target): what has a weight */
    SHM_KEYS = 4096,     /* stable ids of client keys */
    SHM_BUDGETS = 1024,
    SHM_SESSIONS = 16384,     /* cells of budgets per session or other scope */
    SHM_ADDRESSES = 8,        /* resolved addresses kept of one provider */
    SHM_BUDGETS_PER_CALL = 8, /* most budgets one call is held against */
    SHM_PROVIDER_KEYS = 16,   /* keys of one provider */
    SHM_TOKEN_BYTES = 8168,   /* longest credential that is fetched: tokens of Entra and STS are below 6,000 */
    JOURNAL_RING_RECORDS = 16384,
    JOURNAL_SLOTS = 10240, /* most attempts one worker has open */
    ID_NONE = 0xFFFF,      /* no stable id, no index */
};

/* Names have room for their NUL; the configuration refuses longer ones. */
enum { NAME_PROVIDER = 32, NAME_ROUTE = 48, NAME_KEY = 48, NAME_MODEL = 64 };

/* Opens every segment. */
struct shm_head {
    uint64_t magic;
    uint32_t version;
    uint32_t kind;        /* enum shm_kind */
    uint64_t fingerprint; /* SHM_FINGERPRINT of the build that made it */
    uint64_t bytes;       /* of the whole segment */
};
enum shm_kind { SHM_SNAPSHOT = 1, SHM_SECRETS, SHM_TICK, SHM_LIVE, SHM_JOURNAL };

/* ---- snapshot: one per accepted configuration, sealed. WRITER: control plane, once, before it is sealed ---------------- */

struct snap_str {
    uint32_t off, n;
}; /* into the segment, from its start; NUL-terminated behind n */
struct snap_list {
    uint32_t first, n;
}; /* indexes into the table that the comment names */

enum snap_dialect {
    SNAP_OPENAI_CHAT,
    SNAP_ANTHROPIC,
    SNAP_GEMINI,
    SNAP_RESPONSES,
    SNAP_CONVERSE,
    SNAP_OLLAMA,
    SNAP_COHERE,
    SNAP_DIALECTS
}; /* same numbers as proto/dialect/dialect.h */

struct snap_provider {
    struct snap_str name;
    struct snap_str host;        /* for SNI, certificate and Host; an IP literal without brackets */
    struct snap_str base_path;   /* "/v1", without a slash at the end; may be empty */
    struct snap_str host_header; /* "api.openai.com" or "127.0.0.1:9100" */
    struct snap_str ca_pem;      /* empty: the system's bundle. With PEM text: only this */
    uint16_t id;                 /* stable id: index into tick.provider and live.provider */
    uint16_t port;
    uint8_t tls;
    uint8_t dialect; /* enum snap_dialect: what it is asked in, unless it speaks the client's own */
    uint8_t allow_private;
    uint8_t auth;                /* enum signer_kind (proto/auth/signer.h) */
    uint16_t secret;             /* index into the secrets segment, of the first key; ID_NONE: no credential there */
    uint8_t type;                /* enum provider_type_id (proto/dialect/provider_type.h) */
    uint8_t secrets;             /* keys, one after the other; at most SHM_PROVIDER_KEYS */
    uint32_t dialects;           /* all that it speaks: bits 1 << enum snap_dialect */
    struct snap_str region;      /* AWS: signed */
    struct snap_str api_version; /* Azure's dated form of URLs; empty: the v1 form */
    uint8_t token;               /* the credential is in tick.token */
    uint8_t fetch_media;         /* what it does not take by URL is fetched for it */
    uint8_t fetch_media_private; /* also from private addresses and any port */
    uint8_t rules;               /* enum provider_type_id of the host at its address: what it refuses */
    uint8_t spare[4];
};

struct snap_target {
    struct snap_str name; /* "openai/gpt-x": for people, logs and `weir weight` */
    struct snap_str
        model;   /* "gpt-x": what the provider is asked for. Empty: the name that the client sent (pass-through) */
    uint16_t id; /* stable id: index into live.target and tick.target */
    uint16_t provider; /* index into providers */
    uint16_t price;    /* index into prices; ID_NONE: unknown */
    uint16_t spare;
    uint32_t context_window; /* tokens; 0 unknown */
    uint32_t max_output;     /* tokens; 0 unknown */
};

struct snap_leg {    /* one target of one route */
    uint16_t id;     /* stable id: index into tick.leg */
    uint16_t target; /* index into targets */
    uint32_t weight; /* as configured; tick.leg has the one in force */
};

enum snap_strategy { SNAP_WEIGHTED, SNAP_ORDERED };

struct snap_route {
    struct snap_str name;
    struct snap_str
        match; /* pass-through form: glob over the model as sent ("*" + "/" + "*"); empty: an ordinary route */
    struct snap_list allow;     /* pass-through form: globs in strings */
    struct snap_list legs;      /* in legs, in the file's order */
    struct snap_list fallbacks; /* in legs, in order; weights not used */
    uint16_t id;
    uint8_t strategy;                                       /* enum snap_strategy */
    uint8_t attempts;                                       /* retry.attempts: tries of one target */
    uint32_t connect_ms, first_token_ms, idle_ms, total_ms; /* timeouts, all above 0 */
    uint32_t breaker_failures;                              /* 0: no breaker */
    uint32_t breaker_window_ms, breaker_open_ms;
    uint32_t backoff_ms, max_backoff_ms;
    uint64_t on_status[8]; /* bit (status - 100): retry.on_status */
};

struct snap_alias { /* model names that lead to a route; exact names first, then globs in the file's order */
    struct snap_str glob;
    uint16_t route; /* index into routes */
    uint16_t is_glob;
    uint32_t spare;
};

struct snap_key {       /* sorted by hash */
    uint8_t sha256[32]; /* of the whole client key */
    struct snap_str name;
    struct snap_str hint;     /* last four characters if known, else empty */
    struct snap_list routes;  /* in key_routes: indexes of routes; n 0: all */
    uint64_t expires_wall_ms; /* 0: never */
    uint16_t id;
    uint16_t spare[3];
};

struct snap_price {
    struct snap_str name;
    struct price_row row;
};

struct snap_server {
    uint64_t max_body_bytes;
    uint64_t buffers_bytes; /* server.buffers, over all workers */
    uint32_t header_timeout_ms, body_idle_ms, keepalive_ms, write_stall_ms, drain_ms;
    uint32_t max_connections; /* per worker */
    uint8_t auth_keys;        /* auth.mode: keys */
    uint8_t accounting_best_effort;
    uint8_t refuse_unknown_price; /* prices.when_unknown: refuse */
    uint8_t spare[5];
    struct snap_list hosts;   /* in strings: further names accepted in Host; loopback names and addresses always are */
    struct snap_list origins; /* in strings: Origins that browsers may call from */
};

struct snapshot {
    struct shm_head head;
    uint64_t serial; /* 1 for the first configuration accepted by this state directory, then counting */
    uint64_t accepted_wall_ns;
    uint32_t price_list_date; /* yyyymmdd */
    uint32_t spare;
    struct snap_server server;
    /* tables: offset in bytes from the start of the segment, and rows */
    struct snap_list providers, targets, legs, routes, aliases, keys, prices;
    struct snap_list key_routes; /* of uint16_t */
    struct snap_list strings;    /* of struct snap_str */
    uint64_t crc;                /* CRC-32C of everything behind this struct */
};

/* ---- secrets: as the snapshot, published together with it; MADV_DONTDUMP. WRITER: control plane, once ------------------ */

struct secret_row { /* bound to its origin: the worker compares before it sends */
    char origin_host[256];
    uint16_t origin_port;
    uint8_t origin_tls;
    uint8_t spare;
    uint32_t weight;       /* its share among the keys of its provider; at least 1 */
    struct snap_str value; /* the credential, without "Bearer " */
};

struct secrets {
    struct shm_head head;
    uint64_t serial;       /* of the snapshot it belongs to */
    struct snap_list rows; /* of struct secret_row */
};

/* ---- tick: two sides and a generation. WRITER: control plane, one new memfd per incarnation of it ----------------------- */

enum tick_health { TICK_UNKNOWN, TICK_UP, TICK_DOWN };

struct tick_target { /* copied word by word */
    uint32_t spare;
    uint8_t drained; /* `weir drain` */
    uint8_t health;  /* enum tick_health: the probe's verdict */
    uint16_t reason; /* enum weir_err of the last probe that failed */
};

struct tick_leg {
    uint32_t weight;     /* configured or set at run time, times health; 0: not chosen while another is above 0 */
    uint32_t configured; /* without health */
};

struct tick_address {
    uint8_t ip[16]; /* network order; IPv4 in the first four */
    uint8_t family; /* 4 or 6 */
    uint8_t spare[7];
};

enum tick_dns { TICK_DNS_NONE, TICK_DNS_OK, TICK_DNS_STALE, TICK_DNS_FAILED, TICK_DNS_BLOCKED };

struct tick_provider {
    struct tick_address address[SHM_ADDRESSES];
    uint64_t resolved_mono_ms;
    uint16_t n;
    uint8_t dns; /* enum tick_dns */
    uint8_t spare[5];
};

struct tick_side {
    uint64_t serial; /* of the snapshot whose ids it speaks about */
    uint64_t written_mono_ms;
    struct tick_target target[SHM_TARGETS];
    struct tick_leg leg[SHM_LEGS];
    struct tick_provider provider[SHM_PROVIDERS];
};

/* A credential that was fetched and will end. Two sides of its own, so that a new one copies nothing else and pages of providers without
 * one are never touched. Left out of dumps. */
struct tick_token_side {
    uint64_t origin;          /* snap_origin(): where it may be sent */
    uint64_t expires_mono_ms; /* not to be used from then on */
    uint32_t n;               /* 0: there is none */
    uint32_t spare;
    char bytes[SHM_TOKEN_BYTES]; /* credential_pack() */
};

struct tick_token {
    _Alignas(SHM_LINE) _Atomic uint64_t gen; /* side[gen & 1] is whole; 0: there never was one */
    struct tick_token_side side[2];
};

struct tick {
    struct shm_head head;
    uint64_t incarnation;                    /* counts the control planes of this state directory */
    _Alignas(SHM_LINE) _Atomic uint64_t gen; /* side[gen & 1] is whole */
    _Alignas(SHM_LINE) struct tick_side side[2];
    _Alignas(SHM_LINE) struct tick_token token[SHM_PROVIDERS];
};

/* ---- live: atomics of all, memfd of the supervisor ----------------------------------------------------------------------- */

enum live_phase { LIVE_STARTING, LIVE_READY, LIVE_DRAINING, LIVE_STOPPED };

struct live_process {                                      /* WRITER: that process, but pid and restarts: supervisor */
    _Alignas(SHM_LINE) _Atomic uint64_t heartbeat_mono_ms; /* 0 until its loop runs */
    _Atomic uint32_t pid;
    _Atomic uint32_t phase; /* enum live_phase */
    _Atomic uint32_t restarts;
    _Atomic uint32_t in_flight;       /* requests */
    _Atomic uint32_t connections;     /* of clients */
    _Atomic uint32_t upstreams;       /* connections to providers, busy or idle */
    _Atomic uint64_t buffer_bytes;    /* held now against server.buffers */
    _Atomic uint64_t snapshot_serial; /* newest one this process uses for new requests */
};

enum live_circuit { CIRCUIT_CLOSED, CIRCUIT_OPEN, CIRCUIT_HALF_OPEN };

struct live_target {                             /* WRITER: any worker, atomically */
    _Alignas(SHM_LINE) _Atomic uint32_t circuit; /* enum live_circuit */
    _Atomic uint32_t failures;                   /* in a row, within the window */
    _Atomic uint64_t first_failure_mono_ms;
    _Atomic uint64_t open_until_mono_ms;  /* circuit open, or benched by retry-after, until then */
    _Atomic uint64_t probe_until_mono_ms; /* half-open: one call has the probe until then */
    _Atomic uint32_t last_error;          /* enum weir_err */
    _Atomic uint64_t last_error_wall_ms;
    _Atomic uint64_t transitions;                       /* of the circuit, counted */
    _Alignas(SHM_LINE) _Atomic uint64_t served, failed; /* attempts */
    _Atomic uint64_t ttft_us_ewma;
    _Atomic uint64_t requests_left, tokens_left,
        left_reset_mono_ms;        /* headroom from rate-limit headers; UINT64_MAX unknown */
    _Atomic uint64_t retry_tokens; /* retry budget, thousandths: low 40 bits; refill clock in live.h */
};

struct live_secret { /* one key of a provider; cell 0 stands for its token too. WRITER: any worker */
    _Alignas(SHM_LINE) _Atomic uint64_t print; /* of the key this cell speaks of: another one begins anew */
    _Atomic uint64_t bench_until_mono_ms;      /* refused or limited: the others go on until then */
    _Atomic uint64_t served, failed;           /* attempts */
    _Atomic uint64_t last_error_wall_ms;
    _Atomic uint32_t last_error; /* enum weir_err */
    _Atomic uint32_t spare;
    _Atomic uint64_t
        refused_gen; /* generation of the token that the provider refused; the control plane fetches another */
};

struct live_key { /* WRITER: any worker */
    _Alignas(SHM_LINE) _Atomic uint64_t in_flight;
    _Atomic uint64_t rate_state; /* generic cell rate: theoretical arrival, mono us */
    _Atomic uint64_t token_state;
    _Atomic uint64_t requests;
};

struct
    live_budget_share { /* WRITER: worker w, and the control plane for its dead predecessor; atomic adds. Truth: base + their sum */
    _Atomic int64_t held_nanousd;
    _Atomic int64_t settled_nanousd;
};

struct live_budget { /* one (budget or scope, window) */
    _Alignas(SHM_LINE) _Atomic int64_t
        committed_nanousd;         /* WRITER: any worker by compare-and-swap; repaired by the control plane */
    _Atomic int64_t limit_nanousd; /* WRITER: control plane */
    _Atomic int64_t base_nanousd;  /* WRITER: control plane: settled before, and shares of the dead */
    _Atomic uint64_t window;       /* id of the window; a new window is a new cell. WRITER: control plane */
    _Atomic uint64_t scope_hash;   /* 0: the budget itself, else the session or tag it is for */
    _Atomic uint32_t budget;       /* stable id; ID_NONE: cell free */
    _Atomic uint32_t state;
    _Atomic int64_t drift_seen_nanousd;     /* what the last repair found and left alone. WRITER: control plane */
    _Atomic int64_t committed_seen_nanousd; /* with this committed. WRITER: control plane */
    _Alignas(SHM_LINE) struct live_budget_share share[SHM_WORKERS];
};

struct live {
    struct shm_head head;
    uint64_t boot_id;         /* random, one per supervisor. WRITER: supervisor */
    _Atomic uint32_t phase;   /* enum live_phase of the whole. WRITER: supervisor */
    _Atomic uint32_t workers; /* how many. WRITER: supervisor */
    _Atomic uint64_t started_wall_ms;
    uint8_t
        boot_secret[32]; /* random; seals what the store keeps of a configuration with keys in it. WRITER: supervisor */
    struct live_process controlplane;
    struct live_process worker[SHM_WORKERS];
    struct live_target target[SHM_TARGETS];
    struct live_secret secret[SHM_PROVIDERS][SHM_PROVIDER_KEYS]; /* by stable id, and place in the list */
    struct live_key key[SHM_KEYS];
    struct live_budget budget[SHM_BUDGETS];
    struct live_budget session[SHM_SESSIONS];
    /* Attempts under way by worker and target. WRITER: worker w; the supervisor zeroes the row of a dead one, so that what it carried does
     * not count for ever. Read by live_target_in_flight(). */
    _Alignas(SHM_LINE) _Atomic uint32_t in_flight[SHM_WORKERS][SHM_TARGETS];
};

/* ---- journal.N: a file, because it outlives every process. WRITER: worker N (ring head, slots, counters) ------------------ */

enum record_kind {
    RECORD_ATTEMPT = 1, /* one try of one target */
    RECORD_REFUSED = 2, /* a call that reached no target: no money, but a line in the log */
    RECORD_SETTLED = 3, /* what a task cost that an attempt of the same request began. WRITER: control plane (jobs.h) */
};
enum record_outcome {
    OUTCOME_OK = 1,      /* answered whole */
    OUTCOME_FAILED,      /* the attempt failed; `err` says why */
    OUTCOME_CANCELLED,   /* the client left */
    OUTCOME_REFUSED,     /* by us */
    OUTCOME_WORKER_DIED, /* closed as an estimate by recovery */
};
enum record_flag {
    RECORD_FINAL = 1, /* the last record of its request: client_status and request_us are the request's */
    RECORD_STREAM = 2,
    RECORD_ESTIMATED = 4,   /* usage is a bound or a guess */
    RECORD_REUSED = 8,      /* connection from the pool */
    RECORD_RESCUED = 16,    /* answered by another target than the first one tried */
    RECORD_TRANSLATED = 32, /* client and target speak different dialects */
    RECORD_TASK = 64,       /* a task was created, its name is in `detail`: its cost comes in a record of its own */
};

struct usage_record {
    uint32_t crc;           /* CRC-32C of everything behind this field */
    uint32_t version;       /* JOURNAL_VERSION */
    uint64_t seq;           /* position in the ring, from 0, never reused */
    uint8_t attempt_id[16]; /* time-ordered, unique over all processes */
    char request_id[32];
    uint64_t started_wall_ns;     /* of the attempt */
    uint64_t request_wall_ns;     /* of the request */
    uint64_t duration_us;         /* of the attempt */
    uint64_t request_us;          /* of the request up to now */
    uint64_t ttft_us;             /* from the request's start to the first content byte; 0: none came */
    uint64_t overhead_us;         /* of request_us, what neither client nor provider caused */
    uint64_t bytes_in, bytes_out; /* of the client's bodies */
    struct usage usage;
    int64_t cost_nanousd;   /* -1: unknown */
    int64_t bound_nanousd;  /* upper bound that the call was admitted with; -1: unknown */
    uint32_t price_date;    /* yyyymmdd */
    uint16_t err;           /* enum weir_err */
    uint16_t status;        /* of the provider; 0: no answer */
    uint16_t client_status; /* what the client was told; 0: nothing */
    uint8_t kind, outcome;
    uint8_t attempt; /* 1 for the first try */
    uint8_t flags;   /* enum record_flag */
    uint8_t basis;   /* enum price_basis */
    uint8_t client_dialect, upstream_dialect, endpoint;
    uint16_t worker;
    uint16_t secret; /* of a RECORD_TASK: which key of its provider, by place in the list */
    char route[NAME_ROUTE];
    char provider[NAME_PROVIDER];
    char model[NAME_MODEL];       /* asked of the provider */
    char asked_model[NAME_MODEL]; /* sent by the client */
    char key[NAME_KEY];
    char key_hint[8];
    char session[48];
    char client[32]; /* product and version of its User-Agent */
    char finish[24]; /* stop reason, in the normal words */
    char loss[48];   /* x-weir-loss, cut */
    char path[32];
    char detail[64]; /* of err, for people; never a secret */
};

struct slot_hold {
    uint32_t cell;
    uint32_t is_session;
    uint64_t window;
    int64_t nanousd;
};

/* CLOSED: its record is in the ring, its holds are not settled yet. BOOKED: recovery has its estimate in the ledger. */
enum slot_state { SLOT_FREE, SLOT_OPEN, SLOT_CLOSED, SLOT_BOOKED };

struct
    journal_slot { /* an attempt under way; `draft` is what recovery books as an estimate. Its state: journal.slot_word */
    _Alignas(SHM_LINE) uint32_t holds_n;
    uint32_t spare;
    struct slot_hold hold[SHM_BUDGETS_PER_CALL];
    struct usage_record draft;
};

struct journal_counters { /* of this worker since the file was made */
    _Alignas(SHM_LINE) _Atomic uint64_t requests, refused, records, dropped;
    _Atomic uint64_t client_aborts, upstream_aborts, log_dropped, bad_http;
};

struct journal {
    struct shm_head head;
    uint32_t journal_version, worker;
    uint64_t created_wall_ns;
    _Alignas(SHM_LINE) _Atomic uint64_t
        ring_head; /* records written; stored with release behind the record. WRITER: worker */
    _Alignas(SHM_LINE) _Atomic uint64_t ring_tail; /* records that are in the ledger. WRITER: control plane */
    _Alignas(SHM_LINE) _Atomic uint64_t reserved;  /* open slots: ring places promised. WRITER: worker */
    /* counts the writers of this file; a slot word of another one is a dead worker's. WRITER: supervisor, once the last one is reaped */
    _Atomic uint32_t incarnation;
    _Atomic uint32_t
        boot_incarnation; /* the first one under this supervisor: older holds are of another live. WRITER: supervisor */
    struct journal_counters count;
    /* incarnation << 8 | enum slot_state; OPEN is stored with release after the slot's content. Dense, so that a worker finds
     * the free ones without touching the slots' pages. WRITER: the worker of that incarnation; once dead, the control plane. */
    _Alignas(4096) _Atomic uint32_t slot_word[JOURNAL_SLOTS];
    _Alignas(4096) struct journal_slot slot[JOURNAL_SLOTS];
    _Alignas(4096) struct usage_record ring[JOURNAL_RING_RECORDS];
};

/* Of a journal alone, so that a file stays readable when only other segments change. */
#define JOURNAL_FINGERPRINT                                                                                          \
    (((uint64_t)JOURNAL_VERSION << 48) ^ (sizeof(struct journal) * 1000003u) ^ (sizeof(struct usage_record) << 20) ^ \
     (sizeof(struct journal_slot) << 4) ^ offsetof(struct journal, ring) ^                                           \
     (offsetof(struct usage_record, route) << 12))

#define SHM_FINGERPRINT                                                                                        \
    (((uint64_t)SHM_VERSION << 56) ^ ((uint64_t)JOURNAL_VERSION << 48) ^ (sizeof(struct live) * 1000003u) ^    \
     (sizeof(struct tick) * 10007u) ^ (sizeof(struct snapshot) * 101u) ^ (sizeof(struct usage_record) << 20) ^ \
     (sizeof(struct journal_slot) << 8) ^ sizeof(struct snap_route) ^ (sizeof(struct snap_provider) << 4))

static_assert(sizeof(struct tick_target) % 8 == 0 && sizeof(struct tick_leg) % 8 == 0 &&
                  sizeof(struct tick_provider) % 8 == 0,
              "tick rows are copied as 64-bit words");
static_assert(sizeof(struct usage_record) % 8 == 0, "records are whole words");
static_assert((JOURNAL_RING_RECORDS & (JOURNAL_RING_RECORDS - 1)) == 0, "the ring index is a mask");
