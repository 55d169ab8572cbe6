/* upstream_error.h — what a provider's failure means: one pattern table for all of them, because look-alikes mix the shapes
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   the arena given in.
 * Fails:    never; what is not known keeps the class of its status.
 * Not here: rendering for clients (client_error.h), what the journey does next (base/err.h).
 * Sources: OpenAI error codes guide, Anthropic API errors page, Azure OpenAI troubleshooting page, OpenRouter errors page,
 *          vLLM, TGI, llama.cpp, DeepSeek, Groq and Mistral error bodies as recorded. */
#pragma once

#include "proto/dialect/dialect.h"

#include <yyjson.h>

/* The answer with status >= 400 and any body. */
void upstream_error_read(uint16_t status, const struct answer_headers *h, struct str body, struct arena *a,
                         struct upstream_error *ret_error);

/* An error object inside a 200: a tree of {"error": …}, {"type":"error","error":…} or the inner object itself. */
/* Amazon's exception frames: the name is the kind, the JSON has a message and maybe what a model's own failure was. */
void upstream_error_of_exception(struct str name, struct str json, struct arena *a, struct upstream_error *ret_error);
void upstream_error_in_stream(yyjson_val *root, struct arena *a, struct upstream_error *ret_error);

/* Retry-After in all spellings; -1: none. Clamped to [0, 1 h]. text: the message, which may say "try again in 1.2s". */
int64_t retry_duration_ms(struct str duration); /* "37s", "0.5s", "1m3s": clamped alike; -1: none */
int64_t retry_hint_ms(const struct answer_headers *h, struct str text);
