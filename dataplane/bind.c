/* bind.c — listening sockets. The difficulty: SO_REUSEPORT lets a second weir share our port in silence, so each port is first bound
 * without it, which fails when anybody listens there. */
#include "dataplane/bind.h"

#include "proto/base/clock.h"
#include "proto/base/str.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 4096, /* cut by net.core.somaxconn; a worker that is being replaced does not accept for a moment */
    RETRY_FOR_MS =
        600 /* the workers of a supervisor that was just killed go with it, but not within the same instant */
};

static char why_text[512];

static bool refuse(const char **ret_why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(const char **ret_why, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why_text, sizeof why_text, format, args);
    va_end(args);
    *ret_why = why_text;
    return false;
}

/* ---- who holds a port ---- */

/* The inode of a listening socket on that port, from one of /proc/net/tcp and tcp6: "sl local:PORT rem:PORT ST ... inode". */
static unsigned long listener_inode(const char *table, unsigned port)
{
    char line[512];
    unsigned long inode = 0;
    FILE *f = fopen(table, "re");

    while (f != NULL && inode == 0 && fgets(line, sizeof line, f) != NULL) {
        unsigned at_port = 0, state = 0;
        unsigned long at_inode = 0;
        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu", &at_port, &state,
                   &at_inode) == 3 &&
            at_port == port && state == 0x0A)
            inode = at_inode;
    }
    if (f != NULL) fclose(f);
    return inode;
}

static bool process_has(const char *pid, unsigned long inode)
{
    char path[600], link[64], want[48];
    bool found = false;

    snprintf(want, sizeof want, "socket:[%lu]", inode);
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && !found && (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, e->d_name);
        ssize_t n = readlink(path, link, sizeof link - 1);
        link[n < 0 ? 0 : n] = '\0';
        found = strcmp(link, want) == 0;
    }
    if (d != NULL) closedir(d);
    return found;
}

/* " by pid 12 (nginx)", or nothing when /proc does not let us see it. */
static const char *holder(unsigned port)
{
    static char text[96];
    char path[600], name[32] = "";
    unsigned long inode = listener_inode("/proc/net/tcp", port);

    text[0] = '\0';
    if (inode == 0) inode = listener_inode("/proc/net/tcp6", port);
    DIR *d = inode == 0 ? NULL : opendir("/proc");
    for (struct dirent *e; d != NULL && text[0] == '\0' && (e = readdir(d)) != NULL;) {
        if (!isdigit((unsigned char)e->d_name[0]) || !process_has(e->d_name, inode)) continue;
        snprintf(path, sizeof path, "/proc/%s/comm", e->d_name);
        FILE *f = fopen(path, "re");
        if (f != NULL && fgets(name, sizeof name, f) != NULL) name[strcspn(name, "\n")] = '\0';
        if (f != NULL) fclose(f);
        snprintf(text, sizeof text, " by pid %.12s (%s)", e->d_name, name);
    }
    if (d != NULL) closedir(d);
    return text;
}

/* ---- TCP ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

static bool address_parse(struct str text, union address *ret_a, socklen_t *ret_n)
{
    char host[64];
    ptrdiff_t colon = str_rchr(text, ':');
    uint64_t port;

    if (colon < 0 || !str_u64(str_slice(text, (size_t)colon + 1, text.n), &port) || port > 65535) return false;
    struct str h = str_slice(text, 0, (size_t)colon);
    if (h.n >= 2 && h.p[0] == '[' && h.p[h.n - 1] == ']') h = str_slice(h, 1, h.n - 1);
    if (h.n >= sizeof host) return false;
    snprintf(host, sizeof host, "%.*s", STR_FMT(h));
    *ret_a = (union address){0};
    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &ret_a->v4.sin_addr) == 1) {
        ret_a->v4.sin_family = AF_INET;
        ret_a->v4.sin_port = htons((uint16_t)port);
        *ret_n = sizeof ret_a->v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &ret_a->v6.sin6_addr) == 1) {
        ret_a->v6.sin6_family = AF_INET6;
        ret_a->v6.sin6_port = htons((uint16_t)port);
        *ret_n = sizeof ret_a->v6;
        return true;
    }
    return false;
}

static int tcp_listen(const union address *a, socklen_t n, bool share)
{
    int on = 1, fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* what is accepted inherits it */
    if (a->any.sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (share) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(fd, &a->any, n) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool port_is_free(const union address *a, socklen_t n)
{
    uint64_t until = clock_mono_ms() + RETRY_FOR_MS;
    int fd;

    while ((fd = tcp_listen(a, n, false)) < 0 && errno == EADDRINUSE && clock_mono_ms() < until) usleep(20 * 1000);
    if (fd < 0) return false;
    close(fd);
    return true;
}

static bool tcp_add(struct bind *x, unsigned workers, const char **ret_why)
{
    union address a;
    socklen_t n;

    if (!address_parse(str_of(x->text), &a, &n))
        return refuse(ret_why, "%s: not an address to listen on; write 127.0.0.1:8490, [::1]:8490 or unix:/path",
                      x->text);
    if (!port_is_free(&a, n)) {
        int error = errno;
        return refuse(ret_why, "%s: %s%s", x->text, error == EADDRINUSE ? "the port is taken" : strerror(error),
                      error == EADDRINUSE ? holder(ntohs(a.v4.sin_port)) : "");
    }
    for (unsigned w = 0; w < workers; w++) {
        if ((x->fd[w] = tcp_listen(&a, n, true)) < 0) return refuse(ret_why, "%s: %s", x->text, strerror(errno));
        if (w == 0) getsockname(x->fd[0], &a.any, &n); /* port 0: the others take what the first was given */
    }
    return true;
}

/* ---- Unix ---- */

/* Removes what a killed weir left. false: it is not ours to remove. */
static bool stale_remove(const char *path, const union address *a, socklen_t n, const char **ret_why)
{
    struct stat st;

    if (lstat(path, &st) != 0) return errno == ENOENT ? true : refuse(ret_why, "unix:%s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
        return refuse(ret_why,
                      "unix:%s: there is something that is not a socket of ours; remove it or give another path", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool alive = fd >= 0 && (connect(fd, &a->any, n) == 0 || errno == EAGAIN);
    if (fd >= 0) close(fd);
    if (alive) return refuse(ret_why, "unix:%s: somebody listens there", path);
    return unlink(path) == 0 ? true : refuse(ret_why, "unix:%s: %s", path, strerror(errno));
}

static bool unix_add(struct bind *x, unsigned workers, const char **ret_why)
{
    const char *path = x->text + strlen("unix:");
    union address a = {.un = {.sun_family = AF_UNIX}};
    struct stat st;

    if (path[0] != '/' || strlen(path) >= sizeof a.un.sun_path)
        return refuse(ret_why, "%s: the path must be absolute and below %zu bytes", x->text, sizeof a.un.sun_path);
    snprintf(a.un.sun_path, sizeof a.un.sun_path, "%s", path);
    if (!stale_remove(path, &a, sizeof a.un, ret_why)) return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0117); /* 0660 from the first moment: the group is how another user's app gets in */
    bool bound = fd >= 0 && bind(fd, &a.any, sizeof a.un) == 0 && listen(fd, BACKLOG) == 0;
    int error = errno;
    umask(mask);
    for (unsigned w = 0; w < workers; w++) x->fd[w] = fd;
    if (!bound) return refuse(ret_why, "%s: %s", x->text, strerror(error));
    x->inode = lstat(path, &st) == 0 ? st.st_ino : 0;
    return true;
}

bool binds_add(struct binds *b, const char *address, unsigned workers, const char **ret_why)
{
    if (b->n == BINDS || workers == 0 || workers > SHM_WORKERS)
        return refuse(ret_why, "more than %d addresses to listen on", BINDS);
    struct bind *x = &b->bind[b->n++];
    *x = (struct bind){.is_unix = str_starts(str_of(address), STR("unix:"))};
    for (unsigned w = 0; w < SHM_WORKERS; w++) x->fd[w] = -1;
    b->workers = workers;
    snprintf(x->text, sizeof x->text, "%s", address);
    return x->is_unix ? unix_add(x, workers, ret_why) : tcp_add(x, workers, ret_why);
}

void binds_close(struct binds *b)
{
    struct stat st;

    for (unsigned i = 0; i < b->n; i++) {
        struct bind *x = &b->bind[i];
        const char *path = x->text + strlen("unix:");
        if (x->is_unix && x->inode != 0 && lstat(path, &st) == 0 && st.st_ino == x->inode) unlink(path);
        for (unsigned w = 0; w < (x->is_unix ? 1 : b->workers); w++)
            if (x->fd[w] >= 0) close(x->fd[w]);
    }
    b->n = 0;
}
