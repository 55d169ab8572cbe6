#include "dataplane/headers.h"

#include "dataplane/core.h"
#include "dataplane/generation.h"
#include "dataplane/meter.h"
#include "dataplane/request.h"
#include "dataplane/secret.h"
#include "dataplane/video.h"
#include "proto/auth/signer.h"
#include "proto/base/clock.h"
#include "proto/base/version.h"
#include "proto/dialect/provider_type.h"
#include "proto/money/price.h"

static bool is_prefixed(struct str name, struct str prefix)
{
    return name.n > prefix.n && str_ieq(str_slice(name, 0, prefix.n), prefix);
}

bool headers_go_up(struct str name)
{
    return (is_prefixed(name, STR("anthropic-")) && !str_iis(name, "anthropic-version")) ||
           is_prefixed(name, STR("x-amzn-bedrock-")) || is_prefixed(name, STR("x-stainless-")) ||
           str_iis(name, "x-goog-api-client") || str_iis(name, "openai-beta") || str_iis(name, "idempotency-key") ||
           str_iis(name, "x-client-request-id");
}

/* To a path that weir does not know: all but what it writes itself, what is weir's, and the client's credentials. */
static bool headers_go_up_raw(struct str name)
{
    static const char *const kept[] = {"host",
                                       "content-type",
                                       "content-length",
                                       "accept",
                                       "accept-encoding",
                                       "user-agent",
                                       "authorization",
                                       "x-api-key",
                                       "x-goog-api-key",
                                       "api-key",
                                       "proxy-authorization",
                                       "cookie",
                                       "origin",
                                       "referer",
                                       "expect",
                                       "forwarded",
                                       "anthropic-version",
                                       "x-amz-date",
                                       "x-amz-security-token",
                                       "x-amz-content-sha256"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (str_iis(name, kept[i])) return false;
    return !is_prefixed(name, STR("x-weir-")) && !is_prefixed(name, STR("x-forwarded-")) &&
           !is_prefixed(name, STR("sec-"));
}

/* Of an answer that is no chat: what says how its bytes are to be taken. */
static bool headers_go_down_passed(struct str name)
{
    static const char *const more[] = {
        "content-disposition", "content-language", "content-range", "accept-ranges", "etag",
        "last-modified",       "cache-control",    "expires"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (str_iis(name, more[i])) return true;
    return false;
}

bool headers_go_down(struct str name)
{
    return is_prefixed(name, STR("anthropic-")) || is_prefixed(name, STR("openai-")) ||
           is_prefixed(name, STR("x-amzn-bedrock-")) || str_iis(name, "x-amzn-errortype") ||
           is_prefixed(name, STR("x-ratelimit-")) || str_iis(name, "x-should-retry");
}

/* ---- to the provider ---- */

static void line(struct buf *out, struct str name, struct str value)
{
    buf_add(out, name);
    buf_add(out, value);
    buf_add(out, STR("\r\n"));
}

/* The bytes of the client do not go on, nor do its headers about them. */
static bool is_task(const struct request *r)
{
    return r->call.video != NULL && r->call.video->form == VIDEO_ARK;
}

/* Of the body that the provider is sent; empty: it has none. */
static struct str content_type(const struct request *r)
{
    if (is_task(r)) return r->call.video->op == VIDEO_CREATE ? STR("application/json") : STR_NULL;
    bool own = request_is_passed(r) && (r->x.same || r->call.video != NULL);
    return own ? r->call.content_type : STR("application/json");
}

static enum weir_err write_credential(struct request *r, struct str path, struct str body, struct buf *out)
{
    const struct snap_provider *p = r->provider;
    const struct snap *sn = r->gen->sn;
    const struct http1_header sent[] = {{STR("host"), snap_text(sn, p->host_header)},
                                        {STR("content-type"), content_type(r)}};
    struct str query = path;
    struct credential c;
    r->shown = STR_NULL;
    if (p->auth == SIGNER_NONE || (p->secret == ID_NONE && !p->token)) return WEIR_OK;
    if (!secret_read(r, &c)) return WEIR_UP_AUTH;
    const struct sign_request s = {
        .method = request_is_passed(r) ? http1_head(&r->keep.in)->method : STR("POST"),
        .host = sent[0].value,
        .path = str_split(&query, '?'),
        .query = query,
        .header = sent,
        .n = content_type(r).n > 0 ? 2 : 1,
        .body = body,
        .region = snap_text(sn, p->region),
        .now_s = (uint64_t)((int64_t)(clock_wall_ns() / 1000000000u) + r->w->signing_skew_s),
        .cache = &r->gen->origins[p - sn->providers].sign,
    };
    return signer_sign((enum signer_kind)p->auth, &s, &c, &r->keep.arena, out);
}

/* The client's query goes on in its own dialect, without its key. */
static void write_query(struct str query, bool has_query, struct buf *out)
{
    char before = has_query ? '&' : '?';
    while (query.n > 0) {
        struct str pair = str_split(&query, '&');
        if (pair.n == 0 || str_starts(pair, STR("key="))) continue;
        if (has_query && (str_starts(pair, STR("alt=")) || str_starts(pair, STR("$alt="))))
            continue; /* ours is there */
        buf_addc(out, before);
        buf_add(out, pair);
        before = '&';
    }
}

/* The path with its query, as it was written. */
static struct str write_target(struct request *r, bool same, struct buf *out)
{
    const struct snap *sn = r->gen->sn;
    const struct snap_provider *p = r->provider;
    const struct provider_place place = {snap_text(sn, p->base_path), snap_text(sn, p->api_version), r->model, &r->x};
    struct str path = provider_path(p->type, &place, &r->keep.arena);
    bool passed = request_is_passed(r);
    buf_add(out, passed ? http1_head(&r->keep.in)->method : STR("POST"));
    buf_addc(out, ' ');
    size_t begins = buf_len(out);
    buf_add(out, path);
    /* a path of another form, or a signed one, is not for a client to add to */
    if (passed && (same || (r->call.video != NULL && !is_task(r))))
        write_query(http1_head(&r->keep.in)->query, str_chr(path, '?') >= 0, out);
    else if (!passed && same && provider_type_of(p->type)->path == NULL && p->auth != SIGNER_SIGV4)
        write_query(http1_head(&r->keep.in)->query, str_chr(path, '?') >= 0, out);
    if (p->auth == SIGNER_SIGV4) /* the query is signed too */
        path = arena_copy(&r->keep.arena, str_slice(buf_view(out), begins, buf_len(out)));
    buf_add(out, STR(" HTTP/1.1\r\n"));
    return path;
}

enum weir_err headers_write_request(struct request *r, struct str body, struct buf *out)
{
    const struct http1_head *in = http1_head(&r->keep.in);
    const struct provider_type *type = provider_type_of(r->provider->type);
    bool same = r->x.same, hosted = type->claude_version != NULL;
    struct str path = write_target(r, same, out);
    line(out, STR("host: "), snap_text(r->gen->sn, r->provider->host_header));
    enum weir_err e = write_credential(r, path, body, out);
    if (e != WEIR_OK) return e;
    bool passed = request_is_passed(r);
    struct str accept = passed && !is_task(r)
                            ? http1_get(in, "accept")
                            : str_of(r->call.stream ? framing_content_type(r->x.frames.framing) : "application/json");
    if (content_type(r).n > 0) http1_write_header(out, STR("content-type"), content_type(r));
    buf_add(out, STR("accept-encoding: identity\r\n"));
    if (accept.n > 0) http1_write_header(out, STR("accept"), accept);
    if (body.n > 0 || !str_is(in->method, "GET")) http1_write_header_u64(out, "content-length", body.n);
    if (r->x.target->id == DIALECT_ANTHROPIC && !hosted) { /* there it is in the body */
        struct str version = same ? http1_get(in, "anthropic-version") : STR_NULL;
        http1_write_header(out, STR("anthropic-version"), version.n > 0 ? version : STR("2023-06-01"));
    }
    struct str agent = http1_get(in, "user-agent");
    if (same && agent.n > 0) {
        line(out, STR("user-agent: "), agent);
    } else {
        buf_add(out, STR("user-agent: weir/"));
        line(out, str_of(weir_version()), STR_NULL);
    }
    for (unsigned i = 0; same && i < in->n; i++)
        if ((headers_go_up(in->header[i].name) ||
             (r->endpoint->kind == ENDPOINT_RAW && headers_go_up_raw(in->header[i].name))) &&
            !http1_is_hop_by_hop(in, in->header[i].name) &&
            !(type->claude_invoked && str_iis(in->header[i].name, "anthropic-beta"))) /* in the body there */
            http1_write_header(out, in->header[i].name, in->header[i].value);
    http1_write_end(out);
    return WEIR_OK;
}

/* ---- to the client ---- */

static void write_retry_after(struct str name, struct str value, uint64_t most, struct buf *out)
{
    uint64_t n;
    if (!str_u64(value, &n)) return; /* a date or a fraction: SDKs would sleep as long as it says */
    buf_add(out, name);
    buf_addc(out, ':');
    buf_addc(out, ' ');
    buf_add_u64(out, n < most ? n : most);
    buf_add(out, STR("\r\n"));
}

/* A header that was read may be written as it is: what could split a head was refused on the way in. */
static void pass_on(struct buf *out, struct str name, struct str value)
{
    buf_add(out, name);
    buf_add(out, STR(": "));
    line(out, value, STR_NULL);
}

void headers_write_forwarded(const struct http1_head *answer, bool same, bool passed, struct buf *out)
{
    for (unsigned i = 0; i < answer->n; i++) {
        struct str name = answer->header[i].name, value = answer->header[i].value;
        if (str_iis(name, "retry-after"))
            write_retry_after(name, value, HEADERS_RETRY_MOST_S, out);
        else if (str_iis(name, "retry-after-ms"))
            write_retry_after(name, value, HEADERS_RETRY_MOST_S * 1000, out);
        else if (str_iis(name, "x-request-id") || str_iis(name, "request-id") || str_iis(name, "x-amzn-requestid"))
            pass_on(out, STR("x-weir-upstream-request-id"), value);
        else if (same && (headers_go_down(name) || (passed && headers_go_down_passed(name))) &&
                 !http1_is_hop_by_hop(answer, name))
            pass_on(out, name, value);
    }
}

static void add_ms(struct buf *out, uint64_t us)
{
    buf_add_u64(out, us / 1000);
    char rest[4] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10), (char)('0' + us % 10)};
    buf_add(out, (struct str){rest, sizeof rest});
}

static void write_timing(struct request *r, struct buf *out)
{
    uint64_t now_ns = clock_mono_ns(), all = (now_ns - r->started_ns) / 1000, ours = meter_overhead_us(r, now_ns);
    buf_add(out, STR("server-timing: weir;dur="));
    add_ms(out, ours);
    buf_add(out, STR(", provider;dur="));
    add_ms(out, all > ours ? all - ours : 0);
    buf_add(out, STR("\r\n"));
}

void headers_write_ours(struct request *r, bool attempt, bool cost, struct buf *out)
{
    const struct snap *sn = r->gen->sn;
    line(out, STR("x-request-id: "), str_of(r->id));
    if (r->dialect != NULL && r->dialect->id_header != NULL)
        http1_write_header(out, str_of(r->dialect->id_header), str_of(r->id));
    if (r->route != NULL) http1_write_header(out, STR("x-weir-route"), snap_text(sn, r->route->name));
    if (attempt && r->provider != NULL) {
        line(out, STR("x-weir-provider: "), snap_text(sn, r->provider->name));
        if (r->model.n == 0)
            (void)0; /* files, batches: there is none */
        else if (r->target->model.n > 0 && !request_is_passed(r))
            line(out, STR("x-weir-model: "), r->model);
        else
            http1_write_header(out, STR("x-weir-model"), r->model); /* as the client sent it */
    }
    if (r->tries > 0 && attempt) http1_write_header_u64(out, "x-weir-attempts", r->tries);
    if (attempt && r->x.loss.n > 0) http1_write_header(out, STR("x-weir-loss"), r->x.loss);
    if (cost && r->cost_nanousd >= 0) {
        char text[32];
        price_format_number(r->cost_nanousd, text, sizeof text);
        line(out, STR("x-weir-cost-usd: "), str_of(text));
    }
    if (r->origin.n > 0) {
        http1_write_header(out, STR("access-control-allow-origin"), r->origin);
        buf_add(out, STR("vary: origin\r\naccess-control-expose-headers: *\r\n"));
    }
    write_timing(r, out);
}
