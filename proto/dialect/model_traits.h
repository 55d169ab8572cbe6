/* model_traits.h — what a model's name tells of what its API takes, where the body must differ by model
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   none.
 * Fails:    never: a Claude whose version cannot be read counts as the newest, a name of no known family as a plain look-alike.
 * Not here: prices and context windows (price list), what a configuration says of a model (struct target_hints).
 * Sources: Anthropic model pages and migration notes (thinking, sampling, forced tools); OpenAI model pages and error texts. */
#pragma once

#include "proto/base/str.h"

enum claude_off { CLAUDE_OFF_BY_DEFAULT, CLAUDE_OFF_DISABLED, CLAUDE_OFF_BETWEEN_TOOLS, CLAUDE_OFF_NEVER };

struct claude_traits {
    bool adaptive;              /* thinking.type adaptive with output_config.effort; else enabled with a budget */
    enum claude_off off;        /* how "no thinking" is said */
    bool forced_tools;          /* tool_choice any and tool */
    bool forced_tools_thinking; /* the same while thinking is on */
    bool sampling;              /* temperature, top_p, top_k */
    bool both_samplings;        /* temperature beside top_p */
    bool prefill;               /* the last message may be the assistant's */
    bool mid_system;            /* role system inside messages */
    bool xhigh;                 /* effort xhigh */
    bool json_schema;           /* output_config.format */
    bool omits_thinking;        /* thinking text comes only when display asks for it */
};

struct claude_traits claude_traits_of(struct str model);

struct openai_traits {
    bool completion_tokens; /* max_completion_tokens; else max_tokens, which every look-alike knows */
    bool effort;            /* reasoning_effort … */
    bool effort_none, effort_minimal, effort_xhigh, effort_max; /* … and of OpenAI's own models, these words */
    bool tools_without_reasoning;                               /* function tools only with reasoning_effort none */
    bool tools_in_responses; /* with reasoning, function tools only through /responses */
    bool responses_only;     /* no Chat Completions at all */
    bool reasons_unasked;    /* its default effort is not none */
    bool reasons_always;     /* there is no effort none */
    bool sampling;           /* temperature and top_p */
    bool sampling_unless_reasoning;
    bool stop;
    bool verbosity, custom_tools;
    bool breakpoints; /* prompt_cache_breakpoint on parts */
    bool user;        /* OpenAI's own: fields that some look-alikes refuse, as they do not know them */
};

struct openai_traits openai_traits_of(struct str model);

enum gemini_thinking { GEMINI_NO_THINKING, GEMINI_BUDGET, GEMINI_LEVEL };

struct gemini_traits {
    enum gemini_thinking thinking; /* how it is asked for */
    bool pro;                      /* thinking cannot be switched off */
    bool signatures;               /* calls of the turn under way must be signed */
    bool json_with_tools;          /* a JSON answer beside function tools */
    bool media_in_results;         /* files inside functionResponse */
};

struct gemini_traits gemini_traits_of(struct str model);

/* Of a model behind Bedrock: whose it is decides which native fields its API takes beside Converse's own. */
enum converse_family { CONVERSE_OTHER, CONVERSE_CLAUDE, CONVERSE_NOVA, CONVERSE_NOVA_2, CONVERSE_GPT_OSS };

struct converse_traits {
    enum converse_family family;
    bool cache_points;
    bool nine_ids; /* a call's id is nine letters and digits */
};

struct converse_traits converse_traits_of(struct str model);
