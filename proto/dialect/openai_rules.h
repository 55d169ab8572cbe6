/* openai_rules.h — what OpenAI's two APIs demand of a request alike
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   the arena given in.
 * Fails:    never.
 * Not here: where the fields stand (openai_chat_write.c, responses_write.c), what a model takes (model_traits.h). */
#pragma once

#include "proto/dialect/chat.h"
#include "proto/dialect/model_traits.h"

struct turns;

/* Strict schemas name every property as required, close every object and leave some keywords out: true where this one does. */
bool openai_schema_is_strict(struct str schema, struct arena *a);
/* `strict` as it may be sent: 1, 0, or -1 for unsaid. Clients of OpenAI's know the rules and are taken by their word; for others a
 * schema that the rules refuse goes to OpenAI's own models without it, named as lost. */
int8_t openai_strictness(const struct chat *chat, const struct openai_traits *t, int8_t said, struct str schema,
                         struct arena *a, struct loss *loss);
/* What the conversation asks for: in words, also where a budget was said. */
enum effort openai_wanted_effort(const struct chat *c);
/* The nearest word that the model knows. Clients of OpenAI's chose theirs for the model and keep it. */
enum effort openai_fit_effort(const struct chat *c, const struct openai_traits *t, enum effort e);

/* A JSON answer without a schema is refused unless the conversation speaks of JSON: true where it does. */
bool openai_speaks_of_json(const struct turns *turns);
#define OPENAI_JSON_WISH "Answer with a JSON object."

/* A client's own body for another model than it asked for (an alias, a fallback): members that this one refuses are renamed or left
 * out. Fills patch, at most OPENAI_FIT_PATCHES, and returns how many; names in loss what is gone. */
enum { OPENAI_FIT_PATCHES = 8 };
struct call;
struct json_patch;
unsigned openai_fit_passed(const struct call *call, struct str body, struct str model, struct json_patch *patch,
                           struct buf *scratch, struct loss *loss);

/* {"mode":"explicit",…} as prompt_cache_breakpoint has it, with its key and a comma before it. */
void openai_write_breakpoint(enum cache_mark cache, struct buf *out);
