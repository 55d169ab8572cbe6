/* verbs.h — every verb of the weir command
 * Owns:     the table in main.c; a verb is a row there and a function here.
 * Process:  weir (CLI).
 * Memory:   -
 * Fails:    a verb returns the exit code of ux: 0 ok, 1 failed, 2 usage, 3 not allowed, 4 not found, 5 conflict, 6 nobody answers.
 * Not here: how an answer is fetched (link.h) or printed (print.h). */
#pragma once

#include <stddef.h>

/* argv holds what stands behind the verb. */
int cmd_run(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_usage(int argc, char **argv);
int cmd_tail(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_providers(int argc, char **argv);
int cmd_routes(int argc, char **argv);
int cmd_weight(int argc, char **argv);
int cmd_drain(int argc, char **argv);
int cmd_undrain(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_call(int argc, char **argv);
int cmd_env(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_help(int argc, char **argv);

/* The directory of the running program: its siblings stand there. false: unknown. */
int program_path(const char *sibling, char *out, size_t out_bytes);
