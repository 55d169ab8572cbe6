#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/auth/signer.h"

#include <string.h>

static void check_key(const char *signer, struct credential c, const char *want)
{
    enum signer_kind kind;
    struct sign_request r = {.method = STR("POST"), .host = STR("api.example.com"), .path = STR("/v1/x")};
    struct buf head = {0};
    struct arena a;
    arena_init(&a, 1024);
    assert_true(signer_find(str_of(signer), &kind));
    assert_string_equal(signer_of(kind)->name, signer);
    buf_addz(&head, "x: y\r\n");
    enum weir_err e = signer_sign(kind, &r, &c, &a, &head);
    assert_int_equal(e, want != NULL ? WEIR_OK : WEIR_UP_AUTH);
    assert_true(str_is(str_slice(buf_view(&head), 6, buf_len(&head)), want != NULL ? want : ""));
    buf_fini(&head);
    arena_fini(&a);
}

static void keys_go_where_each_provider_wants_them(void **state)
{
    (void)state;
    struct credential c = {.secret = STR("sk-1")};
    check_key("none", c, "");
    check_key("none", (struct credential){0}, "");
    check_key("bearer", c, "Authorization: Bearer sk-1\r\n");
    check_key("x-api-key", c, "x-api-key: sk-1\r\n");
    check_key("x-goog-api-key", c, "x-goog-api-key: sk-1\r\n");
    check_key("api-key", c, "api-key: sk-1\r\n");
    c.project = STR("billed");
    check_key("bearer", c, "Authorization: Bearer sk-1\r\nx-goog-user-project: billed\r\n");
}

static void a_key_that_would_split_a_header_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"bearer", "x-api-key", "x-goog-api-key", "api-key"};
    for (size_t i = 0; i < 4; i++) {
        check_key(names[i], (struct credential){.secret = STR("a\r\nb: c")}, NULL);
        check_key(names[i], (struct credential){.secret = STR("a\0b")}, NULL);
        check_key(names[i], (struct credential){0}, NULL);
    }
    check_key("bearer", (struct credential){.secret = STR("a"), .project = STR("x\n")}, NULL);
    enum signer_kind kind;
    assert_false(signer_find(STR("basic"), &kind));
    assert_string_equal(signer_of((enum signer_kind)77)->name, "none");
}

static void credentials_of_clients_are_known(void **state)
{
    (void)state;
    assert_true(signer_is_credential_header(STR("Authorization")) && signer_is_credential_header(STR("API-Key")));
    assert_true(signer_is_credential_header(STR("X-Amz-Security-Token")));
    assert_false(signer_is_credential_header(STR("content-type")) || signer_is_credential_header(STR("x-amz-target")));
}

static void a_credential_comes_back_out_of_its_bytes(void **state)
{
    (void)state;
    static char long_text[65536];
    memset(long_text, 'x', sizeof long_text);
    const struct credential c = {
        .secret = STR("s"), .access_key_id = STR("AKIA"), .session_token = {long_text, 65535}, .project = STR("p\0q")};
    struct credential back;
    struct buf b = {0};
    assert_true(credential_pack(&c, &b));
    assert_int_equal(buf_len(&b), CREDENTIAL_OVERHEAD + 1 + 4 + 65535 + 3);
    assert_true(credential_unpack(buf_view(&b), &back));
    assert_true(str_eq(back.secret, c.secret) && str_eq(back.access_key_id, c.access_key_id));
    assert_true(str_eq(back.session_token, c.session_token) && str_eq(back.project, c.project));
    for (size_t n = 0; n < 100; n++) assert_false(credential_unpack(str_slice(buf_view(&b), 0, n), &back));
    buf_addc(&b, 'x');
    assert_false(credential_unpack(buf_view(&b), &back));
    buf_clear(&b);
    assert_false(credential_pack(&(struct credential){.secret = {long_text, 65536}}, &b));
    assert_int_equal(buf_len(&b), 0);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_go_where_each_provider_wants_them),
        cmocka_unit_test(a_key_that_would_split_a_header_is_refused),
        cmocka_unit_test(credentials_of_clients_are_known),
        cmocka_unit_test(a_credential_comes_back_out_of_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
