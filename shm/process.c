/* process.c — the crash line runs inside a signal handler of a process that is already broken: only write() and own arithmetic there */
#include "shm/process.h"

#include "proto/base/version.h"

#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <ucontext.h>
#include <unistd.h>

extern const char __executable_start[]; /* the linker's: where the program was loaded */

static char crash_name[16] = "weir";
static const char *crash_version = "";

static size_t put_text(char *to, size_t at, size_t cap, const char *text)
{
    while (*text != '\0' && at < cap) to[at++] = *text++;
    return at;
}

static size_t put_hex(char *to, size_t at, size_t cap, uintptr_t v)
{
    for (int shift = (int)sizeof v * 8 - 4; shift >= 0; shift -= 4)
        if (v >> shift != 0 || shift == 0)
            if (at < cap) to[at++] = "0123456789abcdef"[v >> shift & 15];
    return at;
}

static uintptr_t crash_pc(const void *context)
{
#if defined(__x86_64__)
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.pc;
#else
    return context == NULL;
#endif
}

static void on_crash(int sig, siginfo_t *info, void *context)
{
    static const struct {
        int sig;
        const char *name;
    } names[] = {
        {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGABRT, "SIGABRT"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"}};
    char line[160];
    size_t n = put_text(line, 0, sizeof line, crash_name);
    uintptr_t pc = crash_pc(context), base = (uintptr_t)__executable_start;

    (void)info;
    n = put_text(line, n, sizeof line, ": crashed: ");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].sig == sig) n = put_text(line, n, sizeof line, names[i].name);
    n = put_text(line, n, sizeof line, pc > base ? " at pc base+0x" : " at pc 0x");
    n = put_hex(line, n, sizeof line, pc > base ? pc - base : pc);
    n = put_text(line, n, sizeof line, ", version ");
    n = put_text(line, n, sizeof line, crash_version);
    n = put_text(line, n, sizeof line, "\n");
    if (write(STDERR_FILENO, line, n) < 0) {
        /* nobody reads: then there is no line */
    }
    raise(sig); /* SA_RESETHAND: now it ends the process */
}

static void crash_line(const char *name)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    struct sigaction act = {.sa_sigaction = on_crash, .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND | SA_NODEFER)}, old;

    if (name != NULL) strncpy(crash_name, name, sizeof crash_name - 1);
    crash_version = weir_version();
    sigemptyset(&act.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) /* a sanitizer's report says more */
            sigaction(signals[i], &act, NULL);
}

void process_harden(const char *name)
{
    struct rlimit none = {0, 0};

    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
    if (name != NULL) prctl(PR_SET_NAME, name, 0, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    crash_line(name);
}

void process_allow_descriptors(void)
{
    struct rlimit files;
    enum { ENOUGH = 262144 };

    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max < ENOUGH ? files.rlim_max : ENOUGH;
    setrlimit(RLIMIT_NOFILE, &files);
}

bool process_die_with(pid_t parent)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == parent;
}

static bool is_kept(int fd, const int *keep, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (keep[i] == fd) return true;
    return fd <= STDERR_FILENO;
}

unsigned process_close_others(const int *keep, unsigned n)
{
    unsigned closed = 0;
    DIR *d = opendir("/proc/self/fd");

    if (d == NULL) return 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        int fd = atoi(e->d_name);
        if (e->d_name[0] == '.' || fd == dirfd(d) || is_kept(fd, keep, n)) continue;
        close(fd);
        closed++;
    }
    closedir(d);
    return closed;
}
