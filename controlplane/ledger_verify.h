/* ledger_verify.h — is every page and record of a ledger sound? asked of a process that may die over the answer
 * Owns:     the child process while it runs; the renamed directory of a ledger that is not sound.
 * Process:  control plane (asks, blocking, never on the loop thread once the loop runs) and `weir-controlplane --verify-store DIR` (answers).
 *           The file must not be open elsewhere.
 * Memory:   the child's.
 * Fails:    a crash, a bus error, an endless loop of the child are answers: the ledger is not sound.
 * Not here: repairing; what is set aside is kept for people. */
#pragma once

#include <stdbool.h>

/* The child: limits itself (memory, no core, no file written), walks all, prints one line. Exit code: 0 sound, 1 not. */
int ledger_verify_main(const char *dir);

enum ledger_soundness { LEDGER_SOUND, LEDGER_NOT_SOUND, LEDGER_NOT_ASKED /* no process could be started */ };

/* Runs `exe --verify-store dir` (exe NULL: this program) and waits at most 11 s. A directory that does not exist is sound. */
enum ledger_soundness ledger_verify(const char *exe, const char *dir, char *ret_why, unsigned why_bytes);

/* Renames dir to "dir.corrupt-<seconds>"; *ret_name is the new name. */
bool ledger_quarantine(const char *dir, char *ret_name, unsigned name_bytes);
