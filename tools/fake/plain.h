/* plain.h — OpenAI's endpoints that are no chat: embeddings, completions, moderations, rerank, pictures, sound, files, batches
 * Owns:     the files that were uploaded, until they are deleted; a handful for each fake.
 * Process:  weir-fake; one loop.
 * Memory:   heap for files, the call's arena for the rest.
 * Fails:    struct refusal, in the provider's words: unknown fields, missing ones, forms without their file.
 * Not here: chat (openai_read.c), faults and logging (serve.c). */
#pragma once

#include "tools/fake/dialect.h"

struct provider;

struct plain_call {
    const struct provider *of;
    const struct http1_head *head;
    struct str body;
    struct arena *arena;

    /* what came of it */
    struct str model;
    uint64_t input, output; /* tokens */
    bool stream;
};

/* false: the path is none of these. */
bool plain_serve(struct plain_call *call, struct refusal *ret_refusal, struct answer *out);
/* Numbers that the text alone decides; the same with any provider. */
void plain_write_vector(struct buf *out, struct str text, size_t dimensions, bool base64);
