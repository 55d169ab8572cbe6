/* Citations of a text block: where in a document of the request, in a search result, on which page of the web. */
#include "proto/dialect/anthropic.h"

#include "proto/dialect/mark.h"
#include "proto/dialect/tree.h"

static const struct place {
    const char *type;
    enum citation_unit unit;
    const char *from, *to;
} DOCUMENT_PLACES[] = {
    {"char_location", UNIT_CHARS, "start_char_index", "end_char_index"},
    {"page_location", UNIT_PAGES, "start_page_number", "end_page_number"},
    {"content_block_location", UNIT_BLOCKS, "start_block_index", "end_block_index"},
};
enum { DOCUMENT_PLACES_N = sizeof DOCUMENT_PLACES / sizeof *DOCUMENT_PLACES };
static const struct place RESULT_PLACE = {"search_result_location", UNIT_BLOCKS, "start_block_index",
                                          "end_block_index"};

/* ---- Reading ---- */

static void read_place(struct citation *c, yyjson_val *v, const struct place *at)
{
    c->unit = at->unit;
    c->from = tree_get_i64(v, at->from);
    c->to = tree_get_i64(v, at->to);
}

static bool read_document(struct citation *c, yyjson_val *v, struct str type)
{
    for (size_t i = 0; i < DOCUMENT_PLACES_N; i++) {
        if (!str_is(type, DOCUMENT_PLACES[i].type)) continue;
        *c = citation_of(CITED_DOCUMENT);
        read_place(c, v, &DOCUMENT_PLACES[i]);
        c->number = tree_get_i64(v, "document_index");
        c->title = tree_get_str(v, "document_title");
        c->id = tree_get_str(v, "file_id");
        return true;
    }
    return false;
}

static void read_result(struct citation *c, yyjson_val *v)
{
    struct str source = tree_get_str(v, "source");
    *c = citation_of(CITED_SOURCE);
    read_place(c, v, &RESULT_PLACE);
    c->number = tree_get_i64(v, "search_result_index");
    c->title = tree_get_str(v, "title");
    c->id = source;
    if (str_starts(source, STR("http://")) || str_starts(source, STR("https://"))) c->url = source;
}

bool anthropic_read_citation(yyjson_val *v, struct citation *ret_citation)
{
    struct str type = tree_get_str(v, "type");
    struct citation c;
    if (str_is(type, "web_search_result_location")) {
        c = citation_of(CITED_URL);
        c.url = tree_get_str(v, "url");
        c.title = tree_get_str(v, "title");
        c.proof = tree_get_str(v, "encrypted_index");
    } else if (str_is(type, RESULT_PLACE.type)) {
        read_result(&c, v);
    } else if (!read_document(&c, v, type)) {
        return false;
    }
    c.cited = tree_get_str(v, "cited_text");
    *ret_citation = c;
    return true;
}

void anthropic_read_citations(yyjson_val *list, struct arena *a, struct citations *ret_list)
{
    size_t i, n;
    yyjson_val *v;
    struct citation c;
    yyjson_arr_foreach(list, i, n, v)
    {
        if (anthropic_read_citation(v, &c)) citation_add(ret_list, a, &c);
    }
}

/* ---- Writing ---- */

static void member(struct buf *out, const char *key, struct str text)
{
    buf_addf(out, ",\"%s\":", key);
    if (text.n > 0)
        buf_add_json_str(out, text);
    else
        buf_add(out, STR("null"));
}

static void number(struct buf *out, const char *key, int64_t n)
{
    buf_addf(out, ",\"%s\":%lld", key, (long long)(n > 0 ? n : 0));
}

static void write_place(const struct citation *c, const struct place *at, struct buf *out)
{
    int64_t to = c->to;
    if (to <= c->from) to = at->unit == UNIT_CHARS ? c->from + citation_points(c->cited) : c->from + 1;
    number(out, at->from, c->from);
    number(out, at->to, to);
}

static void write_document(const struct citation *c, bool back, struct buf *out)
{
    const struct place *at = &DOCUMENT_PLACES[0];
    for (size_t i = 0; i < DOCUMENT_PLACES_N; i++)
        if (DOCUMENT_PLACES[i].unit == c->unit) at = &DOCUMENT_PLACES[i];
    buf_addf(out, "\"%s\"", at->type);
    number(out, "document_index", c->number);
    member(out, "document_title", c->title);
    if (!back) member(out, "file_id", c->id); /* a request has no such member */
    write_place(c, at, out);
}

static void write_citation(const struct citation *c, bool back, struct buf *out)
{
    buf_add(out, STR("{\"type\":"));
    if (c->kind == CITED_URL) {
        buf_add(out, STR("\"web_search_result_location\",\"url\":"));
        buf_add_json_str(out, c->url);
        member(out, "title", c->title);
        buf_add(out, STR(",\"encrypted_index\":"));
        buf_add_json_str(out, c->proof.n > 0 ? c->proof : STR(MARK));
    } else if (c->kind == CITED_DOCUMENT) {
        write_document(c, back, out);
    } else {
        buf_addf(out, "\"%s\",\"source\":", RESULT_PLACE.type);
        buf_add_json_str(out, c->id);
        member(out, "title", c->title);
        number(out, "search_result_index", c->number);
        write_place(c, &RESULT_PLACE, out);
    }
    buf_add(out, STR(",\"cited_text\":"));
    buf_add_json_str(out, c->cited);
    buf_addc(out, '}');
}

void anthropic_write_citation(const struct citation *c, struct buf *out)
{
    write_citation(c, false, out);
}

bool anthropic_write_cited_before(const struct citations *list, struct buf *out)
{
    unsigned n = 0, lost = 0;
    for (const struct citation *c = list->first; c != NULL; c = c->next) {
        if (c->kind == CITED_URL && (c->proof.n == 0 || str_starts(c->proof, STR(MARK)))) {
            lost++;
            continue;
        }
        buf_addz(out, n++ == 0 ? ",\"citations\":[" : ",");
        write_citation(c, true, out);
    }
    if (n > 0) buf_addc(out, ']');
    return lost == 0;
}
