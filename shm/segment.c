/* segment.c — shared segments. The difficulty: what is mapped may come from another build or another hand, so a segment is believed only
 * after size, magic, version, kind and fingerprint have been compared, and a memfd only when it can no longer shrink under the reader. */
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static _Thread_local char why_text[192];

static const char *why(const char *what)
{
    snprintf(why_text, sizeof why_text, "%s: %s", what, strerror(errno));
    return why_text;
}

static uint64_t segment_fingerprint(enum shm_kind kind)
{
    return kind == SHM_JOURNAL ? JOURNAL_FINGERPRINT : SHM_FINGERPRINT;
}

struct shm_head segment_head(enum shm_kind kind, size_t bytes)
{
    return (struct shm_head){
        .magic = kind == SHM_JOURNAL ? JOURNAL_MAGIC : SHM_MAGIC,
        .version = kind == SHM_JOURNAL ? JOURNAL_VERSION : SHM_VERSION,
        .kind = kind,
        .fingerprint = segment_fingerprint(kind),
        .bytes = bytes,
    };
}

int segment_create(const char *name, enum shm_kind kind, size_t bytes, struct segment *ret_seg, const char **ret_why)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *base = MAP_FAILED;

    if (fd < 0) {
        *ret_why = why("memfd_create");
        return -1;
    }
    if (ftruncate(fd, (off_t)bytes) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
        base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        *ret_why = why(name);
        close(fd);
        return -1;
    }
    *(struct shm_head *)base = segment_head(kind, bytes);
    *ret_seg = (struct segment){base, bytes};
    return fd;
}

bool segment_seal(int fd, const char **ret_why)
{
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) == 0) return true;
    *ret_why = why("sealing a segment");
    return false;
}

const char *segment_check(const struct shm_head *h, enum shm_kind kind, uint64_t bytes)
{
    struct shm_head want = segment_head(kind, bytes);

    if (h->magic != want.magic)
        snprintf(why_text, sizeof why_text, "magic is %016llx, not %016llx", (unsigned long long)h->magic,
                 (unsigned long long)want.magic);
    else if (h->version != want.version)
        snprintf(why_text, sizeof why_text, "layout version is %u, not %u", h->version, want.version);
    else if (h->kind != want.kind)
        snprintf(why_text, sizeof why_text, "kind is %u, not %u", h->kind, want.kind);
    else if (h->fingerprint != want.fingerprint)
        snprintf(why_text, sizeof why_text, "layout fingerprint is %016llx, not %016llx: made by another build",
                 (unsigned long long)h->fingerprint, (unsigned long long)want.fingerprint);
    else if (h->bytes != bytes)
        snprintf(why_text, sizeof why_text, "size is %llu bytes, its head says %llu", (unsigned long long)bytes,
                 (unsigned long long)h->bytes);
    else
        return NULL;
    return why_text;
}

bool segment_map(int fd, enum shm_kind kind, bool writable, struct segment *ret_seg, const char **ret_why)
{
    struct stat st;
    struct shm_head head;

    if (fstat(fd, &st) != 0) {
        *ret_why = why("segment");
        return false;
    }
    if (st.st_size < (off_t)sizeof head || pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head) {
        *ret_why = "segment is shorter than its head";
        return false;
    }
    if ((*ret_why = segment_check(&head, kind, (uint64_t)st.st_size)) != NULL) return false;
    int seals = fcntl(fd, F_GET_SEALS);
    if (kind != SHM_JOURNAL && (seals < 0 || (seals & F_SEAL_SHRINK) == 0)) {
        *ret_why = "segment could shrink: it is not sealed";
        return false;
    }
    void *base = mmap(NULL, (size_t)st.st_size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        *ret_why = why("mapping a segment");
        return false;
    }
    *ret_seg = (struct segment){base, (size_t)st.st_size};
    return true;
}

void segment_unmap(struct segment *seg)
{
    if (seg->base != NULL) munmap(seg->base, seg->bytes);
    *seg = (struct segment){NULL, 0};
}
