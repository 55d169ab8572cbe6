#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire/url.h"
#include "tests/unit/proto/wire/corpora.h"

#include <string.h>
#include <yyjson.h>

static void good(const char *text, bool tls, const char *host, int port, const char *path, bool is_ip)
{
    struct url u;
    const char *why = "";
    bool ok = url_parse(str_of(text), &u, &why);
    if (!ok) print_message("# %s: %s\n", text, why);
    assert_true(ok);
    assert_int_equal(u.tls, tls);
    assert_true(str_is(u.host, host));
    assert_int_equal(u.port, port);
    assert_true(str_is(u.path, path));
    assert_int_equal(u.is_ip, is_ip);
}

static void bad(const char *text, const char *part_of_why)
{
    struct url u;
    const char *why = "";
    bool ok = url_parse(str_of(text), &u, &why);
    if (ok || strstr(why, part_of_why) == NULL) print_message("# %s: %d %s\n", text, ok, why);
    assert_false(ok);
    assert_non_null(strstr(why, part_of_why));
}

static void base_urls_are_read(void **state)
{
    (void)state;
    good("https://api.openai.com/v1", true, "api.openai.com", 443, "/v1", false);
    good("https://api.openai.com/v1/", true, "api.openai.com", 443, "/v1", false);
    good("http://127.0.0.1:8080", false, "127.0.0.1", 8080, "", true);
    good("HTTP://LocalHost/", false, "LocalHost", 80, "", false);
    good("https://[::1]:9/a/b", true, "::1", 9, "/a/b", true);
    good("https://my_host-1.example.", true, "my_host-1.example.", 443, "", false);
    good("https://h/%7Ea/@b:c", true, "h", 443, "/%7Ea/@b:c", false);
    good("https://1e100.net.a1", true, "1e100.net.a1", 443, "", false);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    bad("", "http");
    bad("api.openai.com", "http");
    bad("ftp://h", "http");
    bad("https:/h", "http");
    bad("https://", "host is empty");
    bad("https:///x", "host is empty");
    bad("https://u:p@h/", "user info");
    bad("https://h@evil/", "user info");
    bad("https://h/#x", "fragment");
    bad("https://h#", "fragment");
    bad("https://h/?x", "query");
    bad("https://h/a b", "white space");
    bad("https://h\t/", "white space");
    bad("https://h\\@evil/", "backslash");
    bad("https://h\xC3\xA9/", "ASCII");
    bad("https://h:0/", "port");
    bad("https://h:65536/", "port");
    bad("https://h:/", "port");
    bad("https://h:+1/", "port");
    bad("https://a..b/", "part of the host name");
    bad("https://.a/", "part of the host name");
    bad("https://h%41/", "character");
    bad("https://[::1", "bracket");
    bad("https://[::1]x", "bracket");
    bad("https://[1.2.3.4]/", "IPv6");
    bad("https://[::1%25lo]/", "IPv6");
    bad("https://::1/", "port");
    bad("https://h/a/../b", "dot segment");
    bad("https://h/%2e%2E/b", "dot segment");
    bad("https://h/%zz", "escape");
    bad("https://h/%4", "escape");
    bad("https://h/{x}", "percent-encoded");
}

static void odd_spellings_of_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const odd[] = {"https://127.1/",      "https://0x7f000001/", "https://2130706433/",
                                      "https://0177.0.0.1/", "https://127.0.0.01",  "https://1.2.3.4.5/",
                                      "https://256.1.1.1/",  "https://a.0x1/",      "https://1.2.3/",
                                      "https://0/",          "https://1.2.3.4./",   "https://127.0.0.0x1/",
                                      "https://0x/"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) bad(odd[i], i == 0 ? "number" : "");
}

static void authorities_are_read(void **state)
{
    (void)state;
    struct str host;
    uint16_t port;
    const char *why;
    assert_true(url_parse_authority(STR("localhost"), &host, &port, &why));
    assert_int_equal(port, 0);
    assert_true(url_parse_authority(STR("localhost:8490"), &host, &port, &why));
    assert_int_equal(port, 8490);
    assert_true(str_is(host, "localhost"));
    assert_true(url_parse_authority(STR("[2001:db8::1]:80"), &host, &port, &why));
    assert_true(str_is(host, "2001:db8::1"));
    static const char *const wrong[] = {"",    ":80",   "a:b",  "a b", "a/b", "a,b",
                                        "u@a", "a:1:2", "[::1", "[]",  "a:",  "[::1]:"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(url_parse_authority(str_of(wrong[i]), &host, &port, &why));
}

static bool is_private(const char *text)
{
    int family;
    uint8_t ip[16];
    assert_true(url_parse_ip(str_of(text), &family, ip));
    return url_address_is_private(family, ip);
}

static void private_addresses_are_known(void **state)
{
    (void)state;
    static const char *const private[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:a00:1",
        "64:ff9b::a00:1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
        "100::1",
        "2001:db8::1",
        "2001::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "3fff::1",
        "5f00::1",
        "2001:10::1",
        "2001:2::1",
        "192.88.99.1",
    };
    static const char *const public[] = {
        "1.1.1.1",         "8.8.8.8",          "9.255.255.255",   "11.0.0.0",
        "100.63.255.255",  "100.128.0.0",      "126.255.255.255", "128.0.0.1",
        "169.253.255.255", "169.255.0.0",      "172.15.255.255",  "172.32.0.0",
        "192.0.1.1",       "192.167.255.255",  "192.169.0.0",     "198.17.255.255",
        "198.20.0.0",      "223.255.255.255",  "2606:4700::1111", "2a00:1450::1",
        "::ffff:8.8.8.8",  "64:ff9b::8.8.8.8", "2002:808:808::1", "2001:4860:4860::8888",
        "2620:fe::fe",
    };
    for (size_t i = 0; i < sizeof private / sizeof private[0]; i++)
        if (!is_private(private[i])) fail_msg("%s is private", private[i]);
    for (size_t i = 0; i < sizeof public / sizeof public[0]; i++)
        if (is_private(public[i])) fail_msg("%s is public", public[i]);
}

static void escapes_are_decoded(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_true(url_percent_decode(STR("a%2Fb%c3%A9%25"), &b));
    assert_true(str_is(buf_view(&b), "a/b\xC3\xA9%"));
    assert_false(url_percent_decode(STR("x%"), &b));
    assert_false(url_percent_decode(STR("x%4"), &b));
    assert_false(url_percent_decode(STR("x%4g"), &b));
    assert_false(url_percent_decode(STR("x%00"), &b));
    assert_true(str_is(buf_view(&b), "a/b\xC3\xA9%"));
    buf_fini(&b);
}

/* WHATWG: a failure for a browser must be one here. Where we accept, the host must be the one that a browser sees. */
static unsigned check_vectors(const char *file)
{
    struct buf text = {0};
    if (!corpora_read(file, &text)) return 0;
    yyjson_doc *doc = yyjson_read(buf_view(&text).p, buf_len(&text), YYJSON_READ_ALLOW_INVALID_UNICODE);
    assert_non_null(doc);
    size_t i, n;
    unsigned seen = 0;
    yyjson_val *v;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, v)
    {
        yyjson_val *input = yyjson_obj_get(v, "input"), *base = yyjson_obj_get(v, "base");
        if (input == NULL || (base != NULL && yyjson_is_str(base))) continue;
        struct str s = {yyjson_get_str(input), yyjson_get_len(input)};
        struct url u;
        const char *why;
        seen++;
        if (!url_parse(s, &u, &why)) continue;
        if (yyjson_get_bool(yyjson_obj_get(v, "failure"))) fail_msg("accepted: %.*s", STR_FMT(s));
        struct str host = str_of(yyjson_get_str(yyjson_obj_get(v, "hostname")));
        if (str_starts(host, STR("["))) host = str_slice(host, 1, host.n - 1);
        if (!u.is_ip && !str_ieq(host, u.host)) fail_msg("%.*s: host %.*s", STR_FMT(s), STR_FMT(u.host));
        int family, family2;
        uint8_t ip[16], ip2[16];
        if (u.is_ip) {
            assert_true(url_parse_ip(u.host, &family, ip) && url_parse_ip(host, &family2, ip2));
            assert_memory_equal(ip, ip2, 16);
        }
    }
    yyjson_doc_free(doc);
    buf_fini(&text);
    return seen;
}

static void browsers_agree(void **state)
{
    (void)state;
    unsigned seen = check_vectors("url/urltestdata.json");
    if (seen == 0) {
        corpora_absent("url");
        skip();
    }
    assert_true(seen > 300);
    assert_true(check_vectors("url/ada_extra_urltestdata.json") > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_urls_are_read),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(odd_spellings_of_addresses_are_refused),
        cmocka_unit_test(authorities_are_read),
        cmocka_unit_test(private_addresses_are_known),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(browsers_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
