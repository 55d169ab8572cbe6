#include "tools/fake/ask.h"

#include "proto/base/buf.h"
#include "tools/fake/sample.h"

#include <stdlib.h>
#include <string.h>

enum {
    TOKENS_PER_MESSAGE = 4,
    TOKENS_PER_IMAGE = 100,
    TOKENS_PER_TOOL = 8,
    TOKENS_PER_CALL = 5,
    DEFAULT_LOREM_WORDS = 24
};

static uint64_t tokens_of(size_t bytes)
{
    return (bytes + 3) / 4;
}

void ask_count_text(struct ask *ask, struct str text)
{
    ask->input_tokens += TOKENS_PER_MESSAGE + tokens_of(text.n);
}

/* OpenAI and Converse wrap what Anthropic has at the top. NULL: no tool of the client's. */
static yyjson_val *tool_body(yyjson_val *tool)
{
    yyjson_val *body = yyjson_obj_get(tool, "function");
    if (body == NULL) body = yyjson_obj_get(tool, "custom"); /* OpenAI Chat has each kind in a member of its name */
    if (body == NULL) body = yyjson_obj_get(tool, "toolSpec");
    if (body == NULL) body = tool;
    return yyjson_obj_get(body, "name") != NULL ? body : NULL;
}

static yyjson_val *tool_schema(yyjson_val *body)
{
    yyjson_val *schema = yyjson_obj_get(body, "parameters");
    if (schema == NULL) schema = yyjson_obj_get(body, "input_schema");
    if (schema == NULL) schema = yyjson_obj_get(body, "parametersJsonSchema");
    return schema != NULL ? schema : yyjson_obj_get(yyjson_obj_get(body, "inputSchema"), "json");
}

void ask_count_tools(struct ask *ask)
{
    yyjson_val *tool;
    size_t i, n;
    yyjson_arr_foreach(ask->tools, i, n, tool)
    {
        yyjson_val *body = tool_body(tool), *schema = tool_schema(body);
        if (body == NULL) continue;
        size_t bytes =
            yyjson_get_len(yyjson_obj_get(body, "name")) + yyjson_get_len(yyjson_obj_get(body, "description"));
        size_t schema_bytes = 0;
        char *text = schema != NULL ? yyjson_val_write(schema, 0, &schema_bytes) : NULL;
        free(text);
        ask->input_tokens += TOKENS_PER_TOOL + tokens_of(bytes + (text != NULL ? schema_bytes : 0));
    }
    ask->input_tokens += (uint64_t)ask->images * TOKENS_PER_IMAGE;
}

static void read_wish(struct wishes *w, struct str word)
{
    struct str name = str_split(&word, '=');
    uint64_t number = 0;
    if (str_is(name, "call")) {
        w->call = str_split(&word, ':');
        w->call_arguments = word;
    }
    bool has_number = str_u64(word, &number) && number < 10000000;
    struct {
        const char *name;
        bool *flag;
    } flags[] = {{"parallel", &w->parallel},
                 {"no-tool", &w->no_tool},
                 {"reasoning", &w->reasoning},
                 {"refuse", &w->refuse},
                 {"filter", &w->filter}};
    struct {
        const char *name;
        uint32_t *number;
    } numbers[] = {{"words", &w->words},
                   {"cached", &w->cached},
                   {"cache-write", &w->cache_write},
                   {"cache-write-1h", &w->cache_write_1h},
                   {"delay", &w->delay_ms},
                   {"pings", &w->pings}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (str_is(name, flags[i].name)) *flags[i].flag = true;
    for (size_t i = 0; has_number && i < sizeof numbers / sizeof *numbers; i++)
        if (str_is(name, numbers[i].name)) *numbers[i].number = (uint32_t)number;
}

void ask_read_wishes(struct ask *ask)
{
    struct str rest = ask->last_text;
    for (;;) {
        ptrdiff_t at = str_find(rest, STR("[[fake:"));
        if (at < 0) return;
        rest = str_slice(rest, (size_t)at + 7, rest.n);
        ptrdiff_t end = str_find(rest, STR("]]"));
        if (end < 0) return;
        read_wish(&ask->wishes, str_slice(rest, 0, (size_t)end));
        rest = str_slice(rest, (size_t)end + 2, rest.n);
    }
}

/* ---- the plan ---- */

static const char *const lorem[] = {"lorem",   "ipsum",  "dolor",  "sit",     "amet",    "consectetur", "adipiscing",
                                    "elit",    "sed",    "do",     "eiusmod", "tempor",  "incididunt",  "ut",
                                    "labore",  "et",     "dolore", "magna",   "aliqua",  "enim",        "ad",
                                    "minim",   "veniam", "quis",   "nostrud", "ullamco", "laboris",     "nisi",
                                    "aliquip", "ex",     "ea",     "commodo"};

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
}

static uint64_t hash_of(struct str s, uint64_t seed)
{
    uint64_t h = 0xcbf29ce484222325ULL ^ seed;
    for (size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3ULL;
    return mix(h);
}

static void add_lorem(struct buf *out, uint64_t random, unsigned words)
{
    for (unsigned i = 0; i < words; i++) {
        random = mix(random + i + 1);
        buf_addf(out, " %s", lorem[random % (sizeof lorem / sizeof *lorem)]);
    }
}

struct str plan_next_word(struct str *rest)
{
    size_t i = 0;
    while (i < rest->n && rest->p[i] == ' ') i++;
    while (i < rest->n && rest->p[i] != ' ') i++;
    struct str word = str_slice(*rest, 0, i);
    *rest = str_slice(*rest, i, rest->n);
    return word;
}

static uint64_t count_words(struct str text)
{
    uint64_t n = 0;
    while (plan_next_word(&text).n > 0) n++;
    return n;
}

static struct str keep_words(struct str text, uint64_t words)
{
    struct str rest = text;
    while (words-- > 0 && rest.n > 0) plan_next_word(&rest);
    return str_slice(text, 0, text.n - rest.n);
}

static struct str take(struct buf *b, struct arena *a)
{
    struct str kept = arena_copy(a, buf_view(b));
    buf_clear(b);
    return kept;
}

static void add_count(struct buf *out, unsigned n, const char *what)
{
    if (n > 0) buf_addf(out, ", %u %s%s", n, what, n == 1 ? "" : "s");
}

static void write_text(struct buf *out, const struct ask *ask, const char *name, const char *dialect, uint64_t random)
{
    if (ask->schema != NULL) {
        sample_json(ask->schema, name, out);
        return;
    }
    if (ask->json_object) {
        buf_addz(out, "{\"answer\":");
        buf_add_json_str(out, str_of(name));
        buf_addz(out, "}");
        return;
    }
    buf_addf(out, "answered by %s, model %.*s, as %s: %u user", name, STR_FMT(ask->model), dialect, ask->users);
    add_count(out, ask->systems, "system");
    add_count(out, ask->assistants, "assistant");
    add_count(out, ask->results, "result");
    add_count(out, ask->images, "image");
    add_count(out, ask->files, "file");
    add_count(out, (unsigned)yyjson_arr_size(ask->tools), "tool");
    if (ask->ends_with_result)
        buf_addf(out, ". The tool said: %.*s", (int)(ask->last_result.n < 80 ? ask->last_result.n : 80),
                 ask->last_result.p);
    buf_addc(out, '.');
    uint64_t have = count_words(buf_view(out));
    uint64_t want = ask->wishes.words > 0 ? ask->wishes.words : have + DEFAULT_LOREM_WORDS;
    if (want > have) add_lorem(out, random, (unsigned)(want - have));
}

static yyjson_val *tool_named(const struct ask *ask, size_t index, struct str only, struct str *ret_name)
{
    yyjson_val *tool;
    size_t i, n, at = 0, all = 0;
    yyjson_arr_foreach(ask->tools, i, n, tool) all += tool_body(tool) != NULL;
    yyjson_arr_foreach(ask->tools, i, n, tool)
    {
        yyjson_val *body = tool_body(tool);
        if (body == NULL) continue;
        yyjson_val *name = yyjson_obj_get(body, "name");
        *ret_name = (struct str){yyjson_get_str(name), yyjson_get_len(name)};
        if (only.n > 0 ? str_eq(*ret_name, only) : at++ == index % all) return body;
    }
    return NULL;
}

static void plan_calls(struct plan *plan, const struct ask *ask, uint64_t random, struct buf *scratch, struct arena *a)
{
    static const char *const words[] = {"Oslo", "Bergen", "Tromso", "Stavanger"};
    unsigned want = ask->wishes.parallel && ask->may_call_parallel ? 2 : 1;
    for (unsigned i = 0; i < want; i++) {
        struct str name;
        yyjson_val *tool = tool_named(ask, i, ask->wishes.call.n > 0 ? ask->wishes.call : ask->only_tool, &name);
        if (tool == NULL) return;
        yyjson_val *schema = tool_schema(tool);
        if (ask->wishes.call_arguments.n > 0)
            buf_add(scratch, ask->wishes.call_arguments);
        else
            sample_json(schema, words[i % 4], scratch);
        struct plan_call *call = &plan->call[plan->calls++];
        call->name = arena_copy(a, name);
        call->arguments = take(scratch, a);
        call->id = arena_printf(a, "%012llx%02u", (unsigned long long)(mix(random + 77) & 0xffffffffffff), i);
        plan->usage.output += TOKENS_PER_CALL + tokens_of(call->arguments.n);
    }
    plan->finish = FINISH_TOOLS;
}

/* The first stop sequence that the text holds ends it there, and is not part of it. */
static void apply_stops(struct plan *plan, const struct ask *ask)
{
    for (unsigned i = 0; i < ask->stops; i++) {
        ptrdiff_t at = ask->stop[i].n > 0 ? str_find(plan->text, ask->stop[i]) : -1;
        if (at >= 0) {
            plan->text = str_slice(plan->text, 0, (size_t)at);
            plan->finish = FINISH_SEQUENCE;
            plan->stop_sequence = ask->stop[i];
        }
    }
}

static void apply_limit(struct plan *plan, const struct ask *ask)
{
    uint64_t words = count_words(plan->text), spent = plan->usage.output;
    if (ask->max_tokens > 0 && spent + words > ask->max_tokens && plan->calls == 0) {
        plan->text = keep_words(plan->text, ask->max_tokens > spent ? ask->max_tokens - spent : 0);
        words = count_words(plan->text);
        plan->finish = FINISH_LENGTH;
        plan->stop_sequence = STR_NULL;
    }
    plan->usage.output += words;
}

static void plan_input(struct plan *plan, const struct ask *ask)
{
    uint64_t left = ask->input_tokens;
    uint64_t *parts[] = {&plan->usage.cache_read, &plan->usage.cache_write, &plan->usage.cache_write_1h};
    uint64_t wanted[] = {ask->wishes.cached, ask->wishes.cache_write, ask->wishes.cache_write_1h};
    for (size_t i = 0; i < 3; i++) {
        *parts[i] = wanted[i] < left ? wanted[i] : left;
        left -= *parts[i];
    }
    plan->usage.input = left;
}

void plan_make(struct plan *plan, const struct ask *ask, const char *name, const char *dialect, uint64_t seed,
               struct arena *a)
{
    struct buf scratch = {0};
    uint64_t random = hash_of(ask->last_text, hash_of(ask->model, hash_of(str_of(name), seed)));
    *plan = (struct plan){0};
    plan->id = arena_printf(a, "%016llx", (unsigned long long)random);
    plan_input(plan, ask);
    if (ask->thinks || ask->wishes.reasoning) {
        buf_addz(&scratch, "Thinking about it:");
        add_lorem(&scratch, random + 1, 9);
        plan->thinking = take(&scratch, a);
        plan->usage.reasoning = plan->usage.output = count_words(plan->thinking);
    }
    if (ask->wishes.refuse) {
        plan->text = STR("I cannot help with that.");
        plan->finish = FINISH_REFUSAL;
    } else {
        bool calls = ask->may_call && !ask->ends_with_result && !ask->wishes.no_tool;
        if (calls || ask->must_call) plan_calls(plan, ask, random, &scratch, a);
        if (plan->calls == 0) {
            write_text(&scratch, ask, name, dialect, random);
            plan->text = take(&scratch, a);
            if (ask->wishes.filter) plan->finish = FINISH_FILTER;
            apply_stops(plan, ask);
        }
    }
    apply_limit(plan, ask);
    buf_fini(&scratch);
}
