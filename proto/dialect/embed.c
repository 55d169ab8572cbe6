#include "proto/dialect/embed.h"

#include "proto/base/base64.h"
#include "proto/dialect/chat.h"
#include "proto/dialect/counting.h"
#include "proto/dialect/gemini.h"
#include "proto/dialect/passed.h"
#include "proto/dialect/tree.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 64 };

static bool is_batch(const struct endpoint *e)
{
    return str_ends(str_of(e->path), STR(":batchEmbedContents"));
}

bool embed_other_dialect(const struct endpoint *e, enum dialect_id *ret_target)
{
    if (strcmp(e->path, "/embeddings") == 0)
        *ret_target = DIALECT_GEMINI;
    else if (e->kind == ENDPOINT_PASSED && e->dialect == DIALECT_GEMINI)
        *ret_target = DIALECT_OPENAI_CHAT;
    else
        return false;
    return true;
}

/* ---- OpenAI's request for Gemini ---- */

static void write_one(const struct exchange *x, yyjson_val *text, yyjson_val *root, struct buf *out)
{
    yyjson_val *dimensions = tree_get(root, "dimensions"), *task = tree_get(root, "task_type");
    buf_addz(out, "{\"model\":\"models/");
    buf_add_json(out, x->model);
    buf_addz(out, "\",\"content\":{\"parts\":[{\"text\":");
    tree_emit(out, text);
    buf_addz(out, "}]}");
    if (dimensions != NULL) {
        buf_addz(out, ",\"outputDimensionality\":");
        tree_emit(out, dimensions);
    }
    if (yyjson_is_str(task)) {
        buf_addz(out, ",\"taskType\":");
        tree_emit(out, task);
    }
    buf_addc(out, '}');
}

static enum weir_err to_gemini(struct exchange *x, yyjson_val *root, struct buf *out, struct str *ret_why)
{
    yyjson_val *input = tree_get(root, "input"), *item;
    struct str format = tree_get_str(root, "encoding_format");
    size_t i, n;
    if (format.n > 0 && !str_is(format, "float") && !str_is(format, "base64")) {
        *ret_why = STR("encoding_format must be float or base64");
        return WEIR_BAD_REQUEST;
    }
    x->as_base64 = str_is(format, "base64");
    x->tail = STR(":batchEmbedContents");
    buf_addz(out, "{\"requests\":[");
    if (yyjson_is_str(input)) write_one(x, input, root, out);
    bool good = yyjson_is_str(input) || yyjson_arr_size(input) > 0;
    yyjson_arr_foreach(input, i, n, item)
    {
        good = good && yyjson_is_str(item);
        if (!good) break;
        if (i > 0) buf_addc(out, ',');
        write_one(x, item, root, out);
    }
    buf_addz(out, "]}");
    if (good) return WEIR_OK;
    *ret_why = STR("input must be a text or texts: this model's provider takes no token numbers");
    return WEIR_BAD_REQUEST;
}

/* ---- Gemini's request for OpenAI ---- */

/* The parts of a content are one text. false: something in it is none. */
static bool write_text(yyjson_val *request, struct buf *out)
{
    yyjson_val *parts = tree_get(tree_get(request, "content"), "parts"), *part;
    size_t i, n;
    if (yyjson_is_obj(parts) || yyjson_arr_size(parts) == 0) return false;
    buf_addc(out, '"');
    yyjson_arr_foreach(parts, i, n, part)
    {
        if (!yyjson_is_str(tree_get(part, "text"))) return false;
        if (i > 0) buf_add_json(out, STR("\n"));
        buf_add_json(out, tree_get_str(part, "text"));
    }
    buf_addc(out, '"');
    return true;
}

static enum weir_err to_openai(struct exchange *x, yyjson_val *root, struct buf *out, struct str *ret_why)
{
    yyjson_val *requests = tree_get(root, "requests"), *one = root, *first = root;
    bool batch = is_batch(x->passed), good = !batch || yyjson_arr_size(requests) > 0, alike = true, lost = false;
    size_t n = batch ? yyjson_arr_size(requests) : 1;
    x->tail = STR("/embeddings");
    if (batch) one = first = yyjson_arr_get_first(requests);
    struct str size = tree_num(gemini_get(first, "outputDimensionality"));
    buf_addz(out, "{\"model\":");
    buf_add_json_str(out, x->model);
    buf_addz(out, batch ? ",\"input\":[" : ",\"input\":");
    for (size_t i = 0; i < n && good; i++, one = batch ? unsafe_yyjson_get_next(one) : one) {
        if (i > 0) buf_addc(out, ',');
        good = write_text(one, out);
        alike = alike && str_eq(tree_num(gemini_get(one, "outputDimensionality")), size);
        lost = lost || gemini_get(one, "taskType") != NULL;
    }
    if (batch) buf_addc(out, ']');
    if (size.n > 0) {
        buf_addz(out, ",\"dimensions\":");
        buf_add(out, size);
    }
    buf_addz(out, ",\"encoding_format\":\"float\"}");
    if (lost) x->loss = STR("taskType");
    if (good && alike) return WEIR_OK;
    *ret_why = good ? STR("all requests must ask for one outputDimensionality")
                    : STR("content must hold parts with text: this model's provider embeds nothing else");
    return WEIR_BAD_REQUEST;
}

enum weir_err embed_request(struct exchange *x, struct str body, struct buf *out, struct str *ret_why)
{
    yyjson_val *root;
    enum weir_err e = tree_read(body, x->arena, &root, ret_why);
    if (e != WEIR_OK) return e;
    return x->target->id == DIALECT_GEMINI ? to_gemini(x, root, out, ret_why) : to_openai(x, root, out, ret_why);
}

/* ---- answers ---- */

/* Little-endian 32-bit floats, whatever the machine's order. */
static bool write_base64(yyjson_val *values, struct buf *out)
{
    struct buf bytes = {0};
    char text[NUMBER_BYTES];
    yyjson_val *v;
    size_t i, n;
    bool good = true;
    yyjson_arr_foreach(values, i, n, v)
    {
        struct str number = tree_num(v);
        uint32_t bits;
        if (number.n == 0 || number.n >= sizeof text) {
            good = false;
            break;
        }
        memcpy(text, number.p, number.n);
        text[number.n] = '\0';
        float f = strtof(text, NULL);
        memcpy(&bits, &f, sizeof bits);
        const char le[4] = {(char)bits, (char)(bits >> 8), (char)(bits >> 16), (char)(bits >> 24)};
        buf_add(&bytes, (struct str){le, sizeof le});
    }
    buf_addc(out, '"');
    base64_encode(buf_view(&bytes), out);
    buf_addc(out, '"');
    buf_fini(&bytes);
    return good;
}

static bool is_vector(yyjson_val *v)
{
    return yyjson_arr_size(v) > 0 && tree_num(yyjson_arr_get_first(v)).n > 0;
}

static bool write_openai_item(const struct exchange *x, yyjson_val *embedding, size_t index, struct buf *out)
{
    yyjson_val *values = tree_get(embedding, "values");
    if (!is_vector(values)) return false;
    buf_addz(out, index > 0 ? ",{\"object\":\"embedding\",\"index\":" : "{\"object\":\"embedding\",\"index\":");
    buf_add_u64(out, index);
    buf_addz(out, ",\"embedding\":");
    bool good = true;
    if (x->as_base64)
        good = write_base64(values, out);
    else
        tree_emit(out, values);
    buf_addc(out, '}');
    return good;
}

static bool openai_answer(struct exchange *x, yyjson_val *root, struct buf *out)
{
    yyjson_val *list = tree_get(root, "embeddings"), *item;
    size_t i, n;
    int64_t tokens =
        x->usage.known & USAGE_INPUT ? usage_in_total(&x->usage) : counting_estimate(x->call); /* it may not say */
    bool good = yyjson_arr_size(list) > 0;
    buf_addz(out, "{\"object\":\"list\",\"data\":[");
    yyjson_arr_foreach(list, i, n, item) good = good && write_openai_item(x, item, i, out);
    buf_addz(out, "],\"model\":");
    buf_add_json_str(out, x->model);
    buf_addz(out, ",\"usage\":{\"prompt_tokens\":");
    buf_add_i64(out, tokens);
    buf_addz(out, ",\"total_tokens\":");
    buf_add_i64(out, tokens);
    buf_addz(out, "}}");
    return good;
}

static bool gemini_answer(struct exchange *x, yyjson_val *root, struct buf *out)
{
    yyjson_val *data = tree_get(root, "data"), *item;
    size_t i, n;
    bool batch = is_batch(x->passed), good = batch ? yyjson_arr_size(data) > 0 : yyjson_arr_size(data) == 1;
    buf_addz(out, batch ? "{\"embeddings\":[" : "{\"embedding\":");
    yyjson_arr_foreach(data, i, n, item)
    {
        int64_t index = tree_get_i64(item, "index");
        good = good && is_vector(tree_get(item, "embedding")) && (index < 0 || index == (int64_t)i);
        if (!good) break;
        buf_addz(out, i > 0 ? ",{\"values\":" : "{\"values\":");
        tree_emit(out, tree_get(item, "embedding"));
        buf_addc(out, '}');
    }
    if (batch) buf_addc(out, ']');
    if (x->usage.known & USAGE_INPUT) {
        buf_addz(out, ",\"usageMetadata\":{\"promptTokenCount\":");
        buf_add_i64(out, usage_in_total(&x->usage));
        buf_addc(out, '}');
    }
    buf_addc(out, '}');
    return good;
}

enum weir_err embed_answer(struct exchange *x, struct str body, struct buf *out)
{
    yyjson_val *root;
    struct str why = STR_NULL;
    if (tree_read(body, x->arena, &root, &why) != WEIR_OK) return WEIR_UP_PROTOCOL;
    if (passed_settle(x->passed, x->call, body, x->arena, &x->usage)) x->facts |= EXCHANGE_USAGE;
    bool good = x->client->id == DIALECT_OPENAI_CHAT ? openai_answer(x, root, out) : gemini_answer(x, root, out);
    if (!good) return WEIR_UP_PROTOCOL;
    x->facts |= EXCHANGE_END | EXCHANGE_CONTENT | EXCHANGE_FINISHED;
    return WEIR_OK;
}
