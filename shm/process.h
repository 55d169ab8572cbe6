/* process.h — what every long-running process of weir does to itself first
 * Owns:     nothing.
 * Process:  supervisor, workers, control plane: each calls process_harden() at the top of its main(); exec has undone the parent's.
 * Memory:   static.
 * Fails:    never; a kernel without a feature goes without.
 * Not here: wiping secrets (their owner does that), starting processes (dataplane/child). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* No core dump, not readable through /proc by the same user, no new privileges; SIGPIPE ignored; a crash writes one line (signal, offset
 * of the program counter, version) to standard error. name: of the process, at most 15 bytes; NULL: keep. */
void process_harden(const char *name);

/* One descriptor per connection on both sides: takes what the administrator allows. Inherited by children. */
void process_allow_descriptors(void);

/* Between fork and exec, and again after exec: this process ends with its parent. false: the parent is gone already. */
bool process_die_with(pid_t parent);

/* Closes every descriptor above 2 that is not one of the n given; returns how many there were (0 unless somebody leaked one). */
unsigned process_close_others(const int *keep, unsigned n);
