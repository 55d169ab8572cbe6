/* key_check.h — whether a provider takes a key, learnt by a call that costs nothing: its list of models
 * Owns:     nothing.
 * Process:  control plane, and the doctor's own.
 * Memory:   the arena given in.
 * Fails:    key_check_start(): NULL and why, where there is nothing free to ask or the key cannot be shown.
 * Not here: connecting alone (prober.h), how a finding reads (findings.h). */
#pragma once

#include "controlplane/fetch.h"
#include "controlplane/findings.h"
#include "proto/auth/signer.h"
#include "proto/base/arena.h"

struct config_provider;

/* What is asked; copied before it returns, but for the trust, which is the caller's to free behind the answer. */
struct fetch *key_check_start(uv_loop_t *loop, const struct config_provider *p, enum signer_kind signer,
                              const struct credential *c, struct arena *a, struct tls_trust **ret_trust,
                              fetch_done done, void *context, const char **ret_why);

/* Of whom the answer is; views that live as long as the verdict is needed. */
struct key_asked {
    unsigned type;
    struct str base_url;
    bool has_key, fetches_token;
};

struct key_verdict {
    enum finding_state state;
    struct str text;  /* "accepted", "refused: 401 invalid_api_key" */
    const char *hint; /* NULL: none */
};

/* a->err is WEIR_OK. */
struct key_verdict key_check_judge(const struct key_asked *asked, const struct fetch_answer *a, struct arena *arena);
