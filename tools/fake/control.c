/* Control requests: /_fake/faults, /_fake/calls, /_fake/stats, /_fake/reset; ?of=NAME means another fake of the process. */
#include "proto/base/base64.h"
#include "tools/fake/conn.h"

static struct str query_value(struct str query, const char *name)
{
    while (query.n > 0) {
        struct str pair = str_split(&query, '&');
        struct str key = str_split(&pair, '=');
        if (str_is(key, name)) return pair;
    }
    return STR_NULL;
}

static void say_error(struct answer *out, unsigned status, const char *what, const char *detail)
{
    out->status = status;
    buf_addz(&out->body, "{\"error\":");
    buf_add_json_str(&out->body, str_of(what));
    buf_addz(&out->body, ",\"detail\":");
    buf_add_json_str(&out->body, str_of(detail));
    buf_addz(&out->body, "}\n");
}

static void list_calls(const struct provider *p, struct str query, struct answer *out)
{
    uint64_t last = 50;
    str_u64(query_value(query, "last"), &last);
    uint64_t from = p->last_number > last ? p->last_number - last + 1 : 1;
    from = from > p->oldest ? from : p->oldest;
    const char *comma = "";
    buf_addc(&out->body, '[');
    for (uint64_t i = from; i <= p->last_number; i++) {
        const struct call *c = p->last[i % p->keep];
        if (c == NULL || c->number != i) continue; /* under way */
        buf_addz(&out->body, comma);
        call_write_json(c, p->name, &out->body);
        buf_truncate(&out->body, buf_len(&out->body) - 1);
        buf_addz(&out->body, ",\"headers\":");
        buf_add(&out->body, c->headers);
        buf_addz(&out->body, ",\"body_base64\":\"");
        base64_encode(c->body, &out->body);
        buf_addz(&out->body, "\"}");
        comma = ",\n";
    }
    buf_addz(&out->body, "]\n");
}

static void write_stats(const struct provider *p, struct answer *out)
{
    const struct provider_counts *n = &p->counts;
    const struct plan_usage *u = &n->billed;
    struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"connections", n->connections},
                {"open", n->open},
                {"tls_ready", n->tls_ready},
                {"tls_failed", n->tls_failed},
                {"plain_bytes_in", n->plain_bytes_in},
                {"calls", n->calls},
                {"whole", n->whole},
                {"refused", n->refused},
                {"client_gone", n->client_gone},
                {"tokens", n->tokens},
                {"unauthorized", n->unauthorized},
                {"expired_tokens", n->expired_tokens},
                {"input", u->input},
                {"cache_read", u->cache_read},
                {"cache_write", u->cache_write},
                {"cache_write_1h", u->cache_write_1h},
                {"output", u->output},
                {"reasoning", u->reasoning}};
    buf_addz(&out->body, "{\"fake\":");
    buf_add_json_str(&out->body, str_of(p->name));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        buf_addf(&out->body, ",\"%s\":%llu", rows[i].name, (unsigned long long)rows[i].value);
    buf_addz(&out->body, "}\n");
}

static void control_faults(struct provider *p, const struct http1_head *head, struct str body, struct str id,
                           struct answer *out)
{
    const char *why = NULL;
    uint64_t number = 0;
    str_u64(id, &number);
    if (str_is(head->method, "GET")) {
        faults_list(&p->faults, &out->body);
        buf_addc(&out->body, '\n');
    } else if (str_is(head->method, "DELETE")) {
        if (!faults_clear(&p->faults, (unsigned)number) && number != 0)
            say_error(out, 404, "no such fault", "");
        else
            buf_addz(&out->body, "{}\n");
    } else {
        unsigned made = faults_add(&p->faults, body, &why);
        if (made == 0)
            say_error(out, 400, "cannot read the fault", why);
        else
            buf_addf(&out->body, "{\"id\":%u}\n", made);
    }
}

bool control(struct provider *of, const struct http1_head *head, struct str body, struct answer *out)
{
    if (!str_starts(head->path, STR("/_fake/"))) return false;
    log_flush(); /* who asks wants to see everything up to now */
    struct str name = query_value(head->query, "of"), rest = str_slice(head->path, 7, head->path.n);
    struct provider *p = name.n > 0 ? provider_named(name) : of;
    struct str what = str_split(&rest, '/');
    if (p == NULL)
        say_error(out, 404, "no fake of this name", "");
    else if (str_is(what, "faults"))
        control_faults(p, head, body, rest, out);
    else if (str_is(what, "calls"))
        list_calls(p, head->query, out);
    else if (str_is(what, "stats"))
        write_stats(p, out);
    else if (str_is(what, "reset") && str_is(head->method, "POST")) {
        provider_reset(p);
        buf_addz(&out->body, "{}\n");
    } else
        say_error(out, 404, "no such control request", "there are faults, calls, stats and POST reset");
    return true;
}
