/* What a Gemini answer rests on: chunks (pages, files), and supports that say in bytes of the text which of them it is for. */
#include "proto/dialect/gemini_grounding.h"

#include "proto/dialect/gemini.h"
#include "proto/dialect/tree.h"

/* ---- Reading ---- */

struct reading {
    const struct text_map *text;
    yyjson_val *parts;
    void (*found)(void *to, const struct citation *c);
    void *to;
};

static bool read_chunk(yyjson_val *chunk, struct citation *ret_citation)
{
    static const char *const PAGES[] = {"web", "maps", "image"};
    yyjson_val *kept = gemini_get(chunk, "retrievedContext"), *v = NULL;
    struct citation c = citation_of(CITED_URL);
    for (size_t i = 0; i < sizeof PAGES / sizeof *PAGES && v == NULL; i++) v = gemini_get(chunk, PAGES[i]);
    if (v == NULL) v = kept;
    c.title = gemini_get_str(v, "title");
    c.url = gemini_get_str(v, "uri");
    if (c.url.n == 0) c.url = gemini_get_str(v, "sourceUri");
    c.cited = gemini_get_str(v, "text");
    if (v == kept && !str_starts(c.url, STR("http"))) {
        c.kind = CITED_FILE;
        c.id = c.url.n > 0 ? c.url : gemini_get_str(v, "documentName");
        c.url = STR_NULL;
    }
    *ret_citation = c;
    return c.url.n + c.id.n + c.title.n > 0;
}

/* Offsets are of one part; the texts of the parts before it are in the map as well. */
static int64_t bytes_before(const struct reading *r, int64_t part_index)
{
    size_t i, n;
    yyjson_val *part;
    int64_t bytes = 0;
    yyjson_arr_foreach(r->parts, i, n, part)
    {
        if ((int64_t)i >= part_index) break;
        if (!yyjson_is_true(gemini_get(part, "thought"))) bytes += (int64_t)gemini_get_str(part, "text").n;
    }
    return bytes;
}

static void set_span(const struct reading *r, yyjson_val *segment, struct citation *c)
{
    int64_t start = tree_i64(gemini_get(segment, "startIndex"), &start) ? start : 0, end, part, before = 0;
    if (!tree_i64(gemini_get(segment, "endIndex"), &end)) return;
    if (tree_i64(gemini_get(segment, "partIndex"), &part) && part > 0) before = bytes_before(r, part);
    if (start < 0 || end < 0 || end > r->text->bytes || start > end) return;
    citation_set_span(c, text_map_point(r->text, before + start), text_map_point(r->text, before + end));
}

static void read_support(const struct reading *r, yyjson_val *chunks, yyjson_val *support)
{
    size_t i, n;
    yyjson_val *v;
    struct citation c;
    int64_t number;
    yyjson_arr_foreach(gemini_get(support, "groundingChunkIndices"), i, n, v)
    {
        if (!tree_i64(v, &number) || number < 0 || !read_chunk(yyjson_arr_get(chunks, (size_t)number), &c)) continue;
        set_span(r, gemini_get(support, "segment"), &c);
        r->found(r->to, &c);
    }
}

static void read_grounding(const struct reading *r, yyjson_val *grounding)
{
    size_t i, n;
    yyjson_val *v, *chunks = gemini_get(grounding, "groundingChunks"),
                   *supports = gemini_get(grounding, "groundingSupports");
    struct citation c;
    if (yyjson_arr_size(chunks) > CITATIONS_MOST) return; /* each is looked for by its place */
    yyjson_arr_foreach(supports, i, n, v) read_support(r, chunks, v);
    if (yyjson_arr_size(supports) > 0) return;
    yyjson_arr_foreach(chunks, i, n, v)
    {
        if (read_chunk(v, &c)) r->found(r->to, &c);
    }
}

static void read_recited(const struct reading *r, yyjson_val *list)
{
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(list, i, n, v)
    {
        struct citation c = citation_of(CITED_URL);
        c.url = gemini_get_str(v, "uri");
        c.title = gemini_get_str(v, "title");
        if (c.url.n == 0) continue;
        set_span(r, v, &c);
        r->found(r->to, &c);
    }
}

void gemini_read_grounding(yyjson_val *candidate, const struct text_map *text, yyjson_val *parts,
                           void (*found)(void *to, const struct citation *c), void *to)
{
    const struct reading r = {text, parts, found, to};
    yyjson_val *recited = gemini_get(candidate, "citationMetadata");
    read_grounding(&r, gemini_get(candidate, "groundingMetadata"));
    read_recited(&r, gemini_get(recited, "citations"));
    read_recited(&r, gemini_get(recited, "citationSources"));
}

/* ---- Writing ---- */

struct grounding_chunk {
    struct grounding_chunk *next;
    struct citation c;
    unsigned number;
};

struct grounding_support {
    struct grounding_support *next;
    int64_t from, to;
    unsigned chunk;
    int part;
};

static bool is_same(const struct citation *a, const struct citation *b)
{
    return a->kind == b->kind && a->number == b->number && str_eq(a->url, b->url) && str_eq(a->id, b->id) &&
           str_eq(a->title, b->title) && str_eq(a->cited, b->cited);
}

static unsigned chunk_of(struct gemini_grounding *g, struct arena *a, const struct citation *c)
{
    struct grounding_chunk **at = &g->chunks;
    while (*at != NULL && !is_same(&(*at)->c, c)) at = &(*at)->next;
    if (*at == NULL) {
        *at = arena_zalloc(a, sizeof **at);
        (*at)->c = *citation_copy(a, c);
        (*at)->number = g->chunks_n++;
    }
    return (*at)->number;
}

void gemini_grounding_add(struct gemini_grounding *g, struct arena *a, const struct citation *c, int64_t from,
                          int64_t to, int part)
{
    struct grounding_support **end = g->supports_end == NULL ? &g->supports : g->supports_end, *s;
    if (g->n == CITATIONS_MOST) return;
    g->n++;
    s = *end = arena_zalloc(a, sizeof *s);
    *s = (struct grounding_support){.from = from, .to = to, .chunk = chunk_of(g, a, c), .part = part};
    g->supports_end = &s->next;
}

static void write_chunk(const struct citation *c, struct buf *out)
{
    bool web = c->url.n > 0;
    buf_addz(out, web ? "{\"web\":{\"uri\":" : "{\"retrievedContext\":{\"uri\":");
    buf_add_json_str(out, web ? c->url : c->id);
    buf_add(out, STR(",\"title\":"));
    buf_add_json_str(out, c->title);
    if (!web && c->cited.n > 0) {
        buf_add(out, STR(",\"text\":"));
        buf_add_json_str(out, c->cited);
    }
    buf_add(out, STR("}}"));
}

void gemini_grounding_write(const struct gemini_grounding *g, struct buf *out)
{
    if (g->n == 0) return;
    buf_add(out, STR(",\"groundingMetadata\":{\"groundingChunks\":["));
    for (const struct grounding_chunk *c = g->chunks; c != NULL; c = c->next) {
        if (c != g->chunks) buf_addc(out, ',');
        write_chunk(&c->c, out);
    }
    buf_add(out, STR("],\"groundingSupports\":["));
    for (const struct grounding_support *s = g->supports; s != NULL; s = s->next) {
        buf_addz(out, s == g->supports ? "{\"segment\":{" : ",{\"segment\":{");
        if (s->part > 0) buf_addf(out, "\"partIndex\":%d,", s->part);
        buf_addf(out, "\"startIndex\":%lld,\"endIndex\":%lld},\"groundingChunkIndices\":[%u]}", (long long)s->from,
                 (long long)s->to, s->chunk);
    }
    buf_add(out, STR("]}"));
}
