#include "proto/dialect/dialect.h"

#include "proto/dialect/anthropic.h"
#include "proto/dialect/cohere.h"
#include "proto/dialect/converse.h"
#include "proto/dialect/gemini.h"
#include "proto/dialect/ollama.h"
#include "proto/dialect/openai_chat.h"
#include "proto/dialect/responses.h"

static const struct dialect *const DIALECTS[] = {
    [DIALECT_OPENAI_CHAT] = &openai_chat, [DIALECT_ANTHROPIC] = &anthropic, [DIALECT_GEMINI] = &gemini,
    [DIALECT_RESPONSES] = &responses,     [DIALECT_CONVERSE] = &converse,   [DIALECT_OLLAMA] = &ollama,
    [DIALECT_COHERE] = &cohere,
};

_Static_assert(sizeof DIALECTS / sizeof *DIALECTS == DIALECT_COUNT, "a row per dialect");

const struct dialect *dialect_of(enum dialect_id id)
{
    return DIALECTS[id];
}

const struct dialect *dialect_by_name(struct str name)
{
    for (unsigned i = 0; i < DIALECT_COUNT; i++)
        if (str_is(name, DIALECTS[i]->name)) return DIALECTS[i];
    return NULL;
}
