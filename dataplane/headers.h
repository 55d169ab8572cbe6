/* headers.h — which headers go on, in either direction, and which are ours
 * Owns:     the two fixed rules.
 * Process:  worker.
 * Memory:   appends to the given buf.
 * Fails:    a value that would split a head is left out (proto/wire/http1 refuses it).
 * Not here: the framing of heads (proto/wire/http1). */
#pragma once

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct http1_head;
struct request;

/* From the client to a provider that speaks its dialect. An allow list: cookies, forwarding headers, the client's credentials and its
 * account (openai-organization, openai-project) never leave; x-weir-* is ours. Towards another dialect nothing is passed on. */
bool headers_go_up(struct str name);
/* From a provider to a client of the same dialect: what its SDK reads. Cookies, framing and hop-by-hop stay here. */
bool headers_go_down(struct str name);

/* The head of the request that the attempt sends, signed. UP_AUTH: no credential for this origin that holds now. */
enum weir_err headers_write_request(struct request *r, struct str body, struct buf *out);

/* Lines of the provider's answer that go on, retry-after cut to HEADERS_RETRY_MOST_S. */
enum { HEADERS_RETRY_MOST_S = 30 };
void headers_write_forwarded(const struct http1_head *answer, bool same, bool passed, struct buf *out);

/* x-request-id, x-weir-*, server-timing. attempt: those of the provider that answers too. */
void headers_write_ours(struct request *r, bool attempt, bool cost, struct buf *out);
