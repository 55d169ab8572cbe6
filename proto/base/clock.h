/* clock.h — the clocks, read in one place
 * Owns:     nothing.
 * Process:  any. The only impure file of base: modules of proto/ take the time as an argument, planes read it here.
 * Memory:   none.
 * Fails:    never.
 * Not here: timers (libuv). */
#pragma once

#include <stdint.h>

uint64_t clock_mono_ns(void); /* CLOCK_MONOTONIC: the same for all processes of the machine, never jumps */
uint64_t clock_mono_ms(void);
uint64_t clock_wall_ns(void); /* since 1970, UTC; may jump */
