/* breaker.h — what an attempt's end says about its target
 * Owns:     nothing; the circuit's cells are in shm/live.
 * Process:  worker.
 * Memory:   none.
 * Fails:    never.
 * Not here: how a circuit moves (shm/live), choosing (route.c). */
#pragma once

#include "proto/base/err.h"

struct request;

void breaker_begin(struct request *r);                  /* an attempt begins: in flight, deposit for retries */
void breaker_end(struct request *r, enum weir_err err); /* WEIR_OK: answered; CLIENT_GONE: no verdict */
