/* video.h — a call of Videos on its way to the provider that has its task
 * Owns:     nothing; fills r->call.video for the attempt.
 * Process:  worker.
 * Memory:   the request's arena.
 * Fails:    an id that was not made for this client's key, or whose credential is gone: 404, before anything is sent.
 * Not here: bodies and ids (proto/dialect/video.h), the bill of a task (controlplane/jobs.h). */
#pragma once

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/dialect/video.h"

struct request;

/* Behind secret_pick(): a task is asked for with the credential that made it. */
enum weir_err video_prepare(struct request *r, struct str *ret_why);
