/* Annotations of OpenAI: flat in Responses, around a member of their type in Chat. Look-alikes add words of the page, or a list
 * of what was searched beside the choices. */
#include "proto/dialect/openai_chat.h"

#include "proto/dialect/responses.h"
#include "proto/dialect/tree.h"

bool openai_read_annotation(yyjson_val *v, struct citation *ret_citation)
{
    struct str type = tree_get_str(v, "type");
    yyjson_val *inner = tree_member(v, type), *o = yyjson_is_obj(inner) ? inner : v;
    int64_t at = tree_get_i64(o, "index");
    struct citation c;
    if (str_is(type, "url_citation")) {
        c = citation_of(CITED_URL);
        c.url = tree_get_str(o, "url");
        c.title = tree_get_str(o, "title");
        c.cited = tree_get_str(o, "content"); /* OpenRouter */
        if (c.url.n == 0) return false;
    } else if (str_is(type, "file_citation") || str_is(type, "container_file_citation") || str_is(type, "file_path")) {
        c = citation_of(CITED_FILE);
        c.id = tree_get_str(o, "file_id");
        c.title = tree_get_str(o, "filename");
        c.cited = tree_get_str(o, "quote");
    } else {
        return false;
    }
    if (at > 0) /* where the mark stands, behind what it is for */
        citation_set_span(&c, 0, at);
    else
        citation_set_span(&c, tree_get_i64(o, "start_index"), tree_get_i64(o, "end_index"));
    *ret_citation = c;
    return true;
}

void openai_read_annotations(yyjson_val *list, struct arena *a, struct citations *ret_list)
{
    size_t i, n;
    yyjson_val *v;
    struct citation c;
    yyjson_arr_foreach(list, i, n, v)
    {
        if (openai_read_annotation(v, &c)) citation_add(ret_list, a, &c);
    }
}

bool openai_read_search_result(yyjson_val *v, struct citation *ret_citation)
{
    struct citation c = citation_of(CITED_URL);
    c.url = yyjson_is_str(v) ? tree_str(v) : tree_get_str(v, "url");
    c.title = tree_get_str(v, "title");
    c.cited = tree_get_str(v, "snippet");
    *ret_citation = c;
    return c.url.n > 0;
}

yyjson_val *openai_search_results(yyjson_val *root)
{
    yyjson_val *results = tree_get(root, "search_results");
    return results != NULL ? results : tree_get(root, "citations");
}

/* ---- Writing ---- */

static void write_span(const struct citation *c, int64_t before, struct buf *out)
{
    buf_addf(out, "\"start_index\":%lld,\"end_index\":%lld", (long long)(before + c->start),
             (long long)(before + c->end));
}

static void write_url(const struct citation *c, int64_t before, struct buf *out)
{
    write_span(c, before, out);
    buf_add(out, STR(",\"url\":"));
    buf_add_json_str(out, c->url);
    buf_add(out, STR(",\"title\":"));
    buf_add_json_str(out, c->title);
    buf_addc(out, '}');
}

void openai_chat_write_annotation(const struct citation *c, int64_t before, struct buf *out)
{
    buf_add(out, STR("{\"type\":\"url_citation\",\"url_citation\":{"));
    write_url(c, before, out);
    buf_addc(out, '}');
}

void responses_write_annotation(const struct citation *c, struct buf *out)
{
    if (c->url.n > 0) {
        buf_add(out, STR("{\"type\":\"url_citation\","));
        write_url(c, 0, out);
        return;
    }
    buf_add(out, STR("{\"type\":\"file_citation\",\"file_id\":"));
    if (c->id.n > 0)
        buf_add_json_str(out, c->id);
    else
        buf_addf(out, "\"document_%lld\"", (long long)(c->number > 0 ? c->number : 0));
    buf_add(out, STR(",\"filename\":"));
    buf_add_json_str(out, c->title);
    buf_addf(out, ",\"index\":%lld}", (long long)c->end);
}
