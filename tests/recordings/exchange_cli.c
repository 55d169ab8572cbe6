/* exchange_cli — one exchange without sockets, for the golden cases and the recordings: reads files, prints what came of them.
 *
 *   exchange_cli CLIENT TARGET MODEL REQUEST [ANSWER STATUS [PIECE]]
 *
 * CLIENT and TARGET are dialect names; the paths of some clients say more than their bodies: "gemini+stream", "converse+stream" ask for
 * events, "gemini+array" for one array. "anthropic@invoke" as TARGET is a Claude behind InvokeModel, "openai@mistral" that type of host. PIECE the bytes fed at a time
 * (default: all); "every": a stream is cut in two at each byte, "differs_at" tells the first cut that changes what the client gets.
 * Status 200 goes through the exchange, any other through the error table. The output is one JSON object. */
#include "proto/base/base64.h"
#include "proto/dialect/chat.h"
#include "proto/dialect/exchange.h"
#include "proto/dialect/host_quirks.h"
#include "proto/dialect/provider_type.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct buf out;
static struct arena arena;

static struct buf read_file(const char *path)
{
    struct buf b = {0};
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        exit(2);
    }
    size_t n;
    while ((n = fread(buf_reserve(&b, 65536), 1, 65536, f)) > 0) buf_commit(&b, n);
    fclose(f);
    return b;
}

static void member(const char *key, struct str value)
{
    buf_addf(&out, ",\"%s\":", key);
    buf_add_json_str(&out, value);
}

static void figure(const char *key, int64_t v)
{
    buf_addf(&out, ",\"%s\":%lld", key, (long long)v);
}

static void facts(unsigned f)
{
    static const char *const WORDS[] = {"content", "finished", "end", "error", "usage", "broken"};
    bool first = true;
    buf_addz(&out, ",\"facts\":[");
    for (unsigned i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if ((f >> i & 1) == 0) continue;
        buf_addf(&out, "%s\"%s\"", first ? "" : ",", WORDS[i]);
        first = false;
    }
    buf_addc(&out, ']');
}

static void usage(const struct usage *u)
{
    buf_addf(&out, ",\"usage\":{\"known\":%u", u->known);
    figure("in_uncached", u->in_uncached);
    figure("cache_read", u->cache_read);
    figure("cache_write_5m", u->cache_write_5m);
    figure("cache_write_1h", u->cache_write_1h);
    figure("out_total", u->out_total);
    figure("out_reasoning", u->out_reasoning);
    figure("web_searches", u->web_searches);
    figure("clamped", u->clamped);
    buf_addc(&out, '}');
}

static void failure(const char *key, enum weir_err e, struct str why)
{
    buf_addf(&out, ",\"%s\":\"%s\"", key, err_word(e));
    member("why", why);
}

static void error_of(const struct exchange *x)
{
    if (x->error.err == WEIR_OK) return;
    member("error", str_of(err_word(x->error.err)));
    member("error_message", x->error.message);
    member("error_code", x->error.code);
    figure("retry_after_ms", x->error.retry_after_ms);
}

static void take_answer(struct exchange *x, struct str body, size_t piece)
{
    struct buf got = {0};
    if (!x->stream) {
        enum weir_err e = exchange_answer(x, body, &got);
        if (e != WEIR_OK) failure("answer_error", e, x->error.message);
    } else {
        for (size_t at = 0; at < body.n; at += piece) exchange_feed(x, str_slice(body, at, at + piece), &got);
        exchange_finish(x, &got);
    }
    if (x->stream && x->framing == FRAMING_EVENTSTREAM) { /* no text */
        struct buf text = {0};
        base64_encode(buf_view(&got), &text);
        member("got_base64", buf_view(&text));
        buf_fini(&text);
    } else {
        member("got", buf_view(&got));
    }
    facts(x->facts);
    usage(&x->usage);
    member("finish", x->finish);
    member("model", x->answer_model);
    figure("content_bytes", x->content_bytes);
    error_of(x);
    buf_fini(&got);
}

static void take_error(struct exchange *x, uint16_t status, struct str body)
{
    const struct answer_headers none = {0};
    struct buf got = {0};
    x->target->read_error(status, &none, body, &arena, &x->error);
    x->client->write_error(x->error.err, x->error.message, STR("req_test"), &got);
    figure("client_status", x->client->error_status(x->error.err));
    member("got", buf_view(&got));
    error_of(x);
    buf_fini(&got);
}

/* ---- Every split ---- */

struct asking {
    enum dialect_id client, target;
    const struct target_hints *hints;
    const struct call *call;
    struct str request, model;
};

/* A fresh exchange that is fed the stream in two pieces. */
static uint8_t feed_cut(const struct asking *q, struct str body, size_t cut, struct arena *a, struct buf *got)
{
    struct exchange x;
    struct buf sent = {0};
    struct str why = STR_NULL;
    uint8_t seen = 0;
    if (exchange_request_to(&x, q->client, q->target, q->hints, q->call, q->request, q->model, a, &sent, &why) ==
        WEIR_OK) {
        exchange_feed(&x, str_slice(body, 0, cut), got);
        exchange_feed(&x, str_slice(body, cut, body.n), got);
        exchange_finish(&x, got);
        seen = x.facts;
    }
    exchange_fini(&x);
    buf_fini(&sent);
    return seen;
}

static void try_every_cut(const struct asking *q, struct str body)
{
    struct buf whole = {0}, split = {0};
    struct arena a;
    arena_init(&a, 65536);
    uint8_t expected = feed_cut(q, body, 0, &a, &whole);
    int64_t differs_at = -1;
    for (size_t cut = 1; cut < body.n && differs_at < 0; cut++) {
        arena_reset(&a);
        buf_clear(&split);
        if (feed_cut(q, body, cut, &a, &split) != expected || !str_eq(buf_view(&whole), buf_view(&split)))
            differs_at = (int64_t)cut;
    }
    figure("differs_at", differs_at);
    figure("cuts", (int64_t)body.n - 1);
    arena_fini(&a);
    buf_fini(&whole);
    buf_fini(&split);
}

static const struct host_quirks *quirks_of(struct str host)
{
    for (unsigned i = 0; i < PROVIDER_TYPES; i++)
        if (str_is(host, provider_type_of(i)->name)) return host_quirks_of(i);
    return NULL;
}

static int run(int argc, char **argv)
{
    struct str how = str_of(argv[1]), name = str_split(&how, '+');
    const struct dialect *client = dialect_by_name(name), *target;
    struct str host = str_of(argv[2]), target_name = str_split(&host, '@');
    target = dialect_by_name(target_name);
    const struct endpoint_place place = {
        .model = client != NULL && client->model_in_path ? STR("asked") : STR_NULL,
        .stream = how.n > 0,
        .json_array = str_is(how, "array"),
    };
    struct buf request = read_file(argv[4]), sent = {0}, answer = {0};
    const struct target_hints hints = {
        .now_s = 1795000000, .id = STR("test"), .invoke = str_is(host, "invoke"), .quirks = quirks_of(host)};
    struct call call = {0};
    struct exchange x = {0};
    struct str why = STR_NULL;
    if (client == NULL || target == NULL) return 2;
    buf_addz(&out, "{\"ok\":true");
    enum weir_err e = call_read_at(client->id, &place, buf_view(&request), &arena, &call, &why);
    if (e == WEIR_OK)
        e = exchange_request_to(&x, client->id, target->id, &hints, &call, buf_view(&request), str_of(argv[3]), &arena,
                                &sent, &why);
    if (e != WEIR_OK) {
        failure("request_error", e, why);
    } else {
        member("sent", buf_view(&sent));
        member("loss", x.loss);
        figure("input_bound", call.input_bound);
        if (argc > 6) {
            long status = strtol(argv[6], NULL, 10), piece = argc > 7 ? strtol(argv[7], NULL, 10) : 0;
            answer = read_file(argv[5]);
            const struct asking q = {client->id, target->id, &hints, &call, buf_view(&request), str_of(argv[3])};
            if (argc > 7 && strcmp(argv[7], "every") == 0)
                try_every_cut(&q, buf_view(&answer));
            else if (status == 200)
                take_answer(&x, buf_view(&answer), piece > 0 ? (size_t)piece : buf_len(&answer) + 1);
            else
                take_error(&x, (uint16_t)status, buf_view(&answer));
        }
    }
    buf_addz(&out, "}\n");
    fwrite(out.p, 1, buf_len(&out), stdout);
    exchange_fini(&x);
    buf_fini(&request);
    buf_fini(&answer);
    buf_fini(&sent);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "exchange_cli CLIENT TARGET MODEL REQUEST [ANSWER STATUS [PIECE]]\n");
        return 2;
    }
    arena_init(&arena, 65536);
    int status = run(argc, argv);
    arena_fini(&arena);
    buf_fini(&out);
    return status;
}
