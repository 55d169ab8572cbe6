/* kept.h — the last accepted configuration as the store keeps it
 * Owns:     nothing; a blob out, text back.
 * Process:  control plane; a restarted one reads what the one before it wrote.
 * Memory:   the caller's bufs, wiped by who holds them.
 * Fails:    kept_read() on a blob that is broken, or sealed under another supervisor.
 * Not here: storing it (controlplane/store), loading it (load.c).
 *
 * A text without secrets is kept as it is. One with a provider key typed into it is sealed (AES-256-GCM) with a secret that lives only
 * in the memory of the running supervisor: no key ever lies in the ledger's files, and a control plane that restarts still has its
 * configuration. After a new start such a text is gone, and the file has to be right. */
#pragma once

#include "controlplane/config/config.h"

enum { KEPT_SECRET_BYTES = 32 };

void kept_write(const struct config *c, const uint8_t secret[KEPT_SECRET_BYTES], struct buf *out);
bool kept_read(struct str blob, const uint8_t secret[KEPT_SECRET_BYTES], struct buf *ret_text, struct buf *ret_source);
