/* doctor.h — `weir doctor`: would calls work from here? Looked at with what costs nothing
 * Owns:     everything for one look: a loop, the configuration, a request to each provider.
 * Process:  a weir-controlplane of its own, started by the command; ends with an exit code. It asks no running weir, so that it helps
 *           where none starts.
 * Memory:   heap, until it ends.
 * Fails:    exit code 1: something has to be mended (or the configuration is refused); 2: usage.
 * Not here: how findings read (findings.h), the probes of a running weir (prober.h). */
#pragma once

/* argv[1] is "--doctor": [--config FILE] [--state DIR] [--output table|json] */
int doctor_main(int argc, char **argv);
