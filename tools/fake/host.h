/* host.h — look-alikes: what a host of OpenAI's chat completions refuses that OpenAI takes, and how it spells what it answers
 * Owns:     one table. A fake with --as NAME is such a host on its chat endpoint.
 * Process:  weir-fake; pure.
 * Memory:   static; refusals in the call's arena.
 * Fails:    host_check() fills the refusal in the host's words.
 * Not here: what OpenAI itself refuses (openai_read.c). Written from the hosts' pages and recorded answers, apart from weir's own table. */
#pragma once

#include "tools/fake/dialect.h"

enum host_usage { USAGE_AS_OPENAI, USAGE_DEEPSEEK, USAGE_CACHED_AT_TOP, USAGE_REASONING_OUTSIDE, USAGE_BARE };
enum host_errors { ERRORS_AS_OPENAI, ERRORS_DETAIL, ERRORS_FLAT, ERRORS_STRING, ERRORS_NUMBERED };

struct fake_host {
    const char *name;
    const char *path; /* the only one that is a chat's; NULL: any that ends so */
    unsigned status;  /* of a refusal */
    enum host_errors errors;
    const char *knows;         /* members of a request, all there are; NULL: any … */
    const char *refuses;       /* … but these */
    const char *message_knows; /* the same of a message */
    const char *message_refuses;
    const char *models, *model_refuses; /* where the model's name holds one of these */
    const char *efforts;
    bool developer, nine_ids, strict_tools, forced_tools, hot; /* hot: temperature above 1 */
    enum host_usage usage;
    const char *reasoning; /* the member that has it; "" parts of kind thinking */
    bool usage_at_finish;  /* a stream tells it there, asked or not */
    bool usage_in_x_groq;
};

const struct fake_host *host_named(struct str name); /* NULL: none */

void host_check(const struct fake_host *h, yyjson_val *body, struct str path, struct refusal *refusal, struct arena *a);
void host_write_error(const struct fake_host *h, const struct refusal *refusal, struct answer *out);
/* What its usage has no word for is billed as the rest is. */
void host_bill(const struct fake_host *h, struct plan_usage *u);
/* The usage object; output and reasoning are those of all choices. */
void host_add_usage(const struct fake_host *h, const struct plan_usage *u, unsigned choices, struct buf *out);
