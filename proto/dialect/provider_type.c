#include "proto/dialect/provider_type.h"

#include "proto/dialect/exchange.h"
#include "proto/dialect/gemini.h"
#include "proto/dialect/model_traits.h"
#include "proto/wire/json.h"
#include "proto/wire/url.h"

#include <stdio.h>

static const struct provider_type types[PROVIDER_TYPES] = {
#define PROVIDER_TYPE(i, n, d, b, v, ...) \
    [PROVIDER_##i] = {.name = n, .dialect = DIALECT_##d, .base_url = b, .variable = v, __VA_ARGS__},
#define PROVIDER_TYPE_LATER(n)
#include "proto/dialect/provider_types.tbl.h"
#undef PROVIDER_TYPE
#undef PROVIDER_TYPE_LATER
};

const char provider_type_words[] =
#define PROVIDER_TYPE(i, n, ...) n " "
#define PROVIDER_TYPE_LATER(n)
#include "proto/dialect/provider_types.tbl.h"
#undef PROVIDER_TYPE
#undef PROVIDER_TYPE_LATER
    "|"
#define PROVIDER_TYPE(i, n, ...)
#define PROVIDER_TYPE_LATER(n) " " n
#include "proto/dialect/provider_types.tbl.h"
    ;
#undef PROVIDER_TYPE
#undef PROVIDER_TYPE_LATER

const struct provider_type *provider_type_of(unsigned id)
{
    return &types[id < PROVIDER_TYPES ? id : 0];
}

uint32_t provider_type_dialects(unsigned id)
{
    const struct provider_type *t = provider_type_of(id);
    return t->also | UINT32_C(1) << t->dialect;
}

static bool is_hosted_claude(const struct provider_type *t, struct str model)
{
    return t->claude && str_icontains(model, STR("claude"));
}

enum dialect_id provider_dialect(unsigned type, uint32_t dialects, enum dialect_id client, struct str model)
{
    const struct provider_type *t = provider_type_of(type);
    if (is_hosted_claude(t, model)) return (t->claude_also >> client & 1) != 0 ? client : DIALECT_ANTHROPIC;
    return (dialects >> client & 1) != 0 ? client : t->dialect;
}

enum dialect_id provider_dialect_of_call(unsigned type, uint32_t dialects, enum dialect_id client, struct str model,
                                         const struct call *call)
{
    enum dialect_id d = provider_dialect(type, dialects, client, model);
    /* Bedrock counts what Converse would send: one form for all its models. */
    if (call->counts && type == PROVIDER_BEDROCK) return DIALECT_CONVERSE;
    if (d != DIALECT_OPENAI_CHAT || call->counts || (dialects & PROVIDER_SPEAKS(RESPONSES)) == 0) return d;
    struct openai_traits t = openai_traits_of(model);
    if (t.responses_only) return DIALECT_RESPONSES;
    if (!call->needs_tools) return d;
    bool reasons = t.reasons_always || call->reasoning == CALL_REASONING_ON ||
                   (call->reasoning == CALL_REASONING_UNSAID && t.reasons_unasked);
    return t.tools_in_responses && reasons ? DIALECT_RESPONSES : d;
}

/* ---- What it calls its models ---- */

static bool is_one_of(struct str word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (str_is(word, *words)) return true;
    return false;
}

static bool is_revision(struct str s) /* "v1:0", "v1" */
{
    return s.n >= 2 && s.p[0] == 'v' && s.p[1] >= '0' && s.p[1] <= '9';
}

struct provider_model provider_model(unsigned type, struct str model)
{
    static const char *const geographies[] = {"us", "eu", "apac", "jp", "au", "ca", "in", "us-gov", "global", NULL};
    static const char *const makers[] = {"anthropic", "amazon", "openai", "meta", "mistral", "deepseek", "qwen", NULL};
    struct provider_model m = {.name = model};
    struct str rest = model, first = str_split(&rest, '.');
    if (type != PROVIDER_BEDROCK) return m;
    if (rest.n > 0 && is_one_of(first, geographies)) {
        m.geography = first;
        m.name = rest;
        first = str_split(&rest, '.');
    }
    if (rest.n > 0 && is_one_of(first, makers)) m.name = rest;
    ptrdiff_t dash = str_rchr(m.name, '-');
    if (dash > 0 && is_revision(str_slice(m.name, (size_t)dash + 1, m.name.n)))
        m.name = str_slice(m.name, 0, (size_t)dash);
    return m;
}

/* ---- Where it answers ---- */

static struct str fill(struct str form, const char *name, struct str value, struct arena *a)
{
    struct str mark = str_of(name);
    for (size_t i = 0; i + mark.n <= form.n; i++)
        if (str_eq(str_slice(form, i, i + mark.n), mark))
            return arena_printf(a, "%.*s%.*s%.*s", STR_FMT(str_slice(form, 0, i)), STR_FMT(value),
                                STR_FMT(str_slice(form, i + mark.n, form.n)));
    return form;
}

struct str provider_base_url(unsigned type, struct str region, struct str location, struct arena *a)
{
    struct str url = str_of(provider_type_of(type)->base_url);
    if (type == PROVIDER_VERTEX &&
        (str_is(location, "us") || str_is(location, "eu"))) /* multi-regions have hosts of their own */
        return arena_printf(a, "https://aiplatform.%.*s.rep.googleapis.com/v1", STR_FMT(location));
    if (str_is(location, "global"))
        location = STR_NULL;
    else
        location = arena_printf(a, "%.*s-", STR_FMT(location));
    url = fill(fill(url, "{location}", location, a), "{region}", region, a);
    return str_starts(region, STR("cn-")) && str_ends(url, STR("amazonaws.com"))
               ? arena_printf(a, "%.*s.cn", STR_FMT(url))
               : url;
}

unsigned provider_type_at(unsigned type, struct str host)
{
    const char *why;
    struct url url;
    for (unsigned i = 0; i < PROVIDER_TYPES && type == PROVIDER_OPENAI; i++)
        if (types[i].dialect == DIALECT_OPENAI_CHAT && url_parse(str_of(types[i].base_url), &url, &why) && url.tls &&
            str_ieq(url.host, host))
            return i;
    return type;
}

struct str provider_path(unsigned type, const struct provider_place *place, struct arena *a)
{
    const struct provider_type *t = provider_type_of(type);
    return t->path != NULL ? t->path(place, a) : exchange_target_path(place->x, place->base_path, a);
}

/* Nothing stands between the base and the path. */
struct str provider_path_bare(const struct provider_place *p, struct arena *a)
{
    bool is_raw = p->x->passed != NULL && p->x->passed->kind == ENDPOINT_RAW;
    if (is_raw) return exchange_target_path(p->x, p->base_path, a);
    return arena_printf(a, "%.*s%.*s", STR_FMT(p->base_path), STR_FMT(exchange_path(p->x)));
}

static struct str encoded(struct str model, struct arena *a)
{
    struct buf b = {0};
    url_percent_encode(model, "@", &b);
    struct str copy = arena_copy(a, buf_view(&b));
    buf_fini(&b);
    return copy;
}

/* v1: ".../openai/v1/chat/completions", the deployment in the body. Dated: ".../openai/deployments/D/chat/completions?api-version=…". */
struct str provider_path_azure(const struct provider_place *p, struct arena *a)
{
    struct str path = exchange_path(p->x), base = p->base_path, model;
    bool is_raw = p->x->passed != NULL && p->x->passed->kind == ENDPOINT_RAW;
    if (is_raw) return exchange_target_path(p->x, base, a);
    if (p->x->target->id == DIALECT_ANTHROPIC) { /* Foundry has Claude beside "/openai/v1" */
        ptrdiff_t openai = str_find(base, STR("/openai"));
        return arena_printf(a, "%.*s/anthropic/v1%.*s",
                            STR_FMT(openai >= 0 ? str_slice(base, 0, (size_t)openai) : base), STR_FMT(path));
    }
    if (p->api_version.n == 0) return exchange_target_path(p->x, base.n > 0 ? base : STR("/openai/v1"), a);
    if (base.n == 0) base = STR("/openai");
    if (p->x->target->id == DIALECT_RESPONSES || (p->x->passed != NULL && p->model.n == 0)) /* files, batches … */
        return arena_printf(a, "%.*s%.*s?api-version=%.*s", STR_FMT(base), STR_FMT(path), STR_FMT(p->api_version));
    model = encoded(p->model, a);
    return arena_printf(a, "%.*s/deployments/%.*s%.*s?api-version=%.*s", STR_FMT(base), STR_FMT(model), STR_FMT(path),
                        STR_FMT(p->api_version));
}

struct str provider_path_vertex(const struct provider_place *p, struct arena *a)
{
    const struct exchange *x = p->x;
    struct str model = encoded(p->model, a);
    if (x->target->id == DIALECT_ANTHROPIC && x->call->counts) /* the model is named in the body */
        return arena_printf(a, "%.*s/anthropic/models/count-tokens:rawPredict", STR_FMT(p->base_path));
    if (x->target->id == DIALECT_ANTHROPIC)
        return arena_printf(a, "%.*s/anthropic/models/%.*s:%s", STR_FMT(p->base_path), STR_FMT(model),
                            x->stream ? "streamRawPredict" : "rawPredict");
    return arena_printf(a, "%.*s/google/models/%.*s%s", STR_FMT(p->base_path), STR_FMT(model),
                        gemini_method(x->stream, x->call->counts, x->frames.framing == FRAMING_JSON_ARRAY));
}

struct str provider_path_bedrock(const struct provider_place *p, struct arena *a)
{
    const struct exchange *x = p->x;
    if (x->target->id != DIALECT_ANTHROPIC && !x->call->counts) return exchange_target_path(x, p->base_path, a);
    struct buf b = {0};
    url_percent_encode(p->model, "", &b);
    struct str path = arena_printf(a, "%.*s/model/%.*s/%s", STR_FMT(p->base_path), STR_FMT(buf_view(&b)),
                                   x->call->counts ? "count-tokens"
                                   : x->stream     ? "invoke-with-response-stream"
                                                   : "invoke");
    buf_fini(&b);
    return path;
}

/* ---- What it is sent ---- */

/* "a,b" to ["a","b"]; nothing where there are none. */
static void add_betas(struct str betas, struct buf *out)
{
    while (betas.n > 0) {
        struct str one = str_trim(str_split(&betas, ','));
        if (one.n == 0) continue;
        buf_addz(out, buf_len(out) == 0 ? "[" : ",");
        buf_add_json_str(out, one);
    }
    if (buf_len(out) > 0) buf_addc(out, ']');
}

bool provider_body(unsigned type, const struct exchange *x, struct str body, struct str betas, struct buf *out)
{
    const struct provider_type *t = provider_type_of(type);
    struct json_patch patch[4] = {{"model", STR_NULL}};
    struct buf scratch = {0}, list = {0};
    struct str value;
    char version[40];
    unsigned n = x->call->counts ? 0 : 1; /* Vertex counts for a model that the body names */
    if (t->claude_version == NULL || x->target->id != DIALECT_ANTHROPIC) return false;
    if (json_find(body, "anthropic_version", &value, &scratch) == JSON_ABSENT) {
        snprintf(version, sizeof version, "\"%s\"", t->claude_version);
        patch[n++] = (struct json_patch){"anthropic_version", str_of(version)};
    }
    if (t->claude_invoked) {
        patch[n++] = (struct json_patch){"stream", STR_NULL};
        add_betas(betas, &list);
        if (buf_len(&list) > 0 && json_find(body, "anthropic_beta", &value, &scratch) == JSON_ABSENT)
            patch[n++] = (struct json_patch){"anthropic_beta", buf_view(&list)};
    }
    bool is_written = json_splice(body, patch, n, out);
    buf_fini(&scratch);
    buf_fini(&list);
    return is_written;
}
