/* journal_file.c — the file of a journal: made whole or not at all, believed only when everything in its head fits. The difficulty: what
 * lies in the state directory may be older, cut short, or planted; it is moved aside and never followed, written through or deleted. */
#include "shm/journal.h"

#include "proto/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static _Thread_local char why_text[PATH_MAX + 128];

static const char *why(const char *path, const char *what)
{
    snprintf(why_text, sizeof why_text, "%s: %s", path, what);
    return why_text;
}

/* NULL: the descriptor is a journal that this build can use. */
static const char *file_check(int fd, unsigned worker)
{
    struct stat st;
    struct shm_head head;
    uint32_t numbers[2];
    uint64_t at_head, at_tail;

    if (fstat(fd, &st) != 0) return strerror(errno);
    if (!S_ISREG(st.st_mode)) return "not a regular file";
    if (st.st_uid != geteuid() || (st.st_mode & 077) != 0 || st.st_nlink != 1)
        return "owner, mode or links differ from what weir makes";
    if (st.st_size != (off_t)sizeof(struct journal)) return "another size";
    if (pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head ||
        pread(fd, numbers, sizeof numbers, offsetof(struct journal, journal_version)) != (ssize_t)sizeof numbers ||
        pread(fd, &at_tail, sizeof at_tail, offsetof(struct journal, ring_tail)) != (ssize_t)sizeof at_tail ||
        pread(fd, &at_head, sizeof at_head, offsetof(struct journal, ring_head)) != (ssize_t)sizeof at_head)
        return "cannot be read";
    const char *differs = segment_check(&head, SHM_JOURNAL, (uint64_t)st.st_size);
    if (differs != NULL) return differs;
    if (numbers[0] != JOURNAL_VERSION || numbers[1] != worker) return "of another version or worker";
    return at_head - at_tail > JOURNAL_RING_RECORDS ? "head and tail make no sense" : NULL;
}

static bool put(int fd, const void *p, size_t n, size_t at)
{
    return pwrite(fd, p, n, (off_t)at) == (ssize_t)n;
}

/* Under another name first: a kill in the middle leaves nothing that looks like a journal. -1 with *ret_why. */
static int file_make(const char *dir, const char *path, unsigned worker, const char **ret_why)
{
    char temporary[PATH_MAX];
    struct shm_head head = segment_head(SHM_JOURNAL, sizeof(struct journal));
    uint32_t numbers[2] = {JOURNAL_VERSION, worker};
    uint64_t created = clock_wall_ns();

    if (snprintf(temporary, sizeof temporary, "%s/.journal.%u.new", dir, worker) >= (int)sizeof temporary) {
        *ret_why = why(dir, "path is too long");
        return -1;
    }
    unlink(temporary);
    int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)sizeof(struct journal));
    if (error == 0 && (!put(fd, &head, sizeof head, 0) ||
                       !put(fd, numbers, sizeof numbers, offsetof(struct journal, journal_version)) ||
                       !put(fd, &created, sizeof created, offsetof(struct journal, created_wall_ns)) ||
                       fchmod(fd, 0600) != 0 || rename(temporary, path) != 0))
        error = errno;
    if (error == 0) return fd;
    *ret_why = why(temporary, strerror(error));
    if (fd >= 0) close(fd);
    unlink(temporary);
    return -1;
}

static bool move_aside(const char *path, const char **ret_why)
{
    char aside[PATH_MAX + 64];
    unsigned long long now_s = clock_wall_ns() / 1000000000u;

    for (unsigned again = 0; again < 100; again++) {
        snprintf(aside, sizeof aside, again == 0 ? "%s.bad-%llu" : "%s.bad-%llu-%u", path, now_s, again);
        if (renameat2(AT_FDCWD, path, AT_FDCWD, aside, RENAME_NOREPLACE) == 0) return true;
        if (errno == EINVAL && access(aside, F_OK) != 0) /* a file system without RENAME_NOREPLACE */
            return rename(path, aside) == 0;
        if (errno != EEXIST) break;
    }
    *ret_why = why(path, strerror(errno));
    return false;
}

static bool path_of(const char *dir, unsigned worker, char path[PATH_MAX], const char **ret_why)
{
    if (worker < SHM_WORKERS && snprintf(path, PATH_MAX, "%s/journal.%u", dir, worker) < PATH_MAX) return true;
    *ret_why = why(dir, worker < SHM_WORKERS ? "path is too long" : "no such worker");
    return false;
}

static bool file_map(int fd, struct journal_map *ret_map, const char **ret_why)
{
    struct segment seg;

    if (!segment_map(fd, SHM_JOURNAL, true, &seg, ret_why)) return false;
    if (seg.bytes != sizeof(struct journal)) {
        segment_unmap(&seg);
        *ret_why = "journal has another size";
        return false;
    }
    madvise(seg.base, seg.bytes, MADV_RANDOM); /* no read-ahead of pages that are only ever written */
    *ret_map = (struct journal_map){.j = seg.base, .seg = seg, .fd = -1};
    ret_map->dropped_to = atomic_load(&ret_map->j->ring_tail);
    return true;
}

static int file_open(const char *path)
{
    return open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
}

bool journal_open(const char *dir, unsigned worker, struct journal_map *ret_map, unsigned *ret_bad,
                  const char **ret_why)
{
    char path[PATH_MAX];

    if (!path_of(dir, worker, path, ret_why)) return false;
    int fd = file_open(path);
    int error = errno;
    if (fd >= 0 ? file_check(fd, worker) != NULL : error != ENOENT) {
        if (fd >= 0) close(fd);
        if (!move_aside(path, ret_why)) return false;
        ++*ret_bad;
        fd = -1;
    }
    if (fd < 0) fd = file_make(dir, path, worker, ret_why);
    if (fd < 0) return false;
    if (!file_map(fd, ret_map, ret_why)) {
        close(fd);
        return false;
    }
    ret_map->fd = fd;
    return true;
}

bool journal_exists(const char *dir, unsigned worker)
{
    char path[PATH_MAX];
    struct stat st;
    const char *why;

    return path_of(dir, worker, path, &why) && lstat(path, &st) == 0;
}

bool journal_open_existing(const char *dir, unsigned worker, struct journal_map *ret_map, const char **ret_why)
{
    char path[PATH_MAX];
    const char *bad;

    if (!path_of(dir, worker, path, ret_why)) return false;
    int fd = file_open(path);
    if (fd < 0) {
        *ret_why = why(path, strerror(errno));
        return false;
    }
    if ((bad = file_check(fd, worker)) != NULL) *ret_why = why(path, bad);
    if (bad != NULL || !file_map(fd, ret_map, ret_why)) {
        close(fd);
        return false;
    }
    ret_map->fd = fd;
    return true;
}

bool journal_map_fd(int fd, struct journal_map *ret_map, const char **ret_why)
{
    if (!file_map(fd, ret_map, ret_why)) return false;
    journal_begin(ret_map);
    return true;
}

void journal_close(struct journal_map *m)
{
    segment_unmap(&m->seg);
    if (m->fd >= 0) close(m->fd);
    free(m->free_slots);
    *m = (struct journal_map){.fd = -1};
}
