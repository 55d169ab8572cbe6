#include "proto/base/base64.h"
#include "proto/dialect/tree.h"
#include "proto/dialect/video.h"
#include "proto/wire/json.h"
#include "proto/wire/multipart.h"

#include <string.h>

enum { USUAL_SECONDS = 4, MOST_SECONDS = 3600, PROMPT_BYTES = 128 * 1024 };

/* What Ark takes beside what OpenAI has; OpenAI's SDKs send them as extra members of the body. */
static const char *const EXTRA_KEYS[VIDEO_EXTRAS] = {
    "resolution",        "ratio",          "seed",   "camera_fixed",
    "watermark",         "priority",       "draft",  "service_tier",
    "return_last_frame", "generate_audio", "frames", "execution_expires_after",
};

enum video_op video_op_of(const struct endpoint *e)
{
    static const struct {
        const char *name;
        enum video_op op;
    } rows[] = {{"videos.create", VIDEO_CREATE},
                {"videos.retrieve", VIDEO_RETRIEVE},
                {"videos.content", VIDEO_CONTENT},
                {"videos.delete", VIDEO_DELETE},
                {"videos.list", VIDEO_LIST}};
    if (e == NULL || e->kind != ENDPOINT_PASSED || strncmp(e->name, "videos.", 7) != 0) return VIDEO_NONE;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(e->name, rows[i].name) == 0) return rows[i].op;
    return VIDEO_OTHER;
}

/* ---- one field, in a JSON body or a form ---- */

struct fields {
    yyjson_val *root; /* NULL: a form */
    struct str body, boundary;
    struct arena *arena;
    struct str why;
};

/* Of a form's field, or a member that is a string or a number: its text. Empty: absent. */
static bool read_text(struct fields *f, const char *name, struct str *ret_text)
{
    *ret_text = STR_NULL;
    if (f->root != NULL) {
        yyjson_val *v = tree_get(f->root, name);
        *ret_text = yyjson_is_str(v) ? tree_str(v) : tree_num(v);
        return true;
    }
    enum multipart_find found = multipart_find(f->body, f->boundary, name, ret_text);
    if (found == MULTIPART_BAD)
        f->why = STR("the body does not follow its multipart boundary, or a part's head can be read in two ways");
    if (found == MULTIPART_TWICE) f->why = arena_printf(f->arena, "the body has the field \"%s\" twice", name);
    return found == MULTIPART_ABSENT || found == MULTIPART_FOUND;
}

static bool read_extra(struct fields *f, const char *key, struct video_call *v)
{
    struct str json = STR_NULL, text;
    struct json_error error;
    unsigned depth;
    if (f->root != NULL) {
        yyjson_val *value = tree_get(f->root, key);
        if (value != NULL) json = tree_text(value, f->arena);
    } else {
        if (!read_text(f, key, &text)) return false;
        bool bare = text.n > 0 && (str_is(text, "true") || str_is(text, "false") || text.p[0] == '-' ||
                                   (text.p[0] >= '0' && text.p[0] <= '9'));
        struct buf quoted = {0};
        if (text.n > 0) buf_add_json_str(&quoted, text);
        json = bare && json_check(text, &depth, &error) ? text : arena_copy(f->arena, buf_view(&quoted));
        buf_fini(&quoted);
    }
    if (json.n > 0) v->extra[v->extras_n++] = (struct video_extra){key, json};
    return true;
}

static bool read_image(struct fields *f, struct video_call *v)
{
    if (f->root == NULL) {
        struct str text;
        enum multipart_find found =
            multipart_find_file(f->body, f->boundary, "input_reference", &v->image_type, &v->image);
        if (found == MULTIPART_TWICE) f->why = STR("the body has the field \"input_reference\" twice");
        if (found == MULTIPART_TWICE || !read_text(f, "input_reference", &text)) return false;
        if (v->image.n == 0) v->image_url = text;
        return true;
    }
    yyjson_val *reference = tree_get(f->root, "input_reference");
    v->image_url = yyjson_is_str(reference) ? tree_str(reference) : tree_get_str(reference, "image_url");
    if (reference != NULL && v->image_url.n == 0) {
        f->why = STR("input_reference must be a file or {\"image_url\": …}: files by id are not kept here");
        return false;
    }
    return true;
}

static bool read_seconds(struct fields *f, struct video_call *v)
{
    struct str text;
    if (!read_text(f, "seconds", &text)) return false;
    v->seconds = USUAL_SECONDS;
    if (text.n == 0 || (str_i64(str_trim(text), &v->seconds) && v->seconds > 0 && v->seconds <= MOST_SECONDS))
        return true;
    f->why = STR("seconds must be a whole number of seconds, such as \"8\"");
    return false;
}

static bool read_size(struct fields *f, struct video_call *v)
{
    uint64_t width, height;
    if (!read_text(f, "size", &v->size)) return false;
    struct str rest = v->size = str_trim(v->size), w = str_split(&rest, 'x');
    if (v->size.n == 0 || (str_u64(w, &width) && str_u64(rest, &height) && width >= 16 && height >= 16 &&
                           width <= 16384 && height <= 16384))
        return true;
    f->why = STR("size must be WIDTHxHEIGHT, such as 1280x720");
    return false;
}

static bool read_create(struct fields *f, struct call *call, struct video_call *v)
{
    struct str model;
    if (!read_text(f, "model", &model) || !read_text(f, "prompt", &v->prompt) || !read_seconds(f, v) ||
        !read_size(f, v) || !read_image(f, v))
        return false;
    for (unsigned i = 0; i < VIDEO_EXTRAS; i++)
        if (!read_extra(f, EXTRA_KEYS[i], v)) return false;
    call->model = str_trim(model).n > 0 ? arena_copy(f->arena, str_trim(model)) : STR("sora-2"); /* the API's default */
    for (size_t i = 0; i < call->model.n; i++)
        if ((unsigned char)call->model.p[i] < 0x20) {
            f->why = STR("model holds a control character");
            return false;
        }
    if (v->prompt.n > 0 && v->prompt.n <= PROMPT_BYTES) return true;
    f->why = v->prompt.n == 0 ? STR("prompt is missing") : STR("prompt is too long");
    return false;
}

static enum weir_err read_body(struct str content_type, struct str body, struct arena *a, struct call *call,
                               struct video_call *v, struct str *ret_why)
{
    struct fields f = {.body = body, .arena = a};
    struct buf scratch = {0};
    struct str value;
    if (!multipart_boundary(content_type, &f.boundary)) {
        enum weir_err e = tree_read(body, a, &f.root, ret_why);
        if (e != WEIR_OK) return e;
        bool twice = yyjson_is_obj(f.root) && json_find(body, "model", &value, &scratch) == JSON_TWICE;
        buf_fini(&scratch);
        if (!yyjson_is_obj(f.root) || twice) {
            *ret_why = twice ? STR("the body has the member \"model\" twice") : STR("the body must be a JSON object");
            return WEIR_BAD_REQUEST;
        }
    }
    if (read_create(&f, call, v)) return WEIR_OK;
    *ret_why = f.why;
    return WEIR_BAD_REQUEST;
}

enum weir_err video_read_call(const struct endpoint *e, const struct endpoint_place *place, struct str content_type,
                              struct str body, struct arena *a, struct call *call, struct str *ret_why)
{
    struct video_call *v = arena_alloc(a, sizeof *v);
    *v = (struct video_call){.op = video_op_of(e)};
    call->video = v;
    switch (v->op) {
    case VIDEO_CREATE: return read_body(content_type, body, a, call, v, ret_why);
    case VIDEO_LIST: return video_read_list(place->query, a, v, ret_why);
    case VIDEO_RETRIEVE:
    case VIDEO_CONTENT:
    case VIDEO_DELETE: break;
    default:
        *ret_why =
            arena_printf(a, "%s is not spoken here. Spoken: create, retrieve, list, content and delete", e->name);
        return WEIR_NOT_IMPLEMENTED;
    }
    struct str rest = place->tail; /* "/videos/ID/content" */
    (void)str_split(&rest, '/');
    (void)str_split(&rest, '/');
    if (video_id_read(str_split(&rest, '/'), a, &v->id)) return WEIR_OK;
    *ret_why = STR("this is no id of a video that was created here");
    return WEIR_UP_NOT_FOUND;
}

/* ---- what the provider is sent ---- */

struct str video_path(const struct video_call *v, struct arena *a)
{
    const char *base = v->form == VIDEO_ARK ? "/contents/generations/tasks" : "/videos";
    if (v->op == VIDEO_CREATE) return str_of(base);
    if (v->op == VIDEO_LIST) return video_list_path(v, a);
    bool content = v->op == VIDEO_CONTENT && v->form == VIDEO_OPENAI;
    return arena_printf(a, "%s/%.*s%s", base, STR_FMT(v->id.task), content ? "/content" : "");
}

static const struct video_extra *extra_of(const struct video_call *v, const char *key)
{
    for (unsigned i = 0; i < v->extras_n; i++)
        if (strcmp(v->extra[i].key, key) == 0) return &v->extra[i];
    return NULL;
}

struct shape {
    const char *resolution, *ratio;
};

/* By the short side, and the ratio that is nearest. Not said: the API's 720x1280, or what a picture has. */
static struct shape shape_of(const struct video_call *v)
{
    static const struct {
        const char *name;
        unsigned w, h;
    } ratios[] = {{"16:9", 16, 9}, {"4:3", 4, 3}, {"1:1", 1, 1}, {"3:4", 3, 4}, {"9:16", 9, 16}, {"21:9", 21, 9}};
    struct str rest = v->size, w = str_split(&rest, 'x');
    uint64_t width = 720, height = 1280, best = UINT64_MAX;
    struct shape s = {"720p", "9:16"};
    if (!str_u64(w, &width) || !str_u64(rest, &height)) {
        if (v->image.n > 0 || v->image_url.n > 0) s.ratio = "adaptive";
        return s;
    }
    uint64_t side = width < height ? width : height;
    s.resolution = side <= 500 ? "480p" : side <= 850 ? "720p" : side <= 1100 ? "1080p" : "4k";
    for (size_t i = 0; i < sizeof ratios / sizeof ratios[0]; i++) {
        uint64_t a = width * 1000 / height, b = ratios[i].w * 1000 / ratios[i].h, off = a > b ? a - b : b - a;
        if (off < best) s.ratio = ratios[i].name;
        if (off < best) best = off;
    }
    return s;
}

static void add_member(struct buf *out, const char *key, const struct video_extra *extra, const char *usual)
{
    buf_addf(out, ",\"%s\":", key);
    if (extra != NULL)
        buf_add(out, extra->json);
    else
        buf_addf(out, "\"%s\"", usual);
}

static void add_picture(const struct video_call *v, struct buf *out)
{
    if (v->image.n == 0 && v->image_url.n == 0) return;
    buf_addz(out, ",{\"type\":\"image_url\",\"image_url\":{\"url\":\"");
    if (v->image.n > 0) {
        buf_addz(out, "data:");
        buf_add_json(out, v->image_type.n > 0 ? v->image_type : STR("image/png"));
        buf_addz(out, ";base64,");
        base64_encode(v->image, out);
    } else {
        buf_add_json(out, v->image_url);
    }
    buf_addz(out, "\"},\"role\":\"first_frame\"}");
}

static void write_ark(const struct video_call *v, struct str model, struct buf *out)
{
    struct shape shape = shape_of(v);
    bool picture = v->image.n > 0 || v->image_url.n > 0;
    if (picture && str_contains(model, STR("seedance-2-5"))) shape.ratio = "adaptive"; /* it refuses all others there */
    buf_addz(out, "{\"model\":");
    buf_add_json_str(out, model);
    buf_addz(out, ",\"content\":[{\"type\":\"text\",\"text\":");
    buf_add_json_str(out, v->prompt);
    buf_addc(out, '}');
    add_picture(v, out);
    buf_addc(out, ']');
    add_member(out, "resolution", extra_of(v, "resolution"), shape.resolution);
    add_member(out, "ratio", extra_of(v, "ratio"), shape.ratio);
    if (extra_of(v, "frames") == NULL) buf_addf(out, ",\"duration\":%lld", (long long)v->seconds);
    if (extra_of(v, "watermark") == NULL) buf_addz(out, ",\"watermark\":false");
    for (unsigned i = 0; i < v->extras_n; i++) {
        const char *key = v->extra[i].key;
        if (strcmp(key, "resolution") == 0 || strcmp(key, "ratio") == 0) continue;
        buf_addf(out, ",\"%s\":", key);
        buf_add(out, v->extra[i].json);
    }
    buf_addc(out, '}');
}

void video_write_request(const struct video_call *v, struct str model, struct buf *out)
{
    if (v->op == VIDEO_CREATE) write_ark(v, model, out);
}

int64_t video_token_bound(const struct video_call *v)
{
    const struct video_extra *resolution = extra_of(v, "resolution"), *frames = extra_of(v, "frames");
    struct str name = resolution != NULL ? resolution->json : str_of(shape_of(v).resolution);
    int64_t area = str_contains(name, STR("480p"))    ? 430000 /* the largest of its ratios */
                   : str_contains(name, STR("720p"))  ? 930000
                   : str_contains(name, STR("1080p")) ? 2100000
                                                      : 8400000;
    int64_t n = 0, seconds = v->seconds;
    if (frames != NULL && str_i64(frames->json, &n) && n > 0 && n < MOST_SECONDS * 24) seconds = n / 24 + 1;
    return (seconds + 1) * 24 * area / 1024;
}
