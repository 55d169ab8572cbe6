#include "tools/cli/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_SECONDS = 10 };

void default_state_dir(char *out, size_t out_bytes)
{
    const char *set = getenv("WEIR_STATE"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    out[0] = '\0';
    if (set != NULL && set[0] != '\0')
        snprintf(out, out_bytes, "%s", set);
    else if (xdg != NULL && xdg[0] == '/')
        snprintf(out, out_bytes, "%s/weir", xdg);
    else if (home != NULL && home[0] == '/')
        snprintf(out, out_bytes, "%s/.local/state/weir", home);
}

void demo_note_path(char *out, size_t out_bytes)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && runtime[0] == '/')
        snprintf(out, out_bytes, "%s/weir-demo", runtime);
    else
        snprintf(out, out_bytes, "/tmp/weir-demo-%u", (unsigned)geteuid());
}

static int connect_to(const char *dir)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int n = snprintf(at.sun_path, sizeof at.sun_path, "%s/admin.sock", dir);
    if (dir[0] == '\0' || n < 0 || (size_t)n >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof at) == 0) return fd;
    int e = errno;
    close(fd);
    errno = e;
    return -1;
}

/* A note that another user could have left is not believed: the runtime directory may be /tmp. */
static bool read_demo_note(char *out, size_t out_bytes)
{
    char path[512];
    struct stat st;
    demo_note_path(path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return false;
    bool ours = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid();
    ssize_t n = ours ? read(fd, out, out_bytes - 1) : 0;
    close(fd);
    if (n <= 0 || out[0] != '/') return false;
    out[n] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return true;
}

bool link_open(struct link *l, const char *state_dir, bool quiet)
{
    char dir[512], demo[512];
    *l = (struct link){.fd = -1, .exit_code = 6};
    msgpack_unpacked_init(&l->unpacked);
    if (state_dir != NULL)
        snprintf(dir, sizeof dir, "%s", state_dir);
    else
        default_state_dir(dir, sizeof dir);
    l->fd = connect_to(dir);
    int why = errno;
    if (l->fd < 0 && state_dir == NULL && read_demo_note(demo, sizeof demo)) l->fd = connect_to(demo);
    if (l->fd >= 0) {
        struct timeval limit = {.tv_sec = ANSWER_SECONDS};
        setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(l->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        l->exit_code = 0;
        return true;
    }
    if (quiet) return false;
    if (why == EACCES || why == EPERM) {
        fprintf(stderr, "weir: %s/admin.sock belongs to another user\n", dir);
        l->exit_code = 3;
    } else {
        fprintf(stderr, "weir: no weir is running in %s\n  start one: weir run   (or look elsewhere: --state DIR)\n",
                dir);
    }
    return false;
}

void link_close(struct link *l)
{
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
    buf_fini(&l->in);
    buf_fini(&l->out);
    msgpack_unpacked_destroy(&l->unpacked);
}

static bool lost(struct link *l, const char *what)
{
    fprintf(stderr, "weir: %s\n", what);
    l->exit_code = 6;
    return false;
}

static bool send_all(struct link *l)
{
    while (buf_len(&l->out) > 0) {
        struct str rest = buf_view(&l->out);
        ssize_t n = send(l->fd, rest.p, rest.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return lost(l, "the connection to weir broke");
        buf_consume(&l->out, (size_t)n);
    }
    return true;
}

static bool receive_frame(struct link *l, struct str *ret_payload)
{
    while (true) {
        switch (admin_next(&l->in, ret_payload)) {
        case ADMIN_WHOLE: return true;
        case ADMIN_BAD: return lost(l, "weir sent something that is no answer");
        case ADMIN_MORE: break;
        }
        ssize_t n = recv(l->fd, buf_reserve(&l->in, 65536), 65536, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return lost(l, "weir did not answer in time");
        if (n <= 0) return lost(l, "weir closed the connection");
        buf_commit(&l->in, (size_t)n);
    }
}

static bool report_refusal(struct link *l)
{
    struct str error = admin_get_str(&l->unpacked.data, "error"), hint = admin_get_str(&l->unpacked.data, "hint");
    fprintf(stderr, "weir: %.*s\n", STR_FMT(error));
    if (hint.n > 0) fprintf(stderr, "  %.*s\n", STR_FMT(hint));
    l->exit_code = (int)admin_get_i64(&l->unpacked.data, "exit", 1);
    return false;
}

static bool take_answer(struct link *l)
{
    struct str payload;
    size_t at = 0;
    if (l->taken > 0) buf_consume(&l->in, l->taken);
    l->taken = 0;
    l->data = NULL;
    l->more = false;
    if (!receive_frame(l, &payload)) return false;
    if (!admin_check(payload) || msgpack_unpack_next(&l->unpacked, payload.p, payload.n, &at) != MSGPACK_UNPACK_SUCCESS)
        return lost(l, "weir sent something that is no answer");
    l->taken = 4 + payload.n;
    if (!admin_get_bool(&l->unpacked.data, "ok", false)) return report_refusal(l);
    l->more = admin_get_bool(&l->unpacked.data, "more", false);
    l->data = admin_get(&l->unpacked.data, "data");
    return true;
}

bool link_ask(struct link *l, const char *cmd, void (*pack_args)(msgpack_packer *p, const void *context),
              const void *context)
{
    struct admin_out o;
    admin_begin(&o, &l->out);
    msgpack_pack_map(&o.packer, pack_args == NULL ? 2 : 3);
    admin_pack_kv_i64(&o.packer, "v", ADMIN_VERSION);
    admin_pack_kv_str(&o.packer, "cmd", str_of(cmd));
    if (pack_args != NULL) {
        admin_pack_str(&o.packer, STR("args"));
        pack_args(&o.packer, context);
    }
    if (!admin_end(&o)) return lost(l, "the question is too long");
    return send_all(l) && take_answer(l);
}

bool link_next(struct link *l)
{
    struct timeval forever = {0};
    if (!l->more) return false;
    setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
    return take_answer(l);
}
