#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/auth/digest.h"
#include "proto/auth/sigv4.h"
#include "proto/base/date.h"
#include "tests/unit/proto/wire/corpora.h"

#include <dirent.h>
#include <string.h>
#include <yyjson.h>

/* ---- The vendor's cases ---- */

struct sign_case {
    struct buf request, context;
    yyjson_doc *doc;
    struct http1_header header[16];
    char hash[DIGEST_HEX_BYTES];
    struct sigv4_input in;
};

static bool read_part(const char *name, const char *part, struct buf *out)
{
    char path[256];
    snprintf(path, sizeof path, "sigv4/v4/%s/%s", name, part);
    return corpora_read(path, out);
}

static struct str take_line(struct str *text)
{
    return str_split(text, '\n');
}

/* "GET /path?query HTTP/1.1", headers, perhaps with lines that go on the line before, and a body. */
static void read_request(struct sign_case *c)
{
    struct str text = buf_view(&c->request), line = take_line(&text);
    c->in.method = str_split(&line, ' ');
    struct str target = str_slice(line, 0, (size_t)str_rchr(line, ' '));
    c->in.path = str_split(&target, '?');
    c->in.query = target;
    while (text.n > 0 && (line = take_line(&text)).n > 0) {
        if (line.p[0] == ' ') { /* folded: the value reaches to here */
            struct str *value = &c->header[c->in.n - 1].value;
            value->n = (size_t)(line.p + line.n - value->p);
            continue;
        }
        struct str name = str_split(&line, ':');
        c->header[c->in.n++] = (struct http1_header){name, line};
    }
    digest_sha256_hex(text, c->hash);
    c->in.payload_hash = (struct str){c->hash, sizeof c->hash};
    c->in.header = c->header;
}

static struct str get_str(yyjson_val *object, const char *key)
{
    return str_of(yyjson_get_str(yyjson_obj_get(object, key)));
}

static void read_context(struct sign_case *c)
{
    c->doc = yyjson_read(buf_view(&c->context).p, buf_len(&c->context), 0);
    assert_non_null(c->doc);
    yyjson_val *root = yyjson_doc_get_root(c->doc), *credentials = yyjson_obj_get(root, "credentials");
    c->in.credential.access_key_id = get_str(credentials, "access_key_id");
    c->in.credential.secret = get_str(credentials, "secret_access_key");
    c->in.credential.session_token = get_str(credentials, "token");
    c->in.region = get_str(root, "region");
    c->in.service = get_str(root, "service");
    c->in.keep_path = !yyjson_get_bool(yyjson_obj_get(root, "normalize"));
    c->in.token_unsigned = yyjson_get_bool(yyjson_obj_get(root, "omit_session_token"));
    c->in.show_payload_hash = yyjson_get_bool(yyjson_obj_get(root, "sign_body"));
    c->in.expires_s = (uint32_t)yyjson_get_uint(yyjson_obj_get(root, "expiration_in_seconds"));
    assert_true(date_read_rfc3339(get_str(root, "timestamp"), &c->in.now_s));
}

static void same_as_file(const char *name, const char *part, struct str got)
{
    struct buf want = {0};
    assert_true(read_part(name, part, &want));
    if (!str_eq(buf_view(&want), got))
        print_message("# %s/%s:\n%.*s\n# wanted:\n%.*s\n", name, part, STR_FMT(got), STR_FMT(buf_view(&want)));
    assert_true(str_eq(buf_view(&want), got));
    buf_fini(&want);
}

/* What the signed request of the case has on the line that begins so. */
static void same_in_request(const char *name, const char *part, struct str before, struct str got)
{
    struct buf file = {0};
    assert_true(read_part(name, part, &file));
    struct str text = buf_view(&file);
    ptrdiff_t at = str_find(text, before);
    assert_true(at >= 0);
    assert_true(str_starts(str_slice(text, (size_t)at + before.n, text.n), got));
    buf_fini(&file);
}

static void check_case(const char *name)
{
    struct sign_case c;
    struct arena a;
    struct sigv4_result r;
    memset(&c, 0, sizeof c);
    arena_init(&a, 4096);
    assert_true(read_part(name, "request.txt", &c.request) && read_part(name, "context.json", &c.context));
    read_request(&c);
    read_context(&c);
    sigv4_headers(&c.in, &a, &r);
    same_as_file(name, "header-canonical-request.txt", r.canonical);
    same_as_file(name, "header-string-to-sign.txt", r.to_sign);
    same_as_file(name, "header-signature.txt", r.signature);
    same_in_request(name, "header-signed-request.txt", STR("\nAuthorization:"), r.authorization);
    same_in_request(name, "header-signed-request.txt", STR("\nX-Amz-Date:"), r.date);
    sigv4_query(&c.in, &a, &r);
    same_as_file(name, "query-canonical-request.txt", r.canonical);
    same_as_file(name, "query-string-to-sign.txt", r.to_sign);
    same_as_file(name, "query-signature.txt", r.signature);
    same_in_request(name, "query-signed-request.txt", STR("?"), r.query);
    yyjson_doc_free(c.doc);
    buf_fini(&c.request);
    buf_fini(&c.context);
    arena_fini(&a);
}

static void vendor_cases_agree(void **state)
{
    (void)state;
    char folder[512];
    const char *shared = getenv("WEIR_SHARED"), *root = getenv("WEIR_SOURCE_ROOT");
    snprintf(folder, sizeof folder, "%s%s/corpora/sigv4/v4",
             shared != NULL ? shared
             : root != NULL ? root
                            : ".",
             shared != NULL ? "" : "/../shared");
    DIR *d = opendir(folder);
    if (d == NULL) {
        corpora_absent("sigv4");
        skip();
    }
    unsigned n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        check_case(e->d_name);
        n++;
    }
    closedir(d);
    print_message("# %u of 38 cases, header and query form\n", n);
    assert_int_equal(n, 38);
}

/* ---- Bedrock's form: values checked with the vendor's own code ---- */

static const char bedrock_path[] = "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse";
static const char bedrock_body[] = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]}]}";

static struct sign_request bedrock_request(const struct http1_header *header, unsigned n)
{
    return (struct sign_request){
        .method = STR("POST"),
        .host = STR("bedrock-runtime.us-east-1.amazonaws.com"),
        .path = str_of(bedrock_path),
        .header = header,
        .n = n,
        .body = str_of(bedrock_body),
        .region = STR("us-east-1"),
        .now_s = 1795348800, /* 2026-11-22T12:00:00Z */
    };
}

static const struct credential aws = {
    .access_key_id = {"AKIAEXAMPLE000000000", 20},
    .secret = {"ExampleSecretKey/0123456789+abcdefghijkl", 40},
};

static void a_converse_request_is_signed(void **state)
{
    (void)state;
    const struct http1_header header[] = {{STR("Content-Type"), STR("application/json")},
                                          {STR("User-Agent"), STR("x")},
                                          {STR("Accept"), STR("*/*")},
                                          {STR("X-Amz-Date"), STR("a client's own")}};
    struct sign_request r = bedrock_request(header, 4);
    struct credential c = aws;
    struct buf head = {0};
    struct arena a;
    arena_init(&a, 4096);
    assert_int_equal(signer_sign(SIGNER_SIGV4, &r, &c, &a, &head), WEIR_OK);
    assert_true(str_is(buf_view(&head),
                       "x-amz-date: 20261122T120000Z\r\n"
                       "x-amz-content-sha256: c3335e07d6e89650bf94cb98664be69f8774dbc3198df221f113db0a59ea14f0\r\n"
                       "Authorization: AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE000000000/20261122/us-east-1/bedrock/"
                       "aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, "
                       "Signature=071ac8c114a2e86e2a74c34080a3d0e09ca2405c11833962c4b2f2750b5ba348\r\n"));
    buf_clear(&head);
    c.session_token = STR("EXAMPLETOKEN==");
    assert_int_equal(signer_sign(SIGNER_SIGV4, &r, &c, &a, &head), WEIR_OK);
    assert_true(str_contains(buf_view(&head), STR("\r\nx-amz-security-token: EXAMPLETOKEN==\r\n")));
    assert_true(str_contains(buf_view(&head),
                             STR("Signature=4b9e8a163d6882700c8a4997800f689700e7824b1fa0bcc64d7394507d7bcbf6\r\n")));
    buf_fini(&head);
    arena_fini(&a);
}

static void a_known_hash_spares_the_body(void **state)
{
    (void)state;
    const struct http1_header header[] = {{STR("content-type"), STR("application/json")}};
    struct sign_request r = bedrock_request(header, 1);
    struct buf by_body = {0}, by_hash = {0}, without = {0};
    struct arena a;
    arena_init(&a, 4096);
    assert_int_equal(signer_sign(SIGNER_SIGV4, &r, &aws, &a, &by_body), WEIR_OK);
    r.body = STR_NULL;
    r.payload_hash = STR("c3335e07d6e89650bf94cb98664be69f8774dbc3198df221f113db0a59ea14f0");
    assert_int_equal(signer_sign(SIGNER_SIGV4, &r, &aws, &a, &by_hash), WEIR_OK);
    assert_true(str_eq(buf_view(&by_body), buf_view(&by_hash)));
    r.payload_hash = SIGV4_UNSIGNED_PAYLOAD;
    assert_int_equal(signer_sign(SIGNER_SIGV4, &r, &aws, &a, &without), WEIR_OK);
    assert_true(str_contains(buf_view(&without), STR("x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n")));
    assert_false(str_eq(buf_view(&without), buf_view(&by_hash)));
    buf_fini(&by_body);
    buf_fini(&by_hash);
    buf_fini(&without);
    arena_fini(&a);
}

/* A kept key never signs for another secret, region, service or day. */
static void a_kept_key_changes_nothing(void **state)
{
    (void)state;
    static struct sign_cache cache;
    static const char *const secrets[] = {"ExampleSecretKey/0123456789+abcdefghijkl", "b/us-east-1", "b"};
    static const char *const regions[] = {"us-east-1", "us-east-1/b"};
    struct arena a;
    unsigned hits = 0;
    arena_init(&a, 4096);
    for (unsigned i = 0; i < 64; i++) {
        struct sign_request r = bedrock_request(NULL, 0);
        struct credential c = aws;
        struct buf with = {0}, without = {0};
        c.secret = str_of(secrets[i / 2 % 3]);
        r.region = str_of(regions[i / 8 % 2]);
        r.service = i / 16 % 2 ? STR("bedrock-mantle") : STR_NULL;
        r.now_s += i / 32 * 86400;
        assert_int_equal(signer_sign(SIGNER_SIGV4, &r, &c, &a, &without), WEIR_OK);
        struct sign_cache before = cache;
        r.cache = &cache;
        assert_int_equal(signer_sign(SIGNER_SIGV4, &r, &c, &a, &with), WEIR_OK);
        assert_true(str_eq(buf_view(&with), buf_view(&without)));
        assert_true(cache.n > 0);
        hits += memcmp(&before, &cache, sizeof cache) == 0;
        buf_fini(&with);
        buf_fini(&without);
    }
    assert_true(hits >= 32);
    static char long_secret[300];
    memset(long_secret, 'x', sizeof long_secret);
    struct sign_request r = bedrock_request(NULL, 0);
    struct credential c = {.access_key_id = STR("AK"), .secret = {long_secret, sizeof long_secret}};
    struct sign_cache before = cache;
    struct buf head = {0};
    r.cache = &cache;
    assert_int_equal(signer_sign(SIGNER_SIGV4, &r, &c, &a, &head), WEIR_OK);
    assert_memory_equal(&before, &cache, sizeof cache);
    buf_fini(&head);
    arena_fini(&a);
}

static void what_cannot_be_signed_is_refused(void **state)
{
    (void)state;
    struct sign_request r = bedrock_request(NULL, 0);
    struct credential c = aws;
    struct buf head = {0};
    struct arena a;
    arena_init(&a, 4096);
    r.region = STR_NULL;
    assert_int_equal(signer_sign(SIGNER_SIGV4, &r, &c, &a, &head), WEIR_UP_AUTH);
    r.region = STR("us-east-1");
    c.session_token = STR("a\r\nx: y");
    assert_int_equal(signer_sign(SIGNER_SIGV4, &r, &c, &a, &head), WEIR_UP_AUTH);
    c.session_token = STR_NULL;
    c.access_key_id = STR("A\nB");
    assert_int_equal(signer_sign(SIGNER_SIGV4, &r, &c, &a, &head), WEIR_UP_AUTH);
    assert_int_equal(buf_len(&head), 0);
    c.access_key_id = STR_NULL; /* a Bedrock API key */
    assert_int_equal(signer_sign(SIGNER_SIGV4, &r, &c, &a, &head), WEIR_OK);
    assert_true(str_is(buf_view(&head), "Authorization: Bearer ExampleSecretKey/0123456789+abcdefghijkl\r\n"));
    buf_fini(&head);
    arena_fini(&a);
}

/* Not in the vendor's cases: our own reading of the rules, against a second way to write the same request. */
static void spellings_of_one_request_are_one(void **state)
{
    (void)state;
    static const char *const same[] = {"b=%7e&a=1&a=%41", "a=A&a=1&b=~", "a=%31&&b=%7E&a=A"};
    struct sigv4_result r;
    struct arena a;
    arena_init(&a, 4096);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct sigv4_input in = {.method = STR("GET"), .path = STR(""), .query = str_of(same[i]), .credential = aws};
        sigv4_headers(&in, &a, &r);
        assert_true(str_starts(r.canonical, STR("GET\n/\na=1&a=A&b=~\n")));
    }
    struct sigv4_input odd = {.method = STR("GET"), .path = STR("/a%2Fb/%41"), .query = STR("x=%zz&y=%4&z=a+b=c&w")};
    sigv4_headers(&odd, &a, &r);
    assert_true(str_starts(r.canonical, STR("GET\n/a%252Fb/%2541\nw=&x=%25zz&y=%254&z=a%2Bb%3Dc\n")));
    arena_fini(&a);
}

static void digests_agree_with_the_standard(void **state)
{
    (void)state;
    char hex[DIGEST_HEX_BYTES];
    uint8_t mac[DIGEST_BYTES];
    char key[131];
    digest_sha256_hex(STR("abc"), hex); /* FIPS 180-2, appendix B.1 */
    assert_memory_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", DIGEST_HEX_BYTES);
    digest_hmac(STR("Jefe"), STR("what do ya want for nothing?"), mac); /* RFC 4231, case 2 and 6 */
    digest_hex(mac, hex);
    assert_memory_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", DIGEST_HEX_BYTES);
    memset(key, 0xaa, sizeof key);
    digest_hmac((struct str){key, sizeof key}, STR("Test Using Larger Than Block-Size Key - Hash Key First"), mac);
    digest_hex(mac, hex);
    assert_memory_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", DIGEST_HEX_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_agree_with_the_standard),  cmocka_unit_test(vendor_cases_agree),
        cmocka_unit_test(a_converse_request_is_signed),     cmocka_unit_test(a_known_hash_spares_the_body),
        cmocka_unit_test(a_kept_key_changes_nothing),       cmocka_unit_test(what_cannot_be_signed_is_refused),
        cmocka_unit_test(spellings_of_one_request_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
