/* What answers of any endpoint say was used. Shapes are told apart by their members, for look-alikes mix them. */
#include "proto/dialect/anthropic.h"
#include "proto/dialect/converse.h"
#include "proto/dialect/gemini.h"
#include "proto/dialect/openai_chat.h"
#include "proto/dialect/passed.h"
#include "proto/dialect/tree.h"
#include "proto/wire/json.h"

static bool figure(struct usage *u, int64_t *field, yyjson_val *o, const char *key)
{
    int64_t v;
    if (!tree_i64(yyjson_obj_get(o, key), &v)) return false;
    usage_set(u, field, v);
    return true;
}

/* "12.5" seconds in milliseconds; more decimals are cut. */
static bool read_seconds(yyjson_val *v, struct usage *u)
{
    struct str rest = tree_num(v), whole = str_split(&rest, '.');
    int64_t seconds, ms = 0;
    if (!str_i64(whole, &seconds) || seconds < 0) return false;
    for (size_t i = 0; i < 3; i++)
        ms = ms * 10 + (i < rest.n && rest.p[i] >= '0' && rest.p[i] <= '9' ? rest.p[i] - '0' : 0);
    usage_set(u, &u->milliseconds, seconds > USAGE_MAX / 1000 ? USAGE_MAX : seconds * 1000 + ms);
    return true;
}

/* OpenAI's newer form (Responses, images, transcriptions): totals that include what is cached. */
static bool read_items(yyjson_val *o, struct usage *u)
{
    yyjson_val *in = tree_get(o, "input_tokens_details"), *out = tree_get(o, "output_tokens_details");
    struct usage fresh = {.tier = u->tier, .milliseconds = u->milliseconds};
    int64_t total = 0;
    if (!figure(&fresh, &total, o, "input_tokens")) return false;
    fresh.known |= USAGE_INPUT;
    figure(&fresh, &fresh.cache_read, in, "cached_tokens");
    figure(&fresh, &fresh.in_image, in, "image_tokens");
    figure(&fresh, &fresh.in_audio, in, "audio_tokens");
    if (fresh.cache_read > total) fresh.cache_read = total;
    fresh.in_uncached = total - fresh.cache_read;
    if (figure(&fresh, &fresh.out_total, o, "output_tokens")) fresh.known |= USAGE_OUTPUT;
    figure(&fresh, &fresh.out_reasoning, out, "reasoning_tokens");
    figure(&fresh, &fresh.out_image, out, "image_tokens");
    if (fresh.out_reasoning > fresh.out_total) fresh.out_reasoning = fresh.out_total;
    *u = fresh;
    return true;
}

static bool is_anthropic(yyjson_val *root, yyjson_val *usage)
{
    struct str type = tree_get_str(root, "type");
    return yyjson_obj_get(usage, "cache_read_input_tokens") != NULL ||
           yyjson_obj_get(usage, "cache_creation_input_tokens") != NULL || str_is(type, "message") ||
           str_is(type, "message_delta");
}

static bool read_object(yyjson_val *root, yyjson_val *usage, struct usage *u)
{
    bool any = read_seconds(tree_get(usage, "seconds"), u);
    if (yyjson_obj_get(usage, "prompt_tokens") != NULL) return openai_chat_read_usage(root, u) || any;
    if (yyjson_obj_get(usage, "inputTokens") != NULL) return converse_read_usage(usage, u) || any;
    if (is_anthropic(root, usage)) return anthropic_read_usage(usage, u) || any;
    if (read_items(usage, u)) return true;
    if (figure(u, &u->in_uncached, usage, "total_tokens")) { /* of hosts that only embed or rank */
        u->known |= USAGE_INPUT | USAGE_OUTPUT;
        return true;
    }
    return any;
}

/* Cohere: what it bills, beside the answer. */
static bool read_billed(yyjson_val *o, struct usage *u)
{
    bool any = figure(u, &u->in_uncached, o, "input_tokens");
    if (any) u->known |= USAGE_INPUT | USAGE_OUTPUT;
    if (figure(u, &u->out_total, o, "output_tokens")) any = true;
    return figure(u, &u->units, o, "search_units") || any;
}

static bool read_tree(yyjson_val *root, struct usage *u)
{
    yyjson_val *inner = tree_get(root, "response"), *usage = tree_get(root, "usage");
    if (inner == NULL) inner = tree_get(root, "message");
    bool any = yyjson_is_obj(inner) && tree_get(inner, "usage") != NULL && read_tree(inner, u);
    if (yyjson_is_obj(usage)) any = read_object(root, usage, u) || any;
    if (yyjson_is_obj(tree_get(root, "usageMetadata")))
        any = gemini_read_usage(tree_get(root, "usageMetadata"), u) || any;
    if (figure(u, &u->in_uncached, root, "prompt_eval_count")) { /* Ollama */
        u->known |= USAGE_INPUT | USAGE_OUTPUT;
        any = true;
    }
    if (yyjson_is_obj(tree_get(tree_get(root, "meta"), "billed_units")))
        any = read_billed(tree_get(tree_get(root, "meta"), "billed_units"), u) || any;
    return any;
}

/* The few members that can hold usage, as one small object: an answer's vectors and pictures never become a tree. */
static bool pick(struct str json, struct buf *out)
{
    static const char *const names[] = {"usage", "usageMetadata", "meta",         "response",         "message",
                                        "type",  "x_groq",        "service_tier", "prompt_eval_count"};
    struct buf scratch = {0};
    struct json_member m;
    size_t at = 0;
    buf_addc(out, '{');
    while (json_next_member(json, &at, &m, &scratch))
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            if (!str_is(m.key, names[i])) continue;
            if (buf_len(out) > 1) buf_addc(out, ',');
            buf_add_json_str(out, m.key);
            buf_addc(out, ':');
            buf_add(out, m.value);
        }
    buf_fini(&scratch);
    buf_addc(out, '}');
    return buf_len(out) > 2;
}

bool passed_read_usage(struct str json, struct arena *a, struct usage *u)
{
    unsigned depth;
    struct json_error error;
    struct buf few = {0};
    struct str why = STR_NULL;
    yyjson_val *root;
    bool any = json_check(json, &depth, &error) && pick(json, &few) &&
               tree_read(buf_view(&few), a, &root, &why) == WEIR_OK && read_tree(root, u);
    buf_fini(&few);
    return any;
}

/* Elements of an array that has been checked. */
static int64_t count_elements(struct str array)
{
    int64_t n = 0;
    unsigned depth = 0;
    bool any = false;
    for (size_t i = 0; i < array.n; i++) {
        char c = array.p[i];
        if (c == '"') {
            for (i++; i < array.n && array.p[i] != '"'; i++)
                if (array.p[i] == '\\') i++;
            any = true;
        } else if (c == '[' || c == '{') {
            any = any || depth > 0;
            depth++;
        } else if (c == ']' || c == '}') {
            depth--;
        } else if (c == ',' && depth == 1) {
            n++;
        } else if (c > ' ' && depth > 0) {
            any = true;
        }
    }
    return any ? n + 1 : 0;
}

bool passed_settle(const struct endpoint *e, const struct call *call, struct str body, struct arena *a, struct usage *u)
{
    struct str value;
    struct buf scratch = {0};
    bool said = passed_read_usage(body, a, u),
         is_json = body.n > 0 && (body.p[0] == '{' || str_is_blank(str_slice(body, 0, 1)));
    unsigned depth;
    struct json_error error;
    is_json = is_json && json_check(body, &depth, &error);
    switch (e->meter) {
    case ENDPOINT_VIDEO: /* by its task's end */
    case ENDPOINT_FREE: u->known = USAGE_INPUT | USAGE_OUTPUT; return true;
    case ENDPOINT_IMAGES:
        u->units =
            is_json && json_find(body, "data", &value, &scratch) == JSON_FOUND ? count_elements(value) : call->units;
        break;
    case ENDPOINT_CHARACTERS: u->units = call->units; break;
    case ENDPOINT_SEARCHES:
        if (u->units == 0) u->units = 1;
        break;
    case ENDPOINT_SECONDS:
        if (u->milliseconds == 0 && is_json && json_find(body, "duration", &value, &scratch) == JSON_FOUND) {
            yyjson_val *v;
            struct str why = STR_NULL;
            if (tree_read(value, a, &v, &why) == WEIR_OK) (void)read_seconds(v, u);
        }
        break;
    case ENDPOINT_TOKENS: /* embeddings of Gemini say what was read, and write nothing */
        if (u->known & USAGE_INPUT) u->known |= USAGE_OUTPUT;
        break;
    }
    buf_fini(&scratch);
    return e->meter == ENDPOINT_TOKENS ? said && (u->known & USAGE_INPUT) != 0
                                       : said || u->units > 0 || u->milliseconds > 0;
}
