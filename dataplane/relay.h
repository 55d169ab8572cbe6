/* relay.h — the provider's answer on its way to the client: head, body, commit point, end
 * Owns:     nothing; r->stage tells how far the answer is.
 * Process:  worker.
 * Memory:   the request's bufs. Unary answers up to RELAY_HOLD_BYTES are held whole; a stream is held to its first content.
 * Fails:    attempt_fail() while another target may still answer; an honest in-stream error afterwards, never a clean end.
 * Not here: reading dialects (proto/dialect/exchange), framing (proto/wire/http1), what follows a failure (retry.c). */
#pragma once

struct request;
struct step;

enum {
    RELAY_HOLD_BYTES = 1024 * 1024,      /* a longer unary answer is passed on as it comes */
    RELAY_MOST_BYTES = 64 * 1024 * 1024, /* a longer unary answer cannot be translated */
    RELAY_ERROR_BYTES = 64 * 1024,       /* of an error's body; the rest is not waited for */
};

/* The provider's head has come. */
const struct step *relay_head(struct request *r);
/* Takes what has come of the body, gives the client what it may have. */
const struct step *relay_body(struct request *r);

/* The stream's head and a ping: the client has waited long. Between events only. */
void relay_ping(struct request *r);
/* The call has failed with something already written: the in-stream error where there is one, then the connection ends without a last
 * chunk. Commits the record first. */
void relay_break_off(struct request *r);
