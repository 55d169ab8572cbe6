/* passed.h — calls that are no chat: their bytes pass through, what they are asked for and what they cost is read in passing
 * Owns:     nothing; an exchange that has `passed` set comes here (exchange.c).
 * Process:  any; sans-I/O.
 * Memory:   the arena given in; a tree is only made of the few members that hold usage.
 * Fails:    an error code and a text; an answer that cannot be read has no usage and passes all the same.
 * Not here: which endpoints there are (endpoints.tbl.h), other forms of embeddings (embed.h). */
#pragma once

#include "proto/dialect/exchange.h"

#include <yyjson.h>

/* What the journey must know. content_type: of the body, as the client sent it. */
enum weir_err passed_read_call(const struct endpoint *e, const struct endpoint_place *place, struct str content_type,
                               struct str body, struct arena *a, struct call *ret_call, struct str *ret_why);

/* The body for a provider that calls the model `model`: the client's own bytes but for that name. */
enum weir_err passed_write_request(const struct endpoint *e, const struct call *call, struct str body, struct str model,
                                   struct arena *a, struct buf *out, struct str *ret_why);

/* What an answer or one event says was used, in whichever shape; figures that it does not name stay. false: nothing. */
bool passed_read_usage(struct str json, struct arena *a, struct usage *u);
/* Of a whole answer: the same, and what the endpoint counts itself. true: the provider's own word, nothing is left to guess. */
bool passed_settle(const struct endpoint *e, const struct call *call, struct str body, struct arena *a,
                   struct usage *u);
