/* vectors.h — embeddings of Gemini, Cohere and Ollama, and Cohere's rerank
 * Owns:     nothing.
 * Process:  weir-fake; pure.
 * Memory:   the call's arena.
 * Fails:    struct refusal, in the provider's words: unknown fields, missing ones, a model that is not the path's.
 * Not here: OpenAI's embeddings (plain.c). Source: the vendors' API references. */
#pragma once

#include "tools/fake/plain.h"

/* Whose path it is; NULL: nobody's. */
const struct fake_dialect *vectors_dialect(struct str path);
void vectors_serve(struct plain_call *call, struct refusal *ret_refusal, struct answer *out);
