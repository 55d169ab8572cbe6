/* openai_chat_messages.h — between the two files that read a chat completions request
 * Owns:     nothing.
 * Process:  any; sans-I/O.
 * Memory:   the arena given in.
 * Fails:    WEIR_BAD_REQUEST with a text that names the place.
 * Not here: everything else. */
#pragma once

#include "proto/dialect/chat.h"

#include <yyjson.h>

struct openai_reading {
    struct arena *arena;
    struct chat *chat;
    struct str *ret_why;
    struct str member; /* the top level's, under way */
    struct tool **tools_end;
    struct message **messages_end, *last;
    struct str old_call;  /* id given to the last call of the first form (`function_call`) */
    bool last_is_results; /* the last message was made of `tool` messages: the next one of them joins it */
};

enum weir_err openai_reading_messages(struct openai_reading *r, yyjson_val *v);
void openai_reading_demand(struct openai_reading *r, struct str what);
/* cache_control (as gateways take it) or prompt_cache_breakpoint of a part or tool */
enum cache_mark openai_reading_cache(yyjson_val *holder);
