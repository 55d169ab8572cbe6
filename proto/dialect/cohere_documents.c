/* Documents stand beside the messages at Cohere, each with an id that its citations name. In the hub they are parts of a user's turn,
 * and a citation names them by their number among all documents. */
#include "proto/dialect/cohere.h"

#include "proto/dialect/tree.h"
#include "proto/dialect/turns.h"

#define OWN_ID "weir-doc-"

/* ---- Reading ---- */

static struct str text_of(yyjson_val *document, struct arena *a)
{
    yyjson_val *data = tree_get(document, "data");
    struct str text = tree_get_str(data, "text");
    if (yyjson_is_str(document)) return tree_str(document);
    if (text.n == 0) text = tree_get_str(data, "snippet");
    return text.n > 0 && yyjson_obj_size(data) <= 2 ? text : tree_text(data, a); /* whatever else it is made of */
}

static struct message *last_user(struct chat *chat)
{
    struct message *found = NULL;
    for (struct message *m = chat->messages; m != NULL; m = m->next)
        if (m->role == ROLE_USER) found = m;
    return found;
}

enum weir_err cohere_read_documents(struct chat *chat, yyjson_val *list, struct arena *a, struct str *ret_why)
{
    size_t i, n;
    yyjson_val *v;
    struct parts all = {0};
    struct message *m = last_user(chat);
    if (yyjson_arr_size(list) == 0) return WEIR_OK;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > PARTS_MOST || m == NULL) {
        *ret_why = m == NULL ? STR("documents need a message of the user's that asks about them")
                             : STR("documents must be an array, and not so long");
        return WEIR_BAD_REQUEST;
    }
    yyjson_arr_foreach(list, i, n, v)
    {
        struct part *p = part_add(&all, a, PART_DOCUMENT);
        struct str id = tree_get_str(v, "id");
        p->source = SOURCE_TEXT;
        p->media_type = STR("text/plain");
        p->data = text_of(v, a);
        p->title = tree_get_str(tree_get(v, "data"), "title");
        p->has_citations = true;
        name_add(&chat->document_ids, a, id.n > 0 ? id : arena_printf(a, "doc:%zu", i));
    }
    all.last->next = m->parts.first;
    m->parts.first = all.first;
    if (m->parts.last == NULL) m->parts.last = all.last;
    m->parts.n += all.n;
    return WEIR_OK;
}

/* ---- Writing ---- */

static void write_one(const struct part *p, int64_t number, bool first, struct buf *out)
{
    buf_addz(out, first ? "[" : ",");
    buf_addf(out, "{\"id\":\"" OWN_ID "%lld\",\"data\":{", (long long)number);
    if (p->title.n > 0) {
        buf_add(out, STR("\"title\":"));
        buf_add_json_str(out, p->title);
        buf_addc(out, ',');
    }
    buf_add(out, STR("\"text\":"));
    buf_add_json_str(out, p->data);
    buf_add(out, STR("}}"));
}

static bool has_text(const struct message *m)
{
    for (const struct part *p = m->parts.first; p != NULL; p = p->next)
        if (p->kind == PART_TEXT && p->text.n > 0) return true;
    return false;
}

/* Those that may be cited leave their turn, where something else is left in it. */
static void take_from(struct message *m, int64_t *number, bool *first, struct buf *out)
{
    struct parts kept = {0};
    bool may = m->role == ROLE_USER && has_text(m);
    struct part *next;
    for (struct part *p = m->parts.first; p != NULL; p = next) {
        next = p->next;
        int64_t own = p->kind == PART_DOCUMENT ? (*number)++ : -1;
        if (may && own >= 0 && p->source == SOURCE_TEXT && p->has_citations && p->data.n > 0) {
            write_one(p, own, *first, out);
            *first = false;
            continue;
        }
        p->next = NULL;
        *(kept.last == NULL ? &kept.first : &kept.last->next) = p;
        kept.last = p;
        kept.n++;
    }
    m->parts = kept;
}

struct str cohere_take_documents(struct turns *turns, struct arena *a)
{
    struct buf list = {0};
    int64_t number = 0;
    bool first = true;
    for (struct message *m = turns->first; m != NULL; m = m->next) take_from(m, &number, &first, &list);
    if (!first) buf_addc(&list, ']');
    struct str json = arena_copy(a, buf_view(&list));
    buf_fini(&list);
    return json;
}

bool cohere_document_number(struct str id, int64_t *ret_number)
{
    const struct str own = STR(OWN_ID);
    return str_starts(id, own) && str_i64(str_slice(id, own.n, id.n), ret_number) && *ret_number >= 0;
}
