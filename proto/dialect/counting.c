#include "proto/dialect/counting.h"

#include "proto/dialect/chat.h"
#include "proto/dialect/passthrough.h"
#include "proto/dialect/provider_type.h"
#include "proto/wire/json.h"

enum { BYTES_PER_TOKEN = 4 };

bool counting_is_served(unsigned provider_type, enum dialect_id target, struct str model)
{
    if (provider_type == PROVIDER_BEDROCK)
        return str_icontains(model, STR("claude")); /* of other makers' few, if any */
    return target == DIALECT_ANTHROPIC || target == DIALECT_GEMINI;
}

static struct str copied(struct buf *b, struct arena *a)
{
    struct str copy = arena_copy(a, buf_view(b));
    buf_fini(b);
    return copy;
}

/* ---- the request ---- */

static struct str model_path(struct str model, struct arena *a)
{
    struct buf b = {0};
    buf_addz(&b, "\"models/");
    buf_add_json(&b, model);
    buf_addc(&b, '"');
    return copied(&b, a);
}

/* Gemini: the whole request may stand in a member of its own, which names the model again. */
static enum weir_err pass_wrapped(struct exchange *x, struct str body, struct str inner, struct buf *out)
{
    struct buf changed = {0};
    const struct json_patch model = {"model", model_path(x->model, x->arena)};
    bool good = json_splice(inner, &model, 1, &changed);
    const struct json_patch whole = {"generateContentRequest", buf_view(&changed)};
    good = good && json_splice(body, &whole, 1, out);
    buf_fini(&changed);
    return good ? WEIR_OK : WEIR_BAD_REQUEST;
}

/* A body that the dialect's reader of chats takes. */
static struct str as_chat(const struct exchange *x, struct str body)
{
    struct buf b = {0}, scratch = {0};
    struct str inner;
    const struct json_patch limit = {"max_tokens", STR("1")};
    enum json_find found = json_find(body, "generateContentRequest", &inner, &scratch);
    buf_fini(&scratch);
    if (x->client->id == DIALECT_GEMINI) return found == JSON_FOUND ? inner : body;
    if (x->client->id != DIALECT_ANTHROPIC || !json_splice(body, &limit, 1, &b)) return body;
    return copied(&b, x->arena);
}

/* Anthropic refuses here what does not change the count. */
static bool keep_countable(struct str chat, struct buf *out)
{
    static const char *const gone[] = {"max_tokens",     "stream",   "temperature",  "top_p",        "top_k",
                                       "stop_sequences", "metadata", "service_tier", "output_config"};
    struct json_patch patch[sizeof gone / sizeof *gone];
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) patch[i] = (struct json_patch){gone[i], STR_NULL};
    return json_splice(chat, patch, sizeof gone / sizeof *gone, out);
}

/* {"input":{"converse":{…}}}, with what makes the prompt alone. Source: Bedrock API reference, CountTokens, ConverseTokensRequest. */
static bool wrap_converse(struct str chat, struct buf *out)
{
    static const char *const gone[] = {"inferenceConfig",   "additionalModelResponseFieldPaths",
                                       "guardrailConfig",   "requestMetadata",
                                       "performanceConfig", "serviceTier",
                                       "outputConfig"};
    struct json_patch patch[sizeof gone / sizeof *gone];
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) patch[i] = (struct json_patch){gone[i], STR_NULL};
    buf_addz(out, "{\"input\":{\"converse\":");
    bool good = json_splice(chat, patch, sizeof gone / sizeof *gone, out);
    buf_addz(out, "}}");
    return good;
}

static bool wrap(struct exchange *x, struct str chat, struct buf *out)
{
    if (x->target->id == DIALECT_ANTHROPIC) return keep_countable(chat, out);
    if (x->target->id == DIALECT_CONVERSE) return wrap_converse(chat, out);
    if (x->hints.bare_count) {
        buf_add(out, chat);
        return true;
    }
    const struct json_patch model = {"model", model_path(x->model, x->arena)};
    buf_addz(out, "{\"generateContentRequest\":");
    bool good = json_splice(chat, &model, 1, out);
    buf_addc(out, '}');
    return good;
}

enum weir_err counting_request(struct exchange *x, struct str body, struct buf *out, struct str *ret_why)
{
    struct loss loss = {.n = 0};
    struct buf chat = {0}, scratch = {0};
    struct str inner;
    if (x->same) {
        bool wrapped = x->client->id == DIALECT_GEMINI &&
                       json_find(body, "generateContentRequest", &inner, &scratch) == JSON_FOUND;
        buf_fini(&scratch);
        if (wrapped) return pass_wrapped(x, body, inner, out);
        return passthrough_request(x->client->id, x->call, body, x->model, x->arena, out, &x->loss, ret_why);
    }
    enum weir_err e = x->client->read_request(as_chat(x, body), x->arena, &x->chat, ret_why);
    if (e == WEIR_OK) x->chat->stream = false;
    if (e == WEIR_OK) e = x->target->write_request(x->chat, x->model, &x->hints, &chat, &loss, x->arena, ret_why);
    if (e == WEIR_OK && !wrap(x, buf_view(&chat), out)) e = WEIR_BAD_REQUEST;
    if (e == WEIR_OK) x->loss = arena_copy(x->arena, loss_view(&loss));
    buf_fini(&chat);
    return e;
}

/* ---- the answer ---- */

int64_t counting_estimate(const struct call *call)
{
    return call->input_bound / BYTES_PER_TOKEN + 1;
}

void counting_write(enum dialect_id client, int64_t tokens, struct buf *out)
{
    buf_addz(out, client == DIALECT_GEMINI ? "{\"totalTokens\":" : "{\"input_tokens\":");
    buf_add_i64(out, tokens);
    buf_addc(out, '}');
}

enum weir_err counting_answer(struct exchange *x, struct str body, struct buf *out)
{
    struct buf scratch = {0};
    struct str value = STR_NULL;
    struct json_error error;
    unsigned depth;
    int64_t tokens = -1;
    const char *member = x->target->id == DIALECT_GEMINI     ? "totalTokens"
                         : x->target->id == DIALECT_CONVERSE ? "inputTokens"
                                                             : "input_tokens";
    bool found = json_check(body, &depth, &error) && json_find(body, member, &value, &scratch) == JSON_FOUND &&
                 str_i64(value, &tokens) && tokens >= 0;
    buf_fini(&scratch);
    if (x->same)
        buf_add(out, body);
    else if (found)
        counting_write(x->client->id, tokens, out);
    else
        return WEIR_UP_PROTOCOL;
    x->facts |= EXCHANGE_END | EXCHANGE_CONTENT | EXCHANGE_FINISHED | EXCHANGE_USAGE;
    x->usage.known = USAGE_INPUT | USAGE_OUTPUT; /* nothing: it is not written, only counted */
    return WEIR_OK;
}
