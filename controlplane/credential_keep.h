/* credential_keep.h — the credentials of the configuration's providers, where workers find them
 * Owns:     core.credentials: what is configured of it, and the rows of tick.token.
 * Process:  control plane, loop thread.
 * Memory:   credentials.h's.
 * Fails:    a provider without a credential is told once, in the log, and by credential_keep_why().
 * Not here: getting one (credentials.h), showing one (dataplane/secret.c). */
#pragma once

#include "controlplane/credentials.h"

struct config_provider;
struct core;
struct snap_provider;

/* What a provider's credential is fetched with; views of the configuration. Only where p->fetches_token. */
struct credential_conf credential_keep_conf(const struct config_provider *p, uint16_t provider_id);

void credential_keep_start(struct core *c);     /* before the first configuration is taken */
void credential_keep_configure(struct core *c); /* a configuration was taken */
/* Once a second: tokens that providers refused are fetched anew. */
void credential_keep_tick(struct core *c);
bool credential_keep_is_settled(const struct core *c); /* no first refresh under way */
/* false: it fetches none. */
bool credential_keep_status(const struct core *c, uint16_t provider_id, struct credential_status *ret_status);
/* No key or token of it may be shown now: none holds, or the provider refused each and it rests because of that. */
bool credential_keep_is_refused(const struct core *c, const struct snap_provider *p);
void credential_keep_stop(struct core *c);
