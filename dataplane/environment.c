#include "dataplane/environment.h"

#include "proto/base/mem.h"
#include "proto/base/str.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

char *const *environment_take(void)
{
    size_t n = 0, bytes = 0;

    for (char **e = environ; *e != NULL; e++, n++) bytes += strlen(*e) + 1;
    size_t all = (n + 1) * sizeof(char *) + bytes;
    char *page = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        page = xcalloc(1, all);
    else
        madvise(page, all, MADV_DONTDUMP);
    char **taken = (char **)(void *)page, *text = page + (n + 1) * sizeof(char *);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(environ[i]) + 1;
        char *value = strchr(environ[i], '=');
        memcpy(text, environ[i], len);
        taken[i] = text;
        text += len;
        if (value != NULL) explicit_bzero(value + 1, strlen(value + 1));
    }
    return taken;
}

const char *environment_get(char *const *taken, const char *name)
{
    size_t n = strlen(name);

    for (; *taken != NULL; taken++)
        if (strncmp(*taken, name, n) == 0 && (*taken)[n] == '=') return *taken + n + 1;
    return NULL;
}

char *const *environment_for_worker(char *const *taken)
{
    static const char *const names[] = {"PATH",         "TZ",           "SSL_CERT_FILE", "SSL_CERT_DIR",
                                        "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",  "UBSAN_OPTIONS"};
    static char *kept[sizeof names / sizeof names[0] + 1];
    size_t n = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = environment_get(taken, names[i]);
        if (value != NULL) kept[n++] = (char *)(uintptr_t)(value - strlen(names[i]) - 1);
    }
    return kept;
}
