/* The commands that read the ledger: usage, tail, explain. They answer when the query thread has. */
#include "controlplane/admin_history.h"

#include "controlplane/core.h"
#include "controlplane/explain.h"
#include "controlplane/ledger_query.h"
#include "controlplane/reqlog.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void copy_text(char *out, size_t out_bytes, struct str s)
{
    size_t n = s.n < out_bytes - 1 ? s.n : out_bytes - 1;
    if (n > 0) memcpy(out, s.p, n);
    out[n] = '\0';
}

/* ---- usage ---- */

struct usage_call {
    struct usage_query query;
    struct admin_call *call; /* NULL: the peer has gone */
};

static void pack_sums(msgpack_packer *p, const struct sums *s)
{
    admin_pack_kv_i64(p, "calls", s->calls);
    admin_pack_kv_i64(p, "attempts", s->attempts);
    admin_pack_kv_i64(p, "failed", s->failed);
    admin_pack_kv_i64(p, "refused", s->refused);
    admin_pack_kv_i64(p, "rescued", s->rescued);
    admin_pack_kv_i64(p, "cancelled", s->cancelled);
    admin_pack_kv_i64(p, "input", sums_input(s));
    admin_pack_kv_i64(p, "cached", s->cache_read);
    admin_pack_kv_i64(p, "cache_write", s->cache_write_5m + s->cache_write_1h);
    admin_pack_kv_i64(p, "output", s->out_total);
    admin_pack_kv_i64(p, "reasoning", s->out_reasoning);
    if (s->attempts > 0 && s->unknown == s->attempts)
        admin_pack_kv_nil(p, "cost_nanousd"); /* nothing of it has a price: unknown, not zero */
    else
        admin_pack_kv_i64(p, "cost_nanousd", s->cost_nanousd);
    admin_pack_kv_i64(p, "estimated_nanousd", s->estimated_nanousd);
    admin_pack_kv_i64(p, "unknown", s->unknown);
    admin_pack_kv_i64(p, "estimated", s->estimated);
}
enum { SUMS_FIELDS = 15 };

static void pack_time(msgpack_packer *p, const char *key, const char *format, uint64_t wall_ns)
{
    char text[40];
    struct tm tm;
    time_t s = (time_t)(wall_ns / 1000000000u);
    gmtime_r(&s, &tm);
    strftime(text, sizeof text, format, &tm);
    admin_pack_kv_str(p, key, str_of(text));
}

static void pack_usage_row(msgpack_packer *p, unsigned by, const struct usage_row *r)
{
    msgpack_pack_map(p, (size_t)__builtin_popcount(by) + SUMS_FIELDS);
    if (by & BY_DAY) pack_time(p, "day", "%Y-%m-%d", r->from_wall_ns);
    if (by & BY_HOUR) pack_time(p, "hour", "%Y-%m-%dT%H:00Z", r->from_wall_ns);
    if (by & BY_PROVIDER) admin_pack_kv_str(p, "provider", RECORD_TEXT(r->provider));
    if (by & BY_MODEL) admin_pack_kv_str(p, "model", RECORD_TEXT(r->model));
    if (by & BY_ROUTE) admin_pack_kv_str(p, "route", RECORD_TEXT(r->route));
    if (by & BY_KEY) admin_pack_kv_str(p, "key", RECORD_TEXT(r->key));
    pack_sums(p, &r->sums);
}

static void not_now(struct admin_call *call)
{
    admin_call_fail(call, 1, STR("the ledger is not open now"),
                    "weir status tells why; calls are kept in the journals meanwhile");
}

static void answer_usage(struct usage_call *u)
{
    struct usage_query *q = &u->query;
    if (!q->available) {
        not_now(u->call);
        return;
    }
    msgpack_packer *p = admin_call_begin(u->call, false);
    msgpack_pack_map(p, 4);
    admin_pack_str(p, STR("rows"));
    msgpack_pack_array(p, q->n);
    for (unsigned i = 0; i < q->n; i++) pack_usage_row(p, q->by, &q->rows[i]);
    admin_pack_str(p, STR("total"));
    msgpack_pack_map(p, SUMS_FIELDS);
    pack_sums(p, &q->total);
    admin_pack_kv_i64(p, "since_ms", (int64_t)(q->since_wall_ns / 1000000u));
    admin_pack_kv_bool(p, "cut", q->cut);
    admin_call_end(u->call);
}

static void on_usage(struct usage_query *q)
{
    struct usage_call *u = q->user;
    if (u->call != NULL) answer_usage(u);
    usage_query_fini(q);
    free(u);
}

static void usage_gone(struct admin_call *call)
{
    ((struct usage_call *)call->user)->call = NULL;
}

static bool read_grouping(struct admin_call *call, unsigned *ret_by)
{
    const msgpack_object *by = admin_get(call->args, "by");
    *ret_by = 0;
    for (uint32_t i = 0; by != NULL && by->type == MSGPACK_OBJECT_ARRAY && i < by->via.array.size; i++) {
        const msgpack_object *o = &by->via.array.ptr[i];
        struct str word = o->type == MSGPACK_OBJECT_STR ? (struct str){o->via.str.ptr, o->via.str.size} : STR_NULL;
        unsigned bit = usage_by_word(word);
        if (bit == 0) {
            struct buf text = {0};
            buf_addf(&text, "cannot group by \"%.*s\"", (int)(word.n < 40 ? word.n : 40), word.n > 0 ? word.p : "");
            admin_call_fail(call, 2, buf_view(&text),
                            "--by takes provider, model, route, key, day, hour, joined by commas");
            buf_fini(&text);
            return false;
        }
        *ret_by |= bit;
    }
    return true;
}

void history_usage(struct core *c, struct admin_call *call)
{
    unsigned by;
    if (!read_grouping(call, &by)) return;
    struct usage_call *u = xcalloc(1, sizeof *u);
    u->call = call;
    u->query = (struct usage_query){.by = by, .done = on_usage, .user = u};
    u->query.filter.since_wall_ns = (uint64_t)admin_get_i64(call->args, "since_ms", 0) * 1000000u;
    u->query.filter.until_wall_ns = (uint64_t)admin_get_i64(call->args, "until_ms", 0) * 1000000u;
    call->user = u;
    call->on_gone = usage_gone;
    usage_query_start(c->store, &u->query);
}

/* ---- tail ---- */

struct follower { /* a peer that wants each call as it ends */
    struct admin_call *call;
    bool colour;
};
static struct follower followers[ADMIN_CONNECTIONS];

struct tail_call {
    struct record_query query;
    struct core *core;
    struct admin_call *call; /* NULL: the peer has gone */
    bool follow, colour;
};

/* The records of one request stand together: the length of the first run. */
static unsigned run_length(const struct usage_record *r, unsigned n)
{
    unsigned i = 1;
    while (i < n && strncmp(r[i].request_id, r[0].request_id, sizeof r->request_id) == 0) i++;
    return i;
}

static void pack_request(msgpack_packer *p, const struct usage_record *r, unsigned n, bool colour)
{
    struct buf json = {0}, text = {0};
    reqlog_json(r, n, &json);
    reqlog_text(r, n, (colour ? REQLOG_COLOUR : 0) | REQLOG_TIME, &text);
    msgpack_pack_map(p, 2);
    admin_pack_kv_str(p, "json", str_trim(buf_view(&json)));
    admin_pack_kv_str(p, "text", str_trim(buf_view(&text)));
    buf_fini(&json);
    buf_fini(&text);
}

static void follow(struct admin_call *call, bool colour)
{
    for (unsigned i = 0; i < ADMIN_CONNECTIONS; i++) {
        if (followers[i].call != NULL) continue;
        followers[i] = (struct follower){call, colour};
        return;
    }
}

static void follower_gone(struct admin_call *call)
{
    for (unsigned i = 0; i < ADMIN_CONNECTIONS; i++)
        if (followers[i].call == call) followers[i].call = NULL;
}

static void answer_tail(struct tail_call *t)
{
    const struct record_query *q = &t->query;
    struct admin_call *call = t->call;
    if (!q->available) {
        not_now(call);
        return;
    }
    msgpack_packer *p = admin_call_begin(call, t->follow);
    msgpack_pack_map(p, 1);
    admin_pack_str(p, STR("rows"));
    msgpack_pack_array(p, q->requests);
    for (unsigned i = 0; i < q->n;) {
        unsigned run = run_length(q->records + i, q->n - i);
        pack_request(p, q->records + i, run, t->colour);
        i += run;
    }
    if (t->follow) call->on_gone = follower_gone;
    admin_call_end(call);
    if (call->on_gone != NULL && t->follow) follow(call, t->colour); /* NULL: refused as too large, or the peer left */
}

static void on_tail(struct record_query *q)
{
    struct tail_call *t = q->user;
    if (t->call != NULL) answer_tail(t);
    record_query_fini(q);
    free(t);
}

static void tail_gone(struct admin_call *call)
{
    ((struct tail_call *)call->user)->call = NULL;
}

void history_tail(struct core *c, struct admin_call *call)
{
    int64_t lines = admin_get_i64(call->args, "lines", 20);
    struct tail_call *t = xcalloc(1, sizeof *t);
    t->core = c;
    t->call = call;
    t->follow = admin_get_bool(call->args, "follow", false);
    t->colour = admin_get_bool(call->args, "colour", false);
    t->query.limit = (unsigned)(lines < 0 ? 0 : lines > 1000 ? 1000 : lines);
    t->query.done = on_tail;
    t->query.user = t;
    call->user = t;
    call->on_gone = tail_gone;
    record_query_start(c->store, &t->query);
}

void history_request(const struct usage_record *records, unsigned n)
{
    for (unsigned i = 0; i < ADMIN_CONNECTIONS; i++) {
        struct admin_call *call = followers[i].call;
        if (call == NULL || admin_call_is_clogged(call))
            continue; /* who does not read misses lines; the ledger has them */
        msgpack_packer *p = admin_call_begin(call, true);
        msgpack_pack_map(p, 1);
        admin_pack_str(p, STR("rows"));
        msgpack_pack_array(p, 1);
        pack_request(p, records, n, followers[i].colour);
        admin_call_end(call);
    }
}

/* ---- explain ---- */

struct explain_call {
    struct record_query query;
    struct core *core;
    struct admin_call *call; /* NULL: the peer has gone */
};

static const struct price_row *price_of(const void *context, const char *provider, const char *model)
{
    const struct snap *sn = context;
    char name[NAME_PROVIDER + NAME_MODEL];
    snprintf(name, sizeof name, "%s/%s", provider, model);
    for (uint32_t i = 0; i < sn->s->targets.n; i++) {
        const struct snap_target *t = &sn->targets[i];
        if (t->price != ID_NONE && str_is(snap_text(sn, t->name), name)) return &sn->prices[t->price].row;
    }
    for (uint32_t i = 0; i < sn->s->prices.n; i++)
        if (str_is(snap_text(sn, sn->prices[i].name), name)) return &sn->prices[i].row;
    return NULL;
}

static void answer_explain(struct explain_call *e)
{
    const struct record_query *q = &e->query;
    struct buf json = {0}, text = {0};
    if (!q->available) {
        not_now(e->call);
        return;
    }
    if (q->n == 0) {
        admin_call_fail(e->call, 4, STR("no call with this id is in the ledger"),
                        "weir tail lists the last ones; a call is there when it has ended");
        return;
    }
    if (q->ambiguous) {
        admin_call_fail(e->call, 2, STR("more than one call has an id that begins so"), "give more of it");
        return;
    }
    reqlog_json(q->records, q->n, &json);
    explain_text(q->records, q->n, price_of, e->core->snap, &text);
    msgpack_packer *p = admin_call_begin(e->call, false);
    msgpack_pack_map(p, 2);
    admin_pack_kv_str(p, "json", str_trim(buf_view(&json)));
    admin_pack_kv_str(p, "text", buf_view(&text));
    buf_fini(&json);
    buf_fini(&text);
    admin_call_end(e->call);
}

static void on_explain(struct record_query *q)
{
    struct explain_call *e = q->user;
    if (e->call != NULL) answer_explain(e);
    record_query_fini(q);
    free(e);
}

static void explain_gone(struct admin_call *call)
{
    ((struct explain_call *)call->user)->call = NULL;
}

void history_explain(struct core *c, struct admin_call *call)
{
    struct str id = admin_get_str(call->args, "id");
    if (id.n < 4 || id.n > 32) {
        admin_call_fail(call, 2, STR("a request id has 4 to 32 characters"), "weir tail lists them; or say: last");
        return;
    }
    struct explain_call *e = xcalloc(1, sizeof *e);
    e->core = c;
    e->call = call;
    copy_text(e->query.request_id, sizeof e->query.request_id, id);
    e->query.done = on_explain;
    e->query.user = e;
    call->user = e;
    call->on_gone = explain_gone;
    record_query_start(c->store, &e->query);
}
