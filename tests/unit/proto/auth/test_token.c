#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/auth/aws.h"
#include "proto/auth/azure.h"
#include "proto/auth/token.h"

#include <string.h>

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void good(const char *body, const char *text, uint64_t life_s, uint64_t refresh_s)
{
    struct token t;
    assert_true(token_read(200, str_of(body), 1795000000, &arena, &t));
    assert_true(str_is(t.text, text));
    assert_int_equal(t.life_s, life_s);
    assert_int_equal(t.refresh_s, refresh_s);
}

static void bad(uint16_t status, const char *body, const char *why, bool again)
{
    struct token t;
    assert_false(token_read(status, str_of(body), 1795000000, &arena, &t));
    if (!str_is(t.why, why)) print_message("# %.*s\n", STR_FMT(t.why));
    assert_true(str_is(t.why, why));
    assert_int_equal(t.again, again);
}

static void answers_with_a_token_are_read(void **state)
{
    (void)state;
    good("{\"access_token\":\"ya29.a\",\"expires_in\":3599,\"token_type\":\"Bearer\"}", "ya29.a", 3599, 0);
    good("{\"token_type\":\"Bearer\",\"expires_in\":\"86399\",\"refresh_in\":43199,\"access_token\":\"ey\\u004a\"}",
         "eyJ", 86399, 43199);
    good("{\"access_token\":\"t\",\"expires_on\":\"1795003600\",\"resource\":\"r\"}", "t", 3599, 0);
    good("{\"access_token\":\"t\",\"expires_on\":\"2026-11-18T11:11:40Z\"}", "t", 299, 0); /* 1795000300 */
    good("{\"access_token\":\"t\"}", "t", TOKEN_DEFAULT_LIFE_S, 0);
    good("{\"access_token\":\"t\",\"expires_in\":99999999999}", "t", TOKEN_MAX_LIFE_S, 0);
    good("{\"access_token\":\"t\",\"expires_in\":60,\"refresh_in\":61}", "t", 60, 0);
}

static void answers_without_one_are_named(void **state)
{
    (void)state;
    bad(400, "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT Signature.\"}",
        "invalid_grant: Invalid JWT Signature.", false);
    bad(401, "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215\\r\\nTrace\\u0007\"}",
        "invalid_client: AADSTS7000215  Trace", false);
    bad(403, "{\"error\":{\"code\":403,\"message\":\"no\",\"status\":\"PERMISSION_DENIED\"}}", "PERMISSION_DENIED: no",
        false);
    bad(503, "<html>", "status 503, not a JSON object", true);
    bad(404, "not found", "status 404, not a JSON object", false);
    bad(429, "{\"error\":\"too_many\"}", "too_many", true);
    bad(200, "{\"token\":\"x\"}", "status 200 without a token", false);
    bad(200, "{\"access_token\":7}", "status 200 without a token", false);
    bad(200, "{\"access_token\":\"a\",\"access_token\":\"b\"}", "status 200 without a token", false);
    bad(200, "{\"access_token\":\"a\\r\\nb: c\",\"expires_in\":3600}", "the token holds bytes that no header may",
        false);
    bad(200, "{\"access_token\":\"a\",\"expires_in\":0}", "the token that came is expired already; is the clock right?",
        true);
    bad(200, "{\"access_token\":\"a\",\"expires_on\":\"1795000000\"}",
        "the token that came is expired already; is the clock right?", true);
}

static void an_impersonated_token_is_read(void **state)
{
    (void)state;
    struct token t;
    assert_true(token_read_impersonated(
        200, STR("{\"accessToken\":\"ya29.c\",\"expireTime\":\"2026-11-18T12:06:40Z\"}"), 1795000000, &arena, &t));
    assert_true(str_is(t.text, "ya29.c"));
    assert_int_equal(t.life_s, 3599); /* a part of this second is over */
    assert_false(token_read_impersonated(403, STR("{\"error\":{\"status\":\"PERMISSION_DENIED\"}}"), 0, &arena, &t));
    assert_true(str_is(t.why, "PERMISSION_DENIED"));
}

/* ---- Azure ---- */

static void azure_requests_are_worded(void **state)
{
    (void)state;
    struct buf b = {0};
    azure_token_target(STR("contoso/../x"), &b);
    assert_true(str_is(buf_view(&b), "/contoso%2F..%2Fx/oauth2/v2.0/token"));
    buf_clear(&b);
    azure_secret_body(STR("id"), STR("s~8Q&="), AZURE_SCOPE, &b);
    assert_true(str_is(buf_view(&b),
                       "grant_type=client_credentials&client_id=id"
                       "&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default&client_secret=s~8Q%26%3D"));
    buf_clear(&b);
    azure_assertion_body(STR("id"), STR("ey.J"), STR("s"), &b);
    assert_true(str_is(buf_view(&b),
                       "grant_type=client_credentials&client_id=id&scope=s&client_assertion_type="
                       "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=ey.J"));
    buf_clear(&b);
    assert_true(str_is(azure_resource(AZURE_SCOPE), "https://cognitiveservices.azure.com"));
    azure_imds_target(azure_resource(AZURE_SCOPE), STR_NULL, &b);
    assert_true(str_is(buf_view(&b), "/metadata/identity/oauth2/token?api-version=2018-02-01"
                                     "&resource=https%3A%2F%2Fcognitiveservices.azure.com"));
    buf_clear(&b);
    azure_app_service_query(STR("r"), STR("c"), &b);
    assert_true(str_is(buf_view(&b), "?api-version=2019-08-01&resource=r&client_id=c"));
    buf_fini(&b);
}

/* ---- AWS ---- */

static const char sts_answer[] =
    "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
    "  <AssumeRoleWithWebIdentityResult>\n    <SubjectFromWebIdentityToken>sub</SubjectFromWebIdentityToken>\n"
    "    <Credentials>\n      <SessionToken>Fwo+&amp;=</SessionToken>\n      "
    "<SecretAccessKey>wJal/x</SecretAccessKey>\n"
    "      <Expiration>2026-11-18T12:06:40Z</Expiration>\n      <AccessKeyId>ASIA1</AccessKeyId>\n    </Credentials>\n"
    "  </AssumeRoleWithWebIdentityResult>\n</AssumeRoleWithWebIdentityResponse>\n";

static void sts_answers_are_read(void **state)
{
    (void)state;
    struct aws_keys k;
    struct buf b = {0};
    assert_true(aws_read_sts(200, str_of(sts_answer), &arena, &k));
    assert_true(str_is(k.access_key_id, "ASIA1") && str_is(k.secret, "wJal/x") && str_is(k.session_token, "Fwo+&="));
    assert_int_equal(k.expires_s, 1795003600);
    for (size_t n = 0; n < sizeof sts_answer - 120; n++)
        assert_false(aws_read_sts(200, (struct str){sts_answer, n}, &arena, &k));
    assert_false(aws_read_sts(403,
                              STR("<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not "
                                  "&lt;you&gt;</Message></Error></ErrorResponse>"),
                              &arena, &k));
    assert_true(str_is(k.why, "AccessDenied: Not <you>") && !k.again);
    assert_false(aws_read_sts(
        400, STR("<ErrorResponse><Error><Code>IDPCommunicationError</Code></Error></ErrorResponse>"), &arena, &k));
    assert_true(k.again);
    assert_false(aws_read_sts(502, STR("gateway"), &arena, &k));
    assert_true(str_is(k.why, "status 502 without credentials") && k.again);
    assert_false(aws_read_sts(
        200, STR("<Credentials><AccessKeyId>a b</AccessKeyId><SecretAccessKey>s</SecretAccessKey></Credentials>"),
        &arena, &k));
    aws_web_identity_body(STR("arn:aws:iam::1:role/r"), STR("weir-1"), STR("ey.J"), &b);
    assert_true(str_is(buf_view(&b),
                       "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"
                       "&RoleSessionName=weir-1&WebIdentityToken=ey.J"));
    buf_fini(&b);
}

static void json_answers_are_read(void **state)
{
    (void)state;
    struct aws_keys k;
    assert_true(
        aws_read_json(200,
                      STR("{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA2\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
                          "\"Expiration\":\"2026-11-18T12:06:40Z\"}"),
                      &arena, &k));
    assert_true(str_is(k.access_key_id, "ASIA2") && str_is(k.session_token, "t"));
    assert_int_equal(k.expires_s, 1795003600);
    assert_true(aws_read_json(200, STR("{\"AccessKeyId\":\"AKIA\",\"SecretAccessKey\":\"s\"}"), &arena, &k));
    assert_int_equal(k.expires_s, 0);
    assert_false(
        aws_read_json(200, STR("{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"no role\"}"), &arena, &k));
    assert_true(str_is(k.why, "status 200, AssumeRoleUnauthorizedAccess no role") && k.again);
    assert_false(aws_read_json(401, STR("{\"code\":\"Denied\",\"message\":\"m\"}"), &arena, &k));
    assert_true(str_is(k.why, "status 401, Denied m") && !k.again);
    assert_false(aws_read_json(200, STR("{\"AccessKeyId\":\"A\\nB\",\"SecretAccessKey\":\"s\"}"), &arena, &k));
    assert_false(aws_read_json(200, STR("nothing"), &arena, &k));
}

static void session_names_and_addresses_are_judged(void **state)
{
    (void)state;
    assert_true(aws_is_session_name(STR("weir-1@host.x")) && aws_is_session_name(STR("ab")));
    assert_false(aws_is_session_name(STR("a")) || aws_is_session_name(STR("a b")) || aws_is_session_name(STR("a\0b")));
    static char long_name[65];
    memset(long_name, 'a', sizeof long_name);
    assert_false(aws_is_session_name((struct str){long_name, 65}));
    assert_true(aws_is_container_address(4, (const uint8_t[16]){127, 0, 0, 9}));
    assert_true(aws_is_container_address(4, (const uint8_t[16]){169, 254, 170, 2}));
    assert_true(aws_is_container_address(4, (const uint8_t[16]){169, 254, 170, 23}));
    assert_false(aws_is_container_address(4, (const uint8_t[16]){169, 254, 169, 254}));
    assert_true(aws_is_container_address(6, (const uint8_t[16]){0xfd, 0, 0x0e, 0xc2, [15] = 0x23}));
    assert_true(aws_is_container_address(6, (const uint8_t[16]){[15] = 1}));
    assert_false(aws_is_container_address(6, (const uint8_t[16]){0xfd, 0, 0x0e, 0xc2, [14] = 2, [15] = 0x54}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_with_a_token_are_read),
        cmocka_unit_test(answers_without_one_are_named),
        cmocka_unit_test(an_impersonated_token_is_read),
        cmocka_unit_test(azure_requests_are_worded),
        cmocka_unit_test(sts_answers_are_read),
        cmocka_unit_test(json_answers_are_read),
        cmocka_unit_test(session_names_and_addresses_are_judged),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
