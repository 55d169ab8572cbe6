/* aws.h — what AWS's credential endpoints are asked, and what they answer
 * Owns:     nothing; texts are in the arena.
 * Process:  any; pure: the time is passed in.
 * Memory:   the arena; bodies go to the caller's buf.
 * Fails:    a reader returns false and fills `why` and `again`, as token.h.
 * Not here: signing (sigv4.h), the order in which sources are tried (controlplane/credentials.c).
 * Sources: AWS STS API reference, AssumeRoleWithWebIdentity; Amazon ECS, "Task IAM role"; Amazon EC2, "Retrieve security
 * credentials from instance metadata". */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"

struct aws_keys {
    struct str access_key_id, secret, session_token;
    uint64_t
        expires_s; /* since 1970; 0: not said. May lie in the past: the instance metadata service hands out what it has */
    struct str why; /* of a failure, for people */
    bool again;
};

#define AWS_IMDS_URL      STR("http://169.254.169.254")
#define AWS_CONTAINER_URL STR("http://169.254.170.2")

/* The body of AssumeRoleWithWebIdentity, application/x-www-form-urlencoded: an unsigned request. */
void aws_web_identity_body(struct str role_arn, struct str session_name, struct str token, struct buf *out);
/* The body of AssumeRole: a signed request. */
void aws_assume_role_body(struct str role_arn, struct str session_name, struct buf *out);
/* 2 to 64 of letters, digits and _+=,.@- */
bool aws_is_session_name(struct str name);

/* The XML of STS. */
bool aws_read_sts(uint16_t status, struct str body, struct arena *a, struct aws_keys *ret);
/* The JSON of the container endpoint and of the instance metadata service. */
bool aws_read_json(uint16_t status, struct str body, struct arena *a, struct aws_keys *ret);

/* Whether AWS_CONTAINER_CREDENTIALS_FULL_URI may go there in plain HTTP: loopback and the addresses of ECS and EKS. */
bool aws_is_container_address(int family, const uint8_t ip[16]);
