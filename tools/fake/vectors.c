#include "tools/fake/vectors.h"

#include "proto/wire/url.h"

#include <string.h>

enum { DIMENSIONS = 4, MOST_DIMENSIONS = 3072, COHERE_TEXTS_MOST = 96, GEMINI_BATCH_MOST = 100, DOCUMENTS_MOST = 1000 };

struct at {
    struct plain_call *call;
    struct refusal *refusal;
    struct answer *out;
    yyjson_val *root;
};

static void bad(struct at *at, unsigned status, const char *format, const char *what)
{
    refuse(at->refusal, status, NULL, NULL, STR_NULL, arena_printf(at->call->arena, format, what));
}

static void check_fields(struct at *at, yyjson_val *o, const char *const *known, unsigned status, const char *format)
{
    const char *unknown = first_unknown(o, known);
    if (unknown != NULL) bad(at, status, format, unknown);
}

static void write_text(struct at *at, struct str text, size_t dimensions)
{
    at->call->input += (text.n + 3) / 4;
    plain_write_vector(&at->out->body, text, dimensions, false);
}

static size_t dimensions_of(yyjson_val *v)
{
    if (v == NULL) return DIMENSIONS;
    return yyjson_is_uint(v) && yyjson_get_uint(v) <= MOST_DIMENSIONS ? (size_t)yyjson_get_uint(v) : 0;
}

/* ---- Gemini ---- */

static struct str model_of_path(struct at *at)
{
    struct buf name = {0};
    struct str path = at->call->head->path;
    ptrdiff_t from = str_find(path, STR("/models/")), colon = str_rchr(path, ':');
    if (from >= 0 && colon > from) (void)url_percent_decode(str_slice(path, (size_t)from + 8, (size_t)colon), &name);
    struct str model = arena_copy(at->call->arena, buf_view(&name));
    buf_fini(&name);
    return model;
}

static void gemini_one(struct at *at, yyjson_val *request, bool in_batch)
{
    static const char *const known[] = {"model", "content", "taskType", "title", "outputDimensionality", NULL};
    yyjson_val *parts = yyjson_obj_get(yyjson_obj_get(request, "content"), "parts"), *part;
    size_t dimensions = dimensions_of(yyjson_obj_get(request, "outputDimensionality")), i, n;
    struct buf text = {0};
    struct str named = val_str(yyjson_obj_get(request, "model"));
    check_fields(at, request, known, 400, "Invalid JSON payload received. Unknown name \"%s\": Cannot find field.");
    if (dimensions == 0) bad(at, 400, "%s", "* EmbedContentRequest.output_dimensionality: must be between 1 and 3072");
    if (in_batch && !str_is(named, arena_printf(at->call->arena, "models/%.*s", STR_FMT(at->call->model)).p))
        bad(at, 400, "%s", "* BatchEmbedContentsRequest.requests[0].model: model name must match the path's");
    yyjson_arr_foreach(parts, i, n, part) buf_add(&text, val_str(yyjson_obj_get(part, "text")));
    if (buf_len(&text) == 0) bad(at, 400, "%s", "* EmbedContentRequest.content: content is empty");
    buf_addz(&at->out->body, "{\"values\":");
    write_text(at, buf_view(&text), dimensions);
    buf_addc(&at->out->body, '}');
    buf_fini(&text);
}

static void gemini(struct at *at)
{
    yyjson_val *requests = yyjson_obj_get(at->root, "requests"), *one;
    size_t i, n;
    at->call->model = model_of_path(at);
    if (str_ends(at->call->head->path, STR(":embedContent"))) {
        buf_addz(&at->out->body, "{\"embedding\":");
        gemini_one(at, at->root, false);
    } else {
        if (yyjson_arr_size(requests) == 0 || yyjson_arr_size(requests) > GEMINI_BATCH_MOST)
            bad(at, 400, "%s", "* BatchEmbedContentsRequest.requests: at least one and at most 100 requests");
        buf_addz(&at->out->body, "{\"embeddings\":[");
        yyjson_arr_foreach(requests, i, n, one)
        {
            if (i > 0) buf_addc(&at->out->body, ',');
            gemini_one(at, one, true);
        }
        buf_addc(&at->out->body, ']');
    }
    buf_addf(&at->out->body, ",\"usageMetadata\":{\"promptTokenCount\":%llu}}\n", (unsigned long long)at->call->input);
}

/* ---- Cohere ---- */

static bool is_one_of(yyjson_val *v, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++)
        if (val_is(v, words[i])) return true;
    return false;
}

static void cohere_vectors(struct at *at, yyjson_val *texts, yyjson_val *types)
{
    size_t dimensions = dimensions_of(yyjson_obj_get(at->root, "output_dimension")), i, n;
    yyjson_val *text;
    struct buf *b = &at->out->body;
    (void)types;
    buf_addz(b, "{\"id\":\"em-1\",\"embeddings\":{\"float\":[");
    yyjson_arr_foreach(texts, i, n, text)
    {
        if (i > 0) buf_addc(b, ',');
        write_text(at, val_str(text), dimensions);
    }
    buf_addz(b, "]},\"texts\":[");
    yyjson_arr_foreach(texts, i, n, text)
    {
        if (i > 0) buf_addc(b, ',');
        buf_add_json_str(b, val_str(text));
    }
    buf_addf(b,
             "],\"meta\":{\"api_version\":{\"version\":\"2\"},\"billed_units\":{\"input_tokens\":%llu}},"
             "\"response_type\":\"embeddings_by_type\"}\n",
             (unsigned long long)at->call->input);
}

static void cohere_embed(struct at *at)
{
    static const char *const known[] = {"model",      "input_type",       "texts",           "images",   "inputs",
                                        "max_tokens", "output_dimension", "embedding_types", "truncate", "priority",
                                        NULL};
    static const char *const kinds[] = {"search_document", "search_query", "classification",
                                        "clustering",      "image",        NULL};
    yyjson_val *texts = yyjson_obj_get(at->root, "texts"), *types = yyjson_obj_get(at->root, "embedding_types"), *type;
    size_t i, n;
    check_fields(at, at->root, known, 422, "unknown field: parameter '%s' is not a valid field");
    at->call->model = val_str(yyjson_obj_get(at->root, "model"));
    if (at->call->model.n == 0) bad(at, 400, "invalid request: %s is required.", "model");
    if (!is_one_of(yyjson_obj_get(at->root, "input_type"), kinds))
        bad(at, 400, "invalid request: valid %s must be provided with the provided model.", "input_type");
    if (yyjson_arr_size(texts) == 0 || yyjson_arr_size(texts) > COHERE_TEXTS_MOST)
        bad(at, 400, "invalid request: total number of %s must be at least 1 and at most 96.", "texts");
    if (dimensions_of(yyjson_obj_get(at->root, "output_dimension")) == 0)
        bad(at, 400, "invalid request: %s is not valid.", "output_dimension");
    yyjson_arr_foreach(types, i, n, type)
    {
        if (!val_is(type, "float")) bad(at, 400, "weir-fake gives %s only", "float");
    }
    if (at->refusal->status == 0) cohere_vectors(at, texts, types);
}

static void cohere_rerank(struct at *at)
{
    static const char *const known[] = {"model", "query", "documents", "top_n", "max_tokens_per_doc", "priority", NULL};
    yyjson_val *documents = yyjson_obj_get(at->root, "documents"), *top = yyjson_obj_get(at->root, "top_n");
    size_t n = yyjson_arr_size(documents), most = yyjson_is_uint(top) ? (size_t)yyjson_get_uint(top) : n;
    check_fields(at, at->root, known, 422, "unknown field: parameter '%s' is not a valid field");
    at->call->model = val_str(yyjson_obj_get(at->root, "model"));
    if (at->call->model.n == 0) bad(at, 400, "invalid request: %s is required.", "model");
    if (val_str(yyjson_obj_get(at->root, "query")).n == 0)
        bad(at, 400, "invalid request: %s must not be empty.", "query");
    if (n == 0 || n > DOCUMENTS_MOST) bad(at, 400, "invalid request: list of %s must not be empty.", "documents");
    if (top != NULL && most == 0) bad(at, 400, "invalid request: %s must be greater than 0.", "top_n");
    buf_addz(&at->out->body, "{\"id\":\"rr-1\",\"results\":[");
    for (size_t i = 0; i < n && i < most; i++)
        buf_addf(&at->out->body, "%s{\"index\":%zu,\"relevance_score\":0.%zu}", i > 0 ? "," : "", n - 1 - i, 9 - i % 9);
    buf_addf(&at->out->body,
             "],\"meta\":{\"api_version\":{\"version\":\"2\"},\"billed_units\":{\"search_units\":%zu}}}\n",
             (n + 99) / 100);
}

/* ---- Ollama ---- */

static void ollama_embed(struct at *at)
{
    yyjson_val *input = yyjson_obj_get(at->root, "input"), *item;
    size_t dimensions = dimensions_of(yyjson_obj_get(at->root, "dimensions")), i, n;
    at->call->model = val_str(yyjson_obj_get(at->root, "model"));
    if (at->call->model.n == 0) bad(at, 400, "%s is required", "model");
    if (!yyjson_is_str(input) && !yyjson_is_arr(input)) bad(at, 400, "invalid %s type", "input");
    buf_addz(&at->out->body, "{\"model\":");
    buf_add_json_str(&at->out->body, at->call->model);
    buf_addz(&at->out->body, ",\"embeddings\":[");
    if (yyjson_is_str(input)) write_text(at, val_str(input), dimensions);
    yyjson_arr_foreach(input, i, n, item)
    {
        if (i > 0) buf_addc(&at->out->body, ',');
        write_text(at, val_str(item), dimensions);
    }
    buf_addf(&at->out->body, "],\"total_duration\":9000000,\"load_duration\":1000000,\"prompt_eval_count\":%llu}\n",
             (unsigned long long)at->call->input);
}

/* ---- which one ---- */

static const struct row {
    const char *end; /* of the path */
    const struct fake_dialect *dialect;
    void (*serve)(struct at *at);
} rows[] = {
    {":embedContent", &fake_gemini, gemini},    {":batchEmbedContents", &fake_gemini, gemini},
    {"/v2/embed", &fake_cohere, cohere_embed},  {"/v2/rerank", &fake_cohere, cohere_rerank},
    {"/api/embed", &fake_ollama, ollama_embed},
};

static const struct row *row_of(struct str path)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_ends(path, str_of(rows[i].end))) return &rows[i];
    return NULL;
}

const struct fake_dialect *vectors_dialect(struct str path)
{
    const struct row *row = row_of(path);
    return row == NULL ? NULL : row->dialect;
}

void vectors_serve(struct plain_call *call, struct refusal *ret_refusal, struct answer *out)
{
    struct at at = {.call = call, .refusal = ret_refusal, .out = out};
    yyjson_doc *doc = yyjson_read(call->body.p, call->body.n, 0);
    at.root = yyjson_doc_get_root(doc);
    if (yyjson_is_obj(at.root))
        row_of(call->head->path)->serve(&at);
    else
        bad(&at, 400, "%s", "the body cannot be read");
    call->model = arena_copy(call->arena, call->model);
    yyjson_doc_free(doc);
    if (ret_refusal->status != 0) buf_clear(&out->body);
}
