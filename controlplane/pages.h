/* pages.h — what the admin HTTP port says: /startupz /livez /readyz /metrics
 * Owns:     nothing.
 * Process:  control plane, loop thread.
 * Memory:   the answer's buf.
 * Fails:    never. Readiness is never a function of providers: their bad day must not take a pod out of service.
 * Not here: HTTP (http_server.h), the ledger's counters (metrics.h). */
#pragma once

#include "controlplane/http_server.h"

struct core;

void pages_get(void *core, struct str path, struct http_answer *answer);
