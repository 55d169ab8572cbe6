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

#define MARK                    "weir-foreign"
#define MARK_OPENAI             MARK ":openai"
/* Gemini's signatures travel behind these through other dialects: of a thought, or of the call that comes next. */
/* OpenAI's encrypted reasoning: the item's id, a colon, what it encrypted. */
#define MARK_RESPONSES          MARK ":responses:"
#define MARK_GEMINI             MARK ":gemini:"
#define MARK_GEMINI_NEXT        MARK ":gemini-next:"
/* Bedrock's signatures, of reasoning text and of reasoning that is hidden, through other dialects. */
#define MARK_CONVERSE           MARK ":converse:"
#define MARK_CONVERSE_REDACTED  MARK ":converse-redacted:"
/* Inside a Gemini client's thoughtSignature, which is base64: all marks there begin alike. */
#define MARK_BASE64             "d2Vpci1mb3JlaWdu"
/* Anthropic's, inside a Gemini or a Converse client's. */
#define MARK_ANTHROPIC          MARK ":anthropic:"
#define MARK_ANTHROPIC_REDACTED MARK ":anthropic-redacted:"
/* What Gemini takes for the signature of a call that it did not make; only on the first call of a step. */
#define GEMINI_UNSIGNED         "skip_thought_signature_validator"

/* The client's messages without what another dialect's provider thought; all: without any reasoning, and without what refers to it
 * (ids of stored items). false: nothing of that kind is there, out is untouched or to be thrown away.
 * *ret_what: the names of what was taken out. */
bool mark_strip(enum dialect_id dialect, bool all, struct str messages, struct arena *a, struct buf *out,
                const char **ret_what);
