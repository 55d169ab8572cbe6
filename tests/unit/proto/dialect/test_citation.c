#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/chat.h"

#include <string.h>

static struct arena arena;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void add(struct part *p, const char *url, int64_t start, int64_t end)
{
    struct citation c = citation_of(CITED_URL);
    c.url = str_of(url);
    citation_set_span(&c, start, end);
    citation_add(&p->citations, &arena, &c);
}

static void stand_in_the_order_of_their_starts(void **state)
{
    (void)state;
    struct part p = {.kind = PART_TEXT, .text = STR("0123456789")};
    add(&p, "b", 4, 6);
    add(&p, "d", 8, 9);
    add(&p, "a", 1, 3);
    add(&p, "c", 4, 5);
    char order[5] = {0};
    unsigned n = 0;
    for (const struct citation *c = p.citations.first; c != NULL; c = c->next) order[n++] = c->url.p[0];
    assert_string_equal(order, "abcd");
    assert_int_equal(p.citations.last->start, 8);
}

static void no_more_than_the_limit(void **state)
{
    (void)state;
    struct part p = {.kind = PART_TEXT, .text = STR("x")};
    for (int i = 0; i < CITATIONS_MOST + 5; i++) add(&p, "u", 0, 1);
    assert_int_equal(p.citations.n, CITATIONS_MOST);
}

static void settled_inside_their_text(void **state)
{
    (void)state;
    struct parts parts = {0};
    struct part *p = part_add(&parts, &arena, PART_TEXT);
    p->text = STR("h\xc3\xa9llo"); /* five characters in six bytes */
    add(p, "whole", 0, -1);
    add(p, "long", 2, 900);
    add(p, "outside", 700, 900);
    struct citation c = citation_of(CITED_FILE);
    c.id = STR("file-1");
    citation_add(&p->citations, &arena, &c);
    assert_false(citations_settle(&parts, CITES(CITED_URL)));
    assert_int_equal(p->citations.n, 3);
    assert_int_equal(p->citations.first->end, 5);
    for (const struct citation *at = p->citations.first; at != NULL; at = at->next)
        assert_true(at->start >= 0 && at->start < at->end && at->end == 5);
    assert_true(citations_settle(&parts, CITES_ALL));
}

static void an_address_makes_a_page_of_anything(void **state)
{
    (void)state;
    struct citation c = citation_of(CITED_SOURCE);
    assert_false(citation_fits(&c, CITES(CITED_URL)));
    c.url = STR("https://a.example/");
    assert_true(citation_fits(&c, CITES(CITED_URL)));
    assert_false(citation_fits(&c, 0));
}

static void cut_into_blocks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t spans[3][2];
        const char *blocks; /* cited ones in brackets with how many */
    } rows[] = {
        {"plain text", {{0}}, "plain text|"},
        {"h\xc3\xa9llo you", {{0, 5}}, "[h\xc3\xa9llo]1| you|"},
        {"say hello you", {{4, 9}}, "say |[hello]1| you|"},
        {"one two three", {{0, 3}, {4, 7}}, "[one ]1|[two]1| three|"},
        {"one, two", {{0, 3}, {5, 8}}, "[one]1|, |[two]1|"},
        {"overlapping", {{0, 6}, {4, 11}}, "[overlapping]2|"},
        {"twice", {{0, 5}, {0, 5}}, "[twice]2|"},
        {"  blank before", {{2, 7}}, "[  blank]1| before|"},
        {"to the end.\n", {{3, 11}}, "to |[the end.\n]1|"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct part p = {.kind = PART_TEXT, .text = str_of(rows[i].text)};
        for (size_t k = 0; k < 3; k++)
            if (rows[i].spans[k][1] > 0) add(&p, "u", rows[i].spans[k][0], rows[i].spans[k][1]);
        struct cited_walk walk;
        struct cited_block block;
        struct buf got = {0};
        cited_walk_init(&walk, p.text, &p.citations);
        while (cited_walk_next(&walk, &block)) {
            if (block.n > 0)
                buf_addf(&got, "[%.*s]%u|", STR_FMT(block.text), block.n);
            else
                buf_addf(&got, "%.*s|", STR_FMT(block.text));
        }
        buf_addc(&got, '\0');
        assert_string_equal(buf_view(&got).p, rows[i].blocks);
        buf_fini(&got);
    }
}

static void bytes_and_characters(void **state)
{
    (void)state;
    static const char *const pieces[] = {"ab", "\xc3\xa9", "\xf0\x9f\x98\x80z", "", "\xe2\x82\xac\xe2\x82\xac"};
    static const int64_t bytes[] = {0, 1, 2, 4, 8, 9, 12, 15};
    struct text_map m = {0};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) text_map_add(&m, &arena, str_of(pieces[i]));
    assert_int_equal(m.points, 7);
    assert_int_equal(m.bytes, 15);
    for (int64_t point = 0; point <= 7; point++) {
        assert_int_equal(text_map_byte(&m, point), bytes[point]);
        assert_int_equal(text_map_point(&m, bytes[point]), point);
    }
    assert_int_equal(text_map_byte(&m, 99), 15);
    assert_int_equal(text_map_point(&m, 99), 7);
    assert_int_equal(text_map_point(&m, -1), 0);
    assert_int_equal(text_map_point(&m, 6), 3); /* inside a character: the one it is in */
}

struct told {
    int64_t start[5], end[5], before[5];
    unsigned n;
};

static void tell(void *to, const struct delta *d)
{
    struct told *t = to;
    assert_true(t->n < 5);
    t->start[t->n] = d->citation->start;
    t->end[t->n] = d->citation->end;
    t->before[t->n++] = d->before;
}

static bool take(struct citing *s, struct told *t, const struct delta *d)
{
    return citing_take(s, d, &arena, tell, t);
}

static void told_when_their_end_is_known(void **state)
{
    (void)state;
    struct citing s = {0};
    struct told t = {0};
    struct citation whole = citation_of(CITED_URL), span = citation_of(CITED_URL);
    whole.url = span.url = STR("https://a.example/");
    citation_set_span(&span, 1, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_false(take(&s, &t, &(struct delta){.kind = DELTA_OPEN, .part = PART_TEXT, .index = i}));
        assert_true(
            take(&s, &t, &(struct delta){.kind = DELTA_CITATION, .part = PART_TEXT, .index = i, .citation = &whole}));
        assert_false(take(
            &s, &t, &(struct delta){.kind = DELTA_TEXT, .part = PART_TEXT, .index = i, .text = STR("h\xc3\xa9y")}));
        assert_true(
            take(&s, &t, &(struct delta){.kind = DELTA_CITATION, .part = PART_TEXT, .index = i, .citation = &span}));
        assert_int_equal(t.n, i * 2 + 1);
        assert_false(take(&s, &t, &(struct delta){.kind = DELTA_CLOSE, .part = PART_TEXT, .index = i}));
    }
    assert_int_equal(t.n, 4);
    assert_true(t.start[0] == 1 && t.end[0] == 2 && t.before[0] == 0);
    assert_true(t.start[1] == 0 && t.end[1] == 3 && t.before[1] == 0);
    assert_true(t.start[3] == 0 && t.end[3] == 3 && t.before[3] == 3);
    /* of a part that is not open: told as one of no text */
    assert_true(
        take(&s, &t, &(struct delta){.kind = DELTA_CITATION, .part = PART_TEXT, .index = 0, .citation = &span}));
    assert_int_equal(t.n, 5);
    assert_int_equal(t.end[4], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(stand_in_the_order_of_their_starts, teardown),
        cmocka_unit_test_teardown(no_more_than_the_limit, teardown),
        cmocka_unit_test_teardown(settled_inside_their_text, teardown),
        cmocka_unit_test_teardown(an_address_makes_a_page_of_anything, teardown),
        cmocka_unit_test_teardown(cut_into_blocks, teardown),
        cmocka_unit_test_teardown(bytes_and_characters, teardown),
        cmocka_unit_test_teardown(told_when_their_end_is_known, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
