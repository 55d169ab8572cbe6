#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/dialect/dialect.h"
#include "proto/dialect/media.h"
#include "proto/wire/url.h"

#define assert_str(got, want) assert_true(str_is((got), (want)))

static void bytes_tell_what_they_are(void **state)
{
    (void)state;
    assert_str(media_type_of(PART_IMAGE, STR("\x89PNG\r\n\x1a\n....")), "image/png");
    assert_str(media_type_of(PART_IMAGE, STR("\xff\xd8\xff\xe0")), "image/jpeg");
    assert_str(media_type_of(PART_IMAGE, STR("GIF89a")), "image/gif");
    assert_str(media_type_of(PART_IMAGE, STR("RIFF....WEBPVP8 ")), "image/webp");
    assert_str(media_type_of(PART_DOCUMENT, STR("%PDF-1.7")), "application/pdf");
    assert_str(media_type_of(PART_AUDIO, STR("RIFF....WAVEfmt ")), "wav");
    assert_str(media_type_of(PART_AUDIO, STR("ID3\x04")), "mp3");
    assert_str(media_type_of(PART_AUDIO, STR("\xff\xfb\x90")), "mp3");
    /* one kind is not another, and half a signature is none */
    assert_int_equal(media_type_of(PART_IMAGE, STR("%PDF-1.7")).n, 0);
    assert_int_equal(media_type_of(PART_IMAGE, STR("RIFF....WAVEfmt ")).n, 0);
    assert_int_equal(media_type_of(PART_IMAGE, STR("\x89PNG")).n, 0);
    assert_int_equal(media_type_of(PART_IMAGE, STR_NULL).n, 0);
    assert_int_equal(media_type_of(PART_DOCUMENT, STR("<html>")).n, 0);
    assert_int_equal(media_type_of(PART_AUDIO, STR("\xff")).n, 0);
}

static void urls_are_split(void **state)
{
    struct str origin, target;
    (void)state;
    assert_true(media_split_url(STR("https://a.b:8/c/d?e=f#g"), &origin, &target));
    assert_str(origin, "https://a.b:8");
    assert_str(target, "/c/d?e=f");
    assert_true(media_split_url(STR("http://a?b"), &origin, &target));
    assert_str(origin, "http://a");
    assert_str(target, "?b");
    assert_true(media_split_url(STR("http://a"), &origin, &target));
    assert_int_equal(target.n, 0);
    assert_false(media_split_url(STR("http://a/b c"), &origin, &target));
    assert_false(media_split_url(STR("http://a\\@b/"), &origin, &target));
    assert_false(media_split_url(STR("http://a/\r\nx: y"), &origin, &target));
    assert_str(media_name(STR("https://a/b?sig=secret")), "https://a/b");
}

static void metadata_addresses_are_link_local_in_every_form(void **state)
{
    static const struct {
        const char *text;
        bool is;
    } rows[] = {
        {"169.254.169.254", true},    {"fe80::1", true},    {"fd00:ec2::254", true}, {"::ffff:169.254.169.254", true},
        {"64:ff9b::a9fe:a9fe", true}, {"127.0.0.1", false}, {"10.0.0.1", false},     {"fd00::1", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int family;
        uint8_t ip[16];
        assert_true(url_parse_ip(str_of(rows[i].text), &family, ip));
        assert_int_equal(url_address_is_link_local(family, ip), rows[i].is);
    }
}

static struct chat *read(const char *json, struct arena *a)
{
    struct chat *chat = NULL;
    struct str why = STR_NULL;
    assert_int_equal(dialect_of(DIALECT_ANTHROPIC)->read_request(str_of(json), a, &chat, &why), WEIR_OK);
    return chat;
}

static const char ASKED[] =
    "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":["
    "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://a/x.png\"}},"
    "{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://a/x.pdf\"}}]},"
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}]},"
    "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":["
    "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://a/x.png\"}}]}]}]}";

static void parts_get_their_bytes(void **state)
{
    struct arena a;
    struct media_list list = {0};
    struct str why = STR_NULL;
    unsigned wanted;
    (void)state;
    arena_init(&a, 4096);
    struct chat *chat = read(ASKED, &a);
    /* who fetches them itself, gets the addresses */
    assert_int_equal(media_inline(chat, dialect_of(DIALECT_RESPONSES), false, &list, &a, &wanted, &why), WEIR_OK);
    assert_int_equal(wanted, 0);
    assert_int_equal(list.n, 0);
    /* of a document in chat completions only the bytes will do; of an image elsewhere, too */
    assert_int_equal(media_inline(chat, dialect_of(DIALECT_OPENAI_CHAT), false, &list, &a, &wanted, &why), WEIR_OK);
    assert_int_equal(wanted, 1);
    assert_int_equal(media_inline(chat, dialect_of(DIALECT_ANTHROPIC), true, &list, &a, &wanted, &why), WEIR_OK);
    assert_int_equal(wanted, 3);
    assert_int_equal(list.n, 2); /* the picture stands there twice */
    for (struct media *m = list.first; m != NULL; m = m->next) {
        m->is_here = true;
        m->type = m->kind == PART_IMAGE ? STR("image/png") : STR("application/pdf");
        m->base64 = STR("QUJD");
    }
    assert_int_equal(media_inline(chat, dialect_of(DIALECT_CONVERSE), false, &list, &a, &wanted, &why), WEIR_OK);
    assert_int_equal(wanted, 0);
    const struct part *p = chat->messages->parts.first;
    assert_int_equal(p->source, SOURCE_BASE64);
    assert_str(p->media_type, "image/png");
    assert_str(p->next->data, "QUJD");
    /* what could not be had is told by name, without what stands behind a question mark */
    chat = read("{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\","
                "\"source\":{\"type\":\"url\",\"url\":\"https://a/y?k=v\"}}]}]}",
                &a);
    struct media_list other = {0};
    assert_int_equal(media_inline(chat, dialect_of(DIALECT_OLLAMA), false, &other, &a, &wanted, &why), WEIR_OK);
    other.first->failed = "it is late";
    assert_int_equal(media_inline(chat, dialect_of(DIALECT_OLLAMA), false, &other, &a, &wanted, &why),
                     WEIR_BAD_REQUEST);
    assert_str(why, "the image at https://a/y cannot be fetched: it is late");
    arena_fini(&a);
}

/* The first part of a user's message, settled for a target. */
static const struct part *settled(enum part_kind kind, const char *type, const char *data, enum dialect_id target,
                                  struct arena *a)
{
    struct chat *chat =
        read("{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\","
             "\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"\"}}]}]}",
             a);
    struct part *p = chat->messages->parts.first;
    p->kind = kind;
    p->media_type = str_of(type);
    p->data = str_of(data);
    media_settle(chat, dialect_of(target), a);
    return p;
}

static void base64_is_brought_into_one_form(void **state)
{
    static const struct {
        enum part_kind kind;
        const char *type, *data, *type_out, *data_out;
    } rows[] = {
        {PART_IMAGE, "image/png", "QUJD", "image/png", "QUJD"},
        {PART_IMAGE, "IMAGE/JPG ; q=1", "QUI", "image/jpeg", "QUI="},
        {PART_IMAGE, "image/png", "/9j/4AAQ", "image/jpeg", "/9j/4AAQ"},
        {PART_IMAGE, "image/png", "_9j_4AAQ", "image/jpeg", "/9j/4AAQ"},
        {PART_IMAGE, "image/png", " QU\r\nI=\n", "image/png", "QUI="},
        {PART_IMAGE, "image/png", "Q", "image/png", "Q"},
        {PART_IMAGE, "image/png", "QU*D", "image/png", "QU*D"},
        {PART_IMAGE, "image/png", "Q===", "image/png", "Q==="},
        {PART_IMAGE, "image/png", "====", "image/png", ""},
        {PART_IMAGE, "image/png", "", "image/png", ""},
        {PART_DOCUMENT, "application/x-pdf", "JVBERi0x", "application/pdf", "JVBERi0x"},
        {PART_AUDIO, "wav", "/+MYxAAA", "wav", "/+MYxAAA"}, /* sound without a header may begin with anything */
    };
    struct arena a;
    (void)state;
    arena_init(&a, 4096);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct part *p = settled(rows[i].kind, rows[i].type, rows[i].data, DIALECT_CONVERSE, &a);
        assert_str(p->media_type, rows[i].type_out);
        assert_str(p->data, rows[i].data_out);
        assert_int_equal(p->source, SOURCE_BASE64);
    }
    assert_int_equal(settled(PART_DOCUMENT, "text/csv", "YSxi", DIALECT_CONVERSE, &a)->source, SOURCE_BASE64);
    const struct part *text = settled(PART_DOCUMENT, "text/csv", "YSxi", DIALECT_ANTHROPIC, &a);
    assert_int_equal(text->source, SOURCE_TEXT);
    assert_str(text->data, "a,b");
    assert_int_equal(settled(PART_DOCUMENT, "text/csv", "Y*xi", DIALECT_ANTHROPIC, &a)->source, SOURCE_BASE64);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_tell_what_they_are),
        cmocka_unit_test(urls_are_split),
        cmocka_unit_test(metadata_addresses_are_link_local_in_every_form),
        cmocka_unit_test(parts_get_their_bytes),
        cmocka_unit_test(base64_is_brought_into_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
