/* http1_rules.h — what a strict llhttp still lets through and weir does not
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   none; works on the views of a struct http1_head.
 * Fails:    a code of the error table, with a static text in *ret_text; WEIR_OK with the head's derived members filled in.
 * Not here: bytes and state (http1.c), what a head means for the gateway (dataplane/). */
#pragma once

#include "proto/wire/http1.h"

/* "POST /v1/x HTTP/1.1", without its line end. Fills method, target, minor. RFC 9112 §3. */
enum weir_err http1_rules_request_line(struct str line, struct http1_head *head, const char **ret_text);
/* "HTTP/1.1 200 OK". Fills status, reason, minor. RFC 9112 §4. */
enum weir_err http1_rules_status_line(struct str line, struct http1_head *head, const char **ret_text);

/* The whole head: Host, target, framing. Fills target, path, query, keep_alive, chunked, expect_continue, upgrade, content_length. */
enum weir_err http1_rules_request(struct http1_head *head, const char **ret_text);
/* Framing of a response; head_request: it answers a HEAD. Fills keep_alive, chunked, content_length, until_eof. */
enum weir_err http1_rules_response(struct http1_head *head, bool head_request, const char **ret_text);
