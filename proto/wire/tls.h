/* tls.h — TLS 1.2/1.3 client as a byte filter around mbedTLS
 * Owns:     struct tls: one connection; struct tls_trust: a parsed CA bundle and the client configuration made with it.
 * Process:  any; sans-I/O: cipher bytes in and out through bufs, no socket.
 * Memory:   mbedTLS's heap (about 45 KB a connection); bufs are reused by the connection.
 * Fails:    TLS_BAD with a readable reason; a wrong name, chain, time or version is never a warning. There is no switch that turns verification off.
 * Not here: dialling, ALPN choice other than http/1.1, server side (tools/fake brings its own). */
#pragma once

#include "proto/base/buf.h"
#include "proto/base/err.h"

struct tls;
struct tls_trust;

/* pem empty: the system's bundle (SSL_CERT_FILE, then /etc/ssl/certs/ca-certificates.crt). NULL with a reason on failure, valid until
 * the next call. Call it after fork or exec, never before: the first call seeds the process's random numbers. One is meant to be
 * shared by all connections of a process that trust the same authorities (148 of them cost 4 ms and 0.4 MB). */
struct tls_trust *tls_trust_new(struct str pem, const char **ret_why);
/* Connections made with it may outlive the call: they keep it. */
void tls_trust_free(struct tls_trust **t);

/* host: checked against the certificate and sent as SNI (not for IP literals, which are given without brackets). ticket: a session
 * saved by tls_ticket() for the same host and trust, or empty; one that cannot be used is passed over. NULL: the host is no name. */
struct tls *tls_new(struct tls_trust *trust, struct str host, struct str ticket);
void tls_free(struct tls **t);

enum tls_state {
    TLS_MORE,   /* the handshake is under way */
    TLS_READY,  /* open: tls_write() may be called */
    TLS_CLOSED, /* the peer's close_notify came; a connection that ends without one was cut off */
    TLS_BAD,    /* see tls_reason(); send what is in tls_out() (an alert), then close */
};

/* Feeds cipher bytes, drives the handshake, appends what it can decrypt to `plain`; cipher bytes to send are in tls_out().
 * All of `cipher` is taken. */
enum tls_state tls_feed(struct tls *t, struct str cipher, struct buf *plain);
enum tls_state tls_start(struct tls *t);         /* produces the first flight */
void tls_write(struct tls *t, struct str plain); /* after TLS_READY; encrypts into tls_out() */
void tls_close(struct tls *t);                   /* close_notify into tls_out() */
struct buf *tls_out(struct tls *t);              /* bytes for the socket; consume what was sent */

/* Of TLS_BAD, one line that says what and with which name or date: "certificate expired on 2026-01-31", "certificate is for
 * another name: api.example.com", … Text out of the certificate is reduced to printable ASCII. */
const char *tls_reason(const struct tls *t);
/* Of TLS_BAD: this failure taught the trust how to meet the server; dialling it once more is expected to succeed. */
bool tls_should_redial(const struct tls *t);
bool tls_was_resumed(const struct tls *t);
bool tls_is_handshake_done(const struct tls *t);
/* A session worth keeping since the last call: appends its serialised form (< 4 KiB) to out. false: none. The certificate is not
 * checked again when it is used: keep it under host and trust, and hand it to nobody else. */
bool tls_ticket(struct tls *t, struct buf *out);
