/* openai_rules.h — what OpenAI refuses in Chat and in Responses alike: by model, of schemas, of choices among tools
 * Sources: OpenAI's guides on reasoning models and structured outputs; refusals as its servers word them (smolagents 1662, litellm 15244,
 * openai-python 2546). */
#pragma once

#include "tools/fake/dialect.h"

/* By name: "large" and the like are of no family and take everything. */
struct openai_model {
    bool known;   /* of OpenAI's: has a family */
    bool reasons; /* a reasoning model */
    unsigned gpt; /* "gpt-5.6-luna": 56; 0: no gpt */
    bool no_none; /* effort none is not known */
};
struct openai_model openai_model_of(struct str name);

/* Sampling, limits and stop sequences that a reasoning model does not take; words of effort. effort: NULL where unsaid. */
void openai_check_sampling(const struct openai_model *m, yyjson_val *body, yyjson_val *effort, struct refusal *refusal,
                           struct arena *a);
void openai_check_effort(const struct openai_model *m, yyjson_val *effort, const char *param, struct refusal *refusal,
                         struct arena *a);
/* A strict schema: every object is closed and requires all it has. what: "response_format 'x'", "function 'f'". */
void openai_check_strict(yyjson_val *schema, struct str what, const char *param, struct refusal *refusal,
                         struct arena *a);
/* The word that a JSON answer without a schema must have in its prompt. */
bool openai_has_json(yyjson_val *messages);
void openai_check_lengths(yyjson_val *body, struct refusal *refusal, struct arena *a);
