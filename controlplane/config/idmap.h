/* idmap.h — the small numbers that names keep over reloads and restarts: indexes into tick and live
 * Owns:     the map from (kind, name) to id; its saved form is a blob in the store.
 * Process:  control plane; pure, time is passed in.
 * Memory:   the heap; as large as the largest number of names there ever was, at most the SHM_* capacities.
 * Fails:    ID_NONE when a table is full of names that are used or were until a short while ago. A broken blob gives an empty map.
 * Not here: storing the blob (controlplane/store). */
#pragma once

#include "proto/base/buf.h"
#include "shm/layout.h"

enum id_kind { ID_PROVIDER, ID_TARGET, ID_LEG, ID_ROUTE, ID_KEY, ID_KINDS };

/* A name that left the configuration keeps its number this long at least: calls that began before still count into its cells. */
enum { ID_REST_MS = 3600 * 1000 };

struct idmap;

struct idmap *idmap_new(void);
struct idmap *idmap_load(struct str blob, bool *ret_broken); /* of an empty blob: a new map, not broken */
void idmap_save(const struct idmap *m, struct buf *out);
void idmap_free(struct idmap **m);

/* One configuration: begin, ask for each name, end. Names not asked for are at rest from `now` on; their numbers are given again
 * only when all others are taken. */
void idmap_begin(struct idmap *m);
uint16_t idmap_id(struct idmap *m, enum id_kind kind, struct str name, uint64_t now_wall_ms);
void idmap_end(struct idmap *m, uint64_t now_wall_ms);

/* The name of a number, in use or at rest; empty if it never had one. For old records and cells. */
struct str idmap_name(const struct idmap *m, enum id_kind kind, uint16_t id);
