/* weir demo: a tour through the real thing. Two scripted providers, an ordinary configuration, the real programs; what is printed comes
 * from answers, the ledger and the circuits as the admin socket tells them. Exit 0 only if everything went as it should. */
#include "proto/base/clock.h"
#include "proto/base/version.h"
#include "proto/money/price.h"
#include "tools/cli/demo_world.h"
#include "tools/cli/http.h"
#include "tools/cli/link.h"
#include "tools/cli/options.h"
#include "tools/cli/print.h"
#include "tools/cli/verbs.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

/* 412 tokens in, 96 out, by the fakes' rule (tools/fake/ask.h): 4 + (408 * 4) / 4, and the words asked for. At 2.50 and 10.00 USD per
 * million that is $0.00199, easy to check by hand. */
enum { PROMPT_BYTES = 408 * 4, ANSWER_WORDS = 96, CALL_TIMEOUT_MS = 10000, LEDGER_MS = 5000, CIRCUIT_MS = 10000 };

struct demo {
    struct demo_world world;
    bool fast, keep;
    unsigned calls, answered;
    char request_id[64]; /* of the last call */
    char provider[32];   /* that answered it */
    unsigned tries;
};

enum call_kind { CALL_OPENAI, CALL_ANTHROPIC, CALL_STREAM };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static bool fail(const char *what, const char *why)
{
    fflush(stdout);
    if (!interrupted) fprintf(stderr, "weir demo: %s%s%s\n", what, why[0] != '\0' ? ": " : "", why);
    return false;
}

/* ---- a call ---- */

static void write_prompt(struct buf *out)
{
    static const char wish[] = "[[fake:words=96]] ";
    static const char filler[] = "This prompt is as long as a page, so that the call costs something. ";
    buf_addz(out, wish);
    for (size_t i = sizeof wish - 1; i < PROMPT_BYTES; i++)
        buf_addc(out, filler[(i - sizeof wish + 1) % (sizeof filler - 1)]);
}

static void write_body(enum call_kind kind, struct buf *out)
{
    buf_addz(out, "{\"model\":\"chat\",");
    if (kind == CALL_ANTHROPIC) buf_addz(out, "\"max_tokens\":1000,");
    if (kind == CALL_STREAM) buf_addz(out, "\"stream\":true,");
    buf_addz(out, "\"messages\":[{\"role\":\"user\",\"content\":\"");
    write_prompt(out);
    buf_addz(out, "\"}]}");
}

static void copy(char *out, size_t out_bytes, struct str s)
{
    snprintf(out, out_bytes, "%.*s", (int)s.n, s.n > 0 ? s.p : "");
}

/* The fake says in its text who it is: the answer came from where weir says it came from. A stream gives it word by word. */
static bool says_who(const struct demo *d, enum call_kind kind, struct str body)
{
    char words[64];
    snprintf(words, sizeof words, kind == CALL_STREAM ? "\" %s,\"" : "answered by %s,", d->provider);
    return str_contains(body, str_of(words)) && (kind != CALL_STREAM || str_contains(body, STR("data: [DONE]")));
}

static bool call(struct demo *d, enum call_kind kind, const char *provider, unsigned tries)
{
    struct buf body = {0};
    struct http_reply r;
    struct http_question q = {.endpoint = d->world.endpoint, .method = "POST", .timeout_ms = CALL_TIMEOUT_MS};
    q.path = kind == CALL_ANTHROPIC ? "/v1/messages" : "/v1/chat/completions";
    q.headers = "Content-Type: application/json\r\nanthropic-version: 2023-06-01\r\nUser-Agent: weir-demo\r\n";
    write_body(kind, &body);
    q.body = buf_view(&body);
    d->calls++;
    bool ok = http_ask(&q, &r);
    uint64_t made = 0;
    copy(d->request_id, sizeof d->request_id, http_reply_header(&r, "x-request-id"));
    copy(d->provider, sizeof d->provider, http_reply_header(&r, "x-weir-provider"));
    str_u64(http_reply_header(&r, "x-weir-attempts"), &made);
    d->tries = (unsigned)made;
    if (!ok)
        fail("a call got no answer", r.why);
    else if (r.status != 200) {
        char text[400];
        snprintf(text, sizeof text, "%u %.*s", r.status, (int)(buf_len(&r.body) < 300 ? buf_len(&r.body) : 300),
                 buf_view(&r.body).p);
        ok = fail("the app saw an error", text);
    } else if (strcmp(d->provider, provider) != 0 || d->tries != tries)
        ok = fail("another provider answered, or after other tries, than expected", d->provider);
    else if (!says_who(d, kind, buf_view(&r.body)))
        ok = fail("the answer is not from the provider that weir names", d->provider);
    d->answered += ok;
    http_reply_fini(&r);
    buf_fini(&body);
    return ok;
}

/* ---- what weir tells of it ---- */

static void pack_tail(msgpack_packer *p, const void *context)
{
    (void)context;
    msgpack_pack_map(p, 3);
    admin_pack_kv_i64(p, "lines", 8);
    admin_pack_kv_bool(p, "follow", false);
    admin_pack_kv_bool(p, "colour", colour_is_on());
}

static const msgpack_object *row(const msgpack_object *data, uint32_t i)
{
    const msgpack_object *rows = admin_get(data, "rows");
    return rows != NULL && rows->type == MSGPACK_OBJECT_ARRAY && i < rows->via.array.size ? &rows->via.array.ptr[i]
                                                                                          : NULL;
}

/* The ledger's line of the last call, without its time; empty when it is not there yet. */
static void find_line(const struct demo *d, struct buf *out)
{
    struct link l;
    char id[96];
    snprintf(id, sizeof id, "\"request_id\":\"%s\"", d->request_id);
    if (link_open(&l, d->world.state, true) && link_ask(&l, "tail", pack_tail, NULL)) {
        const msgpack_object *o;
        for (uint32_t i = 0; (o = row(l.data, i)) != NULL; i++) {
            if (!str_contains(admin_get_str(o, "json"), str_of(id))) continue;
            struct str text = admin_get_str(o, "text");
            str_split(&text, ' ');
            buf_clear(out);
            buf_add(out, text);
        }
    }
    link_close(&l);
}

static bool print_call(const struct demo *d, const char *note)
{
    struct buf line = {0};
    uint64_t until_ms = clock_mono_ms() + LEDGER_MS;
    while (buf_len(&line) == 0 && clock_mono_ms() < until_ms && !interrupted) {
        find_line(d, &line);
        if (buf_len(&line) == 0) poll(NULL, 0, 10);
    }
    bool ok = buf_len(&line) > 0;
    if (ok)
        printf("  %.*s%s\n", STR_FMT(buf_view(&line)), note);
    else
        fail("the ledger has no line of the call", d->request_id);
    fflush(stdout);
    buf_fini(&line);
    return ok;
}

static void circuit_of(const struct demo *d, const char *target, char *out, size_t out_bytes)
{
    struct link l;
    out[0] = '\0';
    if (link_open(&l, d->world.state, true) && link_ask(&l, "routes", NULL, NULL)) {
        const msgpack_object *o;
        for (uint32_t i = 0; (o = row(l.data, i)) != NULL; i++)
            if (str_is(admin_get_str(o, "target"), target)) copy(out, out_bytes, admin_get_str(o, "circuit"));
    }
    link_close(&l);
}

static bool wait_circuit(const struct demo *d, const char *word)
{
    char now[24] = "";
    uint64_t until_ms = clock_mono_ms() + CIRCUIT_MS;
    while (clock_mono_ms() < until_ms && !interrupted) {
        circuit_of(d, "fake-a/large", now, sizeof now);
        if (strcmp(now, word) == 0) return true;
        poll(NULL, 0, 10);
    }
    return fail("the circuit of fake-a/large is not as expected", now);
}

/* ---- the steps ---- */

static bool control(const struct demo *d, const char *method, const char *path, const char *json)
{
    struct http_reply r;
    struct http_question q = {
        .endpoint = d->world.fakes, .method = method, .path = path, .body = str_of(json), .timeout_ms = 2000};
    bool ok = http_ask(&q, &r) && r.status == 200;
    if (!ok) fail("weir-fake does not take a control request", r.why);
    http_reply_fini(&r);
    return ok;
}

static void heading(const char *text)
{
    printf(colour_is_on() ? "\n\x1b[1m%s\x1b[0m\n" : "\n%s\n", text);
    fflush(stdout);
}

static bool step_dialects(struct demo *d)
{
    heading("1 A call in each dialect, and a streamed one");
    return call(d, CALL_OPENAI, "fake-a", 1) && print_call(d, "") && call(d, CALL_ANTHROPIC, "fake-a", 1) &&
           print_call(d, "") && call(d, CALL_STREAM, "fake-a", 1) && print_call(d, "  streamed");
}

static bool step_rescue(struct demo *d)
{
    heading("2 fake-a now answers 529 overloaded");
    if (!control(d, "POST", "/_fake/faults", "{\"status\":529}")) return false;
    if (!call(d, CALL_OPENAI, "fake-b", 2) || !print_call(d, "")) return false;
    if (!call(d, CALL_ANTHROPIC, "fake-b", 2) || !print_call(d, "")) return false;
    return wait_circuit(d, "open") && call(d, CALL_OPENAI, "fake-b", 1) &&
           print_call(d, "  fake-a skipped, circuit open");
}

static bool step_recovery(struct demo *d)
{
    heading("3 fake-a is well again");
    if (!control(d, "DELETE", "/_fake/faults", "")) return false;
    if (!wait_circuit(d, "half-open")) return false;
    printf("  circuit of fake-a: open → half-open, the next call is the probe\n");
    if (!call(d, CALL_OPENAI, "fake-a", 1) || !print_call(d, "") || !wait_circuit(d, "closed")) return false;
    printf("  circuit of fake-a: half-open → closed\n");
    return true;
}

/* ---- the sums ---- */

/* What the fakes have billed, at the prices of the configuration: 2.50 and 10.00, 3.00 and 15.00 USD per million. */
static bool fakes_bill(const struct demo *d, int64_t *ret_nanousd)
{
    static const struct {
        const char *path;
        int64_t input, output; /* nano-dollars a token */
    } fakes[] = {{"/_fake/stats?of=fake-a", 2500, 10000}, {"/_fake/stats?of=fake-b", 3000, 15000}};
    *ret_nanousd = 0;
    for (size_t i = 0; i < 2; i++) {
        struct http_reply r;
        struct http_question q = {
            .endpoint = d->world.fakes, .method = "GET", .path = fakes[i].path, .timeout_ms = 2000};
        bool ok = http_ask(&q, &r) && r.status == 200;
        yyjson_doc *doc = ok ? yyjson_read(buf_view(&r.body).p, buf_len(&r.body), 0) : NULL;
        yyjson_val *root = yyjson_doc_get_root(doc);
        *ret_nanousd += yyjson_get_sint(yyjson_obj_get(root, "input")) * fakes[i].input;
        *ret_nanousd += yyjson_get_sint(yyjson_obj_get(root, "output")) * fakes[i].output;
        yyjson_doc_free(doc);
        http_reply_fini(&r);
        if (!ok) return fail("weir-fake does not tell its bill", "");
    }
    return true;
}

static void pack_usage(msgpack_packer *p, const void *context)
{
    (void)context;
    msgpack_pack_map(p, 1);
    admin_pack_str(p, STR("by"));
    msgpack_pack_array(p, 1);
    admin_pack_str(p, STR("model"));
}

static bool sums(const struct demo *d)
{
    struct link l;
    int64_t calls = -1, rescued = -1, nanousd = -1, bill = 0;
    char dollars[32], text[120];
    if (link_open(&l, d->world.state, true) && link_ask(&l, "usage", pack_usage, NULL)) {
        const msgpack_object *total = admin_get(l.data, "total");
        calls = admin_get_i64(total, "calls", -1);
        rescued = admin_get_i64(total, "rescued", -1);
        nanousd = admin_get_i64(total, "cost_nanousd", -1);
    }
    link_close(&l);
    if (!fakes_bill(d, &bill)) return false;
    price_format_usd(nanousd, dollars, sizeof dollars);
    printf("\n%lld calls · %u answered · %lld rescued · %s · the app saw no provider error\n", (long long)calls,
           d->answered, (long long)rescued, dollars);
    snprintf(text, sizeof text, "%lld nano-dollars in the ledger, %lld on the providers' bill; %u calls made",
             (long long)nanousd, (long long)bill, d->calls);
    if (nanousd != bill || calls != (int64_t)d->calls || d->answered != d->calls || rescued != 2)
        return fail("the sums do not agree", text);
    return true;
}

/* ---- before and after ---- */

static void print_head(const struct demo *d)
{
    const struct demo_world *w = &d->world;
    printf("weir %s · demo: two fake providers on this machine · no key, no network, no money\n\n", weir_version());
    printf("  endpoint   %-26s speaks OpenAI and Anthropic\n", w->endpoint);
    printf("  admin      %-26s /readyz /metrics\n", w->admin);
    printf("  config     %s   %u lines, written to be read\n", w->config, w->config_lines);
    if (w->port != w->wanted_port) printf("  (port %u is taken, so this demo is on %u)\n", w->wanted_port, w->port);
    fflush(stdout);
}

static void print_turn(const struct demo *d)
{
    printf("\nYour turn (Ctrl-C stops the demo)\n"
           "  curl -s %s/v1/chat/completions -H 'content-type: application/json' \\\n"
           "       -d '{\"model\":\"chat\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}'\n"
           "  weir call chat \"hi\"    weir explain last    weir usage --by provider    weir routes    weir drain "
           "fake-a/large\n"
           "With a real key:  OPENAI_API_KEY=… weir run\n",
           d->world.endpoint);
    fflush(stdout);
}

static bool stay(struct demo *d)
{
    print_turn(d);
    while (!interrupted) {
        if (!world_is_alive(&d->world)) return false;
        poll(NULL, 0, 500);
    }
    printf("\n");
    return true;
}

int cmd_demo(int argc, char **argv)
{
    struct demo d = {0};
    const struct option own[] = {{"--fast", NULL, NULL, &d.fast}, {"--keep", NULL, NULL, &d.keep}};
    if (!options_parse("demo", &argc, argv, own, 2)) return 2;
    if (argc > 0) {
        fprintf(stderr, "weir demo: takes no words, only --fast and --keep\n");
        return 2;
    }
    struct sigaction act = {.sa_handler = on_signal}; /* no SA_RESTART: waits end at once */
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    const struct demo_pace slow = {.head_ms = 500, .open_ms = 4000}, fast = {.head_ms = 2, .open_ms = 300};
    bool ok = world_open(&d.world, d.fast ? &fast : &slow);
    if (ok) {
        print_head(&d);
        ok = step_dialects(&d) && step_rescue(&d) && step_recovery(&d) && sums(&d);
    }
    if (ok && d.keep) ok = stay(&d);
    world_close(&d.world);
    if (interrupted) return d.keep && ok ? 0 : 130;
    return ok ? 0 : 1;
}
