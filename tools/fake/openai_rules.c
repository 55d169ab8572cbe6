#include "tools/fake/openai_rules.h"

struct openai_model openai_model_of(struct str name)
{
    struct openai_model m = {0};
    bool o = name.n >= 2 && name.p[0] == 'o' && name.p[1] >= '1' && name.p[1] <= '9';
    if (str_starts(name, STR("gpt-")) && name.n > 4) {
        m.gpt = name.p[4] >= '0' && name.p[4] <= '9' ? (unsigned)(name.p[4] - '0') * 10 : 0;
        if (m.gpt > 0 && name.n > 6 && name.p[5] == '.' && name.p[6] >= '0' && name.p[6] <= '9')
            m.gpt += (unsigned)(name.p[6] - '0');
    }
    m.known = o || m.gpt > 0;
    m.reasons = o || m.gpt >= 50;
    m.no_none = o || m.gpt == 50 || str_contains(name, STR("astra"));
    return m;
}

static void unsupported(const char *param, const char *code, struct str message, struct refusal *refusal)
{
    refuse(refusal, 400, "invalid_request_error", code, str_of(param), message);
}

static bool is_said(yyjson_val *v)
{
    return v != NULL && !yyjson_is_null(v);
}

void openai_check_sampling(const struct openai_model *m, yyjson_val *body, yyjson_val *effort, struct refusal *refusal,
                           struct arena *a)
{
    static const char *const gone[] = {"stop", "frequency_penalty", "presence_penalty", "logit_bias"};
    static const char *const only_1[] = {"temperature", "top_p"};
    if (!m->reasons) return;
    /* GPT-5.1 to 5.5 take sampling while they do not reason, which they do not unless asked. */
    bool reasons = m->gpt < 51 || m->gpt > 55 || (is_said(effort) && !val_is(effort, "none"));
    if (is_said(yyjson_obj_get(body, "max_tokens")))
        unsupported("max_tokens", "unsupported_parameter",
                    STR("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                        "'max_completion_tokens' instead."),
                    refusal);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        yyjson_val *v = yyjson_obj_get(body, gone[i]);
        if (is_said(v) && !(yyjson_is_num(v) && yyjson_get_num(v) == 0) && (reasons || i == 0))
            unsupported(gone[i], "unsupported_parameter",
                        arena_printf(a, "Unsupported parameter: '%s' is not supported with this model.", gone[i]),
                        refusal);
    }
    for (size_t i = 0; i < sizeof only_1 / sizeof *only_1 && reasons; i++) {
        yyjson_val *v = yyjson_obj_get(body, only_1[i]);
        if (is_said(v) && yyjson_get_num(v) != 1)
            unsupported(
                only_1[i], "unsupported_value",
                arena_printf(a,
                             "Unsupported value: '%s' does not support %g with this model. Only the default (1) "
                             "value is supported.",
                             only_1[i], yyjson_get_num(v)),
                refusal);
    }
}

void openai_check_effort(const struct openai_model *m, yyjson_val *effort, const char *param, struct refusal *refusal,
                         struct arena *a)
{
    static const char *const words[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
    size_t i = 0;
    if (!is_said(effort)) return;
    while (i < sizeof words / sizeof *words && !val_is(effort, words[i])) i++;
    bool known = i < sizeof words / sizeof *words;
    bool wrong =
        !known || (i == 0 && m->no_none) || (i == 1 && m->known && m->gpt != 50) || (i >= 5 && m->known && m->gpt < 51);
    if (m->known && !m->reasons)
        unsupported(param, "unsupported_parameter",
                    arena_printf(a, "Unsupported parameter: '%s' is not supported with this model.", param), refusal);
    else if (wrong)
        unsupported(
            param, "unsupported_value",
            arena_printf(a, "Unsupported value: '%.*s' is not supported with this model.", STR_FMT(val_str(effort))),
            refusal);
}

/* ---- Schemas ---- */

struct checking {
    struct refusal *refusal;
    struct str what;
    const char *param;
    struct arena *a;
};

static void refuse_schema(struct checking *c, const char *why)
{
    unsupported(c->param, "invalid_json_schema",
                arena_printf(c->a, "Invalid schema for %.*s: %s", STR_FMT(c->what), why), c->refusal);
}

static bool requires(yyjson_val *schema, yyjson_val *key)
{
    yyjson_val *v;
    size_t i, n;
    yyjson_arr_foreach(yyjson_obj_get(schema, "required"), i, n, v)
    {
        if (str_eq(val_str(v), val_str(key))) return true;
    }
    return false;
}

static void check_schema(struct checking *c, yyjson_val *schema, unsigned depth)
{
    static const char *const maps[] = {"properties", "$defs", "definitions"};
    yyjson_val *key, *value, *properties = yyjson_obj_get(schema, "properties");
    size_t i, n;
    if (!yyjson_is_obj(schema) || depth > 32) return;
    if (yyjson_obj_get(schema, "allOf") != NULL || yyjson_obj_get(schema, "oneOf") != NULL)
        refuse_schema(c, "'allOf' and 'oneOf' are not permitted.");
    if (val_is(yyjson_obj_get(schema, "type"), "object") || properties != NULL) {
        if (!yyjson_is_false(yyjson_obj_get(schema, "additionalProperties")))
            refuse_schema(c, "'additionalProperties' is required to be supplied and to be false.");
        if (properties != NULL)
            yyjson_obj_foreach(properties, i, n, key, value) if (!requires(schema, key))
                refuse_schema(c, "'required' is required to be supplied and to be an array including every key in "
                                 "properties.");
    }
    for (size_t k = 0; k < sizeof maps / sizeof *maps; k++) {
        yyjson_val *map = yyjson_obj_get(schema, maps[k]);
        if (map != NULL) yyjson_obj_foreach(map, i, n, key, value) check_schema(c, value, depth + 1);
    }
    yyjson_arr_foreach(yyjson_obj_get(schema, "anyOf"), i, n, value) check_schema(c, value, depth + 1);
    check_schema(c, yyjson_obj_get(schema, "items"), depth + 1);
}

void openai_check_strict(yyjson_val *schema, struct str what, const char *param, struct refusal *refusal,
                         struct arena *a)
{
    struct checking c = {refusal, what, param, a};
    if (!val_is(yyjson_obj_get(schema, "type"), "object"))
        refuse_schema(&c, "schema must be a JSON Schema of 'type: \"object\"'.");
    check_schema(&c, schema, 0);
}

/* ---- The rest ---- */

bool openai_has_json(yyjson_val *v)
{
    yyjson_val *key, *one;
    size_t i, n;
    if (yyjson_is_str(v)) return str_icontains(val_str(v), STR("json"));
    yyjson_arr_foreach(v, i, n, one)
    {
        if (openai_has_json(one)) return true;
    }
    if (yyjson_is_obj(v)) yyjson_obj_foreach(v, i, n, key, one) if (openai_has_json(one)) return true;
    return false;
}

void openai_check_lengths(yyjson_val *body, struct refusal *refusal, struct arena *a)
{
    yyjson_val *metadata = yyjson_obj_get(body, "metadata"), *top = yyjson_obj_get(body, "top_logprobs");
    struct str key = val_str(yyjson_obj_get(body, "prompt_cache_key"));
    if (key.n > 64)
        unsupported("prompt_cache_key", "string_above_max_length",
                    arena_printf(a,
                                 "Invalid 'prompt_cache_key': string too long. Expected a string with maximum "
                                 "length 64, but got a string with length %zu instead.",
                                 key.n),
                    refusal);
    if (yyjson_obj_size(metadata) > 16)
        unsupported("metadata", "object_above_max_properties", STR("Invalid 'metadata': too many properties."),
                    refusal);
    if (is_said(top) && yyjson_get_num(top) > 20)
        unsupported("top_logprobs", "integer_above_max_value",
                    STR("Invalid 'top_logprobs': integer above maximum value. Expected a value <= 20."), refusal);
}
