/* token.h — what a token endpoint answered
 * Owns:     nothing; texts are in the arena.
 * Process:  any; pure: the time is passed in.
 * Memory:   the arena.
 * Fails:    a reader returns false and fills `why`, and `again`: whether the same request may work later.
 * Not here: asking (controlplane/credentials.c); what AWS answers (aws.h).
 * Sources: RFC 6749 §5; Microsoft identity platform and Azure Instance Metadata Service, token responses; Google metadata server. */
#pragma once

#include "proto/base/arena.h"

enum {
    TOKEN_DEFAULT_LIFE_S = 300,
    TOKEN_MAX_LIFE_S = 7 * 86400
}; /* an answer that names no life; a life that is not believed */

struct token {
    struct str text;
    uint64_t life_s;    /* from now */
    uint64_t refresh_s; /* from now: when its issuer wants it renewed; 0: not said */
    struct str why;     /* of a failure, for people; no secret */
    bool again;
};

/* access_token, expires_in (number or string) or expires_on (seconds, or a date), refresh_in; error, error_description. */
bool token_read(uint16_t status, struct str body, uint64_t now_s, struct arena *a, struct token *ret);
/* The same with other names: accessToken and expireTime (RFC 3339), of Google's generateAccessToken. */
bool token_read_impersonated(uint16_t status, struct str body, uint64_t now_s, struct arena *a, struct token *ret);

/* 408, 425, 429 and 5xx: the endpoint may do better later. */
bool token_is_passing_status(uint16_t status);
