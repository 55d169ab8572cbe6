#include "tools/fake/host.h"

#include "tools/fake/openai.h"

#include <string.h>

/* A host is strict where it was seen to be; what it is not known to refuse it takes. */
static const struct fake_host hosts[] = {
    {.name = "mistral",
     .status = 422,
     .errors = ERRORS_DETAIL,
     .knows = "model messages temperature top_p max_tokens stream stop random_seed metadata response_format tools "
              "tool_choice presence_penalty frequency_penalty n prediction parallel_tool_calls reasoning_effort "
              "prompt_mode guardrails prompt_cache_key safe_prompt",
     .message_knows = "role content tool_calls tool_call_id prefix",
     .efforts = "none high",
     .nine_ids = true,
     .strict_tools = true,
     .forced_tools = true,
     .hot = true,
     .usage = USAGE_BARE,
     .reasoning = "",
     .usage_at_finish = true},
    {.name = "groq",
     .status = 400,
     .refuses = "logprobs top_logprobs logit_bias store",
     .message_knows = "role content tool_calls tool_call_id function_call reasoning",
     .developer = true,
     .strict_tools = true,
     .forced_tools = true,
     .hot = true,
     .reasoning = "reasoning",
     .usage_in_x_groq = true},
    {.name = "deepseek",
     .status = 400,
     .refuses = "max_completion_tokens",
     .strict_tools = true,
     .forced_tools = true,
     .hot = true,
     .usage = USAGE_DEEPSEEK,
     .reasoning = "reasoning_content"},
    {.name = "xai",
     .status = 400,
     .errors = ERRORS_STRING,
     .refuses = "presence_penalty frequency_penalty",
     .models = "grok-build grok-code grok-4.20",
     .model_refuses = "reasoning_effort",
     .strict_tools = true,
     .forced_tools = true,
     .hot = true,
     .usage = USAGE_REASONING_OUTSIDE,
     .reasoning = "reasoning_content"},
    {.name = "cerebras",
     .status = 400,
     .errors = ERRORS_FLAT,
     .refuses = "frequency_penalty presence_penalty logit_bias parallel_tool_calls service_tier store",
     .message_refuses = "reasoning_content refusal annotations",
     .strict_tools = true,
     .forced_tools = true,
     .hot = true,
     .reasoning = "reasoning"},
    {.name = "moonshot",
     .status = 400,
     .refuses = "store",
     .models = "kimi-",
     .model_refuses = "temperature top_p presence_penalty frequency_penalty",
     .efforts = "low high max",
     .hot = true,
     .usage = USAGE_CACHED_AT_TOP,
     .reasoning = "reasoning_content"},
    {.name = "zai",
     .status = 400,
     .errors = ERRORS_NUMBERED,
     .refuses = "max_completion_tokens presence_penalty frequency_penalty store",
     .message_refuses = "name",
     .reasoning = "reasoning_content"},
    {.name = "nvidia",
     .status = 422,
     .errors = ERRORS_DETAIL,
     .refuses = "max_completion_tokens store",
     .forced_tools = true,
     .hot = true,
     .reasoning = "reasoning_content"},
    {.name = "together",
     .status = 400,
     .refuses = "max_completion_tokens store",
     .forced_tools = true,
     .hot = true,
     .reasoning = "reasoning"},
    {.name = "perplexity",
     .path = "/chat/completions",
     .status = 400,
     .developer = true,
     .strict_tools = true,
     .forced_tools = true,
     .hot = true,
     .reasoning = "reasoning_content"},
};

const struct fake_host *host_named(struct str name)
{
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (str_is(name, hosts[i].name)) return &hosts[i];
    return NULL;
}

/* ---- Refusing ---- */

static bool has_word(const char *list, struct str word)
{
    struct str rest = str_of(list == NULL ? "" : list);
    while (rest.n > 0)
        if (str_eq(str_split(&rest, ' '), word)) return true;
    return false;
}

static bool names_one(const char *list, struct str text)
{
    struct str rest = str_of(list == NULL ? "" : list);
    while (rest.n > 0)
        if (str_contains(text, str_split(&rest, ' '))) return true;
    return false;
}

struct check {
    const struct fake_host *h;
    struct refusal *refusal;
    struct arena *a;
};

static void no(struct check *c, struct str param, const char *why)
{
    refuse(c->refusal, c->h->status, "invalid_request_error", "wrong_api_format", param,
           arena_printf(c->a, "property '%.*s' is unsupported: %s", STR_FMT(param), why));
}

static void check_members(struct check *c, yyjson_val *o, const char *knows, const char *refuses)
{
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(o, i, n, key, value)
    {
        struct str name = val_str(key);
        if ((knows != NULL && !has_word(knows, name)) || has_word(refuses, name))
            no(c, name, "Extra inputs are not permitted");
    }
}

static void check_id(struct check *c, yyjson_val *v)
{
    struct str id = val_str(v);
    bool plain = is_tool_id(id) && !str_contains(id, STR("_")) && !str_contains(id, STR("-"));
    if (c->h->nine_ids && v != NULL && (id.n != 9 || !plain))
        no(c, STR("tool_calls"), "Tool call id must be a-z, A-Z, 0-9, with a length of 9.");
}

static void check_message(struct check *c, yyjson_val *message)
{
    size_t i, n;
    yyjson_val *call;
    check_members(c, message, c->h->message_knows, c->h->message_refuses);
    if (!c->h->developer && val_is(yyjson_obj_get(message, "role"), "developer"))
        no(c, STR("role"), "unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`");
    check_id(c, yyjson_obj_get(message, "tool_call_id"));
    yyjson_arr_foreach(yyjson_obj_get(message, "tool_calls"), i, n, call) check_id(c, yyjson_obj_get(call, "id"));
}

static void check_tools(struct check *c, yyjson_val *body)
{
    size_t i, n;
    yyjson_val *tool, *choice = yyjson_obj_get(body, "tool_choice");
    yyjson_arr_foreach(yyjson_obj_get(body, "tools"), i, n, tool)
    {
        if (!c->h->strict_tools && yyjson_obj_get(yyjson_obj_get(tool, "function"), "strict") != NULL)
            no(c, STR("tools.strict"), "not known");
    }
    if (!c->h->forced_tools && choice != NULL && !val_is(choice, "auto") && !val_is(choice, "none"))
        no(c, STR("tool_choice"), "incompatible with thinking enabled");
}

void host_check(const struct fake_host *h, yyjson_val *body, struct str path, struct refusal *refusal, struct arena *a)
{
    struct check c = {h, refusal, a};
    size_t i, n;
    yyjson_val *message, *effort = yyjson_obj_get(body, "reasoning_effort");
    if (h->path != NULL && !str_is(path, h->path))
        refuse(refusal, 404, "not_found", NULL, STR_NULL, STR("no such path here"));
    check_members(&c, body, h->knows, h->refuses);
    if (names_one(h->models, val_str(yyjson_obj_get(body, "model")))) check_members(&c, body, NULL, h->model_refuses);
    yyjson_arr_foreach(yyjson_obj_get(body, "messages"), i, n, message) check_message(&c, message);
    check_tools(&c, body);
    if (effort != NULL && h->efforts != NULL && !has_word(h->efforts, val_str(effort)))
        no(&c, STR("reasoning_effort"), "no such effort");
    yyjson_val *temperature = yyjson_obj_get(body, "temperature");
    if (!h->hot && temperature != NULL && yyjson_get_num(temperature) > 1) no(&c, STR("temperature"), "at most 1");
}

/* ---- Answering ---- */

void host_write_error(const struct fake_host *h, const struct refusal *refusal, struct answer *out)
{
    struct buf *b = &out->body;
    struct str message = refusal->message.n > 0 ? refusal->message : STR("It went wrong.");
    out->status = refusal->status;
    switch (h->errors) {
    case ERRORS_AS_OPENAI: openai_write_error(refusal, out); return;
    case ERRORS_DETAIL:
        buf_addz(b, "{\"object\":\"error\",\"message\":{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",");
        buf_add_json_str(b, refusal->param);
        buf_addz(b, "],\"msg\":");
        buf_add_json_str(b, message);
        buf_addz(b, "}]},\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}");
        break;
    case ERRORS_FLAT:
        buf_addz(b, "{\"message\":");
        buf_add_json_str(b, message);
        buf_addz(b,
                 ",\"type\":\"invalid_request_error\",\"param\":\"validation_error\",\"code\":\"wrong_api_format\"}");
        break;
    case ERRORS_STRING:
        buf_addz(b, "{\"code\":\"Client specified an invalid argument\",\"error\":");
        buf_add_json_str(b, message);
        buf_addz(b, "}");
        break;
    case ERRORS_NUMBERED:
        buf_addz(b, "{\"error\":{\"code\":\"1210\",\"message\":");
        buf_add_json_str(b, message);
        buf_addz(b, "}}");
        break;
    }
}

void host_bill(const struct fake_host *h, struct plan_usage *u)
{
    if (h->usage == USAGE_BARE || h->usage == USAGE_CACHED_AT_TOP) u->reasoning = 0;
    u->input += u->cache_write + u->cache_write_1h;
    u->cache_write = u->cache_write_1h = 0;
    if (h->usage != USAGE_BARE) return;
    u->input += u->cache_read;
    u->cache_read = 0;
}

void host_add_usage(const struct fake_host *h, const struct plan_usage *u, unsigned choices, struct buf *out)
{
    unsigned long long in = u->input + u->cache_read + u->cache_write + u->cache_write_1h, cached = u->cache_read;
    unsigned long long output = u->output * choices, reasoning = u->reasoning * choices;
    unsigned long long told = h->usage == USAGE_REASONING_OUTSIDE ? output - reasoning : output;
    buf_addf(out, "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu", in, told, in + output);
    switch (h->usage) {
    case USAGE_AS_OPENAI:
    case USAGE_REASONING_OUTSIDE:
        buf_addf(out,
                 ",\"prompt_tokens_details\":{\"cached_tokens\":%llu},\"completion_tokens_details\":{"
                 "\"reasoning_tokens\":%llu}",
                 cached, reasoning);
        break;
    case USAGE_DEEPSEEK:
        buf_addf(out,
                 ",\"prompt_cache_hit_tokens\":%llu,\"prompt_cache_miss_tokens\":%llu,\"completion_tokens_details\":{"
                 "\"reasoning_tokens\":%llu}",
                 cached, in - cached, reasoning);
        break;
    case USAGE_CACHED_AT_TOP: buf_addf(out, ",\"cached_tokens\":%llu", cached); break;
    case USAGE_BARE: break;
    }
    buf_addc(out, '}');
}
