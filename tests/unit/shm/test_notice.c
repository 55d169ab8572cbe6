/* notice.h on a pipe: whole lines arrive; where nobody reads, nobody waits and the loss is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shm/notice.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int kept_stderr, reader;

static int take_stderr(void **state)
{
    int fds[2];
    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    kept_stderr = dup(STDERR_FILENO);
    assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    close(fds[1]);
    reader = fds[0];
    return fcntl(reader, F_SETFL, O_NONBLOCK);
}

static int give_stderr(void **state)
{
    (void)state;
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    close(reader);
    return 0;
}

/* All that the pipe holds now, as text. */
static size_t read_all(char *to, size_t room)
{
    size_t n = 0;
    for (ssize_t got; n < room - 1 && (got = read(reader, to + n, room - 1 - n)) > 0;) n += (size_t)got;
    to[n] = '\0';
    return n;
}

static void test_a_line_has_its_prefix_and_its_end(void **state)
{
    char text[256];
    (void)state;
    notice("provider %s is %d", "a", 7);
    read_all(text, sizeof text);
    assert_string_equal(text, "weir: provider a is 7\n");
}

static void test_a_text_gets_the_line_end_it_lacks(void **state)
{
    char text[256];
    (void)state;
    notice_text(STR("one\ntwo"));
    notice_text(STR("three\n"));
    notice_text(STR(""));
    read_all(text, sizeof text);
    assert_string_equal(text, "one\ntwo\nthree\n");
}

static void test_a_long_line_is_cut_and_still_one_line(void **state)
{
    static char longer[10000], text[20000];
    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    notice("%s", longer);
    size_t n = read_all(text, sizeof text);
    assert_in_range(n, 4000, 4096);
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
}

static void test_a_text_of_many_pieces_arrives_whole(void **state)
{
    static char longer[30000], text[40000];
    (void)state;
    for (size_t i = 0; i < sizeof longer; i++) longer[i] = i % 50 == 49 ? '\n' : (char)('a' + i % 23);
    notice_text((struct str){longer, sizeof longer});
    assert_int_equal(read_all(text, sizeof text), sizeof longer);
    assert_memory_equal(text, longer, sizeof longer);
}

static void test_a_full_pipe_holds_nobody_and_the_loss_is_told(void **state)
{
    static char text[200000];
    (void)state;
    for (unsigned i = 0; i < 3000; i++) notice("%0100u", i); /* 320 kB into 64; would wait for ever */
    size_t n = read_all(text, sizeof text);
    unsigned lines = 0;
    for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
    assert_in_range(lines, 300, 2999);
    notice("again");
    read_all(text, sizeof text);
    char want[120];
    snprintf(want, sizeof want, "weir: standard error was not read: %u notices are missing here\nweir: again\n",
             3000 - lines);
    assert_string_equal(text, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_has_its_prefix_and_its_end, take_stderr, give_stderr),
        cmocka_unit_test_setup_teardown(test_a_text_gets_the_line_end_it_lacks, take_stderr, give_stderr),
        cmocka_unit_test_setup_teardown(test_a_long_line_is_cut_and_still_one_line, take_stderr, give_stderr),
        cmocka_unit_test_setup_teardown(test_a_text_of_many_pieces_arrives_whole, take_stderr, give_stderr),
        cmocka_unit_test_setup_teardown(test_a_full_pipe_holds_nobody_and_the_loss_is_told, take_stderr, give_stderr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
