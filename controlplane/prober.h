/* prober.h — is a provider there? A TCP connection and a TLS handshake, which cost nothing
 * Owns:     a verdict for each provider by stable id, and the probes under way.
 * Process:  control plane, loop thread; its own sockets, so that it measures the provider and not the workers' pools.
 * Memory:   one heap block per probe, freed in the last close callback.
 * Fails:    one failed probe is a suspicion, PROBER_DOWN_AFTER in a row are a verdict; one success ends it.
 * Not here: paid calls (never), circuits (live: what traffic sees wins over a probe). */
#pragma once

#include "controlplane/resolver.h"
#include "proto/base/err.h"

enum { PROBER_PERIOD_MS = 10000, PROBER_DEADLINE_MS = 5000, PROBER_DOWN_AFTER = 2 };

struct probe_verdict {
    uint8_t health;    /* enum tick_health */
    enum weir_err err; /* of the last probe; WEIR_OK */
    char why[96];
    uint32_t connect_ms;      /* TCP and TLS together, of the last good probe */
    uint64_t checked_wall_ms; /* 0: never */
};

struct prober;
struct prober *prober_new(uv_loop_t *loop, const struct resolver *resolver,
                          void (*on_verdict)(void *context, uint16_t provider_id, const struct probe_verdict *v),
                          void *context);
void prober_configure(struct prober *p, struct snap *sn); /* keeps a reference */
/* Starts what is due; periods are spread by a fixed jitter of the id. Call once a second. */
void prober_tick(struct prober *p, uint64_t now_ms);
void prober_now(struct prober *p, uint16_t provider_id); /* `weir providers probe` */
const struct probe_verdict *prober_verdict(const struct prober *p, uint16_t provider_id);
void prober_free(struct prober **p);
