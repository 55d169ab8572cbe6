/* statedir.c — keys and money lie here, so a directory that others can enter, or that is somebody else's by a link, is refused rather
 * than repaired: repairing would hide who made it so */
#include "dataplane/statedir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char why_text[2 * PATH_MAX];

static int refuse(int code, const char **ret_why, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int refuse(int code, const char **ret_why, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why_text, sizeof why_text, format, args);
    va_end(args);
    *ret_why = why_text;
    return code;
}

static const char *env(const char *name)
{
    const char *v = getenv(name);
    return v == NULL || v[0] == '\0' ? NULL : v;
}

int statedir_resolve(const char *option, char ret_path[PATH_MAX], const char **ret_why)
{
    const char *given = option != NULL ? option : env("WEIR_STATE");
    char cwd[PATH_MAX];
    int n;

    if (given != NULL && given[0] == '/')
        n = snprintf(ret_path, PATH_MAX, "%s", given);
    else if (given != NULL && given[0] != '\0' && getcwd(cwd, sizeof cwd) != NULL)
        n = snprintf(ret_path, PATH_MAX, "%s/%s", cwd, given);
    else if (given == NULL && env("XDG_STATE_HOME") != NULL && env("XDG_STATE_HOME")[0] == '/')
        n = snprintf(ret_path, PATH_MAX, "%s/weir", env("XDG_STATE_HOME"));
    else if (given == NULL && env("HOME") != NULL)
        n = snprintf(ret_path, PATH_MAX, "%s/.local/state/weir", env("HOME"));
    else
        return refuse(EXIT_STATE, ret_why, "no state directory: give --state DIR or set WEIR_STATE");
    if (n >= PATH_MAX)
        return refuse(EXIT_STATE, ret_why, "state directory: the path is longer than %d bytes", PATH_MAX - 1);
    while (n > 1 && ret_path[n - 1] == '/') ret_path[--n] = '\0'; /* "link/" would follow the link */
    return 0;
}

/* As mkdir -p: each directory that is missing, 0700. */
static bool make(const char *path)
{
    char part[PATH_MAX];

    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST && access(part, X_OK) != 0) return false;
        *slash = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static int check(const char *path, const char **ret_why)
{
    struct stat st;

    if (lstat(path, &st) != 0) return refuse(EXIT_STATE, ret_why, "state directory %s: %s", path, strerror(errno));
    if (S_ISLNK(st.st_mode))
        return refuse(EXIT_STATE, ret_why, "state directory %s is a symbolic link; give the directory itself", path);
    if (!S_ISDIR(st.st_mode)) return refuse(EXIT_STATE, ret_why, "state directory %s is not a directory", path);
    if (st.st_uid != geteuid())
        return refuse(EXIT_STATE, ret_why, "state directory %s belongs to user %u, weir runs as %u", path,
                      (unsigned)st.st_uid, (unsigned)geteuid());
    /* Others may look (what is inside is 0600), but not put a file or a link where ours are looked for. */
    if ((st.st_mode & 0022) != 0)
        return refuse(
            EXIT_STATE, ret_why,
            "state directory %s has mode %04o, others may write in it: chmod 700 it, or give a directory inside", path,
            (unsigned)(st.st_mode & 07777));
    return 0;
}

static int held(const char *path, int lock_fd, const char **ret_why)
{
    char pid[24] = "";

    if (pread(lock_fd, pid, sizeof pid - 1, 0) > 0) pid[strcspn(pid, "\n")] = '\0';
    return refuse(EXIT_HELD, ret_why, "state directory %s is in use by weir, pid %s", path,
                  pid[0] == '\0' ? "unknown" : pid);
}

int statedir_open(const char *path, int *ret_lock_fd, const char **ret_why)
{
    char pid[24];
    int code;

    if (!make(path)) return refuse(EXIT_STATE, ret_why, "state directory %s cannot be made: %s", path, strerror(errno));
    if ((code = check(path, ret_why)) != 0) return code;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int fd = dir < 0 ? -1 : openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    int error = errno;
    if (dir >= 0) close(dir);
    if (fd < 0) return refuse(EXIT_STATE, ret_why, "state directory %s cannot be written: %s", path, strerror(error));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        code = errno == EWOULDBLOCK ? held(path, fd, ret_why)
                                    : refuse(EXIT_STATE, ret_why, "%s/lock: %s", path, strerror(errno));
        close(fd);
        return code;
    }
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
        code = refuse(EXIT_STATE, ret_why, "%s/lock: %s", path, strerror(errno));
        close(fd);
        return code;
    }
    *ret_lock_fd = fd;
    return 0;
}
