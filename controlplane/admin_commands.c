#include "controlplane/admin_commands.h"

#include "controlplane/admin_history.h"
#include "controlplane/admin_see.h"
#include "controlplane/core.h"
#include "controlplane/reload.h"
#include "controlplane/store.h"
#include "controlplane/ticker.h"
#include "proto/base/clock.h"
#include "shm/channel.h"

/* ---- commands that change something; each answers the lines that the CLI prints ---- */

static void answer_lines(struct admin_call *call, struct str text)
{
    size_t n = 0;
    for (struct str rest = text; rest.n > 0; n++) (void)str_split(&rest, '\n');
    msgpack_packer *p = admin_call_begin(call, false);
    msgpack_pack_map(p, 1);
    admin_pack_str(p, STR("lines"));
    msgpack_pack_array(p, n);
    while (text.n > 0) admin_pack_str(p, str_split(&text, '\n'));
    admin_call_end(call);
}

/* Takes an override into force: published at once, kept in the store. */
static void take_overrides(struct core *c)
{
    struct buf blob = {0};
    overrides_save(c->overrides, &blob);
    store_put(c->store, "config.overrides", buf_view(&blob));
    buf_fini(&blob);
    ticker_publish(c);
}

static void finish_change(struct core *c, struct admin_call *call, bool ok, struct buf *said)
{
    if (ok) {
        take_overrides(c);
        answer_lines(call, buf_view(said));
    } else {
        admin_call_fail(call, 4, STR("no such route or target"), "weir routes lists them");
    }
    buf_fini(said);
}

static void do_weight(struct core *c, struct admin_call *call)
{
    struct str route = admin_get_str(call->args, "route"), target = admin_get_str(call->args, "target");
    int64_t weight = admin_get_i64(call->args, "weight", -1);
    struct buf said = {0};
    if (weight < 0 || weight > 1000000) {
        admin_call_fail(call, 2, STR("a weight is a number from 0 to 1000000"), NULL);
        return;
    }
    buf_addf(&said, "%.*s: weight of %.*s is %lld now (until the file changes it)\n", STR_FMT(route), STR_FMT(target),
             (long long)weight);
    finish_change(c, call, overrides_set_weight(c->overrides, route, target, (uint32_t)weight), &said);
}

static void do_drain(struct core *c, struct admin_call *call)
{
    struct str target = admin_get_str(call->args, "target");
    struct buf said = {0};
    buf_addf(&said, "%.*s gets no new calls; open ones end by themselves. Back with: weir undrain %.*s\n",
             STR_FMT(target), STR_FMT(target));
    finish_change(c, call, overrides_drain(c->overrides, target, true), &said);
}

static void do_undrain(struct core *c, struct admin_call *call)
{
    struct str target = admin_get_str(call->args, "target");
    struct buf said = {0};
    buf_addf(&said, "%.*s gets calls again\n", STR_FMT(target));
    finish_change(c, call, overrides_drain(c->overrides, target, false), &said);
}

static void do_reload(struct core *c, struct admin_call *call)
{
    struct buf lines = {0};
    if (reload_again(c, &lines)) {
        if (buf_len(&lines) == 0) buf_addz(&lines, "nothing has changed\n");
        answer_lines(call, buf_view(&lines));
    } else {
        struct str text = str_trim(buf_view(&lines));
        while (text.n > 0 && text.p[text.n - 1] == '\n') text.n--;
        admin_call_fail(call, 1, text, "the configuration in force has not changed");
    }
    buf_fini(&lines);
}

static void do_stop(struct core *c, struct admin_call *call)
{
    struct channel_msg m = {.type = CHAN_DRAIN};
    if (channel_send(c->channel_fd, &m, NULL, 0))
        answer_lines(call, STR("finishing what is open, then ending\n"));
    else
        admin_call_fail(call, 1, STR("the supervisor does not listen"), "kill its pid: weir status shows it");
}

static const struct {
    const char *name;
    void (*run)(struct core *c, struct admin_call *call);
} commands[] = {
    {"config", see_config}, {"drain", do_drain},          {"explain", history_explain},
    {"probe", see_probe},   {"providers", see_providers}, {"reload", do_reload},
    {"routes", see_routes}, {"status", see_status},       {"stop", do_stop},
    {"tail", history_tail}, {"undrain", do_undrain},      {"usage", history_usage},
    {"weight", do_weight},
};

void admin_commands_call(void *core, struct admin_call *call)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (!str_is(call->cmd, commands[i].name)) continue;
        commands[i].run(core, call);
        return;
    }
    admin_call_fail(call, 2, STR("no such command"), "the weir command and the running weir are of different versions");
}
