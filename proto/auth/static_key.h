/* static_key.h — signers that only show a key: nothing of the request goes into it
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   none but the caller's buf and arena.
 * Fails:    WEIR_UP_AUTH for a key that cannot stand in a header.
 * Not here: where the key comes from; keys in a query (they end up in logs, so none of ours is sent there). */
#pragma once

#include "proto/auth/signer.h"

/* "Authorization: Bearer KEY": OpenAI and its look-alikes, Google and Entra tokens, Bedrock API keys. A billed project goes out as
 * x-goog-user-project. */
enum weir_err static_key_bearer(const struct sign_request *r, const struct credential *c, struct arena *a,
                                struct buf *head);
enum weir_err static_key_x_api_key(const struct sign_request *r, const struct credential *c, struct arena *a,
                                   struct buf *head); /* Anthropic */
enum weir_err static_key_x_goog_api_key(const struct sign_request *r, const struct credential *c, struct arena *a,
                                        struct buf *head); /* Gemini */
enum weir_err static_key_api_key(const struct sign_request *r, const struct credential *c, struct arena *a,
                                 struct buf *head); /* Azure OpenAI */
