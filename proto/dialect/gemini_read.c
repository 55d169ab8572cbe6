/* A generateContent request into the hub: the top level and generationConfig, a row per member. Contents: gemini_turns.c. */
#include "proto/dialect/gemini.h"

#include "proto/dialect/gemini_reading.h"
#include "proto/dialect/tree.h"

static enum weir_err bad(struct gemini_reading *r, const char *text)
{
    *r->ret_why = str_of(text);
    return WEIR_BAD_REQUEST;
}

void gemini_reading_demand(struct gemini_reading *r, struct str what)
{
    if (r->chat->demands.n < HINTS_MOST) name_add(&r->chat->demands, r->arena, what);
}

/* ---- generationConfig ---- */

static enum weir_err on_max_output(struct gemini_reading *r, yyjson_val *v)
{
    return tree_i64(v, &r->chat->max_output) ? WEIR_OK : bad(r, "maxOutputTokens must be a whole number");
}

static enum weir_err on_temperature(struct gemini_reading *r, yyjson_val *v)
{
    r->chat->temperature = tree_num(v);
    return WEIR_OK;
}

static enum weir_err on_top_p(struct gemini_reading *r, yyjson_val *v)
{
    r->chat->top_p = tree_num(v);
    return WEIR_OK;
}

static enum weir_err on_top_k(struct gemini_reading *r, yyjson_val *v)
{
    int64_t k; /* clients write 40.0, too */
    if (tree_i64(v, &k)) r->chat->top_k = arena_printf(r->arena, "%lld", (long long)k);
    return WEIR_OK;
}

static enum weir_err on_stop(struct gemini_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *word;
    if (yyjson_arr_size(v) > TOOLS_MOST) return bad(r, "stopSequences has too many entries");
    yyjson_arr_foreach(v, i, n, word) name_add(&r->chat->stop, r->arena, tree_str(word));
    return WEIR_OK;
}

static enum weir_err on_count(struct gemini_reading *r, yyjson_val *v)
{
    if (!tree_i64(v, &r->chat->choices)) return bad(r, "candidateCount must be a whole number");
    if (r->chat->choices > 1) gemini_reading_demand(r, STR("candidateCount above 1"));
    return WEIR_OK;
}

static enum weir_err on_mime(struct gemini_reading *r, yyjson_val *v)
{
    struct str type = tree_str(v);
    if (str_is(type, "application/json")) {
        if (r->chat->format == FORMAT_TEXT) r->chat->format = FORMAT_JSON_OBJECT;
    } else if (!str_is(type, "text/plain") && type.n > 0) {
        gemini_reading_demand(r, STR("responseMimeType"));
    }
    return WEIR_OK;
}

static enum weir_err on_schema(struct gemini_reading *r, yyjson_val *v)
{
    r->chat->format = FORMAT_JSON_SCHEMA;
    r->chat->schema = gemini_schema_text(v, r->arena);
    return WEIR_OK;
}

static enum weir_err on_json_schema(struct gemini_reading *r, yyjson_val *v)
{
    r->chat->format = FORMAT_JSON_SCHEMA;
    r->chat->schema = tree_text(v, r->arena);
    return WEIR_OK;
}

static enum weir_err on_modalities(struct gemini_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *word;
    yyjson_arr_foreach(v, i, n, word)
    {
        if (!str_iis(tree_str(word), "TEXT")) gemini_reading_demand(r, STR("responseModalities"));
    }
    return WEIR_OK;
}

static enum effort effort_of_level(struct str word)
{
    return str_iis(word, "minimal")  ? EFFORT_MINIMAL
           : str_iis(word, "low")    ? EFFORT_LOW
           : str_iis(word, "medium") ? EFFORT_MEDIUM
           : str_iis(word, "high")   ? EFFORT_HIGH
                                     : EFFORT_UNSET;
}

static enum weir_err on_thinking(struct gemini_reading *r, yyjson_val *v)
{
    struct chat *c = r->chat;
    int64_t budget;
    yyjson_val *shown = gemini_get(v, "includeThoughts");
    c->effort = effort_of_level(gemini_get_str(v, "thinkingLevel"));
    if (tree_i64(gemini_get(v, "thinkingBudget"), &budget)) {
        c->thinking = budget == 0 ? THINKING_OFF : budget < 0 ? THINKING_ADAPTIVE : THINKING_BUDGET;
        c->thinking_budget = budget > 0 ? budget : 0;
    }
    if (yyjson_is_bool(shown)) c->thinking_shown = yyjson_is_true(shown) ? 1 : 0;
    return WEIR_OK;
}

/* What a true flag or a number above 0 asks for would be missing from the answer. */
static enum weir_err on_logprobs(struct gemini_reading *r, yyjson_val *v)
{
    if (yyjson_is_false(v)) return WEIR_OK;
    r->chat->logprobs_said = STR("responseLogprobs");
    gemini_reading_demand(r, r->chat->logprobs_said);
    return WEIR_OK;
}

static enum weir_err on_top_logprobs(struct gemini_reading *r, yyjson_val *v)
{
    return tree_i64(v, &r->chat->top_logprobs) && r->chat->top_logprobs >= 0 && r->chat->top_logprobs <= 20
               ? WEIR_OK
               : bad(r, "logprobs must be a whole number from 0 to 20");
}

/* Other dialects have these, too; OpenAI's names for them. */
static enum weir_err on_seed(struct gemini_reading *r, yyjson_val *v)
{
    chat_share(r->chat, r->arena, "seed", STR("seed"), tree_num(v));
    return WEIR_OK;
}

static enum weir_err on_presence(struct gemini_reading *r, yyjson_val *v)
{
    chat_share(r->chat, r->arena, "presence_penalty", STR("presencePenalty"), tree_num(v));
    return WEIR_OK;
}

static enum weir_err on_frequency(struct gemini_reading *r, yyjson_val *v)
{
    chat_share(r->chat, r->arena, "frequency_penalty", STR("frequencyPenalty"), tree_num(v));
    return WEIR_OK;
}

static enum weir_err on_response_format(struct gemini_reading *r, yyjson_val *v)
{
    (void)v;
    gemini_reading_demand(r, STR("responseFormat"));
    return WEIR_OK;
}

/* ---- tools ---- */

static enum weir_err read_declaration(struct gemini_reading *r, yyjson_val *f)
{
    yyjson_val *json_schema = gemini_get(f, "parametersJsonSchema"), *schema = gemini_get(f, "parameters");
    struct tool *t = *r->tools_end = arena_zalloc(r->arena, sizeof *t);
    r->tools_end = &t->next;
    t->strict = -1;
    t->name = tree_get_str(f, "name");
    t->description = tree_get_str(f, "description");
    if (json_schema != NULL)
        t->schema = tree_text(json_schema, r->arena);
    else if (schema != NULL)
        t->schema = gemini_schema_text(schema, r->arena);
    return t->name.n > 0 ? WEIR_OK : bad(r, "a function declaration has no name");
}

static enum weir_err read_tool(struct gemini_reading *r, yyjson_val *tool, unsigned *seen)
{
    size_t i, n, j, m;
    yyjson_val *key, *value, *f;
    yyjson_obj_foreach(tool, i, n, key, value)
    {
        struct str name = tree_str(key);
        if (!str_is(name, "functionDeclarations") && !str_is(name, "function_declarations")) {
            gemini_reading_demand(r, arena_printf(r->arena, "tools.%.*s", STR_FMT(str_slice(name, 0, 40))));
            continue;
        }
        *seen += (unsigned)yyjson_arr_size(value);
        if (*seen > TOOLS_MOST) return bad(r, "tools has more than 2048 functions");
        yyjson_arr_foreach(value, j, m, f)
        {
            enum weir_err e = read_declaration(r, f);
            if (e != WEIR_OK) return e;
        }
    }
    return WEIR_OK;
}

static enum weir_err on_tools(struct gemini_reading *r, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *tool;
    unsigned seen = 0;
    if (yyjson_arr_size(v) > TOOLS_MOST) return bad(r, "tools has too many entries");
    yyjson_arr_foreach(v, i, n, tool)
    {
        enum weir_err e = read_tool(r, tool, &seen);
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}

static enum weir_err on_tool_config(struct gemini_reading *r, yyjson_val *v)
{
    yyjson_val *calling = gemini_get(v, "functionCallingConfig"), *name;
    struct str mode = gemini_get_str(calling, "mode");
    struct chat *c = r->chat;
    size_t i, n;
    if (yyjson_arr_size(gemini_get(calling, "allowedFunctionNames")) > TOOLS_MOST)
        return bad(r, "allowedFunctionNames has too many entries");
    yyjson_arr_foreach(gemini_get(calling, "allowedFunctionNames"), i, n, name)
        name_add(&c->allowed_tools, r->arena, tree_str(name));
    if (str_iis(mode, "ANY") && c->allowed_tools.n == 1) {
        c->tool_choice = TOOLS_ONE;
        c->tool_choice_name = c->allowed_tools.first->text;
        c->allowed_tools = (struct names){0};
    } else if (str_iis(mode, "ANY"))
        c->tool_choice = TOOLS_REQUIRED;
    else if (str_iis(mode, "NONE"))
        c->tool_choice = TOOLS_NONE;
    else if (str_iis(mode, "AUTO") || str_iis(mode, "VALIDATED"))
        c->tool_choice = TOOLS_AUTO;
    if (gemini_get(v, "retrievalConfig") != NULL) chat_hint(c, r->arena, STR("toolConfig.retrievalConfig"));
    return WEIR_OK;
}

/* ---- The rest ---- */

static enum weir_err on_tier(struct gemini_reading *r, yyjson_val *v)
{
    struct str word = tree_str(v);
    r->chat->service_tier = str_iis(word, "standard") ? STR("default") : word;
    return WEIR_OK;
}

static enum weir_err on_cached(struct gemini_reading *r, yyjson_val *v)
{
    (void)v;
    gemini_reading_demand(r, STR("cachedContent"));
    return WEIR_OK;
}

static enum weir_err on_ignored(struct gemini_reading *r, yyjson_val *v)
{
    (void)r;
    (void)v;
    return WEIR_OK;
}

static enum weir_err on_config(struct gemini_reading *r, yyjson_val *v);

static const struct row {
    const char *name, *snake;
    enum weir_err (*read)(struct gemini_reading *r, yyjson_val *v);
} ROWS[] = {
    {"model", "model", on_ignored},
    {"contents", "contents", on_ignored}, /* read after the system text */
    {"systemInstruction", "system_instruction", on_ignored},
    {"generationConfig", "generation_config", on_config},
    {"tools", "tools", on_tools},
    {"toolConfig", "tool_config", on_tool_config},
    {"serviceTier", "service_tier", on_tier},
    {"cachedContent", "cached_content", on_cached},
    {"continuationToken", "continuation_token", on_cached},
};

static const struct row CONFIG[] = {
    {"maxOutputTokens", "max_output_tokens", on_max_output},
    {"temperature", "temperature", on_temperature},
    {"topP", "top_p", on_top_p},
    {"topK", "top_k", on_top_k},
    {"stopSequences", "stop_sequences", on_stop},
    {"candidateCount", "candidate_count", on_count},
    {"responseMimeType", "response_mime_type", on_mime},
    {"responseSchema", "response_schema", on_schema},
    {"responseJsonSchema", "response_json_schema", on_json_schema},
    {"responseFormat", "response_format", on_response_format},
    {"responseModalities", "response_modalities", on_modalities},
    {"thinkingConfig", "thinking_config", on_thinking},
    {"responseLogprobs", "response_logprobs", on_logprobs},
    {"logprobs", "logprobs", on_top_logprobs},
    {"seed", "seed", on_seed},
    {"presencePenalty", "presence_penalty", on_presence},
    {"frequencyPenalty", "frequency_penalty", on_frequency},
};

static enum weir_err read_members(struct gemini_reading *r, yyjson_val *o, const struct row *rows, size_t count)
{
    size_t i, n, k;
    yyjson_val *key, *value;
    yyjson_obj_foreach(o, i, n, key, value)
    {
        struct str name = tree_str(key);
        enum weir_err e = WEIR_OK;
        if (yyjson_is_null(value)) continue;
        for (k = 0; k < count; k++)
            if (str_is(name, rows[k].name) || str_is(name, rows[k].snake)) break;
        if (k < count)
            e = rows[k].read(r, value);
        else
            chat_hint(r->chat, r->arena, name);
        if (e == WEIR_OK) e = chat_check_size(r->chat, r->arena, r->ret_why);
        if (e != WEIR_OK) return e;
    }
    return WEIR_OK;
}

static enum weir_err on_config(struct gemini_reading *r, yyjson_val *v)
{
    return read_members(r, v, CONFIG, sizeof CONFIG / sizeof *CONFIG);
}

enum weir_err gemini_read_request(struct str json, struct arena *a, struct chat **ret_chat, struct str *ret_why)
{
    yyjson_val *root;
    enum weir_err e = tree_read(json, a, &root, ret_why);
    if (e != WEIR_OK) return e;
    struct chat *chat = chat_new(a);
    struct gemini_reading r = {
        .arena = a, .chat = chat, .ret_why = ret_why, .messages_end = &chat->messages, .tools_end = &chat->tools};
    if (!yyjson_is_obj(root)) return bad(&r, "the body must be a JSON object");
    e = read_members(&r, root, ROWS, sizeof ROWS / sizeof *ROWS);
    if (e == WEIR_OK) e = gemini_reading_system(&r, gemini_get(root, "systemInstruction"));
    if (e == WEIR_OK) e = gemini_reading_contents(&r, gemini_get(root, "contents"));
    if (e == WEIR_OK) *ret_chat = chat;
    return e;
}
