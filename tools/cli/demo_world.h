/* demo_world.h — what the demo plays in: a temporary directory, two fake providers, and a weir of its own
 * Owns:     the directory, both processes and the note by which other verbs find the demo; world_close() takes all of it away.
 * Process:  weir (CLI); blocking, every wait bounded.
 * Memory:   none beyond the struct.
 * Fails:    functions print what went wrong and return false. If the demo is killed its processes end with it; the directory stays.
 * Not here: what is played (cmd_demo.c). */
#pragma once

#include "proto/base/str.h"

#include <sys/types.h>

struct demo_world {
    char dir[128]; /* empty: none yet */
    char state[160], config[160], log[160], fakes_log[160];
    char endpoint[40], admin[40], fakes[40]; /* fakes: for control requests */
    unsigned port, admin_port, wanted_port;
    unsigned config_lines;
    pid_t fake, weir;
};

struct demo_pace {
    unsigned head_ms; /* before each answer of a fake */
    unsigned open_ms; /* rest of a target whose circuit is open */
};

bool world_open(struct demo_world *w, const struct demo_pace *pace);
bool world_is_alive(struct demo_world *w); /* false with a message when one of the two has ended */
void world_close(struct demo_world *w);
