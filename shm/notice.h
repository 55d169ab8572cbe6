/* notice.h — a line for people on standard error, from a process that must not wait
 * Owns:     nothing but the count of lines that found no room.
 * Process:  any. What writes before it serves anybody (usage, a refused start) may as well use stdio.
 * Memory:   the stack.
 * Fails:    never. A pipe that nobody reads or a stopped terminal would hold a loop until its heartbeat is missed: what finds no room
 *           is dropped, and the next notice that finds some says how many were.
 * Not here: the line of each call (controlplane/reqlog has a bounded queue and a thread for it). */
#pragma once

#include "proto/base/str.h"

/* One line; "weir: " before and the line end behind it are added. Cut at 4 KiB. */
void notice(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A text of whole lines as it is (the problems of a configuration); a line end is added where there is none. */
void notice_text(struct str text);
