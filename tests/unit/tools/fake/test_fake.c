/* The fake's counts are what bills are checked against: its token rule, its samples and its faults, by hand-made figures. */
#include "tools/fake/dialect.h"
#include "tools/fake/fault.h"
#include "tools/fake/program.h"
#include "tools/fake/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char openai_head[] = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n";

struct fixture {
    struct http1 http;
    struct arena arena;
    yyjson_doc *doc;
    struct ask ask;
    struct refusal refusal;
};

static void set_up_in(struct fixture *f, const struct fake_dialect *d, const char *json)
{
    struct str in = str_of(openai_head), body;
    memset(f, 0, sizeof *f);
    http1_init(&f->http, HTTP1_REQUEST, &http1_request_limits);
    assert_int_equal(http1_feed(&f->http, &in, &body), HTTP1_HEAD);
    arena_init(&f->arena, 4096);
    f->doc = yyjson_read(json, strlen(json), 0);
    assert_non_null(f->doc);
    d->read(yyjson_doc_get_root(f->doc), http1_head(&f->http), true, &f->ask, &f->refusal, &f->arena);
}

static void set_up(struct fixture *f, const char *json)
{
    set_up_in(f, &fake_openai, json);
}

static void tear_down(struct fixture *f)
{
    yyjson_doc_free(f->doc);
    arena_fini(&f->arena);
    http1_fini(&f->http);
}

static void input_tokens_follow_the_rule(void **state)
{
    (void)state;
    struct fixture f;
    /* system 4 + 8/4, user 4 + 9/4 up, image 100, tool 8 + ("get" + {"type":"object"} = 3 + 17) / 4 */
    set_up(&f,
           "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"12345678\"},"
           "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"123456789\"},"
           "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e/a.png\"}}]}],"
           "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get\",\"parameters\":{\"type\":\"object\"}}}]}");
    assert_int_equal(f.refusal.status, 0);
    assert_int_equal(f.ask.input_tokens, 4 + 2 + 4 + 3 + 100 + 8 + 5);
    tear_down(&f);
}

static void a_plan_is_the_same_every_time_and_counts_its_words(void **state)
{
    (void)state;
    struct fixture f;
    struct plan one, two, other;
    set_up(&f,
           "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"[[fake:words=50]] [[fake:cached=3]]\"}]}");
    plan_make(&one, &f.ask, "fake-a", "openai", 1, &f.arena);
    plan_make(&two, &f.ask, "fake-a", "openai", 1, &f.arena);
    plan_make(&other, &f.ask, "fake-a", "openai", 2, &f.arena);
    assert_true(str_eq(one.text, two.text));
    assert_false(str_eq(one.text, other.text));
    struct str rest = one.text;
    unsigned words = 0;
    while (plan_next_word(&rest).n > 0) words++;
    assert_int_equal(words, 50);
    assert_int_equal(one.usage.output, 50);
    assert_int_equal(one.usage.cache_read, 3);
    assert_int_equal(one.usage.input + one.usage.cache_read, f.ask.input_tokens);
    tear_down(&f);
}

static void a_sample_follows_its_schema(void **state)
{
    (void)state;
    static const char schema[] =
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":[\"integer\",\"null\"]},"
        "\"c\":{\"enum\":[\"x\",\"y\"]},\"d\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/t\"}},"
        "\"e\":{\"anyOf\":[{\"type\":\"boolean\"},{\"type\":\"null\"}]}},\"$defs\":{\"t\":{\"type\":\"number\"}}}";
    struct buf out = {0};
    yyjson_doc *doc = yyjson_read(schema, sizeof schema - 1, 0);
    sample_json(yyjson_doc_get_root(doc), "Oslo", &out);
    assert_true(str_is(buf_view(&out), "{\"a\":\"Oslo\",\"b\":7,\"c\":\"x\",\"d\":[7.5],\"e\":true}"));
    buf_clear(&out);
    yyjson_doc_free(doc);
    doc = yyjson_read("{\"$ref\":\"#\"}", 12, 0); /* leads to itself */
    sample_json(yyjson_doc_get_root(doc), "x", &out);
    assert_true(str_is(buf_view(&out), "null"));
    yyjson_doc_free(doc);
    buf_fini(&out);
}

/* A stream of three events of four bytes. */
static void make_stream(struct answer *a)
{
    answer_reset(a);
    a->is_stream = true;
    for (int i = 0; i < 3; i++) {
        buf_addf(&a->body, "e%d\n\n", i);
        answer_end_event(a);
    }
}

static void build(struct program *p, struct answer *a, struct faults *list, const char *json)
{
    const char *why = NULL;
    unsigned id = json != NULL ? faults_add(list, str_of(json), &why) : 0;
    const struct fault *f = json != NULL ? faults_take(list, &(struct fault_facts){0}, false) : NULL;
    if (json != NULL) assert_true(id > 0 && f != NULL);
    make_stream(a);
    program_build(p, a, f, &fake_openai, (struct program_pace){0}, true);
    faults_clear(list, 0);
}

static bool tells(const struct program *p, const char *text)
{
    return str_contains(buf_view(&p->bytes), str_of(text));
}

static void faults_change_the_program(void **state)
{
    (void)state;
    struct answer a = {0};
    struct program p = {0};
    struct faults list = {0};
    build(&p, &a, &list, NULL);
    assert_true(p.is_whole && p.end == FAULT_KEEP && p.events == 3);
    assert_true(tells(&p, "4\r\ne0\n\n\r\n4\r\ne1\n\n\r\n4\r\ne2\n\n\r\n0\r\n\r\n"));
    build(&p, &a, &list, "{\"keep_bytes\":6}");
    assert_true(!p.is_whole && p.end == FAULT_RST && p.events == 1);
    assert_true(str_ends(buf_view(&p.bytes), STR("4\r\ne0\n\n\r\n4\r\ne1")));
    build(&p, &a, &list, "{\"keep_bytes\":4,\"end\":\"fin\"}");
    assert_true(str_ends(buf_view(&p.bytes), STR("e0\n\n\r\n")) && p.end == FAULT_FIN);
    build(&p, &a, &list, "{\"omit_events\":1}");
    assert_true(!p.is_whole && p.end == FAULT_KEEP && str_ends(buf_view(&p.bytes), STR("e1\n\n\r\n0\r\n\r\n")));
    build(&p, &a, &list, "{\"raw\":\"SSH-2.0\"}");
    assert_true(!p.is_whole && str_is(buf_view(&p.bytes), "SSH-2.0") && p.end == FAULT_FIN);
    build(&p, &a, &list, "{\"split_bytes\":5,\"split_delay_ms\":2,\"delay_first_ms\":9}");
    size_t at = 0;
    for (size_t i = 0; i < p.steps; i++) {
        assert_in_range(p.step[i].end - at, 1, 5);
        assert_true(p.step[i].delay_ms == 2 || p.step[i].delay_ms == 9);
        at = p.step[i].end;
    }
    assert_int_equal(at, buf_len(&p.bytes));
    program_fini(&p);
    answer_fini(&a);
}

static void faults_match_count_and_refuse_typos(void **state)
{
    (void)state;
    struct faults list = {0};
    const char *why = NULL;
    assert_int_equal(faults_add(&list, STR("{\"stauts\":500}"), &why), 0);
    assert_int_equal(faults_add(&list, STR("{\"status\":\"500\"}"), &why), 0);
    assert_int_equal(faults_add(&list, STR("[1]"), &why), 0);
    assert_true(faults_add(&list,
                           STR("{\"model\":\"a*\",\"stream\":true,\"times\":2,\"skip\":1,\"every\":2,\"status\":500}"),
                           &why) > 0);
    struct fault_facts facts = {STR("/x"), STR("abc"), STR("openai"), STR_NULL, true}, whole = facts;
    whole.stream = false;
    static const bool expected[] = {false, true, false, true, false, false, false};
    for (size_t i = 0; i < sizeof expected; i++) {
        assert_null(faults_take(&list, &whole, false));
        assert_int_equal(faults_take(&list, &facts, false) != NULL, expected[i]);
    }
    assert_true(faults_clear(&list, 0));
}

static void responses_are_read_strictly(void **state)
{
    (void)state;
#define CALL   "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"}"
#define OUTPUT "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"x\"}"
#define SECRET "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],\"encrypted_content\":\"gAAAAABFakex==\"}"
    static const struct {
        const char *input, *more, *why;
        unsigned status;
    } rows[] = {
        {"\"hi\"", "", NULL, 0},
        {"[" SECRET "," CALL "," OUTPUT "]", ",\"store\":false", NULL, 0},
        {"[]", "", "'input'", 400},
        {"\"hi\"", ",\"messages\":[]", "Unknown parameter: 'messages'", 400},
        {"\"hi\"", ",\"max_output_tokens\":15", ">= 16", 400},
        {"\"hi\"", ",\"previous_response_id\":\"resp_1\"", "not found", 400},
        {"\"hi\"", ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", "'tools[0].name'", 400},
        {"\"hi\"", ",\"include\":[\"reasoning\"]", "'include'", 400},
        {"\"hi\"", ",\"text\":{\"format\":{\"type\":\"json_schema\",\"schema\":{}}}", "'text.format.name'", 400},
        {"[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]", "", "'input_text'", 400},
        {"[" OUTPUT "]", "", "No tool call found", 400},
        {"[" CALL "]", "", "No tool output found", 400},
        {"[" SECRET "]", "", "required following item", 400},
        {"[{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[]}," CALL "," OUTPUT "]", ",\"store\":false",
         "not persisted", 404},
        {"[{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"EqQB\"}," CALL "," OUTPUT "]", "",
         "could not be verified", 400},
        {"[{\"type\":\"item_reference\",\"id\":\"msg_1\"}]", "", "not found", 404},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f;
        char json[1024];
        snprintf(json, sizeof json, "{\"model\":\"m\",\"input\":%s%s}", rows[i].input, rows[i].more);
        set_up_in(&f, &fake_responses, json);
        if (f.refusal.status != rows[i].status ||
            (rows[i].why != NULL && !str_contains(f.refusal.message, str_of(rows[i].why))))
            fail_msg("%s: %u %.*s", json, f.refusal.status, STR_FMT(f.refusal.message));
        tear_down(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_tokens_follow_the_rule),
        cmocka_unit_test(a_plan_is_the_same_every_time_and_counts_its_words),
        cmocka_unit_test(a_sample_follows_its_schema),
        cmocka_unit_test(responses_are_read_strictly),
        cmocka_unit_test(faults_change_the_program),
        cmocka_unit_test(faults_match_count_and_refuse_typos),
    };
    return cmocka_run_group_tests_name("tools/fake", tests, NULL, NULL);
}
