/* crc32.h — the CRC of zlib, PNG and AWS event-streams
 * Owns:     nothing.
 * Process:  any; pure.
 * Memory:   one constant table of 1 KiB.
 * Fails:    never.
 * Not here: the CRC-32C of the journal (shm/crc32c.c): another polynomial. */
#pragma once

#include "proto/base/str.h"

/* Of the bytes seen so far and `more`; begin with 0. Source: ISO 3309, reflected polynomial 0xEDB88320. */
uint32_t crc32_add(uint32_t crc, struct str more);
