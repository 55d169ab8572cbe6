/* usage.h — what a call consumed, in one form for every provider
 * Owns:     nothing; plain integers, safe to copy through shared memory.
 * Process:  any; pure.
 * Memory:   none.
 * Fails:    a provider's absurd number (negative, above USAGE_MAX, not an integer) is clamped or dropped by who reads it,
 *           and the record is marked; arithmetic here cannot overflow within that bound.
 * Not here: reading a provider's usage block (dialect/), prices (price.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define USAGE_MAX \
    ((int64_t)1 << 40) /* per field; far above any real call, and 9 x USAGE_MAX x any rate fits 128 bits */

/* Every token is in exactly one of in_uncached, cache_read, cache_write_*; audio and image counts are parts of
 * in_uncached and out_total that have a price of their own; out_reasoning is a part of out_total, priced as output. */
struct usage {
    int64_t in_uncached;
    int64_t cache_read;
    int64_t cache_write_5m; /* the short-lived write: Anthropic 5 m, OpenAI 30 m */
    int64_t cache_write_1h; /* the long-lived write: Anthropic 1 h, OpenAI 12 h */
    int64_t in_audio;
    int64_t in_image;
    int64_t out_total;
    int64_t out_reasoning;
    int64_t out_audio;
    int64_t out_image;
    int64_t web_searches;
    int64_t requests;     /* priced per call, beside tokens */
    int64_t milliseconds; /* audio or video length, for models priced by time */
    int64_t units;        /* images, documents, characters: what the endpoint counts */

    uint8_t known;    /* USAGE_*: which figures the provider really sent */
    uint8_t clamped;  /* 1: a figure was absurd and was cut */
    uint8_t tier;     /* enum usage_tier, as reported in the answer */
    uint8_t regional; /* 1: computed in one region on demand, as reported in the answer (Anthropic's inference_geo) */
    uint8_t spare[4];
};

enum { USAGE_INPUT = 1, USAGE_OUTPUT = 2, USAGE_COST = 4 };
enum usage_tier { USAGE_STANDARD, USAGE_BATCH, USAGE_FLEX, USAGE_PRIORITY };

/* All input tokens, cached or not. */
int64_t usage_in_total(const struct usage *u);
/* Both kinds of cache write. These two clamp each figure again, so that a record from shared memory cannot overflow them. */
int64_t usage_cache_write(const struct usage *u);

/* A single call never comes near it: a figure above is not booked as the provider's word but replaced by an estimate. */
#define USAGE_BELIEVED ((int64_t)1 << 28)

/* Takes a provider's figure: 0 for negative, USAGE_MAX for more; both mark `clamped`. */
void usage_set(struct usage *u, int64_t *field, int64_t value);
