/* provider_type.h — the kinds of providers: what each speaks, where it answers, how a key is shown to it
 * Owns:     one table, provider_types.tbl.h. A further provider that speaks a known dialect is one row there and nothing else.
 * Process:  any; pure.
 * Memory:   static.
 * Fails:    a number out of range reads as the first row.
 * Not here: one configured provider (controlplane/config, struct snap_provider), dialects (dialect.h), signing (proto/auth). */
#pragma once

#include "proto/auth/signer.h"
#include "proto/dialect/dialect.h"

struct call;
struct exchange;

enum provider_type_id {
#define PROVIDER_TYPE(id, ...) PROVIDER_##id,
#define PROVIDER_TYPE_LATER(name)
#include "proto/dialect/provider_types.tbl.h"
#undef PROVIDER_TYPE
#undef PROVIDER_TYPE_LATER
    PROVIDER_TYPES
};

extern const char provider_type_words[]; /* "openai anthropic gemini | vertex fake": choices of an ENUM key */

/* What an attempt asks for. */
struct provider_place {
    struct str base_path;   /* as published: with the project and location, where the type has them */
    struct str api_version; /* Azure's dated form; empty: v1 */
    struct str model;       /* as the provider names it */
    const struct exchange *x;
};
/* The path and query of a request, in the arena. */
typedef struct str provider_path_fn(const struct provider_place *place, struct arena *a);
provider_path_fn provider_path_bare, provider_path_azure, provider_path_vertex, provider_path_bedrock;

struct provider_type {
    const char *name;
    enum dialect_id dialect; /* what it is asked in, unless it speaks the client's own */
    uint32_t also;           /* further dialects it speaks: bits of PROVIDER_SPEAKS() */
    const char *base_url;    /* "": must be configured */
    const char *variable;    /* of the environment, with its key; "": none */
    const char *
        aliases; /* its vendor's own names for models, as globs: routes of a configuration without a file; NULL: none */
    enum signer_kind signer; /* how a key is shown */
    const char
        *credentials; /* where one comes from that is not configured: a name of credential_source.c; NULL: nowhere */
    enum signer_kind token_signer; /* how such a one is shown */
    provider_path_fn *path;        /* NULL: the dialect's own path behind base_url */
    bool newer_max_tokens;         /* model names tell nothing: max_completion_tokens is sent */
    bool claude; /* hosts Anthropic's models too, in their own dialect: whatever has "claude" in its name … */
    const char *claude_version; /* … with this anthropic_version in the body, and the model in the path */
    bool claude_invoked;        /* InvokeModel: the path alone says whether to stream, betas stand in the body */
    uint32_t claude_also;       /* dialects in which these models answer too: bits of PROVIDER_SPEAKS() */
    bool tasks;                 /* videos are made by tasks in Ark's form (video.h) */
    const char *models_path;    /* GET, behind base_url: answers cheaply whether the key is good; NULL: there is none */
    const char *client_variable; /* where its vendor's SDKs look for another address; NULL: nowhere … */
    const char *client_base;     /* … and what they want behind ours */
};
#define PROVIDER_SPEAKS(dialect) (UINT32_C(1) << DIALECT_##dialect)

const struct provider_type *provider_type_of(unsigned id);
/* All dialects of a type: the bits that struct snap_provider has. */
uint32_t provider_type_dialects(unsigned id);
/* What a provider of these dialects is asked in for this model: the client's own where it can be, so that nothing is translated. */
enum dialect_id provider_dialect(unsigned type, uint32_t dialects, enum dialect_id client, struct str model);
/* The same for one call: some of OpenAI's models are asked through /responses alone, newer ones if tools stand beside reasoning. */
enum dialect_id provider_dialect_of_call(unsigned type, uint32_t dialects, enum dialect_id client, struct str model,
                                         const struct call *call);
/* Whose rules hold at an address: a look-alike's own, also where it is configured as just another host of OpenAI's dialect. */
unsigned provider_type_at(unsigned type, struct str host);
struct str provider_path(unsigned type, const struct provider_place *place, struct arena *a);
/* Where the type wants another body than the dialect's (a hosted Claude): true, and it is in out. betas: the client's anthropic-beta header. */
bool provider_body(unsigned type, const struct exchange *x, struct str body, struct str betas, struct buf *out);
/* "eu.anthropic.claude-x-20260101-v1:0" as Bedrock names it: a geography, a maker, a name, a revision. Other types: the name alone. */
struct provider_model {
    struct str geography, name;
};
struct provider_model provider_model(unsigned type, struct str model);
/* The type's base_url with {region} and {location} put in. */
struct str provider_base_url(unsigned type, struct str region, struct str location, struct arena *a);
