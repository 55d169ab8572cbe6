/* invoke.h — Claude behind Bedrock's InvokeModel: the same answers, told in Amazon's frames and with Amazon's errors
 * Owns:     nothing.
 * Process:  weir-fake; pure.
 * Memory:   the answer's.
 * Fails:    never.
 * Not here: what is answered (anthropic_*.c), signatures (identity.c). */
#pragma once

#include "tools/fake/answer.h"

bool invoke_is_path(struct str path); /* /model/ID/invoke, /model/ID/invoke-with-response-stream */
bool invoke_is_streamed(struct str path);
struct str invoke_model(struct str path);       /* ID, still percent-encoded */
const char *invoke_error_name(unsigned status); /* Amazon's usual exception of that status */
/* An answer in Anthropic's form becomes Bedrock's. error_name: of a refusal, NULL: the usual one of its status. */
void invoke_wrap(struct answer *a, const char *error_name);
