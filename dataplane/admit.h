/* admit.h — may this call be made? First by its head, then by what it asks for
 * Owns:     nothing.
 * Process:  worker.
 * Memory:   the request's arena.
 * Fails:    an error code with a text for people in *ret_why; a refusal costs nothing.
 * Not here: where the call goes (route.c), how the refusal looks (reply.c). */
#pragma once

#include "proto/base/err.h"
#include "proto/base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct dialect;
struct http1_head;
struct request;
struct snap;

/* Everything that the head decides: Host and Origin, path and method, the client's key. Sets endpoint, dialect, key. */
enum weir_err admit_head(struct request *r, struct str *ret_why);
/* The body is whole and read: sets route, named_target and the deadline of the whole call. */
enum weir_err admit_call(struct request *r, struct str *ret_why);

/* For an error before the endpoint is known. */
const struct dialect *admit_guess_dialect(const struct http1_head *h);

/* Host header of a call over TCP: loopback names, addresses, and the names that the configuration lists. A web page that rebinds its
 * own name to 127.0.0.1 sends its own name. */
bool admit_is_host_ours(const struct snap *sn, struct str host);

/* "1500ms", "30s", "2m", "30" (seconds) */
bool admit_parse_timeout(struct str text, uint64_t *ret_ms);
