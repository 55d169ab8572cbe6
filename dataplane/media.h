/* media.h — fetching what a request names by URL, between encode and encode again (providers.X.fetch_media)
 * Owns:     the look-up and the connection of one fetch at a time; r->media's base64, in the request's arena.
 * Process:  worker only. Names are looked up in libuv's thread pool, which exists for nothing else here.
 * Memory:   one heap block a look-up (it may outlive the request); bytes are counted against server.buffers.
 * Fails:    the reason stands in struct media: the next encode tells it. Never for longer than MEDIA_EACH_MS an item.
 * Not here: which parts are wanted, what bytes are (proto/dialect/media.h).
 * Safety:   only http(s) without user info; every address is looked at after the name was looked up, and exactly those are dialled;
 *           a redirect is a new URL under the same rules, never from https to http; nothing of the client or of a key is sent. */
#pragma once

#include "proto/dialect/media.h"
#include "shm/layout.h"

struct media_lookup;
struct request;

enum { MEDIA_EACH_MS = 20000, MEDIA_CONNECT_MS = 5000, MEDIA_REDIRECTS = 3 };

struct fetching {
    struct media *m; /* NULL: nothing under way */
    enum media_phase { MEDIA_LOOK_UP, MEDIA_CONNECT, MEDIA_HEAD, MEDIA_BODY } phase;
    struct str url, host, target;
    bool tls;
    uint16_t port;
    unsigned redirects;
    uint64_t until_ms;
    uint64_t bytes;
    char spare[3]; /* bytes that make no whole group of base64 yet */
    unsigned spare_n;
    struct media_lookup *lookup;
    struct tick_address address[SHM_ADDRESSES];
    unsigned address_n;
};

/* Goes on with what r->media wants. true: each is here or has failed. false: wait for the next event or r->phase_at_ms. */
bool media_fetch(struct request *r);
/* The request ends or goes elsewhere. */
void media_stop(struct request *r);
