#include "proto/auth/digest.h"
#include "proto/base/base64.h"
#include "proto/dialect/video.h"

#include <string.h>

enum { ID_VERSION = 1, ID_HEAD = 1 + 8 + VIDEO_TAG_BYTES, ID_MOST_BYTES = 512, NAME_MOST = 255 };
static const struct str PREFIX = {"video_", 6};

/* A task's name goes into a path as it is. */
static bool is_plain(struct str task)
{
    for (size_t i = 0; i < task.n; i++) {
        char c = task.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '-' && c != '_' && (c != '.' || i == 0)) return false;
    }
    return task.n > 0 && task.n <= VIDEO_TASK_BYTES;
}

static void add_body(const struct video_id *id, struct buf *out)
{
    for (int i = 0; i < 8; i++) buf_addc(out, (char)(uint8_t)(id->print >> (56 - 8 * i)));
    buf_addc(out, (char)(uint8_t)id->provider.n);
    buf_add(out, id->provider);
    buf_addc(out, (char)(uint8_t)id->model.n);
    buf_add(out, id->model);
    buf_add(out, id->task);
}

static void make_tag(const struct video_id *id, struct str credential, struct str caller, uint8_t tag[VIDEO_TAG_BYTES])
{
    uint8_t mac[DIGEST_BYTES];
    struct buf text = {0};
    buf_addz(&text, "weir video id\n");
    buf_addc(&text, (char)(uint8_t)caller.n);
    buf_add(&text, caller);
    add_body(id, &text);
    digest_hmac(credential, buf_view(&text), mac);
    buf_fini(&text);
    memcpy(tag, mac, VIDEO_TAG_BYTES);
}

uint64_t video_print(struct str credential)
{
    uint8_t mac[DIGEST_BYTES];
    uint64_t n = 0;
    if (credential.n == 0) return 0;
    digest_hmac(credential, STR("weir video credential"), mac);
    for (unsigned i = 0; i < 8; i++) n = n << 8 | mac[i];
    return n;
}

void video_id_sign(struct video_id *id, struct str credential, struct str caller)
{
    id->provider = str_slice(id->provider, 0, NAME_MOST);
    id->model = str_slice(id->model, 0, NAME_MOST);
    make_tag(id, credential, caller, id->tag);
}

bool video_id_is_good(const struct video_id *id, struct str credential, struct str caller)
{
    uint8_t tag[VIDEO_TAG_BYTES];
    make_tag(id, credential, caller, tag);
    return str_ct_eq((struct str){(const char *)tag, sizeof tag}, (struct str){(const char *)id->tag, sizeof id->tag});
}

void video_id_write(const struct video_id *id, struct buf *out)
{
    struct buf bytes = {0};
    buf_addc(&bytes, ID_VERSION);
    buf_add(&bytes, (struct str){(const char *)id->tag, VIDEO_TAG_BYTES});
    add_body(id, &bytes);
    buf_add(out, PREFIX);
    base64_encode_url(buf_view(&bytes), out);
    buf_fini(&bytes);
}

static bool take(struct str *rest, struct str *ret_part)
{
    size_t n = rest->n > 0 ? (uint8_t)rest->p[0] : 0;
    if (rest->n < 1 + n) return false;
    *ret_part = str_slice(*rest, 1, 1 + n);
    *rest = str_slice(*rest, 1 + n, rest->n);
    return true;
}

bool video_id_read(struct str text, struct arena *a, struct video_id *ret_id)
{
    struct buf bytes = {0};
    struct video_id id = {.print = 0};
    if (!str_starts(text, PREFIX) || text.n > 2 * ID_MOST_BYTES) return false;
    bool ok = base64_decode(str_slice(text, PREFIX.n, text.n), &bytes);
    struct str rest = arena_copy(a, buf_view(&bytes));
    buf_fini(&bytes);
    if (!ok || rest.n < ID_HEAD || rest.p[0] != ID_VERSION) return false;
    memcpy(id.tag, rest.p + 1, VIDEO_TAG_BYTES);
    for (unsigned i = 0; i < 8; i++) id.print = id.print << 8 | (uint8_t)rest.p[1 + VIDEO_TAG_BYTES + i];
    rest = str_slice(rest, ID_HEAD, rest.n);
    if (!take(&rest, &id.provider) || !take(&rest, &id.model) || id.provider.n == 0 || !is_plain(rest)) return false;
    id.task = rest;
    *ret_id = id;
    return true;
}
