/* video.h — OpenAI's Videos for clients, in front of tasks (Seedance on Ark/ModelArk) or of a provider that has Videos itself
 * Owns:     the form of the ids that clients get, and both ways of each call: create, retrieve, list, content, delete.
 * Process:  any; pure.
 * Memory:   the arena given in; struct video_call lives in the request's.
 * Fails:    an error code and a text; an id or an answer that cannot be read is refused, never guessed.
 * Not here: which paths there are (endpoints.tbl.h), which key an id is bound to (dataplane/video.c), the money (controlplane/jobs.h).
 *
 * An id carries its way: "video_" + base64url( 1 | print of the credential 8 | tag 8 | n provider | n model | task ). The tag is an HMAC with
 * the provider's credential over the client's key and all the rest, so that an id is good for the key that made it and for no other, after any
 * restart, without a table. */
#pragma once

#include "proto/dialect/exchange.h"

#include <yyjson.h>

enum video_op { VIDEO_NONE, VIDEO_CREATE, VIDEO_RETRIEVE, VIDEO_CONTENT, VIDEO_DELETE, VIDEO_LIST, VIDEO_OTHER };
enum video_form { VIDEO_OPENAI, VIDEO_ARK }; /* what the provider speaks */
enum { VIDEO_TAG_BYTES = 8, VIDEO_TASK_BYTES = 63, VIDEO_EXTRAS = 12 };

struct video_id {
    struct str provider, model, task; /* model: as the client named it */
    uint64_t print;                   /* of the credential that made the task */
    uint8_t tag[VIDEO_TAG_BYTES];
};
/* credential and caller: what the tag is made of; caller: the hash of the client's key, or empty. */
void video_id_sign(struct video_id *id, struct str credential, struct str caller);
/* What a credential is known by where it must not be told; 0: of none. */
uint64_t video_print(struct str credential);
bool video_id_is_good(const struct video_id *id, struct str credential, struct str caller);
void video_id_write(const struct video_id *id, struct buf *out);
bool video_id_read(struct str text, struct arena *a, struct video_id *ret_id);

struct video_call {
    enum video_op op;
    struct video_id id; /* of all but create: what the path says; of create: what the answer's id is made of */

    struct video_list {   /* list */
        struct str after; /* task; empty: from the beginning */
        unsigned limit;
        bool oldest_first;
    } list;

    /* create */
    struct str prompt, size, image_url, image, image_type; /* image: the bytes of an upload */
    int64_t seconds;
    unsigned extras_n;
    struct video_extra {
        const char *key;
        struct str json;
    } extra[VIDEO_EXTRAS]; /* the provider's own parameters */

    /* of the attempt */
    enum video_form form;
    struct str credential, caller;

    /* said by the answer */
    struct str task;     /* created */
    struct str location; /* content: where it lies */
};

enum video_op video_op_of(const struct endpoint *e);
/* Fills call->video and call->model; for an endpoint that video_op_of() knows. */
enum weir_err video_read_call(const struct endpoint *e, const struct endpoint_place *place, struct str content_type,
                              struct str body, struct arena *a, struct call *call, struct str *ret_why);
/* The body of a call that is not passed on as it came; nothing where it has none. */
void video_write_request(const struct video_call *v, struct str model, struct buf *out);
/* The path behind the base path, in the arena. */
struct str video_path(const struct video_call *v, struct arena *a);
/* Tokens that a task of this call can cost at most. */
int64_t video_token_bound(const struct video_call *v);
enum weir_err video_read_list(struct str query, struct arena *a, struct video_call *v, struct str *ret_why);
struct str video_list_path(const struct video_call *v, struct arena *a);
/* A provider's task as the video of call->video->id. false: its state is not known, nothing was written. */
bool video_write_task(struct exchange *x, yyjson_val *task, struct buf *out);
enum weir_err video_write_list(struct exchange *x, yyjson_val *root, struct buf *out);
/* A whole 200 answer of the provider, for the client. */
enum weir_err video_answer(struct exchange *x, struct str body, struct buf *out);

/* What a provider says of a task, as far as money is concerned. */
enum video_state { VIDEO_OPEN, VIDEO_DONE, VIDEO_FAILED, VIDEO_CANCELLED, VIDEO_EXPIRED };
struct video_task {
    enum video_state state;
    int64_t tokens;       /* -1: not said */
    int64_t milliseconds; /* of sound and picture; 0: not said */
    bool flex;            /* the cheaper queue */
    struct str error;     /* its code, for people */
};
bool video_task_read(enum video_form form, struct str body, struct arena *a, struct video_task *ret_task);
