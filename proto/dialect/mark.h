/* mark.h — how reasoning that crossed from one dialect into another is told from a provider's own
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   the buf given in.
 * Fails:    never.
 * Not here: the translation itself.
 *
 * A signature goes back only to the provider that made it. What an Anthropic client gets as thinking from an OpenAI
 * look-alike carries this mark as its signature; what an OpenAI client gets in reasoning_details from Anthropic carries it as id.
 * When such a conversation later reaches a provider of the client's own dialect, marked pieces are taken out of its bytes. */
#pragma once

#include "proto/base/buf.h"
#include "proto/dialect/dialect.h"

#define MARK        "weir-foreign"
#define MARK_OPENAI MARK ":openai"

/* The client's messages without what another dialect's provider thought. false: nothing of that kind is there, out is untouched. */
bool mark_strip(enum dialect_id dialect, struct str messages, struct arena *a, struct buf *out);
