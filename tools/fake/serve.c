/* What a request gets: a control answer, a dialect's answer, a refusal, and the fault that changes it. */
#include "proto/base/clock.h"
#include "tools/fake/ark.h"
#include "tools/fake/conn.h"
#include "tools/fake/converse.h"
#include "tools/fake/host.h"
#include "tools/fake/identity.h"
#include "tools/fake/invoke.h"
#include "tools/fake/plain.h"
#include "tools/fake/vectors.h"

#include <stdlib.h>
#include <string.h>

enum endpoint {
    EP_NONE,
    EP_CHAT,
    EP_RESPONSES,
    EP_MESSAGES,
    EP_COUNT,
    EP_CONVERSE,
    EP_GENERATE,
    EP_COUNT_GEMINI,
    EP_COHERE,
    EP_OLLAMA,
    EP_MODELS
};

static enum endpoint endpoint_of(struct str path)
{
    if (str_ends(path, STR("/chat/completions"))) return EP_CHAT;
    if (str_ends(path, STR("/responses"))) return EP_RESPONSES;
    if (str_ends(path, STR("/messages")) || str_ends(path, STR(":rawPredict")) ||
        str_ends(path, STR(":streamRawPredict")))
        return EP_MESSAGES; /* the latter: Claude on Vertex */
    if (invoke_is_path(path)) return EP_MESSAGES;
    if (converse_is_path(path)) return EP_CONVERSE;
    if (str_ends(path, STR("/messages/count_tokens"))) return EP_COUNT;
    if (str_ends(path, STR(":generateContent")) || str_ends(path, STR(":streamGenerateContent"))) return EP_GENERATE;
    if (str_ends(path, STR(":countTokens"))) return EP_COUNT_GEMINI;
    if (str_ends(path, STR("/v2/chat"))) return EP_COHERE;
    if (str_ends(path, STR("/api/chat"))) return EP_OLLAMA;
    if (str_ends(path, STR("/models")) || str_ends(path, STR("/api/tags"))) return EP_MODELS;
    return EP_NONE;
}

static bool speaks(const struct provider *p, const struct fake_dialect *d)
{
    return d == &fake_gemini ? p->speaks_gemini : d == &fake_cohere ? p->speaks_cohere : p->speaks_ollama;
}

static const struct fake_dialect *dialect_of(const struct provider *p, const struct http1_head *head)
{
    enum endpoint endpoint = endpoint_of(head->path);
    if (endpoint == EP_CONVERSE && p->speaks_converse) return &fake_converse;
    bool messages = endpoint == EP_MESSAGES || endpoint == EP_COUNT || http1_get(head, "anthropic-version").n > 0;
    if (messages && p->speaks_anthropic) return &fake_anthropic;
    if (endpoint == EP_RESPONSES && p->speaks_responses) return &fake_responses;
    const struct fake_dialect *vectors = vectors_dialect(head->path);
    if (vectors != NULL && speaks(p, vectors)) return vectors;
    if (endpoint == EP_COHERE && p->speaks_cohere) return &fake_cohere;
    if ((endpoint == EP_OLLAMA || str_ends(head->path, STR("/api/tags"))) && p->speaks_ollama) return &fake_ollama;
    bool google = endpoint == EP_GENERATE || endpoint == EP_COUNT_GEMINI || http1_get(head, "x-goog-api-key").n > 0;
    if (google && p->speaks_gemini) return &fake_gemini;
    return p->speaks_openai ? &fake_openai : &fake_anthropic;
}

/* ---- answers that are no chat ---- */

static void not_found(const struct fake_dialect *d, const struct http1_head *head, struct conn *c)
{
    struct refusal r = {.status = 404,
                        .type = d == &fake_anthropic ? "not_found_error" : "invalid_request_error",
                        .code = "unknown_url",
                        .message = arena_printf(&c->arena, "Unknown request URL: %.*s %.*s", STR_FMT(head->method),
                                                STR_FMT(head->path))};
    d->write_error(&r, &c->answer);
}

static void list_models(const struct fake_dialect *d, struct answer *out)
{
    static const char *const names[] = {"large", "small"};
    if (d == &fake_gemini) {
        for (size_t i = 0; i < 2; i++)
            buf_addf(&out->body,
                     "%s{\"name\":\"models/"
                     "%s\",\"displayName\":\"%s\",\"supportedGenerationMethods\":[\"generateContent\"]}",
                     i > 0 ? "," : "{\"models\":[", names[i], names[i]);
        buf_addz(&out->body, "]}\n");
        return;
    }
    if (d == &fake_ollama) {
        for (size_t i = 0; i < 2; i++)
            buf_addf(&out->body,
                     "%s{\"name\":\"%s\",\"model\":\"%s\",\"modified_at\":\"2026-09-21T00:00:00Z\",\"size\":4683087332,"
                     "\"digest\":\"%064zu\",\"details\":{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":\"fake\","
                     "\"families\":[\"fake\"],\"parameter_size\":\"8B\",\"quantization_level\":\"Q4_K_M\"}}",
                     i > 0 ? "," : "{\"models\":[", names[i], names[i], i + 1);
        buf_addz(&out->body, "]}\n");
        return;
    }
    buf_addz(&out->body, d == &fake_openai ? "{\"object\":\"list\",\"data\":[" : "{\"data\":[");
    for (size_t i = 0; i < 2; i++) {
        if (d == &fake_openai)
            buf_addf(&out->body, "%s{\"id\":\"%s\",\"object\":\"model\",\"created\":1790000000,\"owned_by\":\"fake\"}",
                     i > 0 ? "," : "", names[i]);
        else
            buf_addf(
                &out->body,
                "%s{\"type\":\"model\",\"id\":\"%s\",\"display_name\":\"%s\",\"created_at\":\"2026-09-21T00:00:00Z\"}",
                i > 0 ? "," : "", names[i], names[i]);
    }
    buf_addz(&out->body,
             d == &fake_openai ? "]}\n" : "],\"has_more\":false,\"first_id\":\"large\",\"last_id\":\"small\"}\n");
}

/* ---- chat ---- */

/* A model called status-429 always answers so: errors without shared state, for tests that run side by side. */
static bool refuse_by_model(struct str model, struct refusal *r)
{
    uint64_t status = 0;
    if (str_starts(model, STR("missing")))
        status = 404;
    else if (!str_starts(model, STR("status-")) || !str_u64(str_slice(model, 7, model.n), &status) || status < 400 ||
             status > 599)
        return false;
    *r = (struct refusal){.status = (unsigned)status};
    return true;
}

static void override_usage(struct plan_usage *u, yyjson_val *numbers)
{
    struct {
        const char *name;
        uint64_t *number;
    } fields[] = {{"input", &u->input},
                  {"cache_read", &u->cache_read},
                  {"cache_write", &u->cache_write},
                  {"cache_write_1h", &u->cache_write_1h},
                  {"output", &u->output},
                  {"reasoning", &u->reasoning}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        yyjson_val *v = yyjson_obj_get(numbers, fields[i].name);
        if (v != NULL) *fields[i].number = yyjson_get_uint(v);
    }
}

static void answer_ask(struct conn *c, const struct fake_dialect *d, struct ask *ask, const struct fault *f)
{
    struct plan plan;
    struct provider *p = c->provider;
    plan_make(&plan, ask, p->name, d->name, p->seed, &c->arena);
    if (ask->host != NULL) host_bill(ask->host, &plan.usage);
    if (f != NULL && f->usage != NULL) {
        override_usage(&plan.usage, f->usage);
        plan.omit_usage = yyjson_is_false(f->usage);
    }
    uint64_t now_s = clock_wall_ns() / 1000000000;
    c->answer.event_delay_ms = ask->wishes.delay_ms;
    (ask->stream ? d->write_stream : d->write_unary)(&plan, ask, now_s, &c->answer);
    c->call->usage = plan.usage;
    c->call->usage.output *= ask->choices;
    c->call->usage.reasoning *= ask->choices;
    c->call->usage_sent =
        !plan.omit_usage && (d != &fake_openai || !ask->stream || ask->include_usage ||
                             (ask->host != NULL && (ask->host->usage_at_finish || ask->host->usage_in_x_groq)));
}

static struct str own_model(struct str model)
{
    char *copy = malloc(model.n + 1);
    if (copy == NULL) abort();
    memcpy(copy, model.n > 0 ? model.p : "", model.n);
    copy[model.n] = '\0';
    return (struct str){copy, model.n};
}

static void add_fault_headers(struct answer *out, const struct fault *f)
{
    yyjson_val *name, *value;
    size_t i, n;
    if (!yyjson_is_obj(f->headers)) return;
    yyjson_obj_foreach(f->headers, i, n, name, value)
    {
        if (strcmp(yyjson_get_str(name), "content-type") == 0)
            out->content_type = yyjson_get_str(value);
        else
            answer_header(out, yyjson_get_str(name), "%s", yyjson_is_str(value) ? yyjson_get_str(value) : "");
    }
}

/* The answer that a fault puts in the place of the usual one. Nothing of it is billed. */
static void answer_fault(struct conn *c, const struct fake_dialect *d, const struct fault *f)
{
    unsigned status = f->status != 0 ? f->status : 200;
    if (f->body.p != NULL)
        buf_add(&c->answer.body, f->body);
    else
        d->write_error(&(struct refusal){.status = status}, &c->answer);
    c->answer.status = status;
    if (f->headers != NULL && yyjson_obj_get(f->headers, "retry-after") != NULL)
        buf_clear(&c->answer.headers); /* the one given counts */
}

static void identify_answer(struct conn *c, const struct fake_dialect *d)
{
    const char *name = d == &fake_anthropic ? "request-id" : d == &fake_converse ? "x-amzn-RequestId" : "x-request-id";
    answer_header(&c->answer, name, "req_%s_%llu", c->provider->name, (unsigned long long)c->call->number);
}

/* A look-alike's rules stand in the place of OpenAI's own. */
static const struct fake_host *host_of(const struct conn *c, const struct fake_dialect *d)
{
    return d == &fake_openai ? c->provider->host : NULL;
}

static void read_ask(struct conn *c, const struct fake_dialect *d, const struct http1_head *head, yyjson_val *root,
                     struct ask *ask, struct refusal *refusal)
{
    const struct fake_host *host = host_of(c, d);
    d->read(root, head, !c->provider->lax && host == NULL, ask, refusal, &c->arena);
    ask->host = host;
    if (host != NULL) host_check(host, root, head->path, refusal, &c->arena);
}

static void write_refusal(struct conn *c, const struct fake_dialect *d, const struct refusal *refusal)
{
    const struct fake_host *host = host_of(c, d);
    if (host != NULL)
        host_write_error(host, refusal, &c->answer);
    else
        d->write_error(refusal, &c->answer);
}

static void serve_chat(struct conn *c, const struct fake_dialect *d, const struct http1_head *head, struct str body,
                       const struct fault **ret_fault)
{
    struct ask ask = {0};
    struct refusal refusal = {0};
    yyjson_doc *doc = yyjson_read(body.p, body.n, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (!yyjson_is_obj(root))
        refusal =
            (struct refusal){400, "invalid_request_error", NULL, STR_NULL, STR("We could not parse the JSON body.")};
    else if (identity_check(c->provider, head, body, &c->arena, &refusal))
        read_ask(c, d, head, root, &ask, &refusal);
    free((char *)(uintptr_t)c->call->model.p);
    c->call->model = own_model(ask.model);
    c->call->dialect = d->name;
    c->call->stream = ask.stream;
    struct fault_facts facts = {c->call->path, ask.model, str_of(d->name), ask.last_text, ask.stream};
    const struct fault *f = faults_take(&c->provider->faults, &facts, false);
    *ret_fault = f;
    if (f != NULL && (f->status != 0 || f->body.p != NULL || f->raw.p != NULL))
        answer_fault(c, d, f);
    else if (refusal.status != 0 || refuse_by_model(ask.model, &refusal))
        write_refusal(c, d, &refusal);
    else if (endpoint_of(head->path) == EP_COUNT_GEMINI)
        buf_addf(&c->answer.body, "{\"totalTokens\":%llu}\n", (unsigned long long)ask.input_tokens);
    else if (endpoint_of(head->path) == EP_COUNT)
        buf_addf(&c->answer.body, "{\"input_tokens\":%llu}\n", (unsigned long long)ask.input_tokens);
    else
        answer_ask(c, d, &ask, f);
    if (invoke_is_path(head->path) && (f == NULL || f->body.p == NULL)) invoke_wrap(&c->answer, refusal.code);
    yyjson_doc_free(doc);
}

/* Endpoints that are no chat. */
static bool serve_plain(struct conn *c, const struct fake_dialect *d, const struct http1_head *head, struct str body)
{
    struct refusal refusal = {0};
    struct plain_call call = {.of = c->provider, .head = head, .body = body, .arena = &c->arena};
    if (vectors_dialect(head->path) == d && str_is(head->method, "POST"))
        vectors_serve(&call, &refusal, &c->answer);
    else if (!c->provider->speaks_openai ||
             (!ark_serve(&call, &refusal, &c->answer) && !plain_serve(&call, &refusal, &c->answer)))
        return false;
    if (refusal.status == 0 && !identity_check(c->provider, head, body, &c->arena, &refusal) && refusal.status == 0)
        refusal.status = 401;
    if (refusal.status == 0) (void)refuse_by_model(call.model, &refusal);
    free((char *)(uintptr_t)c->call->model.p);
    c->call->model = own_model(call.model);
    c->call->dialect = d->name;
    c->call->stream = call.stream;
    if (refusal.status != 0) {
        answer_reset(&c->answer);
        d->write_error(&refusal, &c->answer);
        return true;
    }
    c->call->usage.input = call.input;
    c->call->usage.output = call.output;
    c->call->usage_sent = call.input > 0;
    return true;
}

static void finish(struct conn *c, const struct fake_dialect *d, const struct fault *f, bool keep_alive)
{
    identify_answer(c, d);
    if (f != NULL) add_fault_headers(&c->answer, f);
    c->call->status = f != NULL && f->raw.p != NULL ? 0 : c->answer.status;
    c->call->fault = f != NULL ? f->id : 0;
    program_build(&c->program, &c->answer, f, d, c->provider->pace, keep_alive);
}

void serve(struct conn *c, const struct http1_head *head, struct str body)
{
    struct provider *p = c->provider;
    answer_reset(&c->answer);
    if (control(p, head, body, &c->answer)) {
        program_build(&c->program, &c->answer, NULL, NULL, (struct program_pace){0}, head->keep_alive);
        return;
    }
    if (identity_serve(c, head, body)) {
        program_build(&c->program, &c->answer, NULL, NULL, (struct program_pace){0}, head->keep_alive);
        return;
    }
    const struct fake_dialect *d = dialect_of(p, head);
    enum endpoint endpoint = endpoint_of(head->path);
    const struct fault *f = NULL;
    c->call = call_new(p, head, body);
    bool post = str_is(head->method, "POST");
    if (post && ((endpoint == EP_CHAT && p->speaks_openai) || (endpoint == EP_RESPONSES && p->speaks_responses) ||
                 (endpoint == EP_CONVERSE && p->speaks_converse) ||
                 ((endpoint == EP_MESSAGES || endpoint == EP_COUNT) && p->speaks_anthropic) ||
                 (endpoint == EP_COHERE && p->speaks_cohere) || (endpoint == EP_OLLAMA && p->speaks_ollama) ||
                 ((endpoint == EP_GENERATE || endpoint == EP_COUNT_GEMINI) && p->speaks_gemini))) {
        serve_chat(c, d, head, body, &f);
    } else {
        struct fault_facts facts = {c->call->path, STR_NULL, STR_NULL, STR_NULL, false};
        f = faults_take(&p->faults, &facts, false);
        if (f != NULL && (f->status != 0 || f->body.p != NULL || f->raw.p != NULL))
            answer_fault(c, d, f);
        else if (serve_plain(c, d, head, body))
            ;
        else if (endpoint == EP_MODELS && str_is(head->method, "GET"))
            list_models(d, &c->answer);
        else
            not_found(d, head, c);
    }
    finish(c, d, f, head->keep_alive);
}

bool serve_early(struct conn *c, const struct http1_head *head)
{
    struct fault_facts facts = {head->path, STR_NULL, STR_NULL, STR_NULL, false};
    if (c->provider->faults.first == NULL || str_starts(head->path, STR("/_fake/"))) return false;
    const struct fault *f = faults_take(&c->provider->faults, &facts, true);
    if (f == NULL) return false;
    const struct fake_dialect *d = dialect_of(c->provider, head);
    answer_reset(&c->answer);
    c->call = call_new(c->provider, head, STR_NULL);
    answer_fault(c, d, f);
    finish(c, d, f, false); /* the rest of the request would be taken for the next one */
    return true;
}
