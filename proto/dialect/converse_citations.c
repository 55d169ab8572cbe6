/* Citations of Converse: a block of its own kind whose text rests on them, deltas of a text block in a stream. */
#include "proto/dialect/converse.h"

#include "proto/dialect/tree.h"

static const struct place {
    const char *member, *number;
    enum citation_kind kind;
    enum citation_unit unit;
} PLACES[] = {
    {"documentChar", "documentIndex", CITED_DOCUMENT, UNIT_CHARS},
    {"documentPage", "documentIndex", CITED_DOCUMENT, UNIT_PAGES},
    {"documentChunk", "documentIndex", CITED_DOCUMENT, UNIT_BLOCKS},
    {"searchResultLocation", "searchResultIndex", CITED_SOURCE, UNIT_BLOCKS},
};
enum { PLACES_N = sizeof PLACES / sizeof *PLACES };

struct str converse_cited_text(yyjson_val *pieces, struct arena *a)
{
    size_t i, n;
    yyjson_val *piece;
    struct buf all = {0};
    if (yyjson_arr_size(pieces) == 1) return tree_get_str(yyjson_arr_get_first(pieces), "text");
    yyjson_arr_foreach(pieces, i, n, piece) buf_add(&all, tree_get_str(piece, "text"));
    struct str copy = arena_copy(a, buf_view(&all));
    buf_fini(&all);
    return copy;
}

static bool read_place(yyjson_val *location, struct citation *c)
{
    yyjson_val *web = tree_get(location, "web");
    if (web != NULL) {
        *c = citation_of(CITED_URL);
        c->url = tree_get_str(web, "url");
        return true;
    }
    for (size_t i = 0; i < PLACES_N; i++) {
        yyjson_val *at = tree_get(location, PLACES[i].member);
        if (at == NULL) continue;
        *c = citation_of(PLACES[i].kind);
        c->unit = PLACES[i].unit;
        c->number = tree_get_i64(at, PLACES[i].number);
        c->from = tree_get_i64(at, "start");
        c->to = tree_get_i64(at, "end");
        return true;
    }
    return false;
}

bool converse_read_citation(yyjson_val *v, struct arena *a, struct citation *ret_citation)
{
    struct citation c;
    struct str source = tree_get_str(v, "source");
    if (!read_place(tree_get(v, "location"), &c)) {
        if (source.n == 0) return false;
        c = citation_of(CITED_SOURCE);
    }
    c.title = tree_get_str(v, "title");
    c.cited = converse_cited_text(tree_get(v, "sourceContent"), a);
    if (c.kind == CITED_SOURCE) c.id = source;
    if (c.url.n == 0 && (str_starts(source, STR("https://")) || str_starts(source, STR("http://")))) c.url = source;
    *ret_citation = c;
    return true;
}

void converse_read_citations(yyjson_val *list, struct arena *a, struct citations *ret_list)
{
    size_t i, n;
    yyjson_val *v;
    struct citation c;
    yyjson_arr_foreach(list, i, n, v)
    {
        if (converse_read_citation(v, a, &c)) citation_add(ret_list, a, &c);
    }
}

/* ---- Writing ---- */

static void write_place(const struct citation *c, struct buf *out)
{
    const struct place *at = &PLACES[c->kind == CITED_DOCUMENT ? 0 : PLACES_N - 1];
    for (size_t i = 0; i < PLACES_N; i++)
        if (PLACES[i].kind == c->kind && PLACES[i].unit == c->unit) at = &PLACES[i];
    int64_t from = c->from > 0 ? c->from : 0, to = c->to;
    if (to <= from) to = at->unit == UNIT_CHARS ? from + citation_points(c->cited) : from + 1;
    buf_addf(out, "{\"%s\":{\"%s\":%lld,\"start\":%lld,\"end\":%lld}}", at->member, at->number,
             (long long)(c->number > 0 ? c->number : 0), (long long)from, (long long)to);
}

void converse_write_citation(const struct citation *c, struct buf *out)
{
    buf_addc(out, '{');
    if (c->title.n > 0) {
        buf_add(out, STR("\"title\":"));
        buf_add_json_str(out, c->title);
        buf_addc(out, ',');
    }
    if (c->id.n > 0) {
        buf_add(out, STR("\"source\":"));
        buf_add_json_str(out, c->id);
        buf_addc(out, ',');
    }
    if (c->cited.n > 0) {
        buf_add(out, STR("\"sourceContent\":[{\"text\":"));
        buf_add_json_str(out, c->cited);
        buf_add(out, STR("}],"));
    }
    buf_add(out, STR("\"location\":"));
    if (c->kind == CITED_URL) {
        buf_add(out, STR("{\"web\":{\"url\":"));
        buf_add_json_str(out, c->url);
        buf_add(out, STR("}}"));
    } else {
        write_place(c, out);
    }
    buf_addc(out, '}');
}

void converse_write_cited(struct str text, const struct citation *first, unsigned n, struct buf *out)
{
    buf_add(out, STR("{\"citationsContent\":{\"content\":[{\"text\":"));
    buf_add_json_str(out, text);
    buf_add(out, STR("}],\"citations\":["));
    for (unsigned i = 0; i < n; i++, first = first->next) {
        if (i > 0) buf_addc(out, ',');
        converse_write_citation(first, out);
    }
    buf_add(out, STR("]}}"));
}
