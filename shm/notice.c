#include "shm/notice.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* A pipe that polls writable takes PIPE_BUF bytes whole and at once (pipe(7)). Standard error may be shared with whoever started us: it
 * stays in the mode it came in. */
enum { PIECE = PIPE_BUF };

static atomic_uint dropped;

static bool put(const char *p, size_t n)
{
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT) != 0 && write(STDERR_FILENO, p, n) == (ssize_t)n;
}

static void put_dropped(void)
{
    char line[80];
    unsigned n = atomic_exchange(&dropped, 0);
    if (n == 0) return;
    int size = snprintf(line, sizeof line, "weir: standard error was not read: %u notices are missing here\n", n);
    if (!put(line, (size_t)size)) atomic_fetch_add(&dropped, n);
}

void notice(const char *format, ...)
{
    char line[PIECE] = "weir: ";
    const size_t room = sizeof line - 7; /* the prefix, and the line end */
    va_list args;

    va_start(args, format);
    int n = vsnprintf(line + 6, room, format, args);
    va_end(args);
    size_t size = 6 + (n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1);
    line[size++] = '\n';
    put_dropped();
    if (!put(line, size)) atomic_fetch_add(&dropped, 1);
}

void notice_text(struct str text)
{
    if (text.n == 0) return;
    put_dropped();
    bool ended = text.p[text.n - 1] == '\n';
    for (size_t at = 0; at < text.n; at += PIECE) {
        size_t n = text.n - at < PIECE ? text.n - at : PIECE;
        if (!put(text.p + at, n)) {
            atomic_fetch_add(&dropped, 1);
            return;
        }
    }
    if (!ended) put("\n", 1);
}
