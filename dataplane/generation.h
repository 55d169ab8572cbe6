/* generation.h — one accepted configuration as a worker uses it: the snapshot, and what is worked out from it once
 * Owns:     a counted reference to the snapshot; trusts (parsed CA bundles) that outlive it while a connection uses them.
 * Process:  worker only; a request holds a reference from its first step to its end.
 * Memory:   heap, at a reload; nothing in a request.
 * Fails:    generation_open() returns NULL with a reason: the worker keeps the one it has.
 * Not here: what is in a snapshot (shm/snapshot), dialling (upstream.c). */
#pragma once

#include "proto/auth/signer.h"
#include "proto/base/list.h"
#include "proto/base/str.h"
#include "proto/wire/tls.h"
#include "shm/snapshot.h"

struct worker;

/* A CA bundle, parsed once for all providers and configurations that name it. */
struct trust {
    struct list link;
    struct tls_trust *tls; /* NULL: it could not be parsed, see why */
    const char *why;
    char *pem;
    size_t pem_n;
    unsigned refs;
};

/* Where a provider is, worked out once. */
struct origin {
    uint64_t
        print; /* of host, port, TLS and CA: a connection or a TLS ticket is only used for the print it was made for */
    struct trust *trust; /* NULL without TLS */
    struct trust *media; /* fetch_media: the system's authorities; else NULL */
    int family;          /* 4 or 6 where the host is an address, else 0 */
    uint8_t ip[16];
    struct sign_cache sign; /* holds what can sign: wiped with the generation */
};

struct generation {
    struct snap *sn;
    struct origin *origins; /* by index of provider */
    unsigned refs;
};

/* The descriptors stay the caller's. */
struct generation *generation_open(struct worker *w, int snapshot_fd, int secrets_fd, const char **ret_why);
struct generation *generation_ref(struct generation *g);
void generation_unref(struct generation **g);

struct trust *trust_ref(struct trust *t);
void trust_unref(struct trust **t);
