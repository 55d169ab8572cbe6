/* hub.h — what the dialect fuzz targets share: which dialects an input is about, and hub forms made from its bytes
 * Owns:     nothing.
 * Process:  fuzz targets; each is linked with hub.c.
 * Memory:   the arena given in.
 * Fails:    never: any bytes make a form that a reader could have made. abort() is a target's verdict, in must_…().
 * Not here: properties (fuzz_*.c). Seeds are made from tests/golden by seeds.py. */
#pragma once

#include "proto/dialect/chat.h"
#include "proto/dialect/exchange.h"

/* Input of every dialect target: byte 0 the client's dialect, byte 1 the provider's, byte 2 the variant, then the text. */
struct fuzz_input {
    const struct dialect *client, *target;
    uint8_t variant;
    struct str text;
};
bool fuzz_split(const uint8_t *data, size_t size, struct fuzz_input *ret_input);

/* Bytes that decide; zeros when there are none left. */
struct choices {
    const uint8_t *p;
    size_t n;
};
unsigned choose(struct choices *c, unsigned below);

struct chat *hub_chat(struct choices *c, struct arena *a);
struct answer *hub_answer(struct choices *c, struct arena *a);

/* A well-formed stream, from START to END: parts side by side, texts in pieces. Views live in the arena. */
struct hub_stream {
    struct delta *delta;
    unsigned n;
    struct usage usage;
};
void hub_stream(struct choices *c, struct arena *a, struct hub_stream *ret_stream);

/* The smallest streaming call of a client: its body, read. */
void hub_small_call(const struct dialect *client, bool json_array, struct arena *a, struct str *ret_body,
                    struct call *ret_call);

void must_be_json(struct str text);
/* With FUZZ_SHOW in the environment: what is being checked, on standard error, for whoever looks into a finding. */
void fuzz_show(const char *what, struct str text);
