/* identity.h — the token endpoints of clouds, played by the fakes, and the check of what was issued
 * Owns:     the credentials of this process: what was issued, to whom it is shown, until when it holds.
 * Process:  weir-fake; one loop.
 * Memory:   heap; the last IDENTITY_KEPT credentials.
 * Fails:    in the issuer's own words and status.
 * Not here: dialects. How the signature of AWS is computed is proto/auth/sigv4.h, which is tested against AWS's own vectors.
 *
 *   Entra      POST /TENANT/oauth2/v2.0/token    client_secret, or client_assertion (workload identity)
 *              GET  /metadata/identity/oauth2/token             managed identity
 *   Google     POST /google/token                               service account (JWT), refresh_token
 *              GET  /computeMetadata/v1/instance/service-accounts/A/token
 *   AWS        POST /   Action=AssumeRoleWithWebIdentity        STS
 *              GET  /container/credentials                      container endpoint
 *              PUT  /latest/api/token, GET /latest/meta-data/iam/security-credentials/[ROLE]    IMDSv2 */
#pragma once

#include "tools/fake/conn.h"

enum { IDENTITY_KEPT = 4096 };

/* How one fake is guarded (--guard): any key, a credential of this process shown as a bearer token, or signed with it. */
enum identity_guard { GUARD_NONE, GUARD_BEARER, GUARD_SIGV4 };

/* true: the request was for a token endpoint, and c->answer is filled. */
bool identity_serve(struct conn *c, const struct http1_head *head, struct str body);
/* false: refused; what and with which status is in ret_refusal, and counted. */
bool identity_check(struct provider *p, const struct http1_head *head, struct str body, struct arena *a,
                    struct refusal *ret_refusal);
