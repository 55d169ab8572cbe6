/* fake_controlplane.c — stands in for weir-controlplane where a story is about the supervisor alone. What it does is in the file that
 * --config names: lines "listen ADDRESS", "workers N", "drain_ms N", "refuse TEXT", "die_after_ms N", "exit N", "publish_every_ms N". */
#include "proto/base/clock.h"
#include "shm/channel.h"
#include "shm/live.h"
#include "shm/snapshot.h"
#include "shm/tick.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct script {
    struct boot boot;
    char refuse[256];
    unsigned long die_after_ms, publish_every_ms;
    int exit_code;
};

static void script_read(const char *path, struct script *s)
{
    char line[300];
    FILE *f = path == NULL ? NULL : fopen(path, "re");

    *s = (struct script){.boot = {.workers = 1, .drain_ms = 2000}, .exit_code = -1};
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *value = strchr(line, ' ');
        line[strcspn(line, "\n")] = '\0';
        if (value == NULL) continue;
        *value++ = '\0';
        if (strcmp(line, "listen") == 0 && s->boot.listen_n < 8)
            snprintf(s->boot.listen[s->boot.listen_n++], sizeof s->boot.listen[0], "%.120s", value);
        if (strcmp(line, "workers") == 0) s->boot.workers = (uint32_t)atoi(value);
        if (strcmp(line, "drain_ms") == 0) s->boot.drain_ms = (uint32_t)atoi(value);
        if (strcmp(line, "refuse") == 0) snprintf(s->refuse, sizeof s->refuse, "%.250s", value);
        if (strcmp(line, "die_after_ms") == 0) s->die_after_ms = strtoul(value, NULL, 10);
        if (strcmp(line, "publish_every_ms") == 0) s->publish_every_ms = strtoul(value, NULL, 10);
        if (strcmp(line, "exit") == 0) s->exit_code = atoi(value);
    }
    if (f != NULL) fclose(f);
}

static bool send_snapshot(int channel, struct channel_msg *m, uint64_t serial, int tick_fd)
{
    struct snap_builder *b = snap_builder_new();
    const char *why;
    int fds[3] = {-1, -1, tick_fd};

    snap_builder_head(b)->serial = serial;
    bool ok =
        snap_builder_finish(b, &fds[0], &fds[1], &why) && channel_send(channel, m, fds, m->type == CHAN_BOOT ? 3 : 2);
    snap_builder_free(&b);
    close(fds[0]);
    close(fds[1]);
    return ok;
}

int main(int argc, char **argv)
{
    static struct channel_msg m;
    struct script s;
    struct segment live_seg, tick_seg;
    const char *config = NULL, *why = "";
    int channel = -1, live_fd = -1, fds[CHANNEL_FDS], got;
    unsigned n;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--config") == 0) config = argv[i + 1];
        if (strcmp(argv[i], "--channel") == 0) channel = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--live") == 0) live_fd = atoi(argv[i + 1]);
    }
    script_read(config, &s);
    if (s.exit_code >= 0) return s.exit_code;
    if (s.refuse[0] != '\0') {
        m = (struct channel_msg){.type = CHAN_REFUSED, .text_n = (uint32_t)strlen(s.refuse)};
        memcpy(m.u.text, s.refuse, m.text_n);
        channel_send(channel, &m, NULL, 0);
        return 1;
    }
    int tick_fd = tick_create(1, &tick_seg, &why);
    if (tick_fd < 0 || !live_map(live_fd, &live_seg, &why)) {
        fprintf(stderr, "fake control plane: %s\n", why);
        return 1;
    }
    m = (struct channel_msg){.type = CHAN_BOOT, .u.boot = s.boot};
    if (!send_snapshot(channel, &m, 1, tick_fd)) return 1;
    struct live *live = live_seg.base;
    uint64_t began = clock_mono_ms(), published = began;
    for (uint64_t serial = 2;;) {
        struct pollfd p = {.fd = channel, .events = POLLIN};
        poll(&p, 1, 20);
        uint64_t now = clock_mono_ms();
        atomic_store(&live->controlplane.heartbeat_mono_ms, now);
        if (s.die_after_ms != 0 && now - began > s.die_after_ms) abort();
        if (s.publish_every_ms != 0 && now - published >= s.publish_every_ms) {
            m = (struct channel_msg){.type = CHAN_PUBLISH, .serial = serial++};
            if (!send_snapshot(channel, &m, serial, -1)) return 1;
            published = now;
        }
        while ((got = channel_recv(channel, &m, fds, &n)) > 0) {
            printf("{\"control\":\"%s\",\"number\":%u}\n",
                   m.type == CHAN_WORKER_DIED ? "worker_died"
                   : m.type == CHAN_DRAIN     ? "drain"
                   : m.type == CHAN_STOP      ? "stop"
                   : m.type == CHAN_RELOAD    ? "reload"
                                              : "?",
                   m.number);
            fflush(stdout);
            if (m.type == CHAN_STOP) return 0;
        }
        if (got < 0) return 1;
    }
}
