/* publish.h — an accepted configuration becomes the segments that workers read; the only caller of the snapshot builder
 * Owns:     nothing; the two descriptors are the caller's.
 * Process:  control plane.
 * Memory:   the builder's, freed before it returns.
 * Fails:    false with a reason; nothing has been published then.
 * Not here: sending the descriptors (shm/channel), weights and addresses (controlplane/tick). */
#pragma once

#include "controlplane/config/plan.h"
#include "shm/channel.h"

bool publish_snapshot(const struct plan *p, uint64_t serial, uint64_t accepted_wall_ns, int *ret_snapshot_fd,
                      int *ret_secrets_fd, const char **ret_why);

/* What the supervisor must know before it can listen. admin_http is what it prints; "" for none. */
void publish_boot(const struct config *c, struct boot *ret_boot);
