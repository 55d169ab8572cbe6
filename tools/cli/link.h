/* link.h — the CLI's end of the admin socket
 * Owns:     one connection and the frames of its answer.
 * Process:  weir (CLI); blocking, with a deadline.
 * Memory:   bufs of the struct; `data` points into them until the next call.
 * Fails:    returns false after printing what, why and what to do; the exit code is in `exit_code` (6: no weir answers).
 * Not here: what is printed of an answer (print.h, cmd_*.c). */
#pragma once

#include "proto/admin/message.h"

struct link {
    int fd;
    int exit_code;
    struct buf in, out;
    size_t taken; /* bytes of the frame that `data` points into */
    msgpack_unpacked unpacked;
    const msgpack_object *data; /* of the last answer; NULL: none */
    bool more;                  /* further answers of this call follow */
};

/* Finds the socket: --state > $WEIR_STATE > XDG state home; without a live holder there, a running demo.
 * quiet: no message when nobody answers. */
bool link_open(struct link *l, const char *state_dir, bool quiet);
void link_close(struct link *l);

/* Asks; args is packed by the callback (a map), or NULL for none. The first answer is in l->data. */
bool link_ask(struct link *l, const char *cmd, void (*pack_args)(msgpack_packer *p, const void *context),
              const void *context);
/* The next answer of a call with l->more; waits as long as it takes. false: the end (exit_code 0) or a failure. */
bool link_next(struct link *l);

/* Where state is kept when nothing else is said; "" when no home is known. */
void default_state_dir(char *out, size_t out_bytes);
/* The note by which a running demo is found: a file with its state directory, in the runtime directory. */
void demo_note_path(char *out, size_t out_bytes);
