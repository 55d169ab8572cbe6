/* Videos of the last days as a provider of tasks lists them: newest first, in pages that know no ids. One page as long as Ark gives is
 * asked for wherever the client wants less than all of the newest ones. Source: Ark, "list tasks"; OpenAI's Videos, "list". */
#include "proto/base/buf.h"
#include "proto/dialect/tree.h"
#include "proto/dialect/video.h"
#include "proto/wire/url.h"

#include <string.h>

enum { USUAL_LIMIT = 20, MOST_LIMIT = 100, PAGE_MOST = 500 };

/* ---- asked ---- */

static bool read_limit(struct video_list *l, struct str value)
{
    uint64_t n;
    if (!str_u64(value, &n) || n < 1 || n > MOST_LIMIT) return false;
    l->limit = (unsigned)n;
    return true;
}

enum weir_err video_read_list(struct str query, struct arena *a, struct video_call *v, struct str *ret_why)
{
    struct video_list *l = &v->list;
    bool good = true;
    l->limit = USUAL_LIMIT;
    while (query.n > 0 && good) {
        struct str pair = str_split(&query, '&'), key = str_split(&pair, '=');
        struct video_id after;
        if (str_is(key, "limit")) {
            good = read_limit(l, pair);
            if (!good) *ret_why = STR("limit must be a number from 1 to 100");
        } else if (str_is(key, "order")) {
            l->oldest_first = str_is(pair, "asc");
            good = l->oldest_first || str_is(pair, "desc");
            if (!good) *ret_why = STR("order must be asc or desc");
        } else if (str_is(key, "after")) {
            good = video_id_read(pair, a, &after);
            if (good) l->after = after.task;
            if (!good) *ret_why = STR("after is no id of a video that was created here");
        }
    }
    return good ? WEIR_OK : WEIR_BAD_REQUEST;
}

struct str video_list_path(const struct video_call *v, struct arena *a)
{
    const struct video_list *l = &v->list;
    unsigned size = l->oldest_first || l->after.n > 0 ? PAGE_MOST : l->limit + 1;
    return arena_printf(a, "/contents/generations/tasks?page_num=1&page_size=%u", size);
}

/* ---- answered ---- */

struct page {
    yyjson_val *items;
    size_t from, n; /* of those that are shown: the first, how many */
    bool more;
};

static yyjson_val *item_at(const struct video_list *l, yyjson_val *items, size_t i)
{
    size_t all = yyjson_arr_size(items);
    return yyjson_arr_get(items, l->oldest_first ? all - 1 - i : i);
}

static struct page cut(const struct video_list *l, yyjson_val *items)
{
    size_t all = yyjson_arr_size(items);
    struct page p = {.items = items};
    if (l->after.n > 0) {
        while (p.from < all && !str_eq(tree_get_str(item_at(l, items, p.from), "id"), l->after)) p.from++;
        if (p.from < all) p.from++;
    }
    p.n = all - p.from < l->limit ? all - p.from : l->limit;
    p.more = p.from + p.n < all;
    return p;
}

static void add_id(struct video_call *v, yyjson_val *task, struct buf *out)
{
    v->id.task = tree_get_str(task, "id");
    v->id.model = tree_get_str(task, "model");
    video_id_sign(&v->id, v->credential, v->caller);
    buf_addc(out, '"');
    video_id_write(&v->id, out);
    buf_addc(out, '"');
}

enum weir_err video_write_list(struct exchange *x, yyjson_val *root, struct buf *out)
{
    struct video_call *v = x->call->video;
    yyjson_val *items = tree_get(root, "items");
    if (!yyjson_is_arr(items)) return WEIR_UP_PROTOCOL;
    struct page p = cut(&v->list, items);
    struct buf first = {0}, last = {0};
    size_t shown = 0;
    buf_addz(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < p.n; i++) {
        yyjson_val *task = item_at(&v->list, items, p.from + i);
        struct buf *end = shown == 0 ? &first : &last;
        buf_clear(end);
        add_id(v, task, end);
        if (shown > 0) buf_addc(out, ',');
        size_t before = buf_len(out);
        if (video_write_task(x, task, out))
            shown++;
        else
            buf_truncate(out, before - (shown > 0)); /* of a state that nobody knows */
    }
    struct str last_id = shown > 1 ? buf_view(&last) : buf_view(&first);
    buf_addz(out, "],\"first_id\":");
    buf_add(out, shown > 0 ? buf_view(&first) : STR("null"));
    buf_addz(out, ",\"last_id\":");
    buf_add(out, shown > 0 ? last_id : STR("null"));
    buf_addf(out, ",\"has_more\":%s}", p.more ? "true" : "false");
    buf_fini(&first);
    buf_fini(&last);
    return WEIR_OK;
}
