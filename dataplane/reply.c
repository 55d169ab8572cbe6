#include "dataplane/reply.h"

#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/headers.h"
#include "dataplane/meter.h"
#include "dataplane/request.h"
#include "proto/base/version.h"
#include "proto/dialect/counting.h"
#include "proto/wire/json.h"

#include <stdio.h>

/* The status is told in bytes_out and client_status before the record is committed, and committed before it is written. */
static void send_whole(struct request *r, struct str head, struct str body)
{
    struct str piece[] = {head, str_is(http1_head(&r->keep.in)->method, "HEAD") ? STR_NULL : body};
    r->stage = ANSWER_ENDED;
    client_write(r->c, piece, 2);
}

void reply_begin_head(struct request *r, uint16_t status, struct str content_type, int64_t length, struct buf *out)
{
    const struct http1_head *in = http1_head(&r->keep.in);
    http1_write_status_line(out, status);
    if (content_type.n > 0) http1_write_header(out, STR("content-type"), content_type);
    r->chunked = length == -1 && in->minor > 0; /* below that: an answer that has no body */
    r->sized = length != -1;
    if (length >= 0)
        http1_write_header_u64(out, "content-length", (uint64_t)length);
    else if (r->chunked)
        buf_add(out, STR("transfer-encoding: chunked\r\n"));
    if (!request_keeps_alive(r))
        buf_add(out, STR("connection: close\r\n"));
    else if (in->minor == 0)
        buf_add(out, STR("connection: keep-alive\r\n"));
}

/* ---- errors ---- */

struct str reply_error_message(struct request *r)
{
    const char *text = err_row(r->err)->text;
    if (r->why.n == 0) return arena_printf(&r->keep.arena, "weir: %s", text);
    if (err_row(r->err)->fault == FAULT_UPSTREAM && r->provider != NULL)
        return arena_printf(&r->keep.arena, "weir: %s (%.*s: %.*s)", text,
                            STR_FMT(snap_text(r->gen->sn, r->provider->name)), STR_FMT(r->why));
    return arena_printf(&r->keep.arena, "weir: %.*s", STR_FMT(r->why));
}

/* Sleeping for minutes is nothing a client should do by itself: it looks as if it hung. */
enum { RETRY_STOP_MS = 60 * 1000 };

static bool says_do_not_retry(const struct request *r)
{
    enum weir_err e = r->err;
    if (e == WEIR_UP_RATE_LIMIT && r->said.retry_after_ms > RETRY_STOP_MS) return true;
    return e == WEIR_BUDGET_SPENT || e == WEIR_KEY_FORBIDDEN || e == WEIR_UP_QUOTA || e == WEIR_PRICE_UNKNOWN ||
           e == WEIR_ORIGIN_FORBIDDEN;
}

/* Seconds after which another try may be worth it; 0: nothing is said. Never above what SDKs may sleep. */
static uint64_t retry_after_s(const struct request *r)
{
    switch (r->err) {
    case WEIR_RATE:
    case WEIR_CONCURRENCY:
    case WEIR_BUDGET_HELD:
    case WEIR_BUFFERS_FULL:
    case WEIR_ACCOUNTING_FULL:
    case WEIR_DRAINING:
    case WEIR_NO_TARGET:
    case WEIR_LOCAL_RESOURCE: return 1;
    case WEIR_UP_RATE_LIMIT:
    case WEIR_UP_OVERLOADED: {
        uint64_t s = r->said.retry_after_ms > 0 ? ((uint64_t)r->said.retry_after_ms + 999) / 1000 : 1;
        return s < HEADERS_RETRY_MOST_S ? s : HEADERS_RETRY_MOST_S;
    }
    default: return 0;
    }
}

static void write_error_headers(struct request *r, struct buf *head)
{
    headers_write_ours(r, r->tries > 0, false, head);
    if (r->relayed.status == 0 && r->dialect->error_header != NULL)
        http1_write_header(head, str_of(r->dialect->error_header), str_of(r->dialect->error_word(r->err)));
    http1_write_header(head, STR("x-weir-error"), str_of(err_word(r->err)));
    bool upstream = r->tries > 0 && r->err >= WEIR_UP_RATE_LIMIT;
    buf_add(head, upstream ? STR("x-weir-error-source: upstream\r\n") : STR("x-weir-error-source: gateway\r\n"));
    http1_write_end(head);
}

static void relay_error(struct request *r)
{
    struct buf *head = &r->keep.head;
    r->client_status = r->relayed.status;
    r->bytes_out = r->relayed.body.n;
    reply_begin_head(r, r->relayed.status, STR("application/json"), (int64_t)r->relayed.body.n, head);
    buf_add(head, r->relayed.headers);
    if (says_do_not_retry(r) && !str_icontains(r->relayed.headers, STR("x-should-retry:")))
        buf_add(head, STR("x-should-retry: false\r\n"));
    write_error_headers(r, head);
    meter_commit(r, true);
    send_whole(r, buf_view(head), r->relayed.body);
}

void reply_error(struct request *r)
{
    struct buf *head = &r->keep.head, *body = &r->keep.out;
    buf_clear(head);
    buf_clear(body);
    if (r->relayed.status != 0) {
        relay_error(r);
        return;
    }
    r->client_status = r->dialect->error_status(r->err);
    r->dialect->write_error(r->err, reply_error_message(r), str_of(r->id), body);
    if (retry_after_s(r) > 0 && r->dialect->write_retry != NULL) r->dialect->write_retry(retry_after_s(r), body);
    r->bytes_out = buf_len(body);
    reply_begin_head(r, r->client_status, STR("application/json"), (int64_t)buf_len(body), head);
    if (retry_after_s(r) > 0) http1_write_header_u64(head, "retry-after", retry_after_s(r));
    if (says_do_not_retry(r)) buf_add(head, STR("x-should-retry: false\r\n"));
    if (r->err == WEIR_METHOD)
        buf_add(head,
                str_is(http1_head(&r->keep.in)->method, "POST") ? STR("allow: GET, HEAD\r\n") : STR("allow: POST\r\n"));
    if (r->err == WEIR_UPGRADE) buf_add(head, STR("upgrade: HTTP/1.1\r\n"));
    write_error_headers(r, head);
    if (r->record_waits)
        meter_commit(r, true);
    else
        meter_refused(r, OUTCOME_REFUSED);
    send_whole(r, buf_view(head), buf_view(body));
}

/* ---- answered here ---- */

static void send_json(struct request *r, uint16_t status, struct str type, struct buf *body)
{
    struct buf *head = &r->keep.head;
    buf_clear(head);
    r->client_status = status;
    reply_begin_head(r, status, type, (int64_t)buf_len(body), head);
    headers_write_ours(r, false, false, head);
    http1_write_end(head);
    send_whole(r, buf_view(head), buf_view(body));
}

static bool may_list(const struct request *r, const struct snap_route *route)
{
    const struct snap *sn = r->gen->sn;
    if (route->match.n > 0) return false;
    if (r->key == NULL || r->key->routes.n == 0) return true;
    for (uint32_t i = 0; i < r->key->routes.n; i++)
        if (&sn->routes[snap_key_route(sn, r->key, i)] == route) return true;
    return false;
}

static struct model_entry entry_of(struct request *r, const struct snap_route *route, struct str id)
{
    const struct snap *sn = r->gen->sn;
    struct str first = STR_NULL;
    if (route->legs.n > 0) first = snap_text(sn, sn->targets[sn->legs[route->legs.first].target].name);
    return (struct model_entry){
        .id = id,
        .display = arena_printf(&r->keep.arena, "%.*s -> %.*s", STR_FMT(id), STR_FMT(first)),
        .description =
            arena_printf(&r->keep.arena, "%s, %u targets, %u fallbacks",
                         route->strategy == SNAP_WEIGHTED ? "weighted" : "ordered", route->legs.n, route->fallbacks.n),
    };
}

/* Routes, and the aliases that are names and not patterns: Claude Code lists only ids with "claude" in them. */
static size_t collect_models(struct request *r, struct model_entry *m)
{
    const struct snap *sn = r->gen->sn;
    size_t n = 0;
    for (uint32_t i = 0; i < sn->s->routes.n; i++)
        if (may_list(r, &sn->routes[i])) m[n++] = entry_of(r, &sn->routes[i], snap_text(sn, sn->routes[i].name));
    for (uint32_t i = 0; i < sn->s->aliases.n; i++)
        if (!sn->aliases[i].is_glob && may_list(r, &sn->routes[sn->aliases[i].route]))
            m[n++] = entry_of(r, &sn->routes[sn->aliases[i].route], snap_text(sn, sn->aliases[i].glob));
    return n;
}

/* Whose model is asked for: in the path, or in the body of /api/show. Ollama's clients say ":latest" behind a name without a tag. */
static struct str asked_model(struct request *r)
{
    struct str json = buf_view(&r->keep.body), value;
    struct buf name = {0};
    if (!str_is(str_of(r->endpoint->method), "POST")) return endpoint_model_id(http1_head(&r->keep.in)->path);
    struct arena *a = &r->keep.arena;
    unsigned depth;
    struct json_error error;
    struct buf scratch = {0};
    bool good = json_check(json, &depth, &error) &&
                (json_find(json, "model", &value, &scratch) == JSON_FOUND ||
                 json_find(json, "name", &value, &scratch) == JSON_FOUND) &&
                json_unquote(value, &name);
    struct str id = good ? arena_copy(a, buf_view(&name)) : STR("?");
    buf_fini(&name);
    buf_fini(&scratch);
    if (str_ends(id, STR(":latest"))) id = str_slice(id, 0, id.n - sizeof ":latest" + 1);
    return id.n > 0 ? id : STR("?");
}

static void reply_models(struct request *r)
{
    const struct snap *sn = r->gen->sn;
    struct buf *body = &r->keep.out;
    bool ollama = r->endpoint->dialect == DIALECT_OLLAMA;
    struct model_entry *m =
        arena_alloc(&r->keep.arena, (sn->s->routes.n + sn->s->aliases.n + 1) * sizeof(struct model_entry));
    size_t n = collect_models(r, m);
    uint64_t created_s = sn->s->accepted_wall_ns / 1000000000;
    struct str id = asked_model(r);
    buf_clear(body);
    if (id.n == 0) {
        (ollama ? models_write_tags : models_write_list)(m, n, created_s, body);
        send_json(r, 200, STR("application/json"), body);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (str_eq(m[i].id, id)) {
            (ollama ? models_write_shown : models_write_one)(&m[i], created_s, body);
            send_json(r, 200, STR("application/json"), body);
            return;
        }
    r->err = WEIR_MODEL_NOT_FOUND;
    r->why = arena_printf(&r->keep.arena, "no such model \"%.*s\"", STR_FMT(str_slice(id, 0, 100)));
    reply_error(r);
}

static void reply_preflight(struct request *r)
{
    struct buf *head = &r->keep.head;
    const struct http1_head *in = http1_head(&r->keep.in);
    buf_clear(head);
    r->client_status = 204;
    http1_write_status_line(head, 204);
    if (!request_keeps_alive(r)) buf_add(head, STR("connection: close\r\n"));
    http1_write_header(head, STR("access-control-allow-origin"), r->origin);
    buf_add(head,
            STR("vary: origin\r\naccess-control-allow-methods: GET, HEAD, POST\r\naccess-control-max-age: 600\r\n"));
    struct str asked = http1_get(in, "access-control-request-headers");
    if (asked.n > 0) http1_write_header(head, STR("access-control-allow-headers"), asked);
    http1_write_end(head);
    send_whole(r, buf_view(head), STR_NULL);
}

void reply_estimate(struct request *r)
{
    struct buf *head = &r->keep.head, *body = &r->keep.out;
    buf_clear(head);
    buf_clear(body);
    counting_write(r->dialect->id, counting_estimate(&r->call), body);
    r->client_status = 200;
    r->bytes_out = buf_len(body);
    reply_begin_head(r, 200, STR("application/json"), (int64_t)buf_len(body), head);
    buf_addz(head, "x-weir-estimated: tokens\r\n");
    headers_write_ours(r, false, false, head);
    http1_write_end(head);
    send_whole(r, buf_view(head), buf_view(body));
}

void reply_local(struct request *r)
{
    if (r->endpoint == NULL) {
        reply_preflight(r);
    } else if (r->endpoint->kind == ENDPOINT_MODELS) {
        reply_models(r);
    } else if (r->endpoint->kind == ENDPOINT_VERSION) {
        buf_clear(&r->keep.out);
        buf_addf(&r->keep.out, "{\"version\":\"%s\"}\n", weir_version());
        send_json(r, 200, STR("application/json"), &r->keep.out);
    } else {
        buf_clear(&r->keep.out);
        buf_add(&r->keep.out, STR("{\"weir\":\"ok\"}\n"));
        send_json(r, 200, STR("application/json"), &r->keep.out);
    }
}
