#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/err.h"

#include <ctype.h>
#include <string.h>

static void every_row_is_whole(void **state)
{
    (void)state;
    for (int e = 0; e < WEIR_ERR_COUNT; e++) {
        const struct err_row *r = err_row((enum weir_err)e);
        assert_true(r->http >= 200 && r->http < 600);
        assert_true(r->text[0] != '\0');
        assert_true(strlen(r->name) < 32); /* a word is not cut */
        assert_int_equal(strlen(r->word), strlen(r->name));
        for (const char *c = r->word; *c != '\0'; c++)
            assert_true(islower((unsigned char)*c) || *c == '_' || isdigit((unsigned char)*c));
        assert_int_equal(err_of_word(r->word), e);
        if (e == WEIR_OK) continue;
        assert_true(r->http >= 400);
        assert_true(r->fault != FAULT_NOBODY);
        assert_true(r->openai_type[0] != '\0' && r->anthropic_type[0] != '\0' && r->gemini_status[0] != '\0');
        assert_true(r->fault != FAULT_CLIENT || r->next == NEXT_NO); /* the same bytes would fail anywhere */
        assert_true(r->fault != FAULT_CLIENT || r->breaker == BREAKER_IGNORE);
    }
}

static void unknown_codes_and_words_are_internal(void **state)
{
    (void)state;
    assert_ptr_equal(err_row((enum weir_err)WEIR_ERR_COUNT), err_row(WEIR_INTERNAL));
    assert_ptr_equal(err_row((enum weir_err) - 1), err_row(WEIR_INTERNAL));
    assert_int_equal(err_of_word("no such word"), WEIR_INTERNAL);
    assert_string_equal(err_word(WEIR_UP_TLS), "up_tls");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(unknown_codes_and_words_are_internal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
