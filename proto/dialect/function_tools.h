/* function_tools.h — the list of function tools in the form that OpenAI gave it and others took over
 * Owns:     nothing.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    function_tools_read() with a text: a tool without a name, too many of them.
 * Not here: OpenAI's own list, which holds other kinds of tools too (openai_chat_read.c), tool choice. */
#pragma once

#include "proto/dialect/chat.h"

#include <yyjson.h>

/* [{"type":"function","function":{"name","description","parameters"}}] into chat->tools. */
enum weir_err function_tools_read(yyjson_val *tools, struct chat *chat, struct arena *a, struct str *ret_why);
/* ,"tools":[…] of those that may be called; renames what does not fit. false: there are none, nothing was written. */
bool function_tools_write(struct chat *chat, struct buf *out, struct loss *loss, struct arena *a);
