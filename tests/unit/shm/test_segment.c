#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shm/segment.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void crc32c_gives_the_published_values(void **state)
{
    (void)state;
    unsigned char b[48];

    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283); /* the check value of CRC-32C */
    memset(b, 0, 32);                                        /* RFC 3720, appendix B.4 */
    assert_int_equal(crc32c(0, b, 32), 0x8a9136aa);
    memset(b, 0xff, 32);
    assert_int_equal(crc32c(0, b, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 32; i++) b[i] = (unsigned char)i;
    assert_int_equal(crc32c(0, b, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, b, 0), 0);
}

static void both_ways_to_count_agree(void **state)
{
    (void)state;
    unsigned char b[300];

    srand(1);
    for (size_t i = 0; i < sizeof b; i++) b[i] = (unsigned char)rand();
    for (size_t from = 0; from < 9; from++)
        for (size_t n = 0; n + from <= sizeof b; n++) {
            uint32_t whole = crc32c(7, b + from, n);
            assert_int_equal(whole, crc32c_table(7, b + from, n));
            assert_int_equal(whole, crc32c(crc32c(7, b + from, n / 3), b + from + n / 3, n - n / 3));
        }
}

static void a_segment_is_mapped_by_another_descriptor(void **state)
{
    (void)state;
    struct segment made, mapped;
    const char *why = NULL;
    int fd = segment_create("t", SHM_LIVE, 8192, &made, &why);

    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ((char *)made.base)[8191] = 'z';
    assert_true(segment_map(fd, SHM_LIVE, false, &mapped, &why));
    assert_int_equal(((char *)mapped.base)[8191], 'z');
    assert_int_equal(ftruncate(fd, 4096), -1); /* nobody can make it shrink under a reader */
    segment_unmap(&made);
    segment_unmap(&mapped);
    segment_unmap(&mapped);
    close(fd);
}

static void another_layout_is_refused_with_both_values(void **state)
{
    (void)state;
    struct segment made, mapped;
    const char *why = NULL;
    int fd = segment_create("t", SHM_LIVE, 8192, &made, &why);
    struct shm_head *h = made.base, good = *h;

    assert_false(segment_map(fd, SHM_TICK, false, &mapped, &why));
    assert_string_equal(why, "kind is 4, not 3");
    h->version = 77;
    assert_false(segment_map(fd, SHM_LIVE, false, &mapped, &why));
    assert_string_equal(why, "layout version is 77, not 2");
    *h = good;
    h->fingerprint ^= 1;
    assert_false(segment_map(fd, SHM_LIVE, false, &mapped, &why));
    assert_non_null(strstr(why, "made by another build"));
    *h = good;
    h->magic = JOURNAL_MAGIC;
    assert_false(segment_map(fd, SHM_LIVE, false, &mapped, &why));
    *h = good;
    h->bytes = 4096;
    assert_false(segment_map(fd, SHM_LIVE, false, &mapped, &why));
    *h = good;
    assert_true(segment_map(fd, SHM_LIVE, true, &mapped, &why));
    segment_unmap(&made);
    segment_unmap(&mapped);
    close(fd);
}

static void what_could_shrink_or_is_too_short_is_refused(void **state)
{
    (void)state;
    struct segment mapped;
    const char *why = NULL;
    struct shm_head head = segment_head(SHM_LIVE, 4096);
    int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_false(segment_map(fd, SHM_LIVE, false, &mapped, &why));
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(pwrite(fd, &head, sizeof head, 0), sizeof head);
    assert_false(segment_map(fd, SHM_LIVE, false, &mapped, &why));
    assert_non_null(strstr(why, "shrink"));
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_true(segment_map(fd, SHM_LIVE, false, &mapped, &why));
    segment_unmap(&mapped);
    close(fd);
    assert_false(segment_map(fd, SHM_LIVE, false, &mapped, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_published_values),
        cmocka_unit_test(both_ways_to_count_agree),
        cmocka_unit_test(a_segment_is_mapped_by_another_descriptor),
        cmocka_unit_test(another_layout_is_refused_with_both_values),
        cmocka_unit_test(what_could_shrink_or_is_too_short_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
