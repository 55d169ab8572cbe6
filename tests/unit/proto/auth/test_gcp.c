#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/auth/digest.h"
#include "proto/auth/gcp_jwt.h"
#include "tests/unit/proto/auth/rsa_key.h"

static struct rsa_key key;
static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    rsa_key_init(&key, 2048);
    arena_init(&arena, 4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rsa_key_fini(&key);
    arena_fini(&arena);
    return 0;
}

/* A service account's file around a key. */
static void write_file(struct buf *out, struct str pem)
{
    buf_addz(out,
             "{\"type\":\"service_account\",\"project_id\":\"proj\",\"private_key_id\":\"abc123\",\"private_key\":");
    buf_add_json_str(out, pem);
    buf_addz(
        out,
        ",\"client_email\":\"weir@proj.iam.gserviceaccount.com\",\"token_uri\":\"https://oauth2.googleapis.com/token\","
        "\"quota_project_id\":\"billed\",\"universe_domain\":\"googleapis.com\"}\n");
}

static void refused(const char *json, const char *why)
{
    struct gcp_file f;
    const char *got = "";
    assert_false(gcp_file_read(str_of(json), &arena, &f, &got));
    if (!str_contains(str_of(got), str_of(why))) print_message("# %s\n", got);
    assert_true(str_contains(str_of(got), str_of(why)));
}

static void a_service_account_is_read(void **state)
{
    (void)state;
    struct buf json = {0};
    struct gcp_file f;
    const char *why;
    write_file(&json, buf_view(&key.pem));
    assert_true(gcp_file_read(buf_view(&json), &arena, &f, &why));
    assert_int_equal(f.type, GCP_SERVICE_ACCOUNT);
    assert_true(str_is(f.client_email, "weir@proj.iam.gserviceaccount.com") && str_is(f.private_key_id, "abc123"));
    assert_true(str_is(f.quota_project, "billed") && str_is(f.project_id, "proj"));
    assert_true(str_eq(f.private_key_pem, buf_view(&key.pem)));
    buf_fini(&json);
}

static struct str jwt_part(struct str *jwt, struct buf *out)
{
    assert_true(base64_decode(str_split(jwt, '.'), out));
    return buf_view(out);
}

static void check_jwt(struct str jwt, const char *claims)
{
    struct buf header = {0}, body = {0}, signature = {0};
    uint8_t digest[DIGEST_BYTES];
    digest_sha256(str_slice(jwt, 0, (size_t)str_rchr(jwt, '.')), digest);
    assert_true(str_is(jwt_part(&jwt, &header), "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"abc123\"}"));
    struct str got = jwt_part(&jwt, &body);
    if (!str_is(got, claims)) print_message("# %.*s\n", STR_FMT(got));
    assert_true(str_is(got, claims));
    struct str s = jwt_part(&jwt, &signature);
    assert_int_equal(s.n, 256);
    assert_int_equal(
        mbedtls_pk_verify(&key.pk, MBEDTLS_MD_SHA256, digest, sizeof digest, (const unsigned char *)s.p, s.n), 0);
    buf_fini(&header);
    buf_fini(&body);
    buf_fini(&signature);
}

static void an_assertion_is_signed(void **state)
{
    (void)state;
    struct buf json = {0}, jwt = {0}, again = {0};
    struct gcp_file f;
    const char *why;
    write_file(&json, buf_view(&key.pem));
    assert_true(gcp_file_read(buf_view(&json), &arena, &f, &why));
    struct gcp_claims exchange = {.scope = GCP_SCOPE};
    assert_true(gcp_jwt_write(&f, &exchange, 1795348800, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE, &jwt, &why));
    check_jwt(
        buf_view(&jwt),
        "{\"iss\":\"weir@proj.iam.gserviceaccount.com\",\"scope\":\"https://www.googleapis.com/auth/cloud-platform\","
        "\"aud\":\"https://oauth2.googleapis.com/token\",\"iat\":1795348800,\"exp\":1795352400}");
    assert_true(
        gcp_jwt_write(&f, &exchange, 1795348800, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE, &again, &why));
    assert_true(str_eq(buf_view(&jwt), buf_view(&again))); /* random numbers only blind */
    buf_clear(&jwt);
    struct gcp_claims direct = {.audience = STR("https://aiplatform.googleapis.com/"), .self_signed = true};
    assert_true(gcp_jwt_write(&f, &direct, 7, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE, &jwt, &why));
    check_jwt(buf_view(&jwt),
              "{\"iss\":\"weir@proj.iam.gserviceaccount.com\",\"sub\":\"weir@proj.iam.gserviceaccount.com\","
              "\"aud\":\"https://aiplatform.googleapis.com/\",\"iat\":7,\"exp\":3607}");
    buf_fini(&json);
    buf_fini(&jwt);
    buf_fini(&again);
}

static void check_bad_key(struct str pem, const char *want)
{
    struct gcp_file f = {.private_key_pem = pem, .client_email = STR("a@b")};
    struct gcp_claims claims = {.scope = GCP_SCOPE};
    struct buf out = {0};
    const char *why = "";
    assert_false(gcp_jwt_write(&f, &claims, 0, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE, &out, &why));
    assert_string_equal(why, want);
    assert_int_equal(buf_len(&out), 0);
    buf_fini(&out);
}

static void a_key_that_is_none_is_refused(void **state)
{
    (void)state;
    struct rsa_key small;
    check_bad_key(STR_NULL, "its private_key is no PEM private key");
    check_bad_key(str_slice(buf_view(&key.pem), 0, 700), "its private_key is no PEM private key");
    rsa_key_init(&small, 1024);
    check_bad_key(buf_view(&small.pem), "its private_key is no RSA key of 2048 bits or more");
    rsa_key_fini(&small);
}

static void what_a_file_lacks_is_named(void **state)
{
    (void)state;
    refused("", "not a JSON object");
    refused("[]", "not a JSON object");
    refused("{\"type\":", "");
    refused("{}", "its type is not");
    refused("{\"type\":\"gdch_service_account\"}", "its type is not");
    refused("{\"type\":\"service_account\",\"private_key\":\"x\"}", "no client_email");
    refused("{\"type\":\"service_account\",\"client_email\":\"x\"}", "no private_key");
    refused("{\"type\":\"service_account\",\"client_email\":\"x\",\"client_email\":\"y\",\"private_key\":\"x\"}",
            "no client_email");
    refused("{\"type\":\"authorized_user\",\"client_id\":\"x\",\"client_secret\":\"y\"}", "no refresh_token");
    refused("{\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\"}", "no token_url");
    refused("{\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\",\"token_url\":\"u\"}",
            "no credential_source");
    refused("{\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\",\"token_url\":\"u\","
            "\"credential_source\":{\"environment_id\":\"aws1\"}}",
            "AWS, which is not in this version");
    refused("{\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\",\"token_url\":\"u\","
            "\"credential_source\":{\"executable\":{\"command\":\"x\"}}}",
            "neither a file nor a url");
    refused("{\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\",\"token_url\":\"u\","
            "\"credential_source\":{\"url\":\"http://127.0.0.1/\",\"headers\":{\"a\":\"b\\r\\nc\"}}}",
            "header of its credential_source");
}

static void a_user_is_read(void **state)
{
    (void)state;
    struct gcp_file f;
    struct buf body = {0};
    const char *why;
    assert_true(gcp_file_read(
        STR("\xEF\xBB\xBF {\"type\":\"authorized_user\",\"client_id\":\"id.apps\",\"client_secret\":\"s+/=\","
            "\"refresh_token\":\"1//r\"}\n"),
        &arena, &f, &why));
    assert_int_equal(f.type, GCP_AUTHORIZED_USER);
    assert_true(str_eq(f.token_url, GCP_TOKEN_URL));
    gcp_refresh_body(&f, &body);
    assert_true(str_is(buf_view(&body),
                       "grant_type=refresh_token&client_id=id.apps&client_secret=s%2B%2F%3D&refresh_token=1%2F%2Fr"));
    buf_fini(&body);
}

static void an_external_account_is_read(void **state)
{
    (void)state;
    struct gcp_file f;
    struct buf body = {0};
    struct str token;
    const char *why;
    assert_true(gcp_file_read(
        STR("{\"type\":\"external_account\",\"audience\":\"//iam.googleapis.com/p\",\"subject_token_type\":"
            "\"urn:ietf:params:oauth:token-type:jwt\",\"token_url\":\"https://sts.googleapis.com/v1/token\","
            "\"service_account_impersonation_url\":\"https://iamcredentials.googleapis.com/x:generateAccessToken\","
            "\"workforce_pool_user_project\":\"9\","
            "\"credential_source\":{\"url\":\"http://127.0.0.1/t\",\"headers\":{\"Metadata\":\"True\",\"x\":\"y\"},"
            "\"format\":{\"type\":\"json\",\"subject_token_field_name\":\"id_token\"}}}"),
        &arena, &f, &why));
    assert_true(str_is(f.source_headers, "Metadata: True\r\nx: y\r\n"));
    assert_true(gcp_subject_token(&f, STR("{\"id_token\":\" ey.J \\n\"}"), &arena, &token) && str_is(token, "ey.J"));
    assert_false(gcp_subject_token(&f, STR("{\"other\":\"x\"}"), &arena, &token));
    assert_false(gcp_subject_token(&f, STR("ey.J"), &arena, &token));
    gcp_exchange_body(&f, token, STR("ignored: the impersonated token is asked for it"), &body);
    assert_true(
        str_is(buf_view(&body),
               "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"
               "&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
               "&audience=%2F%2Fiam.googleapis.com%2Fp&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform"
               "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token=ey.J"
               "&options=%7B%22userProject%22%3A%229%22%7D"));
    f.source_field = STR_NULL;
    assert_true(gcp_subject_token(&f, STR("ey.K\r\n"), &arena, &token) && str_is(token, "ey.K"));
    assert_false(gcp_subject_token(&f, STR(" \n"), &arena, &token));
    buf_fini(&body);
}

static void requests_are_worded(void **state)
{
    (void)state;
    struct buf b = {0};
    gcp_assertion_body(STR("a.b.c_-"), &b);
    assert_true(
        str_is(buf_view(&b), "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c_-"));
    buf_clear(&b);
    gcp_impersonation_body(STR("https://x/y"), &b);
    assert_true(str_is(buf_view(&b), "{\"scope\":[\"https://x/y\"],\"lifetime\":\"3600s\"}"));
    buf_clear(&b);
    gcp_metadata_target(STR_NULL, STR("https://x/y"), &b);
    assert_true(
        str_is(buf_view(&b), "/computeMetadata/v1/instance/service-accounts/default/token?scopes=https%3A%2F%2Fx%2Fy"));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_account_is_read),
        cmocka_unit_test(an_assertion_is_signed),
        cmocka_unit_test(a_key_that_is_none_is_refused),
        cmocka_unit_test(what_a_file_lacks_is_named),
        cmocka_unit_test(a_user_is_read),
        cmocka_unit_test(an_external_account_is_read),
        cmocka_unit_test(requests_are_worded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
