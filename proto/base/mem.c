#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p, size_t n)
{
    if (p != NULL) return p;
    fprintf(stderr, "weir: out of memory (%zu bytes)\n", n);
    abort();
}

void *xmalloc(size_t n)
{
    return must(malloc(n > 0 ? n : 1), n);
}

void *xcalloc(size_t count, size_t n)
{
    return must(calloc(count > 0 ? count : 1, n > 0 ? n : 1), n);
}

void *xrealloc(void *p, size_t n)
{
    return must(realloc(p, n > 0 ? n : 1), n);
}

char *xstrdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(xmalloc(n), s, n);
}
