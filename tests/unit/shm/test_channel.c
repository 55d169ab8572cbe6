#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shm/channel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int pair[2];

static int pair_make(void **state)
{
    (void)state;
    return channel_pair(pair) ? 0 : -1;
}

static int pair_close(void **state)
{
    (void)state;
    close(pair[0]);
    if (pair[1] >= 0) close(pair[1]);
    return 0;
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");

    while (readdir(d) != NULL) n++;
    closedir(d);
    return n;
}

static void a_boot_message_arrives_whole_with_its_descriptors(void **state)
{
    (void)state;
    struct channel_msg m = {.type = CHAN_BOOT, .number = 3, .serial = 9}, got;
    int fds[CHANNEL_FDS], sent[3], null = open("/dev/null", O_RDONLY);
    struct stat a, b;
    unsigned n = 0;

    memcpy(m.u.boot.listen[0], "127.0.0.1:8490", sizeof "127.0.0.1:8490");
    memset(m.u.boot.listen[1], 'x', sizeof m.u.boot.listen[1]); /* no end: given one */
    sent[0] = sent[1] = sent[2] = null;
    assert_int_equal(channel_recv(pair[1], &got, fds, &n), 0);
    assert_true(channel_send(pair[0], &m, sent, 3));
    assert_int_equal(channel_recv(pair[1], &got, fds, &n), 1);
    assert_int_equal(n, 3);
    assert_int_equal(got.type, CHAN_BOOT);
    assert_int_equal(got.number, 3);
    assert_int_equal(got.serial, 9);
    assert_string_equal(got.u.boot.listen[0], "127.0.0.1:8490");
    assert_int_equal(strlen(got.u.boot.listen[1]), sizeof got.u.boot.listen[1] - 1);
    fstat(null, &a);
    for (unsigned i = 0; i < n; i++) {
        fstat(fds[i], &b);
        assert_int_equal(a.st_ino, b.st_ino);
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        close(fds[i]);
    }
    close(null);
}

static void text_is_as_long_as_it_says(void **state)
{
    (void)state;
    struct channel_msg m = {.type = CHAN_REFUSED, .text_n = 5}, got;
    int fds[CHANNEL_FDS];
    unsigned n;

    memcpy(m.u.text, "hello, not this", 15);
    assert_true(channel_send(pair[0], &m, NULL, 0));
    memset(&got, 0, sizeof got);
    assert_int_equal(channel_recv(pair[1], &got, fds, &n), 1);
    assert_int_equal(got.text_n, 5);
    assert_memory_equal(got.u.text, "hello\0", 6);
    m.text_n = sizeof m.u.text;
    assert_true(channel_send(pair[0], &m, NULL, 0));
    assert_int_equal(channel_recv(pair[1], &got, fds, &n), 1);
    m.text_n++;
    assert_false(channel_send(pair[0], &m, NULL, 0));
    assert_int_equal(errno, EMSGSIZE);
}

static void the_end_of_the_peer_is_seen(void **state)
{
    (void)state;
    struct channel_msg m = {.type = CHAN_STOP};
    int fds[CHANNEL_FDS];
    unsigned n;

    channel_send(pair[1], &m, NULL, 0);
    close(pair[1]);
    pair[1] = -1;
    assert_int_equal(channel_recv(pair[0], &m, fds, &n), 1); /* its last word first */
    assert_int_equal(channel_recv(pair[0], &m, fds, &n), -1);
    assert_false(channel_send(pair[0], &m, NULL, 0)); /* and no SIGPIPE */
}

static void a_full_channel_says_so(void **state)
{
    (void)state;
    struct channel_msg m = {.type = CHAN_REFUSED, .text_n = 4000}, got;
    int fds[CHANNEL_FDS];
    unsigned n, sent = 0;

    while (sent < 100000 && channel_send(pair[0], &m, NULL, 0)) sent++;
    assert_true(sent > 1 && sent < 100000);
    assert_int_equal(errno, EAGAIN);
    for (; sent > 0; sent--) assert_int_equal(channel_recv(pair[1], &got, fds, &n), 1);
    assert_true(channel_send(pair[0], &m, NULL, 0));
}

static void what_is_not_a_message_closes_the_channel_and_leaks_nothing(void **state)
{
    (void)state;
    struct channel_msg m = {.type = CHAN_PUBLISH}, got;
    int fds[CHANNEL_FDS], two[2] = {0, 1};
    unsigned n, before = open_descriptors();
    char raw[sizeof m + 1];
    enum { HEAD = offsetof(struct channel_msg, u) };

    static const struct {
        size_t at, bytes;
        unsigned char value;
    } faults[] = {
        {0, HEAD, 0xff},       /* magic */
        {4, HEAD, 0xee},       /* type */
        {15, HEAD, 0xff},      /* text_n */
        {0, HEAD - 1, 0x52},   /* too short */
        {0, HEAD + 1, 0x52},   /* too long for its type */
        {0, sizeof raw, 0x52}, /* longer than any */
        {0, 1, 0x52},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        assert_true(channel_send(pair[0], &m, two, 2)); /* taken by hand, changed, sent again with descriptors */
        memset(raw, 0, sizeof raw);
        assert_int_equal(recv(pair[1], raw, sizeof raw, 0), HEAD);
        raw[faults[i].at] = (char)faults[i].value;
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(2 * sizeof(int))];
        } control = {0};
        struct iovec part = {raw, faults[i].bytes};
        struct msghdr msg = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof two);
        memcpy(CMSG_DATA(c), two, sizeof two);
        assert_true(sendmsg(pair[0], &msg, 0) > 0);
        assert_int_equal(channel_recv(pair[1], &got, fds, &n), -1);
    }
    assert_int_equal(open_descriptors(), before);
}

static void a_message_without_room_for_its_descriptors_still_counts(void **state)
{
    (void)state;
    struct channel_msg m = {.type = CHAN_PUBLISH, .serial = 4}, got;
    struct rlimit full, none;
    int fds[CHANNEL_FDS], sent[2] = {pair[0], pair[0]};
    unsigned n = 7;

    assert_true(channel_send(pair[0], &m, sent, 2));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &full), 0);
    none = full;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    int took = channel_recv(pair[1], &got, fds, &n);
    setrlimit(RLIMIT_NOFILE, &full);
    assert_int_equal(took, 1);
    assert_int_equal(got.serial, 4);
    assert_int_equal(n, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_make, pair_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_boot_message_arrives_whole_with_its_descriptors),
        TEST(text_is_as_long_as_it_says),
        TEST(the_end_of_the_peer_is_seen),
        TEST(a_full_channel_says_so),
        TEST(what_is_not_a_message_closes_the_channel_and_leaks_nothing),
        TEST(a_message_without_room_for_its_descriptors_still_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
