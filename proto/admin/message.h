/* message.h — the admin protocol: one msgpack map per frame, asked over the Unix socket by the CLI
 * Owns:     the frame (4 bytes length, big-endian, at most ADMIN_MAX_FRAME) and the limits that are checked before msgpack-c sees a byte.
 * Process:  control plane (server) and CLI (client); sans-I/O.
 * Memory:   the caller's bufs; unpacked values point into the frame.
 * Fails:    ADMIN_BAD for a length, depth or count that cannot be; nothing is allocated by a header alone.
 * Not here: what a command does (controlplane/admin_commands), printing (tools/cli).
 *
 * Request: {"v":1, "cmd":"usage", "args":{…}}
 * Reply:   {"v":1, "ok":true, "data":{…}}  or  {"v":1, "ok":false, "exit":4, "error":"…", "hint":"…"}
 * A streaming reply (tail -f) is a sequence of frames {"v":1,"ok":true,"more":true,"data":{…}}, ended by one without "more".
 * `data` maps onto JSON as it is: `-o json` prints it unchanged. */
#pragma once

#include "proto/base/buf.h"

#include <msgpack.h>

enum { ADMIN_VERSION = 1, ADMIN_MAX_FRAME = 1 << 20, ADMIN_MAX_DEPTH = 16 };

enum admin_frame { ADMIN_MORE, ADMIN_WHOLE, ADMIN_BAD };

/* The first whole frame's payload; consume 4 + n bytes of the buf when done with it. */
enum admin_frame admin_next(const struct buf *in, struct str *ret_payload);
/* Depth, counts against the bytes that remain, no ext types, exactly one value: then msgpack_unpack_next() is safe. */
bool admin_check(struct str payload);

/* Opens a frame in out: pack with the returned packer, then admin_end() with the same mark. */
struct admin_out {
    struct buf *out;
    size_t mark;
    msgpack_packer packer;
};
void admin_begin(struct admin_out *o, struct buf *out);
bool admin_end(struct admin_out *o); /* false: larger than a frame may be; what was packed is taken back */

/* small helpers over msgpack-c */
void admin_pack_str(msgpack_packer *p, struct str s);
void admin_pack_kv_str(msgpack_packer *p, const char *key, struct str value);
void admin_pack_kv_i64(msgpack_packer *p, const char *key, int64_t value);
void admin_pack_kv_bool(msgpack_packer *p, const char *key, bool value);
void admin_pack_kv_f64(msgpack_packer *p, const char *key, double value);
void admin_pack_kv_nil(msgpack_packer *p, const char *key);
const msgpack_object *admin_get(const msgpack_object *map, const char *key); /* NULL: absent or no map */
struct str admin_get_str(const msgpack_object *map, const char *key);        /* empty: absent or no string */
int64_t admin_get_i64(const msgpack_object *map, const char *key, int64_t absent);
bool admin_get_bool(const msgpack_object *map, const char *key, bool absent);

/* Any value as JSON text; binary and invalid UTF-8 escaped. */
void admin_to_json(const msgpack_object *o, struct buf *out);
