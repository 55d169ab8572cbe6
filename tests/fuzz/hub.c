#include "tests/fuzz/hub.h"

#include "proto/wire/json.h"

#include <stdio.h>
#include <stdlib.h>

bool fuzz_split(const uint8_t *data, size_t size, struct fuzz_input *ret_input)
{
    if (size < 3) return false;
    *ret_input = (struct fuzz_input){
        .client = dialect_of((enum dialect_id)(data[0] % DIALECT_COUNT)),
        .target = dialect_of((enum dialect_id)(data[1] % DIALECT_COUNT)),
        .variant = data[2],
        .text = {(const char *)data + 3, size - 3},
    };
    return true;
}

void must_be_json(struct str text)
{
    unsigned depth;
    struct json_error error;
    if (!json_check(text, &depth, &error) && depth < JSON_MAX_DEPTH) abort();
}

void fuzz_show(const char *what, struct str text)
{
    if (getenv("FUZZ_SHOW") != NULL) fprintf(stderr, "---- %s\n%.*s\n", what, STR_FMT(text));
}

/* ---- Choices ---- */

unsigned choose(struct choices *c, unsigned below)
{
    if (c->n == 0 || below < 2) return 0;
    c->n--;
    return *c->p++ % below;
}

static struct str one_of(struct choices *c, const char *const *words, unsigned n)
{
    return str_of(words[choose(c, n)]);
}
#define ONE_OF(c, words) one_of((c), (words), sizeof(words) / sizeof *(words))

/* What hurts when it is quoted, cut or counted. */
static const char *const TEXTS[] = {
    "",
    "x",
    "Hello, world",
    "\"",
    "\\",
    "\\u0000",
    "\n",
    "\r\n\r\n",
    "data: [DONE]\n\n",
    "\x01\x1f\x7f",
    "\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80",
    " ",
    "\t",
    "<think>",
    "{\"a\":1}",
    "event: x",
    "\xe2\x80\xa9",
    "]",
    "null",
    "\xef\xbb\xbf",
};
static const char *const NAMES[] = {"f", "get_weather", "a-b", "with.dots", "mcp__server__tool", "x1", "_"};
static const char *const SCHEMAS[] = {
    "",
    "{}",
    "{\"type\":\"object\",\"properties\":{}}",
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"],\"additionalProperties\":"
    "false}",
    "{\"$defs\":{\"n\":{\"type\":\"integer\"}},\"type\":\"object\",\"properties\":{\"n\":{\"$ref\":\"#/$defs/n\"}}}",
    "{\"type\":[\"object\",\"null\"],\"properties\":{\"e\":{\"enum\":[1,\"a\",null]},\"l\":{\"type\":\"array\","
    "\"items\":{\"type\":\"number\"}}}}",
};
static const char *const ARGUMENTS[] = {
    "{}",
    "{\"a\":1}",
    "{\"a\":9007199254740993,\"b\":[1.10,-0,1e400]}",
    "{\"t\":\"\\ud83d\\ude00\\\"\\\\\"}",
    "",
    "{\"a\":",
    "[1]",
    "null",
    "\"x\"",
};
static const char *const LOGPROBS[] = {
    "[{\"token\":\"x\",\"logprob\":-0.5,\"bytes\":[120],\"top_logprobs\":[]}]",
    "[{\"token\":\"\\\"\",\"logprob\":-1e400,\"bytes\":null,\"top_logprobs\":[{\"token\":\"y\",\"logprob\":0}]},{}]",
};
static const char *const NUMBERS[] = {"", "0", "1", "0.7", "1.10", "2"};
static const char *const DATA[] = {"AAAA", "iVBORw0KGgo=", "JVBERi0x"};
static const char *const URLS[] = {"https://example.com/a.png", "http://example.com/x?y=1&z=%20"};
static const char *const SIGNATURES[] = {"", "c2ln", "EqQBCkYIBx", "sig with \"quotes\""};

static struct str any_text(struct choices *c, struct arena *a)
{
    struct str first = ONE_OF(c, TEXTS);
    return choose(c, 3) > 0 ? first : arena_printf(a, "%s%s", first.p, ONE_OF(c, TEXTS).p);
}

static struct str some_text(struct choices *c, struct arena *a)
{
    return arena_printf(a, "t%s", any_text(c, a).p);
}

/* ---- Parts ---- */

static void media(struct choices *c, struct arena *a, struct part *p)
{
    static const char *const IMAGES[] = {"image/png", "image/jpeg", "image/webp", "image/gif"};
    p->source = choose(c, 2) == 0 ? SOURCE_BASE64 : SOURCE_URL;
    p->data = p->source == SOURCE_BASE64 ? ONE_OF(c, DATA) : ONE_OF(c, URLS);
    if (p->kind == PART_IMAGE) p->media_type = ONE_OF(c, IMAGES);
    if (p->kind == PART_IMAGE && choose(c, 4) == 3) p->has_detail = true, p->detail = STR("high");
    if (p->kind == PART_DOCUMENT) {
        p->media_type = STR("application/pdf");
        p->title = choose(c, 2) == 0 ? STR("report.pdf") : STR_NULL;
        p->has_citations = choose(c, 3) == 2;
        if (choose(c, 4) == 0) p->source = SOURCE_TEXT, p->media_type = STR("text/plain"), p->data = some_text(c, a);
    }
    if (p->kind == PART_AUDIO) p->source = SOURCE_BASE64, p->data = ONE_OF(c, DATA), p->media_type = STR("wav");
}

static void any_citation(struct choices *c, struct citation *ret_citation)
{
    *ret_citation = citation_of((enum citation_kind)choose(c, CITED_SOURCE + 1));
    ret_citation->title = ONE_OF(c, TEXTS);
    ret_citation->cited = ONE_OF(c, TEXTS);
    if (ret_citation->kind == CITED_URL)
        ret_citation->url = ONE_OF(c, URLS), ret_citation->proof = ONE_OF(c, SIGNATURES);
    else
        ret_citation->id = ONE_OF(c, NAMES);
    if (choose(c, 2) == 0) citation_set_span(ret_citation, choose(c, 40), choose(c, 40));
    ret_citation->number = (int64_t)choose(c, 4) - 1;
    ret_citation->unit = (enum citation_unit)choose(c, UNIT_BLOCKS + 1);
    ret_citation->from = choose(c, 9), ret_citation->to = choose(c, 9);
}

static void cite(struct choices *c, struct arena *a, struct part *p)
{
    struct citation citation;
    for (unsigned n = choose(c, 8); n > 4; n--) {
        any_citation(c, &citation);
        citation_add(&p->citations, a, &citation);
    }
}

static struct part *call_add(struct choices *c, struct arena *a, struct parts *list, unsigned number)
{
    struct part *p = part_add(list, a, PART_TOOL_CALL);
    p->id = arena_printf(a, "call_%u", number);
    p->name = ONE_OF(c, NAMES);
    p->arguments = ONE_OF(c, ARGUMENTS);
    return p;
}

static void user_turn(struct choices *c, struct arena *a, struct parts *list)
{
    static const enum part_kind KINDS[] = {PART_TEXT, PART_TEXT, PART_IMAGE, PART_DOCUMENT, PART_AUDIO};
    for (unsigned n = choose(c, 3) + 1; n > 0; n--) {
        struct part *p = part_add(list, a, KINDS[choose(c, 5)]);
        if (p->kind == PART_TEXT)
            p->text = some_text(c, a);
        else
            media(c, a, p);
        p->cache = (enum cache_mark)(choose(c, 8) == 7 ? CACHE_SHORT : CACHE_NONE);
    }
}

/* Calls of a turn that no result follows, and results of no call, are what a client may send as well. */
static void assistant_turn(struct choices *c, struct arena *a, struct parts *list, unsigned *calls)
{
    if (choose(c, 3) == 0) {
        struct part *p = part_add(list, a, PART_REASONING);
        p->text = some_text(c, a);
        p->signature = ONE_OF(c, SIGNATURES);
        p->foreign = choose(c, 2) == 0;
    }
    if (choose(c, 4) > 0) part_add(list, a, PART_TEXT)->text = some_text(c, a);
    for (unsigned n = choose(c, 3); n > 0; n--) call_add(c, a, list, (*calls)++);
    if (list->n == 0) part_add(list, a, PART_REFUSAL)->text = some_text(c, a);
}

static void result_turn(struct choices *c, struct arena *a, struct parts *list, unsigned first, unsigned calls)
{
    for (unsigned i = first; i < calls; i++) {
        if (choose(c, 8) == 7) continue;
        struct part *p = part_add(list, a, PART_TOOL_RESULT);
        p->id = arena_printf(a, "call_%u", i);
        p->is_error = choose(c, 5) == 4;
        part_add(&p->content, a, PART_TEXT)->text = any_text(c, a);
        if (choose(c, 6) == 5) media(c, a, part_add(&p->content, a, PART_IMAGE));
    }
    if (list->n == 0 || choose(c, 3) == 0) part_add(list, a, PART_TEXT)->text = some_text(c, a);
}

/* ---- A request ---- */

static void tools(struct choices *c, struct arena *a, struct chat *chat)
{
    struct tool **last = &chat->tools;
    unsigned n = choose(c, 4);
    for (unsigned i = 0; i < n && i < sizeof NAMES / sizeof *NAMES; i++) {
        struct tool *t = *last = arena_zalloc(a, sizeof *t);
        t->name = str_of(NAMES[i]);
        t->description = choose(c, 2) == 0 ? STR_NULL : some_text(c, a);
        t->schema = ONE_OF(c, SCHEMAS);
        t->strict = (int8_t)((int)choose(c, 3) - 1);
        last = &t->next;
    }
    if (n == 0) return;
    chat->tool_choice = (enum tool_choice)choose(c, TOOLS_ONE + 1);
    if (chat->tool_choice == TOOLS_ONE) chat->tool_choice_name = chat->tools->name;
    chat->parallel_tools = (int8_t)((int)choose(c, 3) - 1);
    if (choose(c, 4) == 3) name_add(&chat->allowed_tools, a, chat->tools->name);
    if (choose(c, 4) == 3) {
        chat->tools->custom = chat->has_custom_tools = true;
        if (choose(c, 2) == 1)
            chat->tools->format = STR("{\"type\":\"grammar\",\"syntax\":\"regex\",\"definition\":\"[\\\"]+\"}");
    }
}

static void shared(struct choices *c, struct arena *a, struct chat *chat)
{
    static const struct {
        const char *name, *json;
    } members[] = {{"seed", "7"},
                   {"frequency_penalty", "-1.10"},
                   {"verbosity", "\"low\""},
                   {"prompt_cache_key", "\"k\\\"\""},
                   {"metadata", "{\"a\":\"b\"}"}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (choose(c, 6) == 5) chat_share(chat, a, members[i].name, str_of(members[i].name), str_of(members[i].json));
    chat->of_openai = choose(c, 2) == 1;
    if (choose(c, 6) != 5) return;
    chat->logprobs_said = STR("logprobs");
    chat->top_logprobs = choose(c, 3);
    name_add(&chat->demands, a, chat->logprobs_said);
}

struct chat *hub_chat(struct choices *c, struct arena *a)
{
    struct chat *chat = chat_new(a);
    struct message **last = &chat->messages;
    unsigned calls = 0, turns = choose(c, 4) * 2 + 1, index = 0;

    if (choose(c, 2) == 1) {
        struct message *m = *last = arena_zalloc(a, sizeof *m);
        m->role = ROLE_SYSTEM, m->index = index++, last = &m->next;
        part_add(&m->parts, a, PART_TEXT)->text = some_text(c, a);
    }
    for (unsigned i = 0, before = 0; i < turns; i++) {
        struct message *m = *last = arena_zalloc(a, sizeof *m);
        m->role = i % 2 == 0 ? ROLE_USER : ROLE_ASSISTANT, m->index = index++, last = &m->next;
        if (i % 2 == 1)
            before = calls, assistant_turn(c, a, &m->parts, &calls);
        else if (calls > before)
            result_turn(c, a, &m->parts, before, calls);
        else
            user_turn(c, a, &m->parts);
    }
    tools(c, a, chat);
    if (choose(c, 2) == 1) chat->max_output = 1 + (int64_t)choose(c, 200) * 64;
    chat->temperature = ONE_OF(c, NUMBERS);
    chat->top_p = choose(c, 3) == 2 ? STR("0.9") : STR_NULL;
    chat->top_k = choose(c, 5) == 4 ? STR("40") : STR_NULL;
    for (unsigned n = choose(c, 3); n > 0; n--) name_add(&chat->stop, a, some_text(c, a));
    chat->format = (enum format)(choose(c, 4) == 3   ? FORMAT_JSON_SCHEMA
                                 : choose(c, 6) == 5 ? FORMAT_JSON_OBJECT
                                                     : FORMAT_TEXT);
    if (chat->format == FORMAT_JSON_SCHEMA) chat->schema = str_of(SCHEMAS[3]), chat->schema_name = STR("answer");
    chat->effort = (enum effort)choose(c, EFFORT_MAX + 1);
    chat->thinking = (enum thinking)choose(c, THINKING_BUDGET + 1);
    chat->thinking_budget = chat->thinking == THINKING_BUDGET ? 1024 + (int64_t)choose(c, 30) * 256 : 0;
    chat->stream = choose(c, 2) == 1;
    shared(c, a, chat);
    return chat;
}

/* ---- An answer ---- */

static const enum finish FINISHES[] = {FINISH_STOP,   FINISH_STOP_SEQUENCE,  FINISH_TOOL_CALLS,
                                       FINISH_LENGTH, FINISH_CONTENT_FILTER, FINISH_REFUSAL};

static void any_usage(struct choices *c, struct usage *u)
{
    u->in_uncached = (int64_t)choose(c, 200);
    u->out_total = (int64_t)choose(c, 200);
    u->known = USAGE_INPUT | USAGE_OUTPUT;
}

struct answer *hub_answer(struct choices *c, struct arena *a)
{
    struct answer *answer = arena_zalloc(a, sizeof *answer);
    unsigned calls = 0;
    answer->id = STR("id-1");
    answer->model = STR("m");
    answer->created_s = 1700000000;
    answer->choices = 1;
    answer->finish = FINISHES[choose(c, sizeof FINISHES / sizeof *FINISHES)];
    if (answer->finish == FINISH_STOP_SEQUENCE) answer->stop_sequence = some_text(c, a);
    if (choose(c, 5) > 0) assistant_turn(c, a, &answer->parts, &calls);
    for (struct part *p = answer->parts.first; p != NULL; p = p->next)
        if (p->kind == PART_TEXT) {
            cite(c, a, p);
            if (choose(c, 6) == 5) p->logprobs = ONE_OF(c, LOGPROBS);
        }
    any_usage(c, &answer->usage);
    return answer;
}

/* ---- A stream ---- */

enum { DELTAS_MOST = 400, PARTS_OPEN_MOST = 8 };

static struct delta *delta_add(struct hub_stream *s, enum delta_kind kind, unsigned index, enum part_kind part)
{
    struct delta *d = &s->delta[s->n < DELTAS_MOST ? s->n++ : DELTAS_MOST - 1];
    *d = (struct delta){.kind = kind, .index = index, .part = part};
    return d;
}

/* Arguments are one JSON object in pieces, whatever the pieces: readers close a call when its object is whole. */
static const char *const OBJECTS[] = {
    "{}",
    "{\"a\":1}",
    "{\"a\":9007199254740993,\"b\":[1.10,-0,1e400]}",
    "{\"t\":\"\xf0\x9f\x98\x80\\\"\\\\\",\"u\":\"\xc3\xa9\"}",
    "{\"n\":{\"m\":[{}]},\"z\":null}",
};

struct open_part {
    enum part_kind kind;
    bool is_open;
    struct str left; /* of a call's arguments */
};

static void step_add(struct choices *c, struct arena *a, struct hub_stream *s, struct open_part *p, unsigned index)
{
    if (p->kind == PART_TEXT && choose(c, 6) == 5) {
        struct citation *citation = arena_zalloc(a, sizeof *citation);
        any_citation(c, citation);
        delta_add(s, DELTA_CITATION, index, p->kind)->citation = citation;
        return;
    }
    if (p->kind != PART_TOOL_CALL) {
        struct delta *d = delta_add(s, DELTA_TEXT, index, p->kind);
        d->text = any_text(c, a);
        if (p->kind == PART_TEXT && choose(c, 6) == 5) d->logprobs = ONE_OF(c, LOGPROBS);
        return;
    }
    size_t n = choose(c, 9);
    if (n > p->left.n) n = p->left.n;
    while (n < p->left.n && ((unsigned char)p->left.p[n] & 0xc0) == 0x80) n++; /* readers never give half a character */
    delta_add(s, DELTA_ARGUMENTS, index, p->kind)->text = str_slice(p->left, 0, n);
    p->left = str_slice(p->left, n, p->left.n);
}

static void close_add(struct choices *c, struct hub_stream *s, struct open_part *p, unsigned index)
{
    if (p->kind == PART_REASONING && choose(c, 2) == 0)
        delta_add(s, DELTA_SIGNATURE, index, p->kind)->text = ONE_OF(c, SIGNATURES);
    if (p->left.n > 0) delta_add(s, DELTA_ARGUMENTS, index, p->kind)->text = p->left;
    delta_add(s, DELTA_CLOSE, index, p->kind);
    p->is_open = false;
}

void hub_stream(struct choices *c, struct arena *a, struct hub_stream *ret_stream)
{
    static const enum part_kind KINDS[] = {PART_TEXT, PART_TOOL_CALL, PART_REASONING, PART_REFUSAL};
    struct open_part open[PARTS_OPEN_MOST];
    unsigned parts = 0;

    *ret_stream = (struct hub_stream){.delta = arena_zalloc(a, DELTAS_MOST * sizeof *ret_stream->delta)};
    struct delta *start = delta_add(ret_stream, DELTA_START, 0, PART_TEXT);
    start->id = STR("id-1"), start->model = STR("m"), start->created_s = 1700000000;
    while (c->n > 0 && ret_stream->n < DELTAS_MOST - 3 * PARTS_OPEN_MOST - 4) {
        unsigned step = choose(c, 5), at = parts > 0 ? choose(c, parts) : 0;
        if (step == 0 && parts < PARTS_OPEN_MOST) {
            struct open_part *p = &open[parts];
            *p = (struct open_part){.kind = KINDS[choose(c, 4)], .is_open = true};
            struct delta *d = delta_add(ret_stream, DELTA_OPEN, parts, p->kind);
            if (p->kind == PART_TOOL_CALL)
                d->id = arena_printf(a, "call_%u", parts), d->name = ONE_OF(c, NAMES), p->left = ONE_OF(c, OBJECTS);
            parts++;
        } else if (parts > 0 && open[at].is_open && step == 1) {
            close_add(c, ret_stream, &open[at], at);
        } else if (parts > 0 && open[at].is_open) {
            step_add(c, a, ret_stream, &open[at], at);
        }
    }
    for (unsigned i = 0; i < parts; i++)
        if (open[i].is_open) close_add(c, ret_stream, &open[i], i);
    delta_add(ret_stream, DELTA_FINISH, 0, PART_TEXT)->finish = FINISHES[choose(c, sizeof FINISHES / sizeof *FINISHES)];
    any_usage(c, &ret_stream->usage);
    delta_add(ret_stream, DELTA_USAGE, 0, PART_TEXT)->usage = &ret_stream->usage;
    delta_add(ret_stream, DELTA_END, 0, PART_TEXT);
}

/* ---- A small call ---- */

void hub_small_call(const struct dialect *client, bool json_array, struct arena *a, struct str *ret_body,
                    struct call *ret_call)
{
    /* One of these is a request of any dialect there is; a dialect that takes none of them needs a row here. */
    static const char *const BODIES[] = {
        "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true}",
        "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}",
        "{\"model\":\"m\",\"input\":\"x\",\"stream\":true}",
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}]}",
    };
    struct endpoint_place place = {.json_array = json_array};
    if (client->model_in_path) place.model = STR("m"), place.stream = true;
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++) {
        struct chat *chat;
        struct str why = STR_NULL;
        *ret_call = (struct call){0};
        *ret_body = str_of(BODIES[i]);
        if (call_read_at(client->id, &place, *ret_body, a, ret_call, &why) == WEIR_OK &&
            client->read_request(*ret_body, a, &chat, &why) == WEIR_OK && chat->messages != NULL && ret_call->stream)
            return;
    }
    abort();
}
