/* Citations of Cohere: spans of a content block, each with the documents or tool results that it rests on. */
#include "proto/dialect/cohere.h"

#include "proto/dialect/tree.h"

/* ---- Reading ---- */

static struct str first_of(yyjson_val *o, const char *const *keys, size_t n)
{
    struct str text = STR_NULL;
    for (size_t i = 0; i < n && text.n == 0; i++) text = tree_get_str(o, keys[i]);
    return text;
}

/* What a document is made of is the caller's: these members are what most have. */
static struct citation read_source(yyjson_val *source)
{
    static const char *const WORDS[] = {"snippet", "text", "content"}, *const PAGES[] = {"url", "uri", "link"};
    yyjson_val *document = tree_get(source, "document"),
               *o = document != NULL ? document : tree_get(source, "tool_output");
    struct citation c = citation_of(CITED_SOURCE);
    c.id = tree_get_str(source, "id");
    c.title = tree_get_str(o, "title");
    c.cited = first_of(o, WORDS, sizeof WORDS / sizeof *WORDS);
    c.url = first_of(o, PAGES, sizeof PAGES / sizeof *PAGES);
    if (!str_starts(c.url, STR("http"))) c.url = STR_NULL;
    if (cohere_document_number(c.id, &c.number)) {
        c.kind = CITED_DOCUMENT;
        c.id = STR_NULL;
        c.unit = UNIT_CHARS;
        c.to = citation_points(c.cited);
    } else if (c.url.n > 0) {
        c.kind = CITED_URL;
    }
    return c;
}

int64_t cohere_read_citation(yyjson_val *v, void (*found)(void *to, const struct citation *c), void *to)
{
    size_t i, n;
    yyjson_val *source;
    int64_t content = tree_get_i64(v, "content_index");
    struct str type = tree_get_str(v, "type");
    if (type.n > 0 && !str_is(type, "TEXT_CONTENT")) return -1; /* of a thought or a plan */
    yyjson_arr_foreach(tree_get(v, "sources"), i, n, source)
    {
        struct citation c = read_source(source);
        citation_set_span(&c, tree_get_i64(v, "start"), tree_get_i64(v, "end"));
        if (found != NULL) found(to, &c);
    }
    return content < 0 ? 0 : content;
}

/* ---- Writing ---- */

static void write_id(const struct citation *c, struct buf *out)
{
    struct str id = c->id.n > 0 ? c->id : c->url;
    if (id.n > 0)
        buf_add_json_str(out, id);
    else
        buf_addf(out, "\"doc:%lld\"", (long long)(c->number > 0 ? c->number : 0));
}

static void write_source(const struct citation *c, struct buf *out)
{
    buf_add(out, STR("{\"type\":\"document\",\"id\":"));
    write_id(c, out);
    buf_add(out, STR(",\"document\":{\"id\":"));
    write_id(c, out);
    const struct {
        const char *key;
        struct str text;
    } members[] = {{"title", c->title}, {"url", c->url}, {"snippet", c->cited}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (members[i].text.n == 0) continue;
        buf_addf(out, ",\"%s\":", members[i].key);
        buf_add_json_str(out, members[i].text);
    }
    buf_add(out, STR("}}"));
}

const struct citation *cohere_write_citation(const struct citation *c, struct str text, int content, struct buf *out)
{
    const struct citation *next = c;
    buf_addf(out, "{\"start\":%lld,\"end\":%lld,\"text\":", (long long)c->start, (long long)c->end);
    buf_add_json_str(out, text);
    buf_add(out, STR(",\"sources\":["));
    for (; next != NULL && next->start == c->start && next->end == c->end; next = next->next) {
        if (next != c) buf_addc(out, ',');
        write_source(next, out);
    }
    buf_addc(out, ']');
    if (content >= 0) buf_addf(out, ",\"content_index\":%d", content);
    buf_add(out, STR(",\"type\":\"TEXT_CONTENT\"}"));
    return next;
}
