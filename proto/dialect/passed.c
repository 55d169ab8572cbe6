#include "proto/dialect/passed.h"

#include "proto/dialect/passthrough.h"
#include "proto/dialect/tree.h"
#include "proto/dialect/video.h"
#include "proto/wire/json.h"
#include "proto/wire/multipart.h"

#include <string.h>

enum { COMPLETION_TOKENS = 16, FRAME_TOKENS = 64 }; /* what /completions writes where max_tokens is not said; slack */

/* ---- what is asked for ---- */

static bool is_absent(struct str value)
{
    return value.p == NULL || str_is(value, "null");
}

static struct str text_of(struct str value, struct arena *a, struct buf *scratch)
{
    buf_clear(scratch);
    if (is_absent(value) || !json_unquote(value, scratch)) return STR_NULL;
    return arena_copy(a, buf_view(scratch));
}

/* Code points; the text is checked UTF-8 and has JSON's escapes. */
static int64_t count_characters(struct str value, struct buf *scratch)
{
    int64_t n = 0;
    buf_clear(scratch);
    if (is_absent(value) || !json_unquote(value, scratch)) return 0;
    struct str text = buf_view(scratch);
    for (size_t i = 0; i < text.n; i++) n += ((unsigned char)text.p[i] & 0xC0) != 0x80;
    return n;
}

static enum weir_err find_once(struct str body, const char *name, struct str *ret_value, struct arena *a,
                               struct buf *scratch, struct str *ret_why)
{
    *ret_value = STR_NULL;
    if (json_find(body, name, ret_value, scratch) != JSON_TWICE) return WEIR_OK;
    *ret_why = arena_printf(a, "the body has the member \"%s\" twice", name);
    return WEIR_BAD_REQUEST;
}

static int64_t whole_number(struct str body, const char *name, int64_t usual, struct buf *scratch)
{
    struct str value;
    int64_t n;
    if (json_find(body, name, &value, scratch) != JSON_FOUND || !str_i64(value, &n) || n < 0 || n > INT32_MAX)
        return usual;
    return n;
}

static void read_completion(struct str body, struct call *call, struct buf *scratch)
{
    struct str value, usage;
    call->passed_stream = json_find(body, "stream", &value, scratch) == JSON_FOUND && json_is_true(value);
    if (json_find(body, "stream_options", &value, scratch) == JSON_FOUND &&
        json_find(value, "include_usage", &usage, scratch) == JSON_FOUND)
        call->include_usage = json_is_true(usage);
    call->max_output = whole_number(body, "max_tokens", COMPLETION_TOKENS, scratch);
    int64_t best_of = whole_number(body, "best_of", 1, scratch);
    call->choices = whole_number(body, "n", 1, scratch);
    if (best_of > call->choices) call->choices = best_of;
}

static enum weir_err read_json(const struct endpoint *e, struct str body, struct arena *a, struct call *call,
                               struct str *ret_why)
{
    unsigned depth;
    struct json_error error;
    struct str value;
    struct buf scratch = {0};
    if (!json_check(body, &depth, &error)) {
        *ret_why = arena_printf(a, "the body is not valid JSON: %s at byte %zu", error.what, error.at);
        return WEIR_BAD_JSON;
    }
    enum weir_err err = WEIR_OK;
    if (e->model == ENDPOINT_MODEL_BODY || e->model == ENDPOINT_MODEL_MAYBE) {
        err = find_once(body, "model", &value, a, &scratch, ret_why);
        if (err == WEIR_OK) call->model = text_of(value, a, &scratch);
        if (err == WEIR_OK && !is_absent(value) && call->model.n == 0) {
            *ret_why = STR("model must be a text that is not empty");
            err = WEIR_BAD_REQUEST;
        }
    }
    if (err == WEIR_OK && e->meter == ENDPOINT_TOKENS && e->dialect == DIALECT_OPENAI_CHAT)
        str_is(str_of(e->path), "/completions") ? read_completion(body, call, &scratch) : (void)0;
    if (e->meter == ENDPOINT_IMAGES) call->units = whole_number(body, "n", 1, &scratch);
    if (e->meter == ENDPOINT_CHARACTERS && json_find(body, "input", &value, &scratch) == JSON_FOUND) {
        struct buf text = {0};
        call->units = count_characters(value, &text);
        buf_fini(&text);
    }
    buf_fini(&scratch);
    return err;
}

static enum weir_err read_form(const struct endpoint *e, struct str content_type, struct str body, struct arena *a,
                               struct call *call, struct str *ret_why)
{
    struct str boundary, value, count;
    if (!multipart_boundary(content_type, &boundary)) {
        *ret_why = STR("the content-type must be multipart/form-data with its boundary");
        return WEIR_BAD_REQUEST;
    }
    if (e->model == ENDPOINT_MODEL_NONE) return WEIR_OK;
    switch (multipart_find(body, boundary, "model", &value)) {
    case MULTIPART_BAD:
        *ret_why = STR("the body does not follow its multipart boundary, or a part's head can be read in two ways");
        return WEIR_BAD_REQUEST;
    case MULTIPART_TWICE: *ret_why = STR("the body has the field \"model\" twice"); return WEIR_BAD_REQUEST;
    case MULTIPART_FOUND: call->model = arena_copy(a, str_trim(value)); break;
    case MULTIPART_ABSENT: break;
    }
    for (size_t i = 0; i < call->model.n; i++)
        if ((unsigned char)call->model.p[i] < 0x20) {
            *ret_why = STR("the field \"model\" holds a control character");
            return WEIR_BAD_REQUEST;
        }
    call->units = 1;
    if (e->meter == ENDPOINT_IMAGES && multipart_find(body, boundary, "n", &count) == MULTIPART_FOUND &&
        (!str_i64(str_trim(count), &call->units) || call->units < 0 || call->units > INT32_MAX))
        call->units = 1;
    return WEIR_OK;
}

/* Whatever it is. A model's name in it is for the price alone. */
static void read_any(struct str body, struct arena *a, struct call *call)
{
    unsigned depth;
    struct json_error error;
    struct str value;
    struct buf scratch = {0};
    if (body.n > 0 && body.p[0] == '{' && json_check(body, &depth, &error) &&
        json_find(body, "model", &value, &scratch) == JSON_FOUND)
        call->model = text_of(value, a, &scratch);
    buf_fini(&scratch);
}

enum weir_err passed_read_call(const struct endpoint *e, const struct endpoint_place *place, struct str content_type,
                               struct str body, struct arena *a, struct call *ret_call, struct str *ret_why)
{
    bool writes = e->meter != ENDPOINT_TOKENS || e->kind != ENDPOINT_PASSED || e->dialect == DIALECT_RESPONSES;
    struct call call = {.max_output = writes ? -1 : 0, /* vectors and ranks cost no output */
                        .choices = 1,
                        .model = place->model,
                        .tail = place->tail,
                        .content_type = content_type};
    enum weir_err err = WEIR_OK;
    if (video_op_of(e) != VIDEO_NONE)
        err = video_read_call(e, place, content_type, body, a, &call, ret_why);
    else if (e->body == ENDPOINT_BODY_JSON)
        err = read_json(e, body, a, &call, ret_why);
    else if (e->body == ENDPOINT_BODY_FORM)
        err = read_form(e, content_type, body, a, &call, ret_why);
    else if (e->body == ENDPOINT_BODY_ANY)
        read_any(body, a, &call);
    if (err == WEIR_OK && e->model == ENDPOINT_MODEL_BODY && call.model.n == 0) {
        *ret_why = STR("model is missing");
        err = WEIR_BAD_REQUEST;
    }
    if (e->meter == ENDPOINT_TOKENS) call.input_bound = (int64_t)body.n + FRAME_TOKENS;
    if (err == WEIR_OK) *ret_call = call;
    return err;
}

/* ---- what the provider is sent ---- */

static enum weir_err write_form(const struct call *call, struct str body, struct str model, struct buf *out,
                                struct str *ret_why)
{
    struct str boundary, value;
    if (!multipart_boundary(call->content_type, &boundary) ||
        multipart_find(body, boundary, "model", &value) != MULTIPART_FOUND) {
        *ret_why = STR("the field \"model\" cannot be found again");
        return WEIR_BAD_REQUEST;
    }
    size_t at = (size_t)(value.p - body.p);
    buf_add(out, str_slice(body, 0, at));
    buf_add(out, model);
    buf_add(out, str_slice(body, at + value.n, body.n));
    return WEIR_OK;
}

/* Gemini: the model stands in the path, and again in each request of a batch. */
static enum weir_err write_gemini(struct str body, struct str model, struct arena *a, struct buf *out,
                                  struct str *ret_why)
{
    struct str requests;
    struct buf scratch = {0}, list = {0}, name = {0};
    struct json_patch patch[2];
    yyjson_val *root, *item;
    unsigned n = 0;
    enum weir_err err = WEIR_OK;
    buf_addz(&name, "\"models/");
    buf_add_json(&name, model);
    buf_addc(&name, '"');
    struct str quoted = arena_copy(a, buf_view(&name));
    if (json_find(body, "model", &requests, &scratch) == JSON_FOUND) patch[n++] = (struct json_patch){"model", quoted};
    if (json_find(body, "requests", &requests, &scratch) == JSON_FOUND) {
        size_t i, count;
        err = tree_read(requests, a, &root, ret_why);
        buf_addc(&list, '[');
        if (err == WEIR_OK) {
            yyjson_arr_foreach(root, i, count, item)
            {
                const struct json_patch one = {"model", quoted};
                buf_clear(&scratch);
                tree_emit(&scratch, item);
                if (i > 0) buf_addc(&list, ',');
                if (!json_splice(buf_view(&scratch), &one, 1, &list)) {
                    *ret_why = STR("requests must hold objects");
                    err = WEIR_BAD_REQUEST;
                    break;
                }
            }
        }
        buf_addc(&list, ']');
        patch[n++] = (struct json_patch){"requests", buf_view(&list)};
    }
    if (err == WEIR_OK && n == 0) buf_add(out, body);
    if (err == WEIR_OK && n > 0 && !json_splice(body, patch, n, out)) {
        *ret_why = STR("the body must be a JSON object");
        err = WEIR_BAD_REQUEST;
    }
    buf_fini(&scratch);
    buf_fini(&list);
    buf_fini(&name);
    return err;
}

enum weir_err passed_write_request(const struct endpoint *e, const struct call *call, struct str body, struct str model,
                                   struct arena *a, struct buf *out, struct str *ret_why)
{
    if (call->video != NULL && (call->video->form == VIDEO_ARK || call->video->op != VIDEO_CREATE)) {
        video_write_request(call->video, model, out);
        return WEIR_OK;
    }
    if (e->kind == ENDPOINT_RAW || call->model.n == 0 || (str_eq(call->model, model) && !call->passed_stream)) {
        buf_add(out, body);
        return WEIR_OK;
    }
    struct str boundary;
    if (e->body == ENDPOINT_BODY_FORM || (call->video != NULL && multipart_boundary(call->content_type, &boundary)))
        return write_form(call, body, model, out, ret_why);
    if (e->model == ENDPOINT_MODEL_PATH) return write_gemini(body, model, a, out, ret_why);
    struct call asked = *call;
    struct str loss = STR_NULL;
    asked.stream = call->passed_stream; /* usage is asked for */
    return passthrough_request(DIALECT_OPENAI_CHAT, &asked, body, model, a, out, &loss, ret_why);
}
