/* options.h — flags of a verb, by table
 * Owns:     nothing; values point into argv.
 * Process:  weir (CLI).
 * Memory:   none.
 * Fails:    options_parse() prints what is wrong with the nearest known flag and returns false: exit 2.
 * Not here: what a flag means. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct option {
    const char *name;   /* "--state" */
    const char *letter; /* "-o", or NULL */
    const char **value; /* takes a value */
    bool *flag;         /* or is a switch */
};

/* Takes the flags out of argv ("--name value", "--name=value", "--" ends them); what is left are the words, in order, NULL-terminated.
 * *argc counts them. */
bool options_parse(const char *verb, int *argc, char **argv, const struct option *options, size_t n);

/* "7d", "24h", "30m", "today", "month", or an RFC 3339 date: wall time in ms. false with a message. */
bool parse_since(const char *text, long long now_ms, long long *ret_ms);
