/* keys.tbl.h — every key of weir.yaml, in the order that `weir config show` prints them
 *
 * KEY(section, name, KIND, field, lo, hi, default, reload, help)     a value; limits in the field's unit
 * ENUM(section, name, field, choices, default, reload, help)         one of some words; those behind '|' come with a later version
 * SUB(section, name, KIND, field, section inside, most, reload, help) a section, a map or a list of sections
 * LATER(section, name)                                               known, refused with "not in this version"
 *
 * reload: LIVE takes effect with `weir reload`; RESTART only with a new start, and reload says so. */

#define SEC  INT64_C(1000)
#define MIN  INT64_C(60000)
#define HOUR INT64_C(3600000)
#define DAY  INT64_C(86400000)
#define KIB  INT64_C(1024)
#define MIB  (1024 * KIB)
#define GIB  (1024 * MIB)

KEY(root, version, INT, version, 1, 1, KEY_REQUIRED, LIVE, "the version of this file's form, which is 1")
SUB(root, server, SECTION, server, server, 1, LIVE, "where weir listens and what it accepts")
SUB(root, providers, MAP, providers, provider, 256, LIVE, "where requests can go: one entry per account or endpoint")
SUB(root, models, MAP, models, model, 4096, LIVE,
    "facts about models that differ from the price list, by provider/model")
SUB(root, routes, MAP, routes, route, 1024, LIVE, "the names that clients put in \"model\"")
SUB(root, auth, SECTION, auth, auth, 1, LIVE, "whether clients need a key")
SUB(root, keys, MAP, keys, key, 4096, LIVE, "client keys")
ENUM(root, accounting, accounting, "strict best_effort", "strict", LIVE,
     "when the usage journal is full: refuse calls (strict), or serve them and count what is lost")
SUB(root, store, SECTION, store, store, 1, LIVE, "the ledger on disk")
SUB(root, prices, SECTION, prices, prices, 1, LIVE, "what calls cost")
SUB(root, telemetry, SECTION, telemetry, telemetry, 1, LIVE, "what weir tells about its work")
LATER(root, limits)
LATER(root, budgets)
LATER(root, alerts)
LATER(root, cache)

KEY(server, listen, TEXTS, listen, 1, 8, "127.0.0.1:8490", RESTART,
    "addresses for clients: host:port, [ipv6]:port or unix:/path")
SUB(server, admin, SECTION, admin, admin, 1, RESTART, "for people and probes")
KEY(server, workers, AUTO, workers, 1, 32, "auto", RESTART, "worker processes; auto: one per CPU, at most 4")
KEY(server, drain_timeout, DURATION, drain_timeout_ms, 0, HOUR, "25s", RESTART,
    "after SIGTERM: longest wait for open calls")
KEY(server, buffers, SIZE, buffers_bytes, MIB, 64 * GIB, "32MiB", LIVE,
    "memory for bodies held, over all workers; beyond it 503")
KEY(server, max_body, SIZE, max_body_bytes, KIB, GIB, "32MiB", LIVE, "largest request body; beyond it 413")
KEY(server, header_timeout, DURATION, header_timeout_ms, 10, HOUR, "10s", LIVE,
    "a request's head must be whole after this")
KEY(server, body_idle, DURATION, body_idle_ms, 10, HOUR, "30s", LIVE, "longest silence inside a request's body")
KEY(server, keepalive, DURATION, keepalive_ms, 10, DAY, "75s", LIVE, "an idle client connection is closed after this")
KEY(server, write_stall, DURATION, write_stall_ms, 10, HOUR, "60s", LIVE,
    "a client that takes no byte for this long has left")
KEY(server, max_connections, INT, max_connections, 1, 100000, "4096", LIVE, "client connections of one worker")
KEY(server, hosts, TEXTS, hosts, 0, 64, "", LIVE,
    "further names accepted in the Host header; loopback names always are")
KEY(server, origins, TEXTS, origins, 0, 64, "", LIVE, "web origins whose pages may call; none by default")
KEY(server, allow_remote, BOOL, allow_remote, 0, 0, "false", LIVE,
    "listen beyond loopback although clients need no key")
LATER(server, allow_half_close)
LATER(server, dialects)
LATER(server, linger)

KEY(admin, socket, TEXT, socket, 0, 0, "", RESTART, "path of the admin socket; none: admin.sock in the state directory")
KEY(admin, http, TEXT, http, 0, 0, "127.0.0.1:8491", RESTART, "address of /startupz /livez /readyz /metrics, or none")
LATER(admin, dashboard)
LATER(admin, allow_inject)

ENUM(provider, type, type, provider_type_words, KEY_REQUIRED, LIVE,
     "the dialect it speaks; openai for anything that speaks OpenAI's")
KEY(provider, base_url, TEXT, base_url, 0, 0, "", LIVE, "where it answers; none: the vendor's own address")
KEY(provider, api_key, SECRET, api_key, 0, 0, "", LIVE, "its key; write ${VAR}, not the key itself")
KEY(provider, api_key_file, FILE, api_key_file, 0, 0, "", LIVE, "file that holds the key; read again when it changes")
KEY(provider, ca_file, FILE, ca_file, 0, 0, "", LIVE, "PEM file with the only certificate authorities trusted for it")
ENUM(provider, responses, responses, "auto native translated", "auto", LIVE,
     "does it answer /responses itself? auto: OpenAI's, Azure's and xAI's own addresses do, look-alikes get chat completions")
KEY(provider, allow_private, BOOL, allow_private, 0, 0, "false", LIVE,
    "it may be dialled at private addresses and over plain http")
SUB(provider, price, PRICE, price, price, 1, LIVE, "free, for models that cost nothing per call")
SUB(provider, api_keys, LIST, api_keys, secret, 16, LIVE,
    "several keys: calls are spread by weight, a refused one rests alone")
KEY(provider, region, TEXT, region, 0, 0, "${AWS_REGION:-}", LIVE, "AWS region; a note for others")
KEY(provider, project, TEXT, project, 0, 0, "${GOOGLE_CLOUD_PROJECT:-}", LIVE, "vertex: the Google Cloud project")
KEY(provider, location, TEXT, location, 0, 0, "${GOOGLE_CLOUD_LOCATION:-global}", LIVE,
    "vertex: global, us, eu or a region")
KEY(provider, api_version, TEXT, api_version, 0, 0, "", LIVE,
    "azure: date of the dated form of URLs (/openai/deployments/…); none: the v1 form")
KEY(provider, deployments, TAGS, deployments, 0, 256, "", LIVE,
    "azure: model: deployment, where the deployment has another name")
ENUM(provider, credentials, credential.source,
     "auto key aws aws-keys aws-environment aws-web-identity aws-container aws-metadata google google-file "
     "google-metadata azure azure-secret azure-workload azure-managed",
     "auto", LIVE, "without a key: where a credential is fetched; auto: all places of its vendor, one after the other")
KEY(provider, access_key_id, TEXT, credential.access_key_id, 0, 0, "", LIVE, "AWS: with secret_access_key")
KEY(provider, secret_access_key, SECRET, credential.secret_access_key, 0, 0, "", LIVE, "AWS: of access_key_id")
KEY(provider, secret_access_key_file, FILE, credential.secret_access_key_file, 0, 0, "", LIVE,
    "file that holds secret_access_key")
KEY(provider, session_token, SECRET, credential.session_token, 0, 0, "", LIVE, "AWS: of temporary keys")
KEY(provider, session_token_file, FILE, credential.session_token_file, 0, 0, "", LIVE, "file that holds session_token")
KEY(provider, role_arn, TEXT, credential.role_arn, 0, 0, "", LIVE,
    "AWS: the role of web identity (none: AWS_ROLE_ARN), or one that the keys found take on")
KEY(provider, role_session_name, TEXT, credential.session_name, 0, 0, "", LIVE,
    "AWS web identity: how the session is named")
KEY(provider, web_identity_token_file, TEXT, credential.token_file, 0, 0, "", LIVE,
    "AWS and Azure workload identity: the token that Kubernetes writes; read at each exchange")
KEY(provider, credentials_file, TEXT, credential.file, 0, 0, "", LIVE,
    "Google: service account, user or federation file; none: GOOGLE_APPLICATION_CREDENTIALS, then gcloud's, then "
    "metadata")
KEY(provider, account, TEXT, credential.account, 0, 0, "", LIVE,
    "Google metadata: which service account; Azure managed identity: its client id")
KEY(provider, tenant_id, TEXT, credential.tenant, 0, 0, "", LIVE, "Entra; none: AZURE_TENANT_ID")
KEY(provider, client_id, TEXT, credential.client_id, 0, 0, "", LIVE, "Entra; none: AZURE_CLIENT_ID")
KEY(provider, client_secret, SECRET, credential.client_secret, 0, 0, "", LIVE, "Entra; none: AZURE_CLIENT_SECRET")
KEY(provider, client_secret_file, FILE, credential.client_secret_file, 0, 0, "", LIVE, "file that holds client_secret")
KEY(provider, fetch_media, BOOL, fetch_media, 0, 0, "false", LIVE,
    "images, files and sound that a client names by URL and this provider takes only as bytes are fetched from public addresses")
KEY(provider, fetch_media_private, BOOL, fetch_media_private, 0, 0, "false", LIVE,
    "with fetch_media: from private addresses and any port, too; link-local ones stay shut")
KEY(provider, scope, TEXT, credential.scope, 0, 0, "", LIVE,
    "Google, Entra: what the token is for; none: as the vendor asks")
KEY(provider, token_url, TEXT, credential.token_url, 0, 0, "", LIVE,
    "where tokens are asked for: AWS STS, Google's endpoint, Entra's authority; none: the vendor's")
KEY(provider, metadata_url, TEXT, credential.metadata_url, 0, 0, "", LIVE,
    "metadata service of the machine; none: the vendor's")
KEY(provider, container_url, TEXT, credential.container_url, 0, 0, "", LIVE,
    "AWS: what a relative container URI is relative to")
KEY(provider, poll, DURATION, poll_ms, 20, HOUR, "10s", LIVE,
    "videos: how soon an open task is looked at, so that it is settled; the pauses grow")
LATER(provider, headers)
LATER(provider, limits)
LATER(provider, organization)

KEY(secret, key, SECRET, key, 0, 0, "", LIVE, "the key; write ${VAR}, not the key itself")
KEY(secret, key_file, FILE, key_file, 0, 0, "", LIVE, "file that holds the key; read again when it changes")
KEY(secret, weight, INT, weight, 1, 1000000, "1", LIVE, "its share of the calls")

KEY(price, input, RATE, input, 0, 0, "", LIVE, "USD per million input tokens")
KEY(price, cached_input, RATE, cached_input, 0, 0, "", LIVE,
    "USD per million input tokens read from the provider's cache; none: as input")
KEY(price, cache_write, RATE, cache_write, 0, 0, "", LIVE,
    "USD per million input tokens written to the cache; none: as input")
KEY(price, cache_write_1h, RATE, cache_write_1h, 0, 0, "", LIVE, "the same for one hour; none: 1.6 times cache_write")
KEY(price, output, RATE, output, 0, 0, "", LIVE, "USD per million output tokens")
KEY(price, web_search, RATE, web_search, 0, 0, "", LIVE,
    "USD per thousand web searches that the provider makes; none: the cost of a call that searched is unknown")
LATER(price, per_image)

KEY(model, same_as, TEXT, same_as, 0, 0, "", LIVE, "provider/model whose facts and price it shares")
KEY(model, discount, PERCENT, discount_ppm, 0, 1000000, "0%", LIVE, "taken off its price")
SUB(model, price, PRICE, price, price, 1, LIVE, "USD per million tokens, or free")
KEY(model, context_window, INT, context_window, 0, 1000000000, "0", LIVE, "tokens; 0: as the price list says")
KEY(model, max_output, INT, max_output, 0, 1000000000, "0", LIVE, "tokens; 0: as the price list says")

KEY(route, aliases, TEXTS, aliases, 0, 256, "", LIVE, "further model names that lead here; * matches anything")
ENUM(route, strategy, strategy, "weighted ordered | least_latency least_cost least_busy", "weighted", LIVE,
     "how a target is chosen")
SUB(route, targets, LIST, targets, target, 64, LIVE, "who answers")
KEY(route, fallbacks, TEXTS, fallbacks, 0, 16, "", LIVE, "provider/model, tried in this order when the targets fail")
SUB(route, retry, SECTION, retry, retry, 1, LIVE, "trying one target again")
SUB(route, timeout, SECTION, timeout, timeout, 1, LIVE, "how long each phase of a call may take")
SUB(route, circuit_breaker, SECTION, circuit_breaker, breaker, 1, LIVE, "when a failing target rests")
KEY(route, match, TEXT, match, 0, 0, "", LIVE, "pass-through form: \"*/*\" takes \"provider/model\" as sent")
KEY(route, allow, TEXTS, allow, 0, 64, "", LIVE, "pass-through form: which provider/model may be asked for; none: all")
LATER(route, context_fallbacks)
LATER(route, sticky)
LATER(route, params)
LATER(route, hedge)

KEY(target, model, TEXT, model, 0, 0, KEY_REQUIRED, LIVE, "provider/model")
KEY(target, weight, INT, weight, 0, 1000000, "1", LIVE, "its share among the targets; 0: only when the others fail")
LATER(target, timeout)

KEY(retry, attempts, INT, attempts, 1, 4, "1", LIVE, "tries of one target before the next")
KEY(retry, on_status, STATUSES, on_status, 400, 599, "408 429 500 502 503 504 529", LIVE,
    "answers after which a target is tried again")
KEY(retry, backoff, DURATION, backoff_ms, 0, MIN, "200ms", LIVE, "wait before the second try of a target; doubles")
KEY(retry, max_backoff, DURATION, max_backoff_ms, 0, 10 * MIN, "2s", LIVE, "longest such wait")

KEY(timeout, connect, DURATION, connect_ms, 1, 10 * MIN, "3s", LIVE, "connection and TLS")
KEY(timeout, first_token, DURATION, first_token_ms, 1, DAY, "10m", LIVE, "from the request sent to the first content")
KEY(timeout, idle, DURATION, idle_ms, 1, DAY, "2m", LIVE, "longest silence inside an answer")
KEY(timeout, total, DURATION, total_ms, 1, 7 * DAY, "1h", LIVE, "the whole call, all tries together")

KEY(breaker, failures, INT, failures, 0, 1000000, "5", LIVE, "failures in a row that open it; 0: never")
KEY(breaker, window, DURATION, window_ms, 1, DAY, "30s", LIVE, "the failures must lie within this time")
KEY(breaker, open_for, DURATION, open_ms, 1, DAY, "15s", LIVE, "rest before one call probes the target")

ENUM(auth, mode, mode, "none keys", "none", LIVE, "keys: a client must send one of those below")

KEY(key, hash, HASH, sha256, 0, 0, KEY_REQUIRED, LIVE, "sha256: and 64 hex digits, of the whole key")
KEY(key, routes, TEXTS, routes, 0, 256, "", LIVE, "the routes it may use; none: all")
KEY(key, tags, TAGS, tags, 0, 16, "", LIVE, "name: value, notes about who has the key")
KEY(key, expires, WHEN, expires_wall_ms, 0, 0, "", LIVE, "last day, or a time such as 2027-06-30T12:00:00Z")
LATER(key, limits)

KEY(store, path, TEXT, path, 0, 0, "", RESTART, "folder of the ledger; none: the state directory")
KEY(store, max_size, SIZE, max_size_bytes, MIB, 1024 * GIB, "256MiB", RESTART, "largest size of the ledger")
SUB(store, keep, SECTION, keep, keep, 1, LIVE, "how long it is kept")
LATER(store, redis)

KEY(keep, requests, DURATION, requests_ms, MIN, 36500 * DAY, "7d", RESTART, "single calls")
KEY(keep, rollups, DURATION, rollups_ms, HOUR, 36500 * DAY, "400d", RESTART, "sums")

ENUM(prices, source, source, "builtin", "builtin", LIVE, "the price list; only the one built in for now")
ENUM(prices, when_unknown, when_unknown, "warn refuse", "warn", LIVE,
     "a model without a known price: serve it (cost unknown), or refuse the call")

SUB(telemetry, log, SECTION, log, log, 1, LIVE, "one line per request")
LATER(telemetry, metrics)
LATER(telemetry, otlp)
LATER(telemetry, propagate)

ENUM(log, format, format, "json | text", "json", LIVE, "form of the line")
ENUM(log, output, output, "stdout none", "stdout", RESTART, "where it goes")
ENUM(log, prompts, prompts, "none | hash full", "none", LIVE, "whether texts of calls are logged")

#undef SEC
#undef MIN
#undef HOUR
#undef DAY
#undef KIB
#undef MIB
#undef GIB
