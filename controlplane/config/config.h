/* config.h — the configuration as the control plane uses it: every key of keys.tbl.h as a field, checked
 * Owns:     struct config owns its text, tree and all that its fields point at; config_free() wipes the secrets and frees it whole.
 * Process:  control plane (and the tool that checks a file). Never changed once loaded.
 * Memory:   one arena.
 * Fails:    config_load*() give NULL and say why in `problems`; there is no half a configuration.
 * Not here: YAML (tree.c), the key table (keys.c), what the workers get (controlplane/publish.c). */
#pragma once

#include "controlplane/config/tree.h"
#include "proto/dialect/provider_type.h"
#include "proto/money/price.h"
#include "proto/wire/url.h"

/* Begins every section: where it stands, and its name if it is an entry of a map. node is NULL where the file does not have it. */
struct section_at {
    const struct tree_node *node;
    struct place place; /* of the name */
    struct str name;
};

struct texts {
    struct str *at;
    size_t n;
};

struct named_text {
    struct str name, text;
};
struct named_texts {
    struct named_text *at;
    size_t n;
};

enum { RATE_NONE = -1 };

struct config_price { /* pico-dollars per token; RATE_NONE: not given */
    struct section_at at;
    int64_t input, cached_input, cache_write, cache_write_1h, output;
    int64_t web_search; /* the same scale, by the thousand: 1,000 times this is pico-dollars each */
    bool free;          /* "price: free" */
};

struct config_admin {
    struct section_at at;
    struct str socket; /* empty: admin.sock in the state directory */
    struct str http;   /* empty: none */
};

struct config_server {
    struct section_at at;
    struct texts listen; /* "127.0.0.1:8490", "[::1]:8490", "unix:/run/weir/data.sock" */
    struct config_admin admin;
    int64_t workers; /* 0: by the number of CPUs, config_workers() */
    int64_t drain_timeout_ms, header_timeout_ms, body_idle_ms, keepalive_ms, write_stall_ms;
    int64_t buffers_bytes, max_body_bytes;
    int64_t max_connections; /* per worker */
    struct texts hosts, origins;
    bool allow_remote;
};

/* One of several keys. */
struct config_secret {
    struct section_at at;
    struct str key, key_file;
    int64_t weight;
};
struct config_secrets {
    struct config_secret *at;
    size_t n;
};

/* What a credential is fetched with; the texts are credential_conf's (controlplane/credential_source.h). */
struct config_credential {
    int source; /* 0: as the type has it; else enum credential_source + 1 */
    struct str access_key_id, secret_access_key, secret_access_key_file, session_token, session_token_file, role_arn,
        session_name;
    struct str token_file, file, account, scope, tenant, client_id, client_secret, client_secret_file;
    struct str token_url, metadata_url, container_url;
};

enum config_responses { RESPONSES_AUTO, RESPONSES_NATIVE, RESPONSES_TRANSLATED };

struct config_provider {
    struct section_at at;
    int type; /* enum provider_type_id */
    struct str base_url;
    struct str api_key; /* from the file, the environment or api_key_file; empty: none */
    struct str api_key_file;
    struct config_secrets api_keys; /* instead of api_key */
    struct str ca_file;
    int responses; /* enum config_responses */
    bool allow_private;
    bool fetch_media, fetch_media_private;
    struct config_price price;
    struct str region, project, location, api_version;
    struct named_texts deployments; /* Azure: model to deployment */
    struct config_credential credential;
    int64_t poll_ms; /* of open tasks */

    /* found by check.c */
    struct url url;
    struct str ca_pem;
    bool fetches_token;    /* no key is configured, and the type knows where a credential comes from */
    bool may_dial_private; /* allow_private, or a loopback address that the file names itself */
};

struct config_model {
    struct section_at at;
    struct config_price price;
    int64_t context_window, max_output; /* tokens; 0: not given */
    struct str same_as;
    int64_t discount_ppm; /* 120,000: 12 % less */
};

struct config_target {
    struct section_at at;
    struct str model; /* "openai/gpt-x" */
    int64_t weight;

    /* found by check.c */
    uint32_t provider;     /* index into providers */
    struct str model_name; /* "gpt-x" */
};

struct config_retry {
    struct section_at at;
    int64_t attempts;
    uint64_t on_status[8]; /* bit (status - 100) */
    int64_t backoff_ms, max_backoff_ms;
};

struct config_timeout {
    struct section_at at;
    int64_t connect_ms, first_token_ms, idle_ms, total_ms;
};

struct config_breaker {
    struct section_at at;
    int64_t failures; /* 0: never opens */
    int64_t window_ms, open_ms;
};

enum config_strategy { STRATEGY_WEIGHTED, STRATEGY_ORDERED };

struct config_targets {
    struct config_target *at;
    size_t n;
};

struct config_route {
    struct section_at at;
    struct texts aliases;
    int strategy; /* enum config_strategy */
    struct config_targets targets;
    struct texts fallbacks;
    struct config_retry retry;
    struct config_timeout timeout;
    struct config_breaker circuit_breaker;
    struct str match; /* pass-through form; empty: an ordinary route */
    struct texts allow;

    struct config_targets fallback; /* found by check.c: fallbacks, taken apart */
};

enum config_auth_mode { AUTH_NONE, AUTH_KEYS };

struct config_auth {
    struct section_at at;
    int mode; /* enum config_auth_mode */
};

struct config_key {
    struct section_at at;
    uint8_t sha256[32];
    struct texts routes; /* n 0: all */
    struct named_texts tags;
    int64_t expires_wall_ms; /* 0: never */
};

struct config_keep {
    struct section_at at;
    int64_t requests_ms, rollups_ms;
};

struct config_store {
    struct section_at at;
    struct str path; /* empty: the state directory */
    int64_t max_size_bytes;
    struct config_keep keep;
};

enum config_when_unknown { WHEN_UNKNOWN_WARN, WHEN_UNKNOWN_REFUSE };

struct config_prices {
    struct section_at at;
    int source; /* 0: the list built in */
    int when_unknown;
};

enum config_log_output { LOG_STDOUT, LOG_NONE };

struct config_log {
    struct section_at at;
    int format, output, prompts; /* format 0: json; prompts 0: none */
};

struct config_telemetry {
    struct section_at at;
    struct config_log log;
};

enum config_accounting { ACCOUNTING_STRICT, ACCOUNTING_BEST_EFFORT };

struct config_providers {
    struct config_provider *at;
    size_t n;
};
struct config_models {
    struct config_model *at;
    size_t n;
};
struct config_routes {
    struct config_route *at;
    size_t n;
};
struct config_keys {
    struct config_key *at;
    size_t n;
};

struct config {
    struct section_at at;
    int64_t version;
    struct config_server server;
    struct config_providers providers;
    struct config_models models;
    struct config_routes routes;
    struct config_auth auth;
    struct config_keys keys;
    int accounting; /* enum config_accounting */
    struct config_store store;
    struct config_prices prices;
    struct config_telemetry telemetry;

    struct str source;  /* what messages call it: "weir.yaml", "(environment)" */
    struct str text;    /* as accepted, to be kept in the store */
    struct texts files; /* further files it was read from: keys, certificates */
    struct arena arena;
};

/* Reads NAME's value; NULL: not set. The process's environment (env.h) or a test's. */
typedef const char *config_env_fn(const char *name);

/* `problems` is initialised by the caller and holds warnings even when a configuration comes back. */
struct config *config_load_text(struct str text, struct str source, config_env_fn *env, struct problems *problems);
struct config *config_load_file(const char *path, config_env_fn *env, struct problems *problems);
/* From the variables that provider types name (OPENAI_API_KEY …). NULL with a hint when none is set. */
struct config *config_load_environment(config_env_fn *env, struct problems *problems);
void config_free(struct config **c);

unsigned config_workers(const struct config *c); /* server.workers, or one per CPU, at most 4 */
const struct config_provider *config_provider(const struct config *c, struct str name); /* NULL: none */
const struct config_route *config_route(const struct config *c, struct str name);       /* NULL: none */
const struct config_model *config_model(const struct config *c, struct str name);       /* NULL: none */
const struct config_key *config_key(const struct config *c, struct str name);           /* NULL: none */

/* "OPENAI_API_KEY, ANTHROPIC_API_KEY, … or the key of another provider": what makes a configuration without a file. */
void config_environment_variables(struct buf *out);
/* The YAML that config_load_environment() reads; false: no key is set. */
bool config_environment_yaml(config_env_fn *env, struct buf *out);
/* The effective configuration as YAML, secrets covered. with_origin: where each value comes from, as a comment. */
void config_show(const struct config *c, bool with_origin, struct buf *out);
