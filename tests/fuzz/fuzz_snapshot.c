/* fuzz_snapshot.c — a worker is handed any bytes as a snapshot; what opens is read as a request would read it */
#include "shm/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int segment_of(enum shm_kind kind, const uint8_t *data, size_t n, size_t least, bool mend)
{
    struct segment seg;
    const char *why;
    int fd = segment_create("fuzz", kind, n < least ? least : n, &seg, &why);

    if (fd < 0) abort();
    struct shm_head good = *(struct shm_head *)seg.base;
    memcpy(seg.base, data, n);
    if (mend) { /* else no input would get past the head and the checksum */
        *(struct shm_head *)seg.base = good;
        if (kind == SHM_SNAPSHOT) {
            struct snapshot *s = seg.base;
            s->crc = crc32c(0, (char *)seg.base + sizeof *s, seg.bytes - sizeof *s);
        }
    }
    segment_unmap(&seg);
    return fd;
}

static void read_all(const struct snap *sn)
{
    static const char *const names[] = {"chat", "gpt-x", "openai/gpt-x", "a/b/c"};
    uint16_t target;
    uint8_t hash[32] = {0};
    size_t sum = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct snap_route *r = snap_find_route(sn, str_of(names[i]), &target);
        for (uint32_t k = 0; r != NULL && k < r->legs.n; k++) sum += sn->targets[sn->legs[r->legs.first + k].target].id;
        for (uint32_t k = 0; r != NULL && k < r->allow.n; k++) sum += snap_string(sn, r->allow, k).n;
        if (target != ID_NONE) sum += sn->providers[sn->targets[target].provider].port;
    }
    for (uint32_t i = 0; i < sn->s->providers.n; i++) {
        struct str secret = snap_secret(sn, &sn->providers[i]), host = snap_text(sn, sn->providers[i].host);
        for (size_t k = 0; k < secret.n; k++) sum += (unsigned char)secret.p[k];
        sum += strlen(host.p); /* NUL-terminated */
    }
    const struct snap_key *key = snap_find_key(sn, hash);
    for (uint32_t i = 0; key != NULL && i < key->routes.n; i++)
        sum += snap_text(sn, sn->routes[snap_key_route(sn, key, i)].name).n;
    if (sum == 1) hash[0] = 1; /* used */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *why;

    if (n < 4) return 0;
    bool mend = (data[0] & 1) != 0;
    size_t secrets_n = data[1] | (size_t)data[2] << 8;
    data += 4;
    n -= 4;
    if (secrets_n > n) secrets_n = n;
    int secrets = segment_of(SHM_SECRETS, data, secrets_n, sizeof(struct secrets), mend);
    int snapshot = segment_of(SHM_SNAPSHOT, data + secrets_n, n - secrets_n, sizeof(struct snapshot), mend);
    struct snap *sn = snap_open(snapshot, secrets, &why);
    if (sn != NULL) read_all(sn);
    snap_unref(&sn);
    close(secrets);
    close(snapshot);
    return 0;
}
