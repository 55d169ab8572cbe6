/* channel.c — one datagram per message over SOCK_SEQPACKET, so that a message is whole or not there at all, also when a side is killed */
#include "shm/channel.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL_MAGIC 0x57454952u /* "WEIR" */

static size_t used_bytes(const struct channel_msg *m)
{
    size_t head = offsetof(struct channel_msg, u);

    switch (m->type) {
    case CHAN_BOOT: return head + sizeof m->u.boot;
    case CHAN_REFUSED:
    case CHAN_TICKETS: return head + m->text_n;
    default: return head;
    }
}

bool channel_pair(int ret_fds[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds) == 0;
}

bool channel_send(int fd, const struct channel_msg *m, const int *fds, unsigned n)
{
    struct channel_msg head = {.magic = CHANNEL_MAGIC, .type = m->type, .number = m->number, .serial = m->serial};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
    } control = {0};

    if (n > CHANNEL_FDS || m->text_n > sizeof m->u.text) {
        errno = EMSGSIZE;
        return false;
    }
    head.text_n = m->text_n;
    struct iovec parts[2] = {
        {&head, offsetof(struct channel_msg, u)},
        {(void *)(uintptr_t)&m->u, used_bytes(m) - offsetof(struct channel_msg, u)},
    };
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};
    if (n > 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    }
    ssize_t sent;
    do sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

/* Takes what arrived, whatever the message turns out to be, so that no descriptor leaks. */
static unsigned take_fds(struct msghdr *msg, int *ret_fds)
{
    unsigned n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (n < CHANNEL_FDS)
                ret_fds[n++] = fd;
            else
                close(fd);
        }
    }
    return n;
}

/* Descriptors may be missing (MSG_CTRUNC) where this process has no room for more: who needs them counts them, and goes on without. */
static bool is_ours(const struct channel_msg *m, size_t got, int flags)
{
    size_t head = offsetof(struct channel_msg, u);

    if (got < head || (flags & MSG_TRUNC) != 0 || m->magic != CHANNEL_MAGIC) return false;
    return m->type >= CHAN_BOOT && m->type <= CHAN_TICKETS && m->text_n <= sizeof m->u.text && used_bytes(m) == got;
}

int channel_recv(int fd, struct channel_msg *ret_m, int *ret_fds, unsigned *ret_n)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
    } control;
    struct iovec part = {ret_m, sizeof *ret_m};
    struct msghdr msg = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    int fds[CHANNEL_FDS];
    ssize_t got;

    do got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    unsigned n = take_fds(&msg, fds);
    if (!is_ours(ret_m, (size_t)got, msg.msg_flags)) { /* got 0: the peer is gone */
        for (unsigned i = 0; i < n; i++) close(fds[i]);
        return -1;
    }
    if (ret_m->type == CHAN_BOOT) { /* texts end within their field whoever sent them */
        struct boot *b = &ret_m->u.boot;
        for (unsigned i = 0; i < sizeof b->listen / sizeof b->listen[0]; i++)
            b->listen[i][sizeof b->listen[i] - 1] = '\0';
        b->admin_http[sizeof b->admin_http - 1] = '\0';
    }
    memcpy(ret_fds, fds, n * sizeof fds[0]);
    *ret_n = n;
    return 1;
}
