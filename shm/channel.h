/* channel.h — the few messages between supervisor, control plane and workers, with descriptors
 * Owns:     nothing; both ends are SOCK_SEQPACKET sockets made by the supervisor.
 * Process:  supervisor <-> control plane, supervisor <-> each worker. The supervisor is the hub: it keeps the newest snapshot,
 *           secrets and tick, so that a worker can start while the control plane is dead.
 * Memory:   one fixed, pointer-free struct per message; descriptors by SCM_RIGHTS, CLOEXEC on arrival.
 * Fails:    a message of another size or magic closes the channel; a full socket returns false and is tried again by the caller.
 * Not here: anything a person or the network says. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum channel_type {
    CHAN_BOOT = 1,    /* control plane -> supervisor: `boot`, with snapshot, secrets, tick */
    CHAN_REFUSED,     /* control plane -> supervisor: `text`; the supervisor prints it and exits 1 */
    CHAN_PUBLISH,     /* control plane -> supervisor -> workers: snapshot, secrets */
    CHAN_TICK,        /* control plane -> supervisor -> workers: tick of a new incarnation */
    CHAN_READY,       /* worker -> supervisor: listening, `number` is its worker number */
    CHAN_WORKER_DIED, /* supervisor -> control plane: `number`; slots of the dead may be closed now (journal.h), the next worker does not wait */
    CHAN_RECOVERED,   /* control plane -> supervisor: `number`; nothing waits for it yet */
    CHAN_DRAIN,       /* supervisor -> all: SIGTERM; control plane -> supervisor: `weir stop` */
    CHAN_STOP,        /* supervisor -> all: now, events committed */
    CHAN_RELOAD,      /* supervisor -> control plane: SIGHUP */
    CHAN_TICKETS,     /* worker -> supervisor -> workers: a TLS session ticket for provider `number`, in `text` */
};

struct boot {
    uint32_t workers;
    uint32_t drain_ms;
    uint32_t listen_n;
    char listen[8][128];  /* "127.0.0.1:8490", "[::1]:8490", "unix:/run/weir/data.sock" */
    char admin_http[128]; /* for the start-up print; the control plane listens itself */
};

struct channel_msg {
    uint32_t magic;
    uint32_t type; /* enum channel_type */
    uint32_t number;
    uint32_t text_n;
    uint64_t serial;
    union {
        struct boot boot;
        char text[4096];
    } u;
};

enum { CHANNEL_FDS = 4 };

bool channel_pair(int ret_fds[2]);
/* Only the used part of u is sent. fds: n descriptors, not closed here. false: would block or peer gone (errno). */
bool channel_send(int fd, const struct channel_msg *m, const int *fds, unsigned n);
/* 1: a message; 0: nothing there; -1: peer gone or not our message. Received descriptors are the caller's. */
int channel_recv(int fd, struct channel_msg *ret_m, int *ret_fds, unsigned *ret_n);
