#include "dataplane/launch.h"

#include "shm/channel.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct line { /* arguments, and the descriptors that some of them name */
    char text[24][16];
    char *argument[48];
    unsigned texts, n;
    int fds[16];
    unsigned fds_n;
};

static void line_add(struct line *l, const char *text)
{
    l->argument[l->n++] = (char *)(uintptr_t)text; /* execve takes them so and changes none */
}

static void line_number(struct line *l, const char *option, unsigned number)
{
    snprintf(l->text[l->texts], sizeof l->text[0], "%u", number);
    line_add(l, option);
    line_add(l, l->text[l->texts++]);
}

static void line_fd(struct line *l, const char *option, int fd)
{
    line_number(l, option, (unsigned)fd);
    l->fds[l->fds_n++] = fd;
}

static void line_option(struct line *l, const char *option, const char *value)
{
    if (value == NULL) return;
    line_add(l, option);
    line_add(l, value);
}

bool launch_find(struct launch *l)
{
    ssize_t n = readlink("/proc/self/exe", l->program_dir, sizeof l->program_dir - 1);
    char *slash;

    if (n <= 0) return false;
    l->program_dir[n] = '\0';
    if ((slash = strrchr(l->program_dir, '/')) == NULL) return false;
    *slash = '\0';
    return true;
}

bool launch_control(const struct launch *l, struct child *c, uint64_t now_ms)
{
    char program[PATH_MAX + 32];
    struct line line = {0};
    int pair[2];

    if (!channel_pair(pair)) return false;
    snprintf(program, sizeof program, "%s/weir-controlplane", l->program_dir);
    line_add(&line, "weir-controlplane");
    line_option(&line, "--state", l->state);
    line_option(&line, "--config", l->config);
    line_option(&line, "--workers", l->workers);
    line_fd(&line, "--channel", pair[1]);
    line_fd(&line, "--live", l->live_fd);
    const struct child_exec x = {program, line.argument, l->environment, line.fds, line.fds_n, false};
    return child_start(c, &x, pair[0], pair[1], now_ms);
}

bool launch_worker(const struct launch *l, struct child *c, const struct binds *b, int journal_fd, uint64_t now_ms)
{
    struct line line = {0};
    int pair[2];

    if (!channel_pair(pair)) return false;
    line_add(&line, "weir-dataplane");
    line_number(&line, "--worker", c->number);
    for (unsigned i = 0; i < b->n; i++)
        line_fd(&line, b->bind[i].is_unix ? "--listen-unix" : "--listen", b->bind[i].fd[c->number]);
    line_fd(&line, "--live", l->live_fd);
    line_fd(&line, "--journal", journal_fd);
    line_fd(&line, "--snapshot", l->snapshot_fd);
    line_fd(&line, "--secrets", l->secrets_fd);
    line_fd(&line, "--tick", l->tick_fd);
    line_fd(&line, "--channel", pair[1]);
    const struct child_exec x = {"/proc/self/exe", line.argument, l->worker_environment, line.fds, line.fds_n, true};
    return child_start(c, &x, pair[0], pair[1], now_ms);
}
