/* What the journey must know of a body before a target is chosen: one pass over the top level, no tree but for bodies with media. */
#include "proto/dialect/exchange.h"

#include "proto/dialect/tree.h"
#include "proto/wire/json.h"

/* Upper bounds of what a picture, a sound or a document can cost in tokens. By provider documentation an image is at most about
 * 4.8 k tokens (Anthropic, 2576 px) or 2.9 k (OpenAI tiles); gpt-4o-mini counts 33 times as many tokens for a tile. */
enum {
    IMAGE_TOKENS = 6000,
    IMAGE_TOKENS_4O_MINI = 49000,
    AUDIO_BYTES_PER_TOKEN = 16,
    MESSAGE_TOKENS = 64, /* a provider's own framing and tool preamble, whatever the body */
    TOOL_PREAMBLE_TOKENS = 1024,
};

/* The members that decide something here; a second one of the same name would be read differently by another parser. */
enum member {
    M_MODEL,
    M_STREAM,
    M_STREAM_OPTIONS,
    M_MAX_TOKENS,
    M_MAX_COMPLETION_TOKENS,
    M_MAX_OUTPUT_TOKENS,
    M_N,
    M_TOOLS,
    M_MESSAGES,
    M_INPUT,
    M_TEXT,
    M_SYSTEM,
    M_RESPONSE_FORMAT,
    M_OUTPUT_CONFIG,
    M_METADATA,
    M_USER,
    M_PROMPT_CACHE_KEY,
    M_REASONING_EFFORT,
    M_STOP,
    M_REASONING,
    M_THINKING,
    M_THINK,
    M_ADDITIONAL,
    M_CONTENTS,
    M_GENERATION_CONFIG,
    M_GENERATION_CONFIG_SNAKE,
    M_INFERENCE_CONFIG,
    M_TOOL_CONFIG,
    M_OUTPUT_CONFIG_CAMEL,
    M_OPTIONS,
    M_FORMAT,
    M_COUNT
};

#define MEMBER(text)             \
    {                            \
        "" text, sizeof text - 1 \
    }
static const struct str MEMBERS[M_COUNT] = {
    MEMBER("model"),
    MEMBER("stream"),
    MEMBER("stream_options"),
    MEMBER("max_tokens"),
    MEMBER("max_completion_tokens"),
    MEMBER("max_output_tokens"),
    MEMBER("n"),
    MEMBER("tools"),
    MEMBER("messages"),
    MEMBER("input"),
    MEMBER("text"),
    MEMBER("system"),
    MEMBER("response_format"),
    MEMBER("output_config"),
    MEMBER("metadata"),
    MEMBER("user"),
    MEMBER("prompt_cache_key"),
    MEMBER("reasoning_effort"),
    MEMBER("stop"),
    MEMBER("reasoning"),
    MEMBER("thinking"),
    MEMBER("think"),
    MEMBER("additionalModelRequestFields"),
    MEMBER("contents"),
    MEMBER("generationConfig"),
    MEMBER("generation_config"),
    MEMBER("inferenceConfig"),
    MEMBER("toolConfig"),
    MEMBER("outputConfig"),
    MEMBER("options"),
    MEMBER("format"),
};

struct reading {
    struct arena *arena;
    struct buf scratch;
    struct str value[M_COUNT];
    struct str why;
    bool gemini;
};

static enum weir_err bad(struct reading *r, const char *text, const char *member)
{
    r->why = arena_printf(r->arena, text, member);
    return WEIR_BAD_REQUEST;
}

static enum weir_err collect(struct reading *r, struct str body)
{
    size_t at = 0;
    struct json_member m;
    while (json_next_member(body, &at, &m, &r->scratch))
        for (unsigned i = 0; i < M_COUNT; i++) {
            if (!str_eq(m.key, MEMBERS[i])) continue;
            if (r->value[i].p != NULL) return bad(r, "the body has the member \"%s\" twice", MEMBERS[i].p);
            r->value[i] = m.value;
            break;
        }
    return WEIR_OK;
}

static bool is_absent(struct str value)
{
    return value.p == NULL || str_is(value, "null");
}

static enum weir_err read_bool(struct reading *r, enum member m, bool *ret_value)
{
    struct str v = r->value[m];
    if (is_absent(v)) return WEIR_OK;
    if (!str_is(v, "true") && !str_is(v, "false")) return bad(r, "%s must be true or false", MEMBERS[m].p);
    *ret_value = str_is(v, "true");
    return WEIR_OK;
}

static enum weir_err read_count(struct reading *r, enum member m, int64_t least, int64_t *ret_value)
{
    struct str v = r->value[m];
    int64_t n;
    if (is_absent(v)) return WEIR_OK;
    if (!str_i64(v, &n) || n < least || n > INT32_MAX)
        return bad(r, "%s must be a whole number in its range", MEMBERS[m].p);
    *ret_value = n;
    return WEIR_OK;
}

static struct str read_string(struct reading *r, struct str value)
{
    buf_clear(&r->scratch);
    if (value.p == NULL || !json_unquote(value, &r->scratch)) return STR_NULL;
    return arena_copy(r->arena, buf_view(&r->scratch));
}

static enum weir_err read_model(struct reading *r, struct call *call)
{
    if (call->model.n > 0) return WEIR_OK; /* the path has it */
    if (is_absent(r->value[M_MODEL])) return bad(r, "%s is missing", MEMBERS[M_MODEL].p);
    call->model = read_string(r, r->value[M_MODEL]);
    if (call->model.n == 0) return bad(r, "%s must be a text that is not empty", MEMBERS[M_MODEL].p);
    return WEIR_OK;
}

/* ---- Whether it is to reason ---- */

static struct str member_of(struct reading *r, struct str object, const char *key)
{
    struct str value;
    return json_find(object, key, &value, &r->scratch) == JSON_FOUND && !is_absent(value) ? value : STR_NULL;
}

/* A word of effort or a mode, with its quotes. What is said last and first of all decides: an "off" is not overruled. */
static void note_reasoning(struct call *call, struct str word)
{
    static const char *const off[] = {"\"none\"", "\"disabled\"", "\"between_tools\"", "false", "0"};
    if (word.n == 0 || call->reasoning == CALL_REASONING_OFF) return;
    call->reasoning = CALL_REASONING_ON;
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        if (str_is(word, off[i])) call->reasoning = CALL_REASONING_OFF;
}

/* Whoever asks, and in whichever words: a model may have to be asked elsewhere for it (provider_dialect_of_call()). */
static void read_reasoning(struct reading *r, struct call *call)
{
    struct str additional = r->value[M_ADDITIONAL], config = r->value[M_GENERATION_CONFIG];
    if (is_absent(config)) config = r->value[M_GENERATION_CONFIG_SNAKE];
    struct str thinking = member_of(r, config, "thinkingConfig");
    if (thinking.n == 0) thinking = member_of(r, config, "thinking_config");
    const struct {
        struct str object;
        const char *key; /* NULL: the value itself */
    } said[] = {
        {r->value[M_THINKING], "type"}, /* Anthropic, Cohere; and by other gateways' habit in OpenAI's Chat */
        {member_of(r, additional, "thinking"), "type"},
        {member_of(r, additional, "reasoning_config"), "type"},
        {member_of(r, additional, "reasoningConfig"), "type"},
        {thinking, "thinkingBudget"},
        {thinking, "thinking_budget"},
        {thinking, "thinkingLevel"},
        {thinking, "thinking_level"},
        {r->value[M_OUTPUT_CONFIG], "effort"},
        {member_of(r, additional, "output_config"), "effort"},
        {member_of(r, additional, "reasoning_effort"), NULL},
        {r->value[M_REASONING], "effort"}, /* Responses; OpenRouter in Chat */
        {r->value[M_REASONING], "max_tokens"},
        {r->value[M_REASONING], "enabled"},
        {r->value[M_REASONING_EFFORT], NULL},
        {r->value[M_THINK], NULL}, /* Ollama */
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        struct str value = said[i].key == NULL ? said[i].object : member_of(r, said[i].object, said[i].key);
        if (!is_absent(value)) note_reasoning(call, value);
    }
}

static enum weir_err read_openai(struct reading *r, struct call *call)
{
    struct str usage;
    enum weir_err e = read_count(r, M_N, 1, &call->choices);
    if (e == WEIR_OK) e = read_count(r, M_MAX_TOKENS, 0, &call->max_output);
    if (e == WEIR_OK) e = read_count(r, M_MAX_COMPLETION_TOKENS, 0, &call->max_output);
    if (e != WEIR_OK) return e;
    switch (json_find(r->value[M_STREAM_OPTIONS], "include_usage", &usage, &r->scratch)) {
    case JSON_TWICE: return bad(r, "%s.include_usage is there twice", MEMBERS[M_STREAM_OPTIONS].p);
    case JSON_FOUND: call->include_usage = json_is_true(usage); break;
    case JSON_ABSENT: break;
    }
    struct str type;
    if (json_find(r->value[M_RESPONSE_FORMAT], "type", &type, &r->scratch) == JSON_FOUND)
        call->needs_json_schema = str_is(type, "\"json_schema\"");
    call->has_stop = !is_absent(r->value[M_STOP]) && !str_is(r->value[M_STOP], "[]");
    call->session = read_string(r, r->value[M_PROMPT_CACHE_KEY]);
    if (call->session.n == 0) call->session = read_string(r, r->value[M_USER]);
    return WEIR_OK;
}

static enum weir_err read_anthropic(struct reading *r, struct call *call)
{
    struct str value;
    enum weir_err e = read_count(r, M_MAX_TOKENS, 0, &call->max_output);
    if (e != WEIR_OK) return e;
    if (json_find(r->value[M_OUTPUT_CONFIG], "format", &value, &r->scratch) == JSON_FOUND)
        call->needs_json_schema = !is_absent(value);
    if (json_find(r->value[M_METADATA], "user_id", &value, &r->scratch) == JSON_FOUND)
        call->session = read_string(r, value);
    return WEIR_OK;
}

static bool find_either(struct reading *r, struct str object, const char *camel, const char *snake,
                        struct str *ret_value)
{
    return json_find(object, camel, ret_value, &r->scratch) == JSON_FOUND ||
           json_find(object, snake, ret_value, &r->scratch) == JSON_FOUND;
}

static enum weir_err read_gemini(struct reading *r, struct call *call)
{
    struct str config = r->value[M_GENERATION_CONFIG], value;
    if (is_absent(config)) config = r->value[M_GENERATION_CONFIG_SNAKE];
    if (is_absent(config)) return WEIR_OK;
    if (find_either(r, config, "maxOutputTokens", "max_output_tokens", &value)) {
        r->value[M_MAX_TOKENS] = value;
        enum weir_err e = read_count(r, M_MAX_TOKENS, 0, &call->max_output);
        if (e != WEIR_OK) return bad(r, "%s must be a whole number in its range", "maxOutputTokens");
    }
    if (find_either(r, config, "candidateCount", "candidate_count", &value)) {
        r->value[M_N] = value;
        enum weir_err e = read_count(r, M_N, 1, &call->choices);
        if (e != WEIR_OK) return bad(r, "%s must be a whole number in its range", "candidateCount");
    }
    call->needs_json_schema = find_either(r, config, "responseSchema", "response_schema", &value) ||
                              find_either(r, config, "responseJsonSchema", "response_json_schema", &value);
    return WEIR_OK;
}

static bool is_filled_array(struct str value)
{
    return value.n > 2 && value.p[0] == '[' && str_trim(str_slice(value, 1, value.n - 1)).n > 0;
}

static enum weir_err read_converse(struct reading *r, struct call *call)
{
    struct str value;
    if (json_find(r->value[M_INFERENCE_CONFIG], "maxTokens", &value, &r->scratch) == JSON_FOUND) {
        r->value[M_MAX_TOKENS] = value;
        enum weir_err e = read_count(r, M_MAX_TOKENS, 0, &call->max_output);
        if (e != WEIR_OK) return bad(r, "%s must be a whole number in its range", "inferenceConfig.maxTokens");
    }
    if (json_find(r->value[M_TOOL_CONFIG], "tools", &value, &r->scratch) == JSON_FOUND) r->value[M_TOOLS] = value;
    if (json_find(r->value[M_OUTPUT_CONFIG_CAMEL], "textFormat", &value, &r->scratch) == JSON_FOUND)
        call->needs_json_schema = !is_absent(value);
    return WEIR_OK;
}

static enum weir_err read_ollama(struct reading *r, struct call *call)
{
    struct str value;
    int64_t limit;
    if (json_find(r->value[M_OPTIONS], "num_predict", &value, &r->scratch) == JSON_FOUND && str_i64(value, &limit) &&
        limit >= 0)
        call->max_output = limit;
    call->needs_json_schema = r->value[M_FORMAT].n > 0 && r->value[M_FORMAT].p[0] == '{';
    return WEIR_OK;
}

static enum weir_err read_responses(struct reading *r, struct call *call)
{
    struct str format, type;
    enum weir_err e = read_count(r, M_MAX_OUTPUT_TOKENS, 0, &call->max_output);
    if (e != WEIR_OK) return e;
    if (json_find(r->value[M_TEXT], "format", &format, &r->scratch) == JSON_FOUND &&
        json_find(format, "type", &type, &r->scratch) == JSON_FOUND)
        call->needs_json_schema = str_is(type, "\"json_schema\"");
    call->session = read_string(r, r->value[M_PROMPT_CACHE_KEY]);
    if (call->session.n == 0) call->session = read_string(r, r->value[M_USER]);
    return WEIR_OK;
}

/* ---- The bound of input tokens ---- */

/* A token of text is at least one byte, so bytes bound them. Media are the exception both ways: a picture's bytes say nothing
 * of its tokens. They are looked for in the tree, where a text that only looks like a picture cannot pass for one. */
struct media {
    int64_t bytes;  /* to be taken off the body's */
    int64_t tokens; /* to be put on */
    int64_t image_tokens;
    bool images;
};

static void count_image(struct media *m, struct str data)
{
    m->images = true;
    m->bytes += (int64_t)data.n;
    m->tokens += m->image_tokens;
}

static void count_images(struct media *m, yyjson_val *images)
{
    size_t i, n;
    yyjson_val *data;
    yyjson_arr_foreach(images, i, n, data) count_image(m, tree_str(data));
}

static void count_part(struct media *m, yyjson_val *part)
{
    struct str type = tree_get_str(part, "type"), media_type, data;
    if (str_is(type, "image_url") || str_is(type, "input_image")) { /* OpenAI, both */
        yyjson_val *image = tree_get(part, "image_url");
        struct str url = yyjson_is_str(image) ? tree_str(image) : tree_get_str(image, "url");
        count_image(m, str_starts(url, STR("data:")) ? url : STR_NULL);
    } else if (str_is(type, "input_audio")) {
        data = tree_get_str(tree_get(part, "input_audio"), "data");
        m->bytes += (int64_t)data.n;
        m->tokens += (int64_t)data.n / AUDIO_BYTES_PER_TOKEN + 1;
    } else if (str_is(type, "image")) { /* Anthropic */
        yyjson_val *source = tree_get(part, "source");
        media_type = tree_get_str(source, "type");
        count_image(m, str_is(media_type, "base64") ? tree_get_str(source, "data") : STR_NULL);
    }
    /* A document stays counted by its bytes: how many pages it has is not known here. */
}

/* Converse: a block is an object with one member, its kind. */
static void count_converse_block(struct media *m, yyjson_val *block)
{
    yyjson_val *image = tree_get(block, "image"), *audio = tree_get(block, "audio");
    if (image != NULL) count_image(m, tree_get_str(tree_get(image, "source"), "bytes"));
    if (audio == NULL) return;
    struct str data = tree_get_str(tree_get(audio, "source"), "bytes");
    m->bytes += (int64_t)data.n;
    m->tokens += (int64_t)data.n / AUDIO_BYTES_PER_TOKEN + 1;
}

static void count_converse_blocks(struct media *m, yyjson_val *content)
{
    size_t i, n, j, k;
    yyjson_val *block, *inner;
    yyjson_arr_foreach(content, i, n, block)
    {
        count_converse_block(m, block);
        yyjson_arr_foreach(tree_get(tree_get(block, "toolResult"), "content"), j, k, inner)
            count_converse_block(m, inner);
    }
}

static void count_gemini_part(struct media *m, yyjson_val *part)
{
    yyjson_val *media = tree_get(part, "inlineData"), *file = tree_get(part, "fileData");
    if (media == NULL) media = tree_get(part, "inline_data");
    if (file == NULL) file = tree_get(part, "file_data");
    struct str type = tree_get_str(media, "mimeType"), data = tree_get_str(media, "data");
    if (type.n == 0) type = tree_get_str(media, "mime_type");
    if (str_starts(type, STR("image/"))) {
        count_image(m, data);
    } else if (str_starts(type, STR("audio/"))) {
        m->bytes += (int64_t)data.n;
        m->tokens += (int64_t)data.n / AUDIO_BYTES_PER_TOKEN + 1;
    } else if (file != NULL) {
        count_image(m, STR_NULL);
    }
}

static void count_parts(struct media *m, yyjson_val *content)
{
    size_t g, gn;
    yyjson_val *gemini_part;
    yyjson_arr_foreach(tree_get(content, "parts"), g, gn, gemini_part) count_gemini_part(m, gemini_part);
    size_t i, n;
    yyjson_val *part;
    yyjson_arr_foreach(content, i, n, part)
    {
        count_part(m, part);
        size_t j, k;
        yyjson_val *inner; /* of a tool result */
        yyjson_arr_foreach(tree_get(part, "content"), j, k, inner) count_part(m, inner);
    }
}

/* Whether a part may be a picture, a sound or a document: one look at each quote and each backslash. */
static bool may_have_media(struct str messages, bool gemini)
{
    if (str_chr(messages, '\\') >= 0 && str_contains(messages, STR("\\u")))
        return true; /* it could hide a type's name */
    if (gemini && str_contains(messages, STR("ata\""))) return true;
    for (ptrdiff_t at; (at = str_chr(messages, '"')) >= 0;) {
        messages = str_slice(messages, (size_t)at + 1, messages.n);
        if (messages.n == 0 || (messages.p[0] != 'i' && messages.p[0] != 'a')) continue;
        if (str_starts(messages, STR("image")) || str_starts(messages, STR("audio\"")) ||
            str_starts(messages, STR("input_audio")) || str_starts(messages, STR("input_image")))
            return true;
    }
    return false;
}

static enum weir_err bound_input(enum dialect_id client, struct reading *r, struct str body, struct call *call)
{
    struct str messages = r->value[client == DIALECT_RESPONSES ? M_INPUT : M_MESSAGES];
    if (r->value[M_CONTENTS].p != NULL && r->gemini) messages = r->value[M_CONTENTS];
    struct media m = {.image_tokens = str_icontains(call->model, STR("4o-mini")) ? IMAGE_TOKENS_4O_MINI : IMAGE_TOKENS};
    if (may_have_media(messages, r->gemini)) {
        yyjson_val *root, *message;
        struct arena tree;
        arena_init(&tree, 64 * 1024);
        struct str why = STR_NULL;
        enum weir_err e = tree_read(messages, &tree, &root, &why);
        if (e == WEIR_OK) {
            size_t i, n;
            yyjson_arr_foreach(root, i, n, message)
            {
                if (client == DIALECT_CONVERSE) {
                    count_converse_blocks(&m, tree_get(message, "content"));
                    continue;
                }
                count_parts(&m, r->gemini ? message : tree_get(message, "content"));
                count_images(&m, tree_get(message, "images")); /* Ollama */
                count_parts(&m, tree_get(message, "output"));  /* Responses: of a call */
            }
        } else {
            r->why = arena_copy(r->arena, why);
        }
        arena_fini(&tree);
        if (e != WEIR_OK) return e;
    }
    call->needs_images = m.images;
    call->input_bound = (int64_t)body.n - m.bytes + m.tokens + MESSAGE_TOKENS;
    if (call->needs_tools) call->input_bound += TOOL_PREAMBLE_TOKENS;
    return WEIR_OK;
}

static enum weir_err read_members(enum dialect_id client, struct reading *r, struct str body, struct call *call)
{
    enum weir_err e = collect(r, body);
    if (e == WEIR_OK) e = read_model(r, call);
    if (dialect_of(client)->streams_unasked) call->stream = true;
    if (e == WEIR_OK && !dialect_of(client)->model_in_path) e = read_bool(r, M_STREAM, &call->stream);
    if (e == WEIR_OK)
        e = r->gemini                     ? read_gemini(r, call)
            : client == DIALECT_ANTHROPIC ? read_anthropic(r, call)
            : client == DIALECT_RESPONSES ? read_responses(r, call)
            : client == DIALECT_CONVERSE  ? read_converse(r, call)
            : client == DIALECT_OLLAMA    ? read_ollama(r, call)
                                          : read_openai(r, call);
    if (e == WEIR_OK && client == DIALECT_RESPONSES) {
        if (is_absent(r->value[M_INPUT])) e = bad(r, "%s is missing", MEMBERS[M_INPUT].p);
    } else if (e == WEIR_OK && !r->gemini && (r->value[M_MESSAGES].n == 0 || r->value[M_MESSAGES].p[0] != '['))
        e = bad(r, "%s must be an array", MEMBERS[M_MESSAGES].p);
    if (e != WEIR_OK) return e;
    call->needs_tools = is_filled_array(r->value[M_TOOLS]);
    read_reasoning(r, call);
    return bound_input(client, r, body, call);
}

static bool is_object(struct str text)
{
    size_t i = 0;
    while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\t' || text.p[i] == '\n' || text.p[i] == '\r')) i++;
    return i < text.n && text.p[i] == '{';
}

enum weir_err call_read(enum dialect_id client, struct str body, struct arena *a, struct call *ret_call,
                        struct str *ret_why)
{
    static const struct endpoint_place nothing;
    return call_read_at(client, &nothing, body, a, ret_call, ret_why);
}

enum weir_err call_read_at(enum dialect_id client, const struct endpoint_place *place, struct str body, struct arena *a,
                           struct call *ret_call, struct str *ret_why)
{
    unsigned depth;
    struct json_error error;
    struct call call = {
        .max_output = -1,
        .choices = 1,
        .model = place->model,
        .stream = place->stream,
        .json_array = place->json_array,
        .counts = place->counts,
    };
    if (!json_check(body, &depth, &error)) {
        *ret_why = arena_printf(a, "the body is not valid JSON: %s at byte %zu", error.what, error.at);
        return WEIR_BAD_JSON;
    }
    if (!is_object(body)) {
        *ret_why = STR("the body must be a JSON object");
        return WEIR_BAD_REQUEST;
    }
    struct reading r = {.arena = a, .gemini = client == DIALECT_GEMINI};
    enum weir_err e = read_members(client, &r, body, &call);
    if (place->counts) call.stream = false;
    buf_fini(&r.scratch);
    if (e != WEIR_OK)
        *ret_why = r.why;
    else
        *ret_call = call;
    return e;
}
