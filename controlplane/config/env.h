/* env.h — ${VAR} in values, and the environment the process was started with
 * Owns:     env_take()'s copy of the environment, for the life of the process.
 * Process:  control plane; env_take() before any thread.
 * Memory:   results are allocated from the arena given in.
 * Fails:    env_substitute() with a reason: a variable that is not set, a form that is not known.
 * Not here: reading files named by *_file keys (check.c). */
#pragma once

#include "controlplane/config/config.h"

/* Replaces ${NAME}, ${NAME:-default}, ${NAME:?message} and $$. Applied to values after parsing, so a value cannot inject YAML. */
bool env_substitute(struct str raw, config_env_fn *env, struct arena *a, struct str *ret_text, struct buf *why);
/* The name in a value that is nothing but "${NAME}" or "${NAME:?…}"; empty otherwise. */
struct str env_reference(struct str raw);
/* Whether part of the value, beside the ${VAR}s, stands in the file itself: literal text or a default. */
bool env_is_typed_in(struct str raw);

/* Copies the environment and overwrites the original in place, so that /proc/PID/environ shows no key. env_get() reads the copy;
 * without env_take() it reads the process's environment. */
void env_take(void);
const char *env_get(const char *name);
