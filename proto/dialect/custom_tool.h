/* custom_tool.h — tools whose input is free text (OpenAI's `custom`), for providers that know functions alone
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   the arena given in.
 * Fails:    never: a call whose arguments are not of the asked form has them as they are for its input.
 * Not here: how OpenAI writes such tools (openai_chat*, responses*).
 *
 * Such a tool is a function with one text argument, "input". Readers fill both forms (struct part: text and arguments), so that a
 * writer that knows no custom tools has nothing to do; what a provider answers to the function is turned back here. */
#pragma once

#include "proto/dialect/chat.h"

#include <yyjson.h>

/* format: what holds `syntax` and `definition` of a grammar; NULL, or without these: plain text. */
void custom_tool_read(struct chat *chat, struct tool *t, yyjson_val *format, struct arena *a);
void custom_call_read(struct part *p, struct str input, struct arena *a);
void custom_tools_lose_format(const struct chat *chat, struct loss *loss);
bool custom_tool_is(const struct chat *chat, struct str name); /* name: the client's */

/* A whole answer: calls of custom tools that came as functions. */
void custom_calls_restore(const struct chat *chat, struct answer *answer, struct arena *a);

/* A stream: arguments are held until they are whole. *open: the calls under way, NULL at first. */
struct custom_call;
/* true: d belongs to such a call. *ret_first and *ret_second: what to tell instead; kind DELTA_ERROR: nothing. */
bool custom_calls_take(struct custom_call **open, const struct chat *chat, const struct delta *d, struct arena *a,
                       struct delta *ret_first, struct delta *ret_second);
