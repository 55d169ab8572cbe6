/* environment.h — provider keys come in by the environment; here they leave /proc
 * Owns:     a copy of the whole environment, for the control plane alone, on pages that no core dump has.
 * Process:  supervisor, once, before anything is started.
 * Memory:   mapped once, never freed.
 * Fails:    never.
 * Not here: the control plane's own wiping (controlplane/config). */
#pragma once

/* Copies, then overwrites every value in place: /proc/PID/environ and later readers see empty ones. */
char *const *environment_take(void);

/* Of a taken environment: what a worker needs (PATH, TZ, certificate bundle, sanitizer options) and nothing that can be a key. */
char *const *environment_for_worker(char *const *taken);

/* NULL: not set. Valid for ever. */
const char *environment_get(char *const *taken, const char *name);
