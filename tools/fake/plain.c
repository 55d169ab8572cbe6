#include "tools/fake/plain.h"

#include "proto/base/base64.h"

#include <stdlib.h>
#include <string.h>

enum { DIMENSIONS = 4, MOST_DIMENSIONS = 3072, FILES = 16, SOUND_BYTES = 70000, MOST_IMAGES = 10 };

struct at { /* one call under way */
    struct plain_call *call;
    struct refusal *refusal;
    struct answer *out;
    yyjson_val *root; /* JSON bodies */
    struct str id;    /* {id} of the path */
};

static void bad(struct at *at, const char *param, const char *text)
{
    refuse(at->refusal, 400, "invalid_request_error", NULL, str_of(param),
           arena_printf(at->call->arena, "%s: '%s'.", text, param));
}

static uint64_t tokens_of(struct str text)
{
    return (text.n + 3) / 4;
}

/* ---- JSON ---- */

static void check_fields(struct at *at, const char *const *known)
{
    const char *unknown = first_unknown(at->root, known);
    if (unknown != NULL) bad(at, unknown, "Unrecognized request argument supplied");
}

static void need_model(struct at *at)
{
    at->call->model = val_str(yyjson_obj_get(at->root, "model"));
    if (at->call->model.n == 0) bad(at, "model", "Missing required parameter");
}

static struct str need_text(struct at *at, const char *name)
{
    struct str text = val_str(yyjson_obj_get(at->root, name));
    if (text.n == 0) bad(at, name, "Missing required parameter");
    return text;
}

void plain_write_vector(struct buf *out, struct str text, size_t dimensions, bool base64)
{
    struct buf bytes = {0};
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < text.n; i++) h = (h ^ (unsigned char)text.p[i]) * 16777619u;
    buf_addc(out, base64 ? '"' : '[');
    for (size_t i = 0; i < dimensions; i++) {
        h = h * 1664525u + 1013904223u;
        float f = (float)(h >> 20) / 4096.0f; /* exact in both forms */
        if (base64)
            buf_add(&bytes, (struct str){(const char *)&f, sizeof f});
        else
            buf_addf(out, "%s%.12f", i > 0 ? "," : "", (double)f);
    }
    if (base64) base64_encode(buf_view(&bytes), out);
    buf_addc(out, base64 ? '"' : ']');
    buf_fini(&bytes);
}

static void add_vector(struct at *at, yyjson_val *item, size_t index, size_t dimensions, bool base64)
{
    struct str text = val_str(item);
    at->call->input += yyjson_is_arr(item) ? yyjson_arr_size(item) : tokens_of(text);
    if (text.n == 0 && !yyjson_is_arr(item)) bad(at, "input", "Invalid value");
    buf_addf(&at->out->body, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", index > 0 ? "," : "", index);
    plain_write_vector(&at->out->body, text, dimensions, base64);
    buf_addc(&at->out->body, '}');
}

static void embeddings(struct at *at)
{
    static const char *const known[] = {"input", "model", "dimensions", "encoding_format", "user", NULL};
    yyjson_val *input = yyjson_obj_get(at->root, "input"), *size = yyjson_obj_get(at->root, "dimensions"), *item;
    yyjson_val *format = yyjson_obj_get(at->root, "encoding_format");
    size_t dimensions = DIMENSIONS, i, n;
    check_fields(at, known);
    need_model(at);
    if (size != NULL) dimensions = yyjson_is_uint(size) ? (size_t)yyjson_get_uint(size) : 0;
    if (dimensions == 0 || dimensions > MOST_DIMENSIONS) bad(at, "dimensions", "Invalid value");
    if (format != NULL && !val_is(format, "float") && !val_is(format, "base64"))
        bad(at, "encoding_format", "Invalid value");
    if (!yyjson_is_str(input) && yyjson_arr_size(input) == 0) bad(at, "input", "Missing required parameter");
    if (at->refusal->status != 0) return;
    buf_addz(&at->out->body, "{\"object\":\"list\",\"data\":[");
    if (yyjson_is_str(input) || yyjson_is_num(yyjson_arr_get_first(input)))
        add_vector(at, input, 0, dimensions, val_is(format, "base64"));
    else
        yyjson_arr_foreach(input, i, n, item) add_vector(at, item, i, dimensions, val_is(format, "base64"));
    buf_addf(&at->out->body, "],\"model\":\"%.*s\",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}\n",
             STR_FMT(at->call->model), (unsigned long long)at->call->input, (unsigned long long)at->call->input);
}

static void moderations(struct at *at)
{
    static const char *const known[] = {"input", "model", NULL};
    check_fields(at, known);
    yyjson_val *input = yyjson_obj_get(at->root, "input");
    if (!yyjson_is_str(input) && yyjson_arr_size(input) == 0) bad(at, "input", "Missing required parameter");
    at->call->model = val_str(yyjson_obj_get(at->root, "model"));
    buf_addz(&at->out->body, "{\"id\":\"modr-1\",\"model\":\"omni-moderation-latest\",\"results\":[{\"flagged\":false,"
                             "\"categories\":{\"violence\":false},\"category_scores\":{\"violence\":0.0001}}]}\n");
}

static void completion_chunk(struct at *at, const char *text, bool last)
{
    buf_addf(&at->out->body,
             "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1790000000,\"model\":\"%.*s\","
             "\"choices\":[{\"text\":\"%s\",\"index\":0,\"logprobs\":null,\"finish_reason\":%s}]}\n\n",
             STR_FMT(at->call->model), text, last ? "\"stop\"" : "null");
    answer_end_event(at->out);
}

static void completions(struct at *at)
{
    static const char *const known[] = {"model",
                                        "prompt",
                                        "max_tokens",
                                        "temperature",
                                        "top_p",
                                        "n",
                                        "stream",
                                        "stream_options",
                                        "logprobs",
                                        "echo",
                                        "stop",
                                        "presence_penalty",
                                        "frequency_penalty",
                                        "best_of",
                                        "logit_bias",
                                        "user",
                                        "suffix",
                                        "seed",
                                        NULL};
    yyjson_val *options = yyjson_obj_get(at->root, "stream_options");
    check_fields(at, known);
    need_model(at);
    at->call->input = tokens_of(need_text(at, "prompt"));
    at->call->output = 3;
    at->call->stream = yyjson_is_true(yyjson_obj_get(at->root, "stream"));
    if (options != NULL && !at->call->stream) bad(at, "stream_options", "Only allowed when stream is enabled");
    if (at->refusal->status != 0) return;
    unsigned long long in = at->call->input;
    struct str model = at->call->model;
    if (!at->call->stream) {
        buf_addf(
            &at->out->body,
            "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1790000000,\"model\":\"%.*s\",\"choices\":[{"
            "\"text\":\"one two three\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{"
            "\"prompt_tokens\":%llu,\"completion_tokens\":3,\"total_tokens\":%llu}}\n",
            STR_FMT(model), in, in + 3);
        return;
    }
    at->out->is_stream = true;
    at->out->content_type = "text/event-stream";
    completion_chunk(at, "one ", false);
    completion_chunk(at, "two ", false);
    completion_chunk(at, "three", true);
    if (yyjson_is_true(yyjson_obj_get(options, "include_usage"))) {
        buf_addf(&at->out->body,
                 "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1790000000,\"model\":\"%.*s\","
                 "\"choices\":[],\"usage\":{\"prompt_tokens\":%llu,\"completion_tokens\":3,\"total_tokens\":%llu}}\n\n",
                 STR_FMT(model), in, in + 3);
        answer_end_event(at->out);
    }
    buf_addz(&at->out->body, "data: [DONE]\n\n");
    answer_end_event(at->out);
}

static void rerank(struct at *at)
{
    static const char *const known[] = {"model", "query", "documents", "top_n", "return_documents", NULL};
    size_t n = yyjson_arr_size(yyjson_obj_get(at->root, "documents"));
    check_fields(at, known);
    need_model(at);
    need_text(at, "query");
    if (n == 0) bad(at, "documents", "Missing required parameter");
    buf_addz(&at->out->body, "{\"id\":\"rr-1\",\"results\":[");
    for (size_t i = 0; i < n; i++)
        buf_addf(&at->out->body, "%s{\"index\":%zu,\"relevance_score\":0.%zu}", i > 0 ? "," : "", n - 1 - i, 9 - i % 9);
    buf_addz(&at->out->body, "],\"meta\":{\"billed_units\":{\"search_units\":1}}}\n");
}

static void write_images(struct at *at, uint64_t n)
{
    buf_addz(&at->out->body, "{\"created\":1790000000,\"data\":[");
    for (uint64_t i = 0; i < n; i++)
        buf_addz(&at->out->body, i > 0 ? ",{\"b64_json\":\"iVBORw0KGgo=\"}" : "{\"b64_json\":\"iVBORw0KGgo=\"}");
    buf_addz(&at->out->body, "]}\n");
}

static void images(struct at *at)
{
    static const char *const known[] = {"model",
                                        "prompt",
                                        "n",
                                        "size",
                                        "quality",
                                        "style",
                                        "response_format",
                                        "background",
                                        "moderation",
                                        "output_format",
                                        "output_compression",
                                        "user",
                                        NULL};
    yyjson_val *n = yyjson_obj_get(at->root, "n");
    check_fields(at, known);
    need_text(at, "prompt");
    at->call->model = val_str(yyjson_obj_get(at->root, "model"));
    if (n != NULL && (!yyjson_is_uint(n) || yyjson_get_uint(n) == 0 || yyjson_get_uint(n) > MOST_IMAGES))
        bad(at, "n", "Invalid value");
    if (at->refusal->status == 0) write_images(at, n != NULL ? yyjson_get_uint(n) : 1);
}

static void speech(struct at *at)
{
    static const char *const known[] = {"model",           "input", "voice",         "instructions",
                                        "response_format", "speed", "stream_format", NULL};
    check_fields(at, known);
    need_model(at);
    need_text(at, "input");
    need_text(at, "voice");
    if (at->refusal->status != 0) return;
    at->out->content_type = "audio/mpeg";
    for (unsigned i = 0; i < SOUND_BYTES; i++) buf_addc(&at->out->body, (char)(i * 7 + i / 256));
}

static void batches(struct at *at)
{
    static const char *const known[] = {"input_file_id",        "endpoint", "completion_window", "metadata",
                                        "output_expires_after", NULL};
    bool create = at->id.n == 0 && str_is(at->call->head->method, "POST");
    struct str file = STR("file-0");
    if (at->id.n == 0 && !create) {
        buf_addz(&at->out->body, "{\"object\":\"list\",\"data\":[],\"has_more\":false}\n");
        return;
    }
    if (create) {
        check_fields(at, known);
        file = need_text(at, "input_file_id");
        need_text(at, "endpoint");
        if (!str_is(need_text(at, "completion_window"), "24h")) bad(at, "completion_window", "Invalid value");
    }
    buf_addf(&at->out->body,
             "{\"id\":\"%.*s\",\"object\":\"batch\",\"endpoint\":\"/v1/chat/completions\",\"input_file_id\":\"%.*s\","
             "\"completion_window\":\"24h\",\"status\":\"%s\",\"created_at\":1790000000}\n",
             STR_FMT(create ? STR("batch_1") : at->id), STR_FMT(file),
             str_ends(at->call->head->path, STR("/cancel")) ? "cancelling" : "validating");
}

/* ---- forms ---- */

/* The value of a form's field; a file's bytes with want_file. Strict: "\r\n--BOUNDARY" and nothing else ends a part. */
static bool form_field(struct at *at, const char *name, bool want_file, struct str *ret_value)
{
    struct arena *a = at->call->arena;
    struct str type = http1_get(at->call->head, "content-type"), rest = at->call->body;
    ptrdiff_t b = str_find(type, STR("boundary="));
    if (b < 0 || !str_starts(type, STR("multipart/form-data"))) return false;
    struct str boundary = str_slice(type, (size_t)b + 9, type.n);
    if (boundary.n > 2 && boundary.p[0] == '"') boundary = str_slice(boundary, 1, boundary.n - 1);
    struct str end = arena_printf(a, "\r\n--%.*s", STR_FMT(boundary)), mark = arena_printf(a, "name=\"%s\"", name);
    if (!str_starts(rest, str_slice(end, 2, end.n))) return false;
    rest = str_slice(rest, end.n - 2, rest.n);
    while (str_starts(rest, STR("\r\n"))) {
        ptrdiff_t head = str_find(rest, STR("\r\n\r\n")), close = str_find(rest, end);
        if (head < 0 || close < 0 || close < head) return false;
        struct str lines = str_slice(rest, 0, (size_t)head);
        ptrdiff_t named = str_find(lines, mark);
        bool is_file = str_contains(lines, STR("filename="));
        if (named > 0 && lines.p[named - 1] == ' ' && is_file == want_file) {
            *ret_value = str_slice(rest, (size_t)head + 4, (size_t)close);
            return true;
        }
        rest = str_slice(rest, (size_t)close + end.n, rest.n);
    }
    return false;
}

static void need_file(struct at *at, const char *name, struct str *ret_bytes)
{
    if (!form_field(at, name, true, ret_bytes) || ret_bytes->n == 0) bad(at, name, "Missing required file");
}

static void transcriptions(struct at *at)
{
    struct str sound = STR_NULL;
    if (!form_field(at, "model", false, &at->call->model)) bad(at, "model", "Missing required parameter");
    need_file(at, "file", &sound);
    buf_addf(&at->out->body, "{\"text\":\"%zu bytes\",\"usage\":{\"type\":\"duration\",\"seconds\":%zu}}\n", sound.n,
             1 + sound.n / 1000);
}

static void edits(struct at *at)
{
    struct str picture = STR_NULL, prompt = STR_NULL;
    (void)form_field(at, "model", false, &at->call->model);
    need_file(at, "image", &picture);
    if (!form_field(at, "prompt", false, &prompt)) bad(at, "prompt", "Missing required parameter");
    write_images(at, 1);
}

/* ---- files ---- */

static struct stored {
    const struct provider *of; /* NULL: free */
    unsigned number;
    char *bytes;
    size_t n;
} files[FILES];
static unsigned uploads;

static void describe(struct at *at, const struct stored *f)
{
    buf_addf(&at->out->body,
             "{\"id\":\"file-%u\",\"object\":\"file\",\"bytes\":%zu,\"created_at\":1790000000,\"filename\":\"a.jsonl\","
             "\"purpose\":\"batch\",\"status\":\"processed\"}",
             f->number, f->n);
}

static void upload(struct at *at)
{
    struct str bytes = STR_NULL, purpose = STR_NULL;
    struct stored *f = &files[uploads % FILES]; /* the oldest one makes room */
    need_file(at, "file", &bytes);
    if (!form_field(at, "purpose", false, &purpose)) bad(at, "purpose", "Missing required parameter");
    if (at->refusal->status != 0) return;
    free(f->bytes);
    *f = (struct stored){.of = at->call->of, .number = ++uploads, .bytes = malloc(bytes.n), .n = bytes.n};
    if (f->bytes == NULL) abort();
    memcpy(f->bytes, bytes.p, bytes.n);
    describe(at, f);
}

static void list_files(struct at *at)
{
    bool any = false;
    buf_addz(&at->out->body, "{\"object\":\"list\",\"data\":[");
    for (unsigned i = 0; i < FILES; i++) {
        if (files[i].of != at->call->of) continue;
        if (any) buf_addc(&at->out->body, ',');
        describe(at, &files[i]);
        any = true;
    }
    buf_addz(&at->out->body, "],\"has_more\":false}\n");
}

static void one_file(struct at *at)
{
    struct stored *f = NULL;
    uint64_t number = 0;
    struct str content = STR("/content"), id = at->id;
    bool wants_content = str_ends(id, content);
    if (wants_content) id = str_slice(id, 0, id.n - content.n);
    if (str_starts(id, STR("file-"))) (void)str_u64(str_slice(id, 5, id.n), &number);
    for (unsigned i = 0; i < FILES; i++)
        if (files[i].of == at->call->of && files[i].number == number) f = &files[i];
    if (f == NULL) {
        refuse(at->refusal, 404, "invalid_request_error", NULL, STR("id"),
               arena_printf(at->call->arena, "No such File object: %.*s", STR_FMT(id)));
    } else if (wants_content) {
        at->out->content_type = "application/octet-stream";
        answer_header(at->out, "content-disposition", "attachment; filename=\"a.jsonl\"");
        buf_add(&at->out->body, (struct str){f->bytes, f->n});
    } else if (str_is(at->call->head->method, "DELETE")) {
        buf_addf(&at->out->body, "{\"id\":\"file-%u\",\"object\":\"file\",\"deleted\":true}\n", f->number);
        free(f->bytes);
        *f = (struct stored){0};
    } else {
        describe(at, f);
    }
}

/* ---- which one ---- */

static const struct row {
    const char *method, *path;
    bool has_id, is_json;
    void (*serve)(struct at *at);
} rows[] = {
    {"POST", "/v1/embeddings", false, true, embeddings},
    {"POST", "/v1/completions", false, true, completions},
    {"POST", "/v1/moderations", false, true, moderations},
    {"POST", "/v1/rerank", false, true, rerank},
    {"POST", "/v1/images/generations", false, true, images},
    {"POST", "/v1/images/edits", false, false, edits},
    {"POST", "/v1/audio/speech", false, true, speech},
    {"POST", "/v1/audio/transcriptions", false, false, transcriptions},
    {"POST", "/v1/audio/translations", false, false, transcriptions},
    {"POST", "/v1/files", false, false, upload},
    {"GET", "/v1/files", false, false, list_files},
    {"GET", "/v1/files/", true, false, one_file},
    {"DELETE", "/v1/files/", true, false, one_file},
    {"POST", "/v1/batches", false, true, batches},
    {"GET", "/v1/batches", false, false, batches},
    {"GET", "/v1/batches/", true, false, batches},
    {"POST", "/v1/batches/", true, false, batches},
};

static const struct row *row_of(const struct http1_head *head, struct str *ret_id)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str path = str_of(rows[i].path);
        if (!str_is(head->method, rows[i].method)) continue;
        if (rows[i].has_id ? !str_starts(head->path, path) || head->path.n == path.n : !str_eq(head->path, path))
            continue;
        *ret_id = rows[i].has_id ? str_slice(head->path, path.n, head->path.n) : STR_NULL;
        if (str_ends(*ret_id, STR("/cancel"))) ret_id->n -= 7;
        return &rows[i];
    }
    return NULL;
}

bool plain_serve(struct plain_call *call, struct refusal *ret_refusal, struct answer *out)
{
    struct at at = {.call = call, .refusal = ret_refusal, .out = out};
    const struct row *row = row_of(call->head, &at.id);
    if (row == NULL) return false;
    yyjson_doc *doc = row->is_json ? yyjson_read(call->body.p, call->body.n, 0) : NULL;
    at.root = yyjson_doc_get_root(doc);
    if (row->is_json &&
        (!yyjson_is_obj(at.root) || !str_starts(http1_get(call->head, "content-type"), STR("application/json"))))
        refuse(ret_refusal, 400, "invalid_request_error", NULL, STR_NULL,
               STR("We could not parse the JSON body of your request."));
    else
        row->serve(&at);
    call->model = arena_copy(call->arena, call->model);
    ret_refusal->param = arena_copy(call->arena, ret_refusal->param);
    yyjson_doc_free(doc);
    if (ret_refusal->status != 0) buf_clear(&out->body);
    return true;
}
