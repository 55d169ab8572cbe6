#include "proto/dialect/openai_rules.h"

#include "proto/dialect/exchange.h"
#include "proto/dialect/tree.h"
#include "proto/dialect/turns.h"
#include "proto/wire/json.h"

enum { PROPERTIES_MOST = 5000 };

/* ---- Strict schemas ---- */

static bool is_strict(yyjson_val *v);

static bool all_are_strict(yyjson_val *container)
{
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_arr_foreach(container, i, n, value)
    {
        if (!is_strict(value)) return false;
    }
    if (!yyjson_is_obj(container))
        return true; /* the walk over members steps behind a first one that has to be there */
    yyjson_obj_foreach(container, i, n, key, value)
    {
        if (!is_strict(value)) return false;
    }
    return true;
}

static bool is_listed(yyjson_val *list, struct str name)
{
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(list, i, n, v)
    {
        if (str_eq(tree_str(v), name)) return true;
    }
    return false;
}

static bool is_object(yyjson_val *schema)
{
    yyjson_val *type = tree_get(schema, "type");
    return str_is(tree_str(type), "object") || is_listed(type, STR("object")) || tree_get(schema, "properties") != NULL;
}

static bool has_refused_keyword(yyjson_val *schema)
{
    static const char *const words[] = {"allOf", "oneOf", "not",  "dependentRequired", "dependentSchemas",
                                        "if",    "then",  "else", "patternProperties"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (tree_member(schema, str_of(words[i])) != NULL) return true;
    return false;
}

static bool is_closed(yyjson_val *schema)
{
    yyjson_val *properties = tree_get(schema, "properties"), *required = tree_get(schema, "required"), *key, *value;
    size_t i, n;
    if (!yyjson_is_false(tree_get(schema, "additionalProperties"))) return false;
    if (yyjson_arr_size(required) != yyjson_obj_size(properties)) return false;
    if (yyjson_arr_size(required) > PROPERTIES_MOST)
        return false; /* OpenAI's limit is lower, and the search quadratic */
    if (properties != NULL)
        yyjson_obj_foreach(properties, i, n, key, value) if (!is_listed(required, tree_str(key))) return false;
    return true;
}

/* Recursion is bounded by the depth that the body was checked for. */
static bool is_strict(yyjson_val *v)
{
    if (!yyjson_is_obj(v) || has_refused_keyword(v)) return false;
    if (is_object(v) && !is_closed(v)) return false;
    yyjson_val *items = tree_get(v, "items");
    return all_are_strict(tree_get(v, "properties")) && all_are_strict(tree_get(v, "$defs")) &&
           all_are_strict(tree_get(v, "definitions")) && all_are_strict(tree_get(v, "anyOf")) &&
           (items == NULL || is_strict(items));
}

bool openai_schema_is_strict(struct str schema, struct arena *a)
{
    yyjson_val *root;
    struct str why;
    return tree_read(schema, a, &root, &why) == WEIR_OK && is_object(root) && tree_get(root, "anyOf") == NULL &&
           is_strict(root);
}

int8_t openai_strictness(const struct chat *chat, const struct openai_traits *t, int8_t said, struct str schema,
                         struct arena *a, struct loss *loss)
{
    if (said != 1 || chat->of_openai || !t->user || openai_schema_is_strict(schema, a)) return said;
    loss_addz(loss, "strict");
    return 0;
}

/* ---- Reasoning ---- */

enum effort openai_wanted_effort(const struct chat *c)
{
    if (c->thinking == THINKING_OFF) return EFFORT_NONE;
    if (c->effort != EFFORT_UNSET) return c->effort;
    return c->thinking == THINKING_BUDGET ? chat_effort_of_budget(c) : EFFORT_UNSET;
}

enum effort openai_fit_effort(const struct chat *c, const struct openai_traits *t, enum effort e)
{
    if (c->of_openai || !t->user || !t->effort) return e;
    bool by_default = t->reasons_unasked || !t->effort_none;
    if (e == EFFORT_UNSET && c->thinking == THINKING_ADAPTIVE && !by_default) return EFFORT_MEDIUM;
    if (e == EFFORT_NONE && !t->effort_none) e = EFFORT_MINIMAL;
    if (e == EFFORT_MINIMAL && !t->effort_minimal) e = EFFORT_LOW;
    if (e == EFFORT_MAX && !t->effort_max) e = EFFORT_XHIGH;
    if (e == EFFORT_XHIGH && !t->effort_xhigh) e = EFFORT_HIGH;
    return e;
}

/* ---- JSON ---- */

static bool speaks(const struct parts *parts)
{
    for (const struct part *p = parts->first; p != NULL; p = p->next)
        if (p->kind == PART_TEXT && str_icontains(p->text, STR("json"))) return true;
    return false;
}

bool openai_speaks_of_json(const struct turns *turns)
{
    if (speaks(&turns->system)) return true;
    for (const struct message *m = turns->first; m != NULL; m = m->next)
        if (speaks(&m->parts)) return true;
    return false;
}

void openai_write_breakpoint(enum cache_mark cache, struct buf *out)
{
    buf_add(out, STR(",\"prompt_cache_breakpoint\":{\"mode\":\"explicit\",\"ttl\":"));
    buf_add(out, cache == CACHE_LONG ? STR("\"12h\"}") : STR("\"30m\"}"));
}

/* ---- A body that passes ---- */

/* The member's own name, if the model refuses this value of it; NULL otherwise. */
static const char *refused(struct str key, struct str value, bool samples)
{
    static const char *const sampling[] = {"temperature", "top_p", "frequency_penalty", "presence_penalty",
                                           "logit_bias"};
    static const char *const by_default[] = {"null", "1",   "1.0",
                                             "0",    "0.0", "{}"}; /* of any of them: 0 is refused of the first two */
    for (size_t i = 0; i < sizeof sampling / sizeof *sampling && !samples; i++) {
        if (!str_is(key, sampling[i])) continue;
        for (size_t k = 0; k < sizeof by_default / sizeof *by_default; k++)
            if (str_is(value, by_default[k]) && (k == 0 || (k < 3) == (i < 2))) return NULL;
        return sampling[i];
    }
    return NULL;
}

unsigned openai_fit_passed(const struct call *call, struct str body, struct str model, struct json_patch *patch,
                           struct buf *scratch, struct loss *loss)
{
    struct openai_traits t = openai_traits_of(model);
    bool samples = t.sampling && !(t.sampling_unless_reasoning && call->reasoning == CALL_REASONING_ON);
    bool has_newer = false;
    struct str limit = STR_NULL;
    struct json_member m;
    size_t at = 0;
    unsigned n = 0;
    if (!t.user || t.stop) return 0; /* no reasoning model of OpenAI's: it takes them all */
    while (n < OPENAI_FIT_PATCHES - 2 && json_next_member(body, &at, &m, scratch)) {
        has_newer |= str_is(m.key, "max_completion_tokens");
        if (str_is(m.key, "max_tokens")) limit = m.value;
        const char *name = refused(m.key, m.value, samples);
        if (name == NULL) continue;
        loss_addz(loss, name);
        patch[n++] = (struct json_patch){name, STR_NULL};
    }
    if (limit.n > 0) patch[n++] = (struct json_patch){"max_tokens", STR_NULL};
    if (limit.n > 0 && !has_newer) patch[n++] = (struct json_patch){"max_completion_tokens", limit};
    return n;
}
