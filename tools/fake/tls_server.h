/* tls_server.h — TLS 1.2/1.3 server as a byte filter around mbedTLS
 * Owns:     struct tls_server: certificate, key, tickets; struct tls_peer: one connection.
 * Process:  weir-fake; sans-I/O: cipher bytes in and out through bufs.
 * Memory:   mbedTLS's heap.
 * Fails:    tls_peer_feed() false: the handshake or the records are broken; the alert is in the out buf.
 * Not here: sockets; the client side (proto/wire/tls.h), which this tests and so shares no code with. */
#pragma once

#include "proto/base/buf.h"

struct tls_server;
struct tls_peer;

struct tls_server *tls_server_new(const char *cert_path, const char *key_path, bool only_12, const char **ret_why);

struct tls_peer *tls_peer_new(struct tls_server *server);
void tls_peer_free(struct tls_peer **t);
/* Takes cipher bytes; what they hold is appended to plain. false: broken. *ret_closed: close_notify was read. */
bool tls_peer_feed(struct tls_peer *t, struct str cipher, struct buf *plain, bool *ret_closed);
bool tls_peer_is_ready(const struct tls_peer *t); /* the handshake is done */
void tls_peer_write(struct tls_peer *t, struct str plain);
void tls_peer_close(struct tls_peer *t);      /* close_notify */
struct buf *tls_peer_out(struct tls_peer *t); /* bytes for the socket; consume what was sent */
