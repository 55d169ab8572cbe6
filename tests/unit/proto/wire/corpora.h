/* corpora.h — reading of conformance inputs that lie beside the repository, where they do
 * Owns:     what corpora_read() returns belongs to the caller's buf.
 * Process:  tests.
 * Memory:   the heap.
 * Fails:    false where the file is not there: the test is then skipped with a notice, never passed.
 * Not here: verdicts. */
#pragma once

#include "proto/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

/* $WEIR_SHARED/corpora/NAME, or ../shared beside the source tree. */
static inline bool corpora_read(const char *name, struct buf *out)
{
    char path[512];
    const char *shared = getenv("WEIR_SHARED"), *root = getenv("WEIR_SOURCE_ROOT");
    if (shared != NULL)
        snprintf(path, sizeof path, "%s/corpora/%s", shared, name);
    else
        snprintf(path, sizeof path, "%s/../shared/corpora/%s", root != NULL ? root : ".", name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) return false;
    size_t n;
    while ((n = fread(buf_reserve(out, 65536), 1, 65536, f)) > 0) buf_commit(out, n);
    fclose(f);
    return true;
}

static inline void corpora_absent(const char *name)
{
    fprintf(stderr, "# skipped: no corpora/%s (set WEIR_SHARED)\n", name);
}
